//! What a vendor's identity provider is like: set up, changed, taken away.

use crypto::seal::{Place, sealed_by};
use domain::{
    id::{IdentityProviderId, MemberId, TenantId},
    member::Role,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use store::{Write, rows::IdentityProvider};
use url::Url;

use super::{IdentityError, admission::Rules};
use crate::{Engine, Error, members::SignedIn, rulings::By};

/// How many domains may be named.
pub const DOMAINS_MAX: usize = 20;
/// The longest name, in characters: it stands on a button.
const NAME_MAX: usize = 40;
/// The longest issuer, client id and secret, in bytes.
const TEXT_MAX: usize = 1_000;

/// An identity provider as somebody describes it.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// What its button says.
    pub name: String,
    /// Its address, by which it calls itself.
    pub issuer: String,
    /// As whom this server is known there.
    pub client_id: String,
    /// How this server proves that; none: as before.
    pub secret: Option<SecretString>,
    /// The domains of addresses that come in; none: all.
    pub domains: Vec<String>,
    /// What those of these domains become whom nobody invited; none: they do not come in.
    pub newcomers: Option<Role>,
    /// Whether all but owners have to come this way.
    pub required: bool,
}

/// The domains of addresses that come in; none: all.
#[must_use]
pub fn domains(row: &IdentityProvider) -> Vec<String> {
    serde_json::from_str(&row.domains).unwrap_or_default()
}

/// What newcomers become; none: they do not come in.
#[must_use]
pub fn newcomers(row: &IdentityProvider) -> Option<Role> {
    row.newcomers.as_deref().and_then(|role| role.parse().ok())
}

pub(super) fn rules(row: &IdentityProvider) -> Rules {
    Rules { domains: domains(row), newcomers: newcomers(row) }
}

/// What is wrong with a description, before anybody is asked.
fn check(new: &NewProvider, before: Option<&IdentityProvider>, by_provider: bool) -> Result<Url, IdentityError> {
    let wrong = |text: &str| Err(IdentityError::Field(text.to_owned()));
    let is_plain = |text: &str, max| !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control);
    if !is_plain(&new.name, NAME_MAX * 4) || new.name.chars().count() > NAME_MAX {
        return wrong("a name for its button is needed, with 40 characters at most");
    }
    if !is_plain(&new.issuer, TEXT_MAX) {
        return wrong("the issuer is the provider's address, as it is written in its documentation");
    }
    let Ok(issuer) = Url::parse(&new.issuer) else {
        return wrong("the issuer is an address that begins with https://");
    };
    if !matches!(issuer.scheme(), "https" | "http") || issuer.query().is_some() || issuer.fragment().is_some() {
        return wrong("the issuer is an address that begins with https://, without anything behind a ? or #");
    }
    if !is_plain(&new.client_id, TEXT_MAX) {
        return wrong("the client id is what the provider calls this server; it stands where you registered it there");
    }
    match &new.secret {
        Some(secret) if secret.expose_secret().len() > TEXT_MAX => return wrong("the client secret is too long"),
        Some(_) => {}
        None if before.is_none() => return wrong("the client secret is missing; the provider shows it once"),
        None if before.is_some_and(|row| row.issuer != new.issuer) => {
            return wrong("another issuer is told the client secret, so it has to be given once more");
        }
        None => {}
    }
    if new.domains.len() > DOMAINS_MAX || !new.domains.iter().all(|domain| is_domain(domain)) {
        return wrong("domains look like acme.com, with commas between them, 20 at most");
    }
    if new.newcomers == Some(Role::Owner) {
        return wrong("nobody becomes an owner by themselves");
    }
    if new.newcomers.is_some() && new.domains.is_empty() {
        return wrong("name the domains whose people become members by themselves; otherwise everybody could");
    }
    if new.required && by_provider {
        return wrong(
            "sign in with your password, and switch this on then: somebody has to come in when the provider fails",
        );
    }
    Ok(issuer)
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_fine) && !label.starts_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

impl Engine {
    /// Sets the identity provider of a vendor up, or changes it. An issuer that is new is asked who it is. With another
    /// issuer, everybody whom the one before has let in is signed out.
    ///
    /// # Errors
    /// What was typed is wrong, the issuer is no provider that answers, no owner could come in without the one before, or
    /// those of the database.
    pub async fn save_identity_provider(
        &self,
        tenant: TenantId,
        new: NewProvider,
        who: &SignedIn,
        by: &By,
    ) -> Result<(), IdentityError> {
        let domains = new.domains.iter().map(|domain| domain.trim().trim_start_matches('@').to_lowercase()).collect();
        let new = NewProvider { domains, ..new };
        let before = self.store.identity_provider(tenant).await?;
        let issuer = check(&new, before.as_ref(), who.session.tenant_id.is_some())?;
        if before.as_ref().is_none_or(|row| row.issuer != new.issuer) {
            self.addresses.check(&issuer).await.map_err(IdentityError::Field)?;
            self.identity.fresh(&new.issuer, self.now()).await.map_err(|problem| {
                IdentityError::Field(format!("this issuer does not answer as an OpenID Connect provider: {problem}"))
            })?;
        }
        store::repeat(|| self.save_provider_once(tenant, &new, by), IdentityError::is_conflict).await
    }

    async fn save_provider_once(&self, tenant: TenantId, new: &NewProvider, by: &By) -> Result<(), IdentityError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let before = write.lock_identity_provider(tenant).await?;
        let id = before.as_ref().map_or_else(|| IdentityProviderId::new(now, &mut *self.entropy()).0, |row| row.id);
        let (sealed, sealed_by) = match (&new.secret, &before) {
            (None, Some(row)) if row.issuer == new.issuer => (row.sealed.clone(), row.sealed_by.clone()),
            (None, _) => return Err(IdentityError::Field("the client secret has to be given once more".to_owned())),
            (Some(secret), _) => {
                let place = Place::identity_provider(tenant, id);
                let sealed = self.ring().seal(place, secret.expose_secret().as_bytes(), &mut *self.entropy()).0;
                let by = sealed_by(&sealed).map(|id| id.to_string()).unwrap_or_default();
                (sealed, by)
            }
        };
        let row = IdentityProvider {
            id,
            tenant_id: tenant.0,
            name: new.name.clone(),
            issuer: new.issuer.clone(),
            client_id: new.client_id.clone(),
            sealed,
            sealed_by,
            domains: serde_json::to_string(&new.domains).map_err(Error::Document)?,
            newcomers: new.newcomers.map(|role| role.as_str().to_owned()),
            required: new.required,
            created_at: before.as_ref().map_or(now.as_microsecond(), |row| row.created_at),
            updated_at: now.as_microsecond(),
        };
        if before.as_ref().is_some_and(|before| !is_same(before, &row)) {
            keep_a_way_in(&write, tenant).await?;
            write.end_visits(tenant).await?;
        }
        if before.as_ref().is_some_and(|before| before.issuer != row.issuer) {
            write.end_provider_sessions(tenant).await?;
        }
        let detail = json!({
            "before": before.as_ref().map(told), "after": told(&row), "secret": new.secret.is_some(), "note": by.note,
        });
        let subject = IdentityProviderId(id).to_string();
        write.save_identity_provider(row).await?;
        let entry = self.told(tenant, "identity_provider.saved", subject, None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }

    /// Takes the identity provider of a vendor away. Everybody whom it has let in is signed out.
    ///
    /// # Errors
    /// The vendor has none, no owner could come in without it, or those of the database.
    pub async fn remove_identity_provider(&self, tenant: TenantId, by: &By) -> Result<(), IdentityError> {
        let once = || async {
            let write = self.store.begin().await?;
            let row = write.lock_identity_provider(tenant).await?.ok_or(IdentityError::None)?;
            keep_a_way_in(&write, tenant).await?;
            write.remove_identity_provider(tenant).await?;
            write.end_visits(tenant).await?;
            write.end_provider_sessions(tenant).await?;
            let detail = json!({ "before": told(&row), "note": by.note });
            let subject = IdentityProviderId(row.id).to_string();
            let entry = self.told(tenant, "identity_provider.removed", subject, None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, IdentityError::is_conflict).await
    }
}

/// Whether two are the same provider, which knows this server as the same: what the one says of an account, the other does.
pub(super) fn is_same(a: &IdentityProvider, b: &IdentityProvider) -> bool {
    a.issuer == b.issuer && a.client_id == b.client_id
}

/// Goes on if some owner proves to this server itself who they are: otherwise nobody could come in, or set anything up again.
async fn keep_a_way_in(write: &Write, tenant: TenantId) -> Result<(), IdentityError> {
    let mut owners = Vec::new();
    for row in write.lock_memberships(tenant).await? {
        if row.role == Role::Owner.as_str() {
            owners.extend(write.lock_member(MemberId(row.member_id)).await?);
        }
    }
    let is_open = owners.iter().any(|owner| owner.password.is_some())
        || write.has_passkey(owners.iter().map(|owner| owner.id).collect()).await?;
    if is_open {
        return Ok(());
    }
    let problem =
        "no owner has a password or a passkey, so nobody could come in afterwards; `keywright admin create` makes one";
    Err(IdentityError::Field(problem.to_owned()))
}

/// What the audit log tells of one: all but its secret.
fn told(row: &IdentityProvider) -> serde_json::Value {
    json!({
        "name": row.name, "issuer": row.issuer, "client_id": row.client_id, "domains": domains(row),
        "newcomers": row.newcomers, "required": row.required,
    })
}
