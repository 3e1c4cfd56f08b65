//! A license: a unit of what was sold, the state it is in, and what people ruled about it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{LicenseId, OrderId},
    join::{Join, Register},
    plan::{AddOn, Adjustment, Limits, PlanVersion},
    reason::{Cause, Reason},
    text::{PriceReference, ProductReference, Reference},
};

/// One thing that was sold and ought to exist as a license. Its plan is open while no rule speaks of its price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The purchase or subscription it comes from.
    pub source: Reference,
    /// Whether the source is a subscription.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub subscribed: bool,
    /// The line or item.
    pub line: Reference,
    /// Its price.
    pub price: PriceReference,
    /// The provider's product of that price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductReference>,
    /// Whether it renews.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recurring: bool,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanVersion>,
    /// By how much the plan's limits are multiplied.
    pub seats: u32,
    /// What add-ons of the same sale add to the plan.
    #[serde(default, skip_serializing_if = "AddOn::is_nothing")]
    pub added: AddOn,
}

/// The state of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenseState {
    /// It works.
    Active,
    /// It does not work for now.
    Frozen,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl LicenseState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Frozen, Self::Expired, Self::Revoked];

    /// The word for it, everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What time alone will do to a license, unless something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The state it will take.
    pub state: LicenseState,
    /// When.
    #[serde(with = "crate::time::micros")]
    pub at: Timestamp,
}

/// What follows from everything known, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The state.
    pub state: LicenseState,
    /// Why.
    pub reason: Reason,
    /// The end of the term; none: for good, or not known.
    #[serde(with = "crate::time::micros_optional")]
    pub until: Option<Timestamp>,
    /// Still valid, but a payment is overdue or a renewal is awaited.
    pub at_risk: bool,
    /// What time will do.
    pub scheduled: Option<Scheduled>,
    /// When this could change by itself.
    #[serde(with = "crate::time::micros_optional")]
    pub next_check: Option<Timestamp>,
    /// All causes that stand, excused or not: what an unfreeze would lift.
    pub open: Vec<Cause>,
    /// It gives the smaller plan that its policy names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub downgraded: bool,
}

/// What people decided about one license. They survive every merge of orders, and beat every provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rulings {
    /// Revoked, or given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Register<bool>>,
    /// Frozen, or thawed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Register<bool>>,
    /// The term lasts at least until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended: Option<Register<Extension>>,
    /// Another plan than the one that was bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Register<PlanVersion>>,
    /// Other limits than the plan's; a none among them gives the plan's back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Register<Option<Limits>>>,
}

/// The end of a term that a person gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extension(#[serde(with = "crate::time::micros")] pub Timestamp);

impl Join for Rulings {
    fn join(&mut self, other: Self) {
        self.revoked.join(other.revoked);
        self.frozen.join(other.frozen);
        self.extended.join(other.extended);
        self.plan.join(other.plan);
        self.limits.join(other.limits);
    }
}

impl Rulings {
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.as_ref().is_some_and(|register| register.value)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.as_ref().is_some_and(|register| register.value)
    }

    pub(crate) fn extended_until(&self) -> Option<Timestamp> {
        self.extended.as_ref().map(|register| register.value.0)
    }
}

/// Where a license is in the life of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It holds a unit.
    Unit,
    /// Its unit went away; it takes the place again if one comes back.
    Retired,
    /// Its sale was found to be the same as another; that license stands for it.
    SupersededBy(LicenseId),
}

/// A license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Its id.
    pub id: LicenseId,
    /// The order that it was last reconciled in: two origins within one order mean that two sales were just found to be
    /// one.
    pub origin: OrderId,
    /// Its place in the order, unique there.
    pub slot: u32,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// What was sold.
    pub unit: Unit,
    /// The plan that counts: a person's choice, otherwise the unit's.
    pub plan: PlanVersion,
    /// Its state.
    pub standing: Standing,
    /// What people decided.
    pub rulings: Rulings,
    /// Whether it still holds its unit.
    pub holding: Holding,
    /// Whether its mail and `license.created` have been written. Once, ever.
    pub announced: bool,
    /// The end of which it was told last that it comes soon.
    pub expiry_told: Option<Timestamp>,
    /// How many keys open it: its own, and those of licenses it stands for.
    pub keys: u32,
}

impl License {
    /// Whether it holds a unit of its order.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.holding == Holding::Unit
    }

    /// What it allows, on a plan with these limits.
    #[must_use]
    pub fn limits(&self, plan: &Limits) -> Limits {
        self.adjustment().limits(plan, self.unit.seats)
    }

    /// How its limits differ from its plan's.
    #[must_use]
    pub fn adjustment(&self) -> Adjustment {
        let instead = self.rulings.limits.as_ref().and_then(|register| register.value.clone());
        Adjustment { instead, added: self.unit.added.clone() }
    }

    /// Takes over the rulings of a license whose sale was found to be the same.
    pub(crate) fn absorb(&mut self, loser: &Self) {
        self.rulings.join(loser.rulings.clone());
        self.announced |= loser.announced;
        self.keys += loser.keys;
    }
}

impl Standing {
    /// The end that time alone will bring while all is well; none: nothing ends it, or it is in trouble already.
    #[must_use]
    pub fn final_end(&self) -> Option<Timestamp> {
        self.scheduled.map(|scheduled| scheduled.at).filter(|_| !self.at_risk)
    }

    /// Before anything was judged. No judgement equals it: nothing is ever active for the reason that it was removed.
    pub(crate) const fn unjudged() -> Self {
        Self {
            state: LicenseState::Active,
            reason: Reason::Removed,
            until: None,
            at_risk: false,
            scheduled: None,
            next_check: None,
            open: Vec::new(),
            downgraded: false,
        }
    }
}
