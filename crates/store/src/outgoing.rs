//! What leaves this installation, all of it at once: where it was restored from an older copy, what waits there may have
//! left already.

use std::collections::BTreeMap;

use domain::id::TenantId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    Write,
    deliveries::{self, status as delivery_status},
    entities::{deliveries as delivery_rows, mails, webhook_endpoints},
    error::StoreError,
    lists::first_id,
    outbox::{is, status},
    webhook_endpoints::status as endpoint_status,
};

impl Write {
    /// Holds the mails that wait and were written before a moment, until somebody releases them. Returns how many of each
    /// tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold_mails_before(&self, before: Timestamp) -> Result<BTreeMap<TenantId, u64>, StoreError> {
        use mails::Column::{Id, LeaseToken, LeaseUntil, NextAttemptAt, Status, TenantId as Tenant};
        let older = || is(status::PENDING).and(Id.lt(first_id(before)));
        let query = mails::Entity::find().select_only().column(Tenant).column_as(Id.count(), "held").filter(older());
        let counts: Vec<(Uuid, i64)> = query.group_by(Tenant).into_tuple().all(&self.transaction).await?;
        mails::Entity::update_many()
            .col_expr(Status, Expr::val(status::HELD))
            .col_expr(NextAttemptAt, Expr::val(Option::<i64>::None))
            .col_expr(LeaseToken, Expr::val(Option::<Uuid>::None))
            .col_expr(LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(older())
            .exec(&self.transaction)
            .await?;
        Ok(counts.into_iter().map(|(tenant, count)| (TenantId(tenant), count.unsigned_abs())).collect())
    }

    /// Holds the deliveries that wait and were made before a moment, until somebody releases them at their endpoint. Returns
    /// how many of each tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold_deliveries_before(&self, before: Timestamp) -> Result<BTreeMap<TenantId, u64>, StoreError> {
        use delivery_rows::Column::{Id, NextAttemptAt, Status, TenantId as Tenant};
        let older = || deliveries::pending().and(Id.lt(first_id(before)));
        let query = delivery_rows::Entity::find().select_only().column(Tenant).column_as(Id.count(), "held");
        let counts: Vec<(Uuid, i64)> =
            query.filter(older()).group_by(Tenant).into_tuple().all(&self.transaction).await?;
        delivery_rows::Entity::update_many()
            .col_expr(Status, Expr::val(delivery_status::HELD))
            .col_expr(NextAttemptAt, Expr::val(Option::<i64>::None))
            .filter(older())
            .exec(&self.transaction)
            .await?;
        Ok(counts.into_iter().map(|(tenant, count)| (TenantId(tenant), count.unsigned_abs())).collect())
    }

    /// Whether anything is held for an address that is called.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_held_deliveries(&self, tenant: TenantId) -> Result<bool, StoreError> {
        use webhook_endpoints::Column::{Id, Status, TenantId as Tenant};
        let called = webhook_endpoints::Entity::find().select_only().column(Id).filter(Tenant.eq(tenant.0));
        let called = called.filter(Status.eq(endpoint_status::ENABLED)).into_query();
        let query = delivery_rows::Entity::find()
            .filter(delivery_rows::Column::EndpointId.in_subquery(called))
            .filter(Expr::cust("status = 'held'"))
            .limit(1);
        Ok(query.one(&self.transaction).await?.is_some())
    }
}
