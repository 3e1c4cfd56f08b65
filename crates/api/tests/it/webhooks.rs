//! Where providers deliver: what is answered, and what is kept.

use axum::http::StatusCode;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{LIVE_SECRET, NOW, Shop, TEST_SECRET, event, paid};

const REJECTED: &str = "Webhook signature verification failed";
const ROUTE: &str = "/webhooks/stripe";

impl Shop {
    async fn events(&self) -> Vec<Value> {
        let live = self.get("/v1/inbound-events").await["data"].as_array().unwrap().clone();
        let test = self.call("GET", "/v1/inbound-events").key(&self.test).succeed().await;
        [live, test["data"].as_array().unwrap().clone()].concat()
    }

    async fn attention(&self) -> Vec<String> {
        let items = self.get("/v1/attention-items").await["data"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| format!("{}: {}", item["kind"].as_str().unwrap(), item["detail"].as_str().unwrap()))
            .collect()
    }
}

#[tokio::test]
async fn what_is_not_believed_is_refused_and_nothing_of_it_is_stored() {
    let shop = Shop::sqlite().await;
    let body = paid("basic", true).to_string();
    let signed_at = |second: i64| {
        let at = jiff::Timestamp::from_second(second).unwrap();
        providers::signature::sign(&LIVE_SECRET.into(), body.as_bytes(), at)
    };
    let right = signed_at(NOW);
    for (what, signature, body) in [
        ("unsigned", None, body.as_str()),
        ("no signature in it", Some("nonsense".to_owned()), body.as_str()),
        (
            "another secret",
            Some(providers::signature::sign(&"whsec_other".into(), body.as_bytes(), shop.engine.now())),
            body.as_str(),
        ),
        ("another body", Some(right.clone()), &body.replace("9800", "1")),
        ("truncated", Some(right.clone()), &body[..100]),
        ("stale", Some(signed_at(NOW - 301)), body.as_str()),
    ] {
        for route in [ROUTE, "/v1/webhooks/stripe/default"] {
            let mut call = shop.call("POST", route).bytes(body.as_bytes());
            if let Some(signature) = &signature {
                call = call.header("stripe-signature", signature);
            }
            let answer = call.send().await;
            assert_eq!((answer.status, answer.text.as_str()), (StatusCode::BAD_REQUEST, REJECTED), "{what}");
            assert!(answer.header("request-id").starts_with("req_"), "{what}");
        }
    }
    assert_eq!(shop.events().await, [] as [Value; 0]);
}

#[tokio::test]
async fn without_a_secret_nothing_is_believed() {
    let shop = Shop::sqlite().await;
    let (tenant, key) = shop.neighbour().await;
    let connections = shop.call("GET", "/v1/connections?limit=100").key(&key).succeed().await;
    for connection in connections["data"].as_array().unwrap() {
        for secret in connection["webhook_secrets"].as_array().unwrap() {
            let (id, secret) = (connection["id"].as_str().unwrap(), secret["fingerprint"].as_str().unwrap());
            let path = format!("/v1/connections/{id}/webhook-secrets/{secret}");
            shop.call("DELETE", &path).key(&key).succeed().await;
        }
    }
    assert!(tenant != shop.tenant);
    let body = paid("basic", true).to_string();
    for secret in ["", " ", LIVE_SECRET] {
        let answer = shop.deliver_bytes("/v1/webhooks/stripe/neighbour", secret, body.as_bytes()).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::BAD_REQUEST, REJECTED), "{secret:?}");
    }
    assert_eq!(shop.call("GET", "/v1/inbound-events").key(&key).succeed().await["data"], json!([]));
}

#[tokio::test]
async fn nowhere_and_too_much() {
    let shop = Shop::sqlite().await;
    let body = paid("basic", true).to_string();
    for route in ["/v1/webhooks/stripe/nobody", "/v1/webhooks/bank/default"] {
        let answer = shop.deliver_bytes(route, LIVE_SECRET, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (StatusCode::NOT_FOUND, Some("not_found")),
            "{route}"
        );
    }
    // Nobody delivers orders that are made by hand.
    let answer = shop.deliver_bytes("/v1/webhooks/manual/default", LIVE_SECRET, body.as_bytes()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let event_of = |bytes: usize| {
        let padding = bytes - event("evt_1", "x", true, json!("")).to_string().len();
        event("evt_1", "x", true, json!("x".repeat(padding))).to_string()
    };
    for (bytes, status) in [(1024 * 1024, 200), (1024 * 1024 + 1, 413), (2 * 1024 * 1024, 413)] {
        let answer = shop.deliver_bytes(ROUTE, LIVE_SECRET, event_of(bytes).as_bytes()).await;
        assert_eq!(answer.status.as_u16(), status, "{bytes} bytes: {}", answer.text);
    }
    assert_eq!(shop.events().await.len(), 1, "the one of a mebibyte");
}

#[tokio::test]
async fn what_is_signed_is_kept_whatever_it_is() {
    let shop = Shop::sqlite().await;
    let nonsense: [&[u8]; 5] = [b"", b"\xff\xfe{", b"not JSON", b"[1,2]", b"{\"id\":7}"];
    for body in nonsense {
        // Twice: the second time nothing is added.
        for _ in 0..2 {
            let answer = shop.deliver_bytes(ROUTE, LIVE_SECRET, body).await;
            assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"received":true}"#), "{body:?}");
        }
    }
    shop.settle().await;
    let events = shop.events().await;
    assert_eq!(events.len(), nonsense.len());
    for event in &events {
        assert_eq!(event["status"], "held", "{event}");
        assert!(event["error"].as_str().unwrap().starts_with("not understood"), "{event}");
        assert_eq!(event["livemode"], true);
    }
    let attention = shop.attention().await;
    assert_eq!(attention.len(), nonsense.len());
    assert!(
        attention.iter().all(|item| item.starts_with("event_malformed: a signed event of stripe is kept and held"))
    );
}

#[tokio::test]
async fn unknown_kinds_are_kept_and_mean_nothing() {
    let shop = Shop::sqlite().await;
    shop.deliver(&event("evt_new", "moon.landed", true, json!({ "id": "moon_1" }))).await;
    let events = shop.events().await;
    assert_eq!((events.len(), &events[0]["status"], &events[0]["kind"]), (1, &json!("done"), &json!("moon.landed")));
    assert_eq!(shop.attention().await, [] as [String; 0]);
}

/// The documents name several addresses for one thing (X16).
#[tokio::test]
async fn one_event_is_one_at_whichever_address_it_comes() {
    let shop = Shop::sqlite().await;
    let body = paid("basic", true).to_string();
    for route in [ROUTE, "/v1/webhooks/stripe/default", "/v1"] {
        let answer = shop.deliver_bytes(route, LIVE_SECRET, body.as_bytes()).await;
        assert_eq!(answer.status, StatusCode::OK, "{route}: {}", answer.text);
    }
    shop.settle().await;
    assert_eq!(shop.events().await.len(), 1);
    assert_eq!(shop.get("/v1/licenses").await["data"].as_array().unwrap().len(), 2, "as many as were bought, once");
}

#[tokio::test]
async fn an_event_goes_to_the_connection_whose_secret_it_is_signed_with() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    shop.deliver_test(&paid("basic", false)).await;
    let modes = |events: &[Value]| events.iter().map(|event| event["livemode"].as_bool().unwrap()).collect::<Vec<_>>();
    assert_eq!(modes(&shop.events().await), [true, false]);
    // Of the wrong mode: kept, held, and told.
    let answer = shop.deliver_bytes(ROUTE, LIVE_SECRET, paid("stray", false).to_string().as_bytes()).await;
    assert_eq!(answer.status, StatusCode::OK);
    shop.settle().await;
    let events = shop.events().await;
    assert_eq!((&events[0]["key"], &events[0]["status"]), (&json!("evt_stray"), &json!("held")));
    let attention = shop.attention().await;
    assert!(attention[0].starts_with("event_wrong_mode: stripe is a live connection"), "{attention:?}");
}

#[tokio::test]
async fn with_the_database_away_the_provider_has_to_send_again_on_sqlite() {
    database_away(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn with_the_database_away_the_provider_has_to_send_again_on_postgres() {
    database_away(TestDatabase::postgres().await).await;
}

async fn database_away(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let body = paid("basic", true).to_string();
    assert_eq!(shop.call("GET", "/readyz").send().await.status, StatusCode::OK);
    shop.database.store.close().await.unwrap();
    // Connections are known, and the event cannot be stored; then not even connections can be read.
    for _ in 0..2 {
        for (route, secret) in [(ROUTE, LIVE_SECRET), ("/v1/webhooks/stripe/default", TEST_SECRET)] {
            let answer = shop.deliver_bytes(route, secret, body.as_bytes()).await;
            let code = answer.json()["code"].clone();
            assert_eq!((answer.status, code), (StatusCode::SERVICE_UNAVAILABLE, json!("unavailable")));
        }
        shop.clock.advance(jiff::SignedDuration::from_secs(6));
    }
    let away = (503, "unavailable".to_owned());
    assert_eq!(shop.call("GET", "/readyz").refused().await, away);
    assert_eq!(shop.call("GET", "/v1/licenses").key(&shop.live).refused().await, away);
    assert_eq!(shop.call("POST", "/v1/check").json(json!({ "key": "ACME-1234-5678-9ABC-DEF8" })).refused().await, away);
    assert_eq!(shop.call("GET", "/livez").send().await.status, StatusCode::OK);
}
