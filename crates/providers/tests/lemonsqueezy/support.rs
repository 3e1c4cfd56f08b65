//! Events and answers in few words.

use domain::{
    fact::Fact,
    money::{Currency, Money},
    order::Order,
};
use jiff::Timestamp;
use providers::{
    Delivery, Incoming, Level, Malformed, Provider, Settings, Step,
    http::Answer,
    lemonsqueezy::{LemonSqueezy, sign},
};
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) use crate::common::{answer, joined, permutations, with};

/// When the calls of these tests come in.
const CALLED: &str = "2026-09-30T00:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A day of September 2026, as Lemon Squeezy writes it.
pub(crate) fn day(number: u32) -> String {
    format!("2026-09-{number:02}T09:00:00.000000Z")
}

pub(crate) fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::parse("EUR"))
}

/// Takes in a body that is signed as Lemon Squeezy signs.
pub(crate) fn taken_in(body: &[u8]) -> Result<Vec<Incoming>, Malformed> {
    let secrets = [SecretString::from("a secret of 6 to 40")];
    let signature = sign(&secrets[0], body);
    let header = |name: &str| (name == "x-signature").then_some(signature.as_str());
    let delivery = Delivery { header: &header, body };
    let verified = LemonSqueezy.verify(&delivery, &secrets, &Settings::default(), at(CALLED)).expect("it is signed");
    LemonSqueezy.incoming(&verified)
}

/// The kind of object that an event is about.
fn object_of(kind: &str) -> &'static str {
    match kind {
        "order_created" | "order_refunded" => "orders",
        kind if kind.starts_with("subscription_payment") => "subscription-invoices",
        kind if kind.starts_with("subscription") => "subscriptions",
        _ => "license-keys",
    }
}

/// An event about the object of that id, with the checkout's own data.
pub(crate) fn event_naming(kind: &str, id: &str, attributes: &Value, custom_data: &Value) -> Incoming {
    let body = json!({
        "meta": { "event_name": kind, "custom_data": custom_data },
        "data": { "type": object_of(kind), "id": id, "attributes": attributes },
    });
    taken_in(body.to_string().as_bytes()).expect("an event").remove(0)
}

pub(crate) fn event(kind: &str, id: &str, attributes: &Value) -> Incoming {
    event_naming(kind, id, attributes, &json!(null))
}

pub(crate) fn step(level: Level, incoming: &Incoming, answers: &[Answer]) -> Result<Step, Malformed> {
    LemonSqueezy.translate(incoming, &Settings { level, ..Settings::default() }, answers)
}

/// What an event says about its sale, where the vendor believes what a buyer's browser says or does not.
pub(crate) fn order_believing(plan_from_custom_data: bool, incoming: &Incoming) -> Order {
    let settings = Settings { plan_from_custom_data, ..Settings::default() };
    crate::common::order(LemonSqueezy.translate(incoming, &settings, &[]))
}

pub(crate) fn facts(level: Level, incoming: &Incoming, answers: &[Answer]) -> Vec<Fact> {
    crate::common::facts(step(level, incoming, answers))
}

/// The one fact about a sale that an event comes to.
pub(crate) fn order(level: Level, incoming: &Incoming, answers: &[Answer]) -> Order {
    crate::common::order(step(level, incoming, answers))
}

/// The same, without a key.
pub(crate) fn told(kind: &str, id: &str, attributes: &Value) -> Order {
    order(Level::None, &event(kind, id, attributes), &[])
}

/// An order for one item.
pub(crate) fn an_order() -> Value {
    json!({
        "customer_id": 301, "identifier": "5e2f7c1a-1", "user_email": "grace@example.com", "user_name": "Grace",
        "currency": "EUR", "total": 5000, "status": "paid", "refunded": false, "refunded_amount": 0,
        "first_order_item": { "id": 11, "product_id": 55, "variant_id": 550, "product_name": "Editor", "quantity": 1 },
        "created_at": day(1), "updated_at": day(1), "test_mode": false,
    })
}

/// The subscription that it started.
pub(crate) fn a_subscription() -> Value {
    json!({
        "order_id": 1, "order_item_id": 11, "customer_id": 301, "product_id": 55, "variant_id": 550,
        "user_email": "grace@example.com", "status": "active", "cancelled": false, "pause": null,
        "first_subscription_item": { "id": 12, "quantity": 1, "updated_at": day(1) },
        "renews_at": day(30), "ends_at": null, "trial_ends_at": null, "created_at": day(1), "updated_at": day(1),
    })
}

/// An invoice of that subscription.
pub(crate) fn an_invoice() -> Value {
    json!({
        "subscription_id": 2, "customer_id": 301, "user_email": "grace@example.com", "billing_reason": "initial",
        "currency": "EUR", "total": 5000, "status": "paid", "refunded": false, "refunded_amount": 0,
        "created_at": day(1), "updated_at": day(1),
    })
}
