//! Connecting an account: the key is looked at first, and nothing is written unless all of it works.

use std::sync::{Arc, Mutex};

use engine::{
    Dial, DialError, Dialled,
    configuration::{ConnectionInput, Existing},
    connect::{Connect, ConnectError, Connected},
    connections::{Connection, Mode},
    tenants::DEFAULT_TENANT,
};
use futures::future::BoxFuture;
use providers::{Level, http::Request};
use secrecy::SecretString;
use serde_json::json;
use store::testing::TestDatabase;

use crate::harness::{Harness, SHOP};

/// A Stripe that refuses some permissions, and makes webhook endpoints.
#[derive(Default)]
struct Account {
    lacks: Vec<&'static str>,
    is_key_unknown: bool,
    forms: Mutex<Vec<String>>,
    /// Under which keys endpoints were asked for.
    keys: Mutex<Vec<Option<String>>>,
    /// How many of those answers are lost.
    lost: Mutex<usize>,
}

impl Dial for Account {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let path = request.path.as_str();
        let needed = match (&request.post, path) {
            (Some(_), path) if path.starts_with("/v1/webhook_endpoints") => "rak_webhook_write",
            (Some(_), path) if path.starts_with("/v1/customers") => "rak_customer_write",
            (Some(_), path) if path.starts_with("/v1/prices") => "rak_plan_write",
            (_, path) if path.starts_with("/v1/events") => "rak_event_read",
            _ => "",
        };
        let error = |status, message: String| (status, json!({ "error": { "message": message } }));
        let (status, body) = if self.is_key_unknown {
            error(401, "Invalid API Key provided".to_owned())
        } else if self.lacks.contains(&needed) {
            error(403, format!("Having the '{needed}' permission would allow this request to continue."))
        } else if path == "/v1/webhook_endpoints" {
            let form = request.post.as_ref().map(|post| post.content.body()).unwrap_or_default();
            self.forms.lock().unwrap().push(form);
            self.keys.lock().unwrap().push(request.post.as_ref().and_then(|post| post.idempotency_key.clone()));
            let mut lost = self.lost.lock().unwrap();
            if *lost > 0 {
                *lost -= 1;
                return Box::pin(std::future::ready(Err(DialError("the answer was lost".to_owned()))));
            }
            (200, json!({ "id": "we_1", "object": "webhook_endpoint", "secret": "whsec_made" }))
        } else {
            error(404, "No such object".to_owned())
        };
        Box::pin(std::future::ready(Ok(Dialled { status, body: body.to_string(), retry_after_seconds: None })))
    }
}

async fn harness(account: &Arc<Account>) -> Harness {
    Harness::with_dialler(TestDatabase::sqlite().await, Arc::clone(account) as Arc<dyn Dial>).await
}

fn asked(harness: &Harness) -> Connect {
    Connect {
        tenant: harness.tenant,
        tenant_slug: DEFAULT_TENANT.to_owned(),
        code: "shop".to_owned(),
        provider: "stripe".to_owned(),
        mode: Mode::Test,
        level: Level::Read,
        api_key: SecretString::from("rk_test_1"),
        api_base: None,
        server: Some("https://keys.example.com/".to_owned()),
    }
}

#[tokio::test]
async fn the_endpoint_is_made_and_its_secret_believed() {
    let account = Arc::new(Account { lacks: vec!["rak_event_read"], ..Account::default() });
    let harness = harness(&account).await;
    let connected = harness.engine.connect(&asked(&harness), "cli").await.unwrap();
    assert_eq!((connected.change.action.as_str(), connected.webhook.as_deref()), ("created", Some("we_1")));
    let missing: Vec<_> = connected.check.missing.iter().map(|missing| missing.code.as_str()).collect();
    assert_eq!(missing, ["rak_event_read"], "what it lacks is told and in nobody's way");
    assert!(connected.check.link.unwrap().starts_with("https://dashboard.stripe.com/test/apikeys/create?"));
    let forms = account.forms.lock().unwrap().clone();
    assert!(forms[0].contains("url=https%3A%2F%2Fkeys.example.com%2Fv1%2Fwebhooks%2Fstripe%2Fdefault"), "{forms:?}");
    let connections = harness.engine.connections().await.unwrap();
    let made = connections.iter().find(|connection| connection.code == "shop").unwrap();
    assert_eq!((made.webhook_secrets.len(), made.settings.level, made.api_key.is_some()), (1, Level::Read, true));
}

#[tokio::test]
async fn an_endpoint_whose_answer_was_lost_is_asked_for_once_more_and_is_the_same() {
    let account = Arc::new(Account { lost: Mutex::new(1), ..Account::default() });
    let harness = harness(&account).await;
    let connected = harness.engine.connect(&asked(&harness), "cli").await.unwrap();
    assert_eq!(connected.webhook.as_deref(), Some("we_1"));
    let keys = account.keys.lock().unwrap().clone();
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    // What stays without an answer is told, and a person who asks again has another one made.
    *account.lost.lock().unwrap() = 2;
    assert!(matches!(harness.engine.connect(&asked(&harness), "cli").await, Err(ConnectError::Dial(_))));
    harness.engine.connect(&asked(&harness), "cli").await.unwrap();
    let keys = account.keys.lock().unwrap().clone();
    assert!(keys[2] == keys[3] && keys[3] != keys[4] && keys[2] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_key_that_will_not_do_changes_nothing() {
    let unknown = Arc::new(Account { is_key_unknown: true, ..Account::default() });
    let lacking = Arc::new(Account { lacks: vec!["rak_webhook_write"], ..Account::default() });
    for (account, expected) in [(unknown, "does not take this API key"), (lacking, "`Webhook Endpoints: write`")] {
        let harness = harness(&account).await;
        let refused = harness.engine.connect(&asked(&harness), "cli").await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
        if let ConnectError::MayNotMakeWebhook { link, .. } = refused {
            assert!(
                link.contains("rak_webhook_write") && link.contains("rak_event_read"),
                "all that is needed: {link}"
            );
        }
        let connections = harness.engine.connections().await.unwrap();
        assert!(connections.iter().all(|connection| connection.code != "shop"));
        assert!(account.forms.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn without_an_address_no_endpoint_is_made() {
    let account = Arc::new(Account { lacks: vec!["rak_webhook_write"], ..Account::default() });
    let harness = harness(&account).await;
    let connected = harness.engine.connect(&Connect { server: None, ..asked(&harness) }, "cli").await.unwrap();
    assert_eq!((connected.webhook, connected.check.missing), (None, Vec::new()));
    let again = harness.engine.connect(&Connect { server: None, ..asked(&harness) }, "cli").await.unwrap();
    assert_eq!(again.change.action.as_str(), "unchanged");
}

#[tokio::test]
async fn a_key_that_is_to_write_keys_back_is_asked_whether_it_may() {
    let account = Arc::new(Account { lacks: vec!["rak_customer_write"], ..Account::default() });
    let harness = harness(&account).await;
    let asked = Connect { server: None, ..asked(&harness) };
    let first = harness.engine.connect(&asked, "cli").await.unwrap();
    assert_eq!(first.check.missing, Vec::new(), "keys are not written back");
    let input = ConnectionInput {
        level: Level::Read,
        write_back: Some(true),
        ..ConnectionInput::new("shop", "stripe", Mode::Test)
    };
    harness.engine.save_connection(harness.tenant, input, Existing::Either, "cli").await.unwrap();
    let again = harness.engine.connect(&asked, "cli").await.unwrap();
    let missing: Vec<_> = again.check.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!((missing, again.change.action.as_str()), (vec!["Customers: write"], "unchanged"));
    assert!(again.check.link.unwrap().contains("rak_customer_write"));
    let connections = harness.engine.connections().await.unwrap();
    let kept = connections.iter().find(|connection| connection.code == "shop").unwrap();
    assert!(kept.settings.write_back, "the setting stays");
}

#[tokio::test]
async fn a_key_that_is_to_sell_is_asked_whether_it_may() {
    let account = Arc::new(Account { lacks: vec!["rak_plan_write"], ..Account::default() });
    let harness = harness(&account).await;
    let asked = Connect { server: None, ..asked(&harness) };
    let names =
        |connected: Connected| connected.check.missing.into_iter().map(|missing| missing.name).collect::<Vec<_>>();
    harness.apply(SHOP).await;
    assert_eq!(names(harness.engine.connect(&asked, "cli").await.unwrap()), [] as [String; 0], "no plan has a price");
    let priced = r#"plan = [{ code = "pro", product = "tool", name = "Pro", activations = 2,
        price = { amount = 4900, currency = "EUR" } }]"#;
    harness.apply(priced).await;
    let again = harness.engine.connect(&asked, "cli").await.unwrap();
    let link = again.check.link.clone().unwrap();
    assert!(link.contains("rak_plan_write") && link.contains("rak_checkout_session_write"), "{link}");
    assert_eq!(names(again), ["Prices: write"]);
    let beside = Connect { code: "beside".to_owned(), ..asked };
    assert_eq!(names(harness.engine.connect(&beside, "cli").await.unwrap()), [] as [String; 0], "the first one sells");
    // A platform's key sells whatever its own tenant's plans say.
    harness
        .apply(
            r#"connection = [{ code = "platform", provider = "stripe", mode = "live", level = "none", platform = true,
        webhook_secrets = ["env:S"], api_key = "env:K" }]"#,
        )
        .await;
    let connections = harness.engine.connections().await.unwrap();
    let platform = connections.iter().find(|connection| connection.code == "platform").unwrap();
    let uses = harness.engine.uses_of(platform).await.unwrap();
    assert!(uses.sells && uses.level == Level::None, "{uses:?}");
}
