//! What a change of the configuration rests on, read in the transaction that makes it.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{ApiKeyId, TenantId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::{api_keys, connections, inbound_events, plans, price_rules, settings, tenants},
    error::StoreError,
    rows::{ApiKey, Connection, Plan, PriceRule, Tenant},
};

impl Write {
    /// The tenant, kept for this transaction alone: configurations change one after the other, and a batch that still
    /// decides by the old one ends first, so that every order that waits is seen by whoever ends its wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_catalogue(&self, tenant: TenantId) -> Result<Option<Tenant>, StoreError> {
        let mut query = tenants::Entity::find_by_id(tenant.0);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Gives a tenant another name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rename_tenant(&self, tenant: TenantId, name: &str) -> Result<(), StoreError> {
        tenants::Entity::update_many()
            .col_expr(tenants::Column::Name, Expr::val(name))
            .filter(tenants::Column::Id.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Has a tenant remember deliveries for another time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep_deliveries(&self, tenant: TenantId, days: u16) -> Result<(), StoreError> {
        tenants::Entity::update_many()
            .col_expr(tenants::Column::DeliveriesKeptDays, Expr::val(Some(i32::from(days))))
            .filter(tenants::Column::Id.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Has a tenant's pages shown to members with a second factor only, or to all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn require_second_factor(&self, tenant: TenantId, required: bool) -> Result<(), StoreError> {
        tenants::Entity::update_many()
            .col_expr(tenants::Column::RequiresSecondFactor, Expr::val(required))
            .filter(tenants::Column::Id.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Gives a tenant's account another status.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_tenant_status(&self, tenant: TenantId, status: &str) -> Result<(), StoreError> {
        tenants::Entity::update_many()
            .col_expr(tenants::Column::Status, Expr::val(status))
            .filter(tenants::Column::Id.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// A tenant's plans, each in its latest version.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn current_plans(&self, tenant: TenantId) -> Result<Vec<Plan>, StoreError> {
        let query = plans::Entity::find().filter(plans::Column::TenantId.eq(tenant.0));
        let versions = query.order_by_asc(plans::Column::Version).all(&self.transaction).await?;
        let latest: BTreeMap<Uuid, Plan> = versions.into_iter().map(|plan| (plan.id, plan)).collect();
        Ok(latest.into_values().collect())
    }

    /// A tenant's price rules.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn price_rules(&self, tenant: TenantId) -> Result<Vec<PriceRule>, StoreError> {
        let query = price_rules::Entity::find().filter(price_rules::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(price_rules::Column::Id).all(&self.transaction).await?)
    }

    /// A tenant's connections, kept for this transaction alone: a rotation of master keys writes them too.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_connections(&self, tenant: TenantId) -> Result<Vec<Connection>, StoreError> {
        let query = connections::Entity::find().filter(connections::Column::TenantId.eq(tenant.0));
        let mut query = query.order_by_asc(connections::Column::Id);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.all(&self.transaction).await?)
    }

    /// Every connection of every tenant, as of this transaction. There are few.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        Ok(connections::Entity::find().all(&self.transaction).await?)
    }

    /// Which of these connections have ever taken an event in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connections_with_events(&self, ids: Vec<Uuid>) -> Result<BTreeSet<Uuid>, StoreError> {
        let mut used = BTreeSet::new();
        for id in ids {
            let first: Option<Uuid> = inbound_events::Entity::find()
                .select_only()
                .column(inbound_events::Column::Id)
                .filter(inbound_events::Column::ConnectionId.eq(id))
                .limit(1)
                .into_tuple()
                .one(&self.transaction)
                .await?;
            if first.is_some() {
                used.insert(id);
            }
        }
        Ok(used)
    }

    /// A tenant's API keys, revoked ones included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let query = api_keys::Entity::find().filter(api_keys::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(api_keys::Column::Id).all(&self.transaction).await?)
    }

    /// Whose API key has this id, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenant_of_api_key(&self, id: ApiKeyId) -> Result<Option<TenantId>, StoreError> {
        let row = api_keys::Entity::find_by_id(id.0).one(&self.transaction).await?;
        Ok(row.map(|row| TenantId(row.tenant_id)))
    }

    /// A single stored value, as of this transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut query = settings::Entity::find_by_id(name.to_owned());
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?.map(|row| row.value))
    }

    /// Writes a single value where none is. Of two nodes that do this at once, the second finds the first one's.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_first_setting(&self, name: &str, value: String) -> Result<(), StoreError> {
        let row = settings::Model { name: name.to_owned(), value };
        bulk::insert::<settings::Entity>(&self.transaction, vec![row], Existing::Keep).await?;
        Ok(())
    }
}

impl Store {
    /// Whether there is any API key that opens something.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_api_key(&self) -> Result<bool, StoreError> {
        let query = api_keys::Entity::find().filter(api_keys::Column::RevokedAt.is_null());
        Ok(query.one(&self.reader).await?.is_some())
    }

    /// Remembers that an API key was used, unless that was remembered after `since`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_api_key_use(&self, id: ApiKeyId, since: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let stale = Condition::any()
            .add(api_keys::Column::LastUsedAt.is_null())
            .add(api_keys::Column::LastUsedAt.lte(micros(since)));
        api_keys::Entity::update_many()
            .col_expr(api_keys::Column::LastUsedAt, Expr::val(Some(micros(now))))
            .filter(api_keys::Column::Id.eq(id.0))
            .filter(stale)
            .exec(&self.writer)
            .await?;
        Ok(())
    }
}
