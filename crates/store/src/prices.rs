//! Prices that this server has made at providers, one for each plan and connection, and those before them.

use domain::id::TenantId;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::plan_prices,
    error::StoreError,
    rows::PlanPrice,
};

impl Store {
    /// A price.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn plan_price(&self, id: Uuid) -> Result<Option<PlanPrice>, StoreError> {
        Ok(plan_prices::Entity::find_by_id(id).one(&self.reader).await?)
    }

    /// A tenant's prices, retired ones included, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn plan_prices(&self, tenant: TenantId) -> Result<Vec<PlanPrice>, StoreError> {
        let query = plan_prices::Entity::find().filter(plan_prices::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(plan_prices::Column::Id).all(&self.reader).await?)
    }
}

impl Write {
    /// A tenant's prices, retired ones included, as of this transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn plan_prices(&self, tenant: TenantId) -> Result<Vec<PlanPrice>, StoreError> {
        let query = plan_prices::Entity::find().filter(plan_prices::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(plan_prices::Column::Id).all(&self.transaction).await?)
    }

    /// Adds prices that are to be made.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_plan_prices(&self, added: Vec<PlanPrice>) -> Result<(), StoreError> {
        bulk::insert::<plan_prices::Entity>(&self.transaction, added, Existing::Refuse).await?;
        Ok(())
    }

    /// Nobody is to buy at this price any more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn retire_plan_price(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        plan_prices::Entity::update_many()
            .col_expr(plan_prices::Column::RetiredAt, Expr::val(Some(micros(now))))
            .filter(plan_prices::Column::Id.eq(id))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// The provider is about to be asked to make a price; none: it has refused, so that nothing was made.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ask_plan_price(&self, id: Uuid, asked_at: Option<Timestamp>) -> Result<(), StoreError> {
        plan_prices::Entity::update_many()
            .col_expr(plan_prices::Column::AskedAt, Expr::val(asked_at.map(micros)))
            .filter(plan_prices::Column::Id.eq(id))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Notes what the provider calls a price. Returns the price as it is then: it may have been retired meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn name_plan_price(&self, id: Uuid, reference: &str) -> Result<Option<PlanPrice>, StoreError> {
        plan_prices::Entity::update_many()
            .col_expr(plan_prices::Column::Reference, Expr::val(Some(reference.to_owned())))
            .filter(plan_prices::Column::Id.eq(id))
            .exec(&self.transaction)
            .await?;
        Ok(plan_prices::Entity::find_by_id(id).one(&self.transaction).await?)
    }
}
