//! One call: put together, signed, made.

use std::sync::Arc;

use crypto::webhook;
use domain::{
    ambient::Clock,
    event::{Envelope, EventKind, EventStyle},
    id::{EventId, TenantId},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use net::{Client, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use store::rows::{Delivery, Event};

use super::endpoint::Endpoint;

/// The most of an answer's headers that is kept, in bytes.
const HEADERS_BYTES_MAX: usize = 4 * 1024;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const KEYLIGHT_SIGNATURE: HeaderName = HeaderName::from_static("x-keylight-signature");

/// The key of the license that an event is about.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) text: SecretString,
    /// What may be shown of it.
    pub(super) hint: String,
}

/// A call to be made.
pub(super) struct Post {
    pub(super) delivery: Delivery,
    pub(super) endpoint: Arc<Endpoint>,
    /// What is told; or why it cannot be.
    pub(super) told: Result<(Event, Option<Key>), String>,
}

/// What a receiver answered, with keys masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
    pub(super) truncated: bool,
    /// How long it asks us to wait.
    pub(super) retry_after: Option<SignedDuration>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Somebody answered.
    Answered(Answer),
    /// Nobody did.
    Unanswered(String),
    /// There was nothing to send.
    Unwritten(String),
}

/// A call that was made.
pub(super) struct Landed {
    pub(super) delivery: Delivery,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) began_at: Timestamp,
    pub(super) ended_at: Timestamp,
    pub(super) ending: Ending,
}

impl Post {
    /// Makes the call.
    pub(super) async fn run(self, client: Client, clock: Arc<dyn Clock>) -> Landed {
        let began_at = clock.now();
        let Self { delivery, endpoint, told } = self;
        let ending = match told.and_then(|(event, key)| Ok((request(&endpoint, &event, key.as_ref(), began_at)?, key)))
        {
            Err(problem) => Ending::Unwritten(problem),
            Ok((request, key)) => match client.send(request).await {
                Ok(response) => Ending::Answered(answer(&response, key.as_ref(), clock.now())),
                Err(error) => Ending::Unanswered(error.to_string()),
            },
        };
        Landed { delivery, endpoint, began_at, ended_at: clock.now(), ending }
    }
}

/// The call as it goes out: Standard Webhooks' three headers in every style, so that any receiver can tell what came twice.
fn request(endpoint: &Endpoint, event: &Event, key: Option<&Key>, at: Timestamp) -> Result<Request, String> {
    let kind: EventKind = event.kind.parse().map_err(|_| format!("this release tells no `{}`", event.kind))?;
    let key = key.filter(|_| kind == EventKind::LicenseCreated);
    let id = EventId(event.id);
    let envelope = Envelope {
        id,
        kind,
        occurred_at: Timestamp::from_microsecond(event.occurred_at).unwrap_or(Timestamp::UNIX_EPOCH),
        livemode: event.livemode,
        tenant: TenantId(event.tenant_id),
        data: &event.body,
    };
    let body = envelope
        .body(endpoint.style, key.map(|key| key.text.expose_secret()))
        .map_err(|error| format!("the event does not read: {error}"))?;
    let (secrets, seconds) = (endpoint.secrets(at), at.as_second());
    let mut headers = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ID, value(&id.to_string())?),
        (TIMESTAMP, HeaderValue::from(seconds)),
        (SIGNATURE, value(&webhook::standard(&secrets, &id.to_string(), seconds, body.as_bytes()))?),
    ];
    if endpoint.style == EventStyle::Keylight {
        headers.push((KEYLIGHT_SIGNATURE, value(&webhook::keylight(&secrets, seconds, body.as_bytes()))?));
    }
    headers.extend(endpoint.headers.iter().cloned());
    Ok(Request { method: Method::POST, url: endpoint.url.clone(), headers, body: body.into() })
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("`{text}` fits into no header"))
}

fn answer(response: &Response, key: Option<&Key>, now: Timestamp) -> Answer {
    let masked = |text: String| match key {
        Some(key) => text.replace(key.text.expose_secret(), &key.hint),
        None => text,
    };
    Answer {
        status: response.status,
        headers: masked(shown(&response.headers)),
        // A database takes no NUL.
        body: masked(String::from_utf8_lossy(&response.body).replace('\0', "\u{fffd}")),
        truncated: response.truncated,
        retry_after: retry_after(&response.headers, now),
    }
}

/// The headers as lines, as many as fit.
fn shown(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let line = format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        if text.len() + line.len() > HEADERS_BYTES_MAX {
            break;
        }
        text.push_str(&line);
    }
    text
}

/// How long an answer asks us to wait.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    headers.get(header::RETRY_AFTER).and_then(|value| wait(value.to_str().ok()?, now))
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3).
fn wait(text: &str, now: Timestamp) -> Option<SignedDuration> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(date.duration_since(now)).filter(|wait| wait.is_positive())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_time_in_seconds_or_by_a_date() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(wait("120", now), Some(SignedDuration::from_secs(120)));
        assert_eq!(wait("Mon, 21 Sep 2026 14:14:20 GMT", now), Some(SignedDuration::from_secs(60)));
        for nothing in ["", "soon", "-5", "Mon, 21 Sep 2026 14:00:00 GMT"] {
            assert_eq!(wait(nothing, now), None, "{nothing}");
        }
    }
}
