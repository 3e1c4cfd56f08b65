//! Invoices, and which payment paid them.

use domain::{
    money::{Currency, Money},
    order::Order,
    text::Reference,
};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{
    CREATED, answer, asked, at, event, joined, names, order, permutations, refusal, tells_nothing, told, with,
};

const PAID: &str = "invoice.paid";
const MONTH: i64 = CREATED + 2_592_000;
const YEAR: i64 = CREATED + 31_536_000;

fn invoice(lines: &[Value]) -> Value {
    json!({
        "id": "in_1", "created": CREATED - 3, "amount_paid": 1900, "total": 1900, "currency": "eur", "customer": "cus_1",
        "customer_email": "ada@example.com", "customer_name": "Ada",
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": "sub_1" } },
        "lines": { "data": lines, "has_more": false },
    })
}

/// As it was until 2025-03-31 (basil).
fn old_invoice(lines: &[Value]) -> Value {
    let fields = json!({ "parent": null, "subscription": "sub_1", "charge": "ch_1", "payment_intent": "pi_1" });
    with(invoice(lines), fields)
}

fn of_item(end: i64, proration: bool) -> Value {
    let details = json!({ "subscription": "sub_1", "proration": proration });
    json!({
        "period": { "start": CREATED, "end": end },
        "parent": { "type": "subscription_item_details", "subscription_item_details": details },
    })
}

fn of_invoice_item(end: i64) -> Value {
    json!({
        "period": { "start": CREATED, "end": end },
        "parent": { "type": "invoice_item_details", "invoice_item_details": { "subscription": "sub_1" } },
    })
}

fn old_line(end: i64, kind: &str, proration: bool) -> Value {
    json!({ "period": { "end": end }, "type": kind, "proration": proration, "subscription": "sub_1" })
}

fn until(order: &Order) -> Option<jiff::Timestamp> {
    let period = order.periods.get(&Reference::from("in_1"))?;
    assert_eq!(period.subscription, "sub_1".into());
    Some(period.until)
}

#[test]
fn each_line_is_judged_by_itself_and_prorations_pay_no_period() {
    for (what, lines, paid_until) in [
        ("a cycle", vec![of_item(MONTH, false)], Some(MONTH)),
        ("a proration", vec![of_item(MONTH, true)], None),
        ("credit and rest of an upgrade", vec![of_item(MONTH, true), of_item(MONTH, true)], None),
        ("a swap to yearly", vec![of_item(MONTH, true), of_item(YEAR, false)], Some(YEAR)),
        ("a cycle with an upgrade before it", vec![of_item(YEAR, true), of_item(MONTH, false)], Some(MONTH)),
        ("items of different intervals", vec![of_item(MONTH, false), of_item(YEAR, false)], Some(YEAR)),
        ("a cycle and a fee", vec![of_invoice_item(YEAR), of_item(MONTH, false)], Some(MONTH)),
        ("a fee", vec![of_invoice_item(YEAR)], None),
        ("no lines", vec![], None),
        ("a line without a period", vec![with(of_item(MONTH, false), json!({ "period": null }))], None),
    ] {
        for reason in ["subscription_cycle", "subscription_update", "a reason of tomorrow"] {
            let object = with(invoice(&lines), json!({ "billing_reason": reason }));
            assert_eq!(until(&told(PAID, &object)), paid_until.map(at), "{what}, {reason}");
        }
    }
}

#[test]
fn versions_before_basil_say_the_same_elsewhere() {
    for (what, lines, paid_until) in [
        ("a cycle", vec![old_line(MONTH, "subscription", false)], Some(MONTH)),
        ("a proration", vec![old_line(MONTH, "invoiceitem", true)], None),
        ("a proration of a subscription", vec![old_line(MONTH, "subscription", true)], None),
        ("a fee", vec![old_line(YEAR, "invoiceitem", false)], None),
        (
            "a swap to yearly",
            vec![old_line(MONTH, "invoiceitem", true), old_line(YEAR, "subscription", false)],
            Some(YEAR),
        ),
        (
            "both forms, as in the weeks between",
            vec![with(of_item(MONTH, true), old_line(MONTH, "subscription", true))],
            None,
        ),
    ] {
        assert_eq!(until(&told(PAID, &old_invoice(&lines))), paid_until.map(at), "{what}");
    }
}

#[test]
fn a_cycle_pays_its_period_whatever_its_amount() {
    for (fields, minor) in [
        (json!({}), 1900),
        (json!({ "amount_paid": 0, "total": 0 }), 0),
        (json!({ "amount_paid": 1200 }), 1200),
        (json!({ "amount_paid": null }), 1900),
        (json!({ "amount_paid": null, "total": null }), 0),
    ] {
        let order = told(PAID, &with(invoice(&[of_item(MONTH, false)]), fields.clone()));
        assert_eq!(until(&order), Some(at(MONTH)), "{fields}");
        let total = order.periods[&Reference::from("in_1")].total;
        assert_eq!(total, Money::new(minor, Currency::parse("EUR")), "{fields}");
    }
}

#[test]
fn the_invoice_and_what_paid_it_are_one_payment_and_the_subscription_is_not() {
    let new = invoice(&[of_item(MONTH, false)]);
    let old = old_invoice(&[old_line(MONTH, "subscription", false)]);
    let payment = json!({ "data": [{ "payment": { "type": "payment_intent", "payment_intent": "pi_1" } }] });
    for (object, all) in [
        (new.clone(), vec!["in_1", "sub_1"]),
        (with(new, json!({ "payments": payment })), vec!["in_1", "pi_1", "sub_1"]),
        (old, vec!["ch_1", "in_1", "pi_1", "sub_1"]),
    ] {
        let order = told(PAID, &object);
        assert_eq!(order.references, names(&all).into_iter().collect());
        for name in names(&all) {
            let same = order.payments.same(&name, &"in_1".into());
            assert_eq!(same, name != "sub_1".into(), "{name}");
        }
        assert_eq!(order.customers, ["cus_1".into()].into());
    }
}

#[test]
fn an_invoice_knows_where_mail_goes_now() {
    let contact = told(PAID, &invoice(&[of_item(MONTH, false)])).contact.expect("an address");
    assert_eq!(contact.stamp.at, at(CREATED - 3));
    assert_eq!((contact.value.email.as_str(), contact.value.name.as_deref()), ("ada@example.com", Some("Ada")));
}

#[test]
fn an_invoice_of_a_quote_names_its_subscription_on_its_lines() {
    let parent = json!({ "type": "quote_details", "quote_details": { "quote": "qt_1" } });
    let order = told(PAID, &with(invoice(&[of_item(MONTH, false)]), json!({ "parent": parent })));
    assert_eq!(until(&order), Some(at(MONTH)));
}

#[test]
fn an_invoice_without_a_subscription_links_its_payment_at_most() {
    let fee = [json!({ "type": "invoiceitem", "period": { "end": MONTH } })];
    tells_nothing(PAID, &with(invoice(&fee), json!({ "parent": null })));
    let order = told(PAID, &with(old_invoice(&fee), json!({ "subscription": null })));
    assert_eq!(order.references, names(&["ch_1", "in_1", "pi_1"]).into_iter().collect());
    assert!(order.periods.is_empty() && order.contact.is_none());
}

#[test]
fn an_invoice_that_is_longer_than_its_event_is_read_on_where_that_matters() {
    let credits = [with(of_item(MONTH, true), json!({ "id": "il_1" }))];
    let long = |lines: &[Value]| with(invoice(lines), json!({ "lines": { "data": lines, "has_more": true } }));
    let path = "/v1/invoices/in_1/lines?limit=100&starting_after=il_1";
    let incoming = event(PAID, &long(&credits));
    assert_eq!(asked(Level::Read, &incoming, &[]), [path]);
    let rest = json!({ "data": [of_item(MONTH, false)], "has_more": false });
    for (status, paid_until) in [(200, Some(MONTH)), (403, None), (404, None)] {
        let order = order(Level::Read, &incoming, &[answer(path, status, &rest)]);
        assert_eq!(until(&order), paid_until.map(at), "{status}");
    }
    assert_eq!(until(&told(PAID, &long(&credits))), None, "without a key");
    let seen = long(&[of_item(MONTH, false)]);
    assert_eq!(until(&order(Level::Full, &event(PAID, &seen), &[])), Some(at(MONTH)), "seen at once");
}

#[test]
fn a_failed_payment_says_what_belongs_together_and_when_it_is_tried_again() {
    const FAILED: &str = "invoice.payment_failed";
    for (object, next, retry) in [
        (invoice(&[of_item(MONTH, false)]), json!(null), None),
        (invoice(&[of_item(MONTH, false)]), json!(CREATED + 9), Some(CREATED + 9)),
        (old_invoice(&[old_line(MONTH, "subscription", false)]), json!(CREATED + 9), Some(CREATED + 9)),
        (invoice(&[of_item(MONTH, false)]), json!("soon"), None),
    ] {
        let order = told(FAILED, &with(object, json!({ "next_payment_attempt": next })));
        assert_eq!(order.retries.get(&Reference::from("sub_1")).map(|last| last.0), retry.map(at), "{next}");
        assert!(order.references.is_superset(&names(&["in_1", "sub_1"]).into_iter().collect()));
        assert!(order.periods.is_empty() && order.contact.is_none());
    }
    tells_nothing(FAILED, &json!({ "id": "in_1", "next_payment_attempt": CREATED }));
    assert_eq!(refusal(FAILED, &json!({})), "`data.object.id` is missing");
}

#[test]
fn an_updated_invoice_says_when_it_is_tried_again_and_nothing_else() {
    const UPDATED: &str = "invoice.updated";
    let tried = json!({ "status": "open", "attempt_count": 1, "next_payment_attempt": CREATED + 9 });
    let tried = with(invoice(&[of_item(MONTH, false)]), tried);
    let order = told(UPDATED, &tried);
    assert_eq!(order.retries[&Reference::from("sub_1")].0, at(CREATED + 9));
    assert!(order.periods.is_empty() && order.contact.is_none());
    for fields in [
        json!({ "status": "draft", "attempt_count": 0 }),
        json!({ "attempt_count": 0 }),
        json!({ "attempt_count": null }),
        json!({ "status": "paid" }),
        json!({ "next_payment_attempt": null }),
        json!({ "parent": null, "lines": null }),
    ] {
        tells_nothing(UPDATED, &with(tried.clone(), fields));
    }
    assert_eq!(refusal(UPDATED, &json!({})), "`data.object.id` is missing");
}

#[test]
fn of_several_failed_tries_the_latest_moment_counts() {
    let failed =
        |next: i64| told("invoice.payment_failed", &with(invoice(&[]), json!({ "next_payment_attempt": next })));
    for arrival in permutations(&[failed(CREATED + 9), failed(CREATED + 90), failed(CREATED + 50)]) {
        assert_eq!(joined(&arrival).retries[&Reference::from("sub_1")].0, at(CREATED + 90));
    }
}

#[test]
fn an_invoice_made_by_hand_pays_no_period_and_one_paid_out_of_band_does() {
    let marks = json!({ "billing_reason": "manual", "collection_method": "send_invoice" });
    let by_hand = with(invoice(&[of_invoice_item(MONTH)]), marks);
    assert_eq!(until(&told(PAID, &by_hand)), None);
    let cash = json!({ "charge": null, "payment_intent": null, "paid_out_of_band": true, "amount_paid": 0 });
    for object in [
        with(old_invoice(&[old_line(MONTH, "subscription", false)]), cash.clone()),
        with(invoice(&[of_item(MONTH, false)]), cash),
    ] {
        let order = told(PAID, &object);
        assert_eq!(until(&order), Some(at(MONTH)));
        assert_eq!(order.references, names(&["in_1", "sub_1"]).into_iter().collect());
    }
}

#[test]
fn the_twin_of_a_paid_invoice_is_ignored() {
    tells_nothing("invoice.payment_succeeded", &invoice(&[of_item(MONTH, false)]));
}

#[test]
fn an_invoice_payment_links_invoice_and_payment() {
    const KIND: &str = "invoice_payment.paid";
    for (payment, by) in [
        (json!({ "type": "payment_intent", "payment_intent": "pi_1" }), "pi_1"),
        (json!({ "type": "payment_intent", "payment_intent": { "id": "pi_1" } }), "pi_1"),
        (json!({ "type": "charge", "charge": "ch_1" }), "ch_1"),
    ] {
        let order = told(KIND, &json!({ "id": "inpay_1", "invoice": "in_1", "payment": payment }));
        assert_eq!(order.references, names(&["in_1", by]).into_iter().collect());
        assert!(order.payments.same(&"in_1".into(), &by.into()));
    }
    tells_nothing(KIND, &json!({ "invoice": "in_1", "payment": { "type": "payment_record" } }));
    assert_eq!(refusal(KIND, &json!({ "payment": {} })), "`data.object.invoice` is missing");
    assert_eq!(refusal(PAID, &json!({ "total": 1 })), "`data.object.id` is missing");
}
