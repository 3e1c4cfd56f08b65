//! How mails leave: what is configured, whether it works, and what has not left yet.

use askama::Template;
use axum::{Form, extract::State, response::Response};
use delivery::{
    Brand,
    mail::{Language, Sender},
    transport::Described,
};
use domain::{mail::MailKind, member::Ability};
use engine::mail_templates::MailOf;
use jiff::Timestamp;
use store::outbox::Queue;

use super::{
    about::is_operators,
    action::{Field, Question, Sent},
    browser::see_other,
    letters::tabs,
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    tabs::Tab,
    template_editor::tried,
    templates::Which,
    words::{When, counted, plural},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/sender.html")]
struct SenderPage {
    shell: Shell,
    tabs: Vec<Tab>,
    way: Option<Described>,
    /// Others do not hear how this server was started.
    is_operators: bool,
    /// Who mails come from where a brand does not say so.
    from: String,
    waiting: Vec<Waiting>,
    held: u64,
    may_configure: bool,
    /// Where a test goes.
    test_to: String,
    answer: Option<(bool, String)>,
    domains: Vec<Domain>,
    path: String,
}

/// How many mails wait, and since when.
struct Waiting {
    name: &'static str,
    count: u64,
    path: String,
    /// What there is to say of them.
    text: String,
}

/// A domain that mails come from: what has to stand in its DNS.
struct Domain {
    name: String,
    /// Whose mails, in words.
    whose: String,
    spf: String,
    /// A sentence, and the record if it is known here: name and value.
    dkim: (String, Option<(String, String)>),
    dmarc: String,
}

/// `GET …/mails/sender`.
pub(crate) async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    shown(&web, &place, None).await
}

/// `POST …/mails/sender/try`: an example goes to whoever asks for it, and what the relay says is shown.
pub(crate) async fn test(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    let way = web.sender.as_ref().ok_or(Refusal::NotFound)?;
    let of = MailOf { kind: MailKind::LicenseDelivery, language: Language::default().code(), product: None };
    let language = Language::default();
    let which = Which { of, language, product: None, versions: Vec::new(), stand_in: None };
    let answer = tried(&web, &place, way, &which, None).await?;
    shown(&web, &place, Some(answer)).await
}

async fn shown<A>(web: &Web, place: &Place<A>, answer: Option<(bool, String)>) -> Result<Response, Refusal> {
    let tenant = place.whose().tenant;
    let queue = web.engine.store.mail_queue(tenant).await?;
    let products = web.engine.store.products(tenant).await?;
    let brands: Vec<(String, Brand)> = products.into_iter().map(|row| (row.name, Brand::read(&row.brand))).collect();
    let is_operators = is_operators(place);
    let mut way = web.sender.as_ref().map(delivery::Transport::described);
    if let Some(way) = way.as_mut().filter(|_| !is_operators) {
        "the relay of this server".clone_into(&mut way.name);
    }
    page(&SenderPage {
        shell: Shell::new(web, place, "mails/sender", "Sender · E-mail").await?,
        tabs: tabs(place, "mails/sender"),
        from: web.mail_from().map(ToString::to_string).unwrap_or_default(),
        waiting: waiting(place, queue, web.sender.is_some(), web.engine.now()),
        held: queue.held,
        may_configure: place.role.may(Ability::Configure),
        test_to: place.who.member.email.clone(),
        answer,
        domains: domains(&brands, web.mail_from(), way.as_ref()),
        path: place.at("mails/sender"),
        is_operators,
        way,
    })
}

fn waiting<A>(place: &Place<A>, queue: Queue, has_way: bool, now: Timestamp) -> Vec<Waiting> {
    let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now).to_string()).unwrap_or_default();
    let pending = match queue.pending {
        0 => "Nothing waits: every mail that could leave has left.".to_owned(),
        _ => format!(
            "The oldest was written {}; the next try is {}.",
            when(queue.pending_since),
            when(queue.next_attempt_at)
        ),
    };
    let held = match (queue.held, has_way) {
        (0, _) => "Nothing is held.".to_owned(),
        (_, true) => format!("The oldest was written {}. They leave once they are released.", when(queue.held_since)),
        (_, false) => {
            format!("The oldest was written {}. They are kept until there is a relay.", when(queue.held_since))
        }
    };
    vec![
        Waiting { name: "Waiting", count: queue.pending, path: place.at("mails?status=pending"), text: pending },
        Waiting { name: "Held", count: queue.held, path: place.at("mails?status=held"), text: held },
    ]
}

/// The domains that mails come from, each once, with what receivers look for there.
fn domains(brands: &[(String, Brand)], common: Option<&Sender>, way: Option<&Described>) -> Vec<Domain> {
    let Some(way) = way else { return Vec::new() };
    let domain = |address: &str| Some(address.trim_end_matches('>').rsplit_once('@')?.1.to_lowercase());
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let others = if brands.iter().any(|(_, brand)| brand.sender_address.is_some()) {
        "all other products"
    } else {
        "all products"
    };
    let own = brands.iter().filter_map(|(name, brand)| Some((domain(brand.sender_address.as_deref()?)?, name.clone())));
    let common = common.and_then(|sender| Some((domain(&sender.to_string())?, others.to_owned())));
    for (domain, whose) in own.chain(common) {
        match found.iter_mut().find(|(known, _)| *known == domain) {
            Some((_, names)) => names.push(whose),
            None => found.push((domain, vec![whose])),
        }
    }
    found.into_iter().map(|(name, whose)| records(name, &whose.join(", "), way)).collect()
}

fn records(name: String, whose: &str, way: &Described) -> Domain {
    let signed = way.dkim.clone().filter(|(record, _)| {
        let domain = record.split_once("._domainkey.").map(|(_, domain)| domain).unwrap_or_default();
        name == domain || name.ends_with(&format!(".{domain}"))
    });
    let dkim = match &signed {
        Some(_) => "Mails are signed here. This TXT record lets receivers verify them:".to_owned(),
        None => {
            format!("Mails are not signed here, so {} has to sign them: it tells you the record to publish.", way.name)
        }
    };
    Domain {
        whose: format!("Mails of {whose} come from there."),
        spf: format!("A TXT record of {name} that begins with v=spf1 and lists the servers of {}.", way.name),
        dkim: (dkim, signed),
        dmarc: format!("A TXT record of _dmarc.{name}; v=DMARC1; p=none; rua=mailto:you@{name} is a good beginning."),
        name,
    }
}

/// `GET …/mails/sender/release`.
pub(crate) async fn release_form(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    let held = web.engine.store.mail_queue(place.whose().tenant).await?.held;
    let (mails, they) = (counted(held, "mail that is", "mails that are"), plural(&held, "It", "They"));
    let mut question = Question::new("Release what is held", "Release them", place.at("mails/sender"))
        .says(format!("There are {mails} held, of test and live mode together. {they} leave as if just written, and say what is so now."))
        .says("What is not so any more is not sent.");
    if web.sender.is_none() {
        question = question.says("There is no relay yet, so that they are caught and held again.");
    }
    question.asks(Field::reason()).page(&web, &place, "mails/sender", None).await
}

/// `POST …/mails/sender/release`.
pub(crate) async fn release(
    State(web): State<Web>,
    place: Place<Configure>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    web.engine.release_mails(place.whose().tenant, &place.by(sent.get("note"))).await?;
    let said = if web.sender.is_some() { "released" } else { "caught" };
    Ok(see_other(&place.at(&format!("mails/sender?said={said}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_that_mails_come_from_is_told_once() {
        let way = Described {
            name: "mx.acme.test:587".to_owned(),
            option: "--smtp-url",
            variable: "KEYWRIGHT_SMTP_URL",
            encryption: "TLS",
            signs_in: true,
            dkim: Some(("key1._domainkey.acme.test".to_owned(), "v=DKIM1".to_owned())),
        };
        let brand = |name: &str, from: Option<&str>| {
            (name.to_owned(), Brand { sender_address: from.map(str::to_owned), ..Brand::default() })
        };
        let brands = [
            brand("Studio", Some("keys@acme.test")),
            brand("Relay", Some("keys@other.test")),
            brand("Halo", Some("hi@mail.ACME.test")),
            brand("Plain", None),
        ];
        let sender = Sender::parse("Acme <keys@acme.test>");
        let told: Vec<(String, String, bool)> = domains(&brands, sender.as_ref(), Some(&way))
            .into_iter()
            .map(|domain| (domain.name, domain.whose, domain.dkim.1.is_some()))
            .collect();
        let row = |name: &str, whose: &str, signed| (name.to_owned(), whose.to_owned(), signed);
        let expected = [
            row("acme.test", "Mails of Studio, all other products come from there.", true),
            row("other.test", "Mails of Relay come from there.", false),
            row("mail.acme.test", "Mails of Halo come from there.", true),
        ];
        assert_eq!(told, expected);
        assert!(domains(&brands, sender.as_ref(), None).is_empty());
    }
}
