//! `cargo xtask requirements`: `docs/requirements.md` is complete, and every test it names exists.

mod ids;
mod sources;
mod table;
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};

use crate::workspace;
use sources::Tests;
use table::{Issue, Row, Shown};

const FILE: &str = "docs/requirements.md";

/// Checks the file and prints where each issue stands.
pub(crate) fn run() -> anyhow::Result<()> {
    let path = workspace::root().join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (rows, mut problems) = table::parse(&text);
    problems.extend(ids::check(&rows));
    let tests = sources::tests_of_workspace()?;
    problems.extend(rows.iter().flat_map(|row| unknown_tests(row, &tests)));
    if !problems.is_empty() {
        bail!("{FILE} has {} problem(s):\n  {}", problems.len(), problems.join("\n  "));
    }
    print!("{}", summary(&rows));
    Ok(())
}

fn unknown_tests(row: &Row, tests: &Tests) -> Vec<String> {
    let problem = |test: &String| Some(format!("line {}, {}: {}", row.line, row.id, tests.problem(test)?));
    row.tests.iter().filter_map(problem).collect()
}

#[derive(Default)]
struct Counts {
    shown: usize,
    open: usize,
    differently: usize,
}

impl Counts {
    fn add(&mut self, shown: Shown) {
        match shown {
            Shown::ByTests => self.shown += 1,
            Shown::Open => self.open += 1,
            Shown::Differently => self.differently += 1,
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} shown by tests, {} served differently, {} open", self.shown, self.differently, self.open)
    }
}

fn summary(rows: &[Row]) -> String {
    let mut all = Counts::default();
    let mut issues: BTreeMap<Issue, Counts> = BTreeMap::new();
    for row in rows {
        all.add(row.shown);
        issues.entry(row.issue).or_default().add(row.shown);
    }
    let mut text = format!("{} requirements: {all}\n", rows.len());
    for (issue, counts) in &issues {
        let _ = writeln!(text, "  {issue}: {counts}");
    }
    text
}
