//! The only place that knows SQL. One code base and one set of migrations for SQLite and PostgreSQL.
//!
//! Rows are plain data ([`rows`]); the domain's own types go in and out where there is one. Everything that belongs
//! together is written in one transaction ([`Store::begin`]), which is repeated by the caller when it met another.

pub mod about;
pub mod alerts;
mod backfills;
pub mod backups;
mod bulk;
pub mod calls;
pub mod catalogue;
mod configuration;
mod convert;
pub mod counts;
mod customers;
pub mod deliveries;
pub mod denials;
#[doc(hidden)]
pub mod entities;
pub mod erasure;
mod error;
pub mod events;
mod idempotency;
mod identity;
pub mod imports;
pub mod inbox;
mod journal;
mod keys;
mod licenses;
pub mod lists;
pub mod mail_templates;
mod maintenance;
pub mod many;
pub mod members;
mod merging;
mod metadata;
mod migrations;
mod orders;
pub mod outbox;
mod outgoing;
mod passkeys;
mod prices;
pub mod requests;
pub mod retention;
mod rule_sales;
#[cfg(test)]
mod schema;
pub mod snapshot;
mod status;
mod tags;
mod test_clock;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::expect_used, reason = "a test that cannot have its database has failed")]
pub mod testing;
mod usage;
pub mod webhook_endpoints;

use std::{str::FromStr, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode,
    SqlxPostgresConnector, SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sqlx::{
    ConnectOptions, Executor,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use customers::{CustomerKey, StoredIdentity};
pub use error::StoreError;
pub use licenses::{Found, FoundLicense};
pub use orders::StoredOrder;
pub use status::Status;

/// Rows as plain data.
pub mod rows {
    pub use crate::entities::{
        activations::Model as Activation, alert_channels::Model as AlertChannel, alerts::Model as Alert,
        api_keys::Model as ApiKey, api_requests::Model as ApiRequest, attention_items::Model as AttentionItem,
        audit_chains::Model as AuditChain, audit_entries::Model as AuditEntry, backfills::Model as Backfill,
        bulk_changes::Model as BulkChange, bulk_items::Model as BulkItem, connections::Model as Connection,
        customers::Model as Customer, deliveries::Model as Delivery, delivery_attempts::Model as DeliveryAttempt,
        events::Model as Event, idempotency_keys::Model as IdempotencyKey, identities::Model as Identity,
        identity_providers::Model as IdentityProvider, identity_visits::Model as IdentityVisit,
        import_rows::Model as ImportRow, inbound_events::Model as InboundEvent, invitations::Model as Invitation,
        license_keys::Model as LicenseKey, mail_templates::Model as MailTemplate, mails::Model as Mail,
        member_identities::Model as MemberIdentity, members::Model as Member, memberships::Model as Membership,
        passkeys::Model as Passkey, plan_prices::Model as PlanPrice, plans::Model as Plan,
        price_rules::Model as PriceRule, products::Model as Product, provider_calls::Model as ProviderCall,
        recoveries::Model as Recovery, rule_sales::Model as RuleSale, saved_views::Model as SavedView,
        sessions::Model as Session, signing_keys::Model as SigningKey, tenants::Model as Tenant,
        webhook_endpoints::Model as WebhookEndpoint,
    };
}

const READERS: u32 = 4;
/// Pages in SQLite's log after which a commit moves them to the main file itself. As a rule [`Store::checkpoint`] has
/// moved them before, and the log only begins anew.
const LOG_PAGES_MAX: &str = "4000";
/// Bytes of SQLite's file that readers map instead of copying them into memory of their own (decision 4).
const MAPPED_BYTES_MAX: &str = "2147483648";
/// Prepared statements that a connection keeps: bulk statements come in a few sizes each.
const STATEMENTS_KEPT: usize = 1_024;
/// Rows that SQLite's thread may read ahead: a whole batch, so that it does not wait for who takes them.
const ROWS_BUFFERED: usize = 256;
const POSTGRES_WRITERS: u32 = 6;
const POSTGRES_READERS: u32 = 8;
/// All that is asked often is a look into indexes, for a batch of keys. Plans are kept, and one that was made while a
/// table was small, or before it was analysed, would go on reading all of it; so only indexes are left to choose from.
///
/// A node that stops in the middle of a transaction, or is cut off, keeps others waiting for so long and no longer.
const SESSION: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; \
    SET enable_mergejoin = off; SET jit = off; SET plan_cache_mode = force_generic_plan; \
    SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'";
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A database. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    /// On SQLite: moves what was committed from the log to the main file, beside the writer.
    checkpointer: Option<DatabaseConnection>,
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…` and brings its schema up to date.
    ///
    /// # Errors
    /// The address is not understood, the database cannot be reached, or a newer release has made it.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        let store = Self::connect(address).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// The same, and leaves its schema as it is.
    ///
    /// # Errors
    /// Those of [`Store::open`], there is no database, or its schema is another release's.
    pub async fn open_as_it_is(address: &str) -> Result<Self, StoreError> {
        if let Some(file) = backups::file_of(address)?.filter(|file| !file.exists()) {
            return Err(StoreError::Missing(file));
        }
        let store = Self::connect(address).await?;
        let (found, known) = (store.schema().await?, backups::schema_known());
        if found == known { Ok(store) } else { Err(StoreError::OtherSchema { found, known }) }
    }

    async fn connect(address: &str) -> Result<Self, StoreError> {
        match address.split_once(':') {
            Some(("sqlite", path)) => Self::sqlite(path.trim_start_matches("//")).await,
            Some(("postgres" | "postgresql", _)) => Self::postgres(address).await,
            _ => Err(StoreError::Address(address.to_owned())),
        }
    }

    /// One writer, so that nobody waits for a lock inside a transaction, and a few readers beside it.
    async fn sqlite(path: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"))
            .map_err(|_| StoreError::Address(format!("sqlite:{path}")))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .statement_cache_capacity(STATEMENTS_KEPT)
            .row_buffer_size(ROWS_BUFFERED)
            .disable_statement_logging()
            .pragma("cache_size", "-16000")
            // What a statement may have to take back is kept in memory, not in a file.
            .pragma("temp_store", "memory")
            .pragma("wal_autocheckpoint", LOG_PAGES_MAX);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT);
        let writer = pool(1).connect_with(options.clone()).await.map_err(connection_error)?;
        let checkpointer = pool(1).connect_with(options.clone()).await.map_err(connection_error)?;
        let reader = pool(READERS)
            .connect_with(options.read_only(true).pragma("mmap_size", MAPPED_BYTES_MAX))
            .await
            .map_err(connection_error)?;
        Ok(Self {
            writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
            reader: SqlxSqliteConnector::from_sqlx_sqlite_pool(reader),
            checkpointer: Some(SqlxSqliteConnector::from_sqlx_sqlite_pool(checkpointer)),
        })
    }

    async fn postgres(address: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(address)
            .map_err(|_| StoreError::Address("postgres://…".to_owned()))?
            .application_name("keywright")
            .statement_cache_capacity(STATEMENTS_KEPT)
            .disable_statement_logging();
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .max_lifetime(Duration::from_secs(1_800))
                .after_connect(|connection, _| Box::pin(async { connection.execute(SESSION).await.map(drop) }))
        };
        // Few connections that write: each prepares all bulk statements for itself.
        let writer = pool(POSTGRES_WRITERS).connect_with(options.clone()).await.map_err(connection_error)?;
        let reader = pool(POSTGRES_READERS).connect_with(options).await.map_err(connection_error)?;
        Ok(Self {
            writer: SqlxPostgresConnector::from_sqlx_postgres_pool(writer),
            reader: SqlxPostgresConnector::from_sqlx_postgres_pool(reader),
            checkpointer: None,
        })
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        migrations::Migrator::up(&self.writer, None).await.map_err(|error| match error {
            sea_orm::DbErr::Custom(text) => StoreError::Newer(text),
            other => other.into(),
        })
    }

    /// Begins a transaction that writes. On SQLite it is the only one (`BEGIN IMMEDIATE`).
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin(&self) -> Result<Write, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Write { transaction: self.writer.begin_with_options(options).await? })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.reader.ping().await?)
    }

    /// Moves what was committed from SQLite's log to the main file, while others read and write. Without it, a commit
    /// now and then would have to do it, and those behind it would wait. Nothing happens on PostgreSQL.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        Ok(())
    }

    /// Closes all connections. Whatever is asked later is answered as if the database were away.
    ///
    /// # Errors
    /// A connection does not close.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.reader.close_by_ref().await?;
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.close_by_ref().await?;
        }
        Ok(self.writer.close_by_ref().await?)
    }

    /// Whether several nodes may share this database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.writer.get_database_backend() == DatabaseBackend::Postgres
    }
}

fn connection_error(error: sqlx::Error) -> StoreError {
    StoreError::from(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::SqlxError(error.into())))
}

/// A transaction that writes. Dropped without [`Write::commit`], it has never been.
#[derive(Debug)]
pub struct Write {
    transaction: DatabaseTransaction,
}

impl Write {
    /// Makes it so.
    ///
    /// # Errors
    /// The database did not confirm: whether it is so must be found out again.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    /// Lets go of everything now. Dropped, it does so a moment later, and until then others pass over what it has locked.
    ///
    /// # Errors
    /// The database does not answer; then it has let go, too.
    pub async fn let_go(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }

    /// Whether other transactions may write at the same time. If so, rows that are read for a change are locked.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.transaction.get_database_backend() == DatabaseBackend::Postgres
    }
}

/// Repeats a transaction that met another one, a few times.
///
/// # Errors
/// Those of the transaction; a conflict only after the last try.
pub async fn repeat<T, E, F>(mut transaction: impl FnMut() -> F, is_conflict: impl Fn(&E) -> bool) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    const TRIES: usize = 8;
    for _ in 1..TRIES {
        match transaction().await {
            Err(error) if is_conflict(&error) => tokio::task::yield_now().await,
            other => return other,
        }
    }
    transaction().await
}
