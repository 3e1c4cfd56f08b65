//! Actions: each is a page of its own that says what it will do, takes a reason, and works without scripts.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    place::Place,
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

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
    /// Several lines of text.
    Long { name: &'static str, label: &'static str, value: String, hint: &'static str },
    /// One of several: value, label, whether it is chosen.
    Choice { name: &'static str, label: &'static str, options: Vec<(String, String, bool)> },
    /// Whether or not.
    Check { name: &'static str, label: &'static str, hint: &'static str, is_on: bool },
    /// What the fields behind it are about.
    Part(&'static str),
    /// The same question, asked in another way: its address, and what it is called.
    Link { path: String, words: &'static str },
    /// Something carried along.
    Hidden { name: &'static str, value: String },
}

impl Field {
    /// A line of text that may stay empty.
    pub(crate) fn text(name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self::Text { name, label, value: value.into(), kind: "text", hint: "", is_required: false }
    }

    /// A line that must be filled in.
    pub(crate) fn needed(mut self) -> Self {
        if let Self::Text { is_required, .. } = &mut self {
            *is_required = true;
        }
        self
    }

    /// A line of this type of HTML.
    pub(crate) fn of(mut self, new: &'static str) -> Self {
        if let Self::Text { kind, .. } = &mut self {
            *kind = new;
        }
        self
    }

    /// Several lines of text, which may stay empty.
    pub(crate) fn long(name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self::Long { name, label, value: value.into(), hint: "" }
    }

    /// With what helps to fill it in.
    pub(crate) fn hint(mut self, new: &'static str) -> Self {
        if let Self::Text { hint, .. } | Self::Long { hint, .. } | Self::Check { hint, .. } = &mut self {
            *hint = new;
        }
        self
    }

    /// One of several, each a value and its words.
    pub(crate) fn choice<V: Into<String>, W: Into<String>>(
        name: &'static str,
        label: &'static str,
        options: impl IntoIterator<Item = (V, W)>,
        here: &str,
    ) -> Self {
        let option = |(value, words): (V, W)| {
            let value = value.into();
            let is_here = value == here;
            (value, words.into(), is_here)
        };
        Self::Choice { name, label, options: options.into_iter().map(option).collect() }
    }

    /// A line that has this in it.
    pub(crate) fn filled(mut self, new: &str) -> Self {
        if let Self::Text { value, .. } = &mut self {
            new.clone_into(value);
        }
        self
    }

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
struct ActionPage {
    shell: Shell,
    title: String,
    /// What follows.
    consequences: Vec<String>,
    fields: Vec<Field>,
    button: &'static str,
    is_dangerous: bool,
    back: String,
    /// What was wrong with what was sent.
    wrong: Option<String>,
}

/// What a form sent, or an address asked for: by name, without the blanks around it. Secrets are among it, so it does not
/// print itself.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sent(BTreeMap<String, SecretString>);

impl Sent {
    /// What was sent under that name; nothing: an empty text.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(|value| value.expose_secret().trim()).unwrap_or_default()
    }

    /// The same; none: it is empty.
    pub(crate) fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// Whether anything was sent under that name, be it empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A secret; none: it is empty.
    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        self.some(name).map(SecretString::from)
    }

    /// Whether a box is ticked.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.some(name).is_some()
    }

    /// A whole number; none: it is empty. Otherwise what is wrong with it.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str, label: &str) -> Result<Option<N>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("{label}: this is not a whole number, or too large."));
        self.some(name).map(read).transpose()
    }

    /// Words with commas between them.
    pub(crate) fn words<W: FromIterator<String>>(&self, name: &str) -> W {
        let words = self.get(name).split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// As if this had been sent.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), SecretString::from(value.into()));
        self
    }
}

/// What is asked before something is done.
pub(crate) struct Question {
    title: String,
    button: &'static str,
    is_dangerous: bool,
    consequences: Vec<String>,
    fields: Vec<Field>,
    back: String,
}

impl Question {
    /// One that leads back there if the answer is no.
    pub(crate) fn new(title: impl Into<String>, button: &'static str, back: impl Into<String>) -> Self {
        let (title, back) = (title.into(), back.into());
        Self { title, button, is_dangerous: false, consequences: Vec::new(), fields: Vec::new(), back }
    }

    /// What follows.
    pub(crate) fn says(mut self, text: impl Into<String>) -> Self {
        self.consequences.push(text.into());
        self
    }

    /// What is to be filled in.
    pub(crate) fn asks(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// It takes something away.
    pub(crate) fn dangerous(mut self) -> Self {
        self.is_dangerous = true;
        self
    }

    /// As a page of a section; `wrong` is what was wrong with what was sent.
    pub(crate) async fn page<A>(
        self,
        web: &Web,
        place: &Place<A>,
        section: &str,
        wrong: Option<String>,
    ) -> Result<Response, Refusal> {
        let Self { title, button, is_dangerous, consequences, fields, back } = self;
        let shell = Shell::new(web, place, section, title.clone()).await?;
        page(&ActionPage { shell, title, consequences, fields, button, is_dangerous, back, wrong })
    }
}

/// Something that is shown this once.
#[derive(Template)]
#[template(path = "console/once.html")]
struct OncePage<'a> {
    shell: Shell,
    title: &'a str,
    secret: &'a str,
    notes: &'a [&'a str],
    back: String,
}

/// Shows something that is shown never again, with what to do with it.
pub(crate) async fn shown_once<A>(
    web: &Web,
    place: &Place<A>,
    section: &str,
    (title, secret, notes): (&str, &str, &[&str]),
) -> Result<Response, Refusal> {
    let (shell, back) = (Shell::new(web, place, section, title).await?, place.at(section));
    page(&OncePage { shell, title, secret, notes, back })
}
