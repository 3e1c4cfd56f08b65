//! The account between two commands: a file in the data folder, used by one command at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use domain::Entropy;
use engine::tenants::DEFAULT_TENANT;

use super::{account::Account, dialect::Dialect};
use crate::entropy::ThreadEntropy;

/// The file, for as long as nobody else may use it.
pub(crate) struct Books {
    path: PathBuf,
    /// Given back when it is closed, however the process ends.
    _lock: File,
}

impl Books {
    /// Opens a data folder's account at a provider, or the one that is connected to a platform; a new one if there is none
    /// yet.
    pub(crate) fn open(
        folder: &Path,
        tenant: &str,
        dialect: &dyn Dialect,
        connected: bool,
    ) -> anyhow::Result<(Self, Account)> {
        // Who holds it may use the tenant's accounts.
        let lock = folder.join(format!("{}.lock", beginning(tenant)));
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&lock).with_context(|| format!("{} cannot be opened", lock.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("something else is being played on {}; wait until it has ended", folder.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).context("the simulator's lock"),
        }
        let books = Self { path: folder.join(file(tenant, dialect, connected)), _lock: lock };
        let account = books.read(dialect, connected)?;
        Ok((books, account))
    }

    fn read(&self, dialect: &dyn Dialect, connected: bool) -> anyhow::Result<Account> {
        match std::fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!("{} does not read; remove it to begin with an empty account", self.path.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut seed = [0; 32];
                ThreadEntropy.fill(&mut seed);
                Ok(if connected { Account::of_platform(dialect, seed) } else { Account::new(dialect, seed) })
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

/// What the names of a tenant's files begin with.
fn beginning(tenant: &str) -> String {
    if tenant == DEFAULT_TENANT { "simulator".to_owned() } else { format!("simulator-{tenant}") }
}

/// The account's file.
fn file(tenant: &str, dialect: &dyn Dialect, connected: bool) -> String {
    format!("{}-{}{}.json", beginning(tenant), dialect.slug(), if connected { "-connected" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{dialect::Thing, stripe::Stripe};

    #[test]
    fn an_account_is_kept_and_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (books, mut account) = Books::open(folder.path(), DEFAULT_TENANT, &Stripe, false).unwrap();
        assert!(Books::open(folder.path(), DEFAULT_TENANT, &Stripe, false).is_err(), "somebody else is using it");
        let id = account.id(Thing::Customer);
        books.save(&account).unwrap();
        drop(books);
        let other = Books::open(folder.path(), "other", &Stripe, false);
        assert!(other.is_ok(), "another tenant has accounts of its own");
        let (_books, mut kept) = Books::open(folder.path(), DEFAULT_TENANT, &Stripe, false).unwrap();
        assert_ne!(kept.id(Thing::Customer), id, "it goes on where it stopped");
        let mode =
            std::fs::metadata(folder.path().join(file(DEFAULT_TENANT, &Stripe, false))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
