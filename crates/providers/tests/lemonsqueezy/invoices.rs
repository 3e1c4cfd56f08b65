//! Invoices, and which payment paid which period.

use domain::{order::Order, text::Reference};
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
fn the_invoice_of_a_change_pays_no_period() {
    let change = invoice("5", json!({ "billing_reason": "updated", "total": 100 }));
    assert!(change.collected.is_empty());
    let order = joined(&[until("2026-10-01T09:00:00Z"), change]);
    assert_eq!(paid(&order).first().map(|(name, ..)| name.as_str()), Some("order:1"));
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
