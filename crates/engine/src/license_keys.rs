//! What staff does with the key of a license: sees it, tries it, and frees its devices. The key itself stays sealed but for
//! the moment.

use domain::{
    activation::lease_times,
    id::{ActivationId, LicenseId, TenantId},
    license::License,
    mail::MailKind,
    time::after,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{
    lists::{ListedLicense, MailFilter, Page, Whose},
    rows::{AuditEntry, Mail},
};
use zeroize::Zeroizing;

use crate::{
    Engine, Error,
    rulings::By,
    runtime::{AppAnswer, AppCall},
};

/// A machine that is never online.
#[derive(Clone, Debug)]
pub struct OfflineDevice {
    /// What identifies it.
    pub fingerprint: String,
    /// A name that its owner recognises.
    pub name: Option<String>,
}

impl Engine {
    /// The key of a license, in clear; that somebody saw it stands in the audit log. None: it has none of its own.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn reveal_key(
        &self,
        whose: Whose,
        license: &ListedLicense,
        by: &By,
    ) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(key) = self.key_of(whose.tenant, license.license.id).await? else { return Ok(None) };
        let detail = json!({ "hint": license.key_hint, "note": by.note });
        let subject = license.license.id.to_string();
        self.audit_license(whose, license, "license.key_revealed", subject, &detail, by).await?;
        Ok(Some(key))
    }

    /// What an app would be told that checks this license, on a device or without one. Nothing is counted and nobody gets a
    /// slot. None: it has no key of its own.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn try_key(
        &self,
        whose: Whose,
        license: LicenseId,
        device: Option<String>,
    ) -> Result<Option<AppAnswer>, Error> {
        let Some(key) = self.key_of(whose.tenant, license).await? else { return Ok(None) };
        Ok(Some(self.examine(&app_call(&key, device)).await?))
    }

    async fn key_of(&self, tenant: TenantId, license: LicenseId) -> Result<Option<Zeroizing<String>>, Error> {
        Ok(self.reveal(tenant, license).await?.map(|key| key.reveal().to_owned().into()))
    }

    /// Frees the slot of a device, as its app would; that staff did it stands in the audit log. False: it is free already.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn free_device(
        &self,
        whose: Whose,
        license: &ListedLicense,
        device: ActivationId,
        by: &By,
    ) -> Result<bool, Error> {
        let id = license.license.id;
        let there = self.store.activations(id).await?;
        let Some(row) = there.into_iter().find(|row| row.id == device.0) else { return Ok(false) };
        let Some(key) = self.key_of(whose.tenant, id).await? else { return Ok(false) };
        self.deactivate(&app_call(&key, None), &row.fingerprint).await?;
        let detail = json!({ "fingerprint": row.fingerprint, "name": row.name, "note": by.note });
        self.audit_license(whose, license, "activation.freed", device.to_string(), &detail, by).await?;
        Ok(true)
    }

    /// Until when a lease of a license would be good that is signed now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offline_until(&self, whose: Whose, license: &License) -> Result<Timestamp, Error> {
        let (now, ahead) = (self.now(), self.ahead(whose.tenant, whose.livemode).await?);
        let offer = self.offer(whose.tenant, license.plan).await?;
        let times = lease_times(&license.standing, &offer.plan.terms, after(now, ahead));
        // A machine has its own clock, whatever that of test mode says.
        Ok(times.earlier(ahead).expires_at)
    }

    /// Activates a license for a machine that is not online, and answers what its app would be told with its lease; that
    /// staff did it stands in the audit log. None: it has no key of its own.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn offline_lease(
        &self,
        whose: Whose,
        license: &ListedLicense,
        device: &OfflineDevice,
        issuer: &str,
        by: &By,
    ) -> Result<Option<AppAnswer>, Error> {
        let Some(key) = self.key_of(whose.tenant, license.license.id).await? else { return Ok(None) };
        let call = AppCall { device_name: device.name.clone(), ..app_call(&key, None) };
        let answer = self.activate(&call, &device.fingerprint, issuer).await?;
        if let (Some(activation), Some(_)) = (answer.activation, &answer.lease) {
            let until = self.offline_until(whose, &license.license).await?;
            let detail = json!({
                "fingerprint": device.fingerprint, "name": device.name, "good_until": until, "note": by.note
            });
            let subject = activation.to_string();
            self.audit_license(whose, license, "activation.lease_written", subject, &detail, by).await?;
        }
        Ok(Some(answer))
    }

    /// The mail with the key of a license, the latest. None: none was written.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_with_key(&self, whose: Whose, license: LicenseId) -> Result<Option<Mail>, Error> {
        let kind = MailKind::LicenseDelivery.as_str().to_owned();
        let filter = MailFilter { license: Some(license), kind: Some(kind), ..MailFilter::default() };
        let written = self.store.list_mails(whose, &filter, Page { limit: 1, from: None }).await?;
        Ok(written.rows.into_iter().next())
    }

    /// Writes down what colleagues should know about a license. Nothing changes by it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_license(&self, whose: Whose, license: &ListedLicense, by: &By) -> Result<(), Error> {
        let detail = json!({ "note": by.note });
        self.audit_license(whose, license, "license.noted", license.license.id.to_string(), &detail, by).await
    }

    async fn audit_license(
        &self,
        whose: Whose,
        license: &ListedLicense,
        action: &str,
        subject: String,
        detail: &Value,
        by: &By,
    ) -> Result<(), Error> {
        let once = || async {
            let write = self.store.begin().await?;
            let entry = self.told(whose.tenant, action, subject.clone(), Some(license.order), detail, by);
            let entry = AuditEntry { license_id: Some(license.license.id.0), ..entry };
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }
}

fn app_call(key: &str, device: Option<String>) -> AppCall {
    AppCall { key: key.to_owned(), device, ..AppCall::default() }
}
