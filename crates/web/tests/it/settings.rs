//! How an installation is kept safe, and what it says of itself, on pages.

use domain::member::Role;
use jiff::SignedDuration;

use crate::office::{Browser, Office, PASSWORD};

const HOME: &str = "/console/default/test";

fn at(path: &str) -> String {
    format!("{HOME}/{path}")
}

/// What stands between two texts of a page.
fn between<'t>(text: &'t str, before: &str, after: char) -> &'t str {
    text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1.split(after).next().unwrap()
}

/// Gives the member of a browser an authenticator.
async fn with_factor(office: &Office, browser: &Browser<'_>) {
    let handle = browser.kept.split_once('=').unwrap().1.parse().unwrap();
    let who = office.engine.signed_in(&handle).await.unwrap().unwrap();
    let write = office.engine.store.begin().await.unwrap();
    write.note_factor(who.session()).await.unwrap();
    write.save_member(store::rows::Member { authenticator: Some(vec![1]), ..who.member }).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn a_signing_key_is_rotated_and_later_withdrawn() {
    let office = Office::open().await;
    let admin = office.member(Role::Admin).await;
    let path = at("settings/signing-keys");
    let page = admin.get(&path).await;
    assert!(
        page.says("https://keys.example.com/.well-known/jwks.json") && page.says("BEGIN PUBLIC KEY"),
        "{}",
        page.text
    );
    let old = between(&page.text, "<h2><code>", '<').to_owned();
    assert_eq!(admin.get(&format!("{path}/{old}/withdraw")).await.status, 200);
    assert!(admin.post(&format!("{path}/{old}/withdraw"), "").await.says("This key signs"));
    let rotate = format!("{path}/rotate");
    assert!(admin.get(&rotate).await.says("one public key built in believes no lease"));
    assert!(admin.post(&rotate, "overlap_hours=9999").await.says("0 to 2160 hours"));
    assert_eq!(
        admin.post(&rotate, "overlap_hours=24&note=yearly").await.leads_to(),
        format!("{path}?said=key_rotated")
    );
    let page = admin.get(&path).await;
    assert!(page.says("Signs leases until") && page.says("Signs leases from"), "{}", page.text);
    assert_eq!(office.engine.signer(office.tenant).await.unwrap().public().kid(), old);
    office.clock.advance(SignedDuration::from_hours(25));
    assert_ne!(office.engine.signer(office.tenant).await.unwrap().public().kid(), old);
    assert!(admin.post(&rotate, "").await.leads_to().starts_with("/confirm"), "a day ago they said who they are");
    admin.post("/confirm", &format!("password={PASSWORD}")).await;
    let retired = admin.get(&path).await;
    assert!(retired.says("Signs no more since") && retired.says(&format!("/{old}/withdraw")), "{}", retired.text);
    assert!(admin.get(&format!("{path}/{old}/withdraw")).await.says("Its last lease may be good until"));
    assert_eq!(
        admin.post(&format!("{path}/{old}/withdraw"), "").await.leads_to(),
        format!("{path}?said=key_withdrawn")
    );
    assert!(!admin.get(&path).await.says(&old));
    let audit = admin.get(&at("audit?action=signing_key.")).await;
    assert!(
        audit.says("Signing key rotated") && audit.says("Signing key withdrawn") && audit.says("yearly"),
        "{}",
        audit.text
    );
    let developer = office.member(Role::Developer).await;
    assert_eq!((developer.get(&path).await.status, developer.get(&rotate).await.status), (200, 403));
    let stranger = office.stranger().await;
    let elsewhere = format!("/console/other/test/settings/signing-keys/{old}/withdraw");
    assert_eq!(stranger.post(&elsewhere, "").await.status, 404);
}

#[tokio::test]
async fn a_shorter_memory_is_previewed_before_it_forgets() {
    let office = Office::open().await;
    let admin = office.member(Role::Admin).await;
    office.license("pro", "lovelace@buyer.example").await;
    let path = at("settings/retention");
    assert!(admin.get(&path).await.says("<b>90 days</b>"));
    office.clock.advance(SignedDuration::from_hours(24 * 6));
    let mut admin = office.browser();
    admin.sign_in(Role::Admin).await;
    let change = format!("{path}/change");
    assert!(admin.get(&format!("{change}?days=5")).await.says("5 days instead of 90 forgets"));
    let asked = admin.post(&change, "days=5").await;
    assert!(
        asked.says("This forgets something") && asked.says("events: 3; deliveries with their tries: 0"),
        "{}",
        asked.text
    );
    assert!(admin.post(&change, "days=0").await.says("Days: 1 to 3650."));
    assert_eq!(admin.post(&change, "days=5&seen=5").await.leads_to(), format!("{path}?said=saved"));
    assert!(admin.get(&path).await.says("<b>5 days</b>"));
    assert_eq!(admin.post(&change, "days=400").await.status, 303, "a longer one forgets nothing");
    assert!(admin.get(&at("audit?action=tenant.")).await.says("deliveries_kept_days 400"));
    let developer = office.member(Role::Developer).await;
    assert_eq!((developer.get(&path).await.status, developer.post(&change, "days=1&seen=1").await.status), (200, 403));
}

#[tokio::test]
async fn a_second_factor_is_required_and_nobody_locks_themselves_out() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let viewer = office.member(Role::Viewer).await;
    let (path, factor) = (at("settings/security"), at("settings/security/second-factor"));
    assert!(owner.get(&path).await.says("0 of 2 members have one"));
    assert!(owner.post(&factor, "").await.says("Set up a second factor of your own first"));
    with_factor(&office, &owner).await;
    assert!(owner.get(&factor).await.says("1 of 2 members have one"));
    assert_eq!(owner.post(&factor, "note=policy").await.leads_to(), format!("{path}?said=saved"));
    assert_eq!(viewer.get(HOME).await.leads_to(), "/account?said=second_factor");
    assert!(viewer.get("/account?said=second_factor").await.says("This vendor asks for more than a password"));
    assert_eq!(owner.get(HOME).await.status, 200);
    with_factor(&office, &viewer).await;
    assert_eq!(viewer.get(HOME).await.status, 200);
    assert_eq!(viewer.post(&factor, "").await.status, 403);
    assert!(owner.get(&at("settings")).await.says("2 of 2 members have a second factor, required"));
    assert_eq!(owner.post(&factor, "").await.status, 303);
    assert!(owner.get(&at("audit?action=tenant.second_factor_required")).await.says("no → yes"));
}

#[tokio::test]
async fn browsers_of_others_are_signed_out_by_who_may() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let admin = office.member(Role::Admin).await;
    let viewer = office.member(Role::Viewer).await;
    let path = at("settings/security");
    let page = admin.get(&path).await;
    assert!(page.says("192.0.2.1") && page.says("this one"), "{}", page.text);
    assert!(!viewer.get(&path).await.says("192.0.2.1"), "who may not sign others out sees no addresses");
    let ids: Vec<&str> =
        page.text.split("/browsers/ses_").skip(1).map(|rest| rest.split('/').next().unwrap()).collect();
    assert_eq!(ids.len(), 1, "neither the owner's nor their own: {}", page.text);
    let sign_out = format!("{path}/browsers/ses_{}/sign-out", ids[0]);
    assert_eq!(viewer.post(&sign_out, "").await.status, 403);
    let stranger = office.stranger().await;
    assert_eq!(stranger.post(&sign_out.replace("/default/", "/other/"), "").await.status, 404);
    assert!(admin.get(&sign_out).await.says("test at 192.0.2.1"));
    assert_eq!(admin.post(&sign_out, "note=lost+laptop").await.leads_to(), format!("{path}?said=signed_out"));
    assert!(viewer.get(HOME).await.leads_to().starts_with("/sign-in"));
    let page = owner.get(&path).await;
    let admins = format!("{path}/members/mem_{}/sign-out", between(&page.text, "/members/mem_", '/'));
    let owners = owner.get(&at("team")).await;
    let owners = format!("{path}/members/mem_{}/sign-out", between(&owners.text, "/team/mem_", '/'));
    assert!(admin.post(&owners, "").await.says("Only an owner"), "an admin takes nothing from an owner");
    assert_eq!(owner.post(&admins, "").await.status, 303);
    assert!(admin.get(HOME).await.leads_to().starts_with("/sign-in"));
    assert!(owner.get(&at("audit?action=member.signed_out")).await.says("lost laptop"));
}

#[tokio::test]
async fn the_audit_log_is_filtered_followed_and_taken_along() {
    let office = Office::open().await;
    let (license, _) = office.license("pro", "lovelace@buyer.example").await;
    let admin = office.member(Role::Admin).await;
    let id = license.rsplit('/').next().unwrap();
    for (query, shown, hidden) in [
        ("action=license.", "License issued", "Member joined"),
        ("action=member.joined", "Member joined", "License issued"),
        (&format!("about={id}"), "License issued", "Member joined"),
        ("actor=test", "Product created", "Member joined"),
        ("from=2026-11-21&to=2026-11-21", "Member joined", "says nothing"),
        ("to=2026-11-20", "The log says nothing about that", "Member joined"),
    ] {
        let page = admin.get(&at(&format!("audit?{query}"))).await;
        assert!(page.says(shown), "{query} shows {shown}: {}", page.text);
        let list = page.text.split("class=\"entries\"").nth(1).unwrap_or_default();
        assert!(!list.contains(hidden), "{query} hides {hidden}: {}", page.text);
    }
    assert_eq!(admin.get(&at("audit?from=yesterday")).await.status, 400);
    assert!(admin.get(&at("audit")).await.says("not followed from here yet"));
    assert_eq!(admin.post(&at("audit/verify"), "").await.status, 303);
    assert!(admin.get(&at("audit")).await.says("none is missing, changed, or was put in later"));
    let export = at("audit/export");
    let filtered = format!("{export}?action=license.");
    assert!(admin.get(&filtered).await.says("Only the entries of the audit log that the list is filtered by now"));
    let csv = admin.post(&filtered, "format=csv&note=tax").await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"default-test-audit-2026-11-21.csv\"");
    assert!(csv.text.starts_with("sequence,id,") && csv.says(",license.issued,"), "{}", csv.text);
    let json = admin.post(&export, "format=json").await;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json.text).unwrap();
    let mut taken_along = rows.iter().filter(|row| row["action"] == "audit.exported");
    assert!(taken_along.any(|row| row["detail"]["note"] == "tax"), "that it was taken along before: {rows:#?}");
    let developer = office.member(Role::Developer).await;
    assert_eq!(
        (developer.post(&export, "format=csv").await.status, developer.get(&at("audit")).await.status),
        (403, 200)
    );
    let statement = "UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 2";
    office.sql(statement).await;
    admin.post(&at("audit/verify"), "").await;
    assert!(admin.get(&at("audit")).await.says("Entry 2 of the audit log"));
}

#[tokio::test]
async fn an_alert_channel_is_made_tried_changed_and_removed() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let path = at("settings/integrations");
    assert!(browser.get(&path).await.says("Make the first one"));
    let new = format!("{path}/new");
    assert!(browser.post(&new, "kind=mail&to=nobody&code=ops").await.says("role=\"alert\""));
    assert_eq!(browser.post(&new, "kind=mail&to=ops%40acme.example&code=ops&no_address=on").await.status, 303);
    let page = browser.get(&path).await;
    assert!(
        page.says("o…@acme.example") && page.says("nobody to send a key to") && !page.says("ops@acme"),
        "{}",
        page.text
    );
    let channel = format!("{path}/alc_{}", between(&page.text, "/integrations/alc_", '/'));
    assert_eq!(browser.post(&format!("{channel}/test"), "").await.leads_to(), format!("{path}?said=sent"));
    assert!(browser.get(&path).await.says("A test"));
    assert!(browser.get(&format!("{channel}/change")).await.says("name=\"no_address\" value=\"on\" checked"));
    assert_eq!(browser.post(&format!("{channel}/change"), "to=&unmapped_price=on").await.status, 303);
    let page = browser.get(&path).await;
    assert!(page.says("a price is not mapped") && page.says("o…@acme.example"), "{}", page.text);
    let signed = browser.post(&new, "kind=webhook&to=https%3A%2F%2Fcrm.example%2Fin%3Ftoken%3Dx&code=crm").await;
    assert!(signed.says("<code>whsec_"), "{}", signed.text);
    assert!(!browser.get(&path).await.says("token=x"));
    assert_eq!(browser.post(&format!("{channel}/burn"), "").await.status, 404);
    assert_eq!(
        browser.post(&format!("{}/remove", channel.replace("/test/settings", "/live/settings")), "").await.status,
        404
    );
    let stranger = office.stranger().await;
    assert_eq!(stranger.post(&format!("{}/remove", channel.replace("/default/", "/other/")), "").await.status, 404);
    let support = office.member(Role::Support).await;
    assert_eq!(support.post(&format!("{channel}/remove"), "").await.status, 403);
    assert_eq!(browser.post(&format!("{channel}/remove"), "").await.status, 303);
    assert!(!browser.get(&path).await.says("o…@acme.example"));
}

#[tokio::test]
async fn about_says_to_whom_what_they_need() {
    let office = Office::open().await;
    let (_, key) = office.license("pro", "lovelace@buyer.example").await;
    let owner = office.member(Role::Owner).await;
    let path = at("settings/about");
    let page = owner.get(&path).await;
    for words in [
        "Keywright 0.1.0",
        "SQLite 3.",
        "/var/lib/keywright",
        "licenses: 1",
        "No backups are made by themselves.",
        "Browsers and apps come by HTTPS",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    for secret in ["lovelace", "acme.example", &key] {
        assert!(!page.text.split("<main").nth(1).unwrap().contains(secret), "{secret} is in the text for support");
    }
    let examined = owner.post(&format!("{path}/doctor"), "").await;
    assert!(examined.says("All invariants hold") && examined.says("findings: none"), "{}", examined.text);
    office.sql("UPDATE licenses SET state = 'revoked'").await;
    assert!(owner.post(&format!("{path}/doctor"), "").await.says("differ from its document"));
    let viewer = office.member(Role::Viewer).await;
    let page = viewer.get(&path).await;
    assert!(page.says("Keywright 0.1.0") && !page.says("/var/lib/keywright"), "{}", page.text);
    assert_eq!(viewer.post(&format!("{path}/doctor"), "").await.status, 403);
    let stranger = office.stranger().await;
    let elsewhere = "/console/other/test/settings/about";
    assert!(!stranger.get(elsewhere).await.says("/var/lib/keywright"), "a guest on this server");
    assert_eq!(stranger.post(&format!("{elsewhere}/doctor"), "").await.status, 404);
}

/// Whoever knows a password, and nothing else, does not get behind a second factor by adding one of their own.
#[tokio::test]
async fn a_password_alone_changes_no_second_factor() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    with_factor(&office, &owner).await;
    assert_eq!(owner.post(&at("settings/security/second-factor"), "").await.status, 303);
    let who = office.engine.store.members().await.unwrap().remove(0);
    let from = engine::members::CameFrom { address: "192.0.2.9".to_owned(), agent: "thief".to_owned() };
    let write = office.engine.store.begin().await.unwrap();
    write.save_member(store::rows::Member { authenticator: None, ..who.clone() }).await.unwrap();
    write.commit().await.unwrap();
    let entered = office.engine.sign_in(&who.email, crate::office::PASSWORD, &from).await.unwrap();
    let write = office.engine.store.begin().await.unwrap();
    write.save_member(store::rows::Member { authenticator: who.authenticator.clone(), ..who.clone() }).await.unwrap();
    write.commit().await.unwrap();
    let thief = office.engine.signed_in(&entered.handle).await.unwrap().unwrap();
    let new = office.engine.new_authenticator(&who).unwrap();
    for refused in [
        office.engine.set_authenticator(&thief, &new.sealed, "000000").await,
        office.engine.remove_authenticator(&thief).await,
    ] {
        assert!(matches!(refused, Err(engine::members::MemberError::FactorFirst)), "{refused:?}");
    }
    assert_eq!(owner.get(HOME).await.status, 200);
}
