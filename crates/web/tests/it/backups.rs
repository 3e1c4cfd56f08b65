//! Backups in the console: who may see, make and take them, and what is held after a restore.

use domain::{backup::is_overdue, member::Role};
use engine::backups::file::unpack;
use jiff::{SignedDuration, Timestamp};

use crate::office::{Office, PASSWORD, Page};

const PAGE: &str = "/console/default/test/settings/backups";

fn says_all(page: &Page, all: &[&str]) {
    for words in all {
        assert!(page.says(words), "it should say `{words}`: {}", page.text);
    }
}

#[tokio::test]
async fn backups_are_for_those_who_run_the_installation() {
    let office = Office::open().await;
    office.plan_backups();
    let owner = office.member(Role::Owner).await;
    assert_eq!(owner.post(&format!("{PAGE}/now"), "note=").await.status, 303);
    let pages = ["", "/now", "/download"].map(|path| format!("{PAGE}{path}"));
    assert!(owner.get(PAGE).await.says("/download\""));
    for (role, statuses) in [
        (Role::Admin, [200, 200, 403]),
        (Role::Developer, [403; 3]),
        (Role::Support, [403; 3]),
        (Role::Viewer, [403; 3]),
    ] {
        let browser = office.member(role).await;
        for (path, status) in pages.iter().zip(statuses) {
            assert_eq!(browser.get(path).await.status, status, "{role} {path}");
        }
        assert!(!browser.get(PAGE).await.says("/download\""), "{role}");
        let settings = browser.get("/console/default/test/settings").await;
        assert_eq!(settings.says("settings/backups"), statuses[0] == 200, "{role}");
        assert_eq!(browser.post(&pages[2], "note=").await.status, 403, "{role}");
    }
    // An owner of another vendor on this server: every backup holds what is not theirs.
    let stranger = office.stranger().await;
    for path in &pages {
        assert_eq!(stranger.get(path).await.status, 404, "{path}");
        assert_eq!(stranger.get(&path.replace("/default/", "/other/")).await.status, 404, "{path}");
    }
    for path in &pages[1..] {
        assert_eq!(stranger.post(&path.replace("/default/", "/other/"), "note=").await.status, 404, "{path}");
    }
    assert!(!stranger.get("/console/other/test/settings").await.says("settings/backups"));
}

#[tokio::test]
async fn a_backup_is_made_shown_and_taken_away() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let empty = owner.get(PAGE).await;
    says_all(
        &empty,
        &["No backup was made yet", "keywright backup", "none yet", "--backup-dir /var/backups/keywright"],
    );
    assert!(!empty.says("/now\""), "there is nowhere to put one");
    says_all(&owner.get("/console/default/test").await, &["Have a backup", "How to have them made"]);

    let folder = office.plan_backups();
    office.license("pro", "lovelace@buyer.example").await;
    let asked = owner.get(&format!("{PAGE}/now")).await;
    says_all(&asked, &["The master keys are not in it", "Reason"]);
    let made = owner.post(&format!("{PAGE}/now"), "note=before+the+move").await;
    assert_eq!(made.leads_to(), format!("{PAGE}?said=backed_up"));
    let shown = owner.get(made.leads_to()).await;
    says_all(&shown, &["The backup is made.", "made", "1 account, 1 license", "Every <b>day</b>", "newest <b>2</b>"]);

    // It streams what lies there, and the audit log says who took it.
    let request = owner.request(axum::http::Method::POST, &format!("{PAGE}/download"));
    let request = request.header("origin", "https://keys.example.com");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = owner.answer(request.body(axum::body::Body::from("note=off-site")).unwrap()).await;
    assert_eq!(answer.status(), 200);
    let named = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(named.starts_with("attachment; filename=\"keywright-") && named.ends_with("Z.backup\""), "{named}");
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let file = folder.join("downloaded");
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(unpack(&file, &mut std::io::sink()).unwrap().licenses, 1);
    let audit = owner.get("/console/default/test/audit").await;
    says_all(&audit, &["Backup made", "before the move", "Backup downloaded", "off-site"]);

    // It is asked who it is, when that is long ago.
    office.clock.advance(SignedDuration::from_hours(1));
    for path in ["/now", "/download"] {
        assert!(owner.get(&format!("{PAGE}{path}")).await.leads_to().starts_with("/confirm"), "{path}");
        assert!(owner.post(&format!("{PAGE}{path}"), "note=").await.leads_to().starts_with("/confirm"), "{path}");
    }
}

#[tokio::test]
async fn what_fails_is_told_until_one_is_made() {
    let office = Office::open().await;
    let folder = office.plan_backups();
    let owner = office.member(Role::Owner).await;
    // Somebody put a file where the folder was to be.
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "not a folder").unwrap();
    office.engine.back_up_if_due().await.unwrap();
    says_all(&owner.get(PAGE).await, &["failed", "class=\"wrong\""]);
    let home = owner.get("/console/default/test/attention").await;
    says_all(
        &home,
        &["Backup overdue", "No backup was made when it was due, and there is none yet", "See the backups"],
    );
    says_all(&owner.post(&format!("{PAGE}/now"), "note=").await, &["class=\"wrong\""]);

    std::fs::remove_file(&folder).unwrap();
    // It is not tried again at once.
    office.engine.back_up_if_due().await.unwrap();
    assert!(office.engine.backups_kept().is_empty());
    office.clock.advance(SignedDuration::from_hours(1));
    office.engine.back_up_if_due().await.unwrap();
    assert_eq!(office.engine.backups_kept().len(), 1);
    assert!(!owner.get("/console/default/test/attention").await.says("Backup overdue"), "it closes by itself");
    assert!(!owner.get(PAGE).await.says("class=\"wrong\""));

    let day = SignedDuration::from_hours(24);
    for _ in 0..3 {
        office.clock.advance(day);
        office.engine.back_up_if_due().await.unwrap();
    }
    let kept = office.engine.backups_kept();
    assert_eq!(kept.len(), 2, "the newest are kept: {kept:?}");
    let newest: Timestamp = kept[0].made_at;
    assert!(!is_overdue(Some(newest), day, office.engine.now()));
}

#[tokio::test]
async fn what_is_held_after_a_restore_is_released_by_a_person() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    office.license("pro", "lovelace@buyer.example").await;
    assert_eq!(owner.get(&format!("{PAGE}/release")).await.status, 404, "nothing is held");
    office.clock.advance(SignedDuration::from_secs(60));
    office.engine.hold_outgoing(Some(office.engine.now()), &"cli".into()).await.unwrap();
    says_all(&owner.get(PAGE).await, &["Nothing leaves yet", "was restored", "1 mail<", "/release\""]);
    says_all(&owner.get("/console/default/test/attention").await, &["Outgoing held", "See the backups"]);
    says_all(&owner.get(&format!("{PAGE}/release")).await, &["Also send what waited then", "ticked or not"]);
    assert_eq!(office.member(Role::Developer).await.post(&format!("{PAGE}/release"), "note=").await.status, 403);

    // It is for all vendors: whoever asks for it shows that it is they.
    office.clock.advance(SignedDuration::from_hours(1));
    assert!(owner.get(&format!("{PAGE}/release")).await.leads_to().starts_with("/confirm"));
    assert!(owner.post(&format!("{PAGE}/release"), "note=looked").await.leads_to().starts_with("/confirm"));
    owner.post("/confirm", &format!("password={PASSWORD}")).await;
    let released = owner.post(&format!("{PAGE}/release"), "note=looked").await;
    assert_eq!(released.leads_to(), format!("{PAGE}?said=leaves_again&mails=1&deliveries=0"));
    says_all(&owner.get(released.leads_to()).await, &["but what waited before, 1 mail and 0 deliveries"]);
    says_all(
        &owner.get(&format!("{PAGE}?said=leaves_again&mails=0&deliveries=0")).await,
        &["Everything leaves again."],
    );
    assert!(!owner.get(PAGE).await.says("Nothing leaves yet"));
    let attention = owner.get("/console/default/test/attention").await;
    assert!(!attention.says("Outgoing held") && attention.says("Mails held as old"), "{}", attention.text);
    assert!(attention.says("may have left already") && !attention.says("days old"), "{}", attention.text);
    says_all(&owner.get("/console/default/test/audit").await, &["Outgoing held", "Outgoing released", "looked"]);
}
