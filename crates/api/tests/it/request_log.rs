//! What the log of API calls says of which call, and of which it says nothing.

use crypto::token::ApiKeyKind;
use domain::id::{ApiKeyId, RequestId};
use engine::{api_keys::Scope, requests::STRANGERS_A_MINUTE, search::Hit};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{
    lists::{Page, Whose},
    requests::RequestFilter,
    rows::ApiRequest,
    testing::TestDatabase,
};

use crate::shop::{Shop, ids, paid};

impl Shop {
    /// What the log has, the newest first.
    async fn logged(&self, livemode: bool) -> Vec<ApiRequest> {
        self.engine.write_requests().await.unwrap();
        let whose = Whose { tenant: self.tenant, livemode };
        let page = Page { limit: 100, from: None };
        self.engine.store.examine_requests(whose, &RequestFilter::default(), page).await.unwrap().listed.rows
    }
}

/// Method, route, status and code.
fn told(rows: &[ApiRequest]) -> Vec<(&str, &str, i32, Option<&str>)> {
    rows.iter().map(|row| (&*row.method, &*row.route, row.status, row.code.as_deref())).collect()
}

#[tokio::test]
async fn calls_with_a_key_are_all_told_on_sqlite() {
    calls_with_a_key(Shop::sqlite().await).await;
}

#[tokio::test]
async fn calls_with_a_key_are_all_told_on_postgres() {
    calls_with_a_key(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn calls_with_a_key(shop: Shop) {
    let narrow = shop.key("narrow", ApiKeyKind::Test, &[Scope::LicenseRead]).await;
    let get = async |path: &str| {
        shop.clock.advance(SignedDuration::from_millis(1));
        shop.call("GET", path).key(&narrow).send().await
    };
    get("/v1/licenses?email=ada@example.com").await;
    get("/v1/plans").await;
    get("/api/v1/licenses/ACME-7F3K-9XYM-4N2A-Q7C9").await;
    let absent = "/v1/licenses/lic_01m8asx31fedtvx6qycxm4nm45";
    let answer = get(absent).await;
    let rows = shop.logged(false).await;
    assert_eq!(
        told(&rows),
        [
            ("GET", "/v1/licenses/{id}", 404, Some("not_found")),
            ("GET", "/api/v1/licenses/{id}", 404, Some("not_found")),
            ("GET", "/v1/plans", 403, Some("forbidden")),
            ("GET", "/v1/licenses", 400, Some("invalid_request")),
        ]
    );
    assert_eq!(RequestId(rows[0].id).to_string(), answer.header("request-id"), "the id that the caller has");
    assert_eq!(rows[0].subject.as_deref(), absent.rsplit('/').next());
    assert_eq!((rows[0].address.as_deref(), rows[0].livemode), (Some("192.0.2.1"), Some(false)));
    let said = rows[2].detail.as_deref().unwrap();
    assert_eq!(said, "The API key `narrow` lacks the scope `catalogue:read`.");
    let all = format!("{rows:?}");
    for secret in ["7F3K", "ada@example.com", &narrow[20..]] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    assert_eq!(shop.logged(true).await, [], "a test key's calls are of test mode");
    let whose = Whose { tenant: shop.tenant, livemode: false };
    let found = shop.engine.search(whose, answer.header("request-id")).await.unwrap();
    assert_eq!(found, [Hit::Request(RequestId(rows[0].id))]);
    let (other, _) = shop.neighbour().await;
    let elsewhere = Whose { tenant: other, ..whose };
    assert_eq!(shop.engine.search(elsewhere, answer.header("request-id")).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_that_opens_nothing_is_told_to_whom_it_belonged() {
    let shop = Shop::sqlite().await;
    let (row, key) =
        shop.engine.create_api_key(shop.tenant, "old", ApiKeyKind::Live, &[Scope::Admin], "test").await.unwrap();
    shop.engine.revoke_api_key(shop.tenant, ApiKeyId(row.id), "test").await.unwrap();
    for _ in 0..=STRANGERS_A_MINUTE {
        shop.call("GET", "/v1/plans").key(&key.reveal()).send().await;
    }
    shop.call("GET", "/v1/plans").key("kw_live_nonsense").send().await;
    shop.call("GET", "/v1/plans").send().await;
    let rows = shop.logged(true).await;
    assert_eq!(rows.len() as u32, STRANGERS_A_MINUTE, "strangers do not fill the log");
    assert_eq!(
        (rows[0].api_key_id, rows[0].status, rows[0].code.as_deref()),
        (Some(row.id), 401, Some("unauthenticated"))
    );
    let text = shop.engine.metrics_text().await.unwrap();
    assert!(text.contains("keywright_requests_left_out_total{code=\"too_many\"} 1"), "{text}");
}

#[tokio::test]
async fn of_apps_it_is_told_who_may_not_run() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await).remove(0);
    let key = shop.key_of(&license).await;
    let check = |more: Value| {
        let mut body = json!({ "key": key, "product": "studio" });
        shop.clock.advance(SignedDuration::from_millis(1));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shop.call("POST", "/v1/check").json(body)
    };
    check(json!({})).succeed().await;
    check(json!({ "device": { "fingerprint": "elsewhere" } })).succeed().await;
    check(json!({ "device": key })).refused().await;
    shop.call("GET", "/v1/nothing").refused().await;
    let rows = shop.logged(true).await;
    assert_eq!(
        told(&rows),
        [
            ("POST", "/v1/check", 400, Some("invalid_request")),
            ("POST", "/v1/check", 200, Some("not_activated")),
            ("GET", "/v1/licenses", 200, None),
        ]
    );
    assert!(!format!("{rows:?}").contains(&key), "{rows:?}");
    assert_eq!(told(&shop.logged(false).await).len(), 1, "a call that names no license is of no known mode");
}
