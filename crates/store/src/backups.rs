//! Copies of a whole SQLite database, made while others write, and what is in one.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use sea_orm::{EntityTrait, FromQueryResult, Statement};
use sea_orm_migration::MigratorTrait;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use crate::{
    ACQUIRE_TIMEOUT, Store, Write, connection_error, entities::settings, error::StoreError, migrations::Migrator,
};

/// What is in a file that holds a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Migrations that were done there.
    pub schema: u32,
    /// Vendors.
    pub tenants: u64,
    /// Licenses of all vendors.
    pub licenses: u64,
}

/// How closely a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Whether every page can be read, and tables are what they should be.
    Quick,
    /// The same, and whether every index has what its table has.
    Thorough,
}

#[derive(FromQueryResult)]
struct MainFile {
    file: String,
}

#[derive(FromQueryResult)]
struct Schema {
    done: i64,
}

/// How many migrations this release knows: a database that has more was made by a newer one.
#[must_use]
pub fn schema_known() -> u32 {
    u32::try_from(Migrator::migrations().len()).unwrap_or(u32::MAX)
}

/// The file that an address names, by the name that it has itself; none: the database is no file.
///
/// # Errors
/// The address is not understood.
pub fn file_of(address: &str) -> Result<Option<PathBuf>, StoreError> {
    let Some(path) = address.strip_prefix("sqlite:") else { return Ok(None) };
    if path.contains(":memory:") || path.contains("mode=memory") {
        return Ok(None);
    }
    let path = path.trim_start_matches("//");
    let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"));
    let options = options.map_err(|_| StoreError::Address(address.to_owned()))?;
    let named = options.get_filename();
    // One that is not there yet has no other name.
    Ok(Some(named.canonicalize().unwrap_or_else(|_| named.to_path_buf())))
}

/// Looks at a file in which nobody writes.
///
/// # Errors
/// It does not open, is damaged, or is not a database of ours.
pub async fn examine(file: &Path, look: Look) -> Result<Examined, StoreError> {
    // Nobody writes to it, and nothing is to be written beside it.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut connection = connect(options).await?;
    let check = if look == Look::Quick { "PRAGMA quick_check(3)" } else { "PRAGMA integrity_check(3)" };
    let rows = sqlx::query(check).fetch_all(&mut connection).await.map_err(connection_error)?;
    let said: Vec<String> = rows.iter().filter_map(|row: &SqliteRow| row.try_get(0).ok()).collect();
    if said != ["ok"] {
        return Err(StoreError::Unreadable {
            what: "the database file",
            id: file.display().to_string(),
            reason: said.join("; "),
        });
    }
    let examined = Examined {
        schema: u32::try_from(count(&mut connection, "SELECT count(*) FROM seaql_migrations").await?)
            .unwrap_or(u32::MAX),
        tenants: count(&mut connection, "SELECT count(*) FROM tenants").await?,
        licenses: count(&mut connection, "SELECT count(*) FROM licenses").await?,
    };
    connection.close().await.map_err(connection_error)?;
    Ok(examined)
}

/// Moves all of the log of a database with which nobody works into its file, and changes nothing else.
///
/// # Errors
/// There is none, or it does not open.
pub async fn fold_log(file: &Path) -> Result<(), StoreError> {
    let mut connection = connect(SqliteConnectOptions::new().filename(file)).await?;
    let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
    connection.close().await.map_err(connection_error)?;
    folded.map(drop).map_err(connection_error)
}

async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    options.busy_timeout(ACQUIRE_TIMEOUT).disable_statement_logging().connect().await.map_err(connection_error)
}

async fn count(connection: &mut SqliteConnection, query: &'static str) -> Result<u64, StoreError> {
    let row = sqlx::query(query).fetch_one(connection).await.map_err(connection_error)?;
    let count: i64 = row.try_get(0).map_err(connection_error)?;
    Ok(count.unsigned_abs())
}

impl Store {
    /// Writes a copy of the whole database as of one moment to a file that is empty or not there, while others go on reading
    /// and writing, and looks at it. The copy is on its way to the disk when this returns, and not surely on it.
    ///
    /// # Errors
    /// The database is not SQLite's, the file cannot be written, or the copy is not whole.
    pub async fn copy_to(&self, file: &Path) -> Result<Examined, StoreError> {
        let from = self.main_file().await?;
        // A connection of its own: for as long as it copies, those of the pool are there for everybody else.
        let mut connection = connect(SqliteConnectOptions::new().filename(from).read_only(true)).await?;
        let to = file.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?").bind(to).execute(&mut connection).await.map_err(connection_error)?;
        connection.close().await.map_err(connection_error)?;
        examine(file, Look::Quick).await
    }

    /// Migrations that were done here.
    pub(crate) async fn schema(&self) -> Result<u32, StoreError> {
        let query = "SELECT count(*) AS done FROM seaql_migrations";
        let statement = Statement::from_string(self.reader.get_database_backend(), query);
        let found = Schema::find_by_statement(statement).one(&self.reader).await?;
        Ok(found.and_then(|schema| u32::try_from(schema.done).ok()).unwrap_or_default())
    }

    /// The file with the database.
    ///
    /// # Errors
    /// The database is not SQLite's, or does not answer.
    pub async fn main_file(&self) -> Result<PathBuf, StoreError> {
        if self.is_shared() {
            return Err(StoreError::NotAFile);
        }
        let query = "SELECT file FROM pragma_database_list WHERE name = 'main'";
        let statement = Statement::from_string(self.reader.get_database_backend(), query);
        let found = MainFile::find_by_statement(statement).one(&self.reader).await?;
        found.map(|found| PathBuf::from(found.file)).ok_or(StoreError::NotAFile)
    }
}

impl Write {
    /// Forgets a single value.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_setting(&self, name: &str) -> Result<(), StoreError> {
        settings::Entity::delete_by_id(name.to_owned()).exec(&self.transaction).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn a_copy_is_the_whole_database_and_opens_by_itself() {
        let database = TestDatabase::sqlite().await;
        for number in 0..200 {
            let write = database.store.begin().await.unwrap();
            write.save_setting(&format!("setting-{number}"), "x".repeat(100)).await.unwrap();
            write.commit().await.unwrap();
        }
        let file = database.folder.path().join("copy.db");
        let examined = database.store.copy_to(&file).await.unwrap();
        assert_eq!(examined, Examined { schema: schema_known(), tenants: 0, licenses: 0 });
        assert_eq!(examine(&file, Look::Thorough).await.unwrap(), examined);
        let copy = Store::open(&format!("sqlite:{}", file.display())).await.unwrap();
        assert_eq!(copy.setting("setting-199").await.unwrap().map(|value| value.len()), Some(100));
        assert_eq!(copy.main_file().await.unwrap(), file.canonicalize().unwrap());
    }

    #[tokio::test]
    async fn a_database_whose_log_is_folded_is_whole_without_it() {
        let database = TestDatabase::sqlite().await;
        let write = database.store.begin().await.unwrap();
        write.save_setting("last", "in the log".to_owned()).await.unwrap();
        write.commit().await.unwrap();
        let file = database.store.main_file().await.unwrap();
        // As somebody leaves it who is killed.
        let killed = database.folder.path().join("killed.db");
        let beside = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
        std::fs::copy(&file, &killed).unwrap();
        std::fs::copy(beside(&file), beside(&killed)).unwrap();
        assert!(std::fs::metadata(beside(&killed)).unwrap().len() > 0);
        fold_log(&killed).await.unwrap();
        assert!(!beside(&killed).exists());
        let folded = Store::open(&format!("sqlite:{}", killed.display())).await.unwrap();
        assert_eq!(folded.setting("last").await.unwrap().as_deref(), Some("in the log"));
        assert!(fold_log(&database.folder.path().join("nowhere.db")).await.is_err());
    }

    #[tokio::test]
    async fn a_database_of_another_release_is_left_as_it_is() {
        let database = TestDatabase::sqlite().await;
        let file = database.folder.path().join("copy.db");
        let address = format!("sqlite:{}", file.display());
        let missing = Store::open_as_it_is(&address).await;
        assert!(matches!(missing, Err(StoreError::Missing(_))) && !file.exists(), "{missing:?}");
        database.store.copy_to(&file).await.unwrap();
        Store::open_as_it_is(&address).await.unwrap().close().await.unwrap();
        let mut connection = connect(SqliteConnectOptions::new().filename(&file)).await.unwrap();
        let older = "DELETE FROM seaql_migrations WHERE version = (SELECT max(version) FROM seaql_migrations)";
        sqlx::query(older).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        for _ in 0..2 {
            let refused = Store::open_as_it_is(&address).await;
            let as_it_was = matches!(&refused, Err(StoreError::OtherSchema { found, known }) if found + 1 == *known);
            assert!(as_it_was, "{refused:?}");
        }
    }

    #[tokio::test]
    async fn what_is_there_is_never_written_over() {
        let database = TestDatabase::sqlite().await;
        let file = database.folder.path().join("copy.db");
        std::fs::write(&file, "somebody's").unwrap();
        assert!(database.store.copy_to(&file).await.is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"somebody's");
    }

    #[tokio::test]
    async fn what_is_damaged_or_is_no_database_of_ours_is_told() {
        let database = TestDatabase::sqlite().await;
        let file = database.folder.path().join("copy.db");
        database.store.copy_to(&file).await.unwrap();
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 4_096].fill(0xA5);
        for bytes in [&damaged[..], &whole[..whole.len() / 2], b"no database", b""] {
            std::fs::write(&file, bytes).unwrap();
            assert!(examine(&file, Look::Quick).await.is_err(), "{} bytes", bytes.len());
        }
    }

    #[tokio::test]
    async fn postgres_has_no_file() {
        let database = TestDatabase::postgres().await;
        let refused = database.store.copy_to(Path::new("/nowhere")).await;
        assert!(matches!(refused, Err(StoreError::NotAFile)), "{refused:?}");
    }
}
