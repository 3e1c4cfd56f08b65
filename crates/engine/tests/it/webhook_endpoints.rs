//! Addresses to which events go: configured, stopped and started, with secrets that change.

use crypto::{
    seal::Place,
    webhook::{EndpointSecrets, WebhookSecret},
};
use domain::{
    event::{EventKind, WantedKinds},
    id::{TenantId, WebhookEndpointId},
};
use engine::{
    configuration::{Action, ConfigurationError, ConfigurationFile, Existing, WebhookEndpointInput},
    rulings::By,
    webhooks::WebhookError,
};
use jiff::SignedDuration;
use store::{deliveries, lists::Whose, webhook_endpoints};

use crate::harness::{Harness, SHOP, on_both_databases};

/// One address, which is told of two kinds of event.
const CRM: &str = r#"
    webhook_endpoint = [{ code = "crm", url = "https://crm.example/hooks", events = ["license.created", "order.created"],
        ordered = true, headers = { X-Team = "blue", Authorization = "env:TOKEN" } }]
"#;

on_both_databases!(
    a_file_says_where_events_go,
    what_an_endpoint_may_not_be,
    secrets_change_with_an_overlap,
    a_paused_endpoint_holds_its_events,
    others_may_do_nothing,
);

fn by() -> By {
    By { actor: "test".to_owned(), note: Some("why".to_owned()) }
}

fn whose(harness: &Harness) -> Whose {
    Whose { tenant: harness.tenant, livemode: true }
}

async fn secrets(harness: &Harness, code: &str) -> EndpointSecrets {
    let row = harness.endpoint(code).await;
    let place = Place::webhook_endpoint(TenantId(row.tenant_id), row.id);
    serde_json::from_slice(&harness.ring.get().open(place, &row.sealed).unwrap()).unwrap()
}

async fn a_file_says_where_events_go(harness: Harness) {
    let report = harness.apply(CRM).await;
    let made = report.changes[0].secret.clone().unwrap();
    let told = report.to_string();
    assert!(told.contains(&format!("webhook endpoint `crm` signs with {}, shown this once", made.reveal())), "{told}");
    let row = harness.endpoint("crm").await;
    assert_eq!(
        (row.url.as_str(), row.style.as_str(), row.schedule.as_str()),
        ("https://crm.example/hooks", "standard", "standard")
    );
    assert_eq!((row.kinds.as_str(), row.ordered, row.livemode), (r#"["license.created","order.created"]"#, true, true));
    let kept = secrets(&harness, "crm").await;
    assert_eq!(kept.secrets[0].secret, made);
    let headers = [("Authorization", "secret-env:TOKEN"), ("X-Team", "blue")];
    assert_eq!(kept.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(harness.engine.webhook_header_names(&row).unwrap(), ["Authorization", "X-Team"]);

    assert_eq!(harness.apply(CRM).await.to_string(), "1 unchanged\n");
    assert_eq!(harness.endpoint("crm").await, row, "nothing was written");
    harness.clock.advance(SignedDuration::from_secs(60));
    let changed =
        CRM.replace("ordered = true", "style = \"keylight\", schedule = \"short\"").replace("\"order.created\"", "");
    let report = harness.apply(&changed).await;
    assert_eq!(report.changes[0].details, ["events", "style", "schedule", "ordered"]);
    let now = harness.engine.now().as_microsecond();
    assert_eq!(harness.endpoint("crm").await.wants_since, now, "it wants such events since now");
    assert_eq!(secrets(&harness, "crm").await, kept);

    let report = harness.apply(SHOP).await;
    assert_eq!(report.count(Action::WouldDelete), 1, "{report}");
    let report = harness.try_apply(SHOP, true).await.unwrap();
    assert_eq!(report.count(Action::Deleted), 1, "{report}");
    assert!(harness.engine.store.webhook_endpoints(harness.tenant).await.unwrap().is_empty());
    let audited = harness.audited().await;
    let of_endpoints = audited.iter().filter(|action| action.starts_with("webhook_endpoint"));
    let expected = ["webhook_endpoint.changed", "webhook_endpoint.created", "webhook_endpoint.deleted"];
    assert!(of_endpoints.eq(expected), "{audited:?}");
    let days = harness.apply("tenant = { deliveries_kept_days = 30 }").await;
    assert_eq!(days.changes[0].details, ["deliveries_kept_days 30"]);
}

async fn what_an_endpoint_may_not_be(harness: Harness) {
    let long = format!("https://crm.example/{}", "x".repeat(2_048));
    let many: String = (0..21).map(|number| format!("X-{number} = \"1\",")).collect();
    let large = "x".repeat(4_100);
    for (instead_of, said, told) in [
        ("\"crm\"", "\"CRM\"", "code: a code has 1 to 40 characters, each a letter a-z, a digit or `-`"),
        ("https://crm.example/hooks", "crm", "url: this is no address: relative URL without a base"),
        ("https://crm.example/hooks", long.as_str(), "url: an address has 2048 characters at most"),
        ("license.created", "license.sold", "events: `license.sold` is no kind of event; there are license.created"),
        ("X-Team = \"blue\",", many.as_str(), "headers: 20 headers at most go along"),
        ("blue", large.as_str(), "headers: the header `X-Team` has more than 4096 bytes"),
        ("X-Team", "authorization", "is named twice"),
        ("X-Team", "Host", "headers: the header `Host` is reserved"),
        ("ordered = true", "secret = \"env:S\"", "secret: a webhook secret is `whsec_` and 24 to 64 bytes in base64"),
        ("https://crm.example/hooks", "https://169.254.169.254/latest", "url: the test may not call 169.254.169.254"),
    ] {
        let error = harness.try_apply(&CRM.replace(instead_of, said), false).await.unwrap_err();
        let is_address = matches!(error, ConfigurationError::Addresses(_));
        assert!(error.to_string().contains(told), "{said}: {error}");
        assert_eq!(is_address, told.contains("may not call"), "{said}");
    }
    assert!(harness.engine.store.webhook_endpoints(harness.tenant).await.unwrap().is_empty());
    // A tenant that is not there yet is not made for an address that is refused.
    let elsewhere = format!("tenant = {{ slug = \"other\" }}\n{}", CRM.replace("crm.example", "10.0.0.1"));
    assert!(harness.try_apply(&elsewhere, false).await.is_err());
    assert_eq!(harness.engine.tenant("other").await.unwrap(), None);

    let input = |code: String| WebhookEndpointInput {
        url: Some("https://crm.example/".to_owned()),
        ..WebhookEndpointInput::new(code, true)
    };
    let save = |input, existing| harness.engine.save_webhook_endpoint(harness.tenant, input, existing, "test");
    for number in 0..50 {
        save(input(format!("to-{number}")), Existing::New).await.unwrap();
    }
    let error = save(input("one-more".to_owned()), Existing::New).await.unwrap_err().to_string();
    assert!(error.contains("a tenant has 50 webhook endpoints at most"), "{error}");
    let error = save(input("to-1".to_owned()), Existing::New).await.unwrap_err();
    assert!(matches!(error, ConfigurationError::Exists(..)), "{error}");
    let of_tests = WebhookEndpointInput::new("to-1", false);
    let error = save(of_tests, Existing::There).await.unwrap_err().to_string();
    assert!(error.contains("it is told of live mode, for good"), "{error}");
    let narrower = WebhookEndpointInput {
        events: Some(WantedKinds::from_iter([EventKind::LicenseRevoked])),
        ..WebhookEndpointInput::new("to-1", true)
    };
    assert_eq!(save(narrower, Existing::There).await.unwrap().details, ["events"], "what is not said stays");
    let id = WebhookEndpointId(harness.endpoint("to-1").await.id);
    harness.engine.remove_webhook_endpoint(harness.tenant, id, "test").await.unwrap();
    let gone = harness.engine.remove_webhook_endpoint(harness.tenant, id, "test").await.unwrap_err();
    assert!(matches!(gone, ConfigurationError::Missing(..)), "{gone}");
}

async fn secrets_change_with_an_overlap(harness: Harness) {
    let first = harness.apply(CRM).await.changes.remove(0).secret.unwrap();
    let id = WebhookEndpointId(harness.endpoint("crm").await.id);
    let rotate = |hours| {
        let (harness, by) = (&harness, by());
        async move { harness.engine.rotate_webhook_secret(whose(harness), id, hours, &by).await }
    };
    assert!(matches!(rotate(169).await.unwrap_err(), WebhookError::Overlap));
    let (_, second) = rotate(24).await.unwrap();
    let live = async |hours| {
        let at = domain::time::after(harness.engine.now(), SignedDuration::from_hours(hours));
        secrets(&harness, "crm").await.live(at.as_microsecond())
    };
    assert_eq!(live(23).await, [second.clone(), first]);
    assert_eq!(live(24).await, [second]);
    let (_, third) = rotate(0).await.unwrap();
    assert_eq!(live(0).await, std::slice::from_ref(&third), "the one before signs no more at once");
    assert_eq!(secrets(&harness, "crm").await.headers.len(), 2, "headers stay");

    // One that is given replaces the current one in the same way.
    let given = WebhookSecret::generate(&mut *harness.engine.entropy());
    let text = given.reveal().to_owned();
    let file = ConfigurationFile::parse(&CRM.replace("ordered = true", "ordered = true, secret = \"env:S\"")).unwrap();
    let named = |source: &str| Ok(if source == "env:S" { text.clone() } else { format!("secret-{source}") });
    let report = harness.engine.apply(&file, &named, false, "test").await.unwrap();
    assert_eq!(
        (report.changes[0].details.as_slice(), report.changes[0].secret.as_ref()),
        (["secret".to_owned()].as_slice(), None)
    );
    assert_eq!(live(1).await, [given, third]);
    assert!(!harness.engine.apply(&file, &named, false, "test").await.unwrap().is_change());
}

async fn a_paused_endpoint_holds_its_events(harness: Harness) {
    harness.apply(&format!("{SHOP}{CRM}")).await;
    let id = WebhookEndpointId(harness.endpoint("crm").await.id);
    let statuses =
        async || -> Vec<String> { harness.deliveries_to("crm").await.into_iter().map(|row| row.status).collect() };
    harness.issue("pro", "ada@example.com", 1).await;
    assert_eq!(statuses().await, ["pending", "pending"]);
    let row = harness.engine.pause_webhook_endpoint(whose(&harness), id, &by()).await.unwrap();
    assert_eq!(row.status, webhook_endpoints::status::PAUSED);
    harness.issue("pro", "grace@example.com", 1).await;
    assert_eq!(statuses().await, ["held"; 4]);
    let refused = harness.engine.release_webhook_deliveries(whose(&harness), id, &by()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the webhook endpoint `crm` is paused: enable it first, then this can be delivered"
    );

    harness.engine.enable_webhook_endpoint(whose(&harness), id, false, &by()).await.unwrap();
    assert_eq!(statuses().await, ["held"; 4], "a person says when they go out");
    assert_eq!(harness.engine.release_webhook_deliveries(whose(&harness), id, &by()).await.unwrap(), 4);
    assert_eq!(statuses().await, ["pending"; 4]);
    assert!(harness.deliveries_to("crm").await.iter().all(|row| row.next_attempt_at.is_some()));

    // One that we stopped is started with all that waits, and nothing is told of its troubles any more.
    harness.engine.pause_webhook_endpoint(whose(&harness), id, &by()).await.unwrap();
    harness.database.sql("UPDATE webhook_endpoints SET status = 'disabled', reason = 'gone', failing_since = 1").await;
    let row = harness.engine.enable_webhook_endpoint(whose(&harness), id, true, &by()).await.unwrap();
    assert_eq!((row.status.as_str(), row.reason, row.failing_since), (webhook_endpoints::status::ENABLED, None, None));
    assert_eq!(statuses().await, [deliveries::status::PENDING; 4]);
    let audited = harness.audited().await;
    let count = |action: &str| audited.iter().filter(|other| *other == action).count();
    assert_eq!(["paused", "enabled", "released"].map(|word| count(&format!("webhook_endpoint.{word}"))), [2, 2, 1]);
}

async fn others_may_do_nothing(harness: Harness) {
    harness.apply(&format!("{SHOP}{CRM}")).await;
    let id = WebhookEndpointId(harness.endpoint("crm").await.id);
    let other = harness.engine.ensure_tenant("other", "Other").await.unwrap();
    for whose in [Whose { tenant: other, livemode: true }, Whose { tenant: harness.tenant, livemode: false }] {
        let engine = &harness.engine;
        let answers = [
            engine.pause_webhook_endpoint(whose, id, &by()).await.map(drop),
            engine.enable_webhook_endpoint(whose, id, true, &by()).await.map(drop),
            engine.release_webhook_deliveries(whose, id, &by()).await.map(drop),
            engine.rotate_webhook_secret(whose, id, 1, &by()).await.map(drop),
            engine.send_example(whose, id, EventKind::OrderCreated, &by()).await.map(drop),
        ];
        for answer in answers {
            assert!(matches!(answer, Err(WebhookError::NoEndpoint(_))), "{answer:?}");
        }
    }
    let gone = harness.engine.remove_webhook_endpoint(other, id, "test").await.unwrap_err();
    assert!(matches!(gone, ConfigurationError::Missing(..)), "{gone}");
    assert_eq!(harness.endpoint("crm").await.status, webhook_endpoints::status::ENABLED);
}
