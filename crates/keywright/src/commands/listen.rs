//! `keywright listen`: what a developer's own server is told, on their own machine, by whatever Keywright they have a key to.

mod reading;

use anyhow::{Context, bail};
use clap::Args;
use crypto::{
    token::{ApiKeyKind, ApiKeyText},
    webhook::WebhookSecret,
};
use domain::{
    ambient::Clock,
    event::{EventKind, EventStyle, WantedKinds},
};
use net::{Client, Network, Reach};
use secrecy::SecretString;
use url::Url;

use self::reading::{Place, Server, Told, TroubleKind};
use crate::{clock::SystemClock, entropy::ThreadEntropy, options::value_or_file, output::say};

/// Where a server and a receiver of one's own may be beside the public addresses, which are called by https only: a key
/// travels with each call.
const OWN_NETWORKS: [&str; 6] = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/// Where the API key is found.
const API_KEY: &str = "KEYWRIGHT_API_KEY";

/// Shows events of a server as they happen, and posts each to a server of your own.
///
/// The API key in KEYWRIGHT_API_KEY, or in the file that KEYWRIGHT_API_KEY_FILE names, says whose events and of which mode; it
/// needs the scope webhook:read. Each call is signed, with a secret that is made for this session and printed first. The key of
/// a new license is in it in test mode only. What is not answered is not posted again.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// The server whose events they are.
    #[arg(long, env = "KEYWRIGHT_SERVER", default_value = "http://127.0.0.1:8400")]
    server: Url,

    /// Where to post events, such as http://127.0.0.1:3000/hooks. [default: nowhere]
    #[arg(long)]
    forward_to: Option<Url>,

    /// Only events of these kinds, several with commas between them. [default: all]
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    events: Vec<EventKind>,

    /// In which form: standard or keylight.
    #[arg(long, value_parser = style, default_value = "standard")]
    style: EventStyle,
}

fn style(text: &str) -> Result<EventStyle, String> {
    let word = serde_json::Value::String(text.to_owned());
    serde_json::from_value(word).map_err(|_| "it is standard or keylight".to_owned())
}

/// Where events are posted.
struct Forward {
    url: Url,
    style: EventStyle,
    client: Client,
    secret: WebhookSecret,
}

impl Listen {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (key, livemode) = api_key()?;
        let server = Server::new(&self.server, key, livemode, reach()?)?;
        let forward = self.forward().await?;
        let wanted: WantedKinds = self.events.iter().copied().collect();
        let mut place = Place::default();
        // What was there before is not news.
        server.begin(&mut place).await.with_context(|| format!("{} cannot be listened to", self.server))?;
        if let Some(Forward { url, secret, .. }) = &forward {
            say!("signed with {}", secret.reveal());
            say!("posting to {url}");
        }
        if livemode && EventKind::ALL.iter().any(|kind| kind.is_activity() && wanted.has(*kind)) {
            say!(
                "license.activated and license.deactivated are kept in live mode only where a webhook endpoint wants them"
            );
        }
        let mode = if livemode { "live" } else { "test" };
        say!("listening for events of {mode} mode at {}; ctrl-c ends it", self.server);
        tokio::select! {
            ended = super::serve::stopped_by_signal() => ended,
            failed = follow(&server, &mut place, &wanted, forward.as_ref()) => failed,
        }
    }

    async fn forward(&self) -> anyhow::Result<Option<Forward>> {
        let Some(url) = self.forward_to.clone() else { return Ok(None) };
        let client = Client::new(reach()?, delivery::webhooks::LIMITS)?;
        client.examine(&url).await.with_context(|| format!("nothing can be posted to {url}"))?;
        Ok(Some(Forward { url, style: self.style, client, secret: WebhookSecret::generate(&mut ThreadEntropy) }))
    }
}

/// The API key, and whether it is one of live mode.
fn api_key() -> anyhow::Result<(SecretString, bool)> {
    let given = value_or_file(std::env::var(API_KEY).ok().as_deref(), API_KEY)?;
    let Some(text) = given else {
        bail!(
            "there is no API key: set {API_KEY} to one with the scope webhook:read; where the data is, `keywright api-key create \
             --name listen --kind test --scope webhook:read` makes one"
        );
    };
    let key: ApiKeyText = text.parse().with_context(|| format!("{API_KEY} does not read"))?;
    match key.kind() {
        ApiKeyKind::Live => Ok((text.into(), true)),
        ApiKeyKind::Test => Ok((text.into(), false)),
        ApiKeyKind::Checkout | ApiKeyKind::TestCheckout => {
            bail!("the key in {API_KEY} opens checkouts and nothing else")
        }
    }
}

fn reach() -> anyhow::Result<Reach> {
    let allowed = OWN_NETWORKS.iter().map(|network| network.parse()).collect::<Result<Vec<Network>, _>>()?;
    Ok(Reach::Networks { allowed, plain_http: true })
}

/// Shows what happens and posts it, until the server refuses. Whatever takes long, here or there, nothing is left out.
async fn follow(
    server: &Server,
    place: &mut Place,
    wanted: &WantedKinds,
    forward: Option<&Forward>,
) -> anyhow::Result<()> {
    let mut is_away = false;
    loop {
        match server.news(place).await {
            Ok(news) => {
                is_away = false;
                let is_more = news.len() == reading::PAGE;
                for told in news {
                    if wanted.has_word(&told.kind) && !told.is_example() {
                        show(&told, forward).await;
                    }
                    place.has_seen(told.id);
                }
                if is_more {
                    continue;
                }
            }
            Err(trouble) if trouble.kind == TroubleKind::Refused => bail!("the server refuses: {trouble}"),
            Err(trouble) => {
                if !is_away {
                    say!("the server does not answer and is asked again: {trouble}");
                }
                is_away = true;
            }
        }
        tokio::time::sleep(reading::LOOK).await;
    }
}

async fn show(told: &Told, forward: Option<&Forward>) {
    let outcome = match forward {
        Some(forward) => format!("  -> {}", forward.post(told).await),
        None => String::new(),
    };
    say!("{}  {:<20}  {}{outcome}", told.timestamp.strftime("%H:%M:%S"), told.kind, told.id);
}

impl Forward {
    /// Posts an event, and says how that ended.
    async fn post(&self, told: &Told) -> String {
        let (event, key) = match told.parts() {
            Ok(parts) => parts,
            Err(error) => return format!("the event does not read: {error}"),
        };
        let secrets = std::slice::from_ref(&self.secret);
        let now = SystemClock.now();
        let request = delivery::webhooks::signed_request(&self.url, self.style, secrets, (&event, key.as_deref()), now);
        let request = match request {
            Ok(request) => request,
            Err(problem) => return problem,
        };
        match self.client.send(request).await {
            Ok(answer) => answer.status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}
