//! Lives of purchases as Stripe tells them, many at once under different names, and a Stripe that answers look-ups.

use std::collections::HashMap;

use engine::{Dial, DialError, Dialled, connections::Connection};
use futures::future::BoxFuture;
use providers::http::Request;
use serde_json::{Value, json};

/// The signing secret of the tests' connection.
pub(crate) const SECRET: &str = "whsec_pipeline_0123456789abcdef";
/// 2026-11-01T00:00:00Z in seconds: when the lives begin.
pub(crate) const BEGIN: i64 = 1_793_491_200;
/// A day in seconds.
pub(crate) const DAY: i64 = 86_400;

/// An event of the life called `name`.
pub(crate) fn event(name: &str, number: usize, kind: &str, created: i64, object: &Value) -> Value {
    json!({
        "id": format!("evt_{name}_{number}"), "object": "event", "api_version": "2026-08-26.dahlia", "type": kind,
        "created": created, "livemode": false, "data": { "object": object }
    })
}

fn item(name: &str, price: &str, until: i64) -> Value {
    json!({
        "id": format!("si_{name}"), "object": "subscription_item", "quantity": 1, "current_period_end": until,
        "price": { "id": price, "product": "prod_studio", "type": "recurring", "recurring": { "interval": "month" } }
    })
}

fn subscription(name: &str, status: &str, price: &str, until: i64, ended_at: Option<i64>) -> Value {
    json!({
        "id": format!("sub_{name}"), "object": "subscription", "status": status, "customer": format!("cus_{name}"),
        "collection_method": "charge_automatically", "ended_at": ended_at, "canceled_at": ended_at, "cancel_at": null,
        "cancel_at_period_end": false, "latest_invoice": format!("in_{name}_1"),
        "items": { "object": "list", "data": [item(name, price, until)] }
    })
}

fn invoice(name: &str, number: usize, price: &str, from: i64, until: i64) -> Value {
    json!({
        "id": format!("in_{name}_{number}"), "object": "invoice", "amount_paid": 1900, "total": 1900, "currency": "eur",
        "created": from, "customer": format!("cus_{name}"), "customer_email": format!("{name}@example.com"),
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": format!("sub_{name}") } },
        "lines": { "object": "list", "has_more": false, "data": [{
            "id": format!("il_{name}_{number}"), "object": "line_item", "amount": 1900,
            "period": { "start": from, "end": until },
            "parent": { "type": "subscription_item_details", "subscription_item_details": {
                "subscription": format!("sub_{name}"), "subscription_item": format!("si_{name}"), "proration": false } },
            "pricing": { "price_details": { "price": price, "product": "prod_studio" } }
        }] }
    })
}

fn checkout(name: &str, mode: &str) -> Value {
    let subscribed = mode == "subscription";
    json!({
        "id": format!("cs_{name}"), "object": "checkout.session", "mode": mode, "payment_status": "paid",
        "amount_total": 1900, "currency": "eur", "created": BEGIN, "customer": format!("cus_{name}"),
        "subscription": subscribed.then(|| format!("sub_{name}")), "invoice": subscribed.then(|| format!("in_{name}_1")),
        "payment_intent": (!subscribed).then(|| format!("pi_{name}")),
        "customer_details": { "email": format!("{name}@example.com"), "name": "Ada" },
        "metadata": if subscribed { json!({}) } else { json!({ "plan_id": "basic" }) }
    })
}

/// Six events: checkout, subscription, first invoice, renewal, upgrade, end.
pub(crate) fn subscription_life(name: &str) -> Vec<Value> {
    let month = 30 * DAY;
    let (first, second) = (BEGIN + month, BEGIN + 2 * month);
    let told = [
        ("checkout.session.completed", BEGIN + 1, checkout(name, "subscription")),
        ("customer.subscription.created", BEGIN + 2, subscription(name, "active", "price_basic", first, None)),
        ("invoice.paid", BEGIN + 3, invoice(name, 1, "price_basic", BEGIN, first)),
        ("invoice.paid", first + 3, invoice(name, 2, "price_basic", first, second)),
        ("customer.subscription.updated", first + 10, subscription(name, "active", "price_pro", second, None)),
        (
            "customer.subscription.deleted",
            first + 20,
            subscription(name, "canceled", "price_pro", second, Some(first + 20)),
        ),
    ];
    numbered(name, told)
}

/// Five events: checkout, customer, a part refunded, the rest refunded (as a total, and by its id).
pub(crate) fn refunded_life(name: &str) -> Vec<Value> {
    let charge = |refunded: i64| {
        json!({
            "id": format!("ch_{name}"), "object": "charge", "amount": 1900, "amount_refunded": refunded, "currency": "eur",
            "refunded": refunded == 1900, "payment_intent": format!("pi_{name}"), "invoice": null
        })
    };
    let refund = json!({
        "id": format!("re_{name}"), "object": "refund", "amount": 1400, "currency": "eur", "status": "succeeded",
        "charge": format!("ch_{name}"), "payment_intent": format!("pi_{name}")
    });
    let customer = json!({ "id": format!("cus_{name}"), "object": "customer", "email": format!("{name}@example.com") });
    let told = [
        ("checkout.session.completed", BEGIN + 1, checkout(name, "payment")),
        ("customer.created", BEGIN, customer),
        ("charge.refunded", BEGIN + DAY, charge(500)),
        ("charge.refunded", BEGIN + 2 * DAY, charge(1900)),
        ("refund.created", BEGIN + 2 * DAY, refund),
    ];
    numbered(name, told)
}

fn numbered<const N: usize>(name: &str, told: [(&str, i64, Value); N]) -> Vec<Value> {
    let numbers = told.into_iter().enumerate();
    numbers.map(|(number, (kind, created, object))| event(name, number, kind, created, &object)).collect()
}

/// A Stripe where all of these lives have come to their end.
#[derive(Debug)]
pub(crate) struct LivesAtTheirEnd;

impl Dial for LivesAtTheirEnd {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let answer = answer(&request.path);
        let status = if answer.is_some() { 200 } else { 404 };
        let body = answer.unwrap_or_else(|| json!({ "error": { "message": "no such object" } })).to_string();
        Box::pin(std::future::ready(Ok(Dialled { status, body, retry_after_seconds: None })))
    }
}

fn answer(path: &str) -> Option<Value> {
    let path = path.strip_prefix("/v1/")?;
    if let Some(name) = path.strip_prefix("subscriptions/sub_") {
        let (first, second) = (BEGIN + 30 * DAY, BEGIN + 60 * DAY);
        return Some(subscription(name, "canceled", "price_pro", second, Some(first + 20)));
    }
    if let Some(rest) = path.strip_prefix("checkout/sessions/cs_") {
        let name = rest.split_once('/')?.0;
        let (price, recurring) = match name.starts_with("sub") {
            true => ("price_basic", json!({ "interval": "month" })),
            false => ("price_once", Value::Null),
        };
        return Some(json!({ "object": "list", "has_more": false, "data": [{
            "id": format!("li_{name}"), "object": "item", "quantity": 1, "description": "Studio",
            "price": { "id": price, "product": "prod_studio", "recurring": recurring }
        }] }));
    }
    path.starts_with("invoice_payments").then(|| json!({ "object": "list", "has_more": false, "data": [] }))
}

/// Counts how often each outcome occurs.
pub(crate) fn tally(outcomes: impl IntoIterator<Item = String>) -> HashMap<String, usize> {
    outcomes.into_iter().fold(HashMap::new(), |mut tally, outcome| {
        *tally.entry(outcome).or_default() += 1;
        tally
    })
}
