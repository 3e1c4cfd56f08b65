//! What goes out: mails and events, written with the change that causes them, sent by workers.

use domain::id::MailId;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::{Expr, LockBehavior, LockType}};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{instant, micros},
    entities::{events, mails},
    error::StoreError,
    rows::{Event, Mail},
};

/// How far a mail has come, as stored.
pub mod status {
    /// To be sent.
    pub const PENDING: &str = "pending";
    /// No sender is configured: it is caught and can be released.
    pub const HELD: &str = "held";
    /// A relay has accepted it.
    pub const SENT: &str = "sent";
    /// A relay refused it for good, or nobody took it in all tries.
    pub const FAILED: &str = "failed";
}

impl Write {
    /// Adds mails. One of a kind per license: another is not written.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_mails(&self, added: Vec<Mail>) -> Result<(), StoreError> {
        bulk::insert::<mails::Entity>(&self.transaction, added, Existing::Keep).await?;
        Ok(())
    }

    /// Adds events.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_events(&self, added: Vec<Event>) -> Result<(), StoreError> {
        bulk::insert::<events::Entity>(&self.transaction, added, Existing::Refuse).await?;
        Ok(())
    }

    /// Takes up to `limit` mails that are due, for `token` alone and until `lease_until`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_mails(
        &self,
        token: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u64,
    ) -> Result<Vec<Mail>, StoreError> {
        let free = Condition::any()
            .add(mails::Column::LeaseUntil.is_null())
            .add(mails::Column::LeaseUntil.lt(micros(now)));
        let mut query = mails::Entity::find()
            .filter(mails::Column::Status.eq(status::PENDING))
            .filter(mails::Column::NextAttemptAt.lte(micros(now)))
            .filter(free)
            .order_by_asc(mails::Column::NextAttemptAt)
            .limit(limit);
        if self.locks_rows() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        let found = query.all(&self.transaction).await?;
        for condition in any_of(mails::Column::Id, found.iter().map(|mail| mail.id).collect()) {
            mails::Entity::update_many()
                .col_expr(mails::Column::LeaseToken, Expr::val(token).into())
                .col_expr(mails::Column::LeaseUntil, Expr::val(micros(lease_until)).into())
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(found)
    }

    /// Writes how sending a mail ended, unless another worker has taken it meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_mail(&self, token: Uuid, mail: &Mail) -> Result<bool, StoreError> {
        let result = mails::Entity::update_many()
            .col_expr(mails::Column::Status, Expr::val(mail.status.as_str()).into())
            .col_expr(mails::Column::Attempts, Expr::val(mail.attempts).into())
            .col_expr(mails::Column::NextAttemptAt, Expr::val(mail.next_attempt_at).into())
            .col_expr(mails::Column::Response, Expr::val(mail.response.clone()).into())
            .col_expr(mails::Column::SentAt, Expr::val(mail.sent_at).into())
            .col_expr(mails::Column::LeaseToken, Expr::val(Option::<Uuid>::None).into())
            .col_expr(mails::Column::LeaseUntil, Expr::val(Option::<i64>::None).into())
            .filter(mails::Column::Id.eq(mail.id))
            .filter(mails::Column::LeaseToken.eq(token))
            .exec(&self.transaction)
            .await?;
        Ok(result.rows_affected == 1)
    }

    /// Has all held mails sent. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_mails(&self, tenant: Uuid, now: Timestamp) -> Result<u64, StoreError> {
        let result = mails::Entity::update_many()
            .col_expr(mails::Column::Status, Expr::val(status::PENDING).into())
            .col_expr(mails::Column::NextAttemptAt, Expr::val(Some(micros(now))).into())
            .filter(mails::Column::Status.eq(status::HELD))
            .filter(mails::Column::TenantId.eq(tenant))
            .exec(&self.transaction)
            .await?;
        Ok(result.rows_affected)
    }
}

impl Store {
    /// When the next mail is due, if any waits.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<Option<i64>> = mails::Entity::find()
            .select_only()
            .column_as(mails::Column::NextAttemptAt.min(), "next")
            .filter(mails::Column::Status.eq(status::PENDING))
            .into_tuple()
            .one(&self.reader)
            .await?;
        Ok(next.flatten().map(instant))
    }

    /// The latest mails of a tenant, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mails(&self, tenant: Uuid, limit: u64) -> Result<Vec<Mail>, StoreError> {
        let query = mails::Entity::find().filter(mails::Column::TenantId.eq(tenant));
        Ok(query.order_by_desc(mails::Column::Id).limit(limit).all(&self.reader).await?)
    }

    /// A mail.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail(&self, id: MailId) -> Result<Option<Mail>, StoreError> {
        Ok(mails::Entity::find_by_id(id.0).one(&self.reader).await?)
    }
}
