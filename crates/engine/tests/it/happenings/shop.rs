//! A vendor who sells at the tellers, and what came of it.

use std::{collections::HashMap, sync::Arc};

use domain::{
    license::{Holding, License},
    text::Reference,
};
use engine::{Dial, DialError, Dialled, configuration::ConfigurationFile, connections::Connection, receive::Received};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::{Delivery, http::Request};
use store::testing::TestDatabase;
use uuid::Uuid;

use super::{LOOK, NO_KEY, SECRET, Story, Teller, day};
use crate::harness::Harness;

/// A key of Paddle's sandbox; the others do not say by their form what they are for.
const API_KEY: &str = "pdl_sdbx_apikey_1";

/// The providers as they are asked.
struct Apis(Vec<&'static dyn Teller>);

impl Dial for Apis {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let asked = self.0.iter().find(|teller| teller.slug() == connection.provider.info().slug);
        let answer = asked.and_then(|teller| teller.answer(&request.path));
        let body = answer.unwrap_or_else(|| panic!("nobody asks for {}", request.path)).to_string();
        Box::pin(std::future::ready(Ok(Dialled { status: 200, body, retry_after_seconds: None })))
    }
}

/// A vendor who sells at some providers.
pub(super) struct Shop(pub(super) Harness);

impl Shop {
    /// Who may look up at each as much as `level` says.
    pub(super) async fn open(tellers: &[&'static dyn Teller], level: &str) -> Self {
        let harness = Harness::with_dialler(TestDatabase::sqlite().await, Arc::new(Apis(tellers.into()))).await;
        let mut file = String::from(
            r#"
            product = [{ code = "tool", name = "Tool", key_prefix = "TOOL" }]
            plan = [{ code = "A", product = "tool", name = "A" }, { code = "B", product = "tool", name = "B" }]
            "#,
        );
        for teller in tellers {
            let (slug, a, b) = (teller.slug(), teller.price("A"), teller.price("B"));
            file += &format!(
                r#"
                [[connection]]
                code = "{slug}"
                provider = "{slug}"
                mode = "test"
                webhook_secrets = ["env:SECRET"]
                {level}
                [[price_rule]]
                connection = "{slug}"
                price = "{a}"
                plan = "A"
                [[price_rule]]
                connection = "{slug}"
                price = "{b}"
                plan = "B"
                "#
            );
        }
        let file = ConfigurationFile::parse(&file).unwrap();
        let secret = |source: &str| Ok(if source == "env:API_KEY" { API_KEY } else { SECRET }.to_owned());
        harness.engine.apply(&file, &secret, false, "test").await.unwrap();
        Self(harness)
    }

    /// Who may look up nothing and was told this, one event after the other.
    pub(super) async fn told_of(teller: &'static dyn Teller, events: &[String], arrival: &[usize]) -> Self {
        let shop = Self::open(&[teller], NO_KEY).await;
        for place in arrival {
            shop.deliver(teller, &events[*place]).await;
            shop.0.settle().await;
        }
        shop
    }

    pub(super) async fn deliver(&self, teller: &dyn Teller, body: &str) {
        let engine = &self.0.engine;
        let headers = teller.headers(body, engine.now());
        let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let received = engine.receive(teller.slug(), "default", &delivery).await;
        assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{body}: {received:?}");
    }

    /// Tells all stories at once, an event of each at a time.
    pub(super) async fn tell(&self, teller: &dyn Teller, stories: &[Story]) {
        let longest = stories.iter().map(|story| story.arrival.len()).max().unwrap_or_default();
        for place in 0..longest {
            let due = stories.iter().filter_map(|story| story.arrival.get(place));
            futures::future::join_all(due.map(|event| self.deliver(teller, event))).await;
            self.0.settle().await;
        }
    }

    /// It is the day on which licenses are looked at.
    pub(super) async fn pass_time(&self) {
        self.0.clock.advance(SignedDuration::from_hours(24 * i64::from(LOOK)));
        self.0.settle().await;
    }

    /// What came of each of these subscriptions, in the words of the table.
    pub(super) async fn outcomes(&self, teller: &dyn Teller, names: &[&str]) -> Vec<String> {
        let store = &self.0.engine.store;
        let plans = store.plans(self.0.tenant).await.unwrap();
        let plans: HashMap<Uuid, String> = plans.into_iter().map(|plan| (plan.id, plan.code)).collect();
        let connection = self.0.connection(teller.slug()).await;
        let mut outcomes = Vec::new();
        for name in names {
            let reference = Reference::new(teller.reference(name));
            let found = store.order_licenses(connection, &reference).await.unwrap();
            outcomes.push(found.map_or_else(
                || "no order".to_owned(),
                |(_, licenses)| {
                    let live = licenses.iter().filter(|license| license.holding == Holding::Unit);
                    let mut words: Vec<String> = live.map(|license| told(license, &plans)).collect();
                    words.sort();
                    words.join("; ")
                },
            ));
        }
        outcomes
    }
}

/// `A ×1 active paid until 30, expired on 30, look again 30`, days counted from the purchase.
fn told(license: &License, plans: &HashMap<Uuid, String>) -> String {
    let standing = &license.standing;
    let plan = &plans[&license.plan.plan.0];
    let mut words = format!("{plan} ×{} {} {}", license.unit.seats, standing.state.as_str(), standing.reason.code());
    if let Some(until) = standing.until {
        words += &format!(" until {}", day_of(until));
    }
    if standing.at_risk {
        words += ", at risk";
    }
    if let Some(scheduled) = standing.scheduled {
        words += &format!(", {} on {}", scheduled.state.as_str(), day_of(scheduled.at));
    }
    if let Some(at) = standing.next_check {
        words += &format!(", look again {}", day_of(at));
    }
    words
}

fn day_of(at: Timestamp) -> i64 {
    at.duration_since(day(0)).as_hours() / 24
}
