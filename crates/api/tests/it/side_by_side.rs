//! Several providers side by side, each delivering as it does: what they read in return, and one customer of all of them.

use domain::text::EmailAddress;
use engine::{api_keys::Scope, configuration::ConfigurationFile, redeem::Brought};
use providers::{appsumo, lemonsqueezy, signature};
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{Answer, Call, NOW, Shop, TEST_SECRET, event, ids, paid};

/// Beside the connection `stripe-test`, which every tenant has.
const OTHERS: &str = r#"
connection = [
    { code = "paddle", provider = "paddle", mode = "test", webhook_secrets = ["env:SECRET"] },
    { code = "lemon", provider = "lemonsqueezy", mode = "test", webhook_secrets = ["env:SECRET"] },
    { code = "sumo", provider = "appsumo", mode = "test", webhook_secrets = ["env:SECRET"],
      oauth_client = { id = "client", secret = "env:SECRET" } },
]
price_rule = [
    { connection = "paddle", price = "pri_pro", plan = "pro" },
    { connection = "lemon", price = "77", plan = "pro" },
    { connection = "sumo", price = "tier:1", plan = "basic" },
]
"#;

/// Every connection of a tenant in test mode signs with this.
fn secret(tenant: &str) -> String {
    format!("{TEST_SECRET}{}", tenant.trim_start_matches("default"))
}

/// Gives a tenant connections to all providers.
async fn sells_everywhere(shop: &Shop, tenant: &str) {
    let file = ConfigurationFile::parse(&format!("tenant = {{ slug = \"{tenant}\" }}\n{OTHERS}")).unwrap();
    shop.engine.apply(&file, &|_| Ok(secret(tenant)), false, "test").await.unwrap();
}

/// A call with the headers with which a provider signs a body, and without one.
fn signed<'s>(shop: &'s Shop, path: &str, provider: &str, secret: &str, body: &str) -> Call<'s> {
    let (secret, body, at) = (secret.into(), body.as_bytes(), shop.engine.now());
    let headers = match provider {
        "stripe" => vec![("stripe-signature", signature::STRIPE.sign(&secret, body, at))],
        "paddle" => vec![("paddle-signature", signature::PADDLE.sign(&secret, body, at))],
        "lemonsqueezy" => vec![("x-signature", lemonsqueezy::sign(&secret, body))],
        _ => appsumo::sign(&secret, body, at),
    };
    headers.into_iter().fold(shop.call("POST", path), |call, (name, value)| call.header(name, value))
}

async fn post(shop: &Shop, provider: &str, tenant: &str, body: &str) -> Answer {
    let path = format!("/v1/webhooks/{provider}/{tenant}");
    signed(shop, &path, provider, &secret(tenant), body).bytes(body.as_bytes()).send().await
}

async fn deliver(shop: &Shop, provider: &str, tenant: &str, body: &Value) {
    let answer = post(shop, provider, tenant, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{provider}: {}", answer.text);
    shop.settle().await;
}

/// An event of Paddle.
fn paddle(id: &str, kind: &str, data: &Value) -> Value {
    json!({
        "event_id": format!("evt_{id}"), "notification_id": format!("ntf_{id}"), "event_type": kind,
        "occurred_at": "2026-11-20T23:00:00.000001Z", "data": data
    })
}

/// What each provider tells of a purchase of one by Ada, whose names for it are the same in every account.
fn purchases() -> Vec<(&'static str, Value)> {
    let customer = json!({ "id": "ctm_ada", "email": "ada@example.com", "name": "Ada", "status": "active" });
    let transaction = json!({
        "id": "txn_ada", "status": "completed", "origin": "web", "currency_code": "EUR", "customer_id": "ctm_ada",
        "items": [{ "price": { "id": "pri_pro", "product_id": "pro_1", "billing_cycle": null }, "quantity": 1 }],
        "details": { "totals": { "total": "4900", "grand_total": "4900" }, "line_items": [
            { "id": "txnitm_ada", "price_id": "pri_pro", "quantity": 1 }
        ] }
    });
    let order = json!({
        "meta": { "event_name": "order_created", "test_mode": true },
        "data": { "type": "orders", "id": "41", "attributes": {
            "store_id": 7, "customer_id": 301, "identifier": "uuid-ada", "user_name": "Ada", "user_email": "Ada@example.com",
            "currency": "EUR", "total": 4900, "refunded_amount": 0, "status": "paid", "refunded": false,
            "first_order_item": { "id": 9041, "order_id": 41, "product_id": 5, "variant_id": 77, "quantity": 1 },
            "created_at": "2026-11-20T23:00:00.000000Z", "updated_at": "2026-11-20T23:00:00.000000Z", "test_mode": true
        } }
    });
    let license =
        json!({ "event": "purchase", "license_key": "sumo-ada", "created_at": (NOW - 60) * 1_000, "tier": 1 });
    vec![
        ("stripe", paid("ada", false)),
        ("paddle", paddle("customer", "customer.created", &customer)),
        ("paddle", paddle("paid", "transaction.completed", &transaction)),
        ("lemonsqueezy", order),
        ("appsumo", license),
    ]
}

/// A buyer of AppSumo comes with their code and gives their address, which no webhook tells.
async fn comes_from_appsumo(shop: &Shop, tenant: &str) {
    let brought = Brought {
        provider: "appsumo",
        tenant,
        connection: None,
        code: "code-of-sumo-ada",
        redirect_uri: "https://licenses.example.com/redeem/appsumo",
    };
    let page = shop.engine.redeem(brought).await.unwrap();
    let address = EmailAddress::parse("ada@example.com").unwrap();
    assert!(shop.engine.buyers_contact(&page, address).await.unwrap());
    shop.settle().await;
}

/// Everything that Ada has at a vendor: her one account, and of each license its connection, plan, state and order.
struct Account {
    id: String,
    licenses: Vec<(String, String, String, String)>,
}

impl Account {
    /// As the lists show it, which agree.
    async fn of(shop: &Shop, key: &str) -> Self {
        let get = async |path: &str| shop.call("GET", path).key(key).succeed().await;
        let customers = get("/v1/customers?email=ada%40example.com").await;
        assert_eq!(ids(&customers), ids(&get("/v1/customers").await), "nobody else is there");
        let [id] = &ids(&customers)[..] else { panic!("one account: {customers}") };
        let orders = get(&format!("/v1/orders?customer={id}")).await;
        assert_eq!(ids(&orders), ids(&get("/v1/orders").await), "every order is hers");
        let licenses = get(&format!("/v1/licenses?customer={id}")).await;
        assert_eq!(ids(&licenses), ids(&get("/v1/licenses").await), "every license is hers");
        let detail = get(&format!("/v1/customers/{id}")).await;
        assert_eq!((ids(&detail["orders"]), ids(&detail["licenses"])), (ids(&orders), ids(&licenses)));

        let connections = get("/v1/connections").await;
        let code = |connection: &Value| {
            let found = connections["data"].as_array().unwrap().iter().find(|known| known["id"] == *connection);
            found.unwrap()["code"].as_str().unwrap().to_owned()
        };
        let mut told: Vec<_> = licenses["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|license| {
                assert_eq!(license["livemode"], false);
                let order =
                    orders["data"].as_array().unwrap().iter().find(|order| order["id"] == license["order"]).unwrap();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (
                    code(&order["connection"]),
                    text(&license["plan"]["code"]),
                    text(&license["state"]),
                    text(&license["order"]),
                )
            })
            .collect();
        told.sort();
        assert_eq!(ids(&orders).len(), told.len(), "an order has one license");
        Self { id: id.clone(), licenses: told }
    }

    /// Connection, plan and state of each license.
    fn words(&self) -> Vec<String> {
        self.licenses.iter().map(|(connection, plan, state, _)| format!("{connection} {plan} {state}")).collect()
    }
}

const BOUGHT: [&str; 4] = ["lemon pro active", "paddle pro active", "stripe-test basic active", "sumo basic active"];

#[tokio::test]
async fn one_customer_of_four_providers_has_one_account_and_nothing_is_mixed_on_sqlite() {
    one_customer(Shop::sqlite().await).await;
}

#[tokio::test]
async fn one_customer_of_four_providers_has_one_account_and_nothing_is_mixed_on_postgres() {
    one_customer(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn one_customer(shop: Shop) {
    let (neighbour, _) = shop.neighbour().await;
    let test_key = crypto::token::ApiKeyKind::Test;
    let key = shop.engine.create_api_key(neighbour, "test", test_key, &[Scope::Admin], "test").await.unwrap();
    let neighbours_key = key.1.reveal().as_str().to_owned();
    let tenants = ["default", "neighbour"];
    for tenant in tenants {
        sells_everywhere(&shop, tenant).await;
    }
    for (provider, body) in purchases() {
        for tenant in tenants {
            deliver(&shop, provider, tenant, &body).await;
        }
    }
    for tenant in tenants {
        comes_from_appsumo(&shop, tenant).await;
    }
    let (ours, theirs) = (Account::of(&shop, &shop.test).await, Account::of(&shop, &neighbours_key).await);
    assert_eq!((ours.words(), theirs.words()), (BOUGHT.map(str::to_owned).into(), BOUGHT.map(str::to_owned).into()));
    assert!(ours.id != theirs.id && ours.licenses.iter().all(|license| !theirs.licenses.contains(license)));

    // One at a time is given back; the others stay, and what Ada has of the neighbour stays altogether.
    let mut expected: Vec<String> = ours.words();
    for (place, provider, refund) in refunds() {
        deliver(&shop, provider, "default", &refund).await;
        expected[place] = expected[place].replace("active", "revoked");
        let now = Account::of(&shop, &shop.test).await;
        assert_eq!(now.words(), expected, "{provider}");
        let active = format!("/v1/licenses?state=active&customer={}", now.id);
        let active = shop.call("GET", &active).key(&shop.test).succeed().await;
        assert_eq!(ids(&active).len(), expected.iter().filter(|words| words.ends_with("active")).count(), "{provider}");
        assert_eq!(Account::of(&shop, &neighbours_key).await.words(), BOUGHT, "{provider}");
    }
    nothing_of_the_other_tenant(&shop, &shop.test, &theirs).await;
    nothing_of_the_other_tenant(&shop, &neighbours_key, &ours).await;
}

/// How each provider tells that all of the money went back, and the place of its license among the others.
fn refunds() -> Vec<(usize, &'static str, Value)> {
    let adjustment = json!({
        "id": "adj_ada", "action": "refund", "status": "approved", "currency_code": "EUR", "transaction_id": "txn_ada",
        "totals": { "total": "4900" }
    });
    let charge = json!({
        "id": "ch_ada", "object": "charge", "amount": 9800, "amount_refunded": 9800, "currency": "eur", "refunded": true,
        "payment_intent": "pi_ada"
    });
    let mut order = purchases().swap_remove(3).1;
    order["meta"]["event_name"] = json!("order_refunded");
    let attributes = &mut order["data"]["attributes"];
    (attributes["refunded_amount"], attributes["status"], attributes["refunded"]) =
        (json!(4900), json!("refunded"), json!(true));
    attributes["updated_at"] = json!("2026-11-20T23:30:00.000000Z");
    let deactivated = json!({
        "event": "deactivate", "license_key": "sumo-ada", "created_at": (NOW - 30) * 1_000,
        "extra": { "reason": "Refunded by the customer" }
    });
    vec![
        (1, "paddle", paddle("refund", "adjustment.updated", &adjustment)),
        (2, "stripe", event("evt_refund_ada", "charge.refunded", false, charge)),
        (0, "lemonsqueezy", order),
        (3, "appsumo", deactivated),
    ]
}

/// What is asked for by its id is not there, and filters by it find nothing.
async fn nothing_of_the_other_tenant(shop: &Shop, key: &str, other: &Account) {
    for path in [format!("/v1/customers/{}", other.id), format!("/v1/orders/{}", other.licenses[0].3)] {
        assert_eq!(shop.call("GET", &path).key(key).refused().await, (404, "not_found".to_owned()), "{path}");
    }
    for list in ["orders", "licenses"] {
        let path = format!("/v1/{list}?customer={}", other.id);
        assert_eq!(ids(&shop.call("GET", &path).key(key).succeed().await), [] as [String; 0], "{path}");
    }
}

/// What a provider reads in return, to what is not believed and to what is. None of the refused is kept.
#[tokio::test]
async fn each_provider_is_answered_in_its_own_words() {
    let shop = Shop::sqlite().await;
    sells_everywhere(&shop, "default").await;
    let purchases = purchases();
    for (provider, status, content_type, refusal, thanks) in [
        ("stripe", 400, "text/plain", "Webhook signature verification failed", r#"{"received":true}"#),
        ("paddle", 401, "application/json", r#"{"error":"Invalid signature"}"#, r#"{"received":true}"#),
        ("lemonsqueezy", 401, "text/plain", "Invalid signature", r#"{"received":true}"#),
        (
            "appsumo",
            401,
            "application/json",
            r#"{"message":"The signature is missing, wrong or too old.","success":false}"#,
            r#"{"event":"purchase","success":true}"#,
        ),
    ] {
        let (_, body) = purchases.iter().find(|(of, _)| *of == provider).unwrap();
        let body = body.to_string();
        let forged = format!("{body} ");
        let path = format!("/v1/webhooks/{provider}/default");
        let unsigned = shop.call("POST", &path).bytes(body.as_bytes());
        for call in [unsigned, signed(&shop, &path, provider, &secret("default"), &body).bytes(forged.as_bytes())] {
            let answer = call.send().await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, refusal), "{provider}");
            assert!(answer.header("content-type").starts_with(content_type), "{provider}: {answer:?}");
        }
        let kept = async || ids(&shop.call("GET", "/v1/inbound-events").key(&shop.test).succeed().await).len();
        let before = kept().await;
        let answer = post(&shop, provider, "default", &body).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, thanks), "{provider}");
        assert_eq!(kept().await, before + 1, "{provider}");
    }
}
