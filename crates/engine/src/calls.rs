//! Calls to providers that follow from a change: rows that were written with it, made by a worker and repeated.

use domain::{
    id::{AttentionId, ConnectionId, TenantId},
    retry::backoff,
    time::after,
};
use store::{
    calls::{kind, status},
    rows::{AttentionItem, ProviderCall},
};

use crate::{Dialled, Engine, Error, connections::find};

/// Calls that are made in one turn.
const CALLS_MAX: u64 = 16;
/// Tries, the last of them after about half a day.
const TRIES_MAX: i32 = 20;

/// How a call ended.
pub(crate) enum Ended {
    /// It is as it is to be.
    Done,
    /// Nobody wants it any more; should they again, it is made then.
    Dropped(String),
    /// The provider will not, whoever asks again.
    Refused(String),
    /// Not now; again after so many seconds, if the provider says so.
    Again(String, Option<u32>),
}

impl Ended {
    /// What a provider's answer comes to where nothing of it is needed.
    pub(crate) fn of(dialled: &Dialled) -> Self {
        let words = format!("the provider answers {}", dialled.status);
        match dialled.status {
            200..=299 => Self::Done,
            409 | 429 | 500..=599 => Self::Again(words, dialled.retry_after_seconds),
            _ => Self::Refused(words),
        }
    }
}

/// What a person is told of a call that was given up.
pub(crate) struct Failure {
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) sentence: String,
}

impl Engine {
    /// Makes calls that wait. Returns how many it tried.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn call_providers(&self) -> Result<usize, Error> {
        let now = self.now();
        // A look costs nobody anything; a transaction that writes would make others wait for nothing.
        if !self.store.is_call_due(now).await? {
            return Ok(0);
        }
        let token = domain::id::uuid_v7(now, &mut *self.entropy());
        let write = self.store.begin().await?;
        let calls = write.lease_calls(token, now, after(now, self.lease), CALLS_MAX).await?;
        write.commit().await?;
        let count = calls.len();
        for mut call in calls {
            let ended = match self.make_call(&call).await {
                Ok(ended) => ended,
                Err(error) => Ended::Again(error.to_string(), None),
            };
            let item = self.note(&mut call, ended);
            let write = self.store.begin().await?;
            if write.save_call(token, &call).await? {
                write.open_items(item.into_iter().collect()).await?;
                if call.done_at.is_some() {
                    let (tenant, now) = (TenantId(call.tenant_id), self.now());
                    let Failure { kind, subject, .. } = failure(&call, "");
                    write.close_items_about(tenant, kind, vec![subject], now).await?;
                }
            }
            write.commit().await?;
        }
        Ok(count)
    }

    async fn make_call(&self, call: &ProviderCall) -> Result<Ended, Error> {
        let connections = self.connections().await?;
        let Some(connection) = find(&connections, ConnectionId(call.connection_id)) else {
            return Ok(Ended::Refused("its connection is gone".to_owned()));
        };
        match call.kind.as_str() {
            kind::PRICE => self.settle_price(connection, call).await,
            _ => self.write_back(connection, call).await,
        }
    }

    /// Notes in the row how its call ended; the item for a person if it is given up.
    fn note(&self, call: &mut ProviderCall, ended: Ended) -> Option<AttentionItem> {
        let now = self.now();
        call.attempts += 1;
        let (problem, wait) = match ended {
            Ended::Done => {
                status::DONE.clone_into(&mut call.status);
                (call.next_attempt_at, call.error, call.done_at) = (None, None, Some(now.as_microsecond()));
                return None;
            }
            Ended::Dropped(problem) => {
                status::FAILED.clone_into(&mut call.status);
                (call.next_attempt_at, call.error) = (None, Some(problem));
                return None;
            }
            Ended::Again(problem, wait) if call.attempts < TRIES_MAX => (problem, Some(wait)),
            Ended::Again(problem, _) | Ended::Refused(problem) => (problem, None),
        };
        call.error = Some(problem.clone());
        if let Some(wait) = wait {
            let wait = wait.map_or_else(
                || backoff(call.attempts.unsigned_abs()),
                |seconds| jiff::SignedDuration::from_secs(seconds.into()),
            );
            call.next_attempt_at = Some(after(now, wait).as_microsecond());
            return None;
        }
        status::FAILED.clone_into(&mut call.status);
        call.next_attempt_at = None;
        let Failure { kind, subject, sentence } = failure(call, &problem);
        Some(AttentionItem {
            id: AttentionId::new(now, &mut *self.entropy()).0,
            tenant_id: call.tenant_id,
            kind: kind.to_owned(),
            subject,
            lookup: None,
            connection_id: Some(call.connection_id),
            order_id: None,
            inbound_id: None,
            detail: sentence,
            opened_at: now.as_microsecond(),
            closed_at: None,
            dismissed_at: None,
        })
    }
}

fn failure(call: &ProviderCall, problem: &str) -> Failure {
    match call.kind.as_str() {
        kind::PRICE => crate::prices::failure(call, problem),
        _ => crate::write_back::failure(call, problem),
    }
}
