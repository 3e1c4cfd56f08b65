//! Many licenses at once on real databases: each is changed once, whichever node does it, and no more once it is stopped.

use domain::{id::BulkChangeId, license::LicenseState};
use engine::{bulk::BulkAction, rulings::By};
use jiff::SignedDuration;
use store::{
    lists::{LicenseFilter, ListedLicense, Page, Whose},
    many::{BulkStep, status},
    rows::BulkChange,
};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases!(a_node_that_is_late_changes_nothing, what_is_stopped_stays_as_it_is);

fn by() -> By {
    By { actor: "test".to_owned(), note: None }
}

/// Three licenses, and a change of them that froze none yet.
async fn begun(harness: &Harness) -> (Whose, BulkChangeId) {
    harness.apply(SHOP).await;
    harness.issue("pro", "ada@example.com", 3).await;
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let id = harness.engine.change_licenses(whose, &BulkAction::Freeze, &listed(harness, whose).await, &by()).await;
    (whose, id.unwrap())
}

async fn listed(harness: &Harness, whose: Whose) -> Vec<ListedLicense> {
    let page = Page { limit: 10, from: None };
    harness.engine.store.list_licenses(whose, &LicenseFilter::default(), page).await.unwrap().rows
}

async fn frozen(harness: &Harness, whose: Whose) -> usize {
    let is_frozen = |listed: &&ListedLicense| listed.license.standing.state == LicenseState::Frozen;
    listed(harness, whose).await.iter().filter(is_frozen).count()
}

async fn change(harness: &Harness, whose: Whose, id: BulkChangeId) -> BulkChange {
    harness.engine.store.bulk_change(whose, id).await.unwrap().unwrap()
}

async fn a_node_that_is_late_changes_nothing(harness: Harness) {
    let (whose, id) = begun(&harness).await;
    let (store, now) = (&harness.engine.store, harness.engine.now());
    let write = store.begin().await.unwrap();
    let late = write.lease_bulk_change(id, now).await.unwrap().unwrap();
    let step = |position| BulkStep { change: id, position, lease_until: late.lease_until };
    assert!(write.take_bulk_step(step(0), "it was frozen by the other node").await.unwrap());
    assert!(!write.take_bulk_step(step(0), "").await.unwrap(), "its turn is over");
    write.commit().await.unwrap();
    assert!(!harness.engine.bulk_turn().await.unwrap(), "the other node has it");
    harness.clock.advance(SignedDuration::from_secs(61));
    harness.engine.bulk_turn().await.unwrap();
    let done = change(&harness, whose, id).await;
    assert_eq!((done.status.as_str(), done.done, done.skipped), (status::DONE, 3, 1));
    assert_eq!(frozen(&harness, whose).await, 2, "what the other node noted is done");
    let write = store.begin().await.unwrap();
    assert!(!write.take_bulk_step(step(1), "").await.unwrap());
    write.release_bulk_change(&late, harness.engine.now()).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(change(&harness, whose, id).await, done);
}

async fn what_is_stopped_stays_as_it_is(harness: Harness) {
    let (whose, id) = begun(&harness).await;
    let elsewhere = Whose { livemode: !whose.livemode, ..whose };
    assert!(harness.engine.stop_change(elsewhere, id, &by()).await.unwrap().is_none());
    assert!(harness.engine.stop_change(whose, id, &by()).await.unwrap().is_some());
    assert!(harness.engine.stop_change(whose, id, &by()).await.unwrap().is_none(), "it is over");
    assert!(!harness.engine.bulk_turn().await.unwrap());
    assert_eq!((change(&harness, whose, id).await.done, frozen(&harness, whose).await), (0, 0));
    assert_eq!(harness.audited().await.iter().filter(|action| *action == "change.stopped").count(), 1);
}
