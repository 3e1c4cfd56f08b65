//! Templates: the built-in ones, compiled in, and those that vendors wrote. Strict about names they do not know.

use std::{fmt::Write, sync::LazyLock};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, escape_formatter, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use super::{MailError, page::Page};

/// The built-in templates, for mails of every kind, each as its name and its source.
const SUBJECT: (&str, &str) = ("subject.txt", include_str!("../../templates/subject.txt.j2"));
const TEXT: (&str, &str) = ("body.txt", include_str!("../../templates/body.txt.j2"));
const HTML: (&str, &str) = ("body.html", include_str!("../../templates/body.html.j2"));

/// Those of the mail about an alert, which has another layout and no subject but the given one.
const ALERT_TEXT: (&str, &str) = ("alert.txt", include_str!("../../templates/alert/body.txt.j2"));
const ALERT_HTML: (&str, &str) = ("alert.html", include_str!("../../templates/alert/body.html.j2"));

/// What a template of a vendor may use up; about one unit for each instruction. The built-in HTML uses less than 1,000.
const FUEL_MAX: u64 = 50_000;

/// What a mail says.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// The parts of a mail that a vendor wrote. What is absent is as it is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTemplate {
    /// The subject, which is also the heading.
    pub subject: Option<String>,
    /// The first sentences of the built-in body.
    pub intro: Option<String>,
    /// The whole text.
    pub text: Option<String>,
    /// The whole HTML.
    pub html: Option<String>,
}

/// The built-in templates, read once.
static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut environment = environment()?;
    for (name, source) in [SUBJECT, TEXT, HTML, ALERT_TEXT, ALERT_HTML] {
        environment.add_template(name, source)?;
    }
    Ok(environment)
});

/// Writes a mail as it is built in.
pub(super) fn write(page: &Page) -> Result<Written, MailError> {
    Ok(Written {
        subject: one_line(&built_in(SUBJECT, page)?),
        text: built_in(TEXT, page)?,
        html: built_in(HTML, page)?,
    })
}

/// What the templates of the mail about an alert see.
#[derive(Serialize)]
struct AlertContext<'a, Alert> {
    subject: &'a str,
    alert: &'a Alert,
}

/// Writes the mail about an alert.
pub(super) fn write_alert(subject: &str, alert: &impl Serialize) -> Result<Written, MailError> {
    let context = AlertContext { subject, alert };
    Ok(Written {
        subject: one_line(subject),
        text: built_in(ALERT_TEXT, &context)?,
        html: built_in(ALERT_HTML, &context)?,
    })
}

/// Writes a mail as its vendor wants it.
pub(super) fn write_own(own: &OwnTemplate, page: &Page) -> Result<Written, MailError> {
    let part = |name, source: &Option<String>, page: &Page| {
        source.as_deref().map(|source| render_own(name, source, page)).transpose()
    };
    let intro = part("intro", &own.intro, page)?.map(|intro| intro.trim().to_owned());
    let subject = part("subject", &own.subject, page)?.map(|subject| one_line(&subject));
    let page = &Page {
        intro: intro.unwrap_or_else(|| page.intro.clone()),
        subject: subject.unwrap_or_else(|| page.subject.clone()),
        ..page.clone()
    };
    let (text, html) = (part("text", &own.text, page)?, part("html", &own.html, page)?);
    Ok(Written {
        subject: page.subject.clone(),
        text: text.map_or_else(|| built_in(TEXT, page), Ok)?,
        html: html.map_or_else(|| built_in(HTML, page), Ok)?,
    })
}

/// The names that a part asks for, whether its branches are taken or not.
pub(super) fn names_in(part: &str, source: &str) -> Result<Vec<String>, MailError> {
    let environment = own_environment(part, source)?;
    let template = environment.get_template(&file_name(part)).map_err(|error| broken(&error))?;
    let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    names.sort();
    Ok(names)
}

fn built_in((name, _): (&str, &str), context: &impl Serialize) -> Result<String, MailError> {
    let environment = ENVIRONMENT.as_ref().map_err(broken)?;
    environment.get_template(name).and_then(|template| template.render(Serde(context))).map_err(|error| broken(&error))
}

fn render_own(part: &str, source: &str, context: &impl Serialize) -> Result<String, MailError> {
    let environment = own_environment(part, source)?;
    let rendered = environment.get_template(&file_name(part)).and_then(|template| template.render(Serde(context)));
    rendered.map_err(|error| broken(&error))
}

/// Each part stands alone: there is nothing that it could include.
fn own_environment(part: &str, source: &str) -> Result<Environment<'static>, MailError> {
    let build = || {
        let mut environment = environment()?;
        environment.set_fuel(Some(FUEL_MAX));
        // What a buyer typed stays text.
        environment.remove_filter("safe");
        environment.add_template_owned(file_name(part), source.to_owned())?;
        Ok(environment)
    };
    build().map_err(|error: minijinja::Error| broken(&error))
}

/// The ending decides whether values are escaped.
fn file_name(part: &str) -> String {
    if part == "html" { "html.html".to_owned() } else { format!("{part}.txt") }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
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

/// Where it broke, without any value: one of them is the key. What does not parse holds no values, so it is told in full.
fn broken(error: &minijinja::Error) -> MailError {
    let name = error.name().unwrap_or_default();
    let part = name.split_once('.').map_or(name, |(part, _)| if part == "body" { name } else { part });
    let place = format!("{part}:{}", error.line().unwrap_or_default());
    let kind = error.kind();
    let problem = match (kind, error.detail()) {
        (minijinja::ErrorKind::SyntaxError | minijinja::ErrorKind::UnknownFilter, Some(detail)) => {
            format!("{kind}: {detail}")
        }
        _ => kind.to_string(),
    };
    MailError::Template { place, problem }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn own(part: &str, source: &str, context: &minijinja::Value) -> Result<String, String> {
        render_own(part, source, context).map_err(|error| error.to_string())
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let name = r#"<b>"A/B" & 'C'</b>"#;
        let context = context! { name, seven => Some(7) };
        assert_eq!(own("text", "{{ name }}", &context).as_deref(), Ok(name));
        let html = "&lt;b&gt;&quot;A/B&quot; &amp; &#39;C&#39;&lt;/b&gt; 7";
        assert_eq!(own("html", "{{ name }} {{ seven }}", &context).as_deref(), Ok(html));
    }

    #[test]
    fn what_a_template_may_not_do_it_cannot() {
        let context = context! { name => "<b>", key => "ACME-SECRET" };
        for (source, problem) in [
            ("{{ key }}\n{{ kee }}", "html:2 does not work: undefined value"),
            ("{{ name | safe }}", "html:1 does not work: unknown filter: filter safe is unknown"),
            ("{% include 'body.html' %}", "html:1 does not work: syntax error: unknown statement include"),
            ("{% extends 'body.html' %}", "html:1 does not work: syntax error: unknown statement extends"),
            ("{% macro all() %}{% endmacro %}", "html:1 does not work: syntax error: unknown statement macro"),
            ("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}", "engine ran out of fuel"),
            ("{{ name.upper( }}", "html:1 does not work: syntax error: unexpected `}`"),
        ] {
            let error = own("html", source, &context).unwrap_err();
            assert!(error.contains(problem), "{source}: {error}");
            assert!(!error.contains("SECRET"));
        }
    }

    #[test]
    fn names_are_found_in_branches_that_are_not_taken() {
        let source = "{% if name %}{{ a }}{% else %}{{ b.c }}{% endif %}{% for x in links %}{{ x }}{% endfor %}";
        assert_eq!(names_in("text", source).unwrap(), ["a", "b", "links", "name"]);
    }
}
