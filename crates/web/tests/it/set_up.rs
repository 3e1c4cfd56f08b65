//! What is sold and where the money comes from, on pages: prices, products, plans, connections.

use domain::member::Role;
use engine::receive::Received;
use jiff::SignedDuration;
use providers::Delivery;

use crate::office::{Browser, Office, Page};

const PRICES: &str = "/console/default/test/prices";
const BILLING: &str = "/console/default/test/settings/billing";

/// A shop that posts its sales itself.
const SHOP: &str = r#"
    connection = [{ code = "shop", provider = "generic", mode = "test", webhook_secrets = ["env:SHOP"] }]
"#;

impl Office {
    /// The shop tells of a paid order, signed.
    pub(crate) async fn sold(&self, order: &str, price: &str) {
        // Whatever a worker read before the shop was connected is read again.
        self.clock.advance(SignedDuration::from_secs(6));
        let body = format!(
            r#"{{"id":"evt-{order}","type":"order.paid","occurred_at":"{}","livemode":false,
                "order":{{"id":"{order}","email":"ada@example.com","total":{{"amount":4900,"currency":"EUR"}},
                "items":[{{"price":"{price}","quantity":1}}]}}}}"#,
            self.engine.now()
        );
        let signature = providers::signature::sign(&"secret of env:SHOP".into(), body.as_bytes(), self.engine.now());
        let header = |name: &str| (name == providers::generic::SIGNATURE).then_some(signature.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let received = self.engine.receive("generic", "default", &delivery).await;
        assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
    }

    /// A page, as soon as what was asked for is worked on.
    pub(crate) async fn page_with(&self, browser: &Browser<'_>, path: &str, words: &str) -> Page {
        for _ in 0..1_000 {
            let page = browser.get(path).await;
            if page.says(words) {
                return page;
            }
            self.engine.fulfil().await.unwrap();
        }
        panic!("{path} never says {words}");
    }
}

#[tokio::test]
async fn an_unmapped_price_is_mapped_in_place_and_buyers_get_their_keys() {
    let office = Office::open().await;
    office.apply(SHOP).await;
    let browser = office.member(Role::Developer).await;
    office.sold("1001", "gold").await;
    let page = office.page_with(&browser, PRICES, "1 order waits").await;
    assert!(page.says("gold") && page.says("Not mapped yet"), "{}", page.text);
    let map = page.text.split_once("/map?connection=shop").unwrap().1.split('"').next().unwrap();
    let map = format!("{PRICES}/map?connection=shop{}", map.replace("&#38;", "&").replace("&amp;", "&"));
    let form = browser.get(&map).await;
    assert!(form.says("1 order waits for this price: keys are issued and mailed at once."), "{}", form.text);
    assert!(form.says(r#"value="gold""#));
    let rule = "connection=shop&about=price&value=gold&plan=pro&quantity=keys";
    assert_eq!(browser.post(&map, rule).await.leads_to(), format!("{PRICES}?said=mapped"));
    office.page_with(&browser, "/console/default/test/licenses", "pill good").await;
    let page = browser.get(PRICES).await;
    assert!(!page.says("Not mapped yet") && page.says("Pro, a key for each"), "{}", page.text);
    let id = page.text.split_once("/prices/rule_").unwrap().1.split('/').next().unwrap();
    let remove = format!("{PRICES}/rule_{id}/remove");
    assert!(browser.get(&remove).await.says("What it decided before stays decided."));
    assert_eq!(browser.post(&remove, "note=sold+out").await.leads_to(), format!("{PRICES}?said=rule_removed"));
    assert!(browser.get("/console/default/test/audit").await.says("sold out"), "the reason stands in the audit log");
    assert_eq!(browser.post(&remove, "").await.status, 404, "it is gone");
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_shown_again_with_what_is_wrong() {
    let office = Office::open().await;
    office.apply(SHOP).await;
    let browser = office.member(Role::Owner).await;
    for (form, wrong) in [
        ("connection=other&about=price&value=x&plan=pro", "Choose a connection of this mode."),
        ("connection=shop&about=price&value=&plan=pro", "Name the price or product"),
        ("connection=shop&about=default&value=x&plan=pro", "names no price"),
        ("connection=shop&about=price&value=x&plan=none", "none"),
        ("connection=shop&about=price&value=x&plan=%3F", "Choose what it gives."),
        ("connection=shop&about=price&value=x", "Choose what it gives."),
        ("connection=shop&about=price&value=x&plan=pro&activations=many", "not a whole number"),
        ("connection=shop&about=price&value=x&plan=pro&from=tomorrow", "not a day"),
        ("connection=shop&about=price&value=x&plan=pro&from=2026-12-02&until=2026-12-01", "ends after it begins"),
    ] {
        let page = browser.post(&format!("{PRICES}/map"), form).await;
        assert!(page.status == 200 && page.says(r#"class="wrong""#) && page.says(wrong), "{form}: {}", page.text);
    }
}

#[tokio::test]
async fn products_and_plans_are_made_and_changed() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let at = |path: &str| format!("/console/default/test/{path}");
    let made = browser.post(&at("products/new"), "code=halo&name=Halo&key_prefix=HALO").await;
    assert_eq!(made.leads_to(), at("products?said=saved"));
    for (form, wrong) in [
        ("code=halo&name=Halo", "There is a product"),
        ("code=no+code&name=Halo", "a code has 1 to 64"),
        ("code=x&name=Halo&key_prefix=!", "prefix"),
    ] {
        let page = browser.post(&at("products/new"), form).await;
        assert!(page.status == 200 && page.says(wrong), "{form}: {}", page.text);
    }
    let edit = browser.get(&at("products/halo/edit")).await;
    assert!(edit.says("HALO"), "{}", edit.text);

    let plan = "code=solo&name=Solo&activations=2&features=edit%2C+export&grace_days=3&offline_days=30&recheck_hours=24\
        &full_refund=freeze&partial_refund=keep&dispute=freeze&cancellation=expire_at_period_end&trial=wait&issuing=automatic\
        &mail=us&notice_frozen=on&expiring_notice_days=7";
    assert_eq!(browser.post(&at("products/halo/new-plan"), plan).await.leads_to(), at("plans/solo?said=saved"));
    let page = browser.get(&at("plans/solo")).await;
    for words in
        ["edit, export", "3 days", "30 days", "The license freezes", "nothing until it is paid", "it is frozen"]
    {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    let edit = browser.get(&at("plans/solo/edit")).await;
    assert!(edit.says("No license stands") && edit.says(r#"value="edit, export""#), "{}", edit.text);
    let changed = plan.replace("activations=2", "activations=5");
    assert_eq!(browser.post(&at("plans/solo/edit"), &changed).await.status, 303);
    assert!(browser.get(&at("products")).await.says("version 2"));
    let wrong = browser.post(&at("plans/solo/edit"), &plan.replace("activations=2", "activations=0")).await;
    assert!(wrong.says("a number from 1 on"), "{}", wrong.text);

    office.license("pro", "ada@example.com").await;
    assert!(browser.get(&at("plans/pro/edit")).await.says("1 license stands"));
    assert_eq!(browser.get(&at("plans/none")).await.status, 404);
    assert_eq!(browser.get(&at("products/none/edit")).await.status, 404);
}

#[tokio::test]
async fn a_provider_is_connected_and_its_secrets_never_come_out() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    assert!(browser.get(BILLING).await.says("Connect a provider"));
    let choice = browser.get(&format!("{BILLING}/connect")).await;
    for name in ["Stripe", "Paddle", "Lemon Squeezy", "AppSumo"] {
        assert!(choice.says(name), "{name}");
    }
    let form = browser.get(&format!("{BILLING}/connect/stripe")).await;
    assert!(form.says("https://keys.example.com/v1/webhooks/stripe/default") && form.says("whsec_"), "{}", form.text);
    let connect = |form: &'static str| {
        let browser = &browser;
        async move { browser.post(&format!("{BILLING}/connect/stripe"), form).await }
    };
    let connected = connect("code=stripe-test&webhook_secret=whsec_first").await;
    assert_eq!(connected.leads_to(), format!("{BILLING}?said=connected"));
    assert!(connect("code=stripe-test&webhook_secret=x").await.says("There is a connection"));
    let page = browser.get(BILLING).await;
    assert!(page.says("waiting for the first signed event") && !page.says("whsec_first"), "{}", page.text);

    let id = page.text.split_once("/billing/con_").unwrap().1.split('/').next().unwrap();
    let add = format!("{BILLING}/con_{id}/add-secret");
    assert_eq!(browser.post(&add, "secret=whsec_second").await.status, 303);
    assert!(browser.post(&add, "secret=").await.says("Paste the secret."));
    let page = browser.get(BILLING).await;
    assert_eq!(page.text.matches("fingerprint <code>").count(), 2, "{}", page.text);
    let print = page.text.split_once("remove-secret?fingerprint=").unwrap().1.split('"').next().unwrap();
    let remove = format!("{BILLING}/con_{id}/remove-secret");
    assert_eq!(browser.post(&remove, &format!("fingerprint={print}")).await.status, 303);
    assert!(browser.post(&remove, &format!("fingerprint={print}")).await.says("There is no webhook secret"));
    assert_eq!(browser.get(BILLING).await.text.matches("fingerprint <code>").count(), 1);
    assert_eq!(browser.get(&format!("{BILLING}/con_{id}/buyers")).await.status, 404, "Stripe sends no buyers");

    office.clock.advance(SignedDuration::from_mins(16));
    assert_eq!(
        browser.get(&add).await.leads_to(),
        format!("/confirm?next={add}"),
        "who changes a secret proves who they are"
    );
    assert_eq!(browser.post(&add, "secret=whsec_third").await.leads_to(), format!("/confirm?next={add}"));
}

#[tokio::test]
async fn the_first_signed_event_is_seen() {
    let office = Office::open().await;
    office.apply(SHOP).await;
    let browser = office.member(Role::Viewer).await;
    assert!(browser.get(BILLING).await.says("waiting for the first signed event"));
    office.sold("1001", "gold").await;
    let page = browser.get(BILLING).await;
    assert!(page.says("connected") && page.says("just now"), "{}", page.text);
    let live = browser.get("/console/default/live/settings/billing").await;
    assert!(!live.says("just now"), "a connection has one mode");
}

#[tokio::test]
async fn who_may_not_configure_only_looks() {
    let office = Office::open().await;
    office.apply(SHOP).await;
    let stranger = office.stranger().await;
    for role in [Role::Viewer, Role::Support] {
        let browser = office.member(role).await;
        for path in [
            "prices",
            "products",
            "plans/pro",
            "settings",
            "settings/billing",
            "settings/webhooks",
            "team",
            "developers",
        ] {
            let page = browser.get(&format!("/console/default/test/{path}")).await;
            assert_eq!(page.status, 200, "{role} {path}");
        }
        for path in [
            "prices/map",
            "products/new",
            "products/studio/edit",
            "products/studio/new-plan",
            "plans/pro/edit",
            "settings/billing/connect/stripe",
            "settings/webhooks/new",
            "team/invite",
            "developers/new-key",
        ] {
            let path = format!("/console/default/test/{path}");
            let statuses = (browser.get(&path).await.status, browser.post(&path, "").await.status);
            assert_eq!(statuses, (403, 403), "{role} {path}");
            assert_eq!(stranger.get(&path).await.status, 404, "{path}");
        }
    }
}
