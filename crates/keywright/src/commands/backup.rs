//! `keywright backup`.

use std::path::PathBuf;

use clap::Args;
use engine::{
    backups::{Made, folder_of, make_folder},
    support::size,
};

use crate::{
    options::DataOptions,
    output::{counted, say},
    server,
};

/// Copies the whole database into one file, while the server works.
///
/// SQLite only; PostgreSQL has pg_dump. The master keys are not in it: whoever has both can read every license key, so keep a copy
/// of the master key file in another place. A database of another release is left as it is: its own release backs it up.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to make, or a folder in which it gets a name that says when. [default: the folder for backups]
    destination: Option<PathBuf>,

    /// The folder for backups. [default: backups in the data folder]
    #[arg(long, env = "KEYWRIGHT_BACKUP_DIR")]
    backup_dir: Option<PathBuf>,

    #[command(flatten)]
    data: DataOptions,
}

impl Backup {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open_as_it_is(&self.data).await?.engine;
        let destination = match &self.destination {
            Some(file) => {
                let is_folder = file.as_os_str().to_string_lossy().ends_with('/');
                make_folder(if is_folder { file } else { folder_of(file) })?;
                file.clone()
            }
            None => {
                let folder = self.backup_dir.clone().unwrap_or_else(|| self.data.data_dir.join("backups"));
                make_folder(&folder)?;
                folder
            }
        };
        let made = engine.back_up(&destination, &"cli".into()).await?;
        self.tell(&made);
        Ok(())
    }

    fn tell(&self, made: &Made) {
        let Made { path, bytes, tenants, licenses, took_millis, .. } = made;
        let (tenants, licenses) = (counted(*tenants, "account"), counted(*licenses, "license"));
        say!("{}", path.display());
        say!("  {}, {tenants}, {licenses}, in {took_millis} ms", size(*bytes));
        let (keys, file) = (made.master_keys.join(", "), self.data.master_key_file());
        say!("  The master keys ({keys}) are not in it: keep a copy of {} in another place.", file.display());
        say!("  Restore it with: keywright restore {}", path.display());
    }
}
