//! What vendors write for their mails themselves, and what is wrong with it before it is used.

use domain::mail::MailKind;
use jiff::Timestamp;
use store::rows::{MailTemplate, Product};
use uuid::Uuid;

use super::{
    MailError, SOMEBODY, Sample,
    language::Language,
    page as page_of,
    page::Page,
    sample,
    templates::{self, OwnTemplate},
};

/// The longest subject, in characters: what programs show of one is shorter.
const SUBJECT_CHARACTERS_MAX: usize = 250;
/// The longest text or HTML, in bytes. Gmail cuts what is longer off.
const BODY_BYTES_MAX: usize = 100_000;
/// What no mail program runs and every filter distrusts.
const FORBIDDEN: [&str; 8] = ["<script", "<iframe", "<object", "<embed", "<form", "<base", "http-equiv", "javascript:"];

/// A template that would not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` {problem}")]
pub struct LintError {
    /// Which part of it.
    pub part: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// The parts that a row holds.
#[must_use]
pub(super) fn parts(row: &MailTemplate) -> OwnTemplate {
    OwnTemplate {
        subject: row.subject.clone(),
        intro: row.intro.clone(),
        text: row.body_text.clone(),
        html: row.body_html.clone(),
    }
}

/// The template for a language: that of the product, otherwise that of all products.
pub(super) fn template_for<'a>(rows: &'a [MailTemplate], product: Uuid, language: &str) -> Option<&'a MailTemplate> {
    let of = |product: Uuid| rows.iter().find(|row| row.product_id == product && row.language == language);
    of(product).or_else(|| of(Uuid::nil()))
}

/// What a vendor wrote for a mail and counts: for its product, otherwise for all products.
#[must_use]
pub fn saved_template(
    rows: &[MailTemplate],
    kind: MailKind,
    product: &Product,
    language: Language,
) -> Option<OwnTemplate> {
    let of_kind: Vec<MailTemplate> =
        rows.iter().filter(|row| row.active && row.kind == kind.as_str()).cloned().collect();
    template_for(&of_kind, product.id, language.code()).map(parts)
}

/// The names that templates may use.
#[must_use]
pub fn names() -> Vec<String> {
    let page = serde_json::to_value(stand_in(MailKind::LicenseDelivery, Language::English).ok());
    page.ok().and_then(|page| Some(page.as_object()?.keys().cloned().collect())).unwrap_or_default()
}

/// Looks at a template before it is saved: it parses, uses names that there are, runs nothing, works with everything there
/// and with nothing there, and a mail that delivers a key has it in its text and in its HTML.
///
/// # Errors
/// The first thing that is wrong.
pub fn lint(kind: MailKind, own: &OwnTemplate) -> Result<(), LintError> {
    let parts = [("subject", &own.subject), ("intro", &own.intro), ("text", &own.text), ("html", &own.html)];
    let refuse = |part, problem: String| Err(LintError { part, problem });
    if parts.iter().all(|(_, source)| source.is_none()) {
        return refuse("subject", "is missing, and so are `intro`, `text` and `html`; write one of them".to_owned());
    }
    let known = names();
    for (part, source) in parts.iter().filter_map(|(part, source)| Some((*part, source.as_deref()?))) {
        if source.trim().is_empty() {
            return refuse(part, "is empty; leave it out, and it is as it is built in".to_owned());
        }
        let names = templates::names_in(part, source).map_err(|error| wrong(part, &error))?;
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return refuse(part, format!("asks for `{name}`, which is not known; there are: {}", known.join(", ")));
        }
        if source.len() > BODY_BYTES_MAX {
            return refuse(part, format!("has {} bytes; {BODY_BYTES_MAX} is the most", source.len()));
        }
    }
    if let Some(problem) = own.html.as_deref().and_then(runs_something) {
        return refuse("html", problem);
    }
    for language in Language::ALL {
        let full = stand_in(kind, language).map_err(|error| wrong("text", &error))?;
        for page in [bare(&full), full] {
            works(own, &page)?;
        }
    }
    Ok(())
}

fn works(own: &OwnTemplate, page: &Page) -> Result<(), LintError> {
    // Each part alone, so that the one that fails is named.
    let alone = [
        ("subject", OwnTemplate { subject: own.subject.clone(), ..OwnTemplate::default() }),
        ("intro", OwnTemplate { intro: own.intro.clone(), ..OwnTemplate::default() }),
        ("text", OwnTemplate { text: own.text.clone(), ..OwnTemplate::default() }),
        ("html", OwnTemplate { html: own.html.clone(), ..OwnTemplate::default() }),
    ];
    for (part, own) in alone {
        let written = templates::write_own(&own, page).map_err(|error| wrong(part, &error))?;
        let refuse = |problem: String| Err(LintError { part, problem });
        if written.subject.is_empty() || written.subject.chars().count() > SUBJECT_CHARACTERS_MAX {
            return refuse(format!("comes to a subject of no or more than {SUBJECT_CHARACTERS_MAX} characters"));
        }
        if written.text.len().max(written.html.len()) > BODY_BYTES_MAX {
            return refuse(format!("comes to more than {BODY_BYTES_MAX} bytes, which mail programs cut off"));
        }
        let lacks_key = |body: &str| page.key.as_deref().is_some_and(|key| !body.contains(key));
        if lacks_key(&written.text) || lacks_key(&shown(&written.html)) {
            return refuse("does not show the key, which this mail delivers; write {{ key }}".to_owned());
        }
    }
    Ok(())
}

/// What of an HTML is there to be read: not its comments, tags and styles.
fn shown(html: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(html.len()), html);
    while let Some((before, tag)) = rest.split_once('<') {
        shown.push_str(before);
        let end = match tag {
            comment if comment.starts_with("!--") => "-->",
            style if style.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("style")) => "</style>",
            _ => ">",
        };
        rest = tag.split_once(end).map_or("", |(_, behind)| behind);
    }
    shown + rest
}

fn wrong(part: &'static str, error: &MailError) -> LintError {
    let problem = match error {
        MailError::Template { place, problem } => {
            let line = place.rsplit_once(':').map_or("", |(_, line)| line);
            format!("does not work in line {line}: {problem}")
        }
        other => format!("cannot be looked at: {other}"),
    };
    LintError { part, problem }
}

fn runs_something(html: &str) -> Option<String> {
    let html = html.to_ascii_lowercase();
    if let Some(word) = FORBIDDEN.iter().find(|word| html.contains(**word)) {
        return Some(format!("contains `{word}`, which mail programs do not show and filters distrust; take it out"));
    }
    // An attribute that runs something: a blank, `on`, letters, `=`.
    let runs = html.split_whitespace().any(|word| {
        word.strip_prefix("on")
            .and_then(|rest| rest.split_once('='))
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
    });
    runs.then(|| "has an attribute that runs something, such as `onclick`; take it out".to_owned())
}

/// A product for those who have none yet.
#[must_use]
pub fn example_product() -> Product {
    Product {
        id: Uuid::nil(),
        tenant_id: Uuid::nil(),
        code: "example".to_owned(),
        name: "Example".to_owned(),
        key_prefix: "KEY".to_owned(),
        brand: "{}".to_owned(),
        created_at: 0,
    }
}

/// A mail with everything that it may have.
fn stand_in(kind: MailKind, language: Language) -> Result<Page, MailError> {
    let brand = r##"{"reply_to":"help@example.com","support_url":"https://example.com/help",
        "download_url":"https://example.com/get","docs_url":"https://example.com/docs",
        "portal_url":"https://example.com/portal","logo_url":"https://example.com/logo.png","footer":"Example"}"##;
    let product = Product { brand: brand.to_owned(), ..example_product() };
    let now = Timestamp::UNIX_EPOCH;
    let mail = Sample { kind, product: &product, language: Some(language), own: None, to: SOMEBODY, now }.mail();
    let contents = sample::contents(kind, &product, now);
    let key = (kind == MailKind::LicenseDelivery).then(|| sample::key(&product));
    let (_, page) = page_of(&mail, &contents, None, key.as_deref(), Some(language))?;
    Ok(page)
}

/// The same without everything that may be absent.
fn bare(page: &Page) -> Page {
    Page {
        name: None,
        plan: None,
        key_hint: None,
        reason: None,
        day: None,
        greeting: None,
        notice: None,
        button: None,
        links: Vec::new(),
        questions: None,
        download_url: None,
        docs_url: None,
        portal_url: None,
        support_url: None,
        logo_url: None,
        footer: None,
        documented_plan: None,
        documented_docs: None,
        ..page.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: MailKind, own: &OwnTemplate) -> String {
        lint(kind, own).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    fn text(source: &str) -> OwnTemplate {
        OwnTemplate { text: Some(source.to_owned()), ..OwnTemplate::default() }
    }

    fn html(source: &str) -> OwnTemplate {
        OwnTemplate { html: Some(source.to_owned()), ..OwnTemplate::default() }
    }

    #[test]
    fn what_works_passes() {
        let subject = OwnTemplate { subject: Some("Your License Key is Ready".to_owned()), ..OwnTemplate::default() };
        let intro =
            OwnTemplate { intro: Some("Welcome{% if name %}, {{ name }}{% endif %}!".to_owned()), ..subject.clone() };
        for own in [
            subject,
            intro,
            text("{{ licenseKey }} {{ planName }} {{ docsUrl }}"),
            html("<p>{{ key }}</p>{% for link in links %}<a href=\"{{ link.url }}\">{{ link.label }}</a>{% endfor %}"),
        ] {
            assert_eq!(problem(MailKind::LicenseDelivery, &own), "fine", "{own:?}");
        }
        assert_eq!(problem(MailKind::LicenseFrozen, &text("It is frozen, because {{ reason }}.")), "fine");
    }

    #[test]
    fn what_would_not_work_is_refused() {
        for (own, refused) in [
            (OwnTemplate::default(), "`subject` is missing, and so are"),
            (text(" "), "`text` is empty"),
            (text("Hello"), "`text` does not show the key"),
            (html("<p>Hello</p>"), "`html` does not show the key"),
            (html("<!-- {{ key }} --><p title='{{ key }}'>Hello</p>"), "`html` does not show the key"),
            (html("<style>.x { color: red } {{ key }}</style><p>Hello</p>"), "`html` does not show the key"),
            (html("{{ key | upper | replace('-', '') }}"), "`html` does not show the key"),
            (text("{{ kee }}"), "`text` asks for `kee`, which is not known; there are: button, closing, colour"),
            (text("{{ key }}{% if false %}{{ kee }}{% endif %}"), "`text` asks for `kee`"),
            (text("{{ key }}\n{{ name.first }}"), "`text` does not work in line 2"),
            (text("{{ key }}\n{% if %}"), "`text` does not work in line 2: syntax error"),
            (text("{{ key }}{% include 'x' %}"), "`text` does not work in line 1: syntax error"),
            (html("{{ key }}<SCRIPT>alert(1)</SCRIPT>"), "`html` contains `<script`"),
            (html("{{ key }}<a href='javascript:x'>x</a>"), "`html` contains `javascript:`"),
            (html("{{ key }}<b onclick='x'>x</b>"), "`html` has an attribute that runs something"),
            (html("{{ key | safe }}"), "`html` does not work in line 1: unknown filter"),
            (
                text("{{ key }}{% for i in range(9999) %}{% for j in range(9999) %}{{ i }}{% endfor %}{% endfor %}"),
                "`text` ",
            ),
        ] {
            let problem = problem(MailKind::LicenseDelivery, &own);
            assert!(problem.starts_with(refused), "{own:?}: {problem}");
        }
        let long = OwnTemplate { subject: Some("x".repeat(300)), ..OwnTemplate::default() };
        assert!(problem(MailKind::LicenseRevoked, &long).contains("more than 250 characters"));
    }

    #[test]
    fn the_template_of_the_product_and_of_the_language_counts() {
        let row = |id, product, language: &str| MailTemplate {
            id: Uuid::from_u128(id),
            tenant_id: Uuid::nil(),
            product_id: Uuid::from_u128(product),
            kind: "license-delivery".to_owned(),
            language: language.to_owned(),
            version: 1,
            subject: None,
            intro: None,
            body_text: None,
            body_html: None,
            active: true,
            actor: String::new(),
            created_at: 0,
        };
        let rows = [row(1, 0, "en"), row(2, 7, "en"), row(3, 0, "de")];
        let chosen =
            |product, language| template_for(&rows, Uuid::from_u128(product), language).map(|row| row.id.as_u128());
        assert_eq!((chosen(7, "en"), chosen(8, "en")), (Some(2), Some(1)));
        assert_eq!((chosen(7, "de"), chosen(7, "fr")), (Some(3), None));
    }
}
