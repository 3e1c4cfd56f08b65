//! Keys on the provider's own record of its customer: written once it is switched on, repeated, and never in a row.

use std::sync::{Arc, Mutex};

use domain::{
    id::LicenseId,
    order::Contact,
    text::{EmailAddress, Reference},
};
use engine::{Dial, DialError, Dialled, connections::Connection, key_change::KeyChange, rulings::By};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use providers::{Delivery, http::Request, signature};
use store::testing::TestDatabase;

use crate::{
    harness::Harness,
    life::{SECRET, refunded_life},
};

/// A Stripe whose customers take metadata as it is told to.
#[derive(Default)]
struct Customers {
    /// What the next calls are answered with; 200 after that.
    troubles: Mutex<Vec<u16>>,
    taken: Mutex<Vec<(String, String, Option<String>)>>,
}

impl Dial for Customers {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let status = match (&request.post, self.troubles.lock().unwrap().pop()) {
            (None, _) => 404,
            (Some(_), Some(trouble)) => trouble,
            (Some(post), None) => {
                let call = (request.path.clone(), post.content.body(), post.idempotency_key.clone());
                self.taken.lock().unwrap().push(call);
                200
            }
        };
        Box::pin(std::future::ready(Ok(Dialled { status, body: "{}".to_owned(), retry_after_seconds: None })))
    }
}

fn shop(write_back: bool) -> String {
    format!(
        r#"
        product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
        plan = [{{ code = "basic", product = "studio", name = "Basic" }}]
        connection = [{{ code = "stripe", provider = "stripe", mode = "test", webhook_secrets = ["env:S"],
            api_key = "env:K", write_back = {write_back} }}]
        "#
    )
}

/// A shop that has sold one key, after so many turns of the worker.
async fn sold(write_back: bool, troubles: &[u16], turns: usize) -> (Harness, Arc<Customers>) {
    let customers = Arc::new(Customers { troubles: Mutex::new(troubles.to_vec()), ..Customers::default() });
    let harness = Harness::with_dialler(TestDatabase::sqlite().await, Arc::clone(&customers) as Arc<dyn Dial>).await;
    let secret = |source: &str| Ok(if source == "env:S" { SECRET } else { "rk_test_1" }.to_owned());
    let file = engine::configuration::ConfigurationFile::parse(&shop(write_back)).unwrap();
    harness.engine.apply(&file, &secret, false, "test").await.unwrap();
    let body = refunded_life("ada")[0].to_string();
    let signed = signature::sign(&SECRET.into(), body.as_bytes(), harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    harness.engine.receive("stripe", "default", &Delivery { header: &header, body: body.as_bytes() }).await;
    harness.settle().await;
    assert_eq!(harness.licenses_at("stripe", "cs_ada").await, 1);
    for _ in 0..turns {
        harness.engine.call_providers().await.unwrap();
        harness.clock.advance(SignedDuration::from_hours(2));
    }
    (harness, customers)
}

#[tokio::test]
async fn a_key_is_written_once_and_its_row_does_not_hold_it() {
    let (harness, customers) = sold(true, &[], 3).await;
    let taken = customers.taken.lock().unwrap().clone();
    let [(path, body, Some(idempotency_key))] = &taken[..] else { panic!("one call: {taken:?}") };
    assert_eq!(path, "/v1/customers/cus_ada");
    assert!(body.starts_with("metadata[lic_") && body.contains("=ACME-"), "{body}");
    let key = body.split_once('=').unwrap().1;
    assert!(!idempotency_key.contains(key));
    let holding = |text: &str| {
        format!("UPDATE provider_calls SET attempts = attempts WHERE customer || coalesce(error, '') LIKE '%{text}%'")
    };
    assert_eq!(harness.database.sql(&holding("cus_ada")).await, 1, "the row of the call");
    assert_eq!(harness.database.sql(&holding(key)).await, 0, "it does not hold the key");
}

#[tokio::test]
async fn it_is_repeated_until_the_provider_takes_it() {
    let (_, customers) = sold(true, &[500, 429, 503], 4).await;
    assert_eq!(customers.taken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_provider_refuses_is_seen_and_not_repeated() {
    let (harness, customers) = sold(true, &[403], 3).await;
    assert_eq!(customers.taken.lock().unwrap().len(), 0);
    assert_eq!(harness.attention().await, ["write_back_failed"]);

    // Another key, that may: what failed is done, and the item closes by itself.
    let secret = |source: &str| Ok(if source == "env:S" { SECRET } else { "rk_test_2" }.to_owned());
    let file = engine::configuration::ConfigurationFile::parse(&shop(true)).unwrap();
    harness.engine.apply(&file, &secret, false, "test").await.unwrap();
    harness.engine.call_providers().await.unwrap();
    assert_eq!(customers.taken.lock().unwrap().len(), 1);
    assert_eq!(harness.attention().await, [] as [String; 0]);
}

#[tokio::test]
async fn nothing_is_written_unless_it_is_switched_on() {
    let (_, customers) = sold(false, &[], 2).await;
    assert_eq!(customers.taken.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_nobodys_business() {
    let (harness, customers) = sold(true, &[403], 1).await;
    assert_eq!(harness.attention().await, ["write_back_failed"]);
    let secret = |source: &str| Ok(if source == "env:S" { SECRET } else { "rk_test_1" }.to_owned());
    let file = engine::configuration::ConfigurationFile::parse(&shop(false)).unwrap();
    harness.engine.apply(&file, &secret, false, "test").await.unwrap();
    harness.engine.call_providers().await.unwrap();
    assert_eq!(customers.taken.lock().unwrap().len(), 0);
    assert_eq!(harness.attention().await, [] as [String; 0]);
}

impl Harness {
    /// The license of the key that was sold.
    async fn sold_license(&self) -> LicenseId {
        let connection = self.connection("stripe").await;
        let sold = self.engine.store.order_licenses(connection, &Reference::new("cs_ada")).await.unwrap();
        sold.unwrap().1[0].id
    }

    /// The worker's next turns.
    async fn calls_leave(&self) {
        for _ in 0..3 {
            self.engine.call_providers().await.unwrap();
            self.clock.advance(SignedDuration::from_hours(2));
        }
    }
}

#[tokio::test]
async fn the_key_of_a_sale_that_was_handed_over_is_not_written_to_its_buyer() {
    let by = By::from("test");
    // The key of its buyer was written before, or is still to be.
    for (troubles, written) in [(&[][..], 1), (&[503][..], 0)] {
        let (harness, customers) = sold(true, troubles, 1).await;
        let (engine, tenant, license) = (&harness.engine, harness.tenant, harness.sold_license().await);
        let to = Contact { email: EmailAddress::parse("bob@example.com").unwrap(), name: None };
        engine.transfer(tenant, license, &to, &by).await.unwrap().unwrap();
        harness.calls_leave().await;
        let change = KeyChange { overlap_hours: 0, is_mailed: true };
        engine.change_key(tenant, license, change, &by).await.unwrap().unwrap();
        harness.calls_leave().await;
        assert_eq!(customers.taken.lock().unwrap().len(), written, "{troubles:?}");
        assert_eq!(harness.attention().await, [] as [String; 0]);
    }
}

#[tokio::test]
async fn a_call_that_was_under_way_as_the_sale_was_handed_over_writes_nothing() {
    let (harness, customers) = sold(true, &[503], 1).await;
    // As if the worker had it in hand while the key was changed.
    harness.database.sql("UPDATE orders SET body = json_set(body, '$.handed_over', 1795219200000000)").await;
    harness.calls_leave().await;
    assert_eq!(customers.taken.lock().unwrap().len(), 0);
    assert_eq!(harness.attention().await, [] as [String; 0]);
}
