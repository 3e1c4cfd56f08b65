//! A license gets another key, and perhaps another holder.
//!
//! Keys that another has taken the place of stay as rows with the moment from which on they open nothing: a check reads it
//! with the license, and whoever still has the old key is found by it and helped.

use crypto::key::LicenseKey;
use domain::{
    event::EventKind,
    id::{ActivationId, LicenseId, TenantId},
    license::{Holding, License},
    mail::MailKind,
    order::{Contact, Order},
    plan::Plan,
    policy::MailBy,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    FoundLicense, StoreError, StoredOrder, Write, calls,
    outbox::status,
    rows::{AuditEntry, LicenseKey as LicenseKeyRow, Mail},
};

use crate::{
    Engine, Error,
    adopt::ToAdopt,
    buyers::{self, CustomerNews},
    connections::find,
    outcome::{Outcome, OutcomeRows},
    rulings::{About, By, OrderRuling, found},
    runtime::used,
};

/// How long the keys before a new one may go on opening a license, in hours: 30 days.
pub const OVERLAP_HOURS_MAX: u32 = 720;

/// Why a license gets no other key.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    /// Another license has its keys.
    #[error("the license {0} stands for this one, and its keys open that one; change the key of that one")]
    Superseded(LicenseId),
    /// There is nothing to change.
    #[error("no key opens it yet; it waits for the one that its provider gives out")]
    NoKey,
    /// So long an overlap is none.
    #[error("the keys before a new one go on for {OVERLAP_HOURS_MAX} hours at most")]
    TooLong,
    /// The engine could not do it.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for KeyChangeError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// How a key is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// For so many hours the keys before go on opening the license; none: they stop at once.
    pub overlap_hours: u32,
    /// Whether the buyer is mailed the new key, unless the vendor delivers the keys of its plan.
    pub is_mailed: bool,
}

/// A license with its new key.
#[derive(Debug)]
pub struct NewKey {
    /// The license.
    pub license: LicenseId,
    /// The key that opens it from now on.
    pub key: LicenseKey,
    /// Whether a mail brings it to the buyer.
    pub is_mailed: bool,
    /// From when on the keys before open nothing.
    pub others_close_at: Timestamp,
}

/// How the keys of an order are changed.
struct Rekeying<'a> {
    /// This license alone; none: all that have keys.
    only: Option<LicenseId>,
    address: Option<&'a Contact>,
    is_mailed: bool,
    closes_at: Timestamp,
    by: &'a By,
}

/// Whether the vendor delivers the keys of a sale on this plan: the caller of the API does, or all of the plan are (X04).
#[must_use]
pub fn is_mailed_by_vendor(order: &Order, plan: &Plan) -> bool {
    plan.terms.policy.mail == MailBy::Vendor || order.purchases.values().any(|purchase| purchase.silent)
}

impl Engine {
    /// Gives a license another key. Those that opened it stop at once, or after some hours; devices keep their slots and
    /// leases. None: the tenant has no such license.
    ///
    /// # Errors
    /// It has no key of its own, the overlap is longer than [`OVERLAP_HOURS_MAX`], or those of the database.
    pub async fn change_key(
        &self,
        tenant: TenantId,
        license: LicenseId,
        change: KeyChange,
        by: &By,
    ) -> Result<Option<NewKey>, KeyChangeError> {
        if change.overlap_hours > OVERLAP_HOURS_MAX {
            return Err(KeyChangeError::TooLong);
        }
        let made = store::repeat(|| self.change_key_once(tenant, license, change, by), is_conflict).await?;
        self.mails.notify_one();
        Ok(made)
    }

    async fn change_key_once(
        &self,
        tenant: TenantId,
        license: LicenseId,
        change: KeyChange,
        by: &By,
    ) -> Result<Option<NewKey>, KeyChangeError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(id) = write.order_of_license(tenant, license).await? else { return Ok(None) };
        let mut orders = write.load_orders(&[id].into()).await?;
        let identities = buyers::learn(&write, CustomerNews::new(), &mut orders, now).await?;
        let Some(order) = orders.iter_mut().find(|order| order.licenses.iter().any(|held| held.id == license)) else {
            return Err(StoreError::changed_meanwhile("the license whose key is changed").into());
        };
        check(order, license)?;
        let (address, mut rows) = (identities.address(order), OutcomeRows::default());
        let rekeying = Rekeying {
            only: Some(license),
            address: address.as_ref(),
            is_mailed: change.is_mailed,
            closes_at: after(now, SignedDuration::from_hours(change.overlap_hours.into())),
            by,
        };
        let made = self.rekey(&write, order, rekeying, &mut rows).await?;
        write.save_orders(&orders, now).await?;
        let happened = rows.write(&write, now, &mut *self.entropy()).await?;
        write.commit().await?;
        self.tell(happened);
        Ok(made.into_iter().next())
    }

    /// Hands a sale over to somebody else: its mails go to them from now on, all devices are freed, and every license of it gets
    /// another key at once, which they are mailed. The address belongs to the sale, so that all its licenses go together. Whoever bought it
    /// is shown none of these keys, and their record at the provider gets none. None: the tenant has no such license.
    ///
    /// # Errors
    /// The license has no key of its own, or those of the database.
    pub async fn transfer(
        &self,
        tenant: TenantId,
        license: LicenseId,
        to: &Contact,
        by: &By,
    ) -> Result<Option<Vec<NewKey>>, KeyChangeError> {
        let made = store::repeat(|| self.transfer_once(tenant, license, to, by), is_conflict).await?;
        self.mails.notify_one();
        Ok(made)
    }

    async fn transfer_once(
        &self,
        tenant: TenantId,
        license: LicenseId,
        to: &Contact,
        by: &By,
    ) -> Result<Option<Vec<NewKey>>, KeyChangeError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(id) = write.order_of_license(tenant, license).await? else { return Ok(None) };
        let ruling = OrderRuling::Contact { to: to.clone(), again: false };
        let about = About::Order(id, &ruling);
        let Some(mut orders) = found(&write, tenant, about).await? else { return Ok(None) };
        let was = orders.first().and_then(|order| order.order.mailed_to()).map(|contact| contact.email.masked());
        for order in &mut orders {
            check(order, license)?;
            // Whose it is follows from the address.
            order.customer = None;
            // Before anything follows: nothing of it is the buyer's any more.
            order.order.hand_over(now);
        }
        let mut rows = self.settle_decided(&write, &mut orders, about, by).await?;
        let mut made = Vec::new();
        for order in &mut orders {
            let detail = json!({ "was_email": was, "email": to.email.masked(), "note": by.note });
            let entry = self.told(tenant, "order.transferred", order.id.to_string(), Some(order.id), &detail, by);
            rows.audit.push(entry);
            let rekeying = Rekeying { only: None, address: Some(to), is_mailed: true, closes_at: now, by };
            made.extend(self.rekey(&write, order, rekeying, &mut rows).await?);
        }
        // From here on the licenses are this transaction's: whoever activates one waits, and finds the keys closed.
        write.save_orders(&orders, now).await?;
        for order in &orders {
            self.free_all(&write, order, by, &mut rows).await?;
            let licenses = order.licenses.iter().map(|license| license.id).collect();
            write.redirect_mails(licenses, to, now).await?;
        }
        let happened = rows.write(&write, now, &mut *self.entropy()).await?;
        write.commit().await?;
        self.tell(happened);
        Ok(Some(made))
    }

    /// Gives licenses of an order other keys, in a transaction. The order itself and the rows are written by the caller.
    async fn rekey(
        &self,
        write: &Write,
        order: &mut StoredOrder,
        rekeying: Rekeying<'_>,
        rows: &mut OutcomeRows,
    ) -> Result<Vec<NewKey>, Error> {
        let Rekeying { only, address, is_mailed, closes_at, by } = rekeying;
        let now = self.now();
        let connections = self.connections().await?;
        let Some(connection) = find(&connections, order.connection) else {
            return Err(StoreError::changed_meanwhile("the connection of the license whose key is changed").into());
        };
        let shelf = self.catalogues.of(write, order.tenant).await?;
        // One that has just got its key needs no other.
        let is_new = |license: &License| rows.keys.iter().any(|key| key.license_id == license.id.0);
        let is_meant = |license: &License| only.is_none_or(|only| only == license.id);
        let meant =
            order.licenses.iter_mut().filter(|license| is_meant(license) && has_key(license) && !is_new(license));
        let meant: Vec<LicenseId> = meant
            .map(|license| {
                license.keys = 1;
                license.id
            })
            .collect();
        let mails = write.latest_mails(meant.clone(), MailKind::LicenseDelivery.as_str()).await?;
        let (ring, to_adopt) = (self.ring(), ToAdopt::default());
        let mut made = Vec::with_capacity(meant.len());
        for license in order.licenses.iter().filter(|license| meant.contains(&license.id)) {
            let was = shown(write.keys_of_license(license.id).await?);
            write.close_license_keys(license.id, closes_at).await?;
            write.forget_calls(calls::kind::WRITE_BACK, license.id.0).await?;
            let outcome = Outcome {
                order,
                shelf: &shelf,
                connection,
                actor: by.actor.clone(),
                address,
                ring: &ring,
                to_adopt: &to_adopt,
                is_new: false,
                now,
            };
            let wanted = is_mailed && license.announced && address.is_some() && !outcome.is_mailed_by_vendor(license);
            // What waits says the key that is there when it is sent.
            let waits = mails.iter().chain(&rows.mails).any(|mail| mail.license_id == license.id.0 && waits(mail, now));
            let detail = json!({ "others_close_at": closes_at, "mailed": wanted, "note": by.note });
            let key = outcome.rekey(license, was, wanted && !waits, detail, rows, &mut *self.entropy());
            made.push(NewKey { license: license.id, key, is_mailed: wanted, others_close_at: closes_at });
        }
        Ok(made)
    }

    /// Frees all devices of an order's licenses.
    async fn free_all(&self, write: &Write, order: &StoredOrder, by: &By, rows: &mut OutcomeRows) -> Result<(), Error> {
        for license in &order.licenses {
            let taken = write.activations_of(vec![license.id.0]).await?;
            if taken.is_empty() {
                continue;
            }
            let offer = self.offer(order.tenant, license.plan).await?;
            let found = as_found(order, license);
            for row in &taken {
                rows.news.push(used(EventKind::LicenseDeactivated, &found, &offer, row));
                let detail = json!({ "fingerprint": row.fingerprint, "name": row.name, "note": by.note });
                let subject = ActivationId(row.id).to_string();
                let entry = self.told(order.tenant, "activation.freed", subject, Some(order.id), &detail, by);
                rows.audit.push(AuditEntry { license_id: Some(license.id.0), ..entry });
            }
            write.delete_activations(taken.iter().map(|row| row.id).collect()).await?;
        }
        Ok(())
    }
}

fn is_conflict(error: &KeyChangeError) -> bool {
    matches!(error, KeyChangeError::Engine(error) if error.is_conflict())
}

/// Goes on if the key of this license can be changed.
fn check(order: &StoredOrder, license: LicenseId) -> Result<(), KeyChangeError> {
    let license = order.licenses.iter().find(|held| held.id == license);
    match license.map(|license| (license.holding, license.keys)) {
        Some((Holding::SupersededBy(other), _)) => Err(KeyChangeError::Superseded(other)),
        Some((_, 0)) => Err(KeyChangeError::NoKey),
        _ => Ok(()),
    }
}

fn has_key(license: &License) -> bool {
    !matches!(license.holding, Holding::SupersededBy(_)) && license.keys > 0
}

/// What was shown of the key until now.
fn shown(keys: Vec<LicenseKeyRow>) -> Option<Box<str>> {
    keys.into_iter().min_by_key(LicenseKeyRow::place).map(|key| key.hint.into())
}

/// Whether a mail is still to be written when it is sent: nobody is sending it now.
fn waits(mail: &Mail, now: Timestamp) -> bool {
    let is_free = mail.lease_until.is_none_or(|until| until <= now.as_microsecond());
    mail.status == status::HELD || (mail.status == status::PENDING && is_free)
}

/// A license of an order, as those know it who use it.
fn as_found(order: &StoredOrder, license: &License) -> FoundLicense {
    FoundLicense {
        tenant: order.tenant,
        livemode: order.livemode,
        id: license.id,
        plan: license.plan,
        seats: license.unit.seats,
        adjustment: license.adjustment(),
        standing: license.standing.clone(),
        key_closes_at: None,
    }
}
