//! Buyers who come from AppSumo, before and after its webhook, on a real database and with an AppSumo that answers.

mod handed_over;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode},
};
use crypto::ring::{KeyRing, SharedRing};
use domain::{ambient::EntropySource, id::TenantId};
use engine::{
    Dial, DialError, Dialled, Engine, Parts,
    configuration::ConfigurationFile,
    connections::Connection,
    receive::Received,
    testing::{ManualClock, SeededEntropy},
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::{Delivery, http::Content};
use serde_json::{Value, json};
use store::testing::TestDatabase;
use tower::ServiceExt;
use web::Web;

const NOW: i64 = 1_795_219_200;
const KEY: &str = "appsumo_key";
const REDIRECT: &str = "/redeem/appsumo/default";

const SHOP: &str = r#"
    product = [{ code = "tool", name = "The Tool", key_prefix = "TOOL" }]
    plan = [{ code = "one", product = "tool", name = "Tier One" }, { code = "two", product = "tool", name = "Tier Two" }]
    price_rule = [
        { connection = "sumo", price = "tier:1", plan = "one" },
        { connection = "sumo", price = "tier:2", plan = "two" },
    ]
    [[connection]]
    code = "sumo"
    provider = "appsumo"
    mode = "test"
    webhook_secrets = ["key"]
    oauth_client = { id = "client-1", secret = "secret" }
"#;

/// AppSumo's side: which code belongs to which license, and in which state that is.
#[derive(Default)]
struct Market {
    codes: BTreeMap<&'static str, (&'static str, &'static str)>,
    is_away: bool,
    has_another_secret: bool,
    asked: usize,
}

struct Dialler(Arc<Mutex<Market>>);

impl Market {
    fn answer(&mut self, connection: &Connection, request: &providers::http::Request) -> Option<(u16, Value)> {
        assert_eq!((connection.code.as_str(), connection.api_base.as_str()), ("sumo", "https://appsumo.com"));
        self.asked += 1;
        if self.is_away {
            return None;
        }
        if let Some(token) = request.path.strip_prefix("/openid/license_key/?access_token=token-of-") {
            let (license, status) = token.split_once('.').unwrap();
            return Some((200, json!({ "license_key": license, "status": status, "scopes": ["read_license"] })));
        }
        assert_eq!(request.path, "/openid/token/");
        let Content::Form(fields) = &request.post.as_ref().unwrap().content else { panic!("a form") };
        let form: BTreeMap<_, _> = fields.iter().cloned().collect();
        assert_eq!(
            (form["client_id"].as_str(), form["client_secret"].as_str(), form["grant_type"].as_str()),
            ("client-1", "the client's secret", "authorization_code")
        );
        let is_exact = form["redirect_uri"] == "https://keys.example.com/redeem/appsumo/default"
            || form["redirect_uri"] == "https://keys.example.com/redeem/appsumo/default/sumo";
        Some(match self.codes.remove(form["code"].as_str()) {
            _ if self.has_another_secret => (401, json!({ "error": "invalid_client" })),
            Some((license, status)) if is_exact => {
                (200, json!({ "access_token": format!("token-of-{license}.{status}"), "token_type": "bearer" }))
            }
            _ => (400, json!({ "error": "invalid_grant" })),
        })
    }
}

impl Dial for Dialler {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a providers::http::Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let answer = self.0.lock().unwrap().answer(connection, request);
        let answer = answer.ok_or_else(|| DialError(format!("no answer to {} in time", request.path)));
        let dialled =
            answer.map(|(status, body)| Dialled { status, body: body.to_string(), retry_after_seconds: None });
        Box::pin(std::future::ready(dialled))
    }
}

struct Shop {
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    tenant: TenantId,
    router: Router,
    market: Arc<Mutex<Market>>,
    /// Calls that may still be made.
    left: Arc<AtomicU64>,
    database: TestDatabase,
}

/// What was answered.
struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Page {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Where it sends the browser, on this server.
    fn leads_to(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location").strip_prefix("https://keys.example.com").unwrap().to_owned()
    }

    fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    fn looks_again(&self) -> bool {
        self.says("http-equiv=\"refresh\"")
    }

    /// The key on it.
    fn key(&self) -> Option<&str> {
        self.text.split_once("<code class=\"key\">")?.1.split_once('<').map(|(key, _)| key)
    }
}

impl Shop {
    async fn open() -> Self {
        Self::with(SHOP).await
    }

    async fn with(file: &str) -> Self {
        let database = TestDatabase::sqlite().await;
        let entropy = SeededEntropy::new(1);
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        let market = Arc::new(Mutex::new(Market::default()));
        let ring = SharedRing::new(KeyRing::generate(&mut *entropy.entropy()));
        let engine = Engine::new(Parts {
            store: database.store.clone(),
            ring: ring.clone(),
            clock: clock.clone(),
            entropy: Arc::new(entropy),
            dialler: Arc::new(Dialler(market.clone())),
            addresses: Arc::new(engine::testing::TestAddresses),
            identity: Arc::new(engine::testing::NoProviders),
            lease: SignedDuration::from_secs(120),
        });
        let tenant = engine.ensure_tenant("default", "Acme").await.unwrap();
        apply(&engine, file).await;
        let left = Arc::new(AtomicU64::new(1_000));
        let counted = left.clone();
        let router = web::router(Web {
            engine: engine.clone(),
            ring,
            sender: None,
            open: false,
            public_url: "https://keys.example.com".into(),
            started_at: Timestamp::from_second(NOW).unwrap(),
            data_folder: "/var/lib/keywright".into(),
            openapi: "{}",
            app_answer: Arc::new(|_| String::new()),
            simulator: Arc::new(crate::simulated::Playwright::default()),
            too_many: Arc::new(move |_| {
                let take = |left: u64| left.checked_sub(1);
                counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).err().map(|_| 7)
            }),
        });
        Self { engine, clock, tenant, router, market, left, database }
    }

    async fn call(&self, request: Request<Body>) -> Page {
        let mut request = request;
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>("192.0.2.1:4711".parse().unwrap()));
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let page = Page { status: head.status.as_u16(), headers: head.headers, text };
        for (name, value) in
            [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff")]
        {
            assert_eq!(page.header(name), value, "{}", page.text);
        }
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!page.says("<script") && !page.says("src=") && !page.says("//"), "it asks nobody: {}", page.text);
        page
    }

    async fn get(&self, path: &str) -> Page {
        self.call(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> Page {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.call(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// A buyer of that license comes with a code of that name.
    async fn come(&self, code: &'static str, license: &'static str, status: &'static str) -> Page {
        self.market.lock().unwrap().codes.insert(code, (license, status));
        self.get(&format!("{REDIRECT}?code={code}")).await
    }

    async fn settle(&self) {
        while self.engine.fulfil().await.unwrap().claimed > 0 {}
    }

    async fn deliver(&self, event: Value) {
        let body = event.to_string();
        let headers = providers::appsumo::sign(&KEY.into(), body.as_bytes(), self.engine.now());
        let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let received = self.engine.receive("appsumo", "default", &delivery).await;
        assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
        self.settle().await;
    }

    async fn mailed(&self) -> Vec<String> {
        let mails = self.engine.store.mails(self.tenant.0, 10).await.unwrap();
        mails.into_iter().map(|mail| mail.recipient).collect()
    }

    /// The one mail: to whom, how far it is, and how often it was tried.
    async fn mail(&self) -> (String, String, i32) {
        let mails = self.engine.store.mails(self.tenant.0, 10).await.unwrap();
        let [mail] = &mails[..] else { panic!("one mail: {mails:?}") };
        (mail.recipient.clone(), mail.status.clone(), mail.attempts)
    }

    async fn attention(&self) -> Vec<String> {
        let items = self.engine.store.attention(self.tenant, 10).await.unwrap();
        items.into_iter().map(|item| item.kind).collect()
    }
}

/// Applies a file in which `key` and `secret` are sources of secrets.
async fn apply(engine: &Engine, file: &str) {
    let secret = |source: &str| Ok(if source == "env:secret" { "the client's secret" } else { KEY }.to_owned());
    let file = file.replace("\"key\"", "\"env:key\"").replace("\"secret\"", "\"env:secret\"");
    engine.apply(&ConfigurationFile::parse(&file).unwrap(), &secret, false, "test").await.unwrap();
}

fn purchase(license: &str, tier: u32) -> Value {
    json!({ "license_key": license, "event": "purchase", "created_at": NOW * 1_000, "tier": tier, "license_status": "inactive" })
}

#[tokio::test]
async fn a_buyer_who_comes_before_the_webhook_waits_for_the_key_and_has_it_mailed() {
    let shop = Shop::open().await;
    let path = shop.come("c1", "k1", "inactive").await.leads_to();
    let page = shop.get(&path).await;
    assert!(page.status == 200 && page.says("on its way") && page.looks_again() && page.key().is_none());
    shop.settle().await;
    assert!(shop.get(&path).await.says("on its way"), "it is bought, and what is not known yet");
    let form = shop.get(&format!("{path}?mail")).await;
    assert!(form.says("<form method=\"post\">") && !form.looks_again(), "what is typed is not lost");
    let sent = shop.post(&path, "email=ada%40example.com").await.leads_to();
    assert!(shop.get(&sent).await.says("mailed to you as soon as"));
    shop.deliver(purchase("k1", 2)).await;
    let page = shop.get(&path).await;
    assert!(page.says("Here is your key") && page.says("The Tool · Tier Two") && page.says("ada@example.com"));
    assert!(page.key().unwrap().starts_with("TOOL-") && !page.looks_again() && !page.says("<form"));
    assert_eq!(shop.mailed().await, ["ada@example.com"]);
    assert_eq!(shop.attention().await, [] as [String; 0]);
}

#[tokio::test]
async fn a_buyer_who_comes_after_the_webhook_sees_the_key_at_once() {
    let shop = Shop::open().await;
    shop.deliver(purchase("k1", 1)).await;
    assert_eq!(shop.attention().await, [] as [String; 0], "a buyer who will come misses no address");
    let first = shop.come("c1", "k1", "inactive").await.leads_to();
    let page = shop.get(&first).await;
    let key = page.key().unwrap().to_owned();
    assert!(page.says("The Tool · Tier One") && page.says("<form method=\"post\">"));
    let again = shop.come("c2", "k1", "active").await.leads_to();
    assert!(first != again && shop.get(&again).await.key() == Some(&key), "another page with the same key");
    shop.post(&first, "email=ada%40example.com").await;
    shop.settle().await;
    assert_eq!(shop.mailed().await, ["ada@example.com"]);
}

/// What is mistyped can be corrected until a mail went out, and no longer.
#[tokio::test]
async fn an_address_may_be_given_again_until_a_mail_went_there() {
    let shop = Shop::open().await;
    shop.deliver(purchase("k1", 1)).await;
    let path = shop.come("c1", "k1", "inactive").await.leads_to();
    let give = async |name: &str| {
        shop.clock.advance(SignedDuration::from_secs(1));
        let sent = shop.post(&path, &format!("email={name}%40example.com")).await.leads_to();
        assert!(!shop.get(&sent).await.says("<form"), "it is taken, or it went out");
        shop.settle().await;
        shop.mail().await
    };
    let mail = |name: &str, status: &str, attempts| (format!("{name}@example.com"), status.to_owned(), attempts);
    assert_eq!(give("aad").await, mail("aad", "pending", 0));
    let page = shop.get(&path).await;
    assert!(page.says("mailed to <strong>aad@example.com") && page.says("Give another address"));
    assert!(shop.get(&format!("{path}?mail")).await.says("<form method=\"post\">"));
    for (before, name, expected) in [
        ("status = 'pending'", "add", mail("add", "pending", 0)),
        ("status = 'pending', attempts = 3, response = '450 later'", "ada", mail("ada", "pending", 0)),
        ("status = 'failed', attempts = 1, next_attempt_at = NULL", "adaa", mail("adaa", "pending", 0)),
        ("status = 'held', next_attempt_at = NULL", "ada", mail("ada", "held", 0)),
        ("status = 'pending', lease_until = 9000000000000000", "eve", mail("ada", "pending", 0)),
        ("status = 'sent', lease_until = NULL", "eve", mail("ada", "sent", 0)),
    ] {
        shop.database.sql(&format!("UPDATE mails SET {before}")).await;
        assert_eq!(give(name).await, expected, "{before}");
    }
    let page = shop.get(&path).await;
    assert!(page.says("was mailed to <strong>a…@example.com</strong>") && page.says("ask the vendor"), "{}", page.text);
    assert!(!page.says("ada@example.com") && !page.says("Give another address"), "{}", page.text);
    let again = shop.come("c2", "k1", "active").await.leads_to();
    assert!(!shop.get(&format!("{again}?mail")).await.says("<form"), "not on another page of it either");
    let whose = store::lists::Whose { tenant: shop.tenant, livemode: false };
    let page = store::lists::Page { from: None, limit: 10 };
    let orders = shop.engine.store.list_orders(whose, &Default::default(), page).await.unwrap().rows;
    let filter =
        store::lists::CustomerFilter { email_normalised: Some("ada@example.com".to_owned()), ..Default::default() };
    let customers = shop.engine.store.list_customers(whose, &filter, page).await.unwrap().rows;
    assert_eq!(
        orders[0].customer.map(|id| id.0),
        customers.first().map(|row| row.id),
        "found by the address that counts"
    );
}

#[tokio::test]
async fn where_no_buyers_come_a_person_hears_of_missing_addresses() {
    let client = SHOP.lines().find(|line| line.contains("oauth_client")).unwrap();
    let shop = Shop::with(&SHOP.replace(client, "")).await;
    shop.deliver(purchase("k1", 1)).await;
    assert_eq!(shop.attention().await, ["no_address"]);
    assert_eq!(shop.come("c1", "k1", "active").await.status, 503, "nobody is expected yet");
    apply(&shop.engine, SHOP).await;
    shop.settle().await;
    assert_eq!(shop.attention().await, [] as [String; 0]);
    shop.come("c2", "k1", "active").await.leads_to();
}

#[tokio::test]
async fn a_buyer_whose_webhook_was_lost_has_an_order_all_the_same() {
    let shop = Shop::open().await;
    let path = shop.come("c1", "k1", "inactive").await.leads_to();
    shop.settle().await;
    assert!(shop.get(&path).await.says("on its way"));
    assert_eq!(shop.attention().await, ["lines_unknown"], "a person hears of it");

    let any = "price_rule = [\n{ connection = \"sumo\", default = true, plan = \"one\" },";
    let shop = Shop::with(&SHOP.replace("price_rule = [", any)).await;
    let path = shop.come("c1", "k1", "inactive").await.leads_to();
    shop.settle().await;
    let key = shop.get(&path).await.key().unwrap().to_owned();
    shop.deliver(purchase("k1", 2)).await;
    let page = shop.get(&path).await;
    assert!(
        page.key() == Some(&key) && page.says("Tier Two"),
        "the webhook came after all: the same key, its own plan"
    );
}

#[tokio::test]
async fn who_cannot_be_shown_anything_is_told_why() {
    let shop = Shop::open().await;
    shop.come("c1", "k1", "inactive").await.leads_to();
    let used = shop.get(&format!("{REDIRECT}?code=c1")).await;
    assert!(used.status == 410 && used.says("used already"), "a code is good once");
    let over = shop.come("c2", "k2", "deactivated").await;
    assert!(over.status == 410 && over.says("taken back"));
    shop.market.lock().unwrap().is_away = true;
    let away = shop.come("c3", "k3", "active").await;
    assert!(away.status == 503 && away.says("did not work just now"));
    shop.market.lock().unwrap().is_away = false;
    shop.market.lock().unwrap().has_another_secret = true;
    let refused = shop.come("c4", "k4", "active").await;
    assert!(refused.status == 503 && refused.says("not ready yet"));
    assert_eq!(shop.attention().await, ["buyers_refused"], "the vendor hears of it");
    shop.market.lock().unwrap().has_another_secret = false;
    shop.come("c5", "k5", "a status of tomorrow").await.leads_to();
    assert_eq!(shop.attention().await, [] as [String; 0], "until it works again");
    shop.settle().await;
    assert_eq!(shop.attention().await, ["lines_unknown"], "only `k1` was confirmed");
}

#[tokio::test]
async fn neither_code_nor_token_is_kept() {
    let shop = Shop::open().await;
    shop.come("c1-code", "k1", "inactive").await.leads_to();
    shop.settle().await;
    let whose = store::lists::Whose { tenant: shop.tenant, livemode: false };
    let page = store::lists::Page { from: None, limit: 10 };
    let events = shop.engine.store.list_inbound(whose, &Default::default(), page).await.unwrap().rows;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!((event.event_key.as_str(), event.kind.as_str()), ("k1/buyer.bought", "buyer.bought"));
    let kept = format!("{event:?}");
    for secret in ["c1-code", "token-of", "client-1", "the client's secret"] {
        assert!(!kept.contains(secret), "{kept}");
    }
}

#[tokio::test]
async fn a_stranger_sees_nothing() {
    let shop = Shop::open().await;
    shop.deliver(purchase("k1", 1)).await;
    let path = shop.come("c1", "k1", "active").await.leads_to();
    let text = path.strip_prefix("/redeemed/").unwrap();
    let last = if text.ends_with('0') { '1' } else { '0' };
    for other in [
        String::new(),
        "x".to_owned(),
        "k1".to_owned(),
        "00".repeat(16),
        "00".repeat(200),
        text[..text.len() - 2].to_owned(),
        format!("{}{last}", &text[..text.len() - 1]),
        format!("{text}00"),
        "%00%FF".to_owned(),
        "0".repeat(8_000),
    ] {
        for page in [
            shop.get(&format!("/redeemed/x{other}")).await,
            shop.post(&format!("/redeemed/x{other}"), "email=eve%40example.com").await,
        ] {
            assert!((400..=404).contains(&page.status) && page.key().is_none(), "{other}: {}", page.status);
        }
        if !other.is_empty() {
            let page = shop.get(&format!("/redeemed/{other}")).await;
            assert!((400..=404).contains(&page.status) && page.key().is_none(), "{other}: {}", page.status);
        }
    }
    assert!(shop.get(&path).await.key().is_some());
    shop.clock.advance(SignedDuration::from_mins(61));
    let old = shop.get(&path).await;
    assert!(old.status == 404 && old.key().is_none(), "an hour later the page is gone");
    assert_eq!(shop.post(&path, "email=eve%40example.com").await.status, 404);
}

#[tokio::test]
async fn what_was_taken_back_shows_no_key() {
    let shop = Shop::open().await;
    shop.deliver(purchase("k1", 1)).await;
    let path = shop.come("c1", "k1", "active").await.leads_to();
    let over = json!({ "license_key": "k1", "event": "deactivate", "created_at": NOW * 1_000 + 5, "extra": { "reason": "Refunded" } });
    shop.deliver(over).await;
    let page = shop.get(&path).await;
    assert!(page.key().is_none() && page.says("payment k1 was refunded in full") && !page.says("<form"));
}

#[tokio::test]
async fn hostile_calls_are_answered() {
    let shop = Shop::open().await;
    let long = "x".repeat(600);
    for (path, status) in [
        (REDIRECT.to_owned(), 200),
        (format!("{REDIRECT}?error=access_denied"), 200),
        (format!("{REDIRECT}?code="), 410),
        (format!("{REDIRECT}?code=%20"), 410),
        (format!("{REDIRECT}?code=%00"), 410),
        (format!("{REDIRECT}?code=%FF"), 410),
        (format!("{REDIRECT}?code={long}"), 410),
        (format!("{REDIRECT}?code=unknown"), 410),
        (format!("{REDIRECT}?code=a&code=b"), 200),
        (format!("{REDIRECT}/sumo?code=unknown"), 410),
        (format!("{REDIRECT}/other?code=unknown"), 503),
        ("/redeem/appsumo/nobody?code=unknown".to_owned(), 503),
        ("/redeem/stripe/default?code=unknown".to_owned(), 404),
        ("/redeem/nobody/default".to_owned(), 404),
    ] {
        assert_eq!(shop.get(&path).await.status, status, "{path}");
    }
    assert_eq!(shop.market.lock().unwrap().asked, 2, "only what could be a code is asked");
    let path = shop.come("c1", "k1", "active").await.leads_to();
    for form in ["", "email=", "email=nobody", "email=%00%40example.com", "mail=ada%40example.com", "email=%FF"] {
        let page = shop.post(&path, form).await;
        assert!(page.status == 422 && page.says("no e-mail address"), "{form}: {}", page.status);
    }
    assert_eq!(shop.post(&path, &format!("email={}", "x".repeat(9_000))).await.status, 422);
    shop.settle().await;
    assert_eq!(shop.mailed().await, [] as [String; 0]);
}

#[tokio::test]
async fn several_connections_are_told_apart_by_their_address() {
    let second =
        SHOP.split_once("[[connection]]").unwrap().1.replace("\"sumo\"", "\"other\"").replace("\"key\"", "\"key2\"");
    let shop = Shop::with(&format!("{SHOP}\n[[connection]]{second}").replace("\"key2\"", "\"secret\"")).await;
    assert_eq!(shop.come("c1", "k1", "active").await.status, 503, "nobody could say whose code it is");
    let page = shop.get(&format!("{REDIRECT}/sumo?code=c1")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER.as_u16());
}

#[tokio::test]
async fn whoever_tries_too_often_waits_and_a_page_that_opens_is_never_counted() {
    let shop = Shop::open().await;
    let path = shop.come("c1", "k1", "active").await.leads_to();
    shop.left.store(2, Ordering::Relaxed);
    for _ in 0..100 {
        assert_eq!((shop.get(&path).await.status, shop.get(REDIRECT).await.status), (200, 200), "nothing is tried");
    }
    assert_eq!(
        (shop.get("/redeemed/00").await.status, shop.get(&format!("{REDIRECT}?code=x")).await.status),
        (404, 410)
    );
    let asked = shop.market.lock().unwrap().asked;
    for page in [
        shop.get("/redeemed/00").await,
        shop.get(&format!("{REDIRECT}?code=y")).await,
        shop.post(&path, "email=ada%40example.com").await,
    ] {
        assert_eq!((page.status, page.header("retry-after")), (429, "7"));
    }
    assert_eq!(shop.market.lock().unwrap().asked, asked, "nobody is asked for a code that comes too often");
    assert_eq!(shop.get(&path).await.status, 200, "whoever waits for a key goes on waiting");
}
