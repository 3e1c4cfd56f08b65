//! The inbox: what providers delivered, from the moment it was verified until it is done.

use std::collections::{BTreeSet, HashMap};

use domain::{
    fact::{self, Fact},
    id::{ConnectionId, InboundId, OrderId, TenantId},
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{instant, micros},
    entities::{facts, inbound_events},
    error::StoreError,
    rows::InboundEvent,
};

/// How far an event has come, as stored.
pub mod status {
    /// Committed, not looked at.
    pub const RECEIVED: &str = "received";
    /// Something must be looked up at the provider first.
    pub const WAITING: &str = "waiting";
    /// All answers are there.
    pub const READY: &str = "ready";
    /// Its facts have joined their orders.
    pub const DONE: &str = "done";
    /// It needs a person: it is not understood, of the wrong mode, or its look-ups keep failing.
    pub const HELD: &str = "held";
    /// A person has set it aside: nobody works on it until it is played again.
    pub const IGNORED: &str = "ignored";
}

/// What is kept of a body that told of somebody whose data was erased.
pub const ERASED: &str = r#"{"erased":true}"#;

/// Events that can be worked on. This and the next two conditions are those of partial indexes, word for word: without
/// them every look would read every event ever received.
pub(crate) fn workable() -> SimpleExpr {
    Expr::cust("status IN ('received', 'ready')")
}

/// Events that wait for a look-up.
pub(crate) fn waiting() -> SimpleExpr {
    Expr::cust("status = 'waiting'")
}

/// Events that need a person.
pub(crate) fn held() -> SimpleExpr {
    Expr::cust("status = 'held'")
}

impl Store {
    /// When the last live events of a tenant's connection came that its provider delivered itself.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_received(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        limit: u64,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let query = inbound_events::Entity::find()
            .select_only()
            .column(inbound_events::Column::ReceivedAt)
            .filter(inbound_events::Column::TenantId.eq(tenant.0))
            .filter(inbound_events::Column::Livemode.eq(true))
            .filter(inbound_events::Column::ConnectionId.eq(connection.0))
            .filter(inbound_events::Column::CaughtUp.eq(false))
            .order_by_desc(inbound_events::Column::Id);
        let received: Vec<i64> = query.limit(limit).into_tuple().all(&self.reader).await?;
        Ok(received.into_iter().map(instant).collect())
    }
}

impl Write {
    /// The bodies of these events of a connection, by their keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bodies_of_events(
        &self,
        connection: ConnectionId,
        keys: Vec<String>,
    ) -> Result<HashMap<String, String>, StoreError> {
        let mut bodies = HashMap::with_capacity(keys.len());
        for condition in any_of(&self.transaction, inbound_events::Column::EventKey, keys) {
            let found: Vec<(String, String)> = inbound_events::Entity::find()
                .select_only()
                .column(inbound_events::Column::EventKey)
                .column(inbound_events::Column::Body)
                .filter(inbound_events::Column::ConnectionId.eq(connection.0))
                .filter(condition)
                .into_tuple()
                .all(&self.transaction)
                .await?;
            bodies.extend(found);
        }
        Ok(bodies)
    }

    /// Takes events in. Those that the connection delivered before stay as they are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn receive(&self, events: Vec<InboundEvent>) -> Result<u64, StoreError> {
        bulk::insert::<inbound_events::Entity>(&self.transaction, events, Existing::Keep).await
    }

    /// The oldest events that can be worked on now. No other node gets them while this transaction lasts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim_events(&self, limit: u64) -> Result<Vec<InboundEvent>, StoreError> {
        // No other index is in this order, so none is read in its place, whatever a planner makes of its statistics.
        let mut query = inbound_events::Entity::find()
            .filter(workable())
            .order_by_asc(inbound_events::Column::ReceivedAt)
            .order_by_asc(inbound_events::Column::Id)
            .limit(limit);
        if self.is_shared() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        Ok(query.all(&self.transaction).await?)
    }

    /// One event, if it can be worked on now and no other node works on it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim_event(&self, id: InboundId) -> Result<Option<InboundEvent>, StoreError> {
        let mut query = inbound_events::Entity::find_by_id(id.0).filter(workable());
        if self.is_shared() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Events are done.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn finish_events(&self, ids: Vec<InboundId>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, inbound_events::Column::Id, ids.into_iter().map(|id| id.0).collect())
        {
            inbound_events::Entity::update_many()
                .col_expr(inbound_events::Column::Status, Expr::val(status::DONE))
                .col_expr(inbound_events::Column::DoneAt, Expr::val(micros(now)))
                .col_expr(inbound_events::Column::Error, Expr::val(Option::<String>::None))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Writes how far events have come: waiting for look-ups, held, ready again. What they are stays as it came in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn update_events(&self, events: Vec<InboundEvent>) -> Result<(), StoreError> {
        use inbound_events::Column::{
            Answers, Attempts, DoneAt, Error, Id, LeaseToken, LeaseUntil, NextAttemptAt, Requests, Status,
        };
        let progress = Existing::Update {
            by: &[Id],
            columns: &[Status, Requests, Answers, Attempts, NextAttemptAt, LeaseToken, LeaseUntil, Error, DoneAt],
        };
        bulk::insert::<inbound_events::Entity>(&self.transaction, events, progress).await?;
        Ok(())
    }

    /// The held events that name an account, whoever keeps them. Other writers wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn held_events_of(&self, account: &str) -> Result<Vec<InboundEvent>, StoreError> {
        let mut query = inbound_events::Entity::find()
            .filter(held())
            .filter(inbound_events::Column::Account.eq(account))
            .order_by_asc(inbound_events::Column::Id);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.all(&self.transaction).await?)
    }

    /// Events that are done, looked something up, and told of these orders. Other writers wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn looked_up_events_of(&self, orders: Vec<OrderId>) -> Result<Vec<InboundEvent>, StoreError> {
        let mut ids = BTreeSet::new();
        let orders = orders.into_iter().map(|order| order.0).collect();
        for condition in any_of(&self.transaction, facts::Column::OrderId, orders) {
            let told = facts::Entity::find().select_only().column(facts::Column::InboundId).filter(condition);
            ids.extend(told.into_tuple::<Uuid>().all(&self.transaction).await?);
        }
        let mut events = Vec::new();
        for condition in any_of(&self.transaction, inbound_events::Column::Id, ids.into_iter().collect()) {
            let mut query = inbound_events::Entity::find()
                .filter(condition)
                .filter(inbound_events::Column::Status.eq(status::DONE))
                .filter(inbound_events::Column::Answers.is_not_null())
                .order_by_asc(inbound_events::Column::Id);
            if self.is_shared() {
                query = query.lock_exclusive();
            }
            events.extend(query.all(&self.transaction).await?);
        }
        Ok(events)
    }

    /// Gives events to another connection, as if they had just come in there. It must not have events of these keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn give_events(
        &self,
        ids: Vec<InboundId>,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        use inbound_events::Column;
        for condition in any_of(&self.transaction, Column::Id, ids.into_iter().map(|id| id.0).collect()) {
            inbound_events::Entity::update_many()
                .col_expr(Column::TenantId, Expr::val(tenant.0))
                .col_expr(Column::ConnectionId, Expr::val(connection.0))
                .col_expr(Column::Status, Expr::val(status::RECEIVED))
                .col_expr(Column::Requests, Expr::val(Option::<String>::None))
                .col_expr(Column::Answers, Expr::val(Option::<String>::None))
                .col_expr(Column::Attempts, Expr::val(0))
                .col_expr(Column::NextAttemptAt, Expr::val(Option::<i64>::None))
                .col_expr(Column::Error, Expr::val(Option::<String>::None))
                .col_expr(Column::DoneAt, Expr::val(Option::<i64>::None))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Keeps what events said. An event that is played again replaces what it said before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_facts(&self, said: Vec<(InboundId, u32, Option<OrderId>, Fact)>) -> Result<(), StoreError> {
        let rows = said
            .into_iter()
            .map(|(inbound, position, order, fact)| facts::Model {
                inbound_id: inbound.0,
                position: position.cast_signed(),
                order_id: order.map(|order| order.0),
                kind: fact.kind().to_owned(),
                version: fact::VERSION.cast_signed(),
                body: fact.encode(),
                customer: match &fact {
                    Fact::Order(_) => None,
                    Fact::Customer(customer) => Some(customer.reference.to_string()),
                },
            })
            .collect();
        bulk::insert::<facts::Entity>(&self.transaction, rows, Existing::Replace).await?;
        Ok(())
    }

    /// Takes up to `limit` events whose look-ups are due, for `token` alone and until `lease_until`. Until then they are
    /// not due, and after it they are: if this node dies, another takes them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_lookups(
        &self,
        token: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u64,
    ) -> Result<Vec<InboundEvent>, StoreError> {
        let mut query = inbound_events::Entity::find()
            .filter(waiting())
            .filter(inbound_events::Column::NextAttemptAt.lte(micros(now)))
            .filter(free(now))
            .order_by_asc(inbound_events::Column::NextAttemptAt)
            .limit(limit);
        if self.is_shared() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        let events = query.all(&self.transaction).await?;
        for condition in
            any_of(&self.transaction, inbound_events::Column::Id, events.iter().map(|event| event.id).collect())
        {
            inbound_events::Entity::update_many()
                .col_expr(inbound_events::Column::LeaseToken, Expr::val(token))
                .col_expr(inbound_events::Column::LeaseUntil, Expr::val(micros(lease_until)))
                .col_expr(inbound_events::Column::NextAttemptAt, Expr::val(micros(lease_until)))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(events)
    }

    /// Which of the events this token still holds: a node that slept through its lease must not write.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn still_leased(&self, token: Uuid, ids: Vec<InboundId>) -> Result<Vec<InboundId>, StoreError> {
        let mut held = Vec::new();
        for condition in any_of(&self.transaction, inbound_events::Column::Id, ids.into_iter().map(|id| id.0).collect())
        {
            let mut query = inbound_events::Entity::find()
                .select_only()
                .column(inbound_events::Column::Id)
                .filter(condition)
                .filter(inbound_events::Column::LeaseToken.eq(token));
            if self.is_shared() {
                query = query.lock_exclusive();
            }
            let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
            held.extend(ids.into_iter().map(InboundId));
        }
        Ok(held)
    }
}

fn free(now: Timestamp) -> Condition {
    Condition::any()
        .add(inbound_events::Column::LeaseUntil.is_null())
        .add(inbound_events::Column::LeaseUntil.lt(micros(now)))
}

impl Store {
    /// When the next look-up is due, if any waits.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_lookup_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<Option<i64>> = inbound_events::Entity::find()
            .select_only()
            .column_as(inbound_events::Column::NextAttemptAt.min(), "next")
            .filter(waiting())
            .into_tuple()
            .one(&self.reader)
            .await?;
        Ok(next.flatten().map(instant))
    }
}
