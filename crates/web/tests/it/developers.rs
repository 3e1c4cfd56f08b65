//! What whoever writes an app or a back end finds: keys that are rolled, what was called, how to begin, and all calls.

use domain::{
    event::EventKind,
    id::{ApiKeyId, RequestId},
    member::Role,
};
use engine::requests::{Answered, Caller};
use jiff::SignedDuration;

use crate::office::{Office, Page};

const DEVELOPERS: &str = "/console/default/test/developers";
const CATALOGUE: &str = "/console/default/test/settings/webhooks/events";

#[track_caller]
fn says_all(page: &Page, words: &[&str]) {
    for word in words {
        assert!(page.says(word), "{word}: {}", page.text);
    }
}

fn between<'t>(text: &'t str, start: &str, end: char) -> &'t str {
    text.split_once(start).unwrap_or_else(|| panic!("{start}: {text}")).1.split(end).next().unwrap()
}

impl Office {
    /// Notes a call of the API that was answered now, and returns its id.
    async fn called(&self, caller: Caller, route: &str, status: u16, code: Option<&str>) -> RequestId {
        self.clock.advance(SignedDuration::from_millis(1));
        let now = self.engine.now();
        let id = RequestId::new(now, &mut *self.engine.entropy());
        self.engine.note_request(Answered {
            id,
            caller,
            method: "GET".to_owned(),
            route: route.to_owned(),
            subject: None,
            status,
            code: code.map(str::to_owned),
            detail: code.map(|_| "There is no such thing.".to_owned()),
            address: Some([192, 0, 2, 7].into()),
            received_at: now,
            took: SignedDuration::from_micros(1_540),
        });
        let whose = store::lists::Whose { tenant: self.tenant, livemode: caller.livemode.unwrap_or(false) };
        while self.engine.store.request(whose, id).await.unwrap().is_none() {
            self.engine.write_requests().await.unwrap();
            tokio::task::yield_now().await;
        }
        id
    }
}

#[tokio::test]
async fn a_key_is_rolled_and_both_open_for_a_while() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let made = browser.post(&format!("{DEVELOPERS}/new-key"), "name=shop&kind=api&license%3Aread=on").await;
    let old = format!("kw_test_{}", between(&made.text, "<code>kw_test_", '<'));
    let page = browser.get(DEVELOPERS).await;
    says_all(&page, &["shop", &old[..18], "license:read", "by developer-"]);
    let key = format!("{DEVELOPERS}/keys/key_{}", between(&page.text, "/keys/key_", '/'));
    says_all(&browser.get(&format!("{key}/roll")).await, &["opens beside it for a while", "Hours that both open"]);
    assert!(browser.post(&format!("{key}/roll"), "overlap_hours=721").await.says("0 to 720 hours"));
    let rolled = browser.post(&format!("{key}/roll"), "overlap_hours=2&note=leaked").await;
    let new = format!("kw_test_{}", between(&rolled.text, "<code>kw_test_", '<'));
    for text in [&old, &new] {
        assert!(office.engine.authenticate(text).await.unwrap().is_some(), "both open");
    }
    says_all(&browser.get(DEVELOPERS).await, &["ends soon", "in 2 hours", "works"]);
    office.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(office.engine.authenticate(&old).await.unwrap(), None);
    says_all(&browser.get(DEVELOPERS).await, &["replaced"]);
    says_all(&browser.get("/console/default/test/audit").await, &["Api key rolled", "leaked"]);
    assert_eq!(browser.post(&format!("{key}/sell"), "").await.status, 404);
}

#[tokio::test]
async fn nobody_rolls_what_they_could_not_make() {
    let office = Office::open().await;
    let (admin, developer) = (office.member(Role::Admin).await, office.member(Role::Developer).await);
    admin.post(&format!("{DEVELOPERS}/new-key"), "name=all&kind=api&admin=on").await;
    let page = developer.get(DEVELOPERS).await;
    let key = format!("{DEVELOPERS}/keys/key_{}", between(&page.text, "/keys/key_", '/'));
    assert!(!page.says(">Roll<") && page.says(">Revoke<"));
    assert!(admin.get(DEVELOPERS).await.says(">Roll<"));
    for answer in [developer.get(&format!("{key}/roll")).await, developer.post(&format!("{key}/roll"), "").await] {
        assert_eq!(answer.status, 403);
    }
    let viewer = office.member(Role::Viewer).await;
    assert!(!viewer.get(DEVELOPERS).await.says(">Revoke<"));
    assert_eq!(viewer.get(&format!("{key}/roll")).await.status, 403);
    assert_eq!(office.stranger().await.get(&format!("{key}/roll")).await.status, 404);
}

#[tokio::test]
async fn what_was_called_is_found() {
    let office = Office::open().await;
    let browser = office.member(Role::Viewer).await;
    let log = format!("{DEVELOPERS}/requests");
    says_all(&browser.get(&log).await, &["Nobody has called the API", "7 days", "50000", "60 a minute"]);
    let key = ApiKeyId(uuid::Uuid::from_u128(7));
    let known = Caller { tenant: Some(office.tenant), livemode: Some(false), api_key: Some(key), is_known: true };
    let good = office.called(known, "/v1/licenses", 200, None).await;
    let refused = office.called(known, "/api/v1/licenses/{id}", 404, Some("not_found")).await;
    let live = office.called(Caller { livemode: Some(true), ..known }, "/v1/plans", 200, None).await;
    for (query, shown, hidden) in [
        ("", vec![good, refused], vec![live]),
        ("?answer=refused", vec![refused], vec![good]),
        ("?answer=done", vec![good], vec![refused]),
        ("?answer=failed", vec![], vec![good, refused]),
        ("?route=%2Fapi", vec![refused], vec![good]),
        (&format!("?key={key}"), vec![good, refused], vec![]),
        (&format!("?id={good}"), vec![good], vec![refused]),
    ] {
        let page = browser.get(&format!("{log}{query}")).await;
        let has = |id: &RequestId| page.says(&format!("/requests/{id}"));
        assert!(shown.iter().all(has) && !hidden.iter().any(has), "{query}: {}", page.text);
    }
    says_all(&browser.get(&format!("{log}?id=req_1")).await, &["A request id looks like"]);
    let page = browser.get(&format!("{log}/{refused}")).await;
    says_all(&page, &["Refused with 404 (not_found): There is no such thing.", "1.5 ms", "192.0.2.7"]);
    says_all(&page, &["developers/reference/get_license"]);
    let found = browser.get(&format!("/console/default/test/search?q={refused}")).await;
    assert_eq!(found.leads_to(), format!("{log}/{refused}"));
    assert_eq!(browser.get(&format!("{log}/{live}")).await.status, 404, "it is of live mode");
    let stranger = office.stranger().await;
    assert_eq!(stranger.get(&format!("/console/other/test/developers/requests/{refused}")).await.status, 404);
}

#[tokio::test]
async fn every_call_is_told_with_the_vendors_own_names() {
    let office = Office::open().await;
    let browser = office.member(Role::Viewer).await;
    let (license, _) = office.license("pro", "ada@example.com").await;
    let reference = format!("{DEVELOPERS}/reference");
    let list = browser.get(&reference).await;
    says_all(&list, &["/v1/licenses/{id}/freeze", "/v1/check", "idempotency_mismatch", "/openapi.json"]);
    let found = browser.get(&format!("{reference}?q=license+freeze")).await;
    assert!(found.says("/v1/licenses/{id}/freeze") && !found.says("/v1/price-rules"));
    assert!(browser.get(&format!("{reference}?q=unheard-of")).await.says("No call is like that."));
    let activate = browser.get(&format!("{reference}/activate")).await;
    says_all(&activate, &["curl https://keys.example.com/v1/activate", "ACME-XXXX-XXXX-XXXX-XXXX", "No API key."]);
    says_all(
        &activate,
        &["&#34;product&#34;: &#34;studio&#34;", "fingerprint", "text, 255 characters at most", "lease"],
    );
    let get = browser.get(&format!("{reference}/get_license")).await;
    says_all(&get, &["An API key with the scope license:read.", license.rsplit('/').next().unwrap(), "kw_test_…"]);
    assert_eq!(browser.get(&format!("{reference}/sell")).await.status, 404);
}

#[tokio::test]
async fn the_first_steps_have_the_vendors_own_names() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let quickstart = format!("{DEVELOPERS}/quickstart");
    let page = browser.get(&quickstart).await;
    says_all(&page, &["https://keys.example.com/v1/activate", "ACME-XXXX-XXXX-XXXX-XXXX", "jwks.json"]);
    says_all(&page, &["waiting for the first activation …", "none yet", "readLease", "createHmac"]);
    assert!(!page.says("127.0.0.1") && !page.says("STUDIO-67V0"), "the book's own names stand nowhere");
    says_all(&browser.get(&format!("{quickstart}?app=python&server=go")).await, &["read_lease", "func verify"]);
    says_all(&browser.get(&format!("{quickstart}?app=rust")).await, &["keywright_license"]);
    browser.post(&format!("{DEVELOPERS}/new-key"), "name=shop&kind=api&issue=on&license%3Aread=on").await;
    let made = browser.post(&format!("{DEVELOPERS}/new-key"), "name=shop&kind=api&license%3Aread=on").await;
    assert_eq!(made.status, 200);
    says_all(&browser.get(&quickstart).await, &["there is one"]);
}

#[tokio::test]
async fn every_event_is_told_with_whom_it_reaches() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let form = "code=crm&url=https%3A%2F%2Fcrm.example%2Fhooks&style=standard&schedule=standard&license.created=on";
    let made = browser.post("/console/default/test/settings/webhooks/new", form).await;
    assert!(made.says("whsec_"), "{}", made.text);
    let list = browser.get(CATALOGUE).await;
    for kind in EventKind::ALL {
        says_all(&list, &[kind.as_str()]);
        let page = browser.get(&format!("{CATALOGUE}/{}", kind.as_str())).await;
        says_all(&page, &["As it arrives", "timestamp", "In Keylight"]);
        let is_told = *kind == EventKind::LicenseCreated;
        assert_eq!(page.says(&format!("/example?event={}", kind.as_str())), is_told, "{kind:?}");
    }
    let created = format!("{CATALOGUE}/license.created");
    says_all(&browser.get(&created).await, &["EXAMPLE-0000", "in clear, and in no other", "crm"]);
    let viewer = office.member(Role::Viewer).await;
    assert!(!viewer.get(&created).await.says("Send example"));
    assert_eq!(browser.get(&format!("{CATALOGUE}/license.sold")).await.status, 404);
}

#[tokio::test]
async fn deliveries_are_found_by_what_they_are() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let webhooks = "/console/default/test/settings/webhooks";
    let form = "code=crm&url=https%3A%2F%2Fcrm.example%2Fhooks&style=standard&schedule=standard";
    browser.post(&format!("{webhooks}/new"), form).await;
    says_all(&browser.get(webhooks).await, &["nothing was sent", "Event catalogue"]);
    let page = browser.get(webhooks).await;
    let endpoint = format!("{webhooks}/whe_{}", between(&page.text, &format!("\"{webhooks}/whe_"), '/'));
    let sent = browser.post(&format!("{endpoint}/example"), "event=license.frozen").await;
    let delivery = sent.leads_to().split('?').next().unwrap().to_owned();
    for (query, is_found) in [
        ("", true),
        ("?kind=license.frozen", true),
        ("?kind=license.created", false),
        ("?answer=2xx", false),
        ("?since=2026-11-21&until=2026-11-21", true),
        ("?since=2026-11-22", false),
        ("?until=2026-11-20", false),
    ] {
        let list = browser.get(&format!("/console/default/test/deliveries{query}")).await;
        assert_eq!(list.says(&delivery), is_found, "{query}: {}", list.text);
    }
    assert_eq!(browser.get("/console/default/test/deliveries?since=yesterday").await.status, 400);
}
