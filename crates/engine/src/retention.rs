//! How long it is remembered what was told: events, with the names and addresses of buyers in them, their deliveries and
//! tries, recoveries, alerts. Calls of the API are kept a shorter time of their own.

use domain::{id::TenantId, time::after};
use jiff::{SignedDuration, Timestamp};
use store::{Write, retention::Forgettable, rows::Tenant};

use crate::{Engine, Error};

/// Days for which it is remembered, unless the tenant says otherwise.
pub const KEPT_DAYS: u16 = 90;
/// At most: ten years.
pub const KEPT_DAYS_MAX: u16 = 3_650;
/// Rows of a kind that are forgotten in one transaction.
const PAGE: u64 = 500;

/// For how many days a tenant remembers.
#[must_use]
pub fn kept_days(row: &Tenant) -> u16 {
    row.deliveries_kept_days.and_then(|days| u16::try_from(days).ok()).unwrap_or(KEPT_DAYS)
}

impl Engine {
    pub(crate) async fn kept_days(&self, tenant: TenantId) -> Result<u16, Error> {
        let tenants = self.store.tenants().await?;
        Ok(tenants.iter().find(|row| row.id == tenant.0).map_or(KEPT_DAYS, kept_days))
    }

    /// What would be forgotten by now if the tenant remembered for so many days.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forgettable(&self, tenant: TenantId, days: u16) -> Result<Forgettable, Error> {
        let before = after(self.now(), -SignedDuration::from_hours(24 * i64::from(days)));
        Ok(self.store.forgettable(tenant, before).await?)
    }

    /// Forgets what is over and was remembered long enough. An event stays as long as a delivery of it does. Returns how many
    /// rows were forgotten, tries not counted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_what_is_old(&self) -> Result<u64, Error> {
        let mut forgotten = 0;
        for row in self.store.tenants().await? {
            let before = after(self.now(), -SignedDuration::from_hours(24 * i64::from(kept_days(&row))));
            let tenant = TenantId(row.id);
            while {
                let page = store::repeat(|| self.forget_page(tenant, before), Error::is_conflict).await?;
                forgotten += page.rows;
                page.is_more
            } {}
            forgotten += self.forget_old_requests(tenant).await?;
        }
        Ok(forgotten)
    }

    async fn forget_page(&self, tenant: TenantId, before: Timestamp) -> Result<Page, Error> {
        let write = self.store.begin().await?;
        let mut counts = forget(&write, tenant, before).await?;
        counts.push(crate::denials::forget(&write, tenant, self.now(), PAGE).await?);
        crate::counts::forget(&write, tenant, self.now()).await?;
        write.commit().await?;
        Ok(Page { rows: counts.iter().sum(), is_more: counts.contains(&PAGE) })
    }
}

/// What was forgotten in one transaction.
struct Page {
    rows: u64,
    is_more: bool,
}

/// Deliveries first: with them go the last reasons to keep their events.
async fn forget(write: &Write, tenant: TenantId, before: Timestamp) -> Result<Vec<u64>, Error> {
    Ok(vec![
        write.forget_deliveries(tenant.0, before, PAGE).await?,
        write.forget_recoveries(tenant, before).await?,
        write.forget_events(tenant, before, PAGE).await?,
        write.forget_alerts(tenant, before, PAGE).await?,
    ])
}
