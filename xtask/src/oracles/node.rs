//! The modules for Node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::made_once;
use crate::step::Step;
use crate::{debian, process, workspace};

/// Where tests find the folder `node_modules`.
pub(super) const VARIABLE: &str = "KEYWRIGHT_TEST_NODE_MODULES";

/// What is installed: `package.json` says which versions, the lock their checksums, `.npmrc` how.
const PACKAGES: &str = "xtask/oracles/node";
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
/// What Debian 12 has. Paddle's package asks for 20, which npm only warns about, and its signatures need no more.
const MAJOR_MIN: u32 = 18;

/// The folder with the modules: the one that was asked for, or our own.
pub(super) fn ensure() -> anyhow::Result<PathBuf> {
    let step = Step::begin("node modules");
    let wanted = wanted()?;
    let versions = versions(&wanted[0])?;
    if let Some(modules) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        ensure!(
            node_runs() && are_installed(&modules, &versions),
            "{VARIABLE} is {}: it must hold the packages of {PACKAGES}/package.json in their versions, and Node {MAJOR_MIN} \
             or later must be found as node. Install them, or unset it",
            modules.display()
        );
        step.done(format_args!("given by {VARIABLE}"));
        return Ok(modules);
    }
    ensure_node()?;
    let folder = workspace::target().join("oracles-node");
    let modules = folder.join("node_modules");
    let how = made_once(&folder, &wanted.concat(), || are_installed(&modules, &versions), || make(&folder, &wanted))?;
    step.done(format_args!("{how} in {}", folder.display()));
    Ok(modules)
}

/// The files that say what is installed.
fn wanted() -> anyhow::Result<[String; 3]> {
    let [packages, lock, settings] = FILES.map(|name| {
        let path = workspace::root().join(PACKAGES).join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    });
    Ok([packages?, lock?, settings?])
}

/// The packages that are asked for and their versions.
fn versions(packages: &str) -> anyhow::Result<Vec<(String, String)>> {
    let packages: Value = serde_json::from_str(packages).context("reading package.json")?;
    let dependencies = packages["dependencies"].as_object().context("package.json names no dependencies")?;
    let version = |(name, version): (&String, &Value)| {
        Ok((name.clone(), version.as_str().with_context(|| format!("{name} has no version"))?.to_owned()))
    };
    dependencies.iter().map(version).collect()
}

fn are_installed(modules: &Path, versions: &[(String, String)]) -> bool {
    versions.iter().all(|(name, version)| {
        let package = fs::read(modules.join(name).join("package.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&package).is_ok_and(|package| package["version"] == version.as_str())
    })
}

fn make(folder: &Path, wanted: &[String; 3]) -> anyhow::Result<()> {
    let problem = || format!("cannot write {}", folder.display());
    fs::create_dir_all(folder).with_context(problem)?;
    for (name, content) in FILES.iter().zip(wanted) {
        fs::write(folder.join(name), content).with_context(problem)?;
    }
    process::run(Command::new("npm").args(["ci", "--silent"]).current_dir(folder).stdin(Stdio::null())).with_context(
        || format!("cannot install the packages of {PACKAGES}; they come from the registry that npm is set up for"),
    )
}

/// Tests start Node as `node`.
fn ensure_node() -> anyhow::Result<()> {
    if !is_at_hand() && debian::can_install() {
        debian::install(&["nodejs", "npm"])?;
    }
    if is_at_hand() {
        return Ok(());
    }
    bail!(
        "no Node {MAJOR_MIN} or later with npm was found as node and npm. Install them (Debian: apt-get install nodejs npm; \
         as root on Debian this command does it), or set {VARIABLE} to a folder node_modules that has the packages of \
         {PACKAGES}/package.json"
    )
}

fn is_at_hand() -> bool {
    process::on_path("npm").is_some() && node_runs()
}

fn node_runs() -> bool {
    let is_new_enough = format!("process.exit(parseInt(process.versions.node) < {MAJOR_MIN} ? 1 : 0)");
    process::output(Command::new("node").args(["-e", &is_new_enough])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_pinned_and_the_lock_names_no_registry() {
        let [packages, lock, _] = wanted().unwrap();
        let lock: Value = serde_json::from_str(&lock).unwrap();
        for (name, version) in versions(&packages).unwrap() {
            assert_eq!(
                lock["packages"][format!("node_modules/{name}")]["version"],
                version,
                "{name}: write the lock anew"
            );
        }
        for (name, package) in lock["packages"].as_object().unwrap().iter().filter(|(name, _)| !name.is_empty()) {
            assert!(package["integrity"].is_string(), "{name}");
            assert!(package["resolved"].is_null(), "{name} comes from {}", package["resolved"]);
        }
    }

    #[test]
    fn a_folder_is_complete_with_every_package_in_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = [("@some/thing".to_owned(), "1.2.3".to_owned())];
        assert!(!are_installed(folder.path(), &wanted));
        let package = folder.path().join("@some/thing");
        fs::create_dir_all(&package).unwrap();
        for (version, complete) in [("1.2.2", false), ("1.2.3", true)] {
            fs::write(package.join("package.json"), format!(r#"{{"version":"{version}"}}"#)).unwrap();
            assert_eq!(are_installed(folder.path(), &wanted), complete, "{version}");
        }
    }
}
