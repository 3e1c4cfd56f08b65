//! Who works for a vendor, what their own systems are told, and what their app needs, on pages.

use domain::member::Role;
use jiff::SignedDuration;

use crate::office::{Browser, Office};

const TEAM: &str = "/console/default/test/team";
const WEBHOOKS: &str = "/console/default/test/settings/webhooks";
const DEVELOPERS: &str = "/console/default/test/developers";

/// What stands between two texts of a page.
fn between<'t>(text: &'t str, before: &str, after: char) -> &'t str {
    text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1.split(after).next().unwrap()
}

/// Makes an address, and returns its path and its secret.
async fn endpoint(browser: &Browser<'_>) -> (String, String) {
    let form = "code=crm&url=https%3A%2F%2Fcrm.example%2Fhooks&style=standard&schedule=short&license.created=on";
    let made = browser.post(&format!("{WEBHOOKS}/new"), form).await;
    let secret = between(&made.text, "<code>whsec_", '<').to_owned();
    let page = browser.get(WEBHOOKS).await;
    (format!("{WEBHOOKS}/whe_{}", between(&page.text, "/webhooks/whe_", '/')), secret)
}

#[tokio::test]
async fn somebody_is_invited_by_a_link_that_is_shown_once() {
    let office = Office::open().await;
    let browser = office.member(Role::Admin).await;
    let shown = browser.post(&format!("{TEAM}/invite"), "email=bob%40acme.example&role=support&note=help").await;
    let link = between(&shown.text, "<code>https://keys.example.com/join/", '<').to_owned();
    let page = browser.get(TEAM).await;
    assert!(page.says("bob@acme.example") && !page.says(&link), "{}", page.text);
    assert!(browser.get(&format!("/join/{link}")).await.status == 200);
    let id = between(&page.text, "/team/invitations/", '/');
    assert_eq!(
        browser.post(&format!("{TEAM}/invitations/{id}/withdraw"), "").await.leads_to(),
        format!("{TEAM}?said=withdrawn")
    );
    assert_ne!(browser.get(&format!("/join/{link}")).await.status, 200, "it opens nothing any more");
    assert_eq!(browser.post(&format!("{TEAM}/invite"), "email=bob%40acme.example&role=owner").await.status, 403);
    assert!(browser.post(&format!("{TEAM}/invite"), "email=bob&role=viewer").await.says("not an e-mail address"));
    office.clock.advance(SignedDuration::from_mins(16));
    assert!(browser.get(&format!("{TEAM}/invite")).await.leads_to().starts_with("/confirm"));
}

#[tokio::test]
async fn roles_are_changed_by_those_who_may() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let admin = office.member(Role::Admin).await;
    let viewer = office.member(Role::Viewer).await;
    let of = |page: &str, email: &str| {
        let row = page.split("<tr>").skip(1).find(|row| row.contains(email)).unwrap().to_owned();
        format!("{TEAM}/mem_{}", between(&row, "/team/mem_", '/'))
    };
    let page = owner.get(TEAM).await.text;
    let (its_owner, its_viewer) = (of(&page, "owner-"), of(&page, "viewer-"));
    assert_eq!(admin.post(&format!("{its_viewer}/role"), "role=support").await.status, 303);
    assert_eq!(viewer.post(&format!("{its_viewer}/role"), "role=owner").await.status, 403);
    assert_eq!(admin.post(&format!("{its_viewer}/role"), "role=owner").await.status, 403);
    assert!(admin.post(&format!("{its_owner}/remove"), "").await.says("Only an owner"));
    assert!(owner.post(&format!("{its_owner}/role"), "role=viewer").await.says("This is the only owner"));
    assert_eq!(
        admin.post(&format!("{its_viewer}/remove"), "note=left").await.leads_to(),
        format!("{TEAM}?said=member_removed")
    );
    assert_eq!(viewer.get(TEAM).await.status, 404);
    let stranger = office.stranger().await;
    let elsewhere = its_owner.replace("/default/", "/other/");
    assert_eq!(stranger.post(&format!("{elsewhere}/role"), "role=viewer").await.status, 404);
}

#[tokio::test]
async fn an_api_key_is_shown_once_and_revoked() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let new = format!("{DEVELOPERS}/new-key");
    let shown = browser.post(&new, "name=shop&kind=api&license%3Aread=on").await;
    let key = format!("kw_test_{}", between(&shown.text, "<code>kw_test_", '<'));
    let identity = office.engine.authenticate(&key).await.unwrap().unwrap();
    assert_eq!((identity.name.as_str(), identity.livemode), ("shop", false));
    let page = browser.get(DEVELOPERS).await;
    assert!(page.says("shop") && !page.says(&key), "{}", page.text);
    assert!(page.says("/.well-known/jwks.json"), "{}", page.text);
    assert_eq!(browser.post(&new, "name=more&kind=api&admin=on").await.status, 403, "nobody grants more than they may");
    assert!(browser.post(&new, "name=none&kind=api").await.says("A key without a scope opens nothing"));
    assert!(browser.post(&new, "name=shop&kind=checkout").await.says("named `shop` already"));
    let revoke = format!("{DEVELOPERS}/keys/key_{}/revoke", between(&page.text, "/keys/key_", '/'));
    let live = revoke.replace("/test/", "/live/");
    assert_eq!(browser.post(&live, "").await.status, 404, "a key has one mode");
    assert_eq!(browser.post(&revoke, "").await.leads_to(), format!("{DEVELOPERS}?said=key_revoked"));
    assert_eq!(office.engine.authenticate(&key).await.unwrap(), None);
}

#[tokio::test]
async fn an_address_is_made_changed_and_removed() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let (path, secret) = endpoint(&browser).await;
    let page = browser.get(WEBHOOKS).await;
    assert!(page.says("license.created") && page.says("enabled") && !page.says(&secret), "{}", page.text);
    let private = browser.post(&format!("{WEBHOOKS}/new"), "code=x&url=https%3A%2F%2Fcrm.test%2F").await;
    assert!(private.says("the test may not call crm.test"), "{}", private.text);
    let post = |word: &'static str, form: &'static str| {
        let (browser, path) = (&browser, &path);
        async move { browser.post(&format!("{path}/{word}"), form).await }
    };
    assert!(browser.get(&format!("{path}/change")).await.says("https://crm.example/hooks"));
    assert_eq!(
        post("change", "url=https%3A%2F%2Fcrm.example%2Fnew&style=keylight&schedule=standard").await.status,
        303
    );
    assert!(browser.get(WEBHOOKS).await.says("https://crm.example/new"));
    let rotated = post("rotate", "overlap_hours=1").await;
    assert!(rotated.says("whsec_") && !rotated.says(&secret), "{}", rotated.text);
    assert!(post("rotate", "overlap_hours=999").await.says("0 to 168 hours"));
    assert_eq!(post("pause", "note=moving").await.leads_to(), format!("{WEBHOOKS}?said=paused"));
    assert!(post("release", "").await.says("enable it first"));
    assert_eq!(post("enable", "release=on").await.status, 303);
    assert_eq!(post("recover", "since=2026-11-20T00%3A00&per_second=50").await.status, 303);
    assert!(post("recover", "since=never").await.says("A moment looks like"));
    assert_eq!(post("burn", "").await.status, 404);
    let other = office.stranger().await;
    assert_eq!(other.post(&format!("{}/pause", path.replace("/default/", "/other/")), "").await.status, 404);
    assert_eq!(browser.post(&format!("{}/pause", path.replace("/test/", "/live/")), "").await.status, 404);
    assert_eq!(post("remove", "").await.status, 303);
    assert!(!browser.get(WEBHOOKS).await.says("crm.example"));
}

#[tokio::test]
async fn an_example_is_sent_and_sent_again() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let (path, _) = endpoint(&browser).await;
    let sent = browser.post(&format!("{path}/example"), "event=license.created").await;
    let delivery = sent.leads_to().split('?').next().unwrap().to_owned();
    let page = browser.get(&delivery).await;
    assert!(page.says("license.created") && page.says("https://crm.example/hooks"), "{}", page.text);
    assert!(page.says("It is on its way.") && page.says("&#34;example&#34;: true"), "{}", page.text);
    let list = "/console/default/test/deliveries";
    let endpoint = path.rsplit('/').next().unwrap();
    for (query, is_there) in [
        (String::new(), true),
        ("?status=pending".to_owned(), true),
        ("?status=dead".to_owned(), false),
        (format!("?endpoint={endpoint}&status=pending"), true),
    ] {
        let page = browser.get(&format!("{list}{query}")).await;
        assert_eq!(page.says(&delivery), is_there, "{query}: {}", page.text);
    }
    let redeliver = format!("{delivery}/redeliver");
    assert_eq!(browser.post(&redeliver, "note=again").await.leads_to(), format!("{delivery}?said=sent"));
    let viewer = office.member(Role::Viewer).await;
    assert_eq!((viewer.get(&delivery).await.status, viewer.post(&redeliver, "").await.status), (200, 403));
    let stranger = office.stranger().await;
    assert_eq!(stranger.get(&delivery.replace("/default/", "/other/")).await.status, 404);
    assert_eq!(browser.get(&delivery.replace("/test/", "/live/")).await.status, 404);
}

#[tokio::test]
async fn a_member_of_one_vendor_joins_another_by_a_link() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let stranger = office.stranger().await;
    let by = engine::rulings::By { actor: "test".to_owned(), note: None };
    let link = office.engine.invite(office.tenant, "stranger@acme.example", Role::Support, &by).await.unwrap();
    let path = format!("/join/{}", *link.reveal());
    assert!(stranger.get(&path).await.says("and are signed in as"));
    assert_eq!(stranger.get("/console/default/test").await.status, 404, "looking joins nobody");
    assert_eq!(stranger.post(&format!("{path}/as-member"), "").await.leads_to(), "/console/default/test");
    assert!(stranger.get("/console/default/test").await.says("support of Acme"));
    assert_eq!(owner.post(&format!("{path}/as-member"), "").await.status, 404, "a link is good once");
    let less = office.engine.invite(office.tenant, "y@acme.example", Role::Viewer, &by).await.unwrap();
    owner.post(&format!("/join/{}/as-member", *less.reveal()), "").await;
    assert!(owner.get("/console/default/test").await.says("owner of Acme"), "a link takes nothing away");
    let invited = format!(
        "/join/{}",
        *office.engine.invite(office.tenant, "x@acme.example", Role::Viewer, &by).await.unwrap().reveal()
    );
    let page = office.browser().get(&invited).await;
    assert!(page.says(&format!("/sign-in?next={invited}")), "who is a member signs in and comes back: {}", page.text);
}
