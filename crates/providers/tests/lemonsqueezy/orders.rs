//! Orders: what was bought, who bought it, and what went back.

use domain::{
    order::{Lines, PurchaseState},
    text::{PlanCode, Reference},
};
use providers::{Level, Provider, Settings, Step, lemonsqueezy::LemonSqueezy};
use serde_json::{Value, json};

use crate::{
    common::asked,
    support::{an_order, answer, at, day, euros, event, event_naming, order, order_believing, step, told, with},
};

const LOOKED_UP: &str = "/v1/orders/1?include=order-items,subscriptions";

fn lines_of(lines: &Lines) -> Vec<String> {
    match lines {
        Lines::Known(lines) => lines
            .iter()
            .map(|line| {
                let renews = if line.recurring { " renews" } else { "" };
                let named = line.named.as_ref().map_or_else(String::new, |plan| format!(" as {plan}"));
                format!("{} of {} x{}{renews}{named}", line.line, line.price, line.quantity)
            })
            .collect(),
        Lines::Shown(lines) => [lines_of(&Lines::Known(lines.clone())), vec!["and more".to_owned()]].concat(),
        Lines::Unknown { .. } => vec!["unknown".to_owned()],
    }
}

#[test]
fn a_paid_order_is_a_purchase() {
    let order = told("order_created", "1", &an_order());
    let purchase = &order.purchases["order:1"];
    assert_eq!(lines_of(&purchase.lines), ["item:11 of 550 x1"]);
    assert_eq!((purchase.state, purchase.total, purchase.at), (PurchaseState::Paid, euros(5000), at(&day(1))));
    assert!(order.refunds.is_empty() && !purchase.silent);
    let contact = order.contact.expect("an address").value;
    assert_eq!((contact.email.as_str(), contact.name.as_deref()), ("grace@example.com", Some("Grace")));
    assert_eq!(order.references, ["5e2f7c1a-1".into(), "order:1".into()].into());
    assert_eq!(order.customers, ["301".into()].into());
}

#[test]
fn only_money_that_came_is_paid() {
    for (status, state) in [
        (json!("paid"), PurchaseState::Paid),
        (json!("refunded"), PurchaseState::Paid),
        (json!("partial_refund"), PurchaseState::Paid),
        (json!("pending"), PurchaseState::Pending),
        (json!("failed"), PurchaseState::Failed),
        (json!("fraudulent"), PurchaseState::Paid),
        (json!("a status of tomorrow"), PurchaseState::Pending),
        (json!(null), PurchaseState::Pending),
    ] {
        let order = told("order_created", "1", &with(an_order(), json!({ "status": status })));
        assert_eq!(order.purchases["order:1"].state, state, "{status}");
    }
}

#[test]
fn what_went_back_is_told_as_a_total() {
    for (fields, total) in [
        (json!({ "refunded": null }), None),
        (json!({ "refunded_amount": 0 }), None),
        (json!({ "refunded_amount": null }), None),
        (json!({ "refunded_amount": 1000, "status": "partial_refund" }), Some(1000)),
        (json!({ "refunded_amount": 1000, "status": "paid" }), Some(1000)),
        (json!({ "refunded_amount": 1000.0 }), Some(1000)),
        (json!({ "refunded_amount": 5000, "status": "refunded", "refunded": true }), Some(5000)),
        (json!({ "refunded_amount": null, "status": "refunded" }), Some(5000)),
        (json!({ "refunded_amount": null, "refunded": true }), Some(5000)),
        (json!({ "refunded_amount": null, "refunded": 1 }), Some(5000)),
        (json!({ "refunded_amount": 0, "status": "fraudulent" }), Some(5000)),
        (json!({ "total": null, "status": "refunded" }), Some(i64::MAX)),
        // Taxes may be left out of the amount.
        (json!({ "refunded_amount": 4200, "refunded": true }), Some(5000)),
    ] {
        let order = told("order_refunded", "1", &with(an_order(), fields.clone()));
        assert_eq!(
            (order.refunded(&"order:1".into()) > 0).then_some(order.refunded(&"order:1".into())),
            total,
            "{fields}"
        );
    }
}

#[test]
fn the_checkouts_own_data_names_the_plan_of_its_only_item_where_it_is_believed() {
    for (custom_data, named) in [
        (json!({ "plan_id": "pro" }), Some("pro")),
        (json!({ "plan_code": " pro " }), Some("pro")),
        (json!({ "key_type_id": "pro", "user": "1" }), Some("pro")),
        (json!({ "plan_id": "" }), None),
        (json!({ "plan_id": ["pro"] }), None),
        (json!([]), None),
        (json!(null), None),
    ] {
        let incoming = event_naming("order_created", "1", &an_order(), &custom_data);
        for (believed, named) in [(false, None), (true, named)] {
            let told = order_believing(believed, &incoming);
            let Lines::Known(lines) = &told.purchases["order:1"].lines else { panic!("a line") };
            assert_eq!(lines[0].named, named.map(PlanCode::from), "{custom_data} {believed}");
        }
    }
}

fn item(id: u32, variant: u32, quantity: u32) -> Value {
    let attributes = json!({ "order_id": 1, "product_id": 55, "variant_id": variant, "quantity": quantity });
    json!({ "type": "order-items", "id": id.to_string(), "attributes": attributes })
}

#[test]
fn with_a_key_all_items_are_known_and_which_of_them_renew() {
    let incoming = event("order_created", "1", &an_order());
    assert_eq!(asked(step(Level::Read, &incoming, &[])), [LOOKED_UP]);
    let subscription =
        json!({ "type": "subscriptions", "id": "2", "attributes": { "order_id": 1, "order_item_id": 12 } });
    for (status, body, lines) in [
        (200, json!({ "included": [item(11, 550, 3)] }), vec!["item:11 of 550 x3"]),
        (
            200,
            json!({ "included": [item(11, 550, 1), item(12, 551, 2), subscription] }),
            vec!["item:11 of 550 x1", "item:12 of 551 x2 renews"],
        ),
        (200, json!({ "included": [] }), vec!["item:11 of 550 x1"]),
        (200, json!({ "data": {} }), vec!["item:11 of 550 x1"]),
        (404, json!({ "errors": [] }), vec!["item:11 of 550 x1"]),
        (401, json!({ "errors": [] }), vec!["item:11 of 550 x1"]),
    ] {
        let told = order(Level::Read, &incoming, &[answer(LOOKED_UP, status, &body)]);
        assert_eq!(lines_of(&told.purchases["order:1"].lines), lines, "{status} {body}");
        let starts = told.references.contains(&Reference::from("subscription:2"));
        assert_eq!(starts, lines.len() == 2, "{body}");
    }
}

#[test]
fn an_item_whose_subscription_is_not_there_yet_renews_if_its_price_does() {
    let incoming = event("order_created", "1", &an_order());
    let priced = |id: u32, price: u32| {
        let mut item = item(id, 550 + id, 1);
        item["attributes"]["price_id"] = json!(price);
        item
    };
    let subscription =
        json!({ "type": "subscriptions", "id": "2", "attributes": { "order_id": 1, "order_item_id": 13 } });
    let items = json!({ "included": [priced(11, 8), priced(12, 9), priced(13, 9), item(14, 1, 1), subscription] });
    let price = |category: Value| json!({ "data": { "type": "prices", "attributes": { "category": category } } });
    let mut answers = vec![answer(LOOKED_UP, 200, &items)];
    for (path, category) in [("/v1/prices/8", json!("one_time")), ("/v1/prices/9", json!("subscription"))] {
        assert_eq!(asked(step(Level::Read, &incoming, &answers)), [path], "each price once");
        answers.push(answer(path, 200, &price(category)));
    }
    let told = order(Level::Read, &incoming, &answers);
    let renews: Vec<bool> =
        lines_of(&told.purchases["order:1"].lines).iter().map(|line| line.ends_with("renews")).collect();
    assert_eq!(renews, [false, true, true, false]);
    for (status, body) in [
        (200, price(json!(null))),
        (200, price(json!("a category of tomorrow"))),
        (200, json!({ "data": null })),
        (403, json!({})),
        (404, json!({})),
    ] {
        let answers =
            [answer(LOOKED_UP, 200, &json!({ "included": [priced(12, 9)] })), answer("/v1/prices/9", status, &body)];
        let told = order(Level::Read, &incoming, &answers);
        assert_eq!(lines_of(&told.purchases["order:1"].lines), ["item:12 of 562 x1"], "{status} {body}");
    }
}

#[test]
fn an_order_that_cost_more_than_its_item_may_be_of_more() {
    for (subtotal, setup_fee, price, quantity, is_more) in [
        (json!(5000), json!(null), json!(5000), json!(1), false),
        (json!(5001), json!(null), json!(5000), json!(1), true),
        (json!(9000), json!(4000), json!(5000), json!(1), false),
        (json!(9001), json!(4000), json!(5000), json!(1), true),
        // Where taxes are a part of the price.
        (json!(4200), json!(null), json!(5000), json!(1), false),
        // The price of one, or of both.
        (json!(10000), json!(0), json!(5000), json!(2), false),
        (json!(15000), json!(0), json!(5000), json!(2), true),
        (json!(null), json!(null), json!(5000), json!(1), false),
        (json!(9000), json!(null), json!(null), json!(1), false),
        (json!(9000), json!(null), json!(5000), json!(null), false),
    ] {
        let item = json!({ "id": 11, "variant_id": 550, "price": price, "quantity": quantity });
        let fields = json!({ "subtotal": subtotal, "setup_fee": setup_fee, "first_order_item": item });
        let incoming = event("order_created", "1", &with(an_order(), fields.clone()));
        let told = |level, answers: &[_]| lines_of(&order(level, &incoming, answers).purchases["order:1"].lines);
        let says_more = |lines: Vec<String>| lines.last().is_some_and(|last| last == "and more");
        assert_eq!(says_more(told(Level::None, &[])), is_more, "{fields}");
        assert_eq!(says_more(told(Level::Read, &[answer(LOOKED_UP, 403, &json!({}))])), is_more, "{fields}");
        let all = json!({ "included": [self::item(11, 550, 1)] });
        assert!(!says_more(told(Level::Read, &[answer(LOOKED_UP, 200, &all)])), "all are told: {fields}");
    }
}

#[test]
fn an_order_that_shows_no_item_is_seen_and_not_lost() {
    for items in [json!(null), json!(7)] {
        let order = told("order_created", "1", &with(an_order(), json!({ "first_order_item": items })));
        let purchase = &order.purchases["order:1"];
        assert_eq!((purchase.state, lines_of(&purchase.lines)), (PurchaseState::Paid, vec!["unknown".to_owned()]));
    }
    let bare = with(an_order(), json!({ "first_order_item": { "product_name": "Editor" } }));
    let order = told("order_created", "1", &bare);
    assert_eq!(lines_of(&order.purchases["order:1"].lines), ["order:1:item of line:order:1:item x1"]);
}

#[test]
fn what_is_sold_is_at_least_one() {
    for quantity in [json!(0), json!(null), json!(-1)] {
        let item = json!({ "id": 11, "variant_id": 550, "quantity": quantity });
        let order = told("order_created", "1", &with(an_order(), json!({ "first_order_item": item })));
        assert_eq!(lines_of(&order.purchases["order:1"].lines), ["item:11 of 550 x1"], "{quantity}");
    }
}

#[test]
fn what_another_store_sold_says_nothing() {
    let incoming = event("order_created", "1", &with(an_order(), json!({ "store_id": 8 })));
    for (store, count) in [(None, 1), (Some("8"), 1), (Some("7"), 0)] {
        let settings = Settings { store: store.map(ToOwned::to_owned), ..Settings::default() };
        let Ok(Step::Facts(facts)) = LemonSqueezy.translate(&incoming, &settings, &[]) else { panic!("facts") };
        assert_eq!(facts.len(), count, "{store:?}");
    }
}

#[test]
fn nothing_is_asked_about_an_order_that_was_not_paid() {
    let failed = event("order_created", "1", &with(an_order(), json!({ "status": "failed" })));
    assert!(matches!(step(Level::Full, &failed, &[]), Ok(Step::Facts(_))));
}
