//! What vendors do, from their first call to their last.

use std::sync::Arc;

use crypto::token::ApiKeyKind;
use engine::api_keys::Scope;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{LIVE_SECRET, Shop, TEST_SECRET, event, ids, paid, refunded};

fn list(list: &Value) -> &Vec<Value> {
    list["data"].as_array().unwrap()
}

#[tokio::test]
async fn a_price_is_mapped_and_the_held_keys_are_issued_on_sqlite() {
    unmapped_price(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_price_is_mapped_and_the_held_keys_are_issued_on_postgres() {
    unmapped_price(Shop::open(TestDatabase::postgres().await).await).await;
}

/// What `stripe trigger checkout.session.completed` sends: a price nobody knows, two of it, and no metadata.
async fn unmapped_price(shop: Shop) {
    shop.deliver(&paid("random", true)).await;
    assert_eq!(ids(&shop.get("/v1/licenses").await), [] as [String; 0]);
    let items = shop.get("/v1/attention-items").await;
    let [item] = &list(&items)[..] else { panic!("one item: {items}") };
    assert_eq!((&item["kind"], &item["livemode"]), (&json!("unmapped_price"), &json!(true)));
    let detail = item["detail"].as_str().unwrap();
    assert!(detail.starts_with("price price_random (Studio for two) of product prod_studio is not mapped"), "{detail}");
    let order = shop.get(&format!("/v1/orders/{}", item["order"].as_str().unwrap())).await;
    assert_eq!((&order["attention"][0]["id"], &order["licenses"]), (&item["id"], &json!([])));

    let rule = json!({ "connection": "stripe", "price": "price_random", "plan": "pro" });
    let call = || shop.call("POST", "/v1/price-rules").key(&shop.live).json(rule.clone());
    let made = call().send().await;
    assert_eq!((made.status.as_u16(), &made.json()["grants"]), (201, &json!([{ "plan": "pro", "quantity": "keys" }])));
    assert_eq!((call().send().await.status.as_u16(), call().send().await.text), (200, made.text));
    shop.settle().await;

    let licenses = shop.get("/v1/licenses").await;
    assert_eq!(list(&licenses).len(), 2, "without another webhook");
    for license in list(&licenses) {
        assert_eq!(
            (&license["state"], &license["plan"]["code"], &license["reason"]),
            (&json!("active"), &json!("pro"), &json!("paid"))
        );
        assert_eq!(shop.verdict(license["id"].as_str().unwrap()).await, "valid");
    }
    assert_eq!(list(&shop.get("/v1/attention-items").await).len(), 0);
    let order = shop.get(&format!("/v1/orders/{}", order["id"].as_str().unwrap())).await;
    assert_eq!((&order["attention"], &order["sale"]["decisions"][0]["evidence"]), (&json!([]), &json!("price")));
    let customer = shop.get(&format!("/v1/customers/{}", order["customer"].as_str().unwrap())).await;
    assert_eq!((&customer["email"], list(&customer["orders"]).len()), (&json!("random@example.com"), 1));
    assert_eq!(list(&customer["licenses"]), list(&licenses));

    let rules = shop.get("/v1/price-rules").await;
    let rule =
        list(&rules).iter().find(|rule| rule["price"] == "price_random").unwrap()["id"].as_str().unwrap().to_owned();
    let delete = || shop.call("DELETE", &format!("/v1/price-rules/{rule}")).key(&shop.live);
    assert_eq!(delete().send().await.status, 204);
    assert_eq!(delete().refused().await, (404, "not_found".to_owned()));
    shop.deliver(&paid("random", true)).await;
    assert_eq!(list(&shop.get("/v1/licenses").await).len(), 2, "what was decided stays decided");
}

#[tokio::test]
async fn a_license_is_frozen_and_thawed() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let [license, other] = &ids(&shop.get("/v1/licenses").await)[..] else { panic!("two licenses") };
    let rule = |action: &str, body: Value| {
        shop.clock.advance(SignedDuration::from_secs(1));
        let path = format!("/v1/licenses/{license}/{action}");
        let shop = &shop;
        async move { shop.post(&path, body).await }
    };
    let frozen = rule("freeze", json!({ "note": "shared on a forum" })).await;
    assert_eq!(
        (&frozen["state"], &frozen["reason"], &frozen["rulings"]["frozen"]),
        (&json!("frozen"), &json!("frozen_by_hand"), &json!(true))
    );
    assert_eq!((shop.verdict(license).await, shop.verdict(other).await), ("frozen".to_owned(), "valid".to_owned()));
    assert_eq!(rule("unfreeze", json!({})).await["state"], "active");
    assert_eq!(shop.verdict(license).await, "valid");
    assert_eq!(rule("revoke", json!({})).await["because"], "it was revoked by hand");
    assert_eq!(shop.verdict(license).await, "revoked");
    assert_eq!(rule("reinstate", json!({})).await["state"], "active");
    let changed = rule("change-plan", json!({ "plan": "pro" })).await;
    assert_eq!((&changed["plan"]["code"], &changed["limits"]["activations"]), (&json!("pro"), &json!(5)));
    let until = "2030-01-01T00:00:00Z";
    assert_eq!(rule("extend", json!({ "until": until })).await["rulings"]["extended_until"], until);

    let entries = shop.get(&format!("/v1/audit-entries?license={license}&limit=100")).await;
    let froze = list(&entries).iter().find(|entry| entry["action"] == "ruling.freeze").unwrap();
    assert_eq!((&froze["detail"]["note"], &froze["livemode"]), (&json!("shared on a forum"), &json!(true)));
    for (action, body, refusal) in [
        ("extend", json!({}), (400, "invalid_request")),
        ("extend", json!({ "until": "tomorrow" }), (400, "invalid_request")),
        ("change-plan", json!({ "plan": "moon" }), (404, "not_found")),
        ("freeze", json!({ "because": "typo" }), (400, "invalid_request")),
        ("melt", json!({}), (404, "no_route")),
    ] {
        let call = shop.call("POST", &format!("/v1/licenses/{license}/{action}")).key(&shop.live).json(body.clone());
        assert_eq!(call.refused().await, (refusal.0, refusal.1.to_owned()), "{action} {body}");
    }
}

#[tokio::test]
async fn a_device_is_seen_and_a_refund_explained() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    let device = json!({ "fingerprint": "mac-1", "name": "Ada's Mac" });
    let call = json!({ "key": shop.key_of(&license).await, "device": device });
    assert_eq!(shop.call("POST", "/v1/activate").json(call).succeed().await["valid"], true);
    let shown = shop.get(&format!("/v1/licenses/{license}")).await;
    assert_eq!(
        (&shown["activations"][0]["fingerprint"], &shown["activations"][0]["name"]),
        (&json!("mac-1"), &json!("Ada's Mac"))
    );
    assert!(shown["key_hint"].as_str().unwrap().starts_with("ACME-"));
    shop.deliver(&refunded("basic")).await;
    let shown = shop.get(&format!("/v1/licenses/{license}")).await;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("revoked"), &json!("refunded_in_full")));
    assert!(shown["because"].as_str().unwrap().ends_with("was refunded in full (98.00 EUR)"), "{shown}");
}

#[tokio::test]
async fn what_apps_say_and_what_they_are_denied_stands_beside_the_license() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    let (key, path) = (shop.key_of(&license).await, format!("/v1/licenses/{license}"));
    let shown = shop.get(&path).await;
    assert_eq!((&shown["activations"], &shown["denials"]), (&json!([]), &json!([])));
    let call = async |path: &str, device: Value| {
        let body = json!({ "key": key, "device": device });
        shop.call("POST", path).json(body).succeed().await["code"].clone()
    };
    let long = "3.".repeat(100);
    for (path, device, code) in [
        ("/v1/activate", json!({ "fingerprint": "mac", "app_version": " 3.4 ", "os": "macOS 15.2" }), "valid"),
        ("/v1/check", json!({ "fingerprint": "mac", "app_version": long, "os": " " }), "valid"),
        ("/v1/check", json!({ "fingerprint": "mac" }), "valid"),
        ("/v1/activate", json!({ "fingerprint": "two" }), "valid"),
        ("/v1/activate", json!({ "fingerprint": "three" }), "valid"),
        ("/v1/activate", json!({ "fingerprint": "four" }), "activation_limit"),
        ("/v1/activate", json!({ "fingerprint": "five" }), "activation_limit"),
    ] {
        assert_eq!(call(path, device.clone()).await, code, "{path} {device}");
    }
    shop.engine.write_seen().await.unwrap();
    shop.engine.write_counts().await.unwrap();
    let shown = shop.get(&path).await;
    let mac = shown["activations"].as_array().unwrap().iter().find(|one| one["fingerprint"] == "mac").unwrap();
    assert_eq!((&mac["app_version"], &mac["os"]), (&json!(&long[..64]), &json!("macOS 15.2")));
    let now = shop.engine.now();
    assert_eq!(mac["lease_until"], json!(now + SignedDuration::from_hours(24 * 14)), "the plan's fourteen days");
    let denial = json!({
        "code": "activation_limit", "times": 2, "last_at": now, "devices": ["five", "four"],
        "more_devices": false, "days": [{ "day": "2026-11-21", "times": 2 }]
    });
    assert_eq!(shown["denials"], json!([denial]));
}

#[tokio::test]
async fn licenses_are_looked_up() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let licenses = ids(&shop.get("/v1/licenses").await);
    let key = shop.key_of(&licenses[1]).await;
    let typed = key.to_lowercase().replace('-', " ");
    for (body, expected) in [
        (json!({ "key": key }), &licenses[1..]),
        (json!({ "key": typed }), &licenses[1..]),
        (json!({ "key": "ACME-0000-0000-0000-0000" }), &[]),
        (json!({ "key": "?" }), &[]),
        (json!({ "reference": "pi_basic" }), &licenses[..]),
        (json!({ "reference": "cs_basic" }), &licenses[..]),
        (json!({ "reference": "cs_other" }), &[]),
    ] {
        assert_eq!(ids(&shop.post("/v1/licenses/lookup", body.clone()).await), expected, "{body}");
        let test = shop.call("POST", "/v1/licenses/lookup").key(&shop.test).json(body.clone());
        assert_eq!(ids(&test.succeed().await), [] as [String; 0], "{body} in test mode");
    }
    for body in [json!({}), json!({ "key": key, "reference": "pi_basic" }), json!([]), json!({ "kee": key })] {
        let call = shop.call("POST", "/v1/licenses/lookup").key(&shop.live).json(body.clone());
        assert_eq!(call.refused().await, (400, "invalid_request".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_plan_that_changes_gets_a_version() {
    let shop = Shop::sqlite().await;
    let mut plan = json!({ "code": "team", "product": "studio", "name": "Team", "limits": { "activations": null, "features": ["sync"] } });
    let save = |plan: &Value| {
        shop.clock.advance(SignedDuration::from_secs(1));
        shop.call("POST", "/v1/plans").key(&shop.live).json(plan.clone()).send()
    };
    let first = save(&plan).await;
    let document = first.json();
    assert_eq!(
        (first.status.as_u16(), &document["version"], &document["limits"]["activations"]),
        (201, &json!(1), &Value::Null)
    );
    assert_eq!((document["livemode"].is_null(), &document["policy"]["grace_days"]), (true, &json!(14)));
    assert_eq!(
        (save(&plan).await.status.as_u16(), save(&plan).await.json()["version"].as_u64()),
        (200, Some(1)),
        "nothing changed"
    );
    plan["limits"] = json!({ "activations": 10 });
    plan["policy"] = json!({ "dispute": "keep" });
    let second = save(&plan).await.json();
    assert_eq!(
        (&second["version"], &second["limits"]),
        (&json!(2), &json!({ "activations": 10, "checks_per_month": null, "features": [] }))
    );
    let path = format!("/v1/plans/{}", document["id"].as_str().unwrap());
    let shown = shop.get(&path).await;
    assert_eq!((&shown["version"], shown.get("versions")), (&json!(2), None));
    let shown = shop.get(&format!("{path}?versions=all")).await;
    let versions: Vec<_> =
        shown["versions"].as_array().unwrap().iter().map(|plan| plan["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(ids(&shop.get("/v1/plans?limit=1").await), [document["id"].as_str().unwrap()]);
    // Everything that is wrong is told at once, with the fields.
    let wrong = json!({ "code": "a b", "product": "moon", "name": "", "limits": { "activations": 0 } });
    let answer = shop.call("POST", "/v1/plans").key(&shop.live).json(wrong).send().await;
    let problem = answer.json();
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["param"].as_str().unwrap()).collect();
    assert_eq!((answer.status.as_u16(), fields), (400, vec!["code", "name", "activations"]));
}

#[tokio::test]
async fn a_product_keeps_what_is_left_out() {
    let shop = Shop::sqlite().await;
    let save = |body: Value| shop.call("POST", "/v1/products").key(&shop.test).json(body).send();
    let made =
        save(json!({ "code": "tool", "name": "Tool", "key_prefix": "tool", "brand": { "colour": "#123456" } })).await;
    assert_eq!((made.status.as_u16(), &made.json()["key_prefix"]), (201, &json!("TOOL")));
    let changed = save(json!({ "code": "tool", "name": "The Tool" })).await;
    let document = changed.json();
    assert_eq!(
        (changed.status.as_u16(), &document["name"], &document["key_prefix"]),
        (200, &json!("The Tool"), &json!("TOOL"))
    );
    assert_eq!(document["brand"], json!({ "colour": "#123456" }));
    let path = format!("/v1/products/{}", document["id"].as_str().unwrap());
    assert_eq!(shop.get(&path).await, document, "a product belongs to both modes");
}

#[tokio::test]
async fn a_webhook_secret_is_rotated_without_a_gap() {
    let shop = Shop::sqlite().await;
    let connections = shop.get("/v1/connections").await;
    let stripe = list(&connections).iter().find(|connection| connection["code"] == "stripe").unwrap().clone();
    assert_eq!(stripe["webhook_url"], "https://licenses.example.com/v1/webhooks/stripe/default");
    assert_eq!(
        (&stripe["mode"], &stripe["livemode"], &stripe["level"]),
        (&json!("live"), &json!(true), &json!("read"))
    );
    assert_eq!((&stripe["has_api_key"], stripe["webhook_secrets"].as_array().unwrap().len()), (&json!(true), 1));
    assert!(!connections.to_string().contains("whsec_") && !connections.to_string().contains("rk_live_1"));
    let path = format!("/v1/connections/{}", stripe["id"].as_str().unwrap());
    let change = |body: Value| {
        let (shop, path) = (&shop, &path);
        async move { shop.call("PATCH", path).key(&shop.live).json(body).succeed().await }
    };
    let accepts = |secret: &'static str, id: &str| {
        let body = event(id, "x", true, json!({})).to_string();
        let shop = &shop;
        async move { shop.deliver_bytes("/webhooks/stripe", secret, body.as_bytes()).await.status == 200 }
    };
    assert_eq!((accepts(LIVE_SECRET, "1").await, accepts("whsec_new", "2").await), (true, false));
    let secrets = format!("{path}/webhook-secrets");
    let both = shop.post(&secrets, json!({ "secret": " whsec_new\n" })).await;
    let fingerprints: Vec<String> = both["webhook_secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["fingerprint"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((fingerprints.len(), &json!(fingerprints[1])), (2, &stripe["webhook_secrets"][0]["fingerprint"]));
    assert_eq!((accepts(LIVE_SECRET, "3").await, accepts("whsec_new", "4").await), (true, true));
    assert_eq!(shop.post(&secrets, json!({ "secret": "whsec_new" })).await, both, "twice is once");
    let remove = |fingerprint: &str| shop.call("DELETE", &format!("{secrets}/{fingerprint}")).key(&shop.live);
    remove(&fingerprints[1]).succeed().await;
    assert_eq!((accepts(LIVE_SECRET, "5").await, accepts("whsec_new", "6").await), (false, true));
    assert_eq!(remove(&fingerprints[1]).refused().await, (404, "not_found".to_owned()));
    for (secret, refusal) in [(" ", (400, "invalid_request")), (TEST_SECRET, (409, "conflict"))] {
        let call = shop.call("POST", &secrets).key(&shop.live).json(json!({ "secret": secret }));
        assert_eq!(call.refused().await, (refusal.0, refusal.1.to_owned()), "{secret}");
    }
    let after = change(json!({ "level": "none" })).await;
    assert_eq!(
        (&after["level"], &after["has_api_key"], &after["webhook_secrets"][0]["fingerprint"]),
        (&json!("none"), &json!(true), &json!(fingerprints[0]))
    );
    for body in
        [json!({ "mode": "test" }), json!({ "api_base": "http://10.0.0.1:80" }), json!({ "provider": "paddle" })]
    {
        let answer = shop.call("PATCH", &path).key(&shop.live).json(body.clone()).refused().await;
        assert_eq!(answer, (400, "invalid_request".to_owned()), "{body}");
    }
    let body = json!({ "code": "stripe", "provider": "stripe", "mode": "live" });
    assert_eq!(
        shop.call("POST", "/v1/connections").key(&shop.live).json(body).refused().await,
        (409, "conflict".to_owned())
    );
}

#[tokio::test]
async fn a_secret_in_the_wrong_place_is_not_repeated() {
    let shop = Shop::sqlite().await;
    for (path, body) in [
        (
            "/v1/connections",
            json!({ "code": "a", "provider": "stripe", "mode": "live", "webhook_secrets": "whsec_oops" }),
        ),
        ("/v1/connections", json!({ "code": "a", "provider": "stripe", "mode": "whsec_oops" })),
        ("/v1/connections", json!("whsec_oops")),
        ("/v1/licenses/lookup", json!({ "key": ["whsec_oops"] })),
    ] {
        let answer = shop.call("POST", path).key(&shop.live).json(body.clone()).send().await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.text.contains("oops"), "{}", answer.text);
    }
}

#[tokio::test]
async fn only_the_operator_points_the_server_at_itself() {
    let mut shop = Shop::sqlite().await;
    shop.open_for_all();
    let catalogue = shop.key("catalogue", ApiKeyKind::Test, &[Scope::CatalogueWrite]).await;
    let stranger = json!({ "slug": "stranger", "name": "Stranger" });
    let stranger = shop.call("POST", "/v1/sign-up").json(stranger).succeed().await;
    let (live, test) = (stranger["live_key"].as_str().unwrap(), stranger["test_key"].as_str().unwrap());
    let body = |mode: &str, api_base: Value| json!({ "code": "play", "provider": "stripe", "mode": mode, "api_base": api_base });
    let here = json!("http://127.0.0.1:9000");
    let create = |key: &str, body: &Value| shop.call("POST", "/v1/connections").key(key).json(body.clone());
    for key in [live, test, &catalogue] {
        let answer = create(key, &body("simulated", here.clone())).send().await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert!(answer.text.contains("the tenant `default`"), "{}", answer.text);
    }
    let made = create(&shop.test, &body("simulated", here.clone())).succeed().await;
    assert_eq!((&made["mode"], &made["livemode"], &made["api_base"]), (&json!("simulated"), &json!(false), &here));
    // Nor does what is there already become one, or lead elsewhere.
    assert_eq!(create(test, &body("test", here.clone())).refused().await.0, 400);
    let theirs = create(test, &body("test", Value::Null)).succeed().await;
    let path = format!("/v1/connections/{}", theirs["id"].as_str().unwrap());
    let change = |key: &str, body: Value| shop.call("PATCH", &path).key(key).json(body);
    for key in [live, test] {
        assert_eq!(change(key, json!({ "mode": "simulated", "api_base": here })).refused().await.0, 403);
        assert_eq!(change(key, json!({ "api_base": here })).refused().await.0, 400);
    }
    // Nor does one that the operator made for them.
    let tenant = shop.engine.tenant("stranger").await.unwrap().unwrap();
    let input = engine::configuration::ConnectionInput {
        api_base: Some("http://127.0.0.1:9000".to_owned()),
        ..engine::configuration::ConnectionInput::new("played", "stripe", engine::connections::Mode::Simulated)
    };
    shop.engine.save_connection(tenant, input, engine::configuration::Existing::New, "test").await.unwrap();
    let list = shop.call("GET", "/v1/connections").key(test).succeed().await;
    let played = list["data"].as_array().unwrap().iter().find(|row| row["code"] == "played").unwrap().clone();
    let path = format!("/v1/connections/{}", played["id"].as_str().unwrap());
    for body in [json!({ "api_base": "http://127.0.0.1:9001" }), json!({ "mode": "test" }), json!({ "level": "full" })]
    {
        assert_eq!(shop.call("PATCH", &path).key(test).json(body).refused().await.0, 403);
    }
}

#[tokio::test]
async fn an_order_that_became_part_of_another_is_answered_with_that_one() {
    let shop = Shop::sqlite().await;
    let session = |payment: Option<&str>, status: &str| {
        json!({
            "id": "cs_basic", "object": "checkout.session", "mode": "payment", "payment_status": status,
            "amount_total": 9800, "currency": "eur", "payment_intent": payment
        })
    };
    shop.deliver(&event("evt_1", "checkout.session.completed", true, session(None, "unpaid"))).await;
    shop.deliver(&refunded("basic")).await;
    let orders = ids(&shop.get("/v1/orders").await);
    assert_eq!(orders.len(), 2);
    shop.deliver(&event("evt_2", "checkout.session.async_payment_succeeded", true, session(Some("pi_basic"), "paid")))
        .await;
    let left = ids(&shop.get("/v1/orders").await);
    assert_eq!(left, [orders[1].clone()], "the older id stays");
    for id in &orders {
        let order = shop.get(&format!("/v1/orders/{id}")).await;
        assert_eq!((&order["id"], &order["licenses"][0]["state"]), (&json!(left[0]), &json!("revoked")), "{id}");
    }
    let entries = shop.get(&format!("/v1/audit-entries?order={}", left[0])).await;
    assert!(list(&entries).iter().any(|entry| entry["action"] == "license.issued"));
}

#[tokio::test]
async fn the_audit_log_is_a_chain() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let entries = shop.get("/v1/audit-entries?limit=100").await;
    let mut sequences: Vec<u64> = list(&entries).iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    assert!(list(&entries).iter().all(|entry| entry["chain"].as_str().unwrap().len() == 64));
    // Of the test mode, only what is of no mode is seen.
    let test = shop.call("GET", "/v1/audit-entries?limit=100").key(&shop.test).succeed().await;
    assert!(
        !list(&test).is_empty()
            && list(&test).iter().all(|entry| entry["livemode"].is_null() && entry["order"].is_null())
    );
}

#[tokio::test]
async fn how_things_stand_is_told_for_each_mode() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let live = shop.get("/v1/status").await;
    assert_eq!((&live["licenses_total"], &live["mails_pending"]), (&json!(2), &json!(2)));
    let test = shop.call("GET", "/v1/status").key(&shop.test).succeed().await;
    assert_eq!((&test["licenses_total"], &test["mails_pending"]), (&json!(0), &json!(0)));
}

/// A database may refuse them, together with every call that shares a query.
#[tokio::test]
async fn control_characters_of_apps_are_refused() {
    let shop = Shop::sqlite().await;
    for body in [
        json!({ "key": "ACME", "device": { "fingerprint": "a\u{0}b" } }),
        json!({ "key": "ACME", "device": { "fingerprint": "mac", "name": "a\nb" } }),
        json!({ "key": "ACME", "device": { "fingerprint": "mac" }, "product": "\u{1b}" }),
        json!({ "key": "ACME", "device": { "fingerprint": "mac", "app_version": "3\u{0}" } }),
        json!({ "key": "ACME", "device": { "fingerprint": "mac", "os": "mac\tOS" } }),
    ] {
        for path in ["/v1/check", "/v1/activate", "/v1/deactivate"] {
            let refused = shop.call("POST", path).json(body.clone()).refused().await;
            assert_eq!(refused, (400, "invalid_request".to_owned()), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn who_tries_many_unknown_keys_has_to_wait() {
    let shop = Shop::sqlite().await;
    let guess = |number: usize| shop.call("POST", "/v1/check").json(json!({ "key": format!("ACME-{number:04}") }));
    for number in 0..30 {
        assert_eq!(guess(number).succeed().await["code"], "not_found", "{number}");
    }
    let answer = guess(30).send().await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (429, Some("rate_limited")));
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Whoever calls through a trusted proxy is counted by himself; whoever else names an address is not believed.
#[tokio::test]
async fn who_guesses_behind_a_proxy_locks_out_nobody_else() {
    let mut shop = Shop::sqlite().await;
    let proxied = api::behind_proxies(shop.router.clone(), Arc::new(|proxy| proxy.to_string() == "192.0.2.1"));
    let direct = api::behind_proxies(std::mem::replace(&mut shop.router, proxied), Arc::new(|_| false));
    let guess = async |shop: &Shop, from: String| {
        let call = shop.call("POST", "/v1/check").header("x-forwarded-for", from);
        call.json(json!({ "key": "ACME-NONE" })).send().await.status.as_u16()
    };
    for number in 0..30 {
        assert_eq!(guess(&shop, format!("203.0.113.{number}, 198.51.100.7")).await, 200, "{number}");
    }
    assert_eq!(guess(&shop, "203.0.113.99, 198.51.100.7".to_owned()).await, 429, "whatever the guesser puts before it");
    assert_eq!(guess(&shop, "198.51.100.8".to_owned()).await, 200);
    shop.router = direct;
    for number in 0..30 {
        assert_eq!(guess(&shop, format!("203.0.113.{number}")).await, 200, "{number}");
    }
    assert_eq!(guess(&shop, "203.0.113.99".to_owned()).await, 429, "without a trusted proxy no address is believed");
}

/// Leases of every tenant name this server as their issuer, so their keys are found in one place.
#[tokio::test]
async fn the_keys_of_all_tenants_verify_leases() {
    let shop = Shop::sqlite().await;
    shop.engine.ensure_tenant("neighbour", "Another vendor").await.unwrap();
    let keys = shop.call("GET", "/.well-known/jwks.json").succeed().await;
    let kid = |key: &serde_json::Value| key["kid"].as_str().unwrap().to_owned();
    let kids: std::collections::BTreeSet<String> = keys["keys"].as_array().unwrap().iter().map(kid).collect();
    assert_eq!(kids.len(), 2);
}

#[tokio::test]
async fn a_domain_uses_a_license() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    let key = shop.key_of(&license).await;
    let call = |path: &str, domain: &str| shop.call("POST", path).json(json!({ "key": key, "domain": domain }));
    assert_eq!(call("/v1/check", "shop.example.com").succeed().await["code"], "not_activated");
    let first = call("/v1/activate", "shop.example.com").succeed().await;
    assert_eq!(first["code"], "valid", "{first}");
    for same in ["https://Shop.Example.com/cart?x=1", "shop.example.com.", "http://shop.example.com:8080"] {
        assert_eq!(call("/v1/activate", same).succeed().await["activation"], first["activation"], "{same}");
    }
    assert_eq!(call("/v1/check", "SHOP.example.com").succeed().await["code"], "valid");
    assert_eq!(call("/v1/check", "other.example.com").succeed().await["code"], "not_activated");
    for wrong in ["", "a b", "127.0.0.1", "https://"] {
        assert_eq!(call("/v1/activate", wrong).refused().await, (400, "invalid_request".to_owned()), "{wrong}");
    }
    let both = json!({ "key": key, "domain": "a.example", "device": { "fingerprint": "pc" } });
    assert_eq!(shop.call("POST", "/v1/check").json(both).refused().await.0, 400);
    let shown = shop.get(&format!("/v1/licenses/{license}")).await;
    assert_eq!(shown["activations"].as_array().map(Vec::len), Some(1), "{shown}");
}

#[tokio::test]
async fn what_a_marketplace_knows_the_vendor_by_goes_in_and_never_comes_out() {
    let shop = Shop::sqlite().await;
    let client = |id: &str, secret: &str| json!({ "id": id, "secret": secret });
    let body = json!({
        "code": "sumo", "provider": "appsumo", "mode": "live", "webhook_secrets": ["appsumo_key"],
        "oauth_client": client("client-1", "hush-1"),
    });
    let made = shop.post("/v1/connections", body).await;
    assert_eq!(made["redirect_url"], "https://licenses.example.com/redeem/appsumo/default/sumo");
    assert_eq!(made["oauth_client_id"], "client-1");
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let change = json!({ "oauth_client": client("client-2", "hush-2") });
    let changed = shop.call("PATCH", &path).key(&shop.live).json(change).succeed().await;
    assert_eq!(changed["oauth_client_id"], "client-2");
    assert_eq!(changed["plan_from_custom_data"], false);
    let more = json!({ "tolerance_seconds": 60, "plan_from_custom_data": true });
    let kept = shop.call("PATCH", &path).key(&shop.live).json(more).succeed().await;
    assert_eq!(
        (&kept["oauth_client_id"], &kept["plan_from_custom_data"]),
        (&json!("client-2"), &json!(true)),
        "what is left out stays"
    );
    assert!(![made, changed, kept].iter().any(|shown| shown.to_string().contains("hush")));
    let stripe = json!({ "code": "s2", "provider": "stripe", "mode": "live", "oauth_client": client("c", "s") });
    let refused = shop.call("POST", "/v1/connections").key(&shop.live).json(stripe).refused().await;
    assert_eq!(refused, (400, "invalid_request".to_owned()), "Stripe sends no buyers");
}
