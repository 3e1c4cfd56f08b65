//! How the engine reaches providers: through the guarded client, with the connection's key.

use std::time::Duration;

use engine::{
    Dial, DialError, Dialled,
    connections::{Connection, Mode},
};
use futures::future::BoxFuture;
use net::{Client, Limits, Overflow, Reach, SendError};
use providers::http::{Post, Request};
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
    public: Client,
    loopback: Client,
}

impl Dialler {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { public: Client::new(Reach::Public, LIMITS)?, loopback: Client::new(Reach::Loopback, LIMITS)? })
    }
}

impl Dial for Dialler {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        Box::pin(async move {
            let client = if connection.mode == Mode::Simulated { &self.loopback } else { &self.public };
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
    if let Some(key) = &connection.api_key {
        let value = http::HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
            .map_err(|_| DialError("the connection's API key has characters that no key has".to_owned()))?;
        headers.push((http::header::AUTHORIZATION, value));
    }
    let Some(post) = &request.post else {
        return Ok(net::Request { method: http::Method::GET, url, headers, body: bytes::Bytes::new() });
    };
    headers.push((http::header::CONTENT_TYPE, http::HeaderValue::from_static(Post::CONTENT_TYPE)));
    if let Some(key) = &post.idempotency_key {
        let value = http::HeaderValue::from_str(key)
            .map_err(|_| DialError(format!("`{key}` has characters that no idempotency key has")))?;
        headers.push((IDEMPOTENCY_KEY, value));
    }
    Ok(net::Request { method: http::Method::POST, url, headers, body: post.body().into() })
}

fn problem(error: &SendError) -> DialError {
    DialError(error.to_string())
}

#[cfg(test)]
mod tests {
    use domain::id::{ConnectionId, TenantId};
    use providers::{Settings, stripe::Stripe};
    use secrecy::SecretString;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use uuid::Uuid;

    use super::*;

    fn connection(api_base: String) -> Connection {
        Connection {
            id: ConnectionId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            tenant_slug: "acme".to_owned(),
            code: "stripe".to_owned(),
            provider: &Stripe,
            mode: Mode::Simulated,
            settings: Settings::default(),
            api_base,
            webhook_secrets: Vec::new(),
            api_key: Some(SecretString::from("rk_test_1")),
        }
    }

    /// What reaches the provider: the head in lower case, line by line, and the body.
    async fn arrives(request: &Request) -> (Vec<String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = connection(format!("http://{}/", listener.local_addr().unwrap()));
        let provider = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            loop {
                stream.read_buf(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head: Vec<String> = head.to_ascii_lowercase().lines().map(str::to_owned).collect();
                let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
                    return (head, body.to_owned());
                }
            }
        };
        let dialler = Dialler::new().unwrap();
        let (arrived, answer) = tokio::join!(provider, dialler.dial(&connection, request));
        assert_eq!(answer.unwrap().status, 200);
        arrived
    }

    #[tokio::test]
    async fn a_look_up_is_a_get_without_a_body() {
        let (head, body) = arrives(&Request::get("/v1/subscriptions/sub_1?x=1")).await;
        assert_eq!((head[0].as_str(), body.as_str()), ("get /v1/subscriptions/sub_1?x=1 http/1.1", ""));
        assert!(head.iter().any(|line| line == "authorization: bearer rk_test_1"), "{head:?}");
        for absent in ["content-type", "content-length", "idempotency-key"] {
            assert!(!head.iter().any(|line| line.starts_with(absent)), "{head:?}");
        }
    }

    #[tokio::test]
    async fn a_change_is_a_form_with_its_idempotency_key() {
        let form = vec![("metadata[lic_1]".to_owned(), "KEY-A B".to_owned())];
        let post = Post { form, idempotency_key: Some("once-1".to_owned()) };
        let (head, body) = arrives(&Request::post("/v1/customers/cus_1", post)).await;
        assert_eq!(
            (head[0].as_str(), body.as_str()),
            ("post /v1/customers/cus_1 http/1.1", "metadata[lic_1]=KEY-A%20B")
        );
        for line in [
            "authorization: bearer rk_test_1",
            "content-type: application/x-www-form-urlencoded",
            "idempotency-key: once-1",
            "stripe-version: 2026-08-26.dahlia",
        ] {
            assert!(head.iter().any(|known| known == line), "{line} in {head:?}");
        }
        let (head, body) = arrives(&Request::post("/v1/customers/cus_1", Post::default())).await;
        assert_eq!((head[0].as_str(), body.as_str()), ("post /v1/customers/cus_1 http/1.1", ""));
        assert!(!head.iter().any(|line| line.starts_with("idempotency-key")), "{head:?}");
    }

    #[test]
    fn what_no_header_can_say_is_not_sent() {
        let post = Post { form: Vec::new(), idempotency_key: Some("a\nb".to_owned()) };
        let refusal = outgoing(&connection("http://127.0.0.1".to_owned()), &Request::post("/v1/x", post));
        assert!(refusal.is_err());
    }
}
