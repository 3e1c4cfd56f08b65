//! Keys that Lemon Squeezy gives out itself.

use domain::{fact::Fact, order::ProviderKey};
use providers::{LicenseKeys, Malformed, Provider, Settings, Step, lemonsqueezy::LemonSqueezy};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{day, event, with};

const KEY: &str = "1f0e9d8c-7b6a-4594-8372-615041302010";

fn a_key() -> Value {
    json!({
        "order_id": 1, "order_item_id": 11, "key": KEY, "status": "inactive", "disabled": 0,
        "created_at": day(1), "updated_at": day(1),
    })
}

fn told(attributes: &Value, license_keys: LicenseKeys) -> Result<Vec<Fact>, Malformed> {
    let incoming = event("license_key_created", "8", attributes);
    let settings = Settings { license_keys, ..Settings::default() };
    match LemonSqueezy.translate(&incoming, &settings, &[])? {
        Step::Facts(facts) => Ok(facts),
        asked => panic!("nothing is asked: {asked:?}"),
    }
}

#[test]
fn a_key_is_told_by_its_event_and_is_not_in_the_fact() {
    let facts = told(&a_key(), LicenseKeys::Theirs).expect("a fact");
    let [Fact::Order(order)] = &facts[..] else { panic!("one fact about a sale: {facts:?}") };
    let told_by = event("license_key_created", "8", &a_key()).key.into();
    assert_eq!(order.keys["license-key:8"], ProviderKey { line: "item:11".into(), told_by });
    assert_eq!(order.references, ["license-key:8".into(), "order:1".into()].into());
    assert!(!facts[0].encode().contains(KEY));
    let body = event("license_key_created", "8", &a_key()).body;
    assert_eq!(LemonSqueezy.given_key(&body).map(|key| key.expose_secret().to_owned()).as_deref(), Some(KEY));
}

#[test]
fn a_key_says_nothing_where_keys_are_ours() {
    assert_eq!(told(&a_key(), LicenseKeys::Ours), Ok(Vec::new()));
    assert_eq!(told(&json!({ "key": KEY }), LicenseKeys::Ours), Ok(Vec::new()));
}

#[test]
fn an_event_without_a_key_is_held_with_its_reason() {
    for (fields, lacks) in [
        (json!({ "key": null }), "data.attributes.key"),
        (json!({ "key": " " }), "data.attributes.key"),
        (json!({ "key": ["x"] }), "data.attributes.key"),
        (json!({ "order_id": null }), "data.attributes.order_id"),
    ] {
        let refused = told(&with(a_key(), fields.clone()), LicenseKeys::Theirs).expect_err(lacks);
        assert_eq!(refused.what, format!("`{lacks}` is missing"), "{fields}");
    }
}

#[test]
fn a_body_of_any_other_form_has_no_key() {
    for body in ["", "[]", "{}", r#"{"data":7}"#, r#"{"data":{"attributes":{"key":7}}}"#] {
        assert!(LemonSqueezy.given_key(body).is_none(), "{body}");
    }
}
