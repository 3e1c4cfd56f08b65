//! The process is killed between any two steps from a webhook's receipt to its mail, under duplicated and shuffled
//! events that come eight at a time, and started again; and so it is while webhooks that never came are caught up. Nothing
//! is lost and nothing happens twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    process::{Process, ask, keywright, now, run},
    receiver::Receiver,
    relay::{Relay, stripe},
};

const SECRET: &str = "whsec_faults_0123456789abcdef";
/// Paid checkouts; every third one is refunded.
const SALES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// Every step from receipt to mail and to the vendor's own system, each killed at its first and at its second hit.
const STEPS: [&str; 17] = [
    "receive-before-commit",
    "receive-after-commit",
    "fulfil-after-claim",
    "fulfil-half-written",
    "fulfil-before-commit",
    "fulfil-after-commit",
    "lookup-after-lease",
    "lookup-before-commit",
    "lookup-after-commit",
    "mail-after-lease",
    "mail-after-send",
    "mail-after-commit",
    "delivery-before-commit",
    "delivery-after-commit",
    "catchup-after-lease",
    "catchup-before-commit",
    "catchup-after-commit",
];

#[test]
fn sqlite_survives_a_kill_at_every_step() {
    for step in STEPS {
        for hit in [1, 2] {
            survives(step, hit, None);
        }
    }
}

#[test]
fn postgres_survives_a_kill_at_every_step() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for step in STEPS {
        for hit in [1, 2] {
            let address = runtime.block_on(store::testing::fresh_postgres());
            survives(step, hit, Some(address));
        }
    }
}

/// Where all that was told is told once more, a page at a time.
const STEPS_OF_RECOVERY: [&str; 4] =
    ["recovery-before-commit", "recovery-after-commit", "delivery-before-commit", "delivery-after-commit"];

#[test]
fn sqlite_survives_a_kill_while_all_is_told_once_more() {
    for step in STEPS_OF_RECOVERY {
        recovers(step, None);
    }
}

#[test]
fn postgres_survives_a_kill_while_all_is_told_once_more() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for step in STEPS_OF_RECOVERY {
        recovers(step, Some(runtime.block_on(store::testing::fresh_postgres())));
    }
}

fn recovers(step: &str, postgres: Option<String>) {
    let shop = Shop::new(postgres, false);
    let seller = shop.serve(None);
    for events in shop.deliveries(1) {
        shop.send(events).join().unwrap();
    }
    shop.wait_until_nothing_is_pending(step);
    let told = shop.receiver.told();
    drop(seller);
    let mut doomed = shop.serve(Some(&format!("{step}:2")));
    let since = Instant::now();
    while doomed.0.try_wait().unwrap().is_none() {
        if shop.recovery().is_none() {
            shop.recover();
        }
        assert!(since.elapsed() < PATIENCE, "{step}: it was to be killed");
        std::thread::sleep(LOOK);
    }
    drop(doomed);
    let revived = shop.serve(None);
    let since = Instant::now();
    let is_over = |recovery: &Value| recovery["status"] == "done" && recovery["queued"] == told.len();
    while !shop.recovery().is_some_and(|recovery| is_over(&recovery)) {
        assert!(since.elapsed() < PATIENCE, "{step}: it is not over: {:?}", shop.recovery());
        std::thread::sleep(LOOK);
    }
    shop.wait_until_nothing_is_pending(step);
    shop.check_what_was_told(step);
    for (id, bodies) in shop.receiver.told() {
        let before = told[&id].len();
        assert!((before + 1..=before + 2).contains(&bodies.len()), "{step}: {id} was told {} times", bodies.len());
    }
    drop(revived);
}

fn survives(step: &str, hit: usize, postgres: Option<String>) {
    let shop = Shop::new(postgres, step.starts_with("catchup-"));
    let mut doomed = shop.serve(Some(&format!("{step}:{hit}")));
    let mut senders: Vec<_> = shop.deliveries(hit).into_iter().map(|share| shop.send(share)).collect();
    senders.extend(shop.loses_webhooks.then(|| shop.catch_up()));
    shop.wait_until_dead_or_idle(&mut doomed, &format!("{step}:{hit}"));
    // Some steps handle so much at once that there is no second hit; then it is killed while it is idle.
    assert!(hit > 1 || doomed.0.try_wait().unwrap().is_some(), "{step}: it was to be killed");
    drop(doomed);
    let revived = shop.serve(None);
    for sender in senders {
        sender.join().unwrap();
    }
    shop.wait_until_nothing_is_pending(step);
    shop.check_what_was_answered(step);
    drop(revived);
    let verified = run(shop.command().args(["doctor", "--verify"]));
    assert!(verified.status.success(), "{step}:{hit}: {verified:?}");
    shop.check_licenses_and_mails(step);
}

/// Whether no webhook tells of a sale, where some are lost. Some of these sales are refunded.
fn is_lost(number: usize) -> bool {
    number % 4 == 1
}

fn sale(number: usize, at: i64) -> Vec<Value> {
    let event = |kind: &str, object: Value| {
        json!({ "id": format!("evt_{kind}_{number}"), "object": "event", "api_version": "2026-08-26.dahlia",
            "type": kind, "created": at, "livemode": false, "data": { "object": object } })
    };
    let checkout = json!({
        "id": format!("cs_{number}"), "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 4_900, "currency": "eur", "created": at, "payment_intent": format!("pi_{number}"),
        "customer_details": { "email": buyer(number), "name": "Ada" }, "metadata": {}
    });
    let charge = json!({
        "id": format!("ch_{number}"), "object": "charge", "amount": 4_900, "amount_refunded": 4_900, "currency": "eur",
        "refunded": true, "payment_intent": format!("pi_{number}"), "invoice": null
    });
    let mut events = vec![event("checkout.session.completed", checkout)];
    if number.is_multiple_of(3) {
        events.push(event("charge.refunded", charge));
    }
    events
}

fn buyer(number: usize) -> String {
    format!("buyer{number}@example.com")
}

/// An installation, its mail relay, and its Stripe.
struct Shop {
    folder: TempDir,
    postgres: Option<String>,
    address: SocketAddr,
    relay: Relay,
    receiver: Receiver,
    api_key: String,
    /// Whether some webhooks never come, so that the list of all events has to be read.
    loses_webhooks: bool,
    /// When everything happened, in seconds: what is long ago would be mailed to nobody without another word.
    opened_at: i64,
}

impl Shop {
    fn new(postgres: Option<String>, loses_webhooks: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (api_key, opened_at) = (String::new(), now().as_second());
        let (relay, receiver) = (Relay::start(), Receiver::start());
        let mut shop = Self { folder, postgres, address, relay, receiver, api_key, loses_webhooks, opened_at };
        let happened = (0..SALES).flat_map(|number| sale(number, opened_at)).rev().collect();
        let file = shop.folder.path().join("shop.toml");
        std::fs::write(&file, configuration(stripe(&lines(), happened), &shop.receiver)).unwrap();
        let applied = run(shop.command().arg("apply").arg(&file));
        assert!(applied.status.success(), "{applied:?}");
        let made =
            run(shop.command().args(["api-key", "create", "--name", "test", "--kind", "test", "--scope", "admin"]));
        assert!(made.status.success(), "{made:?}");
        shop.api_key = made.stdout.trim().to_owned();
        shop
    }

    /// All events whose webhooks come, some of them twice, shuffled, and dealt to eight senders.
    fn deliveries(&self, seed: usize) -> Vec<Vec<Value>> {
        let told = (0..SALES).filter(|number| !(self.loses_webhooks && is_lost(*number)));
        let mut events: Vec<Value> = told.flat_map(|number| sale(number, self.opened_at)).collect();
        let again: Vec<Value> = events.iter().step_by(2).cloned().collect();
        events.extend(again);
        // A fixed shuffle: a stride that is coprime to any count below it.
        let count = events.len();
        let shuffled: Vec<Value> =
            (0..count).map(|place| events[(place * 1_009 + seed * 31) % count].clone()).collect();
        (0..8).map(|sender| shuffled.iter().skip(sender).step_by(8).cloned().collect()).collect()
    }

    /// The binary on this installation.
    fn command(&self) -> Command {
        let mut command = keywright();
        command
            .env("KEYWRIGHT_DATA_DIR", self.folder.path().join("data"))
            .env("SECRET", SECRET)
            .env("API_KEY", "rk_test_1");
        if let Some(address) = &self.postgres {
            command.env("KEYWRIGHT_DATABASE_URL", address);
        }
        command
    }

    fn serve(&self, die_at: Option<&str>) -> Process {
        let mut command = self.command();
        command.args(["serve", "--lease-seconds", "1", "--mail-from", "keys@acme.test", "--listen"]);
        command.arg(self.address.to_string());
        command.env("KEYWRIGHT_SMTP_URL", self.relay.url());
        command.envs(die_at.map(|die_at| ("KEYWRIGHT_TEST_DIE_AT", die_at)));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Process(command.spawn().unwrap())
    }

    /// Delivers events as a provider does: again and again until each is answered with 200.
    fn send(&self, events: Vec<Value>) -> std::thread::JoinHandle<()> {
        let address = self.address;
        std::thread::spawn(move || {
            for event in events {
                let since = Instant::now();
                while !delivered(address, &event.to_string()) {
                    assert!(since.elapsed() < PATIENCE, "{event} is not taken");
                    std::thread::sleep(LOOK);
                }
            }
        })
    }

    /// Asks for the list of all events to be read, until that is promised.
    fn catch_up(&self) -> std::thread::JoinHandle<()> {
        let (address, api_key) = (self.address, self.api_key.clone());
        std::thread::spawn(move || {
            let since = Instant::now();
            while called(address, &api_key, "GET", "/v1/connections")
                .and_then(|connections| called(address, &api_key, "POST", &list_of(&connections)))
                .is_none()
            {
                assert!(since.elapsed() < PATIENCE, "its list is not going to be read");
                std::thread::sleep(LOOK);
            }
        })
    }

    /// Has all events told once more, in pages of twenty: what is told in five seconds.
    fn recover(&self) -> Option<Value> {
        let body = json!({ "since": "2026-01-01T00:00:00Z", "everything": true, "per_second": 4 });
        let path = format!("/v1/webhook-endpoints/{}/recover", self.endpoint()?);
        asked(self.address, &self.api_key, "POST", &path, &body.to_string())
    }

    /// How far that has come.
    fn recovery(&self) -> Option<Value> {
        let list = self.get(&format!("/v1/webhook-endpoints/{}/recoveries", self.endpoint()?))?;
        list["data"].get(0).cloned()
    }

    fn endpoint(&self) -> Option<String> {
        self.get("/v1/webhook-endpoints")?["data"][0]["id"].as_str().map(str::to_owned)
    }

    /// Whether the list of all events has been read to its end.
    fn is_caught_up(&self) -> bool {
        let asked = self.get("/v1/connections").and_then(|connections| self.get(&list_of(&connections)));
        asked.is_some_and(|list| list["running"] == false && list["caught_up_to"].is_string())
    }

    fn wait_until_dead_or_idle(&self, process: &mut Process, step: &str) {
        let since = Instant::now();
        let idle = || self.status().is_some_and(|status| status["licenses_total"] == SALES && !is_pending(&status));
        while process.0.try_wait().unwrap().is_none() && !idle() {
            assert!(since.elapsed() < PATIENCE, "{step}: it neither dies nor finishes: {:?}", self.status());
            std::thread::sleep(LOOK);
        }
    }

    fn wait_until_nothing_is_pending(&self, step: &str) {
        let since = Instant::now();
        while (self.loses_webhooks && !self.is_caught_up()) || self.status().is_none_or(|status| is_pending(&status)) {
            assert!(since.elapsed() < PATIENCE, "{step}: something stays pending: {:?}", self.status());
            std::thread::sleep(LOOK);
        }
    }

    /// What `GET /v1/status` says, once the server answers.
    fn status(&self) -> Option<Value> {
        self.get("/v1/status")
    }

    fn get(&self, path: &str) -> Option<Value> {
        called(self.address, &self.api_key, "GET", path)
    }

    /// Every event was answered with 200 or found in the list in the end: each is in the inbox once and done, each sale has
    /// its license, and each refund has taken one back.
    fn check_what_was_answered(&self, step: &str) {
        let count = |path: &str| self.get(path).map(|list| list["data"].as_array().map_or(0, Vec::len));
        let events = SALES + SALES / 3;
        assert_eq!(count("/v1/inbound-events?limit=100&status=done"), Some(events), "{step}: events");
        assert_eq!(count("/v1/inbound-events?limit=100"), Some(events), "{step}: events");
        assert_eq!(count("/v1/licenses?limit=100"), Some(SALES), "{step}: licenses");
        assert_eq!(count("/v1/licenses?limit=100&state=revoked"), Some(SALES / 3), "{step}: refunded licenses");
        self.check_what_was_told(step);
    }

    /// Every event has arrived, the same under the same id however often it was told.
    fn check_what_was_told(&self, step: &str) {
        let list = |path: &str| self.get(path).and_then(|list| list["data"].as_array().cloned()).unwrap_or_default();
        let events = list("/v1/events?limit=100");
        let delivered = list("/v1/deliveries?limit=100&status=delivered");
        assert_eq!(
            (events.len(), list("/v1/deliveries?limit=100").len()),
            (delivered.len(), delivered.len()),
            "{step}"
        );
        let told = self.receiver.told();
        let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(told.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids, "{step}");
        for (id, bodies) in &told {
            assert!(bodies.iter().all(|body| body == &bodies[0]), "{step}: {id} was told otherwise: {bodies:?}");
        }
        let created = told.values().filter(|bodies| bodies[0].contains(r#""type":"license.created""#)).count();
        assert!((SALES - SALES / 3..=SALES).contains(&created), "{step}: {created} licenses were told");
    }

    /// One mail for each sale that was not refunded, however often it was handed to the relay.
    fn check_licenses_and_mails(&self, step: &str) {
        let mails = self.relay.mails();
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for mail in mails.iter() {
            let to = mail["recipients"][0].as_str().unwrap_or_default().to_owned();
            let id = mail["headers"]["message-id"].as_str().unwrap_or_default().to_owned();
            ids.entry(to).or_default().insert(id);
        }
        for number in (0..SALES).filter(|number| !number.is_multiple_of(3)) {
            let distinct = ids.get(&buyer(number)).map(BTreeSet::len);
            assert_eq!(distinct, Some(1), "{step}: mails to {}: {ids:?}", buyer(number));
        }
        // A kill between sending and writing it down may repeat one mail, with the same Message-ID.
        let distinct: usize = ids.values().map(BTreeSet::len).sum();
        assert!(mails.len() <= distinct + 8, "{step}: {} mails were sent for {distinct}", mails.len());
    }
}

/// One call with the API key. None: the server is away, or refuses.
fn called(address: SocketAddr, api_key: &str, method: &str, path: &str) -> Option<Value> {
    asked(address, api_key, method, path, "")
}

/// The same with a body.
fn asked(address: SocketAddr, api_key: &str, method: &str, path: &str, body: &str) -> Option<Value> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nauthorization: Bearer {api_key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(address, &request).filter(|answer| answer.starts_with("HTTP/1.1 20"))?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// How far the list of the only connection has been read.
fn list_of(connections: &Value) -> String {
    format!("/v1/connections/{}/catch-up", connections["data"][0]["id"].as_str().unwrap_or_default())
}

fn is_pending(status: &Value) -> bool {
    ["inbox_pending", "mails_pending", "deliveries_pending"].map(|name| status[name].as_u64()) != [Some(0); 3]
}

fn configuration(stripe: SocketAddr, receiver: &Receiver) -> String {
    let crm = receiver.url();
    format!(
        r#"
        product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
        plan = [{{ code = "pro", product = "studio", name = "Pro" }}]
        connection = [{{ code = "stripe", provider = "stripe", mode = "simulated", level = "read",
            webhook_secrets = ["env:SECRET"], api_key = "env:API_KEY", api_base = "http://{stripe}" }}]
        price_rule = [{{ connection = "stripe", price = "price_pro", plan = "pro" }}]
        webhook_endpoint = [{{ code = "crm", mode = "test", url = "{crm}" }}]
        "#
    )
}

/// Posts one event. True: it was answered with 200.
fn delivered(address: SocketAddr, body: &str) -> bool {
    let signed = providers::signature::sign(&SECRET.into(), body.as_bytes(), now());
    let request = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nstripe-signature: {signed}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(address, &request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// What every checkout bought.
fn lines() -> Value {
    json!({ "object": "list", "has_more": false, "data": [{ "id": "li_1", "object": "item", "quantity": 1,
        "price": { "id": "price_pro", "product": "prod_studio", "recurring": null } }] })
}
