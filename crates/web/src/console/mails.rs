//! Mails to buyers: how far each has come, what it says, and sending it once more.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use delivery::{MailError, Rendered};
use domain::{
    id::{CustomerId, LicenseId, MailId, OrderId},
    mail::MailKind,
    member::Ability,
};
use jiff::Timestamp;
use store::{lists::MailFilter, outbox::status, rows::Mail};

use super::{
    letters::{name, sandboxed, tabs},
    list::{Asked, Pager, address},
    place::{Place, to::Look},
    refusal::Refusal,
    resend, sender,
    shell::{Shell, page},
    tabs::Tab,
    template_editor, template_versions, templates,
    words::{Pill, When, progress, sentence},
};
use crate::Web;

/// The pages about mails.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/mails", get(list))
        .route("/console/{tenant}/{mode}/mails/sender", get(sender::show))
        .route("/console/{tenant}/{mode}/mails/sender/try", post(sender::test))
        .route("/console/{tenant}/{mode}/mails/sender/release", get(sender::release_form).post(sender::release))
        .route("/console/{tenant}/{mode}/mails/templates", get(templates::list))
        .route("/console/{tenant}/{mode}/mails/templates/{kind}", get(template_editor::show))
        .route(
            "/console/{tenant}/{mode}/mails/templates/{kind}/preview",
            get(template_editor::preview_saved).post(template_editor::preview_draft),
        )
        .route("/console/{tenant}/{mode}/mails/templates/{kind}/save", post(template_editor::save))
        .route("/console/{tenant}/{mode}/mails/templates/{kind}/test", post(template_editor::test))
        .route(
            "/console/{tenant}/{mode}/mails/templates/{kind}/remove",
            get(template_versions::remove_form).post(template_versions::remove),
        )
        .route("/console/{tenant}/{mode}/mails/templates/{kind}/versions/{number}", get(template_versions::show))
        .route(
            "/console/{tenant}/{mode}/mails/templates/{kind}/versions/{number}/restore",
            get(template_versions::restore_form).post(template_versions::restore),
        )
        .route("/console/{tenant}/{mode}/mails/{id}", get(show))
        .route("/console/{tenant}/{mode}/mails/{id}/html", get(html))
        .route("/console/{tenant}/{mode}/mails/{id}/resend", get(resend::form).post(resend::act))
}

#[derive(Template)]
#[template(path = "console/mails.html")]
struct MailsPage {
    shell: Shell,
    tabs: Vec<Tab>,
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

/// `GET …/mails`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let statuses = [status::PENDING, status::HELD, status::SENT, status::FAILED, status::SUPERSEDED];
    let (status, kind) = (asked.get("status"), asked.get("kind"));
    let chosen = |word: &str, is_known: bool| is_known.then(|| word.to_owned());
    let filter = MailFilter {
        license: asked.get("license").parse::<LicenseId>().ok(),
        order: asked.get("order").parse::<OrderId>().ok(),
        customer: asked.get("customer").parse::<CustomerId>().ok(),
        status: chosen(status, statuses.contains(&status)),
        kind: chosen(kind, kind.parse::<MailKind>().is_ok()),
    };
    let at = asked.page::<MailId>()?;
    let examined = web.engine.store.examine_mails(place.whose(), &filter, at).await?;
    let path = place.at("mails");
    let about = asked.kept(&["license", "order", "customer"]);
    let kept = asked.kept(&["status", "kind", "license", "order", "customer"]);
    let pager = Pager::examined(&examined, at, &path, &kept, |row| row.id, |id| MailId(id).to_string());
    let with_status = |word: &'static str| {
        let others = kept.iter().filter(|(name, _)| *name != "status").copied();
        let asked: Vec<_> = std::iter::once(("status", word)).chain(others).collect();
        (address(&path, &asked), progress(word).word, word == status)
    };
    page(&MailsPage {
        shell: Shell::new(&web, &place, "mails", "E-mail").await?,
        tabs: tabs(&place, "mails"),
        mails: rows(&place, examined.listed.rows, now),
        pager,
        statuses: statuses.map(with_status).to_vec(),
        kinds: MailKind::ALL.iter().map(|kind| kind.as_str()).map(|word| (word, name(word), word == kind)).collect(),
        about: about.into_iter().map(|(name, id)| (name, id.to_owned())).collect(),
        is_filtered: !kept.is_empty(),
        status: status.to_owned(),
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

/// How soon the page of a mail that was just sent looks again whether the relay has it, in milliseconds.
const SOON: u32 = 1_000;

/// `GET …/mails/{id}`. After a mail was sent from here, the page looks again by itself until the relay has said something.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    let rendered = masked(&web, &mail).await;
    let wrong = rendered.as_ref().err().map(sentence);
    let (name, path) = (name(&mail.kind), place.at(&format!("mails/{}", MailId(mail.id))));
    let waits = mail.status == status::PENDING && mail.attempts == 0 && place.asked("said") == "resent";
    page(&MailPage {
        shell: Shell::new(&web, &place, "mails", format!("{name} · E-mail")).await?.looks_again(waits.then_some(SOON)),
        id: MailId(mail.id).to_string(),
        path,
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
    Ok(sandboxed(rendered.html))
}

/// A mail of this vendor in this mode.
pub(crate) async fn mail<A>(web: &Web, place: &Place<A>, id: &str) -> Result<Mail, Refusal> {
    let id: MailId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.mail_of(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

/// What it says, without its key: whoever may see that sees it on the page of the license.
pub(crate) async fn masked(web: &Web, mail: &Mail) -> Result<Rendered, MailError> {
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
