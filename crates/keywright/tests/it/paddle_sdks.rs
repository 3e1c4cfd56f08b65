//! Paddle's signatures, held against its official SDKs. The one for Python signs and verifies; the one for Node has no
//! signer, so that it only verifies ours.

use std::{path::Path, process::Command};

use providers::{Delivery, Provider, Settings, paddle::Paddle, signature::PADDLE};
use serde_json::{Value, json};

use crate::{
    oracles::oracle,
    process::{now, run_with},
};

/// A body that no serialiser would write like this, so that only the bytes themselves can be what was signed.
const EVENT: &str = r#"{ "event_id":"evt_1",  "event_type":"customer.updated", "data":{"name":"Ünïcødé ✓ \/"} }"#;

#[test]
fn the_python_sdk_accepts_our_signatures_also_while_a_secret_changes() {
    let signed = |secret: &str| PADDLE.sign(&secret.into(), EVENT.as_bytes(), now());
    let (new, old) = (signed("pdl_ntfset_new"), signed("pdl_ntfset_old"));
    let both = format!("{new};{}", old.split_once(';').unwrap().1);
    for (header, known, valid) in [
        (&new, vec!["pdl_ntfset_new"], true),
        (&new, vec!["pdl_ntfset_old", "pdl_ntfset_new"], true),
        (&new, vec!["pdl_ntfset_old"], false),
        (&both, vec!["pdl_ntfset_new"], true),
        (&both, vec!["pdl_ntfset_old"], true),
        (&both, vec!["pdl_ntfset_other"], false),
    ] {
        let arguments: Vec<&str> = ["paddle-verify", header].into_iter().chain(known).collect();
        assert_eq!(oracle(&arguments, EVENT), [json!({ "valid": valid })], "{arguments:?}");
    }
}

#[test]
fn signatures_of_the_python_sdk_are_believed_also_while_a_secret_changes() {
    for signing in [vec!["pdl_ntfset_new"], vec!["pdl_ntfset_new", "pdl_ntfset_old"], vec!["pdl_ntfset_old"]] {
        let arguments: Vec<&str> = ["paddle-sign"].into_iter().chain(signing.iter().copied()).collect();
        let signed = oracle(&arguments, EVENT).remove(0);
        let header = |name: &str| (name == "paddle-signature").then(|| signed["header"].as_str().unwrap());
        for known in ["pdl_ntfset_new", "pdl_ntfset_old", "pdl_ntfset_other"] {
            let delivery = Delivery { header: &header, body: EVENT.as_bytes() };
            let verified = Paddle.verify(&delivery, &[known.into()], &Settings::default(), now());
            assert_eq!(verified.is_ok(), signing.contains(&known), "{signing:?} {known}");
        }
    }
}

#[test]
fn the_node_sdk_accepts_our_signatures_and_no_others() {
    let (signed_at, secret) = (now(), "pdl_ntfset_new");
    let header = PADDLE.sign(&secret.into(), EVENT.as_bytes(), signed_at);
    let second = signed_at.as_second();
    let other_name = EVENT.replace("Ünïcødé", "Unicode");
    let other_time = header.replace(&second.to_string(), &(second + 1).to_string());
    let mut last_digit_changed = header.clone();
    let last = if last_digit_changed.pop() == Some('0') { '1' } else { '0' };
    last_digit_changed.push(last);
    for (what, secret, header, body, valid) in [
        ("as it was signed", secret, &header, EVENT, true),
        ("another secret", "pdl_ntfset_old", &header, EVENT, false),
        ("another body", secret, &header, other_name.as_str(), false),
        ("another spelling of the body", secret, &header, &EVENT.replace(r"\/", "/"), false),
        ("another time", secret, &other_time, EVENT, false),
        ("another signature", secret, &last_digit_changed, EVENT, false),
    ] {
        assert_eq!(node_sdk(secret, header, second, body), judged(valid), "{what}");
    }
    // It is stricter about the age than the server is by default, and like it accepts a clock that runs ahead.
    for (age_seconds, valid) in [(-3_600, true), (5, true), (6, false)] {
        assert_eq!(node_sdk(secret, &header, second + age_seconds, EVENT), judged(valid), "{age_seconds} s old");
    }
}

/// While a secret changes Paddle signs with both, and either ought to do. The SDK for Node, as of 3.10.0, looks at the last
/// signature only; what it says of each by itself is right.
#[test]
fn of_two_signatures_the_node_sdk_looks_at_the_last() {
    let signed_at = now();
    let signed = |secret: &str| PADDLE.sign(&secret.into(), EVENT.as_bytes(), signed_at);
    let and = |first: &str, second: &str| format!("{};{}", signed(first), signed(second).split_once(';').unwrap().1);
    let (new, old) = ("pdl_ntfset_new", "pdl_ntfset_old");
    for (header, known, node) in [
        (and(new, old), old, true),
        (and(new, old), new, false),
        (and(old, new), new, true),
        (and(old, new), old, false),
    ] {
        assert_eq!(node_sdk(known, &header, signed_at.as_second(), EVENT), judged(node), "{known}: {header}");
        let asked = |name: &str| (name == "paddle-signature").then_some(header.as_str());
        let delivery = Delivery { header: &asked, body: EVENT.as_bytes() };
        let ours = Paddle.verify(&delivery, &[known.into()], &Settings::default(), signed_at);
        assert!(ours.is_ok(), "{known}: {header}");
    }
}

/// Whether the signature is called valid, and what the event is read as.
fn judged(valid: bool) -> Value {
    let event = json!({ "eventId": "evt_1", "eventType": "customer.updated" });
    json!({ "valid": valid, "event": valid.then_some(event) })
}

/// What the SDK for Node says of a delivery when its clock shows that second.
fn node_sdk(secret: &str, header: &str, now: i64, body: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracles.cjs");
    let mut node = Command::new("node");
    let ran = run_with(node.arg(script).args(["paddle-verify", secret, header, &now.to_string()]), body);
    assert!(ran.status.success(), "run the tests with `cargo xtask test`: {ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}
