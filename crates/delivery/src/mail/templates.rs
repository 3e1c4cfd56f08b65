//! Templates: the built-in ones, compiled in, and those that vendors wrote. Strict about names they do not know.

use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::LazyLock,
};

use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior, escape_formatter, syntax::SyntaxConfig, value::Serde,
};
use serde::Serialize;
use serde_json::Value;

use super::{MailError, grammar, html, page::Page};

/// The built-in templates, for mails of every kind, each as its name and its source.
const SUBJECT: (&str, &str) = ("subject.txt", include_str!("../../templates/subject.txt.j2"));
const TEXT: (&str, &str) = ("body.txt", include_str!("../../templates/body.txt.j2"));
const HTML: (&str, &str) = ("body.html", include_str!("../../templates/body.html.j2"));

/// Those of the mail about an alert, which has another layout and no subject but the given one.
const ALERT_TEXT: (&str, &str) = ("alert.txt", include_str!("../../templates/alert/body.txt.j2"));
const ALERT_HTML: (&str, &str) = ("alert.html", include_str!("../../templates/alert/body.html.j2"));

/// What a template of a vendor may use up; about one unit for each instruction. The built-in HTML uses less than 1,000.
const FUEL_MAX: u64 = 10_000;
/// The longest subject, in characters: what programs show of one is shorter.
const SUBJECT_CHARACTERS_MAX: usize = 250;
/// The longest text or HTML of a vendor, as it is written and as it is sent, in bytes. Gmail cuts what is longer off.
pub(super) const BODY_BYTES_MAX: usize = 100_000;

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

impl OwnTemplate {
    /// The bodies of the built-in mails, to begin with.
    #[must_use]
    pub fn built_in() -> Self {
        Self { text: Some(TEXT.1.to_owned()), html: Some(HTML.1.to_owned()), ..Self::default() }
    }

    /// Its parts by their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Option<&str>); 4] {
        let Self { subject, intro, text, html } = self;
        [("subject", subject), ("intro", intro), ("text", text), ("html", html)]
            .map(|(name, source)| (name, source.as_deref()))
    }

    /// Each of its parts alone.
    pub(super) fn apart(&self) -> [Self; 4] {
        let Self { subject, intro, text, html } = self.clone();
        let none = Self::default;
        [Self { subject, ..none() }, Self { intro, ..none() }, Self { text, ..none() }, Self { html, ..none() }]
    }
}

/// What is wrong with a vendor's template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` {problem}")]
pub struct LintError {
    /// Which part of it.
    pub part: &'static str,
    /// What is wrong, and what to do. No value of a mail.
    pub problem: String,
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

/// Writes a mail as its vendor wants it. What comes of it is looked at, since a template may do with this mail what it did
/// with no other: nothing in it runs, and a key that it delivers is there to be read.
pub(super) fn write_own(own: &OwnTemplate, page: &Page) -> Result<Written, MailError> {
    let written = merged(own, page)?;
    check(&written, page.key.as_deref())?;
    Ok(written)
}

fn merged(own: &OwnTemplate, page: &Page) -> Result<Written, MailError> {
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

fn check(written: &Written, key: Option<&str>) -> Result<(), LintError> {
    let refuse = |part, problem| Err(LintError { part, problem });
    if written.subject.is_empty() || written.subject.chars().count() > SUBJECT_CHARACTERS_MAX {
        let problem = format!("comes to a subject of no or more than {SUBJECT_CHARACTERS_MAX} characters");
        return refuse("subject", problem);
    }
    let shown = html::text_shown(&written.html).map_err(|problem| LintError { part: "html", problem })?;
    for (part, body) in [("text", &written.text), ("html", &shown)] {
        if key.is_some_and(|key| !body.contains(key)) {
            return refuse(part, "does not show the key, which this mail delivers; write {{ key }}".to_owned());
        }
    }
    Ok(())
}

/// The names that a part asks for, whether its branches are taken or not.
pub(super) fn names_in(part: &'static str, source: &str) -> Result<Vec<String>, LintError> {
    let environment = own_environment(part, source)?;
    let template = environment.get_template(file_name(part)).map_err(|error| unfit(part, &error))?;
    let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    names.sort();
    Ok(names)
}

/// The line in which a part asks for a name, from 1.
pub(super) fn line_of(source: &str, name: &str) -> u32 {
    syntax().ok().and_then(|syntax| grammar::line_of(source, &syntax, name)).unwrap_or(1)
}

fn built_in((name, _): (&str, &str), context: &impl Serialize) -> Result<String, MailError> {
    let environment = ENVIRONMENT.as_ref().map_err(broken)?;
    environment.get_template(name).and_then(|template| template.render(Serde(context))).map_err(|error| broken(&error))
}

fn render_own(part: &'static str, source: &str, context: &impl Serialize) -> Result<String, LintError> {
    let environment = own_environment(part, source)?;
    let mut written = Limited(Vec::new());
    let template = environment.get_template(file_name(part)).map_err(|error| unfit(part, &error))?;
    let values = values(context);
    template.render_captured_to(Serde(&values), &mut written).map_err(|error| unfit(part, &error))?;
    Ok(String::from_utf8_lossy(&written.0).into_owned())
}

/// The values as vendors' templates see them. What is absent is an empty text: it prints nothing, and is false to an `if`.
fn values(context: &impl Serialize) -> Value {
    fn fill(value: &mut Value) {
        match value {
            Value::Null => *value = Value::String(String::new()),
            Value::Array(items) => items.iter_mut().for_each(fill),
            Value::Object(fields) => fields.values_mut().for_each(fill),
            _ => {}
        }
    }
    let mut values = serde_json::to_value(context).unwrap_or_default();
    fill(&mut values);
    values
}

/// What is written, as far as it is not too long.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Each part stands alone: there is nothing that it could include.
fn own_environment(part: &'static str, source: &str) -> Result<Environment<'static>, LintError> {
    let build = || {
        let mut environment = environment()?;
        environment.set_fuel(Some(FUEL_MAX));
        environment.add_template_owned(file_name(part), source.to_owned())?;
        Ok(environment)
    };
    let syntax = syntax().map_err(|error| unfit(part, &error))?;
    grammar::check(source, &syntax).map_err(|problem| LintError { part, problem })?;
    build().map_err(|error| unfit(part, &error))
}

/// The ending decides whether values are escaped.
fn file_name(part: &str) -> &'static str {
    if part == "html" { "own.html" } else { "own.txt" }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn syntax() -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax()?);
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

/// Where a built-in template broke.
fn broken(error: &minijinja::Error) -> MailError {
    let place = format!("{}:{}", error.name().unwrap_or_default(), error.line().unwrap_or_default());
    MailError::Template { place, problem: told(error) }
}

/// Where a vendor's template broke.
fn unfit(part: &'static str, error: &minijinja::Error) -> LintError {
    let problem = match error.kind() {
        ErrorKind::WriteFailure => format!("comes to more than {BODY_BYTES_MAX} bytes, which mail programs cut off"),
        _ => format!("does not work in line {}: {}", error.line().unwrap_or_default(), told(error)),
    };
    LintError { part, problem }
}

/// What broke, without any value: one of them is the key. What does not parse holds no values, so it is told in full.
fn told(error: &minijinja::Error) -> String {
    let kind = error.kind();
    match (kind, error.detail()) {
        (ErrorKind::SyntaxError, Some(detail)) => format!("{kind}: {detail}"),
        _ => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn own(part: &'static str, source: &str, context: &minijinja::Value) -> Result<String, String> {
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
        let context = context! { name => "<b>", key => "ACME-SECRET", list => vec![0; 100] };
        let loops = |inside: &str| {
            let (before, behind) = ("{% for i in list %}".repeat(3), "{% endfor %}".repeat(3));
            format!("{before}{inside}{behind}")
        };
        for (source, problem) in [
            ("{{ key }}\n{{ kee }}", "`html` does not work in line 2: undefined value"),
            ("{{ key }}\n{{ name | safe }}", "`html` in line 2 uses the filter `safe`; there are: capitalize, "),
            ("{{ name | indent(2000000000) }}", "`html` in line 1 uses the filter `indent`"),
            ("{% include 'body.html' %}", "`html` in line 1 uses the statement `include`"),
            ("{{ name.upper(", "`html` does not work in line 1: syntax error: unexpected end of input"),
            ("{{ name.upper() }}", "`html` does not work in line 1: unknown method"),
            (&loops("{{ i }}"), "`html` does not work in line 1: engine ran out of fuel"),
            (&loops(&"x".repeat(1_000)), "`html` comes to more than 100000 bytes"),
        ] {
            let error = own("html", source, &context).unwrap_err();
            assert!(error.starts_with(problem), "{source}: {error}");
            assert!(!error.contains("SECRET"));
        }
    }

    #[test]
    fn what_is_absent_prints_nothing() {
        let context = context! { name => (), link => context! { url => () }, links => vec![()] };
        let source = "[{{ name }}{{ name | upper }}{{ link.url }}{{ links | first }}{% if name %}x{% endif %}]";
        assert_eq!(own("text", source, &context).as_deref(), Ok("[]"));
        assert_eq!(own("text", "{{ name | default('there', true) }}", &context).as_deref(), Ok("there"));
    }

    #[test]
    fn names_are_found_in_branches_that_are_not_taken() {
        let source = "{% if name %}{{ a }}{% else %}{{ b.c }}{% endif %}{% for x in links %}{{ x }}{% endfor %}";
        assert_eq!(names_in("text", source).unwrap(), ["a", "b", "links", "name"]);
    }
}
