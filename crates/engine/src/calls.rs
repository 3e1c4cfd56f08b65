//! Calls to providers that follow from a change: rows that were written with it, made by a worker and repeated.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{
    id::{AttentionId, ConnectionId, TenantId},
    retry::backoff,
    time::after,
};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use providers::http::{Request, is_refusal};
use store::{
    calls::{kind, status},
    rows::{AttentionItem, ProviderCall},
};
use uuid::Uuid;

use crate::{
    DialError, Dialled, Engine, Error,
    connections::{Connection, find},
};

/// Calls that are made at the same time at most, of one connection. All of them end within the lease, even if each is made
/// twice and takes as long as a call may.
const IN_FLIGHT_MAX: u64 = 4;
/// Connections at which a worker makes calls at the same time.
const CONNECTIONS_MAX: usize = 8;
/// Tries, the last of them after about half a day.
const TRIES_MAX: i32 = 20;
/// A call that waits for somebody is told of after so many tries. It goes on being tried.
const ATTENTION_AFTER: i32 = 4;

/// Connections at which this process makes calls now. Whoever looks for more leaves theirs alone: an account that is slow
/// keeps one worker waiting, and nobody else.
#[derive(Default)]
pub(crate) struct CallsUnderWay(Mutex<HashSet<ConnectionId>>);

/// A connection that one worker has for itself.
struct Mine<'a> {
    all: &'a CallsUnderWay,
    connection: ConnectionId,
}

impl CallsUnderWay {
    fn lock(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes some of the connections that no other worker has.
    fn take(&self, due: Vec<ConnectionId>) -> Vec<Mine<'_>> {
        let mut taken = self.lock();
        let free = due.into_iter().filter(|connection| taken.insert(*connection)).take(CONNECTIONS_MAX);
        free.map(|connection| Mine { all: self, connection }).collect()
    }
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.connection);
    }
}

/// How a call ended.
pub(crate) enum Ended {
    /// It is as it is to be.
    Done,
    /// Nobody wants it any more; should they again, it is made then.
    Dropped(String),
    /// The provider will not, whoever asks again.
    Refused(String),
    /// Not before somebody has changed something, such as a key. It is tried for as long as that takes.
    Waits(String),
    /// Not now; again after so many seconds, if the provider says so.
    Again(String, Option<u32>),
}

impl Ended {
    /// What a provider's answer comes to where nothing of it is needed.
    pub(crate) fn of(dialled: &Dialled) -> Self {
        match dialled.status {
            200..=299 => Self::Done,
            status => Self::not_done(status, format!("the provider answers {status}"), dialled.retry_after_seconds),
        }
    }

    /// What an answer comes to that is not a success.
    pub(crate) fn not_done(status: u16, words: String, retry_after_seconds: Option<u32>) -> Self {
        match status {
            401 => Self::Waits(format!("{words}; set a key that the provider takes")),
            status if is_refusal(status) => Self::Refused(words),
            _ => Self::Again(words, retry_after_seconds),
        }
    }

    /// Whether another connection could end it otherwise.
    const fn is_unwilling(&self) -> bool {
        matches!(self, Self::Dropped(_) | Self::Refused(_) | Self::Waits(_))
    }
}

impl Engine {
    /// Makes calls that wait. Returns how many it tried.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn call_providers(&self) -> Result<usize, Error> {
        let now = self.now();
        // A look costs nobody anything; a transaction that writes would make others wait for nothing.
        let mine = self.calls_under_way.take(self.store.connections_with_calls(now).await?);
        if mine.is_empty() {
            return Ok(0);
        }
        let token = domain::id::uuid_v7(now, &mut *self.entropy());
        let write = self.store.begin().await?;
        let mut turns = Vec::new();
        for mine in mine {
            let until = after(now, self.lease);
            let calls = write.lease_calls(token, mine.connection, now, until, IN_FLIGHT_MAX).await?;
            turns.push((mine, calls));
        }
        write.commit().await?;
        let count = turns.iter().map(|(_, calls)| calls.len()).sum();
        // Each call says how it ended, and each connection is free again, whatever becomes of the others.
        let turns = turns.into_iter().map(|(mine, calls)| async move {
            let ended = join_all(calls.into_iter().map(|call| self.end_call(token, call))).await;
            drop(mine);
            ended
        });
        join_all(turns).await.into_iter().flatten().collect::<Result<(), Error>>()?;
        Ok(count)
    }

    /// Makes a call and writes how it ended.
    async fn end_call(&self, token: Uuid, mut call: ProviderCall) -> Result<(), Error> {
        let ended = match self.make_call(&mut call).await {
            Ok(ended) => ended,
            Err(error) => Ended::Again(error.to_string(), None),
        };
        let now = self.now();
        // Whom it concerned is not concerned any more, whether it is as it was to be or nobody wants it.
        let is_over = matches!(ended, Ended::Done | Ended::Dropped(_));
        let item = match note(&mut call, ended, now) {
            Some(problem) => Some(self.failed(&call, &problem, now).await?),
            None => None,
        };
        let write = self.store.begin().await?;
        if write.save_call(token, &call).await? {
            write.open_items(item.into_iter().collect()).await?;
            if is_over {
                let (kind, subject) = about(&call);
                write.close_items_about(TenantId(call.tenant_id), kind, vec![subject], now).await?;
            }
        }
        Ok(write.commit().await?)
    }

    /// The item for a call that was given up, or that waits for somebody.
    async fn failed(&self, call: &ProviderCall, problem: &str, now: Timestamp) -> Result<AttentionItem, Error> {
        let detail = match call.kind.as_str() {
            kind::PRICE => self.price_failed(call, problem).await?,
            _ => crate::write_back::failed(call, problem),
        };
        let (kind, subject) = about(call);
        let connections = self.connections().await?;
        let known = find(&connections, ConnectionId(call.connection_id));
        let id = AttentionId::new(now, &mut *self.entropy());
        Ok(AttentionItem {
            livemode: known.map(|connection| connection.mode.is_live()),
            connection_id: Some(call.connection_id),
            ..AttentionItem::new(id, TenantId(call.tenant_id), (kind, subject), detail, now)
        })
    }

    async fn make_call(&self, call: &mut ProviderCall) -> Result<Ended, Error> {
        let id = ConnectionId(call.connection_id);
        let connections = self.connections().await?;
        let known = find(&connections, id);
        let ended = match known {
            Some(connection) => self.make_call_at(connection, call).await?,
            None => Ended::Again("its connection is not there".to_owned(), None),
        };
        if known.is_some() && !ended.is_unwilling() {
            return Ok(ended);
        }
        // A call follows from a change, and what is kept of connections may be from before it, or from before a new key.
        let connections = self.connections_within(SignedDuration::ZERO).await?;
        match find(&connections, id) {
            Some(fresh) if !known.is_some_and(|known| known.asks_like(fresh)) => self.make_call_at(fresh, call).await,
            _ => Ok(ended),
        }
    }

    async fn make_call_at(&self, connection: &Connection, call: &mut ProviderCall) -> Result<Ended, Error> {
        match call.kind.as_str() {
            kind::PRICE => self.settle_price(connection, call).await,
            _ => self.write_back(connection, call).await,
        }
    }

    /// Asks a provider for what a call is about: in the same words as before, so that what was done and not answered is not
    /// done twice, but under another name once it was refused.
    pub(crate) async fn ask_for(
        &self,
        connection: &Connection,
        call: &mut ProviderCall,
        request: Request,
    ) -> Result<Dialled, DialError> {
        let request = request.after_refusals(call.refusals.unsigned_abs());
        let dialled = self.dialler.dial(connection, &request).await?;
        if is_refusal(dialled.status) {
            call.refusals += 1;
        }
        Ok(dialled)
    }
}

/// Notes in the row how its call ended; what a person is to be told, if anything.
fn note(call: &mut ProviderCall, ended: Ended, now: Timestamp) -> Option<String> {
    call.attempts += 1;
    let (problem, wait, is_told) = match ended {
        Ended::Done => {
            status::DONE.clone_into(&mut call.status);
            (call.next_attempt_at, call.error, call.done_at) = (None, None, Some(now.as_microsecond()));
            return None;
        }
        Ended::Dropped(problem) => (problem, None, false),
        Ended::Refused(problem) => (problem, None, true),
        Ended::Waits(problem) => (problem, Some(None), call.attempts >= ATTENTION_AFTER),
        Ended::Again(problem, wait) if call.attempts < TRIES_MAX => (problem, Some(wait), false),
        Ended::Again(problem, _) => (problem, None, true),
    };
    call.error = Some(problem.clone());
    let wait_of = |seconds: Option<u32>| match seconds {
        Some(seconds) => SignedDuration::from_secs(seconds.into()),
        None => backoff(call.attempts.unsigned_abs()),
    };
    call.next_attempt_at = wait.map(|seconds| after(now, wait_of(seconds)).as_microsecond());
    if wait.is_none() {
        status::FAILED.clone_into(&mut call.status);
    }
    is_told.then_some(problem)
}

/// The kind and the subject of the item about a call.
fn about(call: &ProviderCall) -> (&'static str, String) {
    match call.kind.as_str() {
        kind::PRICE => crate::prices::about(call),
        _ => crate::write_back::about(call),
    }
}
