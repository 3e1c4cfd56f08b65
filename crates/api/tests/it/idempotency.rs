//! Calls that are made again.

use crypto::token::ApiKeyKind;
use engine::api_keys::Scope;
use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{Answer, Shop, ids};

impl Shop {
    async fn issue(&self, api_key: &str, idempotency_key: &str, body: &Value) -> Answer {
        let call = self.call("POST", "/v1/issue").key(api_key).header("idempotency-key", idempotency_key);
        call.json(body.clone()).send().await
    }
}

fn basic() -> Value {
    json!({ "plan": "basic", "email": "ada@example.com" })
}

#[tokio::test]
async fn twenty_equal_calls_at_once_make_one_order_on_sqlite() {
    twenty_at_once(Shop::sqlite().await).await;
}

#[tokio::test]
async fn twenty_equal_calls_at_once_make_one_order_on_postgres() {
    twenty_at_once(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn twenty_at_once(shop: Shop) {
    shop.start();
    let body = basic();
    let answers = join_all((0..20).map(|_| shop.issue(&shop.live, "purchase-1", &body))).await;
    let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    let running: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 409).collect();
    assert_eq!(done.len() + running.len(), 20, "{answers:?}");
    assert!(!done.is_empty());
    for answer in running {
        assert_eq!((answer.json()["code"].as_str(), answer.header("retry-after")), (Some("idempotency_running"), "1"));
    }
    // Whoever asks again gets the first answer, to the letter.
    let again = shop.issue(&shop.live, "purchase-1", &body).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(again.header("content-type"), "application/json");
    for answer in done {
        assert_eq!(answer.text, again.text);
    }
    assert_eq!(ids(&shop.get("/v1/orders").await), [again.json()["order"].as_str().unwrap()]);
    assert_eq!(ids(&shop.get("/v1/licenses").await).len(), 1);
    // What is issued without a key, or with another, is another sale.
    let other = shop.issue(&shop.live, "purchase-2", &body).await;
    assert_eq!((other.status.as_u16(), other.header("idempotency-replayed")), (200, ""));
    assert_eq!(ids(&shop.get("/v1/orders").await).len(), 2);
}

#[tokio::test]
async fn a_key_belongs_to_one_call_of_one_caller() {
    let shop = Shop::sqlite().await;
    shop.start();
    let first = shop.issue(&shop.live, "key", &basic()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    for (path, body) in
        [("/v1/issue", json!({ "plan": "pro" })), ("/v1/issue?", basic()), ("/v1/licenses/lookup", basic())]
    {
        let call = shop.call("POST", path).key(&shop.live).header("idempotency-key", "key").json(body);
        assert_eq!(call.refused().await, (422, "idempotency_mismatch".to_owned()), "{path}");
    }
    // Another API key's calls are its own: nobody reads what another was answered.
    let other = shop.key("other", ApiKeyKind::Live, &[Scope::LicenseRead]).await;
    assert_eq!(shop.issue(&other, "key", &basic()).await.status, 403);
    let test = shop.issue(&shop.test, "key", &basic()).await;
    assert_eq!(
        (test.status.as_u16(), test.header("idempotency-replayed"), test.json()["livemode"].as_bool()),
        (200, "", Some(false))
    );
    assert_ne!(test.json()["key"], first.json()["key"]);
}

#[tokio::test]
async fn refusals_are_kept_and_faults_are_not() {
    let shop = Shop::sqlite().await;
    let unknown = json!({ "plan": "moon" });
    let first = shop.issue(&shop.live, "key", &unknown).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (404, ""));
    let again = shop.issue(&shop.live, "key", &unknown).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (404, "true"));
    assert_eq!(
        (again.header("content-type"), &again.json()["detail"]),
        ("application/problem+json", &first.json()["detail"])
    );
    assert_ne!(again.json()["request_id"], first.json()["request_id"], "it says which request was refused now");
    for wrong in ["", "a\tb", &"x".repeat(256), "ünïcødé"] {
        let call = shop.call("POST", "/v1/issue").key(&shop.live).json(unknown.clone());
        let call = call.header("idempotency-key", wrong);
        assert_eq!(call.refused().await, (400, "invalid_request".to_owned()), "{wrong:?}");
    }
    assert_eq!(shop.issue(&shop.live, &"~".repeat(255), &unknown).await.status, 404);
}

#[tokio::test]
async fn a_sale_that_has_to_be_made_again_is_the_same_sale() {
    let shop = Shop::sqlite().await;
    shop.start();
    let first = shop.issue(&shop.live, "key", &basic()).await;
    // As if the answer had been lost: the process died, or the keys were not there in time.
    shop.database.sql("UPDATE idempotency_keys SET status = 0, sealed = NULL, sealed_by = NULL").await;
    let again = shop.issue(&shop.live, "key", &basic()).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed"), &again.text), (200, "", &first.text));
    assert_eq!(ids(&shop.get("/v1/orders").await).len(), 1);
    assert_eq!(shop.issue(&shop.live, "key", &basic()).await.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn a_call_whose_process_died_is_made_again() {
    let shop = Shop::sqlite().await;
    let body = json!({ "key": "ACME-1234" });
    let lookup =
        || shop.call("POST", "/v1/licenses/lookup").key(&shop.live).header("idempotency-key", "key").json(body.clone());
    assert_eq!(lookup().send().await.status, 200);
    shop.database.sql("UPDATE idempotency_keys SET status = NULL, sealed = NULL, sealed_by = NULL").await;
    assert_eq!(lookup().refused().await, (409, "idempotency_running".to_owned()));
    shop.clock.advance(SignedDuration::from_secs(61));
    let again = lookup().send().await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, ""));
    assert_eq!(lookup().send().await.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn answers_are_forgotten_after_a_day() {
    let shop = Shop::sqlite().await;
    shop.issue(&shop.live, "key", &json!({ "plan": "moon" })).await;
    shop.clock.advance(SignedDuration::from_hours(23));
    assert_eq!(shop.engine.forget_old_answers().await.unwrap(), 0);
    shop.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(shop.engine.forget_old_answers().await.unwrap(), 1);
    assert_eq!(shop.issue(&shop.live, "key", &json!({ "plan": "comet" })).await.status, 404);
}

#[tokio::test]
async fn no_key_is_in_the_database_in_clear() {
    let shop = Shop::sqlite().await;
    shop.start();
    let issued = shop.issue(&shop.live, "a-key-of-their-own", &basic()).await.json();
    let key = issued["key"].as_str().unwrap().to_owned();
    let license = issued["licenses"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.key_of(&license).await, key);
    let body = json!({ "code": "late", "provider": "stripe", "mode": "live", "webhook_secrets": ["whsec_brandnew"] });
    let call = shop.call("POST", "/v1/connections").key(&shop.live).header("idempotency-key", "2").json(body);
    let document = call.succeed().await.to_string();
    assert!(!document.contains("whsec_"), "{document}");
    let shown = format!("{}{}", shop.get("/v1/licenses").await, shop.get(&format!("/v1/licenses/{license}")).await);
    assert!(shown.contains("key_hint") && !shown.contains(&key));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(shop.database.folder.path()).unwrap() {
        files.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(files.iter().map(Vec::len).sum::<usize>() > 100_000, "the database and its log");
    let compact = key.replace('-', "");
    let secret = &shop.live[shop.live.len() - 52..];
    for text in [key.as_str(), &compact, "a-key-of-their-own", "whsec_brandnew", secret] {
        let is_there = files.iter().any(|file| file.windows(text.len()).any(|window| window == text.as_bytes()));
        assert!(!is_there, "a secret stands in the database: it starts with {}", &text[..5]);
    }
}
