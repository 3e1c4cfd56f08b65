//! Price rules as a table: looked at first, imported as a whole, and counted by what they decided.

use engine::{
    configuration::{Action, ConfigurationError, PriceTable},
    receive::Received,
    rulings::By,
};
use jiff::SignedDuration;
use providers::{Delivery, generic, signature};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases!(a_table_is_looked_at_and_imported_as_a_whole, a_rule_counts_the_sales_that_it_decided);

const CONNECTION: &str = r#"
    connection = [{ code = "shop", provider = "generic", mode = "live", webhook_secrets = ["env:SHOP"] }]
"#;

fn by() -> By {
    By { actor: "test".to_owned(), note: Some("the new prices".to_owned()) }
}

/// What becomes of each rule, and which lines are refused.
async fn looked(harness: &Harness, text: &str) -> (Vec<Action>, Vec<Option<usize>>) {
    let preview = harness.engine.preview_price_rules(harness.tenant, &PriceTable::read(text)).await.unwrap();
    let actions = preview.changes.iter().map(|change| change.action).collect();
    (actions, preview.refused.iter().map(|problem| problem.line).collect())
}

async fn rules(harness: &Harness) -> usize {
    harness.engine.store.price_rules(harness.tenant).await.unwrap().len()
}

async fn a_table_is_looked_at_and_imported_as_a_whole(harness: Harness) {
    harness.apply(&format!("{SHOP}{CONNECTION}")).await;
    harness.apply(r#"price_rule = [{ connection = "shop", price = "a", plan = "pro" }]"#).await;
    let good = "connection,about,value,plans,quantities\nshop,price,a,pro,keys\nshop,price,b,year,seats\n";
    let bad = format!("{good}shop,price,c,unheard-of,\nnowhere,default,,pro,\nshop,price,b,pro,\nshop,price,,pro,\n");
    assert_eq!(looked(&harness, good).await, (vec![Action::Unchanged, Action::Created], vec![]));
    let (actions, lines) = looked(&harness, &bad).await;
    assert_eq!(actions, [Action::Unchanged, Action::Created]);
    assert_eq!(lines, [Some(4), Some(5), Some(6), Some(7)], "a plan, a connection, a rule twice, no price");
    let refused = harness.engine.import_price_rules(harness.tenant, &PriceTable::read(&bad), &by()).await;
    assert!(matches!(refused, Err(ConfigurationError::Problems(_))), "{refused:?}");
    assert_eq!(rules(&harness).await, 1, "nothing of it was written");
    let report = harness.engine.import_price_rules(harness.tenant, &PriceTable::read(good), &by()).await.unwrap();
    assert!(report.is_change() && rules(&harness).await == 2);
    assert_eq!(looked(&harness, good).await, (vec![Action::Unchanged, Action::Unchanged], vec![]));
    let audited = harness.audited().await;
    // One by the file, and one by the table: what stays as it is has no entry.
    assert_eq!(audited.iter().filter(|action| *action == "price_rule.created").count(), 2, "{audited:?}");
}

async fn sold(harness: &Harness, name: &str, price: &str) {
    let now = harness.engine.now();
    let body = format!(
        r#"{{"id":"evt-{name}","type":"order.paid","occurred_at":"{now}","order":{{"id":"{name}","payment":"1",
            "email":"{name}@example.com","total":{{"amount":4900,"currency":"EUR"}},
            "items":[{{"id":"1","price":"{price}","quantity":2}}]}}}}"#
    );
    let signed = signature::sign(&"secret-env:SHOP".into(), body.as_bytes(), now);
    let header = |name: &str| (name == generic::SIGNATURE).then_some(signed.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    let received = harness.engine.receive("generic", "default", &delivery).await;
    assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
    harness.settle_all().await;
}

async fn a_rule_counts_the_sales_that_it_decided(harness: Harness) {
    harness.apply(&format!("{SHOP}{CONNECTION}")).await;
    harness
        .apply(
            r#"price_rule = [
                { connection = "shop", price = "a", plan = "pro", until = "2026-11-01T12:00:00Z" },
                { connection = "shop", price = "a", plan = "year", from = "2026-11-01T12:00:00Z" },
                { connection = "shop", default = true, plan = "pro" },
            ]"#,
        )
        .await;
    sold(&harness, "ada", "a").await;
    sold(&harness, "bob", "a").await;
    harness.clock.advance(SignedDuration::from_hours(13));
    sold(&harness, "cleo", "a").await;
    sold(&harness, "dora", "b").await;
    let mut counts = Vec::new();
    for rule in harness.engine.store.price_rules(harness.tenant).await.unwrap() {
        let sales = harness.engine.store.sales_of_rule(&rule).await.unwrap();
        let last = sales.map(|(count, last)| format!("{count} until {}", last.strftime("%H:%M")));
        counts.push((rule.matcher_kind, rule.valid_from > 0, last.unwrap_or_default()));
    }
    counts.sort();
    assert_eq!(
        counts,
        [
            ("default".to_owned(), false, "1 until 13:00".to_owned()),
            ("price".to_owned(), false, "2 until 00:00".to_owned()),
            ("price".to_owned(), true, "1 until 13:00".to_owned()),
        ]
    );
    // What is told once more is sold once.
    sold(&harness, "ada", "a").await;
    let all = harness.engine.store.price_rules(harness.tenant).await.unwrap();
    let first = all.iter().find(|rule| rule.valid_until.is_some()).unwrap();
    assert_eq!(harness.engine.store.sales_of_rule(first).await.unwrap().map(|(count, _)| count), Some(2));
}
