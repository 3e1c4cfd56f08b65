//! What the doctor finds, and what it does not.

use std::sync::Arc;

use domain::ruling::Ruling;
use engine::{
    doctor::Finding,
    rulings::By,
    runtime::{ActivationKind, AppCall},
};
use jiff::SignedDuration;
use providers::{Delivery, signature};
use store::{
    lists::{InboundFilter, Page, Whose},
    testing::TestDatabase,
};

use crate::{
    harness::{Harness, SHOP, on_both_databases},
    life::{LivesAtTheirEnd, SECRET, refunded_life, subscription_life},
};

on_both_databases!(
    nothing_is_found_in_a_sound_shop,
    each_damage_is_found,
    what_waits_for_nobody_is_found,
    what_is_not_on_its_way_is_found,
    slots_beyond_the_limit_are_found,
    a_smaller_plan_takes_no_slot_away,
    a_forgotten_order_is_found,
    nothing_is_found_while_others_work,
    nothing_is_found_where_two_sales_were_one,
);

/// Sales by hand: two plans, a person's rulings, one that waits for its plan.
async fn sound(harness: &Harness) {
    harness.engine.check_ring().await.unwrap();
    harness.apply(SHOP).await;
    let issued = harness.issue("pro", "ada@example.com", 3).await;
    harness.issue("year", "grace@example.com", 1).await;
    harness.sell("gone").await;
    harness.settle().await;
    let by = By { actor: "test".to_owned(), note: None };
    let license = |place: usize| issued.licenses[place].license.id;
    harness.engine.rule(harness.tenant, license(0), &Ruling::Revoke, &by).await.unwrap();
    harness.engine.rule(harness.tenant, license(1), &Ruling::Freeze, &by).await.unwrap();
    let call = AppCall {
        key: issued.licenses[2].key.reveal().to_owned(),
        product: None,
        device: None,
        device_name: None,
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    harness.engine.activate(&call, "laptop", "http://localhost").await.unwrap();
    mails_are_sent(harness).await;
}

/// No mail worker runs here, and mails that nobody sends are a finding.
async fn mails_are_sent(harness: &Harness) {
    harness.database.sql("UPDATE mails SET status = 'sent'").await;
}

async fn nothing_is_found_in_a_sound_shop(harness: Harness) {
    sound(&harness).await;
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    // Later a license is over, and its order is due until a worker comes: that is no finding either.
    harness.clock.advance(SignedDuration::from_hours(24 * 365));
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    harness.settle().await;
    assert_eq!(harness.engine.verify().await.unwrap(), []);
}

const STUDIO: &str = r#"
    product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
    plan = [{ code = "basic", product = "studio", name = "Basic" }, { code = "pro", product = "studio", name = "Pro" }]
    connection = [{ code = "stripe", provider = "stripe", mode = "test", level = "LEVEL",
        webhook_secrets = ["env:SECRET"], api_key = "env:KEY" }]
    price_rule = [
        { connection = "stripe", price = "price_basic", plan = "basic" },
        { connection = "stripe", price = "price_pro", plan = "pro" },
    ]
"#;

/// Sells in Stripe's words.
pub(crate) async fn studio(harness: &Harness, level: &str) {
    let file = engine::configuration::ConfigurationFile::parse(&STUDIO.replace("LEVEL", level)).unwrap();
    let secrets = |source: &str| Ok(if source == "env:SECRET" { SECRET } else { "rk_test_1" }.to_owned());
    harness.engine.apply(&file, &secrets, false, "test").await.unwrap();
}

pub(crate) async fn deliver(harness: &Harness, event: &serde_json::Value) {
    let body = event.to_string();
    let signed = signature::sign(&SECRET.into(), body.as_bytes(), harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    harness.engine.receive("stripe", "default", &Delivery { header: &header, body: body.as_bytes() }).await;
}

/// The lives of many purchases, with look-ups, refunds and renewals.
async fn lives(database: TestDatabase) {
    let harness = Harness::with_dialler(database, Arc::new(LivesAtTheirEnd)).await;
    harness.clock.advance(SignedDuration::from_hours(24 * 32));
    studio(&harness, "read").await;
    for number in 0..20 {
        let subscribed = subscription_life(&format!("sub{number}"));
        let refunded = refunded_life(&format!("once{number}"));
        // One-time sales with a price that no rule speaks of wait, one of them with a refund before its checkout.
        let events = subscribed.into_iter().take(1 + number % 6).chain(refunded.into_iter().rev().take(1 + number % 5));
        for event in events {
            deliver(&harness, &event).await;
        }
        harness.settle().await;
    }
    mails_are_sent(&harness).await;
    assert_eq!(harness.engine.verify().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_whole_lives_on_sqlite() {
    lives(TestDatabase::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_whole_lives_on_postgres() {
    lives(TestDatabase::postgres().await).await;
}

/// A checkout whose lines were looked up, played again when they may not be looked up any more: its facts say less then,
/// and its order still knows what they said.
async fn played_again(database: TestDatabase) {
    let harness = Harness::with_dialler(database, Arc::new(LivesAtTheirEnd)).await;
    studio(&harness, "read").await;
    let mut checkout = subscription_life("sub1").remove(0);
    checkout["data"]["object"]["metadata"] = serde_json::json!({});
    deliver(&harness, &checkout).await;
    harness.settle().await;
    mails_are_sent(&harness).await;
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    studio(&harness, "none").await;
    let stripe = harness.connection("stripe").await;
    let reference = domain::text::Reference::new("cs_sub1");
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let page = Page { limit: 1, from: None };
    let event = harness.engine.store.list_inbound(whose, &InboundFilter::default(), page).await.unwrap().rows.remove(0);
    let event = domain::id::InboundId(event.id);
    let by = By { actor: "test".to_owned(), note: None };
    assert!(harness.engine.replay(whose, event, true, &by).await.unwrap().is_some());
    harness.settle().await;
    let (_, licenses) = harness.engine.store.order_licenses(stripe, &reference).await.unwrap().unwrap();
    assert_eq!(licenses.len(), 1);
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    // Without the replay in the audit log it would be a finding.
    harness.database.sql("DELETE FROM audit_entries WHERE action = 'event.replayed'").await;
    assert_eq!(told(&harness.engine.verify().await.unwrap()), [(7, "ten".to_owned()), (9, "ord".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_what_was_played_again_on_sqlite() {
    played_again(TestDatabase::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_what_was_played_again_on_postgres() {
    played_again(TestDatabase::postgres().await).await;
}

/// What was found, as invariant and what it is about.
fn told(findings: &[Finding]) -> Vec<(u8, String)> {
    let kind = |subject: &str| subject.split(['_', ' ']).next().unwrap_or_default().to_owned();
    findings.iter().map(|finding| (finding.invariant, kind(&finding.subject))).collect()
}

async fn each_damage_is_found(harness: Harness) {
    sound(&harness).await;
    let first = |table: &str| format!("(SELECT id FROM {table} ORDER BY id LIMIT 1)");
    let (order, license, key, mail) = (first("orders"), first("licenses"), first("license_keys"), first("mails"));
    let damages = [
        ("a license is lost", format!("DELETE FROM licenses WHERE id = {license}"), vec![(1, "license"), (1, "ord"), (5, "mail"), (5, "mail")]),
        ("a license is made active", "UPDATE licenses SET standing = replace(standing, 'revoked\"', 'active\"'), state = 'active' WHERE state = 'revoked'".to_owned(), vec![(2, "lic")]),
        ("only the column says so", "UPDATE licenses SET state = 'active' WHERE state = 'frozen'".to_owned(), vec![(0, "lic")]),
        ("a key is lost", format!("DELETE FROM license_keys WHERE id = {key}"), vec![(1, "lic")]),
        ("a key is found under another hash", format!("UPDATE license_keys SET hash = substr(hash, 1, 31) WHERE id = {key}"), vec![(0, "lic")]),
        ("a mail is lost", format!("DELETE FROM mails WHERE id = {mail}"), vec![(5, "lic")]),
        ("a mail has no known status", format!("UPDATE mails SET status = 'lost' WHERE id = {mail}"), vec![(5, "mail")]),
        ("a name is lost", format!("DELETE FROM order_references WHERE order_id = {order}"), vec![(9, "ord")]),
        ("a name leads to nothing", format!("UPDATE order_references SET order_id = {license} WHERE order_id = {order}"), vec![(9, "manual:sale-1"), (9, "ord")]),
        ("a fact is lost", format!("DELETE FROM facts WHERE order_id = {order}"), vec![(9, "ord")]),
        ("a fact does not read", format!("UPDATE facts SET body = '?' WHERE order_id = {order}"), vec![(9, "ord")]),
        ("an order does not read", format!("UPDATE orders SET body = '?' WHERE id = {order}"), vec![(0, "ord")]),
        ("nobody is told what is missing", "UPDATE attention_items SET closed_at = 1".to_owned(), vec![(1, "ord")]),
        ("the clock of an order is not set", "UPDATE orders SET due_at = NULL".to_owned(), vec![(8, "ord")]),
        ("an audit entry is changed", "UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 2".to_owned(), vec![(7, "ten")]),
        ("an audit entry is lost", "DELETE FROM audit_entries WHERE sequence = 2".to_owned(), vec![(7, "ten")]),
        ("the end of the audit log is lost", "DELETE FROM audit_entries WHERE sequence = (SELECT max(sequence) FROM audit_entries)".to_owned(), vec![(7, "ten")]),
        ("a secret does not open", "UPDATE signing_keys SET sealed = substr(sealed, 1, 50)".to_owned(), vec![(0, "signing")]),
    ];
    for (what, damage, expected) in damages {
        harness.database.sql("SELECT 1").await;
        let undone = snapshot(&harness).await;
        assert!(harness.database.sql(&damage).await > 0, "{what}");
        let findings = harness.engine.verify().await.unwrap();
        let expected: Vec<(u8, String)> =
            expected.into_iter().map(|(number, kind)| (number, kind.to_owned())).collect();
        let mut found = told(&findings);
        found.iter_mut().for_each(|(_, kind)| {
            if kind.starts_with("manual:") {
                "manual:sale-1".clone_into(kind);
            }
        });
        found.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "{what}: {findings:#?}");
        undo(&harness, &undone).await;
        assert_eq!(harness.engine.verify().await.unwrap(), [], "{what} is undone");
    }
}

const DAMAGED: [&str; 9] = [
    "licenses",
    "license_keys",
    "mails",
    "order_references",
    "facts",
    "orders",
    "attention_items",
    "signing_keys",
    "audit_entries",
];

/// Copies of the tables, beside them.
async fn snapshot(harness: &Harness) -> Vec<String> {
    let mut undo = Vec::new();
    for table in DAMAGED {
        harness.database.sql(&format!("DROP TABLE IF EXISTS kept_{table}")).await;
        harness.database.sql(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
        undo.push(format!("DELETE FROM {table}"));
        undo.push(format!("INSERT INTO {table} SELECT * FROM kept_{table}"));
    }
    undo
}

async fn undo(harness: &Harness, statements: &[String]) {
    for statement in statements {
        harness.database.sql(statement).await;
    }
}

async fn what_waits_for_nobody_is_found(harness: Harness) {
    sound(&harness).await;
    harness.sell("pro").await;
    assert_eq!(harness.engine.verify().await.unwrap(), [], "it came just now");
    harness.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(told(&harness.engine.verify().await.unwrap()), [(8, "in".to_owned())]);
    let unfinished = "UPDATE inbound_events SET status";
    for (damage, expected) in [
        (format!("{unfinished} = 'held' WHERE status = 'received'"), "it is held and no attention item says so"),
        (format!("{unfinished} = 'waiting' WHERE status = 'held'"), "it waits for a look-up and no time is set for it"),
        (
            "UPDATE inbound_events SET next_attempt_at = 1 WHERE status = 'waiting'".to_owned(),
            "its look-up was due a minute ago and nobody makes it",
        ),
    ] {
        harness.database.sql(&damage).await;
        let findings = harness.engine.verify().await.unwrap();
        assert_eq!((findings.len(), findings[0].problem.as_str()), (1, expected), "{findings:?}");
    }
    harness
        .database
        .sql("UPDATE inbound_events SET status = 'received', next_attempt_at = NULL WHERE status = 'waiting'")
        .await;
    harness.settle().await;
    // Its mail waits, and a minute later it waits for too long.
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    harness.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(told(&harness.engine.verify().await.unwrap()), [(8, "mail".to_owned())]);
    harness.database.sql("UPDATE mails SET next_attempt_at = NULL WHERE status = 'pending'").await;
    assert_eq!(told(&harness.engine.verify().await.unwrap()), [(5, "mail".to_owned())]);
    harness.database.sql("UPDATE mails SET status = 'held'").await;
    assert_eq!(harness.engine.verify().await.unwrap(), [], "a mail that is held waits for a person");
}

/// Uses the key of a new license on these devices.
async fn activated(harness: &Harness, devices: &[&str]) -> domain::id::LicenseId {
    let issued = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let call = AppCall {
        key: issued.key.reveal().to_owned(),
        product: None,
        device: None,
        device_name: None,
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    for device in devices {
        harness.engine.activate(&call, device, "http://localhost").await.unwrap();
        harness.clock.advance(SignedDuration::from_secs(1));
    }
    mails_are_sent(harness).await;
    issued.license.id
}

async fn slots_beyond_the_limit_are_found(harness: Harness) {
    harness.apply(SHOP).await;
    let license = activated(&harness, &["one", "two", "three"]).await;
    assert_eq!(harness.engine.store.activations(license).await.unwrap().len(), 2);
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    let copy = |id: &str| {
        format!(
            "INSERT INTO activations SELECT {id}, tenant_id, license_id, kind, 'smuggled', name, app_version, os, created_at + 1, \
             last_seen_at, lease_until FROM activations ORDER BY id DESC LIMIT 1"
        )
    };
    // Ids are bytes in one database and a type of their own in the other; an order's will do.
    harness.database.sql(&copy("(SELECT id FROM orders LIMIT 1)")).await;
    let findings = harness.engine.verify().await.unwrap();
    assert_eq!(told(&findings), [(6, "lic".to_owned())], "{findings:?}");
    assert!(findings[0].problem.starts_with("3 of 2 activations are in use"), "{findings:?}");
}

async fn a_smaller_plan_takes_no_slot_away(harness: Harness) {
    harness.apply(SHOP).await;
    harness.apply(r#"plan = [{ code = "solo", product = "tool", name = "Solo", activations = 1 }]"#).await;
    let license = activated(&harness, &["one", "two"]).await;
    let plans = harness.engine.store.plans(harness.tenant).await.unwrap();
    let solo = plans.iter().find(|plan| plan.code == "solo").unwrap();
    let solo = domain::plan::PlanVersion {
        plan: domain::id::PlanId(solo.id),
        version: 1,
        product: domain::id::ProductId(solo.product_id),
    };
    let by = By { actor: "test".to_owned(), note: None };
    harness.engine.rule(harness.tenant, license, &Ruling::ChangePlan(solo), &by).await.unwrap();
    assert_eq!(harness.engine.store.activations(license).await.unwrap().len(), 2);
    assert_eq!(harness.engine.verify().await.unwrap(), []);
}

async fn a_forgotten_order_is_found(harness: Harness) {
    sound(&harness).await;
    let rule = r#"price_rule = [{ connection = "manual", price = "plan:gone", plan = "pro" }]"#;
    assert_eq!(harness.apply(rule).await.woken, 1);
    assert_eq!(harness.engine.verify().await.unwrap(), [], "it is due");
    // As if nobody had woken it: what is due is forgotten, and the license of a year keeps its time.
    harness.database.sql("UPDATE orders SET due_at = NULL WHERE due_at IS NOT NULL AND customer_id IS NULL").await;
    let forgotten =
        "UPDATE orders SET due_at = NULL WHERE id IN (SELECT order_id FROM attention_items WHERE closed_at IS NULL)";
    harness.database.sql(forgotten).await;
    let findings = harness.engine.verify().await.unwrap();
    assert_eq!(told(&findings), [(8, "ord".to_owned())], "{findings:?}");
    assert!(findings[0].problem.contains("waits for a price rule that is there"), "{findings:?}");
}

async fn nothing_is_found_while_others_work(harness: Harness) {
    sound(&harness).await;
    let working = async {
        for round in 0..40 {
            for _ in 0..5 {
                harness.sell(if round % 2 == 0 { "pro" } else { "gone" }).await;
            }
            harness.engine.fulfil().await.unwrap();
        }
    };
    let checking = async {
        for _ in 0..40 {
            assert_eq!(harness.engine.verify().await.unwrap(), []);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(working, checking);
    harness.settle().await;
    assert_eq!(harness.engine.verify().await.unwrap(), []);
}

/// A checkout that does not name its subscription, the subscription, and then the checkout again, which names it: each
/// sale has issued its license and mailed its key, and the one that was issued first stands for both.
async fn nothing_is_found_where_two_sales_were_one(harness: Harness) {
    studio(&harness, "none").await;
    let life = subscription_life("sub1");
    let mut unnamed = life[0].clone();
    unnamed["id"] = "evt_unnamed".into();
    for field in ["subscription", "invoice"] {
        unnamed["data"]["object"][field] = serde_json::Value::Null;
    }
    unnamed["data"]["object"]["metadata"] = serde_json::json!({ "plan_id": "basic" });
    for event in [&unnamed, &life[2], &life[1]] {
        deliver(&harness, event).await;
        harness.settle().await;
    }
    let mails = async || harness.engine.store.mails(harness.tenant.0, 10).await.unwrap().len();
    assert_eq!(mails().await, 2);
    mails_are_sent(&harness).await;
    assert_eq!(harness.engine.verify().await.unwrap(), []);
    deliver(&harness, &life[0]).await;
    harness.settle().await;
    assert!(harness.attention().await.contains(&"merged_sales".to_owned()));
    assert_eq!(mails().await, 2);
    assert_eq!(harness.engine.verify().await.unwrap(), []);
}

/// An address that is called, one that wants less, and one that a person has stopped.
const ENDPOINTS: &str = r#"
    webhook_endpoint = [
        { code = "all", url = "https://all.example/" },
        { code = "some", url = "https://some.example/", events = ["order.created"] },
        { code = "paused", url = "https://paused.example/", events = ["order.created"] },
    ]
"#;

async fn what_is_not_on_its_way_is_found(harness: Harness) {
    harness.apply(&format!("{SHOP}{ENDPOINTS}")).await;
    let paused = domain::id::WebhookEndpointId(harness.endpoint("paused").await.id);
    let by = By { actor: "test".to_owned(), note: None };
    let whose = Whose { tenant: harness.tenant, livemode: true };
    harness.engine.pause_webhook_endpoint(whose, paused, &by).await.unwrap();
    harness.clock.advance(SignedDuration::from_secs(120));
    harness.sell("pro").await;
    harness.settle().await;
    mails_are_sent(&harness).await;
    let delivered = "UPDATE deliveries SET status = 'delivered', next_attempt_at = NULL WHERE status = 'pending'";
    assert_eq!(harness.database.sql(delivered).await, 4);
    assert_eq!(harness.engine.verify().await.unwrap(), []);

    let all = |change: &str| {
        let endpoint = "SELECT id FROM webhook_endpoints WHERE code = 'some'";
        format!("UPDATE deliveries SET {change} WHERE endpoint_id = ({endpoint})")
    };
    // (damage, its repair, the invariant, what is told)
    let now = harness.engine.now().as_microsecond();
    let repair = all("status = 'delivered', next_attempt_at = NULL, error = NULL");
    let late = all("status = 'pending', next_attempt_at = 1");
    let seal =
        "UPDATE webhook_endpoints SET sealed = (SELECT other.sealed FROM webhook_endpoints other WHERE other.code = ";
    for (damage, repair, invariant, problem) in [
        (late.clone(), &repair, 8, "nobody delivers it"),
        (all("status = 'pending'"), &repair, 3, "no time is set for it"),
        (all("status = 'dead'"), &repair, 3, "nothing says why"),
        (all("status = 'lost'"), &repair, 3, "nobody knows its status"),
    ] {
        harness.database.sql(&damage).await;
        let found = harness.engine.verify().await.unwrap();
        assert_eq!(told(&found), [(invariant, "whd".to_owned())], "{damage}");
        assert!(found[0].problem.contains(problem), "{damage}: {}", found[0]);
        harness.database.sql(repair).await;
    }
    // An address that fails has its own time, and one that somebody serves has a queue.
    harness.database.sql(&late).await;
    for excuse in ["failing_since = 1", &format!("lease_until = {now}")] {
        harness.database.sql(&format!("UPDATE webhook_endpoints SET {excuse}")).await;
        assert_eq!(harness.engine.verify().await.unwrap(), [], "{excuse}");
        harness.database.sql("UPDATE webhook_endpoints SET failing_since = NULL, lease_until = NULL").await;
    }
    harness.database.sql(&repair).await;
    // What waits at an address that is not called is held.
    let waits = "UPDATE deliveries SET status = 'pending', next_attempt_at = 1 WHERE status = 'held'";
    harness.database.sql(waits).await;
    let found = harness.engine.verify().await.unwrap();
    assert!(found.len() == 1 && found[0].problem.contains("it is not held"), "{found:?}");
    harness
        .database
        .sql("UPDATE deliveries SET status = 'held', next_attempt_at = NULL WHERE status = 'pending'")
        .await;
    // Secrets that stand in another row do not open.
    harness.database.sql(&format!("{seal}'all') WHERE code = 'some'")).await;
    let found = harness.engine.verify().await.unwrap();
    assert_eq!(told(&found), [(0, "webhook".to_owned())]);
    harness.database.sql("DELETE FROM webhook_endpoints WHERE code = 'some'").await;
    let found = harness.engine.verify().await.unwrap();
    assert_eq!(told(&found), [(3, "whd".to_owned())], "a delivery to nobody");
    harness.database.sql("DELETE FROM deliveries").await;
    // Each event is missed by each address that is left and wants it.
    assert_eq!(told(&harness.engine.verify().await.unwrap()), [3; 4].map(|invariant| (invariant, "evt".to_owned())));
}
