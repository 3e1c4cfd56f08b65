//! Tenants: a fresh installation has one.

use domain::id::{ConnectionId, TenantId};
use providers::manual;
use store::{StoreError, rows};

use crate::{
    Engine, Error,
    accounts::{Account, AccountStatus},
    connections::Mode,
};

/// The slug of the tenant that a fresh installation has.
pub const DEFAULT_TENANT: &str = "default";

impl Engine {
    /// The tenant of a slug.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenant(&self, slug: &str) -> Result<Option<TenantId>, Error> {
        Ok(self.store.tenant(slug).await?.map(|row| TenantId(row.id)))
    }

    /// Makes sure that there is a tenant, with its connections for orders made by hand. Safe to do on every start.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ensure_tenant(&self, slug: &str, name: &str) -> Result<TenantId, Error> {
        if let Some(tenant) = self.tenant(slug).await? {
            return Ok(tenant);
        }
        match self.make_tenant(slug, name, &Account::default()).await {
            // Another node was faster.
            Err(Error::Store(StoreError::Duplicate(_))) => self.tenant(slug).await?.ok_or(Error::NoManualConnection),
            made => made,
        }
    }

    /// Makes a tenant with its connections for orders made by hand.
    pub(crate) async fn make_tenant(&self, slug: &str, name: &str, account: &Account) -> Result<TenantId, Error> {
        let now = self.now();
        let mut entropy = self.entropy();
        let tenant = TenantId::new(now, &mut *entropy);
        let write = self.store.begin().await?;
        write
            .save_tenant(rows::Tenant {
                id: tenant.0,
                slug: slug.to_owned(),
                name: name.to_owned(),
                status: AccountStatus::Active.as_str().to_owned(),
                account: serde_json::to_string(account).map_err(Error::Document)?,
                catalogue_revision: 1,
                test_clock_ahead: 0,
                deliveries_kept_days: None,
                requires_second_factor: false,
                created_at: now.as_microsecond(),
            })
            .await?;
        for (mode, code) in [(Mode::Live, "manual"), (Mode::Test, "manual-test")] {
            write
                .save_connection(rows::Connection {
                    id: ConnectionId::new(now, &mut *entropy).0,
                    tenant_id: tenant.0,
                    provider: manual::SLUG.to_owned(),
                    code: code.to_owned(),
                    mode: mode.as_str().to_owned(),
                    account: None,
                    settings: "{}".to_owned(),
                    api_base: None,
                    secrets: None,
                    created_at: now.as_microsecond(),
                })
                .await?;
        }
        write.commit().await?;
        self.connections.forget();
        Ok(tenant)
    }
}
