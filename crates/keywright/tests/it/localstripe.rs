//! A Stripe of other people's making: localstripe, a process of its own. It signs and sends its events by itself, and our
//! look-ups and write-backs go to its API.
//!
//! It is the Stripe of 2017 and leaves much out. Where it is silent about something that every Stripe of today tells,
//! the test tells it in its place ([`Localstripe::told_of`]): an event of today whose object is the one that localstripe's
//! own API shows at that moment. Nothing in such an event is made up but its name.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use providers::{Provider, stripe::Stripe};
use serde_json::{Value, json};

use crate::{
    oracles::{API_KEY, SECRET, Shop, event, oracle},
    process::{Process, ask},
    relay::python,
};

const BUYER: &str = "ada@example.com";

/// What came, and what each of it says.
///
/// What localstripe never sends: `invoice.paid`, `customer.subscription.updated`, `charge.refunded` and `refund.*`, and all
/// of checkouts, disputes and invoice payments, which it does not have.
const SENT: [(&str, &str); 12] = [
    ("customer.created", "customer"),
    ("customer.deleted", "customer"),
    ("customer.subscription.created", "order"),
    ("customer.subscription.deleted", "order"),
    ("customer.updated", "customer"),
    ("invoice.created", "an invoice matters when it is paid, and when paying it failed"),
    ("invoice.payment_failed", "order"),
    ("invoice.payment_succeeded", "invoice.paid says the same, and of invoices paid outside Stripe too"),
    ("payment_intent.payment_failed", "the checkout, the invoice and the charge say what became of it"),
    ("payment_intent.succeeded", "the checkout, the invoice and the charge say what became of it"),
    ("plan.created", "the vendor's catalogue; each sale tells its prices"),
    ("product.created", "the vendor's catalogue; each sale tells its prices"),
];

#[test]
fn what_it_sends_is_believed_and_understood_or_ignored_for_a_reason() {
    let stripe = Localstripe::start();
    let shop = stripe.shop();
    stripe.sends_to(&shop);
    stripe.plan();
    let ada = stripe.customer(&a_card());
    let subscription = stripe.subscription(&ada);
    stripe.delete(&format!("/v1/subscriptions/{subscription}"));
    stripe.delete(&format!("/v1/customers/{ada}"));
    stripe.subscription(&stripe.customer(&a_debit_that_bounces()));

    let expected: BTreeMap<String, String> = SENT.map(|(kind, says)| (kind.to_owned(), says.to_owned())).into();
    shop.wait("one of each kind", || (Localstripe::became(&shop).len() >= expected.len()).then_some(()));
    shop.settle();
    assert_eq!(Localstripe::became(&shop), expected);
    assert_eq!(shop.get("/v1/attention-items")["data"], json!([]));
}

/// From the first payment to the refund. Nothing renews by itself: localstripe has no time, and every invoice of a
/// subscription is for the period that began when it began.
#[test]
fn a_subscription_there_is_a_license_here() {
    let stripe = Localstripe::start();
    let shop = stripe.shop();
    stripe.sends_to(&shop);
    stripe.plan();
    let subscription = stripe.subscription(&stripe.customer(&a_card()));
    let path = format!("/v1/subscriptions/{subscription}");
    let changes = |change: &Value| {
        stripe.post(&path, change);
        stripe.told_of(&shop, "customer.subscription.updated", &path);
    };
    let items = |plan: &str, quantity: u32| json!({ "items": [{ "plan": plan, "quantity": quantity }] });
    shop.wait("its subscription", || {
        Localstripe::became(&shop).contains_key("customer.subscription.created").then_some(())
    });
    // It is active, and does not say that it collects by itself, as every real one says: nobody vouches for its period.
    assert_eq!(standings(&shop, &subscription), [""; 0]);

    let first = stripe.told_of_last_invoice(&shop, &path);
    assert_eq!(standings(&shop, &subscription), ["active: paid"]);
    assert_eq!((ends(&shop, &subscription), shop.mailed_keys().len()), (stripe.period_end(&path), 1));
    changes(&items("pro_monthly", 2));
    assert_eq!(standings(&shop, &subscription), ["active: paid", "active: paid"]);
    assert_eq!(shop.mailed_keys().len(), 2);
    changes(&items("pro_monthly", 1));
    assert_eq!(standings(&shop, &subscription), ["active: paid", "revoked: removed"]);
    let month_end = ends(&shop, &subscription);
    changes(&items("pro_yearly", 1));
    assert_eq!(ends(&shop, &subscription), month_end, "not paid yet");
    let second = stripe.told_of_last_invoice(&shop, &path);
    assert_eq!(standings(&shop, &subscription), ["active: paid", "revoked: removed"]);
    assert_eq!(ends(&shop, &subscription), stripe.period_end(&path));
    assert!(ends(&shop, &subscription) > month_end + 300 * 86_400, "a year");
    changes(&json!({ "cancel_at_period_end": true }));
    assert_eq!(standings(&shop, &subscription), ["active: paid, then expired", "revoked: removed"]);
    changes(&json!({ "cancel_at_period_end": false }));
    assert_eq!(standings(&shop, &subscription), ["active: paid", "revoked: removed"]);

    stripe.refund(&shop, &second);
    // The month is paid for still.
    assert_eq!(standings(&shop, &subscription), ["active: paid, then revoked", "revoked: removed"]);
    assert_eq!(ends(&shop, &subscription), month_end);
    stripe.refund(&shop, &first);
    assert_eq!(standings(&shop, &subscription), ["revoked: refunded_in_full", "revoked: removed"]);
    assert_eq!(shop.mailed_keys().len(), 2);
    assert_eq!(shop.get("/v1/attention-items")["data"], json!([]));
    shop.installation.verify();
}

/// The end comes by localstripe's own event.
#[test]
fn a_subscription_that_is_cancelled_there_ends_here() {
    let stripe = Localstripe::start();
    let shop = stripe.shop();
    stripe.sends_to(&shop);
    stripe.plan();
    let subscription = stripe.subscription(&stripe.customer(&a_card()));
    let path = format!("/v1/subscriptions/{subscription}");
    shop.wait("its subscription", || {
        Localstripe::became(&shop).contains_key("customer.subscription.created").then_some(())
    });
    stripe.told_of_last_invoice(&shop, &path);
    assert_eq!(standings(&shop, &subscription), ["active: paid"]);
    stripe.delete(&path);
    // The month is paid for, and no renewal is awaited after it.
    shop.wait("its end", || (standings(&shop, &subscription) == ["active: paid, then expired"]).then_some(()));
    assert_eq!(ends(&shop, &subscription), stripe.period_end(&path));
}

/// By our own call, beside what the vendor wrote there; the second license leaves the first alone. (That a repeated call
/// changes nothing cannot be seen here: localstripe reads no idempotency keys.)
#[test]
fn keys_are_written_to_its_customer() {
    let stripe = Localstripe::start();
    let shop = stripe.shop();
    stripe.plan();
    let ada = stripe.customer(&a_card());
    let mut written = json!({ "crm": "42" });
    for keys in 1..=2 {
        let subscription = stripe.subscription(&ada);
        let path = format!("/v1/subscriptions/{subscription}");
        stripe.told_of(&shop, "customer.subscription.created", &path);
        stripe.told_of_last_invoice(&shop, &path);
        let license = shop.licenses(&subscription)[0]["id"].as_str().unwrap().to_owned();
        let opens = |key: &String| shop.post("/v1/licenses/lookup", &json!({ "key": key }))["data"][0]["id"] == license;
        written[&license] = json!(shop.mailed_keys().into_iter().find(opens));
        let seen = || stripe.get(&format!("/v1/customers/{ada}"))["metadata"].clone();
        shop.wait("its key", || (seen().as_object().unwrap().len() == 1 + keys).then_some(()));
        assert_eq!(stripe.customer_as_seen_by_the_sdk(&ada)["metadata"], written);
    }
    assert_eq!(shop.get("/v1/attention-items")["data"], json!([]));
}

/// Its list begins with the oldest event where Stripe's begins with the newest, which is the same to us: an order does not
/// depend on it. Its pages go on as Stripe's do.
#[test]
fn what_no_webhook_brought_is_found_in_its_list() {
    let stripe = Localstripe::start();
    let shop = stripe.shop();
    stripe.plan();
    // Enough for a second page, on which everything is that matters.
    for number in 0..100 {
        stripe.post("/v1/products", &json!({ "name": format!("Other {number}"), "type": "service" }));
    }
    let subscription = stripe.subscription(&stripe.customer(&a_card()));
    let kinds = ["customer.created", "customer.subscription.created", "customer.updated"];
    // The others are of kinds that an endpoint of ours is not subscribed to, so that they were not missed.
    for found in [kinds.len(), 0] {
        assert_eq!(Localstripe::catch_up(&shop), found);
    }
    shop.settle();
    assert!(Localstripe::became(&shop).keys().eq(&kinds));
    stripe.told_of_last_invoice(&shop, &format!("/v1/subscriptions/{subscription}"));
    assert_eq!(standings(&shop, &subscription), ["active: paid"]);
    // Our own writing of the key is an event there, too, a moment later.
    shop.wait("the event of its key", || (Localstripe::catch_up(&shop) == 1).then_some(()));
    // A webhook that comes after all is known from the list, and the other way round.
    stripe.sends_to(&shop);
    stripe.delete(&format!("/v1/subscriptions/{subscription}"));
    shop.wait("its end", || (standings(&shop, &subscription) == ["active: paid, then expired"]).then_some(()));
    assert_eq!(Localstripe::catch_up(&shop), 0);
}

/// A localstripe on loopback. It ends with this value.
struct Localstripe {
    address: SocketAddr,
    /// Events of our own.
    told: AtomicUsize,
    _process: Process,
}

impl Localstripe {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/run_localstripe.py");
        let mut process = Process(python().arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let line = process.lines_until("port ").pop().unwrap();
        let port: u16 = line.trim_start_matches("port ").parse().unwrap();
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), told: AtomicUsize::new(0), _process: process }
    }

    /// A shop that sells its plan `pro`, asks it whatever may be asked, and writes keys to its customers.
    fn shop(&self) -> Shop {
        let connection = format!(
            r#"mode = "simulated", level = "full", write_back = true, api_key = "env:API_KEY", api_base = "http://{}""#,
            self.address
        );
        let shop = Shop::new(None, &connection);
        for price in ["pro_monthly", "pro_yearly"] {
            shop.post("/v1/price-rules", &json!({ "connection": "stripe", "price": price, "plan": "pro" }));
        }
        shop
    }

    /// Has it send its events to the shop.
    fn sends_to(&self, shop: &Shop) {
        let url = format!("{}/v1/webhooks/stripe/default", shop.installation.address());
        self.call("POST", "/_config/webhooks/shop", &json!({ "url": url, "secret": SECRET }));
    }

    /// What is sold there.
    fn plan(&self) {
        let product = self.post("/v1/products", &json!({ "name": "Studio", "type": "service" }));
        for (id, interval, amount) in [("pro_monthly", "month", 4_900), ("pro_yearly", "year", 49_000)] {
            let plan = json!({ "id": id, "product": product["id"], "amount": amount, "currency": "eur", "interval": interval });
            self.post("/v1/plans", &plan);
        }
    }

    /// A customer with a way to pay, and with something that the vendor wrote beside them.
    fn customer(&self, pays_by: &Value) -> String {
        let customer = json!({ "email": BUYER, "name": "Ada", "metadata": { "crm": "42" } });
        let customer = id(&self.post("/v1/customers", &customer));
        let method = id(&self.post("/v1/payment_methods", pays_by));
        self.post(&format!("/v1/payment_methods/{method}/attach"), &json!({ "customer": customer }));
        let default = json!({ "invoice_settings": { "default_payment_method": method } });
        self.post(&format!("/v1/customers/{customer}"), &default);
        customer
    }

    fn subscription(&self, customer: &str) -> String {
        let items = json!([{ "plan": "pro_monthly", "quantity": 1 }]);
        id(&self.post("/v1/subscriptions", &json!({ "customer": customer, "items": items })))
    }

    /// An event as a Stripe of today sends it, about the object that is at that path now.
    fn told_of(&self, shop: &Shop, kind: &str, path: &str) {
        let number = self.told.fetch_add(1, Ordering::Relaxed);
        shop.deliver(&event(&format!("evt_today_{number}"), kind, &self.get(path)), 1);
        shop.settle();
    }

    /// That the last invoice of a subscription is paid. Returns the id of the invoice.
    ///
    /// `invoice.paid` is of 2020. What localstripe sends in its place, `invoice.payment_succeeded`, is ignored, since
    /// Stripe has sent both ever since.
    fn told_of_last_invoice(&self, shop: &Shop, subscription: &str) -> String {
        let invoice = self.get(subscription)["latest_invoice"].as_str().unwrap().to_owned();
        self.told_of(shop, "invoice.paid", &format!("/v1/invoices/{invoice}"));
        invoice
    }

    /// Gives the money of an invoice back. It sends nothing of that, and has no invoice payments: what its charge paid for
    /// is known from the invoice, which names the charge, as those of its time do.
    fn refund(&self, shop: &Shop, invoice: &str) {
        let charge = id(&self.get(&format!("/v1/invoices/{invoice}"))["charge"]);
        let refund = id(&self.post("/v1/refunds", &json!({ "charge": charge })));
        self.told_of(shop, "refund.created", &format!("/v1/refunds/{refund}"));
        self.told_of(shop, "charge.refunded", &format!("/v1/charges/{charge}"));
    }

    /// The end of the subscription's period, in seconds.
    fn period_end(&self, subscription: &str) -> i64 {
        self.get(subscription)["current_period_end"].as_i64().unwrap()
    }

    /// Has its list read to the end. Returns how many events were new.
    fn catch_up(shop: &Shop) -> usize {
        let connections = shop.get("/v1/connections");
        let path = format!("/v1/connections/{}/catch-up", id(&connections["data"][0]));
        shop.post(&path, &json!({}));
        let read = shop.wait("the end of its list", || Some(shop.get(&path)).filter(|list| list["running"] == false));
        assert_eq!(read["problem"], Value::Null);
        usize::try_from(read["found"].as_u64().unwrap()).unwrap()
    }

    /// What became of its events, by kind: the facts that were found in it, or why it says nothing.
    fn became(shop: &Shop) -> BTreeMap<String, String> {
        let events = shop.get("/v1/inbound-events?limit=100&status=done");
        let events = events["data"].as_array().unwrap().iter();
        events
            .map(|event| {
                let kind = event["kind"].as_str().unwrap();
                let detail = shop.get(&format!("/v1/inbound-events/{}", event["id"].as_str().unwrap()));
                let facts = detail["trace"]["facts"].as_array().unwrap().iter();
                let facts: Vec<&str> = facts.map(|fact| fact["kind"].as_str().unwrap()).collect();
                let says = Stripe.ignores(kind).map_or_else(|| facts.join(" and "), str::to_owned);
                (kind.to_owned(), says)
            })
            .collect()
    }

    /// What the official package reads there.
    fn customer_as_seen_by_the_sdk(&self, customer: &str) -> Value {
        let (base, (_, version)) = (format!("http://{}", self.address), Stripe.info().api_headers[0]);
        let what = json!({ "of": ["customers", "retrieve"], "arguments": [customer] });
        oracle(&["call", &base, API_KEY, version], &what.to_string()).pop().unwrap()
    }

    fn get(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, body)
    }

    fn delete(&self, path: &str) -> Value {
        self.call("DELETE", path, &Value::Null)
    }

    /// One call; it must succeed.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localstripe\r\nconnection: close\r\nauthorization: Bearer {API_KEY}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = ask(self.address, &request).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path} {body}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_default()
    }
}

/// How the licenses of a subscription stand, the oldest first.
fn standings(shop: &Shop, subscription: &str) -> Vec<String> {
    let mut licenses = shop.licenses(subscription);
    licenses.sort_by_key(|license| license["id"].to_string());
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let told = licenses.iter().map(|license| {
        let next = &license["scheduled"]["state"];
        let next = next.as_str().map(|state| format!(", then {state}")).unwrap_or_default();
        format!("{}: {}{next}", word(&license["state"]), word(&license["reason"]))
    });
    told.collect()
}

/// The end of the term of its first license, in seconds.
fn ends(shop: &Shop, subscription: &str) -> i64 {
    let licenses = shop.licenses(subscription);
    let first = licenses.iter().min_by_key(|license| license["id"].to_string()).unwrap();
    first["expires_at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second()
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id: {object}")).to_owned()
}

/// The numbers are those of Stripe's documentation for tests.
fn a_card() -> Value {
    let card = json!({ "number": "4242424242424242", "exp_month": "12", "exp_year": "2030", "cvc": "123" });
    json!({ "type": "card", "card": card })
}

/// A bank debit: the subscription is active at once, and the bank says no a little later.
fn a_debit_that_bounces() -> Value {
    let of = json!({ "name": "Ada", "email": BUYER });
    json!({ "type": "sepa_debit", "sepa_debit": { "iban": "DE62370400440532013001" }, "billing_details": of })
}
