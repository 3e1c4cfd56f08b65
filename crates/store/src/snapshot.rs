//! The database as of one moment, for the doctor: what was committed together is seen together, while others write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    decision::Catalogue,
    fact::{Fact, FactError},
    id::{ConnectionId, LicenseId, OrderId, TenantId, WebhookEndpointId},
    text::{CustomerReference, Reference},
};
use jiff::Timestamp;
use sea_orm::{
    AccessMode, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IsolationLevel, QueryFilter, QueryOrder,
    QuerySelect, TransactionOptions, TransactionTrait,
    sea_query::{ExprTrait, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, StoredIdentity, StoredOrder,
    bulk::any_of,
    convert::{self, instant, micros},
    customers,
    entities::{
        activations, attention_items, audit_chains, audit_entries, connections, deliveries, events, facts, identities,
        license_keys, licenses, mails, order_references, orders, signing_keys, webhook_endpoints,
    },
    error::StoreError,
    lists::{Whose, sales},
    rows::{
        Activation, AttentionItem, AuditChain, AuditEntry, Connection, Event, LicenseKey, Mail, SigningKey,
        WebhookEndpoint,
    },
};

mod pending;

pub use pending::Pending;

/// The database as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    transaction: DatabaseTransaction,
}

/// An order as the doctor sees it, even if something of it does not read.
#[derive(Debug)]
pub struct SeenOrder {
    /// Its id.
    pub id: OrderId,
    /// The order with its licenses.
    pub order: Result<StoredOrder, StoreError>,
    /// Licenses whose columns, by which lists are filtered, say something else than their documents.
    pub torn: Vec<LicenseId>,
}

impl Store {
    /// Begins to read. It is over when the value is dropped; keep it short, since old rows are kept for it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        // A transaction of SQLite always sees one moment; PostgreSQL has to be asked for that.
        let (isolation_level, access_mode) = match self.is_shared() {
            true => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
            false => (None, None),
        };
        let options = TransactionOptions { isolation_level, access_mode, ..TransactionOptions::default() };
        Ok(Snapshot { transaction: self.reader.begin_with_options(options).await? })
    }
}

impl Snapshot {
    /// For queries that stand with their tables.
    pub(crate) const fn transaction(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// The ids of orders that come after one, redirects included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn orders_after(&self, after: OrderId, limit: u64) -> Result<Vec<OrderId>, StoreError> {
        let query = orders::Entity::find().select_only().column(orders::Column::Id);
        let query = query.filter(orders::Column::Id.gt(after.0)).order_by_asc(orders::Column::Id).limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// The ids of a tenant's orders of one mode that came in before the end of a window and about which something was
    /// told since its beginning; those behind an order, the newest first. Orders that became part of another are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn orders_between(
        &self,
        whose: Whose,
        (since, until): (Timestamp, Timestamp),
        connection: Option<ConnectionId>,
        behind: Option<OrderId>,
        limit: u64,
    ) -> Result<Vec<OrderId>, StoreError> {
        let optional = Condition::all()
            .add_option(connection.map(|id| orders::Column::ConnectionId.eq(id.0)))
            .add_option(behind.map(|id| orders::Column::Id.lt(id.0)));
        let query = orders::Entity::find()
            .select_only()
            .column(orders::Column::Id)
            .filter(sales::orders_of(whose))
            .filter(orders::Column::UpdatedAt.gte(micros(since)))
            .filter(orders::Column::CreatedAt.lt(micros(until)))
            .filter(orders::Column::MergedInto.is_null())
            .filter(optional)
            .order_by_desc(orders::Column::Id)
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// These orders with their licenses.
    ///
    /// # Errors
    /// Those of the database. What does not read is told with its order.
    pub async fn orders(&self, ids: &[OrderId]) -> Result<Vec<SeenOrder>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let found = self.all::<orders::Entity>(any_of(&self.transaction, orders::Column::Id, ids.clone())).await?;
        let mut of_order: HashMap<Uuid, Vec<licenses::Model>> = HashMap::new();
        for row in self.all::<licenses::Entity>(any_of(&self.transaction, licenses::Column::OrderId, ids)).await? {
            of_order.entry(row.order_id).or_default().push(row);
        }
        let seen = found.into_iter().map(|row| {
            let id = OrderId(row.id);
            let licenses = of_order.remove(&row.id).unwrap_or_default();
            let order = with_licenses(row, &licenses);
            let torn = order.as_ref().map(|order| torn(order, &licenses)).unwrap_or_default();
            SeenOrder { id, order, torn }
        });
        Ok(seen.collect())
    }

    /// Which of these orders are there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn existing_orders(&self, ids: &BTreeSet<OrderId>) -> Result<BTreeSet<OrderId>, StoreError> {
        let mut existing = BTreeSet::new();
        for condition in any_of(&self.transaction, orders::Column::Id, ids.iter().map(|id| id.0).collect()) {
            let query = orders::Entity::find().select_only().column(orders::Column::Id).filter(condition);
            let found: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
            existing.extend(found.into_iter().map(OrderId));
        }
        Ok(existing)
    }

    /// The names of these orders.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn references(
        &self,
        orders: &[OrderId],
    ) -> Result<HashMap<OrderId, BTreeSet<(ConnectionId, Reference)>>, StoreError> {
        let conditions =
            any_of(&self.transaction, order_references::Column::OrderId, orders.iter().map(|id| id.0).collect());
        let mut names: HashMap<OrderId, BTreeSet<_>> = HashMap::new();
        for row in self.all::<order_references::Entity>(conditions).await? {
            let name = (ConnectionId(row.connection_id), Reference::new(row.reference));
            names.entry(OrderId(row.order_id)).or_default().insert(name);
        }
        Ok(names)
    }

    /// What events said about these orders.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn facts(
        &self,
        orders: &[OrderId],
    ) -> Result<HashMap<OrderId, Vec<Result<Fact, FactError>>>, StoreError> {
        let conditions = any_of(&self.transaction, facts::Column::OrderId, orders.iter().map(|id| id.0).collect());
        let mut said: HashMap<OrderId, Vec<_>> = HashMap::new();
        for row in self.all::<facts::Entity>(conditions).await? {
            let fact = Fact::decode(&row.kind, row.version.unsigned_abs(), &row.body);
            said.entry(OrderId(row.order_id.unwrap_or_default())).or_default().push(fact);
        }
        Ok(said)
    }

    /// What is open about these orders.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_attention(&self, orders: &[OrderId]) -> Result<Vec<AttentionItem>, StoreError> {
        let of_orders =
            any_of(&self.transaction, attention_items::Column::OrderId, orders.iter().map(|id| id.0).collect());
        let open = of_orders.into_iter().map(|of_orders| of_orders.and(attention_items::Column::ClosedAt.is_null()));
        self.all::<attention_items::Entity>(open.collect()).await
    }

    /// The keys that open these licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn license_keys(&self, licenses: &[LicenseId]) -> Result<Vec<LicenseKey>, StoreError> {
        self.all::<license_keys::Entity>(any_of(&self.transaction, license_keys::Column::LicenseId, plain(licenses)))
            .await
    }

    /// The mails about these licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mails(&self, licenses: &[LicenseId]) -> Result<Vec<Mail>, StoreError> {
        self.all::<mails::Entity>(any_of(&self.transaction, mails::Column::LicenseId, plain(licenses))).await
    }

    /// Where these licenses are in use.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn activations(&self, licenses: &[LicenseId]) -> Result<Vec<Activation>, StoreError> {
        self.all::<activations::Entity>(any_of(&self.transaction, activations::Column::LicenseId, plain(licenses)))
            .await
    }

    /// When something of this kind was last written about these licenses in the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_audited(
        &self,
        action: &str,
        licenses: &[LicenseId],
    ) -> Result<HashMap<LicenseId, Timestamp>, StoreError> {
        let mut last: HashMap<LicenseId, Timestamp> = HashMap::new();
        let ids = licenses.iter().map(|id| id.0).collect();
        for condition in any_of(&self.transaction, audit_entries::Column::LicenseId, ids) {
            let query = audit_entries::Entity::find()
                .select_only()
                .columns([audit_entries::Column::LicenseId, audit_entries::Column::OccurredAt])
                .filter(condition)
                .filter(audit_entries::Column::Action.eq(action));
            let found: Vec<(Option<Uuid>, i64)> = query.into_tuple().all(&self.transaction).await?;
            for (license, at) in found {
                let at = instant(at);
                let known = last.entry(LicenseId(license.unwrap_or_default())).or_insert(at);
                *known = at.max(*known);
            }
        }
        Ok(last)
    }

    /// The orders of which some event was played again. Its facts then replaced those it had said before, and the order
    /// still knows both. This reads the whole audit log; people play events again, so the answer is short.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn replayed_orders(&self) -> Result<BTreeSet<OrderId>, StoreError> {
        let query = audit_entries::Entity::find()
            .select_only()
            .column(audit_entries::Column::OrderId)
            .filter(audit_entries::Column::Action.eq("event.replayed"))
            .filter(audit_entries::Column::OrderId.is_not_null());
        let found: Vec<Uuid> = query.distinct().into_tuple().all(&self.transaction).await?;
        let mut replayed: BTreeSet<Uuid> = found.iter().copied().collect();
        let mut next = found;
        // An order may have become a part of another since, and that one of a third.
        while !next.is_empty() {
            let mut targets = Vec::new();
            for condition in any_of(&self.transaction, orders::Column::Id, std::mem::take(&mut next)) {
                let query = orders::Entity::find().select_only().column(orders::Column::MergedInto).filter(condition);
                let query = query.filter(orders::Column::MergedInto.is_not_null());
                targets.extend(query.into_tuple::<Uuid>().all(&self.transaction).await?);
            }
            next.extend(targets.into_iter().filter(|target| replayed.insert(*target)));
        }
        Ok(replayed.into_iter().map(OrderId).collect())
    }

    /// What is known of these customers of providers.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn identities(
        &self,
        wanted: &BTreeSet<(ConnectionId, CustomerReference)>,
    ) -> Result<Vec<StoredIdentity>, StoreError> {
        let references: BTreeSet<&str> = wanted.iter().map(|(_, reference)| reference.as_str()).collect();
        let references = references.into_iter().map(str::to_owned).collect();
        let rows = self
            .all::<identities::Entity>(any_of(&self.transaction, identities::Column::Reference, references))
            .await?;
        let found = rows.into_iter().map(customers::identity).collect::<Result<Vec<_>, _>>()?;
        let is_wanted =
            |identity: &StoredIdentity| wanted.contains(&(identity.connection, identity.fact.reference.clone()));
        Ok(found.into_iter().filter(is_wanted).collect())
    }

    /// All plans and rules of a tenant.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn catalogue(&self, tenant: TenantId) -> Result<Catalogue, StoreError> {
        crate::catalogue::read(&self.transaction, tenant).await
    }

    /// The revision of each tenant's catalogue.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn catalogue_revisions(&self) -> Result<BTreeMap<TenantId, i64>, StoreError> {
        let tenants = crate::entities::tenants::Entity::find().all(&self.transaction).await?;
        Ok(tenants.into_iter().map(|tenant| (TenantId(tenant.id), tenant.catalogue_revision)).collect())
    }

    /// Where a tenant's audit chain ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_chain(&self, tenant: TenantId) -> Result<AuditChain, StoreError> {
        let end = audit_chains::Entity::find_by_id(tenant.0).one(&self.transaction).await?;
        Ok(end.unwrap_or_else(|| AuditChain::begin(tenant)))
    }

    /// A tenant's audit entries after that number, in the order of their chain.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_after(
        &self,
        tenant: TenantId,
        sequence: i64,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let query = audit_entries::Entity::find()
            .filter(audit_entries::Column::TenantId.eq(tenant.0))
            .filter(audit_entries::Column::Sequence.gt(sequence))
            .order_by_asc(audit_entries::Column::Sequence)
            .limit(limit);
        Ok(query.all(&self.transaction).await?)
    }

    /// Every connection of every tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        self.all::<connections::Entity>(vec![connections::Column::Id.is_not_null()]).await
    }

    /// Every key that signs leases. There are few.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.all::<signing_keys::Entity>(vec![signing_keys::Column::Kid.is_not_null()]).await
    }

    /// Every address to which events go. There are few for each tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, StoreError> {
        self.all::<webhook_endpoints::Entity>(vec![webhook_endpoints::Column::Id.is_not_null()]).await
    }

    /// The next events of a tenant in one mode that happened since then, behind one of them. Examples are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events_after(
        &self,
        whose: Whose,
        since: Timestamp,
        behind: Uuid,
        limit: u64,
    ) -> Result<Vec<Event>, StoreError> {
        use events::Column;
        let query = events::Entity::find()
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode))
            .filter(Column::OccurredAt.gte(micros(since)))
            .filter(Column::Example.eq(false))
            .filter(Column::Id.gt(behind))
            .order_by_asc(Column::Id)
            .limit(limit);
        Ok(query.all(&self.transaction).await?)
    }

    /// Which of these events are on their way to an address, or were.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn with_delivery(
        &self,
        endpoint: WebhookEndpointId,
        events: Vec<Uuid>,
    ) -> Result<BTreeSet<Uuid>, StoreError> {
        let mut found = BTreeSet::new();
        for condition in any_of(&self.transaction, deliveries::Column::EventId, events) {
            let query = deliveries::Entity::find().select_only().column(deliveries::Column::EventId).filter(condition);
            let query = query.filter(deliveries::Column::EndpointId.eq(endpoint.0));
            found.extend(query.into_tuple::<Uuid>().all(&self.transaction).await?);
        }
        Ok(found)
    }

    async fn all<E: EntityTrait>(&self, conditions: Vec<SimpleExpr>) -> Result<Vec<E::Model>, StoreError> {
        let mut found = Vec::new();
        for condition in conditions {
            found.extend(E::find().filter(condition).all(&self.transaction).await?);
        }
        Ok(found)
    }
}

fn plain(licenses: &[LicenseId]) -> Vec<Uuid> {
    licenses.iter().map(|id| id.0).collect()
}

fn with_licenses(row: orders::Model, licenses: &[licenses::Model]) -> Result<StoredOrder, StoreError> {
    let mut order = convert::order(row)?;
    order.licenses = licenses.iter().map(convert::license).collect::<Result<_, _>>()?;
    Ok(order)
}

/// What stands in columns beside a document is written from it; one that differs was changed by somebody else. The
/// documents themselves may be of an older release, which wrote them in other words.
fn torn(order: &StoredOrder, rows: &[licenses::Model]) -> Vec<LicenseId> {
    let differs = |(license, row): &(&domain::license::License, &licenses::Model)| {
        let mut written = convert::license_row(license, order, instant(row.updated_at));
        written.unit.clone_from(&row.unit);
        written.standing.clone_from(&row.standing);
        written.rulings.clone_from(&row.rulings);
        written != **row
    };
    order.licenses.iter().zip(rows).filter(differs).map(|(license, _)| license.id).collect()
}
