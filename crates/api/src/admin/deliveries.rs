//! Events on their way to vendors' own addresses, and how they are delivered once more.

use axum::{Json, extract::State, http::StatusCode};
use domain::id::{DeliveryId, EventId, LicenseId, RecoveryId, WebhookEndpointId};
use engine::webhooks::{PER_SECOND, Recover};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    deliveries::DeliveryFilter,
    lists::Whose,
    rows::{Delivery, DeliveryAttempt, Recovery},
};
use utoipa::{IntoParams, ToSchema};

use super::{NoteBody, instant, note, webhook_endpoints::endpoint, word};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::{Body, Id, MaybeBody},
};

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    /// It is tried until it arrives or is given up.
    Pending,
    /// It arrived.
    Delivered,
    /// Its address is not called at present. A person releases it.
    Held,
    /// It was given up.
    Dead,
}

/// One event on its way to one address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryDocument {
    #[schema(example = "whd_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    endpoint: String,
    event: String,
    license: Option<String>,
    #[schema(value_type = DeliveryStatus)]
    status: String,
    /// Tries so far, of those that its schedule allows.
    attempts: i32,
    next_attempt_at: Option<Timestamp>,
    /// The status that was answered last; none: nobody answered.
    last_status: Option<i32>,
    /// Why it did not arrive the last time.
    error: Option<String>,
    created_at: Timestamp,
    /// When it arrived, or was given up.
    done_at: Option<Timestamp>,
}

impl Listable for DeliveryDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl DeliveryDocument {
    pub(super) fn new(row: Delivery, whose: Whose) -> Self {
        Self {
            id: DeliveryId(row.id).to_string(),
            livemode: whose.livemode,
            endpoint: WebhookEndpointId(row.endpoint_id).to_string(),
            event: EventId(row.event_id).to_string(),
            license: row.license_id.map(|id| LicenseId(id).to_string()),
            status: row.status,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(instant),
            last_status: row.last_status,
            error: row.error,
            created_at: instant(row.created_at),
            done_at: row.done_at.map(instant),
        }
    }
}

/// One try to deliver, and what was answered. License keys are masked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(crate) struct AttemptDocument {
    /// Why it was tried: `event`, `manual`, `recovery` or `example`.
    cause: String,
    began_at: Timestamp,
    duration_ms: i64,
    /// The status that was answered; none: nobody answered.
    status: Option<i32>,
    /// Why nobody did.
    error: Option<String>,
    /// The answer's headers, a line each.
    headers: Option<String>,
    /// What was answered, 16 KiB at most.
    answer: Option<String>,
    /// Whether there was more.
    truncated: bool,
}

impl From<DeliveryAttempt> for AttemptDocument {
    fn from(row: DeliveryAttempt) -> Self {
        Self {
            cause: row.cause,
            began_at: instant(row.began_at),
            duration_ms: row.duration_micros / 1_000,
            status: row.status,
            error: row.error,
            headers: row.headers,
            answer: row.answer,
            truncated: row.truncated,
        }
    }
}

/// A delivery with all its tries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryDocument,
    /// Its tries, the latest first.
    attempt_log: Vec<AttemptDocument>,
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryParams {
    /// To this address.
    #[param(value_type = Option<String>)]
    endpoint: Option<WebhookEndpointId>,
    /// Of this event.
    #[param(value_type = Option<String>)]
    event: Option<EventId>,
    /// That have come so far.
    #[param(inline)]
    status: Option<DeliveryStatus>,
}

/// Lists deliveries.
#[utoipa::path(get, path = "/v1/deliveries", tag = "webhooks", operation_id = "list_deliveries",
    params(PageParams, DeliveryParams), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = List<DeliveryDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    listing: Listing<DeliveryId, DeliveryParams>,
) -> Result<Json<List<DeliveryDocument>>, Problem> {
    let whose = caller.whose();
    let DeliveryParams { endpoint, event, status } = listing.filter;
    let filter =
        DeliveryFilter { endpoint, event, status: status.map(|status| word(&status)), ..DeliveryFilter::default() };
    let listed = api.engine.store.list_deliveries(whose, &filter, listing.page).await?;
    Ok(Json(List::new(listed.map(|row| DeliveryDocument::new(row, whose)), listing.page)))
}

/// Shows a delivery with all its tries.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "webhooks", operation_id = "get_delivery",
    params(("id" = String, Path)), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = DeliveryDetail)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let whose = caller.whose();
    let row = api.engine.store.delivery(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let attempts = api.engine.store.attempts(id).await?;
    let attempt_log = attempts.into_iter().map(AttemptDocument::from).collect();
    Ok(Json(DeliveryDetail { delivery: DeliveryDocument::new(row, whose), attempt_log }))
}

/// Delivers an event once more, with the same id and body. One that is still tried is tried now, and stays on its schedule
/// if that fails; any other has all its tries again.
#[utoipa::path(post, path = "/v1/deliveries/{id}/redeliver", tag = "webhooks", operation_id = "redeliver",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["webhook:write"])),
    responses((status = 200, body = DeliveryDocument)))]
pub(crate) async fn redeliver(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<DeliveryId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<DeliveryDocument>, Problem> {
    let whose = caller.whose();
    let row = api.engine.redeliver(whose, id, &caller.by(note(body.note)?)).await?;
    Ok(Json(DeliveryDocument::new(row, whose)))
}

/// How far a recovery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecoveryStatus)]
pub(crate) enum RecoveryStatus {
    /// It goes on.
    Running,
    /// All is queued.
    Done,
    /// A person has stopped it.
    Cancelled,
}

/// All of a stretch of time once more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recovery)]
pub(crate) struct RecoveryDocument {
    #[schema(example = "rec_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    endpoint: String,
    since: Timestamp,
    until: Timestamp,
    /// Whether what had arrived is delivered again, too.
    everything: bool,
    per_second: i32,
    /// How many events happened in that stretch, whether the endpoint wants them or not.
    events: i64,
    /// At how many of them it has looked so far.
    examined: i64,
    /// Until which moment it has come.
    examined_until: Timestamp,
    /// How many deliveries it has queued so far.
    queued: i64,
    /// When the next one goes out.
    next_at: Timestamp,
    #[schema(value_type = RecoveryStatus)]
    status: String,
    created_at: Timestamp,
    done_at: Option<Timestamp>,
}

impl Listable for RecoveryDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl RecoveryDocument {
    fn new(row: Recovery, whose: Whose) -> Self {
        Self {
            id: RecoveryId(row.id).to_string(),
            livemode: whose.livemode,
            endpoint: WebhookEndpointId(row.endpoint_id).to_string(),
            since: instant(row.since),
            until: instant(row.until),
            everything: row.everything,
            per_second: row.per_second,
            events: row.events,
            examined: row.examined,
            examined_until: engine::webhooks::examined_until(&row),
            queued: row.queued,
            next_at: instant(row.next_at),
            status: row.status,
            created_at: instant(row.created_at),
            done_at: row.done_at.map(instant),
        }
    }
}

/// What is to be delivered once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecoveryStart)]
pub(crate) struct RecoveryBody {
    /// What happened from then on.
    since: Timestamp,
    /// And before then. Unless given: until now.
    #[serde(default)]
    until: Option<Timestamp>,
    /// Whether what has arrived is delivered again, too.
    #[serde(default)]
    everything: bool,
    /// How many events a second. Unless given: 50.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    per_second: Option<u16>,
    /// For the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Delivers what happened in a stretch of time and did not arrive: what was given up, held, or never written. It goes on in
/// the background, and shows how far it has come.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/recover", tag = "webhooks",
    operation_id = "recover_webhook_endpoint", params(("id" = String, Path)), request_body = RecoveryBody,
    security(("api_key" = ["webhook:write"])), responses((status = 201, body = RecoveryDocument)))]
pub(crate) async fn recover(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    Body(body): Body<RecoveryBody>,
) -> Result<(StatusCode, Json<RecoveryDocument>), Problem> {
    let RecoveryBody { since, until, everything, per_second, note: reason } = body;
    let asked = Recover { since, until, everything, per_second: per_second.unwrap_or(PER_SECOND) };
    let whose = caller.whose();
    let row = api.engine.recover(whose, id, asked, &caller.by(note(reason)?)).await?;
    Ok((StatusCode::CREATED, Json(RecoveryDocument::new(row, whose))))
}

/// Lists the recoveries of an address.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}/recoveries", tag = "webhooks", operation_id = "list_recoveries",
    params(("id" = String, Path), PageParams), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = List<RecoveryDocument>)))]
pub(crate) async fn recoveries(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    Id(id): Id<WebhookEndpointId>,
    listing: Listing<RecoveryId>,
) -> Result<Json<List<RecoveryDocument>>, Problem> {
    let whose = caller.whose();
    endpoint(&api, whose, id).await?;
    let rows = api.engine.store.recoveries(id).await?;
    let listed = listing.page.of(rows, |row| row.id).map(|row| RecoveryDocument::new(row, whose));
    Ok(Json(List::new(listed, listing.page)))
}

/// Stops a recovery. What it has queued is delivered. One that is over stays as it is.
#[utoipa::path(post, path = "/v1/recoveries/{id}/cancel", tag = "webhooks", operation_id = "cancel_recovery",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["webhook:write"])),
    responses((status = 200, body = RecoveryDocument)))]
pub(crate) async fn cancel(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<RecoveryId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<RecoveryDocument>, Problem> {
    let whose = caller.whose();
    let row = api.engine.cancel_recovery(whose, id, &caller.by(note(body.note)?)).await?;
    Ok(Json(RecoveryDocument::new(row, whose)))
}
