//! Both databases have the same tables with the same columns, and the rows in the code are those columns.

use std::collections::BTreeSet;

use sea_orm::{ColumnType, ConnectionTrait, FromQueryResult, Statement};

use crate::{Store, entities, testing::TestDatabase};

/// A column, in words that both databases share.
type Described = (String, String, &'static str, bool);

#[derive(FromQueryResult)]
struct Found {
    table_name: String,
    column_name: String,
    kind: String,
    nullable: bool,
}

/// The columns that a query describes. The table in which migrations are noted is not ours.
async fn described(store: &Store, query: &str) -> BTreeSet<Described> {
    let statement = Statement::from_string(store.reader.get_database_backend(), query);
    let found = Found::find_by_statement(statement).all(&store.reader).await.expect("the schema can be read");
    let ours = found.into_iter().filter(|column| column.table_name != "seaql_migrations");
    ours.map(|column| (column.table_name, column.column_name, word(&column.kind), column.nullable)).collect()
}

fn word(kind: &str) -> &'static str {
    match kind.to_lowercase().as_str() {
        "uuid_text" | "uuid" => "uuid",
        "bigint" => "bigint",
        "integer" => "integer",
        "boolean" => "boolean",
        "blob" | "bytea" => "blob",
        "text" | "varchar" => "text",
        other => panic!("no column should be of the type {other}"),
    }
}

const SQLITE: &str = "SELECT m.name AS table_name, c.name AS column_name, c.type AS kind, c.\"notnull\" = 0 AS nullable \
    FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
const POSTGRES: &str = "SELECT table_name::text, column_name::text, data_type::text AS kind, is_nullable = 'YES' AS nullable \
    FROM information_schema.columns WHERE table_schema = 'public'";

fn rows_in_the_code() -> BTreeSet<Described> {
    let columns = entities::columns().into_iter();
    columns
        .map(|(table, column, kind, nullable)| {
            let kind = match kind {
                ColumnType::Uuid => "uuid",
                ColumnType::BigInteger => "bigint",
                ColumnType::Integer => "integer",
                ColumnType::Boolean => "boolean",
                ColumnType::VarBinary(_) | ColumnType::Blob | ColumnType::Binary(_) => "blob",
                ColumnType::String(_) | ColumnType::Text => "text",
                other => panic!("no row should have a column of the type {other:?}"),
            };
            (table.to_owned(), column.to_owned(), kind, nullable)
        })
        .collect()
}

fn assert_same(found: &BTreeSet<Described>, rows: &BTreeSet<Described>) {
    let differences: Vec<_> = found.symmetric_difference(rows).collect();
    assert!(differences.is_empty(), "only the database or only the code has {differences:#?}");
    assert!(rows.len() > 100, "the rows were found");
}

#[tokio::test]
async fn sqlite_has_the_columns_of_the_rows() {
    let found = described(&TestDatabase::sqlite().await.store, SQLITE).await;
    // SQLite has one kind of integers, and they have 64 bits.
    let one_integer =
        |(table, column, kind, nullable)| (table, column, if kind == "bigint" { "integer" } else { kind }, nullable);
    assert_same(&found, &rows_in_the_code().into_iter().map(one_integer).collect());
}

#[tokio::test]
async fn postgres_has_the_columns_of_the_rows() {
    assert_same(&described(&TestDatabase::postgres().await.store, POSTGRES).await, &rows_in_the_code());
}

#[tokio::test]
async fn both_databases_have_the_same_indexes() {
    let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    let of_sqlite = "SELECT name AS name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    let of_postgres = "SELECT indexname::text AS name FROM pg_indexes
        WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey'";
    assert_eq!(indexes(&sqlite.store, of_sqlite).await, indexes(&postgres.store, of_postgres).await);
}

async fn indexes(store: &Store, query: &str) -> BTreeSet<String> {
    let statement = Statement::from_string(store.reader.get_database_backend(), query);
    let rows = store.reader.query_all_raw(statement).await.expect("the schema can be read");
    rows.into_iter().map(|row| row.try_get("", "name").expect("an index has a name")).collect()
}
