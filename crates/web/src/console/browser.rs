//! What is true of every page, whoever looks at it: where a browser may load from, which calls are its own, and what it
//! keeps.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use crypto::handle::Handle;
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::Web;

/// Nothing comes from elsewhere, nothing runs that does not come from here, and no page stands in another one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";

/// The headers that all pages have. A page may have said something stricter.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Refuses changes that another site's page asks for: the browser says whose page it is.
pub(crate) async fn own_origin_only(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) || is_own(request.headers()) {
        return next.run(request).await;
    }
    Refusal::Foreign.into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    match text(header::ORIGIN) {
        Some(origin) => origin.split_once("://").is_some_and(|(_, origin)| origin == host),
        None => text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    }
}

/// Whether something other than a page of this host has a browser come, a link on another site or in a mail. A browser that does
/// not say it is believed to come from here.
pub(crate) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin")
}

/// Over plain HTTP anybody on the way reads along, so that there the console is shown on this machine alone.
pub(crate) async fn private_only(State(web): State<Web>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if web.is_secure() || is_loopback(host) {
        return next.run(request).await;
    }
    Refusal::Insecure.into_response()
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

impl Web {
    /// Whether browsers come by HTTPS.
    pub(crate) fn is_secure(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The name of what a browser keeps. The prefix ties it to this very host, and asks for HTTPS.
    fn cookie_name(&self) -> &'static str {
        if self.is_secure() { "__Host-keywright" } else { "keywright" }
    }

    /// What a browser keeps so that its member stays signed in.
    pub(crate) fn kept(&self, handle: Option<&Handle>) -> HeaderValue {
        const SECONDS: u32 = 30 * 24 * 60 * 60;
        self.cookie(self.cookie_name(), handle, SECONDS)
    }

    /// What a browser keeps while it is at an identity provider.
    pub(crate) fn visiting(&self, handle: Option<&Handle>) -> HeaderValue {
        const SECONDS: u32 = 10 * 60;
        self.cookie(self.visit_name(), handle, SECONDS)
    }

    /// The same, of a browser that comes back.
    pub(crate) fn visit(&self, headers: &HeaderMap) -> Option<Handle> {
        let name = self.visit_name();
        cookies(headers).find(|(key, _)| *key == name)?.1.parse().ok()
    }

    fn visit_name(&self) -> &'static str {
        if self.is_secure() { "__Host-keywright-visit" } else { "keywright-visit" }
    }

    fn cookie(&self, name: &str, handle: Option<&Handle>, seconds: u32) -> HeaderValue {
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let (value, seconds) = match handle {
            Some(handle) => (handle.reveal(), seconds),
            None => (Zeroizing::new(String::new()), 0),
        };
        let text = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}", value.as_str());
        let mut kept = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        kept.set_sensitive(true);
        kept
    }

    /// What the browser of a call keeps.
    pub(crate) fn handle(&self, headers: &HeaderMap) -> Option<Handle> {
        let name = self.cookie_name();
        cookies(headers).find(|(key, _)| *key == name)?.1.parse().ok()
    }
}

/// All cookies of a call.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// On to another page, after something was done.
pub(crate) fn see_other(path: &str) -> Response {
    let location = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_from_a_page_of_this_host() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            pairs.iter().map(pair).collect()
        };
        let host = ("host", "keys.acme.test:8400");
        for (others, expected) in [
            (&[("origin", "https://keys.acme.test:8400")][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("origin", "https://keys.acme.test")], false),
            (&[("origin", "https://evil.test")], false),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[], false),
        ] {
            assert_eq!(is_own(&headers(&[&[host], others].concat())), expected, "{others:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "localhost:8400", "127.0.0.1:8400", "127.3.2.1", "[::1]:8400", "acme.localhost:8400"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["keys.acme.test", "192.168.1.7:8400", "localhost.evil.test", "", "127.0.0.1.evil.test:80"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
