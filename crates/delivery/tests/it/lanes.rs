//! Who calls an endpoint, how often at once and in which order, on both databases.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delivery::webhooks::{ENDPOINT_FAILING, LIMITS};
use domain::{
    event::EventKind,
    id::{DeliveryId, LicenseId, uuid_v7},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    receiver::{Receiver, Temper},
    vendor::{FINE, HASTE, Named, Vendor, node, on_both_databases, secret, secrets},
};

on_both_databases![
    a_receiver_that_fails_has_one_call_at_a_time_and_rests,
    a_receiver_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks,
    no_more_than_eight_calls_are_under_way,
    an_endpoint_that_takes_seconds_has_fewer_calls,
    one_that_is_paused_is_not_called_whatever_was_read_ahead,
    one_that_is_changed_is_called_as_it_is_now,
    one_that_does_not_open_is_told_and_waits,
    an_endpoint_that_is_removed_takes_what_is_under_way_with_it,
    a_license_is_told_in_order_where_that_is_asked_for,
    what_happens_at_one_moment_is_told_in_its_order,
    two_nodes_share_endpoints_and_never_one,
    a_node_keeps_an_endpoint_while_calls_are_under_way,
    a_call_that_outlasts_its_lease_changes_nothing,
    a_node_that_dies_leaves_its_endpoints_to_the_next,
];

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

async fn a_receiver_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks(vendor: Vendor) {
    let receiver = Receiver::start(Temper::Says(429, "retry-after: 600\r\n", "")).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    for _ in 0..10 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    vendor.worker.turn().await.unwrap();
    let refused = receiver.calls().len();
    assert!(refused <= 2, "what was under way: {refused}");
    receiver.becomes(FINE);
    let restarted = node(&vendor.shop, HASTE);
    for seconds in [1, 30, 60, 500] {
        vendor.later(seconds);
        let (here, there) = (vendor.worker.turn().await.unwrap(), restarted.turn().await.unwrap());
        assert_eq!((here, there), (0, 0), "after {seconds} s more");
    }
    vendor.later(10);
    vendor.worker.turn().await.unwrap();
    let tries: Vec<(String, i32)> =
        vendor.deliveries(endpoint).await.into_iter().map(|row| (row.status, row.attempts)).collect();
    let twice = tries.iter().filter(|(_, tries)| *tries == 2).count();
    assert!(twice == refused && tries.iter().all(|(status, _)| status == "delivered"), "{tries:?}");
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

async fn an_endpoint_that_takes_seconds_has_fewer_calls(vendor: Vendor) {
    let permits = Arc::new(Semaphore::new(0));
    let receiver = Receiver::start(Temper::Waits(Arc::clone(&permits))).await;
    let endpoint = vendor.endpoint("slow", &receiver.url(), |_| {}).await;
    for _ in 0..12 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    let worker = node(&vendor.shop, LIMITS);
    let answering = async {
        for answered in 0..12 {
            receiver.has(answered + 1).await;
            vendor.later(4);
            permits.add_permits(1);
        }
    };
    let (turn, ()) = tokio::join!(worker.turn(), answering);
    assert_eq!(turn.unwrap(), 12);
    assert!(receiver.at_once_most() <= 2, "{}", receiver.at_once_most());
}

async fn one_that_is_paused_is_not_called_whatever_was_read_ahead(vendor: Vendor) {
    let permits = Arc::new(Semaphore::new(0));
    let receiver = Receiver::start(Temper::Waits(Arc::clone(&permits))).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |_| {}).await;
    for _ in 0..20 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    let worker = node(&vendor.shop, LIMITS);
    let pausing = async {
        receiver.has(2).await;
        vendor.change(endpoint, |row| row.status = "paused".to_owned()).await;
        permits.add_permits(1);
        // One comes back, and its place could be taken.
        while !vendor.statuses(endpoint).await.iter().any(|status| status == "delivered") {
            tokio::task::yield_now().await;
        }
        permits.add_permits(20);
    };
    let (turn, ()) = tokio::join!(worker.turn(), pausing);
    assert_eq!(turn.unwrap(), 2, "what was under way");
    let statuses = vendor.statuses(endpoint).await;
    assert_eq!(statuses.iter().filter(|status| *status == "held").count(), 18, "{statuses:?}");
}

async fn one_that_is_changed_is_called_as_it_is_now(vendor: Vendor) {
    let permits = Arc::new(Semaphore::new(0));
    let (before, after) = (Receiver::start(Temper::Waits(Arc::clone(&permits))).await, Receiver::start(FINE).await);
    let endpoint = vendor.endpoint("crm", &before.url(), |_| {}).await;
    for _ in 0..8 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    let worker = node(&vendor.shop, LIMITS);
    let sealed = vendor.sealed(endpoint, &secrets(&["new"]));
    let changing = async {
        before.has(2).await;
        vendor.change(endpoint, |row| (row.url, row.sealed) = (after.url(), sealed)).await;
        permits.add_permits(8);
    };
    let (turn, ()) = tokio::join!(worker.turn(), changing);
    assert_eq!((turn.unwrap(), before.calls().len(), after.calls().len()), (8, 2, 6));
    let at = vendor.shop.now().as_second();
    for call in after.calls() {
        let signed = crypto::webhook::standard(&[secret("new")], &call.headers["webhook-id"], at, call.body.as_bytes());
        assert_eq!(call.headers["webhook-signature"], signed, "by the new secret alone");
    }
}

async fn one_that_does_not_open_is_told_and_waits(vendor: Vendor) {
    let receiver = Receiver::start(FINE).await;
    let sealed = vec![7; 64];
    let endpoint = vendor.endpoint("crm", &receiver.url(), |row| row.sealed = sealed).await;
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    for _ in 0..3 {
        assert_eq!(vendor.worker.turn().await.unwrap(), 0);
        let row = vendor.row(endpoint).await;
        assert!(row.reason.is_some_and(|reason| reason.starts_with("it cannot be called: ")));
        assert_eq!((row.status.as_str(), row.lease_token), ("enabled", None), "another node may be able to");
        assert_eq!(vendor.shop.open_items().await, [ENDPOINT_FAILING]);
    }
    assert_eq!(vendor.deliveries(endpoint).await[0].attempts, 0);
    let sealed = vendor.sealed(endpoint, &secrets(&["current"]));
    vendor.change(endpoint, |row| row.sealed = sealed).await;
    assert_eq!(vendor.worker.turn().await.unwrap(), 0, "it is left alone for a while");
    vendor.later(60);
    assert_eq!(vendor.worker.turn().await.unwrap(), 1);
    assert_eq!((vendor.row(endpoint).await.reason, vendor.shop.open_items().await), (None, Vec::new()));
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
    let told = receiver.ids().split_off(refused);
    assert_eq!(told.len(), 18);
    for ids in expected.values() {
        let of_license: Vec<&String> = told.iter().filter(|id| ids.contains(id)).collect();
        assert_eq!(of_license, ids.iter().collect::<Vec<_>>());
    }
}

async fn what_happens_at_one_moment_is_told_in_its_order(vendor: Vendor) {
    let receiver = Receiver::start(FINE).await;
    let endpoint = vendor.endpoint("crm", &receiver.url(), |row| row.ordered = true).await;
    let license = Some(LicenseId(uuid_v7(vendor.shop.now(), &mut Named("license"))));
    let mut expected = Vec::new();
    for round in 0..12 {
        let kind = if round % 2 == 0 { EventKind::LicenseRevoked } else { EventKind::OrderRefunded };
        expected.push(vendor.happens(kind, license, &[endpoint]).await.to_string());
    }
    vendor.worker.turn().await.unwrap();
    assert_eq!(receiver.ids(), expected);
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

async fn a_node_keeps_an_endpoint_while_calls_are_under_way(vendor: Vendor) {
    let permits = Arc::new(Semaphore::new(0));
    let receiver = Receiver::start(Temper::Waits(Arc::clone(&permits))).await;
    let endpoint = vendor.endpoint("slow", &receiver.url(), |_| {}).await;
    for _ in 0..24 {
        vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    }
    let worker = node(&vendor.shop, LIMITS);
    let beside = async {
        for answered in 0..24 {
            receiver.has(answered + 1).await;
            assert_eq!(vendor.worker.turn().await.unwrap(), 0, "the other has the right to call");
            vendor.later(10);
            permits.add_permits(1);
        }
    };
    let (turn, ()) = tokio::join!(worker.turn(), beside);
    assert_eq!((turn.unwrap(), receiver.calls().len()), (24, 24), "each once");
}

async fn a_call_that_outlasts_its_lease_changes_nothing(vendor: Vendor) {
    let permits = Arc::new(Semaphore::new(0));
    let receiver = Receiver::start(Temper::Waits(Arc::clone(&permits))).await;
    let endpoint = vendor.endpoint("slow", &receiver.url(), |_| {}).await;
    vendor.happens(EventKind::LicenseRevoked, None, &[endpoint]).await;
    let late = node(&vendor.shop, LIMITS);
    let taking_over = async {
        receiver.has(1).await;
        receiver.becomes(Temper::Says(500, "", "no"));
        vendor.later(31);
        assert_eq!(vendor.worker.turn().await.unwrap(), 1);
        permits.add_permits(1);
    };
    let (turn, ()) = tokio::join!(late.turn(), taking_over);
    assert_eq!(turn.unwrap(), 1);
    let row = vendor.deliveries(endpoint).await.remove(0);
    assert_eq!((row.status.as_str(), row.attempts, row.last_status), ("pending", 1, Some(500)));
    assert!(vendor.row(endpoint).await.failing_since.is_some());
    let tries = vendor.shop.store().attempts(DeliveryId(row.id)).await.unwrap();
    assert_eq!(tries.len(), 2, "both are in its log");
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
    assert_eq!(receiver.ids(), [event.to_string(), event.to_string()], "told twice, under one id");
}
