//! Vendors' accounts: made, suspended, closed, opened again, and what they may have (D05, A35, X19).
//!
//! A suspended or closed account gets no new licenses: what is paid is kept and waits where a person sees it, and is issued
//! once the account is active again. Licenses that are there go on being judged and checked: their owners have paid.

use std::{fmt, str::FromStr};

use domain::id::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{StoreError, Write, rows};

use crate::{
    Engine, Error,
    attention::{ACCOUNT_FULL, ACCOUNT_STOPPED},
    rulings::By,
};

/// The longest slug: it stands in addresses.
const SLUG_MAX: usize = 40;

/// Where an account is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountStatus {
    /// It sells.
    #[default]
    Active,
    /// It may not sell for now.
    Suspended,
    /// It is given up.
    Closed,
}

impl AccountStatus {
    /// The word for it, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// Reads the word as stored. What a newer release wrote and this one does not know may not sell.
    #[must_use]
    pub fn read(text: &str) -> Self {
        text.parse().unwrap_or(Self::Suspended)
    }
}

/// There is no such status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account is active, suspended or closed")]
pub struct UnknownStatus;

impl FromStr for AccountStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [Self::Active, Self::Suspended, Self::Closed]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an account may have. None: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Live licenses that work, or could again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses_max: Option<u32>,
    /// Checks of live licenses in a calendar month (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks_per_month: Option<u32>,
}

impl Account {
    /// The account of who signs up: 5 licenses and 500 checks a month (A35, X19).
    pub const FREE: Self = Self { licenses_max: Some(5), checks_per_month: Some(500) };
}

/// Whether a tenant may sell, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountStanding {
    /// Where it is in its life.
    pub status: AccountStatus,
    /// What it may have.
    pub account: Account,
}

impl AccountStanding {
    /// That of a tenant.
    #[must_use]
    pub fn read(row: &rows::Tenant) -> Self {
        Self {
            status: AccountStatus::read(&row.status),
            account: serde_json::from_str(&row.account).unwrap_or_default(),
        }
    }
}

/// Why an account cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It stands in addresses.
    #[error("a slug has 1 to {SLUG_MAX} characters, each a letter a-z, a digit or `-`")]
    Slug,
    /// It has to be readable in a list.
    #[error("a name has 1 to 120 characters in one line")]
    Name,
    /// Another tenant has it.
    #[error("there is a tenant `{0}` already; choose another slug")]
    SlugTaken(String),
    /// There is no such tenant.
    #[error("there is no tenant `{0}`")]
    Unknown(String),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl AccountError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Whether a text can be a tenant's slug.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SLUG_MAX).contains(&text.len()) && text.bytes().all(plain)
}

impl Engine {
    /// Makes a tenant.
    ///
    /// # Errors
    /// The slug or the name cannot be, or is taken, or those of the database.
    pub async fn create_tenant(
        &self,
        slug: &str,
        name: &str,
        account: &Account,
        by: &By,
    ) -> Result<TenantId, AccountError> {
        if !is_slug(slug) {
            return Err(AccountError::Slug);
        }
        if name.trim().is_empty() || name.chars().count() > 120 || name.chars().any(char::is_control) {
            return Err(AccountError::Name);
        }
        let tenant = match self.make_tenant(slug, name, account).await {
            Err(Error::Store(StoreError::Duplicate(_))) => return Err(AccountError::SlugTaken(slug.to_owned())),
            made => made?,
        };
        let detail = json!({ "slug": slug, "name": name, "account": account, "note": by.note });
        let write = self.store.begin().await?;
        let entry = self.told(tenant, "tenant.created", tenant.to_string(), None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(tenant)
    }

    /// Suspends or closes an account, or makes it active again; then all that waited is issued. Twice changes nothing.
    ///
    /// # Errors
    /// There is no such tenant, or those of the database.
    pub async fn set_account_status(&self, slug: &str, status: AccountStatus, by: &By) -> Result<(), AccountError> {
        let tenant = self.tenant(slug).await?.ok_or_else(|| AccountError::Unknown(slug.to_owned()))?;
        store::repeat(|| self.set_status_once(tenant, status, by), AccountError::is_conflict).await?;
        self.configuration_changed();
        Ok(())
    }

    async fn set_status_once(&self, tenant: TenantId, status: AccountStatus, by: &By) -> Result<(), AccountError> {
        let write = self.store.begin().await?;
        let row = write.lock_catalogue(tenant).await?.ok_or_else(|| AccountError::Unknown(tenant.to_string()))?;
        let before = AccountStatus::read(&row.status);
        if before == status {
            return Ok(());
        }
        write.save_tenant_status(tenant, status.as_str()).await?;
        // Every node keeps the account with the catalogue, and reads both again.
        write.catalogue_changed(tenant).await?;
        if status == AccountStatus::Active {
            self.wake_waiting(&write, tenant).await?;
        }
        let detail = json!({ "from": before.as_str(), "to": status.as_str(), "note": by.note });
        let action = format!("tenant.{status}");
        let entry = self.told(tenant, &action, tenant.to_string(), None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(())
    }

    /// The orders that wait for the account are looked at again.
    async fn wake_waiting(&self, write: &Write, tenant: TenantId) -> Result<(), Error> {
        let mut waiting = std::collections::BTreeSet::new();
        for connection in write.lock_connections(tenant).await? {
            for kind in [ACCOUNT_STOPPED, ACCOUNT_FULL] {
                let id = domain::id::ConnectionId(connection.id);
                waiting.extend(write.orders_waiting_for(id, kind, None).await?);
            }
        }
        Ok(write.wake_orders(&waiting, self.now()).await?)
    }

    /// Whether a tenant may sell, and how much.
    pub(crate) async fn account_of(&self, tenant: TenantId) -> Result<AccountStanding, Error> {
        let tenants = self.store.tenants().await?;
        Ok(tenants.iter().find(|row| row.id == tenant.0).map(AccountStanding::read).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_words_and_unknown_ones_do_not_sell() {
        for status in [AccountStatus::Active, AccountStatus::Suspended, AccountStatus::Closed] {
            assert_eq!(AccountStatus::read(status.as_str()), status);
        }
        assert_eq!(AccountStatus::read("pending_verification"), AccountStatus::Suspended);
    }

    #[test]
    fn slugs() {
        for good in ["a", "acme-2", &"x".repeat(SLUG_MAX)] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "Acme", "a/b", "a b", &"x".repeat(SLUG_MAX + 1)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn the_free_account_has_the_documents_numbers() {
        let written = serde_json::to_string(&Account::FREE).unwrap_or_default();
        assert_eq!(written, r#"{"licenses_max":5,"checks_per_month":500}"#);
        assert_eq!(serde_json::from_str::<Account>("{}").ok(), Some(Account::default()));
    }
}
