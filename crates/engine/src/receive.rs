//! Taking in: a call is verified, its events are committed to the inbox, and only then it is answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use domain::{Entropy, counted::Counted, id::InboundId};
use jiff::{SignedDuration, Timestamp};
use providers::{
    Delivery, Incoming, Level, Malformed, Outcome, Reject, Step, Verified,
    http::{HttpAnswer, Request},
};
use sha2::{Digest, Sha256};
use store::{
    Store, inbox,
    rows::{AttentionItem, InboundEvent},
};

use crate::{
    Engine, Error, Gather, Turns, attention,
    connected_accounts::{self as accounts, Whose},
    connections::{Connection, FRESH, FRESH_ENOUGH_TO_REJECT},
    fulfil,
    inbound::Call,
    rejections::most_telling,
};

/// What the key of an event starts with whose body was not understood, so that it says nothing of what happened.
const NONSENSE: &str = "sha256:";

/// The kind of an event that does not say what happened.
const UNKNOWN: &str = "unknown";

/// Calls that share one commit at most.
const TURNS: Turns = Turns { batch_max: 64, concurrent: 1, waiting_max: 4_096 };

/// One event to be kept, and what a person should know about it.
pub(crate) struct Arrival {
    pub(crate) event: InboundEvent,
    pub(crate) attention: Option<AttentionItem>,
}

/// Where a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door<'a> {
    /// At the address of a tenant.
    Tenant(&'a str),
    /// At the one of a platform, whose events say which account they are of.
    Platform,
}

impl Door<'_> {
    /// Whether a connection's secrets are tried there.
    fn leads_to(self, connection: &Connection) -> bool {
        match self {
            Self::Tenant(slug) => connection.tenant_slug == slug,
            Self::Platform => connection.settings.platform,
        }
    }
}

/// The event could not be kept: the provider must send it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be stored: {0}")]
pub struct NotKept(String);

/// How taking in a call ended.
#[derive(Debug)]
pub enum Received {
    /// There is no such provider, tenant, or connection between them.
    Unknown,
    /// The provider's own answer: kept, or not believed.
    Answer(HttpAnswer),
    /// The database is away: the provider must send it again.
    Unavailable(String),
}

pub(crate) fn gather(store: Store, engine: Weak<Engine>) -> Gather<Arrival, Result<(), NotKept>> {
    Gather::start(TURNS, move |arrivals: Vec<Arrival>| {
        let (store, engine) = (store.clone(), engine.clone());
        async move {
            let any = |status| arrivals.iter().any(|arrival: &Arrival| arrival.event.status == status);
            let (any_work, any_lookups) = (any(inbox::status::RECEIVED), any(inbox::status::WAITING));
            let whose: Vec<_> = arrivals.iter().map(|arrival| store::lists::Whose::of_event(&arrival.event)).collect();
            let kept = keep_all(&store, arrivals).await;
            if let (true, Some(engine)) = (kept.iter().any(Result::is_ok), engine.upgrade()) {
                let (now, is_new) = (engine.now(), |kept: &Result<IsNew, NotKept>| *kept == Ok(IsNew(true)));
                let new = whose.into_iter().zip(&kept).filter(|(_, kept)| is_new(kept));
                new.for_each(|(whose, _)| engine.tally(whose, Counted::EventReceived, now));
                if any_work {
                    engine.work.notify_one();
                }
                if any_lookups {
                    engine.lookups.notify_one();
                }
            }
            kept.into_iter().map(|kept| kept.map(drop)).collect()
        }
    })
}

/// Whether an event that is kept was not known before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct IsNew(bool);

/// Keeps arrivals together. If the database refuses one of them, each is kept by itself: one never fails the others.
async fn keep_all(store: &Store, arrivals: Vec<Arrival>) -> Vec<Result<IsNew, NotKept>> {
    let not_kept = |error: Error| NotKept(error.to_string());
    match keep(store, &arrivals).await {
        Err(error) if error.is_refusal() && arrivals.len() > 1 => {
            tracing::warn!(%error, "a batch of webhooks was refused; each is kept by itself");
            let mut kept = Vec::with_capacity(arrivals.len());
            for arrival in arrivals {
                let alone = keep(store, &[arrival]).await.map_err(not_kept);
                kept.push(alone.map(|new| new.first().copied().unwrap_or_default()));
            }
            kept
        }
        Ok(new) => new.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(not_kept(error)); arrivals.len()],
    }
}

/// Keeps arrivals in one transaction. Returns which of them were not known yet.
async fn keep(store: &Store, arrivals: &[Arrival]) -> Result<Vec<IsNew>, Error> {
    let events: Vec<InboundEvent> = arrivals.iter().map(|arrival| arrival.event.clone()).collect();
    // The same event may come twice at once: no statement writes the same row twice, and the first one is kept.
    let items: BTreeMap<(&str, &str), &AttentionItem> = arrivals
        .iter()
        .rev()
        .filter_map(|arrival| arrival.attention.as_ref())
        .map(|item| ((item.kind.as_str(), item.subject.as_str()), item))
        .collect();
    let items: Vec<AttentionItem> = items.into_values().cloned().collect();
    let ids = || events.iter().map(|event| event.id).collect();
    let once = || async {
        let write = store.begin().await?;
        let written = write.receive(events.clone()).await?;
        // As a rule all are new, and nothing more has to be asked.
        let is_new = if written == events.len() as u64 { None } else { Some(write.known_events(ids()).await?) };
        write.open_items(items.clone()).await?;
        fail::fail_point!("receive-before-commit");
        write.commit().await?;
        fail::fail_point!("receive-after-commit");
        Ok(events.iter().map(|event| IsNew(is_new.as_ref().is_none_or(|known| known.contains(&event.id)))).collect())
    };
    store::repeat(once, Error::is_conflict).await
}

impl Engine {
    /// Takes a webhook call in. The connection is the one of that tenant and provider whose secret fits.
    pub async fn receive(&self, provider: &str, tenant: &str, delivery: &Delivery<'_>) -> Received {
        self.receive_at(provider, Door::Tenant(tenant), delivery).await
    }

    /// Takes a call in that comes to a platform's address: an event is that of whoever has connected its account (D12).
    pub async fn receive_for_accounts(&self, provider: &str, delivery: &Delivery<'_>) -> Received {
        self.receive_at(provider, Door::Platform, delivery).await
    }

    async fn receive_at(&self, provider: &str, door: Door<'_>, delivery: &Delivery<'_>) -> Received {
        let mut refused = NotBelieved::new();
        // Before a call is turned away, connections that another process has just changed are read once more.
        for fresh in [FRESH, FRESH_ENOUGH_TO_REJECT] {
            let connections = match self.connections_within(fresh).await {
                Ok(connections) => connections,
                Err(error) => return Received::Unavailable(error.to_string()),
            };
            match believe(&connections, provider, door, delivery, self.now()) {
                Ok((connection, verified)) => {
                    self.note_believed(connection).await;
                    return self.take_in(&connections, connection, &verified, delivery).await;
                }
                Err(not_believed) => refused = not_believed,
            }
        }
        let Some((connection, reject)) = most_telling(&refused) else { return Received::Unknown };
        self.metrics.webhook(connection.provider.info().slug, "rejected");
        tracing::warn!(provider = connection.provider.info().slug, ?door, %reject, "a webhook was not believed");
        self.note_refused(&refused).await;
        Received::Answer(connection.provider.answer(&Outcome::Rejected(reject.clone())))
    }

    async fn take_in(
        &self,
        connections: &[Arc<Connection>],
        connection: &Arc<Connection>,
        verified: &Verified<'_>,
        delivery: &Delivery<'_>,
    ) -> Received {
        let now = self.now();
        let mut entropy = self.entropy();
        let mut kinds = Vec::new();
        let mut arrivals = Vec::new();
        match connection.provider.incoming(verified) {
            Ok(events) => {
                let again = match self.connections_again(connections, connection, &events).await {
                    Ok(again) => again,
                    Err(error) => return Received::Unavailable(error.to_string()),
                };
                let connections = again.as_deref().map_or(connections, Vec::as_slice);
                for event in events {
                    kinds.push(event.kind.clone());
                    let whose = accounts::whose(connections, connection, &event);
                    if let Err(error) = self.note_disconnection(whose, &event).await {
                        tracing::error!(connection = %connection.id, %error, "a webhook is refused so that it is sent again");
                        return Received::Unavailable(error.to_string());
                    }
                    arrivals.push(accounts::arrival(whose, connection, event, now, &mut *entropy));
                }
            }
            Err(malformed) => arrivals.push(nonsense(connection, verified, &malformed, now, &mut *entropy)),
        }
        let call = Call::kept(connection, verified, delivery);
        arrivals.iter_mut().for_each(|arrival| arrival.event.call.clone_from(&call));
        for kept in futures::future::join_all(arrivals.into_iter().map(|arrival| self.inbox.ask(arrival))).await {
            let problem = match kept {
                Ok(Ok(())) => continue,
                Ok(Err(not_kept)) => not_kept.to_string(),
                Err(stopping) => stopping.to_string(),
            };
            self.metrics.webhook(connection.provider.info().slug, "not_kept");
            tracing::error!(connection = %connection.id, %problem, "a webhook was refused so that it is sent again");
            return Received::Unavailable(problem);
        }
        self.metrics.webhook(connection.provider.info().slug, "received");
        Received::Answer(connection.provider.answer(&Outcome::Received { kinds }))
    }
}

impl Engine {
    /// The connections as they are now, if an event is of an account that nobody seems to have connected: another process
    /// may have done so a moment ago.
    async fn connections_again(
        &self,
        connections: &[Arc<Connection>],
        by: &Connection,
        events: &[Incoming],
    ) -> Result<Option<Arc<Vec<Arc<Connection>>>>, Error> {
        match events.iter().any(|event| matches!(accounts::whose(connections, by, event), Whose::Nobody)) {
            true => Ok(Some(self.connections_within(SignedDuration::ZERO).await?)),
            false => Ok(None),
        }
    }

    /// Puts an event of our own making into the inbox, as if it had been delivered.
    pub(crate) async fn enter(&self, connection: &Connection, event: Incoming) -> Result<(), Error> {
        let arrival = arrival(connection, event, self.now(), &mut *self.entropy());
        Ok(self.inbox.ask(arrival).await??)
    }
}

/// The connections that a call may have been meant for, and why each did not believe it.
pub(crate) type NotBelieved = Vec<(Arc<Connection>, Reject)>;

/// The connection of that provider behind that door whose secret fits.
pub(crate) fn believe<'a, 'c>(
    connections: &'c [Arc<Connection>],
    provider: &str,
    door: Door<'_>,
    delivery: &Delivery<'a>,
    now: Timestamp,
) -> Result<(&'c Arc<Connection>, Verified<'a>), NotBelieved> {
    let mut refused = NotBelieved::new();
    for connection in connections {
        if connection.provider.info().slug != provider || !door.leads_to(connection) {
            continue;
        }
        match connection.provider.verify(delivery, &connection.webhook_secrets, &connection.settings, now) {
            Ok(verified) => return Ok((connection, verified)),
            Err(reject) => refused.push((Arc::clone(connection), reject)),
        }
    }
    Err(refused)
}

/// An event as it enters the inbox. One that says nothing about licenses is done already, and one that lacks something
/// waits for it from the start; one of the wrong mode is kept, and held where a person sees it.
pub(crate) fn arrival(connection: &Connection, event: Incoming, now: Timestamp, entropy: &mut dyn Entropy) -> Arrival {
    let mut row = kept(connection, &event, InboundId::new(now, entropy), now);
    if event.live.is_some_and(|live| live != connection.mode.is_live()) {
        row.status = inbox::status::HELD.to_owned();
        row.error = Some(format!("the event is of another mode than the connection `{}`", connection.code));
    } else if connection.provider.ignores(&event.kind).is_some() {
        row.status = inbox::status::DONE.to_owned();
        row.done_at = Some(now.as_microsecond());
    } else {
        match lacking(connection, &event) {
            Lacking::Everything(requests) => fulfil::wait_for(&mut row, &requests, now),
            // When it may ask, once it has said what it knows.
            Lacking::Something => row.next_attempt_at = Some(now.as_microsecond()),
            Lacking::Nothing => {}
        }
    }
    let is_held = row.status == inbox::status::HELD;
    let attention = is_held.then(|| attention::wrong_mode(connection, &row, now, entropy));
    Arrival { event: row, attention }
}

/// An event as it is kept, whatever becomes of it.
pub(crate) fn kept(connection: &Connection, event: &Incoming, id: InboundId, now: Timestamp) -> InboundEvent {
    InboundEvent {
        account: event.account.clone().map(storable),
        event_key: storable(event.key.clone()),
        kind: storable(event.kind.clone()),
        occurred_at: event.occurred_at.map(Timestamp::as_microsecond),
        body: event.body.clone(),
        ..row(connection, id, now)
    }
}

/// An event that was found in the provider's own list. What it lacks is asked from `ask_at` on.
pub(crate) fn caught_up(
    connection: &Connection,
    event: Incoming,
    now: Timestamp,
    ask_at: Timestamp,
    entropy: &mut dyn Entropy,
) -> Arrival {
    let mut arrival = arrival(connection, event, now, entropy);
    arrival.event.caught_up = true;
    if arrival.event.next_attempt_at.is_some() {
        arrival.event.next_attempt_at = Some(ask_at.as_microsecond());
    }
    arrival
}

/// What is to be looked up. Whatever else is wrong with the event is found when it is worked on.
fn lacking(connection: &Connection, event: &Incoming) -> Lacking {
    if connection.settings.level == Level::None {
        return Lacking::Nothing;
    }
    match connection.provider.translate(event, &connection.settings, &[]) {
        Ok(Step::Need(requests)) => Lacking::Everything(requests),
        Ok(Step::Partly { .. }) => Lacking::Something,
        Ok(Step::Facts(_)) | Err(_) => Lacking::Nothing,
    }
}

/// What an event does not say of itself.
enum Lacking {
    /// Nothing is known of it before these are answered.
    Everything(Vec<Request>),
    /// Some of it is known, and waits for nobody.
    Something,
    /// It says all there is to know.
    Nothing,
}

/// Signed, and not understood: kept all the same. Its bytes are its key, so that repetitions are one.
fn nonsense(
    connection: &Connection,
    verified: &Verified<'_>,
    malformed: &Malformed,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Arrival {
    let mut row = row(connection, InboundId::new(now, entropy), now);
    row.event_key = format!("{NONSENSE}{}", hex::encode(Sha256::digest(verified.body())));
    row.body = storable(String::from_utf8_lossy(verified.body()).into_owned());
    row.status = inbox::status::HELD.to_owned();
    row.error = Some(malformed.to_string());
    let attention = Some(attention::malformed(connection, &row, now, entropy));
    Arrival { event: row, attention }
}

/// A text that every database takes. PostgreSQL has no character zero; it is shown as its picture.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{2400}") } else { text }
}

/// Whether the body was signed and not understood: there is no event in it that could be translated, or played again.
#[must_use]
pub fn is_nonsense(event: &InboundEvent) -> bool {
    event.event_key.starts_with(NONSENSE) && event.kind == UNKNOWN
}

fn row(connection: &Connection, id: InboundId, now: Timestamp) -> InboundEvent {
    InboundEvent {
        id: id.0,
        tenant_id: connection.tenant.0,
        connection_id: connection.id.0,
        account: None,
        event_key: String::new(),
        kind: UNKNOWN.to_owned(),
        livemode: connection.mode.is_live(),
        occurred_at: None,
        received_at: now.as_microsecond(),
        status: inbox::status::RECEIVED.to_owned(),
        body: String::new(),
        requests: None,
        answers: None,
        attempts: 0,
        next_attempt_at: None,
        lease_token: None,
        lease_until: None,
        error: None,
        done_at: None,
        caught_up: false,
        call: None,
    }
}
