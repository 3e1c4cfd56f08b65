//! What a service answered, and what it means.

use jiff::{SignedDuration, Timestamp};
use net::{Response, SendError, Stage};
use serde_json::Value;

use super::Outcome;
use crate::{smtp::one_line, wait};

/// What an answer means for a mail. The services' own words decide; only what is about this very mail is refused, since a
/// mail that is refused is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Later,
    Away,
    Refused,
}

/// An answer, as far as anybody reads it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Null where it is no JSON.
    pub(super) body: Value,
    /// Amazon's word for what went wrong is in a header.
    pub(super) error_type: Option<String>,
    retry_after: Option<SignedDuration>,
}

impl Answer {
    pub(super) fn read(response: &Response, now: Timestamp) -> Self {
        let header = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status: response.status,
            body: serde_json::from_slice(&response.body).unwrap_or_default(),
            error_type: header("x-amzn-errortype").map(str::to_owned),
            retry_after: header("retry-after").and_then(|text| wait::asked_for(text, now)),
        }
    }

    /// A text of the body, or nothing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// What the status means by itself.
    pub(super) const fn by_status(&self) -> Verdict {
        match self.status {
            200..=299 => Verdict::Accepted,
            408 | 409 | 425 | 429 | 500.. => Verdict::Later,
            _ => Verdict::Away,
        }
    }

    /// The outcome, with status, word and sentence on one line.
    pub(super) fn outcome(&self, verdict: Verdict, said: &str) -> Outcome {
        let response = one_line(&format!("{} {said}", self.status));
        match verdict {
            Verdict::Accepted => Outcome::Accepted { response },
            Verdict::Later => Outcome::Later { response, retry_after: self.retry_after },
            Verdict::Away => Outcome::Away { response },
            Verdict::Refused => Outcome::Refused { response },
        }
    }
}

/// What it means that there is no answer. A mail that may have arrived is sent again: two copies are better than none. That has
/// time, unless the service knows by the idempotency key that both are one (`knows_mails`).
pub(super) fn unanswered(error: &SendError, knows_mails: bool) -> Outcome {
    let response = one_line(&error.to_string());
    match error {
        SendError::Refused { .. }
        | SendError::Dns { .. }
        | SendError::Connect { .. }
        | SendError::Tls { .. }
        | SendError::Timeout { stage: Stage::Connect, .. } => Outcome::Away { response },
        _ if knows_mails => Outcome::Later { response, retry_after: None },
        SendError::Timeout { .. } | SendError::BodyTooLarge { .. } | SendError::Protocol { .. } => {
            Outcome::Unanswered { response }
        }
    }
}
