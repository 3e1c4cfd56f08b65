//! Resend's API for one mail (<https://resend.com/docs/api-reference/emails/send-email>).

use http::{HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Verdict},
};
use crate::mail::Wire;

pub(super) const BASE: &str = "https://api.resend.com";
pub(super) const PATH: &str = "/emails";
/// Mails with the same one within a day are one mail.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) fn body(wire: &Wire) -> Vec<u8> {
    let headers: Map<String, Value> = wire.headers().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut body = json!({
        "from": wire.from.to_string(),
        "to": [wire.to.to_string()],
        "subject": wire.subject,
        "text": wire.text,
        "html": wire.html,
        "headers": headers,
    });
    if let Some(reply_to) = &wire.reply_to {
        body["reply_to"] = reply_to.to_string().into();
    }
    body.to_string().into_bytes()
}

pub(super) fn headers(bearer: HeaderValue, idempotency_key: HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
    vec![(header::AUTHORIZATION, bearer), (IDEMPOTENCY_KEY, idempotency_key)]
}

/// Its names of errors: <https://resend.com/docs/api-reference/errors>.
pub(super) fn outcome(answer: &Answer) -> Outcome {
    let (name, message) = (answer.text("name"), answer.text("message"));
    let verdict = match name {
        "missing_required_field" | "invalid_parameter" | "security_error" => Verdict::Refused,
        // The same name is for an unverified domain (403) and an unknown key (401, and 400 where it is malformed).
        "validation_error" if matches!(answer.status, 400 | 422) && !message.contains("API key") => Verdict::Refused,
        // Nothing goes out for the rest of the day or month, and a person can change that.
        "daily_quota_exceeded" | "monthly_quota_exceeded" => Verdict::Away,
        _ => answer.by_status(),
    };
    match verdict {
        Verdict::Accepted => answer.outcome(verdict, &format!("accepted as {}", answer.text("id"))),
        _ if name.is_empty() => answer.outcome(verdict, "without a reason"),
        _ => answer.outcome(verdict, &format!("{name}: {message}")),
    }
}
