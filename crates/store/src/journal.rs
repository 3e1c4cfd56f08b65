//! What people look at: the audit log, and what needs them.

use domain::id::{ConnectionId, OrderId, TenantId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{attention_items, audit_entries, leaderships},
    error::StoreError,
    rows::{AttentionItem, AuditEntry},
};

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

    /// Takes, or keeps, a leadership until then. A single row decides, by the clocks of the nodes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lead(&self, name: &str, owner: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        use leaderships::Column;
        let row = leaderships::Model { name: name.to_owned(), owner, until: micros(until) };
        bulk::insert::<leaderships::Entity>(&self.transaction, vec![row], Existing::Keep).await?;
        let mine_or_over = Condition::any().add(Column::Owner.eq(owner)).add(Column::Until.lt(micros(now)));
        let taken = leaderships::Entity::update_many()
            .col_expr(Column::Owner, Expr::val(owner))
            .col_expr(Column::Until, Expr::val(micros(until)))
            .filter(Column::Name.eq(name))
            .filter(mine_or_over)
            .exec(&self.transaction)
            .await?;
        Ok(taken.rows_affected == 1)
    }

    /// A tenant's audit entries that are not chained yet, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unsealed_audit(&self, tenant: TenantId, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
        let query = audit_entries::Entity::find()
            .filter(audit_entries::Column::TenantId.eq(tenant.0))
            .filter(audit_entries::Column::Sequence.is_null())
            .order_by_asc(audit_entries::Column::Id)
            .limit(limit);
        Ok(query.all(&self.transaction).await?)
    }

    /// The last number of a tenant's chain and its link; zero and nothing where there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_tail(&self, tenant: TenantId) -> Result<(i64, Vec<u8>), StoreError> {
        let query = audit_entries::Entity::find()
            .filter(audit_entries::Column::TenantId.eq(tenant.0))
            .filter(audit_entries::Column::Sequence.is_not_null())
            .order_by_desc(audit_entries::Column::Sequence);
        let last = query.one(&self.transaction).await?;
        Ok(last.map_or((0, Vec::new()), |entry| (entry.sequence.unwrap_or_default(), entry.chain.unwrap_or_default())))
    }

    /// Writes numbers and links.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if another node has used the numbers.
    pub async fn seal_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        bulk::insert::<audit_entries::Entity>(&self.transaction, entries, Existing::Replace).await?;
        Ok(())
    }

    /// The open items of these orders.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_attention(&self, orders: Vec<Uuid>) -> Result<Vec<AttentionItem>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(attention_items::Column::OrderId, orders.into_iter().map(Some).collect()) {
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
        use attention_items::Column::{ClosedAt, Detail, Kind, Lookup, OrderId, Subject, TenantId};
        let again = Existing::Update { by: &[TenantId, Kind, Subject], columns: &[ClosedAt, Detail, OrderId, Lookup] };
        bulk::insert::<attention_items::Entity>(&self.transaction, items, again).await?;
        Ok(())
    }

    /// Closes items whose cause is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_items(&self, ids: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(attention_items::Column::Id, ids) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Closes the items of an event that was held.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_items_of_event(&self, event: Uuid, now: Timestamp) -> Result<(), StoreError> {
        attention_items::Entity::update_many()
            .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))))
            .filter(attention_items::Column::InboundId.eq(event))
            .filter(attention_items::Column::ClosedAt.is_null())
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Closes a tenant's items of one kind that are about these subjects, where they are open.
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
        for condition in any_of(attention_items::Column::Subject, subjects) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))))
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
            Some(values) => any_of(attention_items::Column::Lookup, values.into_iter().map(Some).collect()),
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
