//! Every order of arrival ends in the same licenses and the same mails, on both databases and at every level of a
//! connection. Many lives run beside each other in one database, so that batches hold events of all of them.

use std::{collections::HashMap, sync::Arc};

use domain::{
    Entropy,
    ambient::EntropySource,
    id::{ConnectionId, TenantId},
    reason::day,
    text::Reference,
};
use engine::{
    Engine, Parts,
    configuration::ConfigurationFile,
    receive::Received,
    testing::{ManualClock, SeededEntropy},
};
use jiff::Timestamp;
use providers::{Delivery, signature};
use serde_json::Value;
use store::testing::TestDatabase;

use crate::life::{BEGIN, DAY, LivesAtTheirEnd, SECRET, refunded_life, subscription_life, tally};

/// A shop on a real database, whose Stripe connection may look up so much.
struct Shop {
    engine: Arc<Engine>,
    tenant: TenantId,
    connection: ConnectionId,
    _database: TestDatabase,
}

impl Shop {
    async fn open(database: TestDatabase, level: &str) -> Self {
        let now = Timestamp::from_second(BEGIN + 32 * DAY).unwrap();
        let mut seed = seeded();
        let engine = Engine::new(Parts {
            store: database.store.clone(),
            ring: crypto::ring::SharedRing::new(crypto::ring::KeyRing::generate(&mut *seed)),
            clock: Arc::new(ManualClock::at(now)),
            entropy: Arc::new(SeededEntropy::new(7)),
            dialler: Arc::new(LivesAtTheirEnd),
            addresses: Arc::new(engine::testing::TestAddresses),
            identity: Arc::new(engine::testing::NoProviders),
            lease: jiff::SignedDuration::from_secs(120),
        });
        let tenant = engine.ensure_tenant("default", "Acme").await.unwrap();
        let file = format!(
            r#"
            product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
            plan = [
                {{ code = "basic", product = "studio", name = "Basic" }},
                {{ code = "pro", product = "studio", name = "Pro" }},
            ]
            connection = [{{ code = "stripe", provider = "stripe", mode = "test", level = "{level}",
                webhook_secrets = ["env:SECRET"], api_key = "env:API_KEY" }}]
            price_rule = [
                {{ connection = "stripe", price = "price_basic", plan = "basic" }},
                {{ connection = "stripe", price = "price_once", plan = "basic" }},
                {{ connection = "stripe", price = "price_pro", plan = "pro" }},
            ]
            "#
        );
        let secret = |source: &str| Ok(if source == "env:SECRET" { SECRET } else { "rk_test_1" }.to_owned());
        engine.apply(&ConfigurationFile::parse(&file).unwrap(), &secret, false, "test").await.unwrap();
        let connections = engine.connections().await.unwrap();
        let connection = connections.iter().find(|connection| connection.code == "stripe").unwrap().id;
        Self { engine, tenant, connection, _database: database }
    }

    /// Delivers events, all at once.
    async fn deliver(&self, events: Vec<Value>) {
        let deliveries = events.into_iter().map(|event| {
            let body = event.to_string();
            async move {
                let now = self.engine.now();
                let signed = signature::sign(&SECRET.into(), body.as_bytes(), now);
                let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
                let delivery = Delivery { header: &header, body: body.as_bytes() };
                let received = self.engine.receive("stripe", "default", &delivery).await;
                assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
            }
        });
        futures::future::join_all(deliveries).await;
    }

    /// Works until there is nothing left to do.
    async fn settle(&self) {
        while self.engine.fulfil().await.unwrap().claimed + self.engine.look_up().await.unwrap() > 0 {}
    }

    /// What came of the sale that a reference names: its licenses, and how many of them had a mail.
    async fn outcome(&self, reference: &str, mails: &HashMap<uuid::Uuid, usize>) -> String {
        let reference = Reference::new(reference);
        let Some((_, licenses)) = self.engine.store.order_licenses(self.connection, &reference).await.unwrap() else {
            return "no order".to_owned();
        };
        let told = licenses.iter().map(|license| {
            let standing = &license.standing;
            format!(
                "{} {} until {} mails {}",
                standing.state.as_str(),
                standing.reason.code(),
                standing.until.map_or_else(|| "ever".to_owned(), day),
                mails.get(&license.id.0).copied().unwrap_or_default()
            )
        });
        told.collect::<Vec<_>>().join(", ")
    }

    async fn mails(&self) -> HashMap<uuid::Uuid, usize> {
        let mails = self.engine.store.mails(self.tenant.0, 1_000_000).await.unwrap();
        mails.iter().fold(HashMap::new(), |mut count, mail| {
            *count.entry(mail.license_id).or_default() += 1;
            count
        })
    }
}

fn seeded() -> Box<dyn Entropy> {
    SeededEntropy::new(1).entropy()
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    let insert = |order: &Vec<usize>| {
        let order = order.clone();
        (0..count).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, count - 1);
            longer
        })
    };
    shorter.iter().flat_map(insert).collect()
}

/// All 720 orders of the six events, each under its own name; all k-th events arrive together.
async fn every_order_of_a_subscription(database: TestDatabase, level: &str) {
    let shop = Shop::open(database, level).await;
    let orders = permutations(6);
    let lives: Vec<_> = (0..orders.len()).map(|number| subscription_life(&format!("sub{number}"))).collect();
    for place in 0..6 {
        let arriving = orders.iter().zip(&lives).map(|(order, life)| life[order[place]].clone());
        shop.deliver(arriving.collect()).await;
        shop.settle().await;
    }
    let mails = shop.mails().await;
    let mut outcomes = Vec::new();
    for number in 0..orders.len() {
        outcomes.push(shop.outcome(&format!("sub_sub{number}"), &mails).await);
    }
    // Ended by Stripe on day 30, and paid until day 60: the paid period is honoured.
    let expected = "active paid until 2026-12-31 mails 1";
    assert_eq!(tally(outcomes), HashMap::from([(expected.to_owned(), 720)]), "level {level}");
}

/// Random orders with duplicates, cut into random batches.
async fn shuffled_with_duplicates(database: TestDatabase, level: &str) {
    const LIVES: usize = 150;
    let shop = Shop::open(database, level).await;
    let mut random = seeded();
    let mut below = move |limit: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        (u64::from_be_bytes(bytes) % limit as u64) as usize
    };
    let mut arriving: Vec<Value> = (0..LIVES).flat_map(|number| subscription_life(&format!("sub{number}"))).collect();
    arriving.extend((0..LIVES).flat_map(|number| refunded_life(&format!("once{number}"))));
    for _ in 0..arriving.len() / 3 {
        let again = arriving[below(arriving.len())].clone();
        arriving.push(again);
    }
    for place in (1..arriving.len()).rev() {
        arriving.swap(place, below(place + 1));
    }
    while !arriving.is_empty() {
        let rest = arriving.split_off(arriving.len().min(1 + below(120)));
        shop.deliver(std::mem::replace(&mut arriving, rest)).await;
        if below(2) == 0 {
            shop.settle().await;
        }
    }
    shop.settle().await;
    let mails = shop.mails().await;
    let (mut subscriptions, mut refunded) = (Vec::new(), Vec::new());
    for number in 0..LIVES {
        subscriptions.push(shop.outcome(&format!("sub_sub{number}"), &mails).await);
        let outcome = shop.outcome(&format!("cs_once{number}"), &mails).await;
        // Whether the key was mailed depends on whether the refund was known before the license was made.
        refunded.push(outcome.split(" mails").next().unwrap_or_default().to_owned());
    }
    let all = |outcome: &str| HashMap::from([(outcome.to_owned(), LIVES)]);
    assert_eq!(tally(subscriptions), all("active paid until 2026-12-31 mails 1"), "level {level}");
    assert_eq!(tally(refunded), all("revoked refunded_in_full until ever"), "level {level}");
}

/// A refund that comes before its checkout leaves a revoked license, no mail and no `license.created`.
async fn refund_before_checkout(database: TestDatabase) {
    let shop = Shop::open(database, "none").await;
    let mut life = refunded_life("once1");
    let checkout = life.remove(0);
    shop.deliver(life).await;
    shop.settle().await;
    shop.deliver(vec![checkout]).await;
    shop.settle().await;
    let mails = shop.mails().await;
    assert_eq!(shop.outcome("cs_once1", &mails).await, "revoked refunded_in_full until ever mails 0");
    assert_eq!(shop.engine.store.events_of_kind(shop.tenant, "license.created").await.unwrap(), 0);
}

macro_rules! on_both_databases {
    ($($name:ident: $test:expr;)*) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = $test;
                test(TestDatabase::sqlite().await).await;
            })*
        }

        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = $test;
                test(TestDatabase::postgres().await).await;
            })*
        }
    };
}

on_both_databases! {
    every_order_without_an_api_key: |database| every_order_of_a_subscription(database, "none");
    every_order_with_a_restricted_key: |database| every_order_of_a_subscription(database, "read");
    every_order_with_all_permissions: |database| every_order_of_a_subscription(database, "full");
    shuffled_without_an_api_key: |database| shuffled_with_duplicates(database, "none");
    shuffled_with_a_restricted_key: |database| shuffled_with_duplicates(database, "read");
    shuffled_with_all_permissions: |database| shuffled_with_duplicates(database, "full");
    a_refund_before_its_checkout: refund_before_checkout;
}
