//! What can be done with an address to which events go.

use std::collections::BTreeSet;

use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    event::{EventKind, EventStyle, WantedKinds},
    id::{DeliveryId, WebhookEndpointId},
    retry::Schedule,
};
use engine::{
    configuration::{Existing, WebhookEndpointInput},
    webhooks::{OVERLAP_HOURS, PER_SECOND, Recover, WebhookError},
};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use store::rows::WebhookEndpoint;

use super::{
    action::{Field, Question, Sent, shown_once},
    browser::see_other,
    mistakes::{of_configuration, of_webhook},
    place::{Place, to::Configure},
    refusal::Refusal,
};
use crate::Web;

type Asked = Path<(String, String, String, String)>;

const SECTION: &str = "settings/webhooks";
const STYLES: [(&str, &str); 2] = [
    ("standard", "Ours, signed as Standard Webhooks says"),
    ("keylight", "Keylight's ten fields, in its own signature"),
];
const SCHEDULES: [(&str, &str); 2] = [("standard", "Ten times in three days"), ("short", "Four times in half an hour")];
const SECRET_NOTES: [&str; 2] = [
    "Your receiver checks with it that a call is ours, as Standard Webhooks says.",
    "Nothing is delivered differently until you use it.",
];

/// What an address is like, as fields.
fn fields(question: Question, sent: &Sent) -> Question {
    let question = question
        .asks(Field::text("url", "Address", sent.get("url")).of("url").needed().hint("https, and no private address."))
        .asks(Field::choice("style", "It is told", STYLES, sent.get("style")))
        .asks(Field::choice("schedule", "It is tried", SCHEDULES, sent.get("schedule")))
        .asks(Field::Check {
            name: "ordered",
            label: "The events of a license come one after the other",
            hint: "One that does not arrive holds the later ones up.",
            is_on: sent.is_on("ordered"),
        })
        .asks(Field::Part("Of what it is told; nothing ticked: of everything"));
    let check = |kind: &EventKind| {
        let name = kind.as_str();
        Field::Check { name, label: name, hint: kind.meaning(), is_on: sent.is_on(name) }
    };
    EventKind::ALL.iter().map(check).fold(question, Question::asks).asks(Field::reason())
}

fn ticked(sent: &Sent) -> BTreeSet<EventKind> {
    EventKind::ALL.iter().copied().filter(|kind| sent.is_on(kind.as_str())).collect()
}

/// What the form has in it to begin with.
fn filled(row: &WebhookEndpoint) -> Sent {
    let sent = Sent::default().with("url", &*row.url).with("style", &*row.style).with("schedule", &*row.schedule);
    let sent = if row.ordered { sent.with("ordered", "on") } else { sent };
    WantedKinds::stored(&row.kinds).into_words().fold(sent, |sent, word| sent.with(&word, "on"))
}

/// What the form says. A filter that is not changed stays: it may name what this release does not know.
fn input(code: &str, is_live: bool, sent: &Sent, before: Option<&WebhookEndpoint>) -> WebhookEndpointInput {
    let events = ticked(sent);
    let is_same = before.is_some_and(|row| ticked(&filled(row)) == events);
    WebhookEndpointInput {
        url: Some(sent.get("url").to_owned()),
        events: (!is_same).then(|| events.into_iter().collect()),
        style: Some(if sent.get("style") == "keylight" { EventStyle::Keylight } else { EventStyle::Standard }),
        schedule: Some(if sent.get("schedule") == "short" { Schedule::Short } else { Schedule::Standard }),
        is_ordered: Some(sent.is_on("ordered")),
        ..WebhookEndpointInput::new(code, is_live)
    }
}

fn making(place: &Place<Configure>, sent: &Sent) -> Question {
    let question = Question::new("New address", "Make it", place.at(SECTION))
        .says("It is told of what happens from now on. Its secret is shown this once.")
        .asks(
            Field::text("code", "Your name for it", sent.get("code"))
                .needed()
                .hint("Letters a-z, digits and -, such as crm."),
        );
    fields(question, sent)
}

/// `GET …/settings/webhooks/new`.
pub(crate) async fn new_form(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    making(&place, &Sent::default()).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/webhooks/new`.
pub(crate) async fn create(
    State(web): State<Web>,
    place: Place<Configure>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let input = input(sent.get("code"), place.livemode, &sent, None);
    let by = place.by(sent.get("note"));
    let made = web.engine.save_webhook_endpoint(place.whose().tenant, input, Existing::New, by).await;
    match made {
        Ok(change) => {
            let secret = change.secret.ok_or_else(|| Refusal::Failed("no secret was made".to_owned()))?;
            shown_once(&web, &place, SECTION, ("The signing secret", secret.reveal(), &SECRET_NOTES[..1])).await
        }
        Err(error) => making(&place, &sent).page(&web, &place, SECTION, Some(of_configuration(error)?)).await,
    }
}

/// An address of this vendor in this mode.
async fn endpoint(web: &Web, place: &Place<Configure>, id: &str) -> Result<WebhookEndpoint, Refusal> {
    let id: WebhookEndpointId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.webhook_endpoint(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

fn question(
    web: &Web,
    place: &Place<Configure>,
    row: &WebhookEndpoint,
    word: &str,
    sent: &Sent,
) -> Result<Question, Refusal> {
    let new = |title: &str, button| Question::new(format!("{title} · {}", row.code), button, place.at(SECTION));
    let number = |name, label, value: String| Field::text(name, label, value).of("number").needed();
    Ok(match word {
        "change" => {
            let kept = filled(row);
            let sent = if sent.is_on("url") { sent } else { &kept };
            return Ok(fields(new("Change the address", "Save").says("It counts for what happens from now on."), sent));
        }
        "pause" => new("Pause", "Pause")
            .says("It is not called any more. Its events are held until somebody releases them.")
            .asks(Field::reason()),
        "enable" => new("Enable", "Enable")
            .says("It is called again for what happens from now on.")
            .asks(Field::Check {
                name: "release",
                label: "Deliver what was held meanwhile, too",
                hint: "",
                is_on: sent.is_on("release"),
            })
            .asks(Field::reason()),
        "release" => new("Deliver what is held", "Deliver it")
            .says("Everything that is held for this address is delivered now.")
            .asks(Field::reason()),
        "rotate" => new("New secret", "Make it")
            .says("The new secret is shown this once. The one before signs on beside it for a while, so that a receiver that knows either believes the call.")
            .asks(number("overlap_hours", "Hours that both sign", sent.some("overlap_hours").map_or(OVERLAP_HOURS.to_string(), str::to_owned)).hint("0 to 168."))
            .asks(Field::reason()),
        "example" => {
            let kinds = EventKind::ALL.iter().map(|kind| (kind.as_str(), kind.as_str()));
            new("Send an example", "Send it")
                .says("Nothing happens: the event says that it is an example, and is signed as any other.")
                .asks(Field::choice("event", "Event", kinds, sent.get("event")))
        }
        "recover" => {
            let day_ago = domain::time::after(web.engine.now(), -SignedDuration::from_hours(24));
            let since = sent.some("since").map_or_else(|| day_ago.strftime("%Y-%m-%dT%H:%M").to_string(), str::to_owned);
            new("Deliver once more", "Recover")
                .says("What happened since then and did not arrive is delivered: what was given up, held, or never written.")
                .asks(Field::text("since", "Since (UTC)", since).of("datetime-local").needed())
                .asks(Field::Check {
                    name: "everything",
                    label: "Also what has arrived already",
                    hint: "",
                    is_on: sent.is_on("everything"),
                })
                .asks(number("per_second", "Events a second", sent.some("per_second").map_or(PER_SECOND.to_string(), str::to_owned)).hint("1 to 1000."))
                .asks(Field::reason())
        }
        "cancel" => new("Stop the recovery", "Stop it")
            .says("What it has queued is delivered; the rest is not.")
            .asks(Field::Hidden { name: "recovery", value: sent.get("recovery").to_owned() })
            .asks(Field::reason()),
        "remove" => new("Remove the address", "Remove it")
            .says("It is told of nothing any more, and all that is known of its deliveries goes with it.")
            .asks(Field::reason())
            .dangerous(),
        _ => return Err(Refusal::NotFound),
    })
}

/// `GET …/settings/webhooks/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Asked,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let row = endpoint(&web, &place, &id).await?;
    let question = question(&web, &place, &row, &word, &sent)?;
    if word == "rotate" {
        place.confirmed(&web)?;
    }
    question.page(&web, &place, SECTION, None).await
}

/// How an action ended.
enum Done {
    /// On to that page.
    On(String),
    /// With a secret that is shown this once.
    Secret(crypto::webhook::WebhookSecret),
    /// With what was wrong.
    Wrong(String),
}

/// `POST …/settings/webhooks/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Asked,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = endpoint(&web, &place, &id).await?;
    let question = question(&web, &place, &row, &word, &sent)?;
    let done = match word.as_str() {
        "change" | "remove" => configured(&web, &place, &row, &word, &sent).await?,
        _ => match done(&web, &place, &row, &word, &sent).await {
            Ok(done) => done,
            Err(Stopped::Here(refusal)) => return Err(refusal),
            Err(Stopped::There(error)) => Done::Wrong(of_webhook(error)?),
        },
    };
    match done {
        Done::On(path) => Ok(see_other(&place.at(&path))),
        Done::Secret(secret) => {
            shown_once(&web, &place, SECTION, ("The new signing secret", secret.reveal(), &SECRET_NOTES)).await
        }
        Done::Wrong(wrong) => question.page(&web, &place, SECTION, Some(wrong)).await,
    }
}

async fn configured(
    web: &Web,
    place: &Place<Configure>,
    row: &WebhookEndpoint,
    word: &str,
    sent: &Sent,
) -> Result<Done, Refusal> {
    let (tenant, by) = (place.whose().tenant, place.by(sent.get("note")));
    let changed = match word {
        "remove" => web.engine.remove_webhook_endpoint(tenant, WebhookEndpointId(row.id), by).await,
        _ => {
            let input = input(&row.code, place.livemode, sent, Some(row));
            web.engine.save_webhook_endpoint(tenant, input, Existing::There, by).await
        }
    };
    match changed {
        Ok(_) => Ok(Done::On(format!("{SECTION}?said=saved"))),
        Err(error) => Ok(Done::Wrong(of_configuration(error)?)),
    }
}

/// Why an action did not end.
enum Stopped {
    Here(Refusal),
    There(WebhookError),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Here(refusal)
    }
}

impl From<WebhookError> for Stopped {
    fn from(error: WebhookError) -> Self {
        Self::There(error)
    }
}

async fn done(
    web: &Web,
    place: &Place<Configure>,
    row: &WebhookEndpoint,
    word: &str,
    sent: &Sent,
) -> Result<Done, Stopped> {
    let (engine, whose, id) = (&web.engine, place.whose(), WebhookEndpointId(row.id));
    let by = place.by(sent.get("note"));
    let said = match word {
        "pause" => {
            engine.pause_webhook_endpoint(whose, id, &by).await?;
            "paused"
        }
        "enable" => {
            engine.enable_webhook_endpoint(whose, id, sent.is_on("release"), &by).await?;
            "enabled"
        }
        "release" => {
            engine.release_webhook_deliveries(whose, id, &by).await?;
            "released"
        }
        "rotate" => {
            place.confirmed(web)?;
            let hours = match sent.number("overlap_hours", "Hours") {
                Ok(hours) => hours.unwrap_or(OVERLAP_HOURS),
                Err(wrong) => return Ok(Done::Wrong(wrong)),
            };
            return Ok(Done::Secret(engine.rotate_webhook_secret(whose, id, hours, &by).await?.1));
        }
        "example" => {
            let kind: EventKind =
                sent.get("event").parse().map_err(|_| Refusal::Unreadable("There is no such event.".into()))?;
            let delivery = engine.send_example(whose, id, kind, &by).await?;
            return Ok(Done::On(format!("deliveries/{}?said=sent", DeliveryId(delivery.id))));
        }
        "recover" => match recovery(sent) {
            Ok(asked) => {
                engine.recover(whose, id, asked, &by).await?;
                "recovering"
            }
            Err(wrong) => return Ok(Done::Wrong(wrong)),
        },
        "cancel" => {
            let recovery = sent.get("recovery").parse().map_err(|_| Refusal::NotFound)?;
            engine.cancel_recovery(whose, recovery, &by).await?;
            "saved"
        }
        _ => return Err(Refusal::NotFound.into()),
    };
    Ok(Done::On(format!("{SECTION}?said={said}")))
}

fn recovery(sent: &Sent) -> Result<Recover, String> {
    let wrong = |_| "A moment looks like 2026-12-24T18:00.".to_owned();
    let since: DateTime = sent.get("since").parse().map_err(wrong)?;
    let since: Timestamp = since.to_zoned(TimeZone::UTC).map_err(wrong)?.timestamp();
    let per_second = sent.number("per_second", "Events a second")?.unwrap_or(PER_SECOND);
    Ok(Recover { since, until: None, everything: sent.is_on("everything"), per_second })
}
