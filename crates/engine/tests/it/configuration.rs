//! Applying a file, and changing one thing at a time.

use std::time::Duration;

use crypto::token::ApiKeyKind;
use domain::{
    decision::Matcher,
    id::{PriceRuleId, TenantId},
    plan::{AddOn, PlanTerms},
    text::PriceReference,
};
use engine::configuration::{
    Action, ConfigurationError, ConfigurationFile, Existing, GrantInput, PlanInput, PriceRuleInput, What,
};
use secrecy::ExposeSecret;

use crate::harness::{Harness, SHOP, on_both_databases};

const STRIPE: &str = r#"
    connection = [{ code = "stripe", provider = "stripe", mode = "test", level = "read",
        webhook_secrets = ["env:WEBHOOK"], api_key = "file:/run/stripe" }]
    price_rule = [
        { connection = "stripe", price = "price_1", plan = "pro" },
        { connection = "stripe", default = true, grants = [] },
    ]
"#;

on_both_databases!(
    twice_changes_nothing,
    a_changed_plan_is_for_later_sales,
    a_new_rule_issues_what_waited_for_it,
    a_new_plan_issues_what_named_it,
    nothing_is_taken_away_unless_it_is_pruned,
    a_file_with_a_mistake_changes_nothing,
    api_keys_come_from_a_file,
    one_thing_at_a_time,
    tenants_are_kept_apart,
    two_files_at_once,
);

async fn twice_changes_nothing(harness: Harness) {
    let file = format!("{SHOP}{STRIPE}");
    let report = harness.apply(&file).await;
    assert_eq!((report.count(Action::Created), report.changes.len()), (6, 6), "{report}");
    let (revision, audited) = (harness.revision().await, harness.audited().await);
    let expected = ["configuration.applied", "connection.created", "plan.created", "plan.created"];
    assert_eq!(audited[..4], expected);
    assert_eq!(audited[4..], ["price_rule.created", "price_rule.created", "product.created"]);
    let report = harness.apply(&file).await;
    assert_eq!(report.to_string(), "6 unchanged\n");
    assert_eq!((harness.revision().await, harness.audited().await), (revision, audited));
    assert_eq!(harness.engine.store.plans(harness.tenant).await.unwrap().len(), 2);
    let connections = harness.engine.connections().await.unwrap();
    let stripe = connections.iter().find(|connection| connection.code == "stripe").unwrap();
    let webhook: Vec<&str> = stripe.webhook_secrets.iter().map(|secret| secret.expose_secret()).collect();
    assert_eq!(webhook, ["secret-env:WEBHOOK"]);
    assert_eq!(stripe.api_key.as_ref().unwrap().expose_secret(), "secret-file:/run/stripe");
}

async fn a_changed_plan_is_for_later_sales(harness: Harness) {
    harness.apply(SHOP).await;
    let before = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).license;
    harness.apply(&SHOP.replace("activations = 2", "activations = 5")).await;
    let after = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).license;
    assert_eq!((before.plan.plan, before.plan.version), (after.plan.plan, 1));
    assert_eq!(after.plan.version, 2);
    let stored = harness.engine.store.plans(harness.tenant).await.unwrap();
    assert_eq!(stored.iter().filter(|plan| plan.code == "pro").count(), 2);
}

async fn a_new_rule_issues_what_waited_for_it(harness: Harness) {
    harness.apply(SHOP).await;
    let sale = harness.sell("gone").await;
    harness.settle().await;
    assert_eq!((harness.licenses_of(&sale).await, harness.attention().await), (0, vec!["unmapped_price".to_owned()]));
    // A rule for another price wakes nobody.
    let other = r#"price_rule = [{ connection = "manual", price = "plan:other", plan = "pro" }]"#;
    assert_eq!(harness.apply(other).await.woken, 0);
    let rule = r#"price_rule = [{ connection = "manual", price = "plan:gone", plan = "pro" }]"#;
    let report = harness.apply(rule).await;
    assert_eq!(report.woken, 1);
    assert!(report.to_string().ends_with("1 waiting order is looked at again\n"), "{report}");
    harness.settle().await;
    assert_eq!((harness.licenses_of(&sale).await, harness.attention().await), (1, vec![]));
}

async fn a_new_plan_issues_what_named_it(harness: Harness) {
    harness.apply(SHOP).await;
    let sale = harness.sell("team").await;
    harness.settle().await;
    assert_eq!(harness.licenses_of(&sale).await, 0);
    let report = harness.apply(r#"plan = [{ code = "team", product = "tool", name = "Team" }]"#).await;
    assert_eq!(report.woken, 1);
    harness.settle().await;
    assert_eq!((harness.licenses_of(&sale).await, harness.attention().await), (1, vec![]));
}

async fn nothing_is_taken_away_unless_it_is_pruned(harness: Harness) {
    harness.apply(&format!("{SHOP}{STRIPE}")).await;
    let (key, text) = harness
        .engine
        .create_api_key(harness.tenant, "hand", ApiKeyKind::Live, &[engine::api_keys::Scope::Issue], "cli")
        .await
        .unwrap();
    let report = harness.apply("").await;
    assert_eq!((report.is_change(), report.count(Action::WouldDelete)), (false, 3), "{report}");
    let report = harness.try_apply(SHOP, true).await.unwrap();
    assert_eq!((report.count(Action::Deleted), report.count(Action::Revoked)), (2, 1), "{report}");
    assert_eq!(report.count(Action::Kept), 1, "the connection stays: {report}");
    assert!(harness.engine.store.price_rules(harness.tenant).await.unwrap().is_empty());
    assert_eq!(harness.engine.authenticate(&text.reveal()).await.unwrap(), None);
    let keys = harness.engine.store.api_keys(harness.tenant).await.unwrap();
    assert!(keys.iter().any(|row| row.id == key.id && row.revoked_at.is_some()));
    assert!(!harness.try_apply(SHOP, true).await.unwrap().is_change());
}

async fn a_file_with_a_mistake_changes_nothing(harness: Harness) {
    let file =
        format!("{SHOP}{STRIPE}").replace("price = \"price_1\", plan = \"pro\"", "price = \"price_1\", plan = \"por\"");
    let revision = harness.revision().await;
    let error = harness.try_apply(&file, false).await.unwrap_err();
    assert!(matches!(&error, ConfigurationError::Problems(problems) if problems.len() == 1), "{error}");
    assert!(harness.engine.store.products(harness.tenant).await.unwrap().is_empty());
    assert_eq!((harness.revision().await, harness.audited().await), (revision, vec![]));
    // Nor is a tenant made for it.
    let of_another =
        format!("[tenant]\nslug = \"other\"\n{}", "[[plan]]\ncode = \"a\"\nproduct = \"b\"\nname = \"c\"\n");
    assert!(harness.try_apply(&of_another, false).await.is_err());
    assert_eq!(harness.engine.tenant("other").await.unwrap(), None);
}

async fn api_keys_come_from_a_file(harness: Harness) {
    let file = "[[api_key]]\nname = \"ci\"\nkind = \"live\"\nscopes = [\"issue\"]\nkey = \"env:CI\"\n";
    let file = ConfigurationFile::parse(file).unwrap();
    let (first, second) =
        (harness.engine.generate_api_key(ApiKeyKind::Live), harness.engine.generate_api_key(ApiKeyKind::Live));
    let (first, second) = (first.reveal(), second.reveal());
    let apply = async |key: &str| {
        let secrets = |_: &str| Ok(format!("{key}\n"));
        harness.engine.apply(&file, &secrets, false, "test").await
    };
    assert_eq!(apply(&first).await.unwrap().count(Action::Created), 1);
    assert_eq!(apply(&first).await.unwrap().count(Action::Unchanged), 1);
    assert_eq!(harness.engine.authenticate(&first).await.unwrap().unwrap().name, "ci");
    assert_eq!(apply(&second).await.unwrap().count(Action::Created), 1);
    assert_eq!(harness.engine.authenticate(&first).await.unwrap(), None);
    assert_eq!(harness.engine.authenticate(&second).await.unwrap().unwrap().name, "ci");
    // What was revoked stays so.
    assert!(apply(&first).await.is_err());
}

async fn one_thing_at_a_time(harness: Harness) {
    harness.apply(SHOP).await;
    let engine = &harness.engine;
    let plan = |name: &str| PlanInput {
        code: "pro".to_owned(),
        product: "tool".to_owned(),
        name: name.to_owned(),
        terms: PlanTerms::default(),
    };
    let revision = harness.revision().await;
    let exists = engine.save_plan(harness.tenant, plan("Pro"), Existing::New, "key").await.unwrap_err();
    assert!(matches!(exists, ConfigurationError::Exists(What::Plan, _)), "{exists}");
    let changed = engine.save_plan(harness.tenant, plan("Pro"), Existing::There, "key").await.unwrap();
    assert_eq!(changed.action, Action::Changed);
    assert_eq!(harness.revision().await, revision + 1);
    let same = engine.save_plan(harness.tenant, plan("Pro"), Existing::Either, "key").await.unwrap();
    assert_eq!((same.action, harness.revision().await), (Action::Unchanged, revision + 1));

    let sale = harness.sell("gone").await;
    harness.settle().await;
    let rule = PriceRuleInput {
        connection: "manual".to_owned(),
        matcher: Matcher::Price(PriceReference::new("plan:gone")),
        grants: vec![GrantInput { plan: "year".to_owned(), quantity: Default::default() }],
        adds: AddOn::default(),
        from: None,
        until: None,
    };
    let created = engine.save_price_rule(harness.tenant, rule.clone(), Existing::New, "key").await.unwrap();
    assert_eq!(created.action, Action::Created);
    harness.settle().await;
    assert_eq!(harness.licenses_of(&sale).await, 1);

    let rules = engine.store.price_rules(harness.tenant).await.unwrap();
    let id = PriceRuleId(rules[0].id);
    let foreign = engine.ensure_tenant("other", "Other").await.unwrap();
    assert!(matches!(engine.delete_price_rule(foreign, id, "key").await, Err(ConfigurationError::Missing(..))));
    assert_eq!(engine.delete_price_rule(harness.tenant, id, "key").await.unwrap().action, Action::Deleted);
    assert!(matches!(engine.delete_price_rule(harness.tenant, id, "key").await, Err(ConfigurationError::Missing(..))));
    harness.settle().await;
    assert_eq!(harness.licenses_of(&sale).await, 1, "what was decided stays decided");
    let audited = harness.audited().await;
    for action in ["plan.changed", "price_rule.created", "price_rule.deleted"] {
        assert_eq!(audited.iter().filter(|audited| *audited == action).count(), 1, "{action}");
    }
}

async fn tenants_are_kept_apart(harness: Harness) {
    harness.apply(SHOP).await;
    let report = harness.apply(&format!("tenant = {{ slug = \"other\", name = \"Other\" }}\n{SHOP}")).await;
    assert_eq!((report.changes[0].what, report.count(Action::Created)), (What::Tenant, 4), "{report}");
    let other: TenantId = harness.engine.tenant("other").await.unwrap().unwrap();
    assert_ne!(other, harness.tenant);
    assert_eq!(harness.engine.store.plans(other).await.unwrap().len(), 2);
    // A key of one tenant is not taken over by another.
    let key = harness.engine.generate_api_key(ApiKeyKind::Live).reveal().to_string();
    let secrets = |_: &str| Ok(key.clone());
    let file = "[[api_key]]\nname = \"ci\"\nkind = \"live\"\nscopes = [\"issue\"]\nkey = \"env:CI\"\n";
    let own = ConfigurationFile::parse(file).unwrap();
    harness.engine.apply(&own, &secrets, false, "test").await.unwrap();
    let of_other = ConfigurationFile::parse(&format!("tenant = {{ slug = \"other\" }}\n{file}")).unwrap();
    assert!(harness.engine.apply(&of_other, &secrets, false, "test").await.is_err());
    assert_eq!(harness.engine.authenticate(&key).await.unwrap().unwrap().tenant, harness.tenant);
}

async fn two_files_at_once(harness: Harness) {
    let apply = async || {
        let mut changed = 0;
        for activations in 1..10 {
            let file = SHOP.replace("activations = 2", &format!("activations = {activations}"));
            changed += usize::from(harness.apply(&file).await.is_change());
        }
        changed
    };
    let (one, other) = tokio::join!(apply(), apply());
    let versions = harness.engine.store.plans(harness.tenant).await.unwrap();
    let versions: Vec<i32> = versions.iter().filter(|plan| plan.code == "pro").map(|plan| plan.version).collect();
    assert_eq!(versions.len(), one + other, "every change is one version");
    assert_eq!(versions, (1..).take(versions.len()).collect::<Vec<i32>>());
}

/// A batch that still decides by the old rules ends before the new ones wake whoever waits, or it would wait for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_the_old_rules_ends_first_on_postgres() {
    let harness = Harness::postgres().await;
    harness.apply(SHOP).await;
    let batch = harness.engine.store.begin().await.unwrap();
    batch.catalogue_revision(harness.tenant).await.unwrap();
    let rule = r#"price_rule = [{ connection = "manual", price = "plan:gone", plan = "pro" }]"#;
    let applying = harness.apply(rule);
    let committing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(harness.engine.store.price_rules(harness.tenant).await.unwrap().is_empty());
        batch.commit().await.unwrap();
    };
    let (report, ()) = tokio::join!(applying, committing);
    assert_eq!(report.count(Action::Created), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_file() {
    let harness = Harness::sqlite().await;
    harness.engine.check_ring().await.unwrap();
    harness.apply(&format!("{SHOP}{STRIPE}")).await;
    let key = harness.engine.generate_api_key(ApiKeyKind::Live).reveal().to_string();
    let secrets = |_: &str| Ok(key.clone());
    let file = "[[api_key]]\nname = \"ci\"\nkind = \"live\"\nscopes = [\"issue\"]\nkey = \"env:CI\"\n";
    let file = ConfigurationFile::parse(file).unwrap();
    harness.engine.apply(&file, &secrets, false, "test").await.unwrap();
    let issued = harness.issue("pro", "ada@example.com", 3).await;
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(harness.database.folder.path()).unwrap() {
        stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| stored.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("ada@example.com"), "what is not secret is found");
    for secret in ["secret-env:WEBHOOK", "secret-file:/run/stripe", &key, &key[35..]] {
        assert!(!holds(secret), "{secret}");
    }
    for license in &issued.licenses {
        let key = license.key.reveal();
        assert!(!holds(key) && !holds(&key.replace('-', "")), "{key}");
    }
}
