//! What the source documents call by name, called as they call it.

use std::time::Duration;

use engine::receive::Received;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{LIVE_SECRET, NOW, Shop, event, ids, paid};

/// Thirty days, in seconds.
const MONTH: i64 = 30 * 86_400;

/// A refusal: its status, its code, and its document.
async fn refusal(shop: &Shop, method: &str, path: &str, body: Value) -> (u16, String, Value) {
    let answer = shop.call(method, path).key(&shop.live).json(body).send().await;
    let problem = answer.json();
    (answer.status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned(), problem)
}

/// A license of the plan `basic` for somebody, by call.
async fn made(shop: &Shop, email: &str) -> Value {
    shop.post("/api/v1/licenses", json!({ "email": email, "planId": "basic" })).await
}

async fn changed(shop: &Shop, license: &str, body: Value) -> Value {
    shop.clock.advance(SignedDuration::from_secs(1));
    shop.call("PATCH", &format!("/api/v1/licenses/{license}")).key(&shop.live).json(body).succeed().await
}

#[tokio::test]
async fn a_license_is_made_in_the_words_of_either_document_on_sqlite() {
    either_document(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_license_is_made_in_the_words_of_either_document_on_postgres() {
    either_document(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn either_document(shop: Shop) {
    shop.start();
    let first = json!({ "email": "ada@example.com", "planId": "pro", "maxDomains": 25, "features": ["basic", "api"], "monthlyLimit": 1000 });
    let answer = shop.call("POST", "/api/v1/licenses").key(&shop.live).json(first).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = answer.json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(
        (&made["state"], &made["plan"]["code"], &made["metadata"]),
        (&json!("active"), &json!("pro"), &json!({}))
    );
    assert_eq!(
        made["limits"],
        json!({ "activations": 25, "checks_per_month": 1000, "features": ["api", "basic"] }),
        "more than its plan"
    );
    let verdict = shop.call("POST", "/v1/check").json(json!({ "key": key })).succeed().await;
    assert_eq!((&verdict["code"], &verdict["license"]["activations_max"]), (&json!("valid"), &json!(25)));
    assert_eq!(shop.get(&format!("/api/v1/licenses/{id}")).await["id"], id, "all of the API is below /api");

    let second = json!({
        "product_id": "studio", "customer_email": "grace@example.com", "customer_name": "Grace", "tier": "basic",
        "max_domains": 3,
        "metadata": { "paddle_customer_id": "ctm_1", "paddle_subscription_id": null, "paddle_transaction_id": "txn_1" }
    });
    let made = shop.post("/api/v1/licenses", second).await;
    let kept = json!({ "paddle_customer_id": "ctm_1", "paddle_transaction_id": "txn_1" });
    assert_eq!((&made["plan"]["code"], &made["metadata"]), (&json!("basic"), &kept));
    let customer = shop.get(&format!("/v1/customers/{}", made["customer"].as_str().unwrap())).await;
    assert_eq!((&customer["email"], &customer["name"]), (&json!("grace@example.com"), &json!("Grace")));
}

#[tokio::test]
async fn what_no_plan_gives_is_refused_with_what_there_is() {
    let shop = Shop::sqlite().await;
    for (body, param, told) in [
        (json!({ "planId": "gold" }), "tier", "There is no plan `gold`; the plans are `basic`, `pro`."),
        (json!({}), "tier", "The call names no plan; the plans are `basic`, `pro`."),
        (json!({ "tier": "pro", "max_domains": 0 }), "max_domains", "A license allows one domain at least."),
        (json!({ "tier": "pro", "features": [" "] }), "features", "A feature is a word without blanks around it."),
        (json!({ "tier": "pro", "monthlyLimit": 0 }), "monthly_limit", "A license allows one check a month at least."),
        (
            json!({ "tier": "pro", "product_id": "game" }),
            "product_id",
            "There is no product `game`; the products are `studio`.",
        ),
        (json!({ "tier": "pro", "metadata": { "a": [1] } }), "metadata", "`metadata.a` is no text"),
    ] {
        let (status, code, problem) = refusal(&shop, "POST", "/api/v1/licenses", body).await;
        assert_eq!((status, code.as_str()), (422, "unprocessable"), "{problem}");
        assert_eq!(problem["errors"][0]["param"], param, "{problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(told), "{problem}");
    }
    assert_eq!(refusal(&shop, "POST", "/api/v1/licenses", json!({ "plan": "pro", "email": "x" })).await.0, 400);
    assert_eq!(ids(&shop.get("/v1/licenses").await), [] as [String; 0]);
}

#[tokio::test]
async fn a_license_is_changed_and_its_metadata_merges_on_sqlite() {
    change(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_license_is_changed_and_its_metadata_merges_on_postgres() {
    change(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn change(shop: Shop) {
    shop.start();
    let license = made(&shop, "ada@example.com").await["id"].as_str().unwrap().to_owned();
    let upgraded = changed(&shop, &license, json!({ "tier": "pro" })).await;
    assert_eq!((&upgraded["plan"]["code"], &upgraded["rulings"]["plan_changed"]), (&json!("pro"), &json!(true)));
    let metadata = async |body: Value| changed(&shop, &license, json!({ "metadata": body })).await["metadata"].clone();
    assert_eq!(metadata(json!({ "a": "1", "b": 2 })).await, json!({ "a": "1", "b": 2 }));
    assert_eq!(metadata(json!({ "b": 3, "c": true })).await, json!({ "a": "1", "b": 3, "c": true }), "it merges");
    assert_eq!(metadata(json!({ "a": null, "c": null })).await, json!({ "b": 3 }), "null takes away");
    let own = changed(&shop, &license, json!({ "tier": "pro", "max_domains": 9, "features": ["sso"] })).await;
    assert_eq!(own["limits"], json!({ "activations": 9, "checks_per_month": null, "features": ["sso"] }), "its own");
    assert_eq!(changed(&shop, &license, json!({ "max_domains": 10 })).await["limits"]["features"], json!(["sso"]));
    let downgraded = changed(&shop, &license, json!({ "tier": "basic", "max_domains": 3, "features": [] })).await;
    assert_eq!((&downgraded["plan"]["code"], &downgraded["metadata"]), (&json!("basic"), &json!({ "b": 3 })));
    assert_eq!(
        downgraded["limits"],
        json!({ "activations": 3, "checks_per_month": null, "features": [] }),
        "its plan's again"
    );

    let path = format!("/api/v1/licenses/{license}");
    for (body, expected) in [
        (json!({ "tier": "gold" }), 422),
        (json!({ "max_domains": 0 }), 422),
        (json!({ "metadata": { "a": {} } }), 422),
        (json!({ "teir": "pro" }), 400),
    ] {
        assert_eq!(refusal(&shop, "PATCH", &path, body.clone()).await.0, expected, "{body}");
    }
    let entries = shop.get(&format!("/v1/audit-entries?license={license}")).await;
    let entry =
        |action: &str| entries["data"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((entry("license.metadata_changed"), entry("ruling.change_plan")), (3, 2), "{entries}");
}

#[tokio::test]
async fn a_sale_that_goes_on_leaves_metadata_alone() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    changed(&shop, &license, json!({ "metadata": { "seat": "7" } })).await;
    shop.deliver(&crate::shop::refunded("basic")).await;
    let license = shop.get(&format!("/v1/licenses/{license}")).await;
    assert_eq!((&license["state"], &license["metadata"]), (&json!("revoked"), &json!({ "seat": "7" })));
}

/// What Stripe says about a subscription that is paid for a month.
fn subscription(id: &str, status: &str, at: i64) -> Value {
    let item = json!({
        "id": "si_1", "quantity": 1, "current_period_start": NOW - 60, "current_period_end": NOW + MONTH,
        "price": { "id": "price_monthly", "product": "prod_studio", "type": "recurring" }
    });
    let object = json!({
        "id": "sub_1", "object": "subscription", "status": status, "customer": "cus_1", "created": NOW - 60,
        "collection_method": "charge_automatically",
        "items": { "object": "list", "has_more": false, "data": [item] }
    });
    let mut event = event(id, "customer.subscription.updated", false, object);
    event["created"] = json!(at);
    event
}

/// What Stripe says when its first month is paid.
fn first_month() -> Value {
    let of = json!({ "type": "subscription_details", "subscription_details": { "subscription": "sub_1" } });
    let line = json!({
        "id": "il_1", "period": { "start": NOW - 60, "end": NOW + MONTH },
        "parent": {
            "type": "subscription_item_details", "subscription_item_details": { "subscription": "sub_1", "proration": false }
        }
    });
    let invoice = json!({
        "id": "in_1", "object": "invoice", "created": NOW - 60, "status": "paid", "billing_reason": "subscription_create",
        "amount_paid": 900, "total": 900, "currency": "eur", "customer": "cus_1", "customer_email": "ada@example.com",
        "parent": of, "lines": { "object": "list", "has_more": false, "data": [line] }
    });
    event("evt_invoice", "invoice.paid", false, invoice)
}

#[tokio::test]
async fn an_overdue_payment_stands_in_the_metadata_while_it_is_overdue() {
    let shop = Shop::sqlite().await;
    let license = async || shop.call("GET", "/v1/licenses").key(&shop.test).succeed().await["data"][0].clone();
    let rule = json!({ "connection": "stripe-test", "price": "price_monthly", "plan": "basic" });
    shop.call("POST", "/v1/price-rules").key(&shop.test).json(rule).succeed().await;
    shop.deliver_test(&first_month()).await;
    shop.deliver_test(&subscription("evt_1", "active", NOW - 50)).await;
    let active = license().await;
    assert_eq!((&active["state"], &active["subscription"]), (&json!("active"), &json!("sub_1")));
    let path = format!("/api/v1/licenses/{}", active["id"].as_str().unwrap());
    let write = async |metadata: Value| {
        let call = shop.call("PATCH", &path).key(&shop.test).json(json!({ "metadata": metadata }));
        call.succeed().await["metadata"].clone()
    };
    assert_eq!(write(json!({ "seat": "7" })).await, json!({ "seat": "7" }));

    shop.deliver_test(&subscription("evt_2", "past_due", NOW - 40)).await;
    let overdue = license().await;
    let told = json!({ "seat": "7", "payment_status": "past_due", "grace_period_start": "2026-12-21T00:00:00Z" });
    assert_eq!((&overdue["reason"], &overdue["metadata"]), (&json!("payment_past_due"), &told));
    // The documents' handler sends back all that it read.
    assert_eq!(write(overdue["metadata"].clone()).await, told);

    shop.deliver_test(&subscription("evt_3", "active", NOW - 30)).await;
    assert_eq!(license().await["metadata"], json!({ "seat": "7" }), "made good, it is told no more");
}

#[tokio::test]
async fn a_license_is_revoked_and_downgraded_by_what_a_handler_knows_on_sqlite() {
    selected(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_license_is_revoked_and_downgraded_by_what_a_handler_knows_on_postgres() {
    selected(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn selected(shop: Shop) {
    shop.start();
    let one = made(&shop, "ada@example.com").await;
    shop.clock.advance(SignedDuration::from_secs(1));
    let downgraded = shop
        .post("/v1/licenses/downgrade", json!({ "email": "Ada@Example.com", "newPlan": "pro", "reason": "partial" }))
        .await;
    assert_eq!((&downgraded["id"], &downgraded["plan"]["code"]), (&one["id"], &json!("pro")));
    let revoke = json!({ "email": "ada@example.com", "reason": "subscription_canceled" });
    for _ in ["once", "and again"] {
        let revoked = shop.post("/api/v1/licenses/revoke", revoke.clone()).await;
        assert_eq!((&revoked["id"], &revoked["reason"]), (&one["id"], &json!("revoked_by_hand")));
    }
    let entries = shop.get(&format!("/v1/audit-entries?license={}", one["id"].as_str().unwrap())).await;
    let entries = entries["data"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["detail"]["note"] == "subscription_canceled"), "{entries:?}");

    // A second license of the same address: the address says too little from now on, whatever state they are in.
    made(&shop, "ada@example.com").await;
    let (status, code, problem) = refusal(&shop, "POST", "/v1/licenses/revoke", revoke).await;
    assert_eq!((status, code.as_str()), (409, "conflict"));
    let matching: Vec<(&Value, &Value)> =
        problem["licenses"].as_array().unwrap().iter().map(|license| (&license["plan"], &license["state"])).collect();
    assert_eq!(matching, [(&json!("basic"), &json!("active")), (&json!("pro"), &json!("revoked"))]);
    assert!(problem["licenses"][0]["key_hint"].as_str().unwrap().starts_with("ACME-"), "{problem}");
}

#[tokio::test]
async fn the_narrowest_reference_decides_and_no_other_is_looked_at() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    shop.deliver(&event(
        "evt_charge",
        "charge.refunded",
        true,
        json!({
            "id": "ch_basic", "object": "charge", "amount": 9800, "amount_refunded": 100, "currency": "eur",
            "refunded": false, "payment_intent": "pi_basic"
        }),
    ))
    .await;
    shop.start();
    let made =
        shop.post("/api/v1/licenses", json!({ "email": "ada@example.com", "planId": "basic", "reference": "r1" }));
    let made = made.await;
    let revoke = |body: Value| refusal(&shop, "POST", "/v1/licenses/revoke", body);
    for (body, expected) in [
        // Two licenses were bought at once: the charge names both.
        (json!({ "stripeChargeId": "ch_basic" }), (409, "conflict")),
        (json!({ "stripePaymentIntentId": "pi_basic", "email": "ada@example.com" }), (409, "conflict")),
        // A charge that is not known is not made up for by an address.
        (json!({ "stripeChargeId": "ch_unknown", "email": "ada@example.com" }), (404, "not_found")),
        (json!({ "subscription": "sub_unknown", "reference": "r1" }), (404, "not_found")),
        (json!({ "email": "nobody@example.com" }), (404, "not_found")),
        (json!({ "email": "nobody" }), (400, "invalid_request")),
        (json!({ "reason": "full_refund" }), (400, "invalid_request")),
        (json!({ "stripeChargID": "ch_basic", "email": "ada@example.com" }), (400, "invalid_request")),
        (json!({ "reference": "r1", "newPlan": "pro" }), (400, "invalid_request")),
    ] {
        let (status, code, problem) = revoke(body.clone()).await;
        assert_eq!((status, code.as_str()), expected, "{body}: {problem}");
    }
    let path = "/v1/licenses/downgrade";
    assert_eq!(refusal(&shop, "POST", path, json!({ "reference": "r1" })).await.0, 422, "to which plan?");
    assert_eq!(shop.post("/v1/licenses/revoke", json!({ "reference": "r1" })).await["id"], made["id"]);
}

#[tokio::test]
async fn a_charge_leads_to_its_license() {
    let shop = Shop::sqlite().await;
    shop.deliver_test(&paid("basic", false)).await;
    let charge = json!({
        "id": "ch_basic", "object": "charge", "amount": 9800, "amount_refunded": 100, "currency": "eur",
        "refunded": false, "payment_intent": "pi_basic"
    });
    shop.deliver_test(&event("evt_charge", "charge.refunded", false, charge)).await;
    let post = async |path: &str, body: Value| shop.call("POST", path).key(&shop.test).json(body).succeed().await;
    let downgrade = json!({ "stripeChargeId": "ch_basic", "newPlan": "pro" });
    assert_eq!(post("/v1/licenses/downgrade", downgrade).await["plan"]["code"], "pro");
    let revoke = json!({ "stripeChargeId": "ch_basic", "reason": "full_refund" });
    assert_eq!(post("/v1/licenses/revoke", revoke).await["state"], "revoked");
}

#[tokio::test]
async fn suspended_and_paused_are_other_words_for_frozen() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    shop.post(&format!("/v1/licenses/{license}/freeze"), json!({})).await;
    for word in ["frozen", "suspended", "paused"] {
        let found = shop.get(&format!("/v1/licenses?state={word}")).await;
        assert_eq!((ids(&found), &found["data"][0]["state"]), (vec![license.clone()], &json!("frozen")), "{word}");
    }
}

/// The event that somebody became a customer at Stripe.
fn customer(number: u32, email: &str) -> Value {
    let object = json!({ "id": format!("cus_{number}"), "object": "customer", "email": email, "name": "Ada" });
    event(&format!("evt_customer_{number}"), "customer.created", true, object)
}

#[tokio::test]
async fn stripe_may_post_to_v1_and_hears_who_the_customer_is_on_sqlite() {
    bridge(Shop::sqlite().await).await;
}

#[tokio::test]
async fn stripe_may_post_to_v1_and_hears_who_the_customer_is_on_postgres() {
    bridge(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn bridge(shop: Shop) {
    shop.start();
    let post = async |event: Value| {
        let answer = shop.deliver_bytes("/v1", LIVE_SECRET, event.to_string().as_bytes()).await;
        (answer.status.as_u16(), answer.json())
    };
    let (first, second) = tokio::join!(post(customer(1, "basic@example.com")), post(customer(2, "Basic@example.com")));
    let user = first.1["data"]["userId"].clone();
    let told = json!({ "message": "User upserted successfully.", "data": { "userId": user }, "status": 201 });
    assert_eq!((first, second), ((201, told.clone()), (201, told.clone())), "two at once are one");
    assert_eq!(post(customer(1, "basic@example.com")).await, (201, told), "as often as it comes");
    let known = shop.get(&format!("/v1/customers/{}", user.as_str().unwrap())).await;
    assert_eq!((&known["name"], &known["orders"]["data"]), (&json!("Ada"), &json!([])));

    let (status, paid) = post(paid("basic", true)).await;
    assert_eq!((status, &paid["data"]["userId"]), (200, &user), "{paid}");
    assert_eq!(ids(&shop.get("/v1/licenses").await).len(), 2);
    // Others are taken in as everywhere, and nobody waits for them.
    assert_eq!(post(crate::shop::refunded("basic")).await, (200, json!({ "received": true })));
    let nobody = event("evt_nobody", "customer.created", true, json!({ "id": "cus_3", "object": "customer" }));
    assert_eq!(post(nobody).await, (200, json!({ "received": true })), "without an address there is no customer");
    let body = customer(4, "eve@example.com").to_string();
    assert_eq!(shop.deliver_bytes("/v1", "whsec_wrong", body.as_bytes()).await.status, 400);
}

#[tokio::test]
async fn what_is_not_done_in_time_is_answered_as_received() {
    let shop = Shop::sqlite().await;
    let body = customer(1, "ada@example.com").to_string();
    let signed = providers::signature::sign(&LIVE_SECRET.into(), body.as_bytes(), shop.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    let delivery = providers::Delivery { header: &header, body: body.as_bytes() };
    let waited =
        shop.engine.receive_and_wait("stripe", "default", &delivery, &["customer.created"], Duration::ZERO).await;
    assert!(matches!(waited, (Received::Answer(answer), None) if answer.status == 200));
    shop.settle().await;
    let events = shop.get("/v1/inbound-events").await;
    assert_eq!(events["data"][0]["status"], "done", "it is done all the same");
}
