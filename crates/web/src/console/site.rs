//! For which site browsers make passkeys here, if they do.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use crypto::passkey::RelyingParty;

use super::refusal::Refusal;
use crate::Web;

/// Why no passkey can work on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nowhere {
    pub(crate) why: String,
    /// Where one would.
    pub(crate) address: Option<String>,
}

/// The site that a page is of.
pub(crate) struct Site(pub(crate) Result<RelyingParty, Nowhere>);

impl Site {
    /// The site, where something is sent that only a page of one can send.
    pub(crate) fn party(&self) -> Result<&RelyingParty, Refusal> {
        self.0.as_ref().map_err(|_| Refusal::NotFound)
    }
}

impl FromRequestParts<Web> for Site {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self(party(&web.public_url, host)))
    }
}

/// A browser makes a passkey for the name in its address bar, and only by HTTPS or on its own machine. By HTTPS that is the
/// public one; other names, which a proxy may let through, would split everybody's passkeys.
fn party(public_url: &str, host: &str) -> Result<RelyingParty, Nowhere> {
    const NAMES: &str = "Browsers make passkeys for names, not for addresses of numbers.";
    let host = host.to_ascii_lowercase();
    let Some(rest) = public_url.strip_prefix("https://") else {
        let (name, port) = split(&host);
        if is_numbers(name) {
            return Err(Nowhere { why: NAMES.to_owned(), address: Some(format!("http://localhost{port}/account")) });
        }
        return Ok(RelyingParty { id: name.to_owned(), origin: format!("http://{host}") });
    };
    let public = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let public = public.strip_suffix(":443").unwrap_or(&public);
    let (name, _) = split(public);
    if is_numbers(name) {
        let why = format!("{NAMES} The public address of this server is {name}; one with a name would do.");
        return Err(Nowhere { why, address: None });
    }
    if host != public {
        let why = "Passkeys are for the public address alone.".to_owned();
        return Err(Nowhere { why, address: Some(format!("https://{public}/account")) });
    }
    Ok(RelyingParty { id: name.to_owned(), origin: format!("https://{public}") })
}

/// The name, and its port with the colon before it.
fn split(host: &str) -> (&str, &str) {
    match host.rfind(':') {
        Some(at) if host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) => host.split_at(at),
        _ => (host, ""),
    }
}

fn is_numbers(name: &str) -> bool {
    name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passkey_is_for_the_name_in_the_address_bar() {
        for (public_url, host, id, origin) in [
            ("https://keys.acme.test", "keys.acme.test", "keys.acme.test", "https://keys.acme.test"),
            ("https://Keys.Acme.test:443/", "keys.acme.test", "keys.acme.test", "https://keys.acme.test"),
            ("https://keys.acme.test:8443/x", "keys.acme.test:8443", "keys.acme.test", "https://keys.acme.test:8443"),
            ("http://127.0.0.1:8400", "localhost:8400", "localhost", "http://localhost:8400"),
            ("http://127.0.0.1:8400", "acme.localhost:8400", "acme.localhost", "http://acme.localhost:8400"),
        ] {
            let expected = RelyingParty { id: id.to_owned(), origin: origin.to_owned() };
            assert_eq!(party(public_url, host), Ok(expected), "{public_url} {host}");
        }
    }

    #[test]
    fn where_no_passkey_can_work_it_is_said_where_it_would() {
        for (public_url, host, address) in [
            ("http://127.0.0.1:8400", "127.0.0.1:8400", Some("http://localhost:8400/account")),
            ("http://127.0.0.1:8400", "[::1]:8400", Some("http://localhost:8400/account")),
            ("https://192.0.2.7", "192.0.2.7", None),
            ("https://keys.acme.test", "console.acme.test", Some("https://keys.acme.test/account")),
            ("https://keys.acme.test", "keys.acme.test:8443", Some("https://keys.acme.test/account")),
            ("https://keys.acme.test", "", Some("https://keys.acme.test/account")),
        ] {
            let nowhere = party(public_url, host).unwrap_err();
            assert_eq!(nowhere.address.as_deref(), address, "{public_url} {host}");
        }
    }
}
