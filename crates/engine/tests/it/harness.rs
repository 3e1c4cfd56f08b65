//! An installation on a real database, whose clock is set by hand and whose work is done when the test says so.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crypto::ring::{KeyRing, SharedRing};
use domain::{
    ambient::EntropySource,
    id::{ConnectionId, InboundId, TenantId, WebhookEndpointId},
    text::{EmailAddress, PlanCode},
};
use engine::{
    Dial, Engine, Parts,
    configuration::{ApplyReport, ConfigurationError, ConfigurationFile},
    issue::{IssueRequest, Issued},
    tenants::DEFAULT_TENANT,
    testing::{ManualClock, RefusingDialler, SeededEntropy, TestProvider},
};
use jiff::Timestamp;
use providers::manual;
use store::{
    deliveries::DeliveryFilter,
    inbox,
    lists::{Page, Whose},
    rows,
    testing::TestDatabase,
};

/// When every test begins: 2026-11-01T00:00:00Z.
const BEGIN: i64 = 1_793_491_200;

/// A product with two plans.
pub(crate) const SHOP: &str = r#"
    product = [{ code = "tool", name = "Tool", key_prefix = "TOOL" }]
    plan = [
        { code = "pro", product = "tool", name = "Pro", activations = 2 },
        { code = "year", product = "tool", name = "A year", duration_days = 365, policy = { expiring_notice_days = 0 } },
    ]
"#;

/// An installation.
pub(crate) struct Harness {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) provider: Arc<TestProvider>,
    pub(crate) ring: SharedRing,
    pub(crate) tenant: TenantId,
    pub(crate) database: TestDatabase,
    sales: AtomicU64,
}

impl Harness {
    /// On an SQLite file.
    pub(crate) async fn sqlite() -> Self {
        Self::open(TestDatabase::sqlite().await).await
    }

    /// On a fresh database of the test server.
    pub(crate) async fn postgres() -> Self {
        Self::open(TestDatabase::postgres().await).await
    }

    pub(crate) async fn open(database: TestDatabase) -> Self {
        Self::with_dialler(database, Arc::new(RefusingDialler)).await
    }

    /// Whose providers answer look-ups.
    pub(crate) async fn with_dialler(database: TestDatabase, dialler: Arc<dyn Dial>) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(BEGIN).unwrap()));
        let ring = SharedRing::new(ring(1));
        let provider = Arc::new(TestProvider::default());
        let engine = node(&database, &ring, (&clock, &provider), 7, dialler);
        let tenant = engine.ensure_tenant(DEFAULT_TENANT, "Acme").await.unwrap();
        Self { engine, clock, provider, ring, tenant, database, sales: AtomicU64::new(0) }
    }

    /// Another process on the same database, with another ring.
    pub(crate) fn another_node(&self, ring: KeyRing) -> Arc<Engine> {
        let world = (&self.clock, &self.provider);
        node(&self.database, &SharedRing::new(ring), world, 8, Arc::new(RefusingDialler))
    }

    /// Another process on the same database with the same ring, whose providers answer.
    pub(crate) fn peer(&self, dialler: Arc<dyn Dial>) -> Arc<Engine> {
        node(&self.database, &self.ring, (&self.clock, &self.provider), 9, dialler)
    }

    /// Works until there is nothing left to do now.
    pub(crate) async fn settle(&self) {
        while self.engine.fulfil().await.unwrap().claimed + self.engine.look_up().await.unwrap() > 0 {}
    }

    /// The same where transactions have met: what one of them had locked is passed over until the database has let go of it.
    pub(crate) async fn settle_all(&self) {
        while self.engine.store.status(None).await.unwrap().inbox_pending > 0 {
            self.settle().await;
        }
    }

    /// Applies a file whose secrets are the names of their sources.
    pub(crate) async fn apply(&self, text: &str) -> ApplyReport {
        self.try_apply(text, false).await.unwrap()
    }

    pub(crate) async fn try_apply(&self, text: &str, prune: bool) -> Result<ApplyReport, ConfigurationError> {
        let named = |source: &str| Ok(format!("secret-{source}"));
        self.engine.apply(&ConfigurationFile::parse(text)?, &named, prune, "test").await
    }

    /// Issues keys by hand: what a worker would do meanwhile is done here.
    pub(crate) async fn issue(&self, plan: &str, email: &str, quantity: u32) -> Issued {
        self.issue_in(true, plan, email, quantity).await
    }

    /// The same in one of both modes.
    pub(crate) async fn issue_in(&self, livemode: bool, plan: &str, email: &str, quantity: u32) -> Issued {
        let request = IssueRequest {
            tenant: self.tenant,
            livemode,
            email: Some(EmailAddress::parse(email).unwrap()),
            name: None,
            plan: PlanCode::new(plan),
            quantity,
            send_email: true,
            reference: None,
        };
        let done = Cell::new(false);
        let working = async {
            while !done.get() {
                self.engine.fulfil().await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let issuing = async {
            let issued = self.engine.issue(request).await;
            done.set(true);
            issued.unwrap()
        };
        tokio::join!(issuing, working).0
    }

    /// Puts the sale of a plan into the inbox, whether there is such a plan or not. Returns its reference.
    pub(crate) async fn sell(&self, plan: &str) -> String {
        let number = self.sales.fetch_add(1, Ordering::Relaxed);
        let now = self.engine.now();
        let issue = manual::Issue {
            reference: format!("manual:sale-{number}"),
            email: Some(EmailAddress::parse("ada@example.com").unwrap()),
            name: None,
            plan: PlanCode::new(plan),
            quantity: 1,
            send_email: true,
            at: now,
            ends: None,
            has_key: false,
            also: None,
        };
        let event = rows::InboundEvent {
            id: InboundId::new(now, &mut *self.engine.entropy()).0,
            tenant_id: self.tenant.0,
            connection_id: self.connection("manual").await.0,
            account: None,
            event_key: issue.reference.clone(),
            kind: manual::ISSUE.to_owned(),
            livemode: true,
            occurred_at: None,
            received_at: now.as_microsecond(),
            status: inbox::status::RECEIVED.to_owned(),
            body: serde_json::to_string(&issue).unwrap(),
            requests: None,
            answers: None,
            attempts: 0,
            next_attempt_at: None,
            lease_token: None,
            lease_until: None,
            error: None,
            done_at: None,
            caught_up: false,
            call: None,
        };
        let write = self.engine.store.begin().await.unwrap();
        write.receive(vec![event]).await.unwrap();
        write.commit().await.unwrap();
        issue.reference
    }

    pub(crate) async fn connection(&self, code: &str) -> ConnectionId {
        let rows = self.engine.store.connections().await.unwrap();
        ConnectionId(rows.iter().find(|row| row.code == code && row.tenant_id == self.tenant.0).unwrap().id)
    }

    /// An address of that code, wherever it leads.
    pub(crate) async fn endpoint(&self, code: &str) -> rows::WebhookEndpoint {
        let rows = self.engine.store.webhook_endpoints(self.tenant).await.unwrap();
        rows.into_iter().find(|row| row.code == code).unwrap()
    }

    /// The deliveries to an address, each as event and status, the oldest first.
    pub(crate) async fn deliveries_to(&self, code: &str) -> Vec<rows::Delivery> {
        let row = self.endpoint(code).await;
        let filter = DeliveryFilter { endpoint: Some(WebhookEndpointId(row.id)), ..DeliveryFilter::default() };
        let whose = Whose { tenant: self.tenant, livemode: row.livemode };
        let page = Page { limit: 1_000, from: None };
        let mut rows = self.engine.store.list_deliveries(whose, &filter, page).await.unwrap().rows;
        rows.reverse();
        rows
    }

    /// How many licenses the sale of that reference has, made by hand.
    pub(crate) async fn licenses_of(&self, reference: &str) -> usize {
        self.licenses_at("manual", reference).await
    }

    /// How many licenses the sale of that reference has at a connection.
    pub(crate) async fn licenses_at(&self, connection: &str, reference: &str) -> usize {
        let connection = self.connection(connection).await;
        let reference = domain::text::Reference::new(reference);
        self.engine
            .store
            .order_licenses(connection, &reference)
            .await
            .unwrap()
            .map_or(0, |(_, licenses)| licenses.len())
    }

    /// The kinds of what needs a person, sorted.
    pub(crate) async fn attention(&self) -> Vec<String> {
        let items = self.engine.store.attention(self.tenant, 100).await.unwrap();
        let mut kinds: Vec<String> = items.into_iter().map(|item| item.kind).collect();
        kinds.sort();
        kinds
    }

    /// What is in the audit log, except for what happened to orders. Sorted: nothing orders what happened at one moment.
    pub(crate) async fn audited(&self) -> Vec<String> {
        let entries = self.engine.store.snapshot().await.unwrap().audit_after(self.tenant, 0, 10_000).await.unwrap();
        let apart = entries.into_iter().filter(|entry| entry.order_id.is_none());
        let mut actions: Vec<String> = apart.map(|entry| entry.action).collect();
        actions.sort();
        actions
    }

    pub(crate) async fn revision(&self) -> i64 {
        self.engine.store.begin().await.unwrap().catalogue_revision(self.tenant).await.unwrap()
    }
}

fn node(
    database: &TestDatabase,
    ring: &SharedRing,
    (clock, provider): (&Arc<ManualClock>, &Arc<TestProvider>),
    seed: u64,
    dialler: Arc<dyn Dial>,
) -> Arc<Engine> {
    Engine::new(Parts {
        store: database.store.clone(),
        ring: ring.clone(),
        clock: Arc::clone(clock) as Arc<_>,
        entropy: Arc::new(SeededEntropy::new(seed)),
        dialler,
        addresses: Arc::new(engine::testing::TestAddresses),
        identity: Arc::clone(provider) as Arc<_>,
        lease: jiff::SignedDuration::from_secs(120),
    })
}

/// A ring with one key, the same for the same seed.
pub(crate) fn ring(seed: u64) -> KeyRing {
    KeyRing::generate(&mut *SeededEntropy::new(1_000 + seed).entropy())
}

/// The ring with a new active key.
pub(crate) fn with_new_key(ring: &KeyRing, seed: u64) -> KeyRing {
    let copy = KeyRing::parse(&ring.to_text()).unwrap();
    copy.add_active(&mut *SeededEntropy::new(2_000 + seed).entropy()).unwrap()
}

/// Runs each test on both databases: in the world of [`Harness`], or, as `name: test;`, in one that it makes of the database.
macro_rules! on_both_databases {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$test(store::testing::TestDatabase::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$test(store::testing::TestDatabase::postgres().await).await;
            })+
        }
    };
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::harness::Harness::sqlite().await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::harness::Harness::postgres().await).await;
            })*
        }
    };
}

pub(crate) use on_both_databases;
