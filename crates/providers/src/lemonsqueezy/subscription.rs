//! Subscriptions: where they stand, what they are for, and until when they are paid.

use domain::{
    fact::Fact,
    join::{Partition, Register, Stamp},
    money::{Currency, Money},
    order::{Collected, LastTold, Line, Order, Period, Subscription, SubscriptionStatus},
    text::Reference,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    event::{Buyer, Event},
    first_payment, named,
    order::{description, line_of, priced},
};
use crate::{
    lookup::{LookUps, Stop},
    read, sale,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(flatten)]
    buyer: Buyer,
    #[serde(deserialize_with = "read::name")]
    order_id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    order_item_id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    product_id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    variant_id: Option<String>,
    #[serde(deserialize_with = "read::text")]
    product_name: Option<String>,
    #[serde(deserialize_with = "read::text")]
    variant_name: Option<String>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
    #[serde(deserialize_with = "read::object")]
    pause: Option<Pause>,
    #[serde(deserialize_with = "read::flag")]
    cancelled: bool,
    #[serde(deserialize_with = "read::instant")]
    trial_ends_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::instant")]
    renews_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::instant")]
    ends_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::object")]
    first_subscription_item: Option<Item>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pause {
    #[serde(deserialize_with = "read::text")]
    mode: Option<String>,
    #[serde(deserialize_with = "read::instant")]
    resumes_at: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "read::number")]
    quantity: Option<i64>,
}

/// `subscription_*`: a snapshot, ordered by when the subscription changed, then created < updated < what says how.
pub(super) fn subscription(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let told: Attributes = event.attributes()?;
    let name = named("subscription", &event.id);
    let order = told.order_id.as_deref().map(|id| named("order", id));
    let state = told.state(event.changed_at, order.as_ref());
    let rank = match event.kind {
        // The list tells the same subscription without the checkout's own data.
        "subscription_created" if event.named_plan().is_none() => 0,
        "subscription_created" => 1,
        "subscription_updated" => 2,
        _ => 3,
    };
    let stamp = Stamp { ended: state.ended_at.is_some(), at: event.changed_at, rank };
    let paid = told.paid_until(&state).map(|until| told.period(&name, until));
    let tried_again = told.tried_again_at(&state).map(|at| (name.clone(), LastTold(at)));
    let started = order.clone().map(|order| (order, told.start(&name, event.created_at)));
    let line = told.line(event, order.as_ref().unwrap_or(&name));
    let names = [Some(name.clone()), order.clone(), paid.as_ref().map(|(period, _)| period.clone())];
    Ok(sale::fact(Order {
        payments: Partition::group(order.into_iter().chain([first_payment(&name)])),
        subscriptions: [(name.clone(), Register::new(stamp, state))].into(),
        items: [(name, Register::new(stamp, vec![line]))].into(),
        periods: paid.into_iter().collect(),
        collected: started.into_iter().collect(),
        retries: tried_again.into_iter().collect(),
        contact: told.buyer.contact(event.changed_at),
        customers: told.buyer.customers(),
        ..sale::named([], names)
    }))
}

impl Attributes {
    /// A status that is not known yet grants nothing and takes nothing away: the paid periods decide.
    ///
    /// `cancelled` is the time until `ends_at`, in which nothing is taken from the buyer; `expired` is the end. Of two ways
    /// to pause, `free` is service for nothing, and `void` is none.
    fn status(&self) -> SubscriptionStatus {
        match self.status.as_deref() {
            Some("on_trial") => SubscriptionStatus::Trialing,
            Some("cancelled") if self.ends_at.is_some_and(|ends_at| self.trial_ends_at >= Some(ends_at)) => {
                SubscriptionStatus::Trialing
            }
            Some("active" | "cancelled") => SubscriptionStatus::Active,
            Some("paused") if self.is_free() => SubscriptionStatus::Active,
            Some("paused") => SubscriptionStatus::Paused,
            Some("past_due" | "unpaid") => SubscriptionStatus::PastDue,
            Some("expired") => SubscriptionStatus::Ended,
            _ => SubscriptionStatus::Incomplete,
        }
    }

    fn is_free(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.mode.as_deref() == Some("free"))
    }

    /// `changed_at` stands in for the end of a subscription that has ended without saying when.
    fn state(&self, changed_at: Timestamp, order: Option<&Reference>) -> Subscription {
        let status = self.status();
        let has_ended = status == SubscriptionStatus::Ended;
        let is_cancelled = self.cancelled || self.status.as_deref() == Some("cancelled");
        // The order may have told its item with its id or without.
        let covers = order.map(|order| [line_of(self.order_item_id.as_deref(), order), line_of(None, order)].into());
        Subscription {
            status,
            granted_until: self.granted_until(status),
            trial_until: self.trial_ends_at,
            cancel_at: self.ends_at.filter(|_| is_cancelled && !has_ended),
            ended_at: has_ended.then(|| self.ends_at.unwrap_or(changed_at)),
            covers,
        }
    }

    /// What Lemon Squeezy itself vouches for: it always collects by itself.
    fn granted_until(&self, status: SubscriptionStatus) -> Option<Timestamp> {
        let resumes_at = self.pause.as_ref().filter(|_| self.is_free()).and_then(|pause| pause.resumes_at);
        match (status, self.status.as_deref()) {
            (SubscriptionStatus::Trialing, _) => self.trial_ends_at.or(self.renews_at),
            (SubscriptionStatus::Active, Some("cancelled")) => self.ends_at.or(self.renews_at),
            (SubscriptionStatus::Active, _) => self.renews_at.max(resumes_at),
            _ => None,
        }
    }

    /// The end of what was paid, or is a trial. It stays known when the next payment fails, and `renews_at` is then the
    /// next try; of a pause nobody knows what it is.
    fn paid_until(&self, state: &Subscription) -> Option<Timestamp> {
        state.granted_until.filter(|_| self.status.as_deref() != Some("paused"))
    }

    /// A period, under a name of its own: which payment paid it, nobody tells.
    fn period(&self, name: &Reference, until: Timestamp) -> (Reference, Period) {
        let total = Money::new(0, Currency::NONE);
        (Reference::new(format!("{name}@{until}")), Period { subscription: name.clone(), until, total })
    }

    fn tried_again_at(&self, state: &Subscription) -> Option<Timestamp> {
        self.renews_at
            .filter(|_| state.status == SubscriptionStatus::PastDue && self.status.as_deref() != Some("unpaid"))
    }

    /// The payment of its order. How much it was the order tells.
    fn start(&self, name: &Reference, created_at: Timestamp) -> Collected {
        let total = Money::new(0, Currency::NONE);
        Collected { subscription: name.clone(), total, at: created_at, change: false }
    }

    /// The plan that the checkout names is that of what was bought there, and not of what it was changed to later.
    fn line(&self, event: &Event<'_>, order: &Reference) -> Line {
        let line = line_of(self.order_item_id.as_deref(), order);
        let quantity = self.first_subscription_item.as_ref().and_then(|item| item.quantity);
        let description = description(self.product_name.clone(), self.variant_name.clone());
        let line = priced(line, self.variant_id.clone(), self.product_id.clone(), quantity, description);
        let named = event.named_plan().filter(|_| event.kind == "subscription_created");
        Line { recurring: true, named, ..line }
    }
}
