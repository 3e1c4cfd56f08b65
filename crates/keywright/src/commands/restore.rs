//! `keywright restore`.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use domain::ambient::Clock;
use engine::backups::{
    file::{Stamp, make_private, read_stamp, sync_folder, unpack},
    folder_of,
};
use store::backups::{Look, examine, file_of, fold_log, schema_known};

use crate::{
    backup_options::InUse,
    clock::SystemClock,
    options::DataOptions,
    output::{counted, say},
    ring_file, server,
};

/// Puts a backup in the place of a database with which no server or other command works.
///
/// Nothing leaves afterwards until somebody releases it: what waited when the backup was made may have left since.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `keywright backup` has made.
    file: PathBuf,

    /// Moves a database that is there aside, and leaves it beside the new one.
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    data: DataOptions,
}

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// What of it is kept when another takes its place; the third is made anew.
const KEPT_ASIDE: [&str; 2] = ["", "-wal"];

/// A database that goes away unless it gets its place.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        for part in BESIDE {
            // What has its place is not there any more.
            let _ = fs::remove_file(with(&self.0, part));
        }
        // Nobody else opens it by this name.
        let _ = fs::remove_file(InUse::beside(&self.0));
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Restore {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let target = self.target()?;
        self.data.make_folder()?;
        let _alone = InUse::alone(&target)?;
        let there = BESIDE.iter().any(|part| with(&target, part).exists());
        if there && !self.replace {
            bail!("there is a database at {}; with --replace it is moved aside", target.display());
        }
        self.check_stamp(&read_stamp(&self.file)?)?;
        let staged = Staged(with(&target, ".restoring"));
        let stamp = self.unpack(&staged)?;
        examine(&staged.0, Look::Thorough).await.context("the database in the backup is damaged; take another copy")?;
        let told = self.check(&staged, &stamp).await?;
        let aside = if there { Some(set_aside(&target).await?) } else { None };
        put_in_place(&staged, &target).with_context(|| match &aside {
            Some(aside) => format!(
                "the backup was not put in the place of {}; what was there before is {}",
                target.display(),
                aside.display()
            ),
            None => format!("{} cannot be made", target.display()),
        })?;
        let (tenants, licenses) = (counted(stamp.tenants, "account"), counted(stamp.licenses, "license"));
        say!("{} is as it was at {}: {tenants}, {licenses}", target.display(), minute(&stamp));
        say!("  {told}");
        if let Some(aside) = aside {
            say!("  what was there before is now {}", aside.display());
        }
        say!(
            "Nothing leaves yet, no mail, webhook, alert or call to a provider: what waited then may have left since."
        );
        say!(
            "  1. Start the server. It reads again what providers sent after the backup, and licenses what was sold since."
        );
        say!("  2. Look in the console at what waits, under Settings, Backups.");
        say!("  3. Release it there, or with: keywright outgoing release{}", self.data.as_option());
        Ok(())
    }

    /// The file that the database is to be.
    fn target(&self) -> anyhow::Result<PathBuf> {
        let Some(path) = file_of(&self.data.database()?)? else {
            bail!(
                "PostgreSQL is restored by its own tool, into an empty database: pg_restore --dbname=DATABASE_URL keywright.dump; \
                 then run `keywright outgoing hold` before the first server starts"
            );
        };
        Ok(path)
    }

    /// Whether this release and these master keys can read it, before anything is written.
    fn check_stamp(&self, stamp: &Stamp) -> anyhow::Result<()> {
        ensure!(
            stamp.schema <= schema_known(),
            "{} was made by keywright {}, whose database this release ({}) does not know; restore it with that release",
            self.file.display(),
            stamp.release,
            env!("CARGO_PKG_VERSION"),
        );
        let path = self.data.master_key_file();
        let needed = stamp.master_keys.join(", ");
        ensure!(
            path.exists(),
            "{} is not there: put the copy of the master key file that has {needed} in its place first; without it nothing in \
             the backup opens",
            path.display(),
        );
        let has: Vec<String> = ring_file::read(&path)?.ids().map(|id| id.to_string()).collect();
        let missing: Vec<&String> = stamp.master_keys.iter().filter(|key| !has.contains(key)).collect();
        ensure!(
            missing.is_empty(),
            "the backup needs the master keys {needed}, and {} has {}; use the copy of the master key file that was kept with it",
            path.display(),
            has.join(", "),
        );
        Ok(())
    }

    /// Writes the database beside the place where it is to be, and on the disk.
    fn unpack(&self, staged: &Staged) -> anyhow::Result<Stamp> {
        for part in BESIDE {
            // Of somebody who was interrupted.
            let _ = fs::remove_file(with(&staged.0, part));
        }
        let failed = || format!("{} cannot be written", staged.0.display());
        let mut out = BufWriter::new(make_private(&staged.0).with_context(failed)?);
        let stamp = unpack(&self.file, &mut out)?;
        out.into_inner().map_err(|error| error.into_error()).with_context(failed)?.sync_all().with_context(failed)?;
        Ok(stamp)
    }

    /// Opens it, has nothing leave it, and looks whether what must hold, holds.
    async fn check(&self, staged: &Staged, stamp: &Stamp) -> anyhow::Result<String> {
        let address = format!("sqlite:{}", staged.0.display());
        let engine = server::open_at(&self.data, &address).await?.engine;
        engine.hold_outgoing(Some(stamp.made_at), &"cli".into()).await?;
        let findings = engine.verify_in_time().await?;
        engine.store.close().await?;
        ensure!(!with(&staged.0, "-wal").exists(), "{} is in use by somebody else", staged.0.display());
        Ok(match findings {
            None => "the master keys open it; `keywright doctor --verify` looks at all of it".to_owned(),
            Some(findings) if findings.is_empty() => "the master keys open it, and all invariants hold".to_owned(),
            Some(findings) => {
                let count = counted(findings.len(), "finding");
                format!(
                    "the master keys open it; `keywright doctor --verify` tells {count}, the first: {}",
                    findings[0]
                )
            }
        })
    }
}

fn minute(stamp: &Stamp) -> String {
    stamp.made_at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Gives a database a second name, with what belongs to it: until another takes its place, it is there under both.
async fn set_aside(target: &Path) -> anyhow::Result<PathBuf> {
    // Its log is a part of it. One that does not open keeps it, and has it beside both names.
    if let Err(error) = fold_log(target).await {
        tracing::warn!(%error, "what was there before does not open; it is kept as it is");
    }
    let aside = with(target, &format!(".replaced-{}", SystemClock.now().strftime("%Y%m%dT%H%M%SZ")));
    for part in KEPT_ASIDE {
        let (from, to) = (with(target, part), with(&aside, part));
        if from.exists() {
            second_name(&from, &to)
                .with_context(|| format!("{} cannot be kept as {}", from.display(), to.display()))?;
        }
    }
    sync_folder(folder_of(target))?;
    Ok(aside)
}

/// Has a file under another name as well; a copy of it, where the disk knows one name only.
fn second_name(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs::copy(from, to)?;
            File::open(to)?.sync_all()
        }
        other => other,
    }
}

/// Has a database take its place, at one stroke: whenever it is interrupted, there is the old one or the new one.
fn put_in_place(staged: &Staged, target: &Path) -> io::Result<()> {
    for part in &BESIDE[1..] {
        // SQLite would take the log of the old one for the new one's.
        match fs::remove_file(with(target, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let folder = folder_of(target);
    sync_folder(folder)?;
    fail::fail_point!("restore-before-rename");
    fs::rename(&staged.0, target)?;
    sync_folder(folder)
}
