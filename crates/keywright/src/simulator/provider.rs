//! What happens at the provider: an action changes its account and yields the events that Stripe would send for it.
//!
//! Pure: the same account, action and moment always give the same events.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    account::{
        Account, Billing, Buyer, Customer, Event, Invoice, InvoiceLine, Item, Payment, Price, Refund, Sale, Session,
        Status, Subscription, month_after,
    },
    documents,
};

/// Events that are kept. The real one keeps 30 days.
const EVENTS_KEPT: usize = 1_000;
/// How long a buyer looks at the payment page, in seconds.
const CHECKOUT_SECONDS: i64 = 40;

/// Something that a person does at the provider, or that time does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Somebody buys once.
    Checkout { buyer: Buyer, lines: Vec<(String, u32)>, plan: Option<String> },
    /// Somebody subscribes.
    Subscribe { buyer: Buyer, price: String, quantity: u32, plan: Option<String> },
    /// The next month is paid, or the month that is overdue.
    Renew { subscription: String },
    /// The next month is not paid.
    FailPayment { subscription: String },
    /// Another price or number, from now on.
    Change { subscription: String, price: String, quantity: u32 },
    /// It ends: now, or with what is paid.
    Cancel { subscription: String, at_once: bool },
    /// Money goes back: that much, or all that is left.
    Refund { payment: String, amount: Option<i64> },
    /// The buyer's bank questions a payment, or says how that ended.
    Dispute { payment: String, outcome: Outcome },
    /// It stops for a while, or goes on.
    Pause { subscription: String, pauses: bool },
}

/// How far a dispute has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The money is held.
    Open,
    /// It came back.
    Won,
    /// The bank kept it.
    Lost,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "needs_response",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
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
            Action::Checkout { buyer, lines, plan } => Ok(self.checkout(buyer, lines, plan.as_deref(), now)),
            Action::Subscribe { buyer, price, quantity, plan } => {
                Ok(self.subscribe(buyer, (price, *quantity), plan.as_deref(), now))
            }
            Action::Renew { subscription } => self.renew(subscription, now),
            Action::FailPayment { subscription } => self.fail_payment(subscription, now),
            Action::Change { subscription, price, quantity } => self.change(subscription, (price, *quantity), now),
            Action::Cancel { subscription, at_once } => self.cancel(subscription, *at_once, now),
            Action::Refund { payment, amount } => self.refund(payment, *amount, now),
            Action::Dispute { payment, outcome } => self.dispute(payment, *outcome, now),
            Action::Pause { subscription, pauses } => self.pause(subscription, *pauses, now),
        }
    }

    fn checkout(&mut self, buyer: &Buyer, lines: &[(String, u32)], plan: Option<&str>, now: i64) -> Vec<Event> {
        let lines: Vec<Item> = lines.iter().map(|(price, quantity)| self.item("li_", price, *quantity)).collect();
        let total = lines.iter().map(|line| self.cost(line)).sum();
        let payment = self.pay(total, buyer, None, now);
        let session = Session {
            id: self.id("cs_test_"),
            created: now - CHECKOUT_SECONDS,
            buyer: buyer.clone(),
            customer: None,
            lines,
            total,
            payment: Some(payment.intent.clone()),
            subscription: None,
            invoice: None,
            plan: plan.map(str::to_owned),
        };
        let events = vec![
            self.event("charge.succeeded", now, &documents::charge(&payment)),
            self.event("payment_intent.succeeded", now, &documents::payment_intent(&payment)),
            self.event("checkout.session.completed", now, &documents::session(&session)),
        ];
        self.sold(session, &events);
        events
    }

    fn subscribe(&mut self, buyer: &Buyer, (price, quantity): (&str, u32), plan: Option<&str>, now: i64) -> Vec<Event> {
        let customer = Customer { id: self.id("cus_"), buyer: buyer.clone(), created: now };
        self.customers.insert(customer.id.clone(), customer.clone());
        let line = self.item("li_", price, quantity);
        let mut subscription = Subscription {
            id: self.id("sub_"),
            customer: customer.id.clone(),
            created: now,
            items: vec![Item { id: self.id("si_"), ..line.clone() }],
            period_start: now,
            period_end: month_after(now),
            status: Status::Active,
            cancel_at_period_end: false,
            canceled_at: None,
            ended_at: None,
            latest_invoice: String::new(),
            told_at: now,
        };
        let invoice = self.bill_period(&mut subscription, Billing::Create, now);
        let (invoice, payment) = self.settle(invoice, now);
        self.subscriptions.insert(subscription.id.clone(), subscription.clone());
        let session = Session {
            id: self.id("cs_test_"),
            created: now - CHECKOUT_SECONDS,
            buyer: buyer.clone(),
            customer: Some(customer.id.clone()),
            total: self.cost(&line),
            lines: vec![line],
            payment: Some(payment.intent.clone()),
            subscription: Some(subscription.id.clone()),
            invoice: Some(invoice.id.clone()),
            plan: plan.map(str::to_owned),
        };
        let mut events = vec![
            self.event("customer.created", now, &documents::customer(&customer)),
            self.event("checkout.session.completed", now, &documents::session(&session)),
            self.event("customer.subscription.created", now, &documents::subscription(self, &subscription)),
        ];
        events.extend(self.paid(&invoice, &payment, now));
        self.sold(session, &events);
        events
    }

    fn renew(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if subscription.cancel_at_period_end {
            return impossible(format!("{id} is cancelled and will not renew"));
        }
        let now = subscription.next_moment(now);
        let before = self.before(&subscription);
        let open = self.invoices.get(&subscription.latest_invoice).filter(|invoice| invoice.payment.is_none());
        // An overdue month is paid by its own invoice; only after that comes the next month.
        let invoice = match open.cloned() {
            Some(invoice) => invoice,
            None => self.next_period(&mut subscription, now),
        };
        subscription.status = Status::Active;
        let (invoice, payment) = self.settle(invoice, now);
        let mut events = vec![self.updated(subscription, before, now)];
        events.extend(self.paid(&invoice, &payment, now));
        Ok(events)
    }

    fn fail_payment(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if subscription.status == Status::PastDue {
            return impossible(format!("{id} is overdue already"));
        }
        let now = subscription.next_moment(now);
        let before = self.before(&subscription);
        let invoice = self.next_period(&mut subscription, now);
        subscription.status = Status::PastDue;
        self.invoices.insert(invoice.id.clone(), invoice.clone());
        Ok(vec![
            self.event("invoice.payment_failed", now, &documents::invoice(self, &invoice)),
            self.updated(subscription, before, now),
        ])
    }

    fn change(&mut self, id: &str, (price, quantity): (&str, u32), now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        let Some(old) = subscription.items.first().cloned() else { return impossible(format!("{id} has no items")) };
        let new = Item { id: old.id.clone(), price: price.to_owned(), quantity };
        if new == old {
            return impossible(format!("{id} is for {quantity} of {price} already"));
        }
        let now = subscription.next_moment(now);
        let before = self.before(&subscription);
        let (credit, rest) = (-self.cost(&old), self.cost(&new));
        subscription.items = vec![new.clone()];
        // What became cheaper is credited to the next invoice, so there is none now.
        if credit + rest <= 0 {
            return Ok(vec![self.updated(subscription, before, now)]);
        }
        let lines = vec![(old, credit, true), (new, rest, true)];
        let period = (now, subscription.period_end);
        let invoice = self.bill(&subscription, Billing::Update, lines, period, now);
        subscription.latest_invoice.clone_from(&invoice.id);
        let mut events = vec![self.updated(subscription, before, now)];
        let (invoice, payment) = self.settle(invoice, now);
        events.extend(self.paid(&invoice, &payment, now));
        Ok(events)
    }

    fn cancel(&mut self, id: &str, at_once: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if subscription.cancel_at_period_end && !at_once {
            return impossible(format!("{id} is cancelled already"));
        }
        let told_at = subscription.next_moment(now);
        let before = self.before(&subscription);
        subscription.canceled_at = Some(now);
        if !at_once {
            subscription.cancel_at_period_end = true;
            return Ok(vec![self.updated(subscription, before, told_at)]);
        }
        subscription.status = Status::Canceled;
        subscription.ended_at = Some(now);
        let document = documents::subscription(self, &subscription);
        let deleted = self.event("customer.subscription.deleted", told_at, &document);
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(vec![deleted])
    }

    fn refund(&mut self, payment: &str, amount: Option<i64>, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(payment) = self.payments.get(payment).cloned() else {
            return impossible(format!("there is no payment {payment}"));
        };
        let left = payment.amount - payment.refunded;
        let amount = amount.unwrap_or(left).min(left);
        if amount <= 0 {
            return impossible(format!("nothing is left of {} to give back", payment.intent));
        }
        let refund =
            Refund { id: self.id("re_"), payment: payment.intent.clone(), amount, created: now, succeeded: false };
        let before = payment.refunded;
        let payment = Payment { refunded: before + amount, ..payment };
        self.payments.insert(payment.intent.clone(), payment.clone());
        let done = Refund { succeeded: true, ..refund.clone() };
        self.refunds.insert(done.id.clone(), done.clone());
        let fewer = json!({ "amount_refunded": before, "refunded": false });
        Ok(vec![
            self.event("refund.created", now, &documents::refund(self, &refund)),
            self.event_after("charge.refunded", now, &documents::charge(&payment), fewer),
            self.event_after("refund.updated", now, &documents::refund(self, &done), json!({ "status": "pending" })),
        ])
    }
}

impl Account {
    /// A dispute that ends without having been opened is opened first.
    fn dispute(&mut self, payment: &str, outcome: Outcome, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(payment) = self.payments.get(payment).cloned() else {
            return impossible(format!("there is no payment {payment}"));
        };
        let id = format!("dp_{}", payment.charge.trim_start_matches("ch_"));
        let mut events = Vec::new();
        if !self.events.iter().any(|event| event.kind == "charge.dispute.created" && event.body.contains(&id)) {
            let opened = documents::dispute(&payment, &id, Outcome::Open.as_str());
            events.push(self.event("charge.dispute.created", now, &opened));
        }
        if outcome != Outcome::Open {
            let closed = documents::dispute(&payment, &id, outcome.as_str());
            events.push(self.event("charge.dispute.closed", now, &closed));
        }
        if events.is_empty() { impossible(format!("{} is disputed already", payment.intent)) } else { Ok(events) }
    }

    fn pause(&mut self, id: &str, pauses: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if (subscription.status == Status::Paused) == pauses {
            return impossible(format!("{id} is {} already", subscription.status.as_str()));
        }
        let told_at = subscription.next_moment(now);
        subscription.status = if pauses { Status::Paused } else { Status::Active };
        let kind = if pauses { "customer.subscription.paused" } else { "customer.subscription.resumed" };
        let document = documents::subscription(self, &subscription);
        let event = self.event(kind, told_at, &document);
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(vec![event])
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

    fn item(&mut self, prefix: &str, price: &str, quantity: u32) -> Item {
        Item { id: self.id(prefix), price: price.to_owned(), quantity }
    }

    fn sold(&mut self, session: Session, events: &[Event]) {
        let sale =
            Sale { session: session.id.clone(), subscription: session.subscription.clone(), events: events.to_vec() };
        self.sessions.insert(session.id.clone(), session);
        self.sales.push(sale);
    }

    fn running(&self, id: &str) -> Result<Subscription, Impossible> {
        match self.subscriptions.get(id) {
            None => impossible(format!("there is no subscription {id}")),
            Some(subscription) if subscription.status == Status::Canceled => impossible(format!("{id} has ended")),
            Some(subscription) => Ok(subscription.clone()),
        }
    }

    /// What a subscription said of itself, for `previous_attributes`.
    fn before(&self, subscription: &Subscription) -> Value {
        documents::subscription(self, subscription)
    }

    /// Keeps a changed subscription and tells of it, with those of its former fields that are different now.
    fn updated(&mut self, subscription: Subscription, before: Value, now: i64) -> Event {
        let after = documents::subscription(self, &subscription);
        let mut previous = before;
        if let (Value::Object(fields), Value::Object(after)) = (&mut previous, &after) {
            fields.retain(|name, value| after.get(name) != Some(&*value));
        }
        self.subscriptions.insert(subscription.id.clone(), subscription);
        self.event_after("customer.subscription.updated", now, &after, previous)
    }

    fn pay(&mut self, amount: i64, buyer: &Buyer, customer: Option<String>, now: i64) -> Payment {
        let (intent, charge) = (self.id("pi_"), self.id("ch_"));
        let payment = Payment { intent, charge, created: now, amount, refunded: 0, buyer: buyer.clone(), customer };
        self.payments.insert(payment.intent.clone(), payment.clone());
        payment
    }

    /// Moves on to the next month and bills it.
    fn next_period(&mut self, subscription: &mut Subscription, now: i64) -> Invoice {
        subscription.period_start = subscription.period_end;
        subscription.period_end = month_after(subscription.period_end);
        self.bill_period(subscription, Billing::Cycle, now)
    }

    fn bill_period(&mut self, subscription: &mut Subscription, billing: Billing, now: i64) -> Invoice {
        let lines = subscription.items.iter().map(|item| (item.clone(), self.cost(item), false)).collect();
        let period = (subscription.period_start, subscription.period_end);
        let invoice = self.bill(subscription, billing, lines, period, now);
        subscription.latest_invoice.clone_from(&invoice.id);
        invoice
    }

    /// Writes an invoice; each line is an item, what it costs, and whether it corrects the running period.
    fn bill(
        &mut self,
        subscription: &Subscription,
        billing: Billing,
        lines: Vec<(Item, i64, bool)>,
        (start, end): (i64, i64),
        now: i64,
    ) -> Invoice {
        let lines: Vec<InvoiceLine> = lines
            .into_iter()
            .map(|(item, amount, proration)| InvoiceLine { id: self.id("il_"), item, amount, start, end, proration })
            .collect();
        Invoice {
            id: self.id("in_"),
            created: now,
            subscription: subscription.id.clone(),
            customer: subscription.customer.clone(),
            billing,
            total: lines.iter().map(|line| line.amount).sum(),
            lines,
            payment: None,
            link: self.id("inpay_"),
        }
    }

    /// Collects the money for an invoice and keeps it.
    fn settle(&mut self, invoice: Invoice, now: i64) -> (Invoice, Payment) {
        let nobody = || Buyer { email: String::new(), name: String::new() };
        let buyer = self.customers.get(&invoice.customer).map_or_else(nobody, |customer| customer.buyer.clone());
        let payment = self.pay(invoice.total, &buyer, Some(invoice.customer.clone()), now);
        let invoice = Invoice { payment: Some(payment.intent.clone()), ..invoice };
        self.invoices.insert(invoice.id.clone(), invoice.clone());
        (invoice, payment)
    }

    /// The events of a paid invoice.
    fn paid(&mut self, invoice: &Invoice, payment: &Payment, now: i64) -> [Event; 3] {
        [
            self.event("charge.succeeded", now, &documents::charge(payment)),
            self.event("invoice.paid", now, &documents::invoice(self, invoice)),
            self.event("invoice_payment.paid", now, &documents::invoice_payment(invoice)),
        ]
    }
}

impl Subscription {
    /// The moment of its next event: now, and never the second of the one before.
    fn next_moment(&mut self, now: i64) -> i64 {
        self.told_at = now.max(self.told_at + 1);
        self.told_at
    }
}

#[cfg(test)]
mod tests;
