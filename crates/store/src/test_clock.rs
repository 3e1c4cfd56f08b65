//! By how much tenants' clocks of test mode are ahead.

use domain::id::TenantId;
use jiff::{SignedDuration, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    convert::micros,
    entities::{orders, tenants},
    error::StoreError,
};

impl Store {
    /// The clocks that are ahead.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn test_clocks(&self) -> Result<Vec<(TenantId, SignedDuration)>, StoreError> {
        let query = tenants::Entity::find().select_only();
        let query = query.columns([tenants::Column::Id, tenants::Column::TestClockAhead]);
        let ahead: Vec<(Uuid, i64)> =
            query.filter(tenants::Column::TestClockAhead.ne(0)).into_tuple().all(&self.reader).await?;
        Ok(ahead.into_iter().map(|(id, ahead)| (TenantId(id), SignedDuration::from_micros(ahead))).collect())
    }
}

impl Write {
    /// How far a tenant's clock is ahead, as of this transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn test_clock(&self, tenant: TenantId) -> Result<SignedDuration, StoreError> {
        let query = tenants::Entity::find_by_id(tenant.0).select_only().column(tenants::Column::TestClockAhead);
        let ahead: Option<i64> = query.into_tuple().one(&self.transaction).await?;
        Ok(SignedDuration::from_micros(ahead.unwrap_or_default()))
    }

    /// Sets a tenant's clock.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_test_clock(&self, tenant: TenantId, ahead: SignedDuration) -> Result<(), StoreError> {
        let micros = i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX);
        tenants::Entity::update_many()
            .col_expr(tenants::Column::TestClockAhead, Expr::val(micros))
            .filter(tenants::Column::Id.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Has the orders of a tenant's test mode looked at, from `now` on: those that wait for their time, or `all`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn wake_test_orders(&self, tenant: TenantId, all: bool, now: Timestamp) -> Result<(), StoreError> {
        let mut update = orders::Entity::update_many()
            .col_expr(orders::Column::DueAt, Expr::val(micros(now)))
            .filter(orders::Column::TenantId.eq(tenant.0))
            .filter(orders::Column::Livemode.eq(false))
            // An order that became part of another is settled with it.
            .filter(orders::Column::MergedInto.is_null());
        if !all {
            update = update.filter(orders::Column::DueAt.is_not_null());
        }
        update.exec(&self.transaction).await?;
        Ok(())
    }
}
