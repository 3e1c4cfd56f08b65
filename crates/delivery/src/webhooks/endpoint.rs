//! An address, opened: where calls go, what signs them, which headers go along.

use crypto::{
    ring::KeyRing,
    seal::Place,
    webhook::{EndpointSecrets, WebhookSecret},
};
use domain::{event::EventStyle, id::TenantId, retry::Schedule};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use store::rows::WebhookEndpoint;
use url::Url;

/// Headers that a person may not choose: ours.
const OURS: [&str; 6] =
    ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature", "x-keylight-signature"];

/// Why a header cannot go along.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderProblem {
    /// It is not the name of a header.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// We or the connection set it.
    #[error("the header `{0}` is set by the server; choose another name")]
    Reserved(String),
    /// Its value has characters that no header has, such as line breaks.
    #[error("the value of the header `{0}` has characters that no header has, such as a line break")]
    Value(String),
}

/// Reads a header that a person wants to go along.
///
/// # Errors
/// Why it cannot.
pub fn check_endpoint_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderProblem> {
    let read: HeaderName = name.parse().map_err(|_| HeaderProblem::Name(name.to_owned()))?;
    if OURS.contains(&read.as_str()) || net::check_header(&read).is_err() {
        return Err(HeaderProblem::Reserved(name.to_owned()));
    }
    let value = HeaderValue::from_str(value).map_err(|_| HeaderProblem::Value(name.to_owned()))?;
    Ok((read, value))
}

/// An address that calls can be made to.
pub(super) struct Endpoint {
    pub(super) row: WebhookEndpoint,
    pub(super) url: Url,
    pub(super) style: EventStyle,
    pub(super) schedule: Schedule,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    secrets: EndpointSecrets,
}

impl Endpoint {
    /// Opens it, or says why it cannot be called.
    pub(super) fn open(row: WebhookEndpoint, ring: &KeyRing) -> Result<Self, String> {
        let url = row.url.parse().map_err(|error| format!("its address does not read: {error}"))?;
        let place = Place::webhook_endpoint(TenantId(row.tenant_id), row.id);
        let opened = ring.open(place, &row.sealed).map_err(|error| error.to_string())?;
        let secrets: EndpointSecrets = serde_json::from_slice(&opened)
            .map_err(|_| "its secrets do not read; restore it from a backup".to_owned())?;
        let headers = secrets.headers.iter().map(|(name, value)| check_endpoint_header(name, value));
        let headers = headers.collect::<Result<_, _>>().map_err(|problem| problem.to_string())?;
        let word = |word: &str| serde_json::Value::String(word.to_owned());
        Ok(Self {
            style: serde_json::from_value(word(&row.style)).map_err(|_| format!("its style is `{}`", row.style))?,
            schedule: serde_json::from_value(word(&row.schedule)).unwrap_or_default(),
            url,
            headers,
            secrets,
            row,
        })
    }

    /// The secrets that sign at a moment.
    pub(super) fn secrets(&self, at: Timestamp) -> Vec<WebhookSecret> {
        self.secrets.live(at.as_microsecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_break_the_call_or_pretend_to_be_ours_are_refused() {
        assert!(check_endpoint_header("X-Tenant", "acme").is_ok());
        assert!(check_endpoint_header("Authorization", "Bearer 1").is_ok());
        for (name, value, problem) in [
            ("X-A\r\nB", "1", HeaderProblem::Name("X-A\r\nB".to_owned())),
            ("", "1", HeaderProblem::Name(String::new())),
            ("X-A", "1\r\nX-B: 2", HeaderProblem::Value("X-A".to_owned())),
            ("Host", "elsewhere", HeaderProblem::Reserved("Host".to_owned())),
            ("Transfer-Encoding", "chunked", HeaderProblem::Reserved("Transfer-Encoding".to_owned())),
            ("Webhook-Signature", "v1,x", HeaderProblem::Reserved("Webhook-Signature".to_owned())),
        ] {
            assert_eq!(check_endpoint_header(name, value), Err(problem), "{name}");
        }
    }
}
