//! What went wrong in other integrations with Paddle, as far as reading its events can show it: each test is named after it.
//!
//! What concerns every provider alike is tested once, and the table in `stripe/failures.rs` says where.

use domain::{
    order::{Lines, SubscriptionStatus},
    text::Reference,
};
use providers::{Delivery, Level, Provider, Settings, paddle::Paddle, signature};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    envelope::taken_in,
    snapshots::fixtures,
    support::{HAPPENED, at, event_at, facts, joined, order, permutations, told},
};

/// The one fact about a sale in a fixture, without a key.
fn sale_of(name: &str) -> domain::order::Order {
    order(Level::None, &taken_in(fixtures()[name].as_bytes()).expect(name).remove(0), &[])
}

#[test]
fn of_two_signatures_only_the_last_was_looked_at() {
    let body = fixtures()["transaction-once"].clone();
    let signed = |secret: &str| signature::PADDLE.sign(&SecretString::from(secret), body.as_bytes(), at(HAPPENED));
    let (new, old) = (signed("new"), signed("old"));
    let h1 = |header: &str| header.split_once(';').expect("a time and a signature").1.to_owned();
    for header in [format!("{new};{}", h1(&old)), format!("{old};{}", h1(&new))] {
        for (known, place) in [(vec!["new"], 0), (vec!["old"], 0), (vec!["gone", "old"], 1)] {
            let secrets: Vec<SecretString> = known.into_iter().map(SecretString::from).collect();
            let find = |name: &str| (name == "paddle-signature").then_some(header.as_str());
            let delivery = Delivery { header: &find, body: body.as_bytes() };
            let verified = Paddle.verify(&delivery, &secrets, &Settings::default(), at(HAPPENED));
            assert_eq!(verified.map(|verified| verified.secret), Ok(place), "{header}");
        }
    }
}

#[test]
fn the_buyer_was_read_from_an_event_that_does_not_name_them() {
    let order = sale_of("transaction-first");
    assert_eq!((order.contact, order.customers.len()), (None, 1), "their id leads to them");
}

#[test]
fn two_licenses_for_one_sale() {
    let sale = [sale_of("transaction-first"), sale_of("subscription-created"), sale_of("transaction-renewal")];
    let subscription = sale[1].subscriptions.keys().next().expect("a subscription").clone();
    assert!(sale.iter().all(|fact| fact.references.contains(&subscription)), "all of them name the sale");
    assert_eq!(joined(&sale).purchases.len(), 1);
    let paid = taken_in(fixtures()["transaction-paid"].as_bytes()).expect("an event").remove(0);
    assert_eq!(facts(Level::None, &paid, &[]), [], "the same money, told before it is complete");
}

#[test]
fn a_refund_that_nobody_had_approved_revoked() {
    let payment = sale_of("transaction-first").purchases.keys().next().expect("a purchase").clone();
    let asked_for = sale_of("adjustment-refund-pending");
    assert_eq!(asked_for.refunded(&payment), 0);
    assert_eq!(sale_of("adjustment-refund-rejected").refunded(&payment), 0);
    for arrival in permutations(&[asked_for, sale_of("adjustment-refund-approved")]) {
        assert_eq!(joined(&arrival).refunded(&payment), 1_900);
    }
}

#[test]
fn a_credit_for_a_change_of_plan_was_taken_for_a_refund() {
    let credit = taken_in(fixtures()["adjustment-credit"].as_bytes()).expect("an event").remove(0);
    assert_eq!(facts(Level::None, &credit, &[]), []);
}

#[test]
fn a_chargeback_that_was_won_back_stayed_lost() {
    let story = [sale_of("adjustment-chargeback"), sale_of("adjustment-chargeback-reversed")];
    for arrival in permutations(&story) {
        let (order, payment) = (joined(&arrival), Reference::from("txn_01kw00000000000000000first"));
        assert_eq!((order.disputes.len(), order.disputes_of(&payment).count()), (2, 0));
    }
}

#[test]
fn the_rest_of_a_period_was_taken_for_a_new_one() {
    assert!(sale_of("transaction-upgrade").periods.is_empty());
    assert_eq!(sale_of("transaction-swap-to-year").periods.len(), 1, "a year is one");
    assert!(sale_of("transaction-payment-method").periods.is_empty(), "and a new card is none");
}

#[test]
fn a_trial_of_nothing_due_was_no_sale() {
    let order = sale_of("transaction-trial");
    let purchase = order.purchases.values().next().expect("a purchase");
    assert_eq!((purchase.total.minor, order.periods.len()), (0, 1));
}

#[test]
fn a_cancellation_for_later_ended_at_once_and_one_for_now_never() {
    let state = |name: &str| sale_of(name).subscriptions.values().next().expect(name).value.clone();
    let scheduled = state("subscription-cancel-scheduled");
    assert_eq!((scheduled.status, scheduled.ended_at), (SubscriptionStatus::Active, None));
    assert!(scheduled.cancel_at.is_some());
    let ended = state("subscription-canceled");
    assert_eq!((ended.status, ended.cancel_at), (SubscriptionStatus::Ended, None));
    assert!(ended.ended_at.is_some());
}

#[test]
fn a_pause_was_awaited_from_the_event_that_ends_a_trial() {
    let story = [sale_of("subscription-paused"), sale_of("subscription-resumed")];
    for arrival in permutations(&story) {
        let known = joined(&arrival);
        let register = known.subscriptions.values().next().expect("a subscription");
        assert_eq!(register.value.status, SubscriptionStatus::Active, "resumed, without being activated");
    }
}

#[test]
fn events_a_microsecond_apart_were_taken_in_the_order_of_arrival() {
    let at_microsecond = |microsecond: i64, status: &str| {
        let mut incoming = event_at(HAPPENED, "subscription.updated", &json!({ "id": "sub_1", "status": status }));
        incoming.occurred_at = jiff::Timestamp::from_microsecond(HAPPENED * 1_000_000 + microsecond).ok();
        order(Level::None, &incoming, &[])
    };
    for arrival in permutations(&[at_microsecond(1, "active"), at_microsecond(2, "past_due")]) {
        let status = joined(&arrival).subscriptions[&Reference::from("sub_1")].value.status;
        assert_eq!(status, SubscriptionStatus::PastDue);
    }
}

#[test]
fn cancelling_one_subscription_took_away_another() {
    let ended =
        |id: &str| told("subscription.canceled", &json!({ "id": id, "status": "canceled", "customer_id": "ctm_1" }));
    let names = |id: &str| ended(id).references;
    assert!(names("sub_1").is_disjoint(&names("sub_2")), "their customer is the same, and no name of either");
}

#[test]
fn an_older_or_newer_form_broke_the_reader() {
    let old = sale_of("transaction-old");
    let Lines::Known(lines) = &old.purchases.values().next().expect("a purchase").lines else {
        panic!("its lines are told")
    };
    assert!(lines[0].price.as_str().ends_with("editormonth"), "only the id of its price is there");
    for name in ["transaction-without-items", "subscription-of-tomorrow", "adjustment-refund-listed"] {
        assert!(!sale_of(name).references.is_empty(), "{name}");
    }
    let amounts: Vec<Value> = vec![json!("1900"), json!(1900), json!(1900.0), json!("1900.0")];
    for total in amounts {
        let adjustment = json!({
            "id": "adj_1", "action": "refund", "status": "approved", "transaction_id": "txn_1", "totals": { "total": total }
        });
        assert_eq!(told("adjustment.created", &adjustment).refunded(&"txn_1".into()), 1_900);
    }
}
