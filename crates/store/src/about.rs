//! What kind of database this is, and how much is in it.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement};

use crate::{Store, entities::attention_items, error::StoreError};

/// A database as far as its operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// `SQLite` or `PostgreSQL`.
    pub kind: &'static str,
    /// Its version, as it says itself.
    pub version: String,
    /// What it takes on the disk, in bytes, without SQLite's log.
    pub bytes: u64,
}

#[derive(FromQueryResult)]
struct Found {
    version: String,
    bytes: i64,
}

#[derive(FromQueryResult)]
struct Counted {
    kind: String,
    count: i64,
}

const SQLITE: &str =
    "SELECT sqlite_version() AS version, page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()";
const POSTGRES: &str =
    "SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes";

impl Store {
    /// What kind of database this is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn about(&self) -> Result<DatabaseFacts, StoreError> {
        let (kind, query) = if self.is_shared() { ("PostgreSQL", POSTGRES) } else { ("SQLite", SQLITE) };
        let statement = Statement::from_string(self.reader.get_database_backend(), query);
        let found = Found::find_by_statement(statement).one(&self.reader).await?;
        let Found { version, bytes } = found.unwrap_or(Found { version: String::new(), bytes: 0 });
        Ok(DatabaseFacts { kind, version, bytes: bytes.unsigned_abs() })
    }

    /// How many open attention items there are of each kind, of all tenants.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attention_by_kind(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        use attention_items::Column::{ClosedAt, DismissedAt, Id, Kind};
        let query = attention_items::Entity::find().select_only().column(Kind).column_as(Id.count(), "count");
        let query = query.filter(ClosedAt.is_null()).filter(DismissedAt.is_null()).group_by(Kind);
        let counted = query.into_model::<Counted>().all(&self.reader).await?;
        Ok(counted.into_iter().map(|row| (row.kind, row.count.unsigned_abs())).collect())
    }
}
