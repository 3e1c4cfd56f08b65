//! The outside of an event, what is not one, and what Stripe reads in return.

use jiff::Timestamp;
use proptest::{prop_assert_eq, proptest};
use providers::{Delivery, Incoming, Level, Malformed, Outcome, Provider, Reject, Settings, signature, stripe::Stripe};
use secrecy::SecretString;
use serde_json::json;

use crate::support::{at, event, facts, step};

/// Takes in a body that is signed as Stripe signs.
pub(crate) fn taken_in(body: &[u8]) -> Result<Vec<Incoming>, Malformed> {
    let secrets = [SecretString::from("whsec_test")];
    let now: Timestamp = at(1_790_000_000);
    let header = signature::sign(&secrets[0], body, now);
    let header = |name: &str| (name == "stripe-signature").then_some(header.as_str());
    let delivery = Delivery { header: &header, body };
    Stripe.incoming(&Stripe.verify(&delivery, &secrets, &Settings::default(), now).expect("it is signed"))
}

#[test]
fn an_event_says_its_id_kind_time_mode_and_account() {
    let body = json!({
        "id": "evt_1", "object": "event", "type": "price.updated", "created": 1_790_000_000, "livemode": true,
        "account": "acct_1", "api_version": null, "data": {},
    })
    .to_string();
    let incoming = Incoming {
        key: "evt_1".into(),
        kind: "price.updated".into(),
        occurred_at: Some(at(1_790_000_000)),
        live: Some(true),
        account: Some("acct_1".into()),
        body: body.clone(),
    };
    assert_eq!(taken_in(body.as_bytes()), Ok(vec![incoming]));
    let bare = taken_in(br#" {"id":"evt_1","type":"x","created":"soon","livemode":null}"#).expect("an event");
    assert_eq!((bare[0].occurred_at, bare[0].live, &bare[0].account), (None, None, &None));
}

#[test]
fn what_is_no_event_is_named() {
    for (body, why) in [
        (&b"\xff\xfe"[..], "the body is not UTF-8"),
        (b"", "the body is not a JSON object"),
        (b"nonsense", "the body is not a JSON object"),
        (br#"["evt_1","event","x"]"#, "the body is not a JSON object"),
        (br#"{"id":"evt_1","#, "the body is not a JSON object"),
        (br#"{"object":"event","type":"x"}"#, "`id` is missing"),
        (br#"{"object":"event","id":7,"type":"x"}"#, "`id` is missing"),
        (br#"{"object":"event","id":"evt_1"}"#, "`type` is missing"),
        (br#"{"object":"charge","id":"ch_1"}"#, "this is `charge`, not an event"),
        (br#"{"object":"v2.core.event","id":"evt_1","type":"v1.billing.meter"}"#, "this is a thin event"),
    ] {
        let malformed = taken_in(body).expect_err(why);
        assert!(malformed.what.starts_with(why), "{}: {malformed}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_unknown_kind_tells_nothing_and_needs_nothing() {
    for kind in ["price.updated", "invoice.finalized", "payment_intent.succeeded", "a.kind.of.tomorrow", ""] {
        let mut incoming = event(kind, &json!({}));
        incoming.body = "{}".into();
        incoming.occurred_at = None;
        assert_eq!(facts(Level::Full, &incoming, &[]), [], "{kind}");
    }
}

#[test]
fn what_is_ignored_is_ignored_for_a_reason() {
    for (kind, why) in [
        ("checkout.session.expired", "nobody bought anything"),
        ("customer.subscription.trial_will_end", "the subscription itself says the same"),
        ("invoice.payment_succeeded", "invoice.paid says the same, and of invoices paid outside Stripe too"),
        ("invoice.finalized", "an invoice matters when it is paid, and when paying it failed"),
        ("a.kind.of.tomorrow", "not about a sale, as far as is known"),
        ("", "not about a sale, as far as is known"),
    ] {
        assert_eq!(Stripe.ignores(kind), Some(why), "{kind}");
    }
}

#[test]
fn a_known_kind_must_have_its_time_and_its_object() {
    let refusal = |body: &str, occurred_at: Option<Timestamp>| {
        let mut incoming = event("invoice.paid", &json!({}));
        incoming.body = body.into();
        incoming.occurred_at = occurred_at;
        step(Level::None, &incoming, &[]).expect_err(body).what
    };
    let now = Some(at(1_790_000_000));
    for (body, occurred_at, why) in [
        ("{}", now, "`data` is missing"),
        (r#"{"data":null}"#, now, "`data` is missing"),
        (r#"{"data":{}}"#, now, "`data.object` is missing"),
        (r#"{"data":{"object":null}}"#, now, "`data.object` is missing"),
        (r#"{"data":{"object":"in_1"}}"#, now, "`data.object` does not read"),
        (r#"{"data":"x"}"#, now, "`data` does not read"),
        (r#"{"data":{"object":{"id":"in_1"}}}"#, None, "`created` is missing"),
    ] {
        assert!(refusal(body, occurred_at).starts_with(why), "{body}");
    }
}

#[test]
fn what_stripe_reads_in_return() {
    for (outcome, status, body) in [
        (Outcome::Received { kinds: Vec::new() }, 200, r#"{"received":true}"#),
        (Outcome::Rejected(Reject::WrongSignature), 400, "Webhook signature verification failed"),
        (Outcome::Rejected(Reject::NoSignature), 400, "Webhook signature verification failed"),
        (Outcome::Rejected(Reject::NoSecret), 400, "Webhook signature verification failed"),
    ] {
        let answer = Stripe.answer(&outcome);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{outcome:?}");
    }
}

proptest! {
    #[test]
    fn any_second_is_a_time_or_none(second: i64) {
        let object = json!({ "id": "cs_1", "payment_status": "paid", "created": second });
        let body = json!({ "id": "evt_1", "type": "checkout.session.completed", "created": second, "data": { "object": object } });
        if let Ok(incoming) = taken_in(body.to_string().as_bytes()) {
            let outcome = Stripe.translate(&incoming[0], &Settings::default(), &[]);
            prop_assert_eq!(outcome.is_ok(), incoming[0].occurred_at.is_some());
        }
    }
}
