//! A shop with an API: a real database, the real router, a clock that stands, and a Stripe that answers look-ups.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use api::{Api, Limits};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
};
use crypto::{
    ring::{KeyRing, SharedRing},
    token::ApiKeyKind,
};
use delivery::mail::Sender;
use domain::{ambient::EntropySource, id::TenantId};
use engine::{
    Dial, DialError, Dialled, Engine, Parts,
    api_keys::Scope,
    configuration::ConfigurationFile,
    connections::Connection,
    testing::{ManualClock, SeededEntropy},
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::signature;
use serde_json::{Value, json};
use store::testing::TestDatabase;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// 2026-11-21T00:00:00Z in seconds: when everything here happens.
pub(crate) const NOW: i64 = 1_795_219_200;
/// What Stripe's live and test webhooks are signed with.
pub(crate) const LIVE_SECRET: &str = "whsec_live_0123456789abcdef";
pub(crate) const TEST_SECRET: &str = "whsec_test_0123456789abcdef";

const CONFIGURATION: &str = r#"
product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
plan = [
    { code = "basic", product = "studio", name = "Basic" },
    { code = "pro", product = "studio", name = "Pro", activations = 5 },
]
connection = [
    { code = "stripe", provider = "stripe", mode = "live", level = "read", webhook_secrets = ["env:LIVE"], api_key = "env:KEY" },
    { code = "stripe-test", provider = "stripe", mode = "test", webhook_secrets = ["env:TEST"] },
    { code = "silent", provider = "stripe", mode = "test" },
]
price_rule = [{ connection = "stripe", price = "price_basic", plan = "basic" }]
"#;

/// A shop.
pub(crate) struct Shop {
    pub(crate) engine: Arc<Engine>,
    pub(crate) router: Router,
    pub(crate) tenant: TenantId,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: TestDatabase,
    /// May do everything, live.
    pub(crate) live: String,
    /// May do everything, in test mode.
    pub(crate) test: String,
    stripe: Arc<Stripe>,
    stop: CancellationToken,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shop {
    pub(crate) async fn sqlite() -> Self {
        Self::open(TestDatabase::sqlite().await).await
    }

    pub(crate) async fn open(database: TestDatabase) -> Self {
        let entropy = SeededEntropy::new(1);
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        let stripe = Arc::new(Stripe::default());
        let engine = Engine::new(Parts {
            store: database.store.clone(),
            ring: SharedRing::new(KeyRing::generate(&mut *entropy.entropy())),
            clock: clock.clone(),
            entropy: Arc::new(entropy),
            dialler: stripe.clone(),
            addresses: Arc::new(engine::testing::TestAddresses),
            identity: Arc::new(engine::testing::NoProviders),
            lease: SignedDuration::from_secs(120),
        });
        let tenant = configured(&engine, "default").await;
        let router = router(&engine, false);
        let stop = CancellationToken::new();
        let mut shop =
            Self { engine, router, tenant, clock, database, live: String::new(), test: String::new(), stripe, stop };
        shop.live = shop.key("live", ApiKeyKind::Live, &[Scope::Admin]).await;
        shop.test = shop.key("test", ApiKeyKind::Test, &[Scope::Admin]).await;
        shop
    }

    /// The same server, at which anybody may sign up.
    pub(crate) fn open_for_all(&mut self) {
        self.router = router(&self.engine, true);
    }

    /// Another process on the same database.
    pub(crate) fn peer(&self) -> Router {
        let ring = KeyRing::parse(&self.engine.ring().to_text()).unwrap();
        let engine = Engine::new(Parts {
            store: self.database.store.clone(),
            ring: SharedRing::new(ring),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(2)),
            dialler: self.stripe.clone(),
            addresses: Arc::new(engine::testing::TestAddresses),
            identity: Arc::new(engine::testing::NoProviders),
            lease: SignedDuration::from_secs(120),
        });
        router(&engine, false)
    }

    /// Has the workers of a server work.
    pub(crate) fn start(&self) {
        self.engine.start(&TaskTracker::new(), &self.stop);
    }

    /// Another vendor on this server, and a key of theirs that may do everything.
    pub(crate) async fn neighbour(&self) -> (TenantId, String) {
        let tenant = configured(&self.engine, "neighbour").await;
        let key = self.engine.create_api_key(tenant, "live", ApiKeyKind::Live, &[Scope::Admin], "test").await.unwrap();
        (tenant, key.1.reveal().as_str().to_owned())
    }

    /// A new API key.
    pub(crate) async fn key(&self, name: &str, kind: ApiKeyKind, scopes: &[Scope]) -> String {
        let (_, key) = self.engine.create_api_key(self.tenant, name, kind, scopes, "test").await.unwrap();
        key.reveal().as_str().to_owned()
    }

    /// What was looked up at Stripe.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.stripe.calls.lock().unwrap().iter().map(|call| call.path.clone()).collect()
    }

    /// What was to be changed at Stripe.
    pub(crate) fn posted(&self) -> Vec<Called> {
        self.stripe.calls.lock().unwrap().iter().filter(|call| call.is_post).cloned().collect()
    }

    /// Everything that Stripe was called with.
    pub(crate) fn called(&self) -> Vec<Called> {
        self.stripe.calls.lock().unwrap().clone()
    }

    /// Has Stripe answer the next change like this.
    pub(crate) fn stripe_answers(&self, status: u16, body: Value) {
        self.stripe.troubles.lock().unwrap().push((status, body));
    }

    /// Calls with the live key, which is to be answered with success.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path).key(&self.live).succeed().await
    }

    /// Posts with the live key, which is to be answered with success.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path).key(&self.live).json(body).succeed().await
    }

    /// A call that is still to be completed.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call<'_> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = Request::builder().method(method).uri(path);
        Call { router: &self.router, what: path.to_owned(), request, body: Vec::new() }
    }

    /// Delivers bytes as Stripe does, signed now with that secret.
    pub(crate) async fn deliver_bytes(&self, path: &str, secret: &str, body: &[u8]) -> Answer {
        // Ids sort by time, so that what comes later is shown first.
        self.clock.advance(SignedDuration::from_secs(1));
        let signed = signature::sign(&secret.into(), body, self.engine.now());
        self.call("POST", path).header("stripe-signature", &signed).bytes(body).send().await
    }

    /// Delivers an event that Stripe's live webhook sends, and works until nothing is left to do.
    pub(crate) async fn deliver(&self, event: &Value) {
        let answer = self.deliver_bytes("/webhooks/stripe", LIVE_SECRET, event.to_string().as_bytes()).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"received":true}"#));
        self.settle().await;
    }

    /// The same for the test webhook.
    pub(crate) async fn deliver_test(&self, event: &Value) {
        let answer = self.deliver_bytes("/webhooks/stripe", TEST_SECRET, event.to_string().as_bytes()).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"received":true}"#));
        self.settle().await;
    }

    /// Works until nothing is left to do.
    pub(crate) async fn settle(&self) {
        loop {
            let done = self.engine.fulfil().await.unwrap();
            if done.claimed == 0 && self.engine.look_up().await.unwrap() == 0 {
                return;
            }
        }
    }

    /// The key of a license.
    pub(crate) async fn key_of(&self, license: &str) -> String {
        let key = self.engine.reveal(self.tenant, license.parse().unwrap()).await.unwrap().expect("a key");
        key.reveal().to_owned()
    }

    /// What an app is told about a license.
    pub(crate) async fn verdict(&self, license: &str) -> String {
        let key = self.key_of(license).await;
        let answer = self.call("POST", "/v1/check").json(json!({ "key": key })).succeed().await;
        answer["code"].as_str().unwrap().to_owned()
    }
}

fn router(engine: &Arc<Engine>, sign_up_open: bool) -> Router {
    api::router(Api {
        engine: engine.clone(),
        limits: Arc::new(Limits::default()),
        public_url: "https://licenses.example.com".into(),
        sender: Sender::parse("keys@relay.test"),
        sign_up_open,
        draining: Arc::new(CancellationToken::new()),
    })
}

async fn configured(engine: &Arc<Engine>, slug: &str) -> TenantId {
    let tenant = engine.ensure_tenant(slug, "Acme").await.unwrap();
    let file = ConfigurationFile::parse(&format!("tenant = {{ slug = \"{slug}\" }}\n{CONFIGURATION}")).unwrap();
    let secret = |source: &str| {
        Ok(match source {
            "env:LIVE" => format!("{LIVE_SECRET}{}", slug.trim_start_matches("default")),
            "env:TEST" => format!("{TEST_SECRET}{}", slug.trim_start_matches("default")),
            _ => "rk_live_1".to_owned(),
        })
    };
    engine.apply(&file, &secret, false, "test").await.unwrap();
    tenant
}

/// A call that is still to be completed.
pub(crate) struct Call<'a> {
    router: &'a Router,
    what: String,
    request: axum::http::request::Builder,
    body: Vec<u8>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl<'a> Call<'a> {
    /// The same call to another process.
    pub(crate) fn at(self, router: &'a Router) -> Self {
        Self { router, ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), format!("Bearer {key}"))
    }

    pub(crate) fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), "application/json").bytes(body.to_string().as_bytes())
    }

    pub(crate) fn bytes(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = self.request.body(Body::from(self.body)).unwrap();
        let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// The document of an answer that is a success.
    pub(crate) async fn succeed(self) -> Value {
        let what = self.what.clone();
        let answer = self.send().await;
        assert!(answer.status.is_success(), "{what}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// The problem of an answer that is none: its status and its code. Every problem says which request it was.
    pub(crate) async fn refused(self) -> (u16, String) {
        let what = self.what.clone();
        let answer = self.send().await;
        assert!(!answer.status.is_success(), "{what}: {} {}", answer.status, answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["request_id"], answer.header("request-id"), "{what}");
        assert_eq!(problem["status"], answer.status.as_u16(), "{what}");
        (answer.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    }
}

/// A call as it came to Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// The account that it was about.
    pub(crate) account: Option<String>,
    pub(crate) path: String,
    pub(crate) is_post: bool,
    /// The fields, as they are sent.
    pub(crate) body: String,
    pub(crate) idempotency_key: Option<String>,
}

/// A Stripe that knows one checkout for each name, and makes checkouts and prices.
#[derive(Default)]
struct Stripe {
    calls: Mutex<Vec<Called>>,
    /// What the next changes are answered with, the last one first.
    troubles: Mutex<Vec<(u16, Value)>>,
}

impl Stripe {
    fn changed(&self, path: &str) -> (u16, Value) {
        if let Some(trouble) = self.troubles.lock().unwrap().pop() {
            return trouble;
        }
        let calls = self.calls.lock().unwrap();
        let number = calls.iter().filter(|call| call.is_post && call.path == path).count();
        match path {
            "/v1/prices" => (200, json!({ "id": format!("price_made_{number}"), "object": "price" })),
            "/v1/accounts" => (200, json!({ "id": format!("acct_made_{number}"), "object": "account" })),
            "/v1/account_links" => (200, json!({ "url": format!("https://connect.stripe.com/setup/s/{number}") })),
            "/v1/checkout/sessions" => {
                let id = format!("cs_made_{number}");
                let url = format!("https://checkout.stripe.com/c/pay/{id}#fid");
                (200, json!({ "id": id, "object": "checkout.session", "url": url }))
            }
            _ => (200, json!({})),
        }
    }
}

impl Dial for Stripe {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a providers::http::Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        self.calls.lock().unwrap().push(Called {
            account: connection.settings.account.clone(),
            path: request.path.clone(),
            is_post: request.post.is_some(),
            body: request.post.as_ref().map(|post| post.content.body()).unwrap_or_default(),
            idempotency_key: request.post.as_ref().and_then(|post| post.idempotency_key.clone()),
        });
        let known = lines(&request.path).or_else(|| at_appsumo(request));
        let (status, body) = match (&request.post, known) {
            (Some(_), Some(body)) if request.path.starts_with("/openid/") => (200, body),
            (Some(_), _) => self.changed(&request.path),
            (None, Some(body)) => (200, body),
            (None, None) => (404, json!({ "error": { "message": "no such object" } })),
        };
        Box::pin(std::future::ready(Ok(Dialled { status, body: body.to_string(), retry_after_seconds: None })))
    }
}

/// The lines of the checkout called `cs_NAME`: two of `price_NAME`, or one where it was opened here.
fn lines(path: &str) -> Option<Value> {
    let name = path.strip_prefix("/v1/checkout/sessions/cs_")?.split_once('/')?.0;
    let quantity = if name.starts_with("made") { 1 } else { 2 };
    let line = json!({
        "id": format!("li_{name}"), "object": "item", "quantity": quantity, "description": "Studio for two",
        "price": { "id": format!("price_{name}"), "product": "prod_studio", "type": "one_time" }
    });
    Some(json!({ "object": "list", "has_more": false, "data": [line] }))
}

/// What AppSumo tells of a buyer whose code is `code-of-KEY`.
fn at_appsumo(request: &providers::http::Request) -> Option<Value> {
    if let Some(key) = request.path.strip_prefix("/openid/license_key/?access_token=") {
        return Some(json!({ "license_key": key, "status": "active", "scopes": ["read_license"] }));
    }
    let form = request.post.as_ref().filter(|_| request.path == "/openid/token/")?.content.body();
    let key = form.split('&').find_map(|field| field.strip_prefix("code=code-of-"))?;
    Some(json!({ "access_token": key, "token_type": "bearer" }))
}

/// An event, as Stripe tells it.
pub(crate) fn event(id: &str, kind: &str, live: bool, object: Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-08-26.dahlia", "type": kind, "created": NOW - 60,
        "livemode": live, "data": { "object": object }
    })
}

/// The event that somebody paid the checkout `cs_NAME`. What it was for is looked up; at a connection that may not, it is
/// the plan `basic` that its metadata names.
pub(crate) fn paid(name: &str, live: bool) -> Value {
    let session = json!({
        "id": format!("cs_{name}"), "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 9800, "currency": "eur", "created": NOW - 60, "customer": format!("cus_{name}"),
        "payment_intent": format!("pi_{name}"),
        "customer_details": { "email": format!("{name}@example.com"), "name": "Ada" },
        "metadata": if live { json!({}) } else { json!({ "plan_id": "basic" }) }
    });
    event(&format!("evt_{name}"), "checkout.session.completed", live, session)
}

/// The event that the payment of `cs_NAME` went back.
pub(crate) fn refunded(name: &str) -> Value {
    let charge = json!({
        "id": format!("ch_{name}"), "object": "charge", "amount": 9800, "amount_refunded": 9800, "currency": "eur",
        "refunded": true, "payment_intent": format!("pi_{name}")
    });
    event(&format!("evt_refund_{name}"), "charge.refunded", true, charge)
}

/// The ids of a list.
pub(crate) fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}
