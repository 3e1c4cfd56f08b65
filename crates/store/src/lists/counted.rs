//! Counts for pages about what is configured.

use std::collections::BTreeMap;

use domain::id::{ConnectionId, TenantId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, Func, Query, SelectStatement},
};
use uuid::Uuid;

use super::{
    Whose,
    events::{attention_of, inbound_of},
    first_id,
    sales::orders_of,
};
use crate::{
    Store,
    convert::instant,
    entities::{attention_items, inbound_events, licenses, orders},
    error::StoreError,
};

/// What providers delivered lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveredKinds {
    /// How often, by connection and the provider's word for what happened.
    pub times: BTreeMap<(ConnectionId, String), u64>,
    /// How many events were looked at.
    pub examined: u64,
}

/// A price of which no rule speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmapped {
    /// At which connection.
    pub connection: ConnectionId,
    /// What the provider calls it.
    pub price: String,
    /// What is known of it, as the open item tells.
    pub detail: String,
    /// How many orders wait for a rule.
    pub orders: u64,
    /// Since when the first one does.
    pub since: Timestamp,
}

/// The open items about one price, as they are counted.
#[derive(FromQueryResult)]
struct Waiting {
    connection_id: Option<Uuid>,
    lookup: Option<String>,
    detail: String,
    orders: i64,
    since: i64,
}

impl Store {
    /// The prices that open items of this kind are about, those that wait longest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unmapped_prices(&self, whose: Whose, kind: &str) -> Result<Vec<Unmapped>, StoreError> {
        use attention_items::Column;
        let query = attention_items::Entity::find()
            .select_only()
            .column(Column::ConnectionId)
            .column(Column::Lookup)
            .column_as(Column::Detail.max(), "detail")
            .column_as(Column::Id.count(), "orders")
            .column_as(Column::OpenedAt.min(), "since")
            .filter(attention_of(whose))
            .filter(Column::Kind.eq(kind))
            .filter(Column::ClosedAt.is_null())
            .filter(Column::DismissedAt.is_null())
            .group_by(Column::ConnectionId)
            .group_by(Column::Lookup);
        let rows = query.into_model::<Waiting>().all(&self.reader).await?;
        let read = |Waiting { connection_id, lookup, detail, orders, since }: Waiting| {
            let (connection, orders) = (ConnectionId(connection_id?), orders.unsigned_abs());
            Some(Unmapped { connection, price: lookup?, detail, orders, since: instant(since) })
        };
        let mut unmapped: Vec<Unmapped> = rows.into_iter().filter_map(read).collect();
        unmapped.sort_by_key(|price| price.since);
        Ok(unmapped)
    }

    /// Whether there are more orders than that.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_more_orders(&self, whose: Whose, most: u64) -> Result<bool, StoreError> {
        let one = orders::Entity::find().select_only().column(orders::Column::Id).filter(orders_of(whose));
        let one: Option<Uuid> = one.offset(most).limit(1).into_tuple().one(&self.reader).await?;
        Ok(one.is_some())
    }

    /// How many licenses stand on each version of each plan, of both modes: plan, version, count.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_licenses(&self, tenant: TenantId) -> Result<Vec<(Uuid, i32, u64)>, StoreError> {
        use licenses::Column;
        let query = licenses::Entity::find()
            .select_only()
            .column(Column::PlanId)
            .column(Column::PlanVersion)
            .column_as(Column::Id.count(), "licenses")
            .filter(Column::TenantId.eq(tenant.0))
            .group_by(Column::PlanId)
            .group_by(Column::PlanVersion);
        let rows: Vec<(Uuid, i32, i64)> = query.into_tuple().all(&self.reader).await?;
        Ok(rows.into_iter().map(|(plan, version, count)| (plan, version, count.unsigned_abs())).collect())
    }

    /// When the last event of a connection came that its provider delivered itself; none: none has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_event(&self, whose: Whose, connection: ConnectionId) -> Result<Option<Timestamp>, StoreError> {
        use inbound_events::Column;
        let query = inbound_events::Entity::find()
            .select_only()
            .column(Column::ReceivedAt)
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode))
            .filter(Column::ConnectionId.eq(connection.0))
            .filter(Column::CaughtUp.eq(false))
            .order_by_desc(Column::Id);
        let received: Option<i64> = query.limit(1).into_tuple().one(&self.reader).await?;
        Ok(received.map(instant))
    }

    /// How often each kind of event was delivered to each connection since then, among so many of the latest events.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delivered_kinds(
        &self,
        whose: Whose,
        since: Timestamp,
        examined: u64,
    ) -> Result<DeliveredKinds, StoreError> {
        let rows = self.reader.query_all(&delivered(whose, since, examined)).await?;
        let mut all = DeliveredKinds::default();
        for row in rows {
            let (connection, kind): (Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (caught_up, times): (bool, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let times = times.unsigned_abs();
            all.examined += times;
            // What the provider's list told is no sign that its webhook would have.
            if !caught_up {
                all.times.insert((ConnectionId(connection), kind), times);
            }
        }
        Ok(all)
    }
}

/// The kinds of the latest events. What is grouped is bounded first: there may be any number of events in a month.
pub(crate) fn delivered(whose: Whose, since: Timestamp, examined: u64) -> SelectStatement {
    use inbound_events::Column::{CaughtUp, ConnectionId, Id, Kind};
    let latest = inbound_events::Entity::find()
        .select_only()
        .columns([ConnectionId, Kind, CaughtUp])
        .filter(inbound_of(whose))
        .filter(Id.gte(first_id(since)))
        .order_by_desc(Id)
        .limit(examined)
        .into_query();
    let by = [ConnectionId, Kind, CaughtUp];
    let mut query = Query::select();
    query.columns(by).expr(Func::count(Expr::val(1))).from_subquery(latest, "latest");
    query.group_by_columns(by).take()
}
