//! What is particular about Paddle: its events do not name the buyer, its sandbox is an account of its own, and its list of
//! events is not asked for by time.

use std::sync::{Arc, Mutex};

use domain::{id::CustomerId, license::LicenseState, text::Reference};
use engine::{
    Dial, DialError, Dialled,
    configuration::ConfigurationFile,
    connect::Connect,
    connections::{Connection, Mode},
    receive::Received,
    rulings::By,
    tenants::DEFAULT_TENANT,
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::{Delivery, Level, calls::KeyCheck, http::Request, signature};
use serde_json::{Value, json};
use store::{
    lists::{CustomerFilter, Page, Whose},
    testing::TestDatabase,
};

use crate::harness::{Harness, on_both_databases};

const LIVE_SECRET: &str = "pdl_ntfset_live_0123456789abcdef";
const SANDBOX_SECRET: &str = "pdl_ntfset_sandbox_0123456789abcdef";
/// That of a destination that Paddle makes.
const MADE_SECRET: &str = "pdl_ntfset_made_0123456789abcdef";
/// Events on one page of the list, however many are asked for.
const PER_PAGE: usize = 2;

/// A Paddle that knows every customer and keeps a list of its events.
#[derive(Default)]
struct Listed {
    /// The newest first.
    events: Mutex<Vec<Value>>,
    asked: Mutex<Vec<String>>,
    /// What it answers instead when it is asked for a customer.
    refuses: Mutex<Option<u16>>,
}

impl Listed {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn page(&self, query: &str) -> Value {
        let events = self.events.lock().unwrap();
        let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
        let start = after.map_or(0, |after| events.iter().position(|event| event["event_id"] == *after).unwrap() + 1);
        let end = events.len().min(start + PER_PAGE);
        let pagination = json!({ "per_page": PER_PAGE, "has_more": end < events.len() });
        json!({ "data": events[start..end], "meta": { "pagination": pagination } })
    }
}

impl Dial for Listed {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        self.asked.lock().unwrap().push(request.path.clone());
        let refused = self.refuses.lock().unwrap().filter(|_| request.path.starts_with("/customers/"));
        if let Some(status) = refused {
            let dialled = Dialled { status, body: "{}".to_owned(), retry_after_seconds: None };
            return Box::pin(std::future::ready(Ok(dialled)));
        }
        let body = match (request.path.strip_prefix("/customers/"), request.path.strip_prefix("/events?")) {
            (Some(customer), _) => json!({ "data": { "id": customer, "email": "looked-up@example.com" } }),
            (_, Some(query)) => self.page(query),
            _ if request.path == "/customers?per_page=1" => json!({ "data": [] }),
            _ if request.post.is_some() => {
                json!({ "data": { "id": "ntfset_1", "endpoint_secret_key": MADE_SECRET } })
            }
            _ => panic!("nobody asks for {}", request.path),
        };
        Box::pin(std::future::ready(Ok(Dialled { status: 200, body: body.to_string(), retry_after_seconds: None })))
    }
}

/// A shop with an account at Paddle and one in its sandbox.
struct Shop {
    harness: Harness,
    paddle: Arc<Listed>,
}

impl Shop {
    async fn open(database: TestDatabase, level: &str) -> Self {
        let paddle = Arc::new(Listed::default());
        let harness = Harness::with_dialler(database, Arc::clone(&paddle) as Arc<_>).await;
        let shop = Self { harness, paddle };
        shop.configure(level, "pdl_live_apikey_1").await;
        shop
    }

    /// Applies the vendor's file, with that key to the live account.
    async fn configure(&self, level: &str, api_key: &str) {
        let file = format!(
            r#"
            product = [{{ code = "editor", name = "Editor", key_prefix = "EDIT" }}]
            plan = [{{ code = "solo", product = "editor", name = "Solo" }}]
            connection = [
                {{ code = "live", provider = "paddle", mode = "live", level = "{level}",
                    webhook_secrets = ["env:LIVE"], api_key = "env:API_KEY" }},
                {{ code = "sandbox", provider = "paddle", mode = "test", level = "none", webhook_secrets = ["env:SANDBOX"] }},
            ]
            price_rule = [
                {{ connection = "live", price = "pri_1", plan = "solo" }},
                {{ connection = "sandbox", price = "pri_1", plan = "solo" }},
            ]
            "#
        );
        let secret = |source: &str| {
            Ok(match source {
                "env:LIVE" => LIVE_SECRET,
                "env:SANDBOX" => SANDBOX_SECRET,
                _ => api_key,
            }
            .to_owned())
        };
        self.harness.engine.apply(&ConfigurationFile::parse(&file).unwrap(), &secret, false, "test").await.unwrap();
    }

    /// Delivers an event, signed for one of the two accounts.
    async fn deliver(&self, secret: &str, event: &Value) {
        let engine = &self.harness.engine;
        let body = event.to_string();
        let signed = signature::PADDLE.sign(&secret.into(), body.as_bytes(), engine.now());
        let header = |name: &str| (name == "paddle-signature").then_some(signed.as_str());
        let received = engine.receive("paddle", "default", &Delivery { header: &header, body: body.as_bytes() }).await;
        let Received::Answer(answer) = received else { panic!("{received:?}") };
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"received":true}"#));
    }

    /// Where the mails of all licenses go, sorted.
    async fn mailed_to(&self) -> Vec<String> {
        let mails = self.harness.engine.store.mails(self.harness.tenant.0, 100).await.unwrap();
        let mut addresses: Vec<String> = mails.into_iter().map(|mail| mail.recipient).collect();
        addresses.sort();
        addresses
    }

    /// The states of the licenses of a sale.
    async fn states(&self, connection: &str, reference: &str) -> Vec<LicenseState> {
        let connection = self.harness.connection(connection).await;
        let found = self.harness.engine.store.order_licenses(connection, &Reference::new(reference)).await.unwrap();
        found.map_or_else(Vec::new, |(_, licenses)| licenses.iter().map(|license| license.standing.state).collect())
    }
}

fn event(id: &str, kind: &str, at: Timestamp, data: Value) -> Value {
    json!({ "event_id": format!("evt_{id}"), "event_type": kind, "occurred_at": at, "data": data })
}

/// A sale of one subscription to `ctm_ada`, paid for a month.
fn purchase(name: &str, at: Timestamp) -> Value {
    let until = at + SignedDuration::from_hours(30 * 24);
    let data = json!({
        "id": format!("txn_{name}"), "origin": "web", "customer_id": "ctm_ada", "subscription_id": format!("sub_{name}"),
        "currency_code": "EUR", "billing_period": { "ends_at": until }, "details": { "totals": { "grand_total": "1900" } },
        "items": [{ "quantity": 1, "price": { "id": "pri_1", "billing_cycle": { "interval": "month" } } }]
    });
    event(&format!("{name}_bought"), "transaction.completed", at, data)
}

fn customer(email: &str, at: Timestamp) -> Value {
    event("customer", "customer.updated", at, json!({ "id": "ctm_ada", "email": email }))
}

async fn without_a_key_the_mail_waits_for_the_customers_own_event(database: TestDatabase) {
    let shop = Shop::open(database, "none").await;
    let now = shop.harness.engine.now();
    // One event may come as several notifications.
    for notification in ["ntf_1", "ntf_2"] {
        let mut purchase = purchase("once", now);
        purchase["notification_id"] = json!(notification);
        shop.deliver(LIVE_SECRET, &purchase).await;
    }
    shop.harness.settle().await;
    assert_eq!(shop.states("live", "sub_once").await, [LicenseState::Active]);
    assert_eq!((shop.harness.attention().await, shop.mailed_to().await), (vec!["no_address".to_owned()], vec![]));
    shop.deliver(LIVE_SECRET, &customer("ada@example.com", now)).await;
    shop.harness.settle().await;
    assert_eq!((shop.harness.attention().await, shop.mailed_to().await), (vec![], vec!["ada@example.com".to_owned()]));
    assert_eq!(shop.paddle.asked(), [""; 0]);
}

async fn with_a_key_paddle_is_answered_before_the_buyer_is_looked_up(database: TestDatabase) {
    let shop = Shop::open(database, "read").await;
    shop.deliver(LIVE_SECRET, &purchase("once", shop.harness.engine.now())).await;
    assert_eq!(shop.paddle.asked(), [""; 0], "the answer waits for nobody");
    shop.harness.settle().await;
    assert_eq!(shop.paddle.asked(), ["/customers/ctm_ada"]);
    assert_eq!(shop.mailed_to().await, ["looked-up@example.com"]);
}

async fn a_paid_order_has_its_license_while_paddle_is_down(database: TestDatabase) {
    let shop = Shop::open(database, "read").await;
    let engine = &shop.harness.engine;
    *shop.paddle.refuses.lock().unwrap() = Some(503);
    shop.deliver(LIVE_SECRET, &purchase("once", engine.now())).await;
    engine.fulfil().await.unwrap();
    assert_eq!(shop.states("live", "sub_once").await, [LicenseState::Active], "before anybody is asked");
    assert_eq!(shop.paddle.asked(), [""; 0]);
    for _ in 0..4 {
        shop.harness.settle().await;
        shop.harness.clock.advance(SignedDuration::from_hours(1));
    }
    assert_eq!(shop.harness.attention().await, ["lookup_failing", "no_address"]);
    assert_eq!(shop.mailed_to().await, [""; 0]);
    *shop.paddle.refuses.lock().unwrap() = None;
    shop.harness.settle().await;
    assert_eq!((shop.harness.attention().await, shop.mailed_to().await.len()), (vec![], 1));
    assert_eq!(shop.states("live", "sub_once").await, [LicenseState::Active], "the same one");
    assert_eq!(engine.verify().await.unwrap(), []);
}

async fn what_the_key_was_refused_is_asked_again_when_the_event_is_played_again(database: TestDatabase) {
    let shop = Shop::open(database, "read").await;
    let engine = &shop.harness.engine;
    *shop.paddle.refuses.lock().unwrap() = Some(403);
    shop.deliver(LIVE_SECRET, &purchase("once", engine.now())).await;
    shop.harness.settle().await;
    let items = engine.store.attention(shop.harness.tenant, 10).await.unwrap();
    let [item] = &items[..] else { panic!("{items:?}") };
    assert!(item.detail.contains("`Customers: read`"), "{}", item.detail);
    *shop.paddle.refuses.lock().unwrap() = None;
    let whose = Whose { tenant: shop.harness.tenant, livemode: true };
    let connection = shop.harness.connection("live").await;
    let (event, _) = engine.store.progress_of_event(connection, "evt_once_bought").await.unwrap().unwrap();
    engine.replay(whose, event, false, &By { actor: "test".to_owned(), note: None }).await.unwrap().unwrap();
    shop.harness.settle().await;
    assert_eq!((shop.harness.attention().await, shop.mailed_to().await.len()), (vec![], 1));
    assert_eq!(engine.verify().await.unwrap(), []);
}

async fn what_a_key_was_refused_is_asked_again_with_another_one(database: TestDatabase) {
    let shop = Shop::open(database, "read").await;
    let engine = &shop.harness.engine;
    *shop.paddle.refuses.lock().unwrap() = Some(403);
    for name in ["first", "second"] {
        shop.deliver(LIVE_SECRET, &purchase(name, engine.now())).await;
    }
    shop.harness.settle().await;
    *shop.paddle.refuses.lock().unwrap() = None;
    for (api_key, mails) in [("pdl_live_apikey_1", 0), ("pdl_live_apikey_2", 2), ("pdl_live_apikey_3", 2)] {
        shop.paddle.asked();
        shop.configure("read", api_key).await;
        shop.harness.settle().await;
        assert_eq!(shop.paddle.asked(), [""; 0], "other nodes may not know the key yet");
        shop.harness.clock.advance(SignedDuration::from_mins(1));
        shop.harness.settle().await;
        assert_eq!(shop.mailed_to().await.len(), mails, "{api_key}");
    }
    assert_eq!(shop.harness.attention().await, [""; 0]);
    shop.harness.database.sql("UPDATE mails SET status = 'sent'").await;
    assert_eq!(engine.verify().await.unwrap(), []);
}

async fn who_was_erased_and_buys_again_gets_their_mail(database: TestDatabase, level: &str) {
    let shop = Shop::open(database, level).await;
    let (harness, engine) = (&shop.harness, &shop.harness.engine);
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let sold = async |name: &str, notice: &str| {
        shop.deliver(LIVE_SECRET, &purchase(name, engine.now())).await;
        harness.settle().await;
        let mut customer = customer("ada@example.com", engine.now());
        customer["event_id"] = json!(notice);
        shop.deliver(LIVE_SECRET, &customer).await;
        harness.settle().await;
        harness.clock.advance(SignedDuration::from_secs(1));
    };
    sold("first", "evt_told").await;
    let page = Page { limit: 9, from: None };
    let by = By { actor: "test".to_owned(), note: None };
    let ada = engine.store.list_customers(whose, &CustomerFilter::default(), page).await.unwrap().rows.remove(0);
    let erased = engine.erase_customer(whose, CustomerId(ada.id), false, &by).await.unwrap().unwrap();
    assert_eq!((erased.orders, erased.identities), (0, 1));
    harness.clock.advance(SignedDuration::from_secs(1));
    sold("second", "evt_told_again").await;
    let address = if level == "none" { "ada@example.com" } else { "looked-up@example.com" };
    let mut mailed_to = shop.mailed_to().await;
    mailed_to.retain(|recipient| recipient != "erased");
    assert_eq!((harness.attention().await, mailed_to), (vec![], vec![address.to_owned()]));
    let listed = engine.store.list_customers(whose, &CustomerFilter::default(), page).await.unwrap().rows;
    let [new, old] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((new.email.as_str(), old.email.as_str()), (address, "erased"));
    harness.database.sql("UPDATE mails SET status = 'sent' WHERE status = 'pending'").await;
    assert_eq!(engine.verify().await.unwrap(), []);
    let texts = harness.database.texts().await;
    assert!(!texts.iter().any(|(table, text)| table == "identities" && text.contains('@')), "{texts:?}");

    harness.clock.advance(SignedDuration::from_secs(1));
    engine.erase_customer(whose, CustomerId(new.id), false, &by).await.unwrap().unwrap();
    let left = harness.database.texts().await;
    let left: Vec<_> = left.iter().filter(|(_, text)| text.contains(address)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(engine.verify().await.unwrap(), []);
}

async fn who_was_erased_and_buys_again_gets_a_mail_once_their_event_comes(database: TestDatabase) {
    who_was_erased_and_buys_again_gets_their_mail(database, "none").await;
}

async fn who_was_erased_and_buys_again_gets_a_mail_when_they_are_looked_up(database: TestDatabase) {
    who_was_erased_and_buys_again_gets_their_mail(database, "read").await;
}

async fn the_sandbox_and_the_live_account_stand_side_by_side(database: TestDatabase) {
    let shop = Shop::open(database, "none").await;
    let now = shop.harness.engine.now();
    for (secret, email) in [(LIVE_SECRET, "buyer@example.com"), (SANDBOX_SECRET, "tester@example.com")] {
        shop.deliver(secret, &purchase("same", now)).await;
        shop.deliver(secret, &customer(email, now)).await;
    }
    shop.harness.settle().await;
    assert_eq!(shop.states("live", "sub_same").await.len(), 1);
    assert_eq!(shop.states("sandbox", "sub_same").await.len(), 1);
    assert_eq!(shop.mailed_to().await, ["buyer@example.com", "tester@example.com"]);
    let connections = shop.harness.engine.connections().await.unwrap();
    let at_paddle = connections.iter().filter(|each| each.provider.info().slug == "paddle");
    let mut bases: Vec<_> = at_paddle.map(|each| (each.code.as_str(), each.api_base.as_str())).collect();
    bases.sort_unstable();
    assert_eq!(bases, [("live", "https://api.paddle.com"), ("sandbox", "https://sandbox-api.paddle.com")]);
}

async fn cancelling_one_subscription_leaves_the_customers_other_alone(database: TestDatabase) {
    let shop = Shop::open(database, "none").await;
    let now = shop.harness.engine.now();
    shop.deliver(LIVE_SECRET, &customer("ada@example.com", now)).await;
    for name in ["kept", "ended"] {
        shop.deliver(LIVE_SECRET, &purchase(name, now)).await;
    }
    let canceled = json!({ "id": "sub_ended", "status": "canceled", "customer_id": "ctm_ada", "canceled_at": now });
    shop.deliver(LIVE_SECRET, &event("canceled", "subscription.canceled", now, canceled)).await;
    // A subscription that nobody bought here says nothing about anybody's license.
    let foreign = json!({ "id": "sub_foreign", "status": "canceled", "customer_id": "ctm_ada" });
    shop.deliver(LIVE_SECRET, &event("foreign", "subscription.canceled", now, foreign)).await;
    shop.harness.clock.advance(SignedDuration::from_hours(31 * 24));
    shop.harness.settle().await;
    assert_eq!(shop.states("live", "sub_ended").await, [LicenseState::Expired]);
    assert_eq!(shop.states("live", "sub_kept").await, [LicenseState::Active], "in its grace");
    assert_eq!(shop.states("live", "sub_foreign").await, []);
}

async fn lost_webhooks_are_found_in_paddles_list(database: TestDatabase) {
    let shop = Shop::open(database, "read").await;
    let begun = shop.harness.engine.now();
    shop.harness.engine.catch_up().await.unwrap();
    shop.paddle.asked();
    let at = |minutes: i64| begun + SignedDuration::from_mins(minutes);
    let day_before = -24 * 60;
    let happened = [
        purchase("third", at(50)),
        event("noise", "transaction.paid", at(40), json!({})),
        purchase("second", at(30)),
        purchase("first", at(20)),
        purchase("long_ago", at(day_before)),
        purchase("longer_ago", at(day_before - 1)),
    ];
    shop.paddle.events.lock().unwrap().extend(happened);
    shop.harness.clock.advance(SignedDuration::from_hours(1));
    while shop.harness.engine.catch_up().await.unwrap() {
        shop.harness.settle().await;
        shop.harness.clock.advance(SignedDuration::from_secs(1));
    }
    shop.harness.settle().await;
    for (name, licenses) in [("first", 1), ("second", 1), ("third", 1), ("long_ago", 0), ("longer_ago", 0)] {
        assert_eq!(shop.states("live", &format!("sub_{name}")).await.len(), licenses, "{name}");
    }
    let pages = shop.paddle.asked().into_iter().filter(|path| path.starts_with("/events?")).count();
    assert_eq!(pages, 3, "the third reaches back behind what is wanted");
}

async fn an_old_sale_of_a_known_buyer_mails_nobody_while_paddle_is_down(database: TestDatabase) {
    let shop = Shop::open(database, "read").await;
    let begun = shop.harness.engine.now();
    shop.harness.engine.catch_up().await.unwrap();
    shop.deliver(LIVE_SECRET, &customer("ada@example.com", begun)).await;
    shop.harness.settle().await;
    shop.paddle.events.lock().unwrap().push(purchase("old", begun + SignedDuration::from_hours(1)));
    shop.harness.clock.advance(SignedDuration::from_hours(5 * 24));
    for refuses in [Some(503), None] {
        *shop.paddle.refuses.lock().unwrap() = refuses;
        while shop.harness.engine.catch_up().await.unwrap() {}
        shop.harness.settle().await;
        shop.harness.clock.advance(SignedDuration::from_hours(1));
        let mails = shop.harness.engine.store.mails(shop.harness.tenant.0, 100).await.unwrap();
        let held: Vec<_> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.status.as_str())).collect();
        assert_eq!(held, [("ada@example.com", "held")], "{refuses:?}");
    }
}

async fn an_account_is_connected_with_one_command(database: TestDatabase) {
    let shop = Shop::open(database, "none").await;
    let asked = Connect {
        tenant: shop.harness.tenant,
        tenant_slug: DEFAULT_TENANT.to_owned(),
        code: "another".to_owned(),
        provider: "paddle".to_owned(),
        mode: Mode::Test,
        level: Level::Read,
        api_key: "pdl_sdbx_apikey_1".into(),
        api_base: None,
        server: Some("https://keys.example".to_owned()),
    };
    let connected = shop.harness.engine.connect(&asked, "test").await.unwrap();
    assert_eq!((connected.webhook.as_deref(), connected.check), (Some("ntfset_1"), KeyCheck::default()));
    shop.deliver(MADE_SECRET, &customer("ada@example.com", shop.harness.engine.now())).await;
}

/// A subscription that began elsewhere has no transaction here. What becomes of it counts all the same.
async fn an_imported_subscription_goes_on_as_any_other(database: TestDatabase) {
    let shop = Shop::open(database, "none").await;
    let now = shop.harness.engine.now();
    let day = |count: i64| now + SignedDuration::from_hours(24 * count);
    for (name, becomes, expected) in [
        ("kept", json!({ "status": "active" }), LicenseState::Active),
        (
            "due",
            json!({ "status": "past_due", "current_billing_period": { "starts_at": day(-1), "ends_at": day(29) } }),
            LicenseState::Active,
        ),
        (
            "paused",
            json!({ "status": "paused", "current_billing_period": null, "paused_at": now }),
            LicenseState::Frozen,
        ),
        (
            "over",
            json!({ "status": "canceled", "current_billing_period": null, "canceled_at": now }),
            LicenseState::Active,
        ),
    ] {
        let snapshot = |more: &Value| {
            let mut snapshot = json!({
                "id": format!("sub_{name}"), "customer_id": "ctm_ada", "collection_mode": "automatic", "status": "active",
                "started_at": day(-90), "current_billing_period": { "starts_at": day(-10), "ends_at": day(20) },
                "items": [{ "quantity": 1, "recurring": true, "price": { "id": "pri_1", "billing_cycle": {} } }]
            });
            for (field, value) in more.as_object().unwrap() {
                snapshot[field] = value.clone();
            }
            snapshot
        };
        let imported = event(&format!("{name}_imported"), "subscription.imported", day(-2), snapshot(&json!({})));
        shop.deliver(LIVE_SECRET, &imported).await;
        shop.harness.settle().await;
        assert_eq!(shop.states("live", &format!("sub_{name}")).await, [LicenseState::Active], "{name}");
        let kind = if name == "over" { "subscription.canceled" } else { "subscription.updated" };
        shop.deliver(LIVE_SECRET, &event(&format!("{name}_then"), kind, now, snapshot(&becomes))).await;
        shop.harness.settle().await;
        assert_eq!(shop.states("live", &format!("sub_{name}")).await, [expected], "{name}");
    }
}

on_both_databases! {
    imported: an_imported_subscription_goes_on_as_any_other;
    an_account_is_connected: an_account_is_connected_with_one_command;
    without_a_key: without_a_key_the_mail_waits_for_the_customers_own_event;
    buys_again: who_was_erased_and_buys_again_gets_a_mail_once_their_event_comes;
    buys_again_looked_up: who_was_erased_and_buys_again_gets_a_mail_when_they_are_looked_up;
    paddle_is_down: a_paid_order_has_its_license_while_paddle_is_down;
    another_key: what_a_key_was_refused_is_asked_again_with_another_one;
    the_key_was_refused: what_the_key_was_refused_is_asked_again_when_the_event_is_played_again;
    an_old_sale: an_old_sale_of_a_known_buyer_mails_nobody_while_paddle_is_down;
    with_a_key: with_a_key_paddle_is_answered_before_the_buyer_is_looked_up;
    sandbox_and_live: the_sandbox_and_the_live_account_stand_side_by_side;
    one_of_two_subscriptions: cancelling_one_subscription_leaves_the_customers_other_alone;
    lost_webhooks: lost_webhooks_are_found_in_paddles_list;
}
