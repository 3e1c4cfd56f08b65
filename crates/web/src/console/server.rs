//! How this server was started, as far as buyers and providers meet it: its address.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
    routing::get,
};
use url::{Host, Url};

use super::{
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/console/{tenant}/{mode}/settings/server", get(show))
}

#[derive(Template)]
#[template(path = "console/server.html")]
struct ServerPage {
    shell: Shell,
    address: Address,
    public_url: String,
    /// Whether this browser came by it; otherwise by which host it came.
    reached: Result<(), String>,
    sender_path: String,
}

/// What is to be said of the address under which the server is reached.
pub(crate) struct Address {
    pub(crate) is_public: bool,
    pub(crate) sentence: &'static str,
}

/// Whether providers and buyers can come by an address, as far as it can be told from it.
pub(crate) fn address(public_url: &str) -> Address {
    let url = Url::parse(public_url).ok();
    let is_here = url.as_ref().and_then(Url::host).is_none_or(|host| match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unspecified(),
    });
    let is_secure = url.is_some_and(|url| url.scheme() == "https");
    let sentence = match (is_here, is_secure) {
        (true, _) => "Its address is one of this machine: no provider and no buyer reaches it.",
        (false, false) => "Its address is plain HTTP: providers deliver to HTTPS, and the console needs it, too.",
        (false, true) => "Providers deliver to it, and links in mails lead to it.",
    };
    Address { is_public: !is_here && is_secure, sentence }
}

/// Whether a browser came by the address under which the server is to be reached; otherwise the host by which it came.
pub(crate) fn reached(public_url: &str, headers: &HeaderMap) -> Result<(), String> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(url) = Url::parse(public_url) else { return Err(host.to_owned()) };
    let name = url.host_str().unwrap_or_default();
    let expected = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    if host.eq_ignore_ascii_case(&expected) { Ok(()) } else { Err(host.to_owned()) }
}

/// `GET …/settings/server`.
async fn show(State(web): State<Web>, place: Place<Look>, headers: HeaderMap) -> Result<Response, Refusal> {
    page(&ServerPage {
        shell: Shell::new(&web, &place, "settings/server", "This server").await?,
        address: address(&web.public_url),
        reached: reached(&web.public_url, &headers),
        sender_path: place.at("mails/sender"),
        public_url: web.public_url.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_address_is_public_by_https_and_elsewhere() {
        for (url, is_public) in [
            ("https://keys.example.com", true),
            ("https://keys.example.com:8443", true),
            ("http://keys.example.com", false),
            ("http://127.0.0.1:8400", false),
            ("https://localhost", false),
            ("https://[::1]:8400", false),
            ("http://0.0.0.0:8400", false),
            ("keys.example.com", false),
        ] {
            assert_eq!(address(url).is_public, is_public, "{url}");
        }
    }

    #[test]
    fn a_browser_came_by_the_address_or_by_another() {
        for (url, host, came) in [
            ("https://keys.example.com", "keys.example.com", Ok(())),
            ("https://keys.example.com/", "KEYS.example.com", Ok(())),
            ("http://127.0.0.1:8400", "127.0.0.1:8400", Ok(())),
            ("http://127.0.0.1:8400", "localhost:8400", Err("localhost:8400".to_owned())),
            ("https://keys.example.com", "", Err(String::new())),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(reached(url, &headers), came, "{url} {host}");
        }
    }
}
