//! Charges, refunds and disputes.

use domain::{
    join::Stamp,
    order::{DisputeState, Missing, Order, RefundState},
    text::Reference,
};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{
    CREATED, answer, asked, at, event, event_at, facts, joined, names, order, permutations, refusal, tells_nothing,
    told, with,
};

const LINK: &str = "/v1/invoice_payments?payment%5Btype%5D=payment_intent&payment%5Bpayment_intent%5D=pi_1&limit=1";

fn charge(refunded: i64) -> Value {
    json!({
        "id": "ch_1", "payment_intent": "pi_1", "amount": 3000, "amount_refunded": refunded, "currency": "eur",
        "customer": "cus_1",
    })
}

fn refund(id: &str, amount: i64, status: &str) -> Value {
    json!({ "id": id, "charge": "ch_1", "payment_intent": "pi_1", "amount": amount, "currency": "eur", "status": status })
}

fn dispute(status: &str) -> Value {
    json!({ "id": "dp_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 3000, "status": status })
}

#[test]
fn a_charge_is_the_payment_of_its_intent_and_invoice() {
    let order = told("charge.succeeded", &charge(0));
    assert_eq!(order.references, names(&["ch_1", "pi_1"]).into_iter().collect());
    assert!(order.payments.same(&"ch_1".into(), &"pi_1".into()) && order.refunds.is_empty());
    let order = told("charge.succeeded", &with(charge(0), json!({ "invoice": "in_1" })));
    assert!(order.payments.same(&"in_1".into(), &"pi_1".into()));
    tells_nothing("charge.succeeded", &json!({ "id": "ch_1", "payment_intent": null }));
}

#[test]
fn a_refunded_charge_tells_its_total_as_of_the_event() {
    for (object, payment) in [
        (charge(900), "pi_1"),
        (with(charge(900), json!({ "payment_intent": null })), "ch_1"),
        (with(charge(0), json!({ "amount_refunded": "900" })), "pi_1"),
    ] {
        let order = told("charge.refunded", &object);
        let register = &order.refunds[&Reference::from("ch_1")];
        assert_eq!(register.stamp, Stamp::at(at(CREATED)));
        assert!(register.value.cumulative);
        assert_eq!((register.value.amount.minor, register.value.payment.as_str()), (900, payment));
        assert_eq!(order.refunded(&"ch_1".into()), 900);
        assert!(order.missing.is_empty());
    }
    let lacking = with(charge(0), json!({ "amount_refunded": null }));
    assert_eq!(refusal("charge.refunded", &lacking), "`data.object.amount_refunded` is missing");
    assert_eq!(refusal("charge.refunded", &json!({ "amount_refunded": 1 })), "`data.object.id` is missing");
}

#[test]
fn an_updated_charge_tells_its_total_only_if_that_changed() {
    let updated = |previous: Value| {
        let mut incoming = event("charge.updated", &charge(0));
        let body = json!({ "data": { "object": charge(0), "previous_attributes": previous } });
        incoming.body = body.to_string();
        order(Level::Full, &incoming, &[answer(LINK, 200, &json!({ "data": [] }))])
    };
    assert_eq!(updated(json!({ "amount_refunded": 900 })).refunds.len(), 1);
    for other in [json!({ "description": "x" }), json!(null), json!("x")] {
        assert!(updated(other).refunds.is_empty());
    }
}

#[test]
fn each_status_of_a_refund_and_what_it_counts() {
    use RefundState::{Failed, Pending, Succeeded};
    for (kind, status, state, counts) in [
        ("refund.created", json!("succeeded"), Succeeded, 900),
        ("refund.created", json!("pending"), Pending, 0),
        ("refund.updated", json!("requires_action"), Pending, 0),
        ("refund.updated", json!("canceled"), Failed, 0),
        ("charge.refund.updated", json!("failed"), Failed, 0),
        ("refund.failed", json!("failed"), Failed, 0),
        ("refund.failed", json!(null), Failed, 0),
        ("refund.updated", json!("a status of tomorrow"), Pending, 0),
        ("refund.updated", json!(null), Pending, 0),
    ] {
        let order = told(kind, &with(refund("re_1", 900, ""), json!({ "status": status })));
        let register = &order.refunds[&Reference::from("re_1")];
        assert_eq!(register.value.state, state, "{kind} {status}");
        assert_eq!(order.refunded(&"ch_1".into()), counts, "{kind} {status}");
        assert!(order.payments.same(&"ch_1".into(), &"pi_1".into()));
    }
    tells_nothing("refund.created", &json!({ "id": "re_1", "amount": 5, "status": "succeeded", "charge": null }));
    assert_eq!(refusal("refund.created", &json!({ "charge": "ch_1" })), "`data.object.id` is missing");
    assert_eq!(refusal("refund.created", &json!({ "id": "re_1", "charge": "ch" })), "`data.object.amount` is missing");
}

#[test]
fn each_status_of_a_dispute() {
    use DisputeState::{Inquiry, Lost, Open, Won};
    for (status, state) in [
        ("warning_needs_response", Inquiry),
        ("warning_under_review", Inquiry),
        ("warning_closed", Inquiry),
        ("needs_response", Open),
        ("under_review", Open),
        ("appeal_needs_response", Open),
        ("lost", Lost),
        ("won", Won),
        ("prevented", Won),
        ("charge_refunded", Won),
        ("a status of tomorrow", Inquiry),
    ] {
        for kind in ["created", "updated", "closed", "funds_withdrawn", "funds_reinstated"] {
            let order = told(&format!("charge.dispute.{kind}"), &dispute(status));
            let told = &order.disputes[&Reference::from("dp_1")];
            assert_eq!((told.state, told.payment.as_str()), (state, "pi_1"), "{kind} {status}");
            assert_eq!(order.references, names(&["ch_1", "pi_1"]).into_iter().collect());
        }
    }
    let by_charge = with(dispute("lost"), json!({ "payment_intent": null }));
    assert_eq!(told("charge.dispute.closed", &by_charge).references, names(&["ch_1"]).into_iter().collect());
    assert_eq!(refusal("charge.dispute.closed", &json!({ "id": "dp_1" })), "`data.object.charge` is missing");
    let of_old = told("charge.dispute.closed", &with(by_charge, json!({ "id": null })));
    assert_eq!(of_old.disputes[&Reference::from("ch_1")].state, Lost, "it goes by its charge, which had one at most");
}

#[test]
fn the_invoice_of_a_payment_is_looked_up_where_the_event_cannot_say() {
    let linked = json!({ "data": [{ "id": "inpay_1", "invoice": "in_1" }] });
    for incoming in [
        event("charge.refunded", &charge(900)),
        event("refund.created", &refund("re_1", 900, "succeeded")),
        event("charge.dispute.created", &dispute("needs_response")),
    ] {
        for level in [Level::Read, Level::Full] {
            assert_eq!(asked(level, &incoming, &[]), [LINK]);
            let found = order(level, &incoming, &[answer(LINK, 200, &linked)]);
            assert!(found.payments.same(&"in_1".into(), &"pi_1".into()), "{}", incoming.kind);
            assert!(found.references.contains("in_1") && found.missing.is_empty());
            for (status, body, missing) in [
                (200, json!({ "data": [] }), vec![]),
                (404, json!({}), vec![]),
                (401, json!({}), vec![Missing::PaymentLink]),
                (403, json!({}), vec![Missing::PaymentLink]),
            ] {
                let found = order(level, &incoming, &[answer(LINK, status, &body)]);
                assert_eq!(found.missing, missing.into_iter().collect(), "{status}");
                assert_eq!(found.references, names(&["ch_1", "pi_1"]).into_iter().collect());
            }
        }
        assert!(order(Level::None, &incoming, &[]).missing.is_empty(), "the link comes by its own event");
    }
}

#[test]
fn a_charge_that_names_its_invoice_or_says_it_has_none_is_not_looked_up() {
    for invoice in [json!("in_1"), json!(null)] {
        let incoming = event("charge.refunded", &with(charge(900), json!({ "invoice": invoice })));
        assert_eq!(facts(Level::Full, &incoming, &[]).len(), 1, "{invoice}");
    }
    let direct = event("charge.refunded", &with(charge(900), json!({ "payment_intent": null })));
    assert_eq!(facts(Level::Full, &direct, &[]).len(), 1, "an old direct charge");
}

/// The tellings of a refund by both families: `t` is the charge's total, `n` a refund by name.
fn family(tellings: &[&str]) -> Vec<Order> {
    let telling = |text: &&str| {
        let words: Vec<&str> = text.split(' ').collect();
        let second = words[1].parse().expect("seconds");
        let amount = words[2].parse().expect("an amount");
        let incoming = match words[0] {
            "t" => event_at(second, "charge.refunded", &charge(amount)),
            id if words[3] == "failed" => event_at(second, "refund.failed", &refund(id, amount, "failed")),
            id => event_at(second, "refund.updated", &refund(id, amount, words[3])),
        };
        order(Level::None, &incoming, &[])
    };
    tellings.iter().map(telling).collect()
}

#[test]
fn refunds_count_once_whichever_family_of_events_tells_of_them() {
    let session = told(
        "checkout.session.completed",
        &json!({ "id": "cs_1", "mode": "payment", "payment_status": "paid", "payment_intent": "pi_1" }),
    );
    let once: (&[&str], &[&str], i64) = (&["t 10 3000"], &["re_1 10 3000 succeeded"], 3000);
    let in_two = (&["t 10 1000", "t 20 3000"][..], &["re_1 10 1000 succeeded", "re_2 20 2000 succeeded"][..], 3000);
    let slowly = (&["t 10 3000"][..], &["re_1 10 3000 pending", "re_1 15 3000 succeeded"][..], 3000);
    for (totals, by_name, sum) in [once, in_two, slowly] {
        let both = [totals, by_name].concat();
        for tellings in [totals, by_name, &both] {
            check_every_order(&session, tellings, sum);
        }
    }
}

#[test]
fn a_refund_that_fails_later_counts_no_more() {
    let session = told(
        "checkout.session.completed",
        &json!({ "id": "cs_1", "mode": "payment", "payment_status": "paid", "payment_intent": "pi_1" }),
    );
    for (tellings, sum) in [
        // Without the events by name nobody says that it failed.
        (&["t 10 3000"][..], 3000),
        (&["re_1 10 3000 succeeded", "re_1 50 3000 failed"], 0),
        (&["t 10 3000", "re_1 10 3000 succeeded", "re_1 50 3000 failed"], 0),
        (&["t 10 3000", "re_1 50 3000 failed"], 0),
        (&["t 10 1000", "t 20 3000", "re_2 20 2000 succeeded", "re_1 50 1000 failed"], 2000),
        // Before 2024-10-28 only failures came by name; the second try is told by its total alone.
        (&["t 10 3000", "re_1 50 3000 failed", "t 60 3000"], 3000),
    ] {
        check_every_order(&session, tellings, sum);
    }
}

fn check_every_order(session: &Order, tellings: &[&str], sum: i64) {
    let facts = [vec![session.clone()], family(tellings)].concat();
    for arrival in permutations(&facts) {
        let known = joined(&[arrival.clone(), arrival].concat());
        assert_eq!(known.refunded(&"cs_1".into()), sum, "{tellings:?}");
        assert_eq!(known, joined(&facts), "{tellings:?}");
    }
}

#[test]
fn without_a_key_the_refund_of_a_renewal_finds_its_period_by_the_invoice_payment() {
    let renewal = json!({
        "id": "in_1", "amount_paid": 3000, "currency": "eur",
        "parent": { "subscription_details": { "subscription": "sub_1" } },
        "lines": { "data": [{
            "period": { "end": CREATED + 1 },
            "parent": { "subscription_item_details": { "subscription": "sub_1", "proration": false } },
        }] },
    });
    let payment = json!({ "invoice": "in_1", "payment": { "type": "payment_intent", "payment_intent": "pi_1" } });
    let told = [
        told("invoice.paid", &renewal),
        told("invoice_payment.paid", &payment),
        told("charge.refunded", &charge(3000)),
    ];
    for arrival in permutations(&told) {
        let order = joined(&arrival);
        assert!(order.periods.contains_key("in_1"));
        assert_eq!(order.refunded(&"in_1".into()), 3000);
    }
}
