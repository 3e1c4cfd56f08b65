//! The keys that sign leases: which one signs, which ones are published, and how one follows another.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::member::Ability;
use engine::signing::{OVERLAP_HOURS, Phase, PublishedKey, SigningError};
use jiff::Timestamp;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    place::{
        Place,
        to::{Decide, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, sentence},
};
use crate::Web;

const SECTION: &str = "settings/signing-keys";
/// What most apps need: those that ask for keys, those that are updated within a month, and those that cannot wait.
const OVERLAPS: [(u16, &str); 5] = [
    (0, "At once: the old key was seen by somebody"),
    (1, "In an hour: apps ask for the keys whenever they meet a new one"),
    (24, "In a day"),
    (7 * 24, "In a week"),
    (30 * 24, "In 30 days: apps have the key built in and are updated meanwhile"),
];

/// The pages of signing keys.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/signing-keys", get(list))
        .route("/console/{tenant}/{mode}/settings/signing-keys/rotate", get(rotate_form).post(rotate))
        .route("/console/{tenant}/{mode}/settings/signing-keys/{kid}/withdraw", get(withdraw_form).post(withdraw))
}

#[derive(Template)]
#[template(path = "console/signing_keys.html")]
struct SigningKeysPage {
    shell: Shell,
    path: String,
    key_set: String,
    cards: Vec<Card>,
    may_decide: bool,
}

struct Card {
    path: String,
    kid: String,
    pill: Pill,
    made: When,
    /// What it does, until or from when.
    does: &'static str,
    does_at: Option<When>,
    /// The same, where it has no moment.
    otherwise: &'static str,
    /// When nobody needs it any more.
    needed_until: Option<When>,
    is_retired: bool,
    base64: String,
    jwk: String,
    pem: String,
}

/// `GET …/settings/signing-keys`.
async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let keys = web.engine.published_keys(place.whose().tenant).await?;
    page(&SigningKeysPage {
        shell: Shell::new(&web, &place, SECTION, "Signing keys").await?,
        path: place.at(SECTION),
        key_set: format!("{}/.well-known/jwks.json", web.public_url.trim_end_matches('/')),
        cards: keys.into_iter().map(|key| card(&place, &key, now)).collect::<Result<_, _>>()?,
        may_decide: place.role.may(Ability::Decide),
    })
}

fn card(place: &Place<Look>, key: &PublishedKey, now: Timestamp) -> Result<Card, Refusal> {
    let (pill, does, at) = match key.phase {
        Phase::Signs(until) => {
            let does = if until.is_some() { "Signs leases until" } else { "Signs leases" };
            (Pill { word: "signs", tone: "good", icon: "check" }, does, until)
        }
        Phase::Next(from) => (Pill { word: "next", tone: "cold", icon: "clock" }, "Signs leases from", Some(from)),
        Phase::Retired(at) => (Pill { word: "retired", tone: "quiet", icon: "pause" }, "Signs no more since", Some(at)),
    };
    let jwk = serde_json::to_string(&key.public.jwk()).map_err(|error| Refusal::Failed(error.to_string()))?;
    Ok(Card {
        path: place.at(&format!("{SECTION}/{}", key.public.kid())),
        kid: key.public.kid().to_owned(),
        pill,
        made: When::new(key.made_at, now),
        does,
        does_at: at.filter(|at| *at < Timestamp::MAX).map(|at| When::new(at, now)),
        // Of two nodes that began together each made a key, and the older one signs.
        otherwise: if matches!(key.phase, Phase::Next(_)) { "the next rotation" } else { "until it is rotated" },
        needed_until: key.leases_end_by.map(|at| When::new(at, now)),
        is_retired: matches!(key.phase, Phase::Retired(_)),
        base64: STANDARD.encode(key.public.to_bytes()),
        jwk,
        pem: key.public.pem(),
    })
}

fn rotating(place: &Place<Decide>, sent: &Sent) -> Question {
    let here = sent.some("overlap_hours").map_or(OVERLAP_HOURS.to_string(), str::to_owned);
    let overlaps = OVERLAPS.map(|(hours, words)| (hours.to_string(), words));
    Question::new("Rotate the signing key", "Make a new key", place.at(SECTION))
        .says("A new key is made and published at once. The one that signs now goes on until the moment you choose; then the new one signs.")
        .says("Apps that fetch the keys from here notice by themselves. An app that has one public key built in believes no lease of the new key until it is updated.")
        .says("Leases that were signed before stay good: the old public key stays published until you withdraw it.")
        .asks(Field::choice("overlap_hours", "The new key signs", overlaps, &here))
        .asks(Field::reason())
}

/// `GET …/settings/signing-keys/rotate`.
async fn rotate_form(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    rotating(&place, &sent).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/signing-keys/rotate`.
async fn rotate(State(web): State<Web>, place: Place<Decide>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let hours = match sent.number("overlap_hours", "Hours") {
        Ok(hours) => hours.unwrap_or(OVERLAP_HOURS),
        Err(wrong) => return rotating(&place, &sent).page(&web, &place, SECTION, Some(wrong)).await,
    };
    match web.engine.rotate_signing_key(place.whose().tenant, hours, &place.by(sent.get("note"))).await {
        Ok(_) => Ok(see_other(&place.at(&format!("{SECTION}?said=key_rotated")))),
        Err(error) => rotating(&place, &sent).page(&web, &place, SECTION, Some(wrong(error)?)).await,
    }
}

fn wrong(error: SigningError) -> Result<String, Refusal> {
    match error {
        SigningError::NoKey => Err(Refusal::NotFound),
        SigningError::Engine(error) => Err(error.into()),
        other => Ok(sentence(&other)),
    }
}

async fn withdrawing(web: &Web, place: &Place<Decide>, kid: &str) -> Result<Question, Refusal> {
    let keys = web.engine.published_keys(place.whose().tenant).await?;
    let key = keys.into_iter().find(|key| key.public.kid() == kid).ok_or(Refusal::NotFound)?;
    let now = web.engine.now();
    let still = key.leases_end_by.filter(|at| *at > now).map(|at| {
        format!(
            "Its last lease may be good until {}. Apps with such a lease that ask for the keys refuse it from now on, and need to be online once.",
            When::new(at, now).full()
        )
    });
    let known = still.unwrap_or_else(|| "Its last lease has ended, so that nobody should notice.".to_owned());
    Ok(Question::new("Withdraw a signing key", "Withdraw it", place.at(SECTION))
        .says("The key is published no more, and forgotten. It does not come back.")
        .says(known)
        .asks(Field::reason())
        .dangerous())
}

/// `GET …/settings/signing-keys/{kid}/withdraw`.
async fn withdraw_form(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, kid)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    withdrawing(&web, &place, &kid).await?.page(&web, &place, SECTION, None).await
}

/// `POST …/settings/signing-keys/{kid}/withdraw`.
async fn withdraw(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, kid)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let question = withdrawing(&web, &place, &kid).await?;
    match web.engine.withdraw_signing_key(place.whose().tenant, &kid, &place.by(sent.get("note"))).await {
        Ok(()) => Ok(see_other(&place.at(&format!("{SECTION}?said=key_withdrawn")))),
        Err(error) => question.page(&web, &place, SECTION, Some(wrong(error)?)).await,
    }
}
