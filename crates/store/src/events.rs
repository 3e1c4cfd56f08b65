//! What happened here, as it is told to others.

use domain::id::{CustomerId, EventId, LicenseId, OrderId, TenantId};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    entities::events::{self, Column},
    error::StoreError,
    lists::{Listed, Page, Whose, read_page},
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

impl Store {
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
