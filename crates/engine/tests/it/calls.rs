//! Calls that follow from a change, and what they wait for: connections that are new, keys that are, and slow accounts.

use std::sync::{Arc, Mutex};

use engine::{Dial, DialError, Dialled, connections::Connection};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use providers::http::Request;
use secrecy::ExposeSecret;
use serde_json::json;
use store::testing::TestDatabase;

use crate::harness::{Harness, on_both_databases};

/// A call as it came to Stripe: the account, the path, the fields, and what it is repeated under.
type Call = (Option<String>, String, String, Option<String>);

/// A Stripe that takes one key.
#[derive(Default)]
struct Stripe {
    key: Mutex<String>,
    calls: Mutex<Vec<Call>>,
}

impl Stripe {
    fn takes(key: &str) -> Arc<Self> {
        Arc::new(Self { key: Mutex::new(format!("secret-env:{key}")), ..Self::default() })
    }

    fn takes_now(&self, key: &str) {
        *self.key.lock().unwrap() = format!("secret-env:{key}");
    }

    /// What it was called with and took.
    fn taken(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn paths(&self) -> Vec<String> {
        self.taken().into_iter().map(|(_, path, ..)| path).collect()
    }
}

impl Dial for Stripe {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let is_known = connection.api_key.as_ref().is_some_and(|key| key.expose_secret() == *self.key.lock().unwrap());
        let (status, body) = match &request.post {
            _ if !is_known => (401, json!({ "error": { "message": "Invalid API Key provided" } })),
            None => (404, json!({})),
            Some(post) => {
                let mut calls = self.calls.lock().unwrap();
                let number = calls.len() + 1;
                let account = connection.settings.account.clone();
                calls.push((account, request.path.clone(), post.content.body(), post.idempotency_key.clone()));
                (200, json!({ "id": format!("price_{number}"), "object": "price" }))
            }
        };
        Box::pin(std::future::ready(Ok(Dialled { status, body: body.to_string(), retry_after_seconds: None })))
    }
}

fn plan(amount: i64) -> String {
    format!(
        r#"
        product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
        plan = [{{ code = "lifetime", product = "studio", name = "Lifetime", price = {{ amount = {amount}, currency = "EUR" }} }}]
        "#
    )
}

const ACCOUNT: &str = r#"connection = [{ code = "vendor", provider = "stripe", mode = "live", level = "read", account = "acct_vendor" }]"#;

fn platform(key: &str) -> String {
    format!(
        r#"connection = [{{ code = "platform", provider = "stripe", mode = "live", level = "read", platform = true,
            webhook_secrets = ["env:S"], api_key = "env:{key}" }}]"#
    )
}

fn own(key: &str) -> String {
    format!(
        r#"connection = [{{ code = "shop", provider = "stripe", mode = "live", level = "read", webhook_secrets = ["env:S"],
            api_key = "env:{key}" }}]"#
    )
}

async fn harness(database: TestDatabase, stripe: &Arc<Stripe>) -> Harness {
    Harness::with_dialler(database, Arc::clone(stripe) as Arc<dyn Dial>).await
}

/// Applies a file with another process.
async fn apply_elsewhere(harness: &Harness, text: &str) {
    let file = engine::configuration::ConfigurationFile::parse(text).unwrap();
    let secret = |source: &str| Ok(format!("secret-{source}"));
    harness.peer(Stripe::takes("none")).apply(&file, &secret, false, "test").await.unwrap();
}

on_both_databases! {
    a_connection_that_is_new_elsewhere_is_known: new_elsewhere;
    a_key_that_is_new_elsewhere_is_used: key_elsewhere;
    what_waits_for_a_platform_is_done_with_its_key: waiting_for_a_platform;
}

async fn new_elsewhere(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&plan(4_900)).await;
    harness.engine.connections().await.unwrap();
    apply_elsewhere(&harness, &own("K")).await;
    assert_eq!(harness.engine.call_providers().await.unwrap(), 1);
    assert_eq!(stripe.paths(), ["/v1/prices"]);
    assert_eq!(harness.attention().await, [] as [String; 0]);
}

async fn key_elsewhere(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&own("K")).await;
    harness.engine.connections().await.unwrap();
    stripe.takes_now("NEW");
    apply_elsewhere(&harness, &own("NEW")).await;
    apply_elsewhere(&harness, &plan(4_900)).await;
    assert_eq!(harness.engine.call_providers().await.unwrap(), 1);
    assert_eq!(stripe.paths(), ["/v1/prices"]);
}

async fn waiting_for_a_platform(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&plan(4_900)).await;
    harness.apply(ACCOUNT).await;
    // There is no platform, for longer than anything is tried that could not be otherwise.
    for turn in 1..=24 {
        assert_eq!(harness.engine.call_providers().await.unwrap(), 1, "turn {turn}");
        harness.clock.advance(SignedDuration::from_hours(2));
    }
    assert_eq!(harness.attention().await, ["price_failed"], "somebody is told meanwhile");
    // Then its key is not taken, and then it is another.
    harness.engine.call_providers().await.unwrap();
    apply_elsewhere(&harness, &platform("OLD")).await;
    assert_eq!(harness.engine.call_providers().await.unwrap(), 1, "at once, though it was to be tried in an hour");
    assert_eq!(stripe.taken(), []);
    harness.apply(&platform("K")).await;
    assert_eq!(harness.engine.call_providers().await.unwrap(), 1);
    let [(account, path, ..)] = &stripe.taken()[..] else { panic!("one call: {:?}", stripe.taken()) };
    assert_eq!((account.as_deref(), path.as_str()), (Some("acct_vendor"), "/v1/prices"));
    assert_eq!(harness.attention().await, [] as [String; 0]);
}
