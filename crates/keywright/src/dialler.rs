//! How the engine reaches providers: through the guarded client, with the connection's key.

use std::time::Duration;

use engine::{
    Dial, DialError, Dialled,
    connections::{Connection, Mode},
};
use futures::future::BoxFuture;
use net::{Client, Limits, Overflow, Reach, SendError};
use providers::http::Request;
use secrecy::ExposeSecret;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(20),
    body_bytes_max: 4 * 1024 * 1024,
    overflow: Overflow::Refuse,
};

const IDEMPOTENCY_KEY: http::HeaderName = http::HeaderName::from_static("idempotency-key");

/// Sends look-ups and what changes something. Only a connection of kind `simulated` may dial loopback, and it may dial nothing else.
pub(crate) struct Dialler {
    /// None: nobody beyond this machine is asked.
    public: Option<Client>,
    loopback: Client,
}

impl Dialler {
    pub(crate) fn new(is_offline: bool) -> anyhow::Result<Self> {
        let public = if is_offline { None } else { Some(Client::new(Reach::Public, LIMITS)?) };
        Ok(Self { public, loopback: Client::new(Reach::Loopback, LIMITS)? })
    }
}

impl Dial for Dialler {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        Box::pin(async move {
            let client = if connection.mode == Mode::Simulated { Some(&self.loopback) } else { self.public.as_ref() };
            let offline = || DialError("this server was started with --offline and asks no provider".to_owned());
            let client = client.ok_or_else(offline)?;
            let outgoing = outgoing(connection, request)?;
            let response = client.send(outgoing).await.map_err(|error| problem(&error))?;
            let retry_after = response.headers.get(http::header::RETRY_AFTER);
            Ok(Dialled {
                status: response.status,
                body: String::from_utf8_lossy(&response.body).into_owned(),
                retry_after_seconds: retry_after.and_then(|value| value.to_str().ok()?.parse().ok()),
            })
        })
    }
}

fn outgoing(connection: &Connection, request: &Request) -> Result<net::Request, DialError> {
    let address = format!("{}{}", connection.api_base.trim_end_matches('/'), request.path);
    let url = address.parse().map_err(|error| DialError(format!("{address} is no address: {error}")))?;
    let mut headers: Vec<_> = connection
        .provider
        .info()
        .api_headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
        .collect();
    if let Some(account) = &connection.settings.account {
        headers.push(account_header(connection, account)?);
    }
    if let Some(key) = &connection.api_key {
        let value = http::HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
            .map_err(|_| DialError("the connection's API key has characters that no key has".to_owned()))?;
        headers.push((http::header::AUTHORIZATION, value));
    }
    let Some(post) = &request.post else {
        return Ok(net::Request { method: http::Method::GET, url, headers, body: bytes::Bytes::new() });
    };
    headers.push((http::header::CONTENT_TYPE, http::HeaderValue::from_static(post.content.media_type())));
    if let Some(key) = &post.idempotency_key {
        let value = http::HeaderValue::from_str(key)
            .map_err(|_| DialError(format!("`{key}` has characters that no idempotency key has")))?;
        headers.push((IDEMPOTENCY_KEY, value));
    }
    Ok(net::Request { method: http::Method::POST, url, headers, body: post.content.body().into() })
}

/// Says for which connected account a platform's key acts. Without the key nothing is asked: whoever answered would mean
/// another account.
fn account_header(connection: &Connection, account: &str) -> Result<(http::HeaderName, http::HeaderValue), DialError> {
    if connection.api_key.is_none() {
        let why = if connection.settings.disconnected {
            "its vendor has disconnected it; connect it again"
        } else {
            "there is no key of a platform for it; set STRIPE_SECRET_KEY and STRIPE_CONNECT_WEBHOOK_SECRET"
        };
        return Err(DialError(format!("the account {account} cannot be asked: {why}")));
    }
    let header = connection.provider.accounts().map(providers::accounts::Accounts::header);
    let header =
        header.ok_or_else(|| DialError(format!("{} has no connected accounts", connection.provider.info().name)))?;
    let value = http::HeaderValue::from_str(account)
        .map_err(|_| DialError(format!("`{account}` has characters that no account has")))?;
    Ok((http::HeaderName::from_static(header), value))
}

fn problem(error: &SendError) -> DialError {
    DialError(error.to_string())
}

#[cfg(test)]
mod tests;
