//! Tables as text (RFC 4180), harmless to programs that compute.

use std::fmt::Write;

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes a row behind the others.
pub(crate) fn push_row<'f>(text: &mut String, fields: impl IntoIterator<Item = &'f str>) {
    for (place, field) in fields.into_iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // With a mark in front it is shown as it is, and nothing is computed.
        let mark = if field.starts_with(FORMULA) { "'" } else { "" };
        let _ = write!(text, "{comma}\"{mark}{}\"", field.replace('"', "\"\""));
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_fields_and_formulas_stay_text() {
        for (fields, written) in [
            (&["a", "b c", ""][..], "\"a\",\"b c\",\"\"\r\n"),
            (&["say \"yes\"", "one\r\ntwo"], "\"say \"\"yes\"\"\",\"one\r\ntwo\"\r\n"),
            (&["=1+1", "+1", "-1", "@sum", "\tx"], "\"'=1+1\",\"'+1\",\"'-1\",\"'@sum\",\"'\tx\"\r\n"),
        ] {
            let mut text = String::new();
            push_row(&mut text, fields.iter().copied());
            assert_eq!(text, written);
        }
    }
}
