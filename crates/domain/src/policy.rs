//! What happens to a license when money comes late, goes back or stops, and who decides: data on the plan.

use serde::{Deserialize, Serialize};

use crate::text::PlanCode;

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
}

impl Policy {
    /// Two weeks: Stripe's default schedule of retries is over by then.
    pub const GRACE_DAYS_DEFAULT: u32 = 14;

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
        }
    }
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
