//! The outside of an event, what is not one, and what Paddle reads in return.

use jiff::Timestamp;
use providers::{Delivery, Incoming, Level, Malformed, Outcome, Provider, Reject, Settings, paddle::Paddle, signature};
use secrecy::SecretString;
use serde_json::json;

use crate::support::{at, event, facts, step};

/// Takes in a body that is signed as Paddle signs.
pub(crate) fn taken_in(body: &[u8]) -> Result<Vec<Incoming>, Malformed> {
    let secrets = [SecretString::from("pdl_ntfset_test")];
    let now: Timestamp = at(1_790_000_000);
    let header = signature::PADDLE.sign(&secrets[0], body, now);
    let header = |name: &str| (name == "paddle-signature").then_some(header.as_str());
    let delivery = Delivery { header: &header, body };
    Paddle.incoming(&Paddle.verify(&delivery, &secrets, &Settings::default(), now).expect("it is signed"))
}

#[test]
fn an_event_says_its_id_kind_and_microsecond() {
    let delivered = json!({
        "event_id": "evt_1", "event_type": "price.updated", "occurred_at": "2026-09-21T14:13:20.123456789Z",
        "notification_id": "ntf_1", "data": {}
    });
    let mut listed = delivered.clone();
    listed.as_object_mut().expect("an object").remove("notification_id");
    for body in [delivered.to_string(), listed.to_string()] {
        let incoming = Incoming {
            key: "evt_1".into(),
            kind: "price.updated".into(),
            occurred_at: Some("2026-09-21T14:13:20.123456Z".parse().expect("a time")),
            live: None,
            account: None,
            body: body.clone(),
        };
        assert_eq!(taken_in(body.as_bytes()), Ok(vec![incoming]));
    }
    let bare = taken_in(br#" {"event_id":"evt_1","event_type":"x","occurred_at":"soon"}"#).expect("an event");
    assert_eq!(bare[0].occurred_at, None);
}

#[test]
fn what_is_no_event_is_named() {
    for (body, why) in [
        (&b"\xff\xfe"[..], "the body is not UTF-8"),
        (b"", "the body is not a JSON object"),
        (b"nonsense", "the body is not a JSON object"),
        (br#"["evt_1","x"]"#, "the body is not a JSON object"),
        (br#"{"event_id":"evt_1","#, "the body is not a JSON object"),
        (br#"{"event_type":"x"}"#, "`event_id` is missing"),
        (br#"{"event_id":7,"event_type":"x"}"#, "`event_id` is missing"),
        (br#"{"event_id":"evt_1"}"#, "`event_type` is missing"),
        (br#"{"alert_name":"payment_succeeded","alert_id":"1"}"#, "this is an alert of Paddle Classic"),
    ] {
        let malformed = taken_in(body).expect_err(why);
        assert!(malformed.what.starts_with(why), "{}: {malformed}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_unknown_kind_tells_nothing_and_needs_nothing() {
    for kind in ["price.updated", "transaction.paid", "a.kind.of.tomorrow", ""] {
        let mut incoming = event(kind, &json!({}));
        incoming.body = "{}".into();
        incoming.occurred_at = None;
        assert_eq!(facts(Level::Full, &incoming, &[]), [], "{kind}");
    }
}

#[test]
fn what_is_ignored_is_ignored_for_a_reason() {
    for (kind, why) in [
        ("transaction.paid", "transaction.completed follows at once and says it with the subscription and its period"),
        ("transaction.billed", "a transaction matters when it is completed"),
        ("subscription.of.tomorrow", "the subscription's other events say the same"),
        ("payout.paid", "between Paddle and the vendor"),
        ("a.kind.of.tomorrow", "not about a sale, as far as is known"),
        ("", "not about a sale, as far as is known"),
    ] {
        assert_eq!(Paddle.ignores(kind), Some(why), "{kind}");
    }
}

#[test]
fn a_known_kind_must_have_its_time_and_its_data() {
    let now = Some(at(1_790_000_000));
    for (body, occurred_at, why) in [
        ("{}", now, "`data` is missing"),
        (r#"{"data":null}"#, now, "`data` is missing"),
        (r#"{"data":"txn_1"}"#, now, "`data` does not read"),
        (r#"{"data":{"id":"txn_1"}}"#, None, "`occurred_at` is missing"),
        (r#"{"data":{}}"#, now, "`data.id` is missing"),
    ] {
        let mut incoming = event("transaction.completed", &json!({}));
        incoming.body = body.into();
        incoming.occurred_at = occurred_at;
        let refusal = step(Level::None, &incoming, &[]).expect_err(body).what;
        assert!(refusal.starts_with(why), "{body}: {refusal}");
    }
}

#[test]
fn what_paddle_reads_in_return() {
    let invalid = r#"{"error":"Invalid signature"}"#;
    for (outcome, status, body) in [
        (Outcome::Received { kinds: Vec::new() }, 200, r#"{"received":true}"#),
        (Outcome::Received { kinds: vec!["transaction.completed".into()] }, 200, r#"{"received":true}"#),
        (Outcome::Rejected(Reject::WrongSignature), 401, invalid),
        (Outcome::Rejected(Reject::NoSignature), 401, invalid),
        (Outcome::Rejected(Reject::NoSecret), 401, invalid),
        (Outcome::Rejected(Reject::Stale { age_seconds: 301, tolerance_seconds: 300 }), 401, invalid),
    ] {
        let answer = Paddle.answer(&outcome);
        assert_eq!((answer.status, answer.content_type, answer.body.as_str()), (status, "application/json", body));
    }
}

#[test]
fn the_two_environments_are_told_apart_by_address_and_by_key() {
    let base = Paddle.info().api_base;
    assert_eq!((base.of(true), base.of(false)), ("https://api.paddle.com", "https://sandbox-api.paddle.com"));
    for (key, live) in [
        ("pdl_live_apikey_01kw_x_AbC", Some(true)),
        ("pdl_sdbx_apikey_01kw_x_AbC", Some(false)),
        ("pdl_ntfset_01kw_x", None),
        ("0123456789abcdef0123456789abcdef0123456789abcdef01", None),
        ("", None),
    ] {
        assert_eq!(Paddle.is_live_key(key), live, "{key}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_moment_or_none(moment in "[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9:.]{1,20}(Z|[+-][0-9:]{2,6})|\\PC{0,30}") {
        let data = json!({ "id": "txn_1", "origin": "web", "billing_period": { "ends_at": moment } });
        let body = json!({
            "event_id": "evt_1", "event_type": "transaction.completed", "occurred_at": moment, "data": data
        });
        if let Ok(incoming) = taken_in(body.to_string().as_bytes()) {
            let outcome = Paddle.translate(&incoming[0], &Settings::default(), &[]);
            proptest::prop_assert_eq!(outcome.is_ok(), incoming[0].occurred_at.is_some());
        }
    }
}
