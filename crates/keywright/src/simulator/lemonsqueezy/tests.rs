//! What only Lemon Squeezy tells.

use super::*;
use crate::simulator::{
    account::Outcome,
    action::{Action, Paying},
    dialect::testing::{NOW, Prices, checkout, kinds, payment, shop, subscribed},
};

#[test]
fn a_sale_is_an_order_its_subscription_and_its_invoices() {
    let mut account = shop(&LemonSqueezy);
    let events = account.step(&checkout(&LemonSqueezy, 1, Paying::AtOnce), NOW).unwrap();
    assert_eq!(kinds(&events), ["order_created"]);
    let (_, events) = subscribed(&mut account, 0);
    assert_eq!(kinds(&events), ["order_created", "subscription_created", "subscription_payment_success"]);
    let (subscription, events) = subscribed(&mut account, 14);
    assert_eq!(kinds(&events), ["order_created", "subscription_created"], "a trial has no invoice");
    let ended = account.step(&Action::EndTrial { subscription }, NOW).unwrap();
    assert_eq!(kinds(&ended), ["subscription_updated", "subscription_payment_success"]);
}

/// An order and the first invoice of its subscription are of the same money.
#[test]
fn a_refund_is_told_by_all_that_was_paid_with_it() {
    let mut account = shop(&LemonSqueezy);
    subscribed(&mut account, 0);
    let refund = |amount| Action::Refund { payment: payment(&account), amount };
    let (half, rest) = (refund(Some(450)), refund(None));
    let told = account.step(&half, NOW).unwrap();
    assert_eq!(kinds(&told), ["order_refunded", "subscription_payment_refunded"]);
    let again = account.step(&rest, NOW).unwrap();
    assert_ne!(told[0].id, again[0].id, "two of one moment are two events");
    let order: Value = serde_json::from_str(&again[0].body).unwrap();
    assert_eq!(order["data"]["attributes"]["refunded_amount"], 900);
    assert_eq!(order["data"]["attributes"]["status"], "refunded");
}

#[test]
fn what_nobody_tells_did_not_happen() {
    let mut account = shop(&LemonSqueezy);
    let (subscription, _) = subscribed(&mut account, 0);
    let small = Prices::of(&LemonSqueezy).small;
    let more = Action::Change { subscription: subscription.clone(), price: small, quantity: 5 };
    let disputed = Action::Dispute { payment: payment(&account), outcome: Outcome::Open };
    for action in [more, disputed] {
        assert_eq!(account.step(&action, NOW).unwrap_err().to_string(), "Lemon Squeezy tells nothing of that");
    }
    assert_eq!(account.subscriptions[&subscription].items[0].quantity, 1);
}

#[test]
fn lists_come_in_pages_from_the_newest() {
    let mut account = shop(&LemonSqueezy);
    for second in [300, 100, 200] {
        let at = Timestamp::from_second(second).unwrap();
        account.step(&checkout(&LemonSqueezy, 1, Paying::AtOnce), at).unwrap();
    }
    let page = |number: usize| {
        let query = vec![("page[size]".to_owned(), "2".to_owned()), ("page[number]".to_owned(), number.to_string())];
        let answer = LemonSqueezy.answer(&account, Level::Read, &Question { path: "/v1/orders", query }).body;
        let made = |order: &Value| order["attributes"]["created_at"].as_str().unwrap().to_owned();
        let made: Vec<String> = answer["data"].as_array().unwrap().iter().map(made).collect();
        (made, answer["meta"]["page"]["lastPage"].as_u64().unwrap())
    };
    let (first, second) = (page(1), page(2));
    assert_eq!((first.0.len(), second.0.len(), first.1), (2, 1, 2));
    assert!(first.0[0] > first.0[1] && first.0[1] > second.0[0], "{first:?} {second:?}");
}
