//! The answers to look-ups: what the provider's API says about its account, as data.

use serde_json::{Value, json};

use super::{account::Account, documents};

/// Elements on a page that names no limit.
const PAGE: usize = 10;
/// Elements on a page at most.
const PAGE_MAX: usize = 100;

/// What is asked: a path, and the query's pairs.
pub(crate) struct Question<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(String, String)>,
}

/// What is answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// An error, as the provider words it.
    pub(crate) fn error(status: u16, message: impl Into<String>) -> Self {
        Self { status, body: json!({ "error": { "type": "invalid_request_error", "message": message.into() } }) }
    }
}

/// The permission that a path needs, in the provider's own words.
pub(crate) fn permission(path: &str) -> &'static str {
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
pub(crate) fn forbidden(path: &str) -> Reply {
    let permission = permission(path);
    Reply::error(
        403,
        format!(
            "The provided key 'rk_test_…' does not have the required permissions for this endpoint on account 'acct_sim'. \
             Having the '{permission}' permission would allow this request to continue."
        ),
    )
}

impl Account {
    /// Answers a look-up.
    pub(crate) fn answer(&self, question: &Question<'_>) -> Reply {
        let parts: Vec<&str> = question.path.split('/').skip(1).collect();
        let found = match parts[..] {
            ["v1", "checkout", "sessions", id] => self.sessions.get(id).map(|found| documents::session(self, found)),
            ["v1", "checkout", "sessions", id, "line_items"] => self.line_items(id, question),
            ["v1", "subscriptions", id] => self.subscriptions.get(id).map(|found| documents::subscription(self, found)),
            ["v1", "invoices", id] => self.invoices.get(id).map(|found| documents::invoice(self, found)),
            ["v1", "invoices", id, "lines"] => self.invoice_lines(id, question),
            ["v1", "invoice_payments"] => Some(self.invoice_payments(question)),
            ["v1", "customers", id] => self.customers.get(id).map(documents::customer),
            ["v1", "prices", id] => self.prices.get(id).map(documents::price),
            ["v1", "payment_intents", id] => self.payments.get(id).map(documents::payment_intent),
            ["v1", "charges", id] => self.payments.values().find(|payment| payment.charge == id).map(documents::charge),
            ["v1", "events"] => Some(self.list_events(question)),
            ["v1", "refunds", id] => self.refunds.get(id).map(|found| documents::refund(self, found)),
            _ => return Reply::error(404, format!("Unrecognized request URL (GET: {}).", question.path)),
        };
        match found {
            Some(body) => Reply { status: 200, body },
            None => Reply::error(404, format!("No such object: '{}'", parts.last().unwrap_or(&""))),
        }
    }

    fn line_items(&self, session: &str, question: &Question<'_>) -> Option<Value> {
        let lines = self.sessions.get(session)?.lines.iter().map(|line| documents::line_item(self, line));
        Some(question.page(&lines.collect::<Vec<_>>()))
    }

    fn invoice_lines(&self, invoice: &str, question: &Question<'_>) -> Option<Value> {
        let invoice = self.invoices.get(invoice)?;
        let lines = invoice.lines.iter().map(|line| documents::invoice_line(self, invoice, line));
        Some(question.page(&lines.collect::<Vec<_>>()))
    }

    /// The newest first, whatever the order in which they were made: history is written after the fact.
    fn list_events(&self, question: &Question<'_>) -> Value {
        let since = question.value("created[gte]").and_then(|second| second.parse().ok()).unwrap_or(i64::MIN);
        let created = |event: &Value| event.get("created").and_then(Value::as_i64).unwrap_or_default();
        let read = self.events.iter().filter_map(|event| serde_json::from_str(&event.body).ok());
        let mut events: Vec<Value> = read.filter(|event| created(event) >= since).collect();
        events.sort_by_key(created);
        events.reverse();
        question.page(&events)
    }

    /// Only the question that refunds ask: which invoice a payment intent paid.
    fn invoice_payments(&self, question: &Question<'_>) -> Value {
        let intent = question.value("payment[payment_intent]").unwrap_or_default();
        let found = self.invoice_of(intent).map(documents::invoice_payment);
        question.page(found.as_slice())
    }
}

impl Question<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The page of these elements that `limit` and `starting_after` ask for.
    fn page(&self, all: &[Value]) -> Value {
        let limit = self.value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let after = self.value("starting_after");
        let is_after = |element: &Value| after.is_some() && element.get("id").and_then(Value::as_str) == after;
        let start = all.iter().position(is_after).map_or(0, |place| place + 1);
        let has_more = all.len() > start + limit;
        let end = all.len().min(start + limit);
        documents::list(self.path, &all[start..end], has_more)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::simulator::{
        account::{Buyer, Price},
        provider::{Action, Paying},
    };

    fn ask(account: &Account, path: &str, query: &[(&str, &str)]) -> Reply {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        account.answer(&Question { path, query })
    }

    fn shop() -> Account {
        let mut account = Account::new([7; 32]);
        let price = |id: &str, monthly| Price {
            id: id.to_owned(),
            product: "prod_1".to_owned(),
            name: id.to_owned(),
            unit_amount: 900,
            monthly,
        };
        account.price_event(price("price_once", false), Timestamp::UNIX_EPOCH);
        account.price_event(price("price_month", true), Timestamp::UNIX_EPOCH);
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
