//! What is remembered for how long, and what a shorter time would forget.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use domain::member::Ability;
use engine::{
    counts,
    members::{INVITATION, SESSION, SESSION_IDLE},
    requests,
    retention::{KEPT_DAYS_MAX, kept_days},
};

use store::retention::COUNTED_MAX;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    mistakes::of_configuration,
    place::{
        Place,
        to::{Decide, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

const SECTION: &str = "settings/retention";
/// Times to look at, in days.
const LOOKED_AT: [u16; 4] = [30, 90, 365, 1_095];

/// The pages of data retention.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/retention", get(show))
        .route("/console/{tenant}/{mode}/settings/retention/change", get(change_form).post(change))
}

#[derive(Template)]
#[template(path = "console/retention.html")]
struct RetentionPage {
    shell: Shell,
    path: String,
    days: u16,
    previews: Vec<Preview>,
    /// What is kept, for how long, and why.
    passing: Vec<Kept>,
    lasting: &'static [(&'static str, &'static str)],
    may_decide: bool,
}

/// What another time would forget.
struct Preview {
    days: u16,
    words: String,
    is_here: bool,
}

/// What is kept, for how long, and why.
type Kept = (&'static str, String, &'static str);

/// What leads from money to a license, or proves it, and why it stays.
const LASTING: [(&str, &str); 5] = [
    (
        "Orders, facts and licenses",
        "A renewal or a refund may come years later, and every license is computed from them.",
    ),
    ("Events of providers, as they came", "A paid order can be worked on again, and be shown to whoever doubts it."),
    ("Customers", "A buyer's later purchases find the earlier ones by their address."),
    ("Mails to buyers", "Whether a key was delivered, and what the relay said. The key itself is not in them."),
    ("Audit log", "An entry that is gone would break the chain that proves the others."),
];

fn passing() -> Vec<Kept> {
    let days = |duration: jiff::SignedDuration| format!("{} days", duration.as_hours() / 24);
    vec![
        (
            "Signed-in browsers",
            format!("{}; {} without use", days(SESSION), SESSION_IDLE.as_hours() / 24),
            "Then their member signs in again.",
        ),
        ("Open invitations", days(INVITATION), "The link opens nothing then."),
        (
            "Calls of the API, in the request log",
            format!("{} days", engine::requests::KEPT_DAYS),
            "Who called what is not known any more; what the calls did stays.",
        ),
        (
            "Figures of the first page",
            format!("{} days", engine::counts::KEPT_DAYS),
            "How much happened in each hour; what happened stays.",
        ),
        (
            "What apps were denied",
            format!("{} days", counts::KEPT_DAYS),
            "How often each license was denied something, and which devices asked. The license stays.",
        ),
        (
            "Answers to calls with an Idempotency-Key",
            "24 hours".to_owned(),
            "The same call gets the same answer meanwhile; sealed.",
        ),
        (
            "Request log",
            format!("{} days; the latest {} calls at most", requests::KEPT_DAYS, requests::ROWS_MAX),
            "Which calls the API answered, without what was sent and answered.",
        ),
        (
            "Figures by the hour",
            format!("{} days", counts::KEPT_DAYS),
            "How many checks, events and refusals there were. They name nobody.",
        ),
    ]
}

/// `GET …/settings/retention`.
async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let here = kept_days(&place.tenant);
    let mut previews = Vec::new();
    let mut all: Vec<u16> = LOOKED_AT.into_iter().chain([here]).collect();
    all.sort_unstable();
    all.dedup();
    for days in all {
        let words = if days < here { forgotten(&web, &place, days).await? } else { String::new() };
        previews.push(Preview { days, words, is_here: days == here });
    }
    page(&RetentionPage {
        shell: Shell::new(&web, &place, SECTION, "Data retention").await?,
        path: place.at(SECTION),
        days: here,
        previews,
        passing: passing(),
        lasting: &LASTING,
        may_decide: place.role.may(Ability::Decide),
    })
}

/// What would be forgotten within the hour if so many days were kept.
async fn forgotten<A>(web: &Web, place: &Place<A>, days: u16) -> Result<String, Refusal> {
    let gone = web.engine.forgettable(place.whose().tenant, days).await?;
    if (gone.events, gone.deliveries, gone.alerts) == (0, 0, 0) {
        return Ok("nothing that is here now".to_owned());
    }
    let count = |count: usize| format!("{count}{}", if count < COUNTED_MAX { "" } else { " or more" });
    let (events, deliveries, alerts) = (count(gone.events), count(gone.deliveries), count(gone.alerts));
    Ok(format!("events: {events}; deliveries with their tries: {deliveries}; alerts: {alerts}"))
}

async fn changing(web: &Web, place: &Place<Decide>, sent: &Sent, days: Option<u16>) -> Result<Question, Refusal> {
    let here = kept_days(&place.tenant);
    let question = Question::new("How long deliveries are kept", "Save", place.at(SECTION))
        .says("Events to your own systems, their deliveries and tries, and alerts are remembered for this long once they are over. What is still on its way stays.")
        .says("Orders, licenses, mails and the audit log are not touched.");
    let question = match days.filter(|days| (1..here).contains(days)) {
        Some(days) => {
            let gone = forgotten(web, place, days).await?;
            question.says(format!("{days} days instead of {here} forgets, within the hour and for good: {gone}."))
        }
        None => question,
    };
    let value = sent.some("days").map_or(here.to_string(), str::to_owned);
    Ok(question
        .asks(Field::text("days", "Days", value).of("number").needed().hint("1 to 3650."))
        .asks(Field::reason())
        .asks(Field::Hidden { name: "seen", value: days.map(|days| days.to_string()).unwrap_or_default() }))
}

fn days(sent: &Sent) -> Result<Option<u16>, String> {
    let days = sent.number("days", "Days")?;
    let is_fine = days.is_none_or(|days| (1..=KEPT_DAYS_MAX).contains(&days));
    if is_fine { Ok(days) } else { Err(format!("Days: 1 to {KEPT_DAYS_MAX}.")) }
}

/// `GET …/settings/retention/change`.
async fn change_form(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let (days, wrong) = match days(&sent) {
        Ok(days) => (days, None),
        Err(wrong) => (None, Some(wrong)),
    };
    changing(&web, &place, &sent, days).await?.page(&web, &place, SECTION, wrong).await
}

/// `POST …/settings/retention/change`. A shorter time is asked about once more, with what it forgets.
async fn change(State(web): State<Web>, place: Place<Decide>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let again =
        async |days, wrong| changing(&web, &place, &sent, days).await?.page(&web, &place, SECTION, Some(wrong)).await;
    let days = match days(&sent) {
        Ok(Some(days)) => days,
        Ok(None) => return again(None, "Days: 1 to 3650.".to_owned()).await,
        Err(wrong) => return again(None, wrong).await,
    };
    let is_seen = sent.get("seen") == days.to_string();
    if days < kept_days(&place.tenant) && !is_seen {
        return again(Some(days), "This forgets something: read what, and confirm.".to_owned()).await;
    }
    match web.engine.keep_deliveries(place.whose().tenant, days, place.by(sent.get("note"))).await {
        Ok(()) => Ok(see_other(&place.at(&format!("{SECTION}?said=saved")))),
        Err(error) => again(None, of_configuration(error)?).await,
    }
}
