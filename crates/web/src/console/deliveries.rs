//! Events on their way to a vendor's own addresses.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    event::{Envelope, EventKind, EventStyle},
    id::{DeliveryId, EventId, LicenseId, TenantId, WebhookEndpointId},
    member::Ability,
};
use jiff::Timestamp;
use store::{
    deliveries::DeliveryFilter,
    rows::{Delivery, DeliveryAttempt, Event, WebhookEndpoint},
};
use uuid::Uuid;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    list::{Asked, Pager},
    mistakes::of_webhook,
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, day_named, end_of_day_named, progress},
};
use crate::Web;

/// What the list can be asked for.
const NAMES: [&str; 7] = ["status", "endpoint", "event", "kind", "answer", "since", "until"];

fn filter(asked: &Asked) -> Result<DeliveryFilter, Refusal> {
    let (status, answer) = (asked.get("status"), asked.get("answer"));
    Ok(DeliveryFilter {
        endpoint: asked.get("endpoint").parse::<WebhookEndpointId>().ok(),
        event: asked.get("event").parse::<EventId>().ok(),
        status: STATUSES.iter().find(|(word, _)| *word == status).map(|(word, _)| (*word).to_owned()),
        kind: asked.get("kind").parse::<EventKind>().ok().map(|kind| kind.as_str().to_owned()),
        answers: ANSWERS.iter().find(|(word, _)| *word == answer).map(|(_, statuses)| *statuses),
        since: day_named(asked.get("since")).map_err(|wrong| Refusal::Unreadable(wrong.into()))?,
        until: end_of_day_named(asked.get("until")).map_err(|wrong| Refusal::Unreadable(wrong.into()))?,
    })
}

/// Classes of answers: the word in addresses, and the statuses.
const ANSWERS: [(&str, (u16, u16)); 4] =
    [("2xx", (200, 299)), ("3xx", (300, 399)), ("4xx", (400, 499)), ("5xx", (500, 599))];

/// How far a delivery may have come: the word in addresses, and what it is called.
const STATUSES: [(&str, &str); 4] =
    [("pending", "pending"), ("delivered", "delivered"), ("held", "held"), ("dead", "given up")];

#[derive(Template)]
#[template(path = "console/deliveries.html")]
struct DeliveriesPage {
    shell: Shell,
    path: String,
    webhooks: String,
    rows: Vec<Row>,
    pager: Pager,
    statuses: Vec<(&'static str, &'static str, bool)>,
    endpoints: Vec<(String, String, bool)>,
    kinds: Vec<(&'static str, bool)>,
    answers: Vec<(&'static str, bool)>,
    asked: Asked,
    is_filtered: bool,
}

struct Row {
    path: String,
    kind: String,
    is_example: bool,
    endpoint: String,
    pill: Pill,
    attempts: i32,
    answer: String,
    made: When,
    next: Option<When>,
}

/// What deliveries refer to.
struct Named {
    endpoints: HashMap<Uuid, WebhookEndpoint>,
    events: HashMap<Uuid, Event>,
}

impl Named {
    async fn read(web: &Web, place: &Place<Look>, events: Vec<Uuid>) -> Result<Self, Refusal> {
        let endpoints = web.engine.store.webhook_endpoints(place.whose().tenant).await?;
        let events = web.engine.store.events(events).await?;
        Ok(Self {
            endpoints: endpoints.into_iter().map(|row| (row.id, row)).collect(),
            events: events.into_iter().map(|row| (row.id, row)).collect(),
        })
    }

    fn row(&self, place: &Place<Look>, row: &Delivery, now: Timestamp) -> Row {
        let event = self.events.get(&row.event_id);
        Row {
            path: place.at(&format!("deliveries/{}", DeliveryId(row.id))),
            kind: event.map_or_else(|| "an event that is forgotten".to_owned(), |event| event.kind.clone()),
            is_example: event.is_some_and(|event| event.example),
            endpoint: self.endpoints.get(&row.endpoint_id).map(|row| row.code.clone()).unwrap_or_default(),
            pill: progress(&row.status),
            attempts: row.attempts,
            answer: answer(row.last_status, row.error.as_deref()),
            made: When::stored(row.created_at, now),
            next: row.next_attempt_at.map(|at| When::stored(at, now)),
        }
    }
}

fn answer(status: Option<i32>, error: Option<&str>) -> String {
    match (status, error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.to_owned(),
        (None, None) => String::new(),
    }
}

/// `GET …/deliveries`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let filter = filter(&asked)?;
    let at = asked.page::<DeliveryId>()?;
    let examined = web.engine.store.examine_deliveries(place.whose(), &filter, at).await?;
    let named = Named::read(&web, &place, examined.listed.rows.iter().map(|row| row.event_id).collect()).await?;
    let kept = asked.kept(&NAMES);
    let path = place.at("deliveries");
    let mut endpoints: Vec<_> = named
        .endpoints
        .values()
        .filter(|row| row.livemode == place.livemode)
        .map(|row| (WebhookEndpointId(row.id).to_string(), row.code.clone()))
        .map(|(id, code)| (code, asked.get("endpoint") == id, id))
        .collect();
    endpoints.sort();
    page(&DeliveriesPage {
        shell: Shell::new(&web, &place, "deliveries", "Deliveries").await?,
        webhooks: place.at("settings/webhooks"),
        rows: examined.listed.rows.iter().map(|row| named.row(&place, row, now)).collect(),
        pager: Pager::examined(&examined, at, &path, &kept, |row| row.id, |id| DeliveryId(id).to_string()),
        path,
        statuses: STATUSES.map(|(word, name)| (word, name, word == asked.get("status"))).to_vec(),
        endpoints: endpoints.into_iter().map(|(code, is_here, id)| (id, code, is_here)).collect(),
        is_filtered: !kept.is_empty(),
        kinds: EventKind::ALL.iter().map(|kind| (kind.as_str(), kind.as_str() == asked.get("kind"))).collect(),
        answers: ANSWERS.map(|(word, _)| (word, word == asked.get("answer"))).to_vec(),
        asked,
    })
}

#[derive(Template)]
#[template(path = "console/delivery.html")]
struct DeliveryPage {
    shell: Shell,
    path: String,
    id: String,
    kind: String,
    pill: Pill,
    why: String,
    facts: Vec<(&'static str, String, Option<String>)>,
    body: Option<String>,
    tries: Vec<Try>,
    may_configure: bool,
}

struct Try {
    when: When,
    pill: Pill,
    cause: &'static str,
    milliseconds: i64,
    error: Option<String>,
    /// The headers that the call had.
    sent: String,
    headers: Option<String>,
    answer: Option<String>,
    is_cut: bool,
}

/// The headers of a call. Signatures are not kept, and what a vendor's own headers hold is sealed.
fn sent(event: EventId, began_at: i64, own: &[String]) -> String {
    let seconds = began_at.div_euclid(1_000_000);
    let mut headers = vec![
        "content-type: application/json".to_owned(),
        format!("webhook-id: {event}"),
        format!("webhook-timestamp: {seconds}"),
        "webhook-signature: v1,…".to_owned(),
    ];
    headers.extend(own.iter().map(|name| format!("{name}: …")));
    headers.join("\n")
}

fn tried(row: DeliveryAttempt, event: EventId, own: &[String], now: Timestamp) -> Try {
    let is_good = row.status.is_some_and(|status| (200..300).contains(&status));
    Try {
        when: When::stored(row.began_at, now),
        pill: if is_good { progress("delivered") } else { progress("failed") },
        cause: match row.cause.as_str() {
            "manual" => "somebody who asked for it",
            "recovery" => "a recovery",
            "example" => "an example",
            _ => "the event itself",
        },
        milliseconds: row.duration_micros / 1_000,
        error: row.error.or_else(|| row.status.map(|status| format!("answered {status}"))),
        sent: sent(event, row.began_at, own),
        headers: row.headers,
        answer: row.answer.filter(|answer| !answer.is_empty()),
        is_cut: row.truncated,
    }
}

/// A delivery of this vendor in this mode.
async fn delivery<A>(web: &Web, place: &Place<A>, id: &str) -> Result<Delivery, Refusal> {
    let id: DeliveryId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.delivery(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

/// `GET …/deliveries/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let row = delivery(&web, &place, &id).await?;
    let named = Named::read(&web, &place, vec![row.event_id]).await?;
    let tries = web.engine.store.attempts(DeliveryId(row.id)).await?;
    let event = named.events.get(&row.event_id);
    let kind = named.row(&place, &row, now).kind;
    let endpoint = named.endpoints.get(&row.endpoint_id);
    // One whose secrets do not open has its deliveries shown as any other.
    let own = endpoint.and_then(|row| web.engine.webhook_header_names(row).ok()).unwrap_or_default();
    page(&DeliveryPage {
        shell: Shell::new(&web, &place, "deliveries", format!("{kind} · Delivery")).await?,
        path: place.at(&format!("deliveries/{}", DeliveryId(row.id))),
        id: DeliveryId(row.id).to_string(),
        pill: progress(&row.status),
        why: why(&row, now),
        facts: facts(&place, &named, &row, now),
        body: event.and_then(|event| told(event, named.endpoints.get(&row.endpoint_id).map(|row| &*row.style)?)),
        tries: tries.into_iter().map(|tried_row| tried(tried_row, EventId(row.event_id), &own, now)).collect(),
        may_configure: place.role.may(Ability::Configure),
        kind,
    })
}

fn why(row: &Delivery, now: Timestamp) -> String {
    let error = row.error.as_deref().unwrap_or("nobody answered");
    let next = row.next_attempt_at.map(|at| When::stored(at, now));
    match (row.status.as_str(), next) {
        ("delivered", _) => "It arrived.".to_owned(),
        ("held", _) => "Its address is not called at present. Enable the address, and release what is held.".to_owned(),
        ("dead", _) => format!("It was given up after {} tries: {error}.", row.attempts),
        (_, Some(next)) if row.attempts > 0 => format!("It did not arrive yet: {error}. It is tried again {next}."),
        _ => "It is on its way.".to_owned(),
    }
}

fn facts(
    place: &Place<Look>,
    named: &Named,
    row: &Delivery,
    now: Timestamp,
) -> Vec<(&'static str, String, Option<String>)> {
    let endpoint = named.endpoints.get(&row.endpoint_id);
    let event = EventId(row.event_id);
    let mut facts = vec![
        (
            "Address",
            endpoint.map(|row| format!("{} · {}", row.code, row.url)).unwrap_or_default(),
            Some(place.at("settings/webhooks")),
        ),
        ("Event", event.to_string(), Some(place.at(&format!("deliveries?event={event}")))),
    ];
    if let Some(license) = row.license_id.map(LicenseId) {
        facts.push(("License", license.to_string(), Some(place.at(&format!("licenses/{license}")))));
    }
    facts.push(("Tries", row.attempts.to_string(), None));
    facts.push(("Made", When::stored(row.created_at, now).full(), None));
    if let Some(done_at) = row.done_at {
        facts.push(("Over", When::stored(done_at, now).full(), None));
    }
    facts
}

/// What an address is told, as people read it. The license key is not in it: it is put in when the event is sent.
fn told(event: &Event, style: &str) -> Option<String> {
    let envelope = Envelope {
        id: EventId(event.id),
        kind: event.kind.parse().ok()?,
        occurred_at: Timestamp::from_microsecond(event.occurred_at).ok()?,
        livemode: event.livemode,
        tenant: TenantId(event.tenant_id),
        data: &event.body,
    };
    let style = if style == "keylight" { EventStyle::Keylight } else { EventStyle::Standard };
    let document: serde_json::Value = serde_json::from_str(&envelope.body(style, None).ok()?).ok()?;
    serde_json::to_string_pretty(&document).ok()
}

fn redelivering(place: &Place<Configure>, row: &Delivery) -> Question {
    let back = place.at(&format!("deliveries/{}", DeliveryId(row.id)));
    Question::new("Deliver it once more", "Redeliver", back)
        .says("The same event goes out with the same id and body: a receiver that had it already can tell.")
        .asks(Field::reason())
}

/// `GET …/deliveries/{id}/redeliver`.
pub(crate) async fn redeliver_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let row = delivery(&web, &place, &id).await?;
    redelivering(&place, &row).page(&web, &place, "deliveries", None).await
}

/// `POST …/deliveries/{id}/redeliver`.
pub(crate) async fn redeliver(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = delivery(&web, &place, &id).await?;
    match web.engine.redeliver(place.whose(), DeliveryId(row.id), &place.by(sent.get("note"))).await {
        Ok(row) => Ok(see_other(&place.at(&format!("deliveries/{}?said=sent", DeliveryId(row.id))))),
        Err(error) => redelivering(&place, &row).page(&web, &place, "deliveries", Some(of_webhook(error)?)).await,
    }
}
