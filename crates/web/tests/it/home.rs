//! The first page, and how pages hear that something has changed.

use axum::{body::Body, http::Method};
use domain::{activation::Software, member::Role};
use engine::runtime::{ActivationKind, AppCall};
use futures::StreamExt;
use jiff::SignedDuration;

use crate::office::{Office, Page};

const HOME: &str = "/console/default/test";

/// A card of the page, by its title.
fn card<'p>(page: &'p Page, title: &str) -> &'p str {
    let after = page.text.split(&format!(">{title}</h2>")).nth(1);
    let after = after.unwrap_or_else(|| panic!("no card {title}: {}", page.text));
    after.split("<section").next().unwrap_or_default()
}

#[tokio::test]
async fn an_empty_page_says_what_to_do() {
    let office = Office::open().await;
    let page = office.member(Role::Viewer).await.get(HOME).await;
    for words in [
        "Before buyers come",
        "Nothing waits for a person.",
        "No app has asked about a key yet.",
        "No license came or went.",
        "No new device was activated.",
        "No webhook address was called.",
        "No license ends in the next 12 weeks.",
        "No app has told its version yet.",
        "How long a key takes",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    assert!(!page.says("style="), "the policy allows no style on an element");
}

#[tokio::test]
async fn what_happened_stands_on_it() {
    let office = Office::open().await;
    let (license, key) = office.license("year", "ada@example.com").await;
    let call = |device: &str| AppCall {
        key: key.clone(),
        product: None,
        device: Some(device.to_owned()),
        device_name: None,
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    office.engine.check(&call("laptop")).await.unwrap();
    office.engine.activate(&call("laptop"), "laptop", "https://keys.example").await.unwrap();
    office.engine.check(&call("laptop")).await.unwrap();
    office.engine.write_counts().await.unwrap();
    let browser = office.member(Role::Support).await;
    let page = browser.get(HOME).await;
    let funnel = card(&page, "From payment to key");
    assert!(funnel.contains("<b>1</b><span>licenses issued</span>"), "{funnel}");
    assert!(funnel.contains(&format!("href=\"{HOME}/inbound\"")), "{funnel}");
    let checks = card(&page, "Checks by answer");
    for words in
        ["2 checks in the last 24 hours; 50.0 % may run.", "not activated", "ending", "<summary>Numbers</summary>"]
    {
        assert!(checks.contains(words), "{words}: {checks}");
    }
    assert!(card(&page, "New devices").contains("1 device activated in the last 24 hours"));
    let news = card(&page, "Lately");
    assert!(news.contains("License issued") && news.contains(&license), "{news}");

    office.clock.advance(SignedDuration::from_hours(24 * 360));
    // A browser is not signed in for so long.
    let page = office.member(Role::Viewer).await.get(HOME).await;
    let ends = card(&page, "Licenses that end");
    assert!(ends.contains("1 active license in the next 12 weeks, 1 of them within 7 days."), "{ends}");
    assert!(ends.contains("licenses?state=active&#38;within="), "{ends}");
}

#[tokio::test]
async fn versions_in_use_are_charted() {
    let office = Office::open().await;
    let (_, key) = office.license("pro", "ada@example.com").await;
    for (device, version) in [("one", Some("3.4.1")), ("two", Some("3.10")), ("three", None)] {
        let software = Software { app_version: version.map(str::to_owned), os: None };
        let call = AppCall { key: key.clone(), device: Some(device.to_owned()), software, ..AppCall::default() };
        office.engine.activate(&call, device, "https://keys.example").await.unwrap();
    }
    let browser = office.member(Role::Viewer).await;
    for (window, days) in [("", "7"), ("?window=7d", "7"), ("?window=30d", "30")] {
        let page = browser.get(&format!("{HOME}{window}")).await;
        let card = card(&page, "App versions in use");
        for words in [
            format!("3 devices seen in the last {days} days; 33.3 % of them with 3.10, the newest."),
            "<li>3.10 · 1</li><li>3.4.1 · 1</li><li>not told · 1</li>".to_owned(),
            "<th scope=\"row\">3.4.1</th><td class=\"number\">1</td>".to_owned(),
        ] {
            assert!(card.contains(&words), "{words}: {card}");
        }
    }
    assert!(!browser.get("/console/default/live").await.says("3.4.1"), "of the other mode");
}

#[tokio::test]
async fn each_window_has_its_steps() {
    let office = Office::open().await;
    office.license("pro", "ada@example.com").await;
    office.engine.write_counts().await.unwrap();
    let browser = office.member(Role::Viewer).await;
    for (window, last, unit) in [
        ("", "in the last 24 hours", "Hour (UTC)"),
        ("?window=24h", "in the last 24 hours", "Hour (UTC)"),
        ("?window=7d", "in the last 7 days", "6 hours (UTC)"),
        ("?window=30d", "in the last 30 days", "Day (UTC)"),
        ("?window=year", "in the last 24 hours", "Hour (UTC)"),
    ] {
        let page = browser.get(&format!("{HOME}{window}")).await;
        let card = card(&page, "New and ended licenses");
        assert!(card.contains(&format!("1 new and 0 ended {last}.")) && card.contains(unit), "{window}: {card}");
    }
}

#[tokio::test]
async fn pages_hear_what_changes_and_strangers_do_not() {
    let office = Office::open().await;
    let browser = office.member(Role::Viewer).await;
    let page = browser.get(HOME).await;
    let address = page.text.split("data-stream=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(address.starts_with(&format!("{HOME}/live?seen=")), "{address}");
    assert!(office.browser().get(&address).await.leads_to().starts_with("/sign-in"));
    assert_eq!(office.stranger().await.get(&address).await.status, 404);

    let response = browser.answer(browser.request(Method::GET, &address).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let begun = stream.next().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&begun).contains("retry: 2000"));
    // The engine's own worker looks every second.
    office.license("pro", "ada@example.com").await;
    let changed = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(changed.contains("event: changed") && changed.contains("data: {\"attention\":"), "{changed}");
    let id = changed.split("id: ").nth(1).unwrap().split('\n').next().unwrap();
    assert!(!address.ends_with(id));
    office.stop();
    while let Some(rest) = stream.next().await {
        let rest = String::from_utf8(rest.unwrap().to_vec()).unwrap();
        assert!(!rest.contains("panicked"), "{rest}");
    }
    assert_eq!(browser.get(&address).await.status, 503, "a server that stops begins no stream");
}

#[tokio::test]
async fn other_live_pages_say_which_parts_are_drawn_anew() {
    let office = Office::open().await;
    let (license, _) = office.license("pro", "ada@example.com").await;
    let browser = office.member(Role::Viewer).await;
    for (path, parts) in [
        (HOME.to_owned(), &["bell", "steps", "attention", "funnel", "charts", "versions", "ends", "news"][..]),
        (format!("{HOME}/attention"), &["bell", "items"]),
        (format!("{HOME}/inbound"), &["bell", "events"]),
        (license, &["bell", "why", "timeline", "devices"]),
    ] {
        let page = browser.get(&path).await;
        assert!(page.says("data-stream=\""), "{path}");
        for part in parts {
            assert!(page.says(&format!("data-live=\"{part}\"")), "{path} {part}");
        }
    }
    assert!(!browser.get(&format!("{HOME}/customers")).await.says("data-stream"), "this one does not listen");
}
