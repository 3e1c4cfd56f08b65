//! Customers.

use domain::{fact::Fact, join::Join};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{CREATED, at, event_at, facts, permutations, refusal};

fn told(second: i64, kind: &str, object: &Value) -> domain::fact::CustomerFact {
    match &facts(Level::None, &event_at(second, kind, object), &[])[..] {
        [Fact::Customer(fact)] => fact.clone(),
        other => panic!("not one fact about a customer: {other:?}"),
    }
}

#[test]
fn a_customer_is_what_the_last_event_says_in_any_order_of_arrival() {
    let customer = |email: &str| json!({ "id": "cus_1", "email": email, "name": "Ada" });
    let created = told(CREATED, "customer.created", &customer("first@example.com"));
    let updated = told(CREATED, "customer.updated", &customer("second@example.com"));
    let later = told(CREATED + 60, "customer.updated", &customer("third@example.com"));
    let deleted = told(CREATED + 30, "customer.deleted", &customer("second@example.com"));
    for (told, email, gone) in [
        (vec![&created], "first@example.com", false),
        (vec![&created, &updated], "second@example.com", false),
        (vec![&created, &updated, &later], "third@example.com", false),
        (vec![&created, &updated, &later, &deleted], "second@example.com", true),
    ] {
        for arrival in permutations(&told) {
            let mut known = arrival[0].clone();
            for fact in arrival {
                known.join(fact.clone());
            }
            let snapshot = known.snapshot.value;
            assert_eq!(snapshot.email.as_ref().map(|email| email.as_str()), Some(email));
            assert_eq!((snapshot.deleted, snapshot.name.as_deref()), (gone, Some("Ada")));
        }
    }
    assert_eq!(deleted.snapshot.stamp.at, at(CREATED + 30));
}

#[test]
fn of_one_that_is_gone_its_id_may_be_all_that_is_left() {
    let bare = json!({ "id": "cus_1", "object": "customer", "deleted": true });
    for kind in ["customer.deleted", "customer.updated"] {
        let snapshot = told(CREATED, kind, &bare).snapshot;
        assert!(snapshot.value.deleted && snapshot.stamp.ended, "{kind}");
        assert_eq!((snapshot.value.email, snapshot.value.name), (None, None), "{kind}");
    }
}

#[test]
fn a_customer_may_have_neither_name_nor_address() {
    for object in [json!({ "id": "cus_1" }), json!({ "id": "cus_1", "email": "nonsense", "name": "" })] {
        let snapshot = told(CREATED, "customer.updated", &object).snapshot.value;
        assert_eq!((snapshot.email, snapshot.name), (None, None));
    }
    assert_eq!(refusal("customer.created", &json!({})), "`data.object.id` is missing");
}
