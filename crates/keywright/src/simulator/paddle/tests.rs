//! What only Paddle tells.

use super::*;
use crate::simulator::{
    action::{Action, Paying},
    dialect::testing::{NOW, buyer, checkout, kinds, order, payment, shop, subscribed},
};

#[test]
fn a_sale_is_a_transaction_of_a_customer() {
    let mut account = shop(&Paddle);
    let events = account.step(&checkout(&Paddle, 1, Paying::AtOnce), NOW).unwrap();
    assert_eq!(kinds(&events), ["customer.created", "transaction.paid", "transaction.completed"]);
    let (_, events) = subscribed(&mut account, 0);
    assert_eq!(
        kinds(&events),
        ["customer.created", "transaction.paid", "subscription.created", "transaction.completed"]
    );
    let read = |place: usize| serde_json::from_str::<Value>(&events[place].body).unwrap();
    let (paid, created, completed) = (read(1), read(2), read(3));
    assert_eq!(created["data"]["transaction_id"], completed["data"]["id"]);
    assert_eq!((&paid["data"]["subscription_id"], &paid["data"]["billing_period"]), (&Value::Null, &Value::Null));
    assert!(completed["data"]["billing_period"]["ends_at"].is_string());
    assert!(paid["occurred_at"].as_str() < completed["occurred_at"].as_str());
}

#[test]
fn a_refund_waits_for_its_approval() {
    let mut account = shop(&Paddle);
    let mut events = account.step(&checkout(&Paddle, 1, Paying::AtOnce), NOW).unwrap();
    let refund = Action::Refund { payment: payment(&account), amount: None };
    let refunded = account.step(&refund, NOW).unwrap();
    assert_eq!(kinds(&refunded), ["adjustment.created", "adjustment.updated"]);
    let sale = account.sales[0].session.clone();
    events.push(refunded[0].clone());
    assert_eq!(order(&account, &events, Level::None).refunded(&sale.as_str().into()), 0);
    events.push(refunded[1].clone());
    assert_eq!(order(&account, &events, Level::None).refunded(&sale.as_str().into()), 4_900);
}

/// A chargeback is told when the money is gone: that it is lost for good is no news.
#[test]
fn what_nobody_tells_did_not_happen() {
    let mut account = shop(&Paddle);
    account.step(&checkout(&Paddle, 1, Paying::AtOnce), NOW).unwrap();
    let payment = payment(&account);
    let dispute = |outcome| Action::Dispute { payment: payment.clone(), outcome };
    assert_eq!(kinds(&account.step(&dispute(Outcome::Open), NOW).unwrap()), ["adjustment.created"]);
    let before = account.disputes[&payment].outcome;
    for action in [dispute(Outcome::Lost), Action::Leave { buyer: buyer(), lines: Vec::new() }] {
        let refused = account.step(&action, NOW).unwrap_err().to_string();
        assert_eq!(refused, "Paddle tells nothing of that");
    }
    assert_eq!(account.disputes[&payment].outcome, before);
    assert_eq!((account.sales.len(), account.payments[&payment].refunded), (1, 0));
}

#[test]
fn events_are_listed_from_the_newest_page_by_page() {
    let mut account = shop(&Paddle);
    for _ in 0..3 {
        account.step(&checkout(&Paddle, 1, Paying::AtOnce), NOW).unwrap();
    }
    let mut seen = Vec::new();
    loop {
        let mut query = vec![("per_page".to_owned(), "2".to_owned())];
        query.push(("event_type".to_owned(), "transaction.completed,adjustment.created".to_owned()));
        query.extend(seen.last().map(|after: &String| ("after".to_owned(), after.clone())));
        let Reply { status, body } = Paddle.answer(&account, Level::Read, &Question { path: "/events", query });
        assert_eq!(status, 200);
        for event in body["data"].as_array().unwrap() {
            assert_eq!((&event["event_type"], event.get("notification_id")), (&json!("transaction.completed"), None));
            seen.push(event["event_id"].as_str().unwrap().to_owned());
        }
        if body["meta"]["pagination"]["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}
