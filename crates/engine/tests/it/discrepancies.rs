//! Paid and no license, refunded and active: what the report finds in a window, and what it does not.

use std::sync::Arc;

use domain::id::OrderId;
use engine::doctor::discrepancies::{Discrepancy, Window};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{lists::Whose, testing::TestDatabase};

use crate::{
    doctor::{deliver, studio},
    harness::{Harness, on_both_databases},
    life::{BEGIN, DAY, LivesAtTheirEnd, refunded_life, subscription_life},
};

/// The checkout of a life that does not name its plan: its price is looked up, and no rule speaks of it.
fn unmapped(name: &str) -> Value {
    let mut checkout = refunded_life(name).remove(0);
    checkout["data"]["object"]["metadata"] = json!({});
    checkout
}

async fn open(database: TestDatabase) -> Harness {
    let harness = Harness::with_dialler(database, Arc::new(LivesAtTheirEnd)).await;
    studio(&harness, "read").await;
    harness
}

async fn tell(harness: &Harness, events: impl IntoIterator<Item = Value>) {
    for event in events {
        deliver(harness, &event).await;
    }
    harness.settle().await;
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap()
}

const ALL: (i64, i64) = (-DAY, 400 * DAY);

async fn found(harness: &Harness, (since, until): (i64, i64)) -> Vec<Discrepancy> {
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let window = Window { since: at(since), until: at(until), connection: None };
    harness.engine.discrepancies(whose, &window, None, 100).await.unwrap().rows
}

/// Each in one line: what, whose, why.
async fn told(harness: &Harness, window: (i64, i64)) -> Vec<String> {
    let rows = found(harness, window).await.into_iter();
    rows.map(|row| format!("{} {}: {}", row.kind.as_str(), row.email.unwrap_or_default(), row.problem)).collect()
}

async fn a_sound_shop(database: TestDatabase) {
    let harness = open(database).await;
    harness.clock.advance(SignedDuration::from_hours(24 * 32));
    tell(&harness, subscription_life("sub1").into_iter().chain(refunded_life("once1"))).await;
    // Paid, not delivered, and paid back: nothing is owed.
    tell(&harness, [unmapped("once2")].into_iter().chain(refunded_life("once2").into_iter().skip(1))).await;
    assert_eq!(told(&harness, ALL).await, [""; 0]);
}

async fn a_sale_without_a_license(database: TestDatabase) {
    let harness = open(database).await;
    tell(&harness, [unmapped("once1")]).await;
    let why =
        "price price_once (Studio) of product prod_studio is not mapped to a plan; map it and the held keys are issued";
    let waits = format!("paid_without_license once1@example.com: {why}");
    assert_eq!(told(&harness, ALL).await, [waits]);
    let row = found(&harness, ALL).await.remove(0);
    assert_eq!((row.references, row.license), (vec!["cs_once1".to_owned(), "pi_once1".to_owned()], None));
    let map = r#"price_rule = [{ connection = "stripe", price = "price_once", plan = "basic" }]"#;
    harness.apply(map).await;
    harness.settle().await;
    assert_eq!(told(&harness, ALL).await, [""; 0]);
    harness.database.sql("DELETE FROM licenses").await;
    let lost = "paid_without_license once1@example.com: 1 licenses were sold and 0 are there, and no item says why";
    assert_eq!(told(&harness, ALL).await, [lost]);
}

async fn a_license_without_its_money(database: TestDatabase) {
    let harness = open(database).await;
    harness.clock.advance(SignedDuration::from_hours(24 * 32));
    tell(&harness, refunded_life("once1")).await;
    harness.database.sql("UPDATE licenses SET standing = REPLACE(standing, '\"revoked\"', '\"active\"')").await;
    let rows = found(&harness, ALL).await;
    assert_eq!(rows.len(), 1);
    assert!(rows[0].license.is_some());
    let told = told(&harness, ALL).await;
    assert!(told[0].starts_with("refunded_but_active once1@example.com: it is active, though "), "{told:?}");
    assert!(told[0].contains("refunded in full (19.00 EUR)"), "{told:?}");
}

async fn windows_and_pages(database: TestDatabase) {
    let harness = open(database).await;
    for (name, day) in [("once1", 0), ("once2", 1), ("once3", 2)] {
        tell(&harness, [unmapped(name)]).await;
        assert_eq!(harness.engine.now(), at(day * DAY));
        harness.clock.advance(SignedDuration::from_hours(24));
    }
    let whose = |email: &str| format!("{email}@example.com");
    for (window, expected) in [
        (ALL, vec!["once3", "once2", "once1"]),
        ((0, 3 * DAY), vec!["once3", "once2", "once1"]),
        ((1, 3 * DAY), vec!["once3", "once2"]),
        ((0, 2 * DAY), vec!["once2", "once1"]),
        ((DAY, DAY + 1), vec!["once2"]),
        ((DAY, DAY), vec![]),
    ] {
        let emails: Vec<_> = found(&harness, window).await.into_iter().filter_map(|row| row.email).collect();
        assert_eq!(emails, expected.into_iter().map(whose).collect::<Vec<_>>(), "{window:?}");
    }
    let (mine, mut after, mut pages) = (Whose { tenant: harness.tenant, livemode: false }, None::<OrderId>, Vec::new());
    let window = Window { since: at(0), until: at(ALL.1), connection: Some(harness.connection("stripe").await) };
    loop {
        let page = harness.engine.discrepancies(mine, &window, after, 2).await.unwrap();
        pages.push(page.rows.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [2, 1]);
    let elsewhere = Window { connection: Some(harness.connection("manual").await), ..window };
    let theirs = Whose { livemode: true, ..mine };
    for (whose, window) in [(mine, &elsewhere), (theirs, &window)] {
        assert_eq!(harness.engine.discrepancies(whose, window, None, 2).await.unwrap().rows, []);
    }
}

/// More orders than are compared before a page is shown: the rest is compared behind it.
async fn a_long_window(database: TestDatabase) {
    let harness = open(database).await;
    tell(&harness, (0..70).map(|number| unmapped(&format!("once{number}")))).await;
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let window = Window { since: at(ALL.0), until: at(ALL.1), connection: None };
    let compared = || async { harness.engine.compare(whose, &window).await.unwrap() };
    let first = compared().await;
    assert_eq!((first.orders, first.found.len(), first.ended_at), (64, 64, None));
    let mut whole = first;
    for _ in 0..100_000 {
        whole = compared().await;
        if whole.ended_at.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!((whole.orders, whole.found.len(), whole.ended_at), (70, 70, Some(harness.engine.now())));
    let map = r#"price_rule = [{ connection = "stripe", price = "price_once", plan = "basic" }]"#;
    harness.apply(map).await;
    harness.settle().await;
    assert_eq!(compared().await, whole, "it counts for a while");
    let now = harness.engine.discrepancies_of(whose, &whole.found).await.unwrap();
    assert!(now.len() == 70 && now.iter().all(|(_, rows)| rows.is_empty()), "each order is shown as it is");
    harness.clock.advance(SignedDuration::from_mins(5));
    assert_eq!((compared().await.orders, compared().await.found.len()), (64, 0), "begun anew");
}

on_both_databases! {
    a_long_window_is_compared_behind_its_page: a_long_window;
    nothing_is_found_where_money_and_licenses_agree: a_sound_shop;
    a_paid_sale_without_a_license_is_found_with_its_reason: a_sale_without_a_license;
    an_active_license_on_a_refunded_payment_is_found: a_license_without_its_money;
    a_window_is_a_window_and_pages_go_on: windows_and_pages;
}
