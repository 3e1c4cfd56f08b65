//! Whether money and licenses agree, asked over the API.

use serde_json::{Value, json};

use crate::shop::{Shop, paid};

#[tokio::test]
async fn what_is_paid_without_a_license_is_listed_until_it_has_one() {
    let shop = Shop::sqlite().await;
    for buyer in ["basic", "unmapped", "unmapped2"] {
        shop.deliver(&paid(buyer, true)).await;
    }
    let whole = shop.get("/v1/reconcile").await;
    let found = whole["data"].as_array().unwrap();
    assert_eq!((found.len(), &whole["has_more"], &whole["next_cursor"]), (2, &json!(false), &Value::Null));
    assert_eq!((&found[0]["kind"], &found[0]["livemode"]), (&json!("paid_without_license"), &json!(true)));
    assert!(found[0]["detail"].as_str().unwrap().contains("is not mapped to a plan"), "{whole}");
    assert_eq!(found[0]["references"][0], "cs_unmapped2", "the newest first");
    let first = shop.get("/v1/reconcile?limit=1&connection=stripe").await;
    assert_eq!((&first["data"][0], &first["has_more"]), (&found[0], &json!(true)));
    let second = shop.get(&format!("/v1/reconcile?limit=1&after={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(second["data"][0], found[1]);
    for none in ["since=2030-01-01T00:00:00Z", "until=2020-01-01T00:00:00Z", "connection=stripe-test"] {
        let listed = shop.get(&format!("/v1/reconcile?{none}")).await;
        assert_eq!((&listed["data"], &listed["has_more"]), (&json!([]), &json!(false)), "{none}");
    }
    for (wrong, status) in [("since=yesterday", 400), ("connection=nowhere", 404)] {
        let refused = shop.call("GET", &format!("/v1/reconcile?{wrong}")).key(&shop.live).refused().await;
        assert_eq!(refused.0, status, "{wrong}");
    }
    let order = found[0]["order"].as_str().unwrap();
    let back = shop.call("GET", &format!("/v1/reconcile?before={order}")).key(&shop.live).refused().await;
    assert_eq!(back, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn catching_up_starts_when_asked_and_tells_how_far_it_is() {
    let shop = Shop::sqlite().await;
    let connections = shop.get("/v1/connections").await;
    let of = |code: &str| {
        let mut all = connections["data"].as_array().unwrap().iter();
        format!("/v1/connections/{}/catch-up", all.find(|each| each["code"] == code).unwrap()["id"].as_str().unwrap())
    };
    let stripe = of("stripe");
    let never = shop.get(&stripe).await;
    assert_eq!((&never["caught_up_to"], &never["running"], &never["found"]), (&Value::Null, &json!(false), &json!(0)));
    let since = "2026-11-01T00:00:00Z";
    for body in [None, Some(json!({ "since": since }))] {
        let call = shop.call("POST", &stripe).key(&shop.live);
        let call = if let Some(body) = body { call.json(body) } else { call };
        let started = call.succeed().await;
        assert_eq!(started["running"], true);
        assert_eq!(shop.get(&stripe).await, started);
    }
    assert_eq!(shop.get(&stripe).await["caught_up_to"], since);
    // No test key starts anything live, and without a key of the provider's there is no list.
    let test = shop.call("POST", &stripe).key(&shop.test).refused().await;
    assert_eq!(test, (403, "forbidden".to_owned()));
    let silent = shop.call("POST", &of("silent")).key(&shop.test).refused().await;
    assert_eq!(silent, (409, "conflict".to_owned()));
    let entries = shop.get("/v1/audit-entries?limit=100").await;
    let told = entries["data"].as_array().unwrap().iter().filter(|entry| entry["action"] == "connection.catch_up");
    assert_eq!(told.count(), 2);
}
