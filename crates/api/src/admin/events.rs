//! What happened here, as it is told to vendors' own systems.

use axum::{Json, extract::State};
use crypto::key::LicenseKey;
use domain::{
    event::{Envelope, EventKind, EventStyle},
    id::{CustomerId, EventId, LicenseId, OrderId, TenantId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{events::EventFilter, rows::Event};
use utoipa::{IntoParams, ToSchema};

use super::instant;
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::{Code, Problem, sentence},
    read::Id,
};

/// An event, as addresses of the standard style are told of it, but for the license key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventDocument {
    #[schema(example = "evt_01kag0000000000000000000000")]
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "license.renewed")]
    kind: String,
    /// The version of this document.
    version: String,
    /// When it happened.
    timestamp: Timestamp,
    livemode: bool,
    tenant: String,
    /// What it tells.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl Listable for EventDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl EventDocument {
    fn new(row: &Event, key: Option<&LicenseKey>) -> Result<Self, Problem> {
        let unreadable = |problem: String| {
            tracing::error!(event = %EventId(row.id), problem, "an event does not read");
            Problem::new(Code::Internal, "The fault is logged under this request's id.")
        };
        let envelope = Envelope {
            id: EventId(row.id),
            kind: row.kind.parse().map_err(|unknown: domain::event::EventKindError| unreadable(unknown.to_string()))?,
            occurred_at: instant(row.occurred_at),
            livemode: row.livemode,
            tenant: TenantId(row.tenant_id),
            data: &row.body,
        };
        let told = envelope
            .body(EventStyle::Standard, key.map(LicenseKey::reveal))
            .and_then(|body| serde_json::from_str(&body));
        told.map_err(|error| unreadable(error.to_string()))
    }
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// Of this kind.
    #[param(example = "license.renewed")]
    kind: Option<String>,
    /// About this license.
    #[param(value_type = Option<String>)]
    license: Option<LicenseId>,
    /// About this order.
    #[param(value_type = Option<String>)]
    order: Option<OrderId>,
    /// About this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Whether `license.created` gives the key away, as it does where it is delivered. Only a test key may ask for it.
    #[serde(default)]
    keys: bool,
}

/// Lists what happened.
#[utoipa::path(get, path = "/v1/events", tag = "webhooks", operation_id = "list_events",
    params(PageParams, EventParams), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = List<EventDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    listing: Listing<EventId, EventParams>,
) -> Result<Json<List<EventDocument>>, Problem> {
    let EventParams { kind, license, order, customer, keys } = listing.filter;
    if keys && caller.identity.livemode {
        let detail = "A live license key is in no list; it is in `license.created` where that is delivered.";
        return Err(Problem::new(Code::Forbidden, detail).of("keys"));
    }
    if let Some(Err(unknown)) = kind.as_deref().map(str::parse::<EventKind>) {
        return Err(Problem::invalid(sentence(&unknown)).of("kind"));
    }
    let filter = EventFilter { kind, license, order, customer };
    let listed = api.engine.store.list_events(caller.whose(), &filter, listing.page).await?;
    let mut rows = Vec::with_capacity(listed.rows.len());
    for row in &listed.rows {
        let gives = row.license_id.filter(|_| keys && row.kind == EventKind::LicenseCreated.as_str());
        let key = match gives {
            Some(license) => api.engine.reveal(TenantId(row.tenant_id), LicenseId(license)).await?,
            None => None,
        };
        rows.push(EventDocument::new(row, key.as_ref())?);
    }
    Ok(Json(List::new(store::lists::Listed { rows, has_more: listed.has_more }, listing.page)))
}

/// Shows what happened.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "webhooks", operation_id = "get_event",
    params(("id" = String, Path)), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = EventDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    Id(id): Id<EventId>,
) -> Result<Json<EventDocument>, Problem> {
    let row = api.engine.store.event(caller.whose(), id).await?.ok_or_else(|| Problem::not_found(id))?;
    EventDocument::new(&row, None).map(Json)
}
