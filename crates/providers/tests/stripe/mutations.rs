//! Whatever is signed, nothing panics.

use proptest::prelude::*;
use providers::{Level, Provider, Settings, Step, http::Answer, stripe::Stripe};
use serde_json::{Value, json};

use crate::{envelope::taken_in, snapshots, support::answer};

/// Values that no field expects.
fn nonsense() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("\u{0}ünïcødé ✓"),
        json!([]),
        json!([[[]], null, 7]),
        json!({}),
        json!({ "id": { "id": [] }, "data": [{}, null], "has_more": true }),
    ]
}

/// All places in a document, as JSON pointers.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                places(inner, &format!("{here}/{key}"), found);
            }
        }
        Value::Array(array) => {
            for (place, inner) in array.iter().enumerate() {
                places(inner, &format!("{here}/{place}"), found);
            }
        }
        _ => {}
    }
}

/// Translates without a key and with one, whose answers are as wild as the event.
fn translate_all(body: &str, status: u16, reply: &Value) {
    let Ok(incoming) = taken_in(body.as_bytes()) else {
        return;
    };
    for level in [Level::None, Level::Full] {
        let mut answers: Vec<Answer> = Vec::new();
        // A list that always has more is read ten pages far, after the first look-up of its kind.
        for _ in 0..12 {
            match Stripe.translate(&incoming[0], &Settings { level, ..Settings::default() }, &answers) {
                Ok(Step::Need(requests)) => {
                    answers.extend(requests.iter().map(|request| answer(&request.path, status, reply)));
                }
                Ok(Step::Facts(_)) | Err(_) => break,
            }
        }
        let last = Stripe.translate(&incoming[0], &Settings { level, ..Settings::default() }, &answers);
        assert!(!matches!(last, Ok(Step::Need(_))), "the look-ups come to an end");
    }
}

#[test]
fn every_field_of_every_fixture_may_be_nonsense() {
    for (name, body) in snapshots::fixtures() {
        let event: Value = serde_json::from_str(&body).expect(&name);
        let mut found = Vec::new();
        places(&event, "", &mut found);
        for place in found {
            for value in nonsense() {
                let mut changed = event.clone();
                *changed.pointer_mut(&place).expect("a place") = value.clone();
                translate_all(&changed.to_string(), 200, &value);
            }
        }
    }
}

#[test]
fn nonsense_beside_what_is_needed_changes_no_outcome() {
    for (name, body) in snapshots::fixtures() {
        let mut event: Value = serde_json::from_str(&body).expect(&name);
        let facts = |event: &Value| {
            let incoming = taken_in(event.to_string().as_bytes()).expect(&name).remove(0);
            Stripe.translate(&incoming, &Settings { level: Level::None, ..Settings::default() }, &[])
        };
        let before = facts(&event);
        event["data"]["object"]["a field of tomorrow"] = json!({ "id": ["x"] });
        event["a field of tomorrow"] = json!(7);
        assert_eq!(facts(&event), before, "{name}");
    }
}

fn fixture() -> impl Strategy<Value = String> {
    proptest::sample::select(snapshots::fixtures().into_values().collect::<Vec<_>>())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,8}|\\PC{0,8}|-?[0-9.e]{1,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = "id|data|object|lines|items|price|period|parent|has_more|amount|[a-z_]{1,6}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn changed_values_and_keys_never_panic(
        body in fixture(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_json(), any::<bool>()), 1..6),
        reply in any_json(),
        status in proptest::sample::select(vec![200u16, 403, 404]),
    ) {
        let mut event: Value = serde_json::from_str(&body).expect("a fixture");
        for (index, value, rename) in changes {
            let mut found = Vec::new();
            places(&event, "", &mut found);
            let place = index.get(&found).clone();
            let target = event.pointer_mut(&place).expect("a place");
            match target {
                Value::Object(object) if rename && !object.is_empty() => {
                    let key = index.get(&object.keys().cloned().collect::<Vec<_>>()).clone();
                    let moved = object.remove(&key).expect("a key");
                    object.insert(value.to_string(), moved);
                }
                _ => *target = value,
            }
        }
        translate_all(&event.to_string(), status, &reply);
    }

    #[test]
    fn cut_off_and_damaged_bodies_never_panic(
        body in fixture(),
        cut in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = body.into_bytes();
        for (index, byte) in damage {
            let place = index.index(bytes.len());
            bytes[place] = byte;
        }
        for body in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(text) = str::from_utf8(body) {
                translate_all(text, 200, &json!({}));
            }
            let _ = taken_in(body);
        }
    }

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
