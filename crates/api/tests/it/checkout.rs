//! `POST /api/{tenant}/checkout`: who may, what is made at Stripe, how often, and what becomes of it.

use axum::http::StatusCode;
use crypto::token::ApiKeyKind;
use engine::{accounts::AccountStatus, api_keys::Scope, rulings::By};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::{
    connected_accounts::{PLATFORM_SECRETS, about, apply, connect, deliver, make_platform, waiting},
    shop::{Answer, Shop, event, ids},
};

/// Where checkouts are opened.
const CHECKOUT: &str = "/api/vendor/checkout";
/// The vendor's account at Stripe.
const ACCOUNT: &str = "acct_vendor";

const VENDOR: &str = r#"
    tenant = { slug = "vendor" }
    product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
    plan = [{ code = "free", product = "studio", name = "Free" }]
"#;

/// A platform with a vendor who sells two plans.
struct Market {
    shop: Shop,
    /// May do everything, and may only open checkouts.
    admin: String,
    key: String,
}

impl Market {
    async fn open(database: TestDatabase) -> Self {
        let market = Self::without_account(database).await;
        connect(&market.shop, "vendor", ACCOUNT, "live").await;
        market.set_prices().await;
        market
    }

    async fn without_account(database: TestDatabase) -> Self {
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

    async fn set_prices(&self) {
        self.price("lifetime", json!({ "amount": 4900, "currency": "EUR" })).await;
        self.shop.engine.call_providers().await.unwrap();
        self.price("monthly", json!({ "amount": 900, "currency": "USD", "interval": "month" })).await;
        self.shop.engine.call_providers().await.unwrap();
    }

    /// Sets the price of a plan that allows seven devices for ten days.
    async fn price(&self, plan: &str, price: Value) {
        let plan = json!({
            "code": plan, "product": "studio", "name": "Studio for you", "price": price,
            "limits": { "activations": 7 }, "duration_days": 10
        });
        self.shop.call("POST", "/v1/plans").key(&self.admin).json(plan).succeed().await;
    }

    async fn ask(&self, body: Value) -> Answer {
        self.shop.call("POST", CHECKOUT).key(&self.key).json(body).send().await
    }

    async fn licenses(&self, key: &str) -> Value {
        self.shop.call("GET", "/v1/licenses").key(key).succeed().await
    }
}

fn body(plan: &str) -> Value {
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
async fn a_test_key_changes_no_price_that_live_buyers_pay() {
    let market = Market::without_account(TestDatabase::sqlite().await).await;
    let tenant = market.shop.engine.tenant("vendor").await.unwrap().unwrap();
    let (_, test) =
        market.shop.engine.create_api_key(tenant, "test", ApiKeyKind::Test, &[Scope::Admin], "test").await.unwrap();
    let test = test.reveal().as_str().to_owned();
    let save = async |price: Value, days: u32| {
        let plan = json!({
            "code": "lifetime", "product": "studio", "name": "Studio", "price": price, "duration_days": days
        });
        market.shop.call("POST", "/v1/plans").key(&test).json(plan).send().await
    };
    let (cheap, dear) = (json!({ "amount": 100, "currency": "EUR" }), json!({ "amount": 4900, "currency": "EUR" }));
    assert_eq!(save(dear.clone(), 10).await.status, StatusCode::CREATED, "nobody sells live yet");
    connect(&market.shop, "vendor", "acct_test", "live").await;
    market.shop.engine.call_providers().await.unwrap();
    let before = market.shop.posted();
    for price in [cheap, Value::Null, json!({ "amount": 4900, "currency": "EUR", "interval": "year" })] {
        let refused = save(price, 10).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
        assert!(refused.text.contains("Use a live key"), "{}", refused.text);
    }
    assert_eq!(save(dear, 20).await.status, StatusCode::OK, "what is no price belongs to both modes");
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(market.shop.posted(), before, "Stripe hears of none of it");
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
async fn what_stripe_refused_is_another_call_once_it_is_set_right() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let ask = async || {
        let call = market.shop.call("POST", CHECKOUT).key(&market.key).header("idempotency-key", "order-7");
        call.json(body("lifetime")).send().await
    };
    market.shop.stripe_answers(403, json!({ "error": { "message": "The key may not open checkouts." } }));
    assert_eq!(ask().await.status.as_u16(), 502);
    let (first, second) = (ask().await, ask().await);
    assert_eq!((first.status, first.text.as_str()), (StatusCode::OK, second.text.as_str()));
    let posted = market.shop.posted();
    let checkouts: Vec<_> = posted.iter().filter(|call| call.path == "/v1/checkout/sessions").collect();
    assert_eq!(checkouts.len(), 2);
    assert_ne!(checkouts[0].idempotency_key, checkouts[1].idempotency_key, "Stripe may keep its refusal for a day");
}

#[tokio::test]
async fn a_checkout_says_what_its_price_waits_for() {
    let market = Market::without_account(TestDatabase::sqlite().await).await;
    market.price("lifetime", json!({ "amount": 4900, "currency": "EUR" })).await;
    let shown = async || {
        let plans = market.shop.call("GET", "/v1/plans").key(&market.admin).succeed().await;
        let plans = plans["data"].as_array().unwrap().clone().into_iter();
        plans.filter(|plan| plan["code"] == "lifetime").map(|plan| plan["prices"].clone()).next().unwrap()
    };
    let ask = async |status: u16, words: &str| {
        let answer = market.ask(body("lifetime")).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
        answer.header("retry-after").to_owned()
    };
    assert_eq!(shown().await, json!([]), "nobody sells");
    connect(&market.shop, "vendor", ACCOUNT, "live").await;
    ask(503, "is being made at Stripe; ask again in a moment").await;
    let of = |status: &str, reference: Value, problem: Value| {
        json!([{
            "connection": "connected-live", "livemode": true, "status": status, "reference": reference, "problem": problem
        }])
    };
    assert_eq!(shown().await, of("waiting", Value::Null, Value::Null));
    // Its platform's key is not taken, by the connection as it is kept and by the one that is read anew.
    let unknown = json!({ "error": { "message": "Invalid API Key provided" } });
    market.shop.stripe_answers(401, unknown);
    market.shop.engine.call_providers().await.unwrap();
    let words = "the provider answers 401: Invalid API Key provided; set a key that the provider takes";
    let seconds: u64 = ask(503, words).await.parse().unwrap();
    assert!(seconds > 0, "until it is tried again");
    assert_eq!(shown().await, of("waiting", Value::Null, json!(words)));
    market.shop.clock.advance(SignedDuration::from_secs(seconds.cast_signed()));
    market.shop.engine.call_providers().await.unwrap();
    ask(200, "https://checkout.stripe.com/").await;
    assert_eq!(shown().await, of("made", json!("price_made_2"), Value::Null));
}

#[tokio::test]
async fn a_refusal_is_over_once_the_vendor_has_set_it_right() {
    let market = Market::without_account(TestDatabase::sqlite().await).await;
    let ask = async || {
        let call = market.shop.call("POST", CHECKOUT).key(&market.key).header("idempotency-key", "order-7");
        call.json(body("lifetime")).send().await.status.as_u16()
    };
    assert_eq!(ask().await, 422, "there is no such plan");
    market.set_prices().await;
    assert_eq!(ask().await, 409, "there is no account");
    connect(&market.shop, "vendor", ACCOUNT, "live").await;
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(ask().await, 200);
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

#[tokio::test]
async fn a_price_is_made_once_and_another_takes_its_place() {
    let market = Market::open(TestDatabase::sqlite().await).await;
    let posted = |market: &Market| {
        let calls = market.shop.posted().into_iter();
        calls.map(|call| (call.path, call.body)).collect::<Vec<_>>()
    };
    let made = posted(&market);
    assert_eq!(made.len(), 2, "one for each plan: {made:?}");
    assert_eq!(
        made[0],
        (
            "/v1/prices".to_owned(),
            "currency=eur&unit_amount=4900&product_data[name]=Studio%20for%20you&metadata[plan_code]=lifetime"
                .to_owned()
        )
    );
    assert!(made[1].1.contains("currency=usd") && made[1].1.ends_with("&recurring[interval]=month"), "{made:?}");
    assert!(market.shop.posted().iter().all(|call| call.account.as_deref() == Some(ACCOUNT)));
    let rules = async || {
        let list = market.shop.call("GET", "/v1/price-rules").key(&market.admin).succeed().await;
        let rules = list["data"].as_array().unwrap().clone().into_iter();
        rules.filter(|rule| rule["price"].as_str().is_some_and(|price| price.starts_with("price_made"))).count()
    };
    assert_eq!(rules().await, 2, "other ways to the price find their plan too");
    let file = engine::configuration::ConfigurationFile::parse(VENDOR).unwrap();
    let report = market.shop.engine.apply(&file, &|_: &str| Ok(String::new()), false, "test").await.unwrap();
    assert!(!report.to_string().contains("price_made"), "no file names them, so none has to: {report}");

    market.price("lifetime", json!({ "amount": 4900, "currency": "EUR" })).await;
    assert_eq!(market.shop.engine.call_providers().await.unwrap(), 0, "the same price again is no change");
    market.price("lifetime", json!({ "amount": 5900, "currency": "EUR" })).await;
    let answer = market.ask(body("lifetime")).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"), "{}", answer.text);
    assert_eq!(market.shop.engine.call_providers().await.unwrap(), 2);
    let after = posted(&market);
    assert!(after.contains(&("/v1/prices/price_made_1".to_owned(), "active=false".to_owned())), "{after:?}");
    assert!(after.iter().any(|(path, body)| path == "/v1/prices" && body.contains("unit_amount=5900")), "{after:?}");
    market.ask(body("lifetime")).await;
    let sold = market.shop.posted().pop().unwrap().body;
    assert!(
        sold.contains("line_items[0][price]=price_made_3") && sold.ends_with("application_fee_amount]=30"),
        "{sold}"
    );
    assert_eq!(rules().await, 3, "who still pays the old price is found");
}

#[tokio::test]
async fn a_price_that_stripe_refuses_is_seen_and_made_once_it_can_be() {
    let market = Market::without_account(TestDatabase::sqlite().await).await;
    market.set_prices().await;
    let no = json!({ "error": { "message": "Your account cannot have prices." } });
    market.shop.stripe_answers(403, no.clone());
    market.shop.stripe_answers(403, no);
    connect(&market.shop, "vendor", ACCOUNT, "live").await;
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(waiting(&market.shop, &market.admin).await, ["price_failed", "price_failed"]);
    let answer = market.ask(body("lifetime")).await;
    assert_eq!(answer.status.as_u16(), 422);
    assert!(answer.text.contains("Your account cannot have prices."), "{}", answer.text);
    // The connection changes, and what failed is done.
    let connections = market.shop.call("GET", "/v1/connections").key(&market.admin).succeed().await;
    let is_it = |row: &&Value| row["account"] == ACCOUNT;
    let id = connections["data"].as_array().unwrap().iter().find(is_it).unwrap()["id"].as_str().unwrap().to_owned();
    let change = json!({ "level": "full" });
    let path = format!("/v1/connections/{id}");
    market.shop.call("PATCH", &path).key(&market.admin).json(change).succeed().await;
    market.shop.engine.call_providers().await.unwrap();
    assert_eq!(waiting(&market.shop, &market.admin).await, [] as [String; 0]);
    assert_eq!(market.ask(body("lifetime")).await.status, StatusCode::OK);
    assert_eq!(ids(&market.licenses(&market.admin).await), [] as [String; 0]);
}
