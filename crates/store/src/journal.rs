//! What people look at: the audit log, and what needs them.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{AttentionId, ConnectionId, OrderId, TenantId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{attention_items, audit_chains, audit_entries},
    error::StoreError,
    rows::{AttentionItem, AuditChain, AuditEntry},
};

impl AuditChain {
    /// A chain without any entry.
    #[must_use]
    pub const fn begin(tenant: TenantId) -> Self {
        Self { tenant_id: tenant.0, sequence: 0, link: Vec::new() }
    }
}

impl AttentionItem {
    /// An item that opens. It belongs to both modes and is about nothing but its subject, unless more is said of it.
    #[must_use]
    pub fn new(id: AttentionId, tenant: TenantId, about: (&str, String), detail: String, now: Timestamp) -> Self {
        let (kind, subject) = about;
        Self {
            id: id.0,
            tenant_id: tenant.0,
            livemode: None,
            kind: kind.to_owned(),
            subject,
            lookup: None,
            connection_id: None,
            order_id: None,
            inbound_id: None,
            detail,
            opened_at: micros(now),
            closed_at: None,
            dismissed_at: None,
            told_at: None,
        }
    }
}

impl Store {
    /// What needs a person at a tenant: its open items that nobody has dismissed, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention(&self, tenant: TenantId, limit: u64) -> Result<Vec<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find()
            .filter(attention_items::Column::TenantId.eq(tenant.0))
            .filter(attention_items::Column::ClosedAt.is_null())
            .filter(attention_items::Column::DismissedAt.is_null());
        Ok(query.order_by_desc(attention_items::Column::Id).limit(limit).all(&self.reader).await?)
    }
}

impl Write {
    /// Adds audit entries, in the transaction of what they tell.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        bulk::insert::<audit_entries::Entity>(&self.transaction, entries, Existing::Refuse).await?;
        Ok(())
    }

    /// The ends of these tenants' audit chains, kept for this transaction alone. A chain that has not begun ends at zero.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_audit_chains(
        &self,
        tenants: &BTreeSet<TenantId>,
    ) -> Result<BTreeMap<Uuid, AuditChain>, StoreError> {
        let mut ends = self.audit_chains(tenants).await?;
        let unknown: Vec<AuditChain> = tenants
            .iter()
            .filter(|tenant| !ends.contains_key(&tenant.0))
            .map(|tenant| AuditChain::begin(*tenant))
            .collect();
        if !unknown.is_empty() {
            // Another transaction may begin the same chain; then it is waited for, and its end is read.
            bulk::insert::<audit_chains::Entity>(&self.transaction, unknown, Existing::Keep).await?;
            ends = self.audit_chains(tenants).await?;
        }
        Ok(ends)
    }

    async fn audit_chains(&self, tenants: &BTreeSet<TenantId>) -> Result<BTreeMap<Uuid, AuditChain>, StoreError> {
        let mut ends = BTreeMap::new();
        let ids = tenants.iter().map(|tenant| tenant.0).collect();
        for condition in any_of(&self.transaction, audit_chains::Column::TenantId, ids) {
            let mut query = audit_chains::Entity::find().filter(condition).order_by_asc(audit_chains::Column::TenantId);
            if self.is_shared() {
                query = query.lock_exclusive();
            }
            ends.extend(query.all(&self.transaction).await?.into_iter().map(|end| (end.tenant_id, end)));
        }
        Ok(ends)
    }

    /// Writes the new ends of chains.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_audit_chains(&self, ends: Vec<AuditChain>) -> Result<(), StoreError> {
        bulk::insert::<audit_chains::Entity>(&self.transaction, ends, Existing::Replace).await?;
        Ok(())
    }

    /// The open items of these orders.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_attention(&self, orders: Vec<Uuid>) -> Result<Vec<AttentionItem>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, attention_items::Column::OrderId, orders.into_iter().collect()) {
            let query = attention_items::Entity::find().filter(condition);
            found.extend(query.filter(attention_items::Column::ClosedAt.is_null()).all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Opens items. One that is open, or that a person has dismissed, stays as it is; a closed one opens again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_items(&self, items: Vec<AttentionItem>) -> Result<(), StoreError> {
        use attention_items::Column::{ClosedAt, Detail, Kind, Livemode, Lookup, OrderId, Subject, TenantId};
        let again = Existing::Update {
            by: &[TenantId, Kind, Subject],
            columns: &[ClosedAt, Detail, Livemode, OrderId, Lookup],
        };
        bulk::insert::<attention_items::Entity>(&self.transaction, items, again).await?;
        Ok(())
    }

    /// Which of these kinds of items are open with these tenants.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_kinds(
        &self,
        tenants: &BTreeSet<TenantId>,
        kinds: &[&str],
    ) -> Result<BTreeSet<(TenantId, String)>, StoreError> {
        let mut open = BTreeSet::new();
        let ids = tenants.iter().map(|tenant| tenant.0).collect();
        for condition in any_of(&self.transaction, attention_items::Column::TenantId, ids) {
            let query = attention_items::Entity::find().select_only();
            let query = query.columns([attention_items::Column::TenantId, attention_items::Column::Kind]);
            let query = query.filter(condition).filter(attention_items::Column::Kind.is_in(kinds.iter().copied()));
            let query = query.filter(attention_items::Column::ClosedAt.is_null());
            let found: Vec<(Uuid, String)> = query.into_tuple().all(&self.transaction).await?;
            open.extend(found.into_iter().map(|(tenant, kind)| (TenantId(tenant), kind)));
        }
        Ok(open)
    }

    /// Closes items whose cause is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_items(&self, ids: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, attention_items::Column::Id, ids) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))))
                .col_expr(attention_items::Column::ToldAt, Expr::val(None::<i64>))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Closes the items of events that were held.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_items_of_events(&self, events: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, attention_items::Column::InboundId, events) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))))
                .col_expr(attention_items::Column::ToldAt, Expr::val(None::<i64>))
                .filter(condition)
                .filter(attention_items::Column::ClosedAt.is_null())
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Closes a tenant's items of one kind that are about these subjects, where they are open. One that was dismissed is
    /// forgotten to be: should its cause come back, that is news.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_items_about(
        &self,
        tenant: TenantId,
        kind: &str,
        subjects: Vec<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, attention_items::Column::Subject, subjects) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))))
                .col_expr(attention_items::Column::ToldAt, Expr::val(None::<i64>))
                .col_expr(attention_items::Column::DismissedAt, Expr::val(None::<i64>))
                .filter(attention_items::Column::TenantId.eq(tenant.0))
                .filter(attention_items::Column::Kind.eq(kind))
                .filter(condition)
                .filter(attention_items::Column::ClosedAt.is_null())
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// The orders that wait for something of this kind at a connection: for a price to be mapped, or for a customer to
    /// have an address. `lookup` none: any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn orders_waiting_for(
        &self,
        connection: ConnectionId,
        kind: &str,
        lookup: Option<Vec<String>>,
    ) -> Result<Vec<OrderId>, StoreError> {
        let conditions = match lookup {
            Some(values) => any_of(&self.transaction, attention_items::Column::Lookup, values.into_iter().collect()),
            None => vec![Expr::val(true)],
        };
        let mut orders = Vec::new();
        for condition in conditions {
            let found: Vec<Option<Uuid>> = attention_items::Entity::find()
                .select_only()
                .column(attention_items::Column::OrderId)
                .filter(attention_items::Column::ConnectionId.eq(connection.0))
                .filter(attention_items::Column::Kind.eq(kind))
                .filter(attention_items::Column::ClosedAt.is_null())
                .filter(condition)
                .into_tuple()
                .all(&self.transaction)
                .await?;
            orders.extend(found.into_iter().flatten().map(OrderId));
        }
        Ok(orders)
    }
}
