//! Sealing a page of rows anew.

use crypto::{
    key::LicenseKey,
    ring::KeyRing,
    seal::{Place, SealError, Sealed, sealed_by},
};
use domain::{
    Entropy,
    id::{MemberId, TenantId},
};
use store::rows::{self, AlertChannel, IdempotencyKey, IdentityProvider, Member, SigningKey, WebhookEndpoint};
use uuid::Uuid;

use super::Page;
use crate::webhooks;

/// Seals the rows of one page anew.
pub(super) struct Sealer<'a> {
    pub(super) ring: &'a KeyRing,
    pub(super) master: &'a str,
    pub(super) entropy: &'a mut dyn Entropy,
    pub(super) page: Page,
}

impl Sealer<'_> {
    /// The rows with their new seals. A row that does not open stays as it is and is told; one that needs nothing, too.
    pub(super) fn each<Row>(
        &mut self,
        rows: Vec<Row>,
        id: impl Fn(&Row) -> Uuid,
        seal: impl Fn(&mut Self, Row) -> Result<Option<Row>, String>,
    ) -> Vec<Row> {
        self.page.last = rows.last().map(id);
        let mut resealed = Vec::with_capacity(rows.len());
        for row in rows {
            match seal(self, row) {
                Ok(row) => resealed.extend(row),
                Err(problem) => self.page.unopened.push(problem),
            }
        }
        self.page.resealed = resealed.len() as u64;
        resealed
    }

    pub(super) fn license_key(&mut self, mut row: rows::LicenseKey) -> Result<Option<rows::LicenseKey>, String> {
        let place = Place::license_key(TenantId(row.tenant_id), row.id);
        let unreadable = |problem: String| format!("license key {}: {problem}", row.id);
        let text = self.ring.open(place, &row.sealed).map_err(|error| unreadable(error.to_string()))?;
        let text = str::from_utf8(&text).map_err(|error| unreadable(error.to_string()))?;
        let key = LicenseKey::as_written(text).map_err(|error| unreadable(error.to_string()))?;
        let Sealed(sealed) = self.ring.seal(place, text.as_bytes(), self.entropy);
        row.hash = self.ring.license_hash(&key.normal()).to_vec();
        row.sealed = sealed;
        self.master.clone_into(&mut row.sealed_by);
        Ok(Some(row))
    }

    pub(super) fn connection(&mut self, mut row: rows::Connection) -> Result<Option<rows::Connection>, String> {
        let sealed = row.secrets.take().unwrap_or_default();
        if sealed_by(&sealed).is_some_and(|id| self.ring.is_active(id)) {
            return Ok(None);
        }
        let place = Place::connection(TenantId(row.tenant_id), row.id);
        let sealed = self.again(place, &sealed).map_err(|error| format!("connection `{}`: {error}", row.code))?;
        Ok(Some(rows::Connection { secrets: Some(sealed), ..row }))
    }

    pub(super) fn member(&mut self, mut row: Member) -> Result<Option<Member>, String> {
        let sealed = row.authenticator.take().unwrap_or_default();
        if sealed_by(&sealed).is_some_and(|id| self.ring.is_active(id)) {
            return Ok(None);
        }
        let sealed = self.again(Place::authenticator(row.id), &sealed);
        let sealed = sealed.map_err(|error| format!("authenticator of {}: {error}", MemberId(row.id)))?;
        Ok(Some(Member { authenticator: Some(sealed), ..row }))
    }

    pub(super) fn signing_key(&mut self, row: SigningKey) -> Result<Option<SigningKey>, String> {
        let place = Place::signing_key(TenantId(row.tenant_id), row.id);
        let sealed = self.again(place, &row.sealed).map_err(|error| format!("signing key {}: {error}", row.kid))?;
        Ok(Some(SigningKey { sealed, sealed_by: self.master.to_owned(), ..row }))
    }

    pub(super) fn endpoint(&mut self, row: WebhookEndpoint) -> Result<Option<WebhookEndpoint>, String> {
        let sealed = self.again(webhooks::place(&row), &row.sealed);
        let sealed = sealed.map_err(|error| format!("webhook endpoint `{}`: {error}", row.code))?;
        Ok(Some(WebhookEndpoint { sealed, sealed_by: self.master.to_owned(), ..row }))
    }

    pub(super) fn alert_channel(&mut self, row: AlertChannel) -> Result<Option<AlertChannel>, String> {
        let place = Place::alert_channel(TenantId(row.tenant_id), row.id);
        let sealed =
            self.again(place, &row.sealed).map_err(|error| format!("alert channel `{}`: {error}", row.code))?;
        Ok(Some(AlertChannel { sealed, sealed_by: self.master.to_owned(), ..row }))
    }

    pub(super) fn identity_provider(&mut self, row: IdentityProvider) -> Result<Option<IdentityProvider>, String> {
        let place = Place::identity_provider(TenantId(row.tenant_id), row.id);
        let sealed = self.again(place, &row.sealed);
        let sealed = sealed.map_err(|error| format!("identity provider `{}`: {error}", row.name))?;
        Ok(Some(IdentityProvider { sealed, sealed_by: self.master.to_owned(), ..row }))
    }

    pub(super) fn answer(&mut self, row: IdempotencyKey) -> Result<Option<IdempotencyKey>, String> {
        let place = Place::idempotent_answer(TenantId(row.tenant_id), row.id);
        let sealed = row.sealed.as_deref().unwrap_or_default();
        let sealed = self.again(place, sealed).map_err(|error| format!("kept answer {}: {error}", row.id))?;
        Ok(Some(IdempotencyKey { sealed: Some(sealed), sealed_by: Some(self.master.to_owned()), ..row }))
    }

    fn again(&mut self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let text = self.ring.open(place, sealed)?;
        Ok(self.ring.seal(place, &text, self.entropy).0)
    }
}
