//! What is told to vendors' own systems: which events a life makes, and who gets them.

use std::collections::BTreeSet;

use domain::{
    event::{EventData, EventKind},
    id::WebhookEndpointId,
};
use engine::{
    receive::Received,
    runtime::{ActivationKind, AppCall},
};
use jiff::SignedDuration;
use providers::{Delivery, signature};
use serde_json::{Value, json};
use store::{
    deliveries::DeliveryFilter,
    events::EventFilter,
    lists::{Page, Whose},
    rows::{Event, WebhookEndpoint},
};
use uuid::Uuid;

use crate::{
    harness::{Harness, SHOP, on_both_databases},
    life::{self, SECRET, refunded_life, subscription_life},
};

on_both_databases![
    a_subscription_is_told_from_its_sale_to_its_end,
    money_that_goes_back_is_told,
    each_endpoint_gets_what_it_wants,
    devices_are_told_only_to_who_asked,
    devices_of_test_mode_are_kept_for_whoever_looks,
    a_customer_is_told_alike_when_made_and_when_changed,
    an_end_that_comes_is_told_once,
];

const PAGE: Page = Page { limit: 100, from: None };
const STUDIO: &str = r#"
    product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
    plan = [{ code = "basic", product = "studio", name = "Basic" }, { code = "pro", product = "studio", name = "Pro" }]
    connection = [{ code = "stripe", provider = "stripe", mode = "test", level = "none", webhook_secrets = ["env:SECRET"] }]
    price_rule = [
        { connection = "stripe", price = "price_basic", plan = "basic" },
        { connection = "stripe", price = "price_pro", plan = "pro" },
    ]
"#;

async fn studio(harness: &Harness) {
    let file = engine::configuration::ConfigurationFile::parse(STUDIO).unwrap();
    harness.engine.apply(&file, &|_: &str| Ok(SECRET.to_owned()), false, "test").await.unwrap();
}

async fn deliver(harness: &Harness, event: &Value) {
    let body = event.to_string();
    let signed = signature::sign(&SECRET.into(), body.as_bytes(), harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    let received = harness.engine.receive("stripe", "default", &delivery).await;
    assert!(matches!(received, Received::Answer(answer) if answer.status == 200));
    harness.settle().await;
    harness.clock.advance(SignedDuration::from_secs(1));
}

async fn events(harness: &Harness, livemode: bool) -> Vec<Event> {
    let whose = Whose { tenant: harness.tenant, livemode };
    let mut rows = harness.engine.store.list_events(whose, &EventFilter::default(), PAGE).await.unwrap().rows;
    rows.reverse();
    rows
}

/// The kinds of what is not among what was told before, in the order of the alphabet: what happens in one moment has none.
async fn kinds_since(harness: &Harness, livemode: bool, told: &mut BTreeSet<Uuid>) -> Vec<String> {
    let news = events(harness, livemode).await.into_iter().filter(|event| told.insert(event.id));
    let mut kinds: Vec<String> = news.map(|event| event.kind).collect();
    kinds.sort();
    kinds
}

fn data(event: &Event) -> EventData {
    serde_json::from_str(&event.body).unwrap()
}

async fn endpoint(harness: &Harness, code: &str, kinds: &str, status: &str, livemode: bool) -> WebhookEndpointId {
    let id = WebhookEndpointId::new(harness.engine.now(), &mut *harness.engine.entropy());
    let row = WebhookEndpoint {
        id: id.0,
        tenant_id: harness.tenant.0,
        livemode,
        code: code.to_owned(),
        url: "https://crm.example/hooks".to_owned(),
        kinds: kinds.to_owned(),
        style: "standard".to_owned(),
        schedule: "standard".to_owned(),
        ordered: false,
        status: status.to_owned(),
        reason: None,
        sealed: Vec::new(),
        sealed_by: String::new(),
        wants_since: 0,
        failing_since: None,
        warned_at: None,
        lease_token: None,
        lease_until: None,
        created_at: harness.engine.now().as_microsecond(),
    };
    let write = harness.engine.store.begin().await.unwrap();
    write.save_endpoint(row).await.unwrap();
    write.commit().await.unwrap();
    id
}

/// The kinds of the events on their way to an endpoint, and how far they have come.
async fn on_their_way(harness: &Harness, endpoint: WebhookEndpointId, livemode: bool) -> Vec<(String, String)> {
    let whose = Whose { tenant: harness.tenant, livemode };
    let filter = DeliveryFilter { endpoint: Some(endpoint), ..DeliveryFilter::default() };
    let rows = harness.engine.store.list_deliveries(whose, &filter, PAGE).await.unwrap().rows;
    let events = harness.engine.store.events(rows.iter().map(|row| row.event_id).collect()).await.unwrap();
    let kind = |id| events.iter().find(|event| event.id == id).unwrap().kind.clone();
    let mut told: Vec<_> = rows.into_iter().map(|row| (kind(row.event_id), row.status)).collect();
    told.sort();
    told
}

async fn a_subscription_is_told_from_its_sale_to_its_end(harness: Harness) {
    studio(&harness).await;
    let mut told = BTreeSet::new();
    for (event, expected) in subscription_life("sub").iter().zip([
        // A checkout that does not tell what was bought waits for its subscription.
        vec!["customer.created"],
        vec!["license.created", "order.created"],
        vec![],
        vec!["license.renewed"],
        vec!["license.changed"],
        // It ended, and is good until the end of what was paid.
        vec![],
    ]) {
        deliver(&harness, event).await;
        assert_eq!(kinds_since(&harness, false, &mut told).await, expected, "{event:#}");
    }
    harness.clock.advance(SignedDuration::from_hours(61 * 24));
    harness.settle().await;
    assert_eq!(kinds_since(&harness, false, &mut told).await, ["license.expired"]);
    let events = events(&harness, false).await;
    let of_kind = |kind: EventKind| events.iter().find(|event| event.kind == kind.as_str()).unwrap();
    let created = data(of_kind(EventKind::LicenseCreated));
    let license = created.license.unwrap();
    assert_eq!((&*license.state, &*license.plan, &*license.product), ("active", "basic", "studio"));
    let order = created.order.unwrap();
    assert!(order.references.iter().any(|name| &**name == "sub_sub"), "{order:?}");
    assert_eq!(created.customer.unwrap().email.as_deref(), Some("sub@example.com"));
    let changed = data(of_kind(EventKind::LicenseChanged));
    assert_eq!(changed.previous.unwrap().plan_id, Some(license.plan_id));
    assert_eq!(&*changed.license.unwrap().plan, "pro");
    let ended = data(of_kind(EventKind::LicenseExpired));
    assert_eq!(ended.previous.unwrap().state.as_deref(), Some("active"));
    assert!(events.iter().all(|event| !event.body.contains("ACME-")), "no event holds a key");
}

async fn money_that_goes_back_is_told(harness: Harness) {
    studio(&harness).await;
    let mut told = BTreeSet::new();
    for (event, expected) in refunded_life("once").iter().zip([
        vec!["customer.created", "license.created", "order.created"],
        vec![],
        vec!["license.refunded", "order.refunded"],
        vec!["license.refunded", "license.revoked", "order.refunded"],
        vec![],
    ]) {
        deliver(&harness, event).await;
        assert_eq!(kinds_since(&harness, false, &mut told).await, expected, "{event:#}");
    }
    let events = events(&harness, false).await;
    let last =
        events.iter().filter(|event| event.kind == "order.refunded").max_by_key(|event| event.occurred_at).unwrap();
    let refunded = data(last).order.unwrap().refunded.remove(0);
    assert_eq!((refunded.amount, &*refunded.currency), (1900, "EUR"));
}

async fn each_endpoint_gets_what_it_wants(harness: Harness) {
    harness.apply(SHOP).await;
    let all = endpoint(&harness, "all", "[]", "enabled", true).await;
    let created = endpoint(&harness, "created", r#"["license.created"]"#, "enabled", true).await;
    let paused = endpoint(&harness, "paused", r#"["license.created"]"#, "paused", true).await;
    let of_test_mode = endpoint(&harness, "test", "[]", "enabled", false).await;
    harness.issue("pro", "ada@example.com", 1).await;
    let pending = |kinds: &[&str]| -> Vec<(String, String)> {
        kinds.iter().map(|kind| ((*kind).to_owned(), "pending".to_owned())).collect()
    };
    let all_told = on_their_way(&harness, all, true).await;
    assert_eq!(all_told, pending(&["customer.created", "license.created", "order.created"]));
    assert_eq!(on_their_way(&harness, created, true).await, pending(&["license.created"]));
    assert_eq!(on_their_way(&harness, paused, true).await, [("license.created".to_owned(), "held".to_owned())]);
    assert_eq!(on_their_way(&harness, of_test_mode, false).await, []);
}

async fn devices_are_told_only_to_who_asked(harness: Harness) {
    harness.apply(SHOP).await;
    let issued = harness.issue("pro", "ada@example.com", 1).await;
    let call = AppCall {
        key: issued.licenses[0].key.reveal().to_owned(),
        product: None,
        device: Some("laptop".to_owned()),
        device_name: Some("Ada's laptop".to_owned()),
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    let mut told = events(&harness, true).await.into_iter().map(|event| event.id).collect();
    harness.engine.activate(&call, "laptop", "https://keys.example").await.unwrap();
    harness.engine.deactivate(&call, "laptop").await.unwrap();
    assert_eq!(kinds_since(&harness, true, &mut told).await, [""; 0], "nobody asked");
    let wanting = endpoint(&harness, "devices", r#"["license.activated"]"#, "enabled", true).await;
    harness.engine.activate(&call, "laptop", "https://keys.example").await.unwrap();
    harness.engine.activate(&call, "laptop", "https://keys.example").await.unwrap();
    harness.engine.deactivate(&call, "laptop").await.unwrap();
    assert_eq!(kinds_since(&harness, true, &mut told).await, ["license.activated"], "the same device is told once");
    let events = events(&harness, true).await;
    let activated = data(events.iter().find(|event| event.kind == "license.activated").unwrap());
    let activation = activated.activation.unwrap();
    assert_eq!((&*activation.kind, &*activation.fingerprint), ("device", "laptop"));
    assert_eq!(activated.license.unwrap().activations_max, Some(2));
    assert_eq!(on_their_way(&harness, wanting, true).await.len(), 1);
}

async fn devices_of_test_mode_are_kept_for_whoever_looks(harness: Harness) {
    studio(&harness).await;
    let issued = harness.issue_in(false, "basic", "ada@example.com", 1).await;
    let call = AppCall {
        key: issued.licenses[0].key.reveal().to_owned(),
        product: None,
        device: Some("laptop".to_owned()),
        device_name: None,
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    let mut told = events(&harness, false).await.into_iter().map(|event| event.id).collect();
    harness.engine.activate(&call, "laptop", "https://keys.example").await.unwrap();
    harness.engine.deactivate(&call, "laptop").await.unwrap();
    let expected = ["license.activated", "license.deactivated"];
    assert_eq!(kinds_since(&harness, false, &mut told).await, expected, "and no endpoint wants any");
}

/// A Stripe customer, as an event of so many seconds after the first tells them.
fn customer(second: i64, email: &str, name: &str) -> Value {
    let object = json!({ "id": "cus_once", "object": "customer", "email": email, "name": name });
    let number = usize::try_from(second).unwrap();
    life::event("customer", number, "customer.updated", life::BEGIN + second, &object)
}

async fn a_customer_is_told_alike_when_made_and_when_changed(harness: Harness) {
    studio(&harness).await;
    for event in &refunded_life("once")[..2] {
        deliver(&harness, event).await;
    }
    deliver(&harness, &customer(10, "once@example.com", "Ada")).await;
    deliver(&harness, &customer(20, "ada@example.com", "Ada")).await;
    // They are who they were, although nobody has bought under either address.
    deliver(&harness, &customer(30, "lovelace@example.com", "Ada")).await;
    let told: Vec<Event> =
        events(&harness, false).await.into_iter().filter(|event| event.kind.starts_with("customer.")).collect();
    let bought = told[0].customer_id;
    assert!(bought.is_some());
    for (event, (kind, email, id)) in told.iter().zip([
        ("customer.created", "once@example.com", bought),
        ("customer.updated", "once@example.com", bought),
        ("customer.updated", "ada@example.com", bought),
        ("customer.updated", "lovelace@example.com", bought),
    ]) {
        let customer = data(event).customer.unwrap();
        assert_eq!((event.kind.as_str(), event.customer_id, customer.id.map(|id| id.0)), (kind, id, id), "{email}");
        assert_eq!((customer.reference.as_deref(), customer.email.as_deref()), (Some("cus_once"), Some(email)));
    }
    assert_eq!(told.len(), 4);
}

async fn an_end_that_comes_is_told_once(harness: Harness) {
    let day = SignedDuration::from_hours(24);
    harness.apply(&SHOP.replace("expiring_notice_days = 0", "expiring_notice_days = 7")).await;
    harness.issue("year", "ada@example.com", 1).await;
    let mut told = events(&harness, true).await.into_iter().map(|event| event.id).collect();
    for (days, expected) in
        [(357, vec![]), (1, vec!["license.expiring"]), (6, vec![]), (1, vec!["license.expired"]), (30, vec![])]
    {
        harness.clock.advance(day * days);
        harness.settle().await;
        assert_eq!(kinds_since(&harness, true, &mut told).await, expected, "after {days} days more");
    }
    let mut mails: Vec<String> =
        harness.engine.store.mails(harness.tenant.0, 10).await.unwrap().into_iter().map(|mail| mail.kind).collect();
    mails.sort();
    assert_eq!(mails, ["license-delivery", "license-expiring"]);
}
