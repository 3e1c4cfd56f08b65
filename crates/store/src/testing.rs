//! Real databases for tests: a file in a temporary folder, or a fresh database on the test server.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{Connection, Executor};

use crate::Store;

/// The variable with the address of a PostgreSQL server on which tests may make databases.
pub const POSTGRES_VARIABLE: &str = "KEYWRIGHT_TEST_POSTGRES_URL";

/// A database of a test's own.
pub struct TestDatabase {
    /// The database, with its schema.
    pub store: Store,
    /// Its address, for a process that opens it again.
    pub address: String,
    /// The folder of an SQLite file; gone with this value.
    pub folder: tempfile::TempDir,
}

impl TestDatabase {
    /// An SQLite file.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("sqlite:{}", folder.path().join("keywright.db").display());
        Self { store: Store::open(&address).await.expect("an SQLite database"), address, folder }
    }

    /// A database on the test server.
    ///
    /// # Panics
    /// There is no test server: the test command makes one.
    pub async fn postgres() -> Self {
        Self::at(&fresh_postgres().await).await
    }

    /// One that is there, and that a process may be using.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn at(address: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { store: Store::open(address).await.expect("a database"), address: address.to_owned(), folder }
    }

    /// Changes rows as no release would: what an older one left behind, or a crash. Returns how many.
    ///
    /// # Panics
    /// The statement fails.
    pub async fn sql(&self, statement: &str) -> u64 {
        use sea_orm::ConnectionTrait;
        let done = self.store.writer.execute_unprepared(statement).await;
        done.expect("a statement that both databases know").rows_affected()
    }
}

impl TestDatabase {
    /// Every text of every table, each with the name of its table: to look for what must not be there.
    ///
    /// # Panics
    /// The database does not answer.
    pub async fn texts(&self) -> Vec<(String, String)> {
        use sea_orm::{ConnectionTrait, Statement};
        const SQLITE: &str = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
            WHERE m.type = 'table' AND lower(c.type) LIKE '%text%' AND lower(c.type) NOT LIKE 'uuid%'";
        const POSTGRES: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns \
            WHERE table_schema = 'public' AND data_type IN ('text', 'character varying')";
        let backend = self.store.reader.get_database_backend();
        let query = if self.store.is_shared() { POSTGRES } else { SQLITE };
        let columns = self.store.reader.query_all_raw(Statement::from_string(backend, query)).await.expect("a schema");
        let mut texts = Vec::new();
        for column in columns {
            let named = |place| column.try_get_by_index::<String>(place).expect("a name");
            let (table, column) = (named(0), named(1));
            let query = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
            let rows = self.store.reader.query_all_raw(Statement::from_string(backend, query)).await.expect("rows");
            texts.extend(rows.iter().map(|row| (table.clone(), row.try_get_by_index(0).expect("a text"))));
        }
        texts
    }
}

/// A table of a PostgreSQL database that nobody can write to, until it is released.
pub struct HeldTable(sqlx::PgConnection);

impl HeldTable {
    /// Holds a table: whoever writes to it has read by then what it read before, and waits.
    ///
    /// # Panics
    /// The database does not answer, or has no such table.
    pub async fn of(database: &TestDatabase, table: &str) -> Self {
        let mut connection = sqlx::PgConnection::connect(&database.address).await.expect("the database answers");
        let statement = sqlx::AssertSqlSafe(format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE"));
        connection.execute(statement).await.expect("a table");
        Self(connection)
    }

    /// Looks until so many transactions wait for it.
    ///
    /// # Panics
    /// The database does not answer.
    pub async fn until_waited_for_by(&mut self, transactions: i64) {
        const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        loop {
            let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(&mut self.0).await.expect("a number");
            if waiting >= transactions {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Lets those who wait go on.
    ///
    /// # Panics
    /// The database does not answer.
    pub async fn release(mut self) {
        self.0.execute("COMMIT").await.expect("it is released");
    }
}

/// Makes an empty database on the test server and returns its address.
///
/// # Panics
/// There is no test server: the test command makes one.
pub async fn fresh_postgres() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var(POSTGRES_VARIABLE)
        .unwrap_or_else(|_| panic!("{POSTGRES_VARIABLE} is not set; run the tests with `cargo xtask test`"));
    // Ids of processes come back, and the server may live longer.
    let random = RandomState::new().build_hasher().finish();
    let name = format!("test_{random:016x}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = sqlx::PgConnection::connect(&server).await.expect("the test server answers");
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(statement).await.expect("tests may make databases");
    let (base, _) = server.rsplit_once('/').expect("the server's address ends with a database");
    format!("{base}/{name}")
}

/// Every row of every table of a PostgreSQL database as text, bytes in hexadecimal: to look for what must not be there.
///
/// # Panics
/// The database does not answer.
pub async fn every_row_of_postgres(address: &str) -> String {
    let mut connection = sqlx::PgConnection::connect(address).await.expect("the database answers");
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'")
            .fetch_all(&mut connection)
            .await
            .expect("it has tables");
    let mut rows = Vec::new();
    for table in tables {
        let statement = sqlx::AssertSqlSafe(format!("SELECT to_jsonb(row)::text FROM {table} AS row"));
        let found: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut connection).await.expect("it has rows");
        rows.extend(found);
    }
    rows.join("\n")
}
