//! Vendors' own addresses to which events go, and who may call them now.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{TenantId, WebhookEndpointId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    deliveries::pending,
    entities::{
        deliveries,
        webhook_endpoints::{self, Column},
    },
    error::StoreError,
    lists::Whose,
    rows::WebhookEndpoint,
};

/// Whether an address is called, as stored.
pub mod status {
    /// It is.
    pub const ENABLED: &str = "enabled";
    /// A person has stopped it: its events are held.
    pub const PAUSED: &str = "paused";
    /// We have stopped it, for the reason that stands beside: its events are held.
    pub const DISABLED: &str = "disabled";
}

/// What people hear of an address, as stored.
pub mod attention {
    /// Nothing arrives there, and tomorrow it will not be called any more.
    pub const ENDPOINT_FAILING: &str = "webhook_endpoint_failing";
    /// It is not called any more.
    pub const ENDPOINT_DISABLED: &str = "webhook_endpoint_disabled";
    /// Events for it were given up.
    pub const DELIVERIES_DEAD: &str = "deliveries_dead";
}

/// An address that may be called, and when something is due there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Waiting {
    /// The address.
    pub id: Uuid,
    /// When the first of its deliveries is due; none: it has none.
    pub next_at: Option<i64>,
    /// Until when a node has the right to call it.
    pub lease_until: Option<i64>,
    /// Which turn of which node.
    pub lease_token: Option<Uuid>,
}

impl Store {
    /// All addresses of a tenant, live and of test mode, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn webhook_endpoints(&self, tenant: TenantId) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let query = webhook_endpoints::Entity::find().filter(Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(Column::Id).all(&self.reader).await?)
    }

    /// An address of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn webhook_endpoint(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        let query = webhook_endpoints::Entity::find_by_id(id.0)
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode));
        Ok(query.one(&self.reader).await?)
    }

    /// These addresses, of whatever tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn endpoints(&self, ids: Vec<Uuid>) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.reader, Column::Id, ids) {
            found.extend(webhook_endpoints::Entity::find().filter(condition).all(&self.reader).await?);
        }
        Ok(found)
    }

    /// The addresses that may be called, each with the moment at which something is due there. One look into an index for
    /// each address, however many deliveries wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn waiting_endpoints(&self) -> Result<Vec<Waiting>, StoreError> {
        let next = deliveries::Entity::find()
            .select_only()
            .column_as(deliveries::Column::NextAttemptAt.min(), "next_at")
            .filter(
                Expr::col((deliveries::Entity, deliveries::Column::EndpointId))
                    .equals((webhook_endpoints::Entity, Column::Id)),
            )
            .filter(pending())
            .into_query();
        let query = webhook_endpoints::Entity::find()
            .select_only()
            .columns([Column::Id, Column::LeaseUntil, Column::LeaseToken])
            .expr_as(SimpleExpr::from(next), "next_at")
            .filter(Column::Status.eq(status::ENABLED));
        Ok(query.into_model::<Waiting>().all(&self.reader).await?)
    }
}

impl Write {
    /// The addresses of these tenants, as this transaction sees them. Nobody changes them until it is over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn endpoints_of(&self, tenants: &BTreeSet<TenantId>) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, Column::TenantId, tenants.iter().map(|tenant| tenant.0).collect()) {
            let query = webhook_endpoints::Entity::find().filter(condition).order_by_asc(Column::Id);
            let query = if self.is_shared() { query.lock_shared() } else { query };
            found.extend(query.all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// An address of a tenant, locked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_endpoint(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        let found = self.lock_endpoints(vec![id.0]).await?.pop();
        Ok(found.filter(|row| row.tenant_id == whose.tenant.0 && row.livemode == whose.livemode))
    }

    /// These addresses, locked, in the order of their ids.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_endpoints(&self, ids: Vec<Uuid>) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, Column::Id, ids) {
            let query = webhook_endpoints::Entity::find().filter(condition).order_by_asc(Column::Id);
            let query = if self.is_shared() { query.lock_exclusive() } else { query };
            found.extend(query.all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Who has the right to call these addresses, of those that are there: the token of a lease, whether or not it is over.
    /// Nobody removes them or takes them over until this transaction is over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn endpoint_holders(&self, ids: Vec<Uuid>) -> Result<BTreeMap<Uuid, Option<Uuid>>, StoreError> {
        let mut found = BTreeMap::new();
        for condition in any_of(&self.transaction, Column::Id, ids) {
            let query = webhook_endpoints::Entity::find().select_only().columns([Column::Id, Column::LeaseToken]);
            let query = query.filter(condition);
            let query = if self.is_shared() { query.order_by_asc(Column::Id).lock_shared() } else { query };
            found.extend(query.into_tuple::<(Uuid, Option<Uuid>)>().all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Writes an address, new or changed.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`]: the tenant has another one of that code.
    pub async fn save_endpoint(&self, row: WebhookEndpoint) -> Result<(), StoreError> {
        self.save_endpoints(vec![row]).await
    }

    /// Writes addresses that are there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_endpoints(&self, rows: Vec<WebhookEndpoint>) -> Result<(), StoreError> {
        bulk::insert::<webhook_endpoints::Entity>(&self.transaction, rows, Existing::Replace).await?;
        Ok(())
    }

    /// Removes an address with all its deliveries.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_endpoint(&self, id: WebhookEndpointId) -> Result<(), StoreError> {
        self.remove_deliveries_of(id).await?;
        webhook_endpoints::Entity::delete_by_id(id.0).exec(&self.transaction).await?;
        Ok(())
    }

    /// Takes the right to call these addresses, or keeps it, until `until` or for as long as it was kept before. Returns those
    /// that are `token`'s now, as they are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_endpoints(
        &self,
        ids: Vec<Uuid>,
        token: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let free = Condition::any()
            .add(Column::LeaseUntil.is_null())
            .add(Column::LeaseUntil.lte(micros(now)))
            .add(Column::LeaseToken.eq(token));
        let is_longer = Column::LeaseToken.eq(token).and(Column::LeaseUntil.gt(micros(until)));
        let longer: SimpleExpr =
            Expr::case(is_longer, Expr::col(Column::LeaseUntil)).finally(Expr::val(Some(micros(until)))).into();
        let mut ours = Vec::new();
        for condition in any_of(&self.transaction, Column::Id, ids) {
            webhook_endpoints::Entity::update_many()
                .col_expr(Column::LeaseToken, Expr::val(Some(token)))
                .col_expr(Column::LeaseUntil, longer.clone())
                .filter(condition.clone())
                .filter(Column::Status.eq(status::ENABLED))
                .filter(free.clone())
                .exec(&self.transaction)
                .await?;
            let query = webhook_endpoints::Entity::find().filter(condition).filter(Column::LeaseToken.eq(token));
            ours.extend(query.all(&self.transaction).await?);
        }
        Ok(ours)
    }

    /// Gives the right to call addresses back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_endpoints(&self, ids: Vec<Uuid>, token: Uuid) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, Column::Id, ids) {
            webhook_endpoints::Entity::update_many()
                .col_expr(Column::LeaseToken, Expr::val(Option::<Uuid>::None))
                .col_expr(Column::LeaseUntil, Expr::val(Option::<i64>::None))
                .filter(condition)
                .filter(Column::LeaseToken.eq(token))
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }
}
