//! Mails to buyers: how far each has come, what it says, and sending it once more.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use delivery::{MailError, Rendered};
use domain::{
    id::{CustomerId, LicenseId, MailId, OrderId},
    mail::MailKind,
    member::Ability,
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{lists::MailFilter, outbox::status, rows::Mail};

use super::{
    action::{ActionPage, Field},
    browser::see_other,
    list::{Pager, Paging},
    place::{
        Place,
        to::{Help, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, capitalised, progress},
};
use crate::Web;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    status: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    order: String,
    #[serde(default)]
    customer: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Template)]
#[template(path = "console/mails.html")]
struct MailsPage {
    shell: Shell,
    path: String,
    mails: Vec<Row>,
    pager: Pager,
    /// Address, word, whether it is chosen.
    statuses: Vec<(String, &'static str, bool)>,
    /// Word, name, whether it is chosen.
    kinds: Vec<(&'static str, String, bool)>,
    /// What else is asked for, to be kept: name and value.
    about: Vec<(&'static str, String)>,
    status: String,
    is_filtered: bool,
}

/// A mail in a list.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) pill: Pill,
    pub(crate) recipient: String,
    pub(crate) response: String,
    pub(crate) written: When,
}

/// Mails as rows of a list.
pub(crate) fn rows<A>(place: &Place<A>, mails: Vec<Mail>, now: Timestamp) -> Vec<Row> {
    let row = |row: Mail| Row {
        path: place.at(&format!("mails/{}", MailId(row.id))),
        kind: name(&row.kind),
        pill: progress(&row.status),
        recipient: row.recipient,
        response: row.response.unwrap_or_default(),
        written: When::stored(row.created_at, now),
    };
    mails.into_iter().map(row).collect()
}

/// A kind of mail as words.
fn name(kind: &str) -> String {
    capitalised(&kind.replace('-', " "))
}

/// `GET …/mails`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let statuses = [status::PENDING, status::HELD, status::SENT, status::FAILED, status::SUPERSEDED];
    let chosen = |word: &str, is_known: bool| is_known.then(|| word.to_owned());
    let filter = MailFilter {
        license: asked.license.parse::<LicenseId>().ok(),
        order: asked.order.parse::<OrderId>().ok(),
        customer: asked.customer.parse::<CustomerId>().ok(),
        status: chosen(&asked.status, statuses.contains(&asked.status.as_str())),
        kind: chosen(&asked.kind, asked.kind.parse::<MailKind>().is_ok()),
    };
    let at = asked.paging.page::<MailId>()?;
    let listed = web.engine.store.list_mails(place.whose(), &filter, at).await?;
    let path = place.at("mails");
    let about = [("license", asked.license.as_str()), ("order", &asked.order), ("customer", &asked.customer)];
    let mut kept = vec![("status", asked.status.as_str()), ("kind", &asked.kind)];
    kept.extend(about);
    let pager = Pager::new(&listed, at, &path, &kept, |row| MailId(row.id).to_string());
    let with_status = |word: &'static str| {
        let others = kept.iter().filter(|(name, value)| *name != "status" && !value.is_empty());
        let query: String = others.map(|(name, value)| format!("&{name}={}", super::refusal::encoded(value))).collect();
        (format!("{path}?status={word}{query}"), progress(word).word, word == asked.status)
    };
    page(&MailsPage {
        shell: Shell::new(&web, &place, "mails", "E-mail").await?,
        mails: rows(&place, listed.rows, now),
        pager,
        statuses: statuses.map(with_status).to_vec(),
        kinds: MailKind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .map(|kind| (kind, name(kind), kind == asked.kind))
            .collect(),
        about: about.into_iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (name, id.to_owned())).collect(),
        is_filtered: kept.iter().any(|(_, value)| !value.is_empty()),
        status: asked.status.clone(),
        path,
    })
}

#[derive(Template)]
#[template(path = "console/mail.html")]
struct MailPage {
    shell: Shell,
    id: String,
    path: String,
    name: String,
    pill: Pill,
    /// Name, value, address.
    facts: Vec<(&'static str, String, Option<String>)>,
    rendered: Option<Rendered>,
    /// Why it cannot be shown.
    wrong: String,
    may_help: bool,
}

/// `GET …/mails/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    let rendered = masked(&web, &mail).await;
    let wrong = rendered.as_ref().err().map(|error| format!("{}.", capitalised(&error.to_string())));
    let name = name(&mail.kind);
    page(&MailPage {
        shell: Shell::new(&web, &place, "mails", format!("{name} · E-mail")).await?,
        id: MailId(mail.id).to_string(),
        path: place.at(&format!("mails/{}", MailId(mail.id))),
        pill: progress(&mail.status),
        facts: facts(&place, &mail, web.engine.now()),
        rendered: rendered.ok(),
        wrong: wrong.unwrap_or_default(),
        may_help: place.role.may(Ability::Help),
        name,
    })
}

/// `GET …/mails/{id}/html`: the HTML part alone, in a sandbox of its own.
pub(crate) async fn html(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    let rendered = masked(&web, &mail).await.map_err(|_| Refusal::NotFound)?;
    let policy =
        HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'");
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(rendered.html)).into_response())
}

/// A mail of this vendor in this mode.
async fn mail<A>(web: &Web, place: &Place<A>, id: &str) -> Result<Mail, Refusal> {
    let id: MailId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.mail_of(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

/// What it says, without its key: whoever may see that sees it on the page of the license.
async fn masked(web: &Web, mail: &Mail) -> Result<Rendered, MailError> {
    delivery::render_masked_mail(&web.engine.store, mail, web.mail_from()).await
}

fn facts<A>(place: &Place<A>, mail: &Mail, now: Timestamp) -> Vec<(&'static str, String, Option<String>)> {
    let when = |at: i64| {
        let when = When::stored(at, now);
        format!("{} ({when})", when.full())
    };
    let (license, order) = (LicenseId(mail.license_id).to_string(), OrderId(mail.order_id).to_string());
    let mut facts = vec![("To", mail.recipient.clone(), None)];
    facts.extend(mail.recipient_name.clone().map(|name| ("Name", name, None)));
    facts.extend(mail.response.clone().map(|text| ("The relay said", text, None)));
    facts.push(("Tries", mail.attempts.to_string(), None));
    facts.extend(mail.next_attempt_at.map(|at| ("Next try", when(at), None)));
    facts.push(("Written", when(mail.created_at), None));
    facts.extend(mail.sent_at.map(|at| ("Taken by the relay", when(at), None)));
    facts.push(("License", license.clone(), Some(place.at(&format!("licenses/{license}")))));
    facts.push(("Order", order.clone(), Some(place.at(&format!("orders/{order}")))));
    facts
}

/// Why it is sent once more.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    note: String,
}

/// `GET …/mails/{id}/resend`.
pub(crate) async fn resend_form(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    page(&ActionPage {
        shell: Shell::new(&web, &place, "mails", "Send once more").await?,
        title: format!("Send once more · {}", name(&mail.kind)),
        consequences: vec![
            format!("It goes to {} once more, with the Message-ID that it had.", mail.recipient),
            "It says what is so when it is sent. To have it go elsewhere, correct the address on the page of the license.".to_owned(),
        ],
        fields: vec![Field::reason()],
        button: "Send it",
        is_dangerous: false,
        back: place.at(&format!("mails/{}", MailId(mail.id))),
        wrong: None,
    })
}

/// `POST …/mails/{id}/resend`.
pub(crate) async fn resend(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    let id = MailId(mail.id);
    web.engine.resend_mail(place.whose(), id, &place.by(&sent.note)).await?.ok_or(Refusal::NotFound)?;
    Ok(see_other(&place.at(&format!("mails/{id}?said=resent"))))
}
