//! Alerts: attention items on their way to people, and the ways by which they go.

use std::collections::BTreeSet;

use domain::id::{AlertChannelId, TenantId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{alert_channels, alerts, attention_items},
    error::StoreError,
    lists::{Listed, Page, Whose, first_id, read_page},
    rows::{Alert, AlertChannel, AttentionItem},
};

/// How far an alert has come, as stored.
pub mod status {
    /// It is tried until it arrives or is given up.
    pub const PENDING: &str = "pending";
    /// The channel took it.
    pub const SENT: &str = "sent";
    /// It is given up, for the reason that stands beside.
    pub const FAILED: &str = "failed";
    /// What it was about was over before it was sent.
    pub const WITHDRAWN: &str = "withdrawn";
}

/// Items that no channel was told of, in the words of the partial index.
fn untold() -> SimpleExpr {
    Expr::cust("closed_at IS NULL AND told_at IS NULL")
}

/// What is still tried, in the words of the partial index.
fn pending() -> SimpleExpr {
    Expr::cust("status = 'pending'")
}

impl Store {
    /// All channels of a tenant, live and of test mode, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alert_channels(&self, tenant: TenantId) -> Result<Vec<AlertChannel>, StoreError> {
        let query = alert_channels::Entity::find().filter(alert_channels::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(alert_channels::Column::Id).all(&self.reader).await?)
    }

    /// The channels of a tenant in one mode.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alert_channels_in(&self, whose: Whose) -> Result<Vec<AlertChannel>, StoreError> {
        let mut rows = self.alert_channels(whose.tenant).await?;
        rows.retain(|row| row.livemode == whose.livemode);
        Ok(rows)
    }

    /// A page of the alerts of a channel.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_alerts(&self, channel: AlertChannelId, page: Page) -> Result<Listed<Alert>, StoreError> {
        let query = alerts::Entity::find().filter(alerts::Column::ChannelId.eq(channel.0));
        read_page(&self.reader, query, alerts::Column::Id, page).await
    }

    /// An alert.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alert(&self, id: Uuid) -> Result<Option<Alert>, StoreError> {
        Ok(alerts::Entity::find_by_id(id).one(&self.reader).await?)
    }

    /// What the open items of one kind at these connections are about.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_subjects(&self, kind: &str, connections: Vec<Uuid>) -> Result<BTreeSet<String>, StoreError> {
        let mut found = BTreeSet::new();
        for condition in any_of(&self.reader, attention_items::Column::ConnectionId, connections) {
            let query = attention_items::Entity::find().select_only().column(attention_items::Column::Subject);
            let query = query.filter(condition).filter(attention_items::Column::Kind.eq(kind));
            let query = query.filter(attention_items::Column::ClosedAt.is_null());
            found.extend(query.into_tuple::<String>().all(&self.reader).await?);
        }
        Ok(found)
    }

    /// Whether there are items that no channel was told of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_untold_items(&self) -> Result<bool, StoreError> {
        let query = attention_items::Entity::find().select_only().column(attention_items::Column::Id);
        let found: Option<Uuid> = query.filter(untold()).into_tuple().one(&self.reader).await?;
        Ok(found.is_some())
    }

    /// The channels that may be used and have something due, each with its tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due_alert_channels(&self, now: Timestamp) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        let free = Condition::any()
            .add(alert_channels::Column::LeaseUntil.is_null())
            .add(alert_channels::Column::LeaseUntil.lte(micros(now)));
        let columns = [alert_channels::Column::Id, alert_channels::Column::TenantId];
        let query = alert_channels::Entity::find().select_only().columns(columns).filter(free);
        let mut due = Vec::new();
        // Channels are few, and each is one look into an index.
        for (id, tenant) in query.into_tuple::<(Uuid, Uuid)>().all(&self.reader).await? {
            if !self.due_alerts(AlertChannelId(id), now, 1).await?.is_empty() {
                due.push((id, tenant));
            }
        }
        Ok(due)
    }

    /// Alerts that are due at a channel, the ones that have waited longest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due_alerts(
        &self,
        channel: AlertChannelId,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<Alert>, StoreError> {
        let query = alerts::Entity::find()
            .filter(alerts::Column::ChannelId.eq(channel.0))
            .filter(pending())
            .filter(alerts::Column::NextAttemptAt.lte(micros(now)));
        Ok(query.order_by_asc(alerts::Column::NextAttemptAt).limit(limit).all(&self.reader).await?)
    }

    /// Alerts that went out by a channel since then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alerts_sent_since(&self, channel: AlertChannelId, since: Timestamp) -> Result<Vec<Alert>, StoreError> {
        let query = alerts::Entity::find()
            .filter(alerts::Column::ChannelId.eq(channel.0))
            .filter(alerts::Column::SentAt.gt(micros(since)));
        Ok(query.all(&self.reader).await?)
    }

    /// These attention items, of whatever tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention_items(&self, ids: Vec<Uuid>) -> Result<Vec<AttentionItem>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.reader, attention_items::Column::Id, ids) {
            found.extend(attention_items::Entity::find().filter(condition).all(&self.reader).await?);
        }
        Ok(found)
    }
}

impl Write {
    /// The channels of these tenants, as this transaction sees them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alert_channels_of(&self, tenants: &BTreeSet<TenantId>) -> Result<Vec<AlertChannel>, StoreError> {
        let ids = tenants.iter().map(|tenant| tenant.0).collect();
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, alert_channels::Column::TenantId, ids) {
            let query = alert_channels::Entity::find().filter(condition).order_by_asc(alert_channels::Column::Id);
            found.extend(query.all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// A channel, locked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_alert_channel(&self, id: Uuid) -> Result<Option<AlertChannel>, StoreError> {
        let query = alert_channels::Entity::find_by_id(id);
        let query = if self.is_shared() { query.lock_exclusive() } else { query };
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes a channel, new or changed.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`]: the tenant has another one of that code.
    pub async fn save_alert_channel(&self, row: AlertChannel) -> Result<(), StoreError> {
        bulk::insert::<alert_channels::Entity>(&self.transaction, vec![row], Existing::Replace).await?;
        Ok(())
    }

    /// Removes a channel with its alerts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_alert_channel(&self, id: Uuid) -> Result<(), StoreError> {
        alerts::Entity::delete_many().filter(alerts::Column::ChannelId.eq(id)).exec(&self.transaction).await?;
        alert_channels::Entity::delete_by_id(id).exec(&self.transaction).await?;
        Ok(())
    }

    /// Items that no channel was told of, for this transaction alone, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn untold_items(&self, limit: u64) -> Result<Vec<AttentionItem>, StoreError> {
        let query = attention_items::Entity::find().filter(untold());
        let query = query.order_by_asc(attention_items::Column::Id).limit(limit);
        let query = match self.is_shared() {
            true => query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
            false => query,
        };
        Ok(query.all(&self.transaction).await?)
    }

    /// Says of items that channels were told of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn items_are_told(&self, ids: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, attention_items::Column::Id, ids) {
            attention_items::Entity::update_many()
                .col_expr(attention_items::Column::ToldAt, Expr::val(Some(micros(now))))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// The alerts about these items.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alerts_about(&self, items: Vec<Uuid>) -> Result<Vec<Alert>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, alerts::Column::ItemId, items) {
            found.extend(alerts::Entity::find().filter(condition).all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Writes alerts. There is one for an item at a channel: an earlier one becomes the new one, its id included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_alerts(&self, rows: Vec<Alert>) -> Result<(), StoreError> {
        use alerts::Column::{Attempts, ChannelId, CreatedAt, Error, Id, ItemId, NextAttemptAt, Status};
        let again = Existing::Update {
            by: &[ItemId, ChannelId],
            columns: &[Id, Status, Attempts, NextAttemptAt, Error, CreatedAt],
        };
        bulk::insert::<alerts::Entity>(&self.transaction, rows, again).await?;
        Ok(())
    }

    /// Has alerts wait until then, those that would be due before and are still tried.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delay_alerts(&self, ids: Vec<Uuid>, until: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, alerts::Column::Id, ids) {
            alerts::Entity::update_many()
                .col_expr(alerts::Column::NextAttemptAt, Expr::val(Some(micros(until))))
                .filter(condition)
                .filter(pending())
                .filter(alerts::Column::NextAttemptAt.lt(micros(until)))
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Writes what became of alerts. One that is not there any more, since its channel was removed, stays away.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_alerts(&self, rows: Vec<Alert>) -> Result<(), StoreError> {
        for row in rows {
            alerts::Entity::update_many()
                .col_expr(alerts::Column::Status, Expr::val(row.status))
                .col_expr(alerts::Column::Attempts, Expr::val(row.attempts))
                .col_expr(alerts::Column::NextAttemptAt, Expr::val(row.next_attempt_at))
                .col_expr(alerts::Column::Error, Expr::val(row.error))
                .col_expr(alerts::Column::SentAt, Expr::val(row.sent_at))
                .filter(alerts::Column::Id.eq(row.id))
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Forgets alerts from before then that are not tried any more; so many at most. Returns how many went.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_alerts(&self, tenant: TenantId, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let channels = alert_channels::Entity::find().select_only().column(alert_channels::Column::Id);
        let channels = channels.filter(alert_channels::Column::TenantId.eq(tenant.0)).into_query();
        let query = alerts::Entity::find()
            .select_only()
            .column(alerts::Column::Id)
            .filter(alerts::Column::ChannelId.in_subquery(channels))
            .filter(alerts::Column::Id.lt(first_id(before)))
            .filter(alerts::Column::Status.ne(status::PENDING))
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        for condition in any_of(&self.transaction, alerts::Column::Id, ids.clone()) {
            alerts::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        Ok(ids.len() as u64)
    }

    /// Takes the right to use a channel until `until`. Returns the channel as it is, if nobody else has it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_alert_channel(
        &self,
        id: Uuid,
        token: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<AlertChannel>, StoreError> {
        let row = self.lock_alert_channel(id).await?;
        let Some(row) = row.filter(|row| row.lease_until.is_none_or(|until| until <= micros(now))) else {
            return Ok(None);
        };
        let row = AlertChannel { lease_token: Some(token), lease_until: Some(micros(until)), ..row };
        self.save_alert_channel(row.clone()).await?;
        Ok(Some(row))
    }

    /// Keeps the right to use a channel until `until`, if it is still ours.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn renew_alert_channel(&self, id: Uuid, token: Uuid, until: Timestamp) -> Result<(), StoreError> {
        alert_channels::Entity::update_many()
            .col_expr(alert_channels::Column::LeaseUntil, Expr::val(Some(micros(until))))
            .filter(alert_channels::Column::Id.eq(id))
            .filter(alert_channels::Column::LeaseToken.eq(token))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Gives the right to use a channel back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_alert_channel(&self, id: Uuid, token: Uuid) -> Result<(), StoreError> {
        alert_channels::Entity::update_many()
            .col_expr(alert_channels::Column::LeaseToken, Expr::val(Option::<Uuid>::None))
            .col_expr(alert_channels::Column::LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(alert_channels::Column::Id.eq(id))
            .filter(alert_channels::Column::LeaseToken.eq(token))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }
}
