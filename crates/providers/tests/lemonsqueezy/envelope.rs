//! The outside of an event, what it is known by, what is not one, and what Lemon Squeezy reads in return.

use providers::{Delivery, Outcome, Provider, Reject, Settings, lemonsqueezy::LemonSqueezy};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{a_subscription, an_order, at, day, event, event_naming, taken_in, with};

#[test]
fn the_signature_is_over_the_body_alone() {
    // Computed with OpenSSL: `printf '{"meta":{}}' | openssl dgst -sha256 -hmac "six to forty"`.
    let header = |_: &str| Some("e15b02124ed7c5e16d391468bacfb10c102fa42c223d577e3c4d5ea0a823f844");
    let delivery = Delivery { header: &header, body: br#"{"meta":{}}"# };
    let secrets = [SecretString::from("old one"), SecretString::from("six to forty")];
    let verified = LemonSqueezy.verify(&delivery, &secrets, &Settings::default(), at("2001-01-01T00:00:00Z"));
    assert_eq!(verified.map(|verified| verified.secret), Ok(1));
    for (header, reject) in [
        (Some(""), Reject::NoSignature),
        (None, Reject::NoSignature),
        (Some("e15b02124ed7c5e16d391468bacfb10c102fa42c223d577e3c4d5ea0a823f8440"), Reject::WrongSignature),
        (Some("E15B02124ED7C5E16D391468BACFB10C102FA42C223D577E3C4D5EA0A823F844"), Reject::WrongSignature),
        (Some("not hexadecimal"), Reject::WrongSignature),
    ] {
        let header = |_: &str| header;
        let delivery = Delivery { header: &header, ..delivery };
        let verified = LemonSqueezy.verify(&delivery, &secrets, &Settings::default(), at("2001-01-01T00:00:00Z"));
        assert_eq!(verified.map(|verified| verified.secret), Err(reject));
    }
}

#[test]
fn an_event_is_known_by_what_happened_to_which_object_as_of_which_change() {
    let known = |kind: &str, id: &str, attributes: Value| event(kind, id, &attributes).key;
    let first = known("order_created", "1", an_order());
    assert!(first.starts_with("order_created:orders:1:2026-09-01T09:00:00Z:"), "{first}");
    let subscription = |fields: Value| known("subscription_updated", "2", with(a_subscription(), fields));
    let before = subscription(json!({}));
    for (what, other) in [
        ("another kind", known("subscription_created", "2", a_subscription())),
        ("another subscription", known("subscription_updated", "3", a_subscription())),
        ("another change", subscription(json!({ "updated_at": day(2) }))),
        ("another quantity", subscription(json!({ "first_subscription_item": { "updated_at": day(2) } }))),
        ("something else in the same second", subscription(json!({ "status": "paused" }))),
    ] {
        assert_ne!(other, before, "{what}");
    }
    let signed_anew = json!({ "urls": { "customer_portal": "https://other" }, "receipt_url": "https://another" });
    assert_eq!(subscription(signed_anew), before, "its links are not what it tells");
    let naming = |custom_data: Value| event_naming("order_created", "1", &an_order(), &custom_data).key;
    assert_eq!(naming(json!({})), first, "no data of its own is none");
    assert_ne!(naming(json!({ "plan_id": "pro" })), first, "a list tells an order without the checkout's own data");
}

#[test]
fn a_call_that_is_played_again_is_one_event() {
    for attributes in [a_subscription(), json!({ "status": "active" }), json!({})] {
        let [first, again] = [(); 2].map(|()| event("subscription_updated", "2", &attributes));
        assert_eq!(first, again);
    }
    let [one, other] =
        ["active", "paused"].map(|status| event("subscription_updated", "2", &json!({ "status": status })));
    assert_ne!(one.key, other.key, "without a moment its bytes tell it apart");
    assert!(one.key.starts_with("subscription_updated:sha256:"), "{}", one.key);
}

#[test]
fn an_event_says_its_kind_time_and_mode() {
    for (meta, attributes, live) in [
        (json!(null), json!(false), Some(true)),
        (json!(null), json!(true), Some(false)),
        (json!(true), json!(null), Some(false)),
        (json!(false), json!(null), Some(true)),
        (json!(null), json!(null), None),
        (json!("yes"), json!(0), None),
    ] {
        let body = json!({
            "meta": { "event_name": "order_created", "test_mode": meta },
            "data": { "type": "orders", "id": "1", "attributes": with(an_order(), json!({ "test_mode": attributes })) },
        });
        let incoming = taken_in(body.to_string().as_bytes()).expect("an event").remove(0);
        assert_eq!((incoming.live, incoming.kind.as_str()), (live, "order_created"), "{body}");
        assert_eq!((incoming.occurred_at, incoming.body), (Some(at(&day(1))), body.to_string()));
    }
}

#[test]
fn what_is_no_event_is_named() {
    for (body, why) in [
        (&b"\xff\xfe"[..], "the body is not UTF-8"),
        (b"", "the body is not a JSON object"),
        (b"nonsense", "the body is not a JSON object"),
        (br#"[{"event_name":"order_created"},{}]"#, "the body is not a JSON object"),
        (br#"{"meta":{"event_name":"#, "the body is not a JSON object"),
        (br#"{"data":{}}"#, "`meta.event_name` is missing"),
        (br#"{"meta":{"event_name":7},"data":{}}"#, "`meta.event_name` is missing"),
        (br#"{"meta":{"event_name":"order_created"}}"#, "`data` is missing"),
        (br#"{"meta":{"event_name":"order_created"},"data":[]}"#, "`data` is not an object"),
    ] {
        let malformed = taken_in(body).expect_err(why);
        assert!(malformed.what.starts_with(why), "{}: {malformed}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_event_that_lacks_what_it_must_have_is_held_with_its_reason() {
    for (kind, id, attributes, why) in [
        ("order_created", "1", json!({ "status": "paid" }), "`data.attributes.updated_at` is missing"),
        ("order_created", "", an_order(), "`data.id` is missing"),
        (
            "subscription_payment_success",
            "3",
            json!({ "updated_at": day(1) }),
            "`data.attributes.subscription_id` is missing",
        ),
    ] {
        let refused = LemonSqueezy.translate(&event(kind, id, &attributes), &Settings::default(), &[]);
        assert_eq!(refused.expect_err(why).what, why);
    }
}

#[test]
fn lemon_squeezy_reads_200_for_what_is_kept_and_401_for_what_is_not_believed() {
    assert_eq!(LemonSqueezy.answer(&Outcome::Received { kinds: Vec::new() }).status, 200);
    for reject in [Reject::NoSecret, Reject::NoSignature, Reject::WrongSignature] {
        assert_eq!(LemonSqueezy.answer(&Outcome::Rejected(reject)).status, 401);
    }
}
