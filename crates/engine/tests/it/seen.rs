//! What apps tell: what they were denied, which version they have, and on which system they run.

use domain::{
    activation::{Software, VerdictCode},
    counted::Counted,
    denied::{DEVICES_MAX, Denied, day_of},
    id::LicenseId,
    ruling::Ruling,
};
use engine::{
    figures::{InUse, Window},
    issue::IssuedLicense,
    rulings::By,
    runtime::AppCall,
};
use jiff::SignedDuration;
use store::{lists::Whose, rows::Activation};

use crate::{
    harness::{Harness, SHOP, on_both_databases, ring},
    timers::claims,
};

on_both_databases![
    denials_are_told_by_answer_and_day,
    denials_of_several_nodes_are_added_up,
    denials_are_forgotten_after_a_while,
    a_key_that_opens_nothing_is_the_vendors_whose_app_asks,
    an_app_says_which_version_it_is,
    a_check_with_news_waits_for_no_writer,
    versions_in_use_are_counted_by_product,
];

const ISSUER: &str = "https://keys.example";

fn call(license: &IssuedLicense, device: Option<&str>) -> AppCall {
    AppCall { key: license.key.reveal().to_owned(), device: device.map(str::to_owned), ..AppCall::default() }
}

fn saying(license: &IssuedLicense, device: &str, version: Option<&str>, os: Option<&str>) -> AppCall {
    let software = Software { app_version: version.map(str::to_owned), os: os.map(str::to_owned) };
    AppCall { software, ..call(license, Some(device)) }
}

/// What a license was denied: answer, how often, and by which devices.
fn told<'d>(denied: &'d [Denied]) -> Vec<(VerdictCode, i64, Vec<&'d str>)> {
    let told = |all: &'d Denied| {
        let devices = all.denials.devices.fingerprints.iter().map(String::as_str).collect();
        (all.code, all.denials.times, devices)
    };
    denied.iter().map(told).collect()
}

async fn denials_are_told_by_answer_and_day(harness: Harness) {
    harness.apply(SHOP).await;
    let mut licenses = harness.issue("pro", "ada@example.com", 2).await.licenses;
    let (other, license) = (licenses.remove(1), licenses.remove(0));
    let (engine, id) = (&harness.engine, license.license.id);
    let activate = async |device: &str| engine.activate(&call(&license, Some(device)), device, ISSUER).await.unwrap();
    for device in ["one", "two", "three", "four", "three"] {
        activate(device).await;
    }
    for device in [Some("five"), Some("one"), None] {
        engine.check(&call(&license, device)).await.unwrap();
    }
    engine.check(&AppCall { product: Some("other".to_owned()), ..call(&license, None) }).await.unwrap();
    assert_eq!(engine.denials(id).await.unwrap(), [], "no call writes it down by itself");
    engine.write_counts().await.unwrap();
    let mut denied = engine.denials(id).await.unwrap();
    denied.sort_by_key(|all| all.code.as_str());
    assert_eq!(
        told(&denied),
        [
            (VerdictCode::ActivationLimit, 3, vec!["four", "three"]),
            (VerdictCode::NotActivated, 1, vec!["five"]),
            (VerdictCode::ProductMismatch, 1, vec![]),
        ]
    );

    let yesterday = day_of(harness.engine.now());
    harness.clock.advance(SignedDuration::from_hours(24));
    activate("five").await;
    let by = By { actor: "test".to_owned(), note: None };
    engine.rule(harness.tenant, id, &Ruling::Freeze, &by).await.unwrap();
    activate("six").await;
    engine.write_counts().await.unwrap();
    let denied = engine.denials(id).await.unwrap();
    let limit = denied.iter().find(|all| all.code == VerdictCode::ActivationLimit).unwrap();
    assert_eq!((limit.denials.times, &limit.days), (4, &vec![(yesterday + 1, 1), (yesterday, 3)]));
    assert_eq!(limit.denials.last_at, harness.engine.now());
    assert!(denied.iter().any(|all| all.code == VerdictCode::Frozen && all.denials.times == 1), "{denied:?}");
    assert_eq!(engine.denials(other.license.id).await.unwrap(), [], "another license was denied nothing");
    let moments = engine.timeline(whose(&harness), &listed(&harness, id).await).await.unwrap();
    let lines = moments.iter().filter(|moment| matches!(moment.what, engine::timeline::Happened::Denied(_)));
    assert_eq!(lines.count(), 4, "one line for each answer");
}

fn whose(harness: &Harness) -> Whose {
    Whose { tenant: harness.tenant, livemode: true }
}

async fn listed(harness: &Harness, id: LicenseId) -> store::lists::ListedLicense {
    harness.engine.store.listed_license(whose(harness), id).await.unwrap().unwrap()
}

async fn denials_of_several_nodes_are_added_up(harness: Harness) {
    harness.apply(SHOP).await;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let nodes = [harness.engine.clone(), harness.another_node(ring(1))];
    for round in 0..3 {
        for (number, node) in nodes.iter().enumerate() {
            for device in 0..3 {
                let device = format!("pc-{round}-{number}-{device}");
                node.check(&call(&license, Some(&device))).await.unwrap();
            }
        }
        let (one, two) = tokio::join!(nodes[0].write_counts(), nodes[1].write_counts());
        one.and(two).unwrap();
    }
    let denied = harness.engine.denials(license.license.id).await.unwrap();
    let [all] = denied.as_slice() else { panic!("{denied:?}") };
    assert_eq!((all.code, all.denials.times, all.days.len()), (VerdictCode::NotActivated, 18, 1));
    assert_eq!((all.denials.devices.fingerprints.len(), all.denials.devices.are_more), (DEVICES_MAX, true));
}

async fn denials_are_forgotten_after_a_while(harness: Harness) {
    harness.apply(SHOP).await;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let days = async || {
        harness.engine.forget_what_is_old().await.unwrap();
        harness.engine.denials(license.license.id).await.unwrap().iter().map(|all| all.days.len()).sum::<usize>()
    };
    for _ in 0..2 {
        harness.engine.check(&call(&license, Some("pc"))).await.unwrap();
        harness.engine.write_counts().await.unwrap();
        harness.clock.advance(SignedDuration::from_hours(24));
    }
    for (days_later, left) in [(88, 2), (1, 1), (1, 0)] {
        harness.clock.advance(SignedDuration::from_hours(24 * days_later));
        assert_eq!(days().await, left, "{days_later}");
    }
}

async fn a_key_that_opens_nothing_is_the_vendors_whose_app_asks(harness: Harness) {
    harness.apply(SHOP).await;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    harness.engine.check(&call(&license, None)).await.unwrap();
    for product in [Some("tool"), Some("nobodys"), None] {
        let key = "TOOL-0000-0000-0000-0000".to_owned();
        let call = AppCall { key, product: product.map(str::to_owned), ..AppCall::default() };
        assert_eq!(harness.engine.check(&call).await.unwrap().verdict.code, VerdictCode::NotFound);
    }
    harness.engine.write_counts().await.unwrap();
    let figures = harness.engine.figures(whose(&harness), Window::Day).await.unwrap();
    assert_eq!(figures.total(Counted::Checked(VerdictCode::NotFound)), 1);
    assert_eq!(harness.engine.denials(license.license.id).await.unwrap(), []);
}

/// What is known of the only device.
async fn device(harness: &Harness, license: &IssuedLicense) -> Activation {
    let mut devices = harness.engine.store.activations(license.license.id).await.unwrap();
    assert_eq!(devices.len(), 1);
    devices.remove(0)
}

async fn an_app_says_which_version_it_is(harness: Harness) {
    harness.apply(SHOP).await;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let engine = &harness.engine;
    let known = async || {
        let row = device(&harness, &license).await;
        (row.app_version, row.os)
    };
    let some = |text: &str| Some(text.to_owned());
    let activate = async |version, os| {
        engine.activate(&saying(&license, "mac", version, os), "mac", ISSUER).await.unwrap().lease.unwrap()
    };
    let check = async |version, os| engine.check(&saying(&license, "mac", version, os)).await.unwrap();
    activate(Some("3.3"), Some("macOS 15")).await;
    assert_eq!(known().await, (some("3.3"), some("macOS 15")));
    check(Some("3.4"), None).await;
    assert_eq!(known().await, (some("3.3"), some("macOS 15")), "no check writes by itself");
    harness.clock.advance(SignedDuration::from_secs(5));
    engine.write_seen().await.unwrap();
    assert_eq!(known().await, (some("3.4"), some("macOS 15")), "what is not said stays");
    assert_eq!(device(&harness, &license).await.last_seen_at, harness.engine.now().as_microsecond());
    check(None, Some("macOS 16")).await;
    check(None, None).await;
    engine.write_seen().await.unwrap();
    assert_eq!(known().await, (some("3.4"), some("macOS 16")));
    harness.clock.advance(SignedDuration::from_hours(1));
    let lease = activate(Some("3.5"), None).await;
    assert_eq!(known().await, (some("3.5"), some("macOS 16")));
    let until = device(&harness, &license).await.lease_until.unwrap() / 1_000_000;
    assert_eq!(claims(&lease)["exp"].as_i64(), Some(until), "it is known until when a device may run without asking");
}

/// A check reads, whatever it brings: on SQLite there is one writer, and it is taken here.
async fn a_check_with_news_waits_for_no_writer(harness: Harness) {
    harness.apply(SHOP).await;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let engine = &harness.engine;
    engine.activate(&call(&license, Some("mac")), "mac", ISSUER).await.unwrap();
    engine.check(&call(&license, Some("mac"))).await.unwrap();
    let writer = engine.store.begin().await.unwrap();
    for (device, code) in [("mac", VerdictCode::Valid), ("other", VerdictCode::NotActivated)] {
        let answer = engine.check(&saying(&license, device, Some("3.4"), Some("macOS 15"))).await.unwrap();
        assert_eq!(answer.verdict.code, code);
    }
    writer.let_go().await.unwrap();
    engine.write_seen().await.unwrap();
    engine.write_counts().await.unwrap();
    assert_eq!(device(&harness, &license).await.app_version.as_deref(), Some("3.4"));
    assert_eq!(
        told(&engine.denials(license.license.id).await.unwrap()),
        [(VerdictCode::NotActivated, 1, vec!["other"])]
    );
}

async fn versions_in_use_are_counted_by_product(harness: Harness) {
    harness.apply(SHOP).await;
    let licenses = harness.issue("pro", "ada@example.com", 2).await.licenses;
    let engine = &harness.engine;
    for (license, device, version) in
        [(0, "one", Some("3.3")), (0, "two", Some("3.4")), (1, "one", Some("3.4")), (1, "two", None)]
    {
        engine.activate(&saying(&licenses[license], device, version, None), device, ISSUER).await.unwrap();
    }
    let in_use = async |window, livemode| {
        let versions = engine.versions(Whose { livemode, ..whose(&harness) }, window).await.unwrap();
        let mut in_use: Vec<_> =
            versions.in_use.iter().map(|InUse { version, devices, .. }| (version.clone(), *devices)).collect();
        in_use.sort();
        (versions.days, in_use)
    };
    let all = vec![(None, 1), (Some("3.3".to_owned()), 1), (Some("3.4".to_owned()), 2)];
    assert_eq!(in_use(Window::Day, true).await, (7, all.clone()));
    assert_eq!(in_use(Window::Day, false).await, (7, vec![]), "of the other mode");
    harness.clock.advance(SignedDuration::from_hours(24 * 8));
    assert_eq!(in_use(Window::Week, true).await, (7, vec![]));
    assert_eq!(in_use(Window::Month, true).await, (30, all));
    engine.check(&saying(&licenses[0], "one", Some("3.4"), None)).await.unwrap();
    engine.write_seen().await.unwrap();
    assert_eq!(in_use(Window::Week, true).await, (7, vec![]), "what was read a moment ago is told");
    harness.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(in_use(Window::Week, true).await, (7, vec![(Some("3.4".to_owned()), 1)]));
}
