//! What people decide about sales: approval, limits, and edited rules that count for what was sold.

use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{Shop, ids, paid};

fn list(list: &Value) -> &Vec<Value> {
    list["data"].as_array().unwrap()
}

async fn plan(shop: &Shop, body: Value) {
    shop.call("POST", "/v1/plans").key(&shop.live).json(body).succeed().await;
}

#[tokio::test]
async fn a_sale_waits_for_a_word_on_sqlite() {
    a_sale_waits_for_a_word(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_sale_waits_for_a_word_on_postgres() {
    a_sale_waits_for_a_word(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn a_sale_waits_for_a_word(shop: Shop) {
    let policy = json!({ "issuing": "after_approval" });
    plan(&shop, json!({ "code": "basic", "name": "Basic", "product": "studio", "policy": policy })).await;
    shop.deliver(&paid("basic", true)).await;
    assert_eq!(ids(&shop.get("/v1/licenses").await), [] as [String; 0]);
    let items = shop.get("/v1/attention-items").await;
    let [item] = &list(&items)[..] else { panic!("one item: {items}") };
    assert_eq!(item["kind"], "approval");
    let order = item["order"].as_str().unwrap().to_owned();

    shop.clock.advance(SignedDuration::from_hours(25));
    shop.settle().await;
    let items = shop.get("/v1/attention-items").await;
    assert_eq!((list(&items).len(), &list(&items)[0]["kind"]), (1, &json!("approval_overdue")), "{items}");

    shop.post(&format!("/v1/orders/{order}/reject"), json!({ "note": "stolen card" })).await;
    assert_eq!(list(&shop.get("/v1/attention-items").await).len(), 0, "nothing waits for a sale that was rejected");
    assert_eq!(ids(&shop.get("/v1/licenses").await).len(), 0);
    shop.clock.advance(SignedDuration::from_secs(1));
    shop.post(&format!("/v1/orders/{order}/approve"), json!({})).await;
    let licenses = ids(&shop.get("/v1/licenses").await);
    assert_eq!(licenses.len(), 2);
    assert_eq!(shop.verdict(&licenses[0]).await, "valid");
    let entries = shop.get(&format!("/v1/audit-entries?order={order}&limit=100")).await;
    let said: Vec<_> = list(&entries).iter().filter(|entry| entry["action"] == "ruling.reject").collect();
    assert_eq!(said[0]["detail"]["note"], "stolen card");
}

#[tokio::test]
async fn edited_rules_count_for_what_was_sold_when_somebody_asks_on_sqlite() {
    edited_rules_count_when_somebody_asks(Shop::sqlite().await).await;
}

#[tokio::test]
async fn edited_rules_count_for_what_was_sold_when_somebody_asks_on_postgres() {
    edited_rules_count_when_somebody_asks(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn edited_rules_count_when_somebody_asks(shop: Shop) {
    shop.deliver(&paid("basic", true)).await;
    let licenses = ids(&shop.get("/v1/licenses").await);
    let price = json!("price_basic");
    shop.post("/v1/price-rules", json!({ "connection": "stripe", "price": price, "plan": "pro" })).await;
    let plans = || async {
        let list_of = shop.get("/v1/licenses").await;
        list(&list_of).iter().map(|license| license["plan"]["code"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(plans().await, ["basic", "basic"], "an edit is for later sales");

    let preview = shop.post("/v1/redecide", json!({ "price": price })).await;
    assert_eq!((&preview["preview"], list(&preview).len(), &preview["next_cursor"]), (&json!(true), 2, &Value::Null));
    let change = &list(&preview)[0];
    assert_eq!((&change["from"]["plan"], &change["to"]["plan"]), (&json!("basic"), &json!("pro")));
    assert_eq!(plans().await, ["basic", "basic"], "a preview changes nothing");

    shop.clock.advance(SignedDuration::from_secs(1));
    let done = shop.post("/v1/redecide", json!({ "price": price, "preview": false })).await;
    assert_eq!(list(&done).len(), 2);
    assert_eq!(plans().await, ["pro", "pro"]);
    assert_eq!(ids(&shop.get("/v1/licenses").await), licenses, "the keys stay");
    let again = shop.post("/v1/redecide", json!({ "everything": true, "preview": false })).await;
    assert_eq!(list(&again).len(), 0, "twice changes nothing");

    for (body, field) in [
        (json!({}), "nothing is named"),
        (json!({ "price": "a", "plan": "pro" }), "two are named"),
        (json!({ "price": "a", "after": "somewhere" }), "no cursor"),
    ] {
        let call = shop.call("POST", "/v1/redecide").key(&shop.live).json(body);
        assert_eq!(call.refused().await, (400, "invalid_request".to_owned()), "{field}");
    }
}

#[tokio::test]
async fn a_rule_may_add_and_end() {
    let shop = Shop::sqlite().await;
    let rule = json!({
        "connection": "stripe", "price": "price_extra", "adds": { "activations": 5, "features": ["api"] },
        "from": "2020-01-01T00:00:00Z", "until": "2040-01-01T00:00:00Z",
    });
    let made = shop.call("POST", "/v1/price-rules").key(&shop.live).json(rule.clone()).succeed().await;
    assert_eq!((&made["adds"], &made["from"], &made["grants"]), (&rule["adds"], &rule["from"], &json!([])), "{made}");
    let backwards = json!({
        "connection": "stripe", "price": "x", "plan": "pro", "from": "2030-01-01T00:00:00Z", "until": "2029-01-01T00:00:00Z",
    });
    let call = shop.call("POST", "/v1/price-rules").key(&shop.live).json(backwards);
    assert_eq!(call.refused().await.0, 400);
}

#[tokio::test]
async fn limits_of_one_license_count_at_once() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    let key = shop.key_of(&license).await;
    let path = format!("/v1/licenses/{license}/limits");
    let limits = |limits: Value| shop.post(&path, json!({ "limits": limits }));
    let activate = |device: &str| {
        let call = json!({ "key": key, "device": { "fingerprint": device } });
        async { shop.call("POST", "/v1/activate").json(call).succeed().await["code"].clone() }
    };
    let set = limits(json!({ "activations": 1, "checks_per_month": null, "features": ["sso"] })).await;
    assert_eq!(set["limits"], json!({ "activations": 1, "checks_per_month": null, "features": ["sso"] }), "{set}");
    assert_eq!((activate("one").await, activate("two").await), (json!("valid"), json!("activation_limit")));
    shop.clock.advance(SignedDuration::from_secs(1));
    limits(Value::Null).await;
    assert_eq!(activate("two").await, "valid", "the plan's limits are back");
}

#[tokio::test]
async fn the_vendor_or_we_send_the_mail() {
    let shop = Shop::sqlite().await;
    let mails = async || shop.engine.store.mails(shop.tenant.0, 100).await.unwrap().len();
    shop.deliver(&paid("basic", true)).await;
    assert_eq!(mails().await, 2, "we do, unless the plan says otherwise");
    plan(&shop, json!({ "code": "pro", "name": "Pro", "product": "studio", "policy": { "mail": "vendor" } })).await;
    shop.post("/v1/price-rules", json!({ "connection": "stripe", "price": "price_vendor", "plan": "pro" })).await;
    shop.deliver(&paid("vendor", true)).await;
    assert_eq!(ids(&shop.get("/v1/licenses").await).len(), 4);
    assert_eq!(mails().await, 2, "the vendor does");
    shop.start();
    shop.post("/v1/issue", json!({ "plan": "basic", "email": "ada@example.com" })).await;
    assert_eq!(mails().await, 2, "whoever issues by a call has the key in the answer");
    shop.post("/v1/issue", json!({ "plan": "basic", "email": "ada@example.com", "send_email": true })).await;
    assert_eq!(mails().await, 3, "and may ask for the mail");
}
