//! The pure parts: what a file says, and what follows from it.

mod mistakes;

use std::collections::BTreeMap;

use domain::{Entropy, id::ApiKeyId};
use jiff::Timestamp;
use store::rows;

use super::{
    Action, ConfigurationError, ConfigurationFile, Problem,
    difference::{Making, difference},
    input::Wanted,
    report::{ConfigurationChange, Step},
    state::{Current, CurrentAlert, CurrentConnection, CurrentEndpoint},
};

const FULL: &str = r#"
[tenant]
name = "Acme"

[[product]]
code = "tool"
name = "Tool"
key_prefix = "TOOL"
brand = { sender_name = "Acme", support_url = "https://acme.example/help" }

[[plan]]
code = "pro"
product = "tool"
name = "Pro"
duration_days = 365
activations = "unlimited"
features = ["export", "sync"]
policy = { grace_days = 7, partial_refund = "freeze", dispute = "keep", cancellation = "expire_at_once" }
lease = { offline_days = 30, recheck_hours = 12 }

[[plan]]
code = "starter"
product = "tool"
name = "Starter"
activations = 1

[[connection]]
code = "stripe"
provider = "stripe"
mode = "test"
level = "read"
webhook_secrets = ["env:WEBHOOK_OLD", "env:WEBHOOK_NEW"]
api_key = "file:/run/secrets/stripe"

[[price_rule]]
connection = "stripe"
price = "price_1"
plan = "pro"
quantity = "seats"

[[price_rule]]
connection = "stripe"
product = "prod_1"
grants = [{ plan = "pro" }, { plan = "starter", quantity = "seats" }]

[[price_rule]]
connection = "stripe"
default = true
grants = []

[[api_key]]
name = "ci"
kind = "live"
scopes = ["issue", "license:read"]
key = "env:CI_KEY"
"#;

struct Counting(u64);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn key_text(kind: crypto::token::ApiKeyKind, seed: u64) -> String {
    let mut entropy = Counting(seed);
    let id = ApiKeyId::new(now(), &mut entropy);
    crypto::token::ApiKeyText::generate(kind, id, &mut entropy).reveal().to_string()
}

/// Every secret is its source's name, and the key is a live one.
fn secrets(source: &str) -> Result<String, String> {
    match source {
        "env:CI_KEY" => Ok(key_text(crypto::token::ApiKeyKind::Live, 1) + "\n"),
        "env:MISSING" => Err("the environment variable MISSING is not set".to_owned()),
        "env:BLANK" => Ok(" \n".to_owned()),
        other => Ok(format!("secret of {other}\n")),
    }
}

fn problems(error: ConfigurationError) -> Vec<Problem> {
    match error {
        ConfigurationError::Problems(problems) => problems,
        other => panic!("{other}"),
    }
}

fn parsed(text: &str) -> Result<Wanted, Vec<Problem>> {
    ConfigurationFile::parse(text).and_then(|file| file.wanted(&secrets, false)).map_err(problems)
}

fn compared(current: &Current, text: &str) -> Result<Vec<ConfigurationChange>, Vec<Problem>> {
    let wanted = parsed(text)?;
    difference(current, &wanted, Making { now: now(), entropy: &mut Counting(7), actor: "cli" })
}

fn pruned(current: &Current, text: &str) -> Vec<ConfigurationChange> {
    let wanted = ConfigurationFile::parse(text).unwrap().wanted(&secrets, true).unwrap();
    difference(current, &wanted, Making { now: now(), entropy: &mut Counting(7), actor: "cli" }).unwrap()
}

fn empty() -> Current {
    Current::of_new_tenant("default", "Acme")
}

/// What is there after the changes.
fn after(changes: Vec<ConfigurationChange>, mut current: Current) -> Current {
    for step in changes.into_iter().filter_map(|change| change.step) {
        match step {
            Step::RenameTenant(_, name) => current.tenant.name = name,
            Step::Product(row) => _ = current.products.insert(row.code.clone(), row),
            Step::Plan(row) => _ = current.plans.insert(row.code.clone(), row),
            Step::Connection(row, secrets) => {
                let kept = current.connections.remove(&row.code).and_then(|connection| connection.secrets);
                let secrets = secrets.or(kept);
                current.connections.insert(row.code.clone(), CurrentConnection { row, secrets, is_used: true });
            }
            Step::PriceRule(row) => {
                current.rules.retain(|rule| rule.id != row.id);
                current.rules.push(row);
            }
            Step::DeletePriceRule(row) => current.rules.retain(|rule| rule.id != row.id),
            Step::ApiKey(row) | Step::RevokeApiKey(row) => put(&mut current.api_keys, row),
            Step::ReplaceApiKey(old, new) => {
                put(&mut current.api_keys, old);
                put(&mut current.api_keys, new);
            }
            Step::KeepDeliveries(_, days) => current.tenant.deliveries_kept_days = Some(days.into()),
            Step::WebhookEndpoint(row, secrets) => {
                let kept = current.webhook_endpoints.remove(&row.code).and_then(|endpoint| endpoint.secrets);
                let secrets = secrets.or(kept);
                current.webhook_endpoints.insert(row.code.clone(), CurrentEndpoint { row, secrets });
            }
            Step::RemoveWebhookEndpoint(row) => _ = current.webhook_endpoints.remove(&row.code),
            Step::AlertChannel(row, target) => {
                let kept = current.alerts.remove(&row.code).and_then(|alert| alert.target);
                current.alerts.insert(row.code.clone(), CurrentAlert { row, target: target.or(kept) });
            }
            Step::RemoveAlertChannel(row) => _ = current.alerts.remove(&row.code),
        }
    }
    current
}

fn put(keys: &mut Vec<rows::ApiKey>, row: rows::ApiKey) {
    keys.retain(|key| key.id != row.id);
    keys.push(row);
}

fn full() -> Current {
    after(compared(&empty(), FULL).unwrap(), empty())
}

fn told(changes: &[ConfigurationChange]) -> Vec<String> {
    changes.iter().filter(|change| change.action != Action::Unchanged).map(ToString::to_string).collect()
}

#[test]
fn everything_is_made_once_and_twice_changes_nothing() {
    let made = compared(&empty(), FULL).unwrap();
    assert_eq!(
        told(&made),
        [
            "created   product `tool`",
            "created   plan `pro`",
            "created   plan `starter`",
            "created   connection `stripe`",
            "created   price rule `stripe` price `price_1`: gives `pro` (seats)",
            "created   price rule `stripe` product `prod_1`: gives `pro` (keys) and `starter` (seats)",
            "created   price rule `stripe` default: gives nothing",
            "created   API key `ci`",
        ]
    );
    let again = compared(&full(), FULL).unwrap();
    assert!(again.iter().all(|change| change.action == Action::Unchanged && change.step.is_none()), "{again:?}");
    assert_eq!(again.len(), made.len());
}

#[test]
fn what_a_plan_says_is_stored_as_the_domain_reads_it() {
    let current = full();
    let terms: domain::plan::PlanTerms = serde_json::from_str(&current.plans["pro"].terms).unwrap();
    assert_eq!((terms.duration_days, terms.limits.activations), (Some(365), None));
    assert_eq!((terms.policy.grace_days, terms.lease.offline_days), (7, 30));
    let terms: domain::plan::PlanTerms = serde_json::from_str(&current.plans["starter"].terms).unwrap();
    let defaults = domain::plan::PlanTerms::default();
    assert_eq!(terms.limits.activations, Some(1));
    assert_eq!((terms.policy, terms.lease, terms.duration_days), (defaults.policy, defaults.lease, None));
}

#[test]
fn a_changed_plan_is_a_new_version_of_the_same_plan() {
    let current = full();
    let changed = FULL.replace("activations = 1", "activations = 2").replace("\"Starter\"", "\"Start\"");
    let changes = compared(&current, &changed).unwrap();
    assert_eq!(
        told(&changes),
        ["changed   plan `starter`: name, activations, version 2; what was sold keeps its version"]
    );
    let before = &current.plans["starter"];
    let [Step::Plan(row)] = &changes.iter().filter_map(|change| change.step.clone()).collect::<Vec<_>>()[..] else {
        panic!("one plan")
    };
    assert_eq!((row.id, row.version, row.product_id), (before.id, 2, before.product_id));
}

#[test]
fn only_what_differs_is_changed() {
    for (from, to, expected) in [
        ("name = \"Tool\"", "name = \"Tools\"", "changed   product `tool`: name"),
        ("\"TOOL\"", "\"tool\"", ""),
        ("\"Acme\", support", "\"ACME\", support", "changed   product `tool`: brand"),
        ("\"Acme\"\n", "\"Acme Ltd\"\n", "changed   tenant `default`: name Acme Ltd"),
        ("level = \"read\"", "level = \"full\"", "changed   connection `stripe`: level"),
        ("\"env:WEBHOOK_OLD\", ", "", "changed   connection `stripe`: webhook_secrets"),
        ("file:/run/secrets/stripe", "env:OTHER", "changed   connection `stripe`: api_key"),
        ("webhook_secrets = [\"env:WEBHOOK_OLD\", \"env:WEBHOOK_NEW\"]\n", "", ""),
        ("quantity = \"seats\"\n", "", "changed   price rule `stripe` price `price_1`: gives `pro` (keys)"),
        ("[\"issue\", ", "[\"audit:read\", ", "changed   API key `ci`: scopes"),
        ("name = \"ci\"", "name = \"build\"", "changed   API key `build`: name"),
    ] {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "{from}");
        let expected: Vec<&str> = [expected].into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(told(&compared(&full(), &text).unwrap()), expected, "{from}");
    }
}

#[test]
fn secrets_are_sealed_anew_only_where_they_differ() {
    let changes = compared(&full(), &FULL.replace("level = \"read\"", "level = \"full\"")).unwrap();
    assert!(changes.iter().any(|change| matches!(change.step, Some(Step::Connection(_, None)))));
    let changes = compared(&full(), &FULL.replace("\"env:WEBHOOK_OLD\", ", "")).unwrap();
    assert!(changes.iter().any(|change| matches!(change.step, Some(Step::Connection(_, Some(_))))));
}

#[test]
fn what_is_not_named_stays_unless_it_is_pruned() {
    let rest = &FULL[..FULL.find("[[price_rule]]").unwrap()];
    assert_eq!(
        told(&compared(&full(), rest).unwrap()),
        [
            "not named price rule `stripe` price `price_1`: stays as it is; --prune deletes it",
            "not named price rule `stripe` product `prod_1`: stays as it is; --prune deletes it",
            "not named price rule `stripe` default: stays as it is; --prune deletes it",
            "not named API key `ci`: stays as it is; --prune revokes it",
        ]
    );
    let changes = pruned(&full(), "");
    assert_eq!(
        told(&changes),
        [
            "deleted   price rule `stripe` price `price_1`: not in the file; what it decided stays decided",
            "deleted   price rule `stripe` product `prod_1`: not in the file; what it decided stays decided",
            "deleted   price rule `stripe` default: not in the file; what it decided stays decided",
            "revoked   API key `ci`: not in the file",
            "kept      product `tool`: not in the file; a product is never deleted, since licenses may stand on it",
            "kept      plan `pro`: not in the file; a plan is never deleted, since licenses may stand on it",
            "kept      plan `starter`: not in the file; a plan is never deleted, since licenses may stand on it",
            "kept      connection `stripe`: not in the file; a connection is never deleted, since licenses may stand on it",
        ]
    );
    let left = after(changes, full());
    assert_eq!((left.products.len(), left.plans.len(), left.rules.len()), (1, 2, 0));
    assert!(left.api_keys.iter().all(|key| key.revoked_at.is_some()));
    assert!(pruned(&left, "").iter().all(|change| !change.action.is_change()));
}

#[test]
fn a_new_key_takes_the_name_and_the_old_one_is_revoked() {
    let second = |source: &str| match source {
        "env:CI_KEY" => Ok(key_text(crypto::token::ApiKeyKind::Live, 2)),
        other => secrets(other),
    };
    let wanted = ConfigurationFile::parse(FULL).unwrap().wanted(&second, false).unwrap();
    let current = full();
    let old = ApiKeyId(current.api_keys[0].id);
    let changes =
        difference(&current, &wanted, Making { now: now(), entropy: &mut Counting(7), actor: "cli" }).unwrap();
    assert_eq!(told(&changes), [format!("created   API key `ci`: takes the place of {old}, which is revoked")]);
    let keys: BTreeMap<String, bool> =
        after(changes, current).api_keys.into_iter().map(|key| (key.name, key.revoked_at.is_some())).collect();
    assert_eq!(keys, [("ci".to_owned(), false), (format!("ci ({old})"), true)].into());
}

#[test]
fn what_never_changes() {
    let with_other = FULL.replacen("[[plan]]", "[[product]]\ncode = \"other\"\nname = \"Other\"\n\n[[plan]]", 1);
    let current = after(compared(&empty(), &with_other).unwrap(), empty());
    for (from, to, expected) in [
        ("product = \"tool\"", "product = \"other\"", "a plan belongs to its product for good"),
        ("mode = \"test\"", "mode = \"live\"", "events came in by it in test mode"),
    ] {
        let problems = compared(&current, &with_other.replacen(from, to, 1)).unwrap_err();
        assert!(problems[0].message.starts_with(expected), "{}", problems[0]);
    }
    let mut unused = full();
    unused.connections.get_mut("stripe").unwrap().is_used = false;
    let changes = compared(&unused, &FULL.replace("mode = \"test\"", "mode = \"live\"")).unwrap();
    assert_eq!(told(&changes), ["changed   connection `stripe`: mode"]);
}

#[test]
fn two_connections_cannot_share_a_webhook_secret() {
    let second = "\n[[connection]]\ncode = \"second\"\nprovider = \"stripe\"\nmode = \"live\"\nwebhook_secrets = [\"env:WEBHOOK_NEW\"]\n";
    let problems = compared(&empty(), &format!("{FULL}{second}")).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "line 57: connection `second`: webhook_secrets: connection `stripe` has the same secret: events could not be told apart"
    );
    assert!(compared(&full(), second).is_err());
    // Those that change at the same time may give their secrets to each other.
    let swapped = format!("{FULL}{second}").replacen("\"env:WEBHOOK_OLD\", \"env:WEBHOOK_NEW\"", "\"env:OTHER\"", 1);
    assert!(compared(&full(), &swapped).is_ok());
}

#[test]
fn secrets_that_do_not_open_must_be_given_anew() {
    let mut current = full();
    current.connections.get_mut("stripe").unwrap().secrets = None;
    let changes = compared(&current, FULL).unwrap();
    assert_eq!(told(&changes), ["changed   connection `stripe`: webhook_secrets, api_key"]);
    let without = FULL.replace("api_key = \"file:/run/secrets/stripe\"\n", "");
    let problems = compared(&current, &without).unwrap_err();
    assert!(problems[0].message.contains("all of them must be given"), "{}", problems[0]);
}

#[test]
fn what_a_marketplace_knows_the_vendor_by_is_a_secret_of_its_connection() {
    let sumo = |client: &str| {
        format!(
            "{FULL}\n[[connection]]\ncode = \"sumo\"\nprovider = \"appsumo\"\nmode = \"test\"\n\
             webhook_secrets = [\"env:OTHER\"]\n{client}"
        )
    };
    let client = "oauth_client = { id = \"c-1\", secret = \"file:/run/secrets/stripe\" }\n";
    let changes = compared(&full(), &sumo(client)).unwrap();
    let secrets = changes.iter().find_map(|change| match &change.step {
        Some(Step::Connection(_, secrets)) => secrets.as_ref(),
        _ => None,
    });
    let secrets = secrets.expect("secrets of a new connection");
    assert_eq!(secrets.oauth_client.as_ref().map(|client| client.id.as_str()), Some("c-1"));
    assert!(!format!("{secrets:?}").contains("c-1"));
    let blank = compared(&full(), &sumo(&client.replace("c-1", " "))).unwrap_err();
    assert!(blank[0].to_string().ends_with("oauth_client: its id is blank; the provider shows it beside the secret"));
}

#[test]
fn keys_that_are_revoked_or_of_others_are_refused() {
    let mut current = full();
    current.api_keys[0].revoked_at = Some(1);
    let problems = compared(&current, FULL).unwrap_err();
    assert!(problems[0].message.starts_with("this key was revoked"), "{}", problems[0]);
    let mut current = full();
    current.api_keys[0].hash = vec![0; 32];
    let problems = compared(&current, FULL).unwrap_err();
    assert!(problems[0].message.starts_with("its id is known with another secret"), "{}", problems[0]);
    let mut current = empty();
    current.keys_of_others.insert(ApiKeyId(full().api_keys[0].id));
    let problems = compared(&current, FULL).unwrap_err();
    assert!(problems[0].message.starts_with("this key belongs to another tenant"), "{}", problems[0]);
}

#[test]
fn a_price_may_have_several_rules_one_after_the_other() {
    let later = "\n[[price_rule]]\nconnection = \"stripe\"\nprice = \"price_1\"\nplan = \"starter\"\n\
                 from = \"2027-01-01T00:00:00Z\"\n";
    let changes = compared(&full(), &format!("{FULL}{later}")).unwrap();
    let expected = "created   price rule `stripe` price `price_1` from 2027-01-01T00:00:00Z: gives `starter` (keys)";
    assert_eq!(told(&changes), [expected]);
}
