//! An order: everything known about one sale, as a value that joins.
//!
//! A fact is a small order. One join serves facts, duplicates, replays and two orders that turn out to be one, so the
//! order of arrival cannot matter. Maps are keyed by the provider's own references.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    decision::Decision,
    join::{Join, Partition, Register, Stamp, keep_larger},
    money::Money,
    reason::Cause,
    text::{CustomerReference, EmailAddress, PlanCode, PriceReference, ProductReference, Reference},
};

/// Everything known about one sale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// All names of this sale. Each belongs to one order of its connection; only ids of the sale itself are here.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub references: BTreeSet<Reference>,
    /// Which references mean the same payment, so that a refund finds its period.
    #[serde(skip_serializing_if = "Partition::is_empty")]
    pub payments: Partition<Reference>,
    /// Checkouts, transactions, manual issues.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub purchases: BTreeMap<Reference, Purchase>,
    /// The state of each subscription.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subscriptions: BTreeMap<Reference, Register<Subscription>>,
    /// What each subscription is for; apart from its state, since a snapshot without items says nothing about them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<Reference, Register<Vec<Line>>>,
    /// Paid periods, by the invoice that paid them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub periods: BTreeMap<Reference, Period>,
    /// When the provider tries again to collect for a subscription; the latest moment it named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retries: BTreeMap<Reference, LastTold>,
    /// Refunds by their own id, or by the payment where the provider tells totals only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<Reference, Register<Refund>>,
    /// Disputes by their id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<Reference, Dispute>,
    /// A source of licenses (purchase or subscription) and what took its place.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced: BTreeMap<Reference, Register<Reference>>,
    /// Where this sale's mails go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Register<Contact>>,
    /// The provider's customers seen with this sale.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub customers: BTreeSet<CustomerReference>,
    /// What the connection was not allowed to look up.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<Missing>,
    /// What was decided for each price.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub decided: BTreeMap<PriceReference, Decision>,
    /// What a person said to a sale that must be approved before it gives licenses (B29).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Register<Approval>>,
    /// Causes that an operator has seen and lifted. A new amount, state or episode is a new cause.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub excused: BTreeSet<Cause>,
}

impl Join for Order {
    fn join(&mut self, other: Self) {
        self.references.join(other.references);
        self.payments.join(other.payments);
        self.purchases.join(other.purchases);
        self.subscriptions.join(other.subscriptions);
        self.items.join(other.items);
        self.periods.join(other.periods);
        self.retries.join(other.retries);
        self.refunds.join(other.refunds);
        self.disputes.join(other.disputes);
        self.replaced.join(other.replaced);
        self.contact.join(other.contact);
        self.customers.join(other.customers);
        self.missing.join(other.missing);
        self.decided.join(other.decided);
        self.approval.join(other.approval);
        self.excused.join(other.excused);
    }
}

impl Order {
    /// What was given back of this payment.
    ///
    /// Refunds that have ids are summed as far as they succeeded. Where the provider (also) tells a total, refunds
    /// nobody told us of by name may hide in it: what the named ones do not account for counts as well. A total is what
    /// had gone back when it was told, so a refund that failed before that is not in it and accounts for nothing.
    /// Whether a vendor listens to totals, to refunds by name or to both, in any order, the sum is the same.
    #[must_use]
    pub fn refunded(&self, payment: &Reference) -> i64 {
        let of_payment = || self.refunds.values().filter(|refund| self.payments.same(&refund.value.payment, payment));
        let told_at = of_payment().filter(|refund| refund.value.cumulative).map(|refund| refund.stamp.at).max();
        let (mut told, mut named, mut succeeded) = (0i64, 0i64, 0i64);
        for Register { value: refund, .. } in of_payment() {
            let minor = refund.amount.minor;
            if refund.cumulative {
                told = told.saturating_add(minor);
                continue;
            }
            if refund.state == RefundState::Succeeded {
                succeeded = succeeded.saturating_add(minor);
            }
            let failed_before = refund.failed_at.is_some_and(|failed| told_at.is_some_and(|told| failed.0 < told));
            if !failed_before {
                named = named.saturating_add(minor);
            }
        }
        succeeded.saturating_add(told.saturating_sub(named).max(0))
    }
}

/// One line of what was bought.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    /// The provider's id of this line or subscription item.
    pub line: Reference,
    /// What was bought, as the provider prices it. Decisions are kept per price.
    pub price: PriceReference,
    /// The provider's product of that price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductReference>,
    /// How many.
    pub quantity: u32,
    /// Whether it renews.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recurring: bool,
    /// The plan that the sale's own metadata names (A15, D15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<PlanCode>,
    /// What the provider calls it, for a person who has to map it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
}

/// What is known of a purchase's lines. Knowing beats not knowing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lines {
    /// The event did not say and nothing may be looked up.
    Unknown {
        /// Whether it starts a subscription, whose items will say what was bought.
        recurring: bool,
        /// The plan that the sale's metadata names.
        named: Option<PlanCode>,
    },
    /// All lines.
    Known(Vec<Line>),
}

/// How far a purchase has come. Later states win, whatever order they arrive in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurchaseState {
    /// Completed, and the money is on its way (delayed payment methods).
    Pending,
    /// The money did not come.
    Failed,
    /// Paid, or nothing had to be paid.
    Paid,
}

/// A checkout, a transaction, a manual issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// What was bought.
    pub lines: Lines,
    /// Whether it is paid.
    pub state: PurchaseState,
    /// What was paid.
    pub total: Money,
    /// When it was made, as the provider says; the earliest time told.
    #[serde(with = "crate::time::micros")]
    pub at: Timestamp,
    /// The subscriptions that it started, where it names them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subscriptions: BTreeSet<Reference>,
    /// The caller delivers the key itself: no mail of ours (X04).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

impl Join for Purchase {
    fn join(&mut self, other: Self) {
        keep_larger(&mut self.lines, other.lines);
        keep_larger(&mut self.state, other.state);
        keep_larger(&mut self.total, other.total);
        self.at = self.at.min(other.at);
        self.subscriptions.join(other.subscriptions);
        self.silent |= other.silent;
    }
}

/// Where a subscription stands at its provider. Status is not money: it never makes a license by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// The first payment is awaited.
    Incomplete,
    /// In a trial.
    Trialing,
    /// Running.
    Active,
    /// A payment is overdue.
    PastDue,
    /// Suspended until it is resumed.
    Paused,
    /// Over for good.
    Ended,
}

/// A snapshot of a subscription, without its items.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subscription {
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// The provider's own period end, given only while active or trialing with automatic collection.
    #[serde(default, with = "crate::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub granted_until: Option<Timestamp>,
    /// The end of its trial, past or to come. Whatever lasts no longer was not paid for.
    #[serde(default, with = "crate::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub trial_until: Option<Timestamp>,
    /// When it is going to be cancelled.
    #[serde(default, with = "crate::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, with = "crate::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The checkout lines it stands for, where it names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<BTreeSet<Reference>>,
}

/// A period that an invoice paid, whatever its amount. Proration lines pay none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Period {
    /// Of which subscription.
    pub subscription: Reference,
    /// Paid until then.
    #[serde(with = "crate::time::micros")]
    pub until: Timestamp,
    /// What the invoice came to.
    pub total: Money,
}

impl Join for Period {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
    }
}

/// How far a refund has come: its states are a chain, and a success can still be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked for; nothing has moved.
    Pending,
    /// The money went back.
    Succeeded,
    /// It did not arrive, was cancelled or rejected.
    Failed,
}

/// Money given back: one refund, or all that had gone back of a payment at some moment. A refund with an id of its own
/// has one constant stamp, so that its states decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refund {
    /// How far it has come.
    pub state: RefundState,
    /// How much.
    pub amount: Money,
    /// Of which payment.
    pub payment: Reference,
    /// It is all that had gone back of this payment when it was told, not one refund.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cumulative: bool,
    /// When it was told to have failed, where that is known: totals told later leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<FirstTold>,
}

impl Refund {
    /// A refund that has an id: its states are ordered by themselves, so every telling shares one stamp.
    #[must_use]
    pub fn by_id(state: RefundState, amount: Money, payment: Reference) -> Register<Self> {
        let refund = Self { state, amount, payment, cumulative: false, failed_at: None };
        Register::new(Stamp::at(Timestamp::UNIX_EPOCH), refund)
    }

    /// A refund that has an id and failed, told at that moment.
    #[must_use]
    pub fn failed(at: Timestamp, amount: Money, payment: Reference) -> Register<Self> {
        let mut register = Self::by_id(RefundState::Failed, amount, payment);
        register.value.failed_at = Some(FirstTold(at));
        register
    }

    /// A payment's refunded total as of a moment; later totals replace earlier ones.
    #[must_use]
    pub fn total(stamp: Stamp, amount: Money, payment: Reference) -> Register<Self> {
        let state = RefundState::Succeeded;
        Register::new(stamp, Self { state, amount, payment, cumulative: true, failed_at: None })
    }
}

/// When something was told first: of two tellings the earlier one is the larger, so that it stays in a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FirstTold(#[serde(with = "crate::time::micros")] pub Timestamp);

impl Ord for FirstTold {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

impl PartialOrd for FirstTold {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The latest of the moments that were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LastTold(#[serde(with = "crate::time::micros")] pub Timestamp);

impl Join for LastTold {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
    }
}

/// How far a dispute has come. A lost one can still be won on appeal, never the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// The bank asks; no money has moved.
    Inquiry,
    /// The money is held.
    Open,
    /// The buyer's bank kept it.
    Lost,
    /// It came back.
    Won,
}

/// A payment that the buyer's bank questions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dispute {
    /// How far it has come.
    pub state: DisputeState,
    /// Which payment.
    pub payment: Reference,
}

impl Join for Dispute {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
    }
}

/// Where mails about a sale go, as the sale itself says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Contact {
    /// The address.
    pub email: EmailAddress,
    /// The buyer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
}

/// What a person said to a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// It gives no licenses.
    Rejected,
    /// It gives what was bought.
    Approved,
}

/// Something the connection's credentials do not let us know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// What a checkout was for.
    Lines,
    /// Which subscription or invoice a payment belongs to.
    PaymentLink,
}

impl Purchase {
    /// Whether any line of it renews.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        match &self.lines {
            Lines::Unknown { recurring, .. } => *recurring,
            Lines::Known(lines) => lines.iter().any(|line| line.recurring),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn euros(minor: i64) -> Money {
        Money::new(minor, Currency::parse("eur"))
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// What one telling says: `c<total>@<second>` is a charge's total, the rest are refunds by name.
    fn told(telling: &str) -> Order {
        let (what, at) = telling.split_once('@').expect("a moment");
        let at = second(at.parse().expect("seconds"));
        let word: Vec<&str> = what.split(' ').collect();
        let amount = euros(word[1].parse().expect("an amount"));
        let (key, payment) = (Reference::from(word[0]), Reference::from("pi"));
        let refund = match word.get(2) {
            None => Refund::total(Stamp::at(at), amount, payment),
            Some(&"pending") => Refund::by_id(RefundState::Pending, amount, payment),
            Some(&"failed") => Refund::failed(at, amount, payment),
            Some(_) => Refund::by_id(RefundState::Succeeded, amount, payment),
        };
        Order { refunds: [(key, refund)].into(), ..Order::default() }
    }

    #[test]
    fn refunds_by_name_and_totals_come_to_the_same_sum() {
        let table: &[(&str, &[&str], i64)] = &[
            ("totals alone", &["ch 10@1", "ch 30@5"], 30),
            ("names alone", &["re_1 10 ok@1", "re_2 20 ok@5"], 30),
            ("both", &["ch 10@1", "re_1 10 ok@1", "ch 30@5", "re_2 20 ok@5"], 30),
            ("both, the second by its total only", &["ch 10@1", "re_1 10 ok@1", "ch 30@5"], 30),
            ("both, the second by its name only", &["ch 10@1", "re_1 10 ok@1", "re_2 20 ok@5"], 30),
            ("pending and not yet sent", &["re_1 10 pending@1"], 0),
            ("pending, counted in the total", &["ch 10@1", "re_1 10 pending@1"], 0),
            ("pending, then sent", &["ch 10@1", "re_1 10 pending@1", "re_1 10 ok@3"], 10),
            ("failed later, names alone", &["re_1 10 ok@1", "re_1 10 failed@9"], 0),
            ("failed later, both", &["ch 10@1", "re_1 10 ok@1", "re_1 10 failed@9"], 0),
            ("failed later, and the total says so", &["ch 10@1", "ch 0@9"], 0),
            ("failed later, all say so", &["ch 10@1", "re_1 10 ok@1", "re_1 10 failed@9", "ch 0@10"], 0),
            (
                "one of two failed, both",
                &["ch 10@1", "re_1 10 ok@1", "ch 30@5", "re_2 20 ok@5", "re_1 10 failed@9"],
                20,
            ),
            ("only failures have names", &["ch 10@1", "ch 30@5", "re_1 10 failed@9"], 20),
            ("failed and done again, only failures have names", &["ch 10@1", "re_1 10 failed@5", "ch 10@9"], 10),
            (
                "failed and done again, both",
                &["ch 10@1", "re_1 10 ok@1", "re_1 10 failed@5", "ch 10@9", "re_2 10 ok@9"],
                10,
            ),
            ("told twice to have failed", &["ch 10@1", "re_1 10 failed@5", "ch 10@9", "re_1 10 failed@12"], 10),
            (
                "absurd amounts do not overflow",
                &["ch 9223372036854775807@1", "re_1 9223372036854775807 ok@1"],
                i64::MAX,
            ),
        ];
        for (name, tellings, sum) in table {
            for order in permutations(tellings) {
                let mut known = Order::default();
                for telling in &order {
                    known.join(told(telling));
                    known.join(told(telling));
                }
                assert_eq!(known.refunded(&Reference::from("pi")), *sum, "{name}: {order:?}");
            }
        }
    }

    fn permutations<'a>(items: &[&'a str]) -> Vec<Vec<&'a str>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        (0..items.len())
            .flat_map(|first| {
                let mut rest = items.to_vec();
                let head = rest.remove(first);
                permutations(&rest).into_iter().map(move |tail| [vec![head], tail].concat())
            })
            .collect()
    }
}
