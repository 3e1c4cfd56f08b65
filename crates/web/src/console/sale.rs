//! What is known of a sale, in the words of people who sell.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    fact::Fact,
    money::{Currency, Money},
    order::{DisputeState, Line, Order, PurchaseState, RefundState, SubscriptionStatus},
    text::Reference,
};
use jiff::Timestamp;
use store::lists::KeptFact;

use super::words::{Pill, When, money};

/// What an event said about one thing.
pub(crate) struct Said {
    pub(crate) about: String,
    pub(crate) lines: Vec<String>,
}

/// Money that moved, or is to move.
pub(crate) struct Movement {
    pub(crate) what: &'static str,
    pub(crate) reference: String,
    pub(crate) pill: Pill,
    pub(crate) amount: String,
    pub(crate) note: String,
}

/// Something that was bought.
pub(crate) struct Bought {
    pub(crate) name: String,
    pub(crate) price: String,
    pub(crate) quantity: u32,
    pub(crate) renews: bool,
}

const fn tone(word: &'static str, tone: &'static str, icon: &'static str) -> Pill {
    Pill { word, tone, icon }
}

/// What an event said.
pub(crate) fn said(kept: &KeptFact) -> Said {
    match &kept.fact {
        Fact::Customer(customer) => {
            let snapshot = &customer.snapshot.value;
            let email = snapshot.email.as_ref().map(|email| email.as_str().to_owned());
            let name = snapshot.name.as_deref().map(str::to_owned);
            let gone = snapshot.deleted.then(|| "is deleted at the provider".to_owned());
            Said {
                about: format!("Customer {}", customer.reference),
                lines: [name, email, gone].into_iter().flatten().collect(),
            }
        }
        Fact::Order(order) => {
            let names: Vec<String> = order.references.iter().map(ToString::to_string).collect();
            let about = if names.is_empty() { "A sale".to_owned() } else { format!("Sale {}", names.join(", ")) };
            Said { about, lines: lines(order) }
        }
    }
}

fn lines(order: &Order) -> Vec<String> {
    let bought = bought(order).into_iter().map(|line| format!("{} × {}", line.quantity, line.name));
    let moved = movements(order).into_iter().map(|row| {
        let words = [row.what.to_owned(), row.amount, row.pill.word.to_owned(), row.note];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let subscriptions =
        subscriptions(order).into_iter().map(|(reference, words)| format!("Subscription {reference}: {words}"));
    bought.chain(moved).chain(subscriptions).collect()
}

/// What was bought: the lines of purchases and the items of subscriptions, each price once.
pub(crate) fn bought(order: &Order) -> Vec<Bought> {
    let purchased = order.purchases.values().filter_map(|purchase| purchase.lines.told()).flatten();
    let subscribed = order.items.values().flat_map(|register| &register.value);
    let mut seen = BTreeSet::new();
    let first = |line: &&Line| seen.insert(line.price.clone());
    // Where something is issued by hand, its plan stands in the place of a price.
    let unnamed = |line: &Line| line.price.as_str().trim_start_matches("plan:").to_owned();
    let row = |line: &Line| Bought {
        name: line.description.as_deref().map_or_else(|| unnamed(line), str::to_owned),
        price: line.price.to_string(),
        quantity: line.quantity,
        renews: line.recurring,
    };
    purchased.chain(subscribed).filter(first).map(row).collect()
}

/// What was bought, in a few words.
pub(crate) fn title(order: &Order) -> String {
    let mut names: Vec<String> = Vec::new();
    for line in bought(order) {
        let name = if line.quantity == 1 { line.name } else { format!("{} × {}", line.quantity, line.name) };
        // A plan may be sold at several prices of one name.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match (names.is_empty(), order.references.first()) {
        (false, _) => names.join(", "),
        (true, Some(reference)) => reference.to_string(),
        (true, None) => "A sale".to_owned(),
    }
}

/// What was paid in all. A checkout and the first invoice of its subscription are one payment, and count once.
pub(crate) fn total(order: &Order) -> String {
    let order = order.with_payments_of_periods();
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    let paid = order.purchases.iter().filter(|(_, purchase)| purchase.state == PurchaseState::Paid);
    let mut counted: Vec<&Reference> = Vec::new();
    let payments = paid.map(|(name, purchase)| (name, purchase.total));
    for (name, total) in payments.chain(order.periods.iter().map(|(name, period)| (name, period.total))) {
        if !counted.iter().any(|known| order.payments.same(known, name)) {
            let sum = sums.entry(total.currency).or_default();
            *sum = sum.saturating_add(total.minor);
            counted.push(name);
        }
    }
    let sums = sums.into_iter().map(|(currency, minor)| money(Money::new(minor, currency)));
    sums.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" + ")
}

/// How the money of a sale stands.
pub(crate) fn standing(order: &Order) -> Pill {
    let is_disputed = |state| order.disputes.values().any(|dispute| dispute.state == state && !dispute.returns);
    if is_disputed(DisputeState::Lost) {
        return tone("lost to a dispute", "bad", "stop");
    }
    if is_disputed(DisputeState::Open) {
        return tone("disputed", "warn", "clock");
    }
    let whole = order.with_payments_of_periods();
    let purchases = whole.purchases.iter().map(|(name, purchase)| (name, purchase.total.minor));
    let periods = whole.periods.iter().map(|(name, period)| (name, period.total.minor));
    let payments: Vec<(i64, i64)> = purchases
        .chain(periods)
        .map(|(name, paid)| (paid, whole.refunded(name)))
        .filter(|(paid, _)| *paid > 0)
        .collect();
    let is_refunded = payments.iter().any(|(_, refunded)| *refunded > 0);
    match () {
        () if is_refunded && payments.iter().all(|(paid, refunded)| refunded >= paid) => {
            tone("refunded", "cold", "pause")
        }
        () if is_refunded => tone("partly refunded", "warn", "clock"),
        () => paid(&whole),
    }
}

fn paid(order: &Order) -> Pill {
    let reached = order.purchases.values().map(|purchase| purchase.state).max();
    let is_overdue = order.subscriptions.values().any(|register| register.value.status == SubscriptionStatus::PastDue);
    match reached {
        _ if is_overdue => tone("overdue", "warn", "clock"),
        Some(PurchaseState::Paid) => tone("paid", "good", "check"),
        _ if !order.periods.is_empty() => tone("paid", "good", "check"),
        Some(PurchaseState::Pending) => tone("pending", "quiet", "clock"),
        Some(PurchaseState::Failed) => tone("failed", "bad", "stop"),
        None => tone("not paid yet", "quiet", "clock"),
    }
}

/// All money of a sale, as the provider told of it.
pub(crate) fn movements(order: &Order) -> Vec<Movement> {
    let order = order.with_payments_of_periods();
    let mut rows = Vec::new();
    for (reference, purchase) in &order.purchases {
        let pill = match purchase.state {
            PurchaseState::Pending => tone("pending", "quiet", "clock"),
            PurchaseState::Failed => tone("failed", "bad", "stop"),
            PurchaseState::Paid => tone("paid", "good", "check"),
        };
        let at = day(purchase.at);
        rows.push(Movement {
            what: "Purchase",
            reference: reference.to_string(),
            pill,
            amount: money(purchase.total),
            note: at,
        });
    }
    for (reference, period) in &order.periods {
        let note = format!("until {}", day(period.until));
        let pill = tone("paid", "good", "check");
        rows.push(Movement {
            what: "Period",
            reference: reference.to_string(),
            pill,
            amount: money(period.total),
            note,
        });
    }
    for (reference, register) in &order.refunds {
        let refund = &register.value;
        let pill = match refund.state {
            RefundState::Pending => tone("pending", "quiet", "clock"),
            RefundState::Succeeded => tone("given back", "cold", "pause"),
            RefundState::Failed => tone("failed", "quiet", "stop"),
        };
        let note = if refund.cumulative { "in all, of " } else { "of " };
        let note = format!("{note}{}", refund.payment);
        rows.push(Movement {
            what: "Refund",
            reference: reference.to_string(),
            pill,
            amount: money(refund.amount),
            note,
        });
    }
    for (reference, dispute) in &order.disputes {
        let pill = match dispute.state {
            DisputeState::Inquiry => tone("inquiry", "quiet", "clock"),
            DisputeState::Open => tone("open", "warn", "clock"),
            DisputeState::Lost => tone("lost", "bad", "stop"),
            DisputeState::Won => tone("won", "good", "check"),
        };
        let note = format!("of {}", dispute.payment);
        rows.push(Movement { what: "Dispute", reference: reference.to_string(), pill, amount: String::new(), note });
    }
    rows
}

/// Each subscription and how it stands.
pub(crate) fn subscriptions(order: &Order) -> Vec<(String, String)> {
    let words = |status| match status {
        SubscriptionStatus::Incomplete => "its first payment is awaited",
        SubscriptionStatus::Trialing => "in a trial",
        SubscriptionStatus::Active => "running",
        SubscriptionStatus::PastDue => "a payment is overdue",
        SubscriptionStatus::Paused => "paused",
        SubscriptionStatus::Ended => "ended",
    };
    let row = |(reference, register): (&Reference, &domain::join::Register<domain::order::Subscription>)| {
        let snapshot = &register.value;
        let mut told = words(snapshot.status).to_owned();
        for (what, at) in [
            ("granted until", snapshot.granted_until),
            ("cancelled at", snapshot.cancel_at),
            ("ended", snapshot.ended_at),
        ] {
            told.extend(at.map(|at| format!(", {what} {}", day(at))));
        }
        (reference.to_string(), told)
    };
    order.subscriptions.iter().map(row).collect()
}

fn day(at: Timestamp) -> String {
    When::new(at, Timestamp::MIN).short()
}
