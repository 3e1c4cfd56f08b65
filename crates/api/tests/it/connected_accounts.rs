//! A platform, and the accounts that vendors have connected to it.

use domain::id::TenantId;
use engine::configuration::ConfigurationFile;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{Shop, ids, paid};

/// What the platform's endpoint is signed with: the secret of now, and the one before it.
pub(crate) const PLATFORM_SECRETS: [&str; 2] = ["whsec_platform_0123456789", "whsec_platform_before_0123"];
/// The account of the vendor next door.
pub(crate) const ACCOUNT: &str = "acct_neighbour";

/// The address of the platform's endpoint.
pub(crate) const CONNECT: &str = "/api/stripe/webhook/connect";

/// Has the operator make this server a platform.
pub(crate) async fn make_platform(shop: &Shop, mode: &str) {
    let name = format!("platform-{mode}");
    let secrets = r#"["env:SECRET_0", "env:SECRET_1"]"#;
    apply(
        shop,
        &format!(
            r#"connection = [{{ code = "{name}", provider = "stripe", mode = "{mode}", level = "read", platform = true,
                webhook_secrets = {secrets}, api_key = "env:KEY" }}]"#
        ),
    )
    .await
    .unwrap();
}

/// Has the operator connect an account to the tenant of that slug.
pub(crate) async fn connect(shop: &Shop, slug: &str, account: &str, mode: &str) {
    apply(shop, &connected(slug, account, mode)).await.unwrap();
}

fn connected(slug: &str, account: &str, mode: &str) -> String {
    format!(
        r#"tenant = {{ slug = "{slug}" }}
        connection = [{{ code = "connected-{mode}", provider = "stripe", mode = "{mode}", level = "read", account = "{account}" }}]"#
    )
}

/// Applies a file as the operator.
pub(crate) async fn apply(shop: &Shop, text: &str) -> Result<(), String> {
    let secret = |source: &str| {
        Ok(match source {
            "env:SECRET_0" => PLATFORM_SECRETS[0],
            "env:SECRET_1" => PLATFORM_SECRETS[1],
            _ => "sk_live_platform",
        }
        .to_owned())
    };
    let file = ConfigurationFile::parse(text).map_err(|error| error.to_string())?;
    shop.engine.apply(&file, &secret, false, "test").await.map(|_| ()).map_err(|error| error.to_string())
}

/// The event as it comes about an account.
pub(crate) fn about(account: &str, mut event: Value) -> Value {
    event["account"] = json!(account);
    event
}

/// Delivers to the platform's endpoint, and works until nothing is left to do.
pub(crate) async fn deliver(shop: &Shop, secret: &str, event: &Value) -> u16 {
    let answer = shop.deliver_bytes(CONNECT, secret, event.to_string().as_bytes()).await;
    shop.settle().await;
    answer.status.as_u16()
}

/// The kinds of what waits for whoever has the key.
pub(crate) async fn waiting(shop: &Shop, key: &str) -> Vec<String> {
    let items = shop.call("GET", "/v1/attention-items").key(key).succeed().await;
    items["data"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

async fn licenses(shop: &Shop, key: &str) -> usize {
    ids(&shop.call("GET", "/v1/licenses").key(key).succeed().await).len()
}

/// A platform with one vendor, next door. Returns the vendor's tenant and key.
async fn platform(database: TestDatabase) -> (Shop, TenantId, String) {
    let shop = Shop::open(database).await;
    let (tenant, key) = shop.neighbour().await;
    make_platform(&shop, "live").await;
    connect(&shop, "neighbour", ACCOUNT, "live").await;
    let rule = json!({ "connection": "connected-live", "price": "price_basic", "plan": "basic" });
    shop.call("POST", "/v1/price-rules").key(&key).json(rule).succeed().await;
    (shop, tenant, key)
}

#[tokio::test]
async fn an_event_belongs_to_whoever_has_connected_its_account_on_sqlite() {
    an_event_belongs(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn an_event_belongs_to_whoever_has_connected_its_account_on_postgres() {
    an_event_belongs(TestDatabase::postgres().await).await;
}

async fn an_event_belongs(database: TestDatabase) {
    let (shop, _, theirs) = platform(database).await;
    let ours = shop.live.clone();
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &about(ACCOUNT, paid("basic", true))).await, 200);
    assert_eq!((licenses(&shop, &theirs).await, licenses(&shop, &ours).await), (2, 0));
    // What was looked up was asked of the account.
    let accounts: Vec<_> = shop.called().into_iter().map(|call| call.account).collect();
    assert_eq!(accounts, [Some(ACCOUNT.to_owned())]);
    // The same event once more, signed with the secret that is being replaced.
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[1], &about(ACCOUNT, paid("basic", true))).await, 200);
    assert_eq!(licenses(&shop, &theirs).await, 2);
    // A vendor's own webhook goes the same way inside, beside it (D01).
    shop.deliver(&paid("basic", true)).await;
    assert_eq!((licenses(&shop, &theirs).await, licenses(&shop, &ours).await), (2, 2), "ids are an account's own");
}

#[tokio::test]
async fn what_belongs_to_nobody_is_kept_and_never_refused() {
    let (shop, _, theirs) = platform(TestDatabase::sqlite().await).await;
    let unknown = |name: &str, live: bool| about("acct_unknown", paid(name, live));
    let mut says_nothing = unknown("silent", true);
    says_nothing["type"] = json!("payment_intent.created");
    let silent: [&str; 0] = [];
    for (what, secret, event, status, waits) in [
        ("of the other mode", PLATFORM_SECRETS[0], about(ACCOUNT, paid("tried", false)), 200, &silent[..]),
        ("of the other mode, and unknown", PLATFORM_SECRETS[0], unknown("tried_too", false), 200, &silent),
        ("unknown, and says nothing of licenses", PLATFORM_SECRETS[0], says_nothing, 200, &silent),
        ("not signed by the platform's secret", crate::shop::LIVE_SECRET, unknown("forged", true), 400, &silent),
        ("of an account that nobody has", PLATFORM_SECRETS[0], unknown("first", true), 200, &["unknown_account"]),
        ("and another one", PLATFORM_SECRETS[0], unknown("second", true), 200, &["unknown_account"]),
    ] {
        assert_eq!(deliver(&shop, secret, &event).await, status, "{what}");
        assert_eq!(waiting(&shop, &shop.live).await, waits, "{what}");
        assert_eq!((licenses(&shop, &shop.live).await, licenses(&shop, &theirs).await), (0, 0), "{what}");
    }
    let kept = |key: String| {
        let shop = &shop;
        async move { ids(&shop.call("GET", "/v1/inbound-events").key(&key).succeed().await).len() }
    };
    assert_eq!((kept(shop.live.clone()).await, kept(shop.test.clone()).await), (3, 2), "each where its money is");
    assert_eq!(waiting(&shop, &theirs).await, silent, "it is the operator who is told");
    assert_eq!(shop.engine.verify().await.unwrap(), [], "one item tells of both events");
    connect(&shop, "default", "acct_unknown", "live").await;
    assert_eq!(waiting(&shop, &shop.live).await, silent, "somebody has the account now");
}

/// A sale of an account that nobody has connected, which the platform holds. Returns its event.
async fn held(shop: &Shop) -> String {
    let sale = about("acct_9", paid("basic", true));
    assert_eq!(deliver(shop, PLATFORM_SECRETS[0], &sale).await, 200);
    assert_eq!(waiting(shop, &shop.live).await, ["unknown_account"]);
    let events = shop.get("/v1/inbound-events").await;
    assert_eq!(events["data"][0]["status"], "held");
    ids(&events).remove(0)
}

async fn replayed(shop: &Shop, event: &str) -> (u16, Value) {
    let path = format!("/v1/inbound-events/{event}/replay");
    let answer = shop.call("POST", &path).key(&shop.live).json(json!({})).send().await;
    shop.settle().await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn a_sale_that_came_before_its_account_is_its_accounts_on_sqlite() {
    a_sale_before_its_account(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn a_sale_that_came_before_its_account_is_its_accounts_on_postgres() {
    a_sale_before_its_account(TestDatabase::postgres().await).await;
}

async fn a_sale_before_its_account(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let (_, theirs) = shop.neighbour().await;
    make_platform(&shop, "live").await;
    let event = held(&shop).await;
    let (status, refused) = replayed(&shop, &event).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("keywright connect"), "{refused}");
    connect(&shop, "neighbour", "acct_9", "live").await;
    let rule = json!({ "connection": "connected-live", "price": "price_basic", "plan": "basic" });
    shop.call("POST", "/v1/price-rules").key(&theirs).json(rule).succeed().await;
    shop.settle().await;
    assert_eq!((licenses(&shop, &theirs).await, licenses(&shop, &shop.live).await), (2, 0));
    assert_eq!((waiting(&shop, &shop.live).await, waiting(&shop, &theirs).await), (vec![], vec![]));
    let path = format!("/v1/inbound-events/{event}");
    assert_eq!(shop.call("GET", &path).key(&theirs).succeed().await["status"], "done");
    assert_eq!(replayed(&shop, &event).await.0, 404, "it is the vendor's now");
    // Stripe sends it again, and it is known.
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &about("acct_9", paid("basic", true))).await, 200);
    assert_eq!((licenses(&shop, &theirs).await, licenses(&shop, &shop.live).await), (2, 0));
}

#[tokio::test]
async fn what_came_while_its_account_was_connected_is_not_lost() {
    // Another node, which does not know the account yet, holds what comes in the same moment.
    let (shop, _, theirs) = platform(TestDatabase::sqlite().await).await;
    let sale = |name| about(ACCOUNT, paid(name, true));
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &sale("basic")).await, 200);
    assert_eq!(licenses(&shop, &theirs).await, 2);
    let event = ids(&shop.call("GET", "/v1/inbound-events").key(&theirs).succeed().await).remove(0);
    let platform = "(SELECT id FROM connections WHERE code = 'platform-live')";
    let operator = "(SELECT id FROM tenants WHERE slug = 'default')";
    let text = format!(
        "UPDATE inbound_events SET tenant_id = {operator}, connection_id = {platform}, status = 'held' WHERE account IS NOT NULL"
    );
    assert_eq!(shop.database.sql(&text).await, 1);
    let (status, moved) = replayed(&shop, &event).await;
    assert_eq!((status, &moved["status"]), (200, &json!("received")), "{moved}");
    assert_eq!((licenses(&shop, &theirs).await, licenses(&shop, &shop.live).await), (2, 0));
    assert_eq!(shop.call("GET", &format!("/v1/inbound-events/{event}")).key(&theirs).succeed().await["status"], "done");
}

#[tokio::test]
async fn an_endpoint_of_ones_own_issues_nothing_for_accounts_of_others() {
    let shop = Shop::sqlite().await;
    shop.deliver(&about("acct_of_somebody", paid("basic", true))).await;
    shop.deliver(&about("acct_of_somebody", paid("tried", false))).await;
    assert_eq!((licenses(&shop, &shop.live).await, licenses(&shop, &shop.test).await), (0, 0));
    assert_eq!(waiting(&shop, &shop.live).await, ["unknown_account"]);
    let event = ids(&shop.get("/v1/inbound-events").await).remove(0);
    let (status, refused) = replayed(&shop, &event).await;
    assert_eq!(status, 409);
    assert!(refused["detail"].as_str().unwrap().contains("your own account only"), "{refused}");
    shop.deliver(&paid("basic", true)).await;
    assert_eq!(licenses(&shop, &shop.live).await, 0, "the same event is the same event");
    shop.deliver(&paid("again", true)).await;
    assert_eq!(waiting(&shop, &shop.live).await, ["unmapped_price", "unknown_account"], "what is one's own is played");
}

#[tokio::test]
async fn whoever_disconnects_is_told_and_can_connect_again() {
    let (shop, tenant, theirs) = platform(TestDatabase::sqlite().await).await;
    let is_connected = async || {
        let list = shop.call("GET", "/v1/connections").key(&theirs).succeed().await;
        let ours = |row: &&Value| row["code"] == "connected-live";
        list["data"].as_array().unwrap().iter().find(ours).unwrap()["connected"].clone()
    };
    let object = json!({ "id": "ca_1", "object": "application" });
    let gone = about(ACCOUNT, crate::shop::event("evt_gone", "account.application.deauthorized", true, object));
    assert_eq!(is_connected().await, true);
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &about("acct_unknown", gone.clone())).await, 200);
    assert_eq!(is_connected().await, true, "somebody else has gone");
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &gone).await, 200);
    assert_eq!(is_connected().await, false);
    assert_eq!(waiting(&shop, &theirs).await, ["account_disconnected"]);
    connect(&shop, "neighbour", ACCOUNT, "live").await;
    assert_eq!(is_connected().await, false, "a file that is applied again does not know better");

    let reconnect = engine::configuration::ConnectionInput {
        level: providers::Level::Read,
        accounts: engine::configuration::AccountsInput { is_connected: Some(true), ..Default::default() },
        ..engine::configuration::ConnectionInput::new("connected-live", "stripe", engine::connections::Mode::Live)
    };
    let existing = engine::configuration::Existing::There;
    shop.engine.save_connection(tenant, reconnect, existing, "test").await.unwrap();
    assert_eq!((is_connected().await, waiting(&shop, &theirs).await), (json!(true), vec![]));
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &gone).await, 200);
    assert_eq!(is_connected().await, true, "an old event that comes again says nothing new");
}

#[tokio::test]
async fn who_may_name_an_account_and_which() {
    let (shop, ..) = platform(TestDatabase::sqlite().await).await;
    let of = |slug: &str, fields: &str| {
        format!(
            r#"tenant = {{ slug = "{slug}" }}
            connection = [{{ code = "c", provider = "stripe", mode = "live", {fields} }}]"#
        )
    };
    for (text, expected) in [
        (connected("default", ACCOUNT, "live"), "the account acct_neighbour has a connection already"),
        (of("neighbour", r#"account = "acct_neighbour""#), "the account acct_neighbour has a connection already"),
        (of("neighbour", r#"platform = true"#), "a platform belongs to the tenant `default`"),
        (of("default", r#"account = "acct_2", platform = true"#), "leave out platform"),
        (of("default", r#"account = "acct_2", api_key = "env:KEY""#), "leave out platform"),
        (of("default", r#"account = "acct 2""#), "the provider's own id of the account"),
        (of("default", r#"platform = true, fee_ten_thousandths = 5001"#), "at most 5000"),
    ] {
        let refused = apply(&shop, &text).await.unwrap_err();
        assert!(refused.contains(expected), "{text}: {refused}");
    }
    // Who could name an account would get its sales: the API has no word for it.
    let body = json!({ "code": "mine", "provider": "stripe", "mode": "live", "account": "acct_victim" });
    assert_eq!(shop.call("POST", "/v1/connections").key(&shop.live).json(body).refused().await.0, 400);
    let listed = shop.get("/v1/connections").await.to_string();
    assert!(listed.contains("https://licenses.example.com/api/stripe/webhook/connect"), "{listed}");
    assert!(listed.contains("account.application.deauthorized"), "what its endpoint is to be subscribed to");
}

#[tokio::test]
async fn a_vendor_connects_an_account_that_is_made_for_them() {
    let shop = Shop::sqlite().await;
    let (_, key) = shop.neighbour().await;
    let ask = async |code: &str, return_url: &str| {
        let body = json!({ "provider": "stripe", "code": code, "return_url": return_url });
        let answer = shop.call("POST", "/v1/connect").key(&key).json(body).send().await;
        (answer.status.as_u16(), answer.json())
    };
    let page = "https://yourapp.com/settings";
    let (status, problem) = ask("mine", page).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("STRIPE_CONNECT_WEBHOOK_SECRET"), "{problem}");
    make_platform(&shop, "live").await;
    for (code, return_url, status) in
        [("mine", "http://yourapp.com/", 400), ("not a code", page, 400), ("stripe", page, 409)]
    {
        assert_eq!(ask(code, return_url).await.0, status, "{code} {return_url}");
    }
    assert_eq!(shop.posted(), []);

    let (status, connected) = ask("mine", page).await;
    assert_eq!((status, &connected["url"]), (200, &json!("https://connect.stripe.com/setup/s/1")), "{connected}");
    assert_eq!(connected["connection"]["account"], "acct_made_1");
    let calls: Vec<_> = shop.posted().into_iter().map(|call| (call.account, call.path, call.body)).collect();
    let links = "account=acct_made_1&type=account_onboarding&return_url=https%3A%2F%2Fyourapp.com%2Fsettings\
        &refresh_url=https%3A%2F%2Fyourapp.com%2Fsettings";
    assert_eq!(
        calls,
        [("/v1/accounts", "type=standard"), ("/v1/account_links", links)].map(|(path, body)| (
            None,
            path.to_owned(),
            body.to_owned()
        ))
    );
    // Whoever has not finished goes on with the same account.
    let (_, again) = ask("mine", page).await;
    assert_eq!(again["connection"], connected["connection"]);
    assert_ne!(again["url"], connected["url"]);
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &about("acct_made_1", paid("basic", true))).await, 200);
    assert_eq!(waiting(&shop, &key).await, ["unmapped_price"], "its sales are the vendor's");
    for number in 2..=10 {
        assert_eq!(ask(&format!("mine-{number}"), page).await.0, 200);
    }
    assert_eq!(ask("one-too-many", page).await.0, 409);
}

#[tokio::test]
async fn a_vendor_disconnects_an_account_and_takes_it_up_again() {
    let shop = Shop::sqlite().await;
    let (_, key) = shop.neighbour().await;
    make_platform(&shop, "live").await;
    let ask = async || {
        let body = json!({ "provider": "stripe", "code": "mine", "return_url": "https://yourapp.com/" });
        shop.call("POST", "/v1/connect").key(&key).json(body).send().await
    };
    let made = ask().await.json()["connection"].clone();
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let disconnect = async |path: &str| shop.call("POST", &format!("{path}/disconnect")).key(&key).send().await;
    for _ in 0..2 {
        let gone = disconnect(&path).await;
        assert_eq!((gone.status.as_u16(), &gone.json()["connected"]), (200, &json!(false)), "{}", gone.text);
    }
    // Sales that were made by it before are heard of.
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &about("acct_made_1", paid("basic", true))).await, 200);
    assert_eq!(waiting(&shop, &key).await, ["unmapped_price"]);

    // A page for it proves that the platform reaches it: no other account is made.
    let again = ask().await.json();
    assert_eq!((&again["connection"]["account"], &again["connection"]["connected"]), (&made["account"], &json!(true)));
    assert_eq!(shop.posted().iter().filter(|call| call.path == "/v1/accounts").count(), 1);
    let audit = shop.call("GET", "/v1/audit-entries").key(&key).succeed().await.to_string();
    assert_eq!(audit.matches(r#""details":["connected"]"#).count(), 2, "{audit}");

    // What the vendor took away at Stripe, only they give back there.
    let gone =
        about("acct_made_1", crate::shop::event("evt_gone", "account.application.deauthorized", true, json!({})));
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &gone).await, 200);
    shop.stripe_answers(403, json!({ "error": { "message": "Application access may have been revoked." } }));
    let refused = ask().await;
    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text);
    assert!(
        refused.text.contains("may have been revoked") && refused.text.contains("another code"),
        "{}",
        refused.text
    );
    assert_eq!(shop.call("GET", &path).key(&key).succeed().await["connected"], false);

    let own = shop.call("GET", "/v1/connections").key(&key).succeed().await;
    let own = own["data"].as_array().unwrap().iter().find(|row| row["code"] == "stripe").unwrap().clone();
    let refused = disconnect(&format!("/v1/connections/{}", own["id"].as_str().unwrap())).await;
    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text);
}

#[tokio::test]
async fn ten_accounts_are_the_most_however_many_are_asked_for_at_once_on_sqlite() {
    ten_accounts_at_once(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn ten_accounts_are_the_most_however_many_are_asked_for_at_once_on_postgres() {
    ten_accounts_at_once(TestDatabase::postgres().await).await;
}

async fn ten_accounts_at_once(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let (_, key) = shop.neighbour().await;
    make_platform(&shop, "live").await;
    let ask = |code: String| {
        let body = json!({ "provider": "stripe", "code": code, "return_url": "https://yourapp.com/" });
        shop.call("POST", "/v1/connect").key(&key).json(body).send()
    };
    // What Stripe does not make is not forgotten: its place is kept, and asking again makes it.
    shop.stripe_answers(503, json!({}));
    assert_eq!(ask("mine-0".to_owned()).await.status.as_u16(), 502);
    let answers = futures::future::join_all((0..20).map(|number| ask(format!("mine-{number}")))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status.as_u16() == status).count();
    assert_eq!((count(200), count(409)), (10, 10));
    assert_eq!(answers[0].status.as_u16(), 200, "{}", answers[0].text);
    let created = shop.posted().into_iter().filter(|call| call.path == "/v1/accounts");
    let keys: Vec<_> = created.map(|call| call.idempotency_key.unwrap()).collect();
    let different: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!((keys.len(), different.len()), (11, 10), "asked again, Stripe is asked for the same one");
}

#[tokio::test]
async fn an_account_that_stripe_refused_to_make_is_asked_for_as_another_call() {
    let shop = Shop::sqlite().await;
    let (_, key) = shop.neighbour().await;
    make_platform(&shop, "live").await;
    let ask = async || {
        let body = json!({ "provider": "stripe", "code": "mine", "return_url": "https://yourapp.com/" });
        shop.call("POST", "/v1/connect").key(&key).json(body).send().await.status.as_u16()
    };
    let refused = json!({ "error": { "message": "You have not signed up for Connect." } });
    for (answer, status) in [(Some((503, json!({}))), 502), (Some((400, refused)), 502), (None, 200)] {
        if let Some((status, body)) = answer {
            shop.stripe_answers(status, body);
        }
        assert_eq!(ask().await, status);
    }
    let created = shop.posted().into_iter().filter(|call| call.path == "/v1/accounts");
    let keys: Vec<_> = created.map(|call| call.idempotency_key.unwrap()).collect();
    assert_eq!(keys[0], keys[1], "it may have been made: Stripe has given no answer");
    assert_ne!(keys[1], keys[2], "it was not made, and Stripe may keep saying so for a day");
    // What a person asks for once it is connected has nothing to do with that any more.
    assert_eq!(ask().await, 200);
    assert_eq!(shop.posted().iter().filter(|call| call.path == "/v1/accounts").count(), 3);
}

#[tokio::test]
async fn without_a_platform_there_is_no_such_endpoint() {
    let shop = Shop::sqlite().await;
    assert_eq!(deliver(&shop, PLATFORM_SECRETS[0], &about(ACCOUNT, paid("basic", true))).await, 404);
}
