//! How things stand, in a few counts.

use domain::id::TenantId;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};

use crate::{
    Store,
    entities::{attention_items, inbound_events, licenses, mails},
    error::StoreError,
    inbox, outbox,
};

/// Counts over one tenant, or over the whole installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Events that are not done and not held.
    pub inbox_pending: u64,
    /// Mails that are to be sent.
    pub mails_pending: u64,
    /// Mails that are caught, since there is no sender.
    pub mails_held: u64,
    /// Open attention items that nobody has dismissed.
    pub attention_open: u64,
    /// Licenses, in whatever state.
    pub licenses_total: u64,
}

impl Store {
    /// How things stand with a tenant; none: with all of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn status(&self, tenant: Option<TenantId>) -> Result<Status, StoreError> {
        let events = |condition| inbound_events::Entity::find().filter(condition);
        let mails = |status| mails::Entity::find().filter(outbox::is(status));
        let attention = attention_items::Entity::find()
            .filter(attention_items::Column::ClosedAt.is_null())
            .filter(attention_items::Column::DismissedAt.is_null());
        let of = |column: Condition| tenant.map_or_else(Condition::all, |_| column);
        let id = tenant.map(|tenant| tenant.0).unwrap_or_default();
        let [of_events, of_mails, of_attention, of_licenses] = [
            inbound_events::Column::TenantId.eq(id),
            mails::Column::TenantId.eq(id),
            attention_items::Column::TenantId.eq(id),
            licenses::Column::TenantId.eq(id),
        ]
        .map(|condition| of(Condition::all().add(condition)));
        let workable = events(inbox::workable()).filter(of_events.clone()).count(&self.reader).await?;
        let waiting = events(inbox::waiting()).filter(of_events).count(&self.reader).await?;
        Ok(Status {
            inbox_pending: workable + waiting,
            mails_pending: mails(outbox::status::PENDING).filter(of_mails.clone()).count(&self.reader).await?,
            mails_held: mails(outbox::status::HELD).filter(of_mails).count(&self.reader).await?,
            attention_open: attention.filter(of_attention).count(&self.reader).await?,
            licenses_total: licenses::Entity::find().filter(of_licenses).count(&self.reader).await?,
        })
    }
}
