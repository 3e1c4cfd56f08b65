//! Sending a mail once more: to whom, what it says, and then what the relay said.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use domain::{id::MailId, order::Contact, text::EmailAddress};
use store::{outbox::ERASED, rows::Mail};

use super::{
    action::Sent,
    browser::see_other,
    letters::name,
    mails::{mail, masked},
    place::{Place, to::Help},
    refusal::Refusal,
    shell::{Shell, page},
    words::sentence,
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/resend.html")]
struct ResendPage {
    shell: Shell,
    name: String,
    /// Where it went.
    recipient: String,
    /// Where it is to go.
    email: String,
    subject: Option<String>,
    /// Why it cannot be sent.
    unsent: Option<String>,
    html: String,
    has_sender: bool,
    back: String,
    wrong: Option<String>,
}

async fn shown(
    web: &Web,
    place: &Place<Help>,
    mail: &Mail,
    email: &str,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let rendered = masked(web, mail).await;
    let unsent = rendered.as_ref().err().map(sentence);
    let at = place.at(&format!("mails/{}", MailId(mail.id)));
    page(&ResendPage {
        shell: Shell::new(web, place, "mails", "Send once more").await?,
        name: name(&mail.kind),
        recipient: mail.recipient.clone(),
        email: email.to_owned(),
        subject: rendered.ok().map(|mail| mail.subject),
        unsent,
        html: format!("{at}/html"),
        has_sender: web.sender.is_some(),
        back: at,
        wrong,
    })
}

/// `GET …/mails/{id}/resend`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    shown(&web, &place, &mail, &mail.recipient, None).await
}

/// `POST …/mails/{id}/resend`. Another address is a correction: it counts for the whole sale from now on.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let mail = mail(&web, &place, &id).await?;
    let (id, whose, by) = (MailId(mail.id), place.whose(), place.by(sent.get("note")));
    let email = sent.some("email").unwrap_or(&mail.recipient);
    if email == ERASED {
        let wrong = "The buyer was erased, and nobody's address is kept: say where it goes.".to_owned();
        return shown(&web, &place, &mail, "", Some(wrong)).await;
    }
    if email == mail.recipient {
        web.engine.resend_mail(whose, id, &by).await?.ok_or(Refusal::NotFound)?;
    } else {
        let Ok(to) = EmailAddress::parse(email) else {
            return shown(&web, &place, &mail, email, Some("This is not an e-mail address.".to_owned())).await;
        };
        let to = Contact { email: to, name: mail.recipient_name.map(Into::into) };
        web.engine.resend_mail_to(whose, id, to, &by).await?.ok_or(Refusal::NotFound)?;
    }
    let said = if web.sender.is_some() { "resent" } else { "caught" };
    Ok(see_other(&place.at(&format!("mails/{id}?said={said}"))))
}
