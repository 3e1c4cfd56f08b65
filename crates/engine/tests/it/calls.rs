//! Calls that follow from a change, and what they wait for: connections that are new, keys that are, and slow accounts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use engine::{Dial, DialError, Dialled, connections::Connection};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use providers::http::Request;
use secrecy::ExposeSecret;
use serde_json::json;
use store::testing::TestDatabase;
use tokio::sync::{Notify, Semaphore};

use crate::harness::{Harness, on_both_databases};

/// A call as it came to Stripe: the account, the path, the fields, and what it is repeated under.
type Call = (Option<String>, String, String, Option<String>);

/// A Stripe that takes one key, and at which calls of the account `acct_slow` take until they are let go. What it answered
/// to an idempotency key it answers for as long as the key is used, a refusal too.
struct Stripe {
    key: Mutex<String>,
    /// What keys may not do.
    forbids: Mutex<Option<&'static str>>,
    answers: Mutex<HashMap<String, (u16, serde_json::Value)>>,
    calls: Mutex<Vec<Call>>,
    made: Notify,
    /// The slow account is being asked.
    begun: Notify,
    let_go: Semaphore,
    /// The next answers that are lost on their way.
    lost: Mutex<usize>,
}

impl Stripe {
    fn takes(key: &str) -> Arc<Self> {
        Arc::new(Self {
            key: Mutex::new(format!("secret-env:{key}")),
            forbids: Mutex::default(),
            answers: Mutex::default(),
            calls: Mutex::default(),
            made: Notify::new(),
            begun: Notify::new(),
            let_go: Semaphore::new(0),
            lost: Mutex::new(0),
        })
    }

    fn takes_now(&self, key: &str) {
        *self.key.lock().unwrap() = format!("secret-env:{key}");
    }

    /// What it was called with and took.
    fn taken(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn answer(&self, connection: &Connection, request: &Request) -> Result<Dialled, DialError> {
        let is_known = connection.api_key.as_ref().is_some_and(|key| key.expose_secret() == *self.key.lock().unwrap());
        let (status, body) = match &request.post {
            _ if !is_known => (401, json!({ "error": { "message": "Invalid API Key provided" } })),
            None => (404, json!({})),
            Some(post) => {
                let mut calls = self.calls.lock().unwrap();
                let account = connection.settings.account.clone();
                calls.push((account, request.path.clone(), post.content.body(), post.idempotency_key.clone()));
                let is_forbidden = self.forbids.lock().unwrap().is_some_and(|path| request.path.starts_with(path));
                let answer = match is_forbidden {
                    true => (403, json!({ "error": { "message": "The key may not do that." } })),
                    false => (200, json!({ "id": format!("price_{}", calls.len()), "object": "price" })),
                };
                let mut answers = self.answers.lock().unwrap();
                match &post.idempotency_key {
                    Some(key) => answers.entry(key.clone()).or_insert(answer).clone(),
                    None => answer,
                }
            }
        };
        let mut lost = self.lost.lock().unwrap();
        if *lost > 0 {
            *lost -= 1;
            return Err(DialError("the answer was lost".to_owned()));
        }
        Ok(Dialled { status, body: body.to_string(), retry_after_seconds: None })
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
        Box::pin(async move {
            if connection.settings.account.as_deref() == Some("acct_slow") {
                self.begun.notify_one();
                let _go = self.let_go.acquire().await;
                return self.answer(connection, request);
            }
            let answer = self.answer(connection, request);
            self.made.notify_one();
            answer
        })
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
    a_slow_account_keeps_nobody_else_waiting: slow_account;
    a_key_that_does_not_sell_makes_no_price: one_seller;
    a_price_whose_answer_was_lost_is_archived_too: lost_answer;
    a_price_that_was_never_asked_for_is_never_made: never_asked_for;
    what_was_refused_is_asked_for_as_another_call: refused_once;
    a_price_that_was_refused_and_is_wanted_no_more_is_not_made: refused_and_retired;
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

async fn slow_account(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    let of = |slug: &str, amount: i64| {
        let account = format!("acct_{slug}");
        format!("tenant = {{ slug = \"{slug}\" }}\n{}{}", plan(amount), ACCOUNT.replace("acct_vendor", &account))
    };
    harness.apply(&platform("K")).await;
    harness.apply(&of("slow", 4_900)).await;
    harness.apply(&of("quick", 4_900)).await;
    let accounts = || stripe.taken().into_iter().filter_map(|(account, ..)| account).collect::<Vec<_>>();
    let mut first = std::pin::pin!(harness.engine.call_providers());
    tokio::select! {
        ended = &mut first => panic!("the slow account has not answered: {ended:?}"),
        ((), ()) = async { tokio::join!(stripe.made.notified(), stripe.begun.notified()) } => {}
    }
    assert_eq!(accounts(), ["acct_quick"], "of the same turn");
    let working = async {
        harness.apply(&of("slow", 5_900)).await;
        harness.apply(&of("quick", 5_900)).await;
        while accounts().len() < 3 {
            harness.engine.call_providers().await.unwrap();
        }
    };
    tokio::select! {
        ended = &mut first => panic!("the slow account has not answered: {ended:?}"),
        () = working => {}
    }
    assert_eq!(accounts(), ["acct_quick"; 3], "another worker makes a price, and archives the one before");
    stripe.let_go.add_permits(1);
    assert_eq!(first.await.unwrap(), 2);
    while harness.engine.call_providers().await.unwrap() > 0 {}
    assert_eq!(accounts().iter().filter(|account| *account == "acct_slow").count(), 3);
}

async fn lost_answer(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&own("K")).await;
    harness.apply(&plan(4_900)).await;
    *stripe.lost.lock().unwrap() = 1;
    assert_eq!(harness.engine.call_providers().await.unwrap(), 1);
    harness.clock.advance(SignedDuration::from_hours(2));
    harness.apply(&plan(5_900).replace("Lifetime", "For ever")).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    let taken = stripe.taken();
    let old: Vec<_> = taken.iter().filter(|(.., body, _)| body.contains("unit_amount=4900")).collect();
    assert_eq!(
        (old.len(), &old[0].3),
        (2, &old[1].3),
        "asked for in the same words, Stripe says which it is: {taken:?}"
    );
    assert_eq!(
        taken.iter().filter(|(_, path, body, _)| path == "/v1/prices/price_1" && body == "active=false").count(),
        1
    );
    assert_eq!(taken.len(), 4, "and the new one is made: {taken:?}");
    let told: Vec<_> = harness.audited().await.into_iter().filter(|action| action.starts_with("price.")).collect();
    assert_eq!(told, ["price.archived", "price.made", "price.made"]);
}

async fn never_asked_for(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&own("K")).await;
    harness.apply(&plan(4_900)).await;
    harness.apply(&plan(5_900)).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    assert_eq!(stripe.taken().len(), 1);
}

async fn refused_once(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&own("K")).await;
    *stripe.forbids.lock().unwrap() = Some("/v1/prices");
    harness.apply(&plan(4_900)).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    assert_eq!(harness.attention().await, ["price_failed"]);
    // A person gives the key more permissions; the connection changes, and an answer is lost.
    *stripe.forbids.lock().unwrap() = None;
    *stripe.lost.lock().unwrap() = 1;
    harness.apply(&own("K").replace("\"read\"", "\"full\"")).await;
    harness.engine.call_providers().await.unwrap();
    harness.clock.advance(SignedDuration::from_hours(2));
    while harness.engine.call_providers().await.unwrap() > 0 {}
    assert_eq!(harness.attention().await, [] as [String; 0]);
    let [refused, lost, made] = &stripe.taken()[..] else { panic!("{:?}", stripe.taken()) };
    assert_ne!(refused.3, lost.3, "what was refused is asked for under another name");
    assert_eq!(lost.3, made.3, "what was not answered is asked for under the same");
    // The same where it is archived.
    *stripe.forbids.lock().unwrap() = Some("/v1/prices/");
    harness.apply(&plan(5_900)).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    *stripe.forbids.lock().unwrap() = None;
    harness.apply(&own("K")).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    assert_eq!(harness.attention().await, [] as [String; 0]);
    let archived: Vec<_> = stripe.taken().into_iter().filter(|(.., body, _)| body == "active=false").collect();
    assert_eq!(archived.len(), 2, "{archived:?}");
    assert_ne!(archived[0].3, archived[1].3);
}

async fn refused_and_retired(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&own("K")).await;
    *stripe.forbids.lock().unwrap() = Some("/v1/prices");
    harness.apply(&plan(4_900)).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    *stripe.forbids.lock().unwrap() = None;
    harness.apply(&plan(5_900)).await;
    while harness.engine.call_providers().await.unwrap() > 0 {}
    let bodies: Vec<_> = stripe.taken().into_iter().map(|(.., body, _)| body).collect();
    assert!(bodies.len() == 2 && bodies[1].contains("unit_amount=5900"), "{bodies:?}");
}

async fn one_seller(database: TestDatabase) {
    let stripe = Stripe::takes("K");
    let harness = harness(database, &stripe).await;
    harness.apply(&own("K")).await;
    harness.apply(&own("T").replace("shop", "looks-up").replace("env:S", "env:S2")).await;
    harness.apply(&plan(4_900)).await;
    assert_eq!(harness.engine.call_providers().await.unwrap(), 1, "the other key only looks up");
    assert_eq!(stripe.paths(), ["/v1/prices"]);
}
