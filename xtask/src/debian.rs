//! Installing packages on a Debian machine, where we may.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::process;

/// Whether packages can be installed: Debian or one of its children, as root.
pub(crate) fn can_install() -> bool {
    rustix::process::geteuid().is_root()
        && Path::new("/etc/debian_version").exists()
        && process::on_path("apt-get").is_some()
}

/// Installs packages with what they need and nothing more. No service is started meanwhile.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let _no_services = if policy.exists() {
        None
    } else {
        Some(Replaced::with(
            policy,
            "#!/bin/sh\n# A test run installs packages: nothing is to be started.\nexit 101\n",
            0o755,
        )?)
    };
    process::run(apt_get().arg("update"))?;
    process::run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("cannot install {} with apt-get", packages.join(" ")))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("UCF_FORCE_CONFFOLD", "1")
        .stdin(Stdio::null());
    command
}

/// A file with other content for a while; dropping it puts back what was there.
pub(crate) struct Replaced {
    path: PathBuf,
    before: Option<(Vec<u8>, fs::Permissions)>,
}

impl Replaced {
    /// Writes the file and remembers what was there.
    pub(crate) fn with(path: &Path, content: &str, mode: u32) -> anyhow::Result<Self> {
        let before = if path.exists() {
            let problem = || format!("cannot read {} to put it back later", path.display());
            let content = fs::read(path).with_context(problem)?;
            Some((content, fs::metadata(path).with_context(problem)?.permissions()))
        } else {
            None
        };
        let replaced = Self { path: path.to_owned(), before };
        let problem = || format!("cannot write {}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(problem)?;
        fs::write(path, content).with_context(problem)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(problem)?;
        Ok(replaced)
    }

    fn put_back(&self) -> std::io::Result<()> {
        match &self.before {
            None => fs::remove_file(&self.path),
            Some((content, permissions)) => {
                fs::write(&self.path, content)?;
                fs::set_permissions(&self.path, permissions.clone())
            }
        }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            eprintln!("xtask: cannot put {} back as it was: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Replaced;

    #[test]
    fn a_replaced_file_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.conf");
        std::fs::write(&path, "before").unwrap();
        let replaced = Replaced::with(&path, "meanwhile", 0o644).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "meanwhile");
        drop(replaced);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    }

    #[test]
    fn a_file_that_was_not_there_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/some.conf");
        drop(Replaced::with(&path, "meanwhile", 0o644).unwrap());
        assert!(!path.exists());
    }
}
