//! Keys to the API: made once, shown once, recognised by their hash.

mod scope;

use std::collections::BTreeSet;

use crypto::token::{ApiKeyKind, ApiKeyText};
use domain::{
    Entropy,
    id::{ApiKeyId, AuditId, TenantId},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    Write,
    rows::{ApiKey, AuditEntry},
};

use crate::{Engine, Error, rulings::By};

pub use scope::{Scope, ScopesError, UnknownScope, check_scopes};
pub(crate) use scope::{decode_scopes, encode_scopes};

/// The use of a key is written down at most this often.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// For how long a key opens at most beside the one that replaces it, in hours.
pub const OVERLAP_HOURS_MAX: u16 = 24 * 30;
/// For how long it does unless somebody says otherwise.
pub const OVERLAP_HOURS: u16 = 24;

/// What no secret hashes to: the time a refusal takes does not tell whether there is a key of that id.
const NOBODY: [u8; 32] = [0; 32];

/// Why a key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// The tenant uses that name.
    #[error("there is an API key named `{0}` already; choose another name, or revoke that one first")]
    NameTaken(String),
    /// The name is empty, or too long to be read in a list.
    #[error("the name of an API key has 1 to 80 characters")]
    Name,
    /// The tenant has no such key that opens and has no successor.
    #[error("this API key opens nothing any more, or was rolled already; make a new one")]
    Gone,
    /// The one before would open for too long.
    #[error("the key before opens for 0 to {OVERLAP_HOURS_MAX} hours more")]
    Overlap,
    /// What the key may do does not fit what it is for.
    #[error(transparent)]
    Scopes(#[from] ScopesError),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for ApiKeyError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// What a text that calls itself an API key turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// A key that opens.
    Known(ApiKeyIdentity),
    /// It opens nothing: it was revoked, is over, or has another secret. It names this key.
    Refused(NamedKey),
    /// It names nothing.
    Unknown,
}

/// A key that a call names without proving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: ApiKeyId,
    /// Whether it is about real sales.
    pub livemode: bool,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyIdentity {
    /// For which vendor.
    pub tenant: TenantId,
    /// Which key.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: ApiKeyKind,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Whether it is about real sales.
    pub livemode: bool,
}

impl ApiKeyIdentity {
    /// Whether the key may do this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&Scope::Admin) || self.scopes.contains(&scope)
    }

    /// The actor as the audit log names it.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("key:{}", self.id)
    }
}

/// The word for what a key is for, as stored.
#[must_use]
pub const fn kind_name(kind: ApiKeyKind) -> &'static str {
    match kind {
        ApiKeyKind::Live => "live",
        ApiKeyKind::Test => "test",
        ApiKeyKind::Checkout => "checkout",
        ApiKeyKind::TestCheckout => "checkout_test",
    }
}

/// What a key is for whose word is stored.
#[must_use]
pub fn kind_of(name: &str) -> Option<ApiKeyKind> {
    ApiKeyKind::ALL.into_iter().find(|kind| kind_name(*kind) == name)
}

/// The row of a key that `actor` makes.
pub(crate) fn row(
    tenant: TenantId,
    name: &str,
    scopes: &BTreeSet<Scope>,
    key: &ApiKeyText,
    (actor, now): (&str, Timestamp),
) -> ApiKey {
    ApiKey {
        id: key.id().0,
        tenant_id: tenant.0,
        name: name.to_owned(),
        kind: kind_name(key.kind()).to_owned(),
        scopes: encode_scopes(scopes),
        hash: key.secret_hash().to_vec(),
        created_by: actor.to_owned(),
        created_at: now.as_microsecond(),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    }
}

/// Whether a key opens something at a moment.
#[must_use]
pub fn opens(row: &ApiKey, now: Timestamp) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|at| now.as_microsecond() < at)
}

/// A revoked key gives its name away: names are unique, and a new key may take the place of an old one.
pub(crate) fn without_its_name(row: &ApiKey) -> ApiKey {
    let id = ApiKeyId(row.id);
    ApiKey { name: format!("{} ({id})", row.name), ..row.clone() }
}

/// The entry that tells of a key.
pub(crate) fn audit(action: &str, row: &ApiKey, actor: &str, now: Timestamp, entropy: &mut dyn Entropy) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(now, entropy).0,
        tenant_id: row.tenant_id,
        occurred_at: now.as_microsecond(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: ApiKeyId(row.id).to_string(),
        order_id: None,
        license_id: None,
        detail: json!({ "name": row.name, "kind": row.kind, "scopes": decode_names(&row.scopes) }).to_string(),
        // Numbered and chained when it is added.
        sequence: 0,
        chain: Vec::new(),
    }
}

fn decode_names(scopes: &str) -> serde_json::Value {
    serde_json::from_str(scopes).unwrap_or_default()
}

/// Recognises a key by its row. Pure, and as slow for a key that is not there as for one with a wrong secret.
fn recognise(key: &ApiKeyText, row: Option<&ApiKey>, now: Timestamp) -> Option<ApiKeyIdentity> {
    let stored: Option<&[u8; 32]> = row.and_then(|row| row.hash.as_slice().try_into().ok());
    let matches = key.matches(stored.unwrap_or(&NOBODY));
    let row = row.filter(|row| matches && opens(row, now) && row.kind == kind_name(key.kind()))?;
    Some(ApiKeyIdentity {
        tenant: TenantId(row.tenant_id),
        id: key.id(),
        name: row.name.clone(),
        kind: key.kind(),
        scopes: decode_scopes(&row.scopes),
        livemode: key.kind().is_live(),
    })
}

impl Engine {
    /// A new key's text, which nobody has stored yet: what `apply` takes from a secret.
    #[must_use]
    pub fn generate_api_key(&self, kind: ApiKeyKind) -> ApiKeyText {
        let mut entropy = self.entropy();
        let id = ApiKeyId::new(self.now(), &mut *entropy);
        ApiKeyText::generate(kind, id, &mut *entropy)
    }

    /// Makes a key. Its text is not kept: whoever asked for it shows it once.
    ///
    /// # Errors
    /// The name is taken or unreadable, the scopes do not fit the kind, or those of the database.
    pub async fn create_api_key(
        &self,
        tenant: TenantId,
        name: &str,
        kind: ApiKeyKind,
        scopes: &[Scope],
        actor: &str,
    ) -> Result<(ApiKey, ApiKeyText), ApiKeyError> {
        let scopes: BTreeSet<Scope> = scopes.iter().copied().collect();
        check_scopes(kind, &scopes)?;
        check_name(name)?;
        let key = self.generate_api_key(kind);
        let row = row(tenant, name, &scopes, &key, (actor, self.now()));
        let once = || self.create_api_key_once(&row, actor);
        let conflict = |error: &ApiKeyError| matches!(error, ApiKeyError::Engine(error) if error.is_conflict());
        store::repeat(once, conflict).await?;
        Ok((row, key))
    }

    async fn create_api_key_once(&self, row: &ApiKey, actor: &str) -> Result<(), ApiKeyError> {
        let write = self.store.begin().await?;
        free_name(&write, row).await?;
        match write.save_api_key(row.clone()).await {
            Err(store::StoreError::Duplicate(_)) => return Err(ApiKeyError::NameTaken(row.name.clone())),
            other => other?,
        }
        crate::audit::add(&write, vec![audit("api_key.created", row, actor, self.now(), &mut *self.entropy())]).await?;
        Ok(write.commit().await?)
    }

    /// Makes a key that takes the place of another: it has its name, and may do the same. The one before opens for so many
    /// hours more, so that what uses it can be changed meanwhile.
    ///
    /// # Errors
    /// There is no such key that opens and was not rolled, the hours are too many, or those of the database.
    pub async fn roll_api_key(
        &self,
        tenant: TenantId,
        id: ApiKeyId,
        overlap_hours: u16,
        by: &By,
    ) -> Result<(ApiKey, ApiKeyText), ApiKeyError> {
        if overlap_hours > OVERLAP_HOURS_MAX {
            return Err(ApiKeyError::Overlap);
        }
        let once = || self.roll_api_key_once(tenant, id, overlap_hours, by);
        let conflict = |error: &ApiKeyError| matches!(error, ApiKeyError::Engine(error) if error.is_conflict());
        store::repeat(once, conflict).await
    }

    async fn roll_api_key_once(
        &self,
        tenant: TenantId,
        id: ApiKeyId,
        overlap_hours: u16,
        by: &By,
    ) -> Result<(ApiKey, ApiKeyText), ApiKeyError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let keys = write.api_keys(tenant).await?;
        let found = keys.into_iter().find(|row| row.id == id.0 && row.expires_at.is_none() && opens(row, now));
        let before = found.ok_or(ApiKeyError::Gone)?;
        let kind = kind_of(&before.kind).ok_or(ApiKeyError::Gone)?;
        let key = self.generate_api_key(kind);
        let new = row(tenant, &before.name, &decode_scopes(&before.scopes), &key, (&by.actor, now));
        let end = domain::time::after(now, SignedDuration::from_hours(i64::from(overlap_hours)));
        write.save_api_key(ApiKey { expires_at: Some(end.as_microsecond()), ..without_its_name(&before) }).await?;
        write.save_api_key(new.clone()).await?;
        let mut entry = audit("api_key.rolled", &new, &by.actor, now, &mut *self.entropy());
        let detail =
            json!({ "name": new.name, "before": id.to_string(), "overlap_hours": overlap_hours, "note": by.note });
        entry.detail = detail.to_string();
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok((new, key))
    }

    /// Says who calls. None: the text is no key, or one that is unknown, over or revoked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn authenticate(&self, text: &str) -> Result<Option<ApiKeyIdentity>, Error> {
        Ok(match self.recognise_api_key(text).await? {
            Recognised::Known(identity) => Some(identity),
            Recognised::Refused(_) | Recognised::Unknown => None,
        })
    }

    /// Says who calls, or at least whose key a call names that is refused.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recognise_api_key(&self, text: &str) -> Result<Recognised, Error> {
        let Ok(key) = text.parse::<ApiKeyText>() else { return Ok(Recognised::Unknown) };
        let row = self.store.api_key(key.id()).await?;
        let identity = recognise(&key, row.as_ref(), self.now());
        Ok(match (identity, row) {
            (Some(identity), row) => {
                self.note_use(identity.id, row.and_then(|row| row.last_used_at));
                Recognised::Known(identity)
            }
            (None, Some(row)) => Recognised::Refused(NamedKey {
                tenant: TenantId(row.tenant_id),
                id: ApiKeyId(row.id),
                livemode: kind_of(&row.kind).is_some_and(ApiKeyKind::is_live),
            }),
            (None, None) => Recognised::Unknown,
        })
    }

    /// Nobody waits for this, and nothing depends on it.
    fn note_use(&self, id: ApiKeyId, last_used_at: Option<i64>) {
        let now = self.now();
        let since = now.checked_sub(USE_NOTED_EVERY).unwrap_or(Timestamp::MIN);
        if last_used_at.is_some_and(|at| at > since.as_microsecond()) {
            return;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.note_api_key_use(id, since, now).await {
                tracing::debug!(%id, %error, "the use of an API key was not noted");
            }
        });
    }

    /// Revokes a key, at once and for good. False: the tenant has no such key. Revoking twice changes nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revoke_api_key(&self, tenant: TenantId, id: ApiKeyId, actor: &str) -> Result<bool, Error> {
        store::repeat(|| self.revoke_api_key_once(tenant, id, actor), Error::is_conflict).await
    }

    async fn revoke_api_key_once(&self, tenant: TenantId, id: ApiKeyId, actor: &str) -> Result<bool, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(row) = write.api_keys(tenant).await?.into_iter().find(|row| row.id == id.0) else { return Ok(false) };
        if row.revoked_at.is_some() {
            return Ok(true);
        }
        let row = ApiKey { revoked_at: Some(now.as_microsecond()), ..row };
        write.save_api_key(row.clone()).await?;
        crate::audit::add(&write, vec![audit("api_key.revoked", &row, actor, now, &mut *self.entropy())]).await?;
        write.commit().await?;
        Ok(true)
    }

    /// A tenant's keys, revoked ones included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, Error> {
        Ok(self.store.begin().await?.api_keys(tenant).await?)
    }

    /// Whether nobody can call the API yet.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_no_api_key(&self) -> Result<bool, Error> {
        Ok(!self.store.has_api_key().await?)
    }
}

fn check_name(name: &str) -> Result<(), ApiKeyError> {
    let readable = !name.trim().is_empty() && name.chars().count() <= 80 && !name.chars().any(char::is_control);
    if readable { Ok(()) } else { Err(ApiKeyError::Name) }
}

/// A revoked key does not keep its name from a new one.
async fn free_name(write: &Write, new: &ApiKey) -> Result<(), Error> {
    let keys = write.api_keys(TenantId(new.tenant_id)).await?;
    if let Some(old) = keys.iter().find(|old| old.name == new.name && old.revoked_at.is_some()) {
        write.save_api_key(without_its_name(old)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeros(u8);

    impl Entropy for Zeros {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0 += 1;
            bytes.fill(self.0);
        }
    }

    fn key(seed: u8) -> ApiKeyText {
        let id = ApiKeyId(uuid::Uuid::from_u128(7));
        ApiKeyText::generate(ApiKeyKind::Live, id, &mut Zeros(seed))
    }

    fn stored() -> ApiKey {
        let tenant = TenantId(uuid::Uuid::from_u128(1));
        row(tenant, "ci", &[Scope::Issue].into(), &key(0), ("cli", Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn only_the_right_secret_of_a_living_key_is_recognised() {
        let now = Timestamp::from_microsecond(100).unwrap();
        let identity = recognise(&key(0), Some(&stored()), now).unwrap();
        assert_eq!((identity.name.as_str(), identity.livemode), ("ci", true));
        assert!(identity.may(Scope::Issue) && !identity.may(Scope::LicenseRead));
        let revoked = ApiKey { revoked_at: Some(1), ..stored() };
        let over = ApiKey { expires_at: Some(100), ..stored() };
        let of_another_kind = ApiKey { kind: "test".to_owned(), ..stored() };
        let damaged = ApiKey { hash: vec![1], ..stored() };
        for (what, key, row) in [
            ("another secret", key(1), Some(&stored())),
            ("no row", key(0), None),
            ("revoked", key(0), Some(&revoked)),
            ("over", key(0), Some(&over)),
            ("another kind", key(0), Some(&of_another_kind)),
            ("a damaged hash", key(0), Some(&damaged)),
        ] {
            assert_eq!(recognise(&key, row, now), None, "{what}");
        }
        let soon_over = ApiKey { expires_at: Some(101), ..stored() };
        assert!(recognise(&key(0), Some(&soon_over), now).is_some());
    }

    #[test]
    fn admin_may_everything_and_unknown_scopes_grant_nothing() {
        let admin = ApiKey { scopes: encode_scopes(&[Scope::Admin].into()), ..stored() };
        let identity = recognise(&key(0), Some(&admin), Timestamp::UNIX_EPOCH).unwrap();
        assert!(Scope::ALL.iter().all(|scope| identity.may(*scope)));
        assert_eq!(decode_scopes(r#"["license:read","moon:write"]"#), [Scope::LicenseRead].into());
        assert_eq!(decode_scopes("nonsense"), BTreeSet::new());
    }
}
