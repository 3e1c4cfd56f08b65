//! Transactions: what was bought, and which period was paid.

use domain::{
    fact::Fact,
    order::{Line, Lines, Order, PurchaseState},
    text::Reference,
};
use providers::{Level, Step, http::Request};
use serde_json::{Value, json};

use crate::support::{
    HAPPENED, answer, at, event, facts, names, order_believing, refusal, step, tells_nothing, told, with,
};

const COMPLETED: &str = "transaction.completed";
const MONTH: &str = "2026-10-21T14:13:20Z";
const YEAR: &str = "2027-09-21T14:13:20Z";

fn price(id: &str, recurring: bool) -> Value {
    let cycle = recurring.then(|| json!({ "interval": "month", "frequency": 1 }));
    json!({ "id": id, "product_id": "pro_1", "name": "Monthly", "billing_cycle": cycle })
}

/// A purchase of one recurring price.
fn transaction() -> Value {
    json!({
        "id": "txn_1", "origin": "web", "status": "completed", "customer_id": "ctm_1", "subscription_id": "sub_1",
        "invoice_id": "inv_1", "currency_code": "EUR", "billing_period": { "ends_at": MONTH },
        "items": [{ "price": price("pri_1", true), "quantity": 2, "proration": null }],
        "details": {
            "totals": { "total": "2400", "grand_total": "1900" },
            "line_items": [{ "id": "txnitm_1", "price_id": "pri_1", "product": { "id": "pro_1", "name": "Editor" } }]
        }
    })
}

fn until(order: &Order) -> Option<String> {
    order.periods.get(&Reference::from("txn_1")).map(|period| period.until.to_string())
}

fn lines(transaction: &Value) -> Vec<Line> {
    match &told(COMPLETED, transaction).purchases[&Reference::from("txn_1")].lines {
        Lines::Known(lines) => lines.clone(),
        other => panic!("not known: {other:?}"),
    }
}

#[test]
fn a_completed_transaction_is_a_paid_purchase_and_pays_its_period() {
    let order = told(COMPLETED, &transaction());
    assert_eq!(order.references, names(&["inv_1", "sub_1", "txn_1"]).into_iter().collect());
    assert!(order.payments.same(&"txn_1".into(), &"inv_1".into()));
    assert!(!order.payments.same(&"txn_1".into(), &"sub_1".into()), "each of its payments is one of its own");
    let purchase = &order.purchases[&Reference::from("txn_1")];
    assert_eq!((purchase.state, purchase.at), (PurchaseState::Paid, at(HAPPENED)));
    assert_eq!(purchase.total.to_string(), "19.00 EUR", "what was left to pay after the customer's credit");
    assert_eq!(purchase.subscriptions, [Reference::from("sub_1")].into());
    assert_eq!(until(&order).as_deref(), Some(MONTH));
    assert_eq!(order.customers, ["ctm_1".into()].into());
    assert_eq!(order.contact, None, "it has no address");
    let line = &lines(&transaction())[0];
    assert_eq!((line.line.as_str(), line.price.as_str(), line.quantity), ("txnitm_1", "pri_1", 2));
    assert_eq!((line.product.as_ref().map(|id| id.as_str()), line.recurring), (Some("pro_1"), true));
    assert_eq!(line.description.as_deref(), Some("Editor, Monthly"));
}

/// What a transaction was made for, what that comes to, and until when it pays.
#[test]
fn its_origin_says_what_it_was_made_for() {
    for (origin, subscription, is_purchase, paid_until) in [
        (json!("web"), json!("sub_1"), true, Some(MONTH)),
        (json!("api"), json!("sub_1"), true, Some(MONTH)),
        (json!("web"), json!(null), true, None),
        (json!("subscription_recurring"), json!("sub_1"), false, Some(MONTH)),
        (json!("subscription_update"), json!("sub_1"), false, None),
        (json!("subscription_charge"), json!("sub_1"), false, None),
        (json!("subscription_payment_method_change"), json!("sub_1"), false, None),
        (json!("of_tomorrow"), json!("sub_1"), false, Some(MONTH)),
        (json!("of_tomorrow"), json!(null), true, None),
        (json!(null), json!(null), true, None),
    ] {
        let fields = json!({ "origin": origin, "subscription_id": subscription });
        let order = told(COMPLETED, &with(transaction(), fields));
        assert_eq!(!order.purchases.is_empty(), is_purchase, "{origin} of {subscription}");
        assert_eq!(until(&order).as_deref(), paid_until, "{origin} of {subscription}");
    }
}

#[test]
fn a_change_pays_a_period_only_where_it_bills_a_whole_one() {
    let proration =
        |rate: &str, end: &str| json!({ "proration": { "rate": rate, "billing_period": { "ends_at": end } } });
    for (lines, paid_until) in [
        (vec![proration("0.67", MONTH)], None),
        (vec![proration("0.99993", MONTH)], None),
        (vec![proration("1", YEAR)], Some(YEAR)),
        (vec![proration("0.5", MONTH), proration("1.0", YEAR)], Some(YEAR)),
        (vec![json!({ "proration": { "rate": "1", "billing_period": {} } })], Some(MONTH)),
        (vec![proration("all", YEAR), json!({ "proration": null })], None),
        (vec![], None),
    ] {
        let fields = json!({ "origin": "subscription_update", "details": { "line_items": lines } });
        assert_eq!(until(&told(COMPLETED, &with(transaction(), fields))).as_deref(), paid_until, "{lines:?}");
    }
}

#[test]
fn what_is_not_sold_links_its_names_and_no_more() {
    let charge = with(transaction(), json!({ "origin": "subscription_charge" }));
    let order = told(COMPLETED, &charge);
    assert_eq!(order.references, names(&["inv_1", "sub_1", "txn_1"]).into_iter().collect());
    tells_nothing(COMPLETED, &json!({ "id": "txn_1", "origin": "subscription_charge" }));
}

#[test]
fn what_is_sold_once_beside_a_subscription_is_bought_whichever_transaction_bills_it() {
    let items = json!([
        { "price": price("pri_1", true), "quantity": 1 },
        { "price": price("pri_2", false), "quantity": 3 },
        { "price": price("pri_3", false), "quantity": 1, "proration": { "rate": "0.5" } },
        { "price_id": "pri_4", "quantity": 1 },
    ]);
    for (origin, paid_until) in [
        ("subscription_charge", None),
        ("subscription_update", None),
        ("subscription_recurring", Some(MONTH)),
        ("of_tomorrow", Some(MONTH)),
    ] {
        let fields = json!({ "origin": origin, "items": items, "custom_data": { "plan_id": "pro" } });
        let sold = with(transaction(), fields);
        let order = order_believing(true, &event(COMPLETED, &sold));
        let purchase = &order.purchases[&Reference::from("txn_1")];
        let told: Vec<(&str, u32, bool, bool)> = match &purchase.lines {
            Lines::Known(lines) => lines
                .iter()
                .map(|line| (line.price.as_str(), line.quantity, line.recurring, line.named.is_some()))
                .collect(),
            _ => Vec::new(),
        };
        assert_eq!(told, [("pri_2", 3, false, false)], "{origin}");
        assert!(purchase.subscriptions.is_empty(), "{origin} starts no subscription");
        assert_eq!(until(&order).as_deref(), paid_until, "{origin}");
    }
}

#[test]
fn lines_are_told_whatever_form_they_have() {
    let items = json!([
        { "price": price("pri_1", true), "quantity": "3" },
        { "price": price("pri_2", false), "quantity": 1 },
        { "price_id": "pri_3", "quantity": null },
        { "price": { "name": "of its own" }, "quantity": -1 },
    ]);
    let beside = json!([
        { "id": "txnitm_2", "price_id": "pri_2", "product": { "id": "pro_9" } },
        { "id": "txnitm_1", "price_id": "pri_1" },
        { "id": "txnitm_3", "price_id": "pri_3", "product": { "id": "pro_3", "name": "Third" } },
    ]);
    let told = lines(&with(transaction(), json!({ "items": items, "details": { "line_items": beside } })));
    let words: Vec<String> = told
        .iter()
        .map(|line| {
            let product = line.product.as_ref().map_or("-", |product| product.as_str());
            format!("{} {} {product} ×{} {}", line.line, line.price, line.quantity, line.recurring)
        })
        .collect();
    assert_eq!(
        words,
        [
            "txnitm_1 pri_1 pro_1 ×3 true",
            "txnitm_2 pri_2 pro_1 ×1 false",
            "txnitm_3 pri_3 pro_3 ×1 false",
            "txn_1:3 line:txn_1:3 - ×1 false",
        ]
    );
    let bare = told_lines(json!({ "items": [] }));
    assert_eq!(bare, Lines::Unknown { recurring: true, named: None });
}

fn told_lines(fields: Value) -> Lines {
    told(COMPLETED, &with(transaction(), fields)).purchases[&Reference::from("txn_1")].lines.clone()
}

#[test]
fn a_plan_is_named_by_the_price_the_product_or_where_it_is_believed_the_sale() {
    let names = |believed: bool, custom: Value, price_custom: Value, product_custom: Value, count: usize| {
        let item =
            json!({ "price": with(price("pri_1", false), json!({ "custom_data": price_custom })), "quantity": 1 });
        let beside = json!({ "price_id": "pri_1", "product": { "custom_data": product_custom } });
        let fields = json!({
            "custom_data": custom, "items": vec![item; count], "details": { "line_items": vec![beside; count] }
        });
        let sale = order_believing(believed, &event(COMPLETED, &with(transaction(), fields)));
        let Lines::Known(lines) = &sale.purchases[&Reference::from("txn_1")].lines else { panic!("lines") };
        lines.iter().map(|line| line.named.as_ref().map(ToString::to_string)).collect::<Vec<_>>()
    };
    let plan = |code: &str| json!({ "plan_id": code, "seats": 3, "deep": {} });
    for (custom, price_custom, product_custom, named, named_if_believed) in [
        (plan("sale"), plan("price"), plan("product"), Some("price"), Some("sale")),
        (json!(null), plan("price"), plan("product"), Some("price"), Some("price")),
        (json!({}), json!(null), plan("product"), Some("product"), Some("product")),
        (json!({ "plan_code": " sale " }), json!(null), json!(null), None, Some("sale")),
        (json!({ "key_type_id": "sale" }), json!(null), json!(null), None, Some("sale")),
        (json!({ "plan_id": 7 }), json!([]), json!("x"), None, None),
    ] {
        for (believed, named) in [(false, named), (true, named_if_believed)] {
            let told = names(believed, custom.clone(), price_custom.clone(), product_custom.clone(), 1);
            assert_eq!(told, [named.map(str::to_owned)], "{custom} {believed}");
        }
    }
    assert_eq!(names(true, plan("sale"), json!(null), json!(null), 2), [None, None], "of two lines it could be either");
    let bare = event(COMPLETED, &with(transaction(), json!({ "items": null, "custom_data": plan("sale") })));
    for (believed, named) in [(false, None), (true, Some("sale".into()))] {
        let lines = order_believing(believed, &bare).purchases[&Reference::from("txn_1")].lines.clone();
        assert_eq!(lines, Lines::Unknown { recurring: true, named });
    }
}

#[test]
fn the_buyer_is_looked_up_where_a_key_allows_it() {
    let purchase = event(COMPLETED, &transaction());
    assert_eq!(facts(Level::None, &purchase, &[]).len(), 1, "their own event tells");
    for level in [Level::Read, Level::Full] {
        let Ok(Step::Partly { facts: known, wanted }) = step(level, &purchase, &[]) else { panic!("all or nothing") };
        assert_eq!(known, facts(Level::None, &purchase, &[]), "the sale itself waits for nobody");
        assert_eq!(wanted, [Request::get("/customers/ctm_1")]);
        let told = json!({ "data": { "id": "ctm_1", "email": "ada@example.com" } });
        let with_the_answer = facts(level, &purchase, &[answer("/customers/ctm_1", 200, &told)]);
        assert!(with_the_answer.starts_with(&known) && matches!(with_the_answer[1..], [Fact::Customer(_)]));
    }
    let renewal = event(COMPLETED, &with(transaction(), json!({ "origin": "subscription_recurring" })));
    assert_eq!(facts(Level::Full, &renewal, &[]).len(), 1, "nobody new");
    let guest = event(COMPLETED, &with(transaction(), json!({ "customer_id": null })));
    assert!(matches!(&facts(Level::Full, &guest, &[])[..], [Fact::Order(_)]));
}

#[test]
fn without_its_id_it_makes_no_sense() {
    assert_eq!(refusal(COMPLETED, &json!({ "origin": "web" })), "`data.id` is missing");
}
