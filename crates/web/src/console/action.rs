//! Actions: each is a page of its own that says what it will do, takes a reason, and works without scripts.

use askama::Template;

use super::shell::Shell;

/// One thing to fill in.
pub(crate) enum Field {
    /// A line of text.
    Text {
        name: &'static str,
        label: &'static str,
        value: String,
        kind: &'static str,
        hint: &'static str,
        is_required: bool,
    },
    /// One of several: value, label, whether it is chosen.
    Choice { name: &'static str, label: &'static str, options: Vec<(String, String, bool)> },
    /// Something carried along.
    Hidden { name: &'static str, value: String },
}

impl Field {
    /// Why it is done; anybody may leave it empty.
    pub(crate) fn reason() -> Self {
        Self::Text {
            name: "note",
            label: "Reason",
            value: String::new(),
            kind: "text",
            hint: "For the audit log. May stay empty.",
            is_required: false,
        }
    }
}

/// A page that does something.
#[derive(Template)]
#[template(path = "console/action.html")]
pub(crate) struct ActionPage {
    pub(crate) shell: Shell,
    pub(crate) title: String,
    /// What follows.
    pub(crate) consequences: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) button: &'static str,
    pub(crate) is_dangerous: bool,
    pub(crate) back: String,
    /// What was wrong with what was sent.
    pub(crate) wrong: Option<String>,
}
