//! The answers to look-ups: what Lemon Squeezy's API says about its account, as data. It has lists of objects and none of
//! events.

use serde_json::{Value, json};

use super::{
    super::{
        account::Account,
        dialect::{Question, Reply},
    },
    documents,
};

/// Elements on a page that names no size, and on a page at most.
const PAGE: usize = 10;
const PAGE_MAX: usize = 100;

/// An error, as Lemon Squeezy words it.
pub(super) fn error(status: u16, detail: &str) -> Reply {
    let errors = json!([{ "status": status.to_string(), "detail": detail }]);
    Reply { status, body: json!({ "jsonapi": { "version": "1.0" }, "errors": errors }) }
}

/// Answers a look-up.
pub(super) fn answer(account: &Account, question: &Question<'_>) -> Reply {
    let parts: Vec<&str> = question.path.split('/').skip(1).collect();
    let body = match parts[..] {
        ["v1", "orders", id] => order(account, id),
        ["v1", "prices", id] => account.prices.get(id).map(|found| json!({ "data": documents::price(found) })),
        ["v1", "subscriptions", id] => {
            account.subscriptions.get(id).map(|found| json!({ "data": documents::subscription(account, found) }))
        }
        ["v1", "subscription-invoices", id] => {
            account.invoices.get(id).map(|found| json!({ "data": documents::invoice(account, found) }))
        }
        ["v1", "orders"] => {
            let all = account.sessions.values().map(|found| (found.created, documents::order(account, found)));
            Some(page(question, all.collect()))
        }
        ["v1", "subscriptions"] => {
            let one = |found| documents::subscription(account, found);
            let all = account.subscriptions.values().map(|found| (found.created, one(found)));
            Some(page(question, all.collect()))
        }
        ["v1", "subscription-invoices"] => {
            let all = account.invoices.values().map(|found| (found.created, documents::invoice(account, found)));
            Some(page(question, all.collect()))
        }
        _ => None,
    };
    match body {
        Some(body) => Reply { status: 200, body },
        None => error(404, "The related resource does not exist."),
    }
}

/// An order with what is to be included.
fn order(account: &Account, id: &str) -> Option<Value> {
    let session = account.sessions.get(id)?;
    let mut included = documents::order_items(account, session);
    let subscription = session.subscription.as_ref().and_then(|id| account.subscriptions.get(id));
    included.extend(subscription.map(|found| documents::subscription(account, found)));
    Some(json!({ "data": documents::order(account, session), "included": included }))
}

/// The page that is asked for, the newest first.
fn page(question: &Question<'_>, mut all: Vec<(i64, Value)>) -> Value {
    all.sort_by_key(|(created, _)| *created);
    all.reverse();
    let size = question.number("page[size]").unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let number = question.number("page[number]").unwrap_or(1).max(1);
    let last = all.len().div_ceil(size).max(1);
    let data: Vec<Value> = all.into_iter().map(|(_, object)| object).skip((number - 1) * size).take(size).collect();
    json!({ "meta": { "page": { "currentPage": number, "perPage": size, "lastPage": last } }, "data": data })
}
