//! Plans: what a license allows, for how long, and what happens when the money changes its mind.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    id::{PlanId, ProductId},
    money::Money,
    policy::Policy,
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
    /// What it costs, where this server has the price made at the provider (D06). None: prices are made there by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PlanPrice>,
}

/// What a plan costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPrice {
    /// How much.
    pub money: Money,
    /// How often; none: once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Interval>,
}

impl PlanPrice {
    /// The largest amount that providers charge at once, in the smallest unit.
    pub const MINOR_MAX: i64 = 99_999_999;
}

/// How often a subscription is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every day.
    Day,
    /// Every week.
    Week,
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl Interval {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// What a license allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Devices, domains or instances at the same time; none: any number.
    pub activations: Option<u32>,
    /// Checks in one calendar month (UTC); none: any number (A18).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks_per_month: Option<u32>,
    /// Feature names that the app understands.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
}

impl Limits {
    /// Activations of a license whose plan allows a number and whose unit was bought without one.
    pub const ACTIVATIONS_DEFAULT: u32 = 3;

    /// The limits of one key that stands for several seats.
    fn times(&self, seats: u32) -> Self {
        let times = |count: Option<u32>| count.map(|count| count.saturating_mul(seats));
        Self {
            activations: times(self.activations),
            checks_per_month: times(self.checks_per_month),
            features: self.features.clone(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { activations: Some(Self::ACTIVATIONS_DEFAULT), checks_per_month: None, features: BTreeSet::new() }
    }
}

/// How the limits of one license differ from what its plan says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adjustment {
    /// What a person set for this license; it counts instead of the plan's limits and the seats (E18).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<Limits>,
    /// What add-ons of the same sale add.
    #[serde(skip_serializing_if = "AddOn::is_nothing")]
    pub added: AddOn,
}

impl Adjustment {
    /// The limits of a license of a plan with these, bought for so many seats.
    #[must_use]
    pub fn limits(&self, plan: &Limits, seats: u32) -> Limits {
        let mut limits = self.instead.clone().unwrap_or_else(|| plan.times(seats));
        limits.activations = limits.activations.map(|count| count.saturating_add(self.added.activations));
        limits.features.extend(self.added.features.iter().cloned());
        limits
    }
}

/// What is bought on top of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddOn {
    /// So many activations more, for each one bought.
    #[serde(skip_serializing_if = "is_zero")]
    pub activations: u32,
    /// Features that come with it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
}

impl AddOn {
    /// Whether it adds nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Takes another one on top, so many times.
    pub(crate) fn add(&mut self, other: &Self, times: u32) {
        self.activations = self.activations.saturating_add(other.activations.saturating_mul(times));
        self.features.extend(other.features.iter().cloned());
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
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
