//! The provider's API on loopback: it answers the server's look-ups, and misbehaves when it is told to.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Response, body::Incoming, header, http::request::Parts, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use providers::{Level, redeem::OauthClient};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    account::Account,
    dialect::{Call, Dialect, Question, Reply},
};

/// The account, shared by the API and by what happens to it.
pub(crate) type SharedAccount = Arc<Mutex<Account>>;

/// Calls that go wrong before the API behaves again.
const TROUBLED_CALLS: u32 = 2;
/// How long a slow API takes.
const SLOW: Duration = Duration::from_millis(1_500);
/// The longest body of a call, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a busy API asks to wait, in seconds.
const BUSY_SECONDS: &str = "1";

/// How the API misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trouble {
    /// The key lacks the permission for everything (403).
    Forbidden,
    /// Too many requests (429) to the first two calls, to be repeated after a second.
    Busy,
    /// A fault of its own (500) to the first two calls.
    Failing,
    /// Every answer takes one and a half seconds.
    Slow,
    /// The first two connections are closed without an answer.
    Dropping,
}

/// The API, as it listens.
pub(crate) struct Api {
    dialect: &'static dyn Dialect,
    account: SharedAccount,
    key: SecretString,
    level: Level,
    trouble: Option<Trouble>,
    /// Whom the provider knows when somebody brings a buyer's code.
    client: Option<OauthClient>,
    /// What was answered to idempotency keys: the same call is answered the same, a refusal too.
    answers: Mutex<HashMap<String, Reply>>,
    calls: AtomicU32,
}

/// The API, running. Dropping it closes the port.
pub(crate) struct RunningApi {
    stop: DropGuard,
    tasks: TaskTracker,
}

/// Listens on a loopback port; 0 is any.
pub(crate) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

impl Api {
    /// An API for whoever has this key, with the permissions of this level.
    pub(crate) fn new(account: SharedAccount, key: SecretString, level: Level, trouble: Option<Trouble>) -> Self {
        let dialect = account.lock().unwrap_or_else(PoisonError::into_inner).dialect();
        Self {
            dialect,
            account,
            key,
            level,
            trouble,
            client: None,
            answers: Mutex::default(),
            calls: AtomicU32::new(0),
        }
    }

    /// The same, for a provider that knows this client.
    pub(crate) fn known_by(self, client: Option<OauthClient>) -> Self {
        Self { client, ..self }
    }

    /// Answers until it is stopped.
    pub(crate) fn start(self, listener: TcpListener) -> RunningApi {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (api, token, connections) = (Arc::new(self), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = token.cancelled() => return,
                };
                // A connection that broke before it was accepted is the caller's affair.
                let Ok((stream, _)) = accepted else { continue };
                let (api, token) = (Arc::clone(&api), token.clone());
                connections.spawn(async move { api.converse(stream, &token).await });
            }
        });
        RunningApi { stop: stop.drop_guard(), tasks }
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, stop: &CancellationToken) {
        let service = service_fn(move |request| {
            let api = Arc::clone(&self);
            async move { api.call(request).await }
        });
        let mut connection = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        let stopped = tokio::select! {
            // An error is a connection that was closed, by either side.
            _ = connection.as_mut() => false,
            () = stop.cancelled() => true,
        };
        if stopped {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }

    /// One call. An error closes the connection without an answer.
    async fn call(&self, request: Request<Incoming>) -> Result<Response<String>, Dropped> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let early = call < TROUBLED_CALLS;
        let mut retry_after = None;
        let reply = match self.trouble {
            Some(Trouble::Dropping) if early => return Err(Dropped),
            Some(Trouble::Failing) if early => {
                self.dialect.error(500, "An error occurred with our connection to ourselves.")
            }
            Some(Trouble::Busy) if early => {
                retry_after = Some(BUSY_SECONDS);
                self.dialect.error(429, "Request rate limit exceeded.")
            }
            Some(Trouble::Forbidden) => self.dialect.forbidden(request.uri().path()),
            trouble => {
                if trouble == Some(Trouble::Slow) {
                    tokio::time::sleep(SLOW).await;
                }
                self.reply(request).await
            }
        };
        let mut response = Response::builder().status(reply.status).header(header::CONTENT_TYPE, "application/json");
        if let Some(seconds) = retry_after {
            response = response.header(header::RETRY_AFTER, seconds);
        }
        Ok(response.body(reply.body.to_string()).unwrap_or_else(|_| unreachable!("status and headers are ours")))
    }

    async fn reply(&self, request: Request<Incoming>) -> Reply {
        let (request, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return self.dialect.error(413, "That is too long.");
        };
        self.answer(&request, &body.to_bytes())
    }

    fn answer(&self, request: &Parts, body: &[u8]) -> Reply {
        let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect();
        let question =
            || Question { path: request.uri.path(), query: pairs(request.uri.query().unwrap_or_default().as_bytes()) };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let trade = Call { question: question(), form: pairs(body), client: self.client.as_ref() };
        if let Some(reply) = self.dialect.trade(&mut account, &trade) {
            return reply;
        }
        let header = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if header.and_then(|value| value.strip_prefix("Bearer ")) != Some(self.key.expose_secret()) {
            return self.dialect.error(401, "Invalid API Key provided.");
        }
        // A platform's key acts for the account that it names.
        let named = request.headers.get("stripe-account").and_then(|value| value.to_str().ok());
        if named != account.connected() {
            return self.dialect.error(403, "The key does not have access to that account.");
        }
        if request.method != Method::GET {
            return self.change(&mut account, request, &trade);
        }
        self.dialect.answer(&account, self.level, &question())
    }
}

impl Api {
    fn change(&self, account: &mut Account, request: &Parts, call: &Call<'_>) -> Reply {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = request.headers.get("idempotency-key").and_then(|value| value.to_str().ok());
        if let Some(answer) = key.and_then(|key| answers.get(key)) {
            return answer.clone();
        }
        let reply = self.dialect.change(account, call);
        let reply = reply.unwrap_or_else(|| self.dialect.error(405, "That is not simulated."));
        answers.extend(key.map(|key| (key.to_owned(), reply.clone())));
        reply
    }
}

impl RunningApi {
    /// Answers what is being asked and closes the port.
    pub(crate) async fn stop(self) {
        let Self { stop, tasks } = self;
        drop(stop);
        tasks.close();
        tasks.wait().await;
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up on purpose")]
struct Dropped;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{send, stripe::Stripe};

    async fn ask(trouble: Option<Trouble>, key: &str, path: &str) -> Result<net::Response, net::SendError> {
        let account = Arc::new(Mutex::new(Account::new(&Stripe, [0; 32])));
        let listener = listen(0).await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap()).parse().unwrap();
        let api = Api::new(account, SecretString::from("rk_test_right"), Level::Read, trouble).start(listener);
        let bearer = hyper::header::HeaderValue::from_str(&format!("Bearer {key}")).unwrap();
        let headers = vec![(header::AUTHORIZATION, bearer)];
        let request = net::Request { method: Method::GET, url, headers, body: bytes::Bytes::new() };
        let answer = send::loopback().unwrap().send(request).await;
        api.stop().await;
        answer
    }

    #[test]
    fn the_same_call_is_answered_the_same_even_if_it_was_refused() {
        let account = Arc::new(Mutex::new(Account::new(&Stripe, [0; 32])));
        let api = Api::new(account, SecretString::from("rk_test_right"), Level::Read, None);
        let post = |key: &str, account: Option<&str>, form: &str| {
            let mut request = Request::post("/v1/prices").header(header::AUTHORIZATION, "Bearer rk_test_right");
            request = request.header("idempotency-key", key);
            if let Some(account) = account {
                request = request.header("stripe-account", account);
            }
            api.answer(&request.body(()).unwrap().into_parts().0, form.as_bytes())
        };
        let price = "unit_amount=4900&product_data[name]=Pro";
        let refused = post("once", None, "");
        assert_eq!((refused.status, &post("once", None, price)), (400, &refused), "for as long as the key is used");
        let made = post("again", None, price);
        assert_eq!((made.status, &post("again", None, price)), (200, &made));
        assert_eq!(post("other", Some("acct_other"), price).status, 403, "it is another's account");
    }

    #[tokio::test]
    async fn keys_and_troubles_have_their_status() {
        let (right, path) = ("rk_test_right", "/v1/invoice_payments?payment%5Bpayment_intent%5D=pi_1");
        for (trouble, key, path, status) in [
            (None, right, path, 200),
            (None, "rk_test_wrong", path, 401),
            (None, right, "/v1/subscriptions/sub_1", 403),
            (None, right, "/v1/invoices/in_1", 404),
            (Some(Trouble::Forbidden), right, path, 403),
            (Some(Trouble::Busy), right, path, 429),
            (Some(Trouble::Failing), right, path, 500),
        ] {
            let answer = ask(trouble, key, path).await.unwrap();
            assert_eq!(answer.status, status, "{trouble:?} {key} {path}");
            let asks_to_wait = answer.headers.contains_key(header::RETRY_AFTER);
            assert_eq!(asks_to_wait, status == 429, "{trouble:?}");
        }
        assert!(ask(Some(Trouble::Dropping), right, path).await.is_err());
    }
}
