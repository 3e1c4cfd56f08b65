//! Identity providers: where a vendor's members sign in instead of typing a password here.
//!
//! A vendor chooses its provider itself, and so decides whom that provider says somebody is. What it says therefore counts
//! for this vendor alone: an account is bound to a member per vendor, and a session that it opens shows this vendor's pages
//! and no other, and changes nothing of the member's own account (`Session::tenant_id`).

mod admission;
mod configuration;
mod membership;
mod protocol;
mod visit;

use domain::{id::TenantId, member::Role};
use store::{
    StoreError,
    rows::{IdentityProvider, Membership, Tenant},
};

pub use self::{
    configuration::{DOMAINS_MAX, NewProvider, domains, newcomers},
    protocol::{CallFailed, CallProvider, Providers},
    visit::{Answer, Ended, Purpose, Returned, Visit},
};
pub use openidconnect::{HttpRequest, HttpResponse};

use crate::{Engine, Error, members::SignedIn};

/// Why somebody does not come in by an identity provider. The word stands in addresses; what exactly was wrong stands in the
/// log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// They did not sign in there.
    Cancelled,
    /// The provider does not answer.
    Unreachable,
    /// The provider does not accept this server.
    Refused,
    /// Nobody was sent there by this browser, the answer was used already, or it took too long.
    Stale,
    /// The answer is not signed by the provider, not for this server, not for this visit, or too old.
    Untrusted,
    /// The provider has not verified the address.
    Unverified,
    /// The address is of a domain that does not come in.
    Domain,
    /// The member with this address has another account there.
    OtherAccount,
    /// They are no member, and nobody invited them.
    Nobody,
    /// Who was to prove who they are is somebody else.
    NotYou,
    /// They did not prove who they are just now.
    NotNow,
}

impl Problem {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Cancelled,
        Self::Unreachable,
        Self::Refused,
        Self::Stale,
        Self::Untrusted,
        Self::Unverified,
        Self::Domain,
        Self::OtherAccount,
        Self::Nobody,
        Self::NotYou,
        Self::NotNow,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::Untrusted => "untrusted",
            Self::Unverified => "unverified",
            Self::Domain => "domain",
            Self::OtherAccount => "other-account",
            Self::Nobody => "nobody",
            Self::NotYou => "not-you",
            Self::NotNow => "not-now",
        }
    }
}

/// Why something about an identity provider cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The vendor has none.
    #[error("this vendor has no identity provider")]
    None,
    /// What was typed is wrong.
    #[error("{0}")]
    Field(String),
    /// Nobody comes in.
    #[error("nobody was let in: {}", .0.word())]
    Problem(Problem),
    /// The database failed, or the secret does not open.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for IdentityError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl IdentityError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl Engine {
    /// The vendors whose pages a browser may ask for, with what its member is to them, by name: all of the member's, or the
    /// one whose identity provider let them in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenants_of(&self, who: &SignedIn) -> Result<Vec<(Tenant, Membership)>, Error> {
        let mut all = self.store.tenants_of(who.id()).await?;
        if let Some(only) = who.session.tenant_id {
            all.retain(|(tenant, _)| tenant.id == only);
        }
        Ok(all)
    }

    /// Whether a member's session opens the pages of a vendor. Where that asks for its identity provider, a password opens
    /// them to owners alone: somebody has to come in when the provider fails.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn opens(&self, who: &SignedIn, tenant: TenantId, role: Role) -> Result<bool, Error> {
        match who.session.tenant_id {
            Some(only) => Ok(only == tenant.0),
            None if role == Role::Owner => Ok(true),
            None => Ok(!self.store.identity_provider(tenant).await?.is_some_and(|provider| provider.required)),
        }
    }

    /// The vendor whose pages are shown to somebody first: by name the first that this session opens. None: they are nobody's
    /// member.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_tenant_of(&self, who: &SignedIn) -> Result<Option<Tenant>, Error> {
        let mut all = self.tenants_of(who).await?;
        for place in 0..all.len() {
            let (tenant, membership) = &all[place];
            let role = membership.role.parse().unwrap_or(Role::Viewer);
            let is_proved = !tenant.requires_second_factor || who.has_second_factor();
            if is_proved && self.opens(who, TenantId(tenant.id), role).await? {
                return Ok(Some(all.swap_remove(place).0));
            }
        }
        // Its page says what is missing.
        Ok(all.into_iter().next().map(|(tenant, _)| tenant))
    }

    /// The identity provider of the vendor with this slug, and the vendor.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn identity_provider_of(&self, slug: &str) -> Result<Option<(Tenant, IdentityProvider)>, Error> {
        let Some(tenant) = self.store.tenant(slug).await? else { return Ok(None) };
        let provider = self.store.identity_provider(TenantId(tenant.id)).await?;
        Ok(provider.map(|provider| (tenant, provider)))
    }

    /// The same where this installation has one vendor only. With several, nothing tells strangers which ones there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn only_identity_provider(&self) -> Result<Option<(Tenant, IdentityProvider)>, Error> {
        match self.store.only_tenant().await? {
            Some(only) => self.identity_provider_of(&only.slug).await,
            None => Ok(None),
        }
    }
}
