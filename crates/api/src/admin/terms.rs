//! What a plan says, as documents: what a license allows, for how long, and what happens when the money changes.

use std::collections::BTreeSet;

use domain::{
    money::{Currency, Money},
    plan::{Interval, LeaseTerms, Limits, PlanPrice, PlanTerms},
    policy::{Issuing, MailBy, Notice, OnCancellation, OnLoss, OnTrial, Policy},
    text::PlanCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// What follows while money is gone.
    OnLossWord as OnLoss of OnLoss {
        /// Nothing.
        Keep,
        /// The license freezes.
        Freeze,
        /// It goes on as the plan `downgrade_to`.
        Downgrade,
        /// What was paid with it no longer counts; if nothing else was paid, the license is revoked.
        Revoke,
    }
}

words! {
    /// When a cancelled subscription's license ends, and how.
    OnCancellationWord as OnCancellation of OnCancellation {
        /// It expires at the end of what was paid.
        ExpireAtPeriodEnd,
        /// It is revoked at the end of what was paid.
        RevokeAtPeriodEnd,
        /// It expires when the subscription ends, even inside a paid period.
        ExpireAtOnce,
        /// It is revoked when the subscription ends, even inside a paid period.
        RevokeAtOnce,
    }
}

words! {
    /// What a trial gives.
    OnTrialWord as OnTrial of OnTrial {
        /// A license, until the trial ends.
        License,
        /// Nothing, until the first period after it is paid.
        Wait,
    }
}

words! {
    /// Whether a sale has its licenses at once.
    IssuingWord as Issuing of Issuing {
        /// As soon as it is paid.
        Automatic,
        /// When a person has approved it.
        AfterApproval,
    }
}

words! {
    /// Who sends the key to the buyer.
    MailByWord as MailBy of MailBy {
        /// We do, as soon as it is issued.
        Us,
        /// The vendor does.
        Vendor,
    }
}

words! {
    /// What a buyer is written about a license that they have.
    NoticeWord as Notice of Notice {
        /// Its term ends later than before.
        Renewed,
        /// It ends soon, and nothing will renew it.
        Expiring,
        /// A payment is overdue, and until when it works all the same.
        PaymentProblem,
        /// It does not work for now, and why.
        Frozen,
        /// It was taken back, and why.
        Revoked,
    }
}

/// What a license allows.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Limits)]
pub(super) struct LimitsDocument {
    /// Devices, domains or instances at the same time; null: any number. Three unless said otherwise.
    activations: Option<u32>,
    /// Checks in one calendar month (UTC); null: any number.
    checks_per_month: Option<u32>,
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
    /// A payment went back in full, or a dispute about it was lost.
    full_refund: OnLossWord,
    /// A part of a payment went back.
    partial_refund: OnLossWord,
    /// A payment is disputed and open.
    dispute: OnLossWord,
    /// The code of the plan that a downgrade leads to; only where something downgrades.
    downgrade_to: Option<String>,
    /// A subscription was ended, or its end is announced.
    cancellation: OnCancellationWord,
    /// What a trial gives.
    trial: OnTrialWord,
    /// Whether a sale has its licenses at once.
    issuing: IssuingWord,
    /// Who sends the key to the buyer.
    mail: MailByWord,
    /// What else the buyer is written, where we send the mails.
    notices: Vec<NoticeWord>,
    /// Days before its end at which a license that nothing renews is told to expire; zero: it is not told.
    expiring_notice_days: u32,
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

words! {
    /// How often a subscription is paid.
    IntervalWord as Interval of Interval {
        /// Every day.
        Day,
        /// Every week.
        Week,
        /// Every month.
        Month,
        /// Every year.
        Year,
    }
}

/// What a plan costs. It is made at Stripe; another one takes its place and it is archived.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanPrice)]
pub(super) struct PriceDocument {
    /// In the smallest unit of the currency.
    #[schema(minimum = 1, maximum = 99_999_999, example = 4900)]
    amount: i64,
    /// Three letters (ISO 4217).
    #[schema(example = "EUR")]
    currency: String,
    /// How often it is paid; none: once.
    #[serde(default)]
    interval: Option<IntervalWord>,
}

impl From<PlanPrice> for PriceDocument {
    fn from(price: PlanPrice) -> Self {
        let PlanPrice { money, every } = price;
        Self {
            amount: money.minor,
            currency: money.currency.code().to_owned(),
            interval: every.map(IntervalWord::from),
        }
    }
}

impl From<PriceDocument> for PlanPrice {
    fn from(document: PriceDocument) -> Self {
        let money = Money::new(document.amount, Currency::parse(&document.currency));
        Self { money, every: document.interval.map(Interval::from) }
    }
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
    /// What it costs, where this server has the price made at Stripe; none: prices are made there by hand.
    pub(super) price: Option<PriceDocument>,
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
        let Limits { activations, checks_per_month, features } = limits;
        Self { activations, checks_per_month, features }
    }
}

impl From<LimitsDocument> for Limits {
    fn from(document: LimitsDocument) -> Self {
        let LimitsDocument { activations, checks_per_month, features } = document;
        Self { activations, checks_per_month, features }
    }
}

impl From<Policy> for PolicyDocument {
    fn from(policy: Policy) -> Self {
        Self {
            grace_days: policy.grace_days,
            full_refund: policy.full_refund.into(),
            partial_refund: policy.partial_refund.into(),
            dispute: policy.dispute.into(),
            downgrade_to: policy.downgrade_to.map(|code| code.to_string()),
            cancellation: policy.cancellation.into(),
            trial: policy.trial.into(),
            issuing: policy.issuing.into(),
            mail: policy.mail.into(),
            notices: policy.notices.into_iter().map(NoticeWord::from).collect(),
            expiring_notice_days: policy.expiring_notice_days,
        }
    }
}

impl From<PolicyDocument> for Policy {
    fn from(document: PolicyDocument) -> Self {
        Self {
            grace_days: document.grace_days,
            full_refund: document.full_refund.into(),
            partial_refund: document.partial_refund.into(),
            dispute: document.dispute.into(),
            downgrade_to: document.downgrade_to.map(PlanCode::new),
            cancellation: document.cancellation.into(),
            trial: document.trial.into(),
            issuing: document.issuing.into(),
            mail: document.mail.into(),
            notices: document.notices.into_iter().map(Notice::from).collect(),
            expiring_notice_days: document.expiring_notice_days,
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
        let PlanTerms { limits, duration_days, policy, lease, price } = terms;
        let (limits, policy, lease) = (limits.into(), policy.into(), lease.into());
        Self { limits, duration_days, policy, lease, price: price.map(PriceDocument::from) }
    }
}

impl From<TermsDocument> for PlanTerms {
    fn from(document: TermsDocument) -> Self {
        let TermsDocument { limits, duration_days, policy, lease, price } = document;
        Self {
            limits: limits.into(),
            duration_days,
            policy: policy.into(),
            lease: LeaseTerms { offline_days: lease.offline_days, recheck_hours: lease.recheck_hours },
            price: price.map(PlanPrice::from),
        }
    }
}
