//! Version 2 of Amazon SES' API (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>).
//!
//! The message is sent as it is, so that it has our headers and, where a key is configured, our signature.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::sigv4::{self, Call, Caller};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Outcome,
    answer::{Answer, Verdict},
};
use crate::mail::Wire;

pub(super) const PATH: &str = "/v2/email/outbound-emails";
const SERVICE: &str = "ses";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const JSON: &str = "application/json";

pub(super) fn base(region: &str) -> String {
    format!("https://email.{region}.amazonaws.com")
}

/// Who calls: `service` is always the same.
pub(super) const fn caller<'a>(access_key: &'a str, secret_key: &'a str, region: &'a str) -> Caller<'a> {
    Caller { access_key, secret_key, region, service: SERVICE }
}

pub(super) fn body(wire: &Wire, message: &str) -> Vec<u8> {
    // Addresses alone: the names are in the message.
    let recipients: Vec<String> = wire.envelope.to().iter().map(ToString::to_string).collect();
    let body = json!({
        "Content": { "Raw": { "Data": STANDARD.encode(message) } },
        "Destination": { "ToAddresses": recipients },
    });
    body.to_string().into_bytes()
}

/// The headers with the signature over them.
pub(super) fn headers(
    caller: &Caller<'_>,
    host: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<Vec<(HeaderName, HeaderValue)>, http::header::InvalidHeaderValue> {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let headers = [("content-type", JSON), ("host", host), ("x-amz-date", date.as_str())];
    let call = Call { method: "POST", path: PATH, headers: &headers, body, date: &date };
    let authorization = sigv4::authorization(caller, &call);
    Ok(vec![(DATE, HeaderValue::from_str(&date)?), (header::AUTHORIZATION, HeaderValue::from_str(&authorization)?)])
}

pub(super) fn outcome(answer: &Answer) -> Outcome {
    // `MessageRejected:http://internal.amazon.com/…`, in the header or, with another name space, in the body.
    let word = answer.error_type.as_deref().unwrap_or_else(|| answer.text("__type"));
    let word = word.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let message = if answer.body["message"].is_string() { answer.text("message") } else { answer.text("Message") };
    let verdict = match word {
        // The same word is for senders that nobody has verified, and then it is not about this mail.
        "MessageRejected" if message.contains("not verified") => Verdict::Away,
        "MessageRejected" | "BadRequestException" => Verdict::Refused,
        "LimitExceededException" | "ThrottlingException" => Verdict::Later,
        _ => answer.by_status(),
    };
    match verdict {
        Verdict::Accepted => answer.outcome(verdict, &format!("accepted as {}", answer.text("MessageId"))),
        _ if word.is_empty() => answer.outcome(verdict, "without a reason"),
        _ => answer.outcome(verdict, &format!("{word}: {message}")),
    }
}
