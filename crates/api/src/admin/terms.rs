//! What a plan says, as documents: what a license allows, for how long, and what happens when the money changes.

use std::collections::BTreeSet;

use domain::plan::{LeaseTerms, Limits, OnCancellation, OnLoss, PlanTerms, Policy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// What a loss that is not final does.
    OnLossWord as OnLoss of OnLoss {
        /// Nothing.
        Keep,
        /// The license freezes while it lasts.
        Freeze,
    }
}

words! {
    /// When a cancelled subscription's license ends.
    OnCancellationWord as OnCancellation of OnCancellation {
        /// At the end of what was paid.
        PaidEnd,
        /// When the subscription ends, even inside a paid period.
        AtOnce,
    }
}

/// What a license allows.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Limits)]
pub(super) struct LimitsDocument {
    /// Devices, domains or instances at the same time; null: any number. Three unless said otherwise.
    activations: Option<u32>,
    /// Feature names that the app understands.
    features: BTreeSet<String>,
}

/// What happens to a license when money comes late, goes back or stops.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Policy)]
pub(super) struct PolicyDocument {
    /// Days a license stays valid after its paid end while a renewal is still expected.
    grace_days: u32,
    /// A part of a payment went back.
    partial_refund: OnLossWord,
    /// A payment is disputed and open.
    dispute: OnLossWord,
    /// A subscription was ended before its paid period was over.
    cancellation: OnCancellationWord,
}

/// How long an app may trust a lease without asking again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = LeaseTerms)]
pub(super) struct LeaseDocument {
    /// Days a lease is valid offline.
    offline_days: u32,
    /// Hours after which an app that is online asks again.
    recheck_hours: u32,
}

/// What a plan says.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = PlanTerms)]
pub(super) struct TermsDocument {
    pub(super) limits: LimitsDocument,
    /// Days a license lasts when the sale itself has no period; none: for good.
    pub(super) duration_days: Option<u32>,
    pub(super) policy: PolicyDocument,
    pub(super) lease: LeaseDocument,
}

impl Default for LimitsDocument {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl Default for PolicyDocument {
    fn default() -> Self {
        Policy::default().into()
    }
}

impl Default for LeaseDocument {
    fn default() -> Self {
        LeaseTerms::default().into()
    }
}

impl From<Limits> for LimitsDocument {
    fn from(limits: Limits) -> Self {
        let Limits { activations, features } = limits;
        Self { activations, features }
    }
}

impl From<Policy> for PolicyDocument {
    fn from(policy: Policy) -> Self {
        Self {
            grace_days: policy.grace_days,
            partial_refund: policy.partial_refund.into(),
            dispute: policy.dispute.into(),
            cancellation: policy.cancellation.into(),
        }
    }
}

impl From<LeaseTerms> for LeaseDocument {
    fn from(lease: LeaseTerms) -> Self {
        let LeaseTerms { offline_days, recheck_hours } = lease;
        Self { offline_days, recheck_hours }
    }
}

impl From<PlanTerms> for TermsDocument {
    fn from(terms: PlanTerms) -> Self {
        let PlanTerms { limits, duration_days, policy, lease } = terms;
        Self { limits: limits.into(), duration_days, policy: policy.into(), lease: lease.into() }
    }
}

impl From<TermsDocument> for PlanTerms {
    fn from(document: TermsDocument) -> Self {
        let TermsDocument { limits, duration_days, policy, lease } = document;
        Self {
            limits: Limits { activations: limits.activations, features: limits.features },
            duration_days,
            policy: Policy {
                grace_days: policy.grace_days,
                partial_refund: policy.partial_refund.into(),
                dispute: policy.dispute.into(),
                cancellation: policy.cancellation.into(),
            },
            lease: LeaseTerms { offline_days: lease.offline_days, recheck_hours: lease.recheck_hours },
        }
    }
}
