//! Whatever is signed, nothing panics.

use proptest::prelude::*;
use providers::{Level, Provider, Settings, Step, by_slug, http::Answer};
use serde_json::{Value, json};

use crate::{delivering, fixtures, now, with_verified};

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
                places(inner, &format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), found);
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
fn translate_all(provider: &dyn Provider, body: &[u8], status: u16, reply: &Value) {
    let Ok(events) = with_verified(provider, body, |verified| provider.incoming(verified)) else {
        return;
    };
    for (event, level) in events.iter().flat_map(|event| [Level::None, Level::Full].map(|level| (event, level))) {
        let settings = Settings { level, ..Settings::default() };
        let mut answers: Vec<Answer> = Vec::new();
        // A list that always has more is read ten pages far, after the first look-up of its kind.
        for _ in 0..12 {
            match provider.translate(event, &settings, &answers) {
                Ok(Step::Need(requests) | Step::Partly { wanted: requests, .. }) => {
                    answers.extend(requests.into_iter().map(|request| {
                        let body = reply.to_string();
                        Answer { request, asked_at: now(), status, body }
                    }));
                }
                Ok(Step::Facts(_)) | Err(_) => break,
            }
        }
        let last = provider.translate(event, &settings, &answers);
        assert!(matches!(last, Ok(Step::Facts(_)) | Err(_)), "the look-ups come to an end");
    }
}

#[test]
fn every_field_of_every_fixture_may_be_nonsense() {
    for (provider, name, body) in fixtures() {
        let event: Value = serde_json::from_slice(&body).expect(&name);
        let mut found = Vec::new();
        places(&event, "", &mut found);
        // A third of the values at each place, another third at the next: the deep run tries all of them everywhere.
        let step = if std::env::var_os("KEYWRIGHT_DEEP").is_some_and(|value| value != "0") { 1 } else { 3 };
        for (number, place) in found.into_iter().enumerate() {
            for value in nonsense().into_iter().skip(number % step).step_by(step) {
                let mut changed = event.clone();
                *changed.pointer_mut(&place).expect("a place") = value.clone();
                translate_all(provider, changed.to_string().as_bytes(), 200, &value);
            }
        }
    }
}

/// One of a provider's fixtures, as likely of one provider as of another: its slug and the bytes.
fn fixture() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let slugs: Vec<&str> = delivering().map(|provider| provider.info().slug).collect();
    (proptest::sample::select(slugs), any::<prop::sample::Index>()).prop_map(|(slug, index)| {
        let mut of_provider = fixtures();
        of_provider.retain(|(provider, ..)| provider.info().slug == slug);
        (slug, of_provider.swap_remove(index.index(of_provider.len())).2)
    })
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
        (slug, body) in fixture(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_json(), any::<bool>()), 1..6),
        reply in any_json(),
        status in proptest::sample::select(vec![200u16, 403, 404]),
    ) {
        let mut event: Value = serde_json::from_slice(&body).expect("a fixture");
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
        translate_all(by_slug(slug).expect("a provider"), event.to_string().as_bytes(), status, &reply);
    }

    #[test]
    fn cut_off_and_damaged_bodies_never_panic(
        (slug, body) in fixture(),
        cut in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = body;
        for (index, byte) in damage {
            let place = index.index(bytes.len());
            bytes[place] = byte;
        }
        for body in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            translate_all(by_slug(slug).expect("a provider"), body, 200, &json!({}));
        }
    }
}
