//! Ctrl-C, SIGTERM and SIGHUP are remembered instead of ending the process, so that what was started is stopped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static LAST_SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// From here on the three signals are remembered.
pub(crate) fn watch() -> anyhow::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = usize::try_from(signal).context("signal numbers are positive")?;
        signal_hook::flag::register_usize(signal, Arc::clone(&LAST_SIGNAL), number)
            .with_context(|| format!("cannot watch for signal {signal}"))?;
    }
    Ok(())
}

/// The number of the last signal that asked this process to stop.
pub(crate) fn received() -> Option<u8> {
    match LAST_SIGNAL.load(Ordering::SeqCst) {
        0 => None,
        number => u8::try_from(number).ok(),
    }
}

/// Fails once a signal has asked this process to stop.
pub(crate) fn check() -> anyhow::Result<()> {
    match received() {
        None => Ok(()),
        Some(signal) => anyhow::bail!("stopped by signal {signal}"),
    }
}
