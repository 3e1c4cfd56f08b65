//! Addresses to which events go, events, deliveries.

use serde_json::{Value, json};
use store::rows::DeliveryAttempt;

use crate::shop::{Shop, ids, paid};

fn endpoint(code: &str) -> Value {
    json!({
        "code": code, "url": format!("https://{code}.example/hooks"), "events": ["license.created", "order.created"],
        "headers": { "Authorization": "Bearer very-secret", "X-Team": "blue" }
    })
}

async fn made(shop: &Shop, code: &str) -> Value {
    shop.call("POST", "/v1/webhook-endpoints").key(&shop.live).json(endpoint(code)).succeed().await
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_secret_is_shown_once_and_headers_never() {
    let shop = Shop::sqlite().await;
    let created = made(&shop, "crm").await;
    let secret = created["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let path = format!("/v1/webhook-endpoints/{}", id(&created));
    let rotated =
        shop.call("POST", &format!("{path}/rotate-secret")).key(&shop.live).json(json!({ "overlap_hours": 1 }));
    let rotated = rotated.succeed().await;
    let second = rotated["secret"].as_str().unwrap();
    assert_ne!(secret, second);
    for address in [path.as_str(), "/v1/webhook-endpoints", "/v1/audit-entries"] {
        let text = shop.get(address).await.to_string();
        assert!(!text.contains(&secret[6..]) && !text.contains(&second[6..]), "{address}: {text}");
        assert!(!text.contains("very-secret"), "{address}: {text}");
    }
    let shown = shop.get(&path).await;
    assert_eq!(shown["headers"], json!(["Authorization", "X-Team"]));
    assert_eq!(
        (&shown["status"], &shown["style"], &shown["livemode"]),
        (&json!("enabled"), &json!("standard"), &json!(true))
    );
    assert_eq!(shown.get("secret"), None);
    // One that is given is not repeated.
    let given = json!({ "code": "own", "url": "https://own.example/", "secret": secret });
    let given = shop.call("POST", "/v1/webhook-endpoints").key(&shop.live).json(given).succeed().await;
    assert_eq!(given["secret"], Value::Null);
    let changed = json!({ "style": "keylight", "schedule": "short", "events": [] });
    let changed = shop.call("PATCH", &path).key(&shop.live).json(changed).succeed().await;
    assert_eq!((&changed["style"], &changed["events"]), (&json!("keylight"), &json!([])));
    assert_eq!(changed["url"], created["url"], "what is left out stays");
    shop.call("DELETE", &path).key(&shop.live).succeed().await;
    assert_eq!(shop.call("GET", &path).key(&shop.live).refused().await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn one_whose_secrets_do_not_open_is_shown_with_the_reason_and_can_be_removed() {
    let shop = Shop::sqlite().await;
    let created = made(&shop, "crm").await;
    let path = format!("/v1/webhook-endpoints/{}", id(&created));
    shop.database.sql("UPDATE webhook_endpoints SET sealed = x'07'").await;
    for shown in [shop.get(&path).await, shop.get("/v1/webhook-endpoints").await["data"][0].clone()] {
        assert_eq!((&shown["code"], &shown["headers"]), (&json!("crm"), &json!([])));
        let reason = shown["reason"].as_str().unwrap();
        assert!(reason.starts_with("it cannot be called: "), "{reason}");
    }
    shop.call("DELETE", &path).key(&shop.live).succeed().await;
    assert_eq!(shop.call("GET", &path).key(&shop.live).refused().await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn an_address_that_may_not_be_called_is_refused_with_the_reason() {
    let shop = Shop::sqlite().await;
    let create = async |change: Value| {
        let mut body = endpoint("crm");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = shop.call("POST", "/v1/webhook-endpoints").key(&shop.live).json(body).send().await;
        (answer.status.as_u16(), answer.text)
    };
    for (change, status, told) in [
        (json!({ "url": "https://169.254.169.254/" }), 422, "the test may not call 169.254.169.254"),
        (json!({ "url": "nowhere" }), 400, "this is no address"),
        (json!({ "events": ["license.sold"] }), 400, "is no kind of event"),
        (json!({ "headers": { "Host": "elsewhere" } }), 400, "reserved"),
        (json!({ "secret": "whsec_short" }), 400, "24 to 64 bytes"),
        (json!({ "code": "A" }), 400, "a code has 1 to 40 characters"),
    ] {
        let (answered, text) = create(change.clone()).await;
        assert_eq!(answered, status, "{change}: {text}");
        assert!(text.contains(told), "{change}: {text}");
        assert!(!text.contains("very-secret") && !text.contains("whsec_short"), "{text}");
    }
    assert_eq!(create(json!({})).await.0, 201);
    assert_eq!(create(json!({})).await.0, 409);
}

#[tokio::test]
async fn each_delivery_is_logged_with_its_last_status() {
    let shop = Shop::sqlite().await;
    let crm = made(&shop, "crm").await;
    shop.deliver(&paid("basic", true)).await;
    let list = format!("/v1/deliveries?endpoint={}&status=pending&limit=100", id(&crm));
    let listed = shop.get(&list).await;
    let rows = listed["data"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "an order and two licenses: {listed}");
    let row = rows.iter().find(|row| row["license"].is_string()).unwrap();
    assert_eq!((&row["attempts"], &row["last_status"]), (&json!(0), &Value::Null));
    answered(&shop, id(row)).await;

    let path = format!("/v1/deliveries/{}", id(row));
    let shown = shop.get(&path).await;
    assert_eq!(
        (&shown["status"], &shown["last_status"], &shown["attempts"]),
        (&json!("dead"), &json!(503), &json!(10))
    );
    let attempt = &shown["attempt_log"][0];
    assert_eq!(
        (&attempt["status"], &attempt["duration_ms"], &attempt["cause"]),
        (&json!(503), &json!(12), &json!("event"))
    );
    assert_eq!((&attempt["answer"], &attempt["truncated"]), (&json!("later"), &json!(true)));
    assert_eq!(attempt["headers"], json!("retry-after: 60\n"));
    let dead = shop.get("/v1/deliveries?status=dead").await;
    assert_eq!(ids(&dead), [id(row)]);

    let again = shop.call("POST", &format!("{path}/redeliver")).key(&shop.live).json(json!({ "note": "mended" }));
    let again = again.succeed().await;
    assert_eq!((&again["status"], &again["attempts"], &again["event"]), (&json!("pending"), &json!(0), &row["event"]));
    assert_eq!(again["last_status"], json!(503));
    shop.call("POST", &format!("/v1/webhook-endpoints/{}/pause", id(&crm))).key(&shop.live).succeed().await;
    let refused = shop.call("POST", &format!("{path}/redeliver")).key(&shop.live).refused().await;
    assert_eq!(refused, (409, "conflict".to_owned()));
    let held = shop.get(&format!("/v1/deliveries?status=held&event={}", row["event"].as_str().unwrap())).await;
    assert_eq!(ids(&held), [id(row)]);
    let enable = shop.call("POST", &format!("/v1/webhook-endpoints/{}/enable", id(&crm))).key(&shop.live);
    assert_eq!(enable.json(json!({ "release": true })).succeed().await["status"], "enabled");
    assert_eq!(ids(&shop.get(&list).await).len(), 3);
}

/// Writes down that the last try of a delivery was answered with 503.
async fn answered(shop: &Shop, delivery: &str) {
    let id: domain::id::DeliveryId = delivery.parse().unwrap();
    let whose = store::lists::Whose { tenant: shop.tenant, livemode: true };
    let row = shop.engine.store.delivery(whose, id).await.unwrap().unwrap();
    let attempt = DeliveryAttempt {
        id: id.0,
        tenant_id: row.tenant_id,
        delivery_id: row.id,
        cause: row.cause.clone(),
        began_at: row.created_at,
        duration_micros: 12_345,
        status: Some(503),
        error: None,
        headers: Some("retry-after: 60\n".to_owned()),
        answer: Some("later".to_owned()),
        truncated: true,
    };
    let row = store::rows::Delivery {
        status: store::deliveries::status::DEAD.to_owned(),
        attempts: 10,
        next_attempt_at: None,
        last_status: Some(503),
        error: Some("it answered 503: later".to_owned()),
        done_at: Some(row.created_at),
        ..row
    };
    let write = shop.engine.store.begin().await.unwrap();
    write.save_deliveries(vec![row]).await.unwrap();
    write.add_attempts(vec![attempt]).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn events_are_shown_as_they_are_told_but_for_the_key() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let listed = shop.get("/v1/events?limit=100").await;
    let kinds = |list: &Value| -> Vec<String> {
        let mut kinds: Vec<String> =
            list["data"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&listed), ["customer.created", "license.created", "license.created", "order.created"]);
    let created = shop.get("/v1/events?kind=license.created").await;
    let event = &created["data"][0];
    assert_eq!((&event["livemode"], &event["data"]["license"]["plan"]), (&json!(true), &json!("basic")));
    assert!(event["timestamp"].is_string() && event["version"].is_string() && event["tenant"].is_string());
    assert_eq!(event["data"].get("key"), None);
    let (license, order) = (&event["data"]["license"]["id"], &event["data"]["order"]["id"]);
    let (license, order) = (license.as_str().unwrap(), order.as_str().unwrap());
    assert_eq!(kinds(&shop.get(&format!("/v1/events?license={license}")).await), ["license.created"]);
    assert_eq!(kinds(&shop.get(&format!("/v1/events?order={order}")).await).len(), 3);
    assert_eq!(shop.get(&format!("/v1/events/{}", id(event))).await["id"], event["id"]);
    let mistyped = shop.call("GET", "/v1/events?kind=license.sold").key(&shop.live).refused().await;
    assert_eq!(mistyped, (400, "invalid_request".to_owned()));
    // In test mode a key is no secret, and may be asked for.
    let refused = shop.call("GET", "/v1/events?keys=true").key(&shop.live).refused().await;
    assert_eq!(refused, (403, "forbidden".to_owned()));
    shop.deliver_test(&paid("basic", false)).await;
    let key_of = async |query: &str| {
        let path = format!("/v1/events?kind=license.created{query}");
        let listed = shop.call("GET", &path).key(&shop.test).succeed().await;
        listed["data"][0]["data"]["key"].as_str().map(str::to_owned)
    };
    assert_eq!(key_of("").await, None);
    assert!(key_of("&keys=true").await.unwrap().starts_with("ACME-"));
}

#[tokio::test]
async fn a_recovery_tells_how_far_it_has_come_and_can_be_cancelled() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let crm = made(&shop, "crm").await;
    let path = format!("/v1/webhook-endpoints/{}", id(&crm));
    let recover =
        async |body: Value| shop.call("POST", &format!("{path}/recover")).key(&shop.live).json(body).send().await;
    let since = "2026-01-01T00:00:00Z";
    assert_eq!(recover(json!({ "since": since, "per_second": 0 })).await.status, 400);
    assert_eq!(recover(json!({ "since": "2099-01-01T00:00:00Z" })).await.status, 400);
    let started = recover(json!({ "since": since, "per_second": 100 })).await;
    assert_eq!(started.status, 201, "{}", started.text);
    assert_eq!(recover(json!({ "since": since })).await.status, 409, "one at a time");
    while shop.engine.recover_turn().await.unwrap() {}
    let listed = shop.get(&format!("{path}/recoveries")).await;
    let row = &listed["data"][0];
    assert_eq!((&row["status"], &row["queued"]), (&json!("done"), &json!(3)));
    assert_eq!((&row["events"], &row["examined"]), (&json!(4), &json!(4)), "a customer is not what it wants");
    assert_eq!(row["examined_until"], row["until"]);
    // It was made after the sale, and has it all the same.
    assert_eq!(ids(&shop.get("/v1/deliveries?status=pending").await).len(), 3);
    let second = recover(json!({ "since": since })).await.json();
    assert_eq!((&second["events"], &second["examined"]), (&json!(4), &json!(0)));
    assert_eq!(second["examined_until"], second["since"]);
    let cancel = format!("/v1/recoveries/{}/cancel", id(&second));
    assert_eq!(shop.call("POST", &cancel).key(&shop.live).succeed().await["status"], "cancelled");
    assert_eq!(shop.call("POST", &cancel).key(&shop.test).refused().await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn an_example_says_that_it_is_one() {
    let shop = Shop::sqlite().await;
    let crm = made(&shop, "crm").await;
    let path = format!("/v1/webhook-endpoints/{}/test", id(&crm));
    let sent = shop.call("POST", &path).key(&shop.live).json(json!({ "event": "license.created" })).succeed().await;
    let event = shop.get(&format!("/v1/events/{}", sent["event"].as_str().unwrap())).await;
    assert_eq!((&event["data"]["example"], &event["type"]), (&json!(true), &json!("license.created")));
    assert_eq!(event["data"]["key"], "EXAMPLE-0000-0000-0000-0000");
    let unknown = shop.call("POST", &path).key(&shop.live).json(json!({ "event": "license.sold" })).refused().await;
    assert_eq!(unknown, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn asked_twice_with_one_idempotency_key_there_is_one_endpoint_and_one_secret() {
    let shop = Shop::sqlite().await;
    let create = || shop.call("POST", "/v1/webhook-endpoints").key(&shop.live).header("idempotency-key", "once");
    let first = create().json(endpoint("crm")).succeed().await;
    assert_eq!(create().json(endpoint("crm")).succeed().await, first);
    assert_eq!(ids(&shop.get("/v1/webhook-endpoints").await).len(), 1);
}
