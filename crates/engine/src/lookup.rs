//! Look-ups: what an event lacks is asked of its provider, outside of every transaction, and kept with the event.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::id::{ConnectionId, InboundId};
use futures::{
    StreamExt,
    future::{BoxFuture, Either, select},
    stream,
};
use jiff::{SignedDuration, Timestamp};
use providers::http::{Answer, Request};
use store::{inbox, rows::InboundEvent};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    Engine, Error, attention,
    connections::{Connection, find},
};

/// Events that are looked up at the same time at most, of one connection.
const IN_FLIGHT_MAX: usize = 16;
/// Events that a worker takes at once: few enough that the lease of all workers' events lasts even if each takes as long as
/// a call may.
const LEASED_MAX: u64 = 32;
/// How long answers wait for others that land.
const LANDING: Duration = Duration::from_millis(3);
/// An event whose look-up failed so often needs a person. It goes on being tried.
const ATTENTION_AFTER: i32 = 4;

/// A provider's answer to a request.
#[derive(Debug, Clone)]
pub struct Dialled {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// How long the provider asks us to wait, in seconds.
    pub retry_after_seconds: Option<u32>,
}

/// A request did not get an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct DialError(pub String);

/// Sends requests to providers. The only way out of this crate.
pub trait Dial: Send + Sync {
    /// Sends one request to the connection's API, with its key.
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>>;
}

/// How one look-up of an event ended.
pub(crate) enum Asked {
    /// A final answer.
    Final(Answer),
    /// Not now; again after this long.
    Again(String, Option<SignedDuration>),
}

/// Who may ask a provider now: so many events of a connection at the same time, whichever worker has them.
#[derive(Default)]
pub(crate) struct ProviderTurns(Mutex<HashMap<ConnectionId, Arc<Semaphore>>>);

impl ProviderTurns {
    fn of(&self, connection: ConnectionId) -> Arc<Semaphore> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(connection).or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT_MAX))))
    }
}

impl Engine {
    /// Looks up what waits. Returns how many events it took.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn look_up(&self) -> Result<usize, Error> {
        let connections = self.connections().await?;
        let now = self.now();
        let token = domain::id::uuid_v7(now, &mut *self.entropy());
        let write = self.store.begin().await?;
        let events = write.lease_lookups(token, now, domain::time::after(now, self.lease), LEASED_MAX).await?;
        write.commit().await?;
        let count = events.len();
        if count > 0 {
            fail::fail_point!("lookup-after-lease");
        }
        let asked = stream::iter(events).map(|event| self.ask_all(event, &connections));
        let mut answered =
            std::pin::pin!(asked.buffer_unordered(LEASED_MAX as usize).ready_chunks(LEASED_MAX as usize));
        while let Some(mut landed) = answered.next().await {
            // Those that come back at about the same time share a commit; nobody waits for a provider that hangs.
            let mut moment = std::pin::pin!(tokio::time::sleep(LANDING));
            while let Either::Left((Some(more), _)) = select(answered.next(), &mut moment).await {
                landed.extend(more);
            }
            fail::fail_point!("lookup-before-commit");
            self.keep_answers(token, landed, &connections).await?;
            fail::fail_point!("lookup-after-commit");
            self.work.notify_one();
        }
        Ok(count)
    }

    /// Asks everything one event needs, and says how it stands then.
    async fn ask_all(&self, mut event: InboundEvent, connections: &[Arc<Connection>]) -> InboundEvent {
        let requests: Vec<Request> = read(event.requests.as_deref());
        let mut answers: Vec<Answer> = read(event.answers.as_deref());
        let Some(connection) = find(connections, ConnectionId(event.connection_id)) else {
            // Whoever works on it says so to a person.
            event.status = inbox::status::READY.to_owned();
            return event;
        };
        let turn = self.turns.of(connection.id);
        // The semaphore is never closed; without a permit the provider would merely be asked sooner.
        let _turn = turn.acquire().await;
        let mut failed = None;
        for request in requests {
            match self.ask(connection, request).await {
                Asked::Final(answer) => answers.push(answer),
                Asked::Again(problem, wait) => {
                    failed = Some((problem, wait));
                    break;
                }
            }
        }
        event.answers = serde_json::to_string(&answers).ok();
        event.attempts += 1;
        match failed {
            None => {
                event.status = inbox::status::READY.to_owned();
                event.requests = None;
                event.next_attempt_at = None;
            }
            Some((problem, wait)) => {
                let wait = wait.unwrap_or_else(|| domain::retry::backoff(event.attempts.unsigned_abs()));
                event.next_attempt_at = Some(domain::time::after(self.now(), wait).as_microsecond());
                event.error = Some(problem);
            }
        }
        event
    }

    /// Asks one thing of a provider, as one of those who may at the same time.
    pub(crate) async fn ask_in_turn(&self, connection: &Connection, request: Request) -> Asked {
        let turn = self.turns.of(connection.id);
        // As above: the semaphore is never closed.
        let _turn = turn.acquire().await;
        self.ask(connection, request).await
    }

    async fn ask(&self, connection: &Connection, request: Request) -> Asked {
        let asked_at = self.now();
        match self.dialler.dial(connection, &request).await {
            Ok(Dialled { status: 429 | 500..=599, retry_after_seconds, .. }) => {
                let wait = retry_after_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
                Asked::Again("the provider asks to try again later".to_owned(), wait)
            }
            Ok(Dialled { status, body, .. }) => Asked::Final(Answer { request, asked_at, status, body }),
            Err(DialError(problem)) => Asked::Again(problem, None),
        }
    }

    /// Writes the answers of all events that are still ours.
    async fn keep_answers(
        &self,
        token: Uuid,
        events: Vec<InboundEvent>,
        connections: &[Arc<Connection>],
    ) -> Result<(), Error> {
        let now = self.now();
        let by_id: HashMap<Uuid, InboundEvent> = events.into_iter().map(|event| (event.id, event)).collect();
        let write = self.store.begin().await?;
        let ours = write.still_leased(token, by_id.keys().copied().map(InboundId).collect()).await?;
        let mut updated: Vec<InboundEvent> = ours.iter().filter_map(|id| by_id.get(&id.0).cloned()).collect();
        let mut items = Vec::new();
        let mut entropy = self.entropy();
        for event in &mut updated {
            event.lease_token = None;
            event.lease_until = None;
            let failing = event.status == inbox::status::WAITING && event.attempts >= ATTENTION_AFTER;
            if let (true, Some(connection)) = (failing, find(connections, ConnectionId(event.connection_id))) {
                items.push(attention::lookup_failing(connection, event, now, &mut *entropy));
            }
        }
        write.open_items(items).await?;
        write.update_events(updated).await?;
        Ok(write.commit().await?)
    }

    /// When a look-up is due next.
    pub(crate) async fn next_lookup(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.store.next_lookup_at().await?)
    }
}

fn read<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Vec<T> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
