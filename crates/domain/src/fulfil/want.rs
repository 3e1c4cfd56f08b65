//! What was sold, and so ought to exist.

use std::{borrow::Cow, collections::BTreeSet};

use jiff::Timestamp;

use crate::{
    decision::{Grant, QuantityRule},
    fulfil::KeyTrouble,
    id::LicenseId,
    license::Unit,
    money::Money,
    order::{Line, Lines, Missing, Order, Period, Purchase, PurchaseState, Subscription, SubscriptionStatus},
    plan::{AddOn, PlanVersion},
    text::{CustomerReference, PlanCode, PriceReference, ProductReference, Reference},
};

/// Licenses of one order at most. What goes beyond waits for a person instead of filling the database.
pub const UNITS_MAX: usize = 1_000;

/// Something that keeps a paid order from being complete. Each is an attention item that closes by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Waiting {
    /// No rule speaks of this price.
    Unmapped {
        /// The price.
        price: PriceReference,
        /// Its product.
        product: Option<ProductReference>,
        /// What the provider calls it.
        description: Option<Box<str>>,
    },
    /// A purchase is paid and nobody may tell what it was for.
    LinesUnknown {
        /// The purchase.
        purchase: Reference,
    },
    /// A purchase cost more than what is known of it: there may be more to issue.
    MoreBought {
        /// The purchase.
        purchase: Reference,
    },
    /// A payment cannot be traced to its period: a refund of it would change nothing.
    PaymentUnlinked,
    /// What renews is paid and its period is still unknown; it lasts for a few days only.
    PeriodUnknown {
        /// The purchase, or a later payment.
        purchase: Reference,
    },
    /// There is nobody to send the key to.
    NoAddress,
    /// More was bought than one order may issue.
    TooMany {
        /// How many.
        units: usize,
    },
    /// An add-on was sold without anything that it adds to.
    NothingToAddTo {
        /// The purchase or subscription.
        purchase: Reference,
    },
    /// A person has to approve the sale before it has its licenses (B29).
    Approval {
        /// It has waited for longer than a day.
        overdue: bool,
    },
    /// Two snapshots claim the same moment and differ.
    Tied {
        /// Of this subscription.
        subscription: Reference,
    },
    /// Two sales that had both issued licenses turned out to be one.
    Merged {
        /// The license that no longer counts.
        license: LicenseId,
    },
    /// Several customers of the provider meet in one order: two sales may have been taken for one.
    SeveralCustomers {
        /// All of them.
        customers: BTreeSet<CustomerReference>,
    },
    /// More went back than the vendor's licenses can tell apart: some of a payment for several licenses.
    PartlyRefunded {
        /// Which payment.
        payment: Reference,
        /// How much in all.
        amount: Money,
    },
    /// A license has no key: its provider gives the keys out, and this one has not come.
    KeyAwaited {
        /// The line that it was bought with.
        line: Reference,
    },
    /// A license has no key, since the one that its provider gave out for it can open nothing.
    KeyRefused {
        /// The provider's name of the key.
        key: Reference,
        /// Why.
        trouble: KeyTrouble,
    },
    /// What was sold gave its place to something that nobody has told of, and its license works on.
    SuccessorAwaited {
        /// The purchase or subscription.
        source: Reference,
    },
    /// The vendor's account may not sell at present.
    AccountStopped,
    /// The vendor's account has no room for more licenses.
    AccountFull,
}

/// A line that counts, and the source it counts for.
pub(super) struct Source<'a> {
    pub(super) source: &'a Reference,
    pub(super) subscribed: bool,
    pub(super) line: Cow<'a, Line>,
}

impl Order {
    /// Whether the subscription stands for that line of a checkout: the lines it names, or those of the checkout that
    /// names it, or all recurring ones if nobody names anybody.
    fn covers(id: &Reference, subscription: &Subscription, purchase: &Purchase, line: &Line) -> bool {
        match &subscription.covers {
            Some(lines) => lines.contains(&line.line),
            None => {
                let is_started = purchase.subscriptions.is_empty() || purchase.subscriptions.contains(id);
                line.recurring && is_started
            }
        }
    }

    /// Whether the unit goes on with what another one began, although one of them renews: its subscription names the line that
    /// the other was bought with, or it took the other's place.
    pub(super) fn goes_on_with(&self, unit: &Unit, bought: &Unit) -> bool {
        let after = |source: &&Reference| self.replaced.get(*source).map(|register| &register.value);
        let mut later = std::iter::successors(Some(&bought.source), after).take(self.replaced.len() + 1).skip(1);
        if later.any(|source| *source == unit.source) {
            return true;
        }
        let subscription = self.subscriptions.get(&unit.source).filter(|_| unit.subscribed);
        let covers = subscription.and_then(|register| register.value.covers.as_ref());
        covers.is_some_and(|lines| lines.contains(&bought.line))
    }

    /// Whether the subscription stands for anything of that purchase.
    pub(super) fn starts(source: &Reference, purchase: &Purchase, id: &Reference, subscription: &Subscription) -> bool {
        purchase_lines(source, purchase).iter().any(|line| Self::covers(id, subscription, purchase, line))
    }

    /// Whether a source gave its place to a successor that has itself been paid.
    fn is_replaced(&self, source: &Reference) -> bool {
        let paid = |successor: &Reference| {
            self.has_period(successor)
                || self
                    .paid_purchases()
                    .any(|(id, purchase)| id == successor || purchase.subscriptions.contains(successor))
        };
        self.replaced.get(source).is_some_and(|register| paid(&register.value))
    }

    /// What gave its place to something that is not known to be paid, and since when.
    pub(super) fn vacated(&self) -> impl Iterator<Item = (&Reference, Timestamp)> {
        let gone = self.gave_way.iter().filter(|(source, register)| register.value && !self.is_replaced(source));
        gone.map(|(source, register)| (source, register.stamp.at))
    }

    /// Whether all that was paid for a purchase went back.
    fn is_given_back(&self, id: &Reference) -> bool {
        let refunded = self.refunded(id);
        refunded > 0 && self.purchases.get(id).is_some_and(|purchase| refunded >= purchase.total.minor)
    }

    /// Whether every payment of which something went back, or which is disputed, is known to have paid for something.
    fn is_traced(&self) -> bool {
        let refunds = self.refunds.values().map(|register| &register.value);
        let refunded = refunds.filter(|refund| refund.amount.minor > 0).map(|refund| &refund.payment);
        let disputed = self.disputes.values().map(|dispute| &dispute.payment);
        let collected = self.collected.iter().filter(|(_, paid)| !paid.change).map(|(name, _)| name);
        let paid_for: Vec<_> = self.purchases.keys().chain(self.periods.keys()).chain(collected).collect();
        let known = |payment: &Reference| paid_for.iter().any(|known| self.payments.same(known, payment));
        refunded.chain(disputed).all(known)
    }

    fn has_period(&self, subscription: &Reference) -> bool {
        self.periods.values().any(|period| period.subscription == *subscription)
    }

    /// A subscription counts once it has a paid period, a trial or grant of its provider's, or a paid checkout.
    fn is_backed(&self, id: &Reference, subscription: &Subscription) -> bool {
        self.has_period(id)
            || self.is_collected_for(id)
            || subscription.granted_until.is_some()
            || self.paid_purchases().any(|(source, purchase)| Self::starts(source, purchase, id, subscription))
    }

    /// When the sale was made: its first paid purchase, else when its provider first spoke of a subscription.
    pub fn sold_at(&self) -> Option<Timestamp> {
        let bought = self.paid_purchases().map(|(_, purchase)| purchase.at).min();
        bought.or_else(|| self.subscriptions.values().map(|register| register.stamp.at).min())
    }

    /// When a line was sold: with the purchase that has its price, else when the provider told of a subscription's items.
    pub(super) fn line_sold_at(&self, source: &Source<'_>) -> Option<Timestamp> {
        let has_it = |purchase: &Purchase| {
            purchase.lines.told().unwrap_or_default().iter().any(|line| line.price == source.line.price)
        };
        let bought =
            self.paid_purchases().filter(|(_, purchase)| has_it(purchase)).map(|(_, purchase)| purchase.at).min();
        let told = self.items.get(source.source).filter(|_| source.subscribed).map(|register| register.stamp.at);
        bought.or(told).or_else(|| self.sold_at())
    }

    /// Whether no money has been seen that pays for more than a trial. Without its subscription, nobody can tell.
    pub(super) fn is_on_trial(&self, unit: &Unit) -> bool {
        let subscription = self.subscriptions.get(&unit.source).filter(|_| unit.subscribed);
        let trial = subscription.map(|register| register.value.trial_until);
        let pays = |period: &Period| {
            period.total.minor > 0 || matches!(trial, Some(until) if until.is_none_or(|until| period.until > until))
        };
        let is_its = |period: &&Period| !unit.subscribed || period.subscription == unit.source;
        match trial {
            Some(None) => false,
            _ => unit.recurring && !self.periods.values().filter(is_its).any(pays),
        }
    }

    /// Whether its subscription is known, and still in its trial.
    pub(super) fn is_trialing(&self, unit: &Unit) -> bool {
        let subscription = self.subscriptions.get(&unit.source).filter(|_| unit.subscribed);
        subscription.is_some_and(|register| register.value.status == SubscriptionStatus::Trialing)
    }

    pub(super) fn paid_purchases(&self) -> impl Iterator<Item = (&Reference, &Purchase)> {
        self.purchases.iter().filter(|(_, purchase)| purchase.state == PurchaseState::Paid)
    }

    /// The lines that count now: a subscription's items replace the checkout lines it covers, one-time lines stay.
    pub(super) fn sources(&self) -> Vec<Source<'_>> {
        let items = self
            .subscriptions
            .iter()
            .filter(|(id, register)| !self.is_replaced(id) && self.is_backed(id, &register.value))
            .flat_map(|(id, _)| {
                let lines = self.items.get(id).map(|register| register.value.as_slice()).unwrap_or_default();
                lines.iter().map(move |line| Source { source: id, subscribed: true, line: Cow::Borrowed(line) })
            });
        let bought = self.paid_purchases().filter(|(id, _)| !self.is_replaced(id)).flat_map(|(id, purchase)| {
            purchase_lines(id, purchase).into_iter().filter_map(move |line| self.bought(id, purchase, line))
        });
        items.chain(bought).filter(|source| source.line.quantity > 0).collect()
    }

    /// The plan that a checkout names without knowing its lines, for the only item of the subscription it started.
    pub(super) fn named_by_sale(&self, source: &Source<'_>) -> Option<&PlanCode> {
        let subscription = self.subscriptions.get(source.source).filter(|_| source.subscribed)?;
        self.items.get(source.source).filter(|items| items.value.len() == 1)?;
        self.paid_purchases().find_map(|(id, purchase)| match &purchase.lines {
            Lines::Unknown { recurring: true, named } => {
                named.as_ref().filter(|_| Self::starts(id, purchase, source.source, &subscription.value))
            }
            _ => None,
        })
    }

    /// A line of a checkout, unless a subscription's items have taken its place or the subscription itself was replaced.
    /// A subscription whose items nobody told is for the line that started it.
    fn bought<'a>(&'a self, id: &'a Reference, purchase: &'a Purchase, line: Cow<'a, Line>) -> Option<Source<'a>> {
        let stands_for_it = |subscription: &&Reference| match self.subscriptions.get(*subscription) {
            Some(register) => Self::covers(subscription, &register.value, purchase, &line),
            None => line.recurring,
        };
        let known: BTreeSet<_> =
            self.subscriptions.keys().chain(&purchase.subscriptions).filter(stands_for_it).collect();
        let (replaced, standing): (Vec<_>, Vec<_>) = known.into_iter().partition(|id| self.is_replaced(id));
        let seen: Vec<_> = standing.iter().filter(|id| self.subscriptions.contains_key(**id)).collect();
        match seen.first() {
            Some(_) if seen.iter().any(|id| self.items.contains_key(**id)) => None,
            Some(subscription) => Some(Source { source: subscription, subscribed: true, line }),
            None if standing.is_empty() && !replaced.is_empty() => None,
            None => Some(Source { source: id, subscribed: false, line }),
        }
    }
}

/// A purchase's lines; where they are not known, one line that stands for them.
pub(super) fn purchase_lines<'a>(id: &Reference, purchase: &'a Purchase) -> Vec<Cow<'a, Line>> {
    match &purchase.lines {
        Lines::Shown(lines) | Lines::Known(lines) => lines.iter().map(Cow::Borrowed).collect(),
        Lines::Unknown { recurring, named } => vec![Cow::Owned(Line {
            line: id.clone(),
            price: PriceReference::new(format!("unknown:{id}")),
            product: None,
            quantity: 1,
            recurring: *recurring,
            named: named.clone(),
            description: None,
        })],
    }
}

/// What ought to exist, and what is in the way of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One license each. A unit without a plan holds the license it has and issues none.
    pub units: Vec<Unit>,
    /// What is in the way.
    pub waiting: BTreeSet<Waiting>,
}

/// Lists what was sold: line, plan, quantity.
#[must_use]
pub fn want(order: &Order) -> Wanted {
    let mut wanted = Wanted::default();
    wanted.waiting.extend(periods_unknown(order).map(|payment| Waiting::PeriodUnknown { purchase: payment.clone() }));
    let order = &*order.with_payments_of_periods();
    let mut add_ons = Vec::new();
    let mut sold = 0;
    for source in order.sources() {
        let units = match order.decided.get(&source.line.price) {
            Some(decision) => {
                if !decision.adds.is_nothing() {
                    add_ons.push((source.source, source.line.quantity, &decision.adds, &decision.grants));
                }
                decision.grants.iter().map(|grant| granted(&source, grant)).collect()
            }
            None => {
                wanted.waiting.insert(undecided(&source));
                vec![keys(&source, None)]
            }
        };
        for (unit, count) in units {
            sold += count;
            let room = UNITS_MAX - wanted.units.len();
            wanted.units.extend(std::iter::repeat_n(unit, count.min(room)));
        }
    }
    for (source, quantity, adds, grants) in add_ons {
        if !add(order, &mut wanted.units, source, quantity, adds) && grants.is_empty() {
            wanted.waiting.insert(Waiting::NothingToAddTo { purchase: source.clone() });
        }
    }
    if sold > UNITS_MAX {
        wanted.waiting.insert(Waiting::TooMany { units: sold });
    }
    wanted.waiting.extend(partly_refunded(order, &wanted.units));
    wanted.waiting.extend(doubts(order));
    wanted
}

/// An add-on counts for what its own source sold, otherwise for all that the order has, until its own money goes back.
/// False: there is nothing.
fn add(order: &Order, units: &mut [Unit], source: &Reference, quantity: u32, adds: &AddOn) -> bool {
    let is_beside = units.iter().any(|unit| unit.source == *source);
    if !is_beside && order.is_given_back(source) {
        return true;
    }
    for unit in units.iter_mut().filter(|unit| !is_beside || unit.source == *source) {
        unit.added.add(adds, quantity);
    }
    !units.is_empty()
}

/// A unit, and how often it was sold.
fn granted(source: &Source<'_>, grant: &Grant) -> (Unit, usize) {
    match grant.quantity {
        QuantityRule::Keys => keys(source, Some(grant.plan)),
        QuantityRule::Seats => (unit(source, Some(grant.plan), source.line.quantity), 1),
    }
}

fn keys(source: &Source<'_>, plan: Option<PlanVersion>) -> (Unit, usize) {
    (unit(source, plan, 1), source.line.quantity as usize)
}

fn unit(source: &Source<'_>, plan: Option<PlanVersion>, seats: u32) -> Unit {
    Unit {
        source: source.source.clone(),
        subscribed: source.subscribed,
        line: source.line.line.clone(),
        price: source.line.price.clone(),
        product: source.line.product.clone(),
        // What a subscription is for renews, whatever the line says of itself.
        recurring: source.subscribed || source.line.recurring,
        plan,
        seats,
        added: AddOn::default(),
    }
}

fn undecided(source: &Source<'_>) -> Waiting {
    if source.line.price.as_str().starts_with("unknown:") {
        Waiting::LinesUnknown { purchase: source.line.line.clone() }
    } else {
        Waiting::Unmapped {
            price: source.line.price.clone(),
            product: source.line.product.clone(),
            description: source.line.description.clone(),
        }
    }
}

/// A part of one payment for several licenses went back: nobody but a person knows for which of them.
fn partly_refunded<'a>(order: &'a Order, units: &'a [Unit]) -> impl Iterator<Item = Waiting> + 'a {
    order.paid_purchases().filter_map(|(payment, purchase)| {
        let refunded = order.refunded(payment);
        let (own, others): (Vec<_>, Vec<_>) = units.iter().partition(|unit| unit.source == *payment);
        let started = others.into_iter().any(|unit| {
            let subscription = order.subscriptions.get(&unit.source);
            subscription.is_some_and(|register| Order::starts(payment, purchase, &unit.source, &register.value))
        });
        let several = own.len() + usize::from(started && !own.is_empty()) > 1;
        (several && refunded > 0 && refunded < purchase.total.minor).then(|| Waiting::PartlyRefunded {
            payment: payment.clone(),
            amount: Money::new(refunded, purchase.total.currency),
        })
    })
}

/// What was paid for subscriptions that nobody told the period of: purchases, and payments after all periods that are known.
/// What has ended awaits none.
fn periods_unknown(order: &Order) -> impl Iterator<Item = &Reference> {
    let is_granted = order.subscriptions.values().any(|register| register.value.granted_until.is_some());
    let bought = order.paid_purchases().filter(move |(id, purchase)| {
        let all_back = (1..=order.refunded(id)).contains(&purchase.total.minor);
        purchase.is_recurring() && order.periods.is_empty() && !is_granted && !all_back
    });
    let collected = order.ahead_of_periods().filter(|(id, paid)| {
        let subscription = order.subscriptions.get(&paid.subscription).map(|register| &register.value);
        let is_known = subscription.is_some_and(|subscription| {
            subscription.ended_at.is_some() || subscription.granted_until.is_some_and(|until| until > paid.at)
        });
        let is_bought = order.paid_purchases().any(|(bought, _)| order.payments.same(bought, id));
        let all_back = (1..=order.refunded(id)).contains(&paid.total.minor);
        !is_known && !is_bought && !all_back
    });
    bought.map(|(id, _)| id).chain(collected.map(|(id, _)| id))
}

fn doubts(order: &Order) -> impl Iterator<Item = Waiting> + '_ {
    let tied = order
        .subscriptions
        .iter()
        .filter(|(id, register)| register.tied || order.items.get(*id).is_some_and(|items| items.tied));
    let unlinked =
        (order.missing.contains(&Missing::PaymentLink) && !order.is_traced()).then_some(Waiting::PaymentUnlinked);
    let more = order
        .paid_purchases()
        .filter(|(id, purchase)| matches!(purchase.lines, Lines::Shown(_)) && !order.is_given_back(id));
    tied.map(|(id, _)| Waiting::Tied { subscription: id.clone() })
        .chain(more.map(|(id, _)| Waiting::MoreBought { purchase: id.clone() }))
        .chain(unlinked)
}
