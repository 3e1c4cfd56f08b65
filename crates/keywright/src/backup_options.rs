//! Options about backups, and what tells that a database is in use.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use engine::{
    Engine,
    backups::{Plan, folder_of},
};
use jiff::SignedDuration;
use store::backups::file_of;

/// Backups that the server makes by itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct BackupOptions {
    /// The folder where backups of an SQLite database are kept. [default: none are made by themselves]
    #[arg(long, env = "KEYWRIGHT_BACKUP_DIR")]
    pub(crate) backup_dir: Option<PathBuf>,

    /// How often one is made.
    #[arg(long, env = "KEYWRIGHT_BACKUP_EVERY_HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub(crate) backup_every_hours: u32,

    /// How many of them are kept; the oldest go.
    #[arg(long, env = "KEYWRIGHT_BACKUP_KEEP", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) backup_keep: u32,
}

impl BackupOptions {
    /// What they come to; none: no backups are made by themselves.
    pub(crate) fn plan(&self, engine: &Engine) -> anyhow::Result<Option<Plan>> {
        let Some(folder) = &self.backup_dir else { return Ok(None) };
        if engine.store.is_shared() {
            bail!("--backup-dir is for SQLite: {}", engine::backups::BackupError::Postgres);
        }
        let folder = std::path::absolute(folder)?;
        engine::backups::make_folder(&folder)
            .with_context(|| format!("the folder for backups {} cannot be made", folder.display()))?;
        Ok(Some(Plan {
            folder,
            every: SignedDuration::from_hours(self.backup_every_hours.into()),
            keep: usize::try_from(self.backup_keep)?,
        }))
    }
}

/// Says that somebody works with a database of SQLite, for as long as it lives, and however the process ends. It lies beside the
/// database, so that whoever names that is seen, whatever data folder they have.
#[derive(Debug)]
pub(crate) struct InUse {
    _file: File,
}

impl InUse {
    /// By this process until it ends: several may. A database of PostgreSQL's is nobody's file.
    pub(crate) fn by_this_process(address: &str) -> anyhow::Result<()> {
        let Some(database) = file_of(address)? else { return Ok(()) };
        let file = Self::file(&database)?;
        match file.try_lock_shared() {
            // Nobody knows who of this process is the last to work with it.
            Ok(()) => std::mem::forget(file),
            Err(TryLockError::WouldBlock) => {
                bail!("a backup is being restored to {}; try again when that has ended", database.display())
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// By whoever must be alone there.
    pub(crate) fn alone(database: &Path) -> anyhow::Result<Self> {
        let file = Self::file(database)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                bail!("a server or another command works with {}; stop it first", database.display())
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// What the file beside a database is called.
    pub(crate) fn beside(database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push(".in-use");
        name.into()
    }

    fn file(database: &Path) -> anyhow::Result<File> {
        let path = Self::beside(database);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.with_context(|| format!("{} cannot be made", path.display()))?;
        // As SQLite does: what root's command makes is the server's all the same. Others have nobody to give it to.
        let owner = std::fs::metadata(database).or_else(|_| std::fs::metadata(folder_of(database)))?;
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
        Ok(file)
    }
}
