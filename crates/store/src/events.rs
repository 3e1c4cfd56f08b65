//! What happened here, as it is told to others.

use domain::{
    id::{CustomerId, EventId, LicenseId, OrderId, TenantId},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{
        deliveries,
        events::{self, Column},
        recoveries,
    },
    error::StoreError,
    lists::{Listed, Page, Whose, first_id, read_page},
    rows::Event,
};

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// About this license.
    pub license: Option<LicenseId>,
    /// About this order.
    pub order: Option<OrderId>,
    /// About this customer.
    pub customer: Option<CustomerId>,
}

impl Write {
    /// Adds events.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_events(&self, added: Vec<Event>) -> Result<(), StoreError> {
        bulk::insert::<events::Entity>(&self.transaction, added, Existing::Refuse).await?;
        Ok(())
    }
}

impl Write {
    /// Forgets what happened before then and is not on its way to anybody, nor about to be by a recovery that runs; so many
    /// rows at most. Returns how many went.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_events(&self, tenant: TenantId, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let delivery = Query::select()
            .expr(Expr::val(1))
            .from(deliveries::Entity)
            .and_where(
                Expr::col((deliveries::Entity, deliveries::Column::EventId)).equals((events::Entity, Column::Id)),
            )
            .to_owned();
        let recovery = Query::select()
            .expr(Expr::val(1))
            .from(recoveries::Entity)
            .and_where(Expr::cust("recoveries.status = 'running'"))
            .and_where(recoveries::Column::TenantId.eq(tenant.0))
            .and_where(
                Expr::col((recoveries::Entity, recoveries::Column::Since))
                    .lte(Expr::col((events::Entity, Column::OccurredAt))),
            )
            .to_owned();
        let query = events::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Livemode.is_in([true, false]))
            .filter(Column::Id.lt(first_id(before)))
            .filter(Expr::exists(delivery).not())
            .filter(Expr::exists(recovery).not())
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        for condition in any_of(&self.transaction, Column::Id, ids.clone()) {
            events::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        Ok(ids.len() as u64)
    }

    /// Forgets recoveries that were over before then. Returns how many went.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_recoveries(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let delete = recoveries::Entity::delete_many()
            .filter(recoveries::Column::TenantId.eq(tenant.0))
            .filter(recoveries::Column::DoneAt.lt(micros(before)));
        Ok(delete.exec(&self.transaction).await?.rows_affected)
    }
}

impl Store {
    /// How many events there are of a stretch of time, whole milliseconds at both ends. One look into an index.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_events(&self, whose: Whose, (since, until): (Timestamp, Timestamp)) -> Result<u64, StoreError> {
        let behind = after(until, SignedDuration::from_millis(1));
        let query = events::Entity::find()
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode))
            .filter(Column::Id.gte(first_id(since)))
            .filter(Column::Id.lt(first_id(behind)));
        Ok(query.count(&self.reader).await?)
    }

    /// A page of events.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_events(
        &self,
        whose: Whose,
        filter: &EventFilter,
        page: Page,
    ) -> Result<Listed<Event>, StoreError> {
        let query = events::Entity::find()
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode))
            .filter(
                Condition::all()
                    .add_option(filter.kind.as_deref().map(|kind| Column::Kind.eq(kind)))
                    .add_option(filter.license.map(|id| Column::LicenseId.eq(id.0)))
                    .add_option(filter.order.map(|id| Column::OrderId.eq(id.0)))
                    .add_option(filter.customer.map(|id| Column::CustomerId.eq(id.0))),
            );
        read_page(&self.reader, query, Column::Id, page).await
    }

    /// An event of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn event(&self, whose: Whose, id: EventId) -> Result<Option<Event>, StoreError> {
        let query = events::Entity::find_by_id(id.0)
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode));
        Ok(query.one(&self.reader).await?)
    }

    /// These events, of whatever tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events(&self, ids: Vec<Uuid>) -> Result<Vec<Event>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.reader, Column::Id, ids) {
            found.extend(events::Entity::find().filter(condition).all(&self.reader).await?);
        }
        Ok(found)
    }

    /// How many events of a kind a tenant has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events_of_kind(&self, tenant: TenantId, kind: &str) -> Result<u64, StoreError> {
        let query = events::Entity::find().filter(Column::TenantId.eq(tenant.0));
        Ok(query.filter(Column::Kind.eq(kind)).count(&self.reader).await?)
    }
}
