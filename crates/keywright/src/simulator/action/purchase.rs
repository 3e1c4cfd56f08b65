//! Checkouts: paid, still to be paid, free, left, and those that begin a subscription.

use super::{
    super::{
        account::{
            Account, Billing, Buyer, Customer, Event, Item, Paid, Payment, Progress, Session, Status, Subscription,
            month_after,
        },
        documents,
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
        let payment = progress.map(|progress| self.pay(total, buyer, None, progress, now));
        let session = Session {
            lines,
            total,
            paid,
            payment: payment.as_ref().map(|payment| payment.intent.clone()),
            plan: plan.map(str::to_owned),
            ..self.opened(buyer, now - CHECKOUT_SECONDS)
        };
        let mut events = payment.map_or_else(Vec::new, |payment| self.paying(&payment, now));
        events.push(self.event("checkout.session.completed", now, &documents::session(self, &session)));
        self.sold(session, &events);
        events
    }

    /// A checkout that was opened a day ago, when nobody paid.
    pub(super) fn leave(&mut self, buyer: &Buyer, lines: &[(String, u32)], now: i64) -> Vec<Event> {
        let lines = self.lines(lines);
        let total = lines.iter().map(|line| self.cost(line)).sum();
        let opened = self.opened(buyer, now - OPEN_SECONDS);
        let session = Session { lines, total, paid: Paid::No, is_expired: true, ..opened };
        let events = vec![self.event("checkout.session.expired", now, &documents::session(self, &session))];
        self.sold(session, &events);
        events
    }

    pub(super) fn arrive(&mut self, session: &str, arrives: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let Some(session) = self.sessions.get(session).cloned() else {
            return impossible(format!("there is no checkout {session}"));
        };
        let payment = session.payment.as_ref().and_then(|payment| self.payments.get(payment)).cloned();
        let Some(payment) = payment.filter(|payment| payment.progress == Progress::Pending) else {
            return impossible(format!("no payment of {} is under way", session.id));
        };
        let (progress, paid, kind) = match arrives {
            true => (Progress::Succeeded, Paid::Yes, "checkout.session.async_payment_succeeded"),
            false => (Progress::Failed, Paid::No, "checkout.session.async_payment_failed"),
        };
        let payment = Payment { progress, ..payment };
        let session = Session { paid, ..session };
        let mut events = self.paying(&payment, now);
        events.push(self.event(kind, now, &documents::session(self, &session)));
        self.payments.insert(payment.intent.clone(), payment);
        self.sessions.insert(session.id.clone(), session);
        Ok(events)
    }

    pub(super) fn subscribe(
        &mut self,
        buyer: &Buyer,
        lines: &[(String, u32)],
        plan: Option<&str>,
        trial_days: i64,
        now: i64,
    ) -> Vec<Event> {
        let customer = Customer { id: self.id("cus_"), buyer: buyer.clone(), created: now };
        self.customers.insert(customer.id.clone(), customer.clone());
        let lines = self.lines(lines);
        let trial_end = (trial_days > 0).then_some(now + trial_days * 86_400);
        let mut subscription = Subscription {
            id: self.id("sub_"),
            customer: customer.id.clone(),
            created: now,
            items: lines.iter().map(|line| Item { id: self.id("si_"), ..line.clone() }).collect(),
            period_start: now,
            period_end: trial_end.unwrap_or_else(|| month_after(now)),
            trial_end,
            status: if trial_end.is_some() { Status::Trialing } else { Status::Active },
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
            customer: Some(customer.id.clone()),
            total: invoice.total,
            paid: if payment.is_some() { Paid::Yes } else { Paid::NotRequired },
            lines,
            payment: payment.as_ref().map(|payment| payment.intent.clone()),
            subscription: Some(subscription.id.clone()),
            invoice: Some(invoice.id.clone()),
            plan: plan.map(str::to_owned),
            ..self.opened(buyer, now - CHECKOUT_SECONDS)
        };
        let mut events = vec![
            self.event("customer.created", now, &documents::customer(&customer)),
            self.event("checkout.session.completed", now, &documents::session(self, &session)),
            self.event("customer.subscription.created", now, &documents::subscription(self, &subscription)),
        ];
        events.extend(self.paid(&invoice, payment.as_ref(), now));
        self.sold(session, &events);
        events
    }

    /// A guest's checkout of nothing yet.
    fn opened(&mut self, buyer: &Buyer, created: i64) -> Session {
        Session {
            id: self.id("cs_test_"),
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
        }
    }

    fn lines(&mut self, lines: &[(String, u32)]) -> Vec<Item> {
        let item =
            |(price, quantity): &(String, u32)| Item { id: self.id("li_"), price: price.clone(), quantity: *quantity };
        lines.iter().map(item).collect()
    }

    /// The events about a payment that comes, is under way, or failed.
    fn paying(&mut self, payment: &Payment, now: i64) -> Vec<Event> {
        let (charge, intent) = match payment.progress {
            Progress::Pending => ("charge.pending", "payment_intent.processing"),
            Progress::Succeeded => ("charge.succeeded", "payment_intent.succeeded"),
            Progress::Failed => ("charge.failed", "payment_intent.payment_failed"),
        };
        vec![
            self.event(charge, now, &documents::charge(payment)),
            self.event(intent, now, &documents::payment_intent(payment)),
        ]
    }

    fn sold(&mut self, session: Session, events: &[Event]) {
        let sale = super::Sale {
            session: session.id.clone(),
            subscription: session.subscription.clone(),
            events: events.to_vec(),
        };
        self.sessions.insert(session.id.clone(), session);
        self.sales.push(sale);
    }
}
