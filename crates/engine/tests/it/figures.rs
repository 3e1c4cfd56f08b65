//! What is counted, what is ahead, and who hears that something has changed.

use domain::{activation::VerdictCode, counted::Counted, id::MemberId};
use engine::{
    figures::Window,
    runtime::{ActivationKind, AppCall},
};
use jiff::SignedDuration;
use store::lists::Whose;
use uuid::Uuid;

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases![
    what_happens_is_counted_by_the_hour,
    an_event_that_comes_twice_is_counted_once,
    counts_are_added_up_and_forgotten_after_a_while,
    licenses_that_end_are_counted_by_the_day,
    the_latest_is_told_of_one_mode,
    whoever_looks_hears_what_changes_in_that_mode,
];

fn whose(harness: &Harness, livemode: bool) -> Whose {
    Whose { tenant: harness.tenant, livemode }
}

/// How often something happened in the last day.
async fn counted(harness: &Harness, livemode: bool, what: Counted) -> i64 {
    harness.engine.write_counts().await.unwrap();
    harness.engine.figures(whose(harness, livemode), Window::Day).await.unwrap().total(what)
}

fn call(key: &str, device: Option<&str>) -> AppCall {
    AppCall {
        key: key.to_owned(),
        product: None,
        device: device.map(str::to_owned),
        device_name: None,
        kind: ActivationKind::Device,
        ..AppCall::default()
    }
}

async fn what_happens_is_counted_by_the_hour(harness: Harness) {
    harness.apply(SHOP).await;
    let issued = harness.issue("pro", "ada@example.com", 2).await;
    let key = issued.licenses[0].key.reveal().to_owned();
    for device in ["laptop", "laptop", "desktop", "tablet"] {
        harness.engine.activate(&call(&key, Some(device)), device, "https://keys.example").await.unwrap();
    }
    harness.engine.check(&call(&key, None)).await.unwrap();
    harness.engine.check(&call(&key, Some("phone"))).await.unwrap();
    harness.engine.check(&AppCall { product: Some("other".to_owned()), ..call(&key, None) }).await.unwrap();
    harness.engine.check(&call("TOOL-0000-0000-0000-0000", None)).await.unwrap();
    for (what, times) in [
        (Counted::EventReceived, 1),
        (Counted::EventUnderstood, 1),
        (Counted::Issued, 2),
        (Counted::Ended, 0),
        (Counted::Activated, 2),
        (Counted::ActivationRefused, 1),
        (Counted::Checked(VerdictCode::Valid), 1),
        (Counted::Checked(VerdictCode::NotActivated), 1),
        (Counted::Checked(VerdictCode::ProductMismatch), 1),
        // Nobody knows whose it would be.
        (Counted::Checked(VerdictCode::NotFound), 0),
    ] {
        assert_eq!(counted(&harness, true, what).await, times, "{what:?}");
        assert_eq!(counted(&harness, false, what).await, 0, "{what:?} in test mode");
    }
    harness.clock.advance(SignedDuration::from_hours(24));
    assert_eq!(counted(&harness, true, Counted::Issued).await, 0, "that is longer ago than a day");
    let week = harness.engine.figures(whose(&harness, true), Window::Week).await.unwrap();
    assert_eq!((week.total(Counted::Issued), week.steps.len()), (2, 28));
}

async fn an_event_that_comes_twice_is_counted_once(harness: Harness) {
    use providers::{Delivery, generic, signature};
    harness.apply(SHOP).await;
    harness
        .apply(
            "connection = [{ code = \"shop\", provider = \"generic\", mode = \"live\", webhook_secrets = [\"env:S\"] }]",
        )
        .await;
    let now = harness.engine.now();
    let body = format!(r#"{{"id":"1","type":"order.paid","occurred_at":"{now}","order":{{"id":"1","payment":"1"}}}}"#);
    let signed = signature::sign(&"secret-env:S".into(), body.as_bytes(), now);
    let header = |name: &str| (name == generic::SIGNATURE).then_some(signed.as_str());
    for _ in 0..3 {
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        harness.engine.receive("generic", "default", &delivery).await;
    }
    assert_eq!(counted(&harness, true, Counted::EventReceived).await, 1);
}

async fn counts_are_added_up_and_forgotten_after_a_while(harness: Harness) {
    harness.apply(SHOP).await;
    harness.issue("pro", "ada@example.com", 1).await;
    assert_eq!(counted(&harness, true, Counted::Issued).await, 1);
    harness.issue("pro", "ada@example.com", 1).await;
    assert_eq!(counted(&harness, true, Counted::Issued).await, 2);
    let rows = async || harness.database.store.counts(whose(&harness, true), 0, 1).await.unwrap().len();
    harness.clock.advance(SignedDuration::from_hours(24 * 89));
    harness.engine.forget_what_is_old().await.unwrap();
    assert!(rows().await > 0, "ninety days are kept");
    harness.clock.advance(SignedDuration::from_hours(48));
    harness.engine.forget_what_is_old().await.unwrap();
    assert_eq!(rows().await, 0);
}

async fn licenses_that_end_are_counted_by_the_day(harness: Harness) {
    harness.apply(SHOP).await;
    harness.issue("year", "ada@example.com", 3).await;
    harness.issue("pro", "ada@example.com", 1).await;
    let ends = async |livemode| harness.engine.ends(whose(&harness, livemode)).await.unwrap();
    assert_eq!(ends(true).await.days.iter().sum::<u64>(), 0, "a year is further away than is looked");
    harness.clock.advance(SignedDuration::from_hours(24 * 355));
    let days = ends(true).await.days.clone();
    assert_eq!((days[10], days.iter().sum::<u64>()), (3, 3), "{days:?}");
    assert_eq!(ends(false).await.days.iter().sum::<u64>(), 0);
}

async fn the_latest_is_told_of_one_mode(harness: Harness) {
    harness.apply(SHOP).await;
    harness.issue_in(true, "pro", "ada@example.com", 1).await;
    harness.issue_in(false, "year", "ada@example.com", 2).await;
    let latest = async |livemode, limit| {
        let latest = harness.engine.latest(whose(&harness, livemode), limit).await.unwrap();
        latest.into_iter().map(|entry| entry.action).filter(|action| action.starts_with("license.")).collect::<Vec<_>>()
    };
    assert_eq!(latest(true, 20).await, ["license.issued"]);
    assert_eq!(latest(false, 20).await, ["license.issued", "license.issued"]);
    assert_eq!(latest(false, 1).await, ["license.issued"]);
}

async fn whoever_looks_hears_what_changes_in_that_mode(harness: Harness) {
    harness.apply(SHOP).await;
    let (engine, member) = (&harness.engine, MemberId(Uuid::nil()));
    let marks = async |livemode| engine.marks(whose(&harness, livemode)).await.unwrap().to_string();
    let seen = marks(true).await;
    let mut page = engine.follow(whose(&harness, true), member, seen.clone()).unwrap();
    let mut late = engine.follow(whose(&harness, true), member, "something else".to_owned()).unwrap();
    engine.look_for_changes().await.unwrap();
    assert_eq!(late.changed().await.unwrap().to_string(), seen, "what it shows is not so any more");
    assert_eq!(marks(true).await, seen, "looking changes nothing");

    harness.issue_in(true, "pro", "ada@example.com", 1).await;
    engine.write_counts().await.unwrap();
    engine.look_for_changes().await.unwrap();
    let changed = page.changed().await.unwrap();
    assert_eq!(changed.to_string(), marks(true).await);
    assert_ne!(changed.to_string(), seen);
}
