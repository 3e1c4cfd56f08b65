//! Keys on the provider's own record of its customer, where a vendor has switched that on (B05). Best effort, and repeated:
//! nothing of ours depends on it.

use domain::{
    id::{AttentionId, ConnectionId, LicenseId, TenantId},
    retry::backoff,
    text::CustomerReference,
    time::after,
};
use providers::calls::WriteBack;
use secrecy::SecretString;
use store::{
    calls::status,
    rows::{AttentionItem, ProviderCall},
};

use crate::{Dialled, Engine, Error, connections::find};

/// Calls that are made in one turn.
const CALLS_MAX: u64 = 16;
/// Tries, the last of them after about half a day.
const TRIES_MAX: i32 = 20;
/// A key that was not written.
const FAILED: &str = "write_back_failed";

/// How a call ended.
enum Ended {
    Done,
    /// Nobody wants it any more; should they again, it is made then.
    Dropped(String),
    Refused(String),
    Again(String, Option<u32>),
}

impl Engine {
    /// Writes keys that wait. Returns how many it tried.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write_keys_back(&self) -> Result<usize, Error> {
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
            let ended = match self.write_back(&call).await {
                Ok(ended) => ended,
                Err(error) => Ended::Again(error.to_string(), None),
            };
            let item = self.note(&mut call, ended);
            let write = self.store.begin().await?;
            if write.save_call(token, &call).await? {
                write.open_items(item.into_iter().collect()).await?;
                if call.done_at.is_some() {
                    let (tenant, now) = (TenantId(call.tenant_id), self.now());
                    write.close_items_about(tenant, FAILED, vec![subject(&call)], now).await?;
                }
            }
            write.commit().await?;
        }
        Ok(count)
    }

    async fn write_back(&self, call: &ProviderCall) -> Result<Ended, Error> {
        let connections = self.connections().await?;
        let Some(connection) = find(&connections, ConnectionId(call.connection_id)) else {
            return Ok(Ended::Refused("its connection is gone".to_owned()));
        };
        if !connection.settings.write_back {
            return Ok(Ended::Dropped("writing keys back was switched off".to_owned()));
        }
        let license = LicenseId(call.license_id);
        let Some(key) = self.reveal(TenantId(call.tenant_id), license).await? else {
            return Ok(Ended::Refused("the license has no key".to_owned()));
        };
        let (customer, key) = (CustomerReference::new(call.customer.as_str()), SecretString::from(key.reveal()));
        let note = WriteBack { license, customer: &customer, key: &key };
        let request = match connection.provider.write_back(&note) {
            Ok(request) => request,
            Err(unsupported) => return Ok(Ended::Refused(unsupported.to_string())),
        };
        Ok(match self.dialler.dial(connection, &request).await {
            Ok(Dialled { status: 200..=299, .. }) => Ended::Done,
            Ok(Dialled { status: status @ (409 | 429 | 500..=599), retry_after_seconds, .. }) => {
                Ended::Again(format!("the provider answers {status}"), retry_after_seconds)
            }
            Ok(Dialled { status, .. }) => Ended::Refused(format!("the provider answers {status}")),
            Err(error) => Ended::Again(error.to_string(), None),
        })
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
        let license = LicenseId(call.license_id);
        Some(AttentionItem {
            id: AttentionId::new(now, &mut *self.entropy()).0,
            tenant_id: call.tenant_id,
            kind: FAILED.to_owned(),
            subject: subject(call),
            lookup: None,
            connection_id: Some(call.connection_id),
            order_id: None,
            inbound_id: None,
            detail: format!("the key of {license} was not written to customer {}: {problem}", call.customer),
            opened_at: now.as_microsecond(),
            closed_at: None,
            dismissed_at: None,
        })
    }
}

/// What an item is about.
fn subject(call: &ProviderCall) -> String {
    format!("{}/{}", LicenseId(call.license_id), call.customer)
}
