//! Both databases have the same tables with the same columns, and the rows in the code are those columns.

use std::collections::BTreeSet;

use sea_orm::{
    ColumnType, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, Statement, sea_query::SelectStatement,
};

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

/// How a database would answer a query.
async fn plan<E: EntityTrait>(store: &Store, query: Select<E>) -> String {
    plan_of(store, query.as_query()).await
}

/// The same of one that is no list of rows.
async fn plan_of(store: &Store, query: &SelectStatement) -> String {
    let backend = store.reader.get_database_backend();
    let (explain, column) = if store.is_shared() { ("EXPLAIN", 0) } else { ("EXPLAIN QUERY PLAN", 3) };
    let Statement { sql, values, db_backend } = backend.build(query);
    let rows = store.reader.query_all_raw(Statement { sql: format!("{explain} {sql}"), values, db_backend }).await;
    let lines = rows.expect("a plan").into_iter().map(|row| row.try_get_by_index::<String>(column).expect("a line"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A partial index serves only those who repeat its condition word for word; without it every event would be read.
async fn the_inbox_is_looked_at_by_its_own_indexes(database: TestDatabase) {
    use crate::inbox::{held, waiting, workable};
    use entities::inbound_events::{Column, Entity};
    for (what, query, index) in [
        ("claims", Entity::find().filter(workable()).order_by_asc(Column::ReceivedAt), "inbound_events_1"),
        ("look-ups", Entity::find().filter(waiting()).order_by_asc(Column::NextAttemptAt), "inbound_events_2"),
        ("what is held", Entity::find().filter(held()).order_by_asc(Column::Id), "inbound_events_3"),
    ] {
        let plan = plan(&database.store, query.limit(256)).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{what}: {plan}");
    }
}

/// A timer that is far away costs nothing, however many there are.
async fn due_orders_are_found_by_their_own_index(database: TestDatabase) {
    let plan = plan(&database.store, crate::orders::due(jiff::Timestamp::UNIX_EPOCH).limit(256)).await;
    assert!(plan.contains("orders_0") && !plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{plan}");
}

/// A chain is long, and a page of it shows its end.
async fn the_audit_log_is_read_along_its_chain(database: TestDatabase) {
    let whose = crate::lists::Whose { tenant: domain::id::TenantId(uuid::Uuid::nil()), livemode: true };
    let all = crate::lists::audit::audit(whose, &crate::lists::AuditFilter::default());
    let page =
        crate::lists::from_cursor(all, entities::audit_entries::Column::Sequence, None::<crate::lists::Cursor<i64>>);
    let plan = plan(&database.store, page.limit(51)).await;
    let is_sorted = plan.contains("TEMP B-TREE") || plan.contains("Sort");
    assert!(plan.contains("audit_entries") && !is_sorted, "{plan}");
}

#[tokio::test]
async fn sqlite_reads_the_audit_log_along_its_chain() {
    the_audit_log_is_read_along_its_chain(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_reads_the_audit_log_along_its_chain() {
    the_audit_log_is_read_along_its_chain(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn sqlite_finds_due_orders_by_their_own_index() {
    due_orders_are_found_by_their_own_index(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_finds_due_orders_by_their_own_index() {
    due_orders_are_found_by_their_own_index(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn sqlite_looks_at_the_inbox_by_its_own_indexes() {
    the_inbox_is_looked_at_by_its_own_indexes(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_looks_at_the_inbox_by_its_own_indexes() {
    the_inbox_is_looked_at_by_its_own_indexes(TestDatabase::postgres().await).await;
}

/// A rule may have decided any number of sales: they are counted inside of one index.
async fn the_sales_of_a_rule_are_counted_along_their_key(database: TestDatabase) {
    let id = uuid::Uuid::nil();
    let rule = crate::rows::PriceRule {
        id,
        tenant_id: id,
        connection_id: id,
        matcher_kind: "price".to_owned(),
        matcher_value: "price_1".to_owned(),
        grants: String::new(),
        adds: String::new(),
        valid_from: 0,
        valid_until: Some(1),
        created_at: 0,
    };
    let plan = plan(&database.store, crate::rule_sales::counted(&rule)).await;
    let is_found = match database.store.is_shared() {
        true => plan.contains("Index Only Scan using rule_sales_pkey"),
        false => plan.contains("USING PRIMARY KEY") && plan.contains("sold_at"),
    };
    assert!(is_found, "{plan}");
}

#[tokio::test]
async fn sqlite_counts_the_sales_of_a_rule_along_their_key() {
    the_sales_of_a_rule_are_counted_along_their_key(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_counts_the_sales_of_a_rule_along_their_key() {
    the_sales_of_a_rule_are_counted_along_their_key(TestDatabase::postgres().await).await;
}

/// What was delivered in a month may be any number of events: the latest are read along their index, and no more of them.
async fn delivered_kinds_are_read_along_their_index(database: TestDatabase) {
    let whose = crate::lists::Whose { tenant: domain::id::TenantId(uuid::Uuid::nil()), livemode: true };
    let query = crate::lists::counted::delivered(whose, jiff::Timestamp::UNIX_EPOCH, 5_000);
    let plan = plan_of(&database.store, &query).await;
    assert!(plan.contains("inbound_events_4") && !plan.contains("Seq Scan"), "{plan}");
}

#[tokio::test]
async fn sqlite_reads_delivered_kinds_along_their_index() {
    delivered_kinds_are_read_along_their_index(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_reads_delivered_kinds_along_their_index() {
    delivered_kinds_are_read_along_their_index(TestDatabase::postgres().await).await;
}

/// Home is looked at all the time, so that nothing on it may read what it does not show.
async fn home_is_looked_up_in_indexes(database: TestDatabase) {
    let whose = crate::lists::Whose { tenant: domain::id::TenantId(uuid::Uuid::nil()), livemode: true };
    let (now, later) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX);
    let is_found = |plan: &str, postgres: &str| match database.store.is_shared() {
        true => plan.contains(postgres),
        false => plan.starts_with("SEARCH"),
    };
    let counts = plan(&database.store, crate::counts::counted(whose, 7, 6)).await;
    assert!(is_found(&counts, "hourly_counts_pkey") && !counts.contains("Seq Scan"), "{counts}");
    let ends = plan(&database.store, crate::counts::ending(whose, now, later)).await;
    assert!(ends.contains("licenses_3"), "{ends}");
    let versions = plan(&database.store, crate::counts::in_use(whose, now)).await;
    assert!(versions.contains("licenses_1") && versions.contains("activations_0"), "{versions}");
}

/// The page of a license shows what it was denied, and the oldest denials of all are forgotten.
async fn denials_are_found_by_their_indexes(database: TestDatabase) {
    let (license, tenant) = (domain::id::LicenseId(uuid::Uuid::nil()), domain::id::TenantId(uuid::Uuid::nil()));
    for (what, query, sqlite, postgres) in [
        ("of a license", crate::denials::of_license(license), "sqlite_autoindex_denied_checks_1", "denied_checks_pkey"),
        ("long ago", crate::denials::before(tenant, 7), "denied_checks_0", "denied_checks_0"),
    ] {
        let plan = plan(&database.store, query).await;
        let index = if database.store.is_shared() { postgres } else { sqlite };
        let is_sorted = plan.contains("TEMP B-TREE") || plan.contains("Sort");
        assert!(plan.contains(index) && !is_sorted, "{what}: {plan}");
    }
}

#[tokio::test]
async fn sqlite_finds_denials_by_their_indexes() {
    denials_are_found_by_their_indexes(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_finds_denials_by_their_indexes() {
    denials_are_found_by_their_indexes(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn sqlite_looks_home_up_in_indexes() {
    home_is_looked_up_in_indexes(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_looks_home_up_in_indexes() {
    home_is_looked_up_in_indexes(TestDatabase::postgres().await).await;
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

/// A list shows fifty rows of however many there are: it goes along one index, and what is not asked for is passed over
/// inside of it.
async fn licenses_are_listed_along_their_indexes(database: TestDatabase) {
    use domain::{
        id::{ConnectionId, CustomerId, PlanId, ProductId, TenantId},
        license::LicenseState,
    };
    use uuid::Uuid;

    use crate::lists::{LicenseFilter, Room, Seen, Whose, found::with_endings, licenses};
    let store = &database.store;
    let (whose, id) = (Whose { tenant: TenantId(Uuid::nil()), livemode: true }, Uuid::nil());
    let (begin, any) = (jiff::Timestamp::UNIX_EPOCH, LicenseFilter::default);
    let room = Room { plan: PlanId(id), version: 1, activations: 3 };
    for (what, filter, index) in [
        ("all", any(), "licenses_1"),
        ("a state", LicenseFilter { state: Some(LicenseState::Revoked), ..any() }, "licenses_1"),
        ("a reason", LicenseFilter { reason: Some("dispute_lost".to_owned()), ..any() }, "licenses_1"),
        ("a plan", LicenseFilter { plan: Some(PlanId(id)), product: Some(ProductId(id)), ..any() }, "licenses_1"),
        ("a source", LicenseFilter { connections: vec![ConnectionId(id)], ..any() }, "licenses_1"),
        ("an end", LicenseFilter { expires_after: Some(begin), expires_before: Some(begin), ..any() }, "licenses_1"),
        ("not seen", LicenseFilter { seen: Some(Seen::Before(begin)), ..any() }, "licenses_1"),
        ("full", LicenseFilter { full: vec![room], ..any() }, "licenses_1"),
        ("metadata", LicenseFilter { metadata_key: Some("100%_\\".to_owned()), ..any() }, "licenses_1"),
        ("a domain", LicenseFilter { email_domain: Some("example.com".to_owned()), ..any() }, "licenses_1"),
        ("a customer", LicenseFilter { customer: Some(CustomerId(id)), ..any() }, "licenses_2"),
    ] {
        let query = licenses::all(whose, &filter).filter(filter.condition());
        let plan = plan(store, query.order_by_desc(entities::licenses::Column::Id).limit(51)).await;
        let is_sorted = plan.contains("TEMP B-TREE") || plan.contains("Sort");
        assert!(plan.contains(index) && !is_sorted, "{what}: {plan}");
    }
    let (of_tag, id) = (crate::tags::with_tag(whose, "vip"), entities::license_tags::Column::LicenseId);
    let plan_of_tag = plan(store, of_tag.order_by_desc(id).limit(256)).await;
    let is_sorted = plan_of_tag.contains("TEMP B-TREE") || plan_of_tag.contains("Sort");
    assert!(plan_of_tag.contains("license_tags_0") && !is_sorted, "a tag: {plan_of_tag}");
    for query in with_endings(&store.reader, endings()) {
        let plan = plan(store, query).await;
        assert!(plan.contains("license_keys_2"), "the end of a key: {plan}");
    }
}

/// So do the other lists.
async fn lists_go_along_their_indexes(database: TestDatabase) {
    use domain::id::{CustomerId, LicenseId, ProductId, TenantId};
    use uuid::Uuid;

    use crate::lists::{CustomerFilter, MailFilter, OrderFilter, Whose, mails, sales};
    let store = &database.store;
    let (whose, id) = (Whose { tenant: TenantId(Uuid::nil()), livemode: true }, Uuid::nil());
    let mail = MailFilter::default;
    for (what, filter, index) in [
        ("all orders", OrderFilter::default(), "orders_2"),
        ("of a product", OrderFilter { product: Some(ProductId(id)), ..OrderFilter::default() }, "orders_2"),
        ("of a customer", OrderFilter { customer: Some(CustomerId(id)), ..OrderFilter::default() }, "orders_3"),
    ] {
        let query = sales::standing(whose, &filter).filter(filter.condition());
        let query = query.order_by_desc(entities::orders::Column::Id).limit(51);
        let plan = plan(store, query).await;
        assert!(plan.contains(index), "{what}: {plan}");
    }
    for (what, filter, index) in [
        ("all mails", mail(), "mails_2"),
        ("failed ones", MailFilter { status: Some("failed".to_owned()), ..mail() }, "mails_2"),
        ("of a license", MailFilter { license: Some(LicenseId(id)), ..mail() }, "license_id"),
        ("of a customer", MailFilter { customer: Some(CustomerId(id)), ..mail() }, "license_id"),
    ] {
        let query = mails::all(whose, &filter).order_by_desc(entities::mails::Column::Id).limit(51);
        let plan = plan(store, query).await;
        assert!(plan.contains(index), "{what}: {plan}");
    }
    let delivery = crate::deliveries::all(whose, &Default::default()).order_by_desc(entities::deliveries::Column::Id);
    let plan_of_deliveries = plan(store, delivery.limit(51)).await;
    assert!(plan_of_deliveries.contains("deliveries_6"), "deliveries: {plan_of_deliveries}");
    let customers = CustomerFilter {
        email_domain: Some("example.com".to_owned()),
        name: Some("ada".to_owned()),
        product: Some(ProductId(id)),
        ..CustomerFilter::default()
    };
    let query = entities::customers::Entity::find().filter(sales::customers_of(whose)).filter(customers.condition());
    let plan_of_customers = plan(store, query.order_by_desc(entities::customers::Column::Id).limit(51)).await;
    assert!(plan_of_customers.contains("customers_1"), "customers: {plan_of_customers}");
}

/// What happened around a buyer is found by whose it is, in each of the tables in which it stands.
async fn a_timeline_goes_along_its_indexes(database: TestDatabase) {
    use entities::{activations, audit_entries, deliveries, events, facts, mails};
    use uuid::Uuid;

    use crate::{
        bulk::any_of,
        lists::{Cursor, Page, from_cursor, moments},
    };
    let store = &database.store;
    let ids = || vec![Uuid::nil(), Uuid::max()];
    let some = || ids().into_iter().map(Some).collect::<Vec<_>>();
    let after = Some(Cursor::After(Uuid::max()));
    let page = Page { limit: 50, from: after };
    let first = |mut conditions: Vec<sea_orm::sea_query::SimpleExpr>| conditions.remove(0);
    let of_orders = first(any_of(&store.reader, audit_entries::Column::OrderId, some()));
    let of_licenses = first(any_of(&store.reader, audit_entries::Column::LicenseId, some()));
    let audit =
        |condition| from_cursor(audit_entries::Entity::find().filter(condition), audit_entries::Column::Id, after);
    let mails = mails::Entity::find().filter(first(any_of(&store.reader, mails::Column::LicenseId, ids())));
    let used = activations::Entity::find();
    let used = used.filter(first(any_of(&store.reader, activations::Column::LicenseId, ids())));
    let told = first(any_of(&store.reader, facts::Column::OrderId, some()));
    let delivered = |told| deliveries::Entity::find().filter(moments::delivering(told));
    let of_license = first(any_of(&store.reader, events::Column::LicenseId, some()));
    let of_customer = moments::about_customer(domain::id::CustomerId(Uuid::nil()));
    for (what, plan, indexes) in [
        ("decisions of orders", plan(store, audit(of_orders).limit(51)).await, &["audit_entries_1"][..]),
        ("decisions of licenses", plan(store, audit(of_licenses).limit(51)).await, &["audit_entries_2"]),
        ("mails", plan(store, from_cursor(mails, mails::Column::Id, after).limit(51)).await, &["mails_0"]),
        ("devices", plan(store, from_cursor(used, activations::Column::Id, after).limit(51)).await, &["activations_0"]),
        ("events", plan(store, moments::telling(told, page).limit(51)).await, &["facts_0"]),
        ("of licenses", plan(store, delivered(of_license).limit(51)).await, &["events_0"]),
        ("of customers", plan(store, delivered(of_customer).limit(51)).await, &["events_2"]),
    ] {
        assert!(indexes.iter().all(|index| plan.contains(index)), "{what}: {plan}");
    }
}

#[tokio::test]
async fn sqlite_timelines_go_along_their_indexes() {
    a_timeline_goes_along_its_indexes(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_timelines_go_along_their_indexes() {
    a_timeline_goes_along_its_indexes(TestDatabase::postgres().await).await;
}

/// As many as four symbols can be the end of.
fn endings() -> Vec<String> {
    (0..37).map(|number| format!("{number}7C9F")).collect()
}

#[tokio::test]
async fn sqlite_lists_licenses_along_their_indexes() {
    licenses_are_listed_along_their_indexes(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_lists_licenses_along_their_indexes() {
    licenses_are_listed_along_their_indexes(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn sqlite_lists_go_along_their_indexes() {
    lists_go_along_their_indexes(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn postgres_lists_go_along_their_indexes() {
    lists_go_along_their_indexes(TestDatabase::postgres().await).await;
}
