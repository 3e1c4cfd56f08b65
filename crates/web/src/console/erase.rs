//! Erasing a buyer: what goes, what stays and why, and a word that nobody types by mistake.

use axum::{
    Form, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use domain::id::CustomerId;
use engine::erasure::Erasure;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    place::{Place, to::Staff},
    refusal::Refusal,
    words::counted,
};
use crate::Web;

/// What is typed so that it is done.
const WORD: &str = "erase";

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/console/{tenant}/{mode}/customers/{id}/erase", get(form).post(act))
}

/// `GET …/customers/{id}/erase`.
async fn form(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    asked(&web, &place, read(&id)?, None).await
}

/// `POST …/customers/{id}/erase`.
async fn act(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let id = read(&id)?;
    if sent.get("word") != WORD {
        return asked(&web, &place, id, Some(format!("Nothing was erased: type the word {WORD} first."))).await;
    }
    let erased = web.engine.erase_customer(place.whose(), id, false, &place.by(sent.get("note"))).await?;
    erased.ok_or(Refusal::NotFound)?;
    Ok(see_other(&place.at(&format!("customers/{id}?said=erased"))))
}

fn read(id: &str) -> Result<CustomerId, Refusal> {
    id.parse().map_err(|_| Refusal::NotFound)
}

async fn asked(web: &Web, place: &Place<Staff>, id: CustomerId, wrong: Option<String>) -> Result<Response, Refusal> {
    let customer = web.engine.store.customer(place.whose(), id).await?.ok_or(Refusal::NotFound)?;
    let erasure = web.engine.erase_customer(place.whose(), id, true, &place.by("")).await?.ok_or(Refusal::NotFound)?;
    let title = format!("Erase · {}", customer.email);
    let question = Question::new(title, "Erase for good", place.at(&format!("customers/{id}"))).dangerous();
    let question = told(&erasure).into_iter().fold(question, Question::says);
    let reason = Field::text("note", "Reason", "")
        .hint("Kept in the audit log for good: do not say here who it is. May stay empty.");
    let question = question.asks(reason).asks(Field::text("word", "Type the word erase", "").needed());
    question.page(web, place, "customers", wrong).await
}

/// What follows, in sentences.
fn told(erasure: &Erasure) -> Vec<String> {
    let Erasure { orders, identities, mails, devices, inbound, events, notes, requests, licenses } = *erasure;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let goes: Vec<String> = [
        (orders, "order’s address", "orders’ addresses"),
        (identities, "name at a provider", "names at providers"),
        (mails, "mail’s recipient", "mails’ recipients"),
        (devices, "name of a device", "names of devices"),
        (inbound, "event’s body", "events’ bodies"),
        (events, "event of your webhooks", "events of your webhooks"),
        (notes, "note or name in the audit log", "notes and names in the audit log"),
        (requests, "caller’s network address", "callers’ network addresses"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| counted(number(count), one, many))
    .collect();
    let goes = if goes.is_empty() { "nothing else".to_owned() } else { goes.join(", ") };
    let works = match licenses {
        0 => "They have no license.".to_owned(),
        _ => format!("{} on working, so that nobody loses what they paid for.", stays(licenses)),
    };
    vec![
        format!("It cannot be undone. Goes: their name and address here, and {goes}."),
        works,
        "Stays: what was paid and when, with the provider’s own ids, since the law wants it kept; what apps call their devices, \
         and what your own code wrote beside licenses, since apps rest on it."
            .to_owned(),
        "Waits: an event that is not done yet, or tells a key that no license has yet, keeps its body; erase them once more \
         when it is done. An event that was set aside unread stays, and so does an order that somebody else has by now."
            .to_owned(),
        "What the provider tells later of these orders still counts, and brings no name and no address back. Nobody is written \
         to about them any more, unless somebody gives an order a new address."
            .to_owned(),
        "The provider knows them still, and so do backups and your own systems: erase them there as well.".to_owned(),
    ]
}

fn stays(licenses: u64) -> String {
    if licenses == 1 { "Their license goes".to_owned() } else { format!("Their {licenses} licenses go") }
}
