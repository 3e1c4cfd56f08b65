//! The client itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use url::{Host, Url};

use crate::error::{SendError, SetupError, Stage};
use crate::message::{Request, Response, check_header, host_of};
use crate::reach::{Ports, Reach, Refusal, Scheme};
use crate::resolve::{Guard, Resolver, SystemResolver};
use crate::tls;

/// How long an unused connection stays open. Short, because there are many endpoints and few calls to each.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// Unused connections kept per host; more than the deliveries that one endpoint gets at a time.
const IDLE_CONNECTIONS_PER_HOST: usize = 16;

/// The largest header section taken from an HTTP/2 answer, in bytes.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// How long a call may take and how much of its answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For resolving the name, TCP and TLS together. Must be shorter than `total`, so that a timeout can tell
    /// which of the two it was.
    pub connect: Duration,
    /// From the beginning of the call to the last byte of the body.
    pub total: Duration,
    /// The largest body that is kept, in bytes.
    pub body_bytes_max: usize,
    /// What happens to a larger one.
    pub overflow: Overflow,
}

/// What happens to a body that is larger than [`Limits::body_bytes_max`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The call fails with [`SendError::BodyTooLarge`]: half a JSON document is no document.
    Refuse,
    /// The beginning is kept and the rest is not read: enough for the log of a delivery. A body that fills the
    /// limit exactly counts as truncated if its length was not announced.
    Truncate,
}

/// What a client may call and whom it trusts.
///
/// A [`Reach`] alone is a policy: any port, Mozilla's root certificates.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Which addresses.
    pub reach: Reach,
    /// Which ports.
    pub ports: Ports,
    /// Root certificates to trust beside Mozilla's, as PEM: a company's own authority. May be empty.
    pub extra_roots_pem: Vec<u8>,
}

impl From<Reach> for Policy {
    fn from(reach: Reach) -> Policy {
        Policy { reach, ports: Ports::Any, extra_roots_pem: Vec::new() }
    }
}

/// The guarded HTTP client. Cheap to clone; clones share their connections.
///
/// Connections are pooled per scheme, host and port for 30 seconds. A pooled connection was checked when it was
/// dialled, and no other policy shares it.
#[derive(Clone)]
pub struct Client {
    guard: Guard,
    ports: Arc<Ports>,
    limits: Limits,
    secure: reqwest::Client,
    /// Its resolver lets fewer addresses through, so it is another client. `None` where only `https` is spoken.
    plain: Option<reqwest::Client>,
}

impl Client {
    /// A client that resolves names as the operating system does.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for limits that contradict each other and root certificates that cannot be read.
    pub fn new(policy: impl Into<Policy>, limits: Limits) -> Result<Client, SetupError> {
        Client::with_resolver(policy, limits, Arc::new(SystemResolver))
    }

    /// A client that resolves names with `resolver`. Addresses that are written as such never reach it.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn with_resolver(
        policy: impl Into<Policy>,
        limits: Limits,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Client, SetupError> {
        if limits.connect.is_zero() || limits.connect >= limits.total {
            return Err(SetupError::Limits("the time to connect must be positive and shorter than the total"));
        }
        let Policy { reach, ports, extra_roots_pem } = policy.into();
        let tls = tls::config(&extra_roots_pem)?;
        let has_plain_http = reach.has_plain_http();
        let guard = Guard::new(reach, resolver);
        let plain = match has_plain_http {
            true => Some(build(&guard, Scheme::Http, &limits, tls.clone())?),
            false => None,
        };
        let secure = build(&guard, Scheme::Https, &limits, tls)?;
        Ok(Client { guard, ports: Arc::new(ports), limits, secure, plain })
    }

    /// Checks all that an address says by itself: scheme, port, credentials, and the host if it is an IP address
    /// in any notation. For a form, while it is typed; a name passes whatever it resolves to.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], as a sentence to show.
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        self.guard.reach().check(url, &self.ports)
    }

    /// [`Client::check`], and then resolves the name and checks its addresses, without calling anybody. For saving
    /// an address. It is advice: what counts is the same check when the address is dialled.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`], [`SendError::Dns`], or [`SendError::Timeout`] after [`Limits::connect`].
    pub async fn examine(&self, url: &Url) -> Result<(), SendError> {
        let host = || host_of(url);
        self.check(url).map_err(|refusal| SendError::Refused { host: host(), refusal })?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        let scheme = Scheme::of(url).map_err(|refusal| SendError::Refused { host: host(), refusal })?;
        let limit = self.limits.connect;
        match tokio::time::timeout(limit, self.guard.addresses(name, scheme)).await {
            Ok(found) => found.map(|_| ()),
            Err(_) => Err(SendError::Timeout { host: host(), stage: Stage::Connect, limit }),
        }
    }

    /// Sends one request and reads the answer. Any status is an answer, redirects included.
    ///
    /// The library below sends a request a second time only if a pooled connection turns out to be closed before
    /// the request was written, or an HTTP/2 server says that it has not looked at it (RFC 9113 section 8.7).
    ///
    /// # Errors
    ///
    /// [`SendError`], which tells whether the request may have arrived.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let host = host_of(&request.url);
        let refused = |refusal| SendError::Refused { host: host.clone(), refusal };
        self.check(&request.url).map_err(refused)?;
        for (name, _) in &request.headers {
            check_header(name).map_err(refused)?;
        }
        let scheme = Scheme::of(&request.url).map_err(refused)?;
        let client = match (scheme, &self.plain) {
            (Scheme::Https, _) => &self.secure,
            (Scheme::Http, Some(plain)) => plain,
            (Scheme::Http, None) => return Err(refused(Refusal::PlainHttp)),
        };
        let limits = &self.limits;
        let mut stage = Stage::Answer;
        let exchange = async {
            let lost = |error: reqwest::Error| SendError::from_reqwest(&error, &host, limits);
            let answer = client.execute(into_reqwest(request)).await.map_err(lost)?;
            // Cannot happen while the library dials what it was given; if it ever does, the answer stays here.
            if let Some(peer) = answer.remote_addr() {
                self.guard.reach().permit(peer.ip(), scheme).map_err(refused)?;
            }
            stage = Stage::Body { status: answer.status().as_u16() };
            receive(answer, &host, limits).await
        };
        match tokio::time::timeout(limits.total, exchange).await {
            Ok(result) => result,
            Err(_) => Err(SendError::Timeout { host, stage, limit: limits.total }),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("reach", self.guard.reach())
            .field("ports", &self.ports)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The library's client for one scheme, with everything switched off that would dial or unpack behind our back.
fn build(
    guard: &Guard,
    scheme: Scheme,
    limits: &Limits,
    tls: rustls::ClientConfig,
) -> Result<reqwest::Client, SetupError> {
    // As much as the caller wants to keep, between the protocol's default and a megabyte: an HTTP/2 server can
    // make us hold a window per stream that nobody reads.
    let window = u32::try_from(limits.body_bytes_max.clamp(64 * 1024, 1024 * 1024)).unwrap_or(1024 * 1024);
    #[expect(clippy::disallowed_methods, reason = "this is the place where the one HTTP client is built")]
    let builder = reqwest::Client::builder();
    builder
        .tls_backend_preconfigured(tls)
        .dns_resolver(guard.for_scheme(scheme))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .https_only(scheme == Scheme::Https)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(limits.connect)
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
        .http2_initial_stream_window_size(window)
        .http2_initial_connection_window_size(window.saturating_mul(2))
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .user_agent(concat!("Keywright/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| SetupError::Library(error.without_url().to_string()))
}

/// The request as the library wants it.
fn into_reqwest(request: Request) -> reqwest::Request {
    let Request { method, url, headers, body } = request;
    let mut out = reqwest::Request::new(method, url);
    for (name, mut value) in headers {
        // Libraries log header values at their finest levels, but not sensitive ones.
        HeaderValue::set_sensitive(&mut value, true);
        out.headers_mut().append(name, value);
    }
    if !body.is_empty() {
        *out.body_mut() = Some(body.into());
    }
    out
}

/// Reads the body up to the limit.
async fn receive(mut answer: reqwest::Response, host: &str, limits: &Limits) -> Result<Response, SendError> {
    let status = answer.status().as_u16();
    let max = limits.body_bytes_max;
    let announced = answer.content_length();
    let too_large = || SendError::BodyTooLarge { host: host.to_owned(), status, limit: max };
    if limits.overflow == Overflow::Refuse && announced.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    let mut truncated = false;
    while let Some(chunk) = answer.chunk().await.map_err(|error| SendError::from_reqwest(&error, host, limits))? {
        let room = max - body.len();
        if chunk.len() > room && limits.overflow == Overflow::Refuse {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if limits.overflow == Overflow::Truncate && body.len() == max && announced != Some(max as u64) {
            truncated = true;
            break;
        }
    }
    let peer = answer.remote_addr();
    let headers = std::mem::take(answer.headers_mut());
    Ok(Response { status, headers, body: Bytes::from(body), truncated, peer })
}
