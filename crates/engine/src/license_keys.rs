//! What staff does with the key of a license: sees it, tries it, and frees its devices. The key itself stays sealed but for
//! the moment.

use crypto::{key::LicenseKey, seal::Place};
use domain::{
    id::{ActivationId, LicenseId, TenantId},
    mail::MailKind,
};
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

impl Engine {
    /// The first key of a license, in clear; that somebody saw it stands in the audit log. None: it has none of its own.
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
        let mut keys = self.store.license_keys(license).await?;
        // The first key of each license is inserted last, and stays.
        keys.sort_by_key(|key| (key.created_at, key.id));
        let Some(row) = keys.into_iter().next() else { return Ok(None) };
        let text = self.ring().open(Place::license_key(tenant, row.id), &row.sealed)?;
        let text = str::from_utf8(&text).ok().and_then(|text| LicenseKey::as_written(text).ok());
        Ok(text.map(|key| key.reveal().to_owned().into()))
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
