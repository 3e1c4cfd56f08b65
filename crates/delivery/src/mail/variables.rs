//! What templates may ask for, as those who write them are told it.

use domain::mail::MailKind;
use serde_json::Value;

use super::{MailError, Sample};

/// Something that a template may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// What to write to have it in a text.
    pub written: &'static str,
    /// What comes of it in an example; empty: nothing.
    pub example: String,
}

/// Name, meaning, and what is written, in the order of how often they are wanted. `docs/mail.md` lists them as well.
const TOLD: [(&str, &str, &str); 31] = [
    ("key", "The license key. Only the mail that delivers it has it.", "{{ key }}"),
    ("name", "What the buyer is called, where that is known.", "{% if name %} {{ name }}{% endif %}"),
    ("product", "The product.", "{{ product }}"),
    ("plan", "The plan.", "{{ plan }}"),
    ("title", "Product and plan.", "{{ title }}"),
    ("order", "The number of the order, for questions.", "{{ order }}"),
    ("date", "The day on which the license was issued.", "{{ date }}"),
    ("key_hint", "What may be shown of the key anywhere.", "{{ key_hint }}"),
    ("reason", "Why the license is in its state.", "{{ reason }}"),
    ("day", "The day that the mail is about.", "{{ day }}"),
    ("is_test", "Whether no money was involved.", "{% if is_test %}…{% endif %}"),
    ("greeting", "The built-in greeting; none without a name.", "{{ greeting }}"),
    ("intro", "The built-in first sentences.", "{{ intro }}"),
    ("subject", "The subject.", "{{ subject }}"),
    ("notice", "What is otherwise than the buyer expects: a key whose license does not work.", "{{ notice }}"),
    (
        "paragraphs",
        "The built-in sentences, one by one.",
        "{% for paragraph in paragraphs %}{{ paragraph }} {% endfor %}",
    ),
    ("closing", "Order, day and key hint, one line each.", "{% for line in closing %}{{ line }} {% endfor %}"),
    ("button", "The link that matters most.", "{% if button %}{{ button.label }}: {{ button.url }}{% endif %}"),
    ("links", "Further links.", "{% for link in links %}{{ link.label }}: {{ link.url }} {% endfor %}"),
    ("questions", "How to ask.", "{% if questions %}{{ questions.lead }}{% endif %}"),
    ("download_url", "Where the product is downloaded.", "{{ download_url }}"),
    ("docs_url", "Where it is explained.", "{{ docs_url }}"),
    ("portal_url", "Where buyers see their licenses.", "{{ portal_url }}"),
    ("support_url", "Where questions are answered.", "{{ support_url }}"),
    ("logo_url", "The logo.", "{{ logo_url }}"),
    ("footer", "The last lines that the brand has.", "{{ footer }}"),
    ("colour", "The colour of the button.", "{{ colour }}"),
    ("text_on_colour", "The colour of the words on it.", "{{ text_on_colour }}"),
    ("edge", "The line around it.", "{{ edge }}"),
    ("kind", "Which mail it is.", "{{ kind }}"),
    ("language", "Its language.", "{{ language }}"),
];

impl Sample<'_> {
    /// What this mail may ask for, each with what comes of it in this example.
    ///
    /// # Errors
    /// The buyer's address is none.
    pub fn variables(&self) -> Result<Vec<Variable>, MailError> {
        let page = serde_json::to_value(self.page(None)?.1).unwrap_or_default();
        let has_key = self.kind == MailKind::LicenseDelivery;
        let wanted = TOLD.into_iter().filter(|(name, ..)| has_key || *name != "key");
        let variable = |(name, meaning, written)| Variable { name, meaning, written, example: shown(&page[name]) };
        Ok(wanted.map(variable).collect())
    }
}

/// A value in a few words.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(is_so) => if *is_so { "yes" } else { "no" }.to_owned(),
        Value::Array(items) => items.first().map(shown).unwrap_or_default(),
        Value::Object(fields) => {
            let first = fields.get("label").or_else(|| fields.get("lead"));
            first.map(shown).unwrap_or_default()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use crate::mail::{OwnTemplate, SOMEBODY, lint, names};

    fn variables(kind: MailKind) -> Vec<Variable> {
        Sample::new(kind, None, SOMEBODY, Timestamp::UNIX_EPOCH).variables().unwrap()
    }

    /// The names of a documented mail, kept beside ours.
    const DOCUMENTED: [&str; 3] = ["licenseKey", "planName", "docsUrl"];

    #[test]
    fn every_name_is_told() {
        let told: BTreeSet<String> = TOLD.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let names: BTreeSet<String> = names().into_iter().filter(|name| !DOCUMENTED.contains(&&**name)).collect();
        assert_eq!(told, names);
    }

    #[test]
    fn what_is_written_works() {
        for kind in MailKind::ALL {
            for variable in variables(*kind) {
                let text = format!("{{{{ key_hint }}}}{{{{ key }}}}{}", variable.written);
                let own = OwnTemplate { text: Some(text), ..OwnTemplate::default() };
                assert_eq!(lint(*kind, &own), Ok(()), "{}", variable.name);
            }
        }
    }

    #[test]
    fn examples_are_of_the_mail() {
        let example = |kind, wanted: &str| {
            let found = variables(kind).into_iter().find(|variable| variable.name == wanted);
            found.map(|variable| variable.example)
        };
        assert_eq!(example(MailKind::LicenseDelivery, "key").as_deref(), Some("KEY-7F3K-9XYM-4N2A-Q7C9"));
        assert_eq!(example(MailKind::LicenseDelivery, "name").as_deref(), Some("Ada Lovelace"));
        assert_eq!(example(MailKind::LicenseFrozen, "key"), None);
        assert!(example(MailKind::LicenseFrozen, "reason").is_some_and(|reason| !reason.is_empty()));
    }
}
