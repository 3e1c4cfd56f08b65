//! What would be forgotten, counted as it is found when it is.

use domain::id::TenantId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, Func, Query},
};

use crate::{
    Store,
    convert::micros,
    deliveries::status,
    entities::{alert_channels, alerts, deliveries, events},
    error::StoreError,
    lists::first_id,
};

/// So many rows of a kind are counted; nobody waits for the rest.
pub const COUNTED_MAX: usize = 10_000;

/// So much is older than a moment, and over: of each kind [`COUNTED_MAX`] at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgettable {
    /// Events of a vendor's own systems. Those that are still on their way to somebody stay all the same.
    pub events: usize,
    /// Their deliveries, with all tries.
    pub deliveries: usize,
    /// Alerts that were sent or given up.
    pub alerts: usize,
}

impl Store {
    /// What of a tenant is older than that, and over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forgettable(&self, tenant: TenantId, before: Timestamp) -> Result<Forgettable, StoreError> {
        let of_deliveries = deliveries::Entity::find()
            .filter(deliveries::Column::TenantId.eq(tenant.0))
            .filter(deliveries::Column::CreatedAt.lt(micros(before)))
            .filter(deliveries::Column::Status.is_in([status::DELIVERED, status::DEAD]));
        let of_events = events::Entity::find()
            .filter(events::Column::TenantId.eq(tenant.0))
            .filter(events::Column::Livemode.is_in([true, false]))
            .filter(events::Column::Id.lt(first_id(before)));
        let channels = alert_channels::Entity::find().select_only().column(alert_channels::Column::Id);
        let channels = channels.filter(alert_channels::Column::TenantId.eq(tenant.0)).into_query();
        let of_alerts = alerts::Entity::find()
            .filter(alerts::Column::ChannelId.in_subquery(channels))
            .filter(alerts::Column::Id.lt(first_id(before)))
            .filter(alerts::Column::Status.ne(crate::alerts::status::PENDING));
        Ok(Forgettable {
            events: counted(&self.reader, of_events, events::Column::Id).await?,
            deliveries: counted(&self.reader, of_deliveries, deliveries::Column::Id).await?,
            alerts: counted(&self.reader, of_alerts, alerts::Column::Id).await?,
        })
    }
}

async fn counted<E: EntityTrait>(
    reader: &DatabaseConnection,
    query: Select<E>,
    id: E::Column,
) -> Result<usize, StoreError> {
    let found = query.select_only().column(id).limit(COUNTED_MAX as u64).into_query();
    let count = Query::select().expr(Func::count(Expr::val(1))).from_subquery(found, "found").to_owned();
    let row = reader.query_one(&count).await?;
    let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(usize::try_from(count).unwrap_or_default())
}
