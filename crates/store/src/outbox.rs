//! What goes out: mails, written with the change that causes them, sent by workers.

mod contents;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    id::{LicenseId, MailId, OrderId, TenantId},
    order::Contact,
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select, UpdateMany,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{instant, micros},
    entities::mails,
    error::StoreError,
    rows::Mail,
};

pub use contents::Contents;

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
    /// What it tells was not so any more when it was to be sent, so it was not.
    pub const SUPERSEDED: &str = "superseded";
}

/// The attention item of a tenant whose mails are caught since nobody can send them. Releasing them closes it.
pub const NO_SENDER: &str = "no_sender";
/// The attention item of a tenant whose mails about old purchases are held. Releasing them closes it.
pub const HELD_AS_OLD: &str = "mails_held_as_old";

/// Where a mail went whose buyer was erased.
pub const ERASED: &str = "erased";

/// A mail that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaughtMail {
    /// Whose.
    pub tenant: TenantId,
    /// About a license of this order.
    pub order: OrderId,
    /// Of this kind.
    pub kind: String,
}

/// What became of a mail's row when its end was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It says how the mail ended.
    Ended,
    /// The address was corrected while the mail was on its way to the old one: it is due again, with all its tries.
    Readdressed,
    /// Another worker has taken the mail since, and says how it ended.
    Taken,
}

/// Mails in one of the states that are not over. SQLite uses the partial index only where a condition repeats the
/// index's own, word for word; without it every look would read every mail ever sent.
pub(crate) fn is(status: &'static str) -> SimpleExpr {
    mails::Column::Status.eq(status).and(Expr::cust("status <> 'sent'"))
}

/// Mails that nobody is sending now.
fn free(now: Timestamp) -> Condition {
    let never = Condition::any().add(mails::Column::LeaseUntil.is_null());
    never.add(mails::Column::LeaseUntil.lte(micros(now)))
}

/// Has mails sent as if they had not been tried yet.
fn afresh(now: Timestamp) -> UpdateMany<mails::Entity> {
    mails::Entity::update_many()
        .col_expr(mails::Column::Status, Expr::val(status::PENDING))
        .col_expr(mails::Column::Attempts, Expr::val(0))
        .col_expr(mails::Column::Unanswered, Expr::val(0))
        .col_expr(mails::Column::NextAttemptAt, Expr::val(Some(micros(now))))
}

/// Has mails go to another address. Whoever is sending one now finds that when its end is written ([`Write::save_mail`]).
fn addressed(to: &Contact) -> UpdateMany<mails::Entity> {
    mails::Entity::update_many()
        .col_expr(mails::Column::Recipient, Expr::val(to.email.as_str()))
        .col_expr(mails::Column::RecipientName, Expr::val(to.name.as_deref().map(str::to_owned)))
}

impl Write {
    /// Adds mails. One of a kind for each license and occasion: another is not written.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_mails(&self, added: Vec<Mail>) -> Result<(), StoreError> {
        bulk::insert::<mails::Entity>(&self.transaction, added, Existing::Keep).await?;
        Ok(())
    }

    /// Takes up to `limit` mails that are due, for `token` alone and until `lease_until`. Until then they are not due,
    /// and after it they are: nobody has to watch for leases that ran out.
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
        let found = self.lock_due(now, limit).all(&self.transaction).await?;
        for condition in any_of(&self.transaction, mails::Column::Id, found.iter().map(|mail| mail.id).collect()) {
            mails::Entity::update_many()
                .col_expr(mails::Column::LeaseToken, Expr::val(token))
                .col_expr(mails::Column::LeaseUntil, Expr::val(micros(lease_until)))
                .col_expr(mails::Column::NextAttemptAt, Expr::val(micros(lease_until)))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(found)
    }

    /// Catches up to `limit` mails that are due while nobody can send them. Returns whose they are, one by one,
    /// and of which order and kind.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold_mails(&self, now: Timestamp, limit: u64) -> Result<Vec<CaughtMail>, StoreError> {
        use mails::Column::{Id, Kind, OrderId as Order, TenantId as Tenant};
        let query = self.lock_due(now, limit).select_only().columns([Id, Tenant, Order, Kind]);
        let due: Vec<(Uuid, Uuid, Uuid, String)> = query.into_tuple().all(&self.transaction).await?;
        for condition in any_of(&self.transaction, mails::Column::Id, due.iter().map(|(id, ..)| *id).collect()) {
            mails::Entity::update_many()
                .col_expr(mails::Column::Status, Expr::val(status::HELD))
                .col_expr(mails::Column::NextAttemptAt, Expr::val(Option::<i64>::None))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        let caught = |(_, tenant, order, kind)| CaughtMail { tenant: TenantId(tenant), order: OrderId(order), kind };
        Ok(due.into_iter().map(caught).collect())
    }

    /// Says of mails that whoever took them is still sending them, until `lease_until` at most. Those that somebody else has taken
    /// since are left alone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn renew_mails(
        &self,
        ids: Vec<Uuid>,
        tokens: BTreeSet<Uuid>,
        lease_until: Timestamp,
    ) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, mails::Column::Id, ids) {
            mails::Entity::update_many()
                .col_expr(mails::Column::LeaseUntil, Expr::val(micros(lease_until)))
                .col_expr(mails::Column::NextAttemptAt, Expr::val(micros(lease_until)))
                .filter(condition)
                .filter(mails::Column::LeaseToken.is_in(tokens.iter().copied()))
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    fn lock_due(&self, now: Timestamp, limit: u64) -> Select<mails::Entity> {
        let query = mails::Entity::find()
            .filter(is(status::PENDING))
            .filter(mails::Column::NextAttemptAt.lte(micros(now)))
            .filter(free(now))
            .order_by_asc(mails::Column::NextAttemptAt)
            .limit(limit);
        if self.is_shared() { query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked) } else { query }
    }

    /// How many mails each tenant holds. Tenants without any are absent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn held_mails(&self) -> Result<BTreeMap<TenantId, u64>, StoreError> {
        let counts: Vec<(Uuid, i64)> = mails::Entity::find()
            .select_only()
            .column(mails::Column::TenantId)
            .column_as(mails::Column::Id.count(), "held")
            .filter(is(status::HELD))
            .group_by(mails::Column::TenantId)
            .into_tuple()
            .all(&self.transaction)
            .await?;
        Ok(counts.into_iter().map(|(tenant, count)| (TenantId(tenant), count.unsigned_abs())).collect())
    }

    /// Whether a tenant has mails that wait after so many tries that were answered, or so many that were not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_mails_tried(&self, tenant: TenantId, answered: i32, unanswered: i32) -> Result<bool, StoreError> {
        let often = Condition::any()
            .add(Expr::col(mails::Column::Attempts).sub(Expr::col(mails::Column::Unanswered)).gte(answered))
            .add(mails::Column::Unanswered.gte(unanswered));
        let query = mails::Entity::find().select_only().column(mails::Column::Id).filter(is(status::PENDING));
        let query = query.filter(mails::Column::TenantId.eq(tenant.0)).filter(often).limit(1);
        let found: Option<Uuid> = query.into_tuple().one(&self.transaction).await?;
        Ok(found.is_some())
    }

    /// Has a mail sent once more, whatever became of it; one that waits already is tried at once and gets all its
    /// tries back, and one that is being sent now is left alone. `to` is where it goes from now on; none: where it went. Returns
    /// whether there is a mail to send.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn send_mail_again(
        &self,
        tenant: TenantId,
        id: MailId,
        to: Option<&Contact>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let it = Condition::all().add(mails::Column::Id.eq(id.0)).add(mails::Column::TenantId.eq(tenant.0));
        if let Some(to) = to {
            addressed(to).filter(it.clone()).exec(&self.transaction).await?;
        }
        let again = afresh(now).filter(it).filter(free(now));
        Ok(again.exec(&self.transaction).await?.rows_affected == 1)
    }

    /// Sends mails about these licenses to another address, as far as no relay has taken them. What was refused, or is tried
    /// again, gets all its tries back; what is on its way now is sent once more to the new address; what is held stays held.
    /// Returns how many are to be sent now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn redirect_mails(
        &self,
        licenses: Vec<LicenseId>,
        to: &Contact,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut sent = 0;
        for condition in any_of(&self.transaction, mails::Column::LicenseId, licenses.iter().map(|id| id.0).collect()) {
            let of = |update: UpdateMany<mails::Entity>, statuses: &[&str]| {
                update.filter(condition.clone()).filter(mails::Column::Status.is_in(statuses.iter().copied()))
            };
            of(addressed(to), &[status::HELD, status::PENDING, status::FAILED]).exec(&self.transaction).await?;
            let again = of(afresh(now), &[status::PENDING, status::FAILED]).filter(free(now));
            sent += again.exec(&self.transaction).await?.rows_affected;
        }
        Ok(usize::try_from(sent).unwrap_or(usize::MAX))
    }

    /// Of the mails of a kind about these licenses, the latest of each license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn latest_mails(&self, licenses: Vec<LicenseId>, kind: &str) -> Result<Vec<Mail>, StoreError> {
        let mut latest: HashMap<Uuid, Mail> = HashMap::new();
        for condition in any_of(&self.transaction, mails::Column::LicenseId, licenses.iter().map(|id| id.0).collect()) {
            let query = mails::Entity::find().filter(condition).filter(mails::Column::Kind.eq(kind));
            let written = query.order_by_asc(mails::Column::Id).all(&self.transaction).await?;
            latest.extend(written.into_iter().map(|mail| (mail.license_id, mail)));
        }
        Ok(latest.into_values().collect())
    }

    /// Sends the latest mail of a kind about each of these licenses once more, to this address, though a relay has taken it;
    /// those that are on their way there now are left alone. Earlier ones would say the same.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn send_mails_again(
        &self,
        licenses: Vec<LicenseId>,
        kind: &str,
        to: &Contact,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let latest = self.latest_mails(licenses, kind).await?.into_iter().map(|mail| mail.id).collect();
        for condition in any_of(&self.transaction, mails::Column::Id, latest) {
            addressed(to).filter(condition.clone()).exec(&self.transaction).await?;
            afresh(now).filter(condition).filter(free(now)).exec(&self.transaction).await?;
        }
        Ok(())
    }

    /// Writes how sending a mail ended, unless another worker has taken it meanwhile. `mail` has the address to which it was
    /// sent: where that was corrected since, the end is not the mail's, and it is due again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_mail(&self, token: Uuid, mail: &Mail, now: Timestamp) -> Result<Saved, StoreError> {
        let landed = |update: UpdateMany<mails::Entity>| {
            update
                .col_expr(mails::Column::LeaseToken, Expr::val(Option::<Uuid>::None))
                .col_expr(mails::Column::LeaseUntil, Expr::val(Option::<i64>::None))
                .filter(mails::Column::Id.eq(mail.id))
                .filter(mails::Column::LeaseToken.eq(token))
        };
        let ended = mails::Entity::update_many()
            .col_expr(mails::Column::Status, Expr::val(mail.status.as_str()))
            .col_expr(mails::Column::Attempts, Expr::val(mail.attempts))
            .col_expr(mails::Column::Unanswered, Expr::val(mail.unanswered))
            .col_expr(mails::Column::NextAttemptAt, Expr::val(mail.next_attempt_at))
            .col_expr(mails::Column::Response, Expr::val(mail.response.clone()))
            .col_expr(mails::Column::SentAt, Expr::val(mail.sent_at));
        let ended = landed(ended).filter(mails::Column::Recipient.eq(mail.recipient.as_str()));
        if ended.exec(&self.transaction).await?.rows_affected == 1 {
            return Ok(Saved::Ended);
        }
        let readdressed = landed(afresh(now)).exec(&self.transaction).await?.rows_affected == 1;
        Ok(if readdressed { Saved::Readdressed } else { Saved::Taken })
    }

    /// Has all held mails sent. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_mails(&self, tenant: TenantId, now: Timestamp) -> Result<u64, StoreError> {
        let released = afresh(now).filter(is(status::HELD)).filter(mails::Column::TenantId.eq(tenant.0));
        Ok(released.exec(&self.transaction).await?.rows_affected)
    }
}

/// What has not left yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Mails that are sent now, or tried again.
    pub pending: u64,
    /// When the oldest of them was written.
    pub pending_since: Option<Timestamp>,
    /// When the next of them is tried.
    pub next_attempt_at: Option<Timestamp>,
    /// Mails that wait until somebody releases them.
    pub held: u64,
    /// When the oldest of them was written.
    pub held_since: Option<Timestamp>,
}

impl Store {
    /// What of a tenant has not left yet, in both modes: it leaves the same way.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_queue(&self, tenant: TenantId) -> Result<Queue, StoreError> {
        let waiting = |status| {
            let rows = mails::Entity::find().filter(is(status)).filter(mails::Column::TenantId.eq(tenant.0));
            rows.select_only()
                .column_as(mails::Column::Id.count(), "count")
                .column_as(mails::Column::CreatedAt.min(), "oldest")
                .column_as(mails::Column::NextAttemptAt.min(), "next")
                .into_tuple::<(i64, Option<i64>, Option<i64>)>()
        };
        let pending = waiting(status::PENDING).one(&self.reader).await?.unwrap_or_default();
        let held = waiting(status::HELD).one(&self.reader).await?.unwrap_or_default();
        Ok(Queue {
            pending: pending.0.unsigned_abs(),
            pending_since: pending.1.map(instant),
            next_attempt_at: pending.2.map(instant),
            held: held.0.unsigned_abs(),
            held_since: held.1.map(instant),
        })
    }

    /// When the next mail is due, if any waits; one that is being sent is due when its lease ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<Option<i64>> = mails::Entity::find()
            .select_only()
            .column_as(mails::Column::NextAttemptAt.min(), "next")
            .filter(is(status::PENDING))
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
