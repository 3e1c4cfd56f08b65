//! One call: put together, signed, made.

use std::sync::Arc;

use crypto::webhook::{self, WebhookSecret};
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
use url::Url;

use super::endpoint::Endpoint;
use crate::wait;

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
    /// Whether the call before it at that address failed.
    pub(super) was_failing: bool,
    /// Until when the address is left alone because of it.
    pub(super) rests_until: Option<Timestamp>,
}

impl Landed {
    pub(super) const fn new(
        delivery: Delivery,
        endpoint: Arc<Endpoint>,
        (began_at, ended_at): (Timestamp, Timestamp),
        ending: Ending,
    ) -> Self {
        Self { delivery, endpoint, began_at, ended_at, ending, was_failing: false, rests_until: None }
    }
}

impl Post {
    /// Makes the call, to an address as it is now.
    pub(super) async fn run(self, endpoint: Arc<Endpoint>, client: Client, clock: Arc<dyn Clock>) -> Landed {
        let began_at = clock.now();
        let Self { delivery, told } = self;
        let ending = match told.and_then(|(event, key)| Ok((request(&endpoint, &event, key.as_ref(), began_at)?, key)))
        {
            Err(problem) => Ending::Unwritten(problem),
            Ok((request, key)) => match client.send(request).await {
                Ok(response) => Ending::Answered(answer(&response, key.as_ref(), clock.now())),
                Err(error) => Ending::Unanswered(error.to_string()),
            },
        };
        Landed::new(delivery, endpoint, (began_at, clock.now()), ending)
    }
}

/// The call as it goes to an endpoint.
fn request(endpoint: &Endpoint, event: &Event, key: Option<&Key>, at: Timestamp) -> Result<Request, String> {
    let key = key.map(|key| key.text.expose_secret());
    let mut request = signed_request(&endpoint.url, endpoint.style, &endpoint.secrets(at), (event, key), at)?;
    request.headers.extend(endpoint.headers.iter().cloned());
    Ok(request)
}

/// The call that tells an event: Standard Webhooks' three headers in every style, so that any receiver can tell what came
/// twice. `told` is the event with the license key that it gives away.
///
/// # Errors
/// The event does not read, or is of a kind that this release does not know.
pub fn signed_request(
    url: &Url,
    style: EventStyle,
    secrets: &[WebhookSecret],
    told: (&Event, Option<&str>),
    at: Timestamp,
) -> Result<Request, String> {
    let (event, key) = told;
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
    let body = envelope.body(style, key).map_err(|error| format!("the event does not read: {error}"))?;
    let seconds = at.as_second();
    let mut headers = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ID, value(&id.to_string())?),
        (TIMESTAMP, HeaderValue::from(seconds)),
        (SIGNATURE, value(&webhook::standard(secrets, &id.to_string(), seconds, body.as_bytes()))?),
    ];
    if style == EventStyle::Keylight {
        headers.push((KEYLIGHT_SIGNATURE, value(&webhook::keylight(secrets, seconds, body.as_bytes()))?));
    }
    Ok(Request { method: Method::POST, url: url.clone(), headers, body: body.into() })
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("`{text}` fits into no header"))
}

fn answer(response: &Response, key: Option<&Key>, now: Timestamp) -> Answer {
    let masked = |text: String, is_cut| match key {
        Some(key) => crypto::key::hide(&text, key.text.expose_secret(), &key.hint, is_cut),
        None => text,
    };
    Answer {
        status: response.status,
        headers: masked(shown(&response.headers), false),
        // A database takes no NUL.
        body: masked(String::from_utf8_lossy(&response.body).replace('\0', "\u{fffd}"), response.truncated),
        truncated: response.truncated,
        retry_after: wait::retry_after(&response.headers, now),
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
