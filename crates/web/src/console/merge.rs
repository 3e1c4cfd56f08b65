//! Making one of two customers who are one person: who stays, what follows, and what that means.

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use domain::id::CustomerId;
use engine::merging::{MergeError, Merger};
use store::rows::Customer;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    place::{Place, to::Decide},
    refusal::Refusal,
    words::{counted, sentence},
};
use crate::Web;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/console/{tenant}/{mode}/customers/{id}/merge", get(form).post(act))
}

/// `GET …/customers/{id}/merge`: with whom, or what would come of it.
async fn form(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let customer = customer(&web, &place, &id).await?;
    asked(&web, &place, &customer, &sent, None).await
}

/// `POST …/customers/{id}/merge`. What was not seen yet is shown first.
async fn act(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let customer = customer(&web, &place, &id).await?;
    let Ok(other) = sent.get("seen").parse::<CustomerId>() else {
        let wrong = sent.some("with").is_none().then(|| "Say with whom.".to_owned());
        return asked(&web, &place, &customer, &sent, wrong).await;
    };
    let (pair, by) = ((CustomerId(customer.id), other), place.by(sent.get("note")));
    match web.engine.merge_customers(place.whose(), pair, false, &by).await {
        Ok(merger) => {
            let survivor = CustomerId(merger.ok_or(Refusal::NotFound)?.survivor.id);
            Ok(see_other(&place.at(&format!("customers/{survivor}?said=merged"))))
        }
        Err(error) => asked(&web, &place, &customer, &Sent::default(), Some(wrong(error)?)).await,
    }
}

async fn customer(web: &Web, place: &Place<Decide>, id: &str) -> Result<Customer, Refusal> {
    let id: CustomerId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.customer(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

fn wrong(error: MergeError) -> Result<String, Refusal> {
    match error {
        MergeError::Engine(error) => Err(error.into()),
        other => Ok(sentence(&other)),
    }
}

async fn asked(
    web: &Web,
    place: &Place<Decide>,
    customer: &Customer,
    sent: &Sent,
    problem: Option<String>,
) -> Result<Response, Refusal> {
    let id = CustomerId(customer.id);
    let back = place.at(&format!("customers/{id}"));
    let with_whom = |wrong: Option<String>| {
        let other = Field::text("with", "The other customer", sent.get("with")).needed();
        let question = Question::new(format!("Merge · {}", customer.email), "Look at it first", back.clone())
            .says(
                "Two customers who are one person become one. What would come of it is shown before anything is done.",
            )
            .asks(other.hint("Their address, or their id here."));
        question.page(web, place, "customers", wrong)
    };
    let Some(name) = sent.some("with") else { return with_whom(problem).await };
    let Some(other) = web.engine.customer_named(place.whose(), name).await? else {
        return with_whom(Some("There is no such customer in this mode.".to_owned())).await;
    };
    let pair = (id, CustomerId(other.id));
    let merger = match web.engine.merge_customers(place.whose(), pair, true, &place.by("")).await {
        Ok(merger) => merger.ok_or(Refusal::NotFound)?,
        Err(error) => return with_whom(Some(wrong(error)?)).await,
    };
    let question = Question::new(format!("Merge · {}", customer.email), "Merge them for good", back.clone());
    let question = told(&merger).into_iter().fold(question.dangerous(), Question::says);
    let question = question.asks(Field::reason());
    let seen = Field::Hidden { name: "seen", value: pair.1.to_string() };
    question.asks(seen).page(web, place, "customers", problem).await
}

/// What follows, in sentences.
fn told(merger: &Merger) -> Vec<String> {
    let Merger { survivor, other, orders, licenses, identities } = merger;
    let number = |count: &u64| i64::try_from(*count).unwrap_or(i64::MAX);
    vec![
        format!("{} was known first and stays; {} leads there from then on.", survivor.email, other.email),
        format!(
            "{}, {} and {} follow. The licenses, their keys and devices stay as they are, and the mails of each order go \
             where they went.",
            counted(number(orders), "order", "orders"),
            counted(number(licenses), "license", "licenses"),
            counted(number(identities), "customer at a provider", "customers at providers"),
        ),
        format!(
            "Whoever buys as {} or as {} from then on is this customer here. That shows their order on this page, and \
             changes nothing of the others.",
            survivor.email, other.email
        ),
        "An address alone proves nothing, since whoever buys can type any: merge only if you know that they are one person. \
         It cannot be undone."
            .to_owned(),
    ]
}
