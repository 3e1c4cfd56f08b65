//! The command `openssl`, with which operators make their keys for DKIM; tests make theirs the same way.

use std::process::Command;

use anyhow::bail;

use crate::{debian, process, step::Step};

/// Sees that `openssl` runs: the one that is there, or Debian's.
pub(super) fn ensure() -> anyhow::Result<()> {
    let step = Step::begin("openssl");
    let mut how = "found";
    if !runs() && debian::can_install() {
        debian::install(&["openssl"])?;
        how = "installed";
    }
    if !runs() {
        bail!(
            "openssl was not found. Install it (Debian: apt-get install openssl; as root on Debian this command does it)"
        );
    }
    step.done(how);
    Ok(())
}

fn runs() -> bool {
    process::output(Command::new("openssl").arg("version")).is_ok()
}
