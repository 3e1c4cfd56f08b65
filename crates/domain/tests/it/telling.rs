//! What providers tell, as facts: `sale("cs_1").starting("sub_1").renewing("li_1", "A")`.
//!
//! Days are counted from [`START`]. A price `A` belongs to the provider's product `prod_A`.

use domain::{
    join::{Partition, Register, Stamp},
    money::{Currency, Money},
    order::{
        Contact, Dispute, DisputeState, Line, Lines, Order, Period, Purchase, PurchaseState, Refund, RefundState,
        Subscription, SubscriptionStatus,
    },
    text::{EmailAddress, PlanCode, PriceReference, ProductReference, Reference},
    time::days,
};
use jiff::Timestamp;

/// Day 0 of every life: 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A moment, in days since [`START`].
pub(crate) fn day(count: u32) -> Timestamp {
    START.checked_add(days(count)).expect("a day within the calendar")
}

pub(crate) fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::parse("EUR"))
}

/// Several tellings as facts.
macro_rules! facts {
    ($($telling:expr),* $(,)?) => { [$(domain::order::Order::from($telling)),*] };
}
pub(crate) use facts;

fn references(names: &[&str]) -> std::collections::BTreeSet<Reference> {
    names.iter().copied().map(Reference::from).collect()
}

pub(crate) fn line(id: &str, price: &str, recurring: bool) -> Line {
    Line {
        line: id.into(),
        price: PriceReference::from(price),
        product: Some(ProductReference::new(format!("prod_{price}"))),
        quantity: 1,
        recurring,
        named: None,
        description: None,
    }
}

/// A paid checkout, transaction or order of ten euros, made on day 0.
#[derive(Clone)]
pub(crate) struct Sale {
    id: Reference,
    lines: Vec<Line>,
    purchase: Purchase,
    names: Vec<Reference>,
    payments: Vec<Reference>,
    email: Option<&'static str>,
    replaces: Option<(Reference, Reference)>,
}

pub(crate) fn sale(id: &str) -> Sale {
    Sale {
        id: id.into(),
        lines: Vec::new(),
        purchase: Purchase {
            lines: Lines::Known(Vec::new()),
            state: PurchaseState::Paid,
            total: euros(1_000),
            at: START,
            subscriptions: [].into(),
            silent: false,
            ends: None,
        },
        names: Vec::new(),
        payments: vec![id.into()],
        email: None,
        replaces: None,
    }
}

impl Sale {
    /// Another name of its payment.
    pub(crate) fn paying(mut self, payment: &str) -> Self {
        self.payments.push(payment.into());
        self
    }

    /// The subscription it names.
    pub(crate) fn starting(mut self, subscription: &str) -> Self {
        self.purchase.subscriptions.insert(subscription.into());
        self
    }

    /// Another name of the sale.
    pub(crate) fn naming(mut self, reference: &str) -> Self {
        self.names.push(reference.into());
        self
    }

    pub(crate) fn renewing(mut self, id: &str, price: &str) -> Self {
        self.lines.push(line(id, price, true));
        self
    }

    pub(crate) fn once(mut self, id: &str, price: &str) -> Self {
        self.lines.push(line(id, price, false));
        self
    }

    /// So many of the last line.
    pub(crate) fn times(mut self, quantity: u32) -> Self {
        self.lines.last_mut().expect("a line").quantity = quantity;
        self
    }

    /// The sale's metadata name this plan, on every line so far.
    pub(crate) fn asking_for(mut self, plan: &str) -> Self {
        for line in &mut self.lines {
            line.named = Some(PlanCode::from(plan));
        }
        self
    }

    /// Nobody may tell what was bought; the sale's metadata may name a plan.
    pub(crate) fn unknown(mut self, recurring: bool, named: Option<&str>) -> Self {
        self.purchase.lines = Lines::Unknown { recurring, named: named.map(PlanCode::from) };
        self
    }

    pub(crate) fn total(mut self, minor: i64) -> Self {
        self.purchase.total = euros(minor);
        self
    }

    pub(crate) fn pending(mut self) -> Self {
        self.purchase.state = PurchaseState::Pending;
        self
    }

    pub(crate) fn on(mut self, count: u32) -> Self {
        self.purchase.at = day(count);
        self
    }

    pub(crate) fn buyer(mut self, address: &'static str) -> Self {
        self.email = Some(address);
        self
    }

    /// The old source gives its place to the new one: this sale, or a subscription of it.
    pub(crate) fn replacing(mut self, old: &str, new: &str) -> Self {
        self.replaces = Some((old.into(), new.into()));
        self.naming(old)
    }
}

impl From<Sale> for Order {
    fn from(sale: Sale) -> Self {
        let Sale { id, lines, mut purchase, names, payments, email, replaces } = sale;
        if let Lines::Known(known) = &mut purchase.lines {
            *known = lines;
        }
        let stamp = Stamp::at(purchase.at);
        let named = names.into_iter().chain(payments.iter().cloned()).chain(purchase.subscriptions.iter().cloned());
        Self {
            references: named.collect(),
            payments: Partition::group(payments),
            contact: email.map(|address| Register::new(stamp, contact(address))),
            replaced: replaces.into_iter().map(|(old, new)| (old, Register::new(stamp, new))).collect(),
            purchases: [(id, purchase)].into(),
            ..Self::default()
        }
    }
}

/// A sale gave its place to another, which is not named; or it stands after all.
pub(crate) fn gave_way(id: &str, at: u32, gone: bool) -> Order {
    let told = [(id.into(), Register::new(Stamp::at(day(at)), gone))];
    Order { gave_way: told.into(), references: references(&[id]), ..Order::default() }
}

/// A subscription as its provider saw it on some day: active, unless it says otherwise.
#[derive(Clone)]
pub(crate) struct Snapshot {
    id: Reference,
    at: Timestamp,
    names: Vec<Reference>,
    state: Subscription,
    items: Vec<Line>,
}

pub(crate) fn snapshot(id: &str, at: u32) -> Snapshot {
    Snapshot {
        id: id.into(),
        at: day(at),
        names: vec![id.into()],
        state: Subscription {
            status: SubscriptionStatus::Active,
            granted_until: None,
            cancel_at: None,
            ended_at: None,
            covers: None,
            trial_until: None,
        },
        items: Vec::new(),
    }
}

impl Snapshot {
    pub(crate) fn item(mut self, id: &str, price: &str) -> Self {
        self.items.push(line(id, price, true));
        self
    }

    /// So many of the last item.
    pub(crate) fn times(mut self, quantity: u32) -> Self {
        self.items.last_mut().expect("an item").quantity = quantity;
        self
    }

    pub(crate) fn naming(mut self, reference: &str) -> Self {
        self.names.push(reference.into());
        self
    }

    pub(crate) fn status(mut self, status: SubscriptionStatus) -> Self {
        self.state.status = status;
        self
    }

    pub(crate) fn past_due(self) -> Self {
        self.status(SubscriptionStatus::PastDue)
    }

    pub(crate) fn on_trial_until(mut self, until: u32) -> Self {
        self.state.trial_until = Some(day(until));
        self
    }

    pub(crate) fn granted(mut self, until: u32) -> Self {
        self.state.granted_until = Some(day(until));
        self
    }

    pub(crate) fn cancelling(mut self, at: u32) -> Self {
        self.state.cancel_at = Some(day(at));
        self
    }

    pub(crate) fn ended(mut self, at: u32) -> Self {
        self.state.ended_at = Some(day(at));
        self.status(SubscriptionStatus::Ended)
    }

    /// The checkout lines it stands for.
    pub(crate) fn covering(mut self, lines: &[&str]) -> Self {
        self.state.covers = Some(references(lines));
        self
    }
}

impl From<Snapshot> for Order {
    fn from(Snapshot { id, at, names, state, items }: Snapshot) -> Self {
        let stamp = Stamp::at(at);
        let items = (!items.is_empty()).then(|| (id.clone(), Register::new(stamp, items)));
        Self {
            references: names.into_iter().collect(),
            subscriptions: [(id, Register::new(stamp, state))].into(),
            items: items.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// An invoice of ten euros that paid a period.
#[derive(Clone)]
pub(crate) struct Invoice {
    id: Reference,
    payments: Vec<Reference>,
    period: Period,
}

pub(crate) fn invoice(id: &str, subscription: &str, until: u32) -> Invoice {
    let period = Period { subscription: subscription.into(), until: day(until), total: euros(1_000) };
    Invoice { id: id.into(), payments: vec![id.into()], period }
}

impl Invoice {
    /// Another name of its payment.
    pub(crate) fn paying(mut self, payment: &str) -> Self {
        self.payments.push(payment.into());
        self
    }

    pub(crate) fn total(mut self, minor: i64) -> Self {
        self.period.total = euros(minor);
        self
    }
}

impl From<Invoice> for Order {
    fn from(Invoice { id, payments, period }: Invoice) -> Self {
        Self {
            references: payments.iter().cloned().chain([period.subscription.clone()]).collect(),
            payments: Partition::group(payments),
            periods: [(id, period)].into(),
            ..Self::default()
        }
    }
}

/// These are names of one payment.
pub(crate) fn same_payment(names: &[&str]) -> Order {
    Order { references: references(names), payments: Partition::group(references(names)), ..Order::default() }
}

/// These are names of one sale.
pub(crate) fn same_sale(names: &[&str]) -> Order {
    Order { references: references(names), ..Order::default() }
}

pub(crate) fn refund(id: &str, payment: &str, minor: i64) -> Order {
    refund_that(RefundState::Succeeded, id, payment, minor)
}

pub(crate) fn refund_that(state: RefundState, id: &str, payment: &str, minor: i64) -> Order {
    Order {
        references: references(&[payment]),
        refunds: [(id.into(), Refund::by_id(state, euros(minor), payment.into()))].into(),
        ..Order::default()
    }
}

/// All that had gone back of a payment on that day.
pub(crate) fn refunded_in_all(payment: &str, minor: i64, at: u32) -> Order {
    let total = Refund::total(Stamp::at(day(at)), euros(minor), payment.into());
    Order { references: references(&[payment]), refunds: [(payment.into(), total)].into(), ..Order::default() }
}

pub(crate) fn dispute(id: &str, payment: &str, state: DisputeState) -> Order {
    Order {
        references: references(&[payment]),
        disputes: [(id.into(), Dispute { state, payment: payment.into(), returns: false })].into(),
        ..Order::default()
    }
}

/// The money of a dispute of this payment came back, without its name.
pub(crate) fn returned(id: &str, payment: &str) -> Order {
    let mut order = dispute(id, payment, DisputeState::Won);
    order.disputes.values_mut().for_each(|dispute| dispute.returns = true);
    order
}

/// The sale's mails go there since that day.
pub(crate) fn mails_to(name: &str, at: u32, address: &str) -> Order {
    Order {
        references: references(&[name]),
        contact: Some(Register::new(Stamp::at(day(at)), contact(address))),
        ..Order::default()
    }
}

fn contact(address: &str) -> Contact {
    Contact { email: EmailAddress::parse(address).expect("an address"), name: None }
}
