//! What a person decides about a license.
//!
//! A revocation, a freeze, an extension and a choice of plan belong to the license and beat every provider. An unfreeze
//! also belongs to the order: it excuses the causes that stood when it was said, and nothing that comes later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    join::{Join, Register, Stamp},
    license::{Extension, License},
    order::{Approval, Contact, Order},
    plan::{Limits, PlanVersion},
};

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Take it back, whatever the money says.
    Revoke,
    /// Undo a revocation: the money decides again.
    Reinstate,
    /// Stop it for now.
    Freeze,
    /// Undo a freeze, and excuse every cause that stands now.
    Unfreeze,
    /// Let the term last at least until then.
    Extend(#[serde(with = "crate::time::micros")] Timestamp),
    /// Give another plan than the one that was bought.
    ChangePlan(PlanVersion),
    /// Allow something else than the plan does; none: what the plan does.
    Limits(Option<Limits>),
}

impl Ruling {
    /// The word for it in the audit log.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Reinstate => "reinstate",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::Extend(_) => "extend",
            Self::ChangePlan(_) => "change_plan",
            Self::Limits(_) => "limits",
        }
    }
}

/// Writes a decision down. What follows from it is seen when the order is reconciled.
pub fn rule(order: &mut Order, license: &mut License, ruling: Ruling, at: Timestamp) {
    if ruling == Ruling::Unfreeze {
        order.excused.extend(license.standing.open.iter().cloned());
    }
    rule_license(license, ruling, at);
}

/// The part of a decision that belongs to the license.
pub fn rule_license(license: &mut License, ruling: Ruling, at: Timestamp) {
    let stamp = Stamp::at(at);
    let rulings = &mut license.rulings;
    match ruling {
        Ruling::Revoke => rulings.revoked.join(Some(Register::new(stamp, true))),
        Ruling::Reinstate => rulings.revoked.join(Some(Register::new(stamp, false))),
        Ruling::Freeze => rulings.frozen.join(Some(Register::new(stamp, true))),
        Ruling::Unfreeze => rulings.frozen.join(Some(Register::new(stamp, false))),
        Ruling::Extend(until) => rulings.extended.join(Some(Register::new(stamp, Extension(until)))),
        Ruling::ChangePlan(plan) => rulings.plan.join(Some(Register::new(stamp, plan))),
        Ruling::Limits(limits) => rulings.limits.join(Some(Register::new(stamp, limits))),
    }
}

/// Has a sale's mails go to an address, whatever the provider says; the last word counts.
pub fn correct_contact(order: &mut Order, contact: Contact, at: Timestamp) {
    order.corrected.join(Some(Register::new(Stamp::at(at), contact)));
}

/// Says whether a sale that must be approved may have its licenses; the last word counts (B29).
pub fn approve(order: &mut Order, approval: Approval, at: Timestamp) {
    order.approval.join(Some(Register::new(Stamp::at(at), approval)));
}
