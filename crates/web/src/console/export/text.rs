//! Rows as text: CSV as RFC 4180 has it, or an array of JSON objects.

use serde_json::{Map, Value};

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
}

impl Format {
    /// How its name ends.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Its type.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }

    /// What stands before all rows.
    pub(super) fn begin(self, columns: &[&str], text: &mut String) {
        match self {
            Self::Csv => text.push_str(&format!("{}\r\n", columns.join(","))),
            Self::Json => text.push('['),
        }
    }

    /// A row.
    pub(super) fn row(self, columns: &[&str], values: &[Value], is_first: bool, text: &mut String) {
        match self {
            Self::Csv => {
                let cells: Vec<String> = values.iter().map(cell).collect();
                text.push_str(&format!("{}\r\n", cells.join(",")));
            }
            Self::Json => {
                let object: Map<String, Value> =
                    columns.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned()).collect();
                text.push_str(if is_first { "\n" } else { ",\n" });
                text.push_str(&Value::Object(object).to_string());
            }
        }
    }

    /// What stands behind all rows.
    pub(super) fn end(self, text: &mut String) {
        if self == Self::Json {
            text.push_str("\n]\n");
        }
    }
}

/// A cell. A buyer chooses their name, and a spreadsheet takes what begins with one of these signs for a formula: with an
/// apostrophe before it, it is a text (OWASP, "CSV Injection").
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (value, written) in [
            (json!("Ada"), "Ada"),
            (json!(null), ""),
            (json!(-3), "-3"),
            (json!("=HYPERLINK(\"http://evil\",\"x\")"), "\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\""),
            (json!("+49"), "'+49"),
            (json!("-1+1"), "'-1+1"),
            (json!("@SUM(A1)"), "'@SUM(A1)"),
            (json!("\tx"), "'\tx"),
            (json!("Lovelace, Ada"), "\"Lovelace, Ada\""),
            (json!("two\nlines"), "\"two\nlines\""),
            (json!({"seat": "=1"}), "\"{\"\"seat\"\":\"\"=1\"\"}\""),
        ] {
            assert_eq!(cell(&value), written, "{value}");
        }
    }

    #[test]
    fn a_file_is_whole() {
        for (format, rows, expected) in [
            (Format::Csv, 0, "id,name\r\n"),
            (Format::Csv, 2, "id,name\r\n0,x\r\n1,x\r\n"),
            (Format::Json, 0, "[\n]\n"),
            (Format::Json, 2, "[\n{\"id\":0,\"name\":\"x\"},\n{\"id\":1,\"name\":\"x\"}\n]\n"),
        ] {
            let (columns, mut text) = (["id", "name"], String::new());
            format.begin(&columns, &mut text);
            for number in 0..rows {
                format.row(&columns, &[json!(number), json!("x")], number == 0, &mut text);
            }
            format.end(&mut text);
            assert_eq!(text, expected);
        }
    }
}
