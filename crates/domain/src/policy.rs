//! What happens to a license when money comes late, goes back or stops, and who decides: data on the plan.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    text::PlanCode,
    time::{after, days},
};

/// What happens to a license when money comes late, goes back or stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Days a license stays valid after its paid end while a renewal is still expected. It lasts longer where the
    /// provider says that it tries again to collect (E34).
    pub grace_days: u32,
    /// A payment went back in full, or a dispute about it was lost (X01).
    pub full_refund: OnLoss,
    /// A part of a payment went back (X02).
    pub partial_refund: OnLoss,
    /// A payment is disputed and open.
    pub dispute: OnLoss,
    /// The plan that a downgrade leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade_to: Option<PlanCode>,
    /// A subscription was ended, or its end is announced (X03).
    pub cancellation: OnCancellation,
    /// What a trial gives.
    pub trial: OnTrial,
    /// Whether a sale has its licenses at once (B29).
    pub issuing: Issuing,
    /// Who sends the key to the buyer (X04).
    pub mail: MailBy,
    /// What else the buyer is written, where we send the mails.
    pub notices: BTreeSet<Notice>,
    /// Days before its end at which a license that nothing renews is told to expire; zero: it is not told.
    pub expiring_notice_days: u32,
}

impl Policy {
    /// Two weeks: Stripe's default schedule of retries is over by then.
    pub const GRACE_DAYS_DEFAULT: u32 = 14;

    /// A week is enough to decide, and short enough to be remembered.
    pub const EXPIRING_NOTICE_DAYS_DEFAULT: u32 = 7;

    /// What each of the documents that Keywright serves says, by its name. All else is as by default.
    pub const PRESETS: [&str; 5] =
        ["traffic-orchestrator-stripe", "traffic-orchestrator-paddle", "keystack", "cryptlex", "keylight"];

    /// A policy by the name of its document; none: there is no such document.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let default = Self::default();
        Some(match name {
            "traffic-orchestrator-stripe" => Self {
                partial_refund: OnLoss::Downgrade,
                cancellation: OnCancellation::RevokeAtOnce,
                mail: MailBy::Vendor,
                ..default
            },
            "traffic-orchestrator-paddle" => Self { cancellation: OnCancellation::RevokeAtPeriodEnd, ..default },
            "keystack" => Self { full_refund: OnLoss::Freeze, ..default },
            "cryptlex" => default,
            "keylight" => Self { mail: MailBy::Vendor, ..default },
            _ => return None,
        })
    }

    /// When a license that ends then is told to expire; none: it is not told.
    #[must_use]
    pub fn expiring_notice_at(&self, end: Timestamp) -> Option<Timestamp> {
        (self.expiring_notice_days > 0).then(|| after(end, -days(self.expiring_notice_days)))
    }

    /// Whether something that may happen leads to another plan.
    #[must_use]
    pub fn downgrades(&self) -> bool {
        [self.full_refund, self.partial_refund, self.dispute].contains(&OnLoss::Downgrade)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            grace_days: Self::GRACE_DAYS_DEFAULT,
            full_refund: OnLoss::Revoke,
            partial_refund: OnLoss::Keep,
            dispute: OnLoss::Freeze,
            downgrade_to: None,
            cancellation: OnCancellation::default(),
            trial: OnTrial::default(),
            issuing: Issuing::default(),
            mail: MailBy::default(),
            // Not the renewal: who pays every month has a receipt of it from the provider.
            notices: [Notice::Expiring, Notice::PaymentProblem, Notice::Frozen, Notice::Revoked].into(),
            expiring_notice_days: Self::EXPIRING_NOTICE_DAYS_DEFAULT,
        }
    }
}

/// What a buyer is written about a license that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
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

/// What follows while money is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// Nothing.
    Keep,
    /// The license freezes.
    Freeze,
    /// It goes on as a smaller plan.
    Downgrade,
    /// What was paid with it no longer counts; if nothing else was paid, the license is revoked.
    Revoke,
}

/// When a cancelled subscription's license ends, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCancellation {
    /// It expires at the end of what was paid.
    #[default]
    ExpireAtPeriodEnd,
    /// It is revoked at the end of what was paid.
    RevokeAtPeriodEnd,
    /// It expires when the subscription ends, even inside a paid period.
    ExpireAtOnce,
    /// It is revoked when the subscription ends, even inside a paid period.
    RevokeAtOnce,
}

impl OnCancellation {
    pub(crate) const fn is_at_once(self) -> bool {
        matches!(self, Self::ExpireAtOnce | Self::RevokeAtOnce)
    }

    pub(crate) const fn revokes(self) -> bool {
        matches!(self, Self::RevokeAtPeriodEnd | Self::RevokeAtOnce)
    }
}

/// What a trial gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTrial {
    /// A license, until the trial ends.
    #[default]
    License,
    /// Nothing, until the first period after it is paid.
    Wait,
}

/// Whether a sale has its licenses at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issuing {
    /// As soon as it is paid.
    #[default]
    Automatic,
    /// When a person has approved it.
    AfterApproval,
}

/// Who sends the key to the buyer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailBy {
    /// We do, as soon as it is issued.
    #[default]
    Us,
    /// The vendor does: we write no mail.
    Vendor,
}
