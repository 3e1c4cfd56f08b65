//! What our own words for any other shop come to, and how a mistake in them is told.

use domain::{
    fact::Fact,
    join::Join,
    order::{DisputeState, Lines, Order, PurchaseState},
    text::Reference,
};
use providers::{
    Delivery, Incoming, Malformed, Outcome, Provider, Reject, Settings, Step, generic::Generic, signature,
};
use secrecy::SecretString;
use serde_json::{Value, json};

fn taken_in(body: &str) -> Result<Vec<Incoming>, Malformed> {
    let (secret, now) = (SecretString::from("s"), jiff::Timestamp::UNIX_EPOCH);
    let signed = signature::sign(&secret, body.as_bytes(), now);
    let header = |name: &str| (name == providers::generic::SIGNATURE).then_some(signed.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    Generic.incoming(&Generic.verify(&delivery, &[secret], &Settings::default(), now).expect("it is signed"))
}

fn translated(body: &Value) -> Result<Vec<Fact>, Malformed> {
    let incoming = taken_in(&body.to_string())?.remove(0);
    match Generic.translate(&incoming, &Settings::default(), &[])? {
        Step::Facts(facts) => Ok(facts),
        asking => panic!("nothing is asked: {asking:?}"),
    }
}

fn event(kind: &str, order: &Value) -> Value {
    json!({ "id": "evt-1", "type": kind, "occurred_at": "2026-11-01T12:00:00Z", "order": order })
}

/// The one order that an event is about.
fn told(kind: &str, order: &Value) -> Order {
    match &translated(&event(kind, order)).expect("it is understood")[..] {
        [Fact::Order(order)] => (**order).clone(),
        other => panic!("one order: {other:?}"),
    }
}

fn euros(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "eur" })
}

#[test]
fn a_paid_order_is_a_purchase_and_one_that_renews_a_period() {
    let items = json!([{ "price": "pro", "quantity": 3, "plan": "team" }]);
    let once =
        told("order.paid", &json!({ "id": "7", "email": "ada@example.com", "total": euros(4_900), "items": items }));
    let purchase = &once.purchases[&Reference::from("order:7")];
    let Lines::Known(lines) = &purchase.lines else { panic!("its lines are known") };
    let line = &lines[0];
    let named = line.named.as_ref().map(ToString::to_string);
    assert_eq!((line.quantity, line.recurring, named.as_deref()), (3, false, Some("team")));
    assert_eq!((purchase.state, purchase.total.to_string().as_str()), (PurchaseState::Paid, "49.00 EUR"));
    assert_eq!(once.contact.expect("a contact").value.email.as_str(), "ada@example.com");

    let month = json!({
        "id": "8", "payment": "8-1", "total": euros(900), "items": [{ "price": "m" }], "paid_until": "2026-12-01T00:00:00Z"
    });
    let renews = told("order.paid", &month);
    assert!(renews.purchases.is_empty(), "its subscription says what was bought");
    assert_eq!(renews.periods[&Reference::from("payment:8:8-1")].subscription.as_str(), "subscription:8");
    assert!(renews.items[&Reference::from("subscription:8")].value[0].recurring);
}

#[test]
fn a_refund_finds_the_payment_by_whatever_name_it_has() {
    for (payment, named) in [(json!(null), "order:7"), (json!("p-1"), "payment:7:p-1")] {
        let paid = json!({ "id": "7", "payment": payment, "total": euros(1_000), "items": [{ "price": "pro" }] });
        let mut order = told("order.paid", &paid);
        order.join(told("order.refunded", &json!({ "id": "7", "payment": payment, "refunded": euros(400) })));
        order.join(told("order.refunded", &json!({ "id": "7", "payment": payment, "refunded": euros(400) })));
        assert_eq!(order.refunded(&"order:7".into()), 400, "{named}");
        assert_eq!(order.refunded(&named.into()), 400, "{named}");
    }
}

#[test]
fn names_of_payments_are_their_orders_own() {
    let paid = |order: &str, payment: &str| {
        told(
            "order.paid",
            &json!({ "id": order, "payment": payment, "total": euros(1), "items": [{ "price": "pro" }] }),
        )
    };
    for [(one, of_one), (other, of_other)] in
        [[("7", "1"), ("8", "1")], [("7", "8:1"), ("7:8", "1")], [("7:", "1"), ("7%3A", "1")]]
    {
        let (one, other) = (paid(one, of_one), paid(other, of_other));
        assert!(one.references.is_disjoint(&other.references), "{:?} {:?}", one.references, other.references);
    }
}

#[test]
fn disputes_upgrades_and_ends() {
    let dispute = |status: &str| told("order.disputed", &json!({ "id": "7", "dispute": "d", "status": status }));
    let mut won = dispute("open");
    won.join(dispute("won"));
    assert_eq!(won.disputes[&Reference::from("dispute:7:d")].state, DisputeState::Won);

    for (paid_until, new) in [(json!(null), "order:8"), (json!("2026-12-01T00:00:00Z"), "subscription:8")] {
        let upgrade = json!({
            "id": "8", "payment": "1", "total": euros(5_000), "items": [{ "price": "team" }], "paid_until": paid_until,
            "replaces": "7"
        });
        let upgraded = told("order.paid", &upgrade);
        for old in ["order:7", "subscription:7"] {
            assert_eq!(upgraded.replaced[&Reference::from(old)].value.as_str(), new, "whether {old} is there or not");
            assert!(upgraded.references.contains(&Reference::from(old)), "the two orders are one sale");
        }
    }

    let ended = told("order.ended", &json!({ "id": "7" }));
    let end = &ended.subscriptions[&Reference::from("subscription:7")];
    assert!(end.stamp.ended && end.value.ended_at.is_some(), "nothing comes after the end");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let order = |change: Value| {
        let mut order = json!({ "id": "7", "total": euros(1), "items": [{ "price": "pro" }] });
        let Value::Object(change) = change else { panic!("an object") };
        change.into_iter().for_each(|(field, value)| order[field] = value);
        event("order.paid", &order)
    };
    let envelope = |field: &str, value: Value| {
        let mut event = order(json!({}));
        event[field] = value;
        event
    };
    for (body, expected) in [
        (order(json!({ "paiduntil": "x" })), "order.paiduntil: unknown field `paiduntil`"),
        (order(json!({ "items": [] })), "order.items: there must be one at least"),
        (
            order(json!({ "items": [{ "price": "a" }, { "price": "a" }] })),
            "order.items: two of them have the same name",
        ),
        (
            order(json!({ "items": [{ "price": "a", "quantity": 0 }] })),
            "order.items[0].quantity: invalid value: integer `0`",
        ),
        (order(json!({ "paid_until": "2026-12-01T00:00:00Z" })), "order.payment: an order that renews"),
        (order(json!({ "email": "nobody" })), "order.email: `nobody` is not an e-mail address"),
        (order(json!({ "id": "" })), "order.id: a name is one line of 1 to 200 characters"),
        (envelope("occurred_at", json!("yesterday")), "occurred_at: "),
        (envelope("id", json!("a\nb")), "id: a name is one line of 1 to 200 characters"),
        (envelope("typ", json!("order.paid")), "typ: unknown field `typ`"),
    ] {
        let Malformed { what } = translated(&body).expect_err(expected);
        assert!(what.starts_with(expected), "{what}\nshould be: {expected}");
    }
}

#[test]
fn whoever_posts_reads_whether_it_was_understood() {
    let answers = [
        (Outcome::Received { kinds: vec!["order.paid".into()] }, 200, r#"{"received":true,"understood":true}"#),
        (Outcome::Received { kinds: Vec::new() }, 200, r#"{"received":true,"understood":false}"#),
        (
            Outcome::Rejected(Reject::WrongSignature),
            401,
            r#"{"error":"the signature matches none of the configured secrets"}"#,
        ),
    ];
    for (outcome, status, body) in answers {
        let answer = Generic.answer(&outcome);
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
}

#[test]
fn the_page_shows_an_event_that_is_understood() {
    let page = include_str!("../src/generic/endpoint.md");
    let example = page.split("```").nth(1).and_then(|block| block.strip_prefix("json\n")).expect("an example");
    assert_eq!(translated(&serde_json::from_str(example).expect("JSON")).expect("it is understood").len(), 1);
}
