//! Calls that may be repeated: the first one runs, and its repetitions get its answer.

use crypto::seal::{Place, sealed_by};
use domain::id::{ApiKeyId, TenantId, uuid_v7};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::rows::IdempotencyKey;
use uuid::Uuid;

use crate::{Engine, Error};

/// How long answers are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A call that has run for longer is not running: its process died. It may be made again.
const RUNS_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Stored as the status of a call that ended without a final answer: it may be made again, as the same call.
const TO_BE_REPEATED: u16 = 0;

/// A call with an idempotency key.
#[derive(Clone, Debug)]
pub struct Call {
    /// For which vendor.
    pub tenant: TenantId,
    /// Who calls. Each API key has its own idempotency keys: what one may read, another may not.
    pub caller: ApiKeyId,
    /// The key that the caller chose.
    pub key: String,
    /// SHA-256 over what is asked for.
    pub fingerprint: [u8; 32],
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The status.
    #[serde(skip)]
    pub status: u16,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// What is to be done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It runs now, under this id, which is the same when it has to be made again.
    Run(Uuid),
    /// It is running.
    Running,
    /// The key was used for something else.
    Mismatch,
    /// It was answered.
    Answered(Answer),
}

impl Engine {
    /// Says what is to be done with a call. Whoever is told to run it has to say how it ended.
    ///
    /// # Errors
    /// Those of the database, or the kept answer does not open.
    pub async fn claim(&self, call: &Call) -> Result<Claim, Error> {
        store::repeat(|| self.claim_once(call), Error::is_conflict).await
    }

    async fn claim_once(&self, call: &Call) -> Result<Claim, Error> {
        let now = self.now();
        let new = new_row(call, uuid_v7(now, &mut *self.entropy()), now);
        let id = new.id;
        let write = self.store.begin().await?;
        let row = write.claim_call(new).await?;
        let claim = match row.status.map(i32::unsigned_abs).and_then(|status| u16::try_from(status).ok()) {
            _ if row.id == id => Claim::Run(id),
            _ if row.fingerprint != call.fingerprint => return Ok(Claim::Mismatch),
            Some(status) if status != TO_BE_REPEATED => return self.open_answer(&row, status),
            None if !is_stale(&row, now) => return Ok(Claim::Running),
            _ if write.take_call_over(&row, now).await? => Claim::Run(row.id),
            _ => return Ok(Claim::Running),
        };
        write.commit().await?;
        Ok(claim)
    }

    fn open_answer(&self, row: &IdempotencyKey, status: u16) -> Result<Claim, Error> {
        let place = Place::idempotent_answer(TenantId(row.tenant_id), row.id);
        let text = self.ring().open(place, row.sealed.as_deref().unwrap_or_default())?;
        let answer: Answer = serde_json::from_slice(&text).map_err(Error::Document)?;
        Ok(Claim::Answered(Answer { status, ..answer }))
    }

    /// Keeps how a call ended, sealed: it may hold keys. Without an answer the call may be made again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn finish(&self, tenant: TenantId, id: Uuid, answer: Option<&Answer>) -> Result<(), Error> {
        let Some(answer) = answer else {
            return Ok(self.store.finish_call(tenant, id, TO_BE_REPEATED, None).await?);
        };
        let text = zeroize::Zeroizing::new(serde_json::to_vec(answer).map_err(Error::Document)?);
        let sealed = self.ring().seal(Place::idempotent_answer(tenant, id), &text, &mut *self.entropy()).0;
        let by = sealed_by(&sealed).map(|id| id.to_string()).unwrap_or_default();
        Ok(self.store.finish_call(tenant, id, answer.status, Some((sealed, by))).await?)
    }

    /// Forgets answers that were kept long enough. To be called every hour; returns how many it forgot.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_old_answers(&self) -> Result<u64, Error> {
        let before = self.now().checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        Ok(self.store.forget_calls(before).await?)
    }
}

fn new_row(call: &Call, id: Uuid, now: Timestamp) -> IdempotencyKey {
    IdempotencyKey {
        id,
        tenant_id: call.tenant.0,
        // Callers put anything into these keys, so only what they hash to is kept.
        key: hex::encode(Sha256::new().chain_update(call.caller.0).chain_update(&call.key).finalize()),
        fingerprint: call.fingerprint.to_vec(),
        status: None,
        sealed: None,
        sealed_by: None,
        created_at: now.as_microsecond(),
    }
}

fn is_stale(row: &IdempotencyKey, now: Timestamp) -> bool {
    now.as_microsecond().saturating_sub(row.created_at) > i64::try_from(RUNS_MAX.as_micros()).unwrap_or(i64::MAX)
}
