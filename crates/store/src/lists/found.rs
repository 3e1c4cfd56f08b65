//! What a person looks for by one exact text, and counts for pages.

use std::collections::HashMap;

use domain::{
    activation::Software,
    id::{InboundId, LicenseId, OrderId, TenantId},
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::SimpleExpr,
};
use uuid::Uuid;

use super::{
    InboundSummary, Whose,
    events::{attention_of, inbound_of, summary},
    sales::orders_of,
};
use crate::{
    Store,
    bulk::any_of,
    convert::instant,
    entities::{
        activations, attention_items, connections, deliveries, facts, inbound_events, license_keys, licenses, orders,
        tenants,
    },
    error::StoreError,
    rows::{Delivery, Plan, Tenant},
};

impl Store {
    /// A tenant by its id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenant_with_id(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        Ok(tenants::Entity::find_by_id(id.0).one(&self.reader).await?)
    }

    /// The newest version of each plan of a tenant, by code.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn newest_plans(&self, tenant: TenantId) -> Result<Vec<Plan>, StoreError> {
        let mut plans = self.plans(tenant).await?;
        plans.sort_by(|one, other| (&one.code, other.version).cmp(&(&other.code, one.version)));
        plans.dedup_by(|one, other| one.code == other.code);
        Ok(plans)
    }

    /// Whether a tenant has sold anything for real money.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_live_order(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let query = orders::Entity::find().select_only().column(orders::Column::Id);
        let query = query.filter(orders_of(Whose { tenant, livemode: true }));
        Ok(query.into_tuple::<Uuid>().one(&self.reader).await?.is_some())
    }

    /// How many open items nobody has laid aside.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_attention(&self, whose: Whose) -> Result<u64, StoreError> {
        let query = attention_items::Entity::find()
            .filter(attention_of(whose))
            .filter(attention_items::Column::ClosedAt.is_null())
            .filter(attention_items::Column::DismissedAt.is_null());
        Ok(query.count(&self.reader).await?)
    }

    /// The inbound events with a provider's id, at whatever connection.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn inbound_with_key(&self, whose: Whose, key: &str) -> Result<Vec<InboundId>, StoreError> {
        let connections = connections::Entity::find().filter(connections::Column::TenantId.eq(whose.tenant.0));
        let ids = connections.all(&self.reader).await?.into_iter().map(|row| row.id);
        let query = inbound_events::Entity::find()
            .select_only()
            .column(inbound_events::Column::Id)
            .filter(inbound_events::Column::ConnectionId.is_in(ids))
            .filter(inbound_events::Column::EventKey.eq(key))
            .filter(inbound_events::Column::Livemode.eq(whose.livemode));
        Ok(query.into_tuple::<Uuid>().all(&self.reader).await?.into_iter().map(InboundId).collect())
    }

    /// What providers told of an order, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn inbound_of_order(
        &self,
        whose: Whose,
        order: OrderId,
        limit: u64,
    ) -> Result<Vec<InboundSummary>, StoreError> {
        let told = facts::Entity::find().select_only().column(facts::Column::InboundId).distinct();
        let told = told.filter(facts::Column::OrderId.eq(order.0)).order_by_desc(facts::Column::InboundId).limit(limit);
        let ids: Vec<Uuid> = told.into_tuple().all(&self.reader).await?;
        let mut found = Vec::with_capacity(ids.len());
        for condition in any_of(&self.reader, inbound_events::Column::Id, ids) {
            let query = summary().filter(condition).filter(inbound_of(whose));
            found.extend(query.into_model::<InboundSummary>().all(&self.reader).await?);
        }
        found.sort_by_key(|row| std::cmp::Reverse(row.id));
        Ok(found)
    }

    /// Whether any device uses a license of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_activation(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let query = activations::Entity::find().select_only().column(activations::Column::Id);
        let query = query.filter(activations::Column::TenantId.eq(tenant.0));
        Ok(query.into_tuple::<Uuid>().one(&self.reader).await?.is_some())
    }

    /// How many devices use each of these licenses, and when one was seen last; those that none uses are not named.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&self, licenses: Vec<LicenseId>) -> Result<HashMap<LicenseId, (u64, Timestamp)>, StoreError> {
        use activations::Column;
        let mut counts = HashMap::with_capacity(licenses.len());
        for condition in any_of(&self.reader, Column::LicenseId, licenses.into_iter().map(|id| id.0).collect()) {
            let query = activations::Entity::find().select_only().column(Column::LicenseId).filter(condition);
            let query = query.column_as(Column::Id.count(), "count").group_by(Column::LicenseId);
            let query = query.column_as(Column::LastSeenAt.max(), "seen");
            let rows: Vec<(Uuid, i64, i64)> = query.into_tuple().all(&self.reader).await?;
            counts.extend(
                rows.into_iter().map(|(id, count, seen)| (LicenseId(id), (count.unsigned_abs(), instant(seen)))),
            );
        }
        Ok(counts)
    }

    /// What the apps on the devices of these licenses say of themselves, each thing once.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn software(&self, licenses: Vec<LicenseId>) -> Result<HashMap<LicenseId, Vec<Software>>, StoreError> {
        use activations::Column;
        let mut told: HashMap<LicenseId, Vec<Software>> = HashMap::new();
        for condition in any_of(&self.reader, Column::LicenseId, licenses.into_iter().map(|id| id.0).collect()) {
            let query = activations::Entity::find().select_only().filter(condition).distinct();
            let query = query.columns([Column::LicenseId, Column::AppVersion, Column::Os]);
            let rows: Vec<(Uuid, Option<String>, Option<String>)> = query.into_tuple().all(&self.reader).await?;
            for (id, app_version, os) in rows {
                told.entry(LicenseId(id)).or_default().push(Software { app_version, os });
            }
        }
        Ok(told)
    }

    /// The licenses whose key has one of these endings in its canonical form.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn licenses_with_key_end(
        &self,
        whose: Whose,
        endings: Vec<String>,
        limit: usize,
    ) -> Result<Vec<LicenseId>, StoreError> {
        let mut ids = Vec::new();
        for query in with_endings(&self.reader, endings) {
            let found: Vec<(Uuid, Uuid)> = query.into_tuple().all(&self.reader).await?;
            ids.extend(found.into_iter().filter(|(tenant, _)| *tenant == whose.tenant.0).map(|(_, id)| id));
        }
        ids.truncate(limit);
        self.of_whose(whose, ids).await
    }

    /// The licenses that a device or domain uses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn licenses_used_by(
        &self,
        whose: Whose,
        fingerprint: &str,
        limit: u64,
    ) -> Result<Vec<LicenseId>, StoreError> {
        let query = activations::Entity::find()
            .select_only()
            .column(activations::Column::LicenseId)
            .filter(activations::Column::Fingerprint.eq(fingerprint))
            .filter(activations::Column::TenantId.eq(whose.tenant.0))
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.reader).await?;
        self.of_whose(whose, ids).await
    }

    /// Those of these licenses that may be seen.
    async fn of_whose(&self, whose: Whose, ids: Vec<Uuid>) -> Result<Vec<LicenseId>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for condition in any_of(&self.reader, licenses::Column::Id, ids) {
            let query = licenses::Entity::find()
                .select_only()
                .column(licenses::Column::Id)
                .filter(condition)
                .filter(licenses::Column::TenantId.eq(whose.tenant.0))
                .filter(licenses::Column::Livemode.eq(whose.livemode));
            found.extend(query.into_tuple::<Uuid>().all(&self.reader).await?.into_iter().map(LicenseId));
        }
        found.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        Ok(found)
    }

    /// What a vendor's own systems were told of a license, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn deliveries_about(
        &self,
        whose: Whose,
        license: LicenseId,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        use crate::entities::events;
        let told = events::Entity::find()
            .select_only()
            .column(events::Column::Id)
            .filter(events::Column::LicenseId.eq(license.0))
            .filter(events::Column::TenantId.eq(whose.tenant.0))
            .order_by_desc(events::Column::Id)
            .limit(limit);
        let ids: Vec<Uuid> = told.into_tuple().all(&self.reader).await?;
        let mut found = Vec::new();
        for condition in any_of(&self.reader, deliveries::Column::EventId, ids) {
            found.extend(deliveries::Entity::find().filter(condition).all(&self.reader).await?);
        }
        Ok(found)
    }
}

/// Tenants and licenses of the keys with these endings.
pub(crate) fn with_endings(
    reader: &DatabaseConnection,
    endings: Vec<String>,
) -> impl Iterator<Item = Select<license_keys::Entity>> {
    let select = |condition| {
        license_keys::Entity::find()
            .select_only()
            .column(license_keys::Column::TenantId)
            .column(license_keys::Column::LicenseId)
            .filter::<SimpleExpr>(condition)
    };
    any_of(reader, license_keys::Column::Ending, endings).into_iter().map(select)
}
