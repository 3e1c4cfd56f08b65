//! Options about backups, and what tells that a data folder is in use.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::Args;
use engine::{Engine, backups::Plan};
use jiff::SignedDuration;

use crate::options::DataOptions;

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

/// Says that somebody works with a data folder, for as long as it lives, and however the process ends.
#[derive(Debug)]
pub(crate) struct InUse {
    _file: Option<File>,
}

impl InUse {
    /// By a server: several may. One on PostgreSQL has no database there, and perhaps may not write there.
    pub(crate) fn by_server(data: &DataOptions) -> anyhow::Result<Self> {
        if !data.database()?.starts_with("sqlite:") {
            return Ok(Self { _file: None });
        }
        let file = Self::file(data)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                bail!("a backup is being restored in {}; start the server when that has ended", data.data_dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// By whoever must be alone there.
    pub(crate) fn alone(data: &DataOptions) -> anyhow::Result<Self> {
        let file = Self::file(data)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                bail!("a server runs on the data folder {}; stop it first", data.data_dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn file(data: &DataOptions) -> anyhow::Result<File> {
        data.make_folder()?;
        let path = data.data_dir.join("in-use");
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        opened.with_context(|| format!("{} cannot be made", path.display()))
    }
}
