//! What can go wrong with a database.

use sea_orm::{DbErr, RuntimeErr};

/// A database said no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is not to be reached now. Nothing was written, or it is not known whether it was; unique keys make
    /// a repetition harmless.
    #[error("the database is not reachable: {0}")]
    Unavailable(#[source] DbErr),
    /// Another writer was in the way. The transaction is to be repeated.
    #[error("the transaction met another one and has to be repeated: {0}")]
    Conflict(#[source] DbErr),
    /// A row is there already.
    #[error("it exists already: {0}")]
    Duplicate(String),
    /// The statement failed.
    #[error("the database refused: {0}")]
    Refused(#[source] DbErr),
    /// A stored document does not read.
    #[error("{what} {id} does not read: {reason}")]
    Unreadable {
        /// Which kind of row.
        what: &'static str,
        /// Which one.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The address of the database is not understood.
    #[error("`{0}` is no database address; use sqlite:PATH or postgres://USER@HOST/NAME")]
    Address(String),
    /// The database was made by a newer release.
    #[error("the database has migrations that this release does not know ({0}); run the newer release")]
    Newer(String),
    /// There is no database.
    #[error("there is no database at {}", .0.display())]
    Missing(std::path::PathBuf),
    /// The database is another release's, and is to stay so.
    #[error(
        "the database has {found} migrations, and this release has {known}: do this with the release that works with it, or start \
         this one on it first"
    )]
    OtherSchema {
        /// Migrations that were done there.
        found: u32,
        /// Those that this release knows.
        known: u32,
    },
    /// The database is not a file that this process can copy.
    #[error("the database is not a file of SQLite; PostgreSQL is copied by its own pg_dump")]
    NotAFile,
}

impl StoreError {
    /// What was read was changed by another transaction before it was locked: the whole is to be repeated.
    #[must_use]
    pub fn changed_meanwhile(what: &str) -> Self {
        Self::Conflict(DbErr::Custom(format!("{what} was changed meanwhile")))
    }

    /// Whether repeating the whole transaction may succeed at once.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether a later repetition may succeed.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Unavailable(_))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match sqlx_error(&error) {
            Some(sqlx::Error::Database(database)) => {
                let code = database.code().map(|code| code.into_owned()).unwrap_or_default();
                match code.as_str() {
                    // Serialization failure, deadlock, a lock that was not given in time; SQLite: busy, locked.
                    "40001" | "40P01" | "55P03" | "5" | "6" | "261" | "517" => Self::Conflict(error),
                    // Read-only after a failover, idle for too long, shutting down, too many connections; SQLite: full, I/O
                    // error, cannot open.
                    "25006" | "25P03" | "57P01" | "57P02" | "57P03" | "53300" | "53100" | "13" | "10" | "14" => {
                        Self::Unavailable(error)
                    }
                    _ if database.is_unique_violation() => Self::Duplicate(database.message().to_owned()),
                    _ => Self::Refused(error),
                }
            }
            Some(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => Self::Unavailable(error),
            None if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => Self::Unavailable(error),
            _ => Self::Refused(error),
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}
