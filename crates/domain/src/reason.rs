//! Why a license is in the state it is in. Every sentence on a page, in a mail and in an answer comes from here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    money::{Currency, Money},
    text::Reference,
};

/// What speaks against a license. Its content is its identity: lifting one excuses exactly what was seen, and a new
/// amount, state or episode is a new cause. Later kinds weigh more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The subscription ended.
    Ended {
        /// Which one.
        subscription: Reference,
        /// When.
        #[serde(with = "crate::time::micros")]
        at: Timestamp,
    },
    /// The subscription is paused.
    Paused {
        /// Which one.
        subscription: Reference,
        /// The end of what was paid, which tells one pause from the next.
        #[serde(with = "crate::time::micros")]
        paid_until: Timestamp,
    },
    /// A renewal was not paid in time.
    PastDue {
        /// Of which subscription.
        subscription: Reference,
        /// The end of what was paid.
        #[serde(with = "crate::time::micros")]
        paid_until: Timestamp,
    },
    /// Money went back.
    Refunded {
        /// Of which payment.
        payment: Reference,
        /// How much in all.
        amount: Money,
        /// Whether nothing is left of it.
        full: bool,
    },
    /// The buyer's bank questions a payment.
    Disputed {
        /// Which dispute.
        dispute: Reference,
        /// Whether the money is gone for good.
        lost: bool,
    },
}

/// Why a license is in its state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is paid for.
    Paid,
    /// The paid period is over and its renewal is still expected.
    RenewalAwaited,
    /// The paid period and its grace are over.
    NotRenewed,
    /// The time that was bought is over.
    TermOver,
    /// A person revoked it.
    RevokedByHand,
    /// A person froze it.
    FrozenByHand,
    /// The order holds fewer of them now.
    Removed,
    /// Two sales were found to be one; another license stands for this one.
    Superseded,
    /// Something happened to the money.
    Cause(Cause),
}

impl Reason {
    /// The word for this reason in the API, metrics and templates. Append-only.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::RenewalAwaited => "renewal_awaited",
            Self::NotRenewed => "not_renewed",
            Self::TermOver => "term_over",
            Self::RevokedByHand => "revoked_by_hand",
            Self::FrozenByHand => "frozen_by_hand",
            Self::Removed => "removed",
            Self::Superseded => "superseded",
            Self::Cause(Cause::Ended { .. }) => "subscription_ended",
            Self::Cause(Cause::Paused { .. }) => "subscription_paused",
            Self::Cause(Cause::PastDue { .. }) => "payment_past_due",
            Self::Cause(Cause::Refunded { full: true, .. }) => "refunded_in_full",
            Self::Cause(Cause::Refunded { full: false, .. }) => "refunded_in_part",
            Self::Cause(Cause::Disputed { lost: true, .. }) => "dispute_lost",
            Self::Cause(Cause::Disputed { lost: false, .. }) => "dispute_open",
        }
    }

    /// The end of the sentence "This license is ... because ...", with the reference a person would look up.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Paid => "it is paid for".into(),
            Self::RenewalAwaited => "its paid period is over and the renewal is still expected".into(),
            Self::NotRenewed => "its paid period ended and was not renewed".into(),
            Self::TermOver => "the time that was bought is over".into(),
            Self::RevokedByHand => "it was revoked by hand".into(),
            Self::FrozenByHand => "it was frozen by hand".into(),
            Self::Removed => "the order now holds fewer licenses".into(),
            Self::Superseded => "another license of the same order stands for it".into(),
            Self::Cause(cause) => cause.sentence(),
        }
    }
}

impl Cause {
    fn sentence(&self) -> String {
        match self {
            Self::Ended { subscription, at } => format!("subscription {subscription} ended on {}", day(*at)),
            Self::Paused { subscription, .. } => format!("subscription {subscription} is paused"),
            Self::PastDue { subscription, paid_until } => {
                format!("subscription {subscription} is paid until {} and its renewal is overdue", day(*paid_until))
            }
            // A marketplace need not tell amounts.
            Self::Refunded { payment, amount: Money { currency: Currency::NONE, .. }, full: true } => {
                format!("payment {payment} was refunded in full")
            }
            Self::Refunded { payment, amount, full: true } => {
                format!("payment {payment} was refunded in full ({amount})")
            }
            Self::Refunded { payment, amount, full: false } => {
                format!("payment {payment} was refunded in part ({amount})")
            }
            Self::Disputed { dispute, lost: true } => format!("dispute {dispute} was lost"),
            Self::Disputed { dispute, lost: false } => format!("dispute {dispute} is open"),
        }
    }
}

/// A day as people in every country read it: 2026-11-21.
#[must_use]
pub fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
