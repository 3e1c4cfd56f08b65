//! Events on their way to receivers of every temperament, on both databases: what a call is like and what becomes of it.

use std::collections::BTreeMap;

use delivery::webhooks::{DELIVERIES_DEAD, ENDPOINT_DISABLED, ENDPOINT_FAILING, LIMITS};
use domain::{event::EventKind, id::DeliveryId};
use serde_json::Value;

use crate::{
    receiver::{Receiver, Temper},
    vendor::{FINE, Vendor, on_both_databases, secret, secrets},
};

on_both_databases![
    a_call_is_signed_by_every_live_secret_and_says_what_happened,
    the_key_goes_out_once_and_is_masked_in_what_is_kept,
    the_documents_style_has_its_own_signature,
    each_temper_is_told_as_it_is_and_tried_again,
    an_endpoint_that_is_gone_is_disabled_and_its_events_are_held,
    what_is_given_up_is_told,
    nothing_arrives_for_five_days,
];

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
    // In two spellings that open the license, and cut where nobody keeps the rest.
    let typed = sold.key.to_lowercase().replace('-', "");
    let much = " ".repeat(LIMITS.body_bytes_max - 20 - sold.key.len() - typed.len());
    let echo = Box::leak(format!("got {}, {typed}{much}{}", sold.key, sold.key).into_boxed_str());
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
        let shown: Vec<&str> = answer.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let hint = format!("ACME-…-{}", &sold.key[sold.key.len() - 4..]);
        assert_eq!(shown, ["got", &hint, &hint, &hint]);
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
    let ids = receiver.ids();
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
