//! Mails in frames: as their reader sees them, without their running anything or belonging to the console.

use askama::Template;
use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use delivery::{
    MailError, Rendered,
    mail::{LintError, LookError},
};
use domain::mail::MailKind;

use super::{
    place::Place,
    refusal::Refusal,
    tabs::Tab,
    words::{capitalised, sentence},
};

/// What is written by others stands in a frame that runs nothing, loads nothing, and is of no origin: so neither a vendor's
/// HTML nor what a buyer typed in reaches the console.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";

/// A document for such a frame.
pub(crate) fn sandboxed(html: String) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))], Html(html)).into_response()
}

/// What the section leads to: path and name.
const TABS: &[(&str, &str)] = &[("mails", "Messages"), ("mails/templates", "Templates"), ("mails/sender", "Sender")];

/// All pages of the section, seen from one of them.
pub(crate) fn tabs<A>(place: &Place<A>, here: &str) -> Vec<Tab> {
    super::tabs::tabs(place, TABS, here)
}

/// A kind of mail as words.
pub(crate) fn name(kind: &str) -> String {
    capitalised(&kind.replace('-', " "))
}

/// When a mail of this kind is written.
pub(crate) const fn occasion(kind: MailKind) -> &'static str {
    match kind {
        MailKind::LicenseDelivery => "A license works for the first time: it brings the key.",
        MailKind::LicenseRenewed => "Its term ends later than before.",
        MailKind::LicenseExpiring => "It ends soon, and nothing will renew it.",
        MailKind::PaymentProblem => "A payment is overdue.",
        MailKind::LicenseFrozen => "It does not work for now.",
        MailKind::LicenseRevoked => "It was taken back.",
    }
}

/// How a mail is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// As wide as a mail program on a computer.
    #[default]
    Computer,
    /// As wide as a phone.
    Phone,
    /// With the colours of a program that is dark.
    Dark,
    /// What programs show that show no HTML.
    Text,
}

impl View {
    /// All of them: word and name.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Computer, "computer", "Computer"),
        (Self::Phone, "phone", "Phone"),
        (Self::Dark, "dark", "Dark"),
        (Self::Text, "text", "Text"),
    ];

    /// The one of a word; none such: the first.
    pub(crate) fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|(_, known, _)| *known == word).map(|(view, ..)| view).unwrap_or_default()
    }

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(view, ..)| *view == self).map(|(_, word, _)| word).unwrap_or_default()
    }

    /// The HTML with the colours that are wanted, whatever the browser that shows it prefers.
    fn coloured(self, html: &str) -> String {
        let is_so = if self == Self::Dark { "(min-width: 0)" } else { "(max-width: 0)" };
        html.replace("(prefers-color-scheme: dark)", is_so).replace("(prefers-color-scheme:dark)", is_so)
    }
}

/// What is wrong with a part of a template.
pub(crate) struct Finding {
    pub(crate) part: &'static str,
    pub(crate) problem: String,
}

impl From<&LintError> for Finding {
    fn from(error: &LintError) -> Self {
        let part = match error.part {
            "subject" => "Subject",
            "intro" => "First sentences",
            "html" => "HTML",
            _ => "Text",
        };
        Self { part, problem: error.problem.trim_end_matches('.').to_owned() }
    }
}

/// The preview of a mail: a document of its own.
#[derive(Template)]
#[template(path = "console/preview.html")]
struct PreviewPage {
    view: &'static str,
    findings: Vec<Finding>,
    /// Why there is nothing to see.
    wrong: Option<String>,
    mail: Option<Rendered>,
    html: String,
}

/// The preview of what was rendered, with what is wrong with it.
pub(crate) fn preview(
    rendered: Result<Rendered, String>,
    findings: &[LintError],
    view: View,
) -> Result<Response, Refusal> {
    let (mail, wrong) = match rendered {
        Ok(mail) => (Some(mail), None),
        Err(wrong) => (None, Some(wrong)),
    };
    let html = mail.as_ref().map(|mail| view.coloured(&mail.html)).unwrap_or_default();
    let findings = findings.iter().map(Finding::from).collect();
    Ok(sandboxed(PreviewPage { view: view.word(), findings, wrong, mail, html }.render()?))
}

/// Why there is nothing to look at, as a sentence; what failed otherwise is no page.
pub(crate) fn unseen(error: LookError) -> Result<String, Refusal> {
    match error {
        LookError::Product(_) => Err(Refusal::NotFound),
        LookError::License(_) => {
            Ok("There is no such license in this mode. Leave it empty to see an example.".to_owned())
        }
        LookError::Mail(MailError::Superseded) => {
            Ok("That is not so for this license now, so the mail would not be sent. Leave it empty to see an example."
                .to_owned())
        }
        LookError::Mail(MailError::Store(error)) => Err(error.into()),
        LookError::Mail(error) => Ok(sentence(&error)),
    }
}
