//! Calls to providers that follow from a change: written with it, made by a worker.

use domain::id::ConnectionId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::provider_calls,
    error::StoreError,
    rows::ProviderCall,
};

/// What a call is about, as stored.
pub mod kind {
    /// A license's key goes to the provider's record of its customer.
    pub const WRITE_BACK: &str = "write_back";
    /// A price is made, or archived.
    pub const PRICE: &str = "price";
}

/// How far a call has come, as stored.
pub mod status {
    /// To be made.
    pub const PENDING: &str = "pending";
    /// The provider took it.
    pub const DONE: &str = "done";
    /// The provider refused it for good, or did not take it in all tries.
    pub const FAILED: &str = "failed";
}

impl Store {
    /// The connections at which calls are due, those that have waited the longest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connections_with_calls(&self, now: Timestamp) -> Result<Vec<ConnectionId>, StoreError> {
        use provider_calls::Column::{ConnectionId as Connection, NextAttemptAt};
        let query = provider_calls::Entity::find().select_only().column(Connection);
        let query = query.filter(NextAttemptAt.lte(micros(now))).group_by(Connection);
        let due: Vec<Uuid> = query.order_by_asc(NextAttemptAt.min()).into_tuple().all(&self.reader).await?;
        Ok(due.into_iter().map(ConnectionId).collect())
    }

    /// The call about something.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn call_about(&self, subject: Uuid) -> Result<Option<ProviderCall>, StoreError> {
        let query = provider_calls::Entity::find().filter(provider_calls::Column::SubjectId.eq(subject));
        Ok(query.one(&self.reader).await?)
    }
}

impl Write {
    /// Adds calls. One per subject and customer: another is not written.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_calls(&self, added: Vec<ProviderCall>) -> Result<(), StoreError> {
        bulk::insert::<provider_calls::Entity>(&self.transaction, added, Existing::Keep).await?;
        Ok(())
    }

    /// Forgets the calls of a kind about a subject: what they were to tell is not so any more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_calls(&self, kind: &str, subject: Uuid) -> Result<(), StoreError> {
        provider_calls::Entity::delete_many()
            .filter(provider_calls::Column::SubjectId.eq(subject))
            .filter(provider_calls::Column::Kind.eq(kind))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Takes up to `limit` calls of a connection that are due, for `token` alone. They are due again at `lease_until`, should nobody say
    /// how they ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_calls(
        &self,
        token: Uuid,
        connection: ConnectionId,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u64,
    ) -> Result<Vec<ProviderCall>, StoreError> {
        let mut query = provider_calls::Entity::find()
            .filter(provider_calls::Column::ConnectionId.eq(connection.0))
            .filter(provider_calls::Column::NextAttemptAt.lte(micros(now)))
            .order_by_asc(provider_calls::Column::NextAttemptAt)
            .limit(limit);
        if self.is_shared() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        let found = query.all(&self.transaction).await?;
        for condition in any_of(&self.transaction, provider_calls::Column::Id, found.iter().map(|row| row.id).collect())
        {
            provider_calls::Entity::update_many()
                .col_expr(provider_calls::Column::LeaseToken, Expr::val(token))
                .col_expr(provider_calls::Column::LeaseUntil, Expr::val(micros(lease_until)))
                .col_expr(provider_calls::Column::NextAttemptAt, Expr::val(micros(lease_until)))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(found)
    }

    /// Has the calls of these connections that failed, or that wait to be tried again, made now: the connections are others
    /// than they were.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn retry_calls(&self, connections: Vec<ConnectionId>, now: Timestamp) -> Result<(), StoreError> {
        use provider_calls::Column;
        // Word for word the conditions of the indexes. What is leased is under way.
        let failed = || Condition::all().add(Expr::cust("status = 'failed'"));
        let waiting = || {
            let later = Condition::all().add(Expr::cust("next_attempt_at IS NOT NULL"));
            later.add(Column::NextAttemptAt.gt(micros(now))).add(Column::LeaseToken.is_null())
        };
        for connection in connections {
            for which in [failed(), waiting()] {
                provider_calls::Entity::update_many()
                    .col_expr(Column::Status, Expr::val(status::PENDING))
                    .col_expr(Column::Attempts, Expr::val(0))
                    .col_expr(Column::NextAttemptAt, Expr::val(Some(micros(now))))
                    .filter(Column::ConnectionId.eq(connection.0))
                    .filter(which)
                    .exec(&self.transaction)
                    .await?;
            }
        }
        Ok(())
    }

    /// Has the call about something made again: it is to be otherwise now. Whoever is making it does not end it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn make_call_again(&self, subject: Uuid, now: Timestamp) -> Result<(), StoreError> {
        provider_calls::Entity::update_many()
            .col_expr(provider_calls::Column::Status, Expr::val(status::PENDING))
            .col_expr(provider_calls::Column::Attempts, Expr::val(0))
            .col_expr(provider_calls::Column::NextAttemptAt, Expr::val(Some(micros(now))))
            .col_expr(provider_calls::Column::LeaseToken, Expr::val(Option::<Uuid>::None))
            .col_expr(provider_calls::Column::LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(provider_calls::Column::SubjectId.eq(subject))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Writes how a call ended, unless another worker has taken it meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_call(&self, token: Uuid, call: &ProviderCall) -> Result<bool, StoreError> {
        let result = provider_calls::Entity::update_many()
            .col_expr(provider_calls::Column::Status, Expr::val(call.status.as_str()))
            .col_expr(provider_calls::Column::Attempts, Expr::val(call.attempts))
            .col_expr(provider_calls::Column::Refusals, Expr::val(call.refusals))
            .col_expr(provider_calls::Column::NextAttemptAt, Expr::val(call.next_attempt_at))
            .col_expr(provider_calls::Column::Error, Expr::val(call.error.clone()))
            .col_expr(provider_calls::Column::DoneAt, Expr::val(call.done_at))
            .col_expr(provider_calls::Column::LeaseToken, Expr::val(Option::<Uuid>::None))
            .col_expr(provider_calls::Column::LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(provider_calls::Column::Id.eq(call.id))
            .filter(provider_calls::Column::LeaseToken.eq(token))
            .exec(&self.transaction)
            .await?;
        Ok(result.rows_affected == 1)
    }
}
