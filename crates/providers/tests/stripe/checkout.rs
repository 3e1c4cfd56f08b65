//! Checkout sessions.

use domain::{
    money::{Currency, Money},
    order::{Line, Lines, Missing, PurchaseState},
    text::{PlanCode, Reference},
};
use providers::{Level, http::Answer};
use serde_json::{Value, json};

use crate::support::{
    CREATED, answer, asked, at, event, facts, names, order, refusal, step, tells_nothing, told, with,
};

const COMPLETED: &str = "checkout.session.completed";
const SUCCEEDED: &str = "checkout.session.async_payment_succeeded";
const FAILED: &str = "checkout.session.async_payment_failed";
const ITEMS: &str = "/v1/checkout/sessions/cs_1/line_items?limit=100";

fn session() -> Value {
    json!({
        "id": "cs_1", "created": CREATED - 500, "mode": "payment", "payment_status": "paid", "payment_intent": "pi_1",
        "amount_total": 4900, "currency": "eur", "customer": "cus_1",
        "customer_details": { "email": "ada@example.com", "name": "Ada" },
    })
}

fn item(id: &str, price: &Value) -> Value {
    json!({ "id": id, "price": price, "quantity": 2, "description": "App" })
}

fn page(items: &[Value], has_more: bool) -> Value {
    json!({ "object": "list", "data": items, "has_more": has_more })
}

fn lines(level: Level, object: &Value, answers: &[Answer]) -> (Lines, Vec<Missing>) {
    let order = order(level, &event(COMPLETED, object), answers);
    let lines = order.purchases[&Reference::from("cs_1")].lines.clone();
    (lines, order.missing.into_iter().collect())
}

fn known(level: Level, object: &Value, answers: &[Answer]) -> Vec<Line> {
    match lines(level, object, answers) {
        (Lines::Known(lines), missing) if missing.is_empty() => lines,
        other => panic!("not known: {other:?}"),
    }
}

#[test]
fn a_purchase_is_paid_when_the_money_is_there_or_none_was_due() {
    use PurchaseState::{Failed, Paid, Pending};
    for (kind, payment_status, state) in [
        (COMPLETED, json!("paid"), Paid),
        (COMPLETED, json!("no_payment_required"), Paid),
        (COMPLETED, json!("unpaid"), Pending),
        (COMPLETED, json!("a status of tomorrow"), Pending),
        (COMPLETED, json!(null), Pending),
        (SUCCEEDED, json!("paid"), Paid),
        (SUCCEEDED, json!("unpaid"), Paid),
        (FAILED, json!("unpaid"), Failed),
    ] {
        let object = with(session(), json!({ "payment_status": payment_status }));
        let purchase = &told(kind, &object).purchases[&Reference::from("cs_1")];
        assert_eq!(purchase.state, state, "{kind} {payment_status}");
        assert_eq!(purchase.at, at(CREATED), "a purchase is made when it is completed");
        assert_eq!(purchase.total, Money::new(4900, Currency::parse("EUR")));
    }
}

#[test]
fn where_nothing_is_sold_nothing_is_told() {
    tells_nothing(COMPLETED, &with(session(), json!({ "mode": "setup" })));
    tells_nothing("checkout.session.expired", &with(session(), json!({ "payment_status": "unpaid" })));
}

#[test]
fn a_checkout_that_cost_nothing_may_name_neither_amount_nor_currency() {
    let object = with(session(), json!({ "amount_total": null, "currency": null }));
    assert_eq!(told(COMPLETED, &object).purchases[&Reference::from("cs_1")].total, Money::ZERO);
}

#[test]
fn all_names_of_the_sale_are_known_and_the_subscription_is_no_payment() {
    let ids = json!({ "mode": "subscription", "payment_intent": null, "invoice": "in_1", "subscription": "sub_1" });
    let expanded = json!({
        "mode": "subscription", "payment_intent": null,
        "invoice": { "id": "in_1" }, "subscription": { "id": "sub_1", "status": "active" },
    });
    for fields in [ids, expanded] {
        let order = told(COMPLETED, &with(session(), fields));
        assert_eq!(order.references, names(&["cs_1", "in_1", "sub_1"]).into_iter().collect());
        assert!(order.payments.same(&"cs_1".into(), &"in_1".into()));
        assert!(!order.payments.same(&"cs_1".into(), &"sub_1".into()));
        assert_eq!(order.purchases[&Reference::from("cs_1")].subscriptions, [Reference::from("sub_1")].into());
    }
    let order = told(COMPLETED, &session());
    assert_eq!(order.references, names(&["cs_1", "pi_1"]).into_iter().collect());
    assert!(order.payments.same(&"cs_1".into(), &"pi_1".into()));
    assert_eq!(order.customers, ["cus_1".into()].into());
}

#[test]
fn mail_goes_to_what_the_buyer_typed() {
    for (fields, email, name) in [
        (json!({}), Some("ada@example.com"), Some("Ada")),
        (json!({ "customer_email": "prefilled@example.com" }), Some("ada@example.com"), Some("Ada")),
        (json!({ "customer_email": "old@example.com", "customer_details": null }), Some("old@example.com"), None),
        (json!({ "customer_details": { "email": "no address", "name": "Ada" } }), None, None),
        (json!({ "customer_details": {} }), None, None),
    ] {
        let contact = told(COMPLETED, &with(session(), fields.clone())).contact;
        let value = contact.as_ref().map(|register| &register.value);
        assert_eq!(value.map(|contact| contact.email.as_str()), email, "{fields}");
        assert_eq!(value.and_then(|contact| contact.name.as_deref()), name, "{fields}");
        let stamps = contact.iter().all(|register| register.stamp.at == at(CREATED - 500));
        assert!(stamps, "an address is as old as its checkout: {fields}");
    }
}

#[test]
fn without_a_key_only_the_sale_itself_can_say_what_was_bought() {
    let plan = || Some(PlanCode::from("PRO"));
    for (fields, recurring, named, missing) in [
        (json!({}), false, None, vec![Missing::Lines]),
        (json!({ "metadata": { "plan_id": "PRO" } }), false, plan(), vec![]),
        (json!({ "mode": "subscription" }), true, None, vec![]),
        (json!({ "mode": null, "subscription": "sub_1" }), true, None, vec![]),
        (json!({ "mode": "subscription", "metadata": { "plan_id": "PRO" } }), true, plan(), vec![]),
    ] {
        let unknown = Lines::Unknown { recurring, named };
        assert_eq!(lines(Level::None, &with(session(), fields.clone()), &[]), (unknown, missing), "{fields}");
    }
}

#[test]
fn a_refused_look_up_leaves_the_sale_and_says_what_is_missing() {
    for status in [400, 401, 403, 404] {
        for level in [Level::Read, Level::Full] {
            let answers = [answer(ITEMS, status, &json!({ "error": {} }))];
            let unknown = Lines::Unknown { recurring: false, named: None };
            assert_eq!(lines(level, &session(), &answers), (unknown, vec![Missing::Lines]), "{status}");
        }
    }
}

#[test]
fn an_answer_that_does_not_read_is_named_and_not_taken_for_a_refusal() {
    let mut answers = [answer(ITEMS, 200, &json!(null))];
    answers[0].body = "<html>".into();
    let malformed = step(Level::Read, &event(COMPLETED, &session()), &answers).expect_err("no JSON");
    assert!(malformed.what.contains(ITEMS), "{malformed}");
}

#[test]
fn a_payment_that_failed_needs_no_look_up() {
    assert_eq!(facts(Level::Full, &event(FAILED, &session()), &[]).len(), 1);
}

#[test]
fn lines_are_looked_up_page_by_page_and_only_so_far() {
    assert_eq!(asked(Level::Read, &event(COMPLETED, &session()), &[]), [ITEMS]);
    let mut answers = Vec::new();
    let mut path = ITEMS.to_owned();
    for number in 0..10 {
        let id = format!("li_{number}");
        answers.push(answer(&path, 200, &page(&[item(&id, &json!({ "id": "price_1" }))], true)));
        path = format!("{ITEMS}&starting_after={id}");
        if number < 9 {
            assert_eq!(asked(Level::Read, &event(COMPLETED, &session()), &answers), [path.as_str()]);
        }
    }
    assert_eq!(known(Level::Read, &session(), &answers).len(), 10);
    answers[1] = answer(&format!("{ITEMS}&starting_after=li_0"), 403, &json!({}));
    assert_eq!(lines(Level::Read, &session(), &answers).1, [Missing::Lines], "half a list is none");
}

#[test]
fn an_empty_list_is_a_sale_of_something_unknown() {
    let unknown = Lines::Unknown { recurring: false, named: None };
    let answers = [answer(ITEMS, 200, &page(&[], false))];
    assert_eq!(lines(Level::Read, &session(), &answers), (unknown, vec![]));
}

#[test]
fn lines_that_came_with_the_session_are_not_looked_up() {
    let items = page(&[item("li_1", &json!({ "id": "price_1" }))], false);
    let object = with(session(), json!({ "line_items": items }));
    for level in [Level::None, Level::Read, Level::Full] {
        assert_eq!(known(level, &object, &[]).len(), 1);
    }
    let items = page(&[item("li_1", &json!({ "id": "price_1" }))], true);
    let object = with(session(), json!({ "line_items": items }));
    let next = format!("{ITEMS}&starting_after=li_1");
    assert_eq!(asked(Level::Read, &event(COMPLETED, &object), &[]), [next.as_str()]);
    let answers = [answer(&next, 200, &page(&[item("li_2", &json!("price_2"))], false))];
    assert_eq!(known(Level::Read, &object, &answers).len(), 2);
    assert_eq!(lines(Level::None, &object, &[]).1, [Missing::Lines], "without a key a cut list is no list");
}

#[test]
fn a_line_says_price_product_quantity_and_whether_it_renews() {
    for (item, price, product, quantity, recurring) in [
        (json!({ "price": { "id": "p", "product": "q" }, "quantity": 3 }), "p", Some("q"), 3, false),
        (json!({ "price": { "id": "p", "product": { "id": "q" } }, "quantity": "3" }), "p", Some("q"), 3, false),
        (json!({ "price": { "id": "p", "type": "recurring" } }), "p", None, 1, true),
        (json!({ "price": { "id": "p", "recurring": { "interval": "month" } } }), "p", None, 1, true),
        (json!({ "price": { "id": "p", "recurring": null }, "quantity": null }), "p", None, 1, false),
        (json!({ "price": "p", "quantity": 0 }), "p", None, 0, false),
        (json!({ "price": "p", "quantity": -4 }), "p", None, 1, false),
        (json!({ "price": "p", "quantity": 99_999_999_999_i64 }), "p", None, u32::MAX, false),
        (json!({ "price": null }), "line:li_1", None, 1, false),
    ] {
        let answers = [answer(ITEMS, 200, &page(&[with(item.clone(), json!({ "id": "li_1" }))], false))];
        let line = &known(Level::Read, &session(), &answers)[0];
        assert_eq!((line.line.as_str(), line.price.as_str()), ("li_1", price), "{item}");
        assert_eq!(line.product.as_ref().map(|product| product.as_str()), product, "{item}");
        assert_eq!((line.quantity, line.recurring), (quantity, recurring), "{item}");
    }
}

#[test]
fn metadata_names_the_plan_of_the_one_line_and_prices_name_their_own() {
    let plain = json!({ "id": "p" });
    let own = json!({ "id": "q", "metadata": { "plan_code": "OWN" } });
    let none = json!({});
    let pro = json!({ "plan_id": "PRO" });
    for (metadata, prices, named) in [
        (&none, vec![&plain], vec![None]),
        (&none, vec![&own], vec![Some("OWN")]),
        (&pro, vec![&plain], vec![Some("PRO")]),
        (&pro, vec![&own], vec![Some("PRO")]),
        (&pro, vec![&plain, &own], vec![None, Some("OWN")]),
        (&json!({ "plan_id": " ", "plan_code": " TEAM " }), vec![&plain], vec![Some("TEAM")]),
        (&json!({ "key_type_id": "kt_1", "plan_code": "TEAM" }), vec![&plain], vec![Some("TEAM")]),
        (&json!({ "key_type_id": "kt_1" }), vec![&plain], vec![Some("kt_1")]),
        (&json!({ "plan": "PRO", "plan_id": 7 }), vec![&plain], vec![None]),
    ] {
        let object = with(session(), json!({ "metadata": metadata }));
        let items: Vec<Value> = prices.iter().map(|price| item("li", price)).collect();
        let lines = known(Level::Read, &object, &[answer(ITEMS, 200, &page(&items, false))]);
        let told: Vec<Option<&str>> = lines.iter().map(|line| line.named.as_ref().map(|plan| plan.as_str())).collect();
        assert_eq!(told, named, "{metadata} {prices:?}");
    }
}

#[test]
fn a_session_without_an_id_makes_no_sense() {
    assert_eq!(refusal(COMPLETED, &json!({ "mode": "payment" })), "`data.object.id` is missing");
}
