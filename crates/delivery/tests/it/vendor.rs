//! A vendor with receivers of webhooks, on either database.

use std::{sync::Arc, time::Duration};

use crypto::{
    seal::{Place, sealed_by},
    webhook::{EndpointSecrets, WebhookSecret},
};
use delivery::webhooks::{LIMITS, WebhookParts, WebhookWorker};
use domain::{
    Entropy,
    event::{EventData, EventKind},
    id::{DeliveryId, EventId, LicenseId, WebhookEndpointId},
};
use jiff::SignedDuration;
use net::{Client, Limits, Reach};
use store::{
    deliveries::{DeliveryFilter, cause, status},
    lists::{Page, Whose},
    rows::{Delivery, Event, WebhookEndpoint},
    testing::TestDatabase,
    webhook_endpoints,
};

use crate::{receiver::Temper, shop::Shop};

pub(crate) const FINE: Temper = Temper::Says(200, "", "thanks");
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// So that what hangs is given up soon.
pub(crate) const HASTE: Limits =
    Limits { connect: Duration::from_millis(700), total: Duration::from_millis(800), ..LIMITS };

/// Runs tests with a vendor on both databases.
macro_rules! on_both_databases {
    ($($name:ident,)*) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::vendor::Vendor::open(store::testing::TestDatabase::sqlite().await).await).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::vendor::Vendor::open(store::testing::TestDatabase::postgres().await).await).await; })* }
    };
}

pub(crate) use on_both_databases;

/// A vendor with receivers.
pub(crate) struct Vendor {
    pub(crate) shop: Shop,
    pub(crate) worker: WebhookWorker,
}

impl Vendor {
    pub(crate) async fn open(database: TestDatabase) -> Self {
        let shop = Shop::open(database).await;
        let worker = node(&shop, HASTE);
        Self { shop, worker }
    }

    pub(crate) async fn endpoint(
        &self,
        code: &str,
        url: &str,
        change: impl FnOnce(&mut WebhookEndpoint),
    ) -> WebhookEndpointId {
        self.endpoint_with(code, url, &secrets(&["current"]), change).await
    }

    pub(crate) async fn endpoint_with(
        &self,
        code: &str,
        url: &str,
        secrets: &EndpointSecrets,
        change: impl FnOnce(&mut WebhookEndpoint),
    ) -> WebhookEndpointId {
        let id = WebhookEndpointId::new(self.shop.now(), &mut *self.shop.entropy().entropy());
        let sealed = self.sealed(id, secrets);
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
    pub(crate) async fn happens(
        &self,
        kind: EventKind,
        license: Option<LicenseId>,
        to: &[WebhookEndpointId],
    ) -> EventId {
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
    pub(crate) async fn deliveries(&self, endpoint: WebhookEndpointId) -> Vec<Delivery> {
        let whose = Whose { tenant: self.shop.tenant, livemode: true };
        let filter = DeliveryFilter { endpoint: Some(endpoint), ..DeliveryFilter::default() };
        let page = Page { limit: 1_000, from: None };
        let mut rows = self.shop.store().list_deliveries(whose, &filter, page).await.unwrap().rows;
        rows.reverse();
        rows
    }

    pub(crate) async fn statuses(&self, endpoint: WebhookEndpointId) -> Vec<String> {
        self.deliveries(endpoint).await.into_iter().map(|row| row.status).collect()
    }

    pub(crate) async fn row(&self, endpoint: WebhookEndpointId) -> WebhookEndpoint {
        self.shop.store().endpoints(vec![endpoint.0]).await.unwrap().remove(0)
    }

    /// Changes an endpoint, as people do.
    pub(crate) async fn change(&self, endpoint: WebhookEndpointId, change: impl FnOnce(&mut WebhookEndpoint)) {
        let write = self.shop.store().begin().await.unwrap();
        let mut row = write.lock_endpoints(vec![endpoint.0]).await.unwrap().remove(0);
        change(&mut row);
        if row.status != webhook_endpoints::status::ENABLED {
            write.hold_deliveries(endpoint).await.unwrap();
        }
        write.save_endpoint(row).await.unwrap();
        write.commit().await.unwrap();
    }

    /// What an endpoint signs with and the headers that go along, as they are kept.
    pub(crate) fn sealed(&self, endpoint: WebhookEndpointId, secrets: &EndpointSecrets) -> Vec<u8> {
        let place = Place::webhook_endpoint(self.shop.tenant, endpoint.0);
        let document = serde_json::to_vec(secrets).unwrap();
        self.shop.ring.get().seal(place, &document, &mut *self.shop.entropy().entropy()).0
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.shop.clock.advance(SignedDuration::from_secs(seconds));
    }
}

pub(crate) fn node(shop: &Shop, limits: Limits) -> WebhookWorker {
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

pub(crate) struct Named(pub(crate) &'static str);

impl Entropy for Named {
    fn fill(&mut self, bytes: &mut [u8]) {
        let name = self.0.as_bytes();
        bytes.iter_mut().enumerate().for_each(|(place, byte)| *byte = name[place % name.len()]);
    }
}

pub(crate) fn secret(name: &'static str) -> WebhookSecret {
    WebhookSecret::generate(&mut Named(name))
}

/// The first is the newest.
pub(crate) fn secrets(names: &[&'static str]) -> EndpointSecrets {
    let mut kept = EndpointSecrets::default();
    for name in names.iter().rev() {
        kept.replace(secret(name), 0, i64::MAX);
    }
    kept
}
