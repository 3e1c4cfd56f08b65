//! Requests and answers as data.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::reach::Refusal;

/// A request to send.
///
/// `Debug` shows the host, the names of the headers and the size of the body, and nothing that could be secret.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to; a fragment is ignored.
    pub url: Url,
    /// Headers in this order; names may repeat. `host`, `content-length` and others of the connection are set by
    /// the client ([`check_header`]); `user-agent` and `accept` are set if they are missing.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for none.
    pub body: Bytes,
}

/// An answer, whatever its status: redirects and errors of the other side are answers too.
///
/// `Debug` shows the names of the headers and the size of the body.
#[derive(Clone)]
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body as it came (compressed if the request asked for that), or its beginning.
    pub body: Bytes,
    /// Whether the limit was reached, so that there may be more than `body` ([`Overflow`](crate::Overflow)).
    pub truncated: bool,
    /// The address that was dialled, where the system told it.
    pub peer: Option<SocketAddr>,
}

/// Whether a header may be set by a caller: anything but the headers that frame a message, concern one
/// connection (RFC 9110 section 7.6.1) or choose the host.
///
/// For saving the custom headers of an endpoint; [`Client::send`](crate::Client::send) checks it again.
///
/// # Errors
///
/// [`Refusal::Header`].
pub fn check_header(name: &HeaderName) -> Result<(), Refusal> {
    const RESERVED: [&str; 13] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if RESERVED.contains(&name.as_str()) {
        return Err(Refusal::Header { name: name.clone() });
    }
    Ok(())
}

/// `host` or `host:port` as an address names it; its scheme if it has no host.
pub(crate) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => format!("{}:", url.scheme()),
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &host_of(&self.url))
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .field("peer", &self.peer)
            .finish()
    }
}
