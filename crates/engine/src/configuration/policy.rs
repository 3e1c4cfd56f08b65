//! The policy of a plan in a file: a preset, and what differs from it.

use std::collections::BTreeSet;

use domain::{
    policy::{Issuing, MailBy, Notice, OnCancellation, OnLoss, OnTrial, Policy},
    text::PlanCode,
};
use serde::{Deserialize, Deserializer, de::Error};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicySection {
    grace_days: Option<u32>,
    full_refund: Option<OnLoss>,
    partial_refund: Option<OnLoss>,
    dispute: Option<OnLoss>,
    downgrade_to: Option<PlanCode>,
    cancellation: Option<OnCancellation>,
    trial: Option<OnTrial>,
    issuing: Option<Issuing>,
    mail: Option<MailBy>,
    notices: Option<BTreeSet<Notice>>,
    expiring_notice_days: Option<u32>,
    #[serde(default, deserialize_with = "preset")]
    preset: Policy,
}

fn preset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    let name = String::deserialize(deserializer)?;
    Policy::preset(&name).ok_or_else(|| D::Error::unknown_variant(&name, &Policy::PRESETS))
}

impl PolicySection {
    pub(super) fn policy(&self) -> Policy {
        let base = &self.preset;
        Policy {
            grace_days: self.grace_days.unwrap_or(base.grace_days),
            full_refund: self.full_refund.unwrap_or(base.full_refund),
            partial_refund: self.partial_refund.unwrap_or(base.partial_refund),
            dispute: self.dispute.unwrap_or(base.dispute),
            downgrade_to: self.downgrade_to.clone().or_else(|| base.downgrade_to.clone()),
            cancellation: self.cancellation.unwrap_or(base.cancellation),
            trial: self.trial.unwrap_or(base.trial),
            issuing: self.issuing.unwrap_or(base.issuing),
            mail: self.mail.unwrap_or(base.mail),
            notices: self.notices.clone().unwrap_or_else(|| base.notices.clone()),
            expiring_notice_days: self.expiring_notice_days.unwrap_or(base.expiring_notice_days),
        }
    }
}
