//! An order: everything known about one sale, as a value that joins.
//!
//! A fact is a small order. One join serves facts, duplicates, replays and two orders that turn out to be one, so the
//! order of arrival cannot matter. Maps are keyed by the provider's own references.

mod aftermath;
mod collected;
mod untold;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    decision::Decision,
    join::{Join, Partition, Register, keep_larger},
    money::Money,
    reason::Cause,
    text::{CustomerReference, EmailAddress, PlanCode, PriceReference, ProductReference, Reference},
};

pub use aftermath::{Dispute, DisputeState, FirstTold, Refund, RefundState};
pub use collected::Collected;
pub(crate) use collected::PROVISIONAL;
pub use untold::Untold;

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
    /// Payments for subscriptions that do not tell which period they paid, by the invoice or order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub collected: BTreeMap<Reference, Collected>,
    /// Keys that the provider itself gave out for what was bought, by its own names of them. Where the vendor's customers use
    /// those, the licenses take them instead of keys of ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<Reference, ProviderKey>,
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
    /// Whether a source of licenses gave its place to another, where its provider says so without naming that one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gave_way: BTreeMap<Reference, Register<bool>>,
    /// Where this sale's mails go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Register<Contact>>,
    /// Where a person has this sale's mails go, whatever the provider says. Also where they go when somebody buys again whose data
    /// at the provider's was erased: nothing but the sale keeps their address then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Register<Contact>>,
    /// When its buyer's data was erased: the addresses and names that were told until then are gone, and whatever the
    /// provider tells of them later is not kept. An address that a person gives after that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<LastTold>,
    /// When it was last handed over to somebody else. From then on whoever bought it is not its holder: what proves that they
    /// bought it shows them no key, and the provider's record of them gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<LastTold>,
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
        self.collected.join(other.collected);
        self.keys.join(other.keys);
        self.retries.join(other.retries);
        self.refunds.join(other.refunds);
        self.disputes.join(other.disputes);
        self.replaced.join(other.replaced);
        self.gave_way.join(other.gave_way);
        self.contact.join(other.contact);
        self.corrected.join(other.corrected);
        self.erased.join(other.erased);
        self.handed_over.join(other.handed_over);
        self.forget();
        self.customers.join(other.customers);
        self.missing.join(other.missing);
        self.decided.join(other.decided);
        self.approval.join(other.approval);
        self.excused.join(other.excused);
    }
}

impl Order {
    /// Erases its buyer's data, for good: the mark joins like everything else, so that no fact brings it back.
    pub fn erase(&mut self, at: Timestamp) {
        self.erased.join(Some(LastTold(at)));
        self.forget();
    }

    /// Remembers that it is somebody else's than its buyer's, for good: whatever the provider tells, and who proves at it that
    /// they bought it, are about the buyer.
    pub fn hand_over(&mut self, at: Timestamp) {
        self.handed_over.join(Some(LastTold(at)));
    }

    /// Lets go of what was erased.
    fn forget(&mut self) {
        if let Some(LastTold(at)) = self.erased {
            self.contact = None;
            self.corrected = self.corrected.take().filter(|register| register.stamp.at > at);
        }
    }

    /// Where this sale's mails go, as far as the sale itself says: a person's word, otherwise the provider's.
    #[must_use]
    pub fn mailed_to(&self) -> Option<&Contact> {
        self.corrected.as_ref().or(self.contact.as_ref()).map(|register| &register.value)
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
    /// Some of the lines: what was paid tells that there may be more.
    Shown(Vec<Line>),
    /// All lines.
    Known(Vec<Line>),
}

impl Lines {
    /// Those that are known; none: nothing is.
    #[must_use]
    pub fn told(&self) -> Option<&[Line]> {
        match self {
            Self::Unknown { .. } => None,
            Self::Shown(lines) | Self::Known(lines) => Some(lines),
        }
    }
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
    /// When it ends, where the sale itself says so; none: as the plan says. The latest moment that was told.
    #[serde(default, with = "crate::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
}

impl Join for Purchase {
    fn join(&mut self, other: Self) {
        keep_larger(&mut self.lines, other.lines);
        keep_larger(&mut self.state, other.state);
        keep_larger(&mut self.total, other.total);
        self.at = self.at.min(other.at);
        self.subscriptions.join(other.subscriptions);
        self.silent |= other.silent;
        keep_larger(&mut self.ends, other.ends);
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
    /// The checkout lines it stands for, where it names them: those, whatever they say of themselves. A checkout that does
    /// not tell whether its lines renew is told so by its subscription.
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

/// A key that the provider gave out. The key itself is not here: whoever needs it reads it in the event that told it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProviderKey {
    /// For which line of what was bought.
    pub line: Reference,
    /// The event that tells it, by its key in the inbox.
    pub told_by: Box<str>,
}

impl Join for ProviderKey {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
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
    /// Who a customer is, where a sale names no more than their id.
    Customer,
}

impl Purchase {
    /// Whether any line of it renews.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        match &self.lines {
            Lines::Unknown { recurring, .. } => *recurring,
            Lines::Shown(lines) | Lines::Known(lines) => lines.iter().any(|line| line.recurring),
        }
    }
}
