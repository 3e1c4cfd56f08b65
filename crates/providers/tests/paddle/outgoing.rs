//! Calls that change something at Paddle.

use providers::{Provider, http::Content, paddle::Paddle};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[test]
fn a_destination_gets_all_that_is_understood_and_nothing_that_is_made_up() {
    let request = Paddle.create_webhook("https://kw.example/v1/webhooks/paddle/acme", "att_1").expect("a call");
    assert_eq!(request.path, "/notification-settings");
    let post = request.post.expect("it changes something");
    assert_eq!(post.idempotency_key, None, "Paddle takes none");
    let Content::Json(document) = post.content else { panic!("a document") };
    let document: Value = serde_json::from_str(&document).expect("a document");
    assert_eq!(
        document,
        json!({
            "description": "Keywright att_1", "type": "url", "destination": "https://kw.example/v1/webhooks/paddle/acme",
            "api_version": 1, "include_sensitive_fields": false, "traffic_source": "platform",
            "subscribed_events": Paddle.info().events,
        })
    );
}

#[test]
fn the_answer_has_the_destination_and_its_secret_or_says_why_not() {
    let made =
        json!({ "data": { "id": "ntfset_1", "endpoint_secret_key": "pdl_ntfset_1", "active": true }, "meta": {} });
    let endpoint = Paddle.webhook_created(201, &made.to_string()).expect("it was made");
    assert_eq!((endpoint.id.as_str(), endpoint.secret.expose_secret()), ("ntfset_1", "pdl_ntfset_1"));
    assert!(!format!("{endpoint:?}").contains("pdl_ntfset"));
    let limit =
        json!({ "error": { "code": "notification_maximum_active_settings_reached", "detail": "Only 10 at once." } });
    for (status, body, why) in [
        (400, limit.to_string(), "(status 400): Only 10 at once."),
        (503, "<html>".to_owned(), "(status 503): it did not say why"),
        (
            201,
            json!({ "data": { "id": "ntfset_1" } }).to_string(),
            "(status 201): its answer lacks `data.endpoint_secret_key`",
        ),
        (201, "nonsense".to_owned(), "(status 201): its answer lacks `data.id`"),
    ] {
        let refusal = Paddle.webhook_created(status, &body).expect_err("nothing was made").to_string();
        assert_eq!(refusal, format!("the provider did not make the webhook endpoint {why}"));
    }
}
