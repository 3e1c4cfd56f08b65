//! Vendors' own addresses to which events go: what people do with them and with what is on its way there.
//!
//! What an address is like is configuration (`configuration`), in a file or one at a time. What is done with it stands
//! here: its secret is changed, it is stopped and started, and deliveries are made once more. Each is one transaction
//! with its audit entry.

mod again;
mod recover;

use crypto::{
    ring::KeyRing,
    seal::{Place, SealError},
    webhook::{EndpointSecrets, WebhookSecret},
};
use domain::{
    Entropy,
    id::{DeliveryId, RecoveryId, TenantId, WebhookEndpointId},
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    StoreError, Write,
    lists::Whose,
    rows::{Delivery, Event, Recovery, WebhookEndpoint},
    webhook_endpoints::{attention, status},
};
use url::Url;

pub use self::recover::{PER_SECOND, PER_SECOND_MAX, Recover, examined_until};
use self::{again::add_example, recover::begin_recovery};
use crate::{Engine, Error, rulings::By};

/// How long a secret that was replaced signs on, unless somebody says otherwise.
pub const OVERLAP_HOURS: u16 = 24;
/// The longest that it may.
pub const OVERLAP_HOURS_MAX: u16 = 168;

/// Says where webhooks may go, by the same rules by which they are delivered.
pub trait CheckAddress: Send + Sync {
    /// Whether an address may be called: what it says, and what its name resolves to now. If not, why.
    fn check<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<(), String>>;

    /// Whether a header may go along. If not, why.
    ///
    /// # Errors
    /// Why not.
    fn check_header(&self, name: &str, value: &str) -> Result<(), String>;
}

/// Why something cannot be done with an address or a delivery.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The tenant has no such address.
    #[error("there is no webhook endpoint {0}")]
    NoEndpoint(WebhookEndpointId),
    /// The tenant has no such delivery.
    #[error("there is no delivery {0}")]
    NoDelivery(DeliveryId),
    /// The tenant has no such recovery.
    #[error("there is no recovery {0}")]
    NoRecovery(RecoveryId),
    /// It is not called, so nothing can be delivered there.
    #[error("the webhook endpoint `{code}` is {status}: enable it first, then this can be delivered")]
    NotEnabled {
        /// Its code.
        code: String,
        /// A word of [`status`].
        status: String,
    },
    /// The stretch of time has no length, or lies ahead.
    #[error("a recovery is about what has happened: since a moment in the past, until a later one")]
    Stretch,
    /// Too fast or too slow.
    #[error("a recovery delivers 1 to {PER_SECOND_MAX} events a second")]
    PerSecond,
    /// One is enough.
    #[error("the recovery {0} of this webhook endpoint is running; wait until it is done, or cancel it")]
    Recovering(RecoveryId),
    /// Too long.
    #[error("a secret that was replaced signs on for 0 to {OVERLAP_HOURS_MAX} hours")]
    Overlap,
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl WebhookError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl From<StoreError> for WebhookError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Seals what an address signs with and the headers that go along into its row.
pub(crate) fn seal(
    row: &mut WebhookEndpoint,
    secrets: &EndpointSecrets,
    ring: &KeyRing,
    entropy: &mut dyn Entropy,
) -> Result<(), Error> {
    let text = zeroize::Zeroizing::new(serde_json::to_vec(secrets).map_err(Error::Document)?);
    row.sealed = ring.seal(place(row), &text, entropy).0;
    row.sealed_by = crypto::seal::sealed_by(&row.sealed).map(|id| id.to_string()).unwrap_or_default();
    Ok(())
}

/// Opens them.
pub(crate) fn open(row: &WebhookEndpoint, ring: &KeyRing) -> Result<EndpointSecrets, Error> {
    let text = ring.open(place(row), &row.sealed).map_err(|error: SealError| Error::Seal(error))?;
    serde_json::from_slice(&text).map_err(Error::Document)
}

pub(crate) const fn place(row: &WebhookEndpoint) -> Place<'static> {
    Place::webhook_endpoint(TenantId(row.tenant_id), row.id)
}

/// What a person does with an address.
enum Change<'a> {
    Rotate { secret: &'a WebhookSecret, overlap_hours: u16 },
    Pause,
    Enable { release: bool },
    Release,
    Redeliver(&'a Delivery),
    Example(&'a Event, &'a Delivery),
    Recover(&'a Recovery),
}

/// What becomes of an address: its row, the word and the details for the audit log, and how many deliveries it is about.
struct Done {
    row: WebhookEndpoint,
    action: &'static str,
    detail: serde_json::Value,
    count: u64,
}

impl Engine {
    /// The names of the headers that go along with calls of an address. Their values are never shown.
    ///
    /// # Errors
    /// Its secrets do not open.
    pub fn webhook_header_names(&self, row: &WebhookEndpoint) -> Result<Vec<String>, Error> {
        Ok(open(row, &self.ring())?.headers.into_iter().map(|(name, _)| name).collect())
    }

    /// Gives an address a new secret, which is returned and never shown again. The one before signs on for so many hours
    /// beside it.
    ///
    /// # Errors
    /// There is no such address, the time is too long, or those of the database.
    pub async fn rotate_webhook_secret(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        overlap_hours: u16,
        by: &By,
    ) -> Result<(WebhookEndpoint, WebhookSecret), WebhookError> {
        if overlap_hours > OVERLAP_HOURS_MAX {
            return Err(WebhookError::Overlap);
        }
        let secret = WebhookSecret::generate(&mut *self.entropy());
        let change = Change::Rotate { secret: &secret, overlap_hours };
        let done = self.change_endpoint(whose, id, &change, by).await?;
        Ok((done.row, secret))
    }

    /// Stops calling an address. What is still tried there is held, as what happens meanwhile will be. Twice changes nothing.
    ///
    /// # Errors
    /// There is no such address, or those of the database.
    pub async fn pause_webhook_endpoint(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        by: &By,
    ) -> Result<WebhookEndpoint, WebhookError> {
        Ok(self.change_endpoint(whose, id, &Change::Pause, by).await?.row)
    }

    /// Calls an address again, whoever stopped it. What was held for it stays held, unless it is to be released.
    ///
    /// # Errors
    /// There is no such address, or those of the database.
    pub async fn enable_webhook_endpoint(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        release: bool,
        by: &By,
    ) -> Result<WebhookEndpoint, WebhookError> {
        Ok(self.change_endpoint(whose, id, &Change::Enable { release }, by).await?.row)
    }

    /// Has everything delivered that is held for an address. Returns how many deliveries that are.
    ///
    /// # Errors
    /// There is no such address, it is not enabled, or those of the database.
    pub async fn release_webhook_deliveries(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        by: &By,
    ) -> Result<u64, WebhookError> {
        Ok(self.change_endpoint(whose, id, &Change::Release, by).await?.count)
    }

    /// Does something with an address that is there, in one transaction with its audit entry.
    async fn change_endpoint(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        change: &Change<'_>,
        by: &By,
    ) -> Result<Done, WebhookError> {
        let once = || self.change_endpoint_once(whose, id, change, by);
        let done = store::repeat(once, WebhookError::is_conflict).await?;
        self.deliveries.notify_one();
        Ok(done)
    }

    async fn change_endpoint_once(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        change: &Change<'_>,
        by: &By,
    ) -> Result<Done, WebhookError> {
        let write = self.store.begin().await?;
        let row = write.lock_endpoint(whose, id).await?.ok_or(WebhookError::NoEndpoint(id))?;
        if !matches!(change, Change::Rotate { .. } | Change::Pause | Change::Enable { .. }) {
            is_enabled(&row)?;
        }
        let mut done = match change {
            Change::Rotate { secret, overlap_hours } => self.rotate(row, secret, *overlap_hours)?,
            Change::Pause => self.pause(&write, row).await?,
            Change::Enable { release } => self.enable(&write, row, *release).await?,
            Change::Release => self.release(&write, row).await?,
            Change::Redeliver(delivery) => self.try_again(&write, row, delivery).await?,
            Change::Example(event, delivery) => add_example(&write, row, event, delivery).await?,
            Change::Recover(recovery) => begin_recovery(&write, row, recovery).await?,
        };
        done.detail["code"] = json!(done.row.code);
        done.detail["note"] = json!(by.note);
        write.save_endpoint(done.row.clone()).await?;
        self.close_if_none_held(&write, whose.tenant).await?;
        let entry = self.told(whose.tenant, done.action, id.to_string(), None, &done.detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(done)
    }

    fn rotate(
        &self,
        mut row: WebhookEndpoint,
        secret: &WebhookSecret,
        overlap_hours: u16,
    ) -> Result<Done, WebhookError> {
        let now = self.now();
        let until = domain::time::after(now, SignedDuration::from_hours(overlap_hours.into()));
        let mut secrets = open(&row, &self.ring())?;
        secrets.replace(secret.clone(), now.as_microsecond(), until.as_microsecond());
        seal(&mut row, &secrets, &self.ring(), &mut *self.entropy())?;
        let detail = json!({ "overlap_hours": overlap_hours });
        Ok(Done { row, action: "webhook_endpoint.secret_rotated", detail, count: 0 })
    }

    async fn pause(&self, write: &Write, row: WebhookEndpoint) -> Result<Done, WebhookError> {
        let count = write.hold_deliveries(WebhookEndpointId(row.id)).await?;
        self.close_items_of(write, &row).await?;
        let row = WebhookEndpoint { status: status::PAUSED.to_owned(), ..well(row) };
        Ok(Done { row, action: "webhook_endpoint.paused", detail: json!({ "held": count }), count })
    }

    async fn enable(&self, write: &Write, row: WebhookEndpoint, release: bool) -> Result<Done, WebhookError> {
        let id = WebhookEndpointId(row.id);
        let count = if release { write.release_deliveries(id, self.now()).await? } else { 0 };
        self.close_items_of(write, &row).await?;
        let row = WebhookEndpoint { status: status::ENABLED.to_owned(), ..well(row) };
        Ok(Done { row, action: "webhook_endpoint.enabled", detail: json!({ "released": count }), count })
    }

    async fn release(&self, write: &Write, row: WebhookEndpoint) -> Result<Done, WebhookError> {
        let count = write.release_deliveries(WebhookEndpointId(row.id), self.now()).await?;
        Ok(Done { row, action: "webhook_endpoint.released", detail: json!({ "released": count }), count })
    }

    /// Takes an address away with all its deliveries, and with them whatever was told of either.
    pub(crate) async fn remove_endpoint(&self, write: &Write, row: &WebhookEndpoint) -> Result<(), StoreError> {
        write.remove_endpoint(WebhookEndpointId(row.id)).await?;
        self.close_items_of(write, row).await?;
        self.close_if_none_dead(write, row).await
    }

    /// A person has looked after an address: what was told of its health is over.
    async fn close_items_of(&self, write: &Write, row: &WebhookEndpoint) -> Result<(), StoreError> {
        let subject = WebhookEndpointId(row.id).to_string();
        for kind in [attention::ENDPOINT_FAILING, attention::ENDPOINT_DISABLED] {
            write.close_items_about(TenantId(row.tenant_id), kind, vec![subject.clone()], self.now()).await?;
        }
        Ok(())
    }
}

/// An address of whose troubles nothing is known any more.
fn well(row: WebhookEndpoint) -> WebhookEndpoint {
    WebhookEndpoint { reason: None, failing_since: None, warned_at: None, ..row }
}

fn is_enabled(row: &WebhookEndpoint) -> Result<(), WebhookError> {
    match row.status.as_str() {
        status::ENABLED => Ok(()),
        other => Err(WebhookError::NotEnabled { code: row.code.clone(), status: other.to_owned() }),
    }
}

/// The moment of a row's column.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}
