//! The answers to look-ups: what Paddle's API says about its account, as data.

use serde_json::{Value, json};

use super::{
    super::{
        account::Account,
        dialect::{Question, Reply},
    },
    documents::{self, Transaction},
};

/// Elements on a page that names no limit, and on a page at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 200;

/// An error, as Paddle words it.
pub(super) fn error(status: u16, code: &str, detail: &str) -> Reply {
    let body = json!({ "error": { "type": "request_error", "code": code, "detail": detail }, "meta": {} });
    Reply { status, body }
}

/// Answers a look-up.
pub(super) fn answer(account: &Account, question: &Question<'_>) -> Reply {
    let parts: Vec<&str> = question.path.split('/').skip(1).collect();
    let data = match parts[..] {
        ["customers", id] => account.customers.get(id).map(documents::customer),
        ["subscriptions", id] => account.subscriptions.get(id).map(|found| documents::subscription(account, found)),
        ["transactions", id] => {
            Transaction::find(account, id).map(|found| found.document(account, "transaction.completed"))
        }
        ["prices", id] => account.prices.get(id).map(documents::price),
        ["events"] => return Reply { status: 200, body: events(account, question) },
        _ => None,
    };
    match data {
        Some(data) => Reply { status: 200, body: json!({ "data": data, "meta": {} }) },
        None => error(404, "not_found", &format!("There is nothing at {}.", question.path)),
    }
}

/// The newest first, whatever the order in which they were made: history is written after the fact. Elements of the list
/// have no notification.
fn events(account: &Account, question: &Question<'_>) -> Value {
    let kinds: Option<Vec<&str>> = question.value("event_type").map(|kinds| kinds.split(',').collect());
    let is_asked = |kind: &str| kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let listed = account.events.iter().filter(|event| is_asked(&event.kind));
    let mut all: Vec<Value> = listed.filter_map(|event| serde_json::from_str(&event.body).ok()).collect();
    all.sort_by_key(|event| event["occurred_at"].as_str().map(str::to_owned));
    all.reverse();
    let limit = question.number("per_page").unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after = question.value("after");
    let is_after = |event: &Value| after.is_some() && event["event_id"].as_str() == after;
    let start = all.iter().position(is_after).map_or(0, |place| place + 1);
    let has_more = all.len() > start + limit;
    let mut page: Vec<Value> = all.into_iter().skip(start).take(limit).collect();
    for event in page.iter_mut().filter_map(Value::as_object_mut) {
        event.remove("notification_id");
    }
    json!({ "data": page, "meta": { "pagination": { "per_page": limit, "has_more": has_more } } })
}
