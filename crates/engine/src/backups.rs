//! Backups: the whole database as one file, made while the server works.
//!
//! SQLite writes the copy itself (`VACUUM INTO`), as of one moment, beside a writer that it never holds up. On a database of
//! 100,000 licenses (445 MB) it took 1.0 to 1.3 s, and the commits of those seconds as long as others; its backup API, all at
//! once, did the same (1.0 to 1.2 s), and a thousand pages at a time it never ended, since it begins anew whenever somebody else
//! has committed. The copy is looked at, stamped ([`file`]), put on the disk, and only then gets its name: what has the name of a
//! backup is a whole one.
//!
//! The master keys are not in it. Whoever has both can read every license key; so they are kept apart.

pub mod file;

use std::{
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use domain::{
    Entropy,
    backup::{BACKUP_OVERDUE, is_due, is_overdue, newest, surplus},
    id::{AttentionId, TenantId},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{StoreError, backups::Examined, rows::AttentionItem};
use tokio::sync::Mutex;

use self::file::Stamp;
use crate::{Engine, Error, audit, rulings::By, tenants::DEFAULT_TENANT};

/// The setting that says what the last backup was.
const LAST: &str = "backup-last";
/// The setting that says why the last try came to nothing; the next backup removes it.
const FAILED: &str = "backup-failed";
const ENDING: &str = ".backup";
const BEGINNING: &str = "keywright-";
/// What a file is called while it is written.
const PART: &str = ".keywright-part";
const NAME_FORMAT: &str = "%Y%m%dT%H%M%S";
/// After so long nobody is writing a file any more.
const PART_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The actor of backups that are made by themselves.
const BY_ITSELF: &str = "schedule";

/// How often backups are made by themselves, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The folder.
    pub folder: PathBuf,
    /// How often.
    pub every: SignedDuration,
    /// How many are kept there.
    pub keep: usize,
}

/// What a process knows of backups.
#[derive(Default)]
pub(crate) struct Backups {
    plan: OnceLock<Plan>,
    /// One is made at a time.
    under_way: Mutex<()>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When copying began: everything that was answered before is in it.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_millis: i64,
    /// Where it was put.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// Vendors in it.
    pub tenants: u64,
    /// Licenses in it.
    pub licenses: u64,
    /// The ids of the master keys without which it opens nothing.
    pub master_keys: Vec<String>,
}

/// A try that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub problem: String,
}

/// A backup that lies in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where.
    pub path: PathBuf,
    /// When it was made, as its name says.
    pub made_at: Timestamp,
    /// How long it is.
    pub bytes: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is PostgreSQL's.
    #[error(
        "PostgreSQL is backed up by its own tool, while servers run: pg_dump --format=custom --file=keywright.dump DATABASE_URL"
    )]
    Postgres,
    /// One is being made.
    #[error("a backup is being made; wait until it is there")]
    UnderWay,
    /// There is a file of that name.
    #[error("{0} is there already, and is not written over; name another file")]
    Exists(PathBuf),
    /// Nobody said where they go.
    #[error("this server was started without a folder for backups; start it with --backup-dir (KEYWRIGHT_BACKUP_DIR)")]
    NoPlan,
    /// A file cannot be written.
    #[error("{file}: {source}")]
    File {
        /// Which one.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database said no, or the copy is not whole.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// A file that goes away unless it is finished.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Once it has its name there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Engine {
    /// Says where backups go. Only once: what is said later is not heard.
    pub fn plan_backups(&self, plan: Plan) {
        let _ = self.backups.plan.set(plan);
    }

    /// Where backups go, and how often.
    #[must_use]
    pub fn backup_plan(&self) -> Option<&Plan> {
        self.backups.plan.get()
    }

    /// Makes a backup: in this folder, under a name that says when, or as this file.
    ///
    /// # Errors
    /// The database is PostgreSQL's, one is being made here, there is a file of that name, it cannot be written, or the copy is not
    /// whole. Then nothing is left of it.
    pub async fn back_up(&self, to: &Path, by: &By) -> Result<Made, BackupError> {
        if self.store.is_shared() {
            return Err(BackupError::Postgres);
        }
        let _turn = self.backups.under_way.try_lock().map_err(|_| BackupError::UnderWay)?;
        let at = self.now();
        let path = if to.is_dir() { to.join(name_of(at)) } else { to.to_owned() };
        let failed = |source| BackupError::File { file: path.clone(), source };
        if path.exists() {
            return Err(BackupError::Exists(path));
        }
        remove_stale_parts(folder_of(&path), at);
        let part = Part(part_of(&path, &mut *self.entropy()));
        // Made here, so that it is nobody else's to read from its first byte on; it goes on being empty until SQLite writes it.
        file::make_private(&part.0).map_err(failed)?;
        let Examined { schema, tenants, licenses } = self.store.copy_to(&part.0).await?;
        fail::fail_point!("backup-before-stamp");
        let master_keys = self.keys_used().await?;
        let database_bytes = std::fs::metadata(&part.0).map_err(failed)?.len();
        let release = env!("CARGO_PKG_VERSION").to_owned();
        let stamp = Stamp { release, schema, made_at: at, tenants, licenses, master_keys, database_bytes };
        let bytes = finished(&part.0, &path, &stamp).await.map_err(failed)?;
        let took_millis = i64::try_from(self.now().duration_since(at).as_millis()).unwrap_or(i64::MAX);
        let path = std::path::absolute(&path).unwrap_or(path);
        let made = Made { at, took_millis, path, bytes, tenants, licenses, master_keys: stamp.master_keys };
        store::repeat(|| self.note_backup(&made, by), Error::is_conflict).await?;
        Ok(made)
    }

    /// Writes down that there is one. Whoever made it, it ends the failures before it.
    async fn note_backup(&self, made: &Made, by: &By) -> Result<(), Error> {
        let write = self.store.begin().await?;
        write.save_setting(LAST, serde_json::to_string(made).map_err(Error::Document)?).await?;
        write.remove_setting(FAILED).await?;
        if let Some(tenant) = self.tenant(DEFAULT_TENANT).await? {
            write.close_items_about(tenant, BACKUP_OVERDUE, vec![tenant.to_string()], self.now()).await?;
            let detail = serde_json::json!({ "bytes": made.bytes, "path": made.path, "note": by.note });
            let entry = self.told(tenant, "backup.made", tenant.to_string(), None, &detail, by);
            audit::add(&write, vec![entry]).await?;
        }
        Ok(write.commit().await?)
    }

    /// Makes a backup where the plan says, and removes those that are more than it keeps. If it fails, that is written down, and an
    /// attention item says so until one is made.
    ///
    /// # Errors
    /// Those of [`Engine::back_up`], or there is no plan.
    pub async fn back_up_as_planned(&self, by: &By) -> Result<Made, BackupError> {
        let plan = self.backup_plan().ok_or(BackupError::NoPlan)?;
        let made = match make_folder(&plan.folder) {
            Ok(()) => self.back_up(&plan.folder, by).await,
            Err(source) => Err(BackupError::File { file: plan.folder.clone(), source }),
        };
        match &made {
            Ok(_) => self.tidy_backups(plan),
            Err(BackupError::UnderWay) => {}
            Err(error) => {
                self.metrics.backup_failed();
                let failed = Failed { at: self.now(), problem: error.to_string() };
                store::repeat(|| self.note_failure(plan, &failed), Error::is_conflict).await?;
            }
        }
        made
    }

    /// Writes down that it failed, and opens the item.
    async fn note_failure(&self, plan: &Plan, failed: &Failed) -> Result<(), Error> {
        let Some(tenant) = self.tenant(DEFAULT_TENANT).await? else { return Ok(()) };
        let write = self.store.begin().await?;
        write.save_setting(FAILED, serde_json::to_string(failed).map_err(Error::Document)?).await?;
        write.open_items(vec![self.overdue(tenant, plan, &failed.problem)]).await?;
        Ok(write.commit().await?)
    }

    fn overdue(&self, tenant: TenantId, plan: &Plan, problem: &str) -> AttentionItem {
        let newest = kept_in(&plan.folder).first().map_or("there is none yet".to_owned(), |kept| {
            format!("the newest is of {}", kept.made_at.strftime("%Y-%m-%d %H:%M UTC"))
        });
        let detail =
            format!("no backup was made when it was due, and {newest}: {problem}; it is tried again every hour");
        let id = AttentionId::new(self.now(), &mut *self.entropy());
        AttentionItem::new(id, tenant, (BACKUP_OVERDUE, tenant.to_string()), detail, self.now())
    }

    /// Makes a backup if the plan says that one is due.
    ///
    /// # Errors
    /// Those of the database. That no backup could be made is written down, and is no error.
    pub async fn back_up_if_due(&self) -> Result<(), Error> {
        let Some(plan) = self.backup_plan() else { return Ok(()) };
        let newest = newest_in(&plan.folder, self.now());
        let failed = self.failed_backup().await?.map(|failed| failed.at);
        if !is_due(newest, failed, plan.every, self.now()) {
            return Ok(());
        }
        match self.back_up_as_planned(&BY_ITSELF.into()).await {
            Ok(made) => tracing::info!(path = %made.path.display(), bytes = made.bytes, "a backup was made"),
            Err(error) => tracing::error!(%error, "no backup was made"),
        }
        Ok(())
    }

    /// Removes backups that are more than are kept.
    fn tidy_backups(&self, plan: &Plan) {
        let all = kept_in(&plan.folder).into_iter().map(|kept| (kept.made_at, kept.path)).collect();
        for path in surplus(all, plan.keep, self.now()) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old backup stays; remove it by hand");
            }
        }
    }

    /// The last backup that this database knows of, wherever it was put.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_backup(&self) -> Result<Option<Made>, Error> {
        self.noted(LAST).await
    }

    /// Why the last try came to nothing; none: it did not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn failed_backup(&self) -> Result<Option<Failed>, Error> {
        self.noted(FAILED).await
    }

    async fn noted<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let text = self.store.setting(name).await?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::Document)
    }

    /// Whether the plan is not kept.
    ///
    /// # Errors
    /// Those of the database.
    pub fn backup_is_overdue(&self) -> bool {
        let overdue = |plan: &Plan| is_overdue(newest_in(&plan.folder, self.now()), plan.every, self.now());
        self.backup_plan().is_some_and(overdue)
    }

    /// The backups that lie where the plan says, the newest first.
    #[must_use]
    pub fn backups_kept(&self) -> Vec<Kept> {
        self.backup_plan().map(|plan| kept_in(&plan.folder)).unwrap_or_default()
    }

    /// Writes down that somebody takes a backup away: everything of all vendors is in it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn backup_taken(&self, tenant: TenantId, kept: &Kept, by: &By) -> Result<(), Error> {
        let once = || async {
            let write = self.store.begin().await?;
            let detail = serde_json::json!({ "bytes": kept.bytes, "path": kept.path, "note": by.note });
            let entry = self.told(tenant, "backup.downloaded", tenant.to_string(), None, &detail, by);
            audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }
}

/// How often it is looked whether a backup is due.
pub(crate) const LOOKED_EVERY: Duration = Duration::from_secs(60);

/// Stamps a copy and gives it its name. Returns how long it is.
async fn finished(part: &Path, path: &Path, stamp: &Stamp) -> io::Result<u64> {
    let (part, path, stamp) = (part.to_owned(), path.to_owned(), stamp.clone());
    let work = move || {
        let bytes = file::stamp(&part, &stamp)?;
        fail::fail_point!("backup-before-rename");
        std::fs::rename(&part, &path)?;
        file::sync_folder(folder_of(&path))?;
        Ok(bytes)
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The folder that a file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder for backups, for its owner only.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn name_of(at: Timestamp) -> String {
    format!("{BEGINNING}{}Z{ENDING}", at.strftime(NAME_FORMAT))
}

/// What a backup is called while it is written: hidden, beside where it will be, and as no other one is, not even one of the
/// same name that another process makes.
fn part_of(path: &Path, entropy: &mut dyn Entropy) -> PathBuf {
    let mut own = [0; 4];
    entropy.fill(&mut own);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.{}{PART}", hex::encode(own)))
}

/// Removes what somebody who was killed left behind long ago.
fn remove_stale_parts(folder: &Path, now: Timestamp) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let parts = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(PART))
    });
    for part in parts {
        let written = part.metadata().and_then(|metadata| metadata.modified()).ok();
        let written = written.and_then(|at| Timestamp::try_from(at).ok());
        if written.is_some_and(|at| now.duration_since(at) > PART_KEPT) {
            // Whatever keeps it there does not keep a new backup from being made.
            let _ = std::fs::remove_file(part.path());
        }
    }
}

/// When a backup of this name was made; none: it is not the name of one.
fn time_of(name: &str) -> Option<Timestamp> {
    let text = name.strip_prefix(BEGINNING)?.strip_suffix(ENDING)?.strip_suffix('Z')?;
    Timestamp::strptime(format!("{NAME_FORMAT}%z"), format!("{text}+0000")).ok()
}

/// When the newest backup in a folder was made.
fn newest_in(folder: &Path, now: Timestamp) -> Option<Timestamp> {
    newest(kept_in(folder).into_iter().map(|kept| kept.made_at), now)
}

/// The backups in a folder, the newest first. A folder that is not there has none.
fn kept_in(folder: &Path) -> Vec<Kept> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let kept = |entry: std::fs::DirEntry| {
        let made_at = time_of(entry.file_name().to_str()?)?;
        Some(Kept { path: entry.path(), made_at, bytes: entry.metadata().ok()?.len() })
    };
    let mut all: Vec<Kept> = entries.filter_map(kept).collect();
    all.sort_by_key(|kept| std::cmp::Reverse(kept.made_at));
    all
}
