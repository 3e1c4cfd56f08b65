//! Reads the rows of `docs/requirements.md`.

use std::fmt;

const HEADER: [&str; 4] = ["id", "what", "issue", "shown by"];
const DIFFERENTLY: &str = "served differently:";

/// One requirement.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) issue: Issue,
    pub(super) shown: Shown,
    /// The tests that the row names, without the backticks.
    pub(super) tests: Vec<String>,
}

/// Who owes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Issue {
    Number(u32),
    Later,
    Nobody,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "issue {number}"),
            Self::Later => write!(f, "later"),
            Self::Nobody => write!(f, "not ours to build"),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Open,
    ByTests,
    Differently,
}

/// All rows that can be read, and what is wrong with the others.
pub(super) fn parse(text: &str) -> (Vec<Row>, Vec<String>) {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells = match cells(line) {
            Some(cells) if !is_frame(&cells) => cells,
            _ => continue,
        };
        match row(index + 1, &cells) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.push(format!("line {}: {problem}", index + 1)),
        }
    }
    (rows, problems)
}

/// The cells of a table's line; `\|` is a bar inside a cell.
fn cells(line: &str) -> Option<Vec<String>> {
    let inside = line.trim().strip_prefix('|')?;
    let inside = inside.strip_suffix('|').unwrap_or(inside);
    let hidden = inside.replace("\\|", "\0");
    Some(hidden.split('|').map(|cell| cell.trim().replace('\0', "|")).collect())
}

fn is_frame(cells: &[String]) -> bool {
    cells == HEADER || cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')))
}

fn row(line: usize, cells: &[String]) -> Result<Row, String> {
    let [id, what, issue, shown_by] = cells else {
        return Err(format!("{} cells instead of the four {HEADER:?}", cells.len()));
    };
    if what.is_empty() {
        return Err(format!("{id} does not say what it is"));
    }
    let tests = tests_named(shown_by).map_err(|problem| format!("{id}: {problem}"))?;
    let shown = shown(shown_by, &tests).map_err(|problem| format!("{id}: {problem}"))?;
    let issue = parse_issue(issue).map_err(|problem| format!("{id}: {problem}"))?;
    if issue == Issue::Nobody && shown != Shown::Differently {
        return Err(format!("{id}: a row without an issue must say \"{DIFFERENTLY} why\""));
    }
    Ok(Row { line, id: id.clone(), issue, shown, tests })
}

fn parse_issue(cell: &str) -> Result<Issue, String> {
    match cell {
        "later" => Ok(Issue::Later),
        "-" => Ok(Issue::Nobody),
        number => number
            .parse()
            .map(Issue::Number)
            .map_err(|_| format!("the issue is a number, \"later\" or \"-\", not \"{number}\"")),
    }
}

fn shown(cell: &str, tests: &[String]) -> Result<Shown, String> {
    if let Some(reason) = cell.strip_prefix(DIFFERENTLY) {
        return if reason.trim().is_empty() {
            Err(format!("\"{DIFFERENTLY}\" lacks the reason"))
        } else {
            Ok(Shown::Differently)
        };
    }
    if cell == "open" {
        return Ok(Shown::Open);
    }
    let listed: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
    if !tests.is_empty() && cell == listed.join(", ") {
        return Ok(Shown::ByTests);
    }
    Err(format!(
        "shown by is \"open\", \"{DIFFERENTLY} why\" or `crate::module::test_name`, several separated by \", \", not \"{cell}\""
    ))
}

/// What stands in backticks and has a path.
fn tests_named(cell: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = cell.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return Err("a backtick is left open".to_owned());
    }
    Ok(parts.into_iter().skip(1).step_by(2).filter(|part| part.contains("::")).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::{Issue, Shown, parse};

    fn one(line: &str) -> Result<super::Row, String> {
        let (mut rows, mut problems) = parse(line);
        assert_eq!(rows.len() + problems.len(), 1, "{line}");
        rows.pop().ok_or_else(|| problems.remove(0))
    }

    #[test]
    fn text_and_frames_are_not_rows() {
        let text = "# Title\n\nText | with a bar\n\n| id | what | issue | shown by |\n|---|:--|--:|---|\n";
        let (rows, problems) = parse(text);
        assert!(rows.is_empty() && problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn an_open_row() {
        let row = one("| A01 | a \\| b | 2 | open |").unwrap();
        assert_eq!((row.id.as_str(), row.issue, row.shown), ("A01", Issue::Number(2), Shown::Open));
    }

    #[test]
    fn a_row_with_tests() {
        let row = one("| A01 | a | later | `domain::order::tests::joins`, `api::stripe::refuses` |").unwrap();
        assert_eq!((row.issue, row.shown), (Issue::Later, Shown::ByTests));
        assert_eq!(row.tests, ["domain::order::tests::joins", "api::stripe::refuses"]);
    }

    #[test]
    fn a_row_served_differently_may_name_a_test() {
        let row = one("| E05 | a | - | served differently: `x` means y, as `domain::fulfil::ends` shows |").unwrap();
        assert_eq!((row.issue, row.shown), (Issue::Nobody, Shown::Differently));
        assert_eq!(row.tests, ["domain::fulfil::ends"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_problem() {
        for line in [
            "| A01 | a | 2 |",
            "| A01 | | 2 | open |",
            "| A01 | a | soon | open |",
            "| A01 | a | - | open |",
            "| A01 | a | 2 | done |",
            "| A01 | a | 2 | |",
            "| A01 | a | 2 | served differently: |",
            "| A01 | a | 2 | `domain::order::joins |",
            "| A01 | a | 2 | `joins` |",
            "| A01 | a | 2 | `a::b` `c::d` |",
            "| A01 | a | 2 | `a::b` and more |",
        ] {
            assert!(one(line).is_err(), "{line}");
        }
    }
}
