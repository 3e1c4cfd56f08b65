//! What leaves the machine, byte by byte, and that Stripe's own SDK sends the same.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use domain::{
    id::{ConnectionId, TenantId},
    money::{Currency, Money},
    plan::{Interval, PlanPrice},
    text::{CustomerReference, EmailAddress, PlanCode, PriceReference},
};
use jiff::Timestamp;
use providers::{
    Provider, Settings,
    backfill::Piece,
    calls::WriteBack,
    http::{Content, Post},
    selling::{NewCheckout, NewPrice},
    stripe::Stripe,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;

use super::*;

const KEY: &str = "rk_test_1";
const LICENSE: &str = "lic_00000000000000000000000001";

fn connection(api_base: String) -> Connection {
    Connection {
        id: ConnectionId(Uuid::nil()),
        tenant: TenantId(Uuid::nil()),
        tenant_slug: "acme".to_owned(),
        code: "stripe".to_owned(),
        provider: &Stripe,
        mode: Mode::Simulated,
        settings: Settings::default(),
        api_base,
        webhook_secrets: Vec::new(),
        api_key: Some(SecretString::from(KEY)),
        oauth_client: None,
    }
}

/// A call, as it reached the provider.
#[derive(Debug)]
struct Arrived {
    /// Method, path and query, version of HTTP.
    line: String,
    /// Name in lower case, and value.
    headers: Vec<(String, String)>,
    body: String,
}

impl Arrived {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What two calls must have in common: method, path, headers, and the fields of query and body. The order of fields
    /// and how the brackets of a query and the blanks of a form are written are left to either.
    fn essence(&self) -> (&str, [Option<&str>; 4], [Vec<String>; 2]) {
        let target = self.line.trim_end_matches(" HTTP/1.1");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = ["authorization", "content-type", "idempotency-key", "stripe-version"];
        let fields = [query.replace("%5B", "[").replace("%5D", "]"), self.body.replace('+', "%20")];
        let sorted = |fields: String| {
            let mut fields: Vec<String> = fields.split('&').map(str::to_owned).collect();
            fields.sort();
            fields
        };
        (path, headers.map(|name| self.header(name)), fields.map(sorted))
    }
}

/// Takes one call and answers it.
async fn record(listener: &TcpListener) -> Arrived {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let (line, fields) = head.split_once("\r\n").unwrap();
        let headers = fields.lines().filter_map(|field| field.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let arrived = Arrived { line: line.to_owned(), headers, body: body.to_owned() };
        let length = arrived.header("content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            return arrived;
        }
    }
}

fn base_of(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}

/// Our call.
async fn ours(request: &Request) -> Arrived {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connection = connection(base_of(&listener));
    let dialler = Dialler::new(false).unwrap();
    let (arrived, answer) = tokio::join!(record(&listener), dialler.dial(&connection, request));
    assert_eq!(answer.unwrap().status, 200);
    arrived
}

/// The call of the official SDK.
async fn theirs(what: &Value) -> Arrived {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracles.py");
    let python = std::env::var("KEYWRIGHT_TEST_PYTHON").expect("run the tests with `cargo xtask test`");
    let (_, version) = Stripe.info().api_headers[0];
    let mut sdk = Command::new(python);
    sdk.arg(script).args(["call", &base_of(&listener), KEY, version]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut sdk = sdk.spawn().unwrap();
    sdk.stdin.take().unwrap().write_all(what.to_string().as_bytes()).unwrap();
    let ended = tokio::task::spawn_blocking(move || sdk.wait_with_output().unwrap());
    tokio::select! {
        biased;
        arrived = record(&listener) => arrived,
        ended = ended => panic!("it called nobody: {}", String::from_utf8_lossy(&ended.unwrap().stderr)),
    }
}

#[tokio::test]
async fn a_look_up_is_a_get_without_a_body() {
    let call = ours(&Request::get("/v1/subscriptions/sub_1?x=1")).await;
    assert_eq!((call.line.as_str(), call.body.as_str()), ("GET /v1/subscriptions/sub_1?x=1 HTTP/1.1", ""));
    assert_eq!(call.header("authorization"), Some("Bearer rk_test_1"));
    for absent in ["content-type", "content-length", "idempotency-key"] {
        assert_eq!(call.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_change_is_a_form_with_its_idempotency_key() {
    let form = vec![("metadata[lic_1]".to_owned(), "KEY-A&B".to_owned())];
    let post = Post { content: Content::Form(form), idempotency_key: Some("once-1".to_owned()) };
    let call = ours(&Request::post("/v1/customers/cus_1", post)).await;
    assert_eq!(
        (call.line.as_str(), call.body.as_str()),
        ("POST /v1/customers/cus_1 HTTP/1.1", "metadata[lic_1]=KEY-A%26B")
    );
    for (name, value) in [
        ("authorization", "Bearer rk_test_1"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("idempotency-key", "once-1"),
    ] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }
    let document = Post { content: Content::Json(r#"{"active":true}"#.to_owned()), ..Post::default() };
    let call = ours(&Request::post("/notification-settings", document)).await;
    assert_eq!((call.header("content-type"), call.body.as_str()), (Some("application/json"), r#"{"active":true}"#));
    let call = ours(&Request::post("/v1/customers/cus_1", Post::default())).await;
    assert_eq!((call.line.as_str(), call.body.as_str()), ("POST /v1/customers/cus_1 HTTP/1.1", ""));
    assert_eq!(call.header("idempotency-key"), None);
}

#[tokio::test]
async fn the_official_sdk_makes_the_same_calls() {
    let (customer, key) = (CustomerReference::from("cus_1"), SecretString::from("ACME-7K2M-9QXR-4WVT-8HNP"));
    let note = WriteBack { license: LICENSE.parse().unwrap(), customer: &customer, key: &key };
    let write_back = Stripe.write_back(&note).unwrap();
    let endpoint = Stripe.create_webhook("https://kw.example/v1/acme/webhooks/stripe", "con_1").unwrap();
    let once = |request: &Request| json!({ "idempotency_key": request.post.as_ref().unwrap().idempotency_key });
    let written = json!({ "metadata": { LICENSE: "ACME-7K2M-9QXR-4WVT-8HNP" } });
    let wanted = json!({
        "url": "https://kw.example/v1/acme/webhooks/stripe", "enabled_events": Stripe.info().events,
        "api_version": Stripe.info().api_headers[0].1, "description": "Keywright",
    });
    let page = json!({ "limit": 100, "starting_after": "li_1" });
    let paid_by = json!({ "payment": { "type": "payment_intent", "payment_intent": "pi_1" }, "limit": 1 });
    let after = "?limit=100&starting_after=li_1";
    let link = "/v1/invoice_payments?payment%5Btype%5D=payment_intent&payment%5Bpayment_intent%5D=pi_1&limit=1";
    for (request, what) in [
        (
            write_back.clone(),
            json!({ "of": ["customers", "update"], "arguments": ["cus_1", written], "options": once(&write_back) }),
        ),
        (
            endpoint.clone(),
            json!({ "of": ["webhook_endpoints", "create"], "arguments": [wanted], "options": once(&endpoint) }),
        ),
        (
            Request::get("/v1/subscriptions/sub_1"),
            json!({ "of": ["subscriptions", "retrieve"], "arguments": ["sub_1"] }),
        ),
        (
            Request::get(format!("/v1/checkout/sessions/cs_1/line_items{after}")),
            json!({ "of": ["checkout", "sessions", "line_items", "list"], "arguments": ["cs_1", page] }),
        ),
        (
            Request::get(format!("/v1/invoices/in_1/lines{after}")),
            json!({ "of": ["invoices", "line_items", "list"], "arguments": ["in_1", page] }),
        ),
        (Request::get(link), json!({ "of": ["invoice_payments", "list"], "arguments": [paid_by] })),
    ] {
        let (ours, theirs) = (ours(&request).await, theirs(&what).await);
        assert_eq!(ours.essence(), theirs.essence(), "{what}");
    }
}

fn checkout<'a>(
    price: &'a PlanPrice,
    reference: &'a PriceReference,
    plan: &'a PlanCode,
    email: &'a EmailAddress,
) -> NewCheckout<'a> {
    NewCheckout {
        product: "studio",
        plan,
        reference,
        price,
        success_url: "https://yourapp.com/thanks?s={CHECKOUT_SESSION_ID}",
        cancel_url: "https://yourapp.com/pricing",
        email: Some(email),
        fee_ten_thousandths: Some(50),
        attempt: "1",
    }
}

#[tokio::test]
async fn the_official_sdk_sells_with_the_same_calls() {
    let (plan, reference) = (PlanCode::new("pro"), PriceReference::new("price_1"));
    let email = EmailAddress::parse("buyer@example.com").unwrap();
    let money = Money::new(4_900, Currency::parse("EUR"));
    let [once, monthly] = [None, Some(Interval::Month)].map(|every| PlanPrice { money, every });
    let selling = Stripe.selling().unwrap();
    let price = NewPrice { plan: &plan, name: "Studio Pro", price: &monthly, attempt: "1" };
    let page = |mode: &str, fee: (&str, Value)| {
        json!({
            "mode": mode, "line_items": [{ "price": "price_1", "quantity": 1 }],
            "success_url": "https://yourapp.com/thanks?s={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://yourapp.com/pricing", "customer_email": "buyer@example.com",
            "metadata": { "product_id": "studio", "key_type_id": "pro" }, fee.0: fee.1,
        })
    };
    for (request, of, arguments) in [
        (
            selling.create_price(&price),
            json!(["prices", "create"]),
            json!([{
                "currency": "eur", "unit_amount": 4900, "product_data": { "name": "Studio Pro" },
                "metadata": { "plan_code": "pro" }, "recurring": { "interval": "month" },
            }]),
        ),
        (selling.archive_price(&reference), json!(["prices", "update"]), json!(["price_1", { "active": "false" }])),
        (
            selling.create_checkout(&checkout(&once, &reference, &plan, &email)),
            json!(["checkout", "sessions", "create"]),
            json!([page("payment", ("payment_intent_data", json!({ "application_fee_amount": 25 })))]),
        ),
        (
            selling.create_checkout(&checkout(&monthly, &reference, &plan, &email)),
            json!(["checkout", "sessions", "create"]),
            json!([page("subscription", ("subscription_data", json!({ "application_fee_percent": 0.5 })))]),
        ),
    ] {
        let once = request.post.as_ref().unwrap().idempotency_key.clone();
        let what = json!({ "of": of, "arguments": arguments, "options": { "idempotency_key": once } });
        let (ours, theirs) = (ours(&request).await, theirs(&what).await);
        assert_eq!(ours.essence(), theirs.essence(), "{what}");
    }
}

#[tokio::test]
async fn the_official_sdk_catches_up_with_the_same_calls() {
    let since = Timestamp::from_second(1_790_000_000).unwrap();
    let list = Stripe.backfill().unwrap();
    for (after, page) in [
        (None, json!({ "created": { "gte": 1_790_000_000 }, "limit": 100 })),
        (Some("evt_1"), json!({ "created": { "gte": 1_790_000_000 }, "limit": 100, "starting_after": "evt_1" })),
    ] {
        let request = list.request(&Piece {
            since,
            after,
            limit: 100,
            asked_at: since,
            store: None,
            license_keys: providers::LicenseKeys::Ours,
        });
        let what = json!({ "of": ["events", "list"], "arguments": [page] });
        let (ours, theirs) = (ours(&request).await, theirs(&what).await);
        assert_eq!(ours.essence(), theirs.essence(), "{what}");
    }
}

#[tokio::test]
async fn the_official_sdk_onboards_with_the_same_calls() {
    let accounts = Stripe.accounts().unwrap();
    let create = accounts.create("1");
    let once = json!({ "idempotency_key": create.post.as_ref().unwrap().idempotency_key });
    let what = json!({ "of": ["accounts", "create"], "arguments": [{ "type": "standard" }], "options": once });
    let (created, theirs_created) = (ours(&create).await, theirs(&what).await);
    assert_eq!(created.essence(), theirs_created.essence());

    let (back, again) = ("https://kw.example/v1/connect/return?a=1", "https://kw.example/v1/connect/refresh");
    let wanted = json!({ "account": "acct_1", "type": "account_onboarding", "return_url": back, "refresh_url": again });
    let what = json!({ "of": ["account_links", "create"], "arguments": [wanted] });
    let (led, theirs_led) = (ours(&accounts.onboard("acct_1", back, again)).await, theirs(&what).await);
    // Each of our calls is to make another page. The SDK makes up a key where none is given, which says the same.
    let (path, [authorization, content, key, version], fields) = led.essence();
    let (their_path, [their_authorization, their_content, _, their_version], their_fields) = theirs_led.essence();
    assert_eq!((path, fields, key), (their_path, their_fields, None));
    assert_eq!([authorization, content, version], [their_authorization, their_content, their_version]);
}

#[tokio::test]
async fn a_call_for_a_connected_account_names_it_as_the_official_sdk_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connection = connection(base_of(&listener));
    connection.settings.account = Some("acct_1".to_owned());
    let (dialler, request) = (Dialler::new(false).unwrap(), Request::get("/v1/subscriptions/sub_1"));
    let (ours, answer) = tokio::join!(record(&listener), dialler.dial(&connection, &request));
    assert_eq!(answer.unwrap().status, 200);
    let what = json!({
        "of": ["subscriptions", "retrieve"], "arguments": ["sub_1"], "options": { "stripe_account": "acct_1" }
    });
    let theirs = theirs(&what).await;
    assert_eq!(ours.essence(), theirs.essence());
    assert_eq!((ours.header("stripe-account"), theirs.header("stripe-account")), (Some("acct_1"), Some("acct_1")));
}

#[test]
fn an_account_is_asked_with_its_platforms_key_or_not_at_all() {
    let mut connection = connection("http://127.0.0.1".to_owned());
    connection.settings.account = Some("acct_1".to_owned());
    connection.api_key = None;
    let refusal = |connection: &Connection| outgoing(connection, &Request::get("/v1/x")).err().unwrap().to_string();
    assert!(refusal(&connection).contains("set STRIPE_SECRET_KEY and STRIPE_CONNECT_WEBHOOK_SECRET"));
    connection.settings.disconnected = true;
    assert!(refusal(&connection).contains("its vendor has disconnected it"));
}

#[test]
fn what_no_header_can_say_is_not_sent() {
    let post = Post { idempotency_key: Some("a\nb".to_owned()), ..Post::default() };
    let refusal = outgoing(&connection("http://127.0.0.1".to_owned()), &Request::post("/v1/x", post));
    assert!(refusal.is_err());
}

#[tokio::test]
async fn an_offline_server_asks_nobody_beyond_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dialler, request) = (Dialler::new(true).unwrap(), Request::get("/v1/subscriptions/sub_1"));
    let mut connection = connection(base_of(&listener));
    let (_, simulated) = tokio::join!(record(&listener), dialler.dial(&connection, &request));
    assert_eq!(simulated.unwrap().status, 200);
    connection.mode = Mode::Test;
    let refused = dialler.dial(&connection, &request).await.unwrap_err().to_string();
    assert!(refused.contains("--offline"), "{refused}");
}
