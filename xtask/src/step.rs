//! One line per step, with its duration.

use std::fmt::Display;
use std::time::Instant;

/// A step that has begun; [`Step::done`] prints its line.
pub(crate) struct Step {
    name: &'static str,
    started: Instant,
}

impl Step {
    /// Begins a step.
    pub(crate) fn begin(name: &'static str) -> Self {
        Self { name, started: Instant::now() }
    }

    /// Prints what came of the step and how long it took.
    pub(crate) fn done(self, result: impl Display) {
        let seconds = self.started.elapsed().as_secs_f64();
        eprintln!("xtask: {}: {result} ({seconds:.1} s)", self.name);
    }
}
