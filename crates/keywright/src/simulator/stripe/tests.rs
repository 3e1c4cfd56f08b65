//! What only Stripe tells.

use domain::order::{Order, PurchaseState, SubscriptionStatus};

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
fn the_collecting_stops_and_the_subscription_does_not() {
    let mut account = shop(&Stripe);
    let (subscription, mut events) = subscribed(&mut account, 0);
    let stop = Action::PauseCollection { subscription: subscription.clone() };
    events.extend(account.step(&stop, NOW).unwrap());
    let told: Value = serde_json::from_str(&events.last().unwrap().body).unwrap();
    assert_eq!(told["data"]["object"]["pause_collection"]["behavior"], "keep_as_draft");
    assert_eq!(told["data"]["previous_attributes"], json!({ "pause_collection": null }));
    let order = order(&account, &events, Level::None);
    assert_eq!(order.subscriptions.first_key_value().unwrap().1.value.status, SubscriptionStatus::Active);
    for impossible in [
        stop,
        Action::Renew { subscription: subscription.clone() },
        Action::FailPayment { subscription: subscription.clone() },
    ] {
        assert!(account.step(&impossible, NOW).is_err(), "{impossible:?}");
    }
    let resume = Action::Pause { subscription: subscription.clone(), pauses: false };
    assert_eq!(kinds(&account.step(&resume, NOW).unwrap()), ["customer.subscription.updated"]);
    assert!(account.step(&Action::Renew { subscription }, NOW).is_ok());
}

#[test]
fn an_invoice_made_by_hand_pays_no_month_and_one_paid_out_of_band_does() {
    let mut account = shop(&Stripe);
    let (subscription, mut events) = subscribed(&mut account, 0);
    let paid = payment(&account);
    let by_hand = account.step(&Action::BillByHand { subscription: subscription.clone() }, NOW).unwrap();
    assert_eq!(kinds(&by_hand), ["charge.succeeded", "invoice.paid", "invoice_payment.paid"]);
    events.extend(by_hand);
    assert_eq!(order(&account, &events, Level::None).periods.len(), 1);
    assert_eq!(payment(&account), paid, "a refund is of what paid a month");
    let fails = Action::FailPayment { subscription: subscription.clone() };
    events.extend(account.step(&fails, NOW).unwrap());
    let cash = account.step(&Action::PayOutOfBand { subscription: subscription.clone() }, NOW).unwrap();
    assert_eq!(kinds(&cash), ["customer.subscription.updated", "invoice.paid"], "no payment of Stripe's");
    events.extend(cash);
    assert_eq!(order(&account, &events, Level::None).periods.len(), 2);
    assert_eq!(account.subscriptions[&subscription].status.as_str(), "active");
}

#[test]
fn what_runs_for_a_customer_ends_with_it() {
    let mut account = shop(&Stripe);
    let (subscription, mut events) = subscribed(&mut account, 0);
    let known = buyer().email;
    let change = |address: &str| Action::ChangeCustomer { subscription: subscription.clone(), address: address.into() };
    for (address, expected) in
        [(known.as_str(), "new.ada@example.com"), ("lovelace@example.com", "lovelace@example.com")]
    {
        let told = account.step(&change(address), NOW).unwrap();
        let body: Value = serde_json::from_str(&told[0].body).unwrap();
        assert_eq!(
            (body["type"].as_str(), body["data"]["object"]["email"].as_str()),
            (Some("customer.updated"), Some(expected))
        );
    }
    let delete = Action::DeleteCustomer { subscription: subscription.clone() };
    let told = account.step(&delete, NOW).unwrap();
    assert_eq!(kinds(&told), ["customer.subscription.deleted", "customer.deleted"]);
    events.extend(told);
    let order = order(&account, &events, Level::None);
    assert_eq!(order.subscriptions.first_key_value().unwrap().1.value.status, SubscriptionStatus::Ended);
    assert!(account.step(&delete, NOW).is_err() && account.step(&change("x@example.com"), NOW).is_err());
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
