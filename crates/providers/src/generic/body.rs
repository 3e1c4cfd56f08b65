//! What the events have in them, and what each comes to.

use std::{collections::BTreeSet, num::NonZeroU32};

use domain::{
    fact::Fact,
    join::{Partition, Register, Stamp},
    money::{Currency, Money},
    order::{
        Contact, Dispute, DisputeState, Line, Lines, Missing, Order, Period, Purchase, PurchaseState, Refund,
        Subscription, SubscriptionStatus,
    },
    text::{EmailAddress, PlanCode, PriceReference, ProductReference, Reference},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::Malformed;

/// The kind of name that a payment has.
const PAYMENT: &str = "payment";

/// What all events have around what they tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    pub(super) id: Name,
    #[serde(rename = "type")]
    pub(super) kind: Name,
    pub(super) occurred_at: Timestamp,
    pub(super) livemode: Option<bool>,
    /// Read by who knows the kind.
    pub(super) order: Value,
}

/// A name that a shop gives: one line of 1 to 200 characters.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err("a name is one line of 1 to 200 characters") }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Name {
    fn order(&self) -> Reference {
        Reference::new(format!("order:{}", self.0))
    }

    fn subscription(&self) -> Reference {
        Reference::new(format!("subscription:{}", self.0))
    }

    /// A payment or dispute of that order. A shop may count anew in each order, so the order's name is part of it, written
    /// so that no other order and name read the same.
    fn within(&self, order: &Self, kind: &str) -> Reference {
        let order = order.0.replace('%', "%25").replace(':', "%3A");
        Reference::new(format!("{kind}:{order}:{}", self.0))
    }
}

/// Reads a document, and says where it is wrong.
pub(super) fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Malformed> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| misread("", &error))?;
    deserializer.end().map_err(|error| Malformed { what: error.to_string() })?;
    Ok(document)
}

/// What is wrong, behind the place where it is.
fn misread(before: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Malformed {
    let path = error.path().to_string();
    let place = format!("{before}{}", if path == "." { "" } else { &path });
    let place = place.trim_end_matches('.');
    Malformed { what: if place.is_empty() { error.inner().to_string() } else { format!("{place}: {}", error.inner()) } }
}

/// What happened to an order.
#[derive(Debug)]
pub(super) enum Event {
    Paid(Paid),
    Changed(Changed),
    Refunded(Refunded),
    Disputed(Disputed),
    Ended(Ended),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paid {
    id: Name,
    /// None: the order is paid once, and its payment has no other name than the order.
    payment: Option<Name>,
    email: Option<EmailAddress>,
    name: Option<Box<str>>,
    total: Amount,
    items: Vec<Item>,
    /// Until when it is paid, of an order that renews.
    paid_until: Option<Timestamp>,
    /// When it is going to end, of an order that renews.
    cancel_at: Option<Timestamp>,
    /// The order whose place it takes.
    replaces: Option<Name>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    id: Name,
    email: Option<EmailAddress>,
    name: Option<Box<str>>,
    items: Vec<Item>,
    status: Status,
    cancel_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refunded {
    id: Name,
    payment: Option<Name>,
    /// All that has gone back of the payment so far.
    refunded: Amount,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disputed {
    id: Name,
    payment: Option<Name>,
    dispute: Name,
    status: DisputeState,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    id: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: i64,
    currency: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    /// None: the price stands for the item.
    id: Option<Name>,
    price: Name,
    product: Option<Name>,
    #[serde(default = "one")]
    quantity: NonZeroU32,
    plan: Option<Name>,
    description: Option<Box<str>>,
}

const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// Where an order that renews stands.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Active,
    PastDue,
    Paused,
}

impl From<Status> for SubscriptionStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::PastDue => Self::PastDue,
            Status::Paused => Self::Paused,
        }
    }
}

impl Event {
    /// Reads what an event of that kind tells.
    pub(super) fn read(kind: &str, order: Value) -> Result<Self, Malformed> {
        fn of<T: for<'de> Deserialize<'de>>(order: Value, event: fn(T) -> Event) -> Result<Event, Malformed> {
            serde_path_to_error::deserialize(order).map(event).map_err(|error| misread("order.", &error))
        }
        match kind {
            "order.paid" => of(order, Self::Paid),
            "order.changed" => of(order, Self::Changed),
            "order.refunded" => of(order, Self::Refunded),
            "order.disputed" => of(order, Self::Disputed),
            "order.ended" => of(order, Self::Ended),
            other => Err(Malformed { what: format!("there is no event `{other}`") }),
        }
    }

    /// What it says about the order.
    pub(super) fn fact(self, at: Timestamp) -> Result<Fact, Malformed> {
        let order = match self {
            Self::Paid(paid) => paid.order(at)?,
            Self::Changed(changed) => changed.order(at)?,
            Self::Refunded(refunded) => refunded.order(at),
            Self::Disputed(disputed) => disputed.order(),
            Self::Ended(ended) => ended.order(at),
        };
        Ok(Fact::Order(Box::new(order)))
    }
}

impl Paid {
    fn order(self, at: Timestamp) -> Result<Order, Malformed> {
        let renews = self.paid_until.is_some();
        let lines = lines(&self.id, self.items, renews)?;
        let contact = contact(self.email, self.name, at);
        let order = match (self.paid_until, self.payment) {
            (Some(until), Some(payment)) => {
                let (payment, subscription) = (payment.within(&self.id, PAYMENT), self.id.subscription());
                let period = Period { subscription, until, total: self.total.into() };
                let snapshot = snapshot(&self.id, SubscriptionStatus::Active, self.cancel_at, at);
                let mut order = Order { periods: [(payment.clone(), period)].into(), ..snapshot };
                order.items.insert(self.id.subscription(), Register::new(Stamp::at(at), lines));
                order.references.insert(payment);
                order
            }
            (Some(_), None) => {
                let what = "order.payment: an order that renews is paid several times, so each payment has a name";
                return Err(Malformed { what: what.to_owned() });
            }
            (None, payment) => {
                let payments = [self.id.order(), named(&self.id, payment.as_ref())];
                let purchase = Purchase {
                    lines: Lines::Known(lines),
                    state: PurchaseState::Paid,
                    total: self.total.into(),
                    at,
                    subscriptions: BTreeSet::new(),
                    silent: false,
                    ends: None,
                };
                Order { purchases: [(self.id.order(), purchase)].into(), ..paid_with(payments) }
            }
        };
        let new = if renews { self.id.subscription() } else { self.id.order() };
        // It does not say whether the old one renews, and either may take the place of either.
        let old = self.replaces.iter().flat_map(|old| [old.order(), old.subscription()]);
        let replaced = old.map(|old| (old, Register::new(Stamp::at(at), new.clone()))).collect();
        let mut order = Order { contact, replaced, ..order };
        order.references.extend(order.replaced.keys().cloned());
        Ok(order)
    }
}

impl Changed {
    fn order(self, at: Timestamp) -> Result<Order, Malformed> {
        let mut order = snapshot(&self.id, self.status.into(), self.cancel_at, at);
        let lines = lines(&self.id, self.items, true)?;
        order.items.insert(self.id.subscription(), Register::new(Stamp::at(at), lines));
        Ok(Order { contact: contact(self.email, self.name, at), ..order })
    }
}

impl Refunded {
    fn order(self, at: Timestamp) -> Order {
        let payment = named(&self.id, self.payment.as_ref());
        let refund = Refund::total(Stamp::at(at), self.refunded.into(), payment.clone());
        about(&self.id, Order { refunds: [(payment.clone(), refund)].into(), ..unlinked(payment) })
    }
}

impl Disputed {
    fn order(self) -> Order {
        let payment = named(&self.id, self.payment.as_ref());
        let dispute = Dispute { state: self.status, payment: payment.clone(), returns: false };
        let name = self.dispute.within(&self.id, "dispute");
        about(&self.id, Order { disputes: [(name, dispute)].into(), ..unlinked(payment) })
    }
}

impl Ended {
    fn order(self, at: Timestamp) -> Order {
        let state = Subscription {
            status: SubscriptionStatus::Ended,
            granted_until: None,
            trial_until: None,
            cancel_at: None,
            ended_at: Some(at),
            covers: None,
        };
        let stamp = Stamp { ended: true, ..Stamp::at(at) };
        let subscription = self.id.subscription();
        about(
            &self.id,
            Order { subscriptions: [(subscription, Register::new(stamp, state))].into(), ..Order::default() },
        )
    }
}

/// The name of a payment: its own, or the order's if it was paid once.
fn named(order: &Name, payment: Option<&Name>) -> Reference {
    payment.map_or_else(|| order.order(), |payment| payment.within(order, PAYMENT))
}

/// What happened to a payment of that name, which a person hears of as long as no payment of the name is known.
fn unlinked(payment: Reference) -> Order {
    Order { missing: [Missing::PaymentLink].into(), ..paid_with([payment]) }
}

fn paid_with<const COUNT: usize>(payments: [Reference; COUNT]) -> Order {
    Order {
        payments: Partition::group(payments.iter().cloned()),
        references: payments.into_iter().collect(),
        ..Order::default()
    }
}

/// With the names that an order has if it is bought once and if it renews: what happens afterwards does not say which.
fn about(id: &Name, mut order: Order) -> Order {
    order.references.extend([id.order(), id.subscription()]);
    order
}

/// An order that renews, as it is now.
fn snapshot(id: &Name, status: SubscriptionStatus, cancel_at: Option<Timestamp>, at: Timestamp) -> Order {
    let state =
        Subscription { status, granted_until: None, trial_until: None, cancel_at, ended_at: None, covers: None };
    let subscriptions = [(id.subscription(), Register::new(Stamp::at(at), state))].into();
    about(id, Order { subscriptions, ..Order::default() })
}

fn contact(email: Option<EmailAddress>, name: Option<Box<str>>, at: Timestamp) -> Option<Register<Contact>> {
    Some(Register::new(Stamp::at(at), Contact { email: email?, name }))
}

fn lines(order: &Name, items: Vec<Item>, recurring: bool) -> Result<Vec<Line>, Malformed> {
    if items.is_empty() {
        return Err(Malformed { what: "order.items: there must be one at least".to_owned() });
    }
    let lines: Vec<Line> = items
        .into_iter()
        .map(|item| Line {
            line: Reference::new(format!("item:{}:{}", order.0, item.id.as_ref().unwrap_or(&item.price).0)),
            price: PriceReference::new(item.price.0),
            product: item.product.map(|product| ProductReference::new(product.0)),
            quantity: item.quantity.get(),
            recurring,
            named: item.plan.map(|plan| PlanCode::new(plan.0)),
            description: item.description,
        })
        .collect();
    let names: BTreeSet<&Reference> = lines.iter().map(|line| &line.line).collect();
    if names.len() < lines.len() {
        return Err(Malformed { what: "order.items: two of them have the same name; give each its own id".to_owned() });
    }
    Ok(lines)
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Self {
        Self::new(amount.amount, Currency::parse(&amount.currency))
    }
}
