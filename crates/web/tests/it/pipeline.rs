//! What comes in, what follows from it, and what needs a person: on pages.

use domain::member::Role;
use engine::receive::Received;
use jiff::SignedDuration;
use providers::{Delivery, generic, signature};
use store::lists::Whose;

use crate::office::{Browser, Office, Page};

/// A shop of a vendor's own, a plan that is sold at a price of it, and one that waits for somebody's word.
const SHOP: &str = r#"
    connection = [{ code = "shop", provider = "generic", mode = "test", webhook_secrets = ["env:SHOP"] }]
    plan = [
        { code = "pro", product = "studio", name = "Pro", activations = 3 },
        { code = "team", product = "studio", name = "Team", policy = { issuing = "after_approval" } },
    ]
    price_rule = [
        { connection = "shop", price = "pro", plan = "pro" },
        { connection = "shop", price = "team", plan = "team" },
    ]
"#;
const HERE: &str = "/console/default/test";

impl Office {
    /// An office whose shop sells.
    async fn selling() -> Self {
        let office = Self::open().await;
        office.apply(SHOP).await;
        office
    }

    /// The shop tells of something, and it is worked on.
    async fn told(&self, id: &str, kind: &str, order: &str) {
        let now = self.engine.now();
        let body = format!(r#"{{"id":"{id}","type":"{kind}","occurred_at":"{now}","order":{order}}}"#);
        let signed = signature::sign(&"secret of env:SHOP".into(), body.as_bytes(), now);
        let header = |name: &str| (name == generic::SIGNATURE).then_some(signed.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let received = self.engine.receive("generic", "default", &delivery).await;
        assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
        while self.engine.store.status(None).await.unwrap().inbox_pending > 0 {
            self.engine.fulfil().await.unwrap();
        }
    }

    /// Somebody pays at a price of the shop.
    async fn sold_to(&self, name: &str, price: &str) {
        let order = format!(
            r#"{{"id":"{name}","payment":"1","email":"{name}@example.com","total":{{"amount":4900,"currency":"EUR"}},
                "items":[{{"id":"1","price":"{price}","quantity":1}}]}}"#
        );
        self.told(&format!("evt-{name}"), "order.paid", &order).await;
    }
}

/// The first link of a page to something in a section. Ids have a line in them; the section's other pages have none.
fn link(page: &Page, section: &str) -> String {
    let start = format!("{HERE}/{section}/");
    let before = format!("\"{start}");
    let mut names = page.text.split(&before).skip(1).filter_map(|rest| rest.split(['"', '/', '?']).next());
    let name = names.find(|name| name.contains('_'));
    format!("{start}{}", name.unwrap_or_else(|| panic!("no link to {section}: {}", page.text)))
}

/// The page behind the first link of a list.
async fn first(browser: &Browser<'_>, section: &str) -> (String, Page) {
    let path = link(&browser.get(&format!("{HERE}/{section}")).await, section);
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.text);
    (path, page)
}

#[track_caller]
fn says_all(page: &Page, words: &[&str]) {
    for word in words {
        assert!(page.says(word), "{word}: {}", page.text);
    }
}

#[tokio::test]
async fn lists_that_are_empty_say_what_to_do() {
    let office = Office::open().await;
    let browser = office.member(Role::Viewer).await;
    for (section, words) in [
        ("attention", "Nothing waits for a person."),
        ("inbound", "Simulate a purchase"),
        ("customers", "Simulate a purchase"),
        ("orders", "Simulate a purchase"),
        ("mails", "Simulate a purchase"),
        ("inbound?status=held", "No event is like that."),
        ("mails?status=failed", "No mail is like that."),
        ("customers?q=nobody%40example.com", "Nobody like that has bought in test mode."),
        ("customers?q=nobody", "Nobody like that has bought in test mode."),
        ("audit", "not followed from here yet"),
    ] {
        says_all(&browser.get(&format!("{HERE}/{section}")).await, &[words]);
    }
    assert_eq!(browser.get(&format!("{HERE}/audit?order=lic_x")).await.status, 400);
    assert_eq!(browser.get(&format!("{HERE}/orders?after=lic_x")).await.status, 404);
}

#[tokio::test]
async fn a_sale_is_followed_from_its_event_to_its_mail() {
    let office = Office::selling().await;
    let browser = office.member(Role::Viewer).await;
    office.sold_to("ada", "pro").await;
    let (event, page) = first(&browser, "inbound").await;
    says_all(
        &page,
        &["order.paid", "It was understood, and this followed:", "license issued", "Purchase 49.00 EUR paid"],
    );
    says_all(&page, &["&#34;payment&#34;: &#34;1&#34;", "It needed none."]);
    assert!(!page.says(">Replay<"), "a viewer only looks");
    let order = link(&page, "orders");
    let page = browser.get(&order).await;
    says_all(&page, &["49.00 EUR", "Pro (version 1), a key each", "a rule for its price", "License delivery", "ACME-"]);
    assert_eq!(link(&page, "inbound"), event);
    let (customer, page) = first(&browser, "customers").await;
    says_all(&page, &["ada@example.com", "ACME-", "No device uses their licenses."]);
    assert_eq!(link(&page, "orders"), order);
    let found = browser.get(&format!("{HERE}/customers?q=ADA%40example.com")).await;
    assert_eq!(link(&found, "customers"), customer);
    let of_them = browser.get(&format!("{HERE}/mails?customer={}", customer.rsplit('/').next().unwrap())).await;
    says_all(&of_them, &["License delivery"]);
    let (mail, page) = first(&browser, "mails").await;
    says_all(&page, &["ada@example.com", "sandbox", "with its key masked"]);
    let key = office.engine.store.listed_license(
        Whose { tenant: office.tenant, livemode: false },
        link(&page, "licenses").rsplit('/').next().unwrap().parse().unwrap(),
    );
    let key = key.await.unwrap().unwrap().key_hint.unwrap();
    let html = browser.get(&format!("{mail}/html")).await;
    assert!(html.header("content-security-policy").starts_with("sandbox;"));
    says_all(&html, &[&key]);
    let id = order.rsplit('/').next().unwrap();
    let log = browser.get(&format!("{HERE}/audit?order={id}")).await;
    says_all(&log, &["Order created", "License announced", "generic:shop", "No. "]);
    assert!(!log.says("Member joined"), "only what is about the order");
    let whole = browser.get(&format!("{HERE}/audit")).await;
    says_all(&whole, &["Member joined", "viewer-"]);
}

#[tokio::test]
async fn a_refund_is_told_in_money_and_in_words() {
    let office = Office::selling().await;
    let browser = office.member(Role::Viewer).await;
    office.sold_to("ada", "pro").await;
    office.clock.advance(SignedDuration::from_secs(1));
    let refund = r#"{"id":"ada","payment":"1","refunded":{"amount":4900,"currency":"EUR"}}"#;
    office.told("evt-back", "order.refunded", refund).await;
    let (_, page) = first(&browser, "orders").await;
    says_all(&page, &["refunded", "given back", "in all, of", "License revoked"]);
    let (_, event) = first(&browser, "inbound").await;
    says_all(&event, &["license revoked", "active → revoked"]);
}

#[tokio::test]
async fn what_needs_a_person_is_mended_or_laid_aside() {
    let office = Office::selling().await;
    let browser = office.member(Role::Developer).await;
    office.sold_to("ada", "unheard-of").await;
    let list = browser.get(&format!("{HERE}/attention")).await;
    says_all(
        &list,
        &["Price unheard-of is not mapped", "Unmapped price", "prices/map?connection=con_", "Map the price"],
    );
    let item = link(&list, "attention");
    assert_eq!(office.member(Role::Support).await.get(&format!("{item}/dismiss")).await.status, 403);
    assert!(!office.member(Role::Viewer).await.get(&format!("{HERE}/attention")).await.says("Lay aside"));
    says_all(&browser.get(&format!("{item}/dismiss")).await, &["Nothing is mended by this", "For the audit log."]);
    let done = browser.post(&format!("{item}/dismiss"), "note=a+gift").await;
    assert_eq!(done.leads_to(), format!("{HERE}/attention?said=dismissed"));
    let list = browser.get(done.leads_to()).await;
    says_all(&list, &["The item is laid aside.", "Nothing waits for a person."]);
    says_all(&browser.get(&format!("{HERE}/audit")).await, &["Attention dismissed", "a gift", "developer-"]);
    let (_, order) = first(&browser, "orders").await;
    says_all(&order, &["laid aside", "Nothing yet: no rule speaks of its prices."]);
}

#[tokio::test]
async fn an_event_is_tried_out_before_it_is_played_again() {
    let office = Office::selling().await;
    office.sold_to("ada", "pro").await;
    let developer = office.member(Role::Developer).await;
    let (event, _) = first(&developer, "inbound").await;
    for role in [Role::Viewer, Role::Support] {
        let browser = office.member(role).await;
        assert_eq!(browser.get(&format!("{event}/replay")).await.status, 403, "{role}");
        assert_eq!(browser.post(&format!("{event}/replay"), "").await.status, 403, "{role}");
    }
    let form = developer.get(&format!("{event}/replay")).await;
    says_all(&form, &["nothing would change. Its orders hold all that it says."]);
    let played = developer.post(&format!("{event}/replay"), "note=to+be+sure").await;
    assert_eq!(played.leads_to(), format!("{event}?said=replayed"));
    says_all(&developer.get(played.leads_to()).await, &["The event is worked on again."]);
    says_all(&developer.get(&format!("{HERE}/audit")).await, &["Event replayed", "to be sure"]);
}

#[tokio::test]
async fn what_nobody_can_work_on_is_set_aside_with_a_reason() {
    let office = Office::selling().await;
    // There is no event in it: who paid for what is not known.
    office.told("evt-odd", "order.paid", r#"{"id":"odd"}"#).await;
    let admin = office.member(Role::Admin).await;
    let (event, page) = first(&admin, "inbound").await;
    says_all(&page, &["It is held:", ">Set aside<", "x-keywright-signature", "the only one that is accepted"]);
    for role in [Role::Developer, Role::Support, Role::Viewer] {
        let browser = office.member(role).await;
        assert!(!browser.get(&event).await.says(">Set aside<"), "{role}");
        assert_eq!(browser.get(&format!("{event}/ignore")).await.status, 403, "{role}");
        assert_eq!(browser.post(&format!("{event}/ignore"), "note=mine").await.status, 403, "{role}");
    }
    let form = admin.get(&format!("{event}/ignore")).await;
    says_all(&form, &["its buyer may go without a license, a key or time that is theirs", "It cannot be played again"]);
    let silent = admin.post(&format!("{event}/ignore"), "note=").await;
    says_all(&silent, &["set aside with a reason"]);
    let done = admin.post(&format!("{event}/ignore"), "note=a+trial+of+ours").await;
    assert_eq!(done.leads_to(), format!("{event}?said=ignored"));
    let page = admin.get(done.leads_to()).await;
    says_all(
        &page,
        &["It was set aside, and nobody works on it: a trial of ours.", "The event is set aside.", "closed"],
    );
    assert!(!page.says(&format!("{event}/ignore")), "it is set aside once");
    says_all(&admin.get(&format!("{event}/ignore")).await, &["The event is ignored: only one that is held"]);
    says_all(&admin.get(&format!("{HERE}/attention")).await, &["Nothing waits for a person."]);
    says_all(&admin.get(&format!("{HERE}/inbound?status=ignored")).await, &[&event, "a trial of ours"]);
    says_all(&admin.get(&format!("{HERE}/audit")).await, &["Event ignored", "a trial of ours"]);
}

#[tokio::test]
async fn what_is_known_without_it_is_set_aside_by_whoever_replays() {
    let office = Office::selling().await;
    office.sold_to("ada", "pro").await;
    // As if an older release had not understood that it was told once more.
    office.sql("UPDATE inbound_events SET status = 'held', error = 'not understood', done_at = NULL").await;
    let developer = office.member(Role::Developer).await;
    let (event, _) = first(&developer, "inbound").await;
    let form = developer.get(&format!("{event}/ignore")).await;
    says_all(&form, &["No buyer misses anything: what it says", "is known without it.", "A replay undoes this."]);
    assert_eq!(developer.post(&format!("{event}/ignore"), "note=twice").await.status, 303);
    office.clock.advance(SignedDuration::from_secs(1));
    developer.post(&format!("{event}/replay"), "").await;
    while office.engine.store.status(None).await.unwrap().inbox_pending > 0 {
        office.engine.fulfil().await.unwrap();
    }
    says_all(&developer.get(&event).await, &["It was understood", "Believed by"]);
}

#[tokio::test]
async fn an_order_waits_for_a_word() {
    let office = Office::selling().await;
    office.sold_to("ada", "team").await;
    let support = office.member(Role::Support).await;
    let (order, page) = first(&support, "orders").await;
    says_all(&page, &["waits for somebody to approve or reject it", "None yet."]);
    assert!(!page.says(">Approve<") && support.post(&format!("{order}/approve"), "").await.status == 403);
    let admin = office.member(Role::Admin).await;
    says_all(&admin.get(&order).await, &[">Approve<", ">Reject<"]);
    assert_eq!(admin.get(&format!("{order}/sell")).await.status, 404);
    says_all(&admin.get(&format!("{order}/reject")).await, &["The money is not given back by this"]);
    let rejected = admin.post(&format!("{order}/reject"), "note=stolen+card").await;
    assert_eq!(rejected.leads_to(), format!("{order}?said=rejected"));
    let page = admin.get(rejected.leads_to()).await;
    says_all(&page, &["The order is rejected", ">Approve<", "Approval"]);
    assert!(!page.says(">Reject<"));
    office.clock.advance(SignedDuration::from_secs(1));
    admin.post(&format!("{order}/approve"), "").await;
    says_all(&admin.get(&order).await, &["approved", "ACME-"]);
}

#[tokio::test]
async fn a_mail_is_sent_once_more() {
    let office = Office::selling().await;
    office.sold_to("ada", "pro").await;
    let support = office.member(Role::Support).await;
    let (mail, page) = first(&support, "mails").await;
    says_all(&page, &["Send once more"]);
    assert_eq!(office.member(Role::Viewer).await.post(&format!("{mail}/resend"), "").await.status, 403);
    says_all(
        &support.get(&format!("{mail}/resend")).await,
        &["It went to ada@example.com", "Your Halo Studio license key is ready", &format!("{mail}/html")],
    );
    let sent = support.post(&format!("{mail}/resend"), "note=asked+for").await;
    assert_eq!(sent.leads_to(), format!("{mail}?said=caught"));
    says_all(&support.get(&format!("{HERE}/audit")).await, &["Mail resent", "asked for"]);
}

#[tokio::test]
async fn nobody_follows_what_is_anothers() {
    let office = Office::selling().await;
    office.sold_to("ada", "pro").await;
    office.sold_to("bob", "unheard-of").await;
    let owner = office.member(Role::Owner).await;
    let item = link(&owner.get(&format!("{HERE}/attention")).await, "attention");
    let mut paths = vec![format!("{item}/dismiss")];
    for (section, others) in [
        ("inbound", &["", "/replay", "/ignore"][..]),
        ("customers", &[""]),
        ("orders", &["", "/approve"]),
        ("mails", &["", "/html", "/resend"]),
    ] {
        let (path, _) = first(&owner, section).await;
        paths.extend(others.iter().map(|other| format!("{path}{other}")));
    }
    let stranger = office.stranger().await;
    for path in paths {
        assert_eq!(owner.get(&path).await.status, 200, "{path}");
        for elsewhere in [path.clone(), path.replace("/default/", "/other/"), path.replace("/test/", "/live/")] {
            assert_eq!(stranger.get(&elsewhere).await.status, 404, "{elsewhere}");
            let acts =
                ["/dismiss", "/replay", "/ignore", "/approve", "/resend"].iter().any(|word| path.ends_with(word));
            assert!(!acts || stranger.post(&elsewhere, "").await.status == 404, "{elsewhere}");
        }
        assert_eq!(owner.get(&path.replace("/test/", "/live/")).await.status, 404, "{path} has one mode");
    }
    for section in ["inbound", "customers", "orders", "mails", "audit", "attention"] {
        let page = stranger.get(&format!("/console/other/test/{section}")).await;
        assert!(page.status == 200 && !page.says(">ada@example.com<"), "{section}");
    }
}

#[tokio::test]
async fn price_rules_go_out_as_a_table_and_come_back_as_a_whole() {
    let office = Office::selling().await;
    office.sold_to("ada", "pro").await;
    let developer = office.member(Role::Developer).await;
    let prices = format!("{HERE}/prices");
    let page = developer.get(&prices).await;
    says_all(&page, &["data-name=\"Sales\" class=\"number\">1<br>", ">none<", ">Import<"]);
    assert!(!page.says(">Export<") && developer.get(&format!("{prices}/export")).await.status == 403);
    let viewer = office.member(Role::Viewer).await;
    assert!(!viewer.get(&prices).await.says(">Import<"));
    assert_eq!(viewer.get(&format!("{prices}/import")).await.status, 403);

    let owner = office.member(Role::Owner).await;
    says_all(
        &owner.get(&format!("{prices}/export")).await,
        &["Import takes the file back.", "stands in the audit log"],
    );
    let file = owner.post(&format!("{prices}/export"), "format=csv").await;
    assert!(file.header("content-disposition").contains("-prices-"));
    let header = "connection,about,value,plans,quantities,devices,features,from,until";
    says_all(&file, &[header, "shop,price,pro,pro,keys,,,,", "shop,price,team,team,keys,,,,"]);

    let sent = |rows: &str| format!("rows={}", rows.replace(',', "%2C").replace('\n', "%0D%0A"));
    let same = developer.post(&format!("{prices}/import"), &sent(&file.text)).await;
    says_all(&same, &["0 rules are new, 0 change, 2 stay as they are."]);
    assert!(!same.says(">Import</button>"), "there is nothing to import");
    let rows = "connection,about,value,plans\nshop,price,pro,team\nshop,price,x,pro\n";
    let wrong = format!("{rows}shop,price,y,gold\nelsewhere,price,z,pro\n");
    let refused = developer.post(&format!("{prices}/import"), &format!("{}&sure=on", sent(&wrong))).await;
    says_all(
        &refused,
        &["1 rule is new, 1 changes", "2 rows are refused", "data-name=\"Line\">4<", "data-name=\"Line\">5<"],
    );
    says_all(&refused, &["there is no connection `elsewhere` in this mode"]);
    assert!(!refused.says(">Import</button>"), "a table is imported as a whole");
    says_all(
        &developer.post(&format!("{prices}/import"), &sent(rows)).await,
        &[">Import</button>", "nothing is written yet"],
    );
    let done = developer.post(&format!("{prices}/import"), &format!("{}&sure=on&note=new+list", sent(rows))).await;
    assert_eq!(done.leads_to(), format!("{prices}?said=imported"));
    says_all(&developer.get(&format!("{HERE}/audit")).await, &["Price rule changed", "Price rule created", "new list"]);
    assert_eq!(office.stranger().await.get(&format!("{prices}/import")).await.status, 404);
}
