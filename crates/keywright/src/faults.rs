//! Dying on purpose, for the tests of what survives. Release builds have no fail points, so nothing of this happens there.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Names a fail point and the hit at which the process dies there, as `NAME:HIT`.
const VARIABLE: &str = "KEYWRIGHT_TEST_DIE_AT";

/// Arms the fail point that the environment names, in builds that have them.
pub(crate) fn arm() -> anyhow::Result<()> {
    if !fail::has_failpoints() {
        return Ok(());
    }
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    let Some((name, hit)) = text.split_once(':') else { anyhow::bail!("{VARIABLE} is NAME:HIT, not `{text}`") };
    let fatal: usize = hit.parse()?;
    let hits = AtomicUsize::new(0);
    let die = move || {
        // Nothing is flushed and no destructor runs: as if the machine had lost its power.
        if hits.fetch_add(1, Ordering::SeqCst) + 1 == fatal {
            std::process::abort();
        }
    };
    fail::cfg_callback(name, die).map_err(anyhow::Error::msg)
}
