//! Backups, and what is held after one was restored.

use std::path::PathBuf;

use domain::id::WebhookEndpointId;
use engine::backups::{BackupError, Plan, file::read_stamp};
use jiff::SignedDuration;
use store::lists::Whose;

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases![what_waited_is_held_and_what_came_since_leaves, all_leaves_where_somebody_wants_it];

const ENDPOINT: &str = r#"
    webhook_endpoint = [{ code = "crm", mode = "live", url = "https://crm.example/hooks", events = ["license.created"] }]
"#;

/// A shop with two mails and two deliveries: one of each waited when it was held, the other came since.
async fn held(harness: &Harness) {
    harness.apply(SHOP).await;
    harness.apply(ENDPOINT).await;
    harness.issue("pro", "before@example.com", 1).await;
    harness.clock.advance(SignedDuration::from_secs(1));
    let engine = &harness.engine;
    assert_eq!(engine.outgoing_held().await.unwrap(), None);
    let backup_of = engine.now();
    engine.hold_outgoing(Some(backup_of), &"cli".into()).await.unwrap();
    let told = engine.outgoing_held().await.unwrap().unwrap();
    assert_eq!((told.since, told.backup_of), (engine.now(), Some(backup_of)));
    assert_eq!(harness.attention().await, ["outgoing_held"]);
    harness.clock.advance(SignedDuration::from_secs(1));
    harness.issue("pro", "after@example.com", 1).await;
}

async fn what_waited_is_held_and_what_came_since_leaves(harness: Harness) {
    held(&harness).await;
    let engine = &harness.engine;
    let released = engine.release_outgoing(false, &"cli".into()).await.unwrap().unwrap();
    assert_eq!((released.mails_held, released.deliveries_held), (1, 1));
    let status = engine.store.status(None).await.unwrap();
    assert_eq!((status.mails_pending, status.mails_held), (1, 1));
    assert_eq!((status.deliveries_pending, status.deliveries_held), (1, 1));
    let mut told = harness.attention().await;
    told.sort();
    assert_eq!(told, ["deliveries_held", "mails_held_as_old"]);
    assert_eq!(engine.outgoing_held().await.unwrap(), None);
    assert_eq!(engine.release_outgoing(false, &"cli".into()).await.unwrap(), None);
    assert!(harness.audited().await.contains(&"outgoing.released".to_owned()), "{:?}", harness.audited().await);
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let endpoint = engine.store.webhook_endpoints(harness.tenant).await.unwrap().remove(0);
    engine.release_webhook_deliveries(whose, WebhookEndpointId(endpoint.id), &"cli".into()).await.unwrap();
    assert_eq!(harness.attention().await, ["mails_held_as_old"]);
    engine.release_mails(harness.tenant, &"cli".into()).await.unwrap();
    assert_eq!(harness.attention().await, [""; 0]);
}

async fn all_leaves_where_somebody_wants_it(harness: Harness) {
    held(&harness).await;
    let released = harness.engine.release_outgoing(true, &"cli".into()).await.unwrap().unwrap();
    assert_eq!((released.mails_held, released.deliveries_held), (0, 0));
    let status = harness.engine.store.status(None).await.unwrap();
    assert_eq!((status.mails_pending, status.deliveries_pending), (2, 2));
    assert!(harness.attention().await.is_empty());
}

#[tokio::test]
async fn a_backup_says_what_it_is_and_is_noted() {
    let harness = Harness::sqlite().await;
    harness.apply(SHOP).await;
    harness.issue("pro", "ada@example.com", 3).await;
    harness.engine.check_ring().await.unwrap();
    let folder = harness.database.folder.path();
    let made = harness.engine.back_up(folder, &"cli".into()).await.unwrap();
    assert_eq!(made.path.file_name().unwrap(), "keywright-20261101T000000Z.backup");
    assert_eq!(made.bytes, std::fs::metadata(&made.path).unwrap().len());
    let stamp = read_stamp(&made.path).unwrap();
    let ring: Vec<String> = harness.ring.get().ids().map(|id| id.to_string()).collect();
    assert_eq!((stamp.licenses, stamp.tenants, stamp.made_at), (3, 1, harness.engine.now()));
    assert_eq!((&stamp.master_keys, stamp.schema), (&ring, store::backups::schema_known()));
    assert_eq!(harness.engine.last_backup().await.unwrap(), Some(made.clone()));
    assert_eq!(harness.audited().await.iter().filter(|action| *action == "backup.made").count(), 1);
    let metrics = harness.engine.metrics_text().await.unwrap();
    for line in [
        format!("\nkeywright_backup_last_timestamp_seconds {}\n", made.at.as_second()),
        format!("\nkeywright_backup_bytes {}\n", made.bytes),
        "\nkeywright_backups_failed_total 0\n".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} {metrics}");
    }
    // The same second has the same name.
    let again = harness.engine.back_up(folder, &"cli".into()).await;
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    let left: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.to_string_lossy().ends_with("-part")), "{left:?}");
}

#[tokio::test]
async fn a_backup_that_fails_is_told_and_counted() {
    let harness = Harness::sqlite().await;
    let folder = harness.database.folder.path().join("a-file");
    std::fs::write(&folder, "not a folder").unwrap();
    harness.engine.plan_backups(Plan { folder: folder.clone(), every: SignedDuration::from_hours(24), keep: 1 });
    harness.engine.back_up_if_due().await.unwrap();
    assert_eq!(harness.attention().await, ["backup_overdue"]);
    assert!(harness.engine.backup_is_overdue());
    let metrics = harness.engine.metrics_text().await.unwrap();
    assert!(metrics.contains("\nkeywright_backups_failed_total 1\n"), "{metrics}");
    // One that somebody makes elsewhere ends the failure as well, though the folder still has none.
    let elsewhere = harness.database.folder.path().join("by-hand.backup");
    harness.engine.back_up(&elsewhere, &"cli".into()).await.unwrap();
    assert!(harness.attention().await.is_empty());
    assert_eq!(harness.engine.failed_backup().await.unwrap(), None);
    assert!(harness.engine.backup_is_overdue());
    harness.engine.back_up_if_due().await.unwrap();
    assert_eq!(harness.attention().await, ["backup_overdue"]);
    std::fs::remove_file(&folder).unwrap();
    harness.engine.back_up_as_planned(&"test".into()).await.unwrap();
    assert!(harness.attention().await.is_empty());
    assert!(!harness.engine.backup_is_overdue());
}

#[tokio::test]
async fn a_backup_of_a_wrong_clock_keeps_none_from_being_made() {
    let harness = Harness::sqlite().await;
    let folder = harness.database.folder.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let ahead = folder.join("keywright-20991231T000000Z.backup");
    std::fs::write(&ahead, "of a wrong clock").unwrap();
    let day = SignedDuration::from_hours(24);
    harness.engine.plan_backups(Plan { folder, every: day, keep: 2 });
    assert!(harness.engine.backup_is_overdue());
    // The second look finds the one of the first, and makes none.
    for kept in [2, 3, 3, 3] {
        harness.engine.back_up_if_due().await.unwrap();
        harness.engine.back_up_if_due().await.unwrap();
        assert!(!harness.engine.backup_is_overdue());
        assert_eq!(harness.engine.backups_kept().len(), kept);
        harness.clock.advance(day);
    }
    assert_eq!(
        harness.engine.backups_kept().len(),
        3,
        "the newest two, and the one of which nobody knows how old it is"
    );
    assert!(ahead.exists());
}

#[tokio::test]
async fn postgres_is_left_to_its_own_tool() {
    let harness = Harness::postgres().await;
    let refused = harness.engine.back_up(harness.database.folder.path(), &"cli".into()).await.unwrap_err();
    assert!(refused.to_string().contains("pg_dump --format=custom"), "{refused}");
}
