//! What was measured, beside its target.

use std::fmt;

use crate::Database;

/// One figure.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) value: String,
    pub(crate) target: &'static str,
}

/// All figures of one database.
pub(crate) struct Report {
    pub(crate) database: Database,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn add(&mut self, what: impl Into<String>, value: impl Into<String>, target: &'static str) {
        let figure = Figure { what: what.into(), value: value.into(), target };
        eprintln!("{:?}: {}: {} (target: {})", self.database, figure.what, figure.value, figure.target);
        self.figures.push(figure);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {:?} | measured | target |\n|---|---|---|", self.database)?;
        for Figure { what, value, target } in &self.figures {
            writeln!(f, "| {what} | {value} | {target} |")?;
        }
        Ok(())
    }
}
