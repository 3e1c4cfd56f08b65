//! The account between two commands: a file in the data folder, used by one command at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use domain::Entropy;

use super::account::Account;
use crate::entropy::ThreadEntropy;

/// The account's file.
const FILE: &str = "simulator.json";
/// Who holds it may use the account.
const LOCK: &str = "simulator.lock";

/// The file, for as long as nobody else may use it.
pub(crate) struct Books {
    path: PathBuf,
    /// Given back when it is closed, however the process ends.
    _lock: File,
}

impl Books {
    /// Opens the account of a data folder; a new one if there is none yet.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<(Self, Account)> {
        let lock = folder.join(LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&lock).with_context(|| format!("{} cannot be opened", lock.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another `keywright simulate` is playing on {}; wait until it has ended", folder.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).context("the simulator's lock"),
        }
        let books = Self { path: folder.join(FILE), _lock: lock };
        let account = books.read()?;
        Ok((books, account))
    }

    fn read(&self) -> anyhow::Result<Account> {
        match std::fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!("{} does not read; remove it to begin with an empty account", self.path.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut seed = [0; 32];
                ThreadEntropy.fill(&mut seed);
                Ok(Account::new(seed))
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", self.path.display())),
        }
    }

    /// Keeps the account: either the old one or the new one is there, never a half.
    pub(crate) fn save(&self, account: &Account) -> anyhow::Result<()> {
        let Some(folder) = self.path.parent() else { bail!("{} is no file", self.path.display()) };
        let mode = std::fs::Permissions::from_mode(0o600);
        let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(account)?)?;
        file.persist(&self.path).with_context(|| format!("{} cannot be replaced", self.path.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_kept_and_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (books, mut account) = Books::open(folder.path()).unwrap();
        assert!(Books::open(folder.path()).is_err(), "somebody else is using it");
        let id = account.id("cus_");
        books.save(&account).unwrap();
        drop(books);
        let (_books, mut kept) = Books::open(folder.path()).unwrap();
        assert_ne!(kept.id("cus_"), id, "it goes on where it stopped");
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
