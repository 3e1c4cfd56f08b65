//! Customers, as their events tell them and as they are looked up.

use domain::{
    fact::{CustomerFact, Fact},
    join::Join,
};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{ASKED, HAPPENED, answer, at, event, event_at, facts, permutations, refusal};

const PATH: &str = "/customers/ctm_1";

fn customer(email: &str) -> Value {
    json!({ "id": "ctm_1", "email": email, "name": "Ada", "status": "active" })
}

fn told(second: i64, kind: &str, data: &Value) -> CustomerFact {
    match &facts(Level::None, &event_at(second, kind, data), &[])[..] {
        [Fact::Customer(fact)] => fact.clone(),
        other => panic!("not one fact about a customer: {other:?}"),
    }
}

/// What a purchase tells of its customer, if the look-up is answered like this.
fn looked_up(status: u16, body: &Value) -> Option<CustomerFact> {
    let purchase = event("transaction.completed", &json!({ "id": "txn_1", "origin": "web", "customer_id": "ctm_1" }));
    match &facts(Level::Read, &purchase, &[answer(PATH, status, body)])[..] {
        [Fact::Order(_), Fact::Customer(fact)] => Some(fact.clone()),
        [Fact::Order(_)] => None,
        other => panic!("not a sale and its customer: {other:?}"),
    }
}

#[test]
fn a_customer_is_what_was_true_last_in_any_order_of_arrival() {
    let created = told(HAPPENED, "customer.created", &customer("first@example.com"));
    let updated = told(HAPPENED, "customer.updated", &customer("second@example.com"));
    let imported = told(HAPPENED - 9, "customer.imported", &customer("old@example.com"));
    let asked = looked_up(200, &json!({ "data": customer("third@example.com") })).expect("it is there");
    let later = told(ASKED + 1, "customer.updated", &customer("fourth@example.com"));
    for (told, email) in [
        (vec![&created], "first@example.com"),
        (vec![&imported, &created], "first@example.com"),
        (vec![&created, &updated], "second@example.com"),
        (vec![&created, &updated, &asked], "third@example.com"),
        (vec![&created, &later, &asked], "fourth@example.com"),
    ] {
        for arrival in permutations(&told) {
            let mut known = arrival[0].clone();
            for fact in arrival {
                known.join(fact.clone());
            }
            let snapshot = known.snapshot.value;
            assert_eq!(snapshot.email.as_ref().map(|email| email.as_str()), Some(email));
            assert_eq!((snapshot.deleted, snapshot.name.as_deref()), (false, Some("Ada")));
        }
    }
    assert_eq!(asked.snapshot.stamp.at, at(ASKED), "true when it was asked");
}

#[test]
fn one_who_cannot_be_looked_up_is_waited_for() {
    for (status, body) in [
        (403, json!({ "error": { "code": "forbidden" } })),
        (403, json!({ "error": { "code": "invalid_token" } })),
        (404, json!({ "error": { "code": "not_found" } })),
        (200, json!({ "data": null })),
        (200, json!({})),
    ] {
        assert_eq!(looked_up(status, &body), None, "{status} {body}");
    }
}

#[test]
fn a_customer_may_have_neither_name_nor_address() {
    for data in [json!({ "id": "ctm_1" }), json!({ "id": "ctm_1", "email": "nonsense", "name": "" })] {
        let snapshot = told(HAPPENED, "customer.updated", &data).snapshot.value;
        assert_eq!((snapshot.email, snapshot.name), (None, None));
    }
    assert_eq!(refusal("customer.created", &json!({})), "`data.id` is missing");
}
