//! Postmark's API for one mail (<https://postmarkapp.com/developer/api/email-api>).

use http::{HeaderName, HeaderValue};
use serde_json::json;

use super::{
    Outcome,
    answer::{Answer, Verdict},
};
use crate::mail::Wire;

pub(super) const BASE: &str = "https://api.postmarkapp.com";
pub(super) const PATH: &str = "/email";
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-postmark-server-token");
/// Mails that somebody waits for, as opposed to broadcasts.
const STREAM: &str = "outbound";
/// Has Postmark leave the Message-ID as it is, by which a second copy is known for one.
const KEEP_ID: (&str, &str) = ("X-PM-KeepID", "true");

pub(super) fn body(wire: &Wire) -> Vec<u8> {
    let headers: Vec<_> =
        wire.headers().chain([KEEP_ID]).map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
    let mut body = json!({
        "From": wire.from.to_string(),
        "To": wire.to.to_string(),
        "Subject": wire.subject,
        "TextBody": wire.text,
        "HtmlBody": wire.html,
        "MessageStream": STREAM,
        "Headers": headers,
    });
    if let Some(reply_to) = &wire.reply_to {
        body["ReplyTo"] = reply_to.to_string().into();
    }
    body.to_string().into_bytes()
}

pub(super) fn headers(token: HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
    vec![(http::header::ACCEPT, HeaderValue::from_static("application/json")), (TOKEN, token)]
}

/// Its codes: <https://postmarkapp.com/developer/api/overview#error-codes>.
pub(super) fn outcome(answer: &Answer) -> Outcome {
    let code = answer.body["ErrorCode"].as_i64().unwrap_or_default();
    let verdict = match code {
        0 => answer.by_status(),
        // The mail does not do; the recipient bounced or complained before.
        300 | 406 => Verdict::Refused,
        // They are at work; too many calls.
        100 | 429 => Verdict::Later,
        _ if answer.by_status() == Verdict::Later => Verdict::Later,
        _ => Verdict::Away,
    };
    match verdict {
        Verdict::Accepted => answer.outcome(verdict, &format!("accepted as {}", answer.text("MessageID"))),
        _ if code == 0 => answer.outcome(verdict, "without a reason"),
        _ => answer.outcome(verdict, &format!("code {code}: {}", answer.text("Message"))),
    }
}
