//! Every page that is led to, and every form on one, by everybody: nobody finds or does what they should not, and nothing
//! breaks.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    http::{Method, header},
};
use domain::member::Role;
use engine::{import::ImportOptions, rulings::By};
use store::lists::Whose;
use url::form_urlencoded::Serializer;

use crate::office::{Browser, Office};

const HOME: &str = "/console/default/test";

/// A shop that sells, and somebody who is told of it.
const SHOP: &str = r#"
    connection = [{ code = "shop", provider = "generic", mode = "test", webhook_secrets = ["env:SHOP"] }]
    price_rule = [{ connection = "shop", price = "pro", plan = "pro" }]
    webhook_endpoint = [{ code = "crm", mode = "test", url = "https://crm.example/hooks", events = ["license.created"] }]
"#;

/// How the characters that mean something in HTML are written there.
const ESCAPED: [(&str, &str); 4] = [("&#38;", "&"), ("&amp;", "&"), ("&#34;", "\""), ("&#39;", "'")];

/// An attribute of a tag, as a browser reads it.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!(" {name}=\""))?.1.split('"').next()?;
    Some(ESCAPED.iter().fold(value.to_owned(), |text, (escaped, meant)| text.replace(escaped, meant)))
}

/// An address without its fragment, if it is within this vendor's test mode.
fn here(address: &str) -> Option<String> {
    let address = address.split('#').next().unwrap_or(address);
    address.starts_with(HOME).then(|| address.to_owned())
}

/// Where a page leads to, within this vendor's test mode.
fn links(page: &str) -> BTreeSet<String> {
    page.split('<').filter_map(|tag| here(&attribute(tag, "href")?)).collect()
}

/// What the button of a form would send, and to which address, with what already stands in it.
fn form(page: &str, form: &str) -> Option<(String, String)> {
    let (head, rest) = form.split_once('>')?;
    if attribute(head, "method")? != "post" {
        return None;
    }
    let mut fields = Serializer::new(String::new());
    let mut select = None;
    for tag in rest.split("</form>").next()?.split('<').filter_map(|tag| tag.split('>').next()) {
        if tag.starts_with("select") {
            select = attribute(tag, "name");
        } else if tag.starts_with("option") {
            // The first of them stands for all.
            select.take().map(|name| fields.append_pair(&name, &attribute(tag, "value").unwrap_or_default()));
        } else if let Some(name) = attribute(tag, "name") {
            fields.append_pair(&name, &attribute(tag, "value").unwrap_or_default());
        }
    }
    Some((here(&attribute(head, "action").unwrap_or_else(|| page.to_owned()))?, fields.finish()))
}

/// The forms of pages: where each goes, and with what.
fn forms(pages: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    pages.iter().flat_map(|(path, text)| text.split("<form").skip(1).filter_map(|rest| form(path, rest))).collect()
}

/// All pages that somebody is led to from the first one, with their texts.
async fn walked(browser: &Browser<'_>) -> BTreeMap<String, String> {
    let (mut known, mut ahead) = (BTreeMap::new(), vec![HOME.to_owned()]);
    while let Some(path) = ahead.pop() {
        if known.contains_key(&path) {
            continue;
        }
        let page = browser.get(&path).await;
        assert!([200, 303].contains(&page.status), "{path}: {} {}", page.status, page.text);
        ahead.extend(links(&page.text));
        known.insert(path, page.text);
    }
    known
}

impl Office {
    /// Makes one of everything that can be acted upon.
    async fn become_busy(&self, owner: &Browser<'_>) {
        let by = By { actor: "test".to_owned(), note: None };
        self.apply(SHOP).await;
        self.plan_backups();
        self.engine.back_up_as_planned(&by).await.unwrap();
        self.engine.hold_outgoing(None, &by).await.unwrap();
        self.license("pro", "lovelace@buyer.example").await;
        self.sold("1001", "pro").await;
        self.sold("1002", "gold").await;
        self.page_with(owner, &format!("{HOME}/prices"), "1 order waits").await;
        let whose = Whose { tenant: self.tenant, livemode: false };
        let file = b"key,plan\nOLD-KEY-1234,pro\nshort,pro\n";
        let preview = self.engine.preview_import(whose, file, &ImportOptions::default()).await.unwrap();
        self.engine.prepare_import(whose, preview, &by).await.unwrap();
        self.engine.invite(self.tenant, "bob@acme.example", Role::Support, &by).await.unwrap();
        for (path, form) in [
            ("developers/new-key", "name=shop&kind=api&license%3Aread=on"),
            ("licenses/views/new?state=active", "name=Active"),
            ("licenses/changes/new?action=extend&all=on", "days=1"),
        ] {
            let sent = owner.post(&format!("{HOME}/{path}"), form).await;
            assert!([200, 303].contains(&sent.status), "{path}: {}", sent.text);
        }
    }
}

#[tokio::test]
async fn nobody_finds_what_they_should_not() {
    let office = Office::open().await;
    let (license, key) = office.license("pro", "lovelace@buyer.example").await;
    let mut members = Vec::new();
    for role in [Role::Viewer, Role::Support, Role::Developer, Role::Admin] {
        members.push((role, office.member(role).await));
    }
    let owner = office.member(Role::Owner).await;
    let (revoked, _) = office.license("pro", "babbage@buyer.example").await;
    assert_eq!(owner.post(&format!("{revoked}/revoke"), "note=").await.status, 303);
    let pages = walked(&owner).await;
    assert!(pages.contains_key(&license) && pages.contains_key(&revoked) && pages.len() > 50, "{:#?}", pages.keys());

    for (role, browser) in &members {
        for path in pages.keys() {
            let page = browser.get(path).await;
            assert!([200, 303, 403].contains(&page.status), "{role} {path}: {}", page.status);
            assert!(!page.says(&key), "{role} {path}: no page shows the key by itself");
        }
        let led_to = walked(browser).await;
        let elsewhere: Vec<&String> = led_to.keys().filter(|path| !pages.contains_key(*path)).collect();
        assert!(elsewhere.is_empty(), "{role} is led elsewhere: {elsewhere:#?}");
        for path in led_to.keys() {
            assert_ne!(browser.get(path).await.status, 403, "{role} is led to {path}, which they may not see");
        }
    }

    let (nobody, stranger) = (office.browser(), office.stranger().await);
    let own = license.rsplit('/').next().unwrap();
    for path in pages.keys() {
        assert!(nobody.get(path).await.leads_to().starts_with("/sign-in?next="), "{path}");
        assert_eq!(stranger.get(path).await.status, 404, "{path}");
        let page = stranger.get(&path.replace("/default/", "/other/")).await;
        assert!([200, 303, 400, 404].contains(&page.status), "{path}: {}", page.status);
        for secret in [own, "lovelace@buyer.example", &key] {
            assert!(!page.says(secret) || path.contains(secret), "{path} shows {secret} to another vendor");
        }
    }
}

#[tokio::test]
async fn nobody_does_what_they_should_not() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    office.become_busy(&owner).await;
    let mut members = Vec::new();
    for role in [Role::Viewer, Role::Support, Role::Developer] {
        members.push((role, office.member(role).await));
    }
    let (nobody, stranger) = (office.browser(), office.stranger().await);
    let all = forms(&walked(&owner).await);
    // Comes last: who may sign others out may sign themselves out as well, and no form is for that.
    members.push((Role::Admin, office.member(Role::Admin).await));
    assert!(all.len() > 60, "{all:#?}");
    let log = owner.get(&format!("{HOME}/audit")).await.text;

    for (role, browser) in &members {
        let own = forms(&walked(browser).await);
        for (path, form) in all.iter().filter(|(path, _)| !own.contains_key(*path)) {
            let answer = browser.post(path, form).await;
            // Or the form is shown once more, with what is wrong: there is no form for an owner, and no way to remove one.
            let is_refused = [403, 404].contains(&answer.status) || answer.says("class=\"wrong\"");
            assert!(is_refused, "{role} may {path}: {} {form} {}", answer.status, answer.text);
        }
    }
    for (path, form) in &all {
        assert!(nobody.post(path, form).await.leads_to().starts_with("/sign-in"), "{path}");
        assert_eq!(stranger.post(path, form).await.status, 404, "{path}");
        if path.split('?').next().is_some_and(|path| path.contains('_')) {
            let elsewhere = path.replace("/default/", "/other/");
            assert_eq!(stranger.post(&elsewhere, form).await.status, 404, "{elsewhere}");
        }
        for origin in [None, Some("https://evil.example"), Some("null")] {
            let mut request = owner.request(Method::POST, path);
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            let refused = owner.send(request.body(Body::from(form.clone())).unwrap()).await;
            assert_eq!(refused.status, 403, "{path} from {origin:?}");
        }
    }
    assert_eq!(owner.get(&format!("{HOME}/audit")).await.text, log, "nothing was done");
}
