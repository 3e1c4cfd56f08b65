//! Prices that are made at Stripe, what a checkout says while one is not there, and when it is asked for again.

use axum::http::StatusCode;
use crypto::token::ApiKeyKind;
use engine::api_keys::Scope;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::{
    checkout::{ACCOUNT, CHECKOUT, Market, VENDOR, body},
    connected_accounts::{connect, waiting},
    shop::ids,
};

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
