//! Who may call what. The routes come from the OpenAPI document, so that a new one cannot be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use crypto::token::ApiKeyKind;
use engine::api_keys::Scope;
use serde_json::{Value, json};

use crate::{
    connected_accounts::{connect, make_platform},
    documents::{Operation, operations},
    shop::{LIVE_SECRET, Shop, TEST_SECRET, event, ids, paid},
};

const LIVE: bool = true;

/// A shop with something of every kind, live.
struct World {
    shop: Shop,
    /// A live id for each path with one.
    ids: BTreeMap<&'static str, String>,
    /// Another live customer.
    other_customer: String,
    /// The key of a live license.
    key: String,
    /// The fingerprint of the live connection's webhook secret.
    fingerprint: String,
}

impl World {
    async fn new() -> Self {
        let shop = Shop::sqlite().await;
        make_platform(&shop, "live").await;
        connect(&shop, "default", "acct_ours", "live").await;
        shop.deliver_bytes("/webhooks/stripe", LIVE_SECRET, b"nonsense").await;
        shop.deliver(&paid("basic", LIVE)).await;
        shop.deliver(&paid("unmapped", LIVE)).await;
        shop.deliver_test(&paid("basic", !LIVE)).await;
        let first = |list: Value| ids(&list)[0].clone();
        let stripe = shop.get("/v1/price-rules").await["data"][0]["connection"].as_str().unwrap().to_owned();
        let license = first(shop.get("/v1/licenses").await);
        let other_customer = ids(&shop.get("/v1/customers").await)[1].clone();
        let connections = shop.get("/v1/connections").await;
        let account = connections["data"].as_array().unwrap().iter().find(|row| row["account"] == "acct_ours").unwrap();
        shop.key("spare", ApiKeyKind::Checkout, &[]).await;
        let (endpoint, paused, recovery) = webhooks(&shop).await;
        let channel = json!({ "code": "team", "kind": "slack", "to": "https://hooks.acme.example/1" });
        let channel = shop.call("POST", "/v1/alert-channels").key(&shop.live).json(channel).succeed().await;
        let import = json!({ "csv": "key,plan\nOLD-1234-5678,basic\n" });
        let import = shop.call("POST", "/v1/imports").key(&shop.live).json(import).succeed().await;
        let ids = BTreeMap::from([
            ("imports", import["import"]["id"].as_str().unwrap().to_owned()),
            ("alert-channels", channel["id"].as_str().unwrap().to_owned()),
            ("api-keys", first(shop.get("/v1/api-keys").await)),
            ("account", account["id"].as_str().unwrap().to_owned()),
            ("products", first(shop.get("/v1/products").await)),
            ("plans", first(shop.get("/v1/plans").await)),
            ("price-rules", first(shop.get("/v1/price-rules").await)),
            ("connections", stripe),
            ("customers", first(shop.get("/v1/customers").await)),
            ("orders", first(shop.get("/v1/orders").await)),
            ("inbound-events", first(shop.get("/v1/inbound-events").await)),
            ("held", first(shop.get("/v1/inbound-events?status=held").await)),
            ("attention-items", first(shop.get("/v1/attention-items").await)),
            ("licenses", license.clone()),
            ("webhook-endpoints", endpoint),
            ("paused", paused),
            ("recoveries", recovery),
            ("events", first(shop.get("/v1/events").await)),
            ("deliveries", first(shop.get("/v1/deliveries?status=pending").await)),
            ("mails", first(shop.get("/v1/mails").await)),
        ]);
        let key = shop.key_of(&license).await;
        let connection = shop.get(&format!("/v1/connections/{}", ids["connections"])).await;
        let fingerprint = connection["webhook_secrets"][0]["fingerprint"].as_str().unwrap().to_owned();
        Self { shop, ids, other_customer, key, fingerprint }
    }

    /// The address of an operation about something that is live.
    fn address(&self, operation: &Operation) -> String {
        let path = &operation.path;
        if !path.contains('{') {
            return path.clone();
        }
        if path.ends_with("/disconnect") {
            return path.replace("{id}", &self.ids["account"]);
        }
        // Only what is stuck is set aside.
        if path.ends_with("/ignore") {
            return path.replace("{id}", &self.ids["held"]);
        }
        // What is stopped here goes on elsewhere.
        if path.ends_with("/pause") {
            return path.replace("{id}", &self.ids["paused"]);
        }
        let family = path.trim_start_matches("/api").split('/').nth(2).unwrap();
        if family == "mail-templates" {
            return path.replace("{kind}", "license-delivery");
        }
        let id = self.ids.get(family).unwrap_or_else(|| panic!("say in scopes.rs which id {path} is called with"));
        path.replace("{id}", id).replace("{fingerprint}", &self.fingerprint)
    }

    /// A body with which the operation succeeds.
    fn body(&self, operation: &Operation) -> Option<Value> {
        operation.document.get("requestBody")?;
        Some(match (operation.method.as_str(), operation.path.as_str()) {
            ("POST", "/v1/products") => json!({ "code": "new", "name": "New" }),
            ("POST", "/v1/plans") => json!({ "code": "new", "name": "New", "product": "studio" }),
            ("POST", "/v1/price-rules") => {
                json!({ "connection": self.ids["connections"], "price": "price_new", "plan": "basic" })
            }
            ("POST", "/v1/connections") => json!({ "code": "new", "provider": "stripe", "mode": "live" }),
            ("POST", "/v1/api-keys") => json!({ "name": "new", "kind": "checkout" }),
            ("POST", "/v1/webhook-endpoints") => json!({ "code": "new", "url": "https://new.example/" }),
            ("PATCH", "/v1/webhook-endpoints/{id}") => json!({ "ordered": true }),
            ("POST", "/v1/webhook-endpoints/{id}/test") => json!({ "event": "order.created" }),
            ("POST", "/v1/webhook-endpoints/{id}/recover") => json!({ "since": "2026-01-01T00:00:00Z" }),
            ("POST", path)
                if path.starts_with("/v1/webhook-endpoints/{id}/")
                    || path.ends_with("{id}/cancel")
                    || path.ends_with("{id}/redeliver") =>
            {
                json!({})
            }
            ("POST", "/v1/alert-channels") => json!({ "code": "new", "kind": "mail", "to": "ops@acme.test" }),
            ("PATCH", "/v1/alert-channels/{id}") => json!({ "items": ["mail_failed"] }),
            ("POST", "/v1/connect") => {
                json!({ "code": "account", "provider": "stripe", "return_url": "https://yourapp.com/" })
            }
            ("PATCH", "/v1/connections/{id}") => json!({ "level": "read" }),
            ("POST", "/v1/connections/{id}/webhook-secrets") => json!({ "secret": "whsec_new" }),
            ("POST", "/api/v1/licenses") => json!({ "planId": "basic", "reference": "r2" }),
            ("PATCH", "/api/v1/licenses/{id}") => json!({ "metadata": { "seat": "7" } }),
            ("POST", "/v1/licenses/revoke") => json!({ "license_id": self.ids["licenses"], "reason": "full_refund" }),
            ("POST", "/v1/licenses/downgrade") => json!({ "license_id": self.ids["licenses"], "newPlan": "basic" }),
            ("POST", "/v1/imports") => json!({ "csv": "key,plan\nOLD-1234-9999,basic\n" }),
            ("POST", "/v1/imports/{id}/stop") => json!({}),
            ("POST", "/v1/licenses/{id}/tags") => json!({ "add": ["vip"] }),
            ("POST", "/v1/issue") => json!({ "plan": "basic", "reference": "r1" }),
            ("POST", "/v1/licenses/lookup") => json!({ "key": self.key }),
            ("POST", "/v1/licenses/{id}/extend") => json!({ "until": "2030-01-01T00:00:00Z" }),
            ("POST", "/v1/licenses/{id}/change-plan") => json!({ "plan": "pro" }),
            ("POST", "/v1/licenses/{id}/limits") => json!({ "limits": { "activations": 9 } }),
            ("POST", "/v1/licenses/{id}/transfer") => json!({ "email": "bob@example.com" }),
            ("POST", "/v1/customers/{id}/erase") => json!({ "dry_run": true }),
            ("POST", "/v1/customers/{id}/merge") => json!({ "with": self.other_customer, "dry_run": true }),
            ("POST", "/v1/redecide") => json!({ "plan": "basic", "preview": false }),
            ("POST", "/v1/orders/{id}/approve" | "/v1/orders/{id}/reject") => json!({}),
            ("POST", path) if path.ends_with("{id}/replay") || path.ends_with("{id}/dismiss") => json!({}),
            ("POST", "/v1/inbound-events/{id}/ignore") => json!({ "note": "a trial of ours", "give_up_sale": true }),
            ("POST", "/v1/connections/{id}/catch-up") => json!({ "since": "2026-10-01T00:00:00Z" }),
            ("POST", path) if path.starts_with("/v1/licenses/{id}/") => json!({}),
            ("POST", "/v1/mails/{id}/resend") => json!({}),
            ("POST", "/v1/orders/{id}/contact") => json!({ "email": "new@example.com" }),
            ("PUT", "/v1/mail-templates/{kind}") => json!({ "subject": "Your License Key is Ready" }),
            ("POST", "/v1/mail-templates/{kind}/preview") => json!({}),
            ("POST", "/v1/mail-templates/{kind}/restore") => json!({ "version": 1 }),
            (method, path) => panic!("say in scopes.rs what body {method} {path} is called with"),
        })
    }

    /// The answer to an operation, called with a key.
    async fn call(&self, operation: &Operation, key: Option<&str>) -> (u16, String) {
        let mut call = self.shop.call(&operation.method, &self.address(operation));
        if let Some(key) = key {
            call = call.key(key);
        }
        if let Some(body) = self.body(operation) {
            call = call.json(body);
        }
        let answer = call.send().await;
        (answer.status.as_u16(), answer.text)
    }

    /// Everything that the API shows of the shop, in both modes.
    async fn everything(&self) -> String {
        let mut text = String::new();
        for operation in operations().iter().filter(|operation| operation.method == "GET" && operation.scope.is_some())
        {
            for key in [&self.shop.live, &self.shop.test] {
                let address = self.address(operation);
                let limit =
                    if operation.path.contains('{') || operation.path == "/v1/status" { "" } else { "?limit=100" };
                let answer = self.shop.call("GET", &format!("{address}{limit}")).key(key).send().await;
                let mut document = answer.json();
                document.as_object_mut().unwrap().remove("request_id");
                text += &format!("{address} {} {document}\n", answer.status);
            }
        }
        text
    }
}

/// Two live addresses, with something on its way to one and a recovery of the other; and one of test mode.
async fn webhooks(shop: &Shop) -> (String, String, String) {
    let make = async |code: &str, key: &str| {
        let body = json!({ "code": code, "url": format!("https://{code}.example/") });
        shop.call("POST", "/v1/webhook-endpoints").key(key).json(body).succeed().await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (first, second) = (make("crm", &shop.live).await, make("paused", &shop.live).await);
    make("test", &shop.test).await;
    let post = |id: &str, what: &str, body: Value| {
        shop.call("POST", &format!("/v1/webhook-endpoints/{id}/{what}")).key(&shop.live).json(body).succeed()
    };
    post(&first, "test", json!({ "event": "order.created" })).await;
    let recovery = post(&second, "recover", json!({ "since": "2026-01-01T00:00:00Z" })).await;
    (first, second, recovery["id"].as_str().unwrap().to_owned())
}

fn keyed() -> Vec<Operation> {
    operations().into_iter().filter(|operation| operation.scope.is_some()).collect()
}

#[tokio::test]
async fn who_is_not_known_or_may_not_is_refused_and_nothing_happens() {
    let world = World::new().await;
    let shop = &world.shop;
    let revoked =
        shop.engine.create_api_key(shop.tenant, "revoked", ApiKeyKind::Live, &[Scope::Admin], "test").await.unwrap();
    shop.engine.revoke_api_key(shop.tenant, revoked.1.id(), "test").await.unwrap();
    let revoked = revoked.1.reveal().as_str().to_owned();
    let unknown = shop.engine.generate_api_key(ApiKeyKind::Live).reveal().as_str().to_owned();
    let checkout = shop.key("checkout", ApiKeyKind::Checkout, &[]).await;
    let mistyped = format!("{}0", &shop.live[..shop.live.len() - 1]);
    let mut others = BTreeMap::new();
    for scope in Scope::ALL {
        let rest: Vec<Scope> =
            Scope::ALL.iter().copied().filter(|other| ![Scope::Admin, *scope].contains(other)).collect();
        others.insert(*scope, shop.key(&format!("all but {scope}"), ApiKeyKind::Live, &rest).await);
    }
    let before = world.everything().await;
    let operations = keyed();
    assert!(operations.len() > 30);
    for operation in &operations {
        let what = format!("{} {}", operation.method, operation.path);
        for (who, key) in [
            ("nobody", None),
            ("no key", Some("kw_live_")),
            ("an unknown key", Some(unknown.as_str())),
            ("a mistyped key", Some(mistyped.as_str())),
            ("a revoked key", Some(revoked.as_str())),
        ] {
            let (status, text) = world.call(operation, key).await;
            assert!(status == 401 && text.contains(r#""code":"unauthenticated""#), "{what} by {who}: {status} {text}");
        }
        let lacking = &others[&operation.scope.unwrap()];
        for (who, key) in [("every scope but its own", lacking), ("a checkout key", &checkout)] {
            let (status, text) = world.call(operation, Some(key)).await;
            assert!(status == 403 && text.contains(r#""code":"forbidden""#), "{what} by {who}: {status} {text}");
        }
    }
    assert_eq!(world.everything().await, before);
}

#[tokio::test]
async fn the_scope_that_the_document_names_is_enough() {
    let world = World::new().await;
    world.shop.start();
    let mut operations = keyed();
    // What takes something away comes last.
    operations.sort_by_key(|operation| operation.method == "DELETE");
    let mut keys = BTreeMap::new();
    for scope in Scope::ALL {
        keys.insert(*scope, world.shop.key(scope.as_str(), ApiKeyKind::Live, &[*scope]).await);
    }
    for operation in &operations {
        let (status, text) = world.call(operation, Some(&keys[&operation.scope.unwrap()])).await;
        assert!((200..300).contains(&status), "{} {}: {status} {text}", operation.method, operation.path);
    }
}

/// Whether something belongs to both modes, so that either key reads and writes it.
fn belongs_to_both(operation: &Operation) -> bool {
    let path = operation.path.as_str();
    let shown = ["/v1/price-rules", "/v1/connections"].iter().any(|shown| path.starts_with(shown));
    path.starts_with("/v1/mail-templates")
        || path.starts_with("/v1/products")
        || path.starts_with("/v1/plans")
        || (shown && operation.method == "GET")
}

/// Whether the license is named in the body.
fn names_a_license(path: &str) -> bool {
    ["/v1/licenses/revoke", "/v1/licenses/downgrade"].contains(&path)
}

#[tokio::test]
async fn a_test_key_sees_nothing_live_and_changes_none_of_it() {
    let world = World::new().await;
    let test = world.shop.test.clone();
    let of_live = |text: &str| {
        let secret = ["customers", "orders", "inbound-events", "attention-items", "licenses"];
        secret.iter().find(|family| text.contains(&world.ids[**family])).map(|family| (*family).to_owned())
    };
    let before = world.live_things().await;
    for operation in keyed().iter().filter(|operation| !belongs_to_both(operation)) {
        let what = format!("{} {}", operation.method, operation.path);
        // It issues a test license, or makes something of test mode.
        let makes = [
            "/v1/issue",
            "/v1/imports",
            "/api/v1/licenses",
            "/v1/api-keys",
            "/v1/webhook-endpoints",
            "/v1/alert-channels",
        ]
        .contains(&operation.path.as_str());
        if makes && operation.method == "POST" {
            continue;
        }
        let (status, text) = world.call(operation, Some(&test)).await;
        let expected = match operation.path.as_str() {
            "/v1/licenses/lookup" => 200,
            // The platform is live.
            "/v1/connect" => 409,
            path if names_a_license(path) => 404,
            path if path.starts_with("/v1/price-rules") || path.starts_with("/v1/connections") => 403,
            path if path.contains("{id}") => 404,
            _ => 200,
        };
        assert_eq!(status, expected, "{what}: {text}");
        if status == 200 {
            assert_eq!(of_live(&text), None, "{what}: {text}");
            assert!(!text.contains(r#""livemode":true"#), "{what}: {text}");
        }
    }
    assert_eq!(world.live_things().await, before);
    // And the other way round: what the test mode has, it has for itself.
    let license = ids(&world.shop.call("GET", "/v1/licenses").key(&test).succeed().await)[0].clone();
    let path = format!("/v1/licenses/{license}");
    assert_eq!(world.shop.call("GET", &path).key(&world.shop.live).refused().await, (404, "not_found".to_owned()));
    assert_eq!(world.shop.call("GET", &path).key(&test).succeed().await["livemode"], false);
}

impl World {
    /// Everything live.
    async fn live_things(&self) -> BTreeSet<String> {
        self.everything().await.lines().filter(|line| line.contains(r#""livemode":true"#)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn another_tenant_sees_nothing_and_changes_nothing() {
    let world = World::new().await;
    let (_, key) = world.shop.neighbour().await;
    let before = world.everything().await;
    for operation in keyed() {
        let what = format!("{} {}", operation.method, operation.path);
        let (status, text) = match operation.path.as_str() {
            // What it makes is its own.
            "/v1/issue"
            | "/v1/imports"
            | "/api/v1/licenses"
            | "/v1/products"
            | "/v1/plans"
            | "/v1/connections"
            | "/v1/connect"
            | "/v1/api-keys"
            | "/v1/webhook-endpoints"
            | "/v1/alert-channels"
                if operation.method == "POST" =>
            {
                continue;
            }
            _ => world.call(&operation, Some(&key)).await,
        };
        let names_something = operation.path.contains("{id}")
            || names_a_license(&operation.path)
            || (operation.method.as_str(), operation.path.as_str()) == ("POST", "/v1/price-rules");
        // Of its own it has none to remove, and after that it has none.
        let expected =
            if operation.path == "/v1/mail-templates/{kind}" && operation.method == "DELETE" { 204 } else { 200 };
        assert_eq!(status, if names_something { 404 } else { expected }, "{what}: {text}");
        // A refusal may repeat what it was called with, and nothing else.
        let leaked = world.ids.values().find(|id| status == 200 && text.contains(id.as_str()));
        assert_eq!(leaked, None, "{what}: {text}");
    }
    assert_eq!(world.everything().await, before);
}

#[tokio::test]
async fn events_of_one_tenant_say_nothing_to_another() {
    let world = World::new().await;
    let (_, key) = world.shop.neighbour().await;
    let secret = format!("{TEST_SECRET}neighbour");
    let body = event("evt_theirs", "x", false, json!({})).to_string();
    // The alias is that of the default tenant.
    assert_eq!(world.shop.deliver_bytes("/webhooks/stripe", &secret, body.as_bytes()).await.status, 400);
    assert_eq!(world.shop.deliver_bytes("/v1/webhooks/stripe/neighbour", &secret, body.as_bytes()).await.status, 200);
    assert_eq!(
        ids(&world.shop.call("GET", "/v1/inbound-events").key(&key).succeed().await),
        [] as [String; 0],
        "it is of the test mode"
    );
}
