//! Alert channels over the API.

use serde_json::json;
use store::testing::TestDatabase;

use crate::shop::{Shop, ids};

#[tokio::test]
async fn a_channel_is_made_tried_out_changed_and_removed_on_sqlite() {
    life(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_channel_is_made_tried_out_changed_and_removed_on_postgres() {
    life(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn life(shop: Shop) {
    let live = shop.live.clone();
    let call = |method: &str, path: &str| shop.call(method, path).key(&live);
    let body = json!({ "code": "pager", "kind": "webhook", "to": "https://pager.acme.example/in?token=abc" });
    let made = call("POST", "/v1/alert-channels").json(body.clone()).succeed().await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    assert_eq!((&made["to"], &made["livemode"]), (&json!("pager.acme.example"), &json!(true)));
    let path = format!("/v1/alert-channels/{}", made["id"].as_str().unwrap());
    let shown = shop.get(&path).await;
    assert_eq!((&shown["code"], &shown["items"], &shown["secret"]), (&json!("pager"), &json!([]), &json!(null)));
    assert!(!shown.to_string().contains("token"), "{shown}");

    let again = call("POST", "/v1/alert-channels").json(body).send().await;
    assert_eq!((again.status.as_u16(), again.text.contains("token")), (409, false), "{}", again.text);
    for (field, wrong) in [
        ("to", json!({ "code": "mail", "kind": "mail", "to": "https://token.test" })),
        ("to", json!({ "code": "team", "kind": "slack", "to": "token" })),
        (
            "items",
            json!({ "code": "team", "kind": "slack", "to": "https://hooks.acme.example/token", "items": ["nothing"] }),
        ),
        ("code", json!({ "code": "a b", "kind": "mail", "to": "ops@acme.test" })),
    ] {
        let refused = call("POST", "/v1/alert-channels").json(wrong).send().await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(
            refused.text.contains(&format!(r#""param":"{field}""#)) && !refused.text.contains("token"),
            "{}",
            refused.text
        );
    }

    for (method, path) in [("POST", "/v1/alert-channels"), ("PATCH", path.as_str())] {
        let body = json!({ "code": "neighbour", "kind": "webhook", "to": "https://10.0.0.7/token" });
        let body = if method == "PATCH" { json!({ "to": body["to"] }) } else { body };
        let refused = call(method, path).json(body).send().await;
        assert_eq!((refused.status.as_u16(), refused.text.contains("token")), (422, false), "{}", refused.text);
        assert!(refused.text.contains("the test may not call 10.0.0.7"), "{}", refused.text);
    }

    let tested = call("POST", &format!("{path}/test")).succeed().await;
    assert_eq!((&tested["kind"], &tested["status"]), (&json!("test"), &json!("pending")));
    let alerts = shop.get(&format!("{path}/alerts")).await;
    assert_eq!(alerts["data"], json!([tested]));

    let change = json!({ "to": "https://other.acme.example/in", "items": ["mail_failed"] });
    let changed = call("PATCH", &path).json(change).succeed().await;
    assert_eq!((&changed["to"], &changed["items"]), (&json!("other.acme.example"), &json!(["mail_failed"])));
    let kept = call("PATCH", &path).json(json!({})).succeed().await;
    assert_eq!(kept, changed, "what is not said stays");

    let test = shop.test.clone();
    let of_test = shop.call("GET", "/v1/alert-channels").key(&test).succeed().await;
    assert_eq!(ids(&of_test), [] as [String; 0], "a channel is of one mode");
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/test"))] {
        let refused = shop.call(method, &path).key(&test).refused().await;
        assert_eq!(refused, (404, "not_found".to_owned()), "{method} {path}");
    }
    assert_eq!(call("DELETE", &path).send().await.status, 204);
    assert_eq!(call("GET", &path).refused().await, (404, "not_found".to_owned()));
    let audit = shop.get("/v1/audit-entries?limit=100").await;
    let actions = audit["data"].as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str());
    // Nothing orders what happened at one moment.
    let mut actions: Vec<&str> = actions.filter(|action| action.starts_with("alert_channel.")).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["changed", "created", "deleted", "tested"].map(|word| format!("alert_channel.{word}")));
    assert!(!audit.to_string().contains("token"));
}
