//! What a vendor's account may do at each point of its life.

use engine::{
    accounts::{Account, AccountStatus},
    configuration::ConfigurationFile,
    rulings::By,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{LIVE_SECRET, Shop, ids, paid, refunded};

async fn set(shop: &Shop, slug: &str, status: AccountStatus) {
    shop.clock.advance(SignedDuration::from_secs(1));
    let by = By { actor: "test".to_owned(), note: Some("unpaid".to_owned()) };
    shop.engine.set_account_status(slug, status, &by).await.unwrap();
    shop.settle().await;
}

/// The kinds of what waits.
async fn waiting(shop: &Shop, key: &str) -> Vec<String> {
    let items = shop.call("GET", "/v1/attention-items").key(key).succeed().await;
    items["data"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

async fn states(shop: &Shop, key: &str) -> Vec<Value> {
    let licenses = shop.call("GET", "/v1/licenses").key(key).succeed().await;
    licenses["data"].as_array().unwrap().iter().map(|license| license["state"].clone()).collect()
}

#[tokio::test]
async fn a_suspended_account_gets_no_new_licenses_and_keeps_its_old_ones_on_sqlite() {
    suspended(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_suspended_account_gets_no_new_licenses_and_keeps_its_old_ones_on_postgres() {
    suspended(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn suspended(shop: Shop) {
    let live = shop.live.clone();
    let rule = json!({ "connection": "stripe", "price": "price_late", "plan": "basic" });
    shop.post("/v1/price-rules", rule).await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();

    for status in [AccountStatus::Suspended, AccountStatus::Closed] {
        set(&shop, "default", status).await;
        shop.deliver(&paid("late", true)).await;
        assert_eq!(states(&shop, &live).await, [json!("active"), json!("active")], "{status}");
        assert_eq!(waiting(&shop, &live).await, ["account_stopped"], "{status}");
        assert_eq!(shop.verdict(&license).await, "valid", "{status}: whoever has paid is served");
        let refused = shop.call("POST", "/v1/issue").key(&live).json(json!({ "plan": "basic" })).refused().await;
        assert_eq!(refused, (409, "conflict".to_owned()), "{status}: nothing is paid, so nothing waits");
    }
    // What happens to what was sold before still happens.
    shop.deliver(&refunded("basic")).await;
    assert_eq!(states(&shop, &live).await, [json!("revoked"), json!("revoked")]);

    set(&shop, "default", AccountStatus::Active).await;
    assert_eq!(states(&shop, &live).await, [json!("active"), json!("active"), json!("revoked"), json!("revoked")]);
    assert_eq!(waiting(&shop, &live).await, [] as [String; 0], "it closed by itself");
    let entries = shop.get("/v1/audit-entries?limit=100").await;
    let actions: Vec<&Value> = entries["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    for action in ["tenant.suspended", "tenant.closed", "tenant.active"] {
        assert!(actions.contains(&&json!(action)), "{actions:?}");
    }
}

#[tokio::test]
async fn a_full_account_keeps_what_was_paid_until_there_is_room_on_sqlite() {
    full(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_full_account_keeps_what_was_paid_until_there_is_room_on_postgres() {
    full(Shop::open(TestDatabase::postgres().await).await).await;
}

/// Another vendor, with this account. Returns a live key that may do everything.
async fn small(shop: &Shop, account: Account) -> String {
    let by = By { actor: "test".to_owned(), note: None };
    let tenant = shop.engine.create_tenant("small", "Small", &account, &by).await.unwrap();
    let configuration = r#"
tenant = { slug = "small" }
product = [{ code = "studio", name = "Studio" }]
plan = [{ code = "basic", product = "studio", name = "Basic" }]
connection = [{ code = "stripe", provider = "stripe", mode = "live", level = "read", webhook_secrets = ["env:SMALL"], api_key = "env:KEY" }]
price_rule = [{ connection = "stripe", default = true, plan = "basic" }]
"#;
    let file = ConfigurationFile::parse(configuration).unwrap();
    shop.engine.apply(&file, &|_| Ok(format!("{LIVE_SECRET}small")), false, "test").await.unwrap();
    let scopes = [engine::api_keys::Scope::Admin];
    let key = shop.engine.create_api_key(tenant, "live", crypto::token::ApiKeyKind::Live, &scopes, "test");
    key.await.unwrap().1.reveal().as_str().to_owned()
}

#[tokio::test]
async fn checks_of_the_free_account_are_counted() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let key = small(&shop, Account { checks_per_month: Some(3), ..Account::FREE }).await;
    // From here on workers do what the test did itself.
    shop.start();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let issued = shop.call("POST", "/v1/issue").key(&key).json(json!({ "plan": "basic" })).succeed().await;
        keys.push(issued["licenses"][0]["key"].clone());
    }
    let mut codes = Vec::new();
    for place in 0..5 {
        let call = json!({ "key": keys[place % 2], "product": "studio" });
        codes.push(shop.call("POST", "/v1/check").json(call).succeed().await["code"].clone());
    }
    assert_eq!(codes, ["valid", "valid", "valid", "checks_exceeded", "checks_exceeded"], "of all licenses together");
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    assert_eq!(shop.verdict(&license).await, "valid", "other vendors have no part in it");
}

/// Five licenses at most, and every checkout buys two.
async fn full(shop: Shop) {
    let key = small(&shop, Account::FREE).await;
    let deliver = async |event: Value| {
        let secret = format!("{LIVE_SECRET}small");
        let bytes = event.to_string();
        assert_eq!(shop.deliver_bytes("/v1/webhooks/stripe/small", &secret, bytes.as_bytes()).await.status, 200);
        shop.settle().await;
    };
    for name in ["one", "two", "three"] {
        deliver(paid(name, true)).await;
    }
    assert_eq!(states(&shop, &key).await.len(), 5, "the fifth of six");
    assert_eq!(waiting(&shop, &key).await, ["account_full"]);
    let issue = json!({ "plan": "basic" });
    assert_eq!(shop.call("POST", "/v1/issue").key(&key).json(issue).refused().await, (409, "conflict".to_owned()));

    // A refund ends two, and the order that waits is looked at again within the hour.
    deliver(refunded("one")).await;
    shop.clock.advance(SignedDuration::from_hours(1));
    shop.settle().await;
    let active = states(&shop, &key).await.into_iter().filter(|state| state == "active").count();
    assert_eq!((active, waiting(&shop, &key).await), (4, Vec::new()), "the sixth has its place");
    // Other vendors have no part in it.
    shop.deliver(&paid("basic", true)).await;
    assert_eq!(states(&shop, &shop.live).await.len(), 2);
}

#[tokio::test]
async fn signing_up_is_closed_unless_it_was_opened() {
    let mut shop = Shop::sqlite().await;
    let body = json!({ "slug": "acme", "name": "Acme" });
    let answer = shop.call("POST", "/v1/sign-up").json(body.clone()).send().await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (403, json!("forbidden")));
    assert!(answer.json()["detail"].as_str().unwrap().starts_with("Signing up is closed here."), "{}", answer.text);

    shop.open_for_all();
    let answer = shop.call("POST", "/v1/sign-up").json(body.clone()).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let signed_up = answer.json();
    assert_eq!(signed_up["account"], json!({ "licenses_max": 5, "checks_per_month": 500 }));
    for (key, livemode) in [("live_key", true), ("test_key", false)] {
        let key = signed_up[key].as_str().unwrap();
        let product = json!({ "code": "studio", "name": "Studio" });
        shop.call("POST", "/v1/products").key(key).json(product).succeed().await;
        let licenses = shop.call("GET", "/v1/licenses").key(key).succeed().await;
        assert_eq!(licenses["data"], json!([]), "all of the API, and nothing of anybody else's; live: {livemode}");
    }
    for (body, expected) in [
        (body, (409, "conflict")),
        (json!({ "slug": "Acme", "name": "Acme" }), (400, "invalid_request")),
        (json!({ "slug": "other", "name": " " }), (400, "invalid_request")),
        (json!({ "slug": "default", "name": "Thief" }), (409, "conflict")),
        (json!({ "slug": "sixth", "name": "Sixth" }), (429, "rate_limited")),
    ] {
        let (status, code) = shop.call("POST", "/v1/sign-up").json(body.clone()).refused().await;
        assert_eq!((status, code.as_str()), expected, "{body}");
    }
}
