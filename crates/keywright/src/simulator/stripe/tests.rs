//! What only Stripe tells.

use domain::order::{Order, PurchaseState};

use super::*;
use crate::simulator::{
    action::{Action, Paying},
    dialect::testing::{NOW, Prices, buyer, checkout, kinds, order, payment, shop, subscribed},
};

/// As by a payment link: a guest, and nothing that the vendor's code wrote.
#[test]
fn who_buys_once_is_a_guest() {
    let mut account = shop(&Stripe);
    let events = account.step(&checkout(&Stripe, 2, Paying::AtOnce), NOW).unwrap();
    assert_eq!(kinds(&events), ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]);
    let session: Value = serde_json::from_str(&events[2].body).unwrap();
    assert_eq!(session["data"]["object"]["customer"], Value::Null);
    assert_eq!(session["data"]["object"]["metadata"], json!({}));
}

#[test]
fn money_comes_later_or_not_at_all() {
    let state = |account: &Account, events: &[crate::simulator::account::Event]| {
        let order = order(account, events, Level::Read);
        order.purchases.first_key_value().unwrap().1.state
    };
    for (arrives, expected) in [(true, PurchaseState::Paid), (false, PurchaseState::Failed)] {
        let mut account = shop(&Stripe);
        let mut events = account.step(&checkout(&Stripe, 1, Paying::Later), NOW).unwrap();
        assert_eq!(state(&account, &events), PurchaseState::Pending);
        let action = Action::Arrive { session: account.sales[0].session.clone(), arrives };
        events.extend(account.step(&action, NOW).unwrap());
        assert_eq!(state(&account, &events), expected);
        assert!(account.step(&action, NOW).is_err(), "it came once, or not at all");
    }
}

#[test]
fn a_checkout_that_is_left_is_no_order() {
    let mut account = shop(&Stripe);
    let leave = Action::Leave { buyer: buyer(), lines: vec![(Prices::of(&Stripe).once, 1)] };
    let events = account.step(&leave, NOW).unwrap();
    assert_eq!(kinds(&events), ["checkout.session.expired"]);
    assert_eq!(order(&account, &events, Level::Read), Order::default());
}

#[test]
fn a_trial_begins_with_an_invoice_of_nothing() {
    let (_, events) = subscribed(&mut shop(&Stripe), 14);
    assert_eq!(
        kinds(&events),
        ["customer.created", "checkout.session.completed", "customer.subscription.created", "invoice.paid"]
    );
}

#[test]
fn a_change_tells_what_was_before_and_no_more() {
    let mut account = shop(&Stripe);
    let (subscription, _) = subscribed(&mut account, 0);
    let Prices { small, large, .. } = Prices::of(&Stripe);
    let events = account.step(&Action::Change { subscription, price: large, quantity: 1 }, NOW).unwrap();
    let updated: Value = serde_json::from_str(&events[0].body).unwrap();
    let before = &updated["data"]["previous_attributes"];
    assert_eq!(before["items"]["data"][0]["price"]["id"], json!(small));
    assert_eq!(before.get("status"), None);
}

#[test]
fn a_dispute_grows_out_of_an_inquiry() {
    let mut account = shop(&Stripe);
    account.step(&checkout(&Stripe, 1, Paying::AtOnce), NOW).unwrap();
    let payment = payment(&account);
    for (outcome, expected) in [
        (Outcome::Inquiry, "charge.dispute.created"),
        (Outcome::Open, "charge.dispute.updated"),
        (Outcome::Lost, "charge.dispute.closed"),
    ] {
        let action = Action::Dispute { payment: payment.clone(), outcome };
        assert_eq!(kinds(&account.step(&action, NOW).unwrap()), [expected]);
    }
}

#[test]
fn a_look_up_leads_from_a_refund_to_its_invoice() {
    let mut account = shop(&Stripe);
    subscribed(&mut account, 0);
    let payment = payment(&account);
    let invoice = account.invoice_of(&payment).unwrap().id.clone();
    let events = account.step(&Action::Refund { payment, amount: None }, NOW).unwrap();
    assert!(order(&account, &events, Level::Full).references.contains(invoice.as_str()));
}

#[test]
fn no_two_events_of_a_subscription_share_a_second() {
    let mut account = shop(&Stripe);
    let (subscription, _) = subscribed(&mut account, 0);
    let mut seconds = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let events = account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap();
        let body: Value = serde_json::from_str(&events[0].body).unwrap();
        assert!(seconds.insert(body["created"].as_i64()));
    }
}
