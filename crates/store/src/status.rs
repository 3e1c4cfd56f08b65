//! How things stand, in a few counts.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::{
    Store,
    deliveries::endpoints,
    entities::{attention_items, deliveries, inbound_events, licenses, mails, orders},
    error::StoreError,
    inbox,
    lists::{Whose, events},
    outbox,
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
    /// Events that are to be delivered to vendors' own systems.
    pub deliveries_pending: u64,
    /// Events that wait until their address is called again.
    pub deliveries_held: u64,
    /// Open attention items that nobody has dismissed.
    pub attention_open: u64,
    /// Licenses, in whatever state.
    pub licenses_total: u64,
}

impl Store {
    /// How things stand with a tenant's money of one mode; none: with all there is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn status(&self, whose: Option<Whose>) -> Result<Status, StoreError> {
        let of = |condition: fn(Whose) -> Condition| whose.map_or_else(Condition::all, condition);
        let events = |state| inbound_events::Entity::find().filter(state).filter(of(events::inbound_of));
        let mails = |status| mails::Entity::find().filter(outbox::is(status)).filter(of(mails_of));
        let deliveries =
            |state: &'static str| deliveries::Entity::find().filter(Expr::cust(state)).filter(of(deliveries_of));
        let attention = attention_items::Entity::find()
            .filter(attention_items::Column::ClosedAt.is_null())
            .filter(attention_items::Column::DismissedAt.is_null())
            .filter(of(events::attention_of));
        let licenses = licenses::Entity::find().filter(of(licenses_of));
        // As of one moment: an event that goes from one state to the next would not be counted in either.
        let snapshot = self.snapshot().await?;
        let now = snapshot.transaction();
        let workable = events(inbox::workable()).count(now).await?;
        let waiting = events(inbox::waiting()).count(now).await?;
        Ok(Status {
            inbox_pending: workable + waiting,
            mails_pending: mails(outbox::status::PENDING).count(now).await?,
            mails_held: mails(outbox::status::HELD).count(now).await?,
            deliveries_pending: deliveries("status = 'pending'").count(now).await?,
            deliveries_held: deliveries("status = 'held'").count(now).await?,
            attention_open: attention.count(now).await?,
            licenses_total: licenses.count(now).await?,
        })
    }
}

/// A delivery is of the mode of its address.
pub(crate) fn deliveries_of(whose: Whose) -> Condition {
    Condition::all().add(deliveries::Column::EndpointId.in_subquery(endpoints(whose)))
}

fn licenses_of(whose: Whose) -> Condition {
    let tenant = licenses::Column::TenantId.eq(whose.tenant.0);
    Condition::all().add(tenant).add(licenses::Column::Livemode.eq(whose.livemode))
}

/// A mail is of the mode of its order.
pub(crate) fn mails_of(whose: Whose) -> Condition {
    let order = Query::select()
        .expr(Expr::val(1))
        .from(orders::Entity)
        .and_where(Expr::col((orders::Entity, orders::Column::Id)).equals((mails::Entity, mails::Column::OrderId)))
        .and_where(orders::Column::Livemode.eq(whose.livemode))
        .to_owned();
    Condition::all().add(mails::Column::TenantId.eq(whose.tenant.0)).add(Expr::exists(order))
}
