//! What a vendor's own systems can be told, who is told it, and how it arrives.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use domain::{
    event::{EVENT_VERSION, Envelope, EventKind, EventStyle, WantedKinds, sample},
    id::{EventId, WebhookEndpointId},
    member::Ability,
};
use store::{rows::WebhookEndpoint, webhook_endpoints::status};
use uuid::Uuid;

use super::{
    developers::{
        reference::{Row, rows_of},
        tabs,
    },
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    tabs::Tab,
};
use crate::Web;

const SECTION: &str = "settings/webhooks/events";

/// The pages of the catalogue.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/webhooks/events", get(list))
        .route("/console/{tenant}/{mode}/settings/webhooks/events/{kind}", get(show))
}

#[derive(Template)]
#[template(path = "console/event_kinds.html")]
struct KindsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    webhooks: String,
    groups: Vec<Group>,
}

/// Events about one thing.
struct Group {
    name: &'static str,
    kinds: Vec<Kind>,
}

struct Kind {
    path: String,
    word: &'static str,
    meaning: &'static str,
    /// The addresses that are told of it.
    listeners: Vec<String>,
}

/// The addresses of this mode.
async fn endpoints(web: &Web, place: &Place<Look>) -> Result<Vec<WebhookEndpoint>, Refusal> {
    let mut rows = web.engine.store.webhook_endpoints(place.whose().tenant).await?;
    rows.retain(|row| row.livemode == place.livemode);
    Ok(rows)
}

fn wants(row: &WebhookEndpoint, kind: EventKind) -> bool {
    WantedKinds::stored(&row.kinds).has(kind)
}

/// `GET …/settings/webhooks/events`.
async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let endpoints = endpoints(&web, &place).await?;
    let kind = |kind: &EventKind| Kind {
        path: place.at(&format!("{SECTION}/{}", kind.as_str())),
        word: kind.as_str(),
        meaning: kind.meaning().trim(),
        listeners: endpoints.iter().filter(|row| wants(row, *kind)).map(|row| row.code.clone()).collect(),
    };
    let group = |(name, about): (&'static str, &str)| Group {
        name,
        kinds: EventKind::ALL.iter().filter(|kind| kind.as_str().starts_with(about)).map(kind).collect(),
    };
    page(&KindsPage {
        shell: Shell::new(&web, &place, SECTION, "Event catalogue").await?,
        tabs: tabs(&place, SECTION),
        webhooks: place.at("settings/webhooks"),
        groups: [("Licenses", "license."), ("Orders", "order."), ("Customers", "customer.")].map(group).into(),
    })
}

#[derive(Template)]
#[template(path = "console/event_kind.html")]
struct KindPage {
    shell: Shell,
    catalogue: String,
    webhooks: String,
    kind: &'static str,
    meaning: &'static str,
    version: &'static str,
    has_key: bool,
    is_activity: bool,
    fields: Vec<Row>,
    example: String,
    other_style: String,
    listeners: Vec<Listener>,
    deliveries: String,
}

/// An address that is told of it.
struct Listener {
    code: String,
    url: String,
    /// Where an example is sent from; none: it is not called at present, or the member may not.
    send: Option<String>,
}

/// `GET …/settings/webhooks/events/{kind}`.
async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, word)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let kind: EventKind = word.parse().map_err(|_| Refusal::NotFound)?;
    let may_configure = place.role.may(Ability::Configure);
    let listener = |row: WebhookEndpoint| {
        let path = format!("settings/webhooks/{}/example?event={}", WebhookEndpointId(row.id), kind.as_str());
        let is_called = row.status == status::ENABLED;
        Listener { send: (is_called && may_configure).then(|| place.at(&path)), code: row.code, url: row.url }
    };
    let listeners = endpoints(&web, &place).await?.into_iter().filter(|row| wants(row, kind)).map(listener);
    let example = told(&web, &place, kind, EventStyle::Standard)?;
    page(&KindPage {
        shell: Shell::new(&web, &place, SECTION, kind.as_str()).await?,
        catalogue: place.at(SECTION),
        webhooks: place.at("settings/webhooks"),
        kind: kind.as_str(),
        meaning: kind.meaning().trim(),
        version: EVENT_VERSION,
        has_key: kind == EventKind::LicenseCreated,
        is_activity: kind.is_activity(),
        fields: rows_of(&example),
        example: pretty(&example),
        other_style: pretty(&told(&web, &place, kind, EventStyle::Keylight)?),
        listeners: listeners.collect(),
        deliveries: place.at(&format!("deliveries?kind={}", kind.as_str())),
    })
}

/// The book's example of a kind, as this vendor would be told it now.
fn told(web: &Web, place: &Place<Look>, kind: EventKind, style: EventStyle) -> Result<serde_json::Value, Refusal> {
    let unreadable = |error: serde_json::Error| Refusal::Failed(error.to_string());
    let data = serde_json::to_string(&sample(kind)).map_err(unreadable)?;
    let envelope = Envelope {
        id: EventId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0007)),
        kind,
        occurred_at: web.engine.now(),
        livemode: place.livemode,
        tenant: place.whose().tenant,
        data: &data,
    };
    let body = envelope.body(style, None).map_err(unreadable)?;
    serde_json::from_str(&body).map_err(unreadable)
}

fn pretty(document: &serde_json::Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}
