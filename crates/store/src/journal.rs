//! What people look at: the audit log, and what needs them.

use domain::id::{ConnectionId, OrderId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::{Expr, OnConflict}};
use uuid::Uuid;

use crate::{
    Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{attention_items, audit_entries},
    error::StoreError,
    rows::{AttentionItem, AuditEntry},
};

impl Write {
    /// Adds audit entries, in the transaction of what they tell.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        bulk::insert::<audit_entries::Entity>(&self.transaction, entries, Existing::Refuse).await?;
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
        use attention_items::Column;
        for piece in bulk::pieces(items) {
            let models = piece.into_iter().map(bulk::all_set::<attention_items::Entity>);
            let again = OnConflict::columns([Column::TenantId, Column::Kind, Column::Subject])
                .update_columns([Column::ClosedAt, Column::Detail, Column::OrderId, Column::Lookup])
                .to_owned();
            attention_items::Entity::insert_many(models)
                .on_conflict(again)
                .exec_without_returning(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Closes items whose cause is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_items(&self, ids: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(attention_items::Column::Id, ids) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))).into())
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
            .col_expr(attention_items::Column::ClosedAt, Expr::val(Some(micros(now))).into())
            .filter(attention_items::Column::InboundId.eq(event))
            .filter(attention_items::Column::ClosedAt.is_null())
            .exec(&self.transaction)
            .await?;
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
            None => vec![Expr::val(true).into()],
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
