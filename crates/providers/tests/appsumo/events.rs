//! Events, one by one and together.

use domain::{
    join::Join,
    money::Money,
    order::{Line, Lines, Order, PurchaseState},
    text::Reference,
};
use serde_json::{Value, json};

use crate::{NOW, at, facts, order, taken_in};

fn event(fields: Value) -> Value {
    let mut event = json!({ "license_key": "k1", "event": "purchase", "created_at": NOW });
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (key, value) in fields {
        event[key] = value;
    }
    event
}

fn told(fields: Value) -> Order {
    order(&taken_in(event(fields).to_string().as_bytes()).expect("an event"))
}

fn names(order: &Order) -> Vec<&str> {
    order.references.iter().map(Reference::as_str).collect()
}

fn lines(order: &Order) -> &Lines {
    &order.purchases["k1"].lines
}

/// Price and quantity of the one line.
fn line(order: &Order) -> Option<(&str, u32)> {
    match lines(order) {
        Lines::Known(lines) => match &lines[..] {
            [Line { price, quantity, recurring: false, line, .. }] if line.as_str() == "k1" => {
                Some((price.as_str(), *quantity))
            }
            other => panic!("not one line: {other:?}"),
        },
        Lines::Shown(lines) => panic!("not all: {lines:?}"),
        Lines::Unknown { recurring, named } => {
            assert_eq!((*recurring, named), (false, &None));
            None
        }
    }
}

#[test]
fn an_event_is_known_by_its_key_kind_and_time() {
    for (created_at, key, moment) in [
        (json!(NOW), "k1/purchase/1790000000000", NOW),
        (json!(NOW / 1_000), "k1/purchase/1790000000000", NOW),
        (json!("1790000000123"), "k1/purchase/1790000000123", NOW + 123),
    ] {
        let body = event(json!({ "created_at": created_at, "event_timestamp": NOW + 99_999 })).to_string();
        let incoming = taken_in(body.as_bytes()).expect("an event");
        assert_eq!(
            (incoming.key.as_str(), incoming.kind.as_str(), incoming.occurred_at),
            (key, "purchase", Some(at(moment)))
        );
        assert_eq!((incoming.live, incoming.account, incoming.body), (None, None, body));
    }
}

#[test]
fn what_is_no_event_is_named() {
    for (body, why) in [
        (&b"\xff\xfe"[..], "the body is not UTF-8"),
        (b"", "the body is not a JSON object"),
        (br#"["k1","purchase"]"#, "the body is not a JSON object"),
        (br#"{"license_key":"k1","#, "the body is not a JSON object"),
        (br#"{"event":"purchase","created_at":1}"#, "`license_key` is missing"),
        (br#"{"license_key":"k1","created_at":1}"#, "`event` is missing"),
        (br#"{"license_key":"k1","event":"purchase","created_at":"soon"}"#, "`created_at` is missing"),
    ] {
        let malformed = taken_in(body).expect_err(why);
        assert!(malformed.what.starts_with(why), "{}: {malformed}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_sale_says_what_was_bought_as_far_as_it_is_told() {
    let parent = || json!("p1");
    for (fields, bought) in [
        (json!({ "tier": 2 }), Some(("tier:2", 1))),
        (json!({ "tier": "2" }), Some(("tier:2", 1))),
        (json!({ "tier": " Agency " }), Some(("tier:Agency", 1))),
        (json!({ "tier": 2, "unit_quantity": 3, "partner_plan_name": "Studio Tier 2" }), Some(("tier:2", 3))),
        (json!({ "tier": null }), None),
        (json!({}), None),
        (
            json!({ "tier": 1, "unit_quantity": 5, "partner_plan_name": "seats", "parent_license_key": parent() }),
            Some(("addon:seats", 5)),
        ),
        (json!({ "partner_plan_name": "seats", "parent_license_key": parent() }), Some(("addon:seats", 1))),
        (json!({ "tier": 1, "parent_license_key": parent() }), None),
        (json!({ "tier": 2, "unit_quantity": -3 }), Some(("tier:2", 1))),
        (json!({ "tier": 2, "unit_quantity": 0 }), Some(("tier:2", 0))),
        (json!({ "tier": 2, "unit_quantity": i64::MAX }), Some(("tier:2", u32::MAX))),
    ] {
        for kind in ["purchase", "activate", "upgrade", "downgrade", "migrate"] {
            let mut fields = fields.clone();
            fields["event"] = json!(kind);
            let order = told(fields.clone());
            assert_eq!(line(&order), bought, "{fields}");
            let purchase = &order.purchases["k1"];
            assert_eq!((purchase.state, purchase.total, purchase.at), (PurchaseState::Paid, Money::ZERO, at(NOW)));
            let expected = if fields["parent_license_key"].is_null() { vec!["k1"] } else { vec!["k1", "p1"] };
            assert_eq!(names(&order), expected, "{fields}");
        }
    }
}

#[test]
fn knowing_the_tier_beats_not_knowing_it_whatever_comes_first() {
    let (without, with) = (told(json!({})), told(json!({ "event": "activate", "tier": 1, "created_at": NOW + 9 })));
    for [first, second] in [[&without, &with], [&with, &without]] {
        let mut joined = first.clone();
        joined.join(second.clone());
        assert_eq!(line(&joined), Some(("tier:1", 1)));
        assert_eq!(joined.purchases["k1"].at, at(NOW), "bought when it was bought");
    }
}

#[test]
fn a_new_key_takes_the_place_of_the_one_it_names() {
    let order = told(json!({ "event": "upgrade", "tier": 2, "prev_license_key": "k0" }));
    assert_eq!(names(&order), ["k0", "k1"]);
    assert_eq!(order.replaced["k0"].value.as_str(), "k1");
    let own = told(json!({ "event": "upgrade", "tier": 2, "prev_license_key": "k1" }));
    assert!(own.replaced.is_empty(), "nothing takes its own place");
}

#[test]
fn only_what_is_over_without_a_successor_is_taken_back() {
    for (reason, taken_back) in [
        (json!("Upgraded by the customer"), false),
        (json!("Upgraded by customer"), false),
        (json!("DOWNGRADED by the customer"), false),
        (json!("Parent deal upgrade"), false),
        (json!("Refunded by the user"), true),
        (json!("Refunded by customer"), true),
        (json!("Refunded by the customer after an upgrade"), true),
        (json!("Something of tomorrow"), true),
        (json!(null), true),
        (json!(7), true),
    ] {
        let body = event(json!({ "event": "deactivate", "extra": { "reason": reason } })).to_string();
        let incoming = taken_in(body.as_bytes()).expect("an event");
        if taken_back {
            let order = order(&incoming);
            assert!(order.refunded(&"k1".into()) > 0 && order.purchases.is_empty(), "{reason}");
        } else {
            let order = order(&incoming);
            assert!(order.gave_way["k1"].value && order.refunds.is_empty(), "{reason}");
            let fields = json!({ "event": "deactivate", "extra": { "reason": reason }, "parent_license_key": "p1" });
            let of_add_on = taken_in(event(fields).to_string().as_bytes()).expect("an event");
            assert_eq!(facts(&of_add_on), Ok(Vec::new()), "an add-on goes where its license goes");
        }
    }
}

#[test]
fn the_later_of_taking_back_and_activating_counts() {
    let over = |moment| told(json!({ "event": "deactivate", "created_at": moment }));
    let active = |moment| told(json!({ "event": "activate", "tier": 1, "created_at": moment }));
    for (events, refunded) in
        [([active(NOW), over(NOW + 1)], true), ([over(NOW), active(NOW + 1)], false), ([active(NOW), over(NOW)], true)]
    {
        for [first, second] in [[0, 1], [1, 0]] {
            let mut joined = events[first].clone();
            joined.join(events[second].clone());
            assert_eq!(joined.refunded(&"k1".into()) > 0, refunded, "{events:?}");
        }
    }
}

#[test]
fn a_test_event_is_understood_and_says_nothing() {
    for kind in ["purchase", "activate", "upgrade", "downgrade", "deactivate", "migrate"] {
        let body = event(json!({ "event": kind, "tier": 1, "test": true })).to_string();
        assert_eq!(facts(&taken_in(body.as_bytes()).expect("an event")), Ok(Vec::new()), "{kind}");
    }
    for bare in [
        json!({ "test": true, "event": "purchase" }),
        json!({ "test": true, "event": "purchase", "license_key": "k1" }),
    ] {
        let incoming = taken_in(bare.to_string().as_bytes()).expect("an event");
        assert_eq!((incoming.kind.as_str(), incoming.occurred_at), ("purchase", None), "answered with its kind");
        assert_eq!(facts(&incoming), Ok(Vec::new()));
    }
}
