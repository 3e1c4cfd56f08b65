//! Checkouts: paid, still to be paid, free, left, and those that begin a subscription.

use std::collections::BTreeMap;

use super::{
    super::{
        account::{
            Account, Billing, Buyer, Customer, Event, Item, Paid, Payment, Progress, Sale, Session, Status,
            Subscription, month_after,
        },
        dialect::Thing,
        happening::Happening,
    },
    Impossible, Paying, impossible,
};

/// How long a buyer looks at the payment page, in seconds.
const CHECKOUT_SECONDS: i64 = 40;
/// How long a checkout stays open.
const OPEN_SECONDS: i64 = 86_400;

impl Account {
    pub(super) fn checkout(
        &mut self,
        buyer: &Buyer,
        lines: &[(String, u32)],
        plan: Option<&str>,
        paying: Paying,
        now: i64,
    ) -> Vec<Event> {
        let lines = self.lines(lines);
        let total = if paying == Paying::Nothing { 0 } else { lines.iter().map(|line| self.cost(line)).sum() };
        let (paid, progress) = match paying {
            Paying::AtOnce => (Paid::Yes, Some(Progress::Succeeded)),
            Paying::Later => (Paid::No, Some(Progress::Pending)),
            Paying::Nothing => (Paid::NotRequired, None),
        };
        let customer = self.dialect().keeps_buyers().then(|| self.customer(buyer, now));
        let payment = progress.map(|progress| self.pay(total, buyer, customer.clone(), progress, now));
        let session = Session {
            customer,
            lines,
            total,
            paid,
            payment: payment.map(|payment| payment.intent),
            plan: plan.map(str::to_owned),
            ..self.opened(buyer, now - CHECKOUT_SECONDS)
        };
        let session = self.sold(session, now);
        self.tell(&Happening::Bought { session }, now)
    }

    /// A checkout that was opened over the API, as it was opened.
    pub(super) fn complete(&mut self, checkout: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(open) = self.open_checkouts.remove(checkout) else {
            return impossible(format!("nobody has opened a checkout {checkout}"));
        };
        let buyer = Buyer::of(&open.email);
        let lines = self.lines(&open.lines);
        let total = lines.iter().map(|line| self.cost(line)).sum();
        let customer = Some(self.customer(&buyer, now));
        let payment = self.pay(total, &buyer, customer.clone(), Progress::Succeeded, now);
        let session = Session {
            id: checkout.to_owned(),
            customer,
            lines,
            total,
            payment: Some(payment.intent),
            metadata: open.metadata,
            ..self.opened(&buyer, now - CHECKOUT_SECONDS)
        };
        let session = self.sold(session, now);
        Ok(self.tell(&Happening::Bought { session }, now))
    }

    /// A checkout that was opened a day ago, when nobody paid.
    pub(super) fn leave(&mut self, buyer: &Buyer, lines: &[(String, u32)], now: i64) -> Vec<Event> {
        let lines = self.lines(lines);
        let total = lines.iter().map(|line| self.cost(line)).sum();
        let opened = self.opened(buyer, now - OPEN_SECONDS);
        let session = Session { lines, total, paid: Paid::No, is_expired: true, ..opened };
        let session = self.sold(session, now);
        self.tell(&Happening::Left { session }, now)
    }

    pub(super) fn arrive(&mut self, session: &str, arrives: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(session) = self.sessions.get(session).cloned() else {
            return impossible(format!("there is no checkout {session}"));
        };
        let payment = session.payment.as_ref().and_then(|payment| self.payments.get(payment)).cloned();
        let Some(payment) = payment.filter(|payment| payment.progress == Progress::Pending) else {
            return impossible(format!("no payment of {} is under way", session.id));
        };
        let (progress, paid) = if arrives { (Progress::Succeeded, Paid::Yes) } else { (Progress::Failed, Paid::No) };
        let id = session.id.clone();
        self.payments.insert(payment.intent.clone(), Payment { progress, ..payment });
        self.sessions.insert(id.clone(), Session { paid, ..session });
        Ok(self.tell(&Happening::Arrived { session: id }, now))
    }

    /// The same money, for something else from now on.
    pub(super) fn replace(&mut self, session: &str, price: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(before) = self.current(session).cloned() else {
            return impossible(format!("there is no checkout {session}"));
        };
        if self.is_taken_back(&before) {
            return impossible(format!("{} was taken back", before.id));
        }
        if before.lines.iter().any(|line| line.price == price) {
            return impossible(format!("{} is for {price} already", before.id));
        }
        let lines = self.lines(&[(price.to_owned(), 1)]);
        let session = self.id(Thing::Checkout);
        // Two events of one second have no order.
        let now = now.max(before.told_at + 1);
        let after = Session { id: session.clone(), created: now, lines, told_at: now, ..before.clone() };
        self.sessions.insert(session.clone(), after);
        let id = before.id.clone();
        self.sessions.insert(id.clone(), Session { replaced_by: Some(session.clone()), ..before });
        Ok(self.tell(&Happening::Replaced { before: id, session }, now))
    }

    /// Another sale of the same buyer, paid at once.
    pub(super) fn add(&mut self, session: &str, price: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(to) = self.current(session).cloned() else {
            return impossible(format!("there is no checkout {session}"));
        };
        if self.is_taken_back(&to) {
            return impossible(format!("{} was taken back", to.id));
        }
        let lines = self.lines(&[(price.to_owned(), 1)]);
        let total = lines.iter().map(|line| self.cost(line)).sum();
        let payment = self.pay(total, &to.buyer, to.customer.clone(), Progress::Succeeded, now);
        let session = self.id(Thing::Checkout);
        let payment = Some(payment.intent);
        let added = Session { id: session.clone(), created: now, lines, total, payment, told_at: now, ..to.clone() };
        self.sessions.insert(session.clone(), added);
        Ok(self.tell(&Happening::Added { to: to.id, session }, now))
    }

    pub(super) fn subscribe(
        &mut self,
        buyer: &Buyer,
        lines: &[(String, u32)],
        plan: Option<&str>,
        trial_days: i64,
        now: i64,
    ) -> Vec<Event> {
        let customer = self.customer(buyer, now);
        let lines = self.lines(lines);
        let trial_end = (trial_days > 0).then_some(now + trial_days * 86_400);
        let mut subscription = Subscription {
            id: self.id(Thing::Subscription),
            customer: customer.clone(),
            created: now,
            items: lines.iter().map(|line| Item { id: self.id(Thing::SubscriptionItem), ..line.clone() }).collect(),
            period_start: now,
            period_end: trial_end.unwrap_or_else(|| month_after(now)),
            trial_end,
            status: if trial_end.is_some() { Status::Trialing } else { Status::Active },
            cancel_at_period_end: false,
            canceled_at: None,
            ended_at: None,
            latest_invoice: String::new(),
            is_uncollected: false,
            told_at: now,
        };
        let invoice = self.bill_period(&mut subscription, Billing::Create, now);
        let (invoice, payment) = self.settle(invoice, now);
        let session = Session {
            customer: Some(customer),
            total: invoice.total,
            paid: if payment.is_some() { Paid::Yes } else { Paid::NotRequired },
            lines,
            payment: payment.map(|payment| payment.intent),
            subscription: Some(subscription.id.clone()),
            invoice: Some(invoice.id),
            plan: plan.map(str::to_owned),
            ..self.opened(buyer, now - CHECKOUT_SECONDS)
        };
        self.subscriptions.insert(subscription.id.clone(), subscription);
        let session = self.sold(session, now);
        self.tell(&Happening::Subscribed { session }, now)
    }

    fn customer(&mut self, buyer: &Buyer, now: i64) -> String {
        let id = self.id(Thing::Customer);
        self.customers.insert(id.clone(), Customer { id: id.clone(), buyer: buyer.clone(), created: now });
        id
    }

    /// A guest's checkout of nothing yet.
    fn opened(&mut self, buyer: &Buyer, created: i64) -> Session {
        Session {
            id: self.id(Thing::Checkout),
            created,
            buyer: buyer.clone(),
            customer: None,
            lines: Vec::new(),
            total: 0,
            paid: Paid::Yes,
            is_expired: false,
            payment: None,
            subscription: None,
            invoice: None,
            plan: None,
            metadata: BTreeMap::new(),
            replaced_by: None,
            told_at: 0,
        }
    }

    fn lines(&mut self, lines: &[(String, u32)]) -> Vec<Item> {
        let item = |(price, quantity): &(String, u32)| Item {
            id: self.id(Thing::CheckoutLine),
            price: price.clone(),
            quantity: *quantity,
        };
        lines.iter().map(item).collect()
    }

    /// Keeps it as the latest sale. Its events are added once they are told.
    fn sold(&mut self, session: Session, now: i64) -> String {
        let id = session.id.clone();
        let session = Session { told_at: now, ..session };
        let sale = Sale { session: id.clone(), subscription: session.subscription.clone(), events: Vec::new() };
        self.sessions.insert(id.clone(), session);
        self.sales.push(sale);
        id
    }
}
