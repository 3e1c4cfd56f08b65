//! What ought not to be there for long, and what ought not to be there at all. Each answer is a list of a few ids.

use domain::id::{DeliveryId, InboundId, LicenseId, MailId, OrderId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    convert::micros,
    deliveries as deliveries_status,
    entities::{
        activations, attention_items, deliveries, events, inbound_events, license_keys, licenses, mails,
        order_references, orders, webhook_endpoints,
    },
    error::StoreError,
    inbox, outbox,
    snapshot::Snapshot,
    webhook_endpoints::status as webhook_endpoints_status,
};

/// Rows named at most, of each kind: whoever has more of them has to look at the first ones anyway.
const NAMED_MAX: u64 = 100;

/// Something that ought not to be there, with its subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pending {
    /// An event is in the inbox and nobody works on it.
    Unhandled(InboundId),
    /// An event waits for a look-up that nobody makes.
    NotLookedUp(InboundId),
    /// An event waits for a look-up, and no time is set for it.
    NoLookupTime(InboundId),
    /// An event is held and nobody is told.
    HeldUnseen(InboundId),
    /// An order's time has come and nobody looks at it.
    Overdue(OrderId),
    /// A mail ought to have been sent and nobody sends it.
    NotSent(MailId),
    /// A mail waits, and no time is set for it.
    NoSendingTime(MailId),
    /// A mail has a status that nobody knows.
    UnknownMailStatus(MailId),
    /// A delivery ought to have been made and nobody makes it.
    NotDelivered(DeliveryId),
    /// A delivery is to be made, and no time is set for it.
    NoDeliveryTime(DeliveryId),
    /// A delivery is to be made to an address that is not called, and is not held.
    NotHeld(DeliveryId),
    /// A delivery was given up and nothing says why.
    DeadWithoutReason(DeliveryId),
    /// A delivery has a status that nobody knows.
    UnknownDeliveryStatus(DeliveryId),
    /// A delivery is of an event, or to an address, that is not there.
    OrphanDelivery(DeliveryId),
    /// A mail is about a license that is not there.
    OrphanMail(MailId),
    /// A name leads to an order that is not there, or that became a part of another.
    DanglingReference(String),
    /// A license is of an order that is not there.
    OrphanLicense(LicenseId),
    /// A key opens a license that is not there.
    OrphanKey(Uuid),
    /// An activation uses a license that is not there.
    OrphanActivation(Uuid),
}

impl Snapshot {
    /// What has been waiting since before `since`, and what stands on nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn pending(&self, since: Timestamp) -> Result<Vec<Pending>, StoreError> {
        let mut found = self.waiting_events(since).await?;
        found.extend(self.waiting_orders_and_mails(since).await?);
        found.extend(self.waiting_deliveries(since).await?);
        found.extend(self.orphans().await?);
        Ok(found)
    }

    async fn waiting_events(&self, since: Timestamp) -> Result<Vec<Pending>, StoreError> {
        use inbound_events::Column::{Id, LeaseUntil, NextAttemptAt, ReceivedAt};
        let events = |condition| inbound_events::Entity::find().filter(condition);
        let waiting = || events(inbox::waiting());
        let unhandled = events(inbox::workable()).filter(ReceivedAt.lt(micros(since)));
        let free = Condition::any().add(LeaseUntil.is_null()).add(LeaseUntil.lt(micros(since)));
        let told = matching(
            attention_items::Entity,
            attention_items::Column::InboundId,
            (inbound_events::Entity, Id),
            Some(attention_items::Column::ClosedAt.is_null()),
        );
        // One item tells of all events of an account that nobody has connected.
        let open = Expr::col((attention_items::Entity, attention_items::Column::ClosedAt)).is_null();
        let told_of_account = matching(
            attention_items::Entity,
            attention_items::Column::ConnectionId,
            (inbound_events::Entity, inbound_events::Column::ConnectionId),
            Some(
                open.and(
                    Expr::col((attention_items::Entity, attention_items::Column::Lookup))
                        .equals((inbound_events::Entity, inbound_events::Column::Account)),
                ),
            ),
        );
        let is_told = Condition::any().add(Expr::exists(told)).add(Expr::exists(told_of_account));
        let held = events(inbox::held()).filter(is_told.not());
        let overdue = waiting().filter(NextAttemptAt.lt(micros(since))).filter(free);
        let mut found = self.named(unhandled, Id, |id| Pending::Unhandled(InboundId(id))).await?;
        found.extend(self.named(overdue, Id, |id| Pending::NotLookedUp(InboundId(id))).await?);
        let timeless = waiting().filter(NextAttemptAt.is_null());
        found.extend(self.named(timeless, Id, |id| Pending::NoLookupTime(InboundId(id))).await?);
        found.extend(self.named(held, Id, |id| Pending::HeldUnseen(InboundId(id))).await?);
        Ok(found)
    }

    async fn waiting_orders_and_mails(&self, since: Timestamp) -> Result<Vec<Pending>, StoreError> {
        use mails::Column::{Id, LeaseUntil, NextAttemptAt, Status};
        use outbox::status::{FAILED, HELD, PENDING, SENT, SUPERSEDED};
        let due = orders::Entity::find().filter(orders::Column::DueAt.lt(micros(since)));
        let pending = || mails::Entity::find().filter(Status.eq(PENDING)).filter(Expr::cust("status <> 'sent'"));
        let free = Condition::any().add(LeaseUntil.is_null()).add(LeaseUntil.lt(micros(since)));
        let late = pending().filter(NextAttemptAt.lt(micros(since))).filter(free);
        let timeless = pending().filter(NextAttemptAt.is_null());
        let unknown = mails::Entity::find().filter(Status.is_not_in([PENDING, HELD, SENT, FAILED, SUPERSEDED]));
        let mut found = self.named(due, orders::Column::Id, |id| Pending::Overdue(OrderId(id))).await?;
        found.extend(self.named(late, Id, |id| Pending::NotSent(MailId(id))).await?);
        found.extend(self.named(timeless, Id, |id| Pending::NoSendingTime(MailId(id))).await?);
        found.extend(self.named(unknown, Id, |id| Pending::UnknownMailStatus(MailId(id))).await?);
        Ok(found)
    }

    async fn waiting_deliveries(&self, since: Timestamp) -> Result<Vec<Pending>, StoreError> {
        use deliveries::Column::{EndpointId, Error, EventId, Id, NextAttemptAt, Status};
        use webhook_endpoints::Column as Endpoint;
        let all = deliveries::Entity::find;
        let pending = || all().filter(deliveries_status::pending());
        let endpoint = |condition| {
            let child = (deliveries::Entity, EndpointId);
            Expr::exists(matching(webhook_endpoints::Entity, Endpoint::Id, child, condition))
        };
        let is_called = || Endpoint::Status.eq(webhook_endpoints_status::ENABLED);
        // One that fails has its own time, and one that somebody serves has a queue.
        let is_served = Endpoint::LeaseUntil.gte(micros(since));
        let is_idle =
            is_called().and(Endpoint::FailingSince.is_null()).and(Endpoint::LeaseUntil.is_null().or(is_served.not()));
        let late = pending().filter(NextAttemptAt.lt(micros(since))).filter(endpoint(Some(is_idle)));
        let stopped = pending().filter(endpoint(Some(is_called().not())));
        let dead = all().filter(Status.eq(deliveries_status::status::DEAD)).filter(Error.is_null());
        let unknown = all().filter(Status.is_not_in(deliveries_status::STATUSES));
        let event = matching(events::Entity, events::Column::Id, (deliveries::Entity, EventId), None);
        let orphans = all().filter(Condition::any().add(Expr::exists(event).not()).add(endpoint(None).not()));
        let named = |name: fn(DeliveryId) -> Pending| move |id| name(DeliveryId(id));
        let mut found = self.named(late, Id, named(Pending::NotDelivered)).await?;
        let timeless = pending().filter(NextAttemptAt.is_null());
        found.extend(self.named(timeless, Id, named(Pending::NoDeliveryTime)).await?);
        found.extend(self.named(stopped, Id, named(Pending::NotHeld)).await?);
        found.extend(self.named(dead, Id, named(Pending::DeadWithoutReason)).await?);
        found.extend(self.named(unknown, Id, named(Pending::UnknownDeliveryStatus)).await?);
        found.extend(self.named(orphans, Id, named(Pending::OrphanDelivery)).await?);
        Ok(found)
    }

    async fn orphans(&self) -> Result<Vec<Pending>, StoreError> {
        let of_order = (licenses::Entity, licenses::Column::OrderId);
        let order = matching(orders::Entity, orders::Column::Id, of_order, None);
        let licenses = licenses::Entity::find().filter(Expr::exists(order).not());
        let license_of = license_parent(license_keys::Entity, license_keys::Column::LicenseId);
        let keys = license_keys::Entity::find().filter(Expr::exists(license_of).not());
        let license_of = license_parent(activations::Entity, activations::Column::LicenseId);
        let activations = activations::Entity::find().filter(Expr::exists(license_of).not());
        let license_of = license_parent(mails::Entity, mails::Column::LicenseId);
        let mails = mails::Entity::find().filter(Expr::exists(license_of).not());
        let mut found = self.named(licenses, licenses::Column::Id, |id| Pending::OrphanLicense(LicenseId(id))).await?;
        found.extend(self.named(keys, license_keys::Column::Id, Pending::OrphanKey).await?);
        found.extend(self.named(activations, activations::Column::Id, Pending::OrphanActivation).await?);
        found.extend(self.named(mails, mails::Column::Id, |id| Pending::OrphanMail(MailId(id))).await?);
        found.extend(self.dangling_references().await?);
        Ok(found)
    }

    async fn dangling_references(&self) -> Result<Vec<Pending>, StoreError> {
        let child = (order_references::Entity, order_references::Column::OrderId);
        let alive = matching(orders::Entity, orders::Column::Id, child, Some(orders::Column::MergedInto.is_null()));
        let query = order_references::Entity::find().select_only().column(order_references::Column::Reference);
        let query = query.filter(Expr::exists(alive).not()).limit(NAMED_MAX);
        let names: Vec<String> = query.into_tuple().all(&self.transaction).await?;
        Ok(names.into_iter().map(Pending::DanglingReference).collect())
    }

    async fn named<E: EntityTrait>(
        &self,
        query: Select<E>,
        id: E::Column,
        name: impl Fn(Uuid) -> Pending,
    ) -> Result<Vec<Pending>, StoreError> {
        let query = query.select_only().column(id).order_by_asc(id).limit(NAMED_MAX);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        Ok(ids.into_iter().map(name).collect())
    }
}

fn license_parent<C: EntityTrait>(child: C, column: C::Column) -> SelectStatement {
    matching(licenses::Entity, licenses::Column::Id, (child, column), None)
}

/// The rows of a table that belong to a row of the outer query.
fn matching<P: EntityTrait, C: EntityTrait>(
    parent: P,
    id: P::Column,
    (child, column): (C, C::Column),
    condition: Option<SimpleExpr>,
) -> SelectStatement {
    let mut query = Query::select();
    query.expr(Expr::val(1)).from(parent).and_where(Expr::col((parent, id)).equals((child, column)));
    query.and_where_option(condition).take()
}
