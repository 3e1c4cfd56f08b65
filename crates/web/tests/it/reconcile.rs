//! Reconciling on a page, and the list of what is to be done before buyers come.

use domain::member::Role;

use crate::office::Office;

const RECONCILE: &str = "/console/default/test/reconcile";
const HOME: &str = "/console/default/test";

const CONNECTIONS: &str = r#"
    connection = [
        { code = "shop", provider = "generic", mode = "test", webhook_secrets = ["env:SHOP"] },
        { code = "keyless", provider = "paddle", mode = "test", webhook_secrets = ["env:PADDLE"] },
        { code = "stripe", provider = "stripe", mode = "test", level = "read", api_key = "env:KEY" },
        { code = "pretended", provider = "stripe", mode = "simulated", level = "none", webhook_secrets = ["env:PRETENDED"] },
    ]
"#;

#[tokio::test]
async fn a_paid_order_without_a_license_is_found_and_mended() {
    let office = Office::open().await;
    office.apply(CONNECTIONS).await;
    let browser = office.member(Role::Developer).await;
    assert!(browser.get(RECONCILE).await.says("Nothing: money and licenses agree."));
    office.sold("1001", "gold").await;
    let page = office.page_with(&browser, RECONCILE, "paid, no license").await;
    for words in ["1001", "ada@example.com", "is not mapped to a plan", "Map the price", "See the order"] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    for (query, found) in [
        ("?until=2026-11-01", false),
        ("?since=2026-11-01", true),
        ("?since=2100-01-01", false),
        ("?connection=con_00000000000000000000000000", false),
    ] {
        let page = browser.get(&format!("{RECONCILE}{query}")).await;
        assert_eq!((page.status, page.says("paid, no license")), (200, found), "{query}");
    }
    assert!(browser.get(&format!("{RECONCILE}?since=then")).await.says("then is not a day"));
    assert!(!browser.get("/console/default/live/reconcile").await.says("1001"), "the modes are apart");
}

#[tokio::test]
async fn lists_are_read_where_they_may_be_and_it_is_said_where_not() {
    let office = Office::open().await;
    office.apply(CONNECTIONS).await;
    let browser = office.member(Role::Admin).await;
    let page = browser.get(RECONCILE).await;
    for words in [
        "There is no list of events that could be read",
        "It needs an API key with the permission",
        "It answers only while something is played.",
        "not read yet",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    let read = format!("{RECONCILE}/read");
    let form = browser.get(&read).await;
    assert!(form.says("All that can be read") && form.says(">stripe<") && !form.says(">keyless<"), "{}", form.text);
    assert!(browser.post(&read, "connection=x").await.says("Choose a connection of the list."));
    let keyless = office.engine.connections().await.unwrap().iter().find(|one| one.code == "keyless").unwrap().id;
    let refused = browser.post(&read, &format!("connection={keyless}")).await;
    assert!(refused.says("No list of that can be read"), "{}", refused.text);

    let sent = browser.post(&read, "connection=&since=2026-11-01&note=a+doubt").await;
    assert_eq!(sent.leads_to(), format!("{RECONCILE}?said=reading&since=2026-11-01"));
    let page = browser.get(sent.leads_to()).await;
    assert!(page.says("being read") && page.says("data-again"), "{}", page.text);
    // Nobody answers here, and the page says so.
    assert!(office.engine.catch_up().await.unwrap());
    assert!(browser.get(RECONCILE).await.says("It is asked again"));
    let audit = browser.get("/console/default/test/audit").await;
    assert!(audit.says("Connection catch up") && audit.says("a doubt"), "{}", audit.text);
    let viewer = office.member(Role::Viewer).await;
    assert_eq!((viewer.get(RECONCILE).await.status, viewer.post(&read, "").await.status), (200, 403));
}

#[tokio::test]
async fn every_step_before_buyers_come_is_asked_of_what_is_there() {
    let office = Office::open().await;
    let browser = office.member(Role::Owner).await;
    let page = browser.get(HOME).await;
    // The server has a public address, and there are a product and a plan.
    assert!(page.says("3 of 10 done"), "{}", page.text);
    let leads = |word: &str, path: &str| format!(r#"href="{HOME}/{path}">{word}</a>"#);
    for (word, path) in [
        ("Simulate a purchase", "simulator"),
        ("See the calls", "developers/quickstart"),
        ("Connect one", "settings/billing/connect"),
        ("See what it waits for", "settings/billing"),
        ("Map one", "prices"),
        ("How to send mails", "mails/sender"),
        ("How to have them made", "settings/backups"),
    ] {
        assert!(page.says(&leads(word, path)), "{word}: {}", page.text);
    }
    assert!(!page.says("How to set it"), "the address is public");
    office.apply(CONNECTIONS).await;
    office.sold("1001", "gold").await;
    office.page_with(&browser, HOME, "5 of 10 done").await;
    office.license("pro", "ada@example.com").await;
    assert!(browser.get(HOME).await.says("6 of 10 done"));
    let viewer = office.member(Role::Viewer).await;
    let page = viewer.get("/console/default/live").await;
    assert!(page.says("Connect a provider for live money") && !page.says("Connect one"), "{}", page.text);
    let other = office.stranger().await.get("/console/other/test").await;
    assert!(other.says("0 of 7 done") && !other.says("Send mails"), "the server is its operator's: {}", other.text);
}

#[tokio::test]
async fn how_the_server_was_started_is_shown_with_how_it_is_changed() {
    let office = Office::open().await;
    let page = office.member(Role::Viewer).await.get(&format!("{HOME}/settings/server")).await;
    for words in ["https://keys.example.com", "Your browser reached the server by it.", "/mails/sender"] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    let link = format!("/setup/{}", *office.engine.make_set_up_link(office.tenant).await.unwrap().reveal());
    assert_eq!(office.browser().get(&link).await.status, 404, "there is a member already");
}
