//! The answers to look-ups: what the provider's API says about its account, as data.

use serde_json::{Value, json};

use super::{
    super::{
        account::Account,
        dialect::{Question, Reply},
    },
    documents,
};

/// Elements on a page that names no limit.
const PAGE: usize = 10;
/// Elements on a page at most.
const PAGE_MAX: usize = 100;

/// An error, as Stripe words it.
pub(super) fn error(status: u16, message: &str) -> Reply {
    Reply { status, body: json!({ "error": { "type": "invalid_request_error", "message": message } }) }
}

/// The permission that a path needs, in the provider's own words.
pub(super) fn permission(path: &str) -> &'static str {
    match path.split('/').nth(2) {
        Some("checkout") => "rak_checkout_session_read",
        Some("subscriptions") => "rak_subscription_read",
        Some("customers") => "rak_customer_read",
        Some("invoices" | "invoice_payments") => "rak_invoice_read",
        Some("payment_intents") => "rak_payment_intent_read",
        Some("prices") => "rak_plan_read",
        Some("charges") => "rak_charge_read",
        Some("refunds") => "rak_refund_read",
        _ => "rak_event_read",
    }
}

/// The refusal of a key that lacks a permission.
pub(super) fn forbidden(path: &str) -> Reply {
    let permission = permission(path);
    error(
        403,
        &format!(
            "The provided key 'rk_test_…' does not have the required permissions for this endpoint on account 'acct_sim'. \
             Having the '{permission}' permission would allow this request to continue."
        ),
    )
}

/// Answers a look-up of whoever may ask anything.
pub(super) fn answer(account: &Account, question: &Question<'_>) -> Reply {
    let parts: Vec<&str> = question.path.split('/').skip(1).collect();
    let found = match parts[..] {
        ["v1", "checkout", "sessions", id] => account.sessions.get(id).map(|found| documents::session(account, found)),
        ["v1", "checkout", "sessions", id, "line_items"] => line_items(account, id, question),
        ["v1", "subscriptions", id] => {
            account.subscriptions.get(id).map(|found| documents::subscription(account, found))
        }
        ["v1", "invoices", id] => account.invoices.get(id).map(|found| documents::invoice(account, found)),
        ["v1", "invoices", id, "lines"] => invoice_lines(account, id, question),
        ["v1", "invoice_payments"] => Some(invoice_payments(account, question)),
        ["v1", "customers", id] => account.customers.get(id).map(documents::customer),
        ["v1", "prices", id] => account.prices.get(id).map(documents::price),
        ["v1", "payment_intents", id] => account.payments.get(id).map(documents::payment_intent),
        ["v1", "charges", id] => account.payments.values().find(|payment| payment.charge == id).map(documents::charge),
        ["v1", "events"] => Some(list_events(account, question)),
        ["v1", "refunds", id] => account.refunds.get(id).map(|found| documents::refund(account, found)),
        _ => return error(404, &format!("Unrecognized request URL (GET: {}).", question.path)),
    };
    match found {
        Some(body) => Reply { status: 200, body },
        None => error(404, &format!("No such object: '{}'", parts.last().unwrap_or(&""))),
    }
}

fn line_items(account: &Account, session: &str, question: &Question<'_>) -> Option<Value> {
    let lines = account.sessions.get(session)?.lines.iter().map(|line| documents::line_item(account, line));
    Some(page(question, &lines.collect::<Vec<_>>()))
}

fn invoice_lines(account: &Account, invoice: &str, question: &Question<'_>) -> Option<Value> {
    let invoice = account.invoices.get(invoice)?;
    let lines = invoice.lines.iter().map(|line| documents::invoice_line(account, invoice, line));
    Some(page(question, &lines.collect::<Vec<_>>()))
}

/// The newest first, whatever the order in which they were made: history is written after the fact.
fn list_events(account: &Account, question: &Question<'_>) -> Value {
    let since = question.value("created[gte]").and_then(|second| second.parse().ok()).unwrap_or(i64::MIN);
    let created = |event: &Value| event.get("created").and_then(Value::as_i64).unwrap_or_default();
    let read = account.events.iter().filter_map(|event| serde_json::from_str(&event.body).ok());
    let mut events: Vec<Value> = read.filter(|event| created(event) >= since).collect();
    events.sort_by_key(created);
    events.reverse();
    page(question, &events)
}

/// Only the question that refunds ask: which invoice a payment intent paid.
fn invoice_payments(account: &Account, question: &Question<'_>) -> Value {
    let intent = question.value("payment[payment_intent]").unwrap_or_default();
    let found = account.invoice_of(intent).map(documents::invoice_payment);
    page(question, found.as_slice())
}

/// The page of these elements that `limit` and `starting_after` ask for.
fn page(question: &Question<'_>, all: &[Value]) -> Value {
    let limit = question.number("limit").unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after = question.value("starting_after");
    let is_after = |element: &Value| after.is_some() && element.get("id").and_then(Value::as_str) == after;
    let start = all.iter().position(is_after).map_or(0, |place| place + 1);
    let has_more = all.len() > start + limit;
    let end = all.len().min(start + limit);
    documents::list(question.path, &all[start..end], has_more)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::simulator::{
        account::{Buyer, Price},
        action::{Action, Paying},
        stripe::Stripe,
    };

    fn ask(account: &Account, path: &str, query: &[(&str, &str)]) -> Reply {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        answer(account, &Question { path, query })
    }

    fn shop() -> Account {
        let mut account = Account::new(&Stripe, [7; 32]);
        let price = |id: &str, monthly| Price {
            id: id.to_owned(),
            product: "prod_1".to_owned(),
            name: id.to_owned(),
            unit_amount: 900,
            monthly,
        };
        account.put_price(price("price_once", false), Timestamp::UNIX_EPOCH);
        account.put_price(price("price_month", true), Timestamp::UNIX_EPOCH);
        account
    }

    fn buyer() -> Buyer {
        Buyer { email: "ada@example.com".to_owned(), name: "Ada".to_owned() }
    }

    #[test]
    fn a_long_list_comes_in_pages() {
        let mut account = shop();
        let lines = (0..250).map(|_| ("price_once".to_owned(), 1)).collect();
        let action = Action::Checkout { buyer: buyer(), lines, plan: None, paying: Paying::AtOnce };
        account.step(&action, Timestamp::UNIX_EPOCH).unwrap();
        let session = account.sales[0].session.clone();
        let path = format!("/v1/checkout/sessions/{session}/line_items");
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("limit", "100")];
            query.extend(cursor.as_deref().map(|cursor| ("starting_after", cursor)));
            let page = ask(&account, &path, &query).body;
            seen.extend(page["data"].as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap().to_owned()));
            cursor = seen.last().cloned();
            if page["has_more"] == false {
                break;
            }
        }
        let expected: Vec<String> = account.sessions[&session].lines.iter().map(|line| line.id.clone()).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn events_are_listed_from_the_newest_since_a_moment() {
        let mut account = shop();
        for second in [100, 300, 200] {
            let action = Action::Checkout {
                buyer: buyer(),
                lines: vec![("price_once".to_owned(), 1)],
                plan: None,
                paying: Paying::AtOnce,
            };
            account.step(&action, Timestamp::from_second(second).unwrap()).unwrap();
        }
        let created = |query: &[(&str, &str)]| {
            let page = ask(&account, "/v1/events", query).body;
            let data = page["data"].as_array().unwrap().clone();
            let last = data.last().map(|event| event["id"].as_str().unwrap().to_owned());
            (
                data.iter().map(|event| event["created"].as_i64().unwrap()).collect::<Vec<_>>(),
                last,
                page["has_more"] == true,
            )
        };
        let (first, last, has_more) = created(&[("created[gte]", "200"), ("limit", "4")]);
        assert_eq!((first, has_more), (vec![300, 300, 300, 200], true));
        let (rest, _, has_more) =
            created(&[("created[gte]", "200"), ("limit", "4"), ("starting_after", &last.unwrap())]);
        assert_eq!((rest, has_more), (vec![200, 200], false));
    }

    #[test]
    fn a_payment_leads_to_its_invoice() {
        let mut account = shop();
        let action =
            Action::Subscribe { buyer: buyer(), lines: vec![("price_month".to_owned(), 1)], plan: None, trial_days: 0 };
        account.step(&action, Timestamp::UNIX_EPOCH).unwrap();
        let (invoice, intent) =
            account.invoices.values().map(|one| (one.id.clone(), one.payment.clone())).next().unwrap();
        let query =
            [("payment[type]", "payment_intent"), ("payment[payment_intent]", &intent.unwrap()), ("limit", "1")];
        let answer = ask(&account, "/v1/invoice_payments", &query);
        assert_eq!((answer.status, answer.body["data"][0]["invoice"].as_str()), (200, Some(invoice.as_str())));
        let nothing = ask(&account, "/v1/invoice_payments", &[("payment[payment_intent]", "pi_else")]);
        assert_eq!((nothing.status, nothing.body["data"].as_array().map(Vec::len)), (200, Some(0)));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in ["/v1/subscriptions/sub_none", "/v1/checkout/sessions/cs_none/line_items", "/v1/nothing", "/"] {
            assert_eq!(ask(&shop(), path, &[]).status, 404, "{path}");
        }
    }
}
