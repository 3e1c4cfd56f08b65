//! What was delivered, what it did, and what needs a person.

use std::collections::BTreeSet;

use domain::{
    fact::Fact,
    id::{AttentionId, ConnectionId, InboundId, OrderId},
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use uuid::Uuid;

use super::{ASKED_ABOUT_MAX, Examined, Listed, Page, Whose, read_examined, read_page};
use crate::{
    Store, Write,
    bulk::any_of,
    convert::micros,
    entities::{attention_items, audit_entries, facts, inbound_events, orders},
    error::StoreError,
    rows::{AttentionItem, AuditEntry, InboundEvent},
};

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct InboundFilter {
    /// How far they have come: a word of [`crate::inbox::status`].
    pub status: Option<String>,
    /// The provider's word for what happened.
    pub kind: Option<String>,
    /// Delivered to this connection.
    pub connection: Option<ConnectionId>,
}

impl InboundFilter {
    /// What each event is asked about.
    fn condition(&self) -> Condition {
        use inbound_events::Column;
        Condition::all()
            .add_option(self.status.as_deref().map(|status| Column::Status.eq(status)))
            .add_option(self.kind.as_deref().map(|kind| Column::Kind.eq(kind)))
            .add_option(self.connection.map(|connection| Column::ConnectionId.eq(connection.0)))
    }
}

/// An event without its body and the answers to its look-ups, which may be large.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct InboundSummary {
    /// Its id.
    pub id: Uuid,
    /// Where it was delivered.
    pub connection_id: Uuid,
    /// What makes it unique there.
    pub event_key: String,
    /// The provider's word for what happened.
    pub kind: String,
    /// Live or test money.
    pub livemode: bool,
    /// When it happened, as the provider says.
    pub occurred_at: Option<i64>,
    /// When it was committed.
    pub received_at: i64,
    /// How far it has come.
    pub status: String,
    /// Tries to look up what it lacks.
    pub attempts: i32,
    /// When the next one is due.
    pub next_attempt_at: Option<i64>,
    /// What is wrong; or why it was set aside.
    pub error: Option<String>,
    /// When its facts joined their orders, or it was set aside.
    pub done_at: Option<i64>,
}

/// A fact as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFact {
    /// The order that it joined.
    pub order: Option<OrderId>,
    /// What was said.
    pub fact: Fact,
}

impl Store {
    /// A page of inbound events.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_inbound(
        &self,
        whose: Whose,
        filter: &InboundFilter,
        page: Page,
    ) -> Result<Listed<InboundSummary>, StoreError> {
        let query = summary().filter(inbound_of(whose)).filter(filter.condition());
        read_page(&self.reader, query, inbound_events::Column::Id, page).await
    }

    /// A page of inbound events that takes no longer the more there are: it looks at so many, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_inbound(
        &self,
        whose: Whose,
        filter: &InboundFilter,
        page: Page,
    ) -> Result<Examined<InboundSummary>, StoreError> {
        let (all, id) = (summary().filter(inbound_of(whose)), inbound_events::Column::Id);
        read_examined(&self.reader, all, filter.condition(), id, page, ASKED_ABOUT_MAX).await
    }

    /// An inbound event with everything that is kept of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn inbound_event(&self, whose: Whose, id: InboundId) -> Result<Option<InboundEvent>, StoreError> {
        Ok(inbound_events::Entity::find_by_id(id.0).filter(inbound_of(whose)).one(&self.reader).await?)
    }

    /// The event of that key, and how far it has come: a word of [`crate::inbox::status`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn progress_of_event(
        &self,
        connection: ConnectionId,
        key: &str,
    ) -> Result<Option<(InboundId, String)>, StoreError> {
        let query = inbound_events::Entity::find()
            .select_only()
            .columns([inbound_events::Column::Id, inbound_events::Column::Status])
            .filter(inbound_events::Column::ConnectionId.eq(connection.0))
            .filter(inbound_events::Column::EventKey.eq(key));
        let found: Option<(Uuid, String)> = query.into_tuple().one(&self.reader).await?;
        Ok(found.map(|(id, status)| (InboundId(id), status)))
    }

    /// What an event said, in its order.
    ///
    /// # Errors
    /// Those of the database, or a stored fact does not read.
    pub async fn facts_of(&self, event: InboundId) -> Result<Vec<KeptFact>, StoreError> {
        let query = facts::Entity::find().filter(facts::Column::InboundId.eq(event.0));
        let rows = query.order_by_asc(facts::Column::Position).all(&self.reader).await?;
        rows.into_iter()
            .map(|row| {
                let fact = Fact::decode(&row.kind, row.version.unsigned_abs(), &row.body);
                let fact = fact.map_err(|error| StoreError::Unreadable {
                    what: "fact of event",
                    id: event.to_string(),
                    reason: error.to_string(),
                })?;
                Ok(KeptFact { order: row.order_id.map(OrderId), fact })
            })
            .collect()
    }

    /// What was written to the audit log about these orders at one moment, or about orders that became part of them since.
    /// A batch has one moment, so this is what the events that were handled together caused there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn changes_at(&self, orders: BTreeSet<OrderId>, at: Timestamp) -> Result<Vec<AuditEntry>, StoreError> {
        let mut found = Vec::new();
        let orders = self.with_absorbed(orders).await?.into_iter().map(|order| Some(order.0)).collect();
        for condition in any_of(&self.reader, audit_entries::Column::OrderId, orders) {
            let query = audit_entries::Entity::find().filter(condition);
            found.extend(query.filter(audit_entries::Column::OccurredAt.eq(micros(at))).all(&self.reader).await?);
        }
        found.sort_by_key(|entry| entry.id);
        Ok(found)
    }

    /// These orders, and all that became part of them.
    pub(super) async fn with_absorbed(&self, orders: BTreeSet<OrderId>) -> Result<BTreeSet<OrderId>, StoreError> {
        let (mut all, mut latest) = (orders.clone(), orders);
        while !latest.is_empty() {
            let mut absorbed = BTreeSet::new();
            for condition in
                any_of(&self.reader, orders::Column::MergedInto, latest.into_iter().map(|id| id.0).collect())
            {
                let query = orders::Entity::find().select_only().column(orders::Column::Id).filter(condition);
                let ids: Vec<Uuid> = query.into_tuple().all(&self.reader).await?;
                absorbed.extend(ids.into_iter().map(OrderId));
            }
            latest = absorbed.into_iter().filter(|id| all.insert(*id)).collect();
        }
        Ok(all)
    }

    /// A page of what needs a person: open items that nobody has dismissed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_attention(&self, whose: Whose, page: Page) -> Result<Listed<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find()
            .filter(attention_of(whose))
            .filter(attention_items::Column::ClosedAt.is_null())
            .filter(attention_items::Column::DismissedAt.is_null());
        read_page(&self.reader, query, attention_items::Column::Id, page).await
    }

    /// An item, open or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention_item(&self, whose: Whose, id: AttentionId) -> Result<Option<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find_by_id(id.0).filter(attention_of(whose));
        Ok(query.one(&self.reader).await?)
    }

    /// The open items of an order, dismissed or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention_of_order(&self, order: OrderId) -> Result<Vec<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find()
            .filter(attention_items::Column::OrderId.eq(order.0))
            .filter(attention_items::Column::ClosedAt.is_null());
        Ok(query.order_by_asc(attention_items::Column::Id).all(&self.reader).await?)
    }

    /// What needed a person because of an event, open or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention_of_event(&self, event: InboundId) -> Result<Vec<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find().filter(attention_items::Column::InboundId.eq(event.0));
        Ok(query.order_by_asc(attention_items::Column::Id).all(&self.reader).await?)
    }
}

impl Write {
    /// An inbound event, for a change: other writers wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_inbound_event(&self, whose: Whose, id: InboundId) -> Result<Option<InboundEvent>, StoreError> {
        let mut query = inbound_events::Entity::find_by_id(id.0).filter(inbound_of(whose));
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// An inbound event as it is in this transaction, whosever it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn inbound_event(&self, id: InboundId) -> Result<Option<InboundEvent>, StoreError> {
        Ok(inbound_events::Entity::find_by_id(id.0).one(&self.transaction).await?)
    }

    /// An attention item, whatever has become of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention_item(&self, whose: Whose, id: AttentionId) -> Result<Option<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find_by_id(id.0).filter(attention_of(whose));
        Ok(query.one(&self.transaction).await?)
    }

    /// A person has seen an item and does not want to see it again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn dismiss_item(&self, id: AttentionId, now: Timestamp) -> Result<(), StoreError> {
        attention_items::Entity::update_many()
            .col_expr(attention_items::Column::DismissedAt, Expr::val(Some(micros(now))))
            .filter(attention_items::Column::Id.eq(id.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// The first of the orders that an event's facts joined.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn order_of_event(&self, event: InboundId) -> Result<Option<OrderId>, StoreError> {
        let order: Option<Option<Uuid>> = facts::Entity::find()
            .select_only()
            .column(facts::Column::OrderId)
            .filter(facts::Column::InboundId.eq(event.0))
            .filter(facts::Column::OrderId.is_not_null())
            .order_by_asc(facts::Column::Position)
            .into_tuple()
            .one(&self.transaction)
            .await?;
        Ok(order.flatten().map(OrderId))
    }
}

/// Inbound events without what may be large.
pub(super) fn summary() -> Select<inbound_events::Entity> {
    use inbound_events::Column;
    inbound_events::Entity::find().select_only().columns([
        Column::Id,
        Column::ConnectionId,
        Column::EventKey,
        Column::Kind,
        Column::Livemode,
        Column::OccurredAt,
        Column::ReceivedAt,
        Column::Status,
        Column::Attempts,
        Column::NextAttemptAt,
        Column::Error,
        Column::DoneAt,
    ])
}

pub(crate) fn inbound_of(whose: Whose) -> Condition {
    Condition::all()
        .add(inbound_events::Column::TenantId.eq(whose.tenant.0))
        .add(inbound_events::Column::Livemode.eq(whose.livemode))
}

/// An item that is of neither mode belongs to both.
pub(crate) fn attention_of(whose: Whose) -> Condition {
    Condition::all().add(attention_items::Column::TenantId.eq(whose.tenant.0)).add(
        Condition::any()
            .add(attention_items::Column::Livemode.is_null())
            .add(attention_items::Column::Livemode.eq(whose.livemode)),
    )
}
