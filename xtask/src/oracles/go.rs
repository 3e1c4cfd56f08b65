//! The compiler for Go.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{bail, ensure};

use crate::{debian, process, step::Step};

/// Where tests find `go`.
pub(super) const VARIABLE: &str = "KEYWRIGHT_TEST_GO";

/// The compiler that the tests are to use: the one that was asked for, or the one that is there, or Debian's.
pub(super) fn ensure() -> anyhow::Result<PathBuf> {
    let step = Step::begin("go");
    if let Some(go) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        ensure!(runs(&go), "{VARIABLE} is {}, which does not run as Go: install it, or unset it", go.display());
        step.done(format_args!("given by {VARIABLE}"));
        return Ok(go);
    }
    let mut how = "found";
    if find().is_none() && debian::can_install() {
        debian::install(&["golang-go"])?;
        how = "installed";
    }
    let Some(go) = find() else {
        bail!(
            "Go was not found as go. Install it (Debian: apt-get install golang-go; as root on Debian this command does it), \
             or set {VARIABLE} to it"
        )
    };
    step.done(format_args!("{how} as {}", go.display()));
    Ok(go)
}

fn find() -> Option<PathBuf> {
    process::on_path("go").filter(|go| runs(go))
}

fn runs(go: &Path) -> bool {
    process::output(Command::new(go).arg("version")).is_ok()
}
