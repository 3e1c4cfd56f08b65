//! `keywright listen`: what a developer's own server is told, on their own machine.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use crypto::{seal::Place, webhook::WebhookSecret};
use domain::{
    Entropy,
    event::{EventFilter, EventKind, EventStyle},
    id::{EventId, TenantId, uuid_v7},
    time::after,
};
use engine::{Engine, tenants::DEFAULT_TENANT};
use jiff::SignedDuration;
use net::{Client, Reach};
use secrecy::{ExposeSecret, SecretString};
use store::{
    lists::{Cursor, Page, Whose},
    rows::Event,
};
use url::Url;

use crate::{
    options::DataOptions,
    output::say,
    server::{self, Installation},
};

/// How often it is looked what has happened.
const LOOK: Duration = Duration::from_millis(500);
/// What began earlier may be committed later: so far back it is looked again.
const OVERLAP: SignedDuration = SignedDuration::from_secs(15);
/// Events that are read at once.
const PAGE: u64 = 100;

/// Shows events as they happen, of the test mode unless told otherwise, and posts each to a server on this machine.
///
/// Each call is signed, with a secret that is made for this session and printed first. The key of a new license is in it
/// in test mode only. What is not answered is not posted again.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Where to post events: an address of this machine, such as http://127.0.0.1:3000/hooks. [default: nowhere]
    #[arg(long)]
    forward_to: Option<Url>,

    /// Only events of these kinds, several with commas between them. [default: all]
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    events: Vec<EventKind>,

    /// In which form: standard or keylight.
    #[arg(long, value_parser = style, default_value = "standard")]
    style: EventStyle,

    /// Events of live mode.
    #[arg(long)]
    live: bool,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

fn style(text: &str) -> Result<EventStyle, String> {
    let word = serde_json::Value::String(text.to_owned());
    serde_json::from_value(word).map_err(|_| "it is standard or keylight".to_owned())
}

/// Where events are posted.
struct Forward {
    url: Url,
    client: Client,
    secret: WebhookSecret,
}

impl Listen {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let installation = server::open(&self.data).await?;
        let engine = &installation.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.with_context(|| format!("there is no tenant `{}`", self.tenant))?;
        let whose = Whose { tenant, livemode: self.live };
        let forward = self.forward(engine).await?;
        let filter = EventFilter(self.events.iter().copied().collect::<BTreeSet<_>>());
        // What was there before is not news.
        let mut seen: HashSet<uuid::Uuid> = recent(engine, whose).await?.into_iter().map(|event| event.id).collect();
        if let Some(Forward { url, secret, .. }) = &forward {
            say!("signed with {}", secret.reveal());
            say!("posting to {url}");
        }
        say!("listening for events of {} mode; ctrl-c ends it", if self.live { "live" } else { "test" });
        let mut stopped = std::pin::pin!(super::serve::stopped_by_signal());
        loop {
            let found = recent(engine, whose).await?;
            let there: HashSet<uuid::Uuid> = found.iter().map(|event| event.id).collect();
            for event in found {
                let is_wanted = event.kind.parse().is_ok_and(|kind| filter.wants(kind)) && !event.example;
                if seen.contains(&event.id) || !is_wanted {
                    continue;
                }
                let outcome = match &forward {
                    Some(forward) => format!("  -> {}", self.post(&installation, forward, &event).await),
                    None => String::new(),
                };
                say!("{}  {:<20}  {}{outcome}", engine.now().strftime("%H:%M:%S"), event.kind, EventId(event.id));
            }
            seen = there;
            tokio::select! {
                ended = &mut stopped => return ended,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn forward(&self, engine: &Engine) -> anyhow::Result<Option<Forward>> {
        let Some(url) = self.forward_to.clone() else { return Ok(None) };
        let client = Client::new(Reach::Loopback, delivery::webhooks::LIMITS)?;
        client.examine(&url).await.with_context(|| format!("nothing can be posted to {url}"))?;
        Ok(Some(Forward { url, client, secret: WebhookSecret::generate(&mut *engine.entropy()) }))
    }

    /// Posts an event, and says how that ended.
    async fn post(&self, installation: &Installation, forward: &Forward, event: &Event) -> String {
        let Forward { url, client, secret } = forward;
        let key = match self.live {
            true => None,
            false => key(installation, event).await,
        };
        let key = key.as_ref().map(SecretString::expose_secret);
        let now = installation.engine.now();
        let secrets = std::slice::from_ref(secret);
        let request = match delivery::webhooks::signed_request(url, self.style, secrets, (event, key), now) {
            Ok(request) => request,
            Err(problem) => return problem,
        };
        match client.send(request).await {
            Ok(answer) => answer.status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

/// The key of the license that an event is about.
async fn key(installation: &Installation, event: &Event) -> Option<SecretString> {
    let license = event.license_id?;
    let row = installation.engine.store.first_keys([license].into()).await.ok()?.remove(&license)?;
    let place = Place::license_key(TenantId(event.tenant_id), row.id);
    let opened = installation.ring.get().open(place, &row.sealed).ok()?;
    Some(SecretString::from(String::from_utf8_lossy(&opened).into_owned()))
}

/// What happened in the last seconds, the oldest first.
async fn recent(engine: &Engine, whose: Whose) -> anyhow::Result<Vec<Event>> {
    let mut cursor = uuid_v7(after(engine.now(), -OVERLAP), &mut First);
    let mut found = Vec::new();
    loop {
        let page = Page { limit: PAGE, from: Some(Cursor::Before(cursor)) };
        let listed = engine.store.list_events(whose, &store::events::EventFilter::default(), page).await?;
        let Some(newest) = listed.rows.first() else { return Ok(found) };
        cursor = newest.id;
        found.extend(listed.rows.into_iter().rev());
        if !listed.has_more {
            return Ok(found);
        }
    }
}

/// Makes the first of all ids of a moment.
struct First;

impl Entropy for First {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}
