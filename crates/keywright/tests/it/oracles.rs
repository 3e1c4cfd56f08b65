//! The main job as the world around it sees it: events are signed by the official SDKs, mails go through a real
//! relay, leases are verified by a stock JWT library.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use keywright_license::{Expected, Jwks, verify_lease};
use serde_json::{Value, json};

use crate::{
    process::{Installation, Ran, ask, keys, now, run_with},
    relay::{Relay, python, stripe},
};

pub(crate) const SECRET: &str = "whsec_oracles_0123456789abcdef";
/// The key that connections ask with.
pub(crate) const API_KEY: &str = "sk_test_1";
const BUYER: &str = "ada@example.com";
const DEVICE: &str = "b7c1-mac-studio";
/// The longest that anything may take here. What it does take is printed.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// A connection that knows its webhook secret and nothing else.
const WITHOUT_A_KEY: &str = r#"mode = "test", level = "none""#;

#[test]
fn sqlite_a_paid_checkout_becomes_a_working_license() {
    let shop = Shop::new(None, WITHOUT_A_KEY);
    let key = shop.a_paid_checkout_becomes_a_working_license();
    shop.is_clear_of(&key);
    // The search does find what is there: an event is kept as it came.
    assert!(shop.finds("evt_paid"), "events are kept in the data folder");
}

#[test]
fn postgres_a_paid_checkout_becomes_a_working_license() {
    let shop = Shop::new(Some(fresh_postgres()), WITHOUT_A_KEY);
    let key = shop.a_paid_checkout_becomes_a_working_license();
    shop.is_clear_of(&key);
    assert!(shop.finds("evt_paid"), "events are kept in the database");
}

#[test]
fn sqlite_fifty_deliveries_at_once_are_one() {
    Shop::new(None, WITHOUT_A_KEY).fifty_deliveries_at_once_are_one();
}

#[test]
fn postgres_fifty_deliveries_at_once_are_one() {
    Shop::new(Some(fresh_postgres()), WITHOUT_A_KEY).fifty_deliveries_at_once_are_one();
}

#[test]
fn sqlite_what_the_stripe_cli_triggers_waits_for_its_price_rule() {
    Shop::new(None, &with_lines()).what_the_stripe_cli_triggers_waits_for_its_price_rule();
}

#[test]
fn postgres_what_the_stripe_cli_triggers_waits_for_its_price_rule() {
    Shop::new(Some(fresh_postgres()), &with_lines()).what_the_stripe_cli_triggers_waits_for_its_price_rule();
}

#[test]
fn the_official_sdk_accepts_our_signature() {
    let body = paid("ours").to_string();
    let header = providers::signature::sign(&SECRET.into(), body.as_bytes(), now());
    let event = &oracle(&["construct", SECRET, &header], &body)[0];
    assert_eq!(event, &json!({ "id": "evt_paid_ours", "type": "checkout.session.completed", "session": "cs_ours" }));
    let changed = body.replace("4900", "4901");
    let refused = try_oracle(&["construct", SECRET, &header], &changed);
    assert!(!refused.status.success() && refused.stderr.contains("SignatureVerificationError"), "{refused:?}");
}

/// An installation that began with an empty folder, its mail relay, and an API key.
pub(crate) struct Shop {
    pub(crate) installation: Installation,
    postgres: Option<String>,
    relay: Relay,
    api_key: String,
}

impl Shop {
    pub(crate) fn new(postgres: Option<String>, connection: &str) -> Self {
        let relay = Relay::start();
        let mut environment = vec![
            ("KEYWRIGHT_SMTP_URL", relay.url()),
            ("KEYWRIGHT_MAIL_FROM", "keys@acme.test".to_owned()),
            ("SECRET", SECRET.to_owned()),
            ("API_KEY", API_KEY.to_owned()),
        ];
        environment.extend(postgres.clone().map(|address| ("KEYWRIGHT_DATABASE_URL", address)));
        let mut installation = Installation::with(environment);
        installation.serve();
        let file = installation.folder.path().join("shop.toml");
        std::fs::write(&file, configuration(connection)).unwrap();
        let applied = installation.run(&["apply", file.to_str().unwrap()]);
        assert!(applied.status.success(), "{applied:?}");
        let made = installation.run(&["api-key", "create", "--name", "test", "--kind", "test", "--scope", "admin"]);
        assert!(made.status.success(), "{made:?}");
        let shop = Self { installation, postgres, relay, api_key: made.stdout.trim().to_owned() };
        shop.learn();
        shop
    }

    /// A server that runs reads connections again every few seconds; until then it knows none, and Stripe would come
    /// again. What is not signed is refused by a connection that is known.
    fn learn(&self) {
        let applied_at = seconds();
        let unsigned = "POST /v1/webhooks/stripe/default HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
                        content-length: 2\r\n\r\n{}";
        self.becomes("a connection that was applied", applied_at, || {
            let answer = ask(self.socket(), unsigned).unwrap();
            let refused =
                answer.starts_with("HTTP/1.1 400") && answer.ends_with("Webhook signature verification failed");
            assert!(refused || answer.starts_with("HTTP/1.1 404"), "{answer}");
            refused.then_some(())
        });
    }

    fn a_paid_checkout_becomes_a_working_license(&self) -> String {
        let answered_at = self.deliver(&paid("once"), 1);
        let license = self.becomes("a license and its mail", answered_at, || {
            let found = self.licenses("cs_once");
            (!found.is_empty() && !self.mails().is_empty()).then_some(found)
        });
        self.settle();
        let (found, mails) = (self.licenses("cs_once"), self.mails());
        assert_eq!((license.len(), found.len(), mails.len()), (1, 1, 1), "{found:#?} {mails:#?}");
        assert_eq!((&found[0]["state"], &found[0]["plan"]["code"]), (&json!("active"), &json!("pro")), "{found:#?}");
        assert_eq!(mails[0]["recipients"], json!([BUYER]));
        let key = self.mailed_keys().pop().unwrap();
        let id = found[0]["id"].as_str().unwrap();
        assert_eq!(self.post("/v1/licenses/lookup", &json!({ "key": key }))["data"][0]["id"], id);
        self.it_is_logged_with_its_key_masked(&key, id);

        self.its_lease_is_verified(&key, id);
        self.a_full_refund_revokes_it(&key);
        key
    }

    fn it_is_logged_with_its_key_masked(&self, key: &str, license: &str) {
        let log = self.installation.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let issued: Vec<_> =
            lines.iter().map(|line| &line["fields"]).filter(|fields| fields["message"] == "license issued").collect();
        let masked = format!("ACME-…-{}", key.rsplit('-').next().unwrap());
        assert_eq!(issued.len(), 1, "{log}");
        assert_eq!((&issued[0]["license"], &issued[0]["key"]), (&json!(license), &json!(masked)), "{log}");
        assert!(log.contains("mail sent") && !log.contains(BUYER), "{log}");
    }

    /// By PyJWT, and by what apps use.
    fn its_lease_is_verified(&self, key: &str, license: &str) {
        let device = json!({ "fingerprint": DEVICE, "name": "Ada's Mac" });
        let activated = self.post("/v1/activate", &json!({ "key": key, "product": "studio", "device": device }));
        assert_eq!((&activated["valid"], &activated["code"]), (&json!(true), &json!("valid")), "{activated}");
        let token = activated["lease"].as_str().unwrap();
        let keys_at = format!("{}/.well-known/jwks.json", self.installation.address());
        let verified = &oracle(&["lease", &keys_at, "studio"], token)[0];
        let (header, claims) = (&verified["header"], &verified["claims"]);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("license+jwt")), "{header}");
        assert_eq!((&claims["sub"], &claims["device"]), (&json!(license), &json!(DEVICE)), "{claims}");
        assert_eq!((&claims["plan"], &claims["iss"]), (&json!("pro"), &json!(self.installation.address())), "{claims}");
        let ends = claims["exp"].as_i64().unwrap();
        assert!(ends > now().as_second(), "{claims}");
        let other_product = try_oracle(&["lease", &keys_at, "relay"], token);
        assert!(other_product.stderr.contains("InvalidAudienceError"), "{other_product:?}");

        let keys = Jwks::parse(verified["keys"].as_str().unwrap()).unwrap();
        let expected = Expected { audience: "studio", device: DEVICE };
        let lease = verify_lease(token, &keys, now().as_second(), expected).unwrap();
        assert_eq!((lease.license.as_str(), lease.valid_until), (license, ends));
    }

    fn a_full_refund_revokes_it(&self, key: &str) {
        let check = || self.post("/v1/check", &json!({ "key": key }));
        assert_eq!(check()["valid"], true);
        let answered_at = self.deliver(&refunded("once"), 1);
        let verdict =
            self.becomes("a refund", answered_at, || Some(check()).filter(|verdict| verdict["valid"] == false));
        assert_eq!(
            (&verdict["code"], &verdict["reason"]),
            (&json!("revoked"), &json!("refunded_in_full")),
            "{verdict}"
        );
        let message = verdict["message"].as_str().unwrap();
        assert!(message.ends_with("was refunded in full (49.00 EUR)."), "{message}");
    }

    fn fifty_deliveries_at_once_are_one(&self) {
        let event = paid("fifty");
        let answered_at = self.deliver(&event, 50);
        self.becomes("a mail, after 50 deliveries", answered_at, || (!self.mails().is_empty()).then_some(()));
        self.settle();
        // Long after, it is still the same event.
        self.deliver(&event, 1);
        self.settle();
        let (found, mails) = (self.licenses("cs_fifty"), self.mails());
        assert_eq!((found.len(), mails.len()), (1, 1), "{found:#?} {mails:#?}");
    }

    fn what_the_stripe_cli_triggers_waits_for_its_price_rule(&self) {
        self.deliver(&triggered(), 1);
        self.settle();
        let items = self.get("/v1/attention-items");
        let [item] = items["data"].as_array().unwrap().as_slice() else { panic!("one item: {items}") };
        assert_eq!((&item["kind"], &item["livemode"]), (&json!("unmapped_price"), &json!(false)), "{item}");
        let detail = item["detail"].as_str().unwrap();
        assert!(detail.starts_with("price price_1Qrandom ") && detail.contains(" is not mapped to a plan"), "{detail}");
        assert_eq!((self.licenses("cs_triggered").len(), self.mails().len()), (0, 0));

        let asked_at = seconds();
        let rule =
            self.post("/v1/price-rules", &json!({ "connection": "stripe", "price": "price_1Qrandom", "plan": "pro" }));
        assert_eq!((&rule["price"], &rule["grants"][0]["plan"]), (&json!("price_1Qrandom"), &json!("pro")), "{rule}");
        self.becomes("what was held", asked_at, || (self.mails().len() >= 2).then_some(()));
        self.settle();
        let (found, mails, keys) = (self.licenses("cs_triggered"), self.mails(), self.mailed_keys());
        assert_eq!((found.len(), mails.len(), keys.len()), (2, 2, 2), "{found:#?} {mails:#?}");
        for key in &keys {
            assert_eq!(self.post("/v1/check", &json!({ "key": key }))["valid"], true);
        }
        assert!(mails.iter().all(|mail| mail["recipients"] == json!(["stripe@example.com"])), "{mails:#?}");
        assert_eq!(self.get("/v1/attention-items")["data"], json!([]), "it closed by itself");
    }

    /// Posts an event so many times at once, signed by the official SDK. When the last answer came.
    pub(crate) fn deliver(&self, event: &Value, times: usize) -> f64 {
        let address = format!("{}/v1/webhooks/stripe/default", self.installation.address());
        let answers = oracle(&["deliver", &address, SECRET, &times.to_string()], &event.to_string());
        assert_eq!(answers.len(), times);
        for answer in &answers {
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default();
            assert_eq!((&answer["status"], body), (&json!(200), json!({ "received": true })), "{answer}");
        }
        answers.iter().map(|answer| answer["answered_at"].as_f64().unwrap()).fold(0.0, f64::max)
    }

    /// Waits for something, and prints how long after that moment it was seen. The end of the script counts, too.
    fn becomes<T>(&self, what: &str, since: f64, seen: impl Fn() -> Option<T>) -> T {
        let seen = self.wait(what, seen);
        println!("{what}: visible after {:.0} ms", (seconds() - since) * 1_000.0);
        seen
    }

    pub(crate) fn wait<T>(&self, what: &str, seen: impl Fn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = seen() {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "{what} does not come; the server says: {}", self.installation.log());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until all that came in is worked on and mailed.
    pub(crate) fn settle(&self) {
        self.wait("the end of all work", || {
            let status = self.get("/v1/status");
            let pending = ["inbox_pending", "mails_pending"].map(|name| status[name].as_u64());
            (pending == [Some(0); 2]).then_some(())
        });
    }

    /// The licenses of a checkout or a subscription.
    pub(crate) fn licenses(&self, reference: &str) -> Vec<Value> {
        let found = self.post("/v1/licenses/lookup", &json!({ "reference": reference }));
        found["data"].as_array().unwrap_or_else(|| panic!("{found}")).clone()
    }

    pub(crate) fn mails(&self) -> Vec<Value> {
        self.relay.mails().clone()
    }

    /// The distinct keys in all mails.
    pub(crate) fn mailed_keys(&self) -> Vec<String> {
        let mut all: Vec<String> = self.mails().iter().flat_map(|mail| keys(mail["text"].as_str().unwrap())).collect();
        all.sort();
        all.dedup();
        all
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.call(&format!("GET {path}"), "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.call(&format!("POST {path}"), &body.to_string())
    }

    /// One call with the API key; it must succeed.
    fn call(&self, what: &str, body: &str) -> Value {
        let request = format!(
            "{what} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.api_key,
            body.len()
        );
        let answer = ask(self.socket(), &request).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{what} {body}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn socket(&self) -> SocketAddr {
        self.installation.address().trim_start_matches("http://").parse().unwrap()
    }

    /// The key stands nowhere: not in a file of the data folder, not in a table, not in the log; neither as shown nor
    /// without its dashes, nor what follows its prefix, nor its bytes in hexadecimal.
    fn is_clear_of(&self, key: &str) {
        let (prefix, secret) = key.split_once('-').unwrap();
        assert_eq!(prefix, "ACME");
        for form in [key, secret, &secret.replace('-', "")] {
            for form in [form.to_owned(), form.to_lowercase(), hex::encode(form), hex::encode(form.to_lowercase())] {
                assert!(!self.finds(&form), "a part of the key stands in the database, the data folder or the log");
            }
        }
    }

    /// Whether a text stands in any file of the data folder, in any table, or in the log.
    fn finds(&self, text: &str) -> bool {
        let mut contents = contents(&self.installation.data_dir());
        assert!(!contents.is_empty());
        contents.push(self.installation.log().into_bytes());
        if let Some(address) = &self.postgres {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            contents.push(runtime.block_on(store::testing::every_row_of_postgres(address)).into_bytes());
        }
        contents.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// Every file of a folder, the write-ahead log of the database among them.
fn contents(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { contents(&path) } else { vec![std::fs::read(&path).unwrap()] }).collect()
}

fn configuration(connection: &str) -> String {
    format!(
        r#"
        product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
        plan = [{{ code = "pro", product = "studio", name = "Pro" }}]
        connection = [{{ code = "stripe", provider = "stripe", webhook_secrets = ["env:SECRET"], {connection} }}]
        "#
    )
}

/// A connection to a Stripe of which every checkout holds two of one price.
fn with_lines() -> String {
    let lines = json!({ "object": "list", "has_more": false, "data": [{
        "id": "li_1", "object": "item", "quantity": 2, "description": "myproduct",
        "price": { "id": "price_1Qrandom", "object": "price", "product": "prod_random", "type": "one_time", "recurring": null }
    }] });
    let address = stripe(&lines, Vec::new());
    format!(r#"mode = "simulated", level = "read", api_key = "env:API_KEY", api_base = "http://{address}""#)
}

/// An event of a Stripe of today.
pub(crate) fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({ "id": id, "object": "event", "api_version": "2026-08-26.dahlia", "type": kind, "created": 1_793_500_000,
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null },
        "data": { "object": object } })
}

/// A checkout whose metadata names the plan.
fn paid(name: &str) -> Value {
    let checkout = json!({
        "id": format!("cs_{name}"), "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "paid", "amount_total": 4900, "currency": "eur", "created": 1_793_500_000, "livemode": false,
        "payment_intent": format!("pi_{name}"), "subscription": null, "invoice": null, "customer": null,
        "customer_details": { "email": BUYER, "name": "Ada" }, "metadata": { "plan_id": "pro" }
    });
    event(&format!("evt_paid_{name}"), "checkout.session.completed", &checkout)
}

/// All of the payment goes back.
fn refunded(name: &str) -> Value {
    let charge = json!({
        "id": format!("ch_{name}"), "object": "charge", "amount": 4900, "amount_captured": 4900, "amount_refunded": 4900,
        "currency": "eur", "refunded": true, "status": "succeeded", "payment_intent": format!("pi_{name}"), "metadata": {}
    });
    event(&format!("evt_refunded_{name}"), "charge.refunded", &charge)
}

/// What `stripe trigger checkout.session.completed` sends.
fn triggered() -> Value {
    let checkout = json!({
        "id": "cs_triggered", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "paid", "amount_subtotal": 3000, "amount_total": 3000, "currency": "usd",
        "created": 1_793_500_000, "livemode": false, "payment_intent": "pi_triggered", "subscription": null,
        "customer": null, "customer_details": { "email": "stripe@example.com", "phone": null, "tax_exempt": "none" },
        "customer_email": null, "metadata": {}, "success_url": "https://httpbin.org/post", "url": null
    });
    event("evt_triggered", "checkout.session.completed", &checkout)
}

/// Asks other people's implementations; a line of their answer each. They must agree.
pub(crate) fn oracle(arguments: &[&str], input: &str) -> Vec<Value> {
    let ran = try_oracle(arguments, input);
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same, and they may refuse.
fn try_oracle(arguments: &[&str], input: &str) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracles.py");
    let mut command = python();
    command.arg(script).args(arguments);
    run_with(&mut command, input)
}

fn seconds() -> f64 {
    now().as_duration().as_secs_f64()
}

fn fresh_postgres() -> String {
    tokio::runtime::Runtime::new().unwrap().block_on(store::testing::fresh_postgres())
}
