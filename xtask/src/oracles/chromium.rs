//! Chromium, in which the pages are looked at.

use std::{path::PathBuf, process::Command};

use anyhow::bail;

use crate::{debian, process, step::Step};

/// Where tests find the browser.
pub(super) const VARIABLE: &str = "KEYWRIGHT_TEST_CHROMIUM";

/// What the browser is called, by whoever packages it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The browser: the one that was asked for, one that is there, or Debian's.
pub(super) fn ensure() -> anyhow::Result<PathBuf> {
    let step = Step::begin("chromium");
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let mut how = "found";
    if given.is_none() && found().is_none() && debian::can_install() {
        debian::install(&["chromium", "fonts-dejavu-core"])?;
        how = "installed";
    }
    let Some(path) = given.or_else(found).filter(runs) else {
        bail!(
            "chromium was not found. Install it (Debian: apt-get install chromium; as root on Debian this command does \
             it), or set {VARIABLE} to one that runs"
        )
    };
    step.done(how);
    Ok(path)
}

fn found() -> Option<PathBuf> {
    NAMES.into_iter().find_map(process::on_path)
}

fn runs(path: &PathBuf) -> bool {
    process::output(Command::new(path).arg("--version")).is_ok()
}
