//! How long deliveries that are over are remembered.

use domain::{id::TenantId, time::after};
use jiff::{SignedDuration, Timestamp};
use store::rows::Tenant;
use uuid::Uuid;

use crate::{Engine, Error};

/// Days for which deliveries are remembered, unless the tenant says otherwise.
pub const KEPT_DAYS: u16 = 90;
/// At most: ten years.
pub const KEPT_DAYS_MAX: u16 = 3_650;
/// Deliveries that are forgotten in one transaction.
const PAGE: u64 = 500;

/// How many days a tenant remembers deliveries.
pub(crate) fn kept_days(row: &Tenant) -> u16 {
    row.deliveries_kept_days.and_then(|days| u16::try_from(days).ok()).unwrap_or(KEPT_DAYS)
}

impl Engine {
    pub(super) async fn deliveries_kept_days(&self, tenant: TenantId) -> Result<u16, Error> {
        let tenants = self.store.tenants().await?;
        Ok(tenants.iter().find(|row| row.id == tenant.0).map_or(KEPT_DAYS, kept_days))
    }

    /// Forgets deliveries that are over and were remembered long enough, with all their tries. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_old_deliveries(&self) -> Result<u64, Error> {
        let mut forgotten = 0;
        for tenant in self.store.tenants().await? {
            let before = after(self.now(), -SignedDuration::from_hours(24 * i64::from(kept_days(&tenant))));
            loop {
                let page = store::repeat(|| self.forget_page(tenant.id, before), Error::is_conflict).await?;
                forgotten += page;
                if page < PAGE {
                    break;
                }
            }
        }
        Ok(forgotten)
    }

    async fn forget_page(&self, tenant: Uuid, before: Timestamp) -> Result<u64, Error> {
        let write = self.store.begin().await?;
        let page = write.forget_deliveries(tenant, before, PAGE).await?;
        write.commit().await?;
        Ok(page)
    }
}
