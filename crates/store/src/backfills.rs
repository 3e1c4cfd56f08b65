//! How far the providers' own lists of events have been read, and what of them is known.

use std::collections::BTreeSet;

use domain::id::ConnectionId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{backfills, inbound_events},
    error::StoreError,
    inbox,
    rows::Backfill,
};

impl Write {
    /// Adds connections whose list is to be read from now on. Those that are there stay as they are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_backfills(&self, added: Vec<Backfill>) -> Result<(), StoreError> {
        bulk::insert::<backfills::Entity>(&self.transaction, added, Existing::Keep).await?;
        Ok(())
    }

    /// The one of these connections that has been due the longest, for `token` alone and until `lease_until`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_backfill(
        &self,
        of: &[ConnectionId],
        token: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<Backfill>, StoreError> {
        let free = Condition::any()
            .add(backfills::Column::LeaseUntil.is_null())
            .add(backfills::Column::LeaseUntil.lte(micros(now)));
        let mut query = backfills::Entity::find()
            .filter(backfills::Column::ConnectionId.is_in(of.iter().map(|id| id.0)))
            .filter(backfills::Column::NextAt.lte(micros(now)))
            .filter(free)
            .order_by_asc(backfills::Column::NextAt)
            .limit(1);
        if self.is_shared() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        let Some(found) = query.one(&self.transaction).await? else { return Ok(None) };
        backfills::Entity::update_many()
            .col_expr(backfills::Column::LeaseToken, Expr::val(token))
            .col_expr(backfills::Column::LeaseUntil, Expr::val(micros(lease_until)))
            .filter(backfills::Column::ConnectionId.eq(found.connection_id))
            .exec(&self.transaction)
            .await?;
        Ok(Some(found))
    }

    /// Writes how far a list has been read, and gives it free. False: it is another's by now, and stays as that one
    /// has it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_backfill(&self, token: Uuid, row: &Backfill) -> Result<bool, StoreError> {
        let saved = backfills::Entity::update_many()
            .col_expr(backfills::Column::CaughtUpTo, Expr::val(row.caught_up_to))
            .col_expr(backfills::Column::Since, Expr::val(row.since))
            .col_expr(backfills::Column::Until, Expr::val(row.until))
            .col_expr(backfills::Column::Page, Expr::val(row.page.clone()))
            .col_expr(backfills::Column::Found, Expr::val(row.found))
            .col_expr(backfills::Column::Attempts, Expr::val(row.attempts))
            .col_expr(backfills::Column::NextAt, Expr::val(row.next_at))
            .col_expr(backfills::Column::Error, Expr::val(row.error.clone()))
            .col_expr(backfills::Column::LeaseToken, Expr::val(Option::<Uuid>::None))
            .col_expr(backfills::Column::LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(backfills::Column::ConnectionId.eq(row.connection_id))
            .filter(backfills::Column::LeaseToken.eq(token))
            .exec(&self.transaction)
            .await?;
        Ok(saved.rows_affected == 1)
    }

    /// Has a list read from its first page now, and at least from `caught_up_to` of this row on. Whoever is reading it
    /// loses it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn restart_backfill(&self, row: Backfill) -> Result<Backfill, StoreError> {
        let mut query = backfills::Entity::find_by_id(row.connection_id);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        let known = query.one(&self.transaction).await?;
        let caught_up_to = known.map_or(row.caught_up_to, |known| std::cmp::min(known.caught_up_to, row.caught_up_to));
        let row = Backfill { caught_up_to, ..row };
        bulk::insert::<backfills::Entity>(&self.transaction, vec![row.clone()], Existing::Replace).await?;
        Ok(row)
    }

    /// Begins a list's reading anew when it is its turn, as if nothing had been asked since it was read to its end. Whoever
    /// is reading it loses it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stop_backfill(&self, connection: ConnectionId) -> Result<(), StoreError> {
        backfills::Entity::update_many()
            .col_expr(backfills::Column::Since, Expr::val(Option::<i64>::None))
            .col_expr(backfills::Column::Until, Expr::val(Option::<i64>::None))
            .col_expr(backfills::Column::Page, Expr::val(Option::<String>::None))
            .col_expr(backfills::Column::Attempts, Expr::val(0))
            .col_expr(backfills::Column::Error, Expr::val(Option::<String>::None))
            .col_expr(backfills::Column::LeaseToken, Expr::val(Option::<Uuid>::None))
            .col_expr(backfills::Column::LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(backfills::Column::ConnectionId.eq(connection.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Has every list that is read by itself, and was not refused lately, read now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hasten_backfills(&self, now: Timestamp) -> Result<(), StoreError> {
        backfills::Entity::update_many()
            .col_expr(backfills::Column::NextAt, Expr::val(Some(micros(now))))
            .filter(backfills::Column::NextAt.gt(micros(now)))
            .filter(backfills::Column::Attempts.eq(0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }
}

impl Store {
    /// How far all lists have been read. There are as many as connections.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn backfills(&self) -> Result<Vec<Backfill>, StoreError> {
        Ok(backfills::Entity::find().all(&self.reader).await?)
    }

    /// Which of these events a connection has delivered.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn known_events(
        &self,
        connection: ConnectionId,
        keys: Vec<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut known = BTreeSet::new();
        let conditions = any_of(&self.reader, inbound_events::Column::EventKey, keys);
        for condition in conditions {
            let found: Vec<String> = inbound_events::Entity::find()
                .select_only()
                .column(inbound_events::Column::EventKey)
                .filter(inbound_events::Column::ConnectionId.eq(connection.0))
                .filter(condition)
                .into_tuple()
                .all(&self.reader)
                .await?;
            known.extend(found);
        }
        Ok(known)
    }

    /// Whether an event of a connection waits for a look-up that is due, or was not tried yet.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_look_ups(&self, connection: ConnectionId, now: Timestamp) -> Result<bool, StoreError> {
        let due = inbound_events::Column::NextAttemptAt.lte(micros(now)).or(inbound_events::Column::Attempts.eq(0));
        let found: Option<Uuid> = inbound_events::Entity::find()
            .select_only()
            .column(inbound_events::Column::Id)
            .filter(inbox::waiting())
            .filter(inbound_events::Column::ConnectionId.eq(connection.0))
            .filter(due)
            .limit(1)
            .into_tuple()
            .one(&self.reader)
            .await?;
        Ok(found.is_some())
    }
}
