//! Events on their way to receivers of every temperament, on both databases.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto::{
    seal::{Place, sealed_by},
    webhook::{EndpointSecrets, WebhookSecret},
};
use delivery::webhooks::{DELIVERIES_DEAD, ENDPOINT_DISABLED, ENDPOINT_FAILING, LIMITS, WebhookParts, WebhookWorker};
use domain::{
    Entropy,
    event::{EventData, EventKind},
    id::{DeliveryId, EventId, LicenseId, WebhookEndpointId, uuid_v7},
};
use jiff::SignedDuration;
use net::{Client, Limits, Reach};
use serde_json::Value;
use store::{
    deliveries::{DeliveryFilter, cause, status},
    lists::{Page, Whose},
    rows::{Delivery, Event, WebhookEndpoint},
    testing::TestDatabase,
    webhook_endpoints,
};
use uuid::Uuid;

use crate::{
    receiver::{Receiver, Temper},
    shop::Shop,
};

const FINE: Temper = Temper::Says(200, "", "thanks");
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// So that what hangs is given up soon.
const HASTE: Limits = Limits { connect: Duration::from_millis(700), total: Duration::from_millis(800), ..LIMITS };

macro_rules! on_both_databases {
    ($($name:ident,)*) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Vendor::open(store::testing::TestDatabase::sqlite().await).await).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Vendor::open(store::testing::TestDatabase::postgres().await).await).await; })* }
    };
}

on_both_databases![
    a_call_is_signed_by_every_live_secret_and_says_what_happened,
    the_key_goes_out_once_and_is_masked_in_what_is_kept,
    the_documents_style_has_its_own_signature,
    each_temper_is_told_as_it_is_and_tried_again,
    an_endpoint_that_is_gone_is_disabled_and_its_events_are_held,
    what_is_given_up_is_told,
    nothing_arrives_for_five_days,
    a_receiver_that_fails_has_one_call_at_a_time_and_rests,
    no_more_than_eight_calls_are_under_way,
    an_endpoint_that_is_removed_takes_what_is_under_way_with_it,
    a_license_is_told_in_order_where_that_is_asked_for,
    two_nodes_share_endpoints_and_never_one,
    a_node_that_dies_leaves_its_endpoints_to_the_next,
];

/// A vendor with receivers.
struct Vendor {
    shop: Shop,
    worker: WebhookWorker,
}

impl Vendor {
    async fn open(database: TestDatabase) -> Self {
        let shop = Shop::open(database).await;
        let worker = node(&shop, HASTE);
        Self { shop, worker }
    }

    async fn endpoint(&self, code: &str, url: &str, change: impl FnOnce(&mut WebhookEndpoint)) -> WebhookEndpointId {
        self.endpoint_with(code, url, &secrets(&["current"]), change).await
    }

    async fn endpoint_with(
        &self,
        code: &str,
        url: &str,
        secrets: &EndpointSecrets,
        change: impl FnOnce(&mut WebhookEndpoint),
    ) -> WebhookEndpointId {
        let mut entropy = self.shop.entropy().entropy();
        let id = WebhookEndpointId::new(self.shop.now(), &mut *entropy);
        let place = Place::webhook_endpoint(self.shop.tenant, id.0);
        let sealed = self.shop.ring.get().seal(place, &serde_json::to_vec(secrets).unwrap(), &mut *entropy).0;
        let mut row = WebhookEndpoint {
            id: id.0,
            tenant_id: self.shop.tenant.0,
            livemode: true,
            code: code.to_owned(),
            url: url.to_owned(),
            kinds: "[]".to_owned(),
            style: "standard".to_owned(),
            schedule: "standard".to_owned(),
            ordered: false,
            status: webhook_endpoints::status::ENABLED.to_owned(),
            reason: None,
            sealed_by: sealed_by(&sealed).unwrap().to_string(),
            sealed,
            wants_since: 0,
            failing_since: None,
            warned_at: None,
            lease_token: None,
            lease_until: None,
            created_at: self.shop.now().as_microsecond(),
        };
        change(&mut row);
        let write = self.shop.store().begin().await.unwrap();
        write.save_endpoint(row).await.unwrap();
        write.commit().await.unwrap();
        id
    }

    /// Something happened, and is to be told there.
    async fn happens(&self, kind: EventKind, license: Option<LicenseId>, to: &[WebhookEndpointId]) -> EventId {
        let now = self.shop.now();
        let mut entropy = self.shop.entropy().entropy();
        let event = Event {
            id: EventId::new(now, &mut *entropy).0,
            tenant_id: self.shop.tenant.0,
            livemode: true,
            kind: kind.as_str().to_owned(),
            license_id: license.map(|id| id.0),
            order_id: None,
            customer_id: None,
            body: serde_json::to_string(&EventData::default()).unwrap(),
            example: false,
            occurred_at: now.as_microsecond(),
        };
        let deliveries = to.iter().map(|endpoint| delivery(&event, *endpoint, &mut *entropy)).collect();
        let id = EventId(event.id);
        let write = self.shop.store().begin().await.unwrap();
        write.add_events(vec![event]).await.unwrap();
        write.add_deliveries(deliveries).await.unwrap();
        write.commit().await.unwrap();
        id
    }

    /// Deliveries to an endpoint, the oldest first.
    async fn deliveries(&self, endpoint: WebhookEndpointId) -> Vec<Delivery> {
        let whose = Whose { tenant: self.shop.tenant, livemode: true };
        let filter = DeliveryFilter { endpoint: Some(endpoint), ..DeliveryFilter::default() };
        let page = Page { limit: 1_000, from: None };
        let mut rows = self.shop.store().list_deliveries(whose, &filter, page).await.unwrap().rows;
        rows.reverse();
        rows
    }

    async fn statuses(&self, endpoint: WebhookEndpointId) -> Vec<String> {
        self.deliveries(endpoint).await.into_iter().map(|row| row.status).collect()
    }

    async fn row(&self, endpoint: WebhookEndpointId) -> WebhookEndpoint {
        self.shop.store().endpoints(vec![endpoint.0]).await.unwrap().remove(0)
    }

    fn later(&self, seconds: i64) {
        self.shop.clock.advance(SignedDuration::from_secs(seconds));
    }
}

fn node(shop: &Shop, limits: Limits) -> WebhookWorker {
    WebhookWorker::new(WebhookParts {
        store: shop.store().clone(),
        ring: shop.ring.clone(),
        clock: shop.clock.clone(),
        entropy: shop.entropy(),
        client: Client::new(Reach::Loopback, limits).unwrap(),
        wake: Arc::clone(&shop.wake),
        lease: LEASE,
    })
}

fn delivery(event: &Event, endpoint: WebhookEndpointId, entropy: &mut dyn Entropy) -> Delivery {
    let now = jiff::Timestamp::from_microsecond(event.occurred_at).unwrap();
    Delivery {
        id: DeliveryId::new(now, entropy).0,
        tenant_id: event.tenant_id,
        endpoint_id: endpoint.0,
        event_id: event.id,
        license_id: event.license_id,
        status: status::PENDING.to_owned(),
        cause: cause::EVENT.to_owned(),
        attempts: 0,
        next_attempt_at: Some(event.occurred_at),
        last_status: None,
        error: None,
        created_at: event.occurred_at,
        done_at: None,
    }
}

struct Named(&'static str);

impl Entropy for Named {
    fn fill(&mut self, bytes: &mut [u8]) {
        let name = self.0.as_bytes();
        bytes.iter_mut().enumerate().for_each(|(place, byte)| *byte = name[place % name.len()]);
    }
}

fn secret(name: &'static str) -> WebhookSecret {
    WebhookSecret::generate(&mut Named(name))
}

/// The first is the newest.
fn secrets(names: &[&'static str]) -> EndpointSecrets {
    let mut kept = EndpointSecrets::default();
    for name in names.iter().rev() {
        kept.replace(secret(name), 0, i64::MAX);
    }
    kept
}

async fn a_call_is_signed_by_every_live_secret_and_says_what_happened(vendor: Vendor) {
    let receiver = Receiver::start(FINE).await;
    let mut kept = secrets(&["current", "before"]);
    kept.headers = vec![("Authorization".to_owned(), "Bearer crm".to_owned())];
    let endpoint = vendor.endpoint_with("crm", &receiver.url(), &kept, |_| {}).await;
    let event = vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    assert_eq!(vendor.worker.turn().await.unwrap(), 1);
    let call = receiver.calls().remove(0);
    let at = vendor.shop.now().as_second();
    assert_eq!(call.headers["webhook-id"], event.to_string());
    assert_eq!(call.headers["webhook-timestamp"], at.to_string());
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["authorization"], "Bearer crm");
    let expected =
        crypto::webhook::standard(&[secret("current"), secret("before")], &event.to_string(), at, call.body.as_bytes());
    assert_eq!(call.headers["webhook-signature"], expected);
    assert_eq!(expected.split(' ').count(), 2);
    let body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!((&body["type"], &body["id"]), (&Value::from("license.revoked"), &Value::from(event.to_string())));
    assert!(body["data"]["key"].is_null());
    let done = vendor.deliveries(endpoint).await.remove(0);
    assert_eq!((done.status.as_str(), done.attempts, done.last_status), ("delivered", 1, Some(200)));
    let attempts = vendor.shop.store().attempts(DeliveryId(done.id)).await.unwrap();
    assert_eq!(attempts[0].answer.as_deref(), Some("thanks"));
    assert_eq!(vendor.worker.turn().await.unwrap(), 0, "once");
}

async fn the_key_goes_out_once_and_is_masked_in_what_is_kept(vendor: Vendor) {
    let sold = vendor.shop.sell("ada@example.com").await;
    let receiver = Receiver::start(FINE).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    let echo = Box::leak(format!("got {}", sold.key).into_boxed_str());
    receiver.becomes(Temper::Says(200, "", echo));
    vendor.happens(EventKind::LicenseCreated, Some(sold.license), &[endpoint]).await;
    vendor.happens(EventKind::LicenseRenewed, Some(sold.license), &[endpoint]).await;
    vendor.worker.turn().await.unwrap();
    let keys: Vec<Value> = receiver
        .calls()
        .iter()
        .map(|call| serde_json::from_str::<Value>(&call.body).unwrap())
        .filter(|body| body["type"] == "license.created")
        .map(|body| body["data"]["key"].clone())
        .collect();
    assert_eq!(keys, [Value::from(sold.key.as_str())]);
    let told = receiver.calls().iter().filter(|call| call.body.contains(&sold.key)).count();
    assert_eq!(told, 1, "no other event has it");
    for delivery in vendor.deliveries(endpoint).await {
        let attempt = vendor.shop.store().attempts(DeliveryId(delivery.id)).await.unwrap().remove(0);
        let answer = attempt.answer.unwrap();
        assert!(answer.starts_with("got ACME-…-") && !answer.contains(&sold.key), "{answer}");
    }
}

async fn the_documents_style_has_its_own_signature(vendor: Vendor) {
    let receiver = Receiver::start(FINE).await;
    let endpoint = vendor.endpoint("old", &receiver.url(), |row| row.style = "keylight".to_owned()).await;
    vendor.happens(EventKind::OrderCreated, None, &[endpoint]).await;
    vendor.worker.turn().await.unwrap();
    let call = receiver.calls().remove(0);
    let at = vendor.shop.now().as_second();
    let expected = crypto::webhook::keylight(&[secret("current")], at, call.body.as_bytes());
    assert_eq!(call.headers["x-keylight-signature"], expected);
    let body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!((&body["event"], &body["version"]), (&Value::from("order.created"), &Value::from("2026-05-01")));
    assert!(call.headers.contains_key("webhook-id"));
}

async fn each_temper_is_told_as_it_is_and_tried_again(vendor: Vendor) {
    let nobody = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", gone.local_addr().unwrap())
    };
    let metadata = "location: http://169.254.169.254/latest/meta-data/\r\n";
    let mut endpoints = BTreeMap::new();
    let mut receivers = Vec::new();
    for (code, temper, expected) in [
        ("busy", Temper::Says(503, "retry-after: 120\r\n", "later"), "it answered 503: later"),
        ("moved", Temper::Says(302, metadata, ""), "redirects are not followed"),
        ("hanging", Temper::Hangs, "did not begin its answer"),
        ("resetting", Temper::Resets, "no complete answer"),
    ] {
        let receiver = Receiver::start(temper).await;
        endpoints.insert(code, (vendor.endpoint(code, &receiver.url(), |_| {}).await, expected));
        receivers.push(receiver);
    }
    endpoints.insert("nobody", (vendor.endpoint("nobody", &nobody, |_| {}).await, "no connection"));
    endpoints.insert("inside", (vendor.endpoint("inside", "http://10.0.0.1/", |_| {}).await, "not sent to 10.0.0.1"));
    let (dripping, flooding) = (Receiver::start(Temper::Drips).await, Receiver::start(Temper::Floods).await);
    let dripping = vendor.endpoint("dripping", &dripping.url(), |_| {}).await;
    let flooding = vendor.endpoint("flooding", &flooding.url(), |_| {}).await;
    let all: Vec<_> = endpoints.values().map(|(id, _)| *id).chain([dripping, flooding]).collect();
    vendor.happens(EventKind::LicenseRevoked, None, &all).await;
    assert_eq!(vendor.worker.turn().await.unwrap(), all.len());
    for (code, (endpoint, expected)) in &endpoints {
        let row = vendor.deliveries(*endpoint).await.remove(0);
        let error = row.error.unwrap_or_default();
        assert!(row.status == "pending" && row.attempts == 1 && error.contains(expected), "{code}: {error}");
        let wait = row.next_attempt_at.unwrap() - vendor.shop.now().as_microsecond();
        let least = if *code == "busy" { 120_000_000 } else { 5_000_000 };
        assert!((least..least + 2_000_000).contains(&wait), "{code}: {wait}");
    }
    // The head of an answer came; the time for its body ran out.
    let row = vendor.deliveries(dripping).await.remove(0);
    assert_eq!(row.status, "pending", "{row:?}");
    // Enough of an answer is read, and no more.
    let row = vendor.deliveries(flooding).await.remove(0);
    let attempt = vendor.shop.store().attempts(DeliveryId(row.id)).await.unwrap().remove(0);
    assert_eq!((row.status.as_str(), attempt.answer.unwrap().len(), attempt.truncated), ("delivered", 16 * 1024, true));
}

async fn an_endpoint_that_is_gone_is_disabled_and_its_events_are_held(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Says(410, "", "")).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    for _ in 0..5 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    vendor.worker.turn().await.unwrap();
    let row = vendor.row(endpoint).await;
    assert_eq!((row.status.as_str(), row.lease_token), ("disabled", None));
    assert!(row.reason.unwrap().contains("410"));
    assert_eq!(vendor.statuses(endpoint).await, ["held"; 5]);
    assert_eq!(vendor.shop.open_items().await, [ENDPOINT_DISABLED]);
    assert!(receiver.calls().len() <= 2, "nobody calls it again");
    vendor.later(86_400);
    assert_eq!(vendor.worker.turn().await.unwrap(), 0);
}

async fn what_is_given_up_is_told(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Says(500, "", "no")).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |row| row.schedule = "short".to_owned()).await;
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    for _ in 0..4 {
        vendor.worker.turn().await.unwrap();
        vendor.later(3_600);
    }
    let row = vendor.deliveries(endpoint).await.remove(0);
    assert_eq!((row.status.as_str(), row.attempts, row.next_attempt_at), ("dead", 4, None));
    assert_eq!(row.error.as_deref(), Some("it answered 500: no"));
    let attempts = vendor.shop.store().attempts(DeliveryId(row.id)).await.unwrap();
    assert_eq!(attempts.len(), 4);
    let ids: Vec<String> = receiver.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "the same id every time");
    assert_eq!(vendor.shop.open_items().await, [DELIVERIES_DEAD]);
    vendor.later(86_400);
    assert_eq!(vendor.worker.turn().await.unwrap(), 0);
}

async fn nothing_arrives_for_five_days(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Says(500, "", "no")).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    vendor.worker.turn().await.unwrap();
    let day = 86_400;
    vendor.later(4 * day);
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    vendor.worker.turn().await.unwrap();
    assert_eq!(vendor.shop.open_items().await, [ENDPOINT_FAILING], "a day before");
    vendor.later(day + 1);
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    vendor.worker.turn().await.unwrap();
    assert_eq!(vendor.row(endpoint).await.status, "disabled");
    assert_eq!(vendor.shop.open_items().await, [ENDPOINT_DISABLED, ENDPOINT_FAILING]);
    assert_eq!(vendor.statuses(endpoint).await, ["held"; 3]);
}

async fn a_receiver_that_fails_has_one_call_at_a_time_and_rests(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Says(500, "", "no")).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    for _ in 0..20 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    vendor.worker.turn().await.unwrap();
    assert!((3..=4).contains(&receiver.calls().len()), "{} calls before it rests", receiver.calls().len());
    receiver.becomes(FINE);
    vendor.later(20);
    vendor.worker.turn().await.unwrap();
    assert_eq!(vendor.statuses(endpoint).await, ["delivered"; 20]);
    assert_eq!(vendor.row(endpoint).await.failing_since, None);
}

async fn no_more_than_eight_calls_are_under_way(vendor: Vendor) {
    let receiver = Receiver::start(FINE).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    for _ in 0..200 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    assert_eq!(vendor.worker.turn().await.unwrap(), 200);
    assert!(receiver.at_once_most() <= 8, "{}", receiver.at_once_most());
    assert_eq!(vendor.statuses(endpoint).await, ["delivered"; 200]);
}

async fn an_endpoint_that_is_removed_takes_what_is_under_way_with_it(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Hangs).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    let removing = async {
        while receiver.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        let write = vendor.shop.store().begin().await.unwrap();
        write.remove_endpoint(endpoint).await.unwrap();
        write.commit().await.unwrap();
    };
    let (turn, ()) = tokio::join!(vendor.worker.turn(), removing);
    assert_eq!(turn.unwrap(), 1);
    for table in ["deliveries", "delivery_attempts"] {
        assert_eq!(vendor.shop.database.sql(&format!("DELETE FROM {table}")).await, 0, "{table}");
    }
}

async fn a_license_is_told_in_order_where_that_is_asked_for(vendor: Vendor) {
    let receiver = Receiver::start(FINE).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |row| row.ordered = true).await;
    let mut entropy = Named("licenses");
    let licenses: Vec<LicenseId> = (1..=3)
        .map(|number| LicenseId(Uuid::from_u128(uuid_v7(vendor.shop.now(), &mut entropy).as_u128() + number)))
        .collect();
    let mut expected: BTreeMap<LicenseId, Vec<String>> = BTreeMap::new();
    for round in 0..6 {
        for license in &licenses {
            vendor.later(1);
            let event = vendor.happens(EventKind::ALL[round + 3], Some(*license), &[endpoint]).await;
            expected.entry(*license).or_default().push(event.to_string());
        }
    }
    receiver.becomes(Temper::Says(500, "", "no"));
    vendor.worker.turn().await.unwrap();
    let refused = receiver.calls().len();
    assert!(refused <= 3, "of each license only the first is tried: {refused}");
    receiver.becomes(FINE);
    vendor.later(60);
    vendor.worker.turn().await.unwrap();
    let told: Vec<String> = receiver.calls()[refused..].iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert_eq!(told.len(), 18);
    for ids in expected.values() {
        let of_license: Vec<&String> = told.iter().filter(|id| ids.contains(id)).collect();
        assert_eq!(of_license, ids.iter().collect::<Vec<_>>());
    }
}

async fn two_nodes_share_endpoints_and_never_one(vendor: Vendor) {
    let other = node(&vendor.shop, HASTE);
    let receiver = Receiver::start(FINE).await;
    let mut endpoints = Vec::new();
    for number in 0..6 {
        endpoints.push(vendor.endpoint(&format!("crm-{number}"), &receiver.url(), |_| {}).await);
    }
    for _ in 0..30 {
        vendor.happens(EventKind::LicenseRevoked, None, &endpoints).await;
    }
    let (here, there) = tokio::join!(vendor.worker.turn(), other.turn());
    assert_eq!(here.unwrap() + there.unwrap(), 180, "each once");
    assert_eq!(receiver.calls().len(), 180);
    for endpoint in endpoints {
        assert_eq!(vendor.statuses(endpoint).await, ["delivered"; 30]);
    }
}

async fn a_node_that_dies_leaves_its_endpoints_to_the_next(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Hangs).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    let event = vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    // It stops in the middle of a call, and nobody hears how that ended.
    let dying = node(&vendor.shop, LIMITS);
    let turn = tokio::time::timeout(Duration::from_millis(500), dying.turn()).await;
    assert!(turn.is_err() && receiver.calls().len() == 1);
    receiver.becomes(FINE);
    assert_eq!(vendor.worker.turn().await.unwrap(), 0, "the other has the right to call");
    vendor.later(31);
    assert_eq!(vendor.worker.turn().await.unwrap(), 1);
    assert_eq!(vendor.statuses(endpoint).await, ["delivered"]);
    let ids: Vec<String> = receiver.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert_eq!(ids, [event.to_string(), event.to_string()], "told twice, under one id");
}
