//! What vendors write for their mails themselves, and what is wrong with it before it is used.

use domain::{
    id::{PlanId, ProductId},
    license::LicenseState,
    mail::MailKind,
    plan::{Plan, PlanTerms, PlanVersion},
    reason::Reason,
    text::PlanCode,
};
use jiff::Timestamp;
use store::{
    outbox::Contents,
    rows::{MailTemplate, Product},
};
use uuid::Uuid;

use super::{
    MailError, SOMEBODY,
    language::Language,
    page as page_of,
    page::Page,
    preview::row,
    sample,
    templates::{self, LintError, OwnTemplate},
};

impl From<&MailTemplate> for OwnTemplate {
    /// The parts that a row holds.
    fn from(row: &MailTemplate) -> Self {
        Self {
            subject: row.subject.clone(),
            intro: row.intro.clone(),
            text: row.body_text.clone(),
            html: row.body_html.clone(),
        }
    }
}

/// The template for a language: that of the product, otherwise that of all products.
pub(super) fn template_for<'a>(rows: &'a [MailTemplate], product: Uuid, language: &str) -> Option<&'a MailTemplate> {
    let of = |product: Uuid| rows.iter().find(|row| row.product_id == product && row.language == language);
    of(product).or_else(|| of(Uuid::nil()))
}

/// The names that templates may use.
#[must_use]
pub fn names() -> Vec<String> {
    let pages = stand_ins(MailKind::LicenseDelivery, Language::English).unwrap_or_default();
    let page = serde_json::to_value(pages.first());
    page.ok().and_then(|page| Some(page.as_object()?.keys().cloned().collect())).unwrap_or_default()
}

/// Looks at a template before it is saved: it parses, uses names that there are, runs nothing, works with everything there
/// and with nothing there, and a mail that delivers a key has it in its text and in its HTML. A template may still do
/// otherwise with another mail, so each mail is looked at once more before it is sent.
///
/// # Errors
/// The first thing that is wrong.
pub fn lint(kind: MailKind, own: &OwnTemplate) -> Result<(), LintError> {
    findings(kind, own).into_iter().next().map_or(Ok(()), Err)
}

/// Everything that [`lint`] has to say, for whoever is writing: what does not read in any part, otherwise what each part
/// does not do.
#[must_use]
pub fn findings(kind: MailKind, own: &OwnTemplate) -> Vec<LintError> {
    let refused = |part, problem: String| LintError { part, problem };
    if own.parts().iter().all(|(_, source)| source.is_none()) {
        let problem = "is missing, and so are `intro`, `text` and `html`; write one of them";
        return vec![refused("subject", problem.to_owned())];
    }
    let known = names();
    let written = own.parts().into_iter().filter_map(|(part, source)| Some((part, source?)));
    let unread: Vec<LintError> = written.flat_map(|(part, source)| unreadable(part, source, &known)).collect();
    if !unread.is_empty() {
        return unread;
    }
    let Err(whole) = try_out(kind, own) else { return Vec::new() };
    let each: Vec<LintError> = own.apart().iter().filter_map(|part| try_out(kind, part).err()).collect();
    if each.is_empty() { vec![whole] } else { each }
}

/// The same on a thread of its own: it writes dozens of mails, which nobody else's call is to wait for.
pub async fn look_over(kind: MailKind, own: OwnTemplate) -> Vec<LintError> {
    let looked = tokio::task::spawn_blocking(move || findings(kind, &own)).await;
    looked.unwrap_or_else(|error| {
        tracing::error!(%error, "looking at a template failed");
        vec![LintError { part: "text", problem: "cannot be looked at; what failed stands in the log".to_owned() }]
    })
}

/// What of a part does not read.
fn unreadable(part: &'static str, source: &str, known: &[String]) -> Vec<LintError> {
    let refused = |problem| LintError { part, problem };
    if source.trim().is_empty() {
        return vec![refused("is empty; leave it out, and it is as it is built in".to_owned())];
    }
    let unknown = |name: &String| {
        let line = templates::line_of(source, name);
        let there = known.join(", ");
        refused(format!("in line {line} asks for `{name}`, which is not known; there are: {there}"))
    };
    match templates::names_in(part, source) {
        Ok(names) => names.iter().filter(|name| !known.contains(name)).map(unknown).collect(),
        Err(error) => vec![error],
    }
}

/// Writes every mail that there may be with it.
fn try_out(kind: MailKind, own: &OwnTemplate) -> Result<(), LintError> {
    for language in Language::ALL {
        for page in stand_ins(kind, language).map_err(cannot_look)? {
            templates::write_own(own, &page).map_err(cannot_look)?;
        }
    }
    Ok(())
}

fn cannot_look(error: MailError) -> LintError {
    match error {
        MailError::Own(error) => error,
        other => LintError { part: "text", problem: format!("cannot be looked at: {other}") },
    }
}

/// A product for those who have none yet.
pub(super) fn example_product() -> Product {
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

/// A plan for those who have none yet.
pub(super) fn example_plan() -> Plan {
    let version = PlanVersion { plan: PlanId(Uuid::nil()), version: 1, product: ProductId(Uuid::nil()) };
    Plan { version, code: PlanCode::new("pro"), name: "Pro".into(), terms: PlanTerms::default() }
}

/// What a mail of this kind may know: everything that there may be, without what may be absent, and what differs from sale
/// to sale.
fn stand_ins(kind: MailKind, language: Language) -> Result<Vec<Page>, MailError> {
    let brand = r##"{"reply_to":"help@example.com","support_url":"https://example.com/help",
        "download_url":"https://example.com/get","docs_url":"https://example.com/docs",
        "portal_url":"https://example.com/portal","logo_url":"https://example.com/logo.png","footer":"Example"}"##;
    let product = Product { brand: brand.to_owned(), ..example_product() };
    let now = Timestamp::UNIX_EPOCH;
    let mail = row(kind, Uuid::nil(), SOMEBODY, now);
    let key = (kind == MailKind::LicenseDelivery).then(|| sample::key(&product));
    let whole = sample::contents(kind, &product, &example_plan(), now);
    let mut sales = vec![whole.clone(), Contents { livemode: false, references: Vec::new(), ..whole.clone() }];
    if kind == MailKind::LicenseDelivery {
        // Keys that leave late have a notice.
        for (state, reason) in [
            (LicenseState::Frozen, Reason::FrozenByHand),
            (LicenseState::Expired, Reason::TermOver),
            (LicenseState::Revoked, Reason::RevokedByHand),
        ] {
            let mut sale = whole.clone();
            (sale.license.standing.state, sale.license.standing.reason) = (state, reason);
            sales.push(sale);
        }
    }
    let pages = sales.iter().map(|sale| Ok(page_of(&mail, sale, None, key.as_deref(), Some(language))?.1));
    let mut pages = pages.collect::<Result<Vec<Page>, MailError>>()?;
    pages.extend(pages.first().map(bare));
    Ok(pages)
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
            (html("<title>{{ key }}</title><p>Hello</p>"), "`html` does not show the key"),
            (html("<p style='display:none'>{{ key }}</p><p>Hello</p>"), "`html` does not show the key"),
            (text("Hello{% if order == '1042' %} {{ key }}{% endif %}"), "`text` does not show the key"),
            (text("Hello{% if not is_test %} {{ key }}{% endif %}"), "`text` does not show the key"),
            (text("Hello{% if is_test %} {{ key }}{% endif %}"), "`text` does not show the key"),
            (text("Hello{% if not notice %} {{ key }}{% endif %}"), "`text` does not show the key"),
            (text("Hello{% if name %} {{ key }}{% endif %}"), "`text` does not show the key"),
            (html("{{ key | lower }}"), "`html` does not show the key"),
            (
                text("{{ kee }}"),
                "`text` in line 1 asks for `kee`, which is not known; there are: button, closing, colour",
            ),
            (text("{{ key }}{% if false %}{{ kee }}{% endif %}"), "`text` in line 1 asks for `kee`"),
            (text("{{ key }}\n{{ name.first }}"), "`text` does not work in line 2"),
            (text("{{ key }}\n{% if %}"), "`text` does not work in line 2: syntax error"),
            (text("{{ key }}{% include 'x' %}"), "`text` in line 1 uses the statement `include`"),
            (html("{{ key }}<SCRIPT>alert(1)</SCRIPT>"), "`html` has a `<script>`"),
            (html("{{ key }}<a href='javascript:x'>x</a>"), "`html` has an address"),
            (html("{{ key }}<b onclick='x'>x</b>"), "`html` has an `onclick`"),
            (html("{{ key | safe }}"), "`html` in line 1 uses the filter `safe`"),
            (
                text("{{ key }}{{ key | indent(2000000000, true) | length }}"),
                "`text` in line 1 uses the filter `indent`",
            ),
            (text("{{ key }}{% set a = key %}"), "`text` in line 1 uses the statement `set`"),
            (text("{{ key }}{% for i in range(9999) %}{{ i }}{% endfor %}"), "`text` in line 1 asks for `range`"),
        ] {
            let problem = problem(MailKind::LicenseDelivery, &own);
            assert!(problem.starts_with(refused), "{own:?}: {problem}");
        }
        let long = OwnTemplate { subject: Some("x".repeat(300)), ..OwnTemplate::default() };
        assert!(problem(MailKind::LicenseRevoked, &long).contains("more than 250 characters"));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let own = OwnTemplate {
            subject: Some("For {{ nmae }}".to_owned()),
            text: Some("Hello\n{{ key }}\n\n{{ kee }} and {{ oder }}".to_owned()),
            html: Some("<p>{% include 'x' %}</p>".to_owned()),
            intro: None,
        };
        let told: Vec<String> = findings(MailKind::LicenseDelivery, &own).iter().map(ToString::to_string).collect();
        let begins = [
            "`subject` in line 1 asks for `nmae`",
            "`text` in line 4 asks for `kee`",
            "`text` in line 4 asks for `oder`",
        ];
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(begins.iter().zip(&told).all(|(begin, told)| told.starts_with(begin)), "{told:#?}");
        assert!(told[3].starts_with("`html` in line 1 uses the statement `include`"), "{told:#?}");

        let keyless = OwnTemplate { text: Some("Hello".to_owned()), html: Some("<p>Hello</p>".to_owned()), ..text("") };
        let parts: Vec<&str> = findings(MailKind::LicenseDelivery, &keyless).iter().map(|found| found.part).collect();
        assert_eq!(parts, ["text", "html"]);
        assert_eq!(findings(MailKind::LicenseFrozen, &keyless), []);
    }

    #[test]
    fn whoever_writes_a_whole_mail_can_begin_with_the_built_in_one() {
        for kind in MailKind::ALL {
            assert_eq!(lint(*kind, &OwnTemplate::built_in()), Ok(()), "{}", kind.as_str());
        }
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
