//! What happens at the provider: an action changes its account and yields the events that Stripe would send for it.
//!
//! Pure: the same account, action and moment always give the same events.

mod payment;
mod purchase;
mod subscription;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    account::{Account, Buyer, Event, Outcome, Payment, Price, Progress, Sale},
    documents,
};

/// Events that are kept. The real one keeps 30 days.
const EVENTS_KEPT: usize = 1_000;

/// Prices, and how many of each.
pub(crate) type Lines = Vec<(String, u32)>;

/// Something that a person does at the provider, or that time does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Somebody buys once, as a guest.
    Checkout { buyer: Buyer, lines: Lines, plan: Option<String>, paying: Paying },
    /// Somebody opens a checkout and leaves it.
    Leave { buyer: Buyer, lines: Lines },
    /// The money of a checkout that was still under way comes, or does not.
    Arrive { session: String, arrives: bool },
    /// Somebody subscribes; the first so many days are a trial.
    Subscribe { buyer: Buyer, lines: Lines, plan: Option<String>, trial_days: i64 },
    /// A trial ends, and the first month is paid.
    EndTrial { subscription: String },
    /// The next month is paid, or the month that is overdue.
    Renew { subscription: String },
    /// The next month is not paid.
    FailPayment { subscription: String },
    /// Another price or number of its first item, from now on.
    Change { subscription: String, price: String, quantity: u32 },
    /// It ends: now, or with what is paid.
    Cancel { subscription: String, at_once: bool },
    /// Money goes back: that much, or all that is left.
    Refund { payment: String, amount: Option<i64> },
    /// The latest refund does not arrive. If there is none, there is one first.
    FailRefund { payment: String },
    /// The buyer's bank questions a payment, or says how that ended.
    Dispute { payment: String, outcome: Outcome },
    /// It stops for a while, or goes on.
    Pause { subscription: String, pauses: bool },
}

/// When the money of a checkout comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paying {
    /// With the checkout, as by card.
    AtOnce,
    /// Days later, as by bank debit.
    Later,
    /// Never: a discount takes all of it off.
    Nothing,
}

/// Why an action cannot happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Impossible(String);

fn impossible<T>(why: impl Into<String>) -> Result<T, Impossible> {
    Err(Impossible(why.into()))
}

impl Account {
    /// Lets it happen, and says which events follow.
    pub(crate) fn step(&mut self, action: &Action, now: Timestamp) -> Result<Vec<Event>, Impossible> {
        let now = now.as_second();
        match action {
            Action::Checkout { buyer, lines, plan, paying } => {
                Ok(self.checkout(buyer, lines, plan.as_deref(), *paying, now))
            }
            Action::Leave { buyer, lines } => Ok(self.leave(buyer, lines, now)),
            Action::Arrive { session, arrives } => self.arrive(session, *arrives, now),
            Action::Subscribe { buyer, lines, plan, trial_days } => {
                Ok(self.subscribe(buyer, lines, plan.as_deref(), *trial_days, now))
            }
            Action::EndTrial { subscription } => self.end_trial(subscription, now),
            Action::Renew { subscription } => self.renew(subscription, now),
            Action::FailPayment { subscription } => self.fail_payment(subscription, now),
            Action::Change { subscription, price, quantity } => self.change(subscription, (price, *quantity), now),
            Action::Cancel { subscription, at_once } => self.cancel(subscription, *at_once, now),
            Action::Refund { payment, amount } => self.refund(payment, *amount, now),
            Action::FailRefund { payment } => self.fail_refund(payment, now),
            Action::Dispute { payment, outcome } => self.dispute(payment, *outcome, now),
            Action::Pause { subscription, pauses } => self.pause(subscription, *pauses, now),
        }
    }

    /// Adds a price, or changes it, and yields the event that tells of it.
    pub(crate) fn price_event(&mut self, price: Price, now: Timestamp) -> Event {
        let document = documents::price(&price);
        let kind = if self.prices.contains_key(&price.id) { "price.updated" } else { "price.created" };
        self.prices.insert(price.id.clone(), price);
        self.event(kind, now.as_second(), &document)
    }
}

/// The parts that actions share.
impl Account {
    fn event(&mut self, kind: &str, created: i64, object: &Value) -> Event {
        self.told(kind, created, object, None)
    }

    fn event_after(&mut self, kind: &str, created: i64, object: &Value, previous: Value) -> Event {
        self.told(kind, created, object, Some(previous))
    }

    /// Every event is kept for a while, in the list that the API has.
    fn told(&mut self, kind: &str, created: i64, object: &Value, previous: Option<Value>) -> Event {
        let event = documents::event(self.id("evt_"), kind, created, object, previous);
        self.events.push(event.clone());
        let too_many = self.events.len().saturating_sub(EVENTS_KEPT);
        self.events.drain(..too_many);
        event
    }

    fn pay(&mut self, amount: i64, buyer: &Buyer, customer: Option<String>, progress: Progress, now: i64) -> Payment {
        let (intent, charge) = (self.id("pi_"), self.id("ch_"));
        let buyer = buyer.clone();
        let payment = Payment { intent, charge, created: now, amount, refunded: 0, progress, buyer, customer };
        self.payments.insert(payment.intent.clone(), payment.clone());
        payment
    }
}

#[cfg(test)]
mod tests;
