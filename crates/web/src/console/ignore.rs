//! Setting an inbound event aside: what nobody can work on, and whose sale, if it is one, is given up.

use axum::{
    Form, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use domain::{id::InboundId, member::Ability};
use engine::{
    inbound::{IgnoreError, Loss},
    receive::is_nonsense,
};
use store::rows::InboundEvent;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    inbound::event,
    place::{Place, to::Configure},
    refusal::Refusal,
    words::{capitalised, sentence},
};
use crate::Web;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/console/{tenant}/{mode}/inbound/{id}/ignore", get(form).post(act))
}

/// Whether somebody with this role may set aside what gives this up: what may be a sale is for whoever gives and takes.
pub(crate) fn may_ignore<A>(place: &Place<A>, loss: &Loss) -> bool {
    let ability = if loss.may_be_a_sale() { Ability::Decide } else { Ability::Configure };
    place.role.may(ability)
}

fn question(place: &Place<Configure>, event: &InboundEvent, loss: &Loss) -> Question {
    let back = place.at(&format!("inbound/{}", InboundId(event.id)));
    let question = Question::new(format!("Set aside · {}", event.kind), "Set it aside", back)
        .says("Nobody works on it any more, and what told of it leaves Needs attention.")
        .says(match is_nonsense(event) {
            true => "It cannot be played again: there is no event of its provider in its body.",
            false => "A replay undoes this.",
        });
    let question = match loss {
        Loss::Nothing => question.says(format!("{}.", capitalised(&loss.to_string()))),
        Loss::Unknown => question.says(format!("{}.", capitalised(&loss.to_string()))).dangerous(),
        Loss::Paid(paid) => paid.iter().fold(question.dangerous(), |question, one| question.says(sentence(one))),
    };
    let reason = Field::text("note", "Reason", "").needed();
    question.asks(reason.hint("It stands with the event, and in the audit log."))
}

/// The event, and what is given up with it; or why it is not set aside.
async fn stuck(web: &Web, place: &Place<Configure>, id: &str) -> Result<(InboundEvent, Result<Loss, String>), Refusal> {
    let event = event(web, place, id).await?;
    let Some(loss) = web.engine.loss_of_ignoring(&event).await? else {
        let wrong = sentence(&IgnoreError::NotStuck(event.status.clone()));
        return Ok((event, Err(wrong)));
    };
    if loss.may_be_a_sale() {
        place.may(Ability::Decide)?;
    }
    Ok((event, Ok(loss)))
}

/// `GET …/inbound/{id}/ignore`.
async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (event, loss) = stuck(&web, &place, &id).await?;
    shown(&web, &place, &event, loss, None).await
}

/// `POST …/inbound/{id}/ignore`.
async fn act(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let (event, loss) = stuck(&web, &place, &id).await?;
    let id = InboundId(event.id);
    // Whoever may not give a sale up was turned away, and whoever may has read what is given up.
    let gives_up = place.role.may(Ability::Decide);
    match web.engine.ignore(place.whose(), id, gives_up, &place.by(sent.get("note"))).await {
        Ok(Some(_)) => Ok(see_other(&place.at(&format!("inbound/{id}?said=ignored")))),
        Ok(None) => Err(Refusal::NotFound),
        Err(IgnoreError::Engine(error)) => Err(error.into()),
        Err(problem) => shown(&web, &place, &event, loss, Some(sentence(&problem))).await,
    }
}

async fn shown(
    web: &Web,
    place: &Place<Configure>,
    event: &InboundEvent,
    loss: Result<Loss, String>,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    match loss {
        Ok(loss) => question(place, event, &loss).page(web, place, "inbound", wrong).await,
        Err(not_stuck) => question(place, event, &Loss::Nothing).page(web, place, "inbound", Some(not_stuck)).await,
    }
}
