//! Calls that change something at Stripe.

use domain::{id::LicenseId, text::CustomerReference};
use providers::{
    Provider,
    calls::{Unsupported, WriteBack},
    http::{Content, Post, Request},
    manual::Manual,
    stripe::Stripe,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

const LICENSE: &str = "lic_00000000000000000000000001";

fn note(license: &str, customer: &str, key: &str) -> Result<Request, Unsupported> {
    let license: LicenseId = license.parse().expect("an id");
    let (customer, key) = (CustomerReference::from(customer), SecretString::from(key));
    Stripe.write_back(&WriteBack { license, customer: &customer, key: &key })
}

fn sent(request: Request) -> (String, Post) {
    (request.path, request.post.expect("it changes something"))
}

#[test]
fn a_key_is_written_beside_what_the_customer_has() {
    let (path, post) = sent(note(LICENSE, "cus_1", "KEY-AAAA-BBBB").expect("a call"));
    assert_eq!(path, "/v1/customers/cus_1");
    assert_eq!(post.content.body(), format!("metadata[{LICENSE}]=KEY-AAAA-BBBB"));
    assert!(LICENSE.len() <= 40, "Stripe's limit for the name of an entry");
    let (path, post) = sent(note(LICENSE, "../x", "").expect("a call"));
    assert_eq!(
        (path.as_str(), post.content.body()),
        ("/v1/customers/..%2Fx", format!("metadata[{LICENSE}]=")),
        "taken away"
    );
}

#[test]
fn a_key_of_more_than_500_characters_is_not_written() {
    for (key, fits) in [("x".repeat(500), true), ("ü".repeat(500), true), ("x".repeat(501), false)] {
        let call = note(LICENSE, "cus_1", &key);
        assert_eq!(call.is_ok(), fits, "{}", key.len());
        if let Err(refusal) = call {
            assert_eq!(
                refusal.to_string(),
                "the key has 501 characters and Stripe keeps 500 at most; it was not written"
            );
        }
    }
}

#[test]
fn the_same_note_has_the_same_idempotency_key_and_another_has_another() {
    let key = |license, customer, key| {
        let (_, post) = sent(note(license, customer, key).expect("a call"));
        post.idempotency_key.expect("it can be sent twice")
    };
    let once = key(LICENSE, "cus_1", "KEY-A");
    assert_eq!(key(LICENSE, "cus_1", "KEY-A"), once);
    assert!(once.contains(LICENSE) && once.len() <= 255, "{once}");
    for other in [
        key("lic_00000000000000000000000002", "cus_1", "KEY-A"),
        key(LICENSE, "cus_2", "KEY-A"),
        key(LICENSE, "cus_1", "KEY-B"),
    ] {
        assert_ne!(other, once);
    }
}

#[test]
fn an_endpoint_is_subscribed_to_all_that_is_understood_in_the_version_that_is_asked() {
    let (path, post) = sent(Stripe.create_webhook("https://kw.example/v1/acme/stripe", "con_1").expect("a call"));
    assert_eq!(path, "/v1/webhook_endpoints");
    assert_eq!(post.idempotency_key.as_deref(), Some("keywright-webhook-con_1"));
    let Content::Form(form) = &post.content else { panic!("a form: {post:?}") };
    let value = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(value("url"), Some("https://kw.example/v1/acme/stripe"));
    let version = Stripe.info().api_headers.iter().find(|(name, _)| *name == "stripe-version").map(|(_, value)| *value);
    assert_eq!(value("api_version"), version);
    let events: Vec<&str> =
        form.iter().filter(|(name, _)| name.starts_with("enabled_events[")).map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(events, Stripe.info().events);
    assert!(post.content.body().starts_with(
        "url=https%3A%2F%2Fkw.example%2Fv1%2Facme%2Fstripe&enabled_events[0]=checkout.session.completed&enabled_events[1]="
    ));
}

#[test]
fn the_answer_has_the_endpoint_and_its_secret_or_says_why_not() {
    let made = json!({ "id": "we_1", "object": "webhook_endpoint", "secret": "whsec_1", "status": "enabled" });
    let endpoint = Stripe.webhook_created(200, &made.to_string()).expect("it was made");
    assert_eq!((endpoint.id.as_str(), endpoint.secret.expose_secret()), ("we_1", "whsec_1"));
    assert!(!format!("{endpoint:?}").contains("whsec"));
    for (status, body, why) in [
        (400, json!({ "error": { "message": "Invalid URL" } }).to_string(), "(status 400): Invalid URL"),
        (503, "<html>".to_owned(), "(status 503): it did not say why"),
        (200, json!({ "id": "we_1" }).to_string(), "(status 200): its answer lacks `secret`"),
        (200, "nonsense".to_owned(), "(status 200): its answer lacks `id`"),
    ] {
        let refusal = Stripe.webhook_created(status, &body).expect_err("nothing was made").to_string();
        assert_eq!(refusal, format!("the provider did not make the webhook endpoint {why}"));
    }
}

#[test]
fn a_provider_that_can_do_nothing_of_the_kind_says_so() {
    let (customer, key) = (CustomerReference::from("c"), SecretString::from("k"));
    let license = LICENSE.parse().expect("an id");
    let refusal = Manual.write_back(&WriteBack { license, customer: &customer, key: &key }).expect_err("no such thing");
    assert_eq!(refusal.to_string(), "Manual offers no way to keep a key with a customer");
    assert_eq!(
        Manual.create_webhook("https://kw.example", "1").expect_err("no such thing").to_string(),
        "Manual offers no way to make a webhook endpoint"
    );
    assert!(Manual.webhook_created(200, "{}").is_err());
}
