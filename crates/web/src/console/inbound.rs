//! What providers delivered, and what each event did.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    id::{ConnectionId, InboundId},
    member::Ability,
};
use engine::{connections::Connection, inbound::Trace};
use jiff::Timestamp;
use store::{
    inbox::status,
    lists::{InboundFilter, InboundSummary},
    rows::InboundEvent,
};

use super::{
    attention::{Item, item},
    entries::{Entry, People, entries, what},
    list::{Asked, Pager},
    place::{Place, to::Look},
    refusal::Refusal,
    sale::{Said, said},
    shell::{Shell, page},
    words::{Pill, When, progress},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/inbound_events.html")]
struct InboundEventsPage {
    shell: Shell,
    path: String,
    events: Vec<Row>,
    pager: Pager,
    statuses: Vec<(&'static str, bool)>,
    /// Id, name, whether it is chosen.
    connections: Vec<(String, String, bool)>,
    kind: String,
    is_filtered: bool,
}

/// An event in a list.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) pill: Pill,
    pub(crate) connection: String,
    pub(crate) key: String,
    pub(crate) error: Option<String>,
    pub(crate) received: When,
}

/// Events as rows of a list.
pub(crate) async fn rows<A>(
    web: &Web,
    place: &Place<A>,
    events: Vec<InboundSummary>,
    now: Timestamp,
) -> Result<Vec<Row>, Refusal> {
    let connections = web.engine.connections().await?;
    let row = |row: InboundSummary| Row {
        path: place.at(&format!("inbound/{}", InboundId(row.id))),
        pill: progress(&row.status),
        connection: connection_name(&connections, ConnectionId(row.connection_id)),
        received: When::stored(row.received_at, now),
        error: row.error.filter(|_| row.status != status::DONE),
        kind: row.kind,
        key: row.event_key,
    };
    Ok(events.into_iter().map(row).collect())
}

/// What a connection is called; its id, if it is gone.
pub(crate) fn connection_name(connections: &[Arc<Connection>], id: ConnectionId) -> String {
    let known = engine::connections::find(connections, id);
    known.map_or_else(|| id.to_string(), |connection| connection.code.clone())
}

/// `GET …/inbound`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let statuses = [status::RECEIVED, status::WAITING, status::READY, status::DONE, status::HELD];
    let (status, kind) = (asked.get("status"), asked.get("kind"));
    let filter = InboundFilter {
        status: statuses.contains(&status).then(|| status.to_owned()),
        kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        connection: asked.get("connection").parse().ok(),
    };
    let at = asked.page::<InboundId>()?;
    let shell = Shell::live(&web, &place, "inbound", "Inbound events").await?;
    let examined = web.engine.store.examine_inbound(place.whose(), &filter, at).await?;
    let kept = asked.kept(&["status", "kind", "connection"]);
    let path = place.at("inbound");
    let pager = Pager::examined(&examined, at, &path, &kept, |row| row.id, |id| InboundId(id).to_string());
    let whose = place.whose();
    let connections = web.engine.connections().await?;
    let here = connections.iter().filter(|row| row.tenant == whose.tenant && row.mode.is_live() == whose.livemode);
    let connections = here.map(|row| {
        let is_chosen = filter.connection == Some(row.id);
        (row.id.to_string(), row.code.clone(), is_chosen)
    });
    page(&InboundEventsPage {
        shell,
        connections: connections.collect(),
        events: rows(&web, &place, examined.listed.rows, now).await?,
        pager,
        path,
        statuses: statuses.map(|word| (word, word == status)).to_vec(),
        is_filtered: !kept.is_empty(),
        kind: kind.to_owned(),
    })
}

#[derive(Template)]
#[template(path = "console/inbound_event.html")]
struct InboundEventPage {
    shell: Shell,
    path: String,
    id: String,
    kind: String,
    pill: Pill,
    sentence: String,
    facts: Vec<(&'static str, String)>,
    body: String,
    asks: Vec<String>,
    answers: Vec<LookUp>,
    said: Vec<Said>,
    /// Address and id.
    orders: Vec<(String, String)>,
    changes: Vec<Entry>,
    attention: Vec<Item>,
    may_replay: bool,
}

/// What was asked of the provider, without the answer's content: that is the provider's, and may hold secrets.
struct LookUp {
    path: String,
    status: u16,
    bytes: usize,
    asked: When,
}

/// `GET …/inbound/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let event = event(&web, &place, &id).await?;
    let trace = web.engine.trace(&event).await?;
    let body = web.engine.shown_body(&event).await?;
    let connections = web.engine.connections().await?;
    let connection = engine::connections::find(&connections, ConnectionId(event.connection_id));
    let people = People::of(&web, &place).await?;
    let path = place.at(&format!("inbound/{}", InboundId(event.id)));
    page(&InboundEventPage {
        shell: Shell::new(&web, &place, "inbound", format!("{} · Inbound event", event.kind)).await?,
        id: InboundId(event.id).to_string(),
        pill: progress(&event.status),
        sentence: sentence(&event, &trace, connection.map_or("the provider", |known| known.provider.info().name), now),
        facts: facts(&event, connection_name(&connections, ConnectionId(event.connection_id)), now),
        body: match &body {
            serde_json::Value::String(text) => text.clone(),
            body => serde_json::to_string_pretty(body).unwrap_or_default(),
        },
        asks: trace.asks.into_iter().map(|request| request.path).collect(),
        answers: trace
            .answers
            .into_iter()
            .map(|answer| LookUp {
                path: answer.request.path,
                status: answer.status,
                bytes: answer.body.len(),
                asked: When::new(answer.asked_at, now),
            })
            .collect(),
        said: trace.facts.iter().map(said).collect(),
        orders: trace.orders.iter().map(|id| (place.at(&format!("orders/{id}")), id.to_string())).collect(),
        changes: entries(&place, &people, trace.changes, now),
        attention: trace.attention.into_iter().map(|row| item(&place, row, now).on(&path)).collect(),
        may_replay: place.role.may(Ability::Configure),
        kind: event.kind,
        path,
    })
}

/// An event of this vendor in this mode.
pub(crate) async fn event<A>(web: &Web, place: &Place<A>, id: &str) -> Result<InboundEvent, Refusal> {
    let id: InboundId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.inbound_event(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

/// What an event did, in one sentence.
fn sentence(event: &InboundEvent, trace: &Trace, provider: &str, now: Timestamp) -> String {
    let error = || event.error.clone().unwrap_or_else(|| "nobody wrote down why".to_owned());
    match event.status.as_str() {
        status::RECEIVED => "It was received, and is worked on in a moment.".to_owned(),
        status::READY => "All that it lacked was looked up; it is worked on in a moment.".to_owned(),
        status::WAITING => {
            let next = event.next_attempt_at.map(|at| format!("; next try {}", When::stored(at, now)));
            let failed = event.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            format!("It waits for an answer of {provider}{failed}{}.", next.unwrap_or_default())
        }
        status::HELD => format!("It is held: {}.", error().trim_end_matches('.')),
        _ if trace.facts.is_empty() => {
            "It said nothing that licenses depend on, so nothing follows from it.".to_owned()
        }
        _ if trace.changes.is_empty() => {
            "It told what was known already, or what gives nothing yet: no license changed.".to_owned()
        }
        _ => {
            let mut changes: Vec<String> = trace.changes.iter().map(|row| what(&row.action).to_lowercase()).collect();
            changes.dedup();
            format!("It was understood, and this followed: {}.", changes.join(", "))
        }
    }
}

fn facts(event: &InboundEvent, connection: String, now: Timestamp) -> Vec<(&'static str, String)> {
    let when = |at: i64| {
        let when = When::stored(at, now);
        format!("{} ({when})", when.full())
    };
    let account = event.account.clone().map(|account| ("Account", account));
    let mut facts = vec![("Connection", connection), ("Id at the provider", event.event_key.clone())];
    facts.extend(account);
    facts.extend(event.occurred_at.map(|at| ("Happened", when(at))));
    facts.push(("Received", when(event.received_at)));
    if event.caught_up {
        facts.push(("Came by", "the provider's list of events, not by its webhook".to_owned()));
    }
    facts.extend(event.done_at.map(|at| ("Done", when(at))));
    if event.attempts > 0 {
        facts.push(("Tries to look up", event.attempts.to_string()));
    }
    facts
}
