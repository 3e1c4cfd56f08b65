//! Plans: what a license allows, for how long, and what happens when the money changes its mind.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    id::{PlanId, ProductId},
    text::PlanCode,
};

/// A plan at one of its versions. Versions never change; editing a plan makes a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanVersion {
    /// Which plan.
    pub plan: PlanId,
    /// Which version of it, from 1.
    pub version: u32,
    /// The product it belongs to, for good.
    pub product: ProductId,
}

/// What a plan says in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which plan and version this is.
    pub version: PlanVersion,
    /// The vendor's stable name for it (B28).
    pub code: PlanCode,
    /// What buyers read.
    pub name: Box<str>,
    /// The rest, stored as one document.
    pub terms: PlanTerms,
}

/// The changeable part of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanTerms {
    /// What the license allows.
    pub limits: Limits,
    /// Days a license lasts when the sale itself has no period; none: for good (D16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_days: Option<u32>,
    /// What happens when the money changes.
    pub policy: Policy,
    /// How long an app may trust its lease.
    pub lease: LeaseTerms,
}

/// What a license allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Devices, domains or instances at the same time; none: any number.
    pub activations: Option<u32>,
    /// Feature names that the app understands.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
}

impl Limits {
    /// Activations of a license whose plan allows a number and whose unit was bought without one.
    pub const ACTIVATIONS_DEFAULT: u32 = 3;

    /// The limits of one key that stands for several seats.
    #[must_use]
    pub fn times(&self, seats: u32) -> Self {
        let activations = self.activations.map(|count| count.saturating_mul(seats));
        Self { activations, features: self.features.clone() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { activations: Some(Self::ACTIVATIONS_DEFAULT), features: BTreeSet::new() }
    }
}

/// What happens to a license when money comes late, goes back or stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Days a license stays valid after its paid end while a renewal is still expected. Never shorter than the
    /// provider keeps trying to collect (E34).
    pub grace_days: u32,
    /// A part of a payment went back (X02).
    pub partial_refund: OnLoss,
    /// A payment is disputed and open.
    pub dispute: OnLoss,
    /// A subscription was ended before its paid period was over (X03).
    pub cancellation: OnCancellation,
}

impl Policy {
    /// Two weeks: Stripe's default schedule of retries is over by then.
    pub const GRACE_DAYS_DEFAULT: u32 = 14;
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            grace_days: Self::GRACE_DAYS_DEFAULT,
            partial_refund: OnLoss::Keep,
            dispute: OnLoss::Freeze,
            cancellation: OnCancellation::PaidEnd,
        }
    }
}

/// What a loss that is not final does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// Nothing.
    Keep,
    /// The license freezes while it lasts.
    Freeze,
}

/// When a cancelled subscription's license ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCancellation {
    /// At the end of what was paid.
    PaidEnd,
    /// When the subscription ends, even inside a paid period.
    AtOnce,
}

/// How long an app may trust a lease without asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaseTerms {
    /// Days a lease is valid offline.
    pub offline_days: u32,
    /// Hours after which an app that is online asks again.
    pub recheck_hours: u32,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self { offline_days: 14, recheck_hours: 24 }
    }
}
