//! For which site browsers make passkeys here, if they do.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use crypto::passkey::RelyingParty;

use super::refusal::Refusal;
use crate::Web;

/// The site that a page is of; otherwise why no passkey can work on it.
pub(crate) struct Site(pub(crate) Result<RelyingParty, String>);

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
fn party(public_url: &str, host: &str) -> Result<RelyingParty, String> {
    let host = host.to_ascii_lowercase();
    let Some(rest) = public_url.strip_prefix("https://") else {
        let (name, port) = split(&host);
        return if is_numbers(name) {
            Err(format!(
                "Browsers make passkeys for names, not for addresses of numbers. Open \
                 http://localhost{port}/account, sign in there, and add one."
            ))
        } else {
            Ok(RelyingParty { id: name.to_owned(), origin: format!("http://{host}") })
        };
    };
    let public = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let public = public.strip_suffix(":443").unwrap_or(&public);
    let (name, _) = split(public);
    if is_numbers(name) {
        return Err(format!(
            "Browsers make passkeys for names, not for addresses of numbers, and this server says that it is {name}. \
             Start it with `--public-url https://` and a name."
        ));
    }
    if host != public {
        return Err(format!("Passkeys are for the public address alone. Open https://{public}/account for them."));
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
    fn where_no_passkey_can_work_it_is_said_why() {
        for (public_url, host, words) in [
            ("http://127.0.0.1:8400", "127.0.0.1:8400", "Open http://localhost:8400/account"),
            ("http://127.0.0.1:8400", "[::1]:8400", "Open http://localhost:8400/account"),
            ("https://192.0.2.7", "192.0.2.7", "--public-url https://"),
            ("https://keys.acme.test", "console.acme.test", "Open https://keys.acme.test/account"),
            ("https://keys.acme.test", "keys.acme.test:8443", "Open https://keys.acme.test/account"),
            ("https://keys.acme.test", "", "Open https://keys.acme.test/account"),
        ] {
            let why = party(public_url, host).unwrap_err();
            assert!(why.contains(words), "{public_url} {host}: {why}");
        }
    }
}
