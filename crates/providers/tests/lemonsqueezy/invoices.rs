//! Invoices, and which payment paid which period.

use domain::{
    order::{Missing, Order},
    text::Reference,
};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{
    a_subscription, an_invoice, an_order, at, day, euros, event, facts, joined, permutations, told, with,
};

fn invoice(id: &str, fields: Value) -> Order {
    told("subscription_payment_success", id, &with(an_invoice(), fields))
}

fn renewed(id: &str, on: &str) -> Order {
    invoice(id, json!({ "billing_reason": "renewal", "created_at": on, "updated_at": on, "total": 4000 }))
}

fn until(on: &str) -> Order {
    told("subscription_updated", "2", &with(a_subscription(), json!({ "renews_at": on, "updated_at": day(2) })))
}

/// The payment and the end of each period.
fn paid(order: &Order) -> Vec<(String, String, i64)> {
    let order = order.with_payments_of_periods();
    let told = order
        .periods
        .iter()
        .map(|(name, period)| (name.to_string(), period.until.strftime("%m-%d").to_string(), period.total.minor));
    told.collect()
}

#[test]
fn an_invoice_is_a_payment_of_its_subscription() {
    let order = invoice("3", json!({}));
    let paid = &order.collected["invoice:3"];
    assert_eq!((paid.subscription.as_str(), paid.total, paid.at), ("subscription:2", euros(5000), at(&day(1))));
    assert!(order.periods.is_empty() && order.refunds.is_empty());
    assert_eq!(order.references, ["invoice:3".into(), "subscription:2".into()].into());
}

#[test]
fn what_is_not_paid_says_nothing() {
    for (kind, status, says) in [
        ("subscription_payment_success", json!("paid"), true),
        ("subscription_payment_recovered", json!("paid"), true),
        ("subscription_payment_refunded", json!("refunded"), true),
        ("subscription_payment_success", json!(null), true),
        ("subscription_payment_failed", json!("pending"), false),
        ("subscription_payment_failed", json!("void"), false),
        ("subscription_payment_failed", json!(null), false),
        ("subscription_payment_success", json!("pending"), false),
        ("subscription_payment_success", json!("void"), false),
    ] {
        let told = facts(Level::None, &event(kind, "3", &with(an_invoice(), json!({ "status": status }))), &[]);
        assert_eq!(!told.is_empty(), says, "{kind} {status}");
    }
}

#[test]
fn each_period_is_paid_by_the_last_payment_before_it_began_and_no_other() {
    let (september, october) = ("2026-10-01T09:00:00Z", "2026-11-01T09:00:00Z");
    let first = invoice("3", json!({}));
    let on_time = renewed("4", "2026-10-01T09:02:00Z");
    let early = renewed("4", "2026-10-01T08:00:00Z");
    let recovered = renewed("4", "2026-10-05T09:00:00Z");
    let told =
        |month: &str, name: &str| (name.to_owned(), month.to_owned(), if name == "invoice:4" { 4000 } else { 5000 });
    for (what, orders, expected) in [
        ("the first", vec![&first], vec![told("10-01", "invoice:3")]),
        ("and its renewal", vec![&first, &on_time], vec![told("10-01", "invoice:3"), told("11-01", "invoice:4")]),
        ("collected early", vec![&first, &early], vec![told("10-01", "invoice:3"), told("11-01", "invoice:4")]),
        ("paid late", vec![&first, &recovered], vec![told("10-01", "invoice:3"), told("11-01", "invoice:4")]),
    ] {
        let mut known = vec![until(september), told_order()];
        if orders.len() > 1 {
            known.push(until(october));
        }
        known.extend(orders.into_iter().cloned());
        for known in permutations(&known) {
            assert_eq!(paid(&joined(&known)), expected, "{what}");
        }
    }
    // The snapshot in between is lost: the first payment paid for a period that nobody told of.
    let gap = joined(&[until(october), told_order(), first, on_time]);
    assert_eq!(paid(&gap), [told("11-01", "invoice:4")]);
}

fn told_order() -> Order {
    told("order_created", "1", &an_order())
}

#[test]
fn a_payment_after_all_periods_paid_for_one_that_lasts_three_days_until_it_is_told() {
    let (first, renewal) = (invoice("3", json!({})), renewed("4", "2026-10-01T09:02:00Z"));
    let of_first = ("invoice:3".to_owned(), "10-01".to_owned(), 5000);
    let of_renewal = |until: &str| ("invoice:4".to_owned(), until.to_owned(), 4000);
    let known = [until("2026-10-01T09:00:00Z"), told_order(), first, renewal];
    for known in permutations(&known) {
        assert_eq!(paid(&joined(&known)), [of_first.clone(), of_renewal("10-04")]);
        let told = [joined(&known), until("2026-11-01T09:00:00Z")];
        assert_eq!(paid(&joined(&told)), [of_first.clone(), of_renewal("11-01")]);
    }
}

fn changed_for(total: i64) -> Order {
    invoice(
        "5",
        json!({ "billing_reason": "updated", "total": total, "created_at": day(10), "updated_at": day(10), "refunded_amount": total }),
    )
}

#[test]
fn the_invoice_of_a_change_pays_for_a_period_that_no_other_explains() {
    let change = changed_for(100);
    assert!(change.collected["invoice:5"].change && change.missing.contains(&Missing::PaymentLink));
    let (october, november, a_year) = ("2026-10-01T09:00:00Z", "2026-11-01T09:00:00Z", "2027-09-10T09:00:00Z");
    let of = |payment: &str, until: &str, total| (payment.to_owned(), until.to_owned(), total);
    let first = || vec![told_order(), until(october), invoice("3", json!({}))];
    for (what, known, expected) in [
        ("alone", vec![until(october), change.clone()], vec![of("order:1", "10-01", 0)]),
        ("within a month", [first(), vec![change.clone()]].concat(), vec![of("invoice:3", "10-01", 5000)]),
        (
            "and its renewal",
            [first(), vec![change, until(november), renewed("4", october)]].concat(),
            vec![of("invoice:3", "10-01", 5000), of("invoice:4", "11-01", 4000)],
        ),
        (
            "to another interval",
            [first(), vec![changed_for(9000), until(a_year)]].concat(),
            vec![of("invoice:3", "10-01", 5000), of("invoice:5", "09-10", 9000)],
        ),
    ] {
        for known in permutations(&known) {
            assert_eq!(paid(&joined(&known)), expected, "{what}");
        }
    }
}

#[test]
fn an_order_and_its_first_invoice_are_one_payment() {
    let known = joined(&[told_order(), until(&day(30)), invoice("3", json!({}))]);
    assert!(known.payments.same(&"order:1".into(), &"invoice:3".into()));
    for (name, told) in [
        (
            "the invoice tells",
            told("subscription_payment_refunded", "3", &with(an_invoice(), json!({ "refunded_amount": 2000 }))),
        ),
        ("the order tells", told("order_refunded", "1", &with(an_order(), json!({ "refunded_amount": 2000 })))),
    ] {
        let order = joined(&[known.clone(), told]);
        for payment in ["order:1", "invoice:3"] {
            assert_eq!(order.refunded(&Reference::from(payment)), 2000, "{name} of {payment}");
        }
    }
}
