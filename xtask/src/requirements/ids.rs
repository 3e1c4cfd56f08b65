//! The ids that the file must have, each once.

use std::collections::BTreeMap;

use super::table::Row;

/// Group letter and how many rows it has, counted from 01.
const GROUPS: [(char, u32); 6] = [('A', 37), ('B', 30), ('C', 26), ('D', 34), ('E', 36), ('X', 25)];

/// What is missing, double or unknown.
pub(super) fn check(rows: &[Row]) -> Vec<String> {
    let mut lines: BTreeMap<String, Vec<usize>> = expected().map(|id| (id, Vec::new())).collect();
    let mut problems = Vec::new();
    for row in rows {
        match lines.get_mut(&row.id) {
            Some(seen) => seen.push(row.line),
            None => problems.push(format!("line {}: there is no requirement {}", row.line, row.id)),
        }
    }
    for (id, lines) in lines {
        match lines.as_slice() {
            [] => problems.push(format!("{id} has no row")),
            [_] => {}
            several => problems.push(format!("{id} has several rows, in lines {several:?}")),
        }
    }
    problems
}

fn expected() -> impl Iterator<Item = String> {
    GROUPS.iter().flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number:02}")))
}

#[cfg(test)]
mod tests {
    use super::super::table::parse;
    use super::{check, expected};

    fn table(ids: impl Iterator<Item = String>) -> String {
        let rows: String = ids.map(|id| format!("| {id} | something | 2 | open |\n")).collect();
        format!("| id | what | issue | shown by |\n|---|---|---|---|\n{rows}")
    }

    #[test]
    fn the_complete_list_is_in_order() {
        assert_eq!(expected().count(), 188);
        assert!(check(&parse(&table(expected())).0).is_empty());
    }

    #[test]
    fn missing_double_and_unknown_ids_are_told() {
        let ids = expected().map(|id| match id.as_str() {
            "A02" => "A01".to_owned(),
            "X25" => "X26".to_owned(),
            _ => id,
        });
        let problems = check(&parse(&table(ids)).0);
        assert_eq!(
            problems,
            [
                "line 190: there is no requirement X26",
                "A01 has several rows, in lines [3, 4]",
                "A02 has no row",
                "X25 has no row",
            ]
        );
    }
}
