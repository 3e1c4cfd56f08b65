//! Subscriptions: where they stand, and what they are for. Two registers, since not every snapshot is believed about items.

use std::collections::BTreeMap;

use domain::{
    fact::Fact,
    join::{Register, Stamp},
    order::{Line, Order, Subscription, SubscriptionStatus},
    text::{CustomerReference, Reference},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    customer,
    event::{Event, lacks},
    price::{Price, Product},
    transaction::Span,
};
use crate::{
    lookup::{LookUps, Stop, together},
    read, sale,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Snapshot {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
    #[serde(deserialize_with = "read::text")]
    collection_mode: Option<String>,
    #[serde(deserialize_with = "read::object")]
    current_billing_period: Option<Span>,
    #[serde(deserialize_with = "read::object")]
    scheduled_change: Option<ScheduledChange>,
    #[serde(deserialize_with = "read::instant")]
    canceled_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::id")]
    customer_id: Option<CustomerReference>,
    /// Only `subscription.created` names the transaction that started it.
    #[serde(deserialize_with = "read::id")]
    transaction_id: Option<Reference>,
    #[serde(deserialize_with = "read::elements")]
    items: Vec<Item>,
    #[serde(deserialize_with = "read::metadata")]
    custom_data: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ScheduledChange {
    #[serde(deserialize_with = "read::text")]
    action: Option<String>,
    #[serde(deserialize_with = "read::instant")]
    effective_at: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "read::object")]
    price: Option<Price>,
    #[serde(deserialize_with = "read::object")]
    product: Option<Product>,
    #[serde(deserialize_with = "read::number")]
    quantity: Option<i64>,
    #[serde(deserialize_with = "read::flag_if_told")]
    recurring: Option<bool>,
    #[serde(deserialize_with = "read::object")]
    trial_dates: Option<Span>,
}

/// `subscription.*`: a snapshot. Paddle's events say to the microsecond when they happened, which orders them; one that is
/// cancelled cannot come back. Events of one moment are created < whatever became of it.
pub(super) fn subscription(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let snapshot: Snapshot = event.data()?;
    let id = snapshot.id.clone().ok_or_else(|| lacks("data.id"))?;
    let state = snapshot.state(event);
    let is_first = event.kind == "subscription.created";
    let stamp = Stamp { ended: state.ended_at.is_some(), at: event.at, rank: u8::from(!is_first) };
    // A transaction looks its customer up by itself; one that was imported has none.
    let without_sale =
        matches!(event.kind, "subscription.created" | "subscription.imported") && snapshot.transaction_id.is_none();
    let customer = snapshot.customer_id.clone();
    let order = Order {
        customers: sale::customers(customer.clone()),
        ..sale::named([snapshot.transaction_id.clone()], [Some(id.clone())])
    };
    let lines = snapshot.lines(event, &id, state.status);
    let items = (!lines.is_empty()).then(|| (id.clone(), Register::new(stamp, lines)));
    let facts = sale::fact(Order {
        subscriptions: [(id, Register::new(stamp, state))].into(),
        items: items.into_iter().collect(),
        ..order
    });
    match without_sale {
        true => together(facts, customer::look_up(customer.as_ref(), look_ups)),
        false => Ok(facts),
    }
}

impl Snapshot {
    /// A status that is not known yet grants nothing and takes nothing away: the paid periods decide.
    fn status(&self, kind: &str) -> SubscriptionStatus {
        match (kind, self.status.as_deref()) {
            ("subscription.canceled", _) | (_, Some("canceled")) => SubscriptionStatus::Ended,
            (_, Some("trialing")) => SubscriptionStatus::Trialing,
            (_, Some("active")) => SubscriptionStatus::Active,
            (_, Some("past_due")) => SubscriptionStatus::PastDue,
            (_, Some("paused")) => SubscriptionStatus::Paused,
            _ => SubscriptionStatus::Incomplete,
        }
    }

    /// What Paddle itself vouches for. A trial is given, however the time after it will be paid; a running period only
    /// counts where Paddle collects by itself, for one that sends invoices is active while nobody pays.
    fn granted_until(&self, status: SubscriptionStatus) -> Option<Timestamp> {
        let period_end = self.current_billing_period.and_then(|period| period.ends_at);
        match status {
            SubscriptionStatus::Trialing => period_end.or_else(|| self.trial_end()),
            SubscriptionStatus::Active if self.collection_mode.as_deref() == Some("automatic") => period_end,
            _ => None,
        }
    }

    fn trial_end(&self) -> Option<Timestamp> {
        self.items.iter().filter_map(|item| item.trial_dates?.ends_at).max()
    }

    fn state(&self, event: &Event<'_>) -> Subscription {
        let status = self.status(event.kind);
        let ended = status == SubscriptionStatus::Ended;
        // Of the changes to come only an end matters beforehand: a pause and its own end say so when they come.
        let ends = self.scheduled_change.as_ref().filter(|change| change.action.as_deref() == Some("cancel"));
        Subscription {
            status,
            granted_until: self.granted_until(status),
            cancel_at: ends.and_then(|change| change.effective_at),
            ended_at: ended.then(|| self.canceled_at.unwrap_or(event.at)),
            covers: None,
            trial_until: self.trial_end(),
        }
    }

    /// What it is for. An item has no id, and is known by its price. A subscription that is not running is not believed
    /// about what it is for: nobody pays for what is changed then, and it tells again once it runs (E16).
    fn lines(self, event: &Event<'_>, id: &Reference, status: SubscriptionStatus) -> Vec<Line> {
        if !matches!(status, SubscriptionStatus::Active | SubscriptionStatus::Trialing) {
            return Vec::new();
        }
        // One that was imported has no transaction that could name the plan of its one item.
        let named = event.plan_named_in(&self.custom_data).filter(|_| event.kind == "subscription.imported");
        // What was sold once stands in its transaction.
        let items: Vec<Item> = self.items.into_iter().filter(|item| item.recurring != Some(false)).collect();
        let named = named.filter(|_| items.len() == 1);
        let line = |(place, item): (usize, Item)| {
            let price = item.price.unwrap_or_default();
            let line = match &price.id {
                Some(price) => Reference::new(format!("{id}:{price}")),
                None => Reference::new(format!("{id}:{place}")),
            };
            let line = price.line(item.product.unwrap_or_default(), line, item.quantity, true);
            Line { named: named.clone().or(line.named), ..line }
        };
        items.into_iter().enumerate().map(line).collect()
    }
}
