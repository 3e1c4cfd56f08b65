//! Subscriptions: where they stand, and what they are for. Two registers, since a snapshot without items says nothing
//! about items.

use domain::{
    fact::Fact,
    join::{Register, Stamp},
    order::{Line, Order, Subscription, SubscriptionStatus},
    text::{CustomerReference, Reference},
    time::stored,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    event::{Event, lacks},
    lookup::{Found, LookUps, Stop},
    price::Price,
    read::{self, List},
    sale,
};
use crate::{Level, http::percent_encoded};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Snapshot {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
    #[serde(deserialize_with = "read::text")]
    collection_method: Option<String>,
    /// What it was called until 2019-10-17.
    #[serde(deserialize_with = "read::text")]
    billing: Option<String>,
    #[serde(deserialize_with = "read::time")]
    current_period_end: Option<Timestamp>,
    #[serde(deserialize_with = "read::time")]
    trial_end: Option<Timestamp>,
    #[serde(deserialize_with = "read::flag")]
    cancel_at_period_end: bool,
    #[serde(deserialize_with = "read::time")]
    cancel_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::time")]
    canceled_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::time")]
    ended_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::id")]
    customer: Option<CustomerReference>,
    #[serde(deserialize_with = "read::id")]
    latest_invoice: Option<Reference>,
    #[serde(deserialize_with = "read::object")]
    items: Option<List<Item>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::object")]
    price: Option<Price>,
    #[serde(deserialize_with = "read::object")]
    plan: Option<Price>,
    #[serde(deserialize_with = "read::number")]
    quantity: Option<i64>,
    #[serde(deserialize_with = "read::time")]
    current_period_end: Option<Timestamp>,
}

/// `customer.subscription.*`: a snapshot.
///
/// Stripe's events have no order, so where the key may read subscriptions every event is only a reason to look: what
/// the API says, stamped with the moment it was asked, replaces what was looked up before. Otherwise the event's own
/// snapshot counts, ordered by its second, then created < updated < deleted.
pub(super) fn subscription(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let told: Snapshot = event.object()?;
    let id = told.id.clone().ok_or_else(|| lacks("data.object.id"))?;
    let path = format!("/v1/subscriptions/{}", percent_encoded(id.as_str()));
    let fresh = if look_ups.level == Level::Full { look_ups.get(path)? } else { Found::Nothing };
    let (snapshot, at, rank) = match fresh {
        Found::It(fresh, asked_at) => (fresh, stored(asked_at), 0),
        // What the event says is still true of its moment.
        Found::Forbidden | Found::Nothing => {
            let rank = match event.kind {
                "customer.subscription.created" => 0,
                "customer.subscription.deleted" => 2,
                _ => 1,
            };
            (told.deleted(event.kind == "customer.subscription.deleted"), event.created, rank)
        }
    };
    let state = snapshot.state(event.created);
    let stamp = Stamp { ended: state.ended_at.is_some(), at, rank };
    let items = snapshot.items.into_iter().flat_map(|list| list.data);
    let lines: Vec<Line> = items.enumerate().map(|(place, item)| item.line(&id, place)).collect();
    let items = (!lines.is_empty()).then(|| (id.clone(), Register::new(stamp, lines)));
    Ok(sale::fact(Order {
        subscriptions: [(id.clone(), Register::new(stamp, state))].into(),
        items: items.into_iter().collect(),
        customers: sale::customers(snapshot.customer),
        ..sale::named([snapshot.latest_invoice], [Some(id)])
    }))
}

impl Snapshot {
    /// A deletion is an end, whatever the object still says.
    fn deleted(mut self, deleted: bool) -> Self {
        if deleted {
            self.status = Some("canceled".into());
        }
        self
    }

    /// A status that is not known yet grants nothing and takes nothing away: the paid periods decide.
    ///
    /// Stripe pauses in two senses, and only the status is a pause here. Status `paused` "suspends service delivery"
    /// (docs.stripe.com/billing/subscriptions/pause): a trial ended without a way to pay, somebody paused it, or (since
    /// 2026-09-30) a payment failed. `pause_collection` pauses the collecting only: the subscription stays active and "your
    /// customer retains access to the service during this time" (docs.stripe.com/billing/subscriptions/pause-payment),
    /// whatever its `behavior`: `void` is to "offer services for free and never collect payment", `keep_as_draft` to
    /// "collect payment later", `mark_uncollectible` to write it off. (Until 2022 that page also gave `void` for "unable to
    /// provide services", beside "offer services for free"; nothing tells which was meant, and who is in doubt keeps what
    /// he paid for.) So nothing of `pause_collection` is read, nor is its `resumes_at`.
    fn status(&self) -> SubscriptionStatus {
        match self.status.as_deref() {
            Some("trialing") => SubscriptionStatus::Trialing,
            Some("active") => SubscriptionStatus::Active,
            Some("past_due" | "unpaid") => SubscriptionStatus::PastDue,
            Some("paused") => SubscriptionStatus::Paused,
            Some("canceled" | "incomplete_expired") => SubscriptionStatus::Ended,
            _ if self.ended_at.is_some() => SubscriptionStatus::Ended,
            _ => SubscriptionStatus::Incomplete,
        }
    }

    /// The last end of any item's period. Until 2025-03-31 (basil) all items shared one.
    fn period_end(&self) -> Option<Timestamp> {
        let items = self.items.iter().flat_map(|list| &list.data);
        items.filter_map(|item| item.current_period_end).max().or(self.current_period_end)
    }

    /// What Stripe itself vouches for. A trial is given, however the time after it will be paid; a running period only
    /// counts where Stripe collects by itself, for a subscription that sends invoices is active while nobody pays.
    /// While collecting is paused, a running period is what Stripe gives for free.
    fn granted_until(&self, status: SubscriptionStatus) -> Option<Timestamp> {
        let collection = self.collection_method.as_deref().or(self.billing.as_deref());
        match status {
            SubscriptionStatus::Trialing => self.trial_end.or_else(|| self.period_end()),
            SubscriptionStatus::Active if collection == Some("charge_automatically") => self.period_end(),
            _ => None,
        }
    }

    /// `event_at` stands in for the end of a subscription that has ended without saying when.
    fn state(&self, event_at: Timestamp) -> Subscription {
        let status = self.status();
        let ended = status == SubscriptionStatus::Ended;
        Subscription {
            status,
            granted_until: self.granted_until(status),
            cancel_at: self.cancel_at.or_else(|| self.period_end().filter(|_| self.cancel_at_period_end)),
            ended_at: ended.then(|| self.ended_at.or(self.canceled_at).unwrap_or(event_at)),
            covers: None,
            trial_until: self.trial_end,
        }
    }
}

impl Item {
    fn line(self, subscription: &Reference, place: usize) -> Line {
        let line = self.id.unwrap_or_else(|| Reference::new(format!("{subscription}:{place}")));
        let price = match self.price {
            Some(price) if price.id.is_some() => price,
            _ => self.plan.unwrap_or_default(),
        };
        price.line(line, self.quantity, true)
    }
}
