//! What happens at the provider: an action changes its account, and the dialect tells what happened in events.
//!
//! Pure: the same account, action and moment always give the same events.

mod customer;
mod payment;
mod purchase;
mod subscription;

use jiff::Timestamp;

use super::{
    account::{Account, Buyer, Event, Outcome, Payment, Price, Progress},
    dialect::{self, Thing},
    happening::Happening,
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
    /// Somebody pays a checkout that the server has opened.
    Complete { checkout: String },
    /// The money of a checkout that was still under way comes, or does not.
    Arrive { session: String, arrives: bool },
    /// What was bought once becomes something else.
    Replace { session: String, price: String },
    /// Something is bought in addition to what was bought once.
    Add { session: String, price: String },
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
    /// It does not end with what is paid after all.
    Uncancel { subscription: String },
    /// It goes on, and for now nothing is collected for it.
    PauseCollection { subscription: String },
    /// The next month is paid by other means, or the month that is overdue.
    PayOutOfBand { subscription: String },
    /// A subscriber pays an invoice that was made by hand.
    BillByHand { subscription: String },
    /// A subscriber has this address from now on; if it is the known one, another.
    ChangeCustomer { subscription: String, address: String },
    /// A subscriber is deleted.
    DeleteCustomer { subscription: String },
    /// Money goes back: that much, or all that is left.
    Refund { payment: String, amount: Option<i64> },
    /// The latest refund does not arrive.
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
        let before = self.clone();
        let events = self.happens(action, now.as_second())?;
        // What nobody tells did not happen.
        if events.is_empty() {
            *self = before;
            let name = dialect::module(self.dialect()).info().name;
            return impossible(format!("{name} tells nothing of that"));
        }
        let begins = matches!(
            action,
            Action::Checkout { .. } | Action::Complete { .. } | Action::Leave { .. } | Action::Subscribe { .. }
        );
        if let (true, Some(sale)) = (begins, self.sales.last_mut()) {
            sale.events.clone_from(&events);
        }
        Ok(events)
    }

    fn happens(&mut self, action: &Action, now: i64) -> Result<Vec<Event>, Impossible> {
        match action {
            Action::Checkout { buyer, lines, plan, paying } => {
                Ok(self.checkout(buyer, lines, plan.as_deref(), *paying, now))
            }
            Action::Leave { buyer, lines } => Ok(self.leave(buyer, lines, now)),
            Action::Complete { checkout } => self.complete(checkout, now),
            Action::Arrive { session, arrives } => self.arrive(session, *arrives, now),
            Action::Replace { session, price } => self.replace(session, price, now),
            Action::Add { session, price } => self.add(session, price, now),
            Action::Subscribe { buyer, lines, plan, trial_days } => {
                Ok(self.subscribe(buyer, lines, plan.as_deref(), *trial_days, now))
            }
            Action::EndTrial { subscription } => self.end_trial(subscription, now),
            Action::Renew { subscription } => self.renew(subscription, now),
            Action::FailPayment { subscription } => self.fail_payment(subscription, now),
            Action::Change { subscription, price, quantity } => self.change(subscription, (price, *quantity), now),
            Action::Cancel { subscription, at_once } => self.cancel(subscription, *at_once, now),
            Action::Uncancel { subscription } => self.uncancel(subscription, now),
            Action::PauseCollection { subscription } => self.pause_collection(subscription, now),
            Action::PayOutOfBand { subscription } => self.pay_out_of_band(subscription, now),
            Action::BillByHand { subscription } => self.bill_by_hand(subscription, now),
            Action::ChangeCustomer { subscription, address } => self.change_customer(subscription, address, now),
            Action::DeleteCustomer { subscription } => self.delete_customer(subscription, now),
            Action::Refund { payment, amount } => self.refund(payment, *amount, now),
            Action::FailRefund { payment } => self.fail_refund(payment, now),
            Action::Dispute { payment, outcome } => self.dispute(payment, *outcome, now),
            Action::Pause { subscription, pauses } => self.pause(subscription, *pauses, now),
        }
    }

    /// Adds a price, or changes it, and yields the events that tell of it.
    pub(crate) fn put_price(&mut self, price: Price, now: Timestamp) -> Vec<Event> {
        let id = price.id.clone();
        let is_new = self.prices.insert(id.clone(), price).is_none();
        self.tell(&Happening::Priced { price: id, is_new }, now.as_second())
    }

    /// Tells what happened. Every event is kept for a while, for the list that the API may have.
    fn tell(&mut self, happening: &Happening, at: i64) -> Vec<Event> {
        let (dialect, now) = (self.dialect(), Timestamp::from_second(at).unwrap_or_default());
        let mut bodies = dialect.tell(self, happening, at);
        if let Some(account) = self.connected() {
            bodies.iter_mut().for_each(|body| body["account"] = account.into());
        }
        let events: Vec<Event> = bodies.iter().map(|body| dialect::event(dialect, body, now)).collect();
        self.events.extend(events.iter().cloned());
        let too_many = self.events.len().saturating_sub(EVENTS_KEPT);
        self.events.drain(..too_many);
        events
    }

    fn pay(&mut self, amount: i64, buyer: &Buyer, customer: Option<String>, progress: Progress, now: i64) -> Payment {
        let (intent, charge) = (self.id(Thing::Payment), self.id(Thing::Charge));
        let buyer = buyer.clone();
        let payment = Payment { intent, charge, created: now, amount, refunded: 0, progress, buyer, customer };
        self.payments.insert(payment.intent.clone(), payment.clone());
        payment
    }
}
