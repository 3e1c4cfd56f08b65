//! What time does by itself: once, also after a while of nothing, on any number of nodes; and the clock of test mode.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{id::LicenseId, license::LicenseState, text::PlanCode};
use engine::{Engine, issue::IssueRequest, rulings::By, runtime::AppCall};
use jiff::SignedDuration;
use store::lists::Whose;

use crate::harness::{Harness, SHOP, on_both_databases, ring};

const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

on_both_databases![
    a_thousand_terms_that_end_in_one_second_end_once_on_two_nodes,
    the_clock_of_test_mode_is_ahead_for_test_mode_alone,
    what_expired_by_the_clock_of_test_mode_alone_works_again_in_real_time,
    checks_are_counted_by_the_month,
];

/// What a lease says.
pub(crate) fn claims(lease: &str) -> serde_json::Value {
    let payload = lease.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Works until there is nothing left to do.
async fn work(node: &Engine) -> usize {
    let mut claimed = 0;
    loop {
        match node.fulfil().await.unwrap().claimed {
            0 => return claimed,
            some => claimed += some,
        }
    }
}

async fn a_thousand_terms_that_end_in_one_second_end_once_on_two_nodes(harness: Harness) {
    const COUNT: usize = 1_000;
    harness.apply(SHOP).await;
    let sales: Vec<String> = {
        let mut sales = Vec::with_capacity(COUNT);
        for _ in 0..COUNT {
            sales.push(harness.sell("year").await);
        }
        sales
    };
    harness.settle().await;
    let other = harness.another_node(ring(1));
    harness.clock.advance(YEAR - HOUR);
    assert_eq!(work(&harness.engine).await + work(&other).await, 0, "nothing is due before its time");
    harness.clock.advance(HOUR + HOUR);
    let (here, there) = tokio::join!(work(&harness.engine), work(&other));
    assert_eq!(here + there, COUNT, "each is taken by one node: {here} and {there}");
    assert!(here > 0 && there > 0, "both nodes work: {here} and {there}");
    assert_eq!(work(&harness.engine).await + work(&other).await, 0, "and never again");
    let snapshot = harness.engine.store.snapshot().await.unwrap();
    let entries = snapshot.audit_after(harness.tenant, 0, 100_000).await.unwrap();
    let ended: Vec<_> = entries.iter().filter(|entry| entry.action == "license.expired").collect();
    let licenses: BTreeSet<_> = ended.iter().map(|entry| entry.license_id).collect();
    assert_eq!((ended.len(), licenses.len(), sales.len()), (COUNT, COUNT, COUNT));
}

/// Issues a key by hand; what a worker would do meanwhile is done here.
async fn issue(harness: &Harness, livemode: bool) -> (LicenseId, String) {
    let request = IssueRequest {
        tenant: harness.tenant,
        livemode,
        email: None,
        name: None,
        plan: PlanCode::new("year"),
        quantity: 1,
        send_email: false,
        reference: None,
    };
    let working = async {
        loop {
            harness.engine.fulfil().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let issued = tokio::select! {
        issued = harness.engine.issue(request) => issued.unwrap(),
        () = working => unreachable!("it works until it is dropped"),
    };
    let license = &issued.licenses[0];
    (license.license.id, license.key.reveal().to_owned())
}

/// An app asks about a key.
fn call(key: &str) -> AppCall {
    AppCall { key: key.to_owned(), ..AppCall::default() }
}

async fn the_clock_of_test_mode_is_ahead_for_test_mode_alone(harness: Harness) {
    harness.apply(SHOP).await;
    let (test, test_key) = issue(&harness, false).await;
    let (live, live_key) = issue(&harness, true).await;
    let by = By { actor: "test".to_owned(), note: None };
    let state = async |id: LicenseId, livemode| {
        let whose = Whose { tenant: harness.tenant, livemode };
        harness.engine.store.listed_license(whose, id).await.unwrap().unwrap().license.standing.state
    };
    let code = async |key: &str| harness.engine.check(&call(key)).await.unwrap().verdict.code.as_str();

    let ahead = harness.engine.advance_test_clock(harness.tenant, YEAR - HOUR, &by).await.unwrap();
    harness.settle().await;
    assert_eq!((ahead, code(&test_key).await, code(&live_key).await), (YEAR - HOUR, "ending", "ending"));
    let activated = harness.engine.activate(&call(&test_key), "device", "https://x").await.unwrap();
    let claims = claims(&activated.lease.unwrap());
    let now = harness.engine.now().as_second();
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 3_600)), "by the app's clock");

    harness.engine.advance_test_clock(harness.tenant, HOUR, &by).await.unwrap();
    assert_eq!(code(&test_key).await, "expired", "at once");
    harness.settle().await;
    assert_eq!(state(test, false).await, LicenseState::Expired);
    assert_eq!((state(live, true).await, code(&live_key).await), (LicenseState::Active, "ending"));
    assert_eq!(harness.engine.verify().await.unwrap(), [], "the doctor knows of it");
    let back = harness.engine.advance_test_clock(harness.tenant, -YEAR, &by).await.unwrap();
    assert_eq!(back, YEAR, "it never runs back");
}

async fn what_expired_by_the_clock_of_test_mode_alone_works_again_in_real_time(harness: Harness) {
    harness.apply(SHOP).await;
    let (early, early_key) = issue(&harness, false).await;
    let by = By { actor: "test".to_owned(), note: None };
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let state = async |id: LicenseId| {
        harness.engine.store.listed_license(whose, id).await.unwrap().unwrap().license.standing.state
    };
    let code = async |key: &str| harness.engine.check(&call(key)).await.unwrap().verdict.code.as_str();

    harness.engine.advance_test_clock(harness.tenant, YEAR, &by).await.unwrap();
    harness.settle().await;
    let (late, late_key) = issue(&harness, false).await;
    assert_eq!((state(early).await, state(late).await), (LicenseState::Expired, LicenseState::Active));
    assert_eq!(code(&late_key).await, "ending", "what is sold by the clock begins then");

    harness.engine.reset_test_clock(harness.tenant, &by).await.unwrap();
    harness.settle().await;
    assert_eq!((state(early).await, state(late).await), (LicenseState::Active, LicenseState::Active));
    assert_eq!((code(&early_key).await, code(&late_key).await), ("ending", "ending"));
    assert_eq!(harness.engine.verify().await.unwrap(), []);

    // What it waits for is its real end again.
    harness.clock.advance(YEAR);
    harness.settle().await;
    assert_eq!(
        (state(early).await, state(late).await),
        (LicenseState::Expired, LicenseState::Active),
        "this time it is so"
    );
    harness.engine.reset_test_clock(harness.tenant, &by).await.unwrap();
    harness.settle().await;
    assert_eq!((state(early).await, code(&early_key).await), (LicenseState::Expired, "expired"));
    let entries = harness.engine.store.snapshot().await.unwrap().audit_after(harness.tenant, 0, 1_000).await.unwrap();
    let moves: Vec<_> = entries.iter().filter(|entry| entry.action.starts_with("test_clock.")).collect();
    assert_eq!(
        moves.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(),
        ["test_clock.advanced", "test_clock.reset", "test_clock.reset",]
    );
}

/// A plan that may be checked three times a month.
const THREE: &str = r#"
    product = [{ code = "tool", name = "Tool", key_prefix = "TOOL" }]
    plan = [{ code = "year", product = "tool", name = "A year", checks_per_month = 3 }]
"#;

/// So many are answered, however many come at once; the next month begins anew.
async fn checks_are_counted_by_the_month(harness: Harness) {
    harness.apply(THREE).await;
    let (_, key) = issue(&harness, true).await;
    let call = AppCall { key, ..AppCall::default() };
    let at_once = async |count: usize| {
        let checks = (0..count).map(|_| harness.engine.check(&call));
        let checks = futures::future::join_all(checks).await;
        let mut codes: Vec<_> = checks.into_iter().map(|answer| answer.unwrap().verdict.code.as_str()).collect();
        codes.sort_unstable();
        codes
    };
    assert_eq!(at_once(5).await, ["checks_exceeded", "checks_exceeded", "valid", "valid", "valid"]);
    assert_eq!(at_once(1).await, ["checks_exceeded"]);
    harness.clock.advance(SignedDuration::from_hours(24 * 30));
    assert_eq!(at_once(1).await, ["valid"], "another month");
}
