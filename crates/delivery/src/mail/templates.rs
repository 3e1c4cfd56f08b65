//! Templates: a folder per mail, compiled in, strict about names they do not know.

use std::{fmt::Write, sync::LazyLock};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, escape_formatter, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use super::{MailError, TEMPLATES};

/// The three templates of one mail, each as its name and its source.
pub(super) struct Template {
    /// The kind of mail, as its row names it and as its folder is called.
    pub(super) kind: &'static str,
    pub(super) subject: (&'static str, &'static str),
    pub(super) text: (&'static str, &'static str),
    pub(super) html: (&'static str, &'static str),
}

/// The templates in the folder of a mail.
macro_rules! template {
    ($kind:literal) => {
        crate::mail::templates::Template {
            kind: $kind,
            subject: crate::mail::templates::template!($kind, "subject.txt.j2"),
            text: crate::mail::templates::template!($kind, "body.txt.j2"),
            html: crate::mail::templates::template!($kind, "body.html.j2"),
        }
    };
    ($kind:literal, $file:literal) => {
        (
            concat!($kind, "/", $file),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $kind, "/", $file)),
        )
    };
}
pub(super) use template;

/// What a mail says.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// All templates, read once.
static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| read(&TEMPLATES));

impl Template {
    /// Writes the mail.
    pub(super) fn write(&self, context: &impl Serialize) -> Result<Written, MailError> {
        self.write_in(ENVIRONMENT.as_ref().map_err(broken)?, context)
    }

    fn write_in(&self, environment: &Environment<'_>, context: &impl Serialize) -> Result<Written, MailError> {
        let part = |(name, _): (&str, &str)| {
            let written = environment.get_template(name).and_then(|template| template.render(Serde(context)));
            written.map_err(|error| broken(&error))
        };
        Ok(Written {
            subject: part(self.subject)?.split_whitespace().collect::<Vec<_>>().join(" "),
            text: part(self.text)?,
            html: part(self.html)?,
        })
    }
}

fn read(templates: &[&Template]) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = environment()?;
    for template in templates {
        for (name, source) in [template.subject, template.text, template.html] {
            environment.add_template(name, source)?;
        }
    }
    Ok(environment)
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    // The values of a failed template would be printed with its error, and one of them is the key.
    environment.set_debug(false);
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if *state.auto_escape() == AutoEscape::Html && !value.is_safe() => {
            text.chars().try_for_each(|symbol| match entity(symbol) {
                Some(entity) => out.write_str(entity),
                None => out.write_char(symbol),
            })?;
            Ok(())
        }
        _ => escape_formatter(out, state, value),
    });
    Ok(environment)
}

/// The engine's own escaping also turns every `/` into an entity, which filters take for an address that hides.
fn entity(symbol: char) -> Option<&'static str> {
    match symbol {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    }
}

/// Where it broke, without any value.
fn broken(error: &minijinja::Error) -> MailError {
    let place = format!("{}:{}", error.name().unwrap_or_default(), error.line().unwrap_or_default());
    MailError::Template { place, problem: error.kind().to_string() }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn write(text: &'static str, html: &'static str, context: &minijinja::Value) -> Result<Written, MailError> {
        let subject = ("test/subject.txt.j2", "Hi\n  {{ name }}\n");
        let template =
            Template { kind: "test", subject, text: ("test/body.txt.j2", text), html: ("test/body.html.j2", html) };
        template.write_in(&read(&[&template]).unwrap(), context)
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let name = r#"<b>"A/B" & 'C'</b>"#;
        let written = write("{{ name }}", "{{ name }} {{ seven }}", &context! { name, seven => Some(7) }).unwrap();
        assert_eq!(written.text, name);
        assert_eq!(written.html, "&lt;b&gt;&quot;A/B&quot; &amp; &#39;C&#39;&lt;/b&gt; 7");
        assert_eq!(written.subject, format!("Hi {name}"), "one line");
    }

    #[test]
    fn an_unknown_name_is_refused_without_telling_values() {
        let error = write("{{ key }}\n{{ kee }}", "", &context! { name => "Ada", key => "ACME-SECRET" });
        let error = error.err().unwrap();
        assert_eq!(error.to_string(), "the template test/body.txt.j2:2 does not work: undefined value");
        assert!(!format!("{error:?}").contains("SECRET"));
    }
}
