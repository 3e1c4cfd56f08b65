//! Look-ups: what an event lacks is asked of its provider, outside of every transaction, and kept with the event.

use std::{collections::HashMap, sync::Arc};

use domain::id::{ConnectionId, InboundId};
use futures::{StreamExt, future::BoxFuture, stream};
use jiff::{SignedDuration, Timestamp};
use providers::http::{Answer, Request};
use store::{inbox, rows::InboundEvent};
use uuid::Uuid;

use crate::{
    Engine, Error, attention,
    connections::{Connection, find},
};

/// Events that are looked up at the same time at most, of one connection.
const IN_FLIGHT_MAX: usize = 16;
/// Events taken at once: few enough that their lease lasts, even if each takes as long as a call may.
const LEASED_MAX: u64 = 64;
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
enum Asked {
    /// A final answer.
    Final(Answer),
    /// Not now; again after this long.
    Again(String, Option<SignedDuration>),
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
        // Each connection for itself: a provider that hangs keeps nobody else waiting.
        let mut of_connection: HashMap<Uuid, Vec<InboundEvent>> = HashMap::new();
        for event in events {
            of_connection.entry(event.connection_id).or_default().push(event);
        }
        let asked = of_connection.into_values().map(|events| {
            stream::iter(events).map(|event| self.ask_all(event, &connections)).buffer_unordered(IN_FLIGHT_MAX)
        });
        let mut answered = stream::select_all(asked.map(Box::pin)).ready_chunks(LEASED_MAX as usize);
        while let Some(events) = answered.next().await {
            fail::fail_point!("lookup-before-commit");
            self.keep_answers(token, events, &connections).await?;
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
