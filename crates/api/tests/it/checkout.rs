//! `POST /api/{tenant}/checkout`: who may, what is made at Stripe, how often, and what becomes of it.

use axum::http::StatusCode;
use crypto::token::ApiKeyKind;
use engine::{accounts::AccountStatus, api_keys::Scope, rulings::By};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::{
    connected_accounts::{PLATFORM_SECRETS, about, apply, connect, deliver, make_platform, waiting},
    shop::{Answer, Shop, event},
};

/// Where checkouts are opened.
pub(crate) const CHECKOUT: &str = "/api/vendor/checkout";
/// The vendor's account at Stripe.
pub(crate) const ACCOUNT: &str = "acct_vendor";

pub(crate) const VENDOR: &str = r#"
    tenant = { slug = "vendor" }
    product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
    plan = [{ code = "free", product = "studio", name = "Free" }]
"#;

/// A platform with a vendor who sells two plans.
pub(crate) struct Market {
    pub(crate) shop: Shop,
    /// May do everything, and may only open checkouts.
    pub(crate) admin: String,
    pub(crate) key: String,
}

impl Market {
    pub(crate) async fn open(database: TestDatabase) -> Self {
        let market = Self::without_account(database).await;
        connect(&market.shop, "vendor", ACCOUNT, "live").await;
        market.set_prices().await;
        market
    }

    pub(crate) async fn without_account(database: TestDatabase) -> Self {
        let shop = Shop::open(database).await;
        make_platform(&shop, "live").await;
        apply(&shop, VENDOR).await.unwrap();
        let tenant = shop.engine.tenant("vendor").await.unwrap().unwrap();
        let key = async |name, kind, scopes: &[Scope]| {
            let (_, key) = shop.engine.create_api_key(tenant, name, kind, scopes, "test").await.unwrap();
            key.reveal().as_str().to_owned()
        };
        let admin = key("admin", ApiKeyKind::Live, &[Scope::Admin]).await;
        let key = key("checkout", ApiKeyKind::Checkout, &[]).await;
        Self { shop, admin, key }
    }

    pub(crate) async fn set_prices(&self) {
        self.price("lifetime", json!({ "amount": 4900, "currency": "EUR" })).await;
        self.shop.engine.call_providers().await.unwrap();
        self.price("monthly", json!({ "amount": 900, "currency": "USD", "interval": "month" })).await;
        self.shop.engine.call_providers().await.unwrap();
    }

    /// Sets the price of a plan that allows seven devices for ten days.
    pub(crate) async fn price(&self, plan: &str, price: Value) {
        let plan = json!({
            "code": plan, "product": "studio", "name": "Studio for you", "price": price,
            "limits": { "activations": 7 }, "duration_days": 10
        });
        self.shop.call("POST", "/v1/plans").key(&self.admin).json(plan).succeed().await;
    }

    pub(crate) async fn ask(&self, body: Value) -> Answer {
        self.shop.call("POST", CHECKOUT).key(&self.key).json(body).send().await
    }

    pub(crate) async fn licenses(&self, key: &str) -> Value {
        self.shop.call("GET", "/v1/licenses").key(key).succeed().await
    }
}

pub(crate) fn body(plan: &str) -> Value {
    json!({
        "product_id": "studio", "key_type_id": plan, "success_url": "https://yourapp.com/thanks?s={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://yourapp.com/pricing", "customer_email": "buyer@example.com"
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut body = body("lifetime");
    match value {
        Value::Null => _ = body.as_object_mut().unwrap().remove(field),
        value => body[field] = value,
    }
    body
}

#[tokio::test]
async fn a_buyer_is_sent_to_a_page_of_the_vendors_own_account() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let before = market.shop.posted().len();
    let answer = market.ask(body("lifetime")).await;
    assert_eq!(answer.json(), json!({ "url": "https://checkout.stripe.com/c/pay/cs_made_1#fid" }));
    let answer = market.ask(body("monthly")).await;
    assert_eq!(answer.json(), json!({ "url": "https://checkout.stripe.com/c/pay/cs_made_2#fid" }));
    let [once, monthly] = &market.shop.posted()[before..] else { panic!("two calls") };
    let common = "line_items[0][quantity]=1&success_url=https%3A%2F%2Fyourapp.com%2Fthanks%3Fs%3D%7BCHECKOUT_SESSION_ID%7D\
        &cancel_url=https%3A%2F%2Fyourapp.com%2Fpricing&metadata[product_id]=studio";
    // Half a percent of 49.00 is 24.5 cents, rounded up.
    assert_eq!(
        once.body,
        format!(
            "mode=payment&line_items[0][price]=price_made_1&{common}&metadata[key_type_id]=lifetime\
             &customer_email=buyer%40example.com&payment_intent_data[application_fee_amount]=25"
        )
    );
    assert_eq!(
        monthly.body,
        format!(
            "mode=subscription&line_items[0][price]=price_made_2&{common}&metadata[key_type_id]=monthly\
             &customer_email=buyer%40example.com&subscription_data[application_fee_percent]=0.5"
        )
    );
    for call in [once, monthly] {
        assert_eq!((call.account.as_deref(), call.path.as_str()), (Some(ACCOUNT), "/v1/checkout/sessions"));
        assert!(call.idempotency_key.as_ref().unwrap().starts_with("keywright-checkout-"));
    }
    assert_ne!(once.idempotency_key, monthly.idempotency_key);
}

#[tokio::test]
async fn the_operator_says_what_the_platforms_share_is() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    for (fee, once, monthly) in [
        (250, "application_fee_amount]=123", "application_fee_percent]=2.5"),
        (1, "customer_email=buyer%40example.com", "application_fee_percent]=0.01"),
        (0, "customer_email=buyer%40example.com", "customer_email=buyer%40example.com"),
    ] {
        let text = format!(
            r#"tenant = {{ slug = "vendor" }}
            connection = [{{ code = "connected-live", provider = "stripe", mode = "live", level = "read",
                account = "{ACCOUNT}", fee_ten_thousandths = {fee} }}]"#
        );
        apply(&market.shop, &text).await.unwrap();
        for (plan, expected) in [("lifetime", once), ("monthly", monthly)] {
            assert_eq!(market.ask(body(plan)).await.status, StatusCode::OK);
            let posted = market.shop.posted().pop().unwrap().body;
            assert!(posted.ends_with(expected), "{fee} {plan}: {posted}");
        }
    }
}

#[tokio::test]
async fn a_vendors_own_key_sells_without_a_platform() {
    let shop = Shop::sqlite().await;
    let plan = json!({
        "code": "lifetime", "product": "studio", "name": "Studio", "price": { "amount": 4900, "currency": "EUR" }
    });
    shop.post("/v1/plans", plan).await;
    shop.engine.call_providers().await.unwrap();
    let key = shop.key("checkout", ApiKeyKind::Checkout, &[]).await;
    let answer = shop.call("POST", "/api/default/checkout").key(&key).json(body("lifetime")).succeed().await;
    assert_eq!(answer, json!({ "url": "https://checkout.stripe.com/c/pay/cs_made_1#fid" }));
    let posted = shop.posted().pop().unwrap();
    assert_eq!(posted.account, None);
    assert!(!posted.body.contains("application_fee"), "{}", posted.body);
}

#[tokio::test]
async fn a_disconnected_account_leaves_the_selling_to_the_vendors_own_key() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let own = r#"tenant = { slug = "vendor" }
        connection = [{ code = "own", provider = "stripe", mode = "live", level = "read", api_key = "env:KEY" }]"#;
    apply(&market.shop, own).await.unwrap();
    market.shop.engine.call_providers().await.unwrap();
    let account = async || {
        assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
        market.shop.posted().pop().unwrap().account
    };
    assert_eq!(account().await.as_deref(), Some(ACCOUNT));
    let gone = event("evt_gone", "account.application.deauthorized", true, json!({ "id": "ca_1" }));
    assert!(market.shop.posted().iter().all(|call| call.account.is_some()), "their own key makes nothing meanwhile");
    assert_eq!(deliver(&market.shop, PLATFORM_SECRETS[0], &about(ACCOUNT, gone)).await, 200);
    assert_eq!(market.ask(body("lifetime")).await.status.as_u16(), 503, "its prices are being made");
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(account().await, None);
}

#[tokio::test]
async fn the_mode_of_the_checkout_key_says_whose_money_it_is() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let tenant = market.shop.engine.tenant("vendor").await.unwrap().unwrap();
    let test = market.shop.engine.create_api_key(tenant, "try", ApiKeyKind::TestCheckout, &[], "test").await.unwrap();
    let test = test.1.reveal().as_str().to_owned();
    let mut here = body("lifetime");
    here["success_url"] = json!("http://localhost:3000/thanks");
    let ask = async |key: &str| market.shop.call("POST", CHECKOUT).key(key).json(here.clone()).send().await;
    let refused = ask(&test).await;
    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text);
    assert!(refused.text.contains("there is no test one"), "{}", refused.text);

    let own = r#"tenant = { slug = "vendor" }
        connection = [{ code = "own-test", provider = "stripe", mode = "test", level = "read", api_key = "env:KEY" }]"#;
    apply(&market.shop, own).await.unwrap();
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(ask(&test).await.status, StatusCode::OK, "the vendor sells live, and tries things out beside it");
    assert_eq!(market.shop.posted().pop().unwrap().account, None);
    assert_eq!(ask(&market.key).await.status.as_u16(), 400, "real buyers come back over https");
    assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
    assert_eq!(market.shop.posted().pop().unwrap().account.as_deref(), Some(ACCOUNT));
}

#[tokio::test]
async fn product_and_plan_are_named_by_code_or_id() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let id_of = async |path: &str, code: &str| {
        let list = market.shop.call("GET", path).key(&market.admin).succeed().await;
        let row = list["data"].as_array().unwrap().iter().find(|row| row["code"] == code).unwrap().clone();
        row["id"].clone()
    };
    let mut named = body("lifetime");
    named["product_id"] = id_of("/v1/products", "studio").await;
    named["key_type_id"] = id_of("/v1/plans", "lifetime").await;
    assert_eq!(market.ask(named).await.status, StatusCode::OK);
    let posted = market.shop.posted().pop().unwrap().body;
    assert!(posted.contains("metadata[product_id]=studio&metadata[key_type_id]=lifetime"), "the sale names codes");
}

#[tokio::test]
async fn what_is_refused_and_in_which_words() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let before = market.shop.posted().len();
    let ours = market.shop.key("ours", ApiKeyKind::Checkout, &[]).await;
    let unknown = market.shop.engine.generate_api_key(ApiKeyKind::Checkout).reveal().as_str().to_owned();
    let key = market.key.as_str();
    for (what, key, body, status, words) in [
        ("no key", None, body("lifetime"), 401, "Authorization: Bearer kw_checkout_"),
        ("an unknown key", Some(unknown.as_str()), body("lifetime"), 401, "not known"),
        ("another tenant's key", Some(&ours), body("lifetime"), 401, "no checkout key of `vendor`"),
        ("an admin key", Some(&market.admin), body("lifetime"), 401, "kw_checkout_"),
        ("no product", Some(key), with("product_id", Value::Null), 400, "product_id"),
        ("something more", Some(key), with("quantity", json!(2)), 400, "quantity"),
        ("no address", Some(key), with("customer_email", json!("nobody")), 400, "customer_email"),
        ("a page over http", Some(key), with("success_url", json!("http://yourapp.com/")), 400, "success_url"),
        ("no page", Some(key), with("cancel_url", json!("/pricing")), 400, "cancel_url"),
        ("a page on this machine", Some(key), with("success_url", json!("http://localhost:3000/")), 400, "test"),
        ("no such product", Some(key), with("product_id", json!("other")), 422, "there are `studio`"),
        ("no such plan", Some(key), body("forever"), 422, "there are `free`, `lifetime`, `monthly`"),
        ("a plan without a price", Some(key), body("free"), 422, "set `price` on it"),
    ] {
        let call = market.shop.call("POST", CHECKOUT);
        let call = if let Some(key) = key { call.key(key) } else { call };
        let answer = call.json(body).send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        assert!(answer.text.contains(words), "{what}: {}", answer.text);
    }
    let missing = market.shop.call("POST", "/api/nobody/checkout").key(key).json(body("lifetime")).refused().await;
    assert_eq!(missing.0, 401, "whether there is such a tenant is nobody's business");
    assert_eq!(market.shop.posted().len(), before, "Stripe hears of none of it");

    market.shop.stripe_answers(400, json!({ "error": { "message": "Your account cannot make charges." } }));
    let refused = market.ask(body("lifetime")).await;
    assert_eq!(refused.status.as_u16(), 502);
    assert!(refused.text.contains("Your account cannot make charges."), "{}", refused.text);
}

#[tokio::test]
async fn an_account_that_is_not_connected_or_may_not_sell_opens_none() {
    let market = Market::without_account(TestDatabase::sqlite().await).await;
    let by = By { actor: "test".to_owned(), note: None };
    let refused = async |words: &str| {
        let answer = market.ask(body("lifetime")).await;
        assert_eq!(answer.status.as_u16(), 409, "{}", answer.text);
        assert!(answer.text.contains(words), "{}", answer.text);
    };
    market.set_prices().await;
    refused("reconnect via Connect: there is no live one; POST /v1/connect with a live key makes one").await;
    assert_eq!(market.shop.posted(), [], "nobody sells, so there are no prices");
    connect(&market.shop, "vendor", ACCOUNT, "live").await;
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
    for status in [AccountStatus::Suspended, AccountStatus::Closed] {
        market.shop.engine.set_account_status("vendor", status, &by).await.unwrap();
        refused(status.as_str()).await;
    }
    market.shop.engine.set_account_status("vendor", AccountStatus::Active, &by).await.unwrap();
    assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
    let gone = event("evt_gone", "account.application.deauthorized", true, json!({ "id": "ca_1" }));
    assert_eq!(deliver(&market.shop, PLATFORM_SECRETS[0], &about(ACCOUNT, gone)).await, 200);
    refused("POST /v1/connect with the code `connected-live` takes it up again").await;
}

#[tokio::test]
async fn twenty_in_a_minute_whichever_node_is_asked_on_sqlite() {
    twenty_in_a_minute(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn twenty_in_a_minute_whichever_node_is_asked_on_postgres() {
    twenty_in_a_minute(TestDatabase::postgres().await).await;
}

async fn twenty_in_a_minute(database: TestDatabase) {
    let market = Market::open(database).await;
    let peer = market.shop.peer();
    let routers = [&market.shop.router, &peer];
    let calls = (0..30).map(|number| {
        let call = market.shop.call("POST", CHECKOUT).at(routers[number % 2]).key(&market.key);
        call.json(body("lifetime")).send()
    });
    let answers = futures::future::join_all(calls).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status.as_u16() == status).count();
    assert_eq!((count(200), count(429)), (20, 10));
    let refused = answers.iter().find(|answer| answer.status.as_u16() == 429).unwrap();
    assert!(refused.text.contains("20 checkouts a minute"), "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "60", "the oldest of them is new");
    // No minute of the clock begins another twenty: whichever node is asked, the oldest has to be a minute old.
    market.shop.clock.advance(SignedDuration::from_secs(59));
    for router in routers {
        let call = market.shop.call("POST", CHECKOUT).at(router).key(&market.key);
        let refused = call.json(body("lifetime")).send().await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"));
    }
    market.shop.clock.advance(SignedDuration::from_secs(1));
    for _ in 0..20 {
        assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
    }
    assert_eq!(market.ask(body("lifetime")).await.status.as_u16(), 429);
}

#[tokio::test]
async fn a_call_that_is_made_again_opens_the_same_checkout() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let ask = async || {
        let call = market.shop.call("POST", CHECKOUT).key(&market.key).header("idempotency-key", "order-7");
        call.json(body("lifetime")).send().await
    };
    // What Stripe did not answer is asked again under the same name.
    market.shop.stripe_answers(500, json!({}));
    assert_eq!(ask().await.status.as_u16(), 502);
    let (first, second) = (ask().await, ask().await);
    assert_eq!((first.status, first.text.as_str()), (StatusCode::OK, second.text.as_str()));
    assert_eq!(second.header("idempotency-replayed"), "true");
    let posted = market.shop.posted();
    let checkouts: Vec<_> = posted.iter().filter(|call| call.path == "/v1/checkout/sessions").collect();
    assert_eq!(checkouts.len(), 2);
    assert_eq!(checkouts[0].idempotency_key, checkouts[1].idempotency_key);
}

#[tokio::test]
async fn a_vendor_makes_checkout_keys_alone_and_revokes_them() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let tenant = market.shop.engine.tenant("vendor").await.unwrap().unwrap();
    let (_, test) =
        market.shop.engine.create_api_key(tenant, "test", ApiKeyKind::Test, &[Scope::Admin], "test").await.unwrap();
    let test = test.reveal().as_str().to_owned();
    let make = async |key: &str, body: Value| market.shop.call("POST", "/v1/api-keys").key(key).json(body).send().await;
    let shop = json!({ "name": "shop", "kind": "checkout" });
    let made = make(&market.admin, shop.clone()).await;
    assert_eq!(
        (made.status, &made.json()["kind"], &made.json()["livemode"]),
        (StatusCode::CREATED, &json!("checkout"), &json!(true))
    );
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let tried = make(&test, json!({ "name": "try", "kind": "checkout" })).await.json();
    assert!(key.starts_with("kw_checkout_") && tried["key"].as_str().unwrap().starts_with("kw_checkout_test_"));
    assert_eq!((&tried["kind"], &tried["livemode"]), (&json!("checkout_test"), &json!(false)));
    let ask = async || market.shop.call("POST", CHECKOUT).key(&key).json(body("lifetime")).send().await.status.as_u16();
    assert_eq!(ask().await, 200);

    for (what, body, status) in [
        ("its name is taken", shop, 409),
        ("no name", json!({ "name": " ", "kind": "checkout" }), 400),
        ("a key that may do more", json!({ "name": "more", "kind": "live" }), 400),
        ("a scope", json!({ "name": "more", "kind": "checkout", "scopes": ["admin"] }), 400),
    ] {
        let refused = make(&market.admin, body).await;
        assert_eq!(refused.status.as_u16(), status, "{what}: {}", refused.text);
    }

    let names = async |key: &str| {
        let list = market.shop.call("GET", "/v1/api-keys").key(key).succeed().await;
        assert!(!list.to_string().contains("kw_"), "{list}");
        let names = list["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&market.admin).await, ["admin", "checkout", "shop"].map(str::to_owned).into());
    assert_eq!(names(&test).await, ["test", "try"].map(str::to_owned).into());

    let path = format!("/v1/api-keys/{}", made.json()["id"].as_str().unwrap());
    let revoke = async |key: &str| market.shop.call("DELETE", &path).key(key).send().await;
    assert_eq!(revoke(&test).await.status.as_u16(), 404, "it is of the other mode");
    assert_eq!(revoke(&market.shop.live).await.status.as_u16(), 404, "it is another tenant's");
    assert_eq!(ask().await, 200);
    assert_ne!(revoke(&market.admin).await.json()["revoked_at"], Value::Null);
    assert_eq!(ask().await, 401);
    let audit = market.shop.call("GET", "/v1/audit-entries").key(&market.admin).succeed().await.to_string();
    assert!(audit.contains("api_key.created") && audit.contains("api_key.revoked"), "{audit}");
}

/// The event that somebody paid a checkout that was opened here.
fn paid(checkout: &str, body: &str) -> Value {
    let field = |name: &str| {
        let found = body.split('&').find_map(|field| field.strip_prefix(&format!("{name}=")));
        found.unwrap_or_default().to_owned()
    };
    let session = json!({
        "id": checkout, "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 4900, "currency": "eur", "created": crate::shop::NOW - 60,
        "payment_intent": format!("pi_{checkout}"), "customer_details": { "email": "buyer@example.com" },
        "metadata": { "product_id": field("metadata[product_id]"), "key_type_id": field("metadata[key_type_id]") }
    });
    event(&format!("evt_{checkout}"), "checkout.session.completed", true, session)
}

#[tokio::test]
async fn a_checkout_that_is_paid_becomes_a_license_with_the_limits_of_its_plan_on_sqlite() {
    a_paid_checkout(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn a_checkout_that_is_paid_becomes_a_license_with_the_limits_of_its_plan_on_postgres() {
    a_paid_checkout(TestDatabase::postgres().await).await;
}

async fn a_paid_checkout(database: TestDatabase) {
    let market = Market::open(database).await;
    assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
    let opened = market.shop.posted().pop().unwrap();
    let event = about(ACCOUNT, paid("cs_made_1", &opened.body));
    assert_eq!(deliver(&market.shop, PLATFORM_SECRETS[0], &event).await, 200);
    let licenses = market.licenses(&market.admin).await;
    let [license] = &licenses["data"].as_array().unwrap()[..] else { panic!("one license: {licenses}") };
    assert_eq!((&license["state"], &license["livemode"]), (&json!("active"), &json!(true)));
    assert_eq!((&license["plan"]["code"], &license["limits"]["activations"]), (&json!("lifetime"), &json!(7)));
    assert_eq!(license["expires_at"], "2026-11-30T23:59:00Z", "ten days from when it was paid");
    assert_eq!(market.licenses(&market.shop.live).await["data"], json!([]), "the other tenant has none");
    assert_eq!(waiting(&market.shop, &market.admin).await, [] as [String; 0]);
}
