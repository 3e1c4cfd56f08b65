//! Where PostgreSQL's programs are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::URL_VARIABLE;
use crate::step::Step;
use crate::{debian, process};

/// What a server of our own needs.
const NEEDED: [&str; 2] = ["initdb", "postgres"];
/// Debian keeps these programs off PATH, in a folder per major version.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// A folder with `initdb` and `postgres`.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds the programs, or installs them where that is possible, and says which they are.
    pub(crate) fn ensure() -> anyhow::Result<Self> {
        let step = Step::begin("postgresql programs");
        let (programs, how) = match Self::find() {
            Some(found) => (found, "found"),
            None => (Self::install()?, "installed"),
        };
        let version = process::output(Command::new(programs.path("postgres")).arg("--version"))?;
        step.done(format_args!("{how} {version} in {}", programs.folder.display()));
        Ok(programs)
    }

    /// The path of one of the programs.
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    fn find() -> Option<Self> {
        let on_path = process::folders_on_path().into_iter();
        on_path
            .chain(debian_folders(Path::new(DEBIAN_VERSIONS)))
            .chain(asked())
            .find_map(|folder| Self::within(&folder))
    }

    /// Links are followed, since another user may not be able to reach a folder that is on our PATH.
    fn within(folder: &Path) -> Option<Self> {
        let initdb = folder.join(NEEDED[0]).canonicalize().ok()?;
        let folder = initdb.parent()?.to_owned();
        NEEDED.iter().all(|program| folder.join(program).is_file()).then_some(Self { folder })
    }

    fn install() -> anyhow::Result<Self> {
        if !debian::can_install() {
            bail!(
                "PostgreSQL's programs {} were found neither on PATH, nor in {DEBIAN_VERSIONS}/*/bin, nor where \
                 `pg_config --bindir` says. Install PostgreSQL's server package (Debian: apt-get install postgresql; \
                 as root on Debian this command does it), or set {URL_VARIABLE} to the address of a server on which \
                 databases may be created, such as postgres://user:password@127.0.0.1:5432/postgres",
                NEEDED.join(" and ")
            );
        }
        // The package would otherwise make a cluster of its own and start it on port 5432.
        let settings = Path::new("/etc/postgresql-common/createcluster.conf");
        let no_cluster = debian::Replaced::with(settings, "create_main_cluster = false\n", 0o644)?;
        debian::install(&["postgresql"])?;
        drop(no_cluster);
        Self::find().with_context(|| {
            format!(
                "Debian's package postgresql is installed, and yet {DEBIAN_VERSIONS}/*/bin has no initdb: reinstall it"
            )
        })
    }
}

/// Debian's folders, newest version first.
fn debian_folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn asked() -> Option<PathBuf> {
    process::on_path("pg_config")?;
    process::output(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::debian_folders;

    #[test]
    fn the_newest_version_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "common"] {
            std::fs::create_dir(folder.path().join(version)).unwrap();
        }
        let found = debian_folders(folder.path());
        assert_eq!(found, ["17/bin", "15/bin", "9/bin"].map(|inside| folder.path().join(inside)));
    }

    #[test]
    fn a_machine_without_debians_folder_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(debian_folders(&folder.path().join("missing")).is_empty());
    }
}
