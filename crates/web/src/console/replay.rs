//! Playing an event again: first as a rehearsal that writes nothing, then in earnest.

use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::id::InboundId;
use engine::inbound::{Rehearsal, ReplayError};
use store::rows::InboundEvent;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    entries::{what, words_of},
    inbound::event,
    place::{Place, to::Configure},
    refusal::Refusal,
    words::sentence,
};
use crate::Web;

/// Changes that are told one by one; of more, how many.
const TOLD_MAX: usize = 12;

/// `GET …/inbound/{id}/replay`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let event = event(&web, &place, &id).await?;
    shown(&web, &place, &event, &sent, None).await
}

/// `POST …/inbound/{id}/replay`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let event = event(&web, &place, &id).await?;
    let id = InboundId(event.id);
    match web.engine.replay(place.whose(), id, is_fresh(&sent), &place.by(sent.get("note"))).await {
        Ok(Some(_)) => Ok(see_other(&place.at(&format!("inbound/{id}?said=replayed")))),
        Ok(None) => Err(Refusal::NotFound),
        Err(problem) => shown(&web, &place, &event, &sent, Some(wrong(problem)?)).await,
    }
}

/// Whether what was looked up is asked again.
fn is_fresh(sent: &Sent) -> bool {
    sent.get("answers") == "fresh"
}

/// What a person reads of why an event must not be played.
fn wrong(problem: ReplayError) -> Result<String, Refusal> {
    match problem {
        ReplayError::Engine(error) => Err(error.into()),
        problem => Ok(sentence(&problem)),
    }
}

async fn shown(
    web: &Web,
    place: &Place<Configure>,
    event: &InboundEvent,
    sent: &Sent,
    problem: Option<String>,
) -> Result<Response, Refusal> {
    let id = InboundId(event.id);
    let (consequences, wrong) = match web.engine.preview_replay(place.whose(), id, is_fresh(sent)).await {
        Ok(rehearsal) => (told(&rehearsal.ok_or(Refusal::NotFound)?), problem),
        Err(error) => (Vec::new(), Some(wrong(error)?)),
    };
    let back = place.at(&format!("inbound/{id}"));
    let mut question = Question::new(format!("Replay · {}", event.kind), "Replay", back.as_str());
    question = consequences.into_iter().fold(question, Question::says);
    if event.answers.is_some() {
        let fields = look_ups(&format!("{back}/replay"), is_fresh(sent));
        question = fields.into_iter().fold(question, Question::asks);
    }
    question.asks(Field::reason()).page(web, place, "inbound", wrong).await
}

/// Whether look-ups are asked again: what would follow was tried out for one of the two, so that the other is another page.
fn look_ups(path: &str, is_fresh: bool) -> [Field; 2] {
    let (query, words) = match is_fresh {
        true => ("", "Try it with the answers that were kept"),
        false => ("?answers=fresh", "Try it with look-ups that ask the provider again"),
    };
    let answers = if is_fresh { "fresh" } else { "kept" };
    [
        Field::Hidden { name: "answers", value: answers.to_owned() },
        Field::Link { path: format!("{path}{query}"), words },
    ]
}

/// What would follow, each as a sentence.
fn told(rehearsal: &Rehearsal) -> Vec<String> {
    let mut told = Vec::new();
    if rehearsal.goes_elsewhere {
        told.push("It would go to whoever has connected its account since, and be worked on in their name.".to_owned());
        return told;
    }
    told.extend(rehearsal.asks.iter().map(|path| format!("Its provider would be asked first: {path}")));
    told.extend(
        rehearsal.problem.iter().map(|problem| format!("It would be held: {}.", problem.trim_end_matches('.'))),
    );
    for entry in rehearsal.changes.iter().take(TOLD_MAX) {
        let words = words_of(&entry.detail);
        let words = if words.is_empty() { String::new() } else { format!(" ({words})") };
        told.push(format!("{} for {}{words}.", what(&entry.action), entry.subject));
    }
    if let Some(more) = rehearsal.changes.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        told.push(format!("And {more} changes more."));
    }
    told.extend(
        rehearsal.mails.iter().map(|mail| format!("A mail to {}: {}.", mail.recipient, mail.kind.replace('-', " "))),
    );
    told.extend(rehearsal.attention.iter().map(|item| format!("A person would be asked: {}.", item.detail)));
    let nothing = if told.is_empty() {
        "Tried out just now, without writing anything: nothing would change. Its orders hold all that it says."
    } else {
        "Tried out just now, without writing anything. This would follow:"
    };
    told.insert(0, nothing.to_owned());
    told
}
