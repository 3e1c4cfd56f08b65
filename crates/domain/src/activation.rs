//! What an app may do with a license: verdicts, slots, and how long a lease is good for.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    id::ActivationId,
    license::{LicenseState, Standing},
    plan::PlanTerms,
    reason::{Cause, Reason},
    time::{after, days},
};

/// The answer to "may this run?". Closed and append-only: API, SDKs, console, mails and metrics share this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictCode {
    /// It may.
    Valid,
    /// It may; a payment is overdue and something happens at `until`.
    PastDue,
    /// It may; the paid period is over and the renewal is still expected.
    RenewalAwaited,
    /// It may, until the announced end.
    Ending,
    /// No license has this key.
    NotFound,
    /// The key is for another product.
    ProductMismatch,
    /// The license is frozen.
    Frozen,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
    /// This device has not activated it.
    NotActivated,
    /// All its slots are taken.
    ActivationLimit,
    /// It was checked as often as its plan, or its vendor's account, allows in a month.
    ChecksExceeded,
}

impl VerdictCode {
    /// All codes, for documents and metrics.
    pub const ALL: [Self; 12] = [
        Self::Valid,
        Self::PastDue,
        Self::RenewalAwaited,
        Self::Ending,
        Self::NotFound,
        Self::ProductMismatch,
        Self::Frozen,
        Self::Expired,
        Self::Revoked,
        Self::NotActivated,
        Self::ActivationLimit,
        Self::ChecksExceeded,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::PastDue => "past_due",
            Self::RenewalAwaited => "renewal_awaited",
            Self::Ending => "ending",
            Self::NotFound => "not_found",
            Self::ProductMismatch => "product_mismatch",
            Self::Frozen => "frozen",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::NotActivated => "not_activated",
            Self::ActivationLimit => "activation_limit",
            Self::ChecksExceeded => "checks_exceeded",
        }
    }

    /// The code with this word; none: a newer release has written it.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// Whether the app may run.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid | Self::PastDue | Self::RenewalAwaited | Self::Ending)
    }
}

/// What an app is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub code: VerdictCode,
    /// A sentence for the person in front of the app, with the cause.
    pub message: String,
    /// Why the license is in its state; none where there is no license to speak of.
    pub reason: Option<&'static str>,
    /// Until when the answer holds by itself; none: no end is known.
    pub until: Option<Timestamp>,
}

impl Verdict {
    fn of(code: VerdictCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reason: None, until: None }
    }

    /// No license has this key.
    #[must_use]
    pub fn not_found() -> Self {
        Self::of(VerdictCode::NotFound, "There is no license with this key. Check it for typing errors.")
    }

    /// The key is another product's.
    #[must_use]
    pub fn product_mismatch() -> Self {
        Self::of(VerdictCode::ProductMismatch, "This license is for another product.")
    }

    fn not_activated() -> Self {
        Self::of(VerdictCode::NotActivated, "This license is not activated on this device.")
    }

    /// This month's checks are used up.
    #[must_use]
    pub fn checks_exceeded(checks: u32) -> Self {
        let message = format!("All {checks} checks of this license are used up for this month.");
        Self::of(VerdictCode::ChecksExceeded, message)
    }

    /// All checks of the vendor's account are used up (A35).
    #[must_use]
    pub fn account_checks_exceeded() -> Self {
        Self::of(VerdictCode::ChecksExceeded, "The checks of this vendor's account are used up for this month.")
    }

    fn activation_limit(slots: u32) -> Self {
        let message = format!("All {slots} activations of this license are in use. Deactivate another device first.");
        Self::of(VerdictCode::ActivationLimit, message)
    }
}

/// Judges a license as an app sees it, apart from any device. A scheduled change that is due has already happened; its
/// reason is known when it has been judged again.
#[must_use]
pub fn verdict(standing: &Standing, now: Timestamp) -> Verdict {
    let due = standing.scheduled.filter(|scheduled| scheduled.at <= now);
    let state = due.map_or(standing.state, |scheduled| scheduled.state);
    let scheduled = standing.scheduled.filter(|scheduled| scheduled.at > now);
    let (code, message) = match (state, &standing.reason) {
        (LicenseState::Active, Reason::Cause(Cause::PastDue { .. })) => {
            (VerdictCode::PastDue, "This license is valid. Its last payment is overdue.".to_owned())
        }
        (LicenseState::Active, Reason::RenewalAwaited) => {
            (VerdictCode::RenewalAwaited, "This license is valid. Its renewal is awaited.".to_owned())
        }
        (LicenseState::Active, _) if scheduled.is_some() => {
            (VerdictCode::Ending, "This license is valid and ends without renewal.".to_owned())
        }
        (LicenseState::Active, _) => (VerdictCode::Valid, "This license is valid.".to_owned()),
        (state, reason) => (refusal(state), refused(state, due.is_none().then_some(reason))),
    };
    let until = scheduled.map(|scheduled| scheduled.at).or(standing.until.filter(|until| *until > now));
    let reason = due.is_none().then(|| standing.reason.code());
    Verdict { code, message, reason, until: until.filter(|_| code.is_valid()) }
}

const fn refusal(state: LicenseState) -> VerdictCode {
    match state {
        LicenseState::Active => VerdictCode::Valid,
        LicenseState::Frozen => VerdictCode::Frozen,
        LicenseState::Expired => VerdictCode::Expired,
        LicenseState::Revoked => VerdictCode::Revoked,
    }
}

fn refused(state: LicenseState, reason: Option<&Reason>) -> String {
    let why = reason.map(|reason| format!(": {}", reason.sentence())).unwrap_or_default();
    match state {
        LicenseState::Expired => format!("This license has expired{why}."),
        state => format!("This license is {}{why}.", state.as_str()),
    }
}

/// The longest fingerprint or name of a device, in characters.
pub const DEVICE_CHARACTERS_MAX: usize = 255;

/// Why a text identifies no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// There is none.
    #[error("it is missing or empty; send what identifies the device")]
    Empty,
    /// It is longer than any.
    #[error("it has {0} characters; {DEVICE_CHARACTERS_MAX} is the most")]
    TooLong(usize),
    /// It is no text that a person could read.
    #[error("it has control characters; send plain text")]
    Control,
}

/// What identifies a device, as it is kept: without the blanks around it.
///
/// # Errors
/// It is empty, longer than [`DEVICE_CHARACTERS_MAX`], or has control characters.
pub fn fingerprint(text: &str) -> Result<String, FingerprintError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(FingerprintError::Empty),
        count if count > DEVICE_CHARACTERS_MAX => Err(FingerprintError::TooLong(count)),
        _ if text.chars().any(char::is_control) => Err(FingerprintError::Control),
        _ => Ok(text.to_owned()),
    }
}

/// A check: the license's verdict, and whether the device that asks has a slot.
#[must_use]
pub fn check(standing: &Standing, device: Option<bool>, now: Timestamp) -> Verdict {
    let verdict = verdict(standing, now);
    match device {
        Some(false) if verdict.code.is_valid() => Verdict::not_activated(),
        _ => verdict,
    }
}

/// What an app says of itself and of the device that it runs on. Nothing rests on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Software {
    /// Its own version, as its vendor names it.
    pub app_version: Option<String>,
    /// The operating system, as its users name it.
    pub os: Option<String>,
}

impl Software {
    /// The longest text of each, in characters.
    pub const CHARACTERS_MAX: usize = 64;

    /// Whether nothing is said.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.app_version.is_none() && self.os.is_none()
    }

    /// What of this is not known yet. What is not said stays as it is known.
    #[must_use]
    pub fn news(&self, app_version: Option<&str>, os: Option<&str>) -> Self {
        let news = |said: &Option<String>, known: Option<&str>| {
            said.as_ref().filter(|said| Some(said.as_str()) != known).cloned()
        };
        Self { app_version: news(&self.app_version, app_version), os: news(&self.os, os) }
    }

    /// Adds what another one says; where both say something, the other one counts.
    pub fn update(&mut self, other: Self) {
        self.app_version = other.app_version.or(self.app_version.take());
        self.os = other.os.or(self.os.take());
    }
}

/// What becomes of a device that asks for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It has one already: the same device is the same activation.
    Same(ActivationId),
    /// It gets a new one.
    New,
    /// It gets none.
    Denied(Verdict),
}

/// Gives a slot to a device, or says why not. `taken` are the slots in use, by fingerprint, and `slots` is how many
/// there may be; none: any number.
#[must_use]
pub fn activate(
    standing: &Standing,
    slots: Option<u32>,
    taken: &[(ActivationId, &str)],
    fingerprint: &str,
    now: Timestamp,
) -> Slot {
    let verdict = verdict(standing, now);
    if !verdict.code.is_valid() {
        return Slot::Denied(verdict);
    }
    if let Some((id, _)) = taken.iter().find(|(_, device)| *device == fingerprint) {
        return Slot::Same(*id);
    }
    match slots {
        Some(slots) if taken.len() >= slots as usize => Slot::Denied(Verdict::activation_limit(slots)),
        _ => Slot::New,
    }
}

/// How long a lease is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// The app must ask again by then.
    pub expires_at: Timestamp,
    /// An app that is online asks again then.
    pub recheck_at: Timestamp,
    /// The end of the term.
    pub license_until: Option<Timestamp>,
    /// The end of the term with its grace: no lease outlives it.
    pub grace_until: Option<Timestamp>,
}

impl LeaseTimes {
    /// The same times, told by a clock that is so far behind.
    #[must_use]
    pub fn earlier(self, by: SignedDuration) -> Self {
        let told = |at| after(at, -by);
        Self {
            expires_at: told(self.expires_at),
            recheck_at: told(self.recheck_at),
            license_until: self.license_until.map(told),
            grace_until: self.grace_until.map(told),
        }
    }
}

/// When a lease that is signed now ends: after its plan's offline days, and never after the license and its grace.
#[must_use]
pub fn lease_times(standing: &Standing, terms: &PlanTerms, now: Timestamp) -> LeaseTimes {
    let grace_until = match (standing.scheduled, standing.until) {
        (Some(scheduled), _) => Some(scheduled.at),
        (None, Some(until)) => Some(after(until, days(terms.policy.grace_days))),
        (None, None) => None,
    };
    let offline = after(now, days(terms.lease.offline_days));
    let expires_at = grace_until.map_or(offline, |end| end.min(offline));
    let recheck_at = after(now, SignedDuration::from_hours(terms.lease.recheck_hours.into()));
    LeaseTimes { expires_at, recheck_at: recheck_at.min(expires_at), license_until: standing.until, grace_until }
}
