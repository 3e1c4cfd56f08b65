//! An account belongs to one connection, whoever names it at the same moment and at whichever node.

use std::sync::Arc;

use engine::{
    Engine,
    configuration::{ApplyReport, ConfigurationError, ConfigurationFile},
    testing::RefusingDialler,
};
use store::{StoreError, rows, testing::TestDatabase};

use crate::harness::{Harness, on_both_databases};

/// Two vendors.
const VENDORS: [&str; 2] = ["one", "two"];

on_both_databases! {
    two_who_name_an_account_at_the_same_moment: at_the_same_moment;
    the_database_itself_knows_whose_an_account_is: in_the_database;
}

fn file(slug: &str, account: &str) -> ConfigurationFile {
    let text = format!(
        r#"tenant = {{ slug = "{slug}" }}
        connection = [{{ code = "{account}", provider = "stripe", mode = "live", level = "read", account = "{account}" }}]"#
    );
    ConfigurationFile::parse(&text).unwrap()
}

async fn name(engine: &Engine, slug: &str, account: &str) -> Result<ApplyReport, ConfigurationError> {
    engine.apply(&file(slug, account), &|_: &str| Ok(String::new()), false, "test").await
}

async fn owners(harness: &Harness, account: &str) -> usize {
    let rows = harness.engine.store.connections().await.unwrap();
    rows.iter().filter(|row| row.account.as_deref() == Some(account)).count()
}

async fn at_the_same_moment(database: TestDatabase) {
    let harness = Harness::open(database).await;
    for slug in VENDORS {
        harness.engine.ensure_tenant(slug, slug).await.unwrap();
    }
    let nodes = [Arc::clone(&harness.engine), harness.peer(Arc::new(RefusingDialler))];
    for number in 1..=8 {
        let account = format!("acct_{number}");
        let naming = nodes.iter().zip(VENDORS).map(|(node, slug)| {
            let (node, account) = (Arc::clone(node), account.clone());
            tokio::spawn(async move { name(&node, slug, &account).await.map_err(|error| error.to_string()) })
        });
        let named = futures::future::join_all(naming).await;
        let refused: Vec<_> = named.into_iter().filter_map(|ended| ended.unwrap().err()).collect();
        let [refused] = &refused[..] else { panic!("one of two has it: {refused:?}") };
        assert!(refused.contains(&format!("the account {account} has a connection already")), "{refused}");
        assert_eq!(owners(&harness, &account).await, 1);
    }
}

async fn in_the_database(database: TestDatabase) {
    let harness = Harness::open(database).await;
    for slug in VENDORS {
        harness.engine.ensure_tenant(slug, slug).await.unwrap();
    }
    name(&harness.engine, "one", "acct_1").await.unwrap();
    let two = harness.engine.tenant("two").await.unwrap().unwrap();
    let rows = harness.engine.store.connections().await.unwrap();
    let theirs = rows.into_iter().find(|row| row.account.is_some()).unwrap();
    let taken = rows::Connection { id: uuid::Uuid::from_u128(1), tenant_id: two.0, ..theirs.clone() };
    let write = harness.engine.store.begin().await.unwrap();
    assert!(matches!(write.save_connection(taken).await, Err(StoreError::Duplicate(_))));
    drop(write);
    // Of the other money it is another account, and one without an account is nobody's.
    for (number, mode, account) in [(2, "test", Some("acct_1")), (3, "live", None), (4, "live", None)] {
        let (id, account) = (uuid::Uuid::from_u128(number), account.map(str::to_owned));
        let (mode, code) = (mode.to_owned(), number.to_string());
        let row = rows::Connection { id, tenant_id: two.0, mode, code, account, ..theirs.clone() };
        let write = harness.engine.store.begin().await.unwrap();
        write.save_connection(row).await.unwrap();
        write.commit().await.unwrap();
    }
}
