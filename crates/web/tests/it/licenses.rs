//! Licenses on pages: found, explained, and decided about.

use domain::member::Role;
use jiff::SignedDuration;

use crate::office::Office;

#[tokio::test]
async fn a_license_is_found_by_whatever_a_person_pastes() {
    let office = Office::open().await;
    let browser = office.member(Role::Viewer).await;
    let (path, key) = office.license("pro", "ada@example.com").await;
    let (id, end) = (path.rsplit('/').next().unwrap(), key.rsplit('-').next().unwrap());
    for text in [id, &key, &key.to_lowercase(), end, &end.to_lowercase()] {
        let found = browser.get(&format!("/console/default/test/search?q={text}")).await;
        assert_eq!(found.leads_to(), path, "{text}");
    }
    let customer = browser.get("/console/default/test/search?q=Ada%40Example.com").await;
    assert!(customer.leads_to().starts_with("/console/default/test/customers/cus_"));
    for nothing in ["", "nobody%40example.com", "ZZZZ", "lic_01kag0000000000000000000000", "pi_unknown"] {
        let page = browser.get(&format!("/console/default/test/search?q={nothing}")).await;
        assert_eq!((page.status, page.says("Nothing here is called that")), (200, !nothing.is_empty()), "{nothing}");
    }
    let live = browser.get(&format!("/console/default/live/search?q={id}")).await;
    assert!(live.says("Look in test mode"), "the other mode is another list");
}

#[tokio::test]
async fn a_frozen_license_says_why_and_how_to_undo_it() {
    let office = Office::open().await;
    let browser = office.member(Role::Support).await;
    let (path, _) = office.license("pro", "ada@example.com").await;
    let page = browser.get(&path).await;
    assert!(page.says("Active because it is paid for.") && page.says("License issued"), "{}", page.text);
    let form = browser.get(&format!("{path}/freeze")).await;
    assert!(form.says("The license stops working until somebody unfreezes it.") && form.says("For the audit log."));
    let frozen = browser.post(&format!("{path}/freeze"), "note=asked+for+by+the+buyer").await;
    assert_eq!(frozen.leads_to(), format!("{path}?said=frozen"));
    let page = browser.get(&format!("{path}?said=frozen")).await;
    for words in
        ["The license is frozen.", "Frozen because it was frozen by hand.", "asked for by the buyer", ">Unfreeze<"]
    {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    let (_, led) = page.text.split_once("href=\"#entry-").unwrap();
    let (entry, words) = led.split_once("\">").unwrap();
    assert!(words.starts_with("See who did it") && page.says(&format!("id=\"entry-{entry}\"")), "{}", page.text);
    assert!(page.says("by support-") && !page.says("by member:"), "people have their names: {}", page.text);
    assert!(!browser.get(&format!("{path}?said=something")).await.says("role=\"status\""), "only known words are said");
    office.clock.advance(SignedDuration::from_secs(1));
    browser.post(&format!("{path}/unfreeze"), "note=").await;
    assert!(browser.get(&path).await.says("Active because it is paid for."));
}

#[tokio::test]
async fn each_role_does_what_it_may() {
    let office = Office::open().await;
    let (path, key) = office.license("year", "ada@example.com").await;
    for (role, freeze, revoke, reveal) in [
        (Role::Viewer, 403, 403, 403),
        (Role::Support, 303, 403, 403),
        (Role::Developer, 303, 403, 403),
        (Role::Admin, 303, 303, 200),
        (Role::Owner, 303, 303, 200),
    ] {
        let browser = office.member(role).await;
        let post = |word: &'static str| {
            let (browser, path) = (&browser, &path);
            async move { browser.post(&format!("{path}/{word}"), "").await }
        };
        assert_eq!((post("freeze").await.status, post("revoke").await.status), (freeze, revoke), "{role}");
        let shown = post("reveal").await;
        assert_eq!((shown.status, shown.says(&key)), (reveal, reveal == 200), "{role}");
        assert!(!browser.get(&path).await.says(&key), "{role}: no page shows the key by itself");
    }
    let mut support = office.browser();
    support.sign_in(Role::Support).await;
    let extend = |days: &'static str| {
        let (browser, path) = (&support, &path);
        async move { browser.post(&format!("{path}/extend"), &format!("days={days}")).await }
    };
    assert_eq!(extend("30").await.status, 303);
    for days in ["31", "0", "-1", "x", ""] {
        assert_eq!(extend(days).await.status, 200, "{days}");
    }
}

#[tokio::test]
async fn a_key_is_shown_to_who_proved_lately_who_they_are() {
    let office = Office::open().await;
    let browser = office.member(Role::Owner).await;
    let (path, key) = office.license("pro", "ada@example.com").await;
    office.clock.advance(SignedDuration::from_mins(16));
    let reveal = format!("{path}/reveal");
    assert_eq!(browser.get(&reveal).await.leads_to(), format!("/confirm?next={reveal}"));
    assert!(browser.post(&format!("/confirm?next={reveal}"), "password=wrong").await.says("That is not right."));
    assert_eq!(browser.post(&format!("/confirm?next={reveal}"), "password=correct+horse").await.leads_to(), reveal);
    assert!(browser.post(&reveal, "note=").await.says(&key));
    assert!(browser.get(&path).await.says("License key revealed"), "it stands in the timeline");
}

#[tokio::test]
async fn a_device_is_freed_and_a_key_is_tested() {
    use engine::runtime::{ActivationKind, AppCall};
    let office = Office::open().await;
    let browser = office.member(Role::Support).await;
    let (path, key) = office.license("pro", "ada@example.com").await;
    let call = AppCall {
        key,
        product: None,
        device: None,
        device_name: Some("Ada's laptop".to_owned()),
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    office.engine.activate(&call, "mac-1", "https://keys.example.com").await.unwrap();
    let page = browser.get(&path).await;
    assert!(page.says("Ada&#39;s laptop") && page.says("1 of 3"), "{}", page.text);
    for (device, code) in [("mac-1", "code valid"), ("mac-2", "code not_activated"), ("", "code valid")] {
        let tested = browser.post(&format!("{path}/test"), &format!("fingerprint={device}")).await;
        assert!(tested.says(code), "{device}: {}", tested.text);
    }
    assert_eq!(browser.get("/console/default/test/search?q=mac-1").await.leads_to(), path);
    let device = page.text.split_once("name=\"device\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let freed = browser.post(&format!("{path}/free"), &format!("device={device}")).await;
    assert_eq!(freed.leads_to(), format!("{path}?said=device_freed"));
    let page = browser.get(&path).await;
    assert!(page.says("0 of 3") && page.says("Activation freed"), "{}", page.text);
}

#[tokio::test]
async fn what_apps_said_and_were_denied_stands_on_the_page() {
    use domain::activation::Software;
    use engine::runtime::AppCall;
    let office = Office::open().await;
    let (path, key) = office.license("pro", "ada@example.com").await;
    let call = |device: &str| AppCall {
        key: key.clone(),
        device: Some(device.to_owned()),
        software: Software { app_version: Some("3.4.1".to_owned()), os: Some("macOS 15.2".to_owned()) },
        ..AppCall::default()
    };
    let activate = async |device: &str| {
        office.engine.activate(&call(device), device, "https://keys.example.com").await.unwrap();
    };
    activate("mac-1").await;
    assert!(!office.member(Role::Viewer).await.get(&path).await.says("Denied"));
    for device in ["mac-2", "mac-3", "mac-4", "mac-5", "mac-4"] {
        activate(device).await;
    }
    office.engine.write_counts().await.unwrap();
    office.clock.advance(SignedDuration::from_mins(3));
    let support = office.member(Role::Support).await;
    let page = support.get(&path).await;
    for words in [
        "<b>device</b> <span class=\"small\">· macOS 15.2 · 3.4.1</span>",
        ">online</span>",
        "; lease until 5 Dec 00:00",
        "Denied 3 times: activation limit",
        "from 2 devices, last 3 minutes ago",
        "<dt>device</dt><dd>mac-5</dd>",
        "<dt>21 Nov 2026</dt><dd>3</dd>",
        "data-only=\"denied\"",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    assert_eq!(page.text.matches("class=\"denied\"").count(), 1, "one line, however many there were");
    let customer = page.text.split("/customers/").nth(1).unwrap().split('"').next().unwrap();
    assert!(support.get(&format!("/console/default/test/customers/{customer}")).await.says("macOS 15.2 · 3.4.1"));
    office.clock.advance(SignedDuration::from_hours(24 * 15));
    let later = office.member(Role::Developer).await.get(&path).await;
    assert!(!later.says(">online</span>") && !later.says("lease until"), "{}", later.text);
}

#[tokio::test]
async fn nobody_sees_what_is_anothers() {
    let office = Office::open().await;
    let (path, _) = office.license("pro", "ada@example.com").await;
    let stranger = office.stranger().await;
    let elsewhere = path.replace("/default/", "/other/");
    let live = path.replace("/test/", "/live/");
    for path in [&path, &elsewhere, &live, &format!("{elsewhere}/freeze"), &"/console/default/test".to_owned()] {
        assert_eq!(stranger.get(path).await.status, 404, "{path}");
    }
    assert_eq!(stranger.post(&format!("{elsewhere}/freeze"), "").await.status, 404);
    let owner = office.member(Role::Owner).await;
    assert_eq!(owner.get(&live).await.status, 404, "a license has one mode");
    assert!(owner.get(&path).await.says("Active because"));
}
