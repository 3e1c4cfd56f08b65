//! Vendors' own addresses to which events go.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use domain::{
    event::{EventKind, EventStyle, WantedKinds},
    id::WebhookEndpointId,
    retry::Schedule,
};
use engine::{
    configuration::{Existing, WebhookEndpointInput},
    webhooks::{OVERLAP_HOURS, WebhookError},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{lists::Whose, rows::WebhookEndpoint};
use utoipa::ToSchema;

use super::{NoteBody, connections::SecretText, deliveries::DeliveryDocument, instant, note};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::{Code, Problem, sentence},
    read::{Body, Id, MaybeBody, SecretBody},
};

words! {
    /// The form in which events are told.
    StyleWord as WebhookStyle of EventStyle {
        /// Ours, signed as Standard Webhooks says.
        Standard,
        /// Ten fields, signed in `X-Keylight-Signature`.
        Keylight,
    }
}

words! {
    /// How long a delivery is tried.
    ScheduleWord as WebhookSchedule of Schedule {
        /// Ten times in three days.
        Standard,
        /// Four times: at once, and after 1, 5 and 30 minutes.
        Short,
    }
}

/// Whether an address is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookEndpointStatus)]
pub(crate) enum EndpointStatus {
    /// It is.
    Enabled,
    /// A person has stopped it: its events are held.
    Paused,
    /// We have stopped it, for `reason`: its events are held.
    Disabled,
}

/// An address to which events go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(crate) struct EndpointDocument {
    #[schema(example = "whe_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    #[schema(example = "crm")]
    code: String,
    url: String,
    /// The kinds of events that it is told of; none named: all.
    events: Vec<String>,
    #[schema(value_type = StyleWord)]
    style: String,
    #[schema(value_type = ScheduleWord)]
    schedule: String,
    /// Whether the events of a license come one after the other.
    ordered: bool,
    /// The names of the headers that go along. Their values are never shown.
    headers: Vec<String>,
    #[schema(value_type = EndpointStatus)]
    status: String,
    /// Why we have stopped it, or why it cannot be called.
    reason: Option<String>,
    /// Since when nothing has arrived there. After four days somebody is told, and a day later it is not called any more.
    failing_since: Option<Timestamp>,
    created_at: Timestamp,
}

impl Listable for EndpointDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl EndpointDocument {
    /// One whose secrets do not open is shown and removed as any other: without its headers, and with the reason.
    fn new(row: WebhookEndpoint, api: &Api) -> Self {
        let events = WantedKinds::stored(&row.kinds).into_words().collect();
        let (headers, unopened) = match api.engine.webhook_header_names(&row) {
            Ok(names) => (names, None),
            Err(problem) => (Vec::new(), Some(format!("it cannot be called: {problem}"))),
        };
        Self {
            id: WebhookEndpointId(row.id).to_string(),
            livemode: row.livemode,
            headers,
            code: row.code,
            url: row.url,
            events,
            style: row.style,
            schedule: row.schedule,
            ordered: row.ordered,
            status: row.status,
            reason: row.reason.or(unopened),
            failing_since: row.failing_since.map(instant),
            created_at: instant(row.created_at),
        }
    }
}

/// An address with the secret that was made for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpointWithSecret)]
pub(crate) struct EndpointWithSecret {
    #[serde(flatten)]
    endpoint: EndpointDocument,
    /// What signs. It is shown this once. None: the one that was given.
    #[schema(example = "whsec_…")]
    secret: Option<String>,
}

/// A new address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub(crate) struct EndpointBody {
    /// The vendor's name for it: letters a-z, digits, `-`.
    #[schema(max_length = 40, example = "crm")]
    code: String,
    /// Where events go: https, and no private address.
    #[schema(max_length = 2048, example = "https://example.com/hooks")]
    url: String,
    /// The kinds of events that it is told of; none named: all.
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    style: Option<StyleWord>,
    #[serde(default)]
    schedule: Option<ScheduleWord>,
    /// Whether the events of a license come one after the other.
    #[serde(default)]
    ordered: bool,
    /// Headers that go along, 20 at most. They are sealed and their values never shown.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    headers: BTreeMap<String, SecretText>,
    /// What signs: `whsec_` and 24 to 64 bytes in base64. Unless given, one is made.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<SecretText>,
}

/// What is to change of an address. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange)]
pub(crate) struct EndpointChange {
    #[serde(default)]
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// The kinds of events that it is told of from now on; none named: all.
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    style: Option<StyleWord>,
    #[serde(default)]
    schedule: Option<ScheduleWord>,
    #[serde(default)]
    ordered: Option<bool>,
    /// All headers that go along.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    headers: Option<BTreeMap<String, SecretText>>,
}

fn kinds(words: &[String]) -> Result<WantedKinds, Problem> {
    let read =
        |word: &String| word.parse::<EventKind>().map_err(|unknown| Problem::invalid(sentence(&unknown)).of("events"));
    words.iter().map(read).collect()
}

fn given(headers: BTreeMap<String, SecretText>) -> Vec<(String, secrecy::SecretString)> {
    headers.into_iter().map(|(name, value)| (name, value.0)).collect()
}

fn secret(text: &SecretText) -> Result<crypto::webhook::WebhookSecret, Problem> {
    use secrecy::ExposeSecret;
    crypto::webhook::WebhookSecret::parse(text.0.expose_secret())
        .map_err(|error| Problem::invalid(sentence(&error)).of("secret"))
}

/// Lists addresses to which events go.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "list_webhook_endpoints",
    params(PageParams), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = List<EndpointDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    listing: Listing<WebhookEndpointId>,
) -> Result<Json<List<EndpointDocument>>, Problem> {
    let whose = caller.whose();
    let mut rows = api.engine.store.webhook_endpoints(whose.tenant).await?;
    rows.retain(|row| row.livemode == whose.livemode);
    let listed = listing.page.of(rows, |row| row.id);
    let rows = listed.rows.into_iter().map(|row| EndpointDocument::new(row, &api)).collect();
    Ok(Json(List::new(store::lists::Listed { rows, has_more: listed.has_more }, listing.page)))
}

/// Makes an address to which events go from now on. Its secret is in the answer, and shown never again.
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "create_webhook_endpoint",
    request_body = EndpointBody, security(("api_key" = ["webhook:write"])),
    responses((status = 201, body = EndpointWithSecret)))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    SecretBody(body): SecretBody<EndpointBody>,
) -> Result<(StatusCode, Json<EndpointWithSecret>), Problem> {
    let whose = caller.whose();
    let input = WebhookEndpointInput {
        code: body.code.clone(),
        is_live: whose.livemode,
        url: Some(body.url),
        events: Some(kinds(&body.events)?),
        style: body.style.map(EventStyle::from),
        schedule: body.schedule.map(Schedule::from),
        is_ordered: Some(body.ordered),
        headers: Some(given(body.headers)),
        secret: body.secret.as_ref().map(secret).transpose()?,
    };
    let actor = caller.identity.actor();
    let change = api.engine.save_webhook_endpoint(whose.tenant, input, Existing::New, &actor).await?;
    let rows = api.engine.store.webhook_endpoints(whose.tenant).await?;
    let row = rows.into_iter().find(|row| row.code == body.code).ok_or_else(|| Problem::not_found(&body.code))?;
    let secret = change.secret.map(|secret| secret.reveal().to_owned());
    Ok((StatusCode::CREATED, Json(EndpointWithSecret { endpoint: EndpointDocument::new(row, &api), secret })))
}

/// The address, if the caller has one of that id.
pub(super) async fn endpoint(api: &Api, whose: Whose, id: WebhookEndpointId) -> Result<WebhookEndpoint, Problem> {
    api.engine.store.webhook_endpoint(whose, id).await?.ok_or_else(|| Problem::not_found(id))
}

/// Shows an address.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "get_webhook_endpoint",
    params(("id" = String, Path)), security(("api_key" = ["webhook:read"])),
    responses((status = 200, body = EndpointDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookRead>,
    Id(id): Id<WebhookEndpointId>,
) -> Result<Json<EndpointDocument>, Problem> {
    Ok(Json(EndpointDocument::new(endpoint(&api, caller.whose(), id).await?, &api)))
}

/// Changes an address.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "change_webhook_endpoint",
    params(("id" = String, Path)), request_body = EndpointChange, security(("api_key" = ["webhook:write"])),
    responses((status = 200, body = EndpointDocument)))]
pub(crate) async fn change(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    SecretBody(body): SecretBody<EndpointChange>,
) -> Result<Json<EndpointDocument>, Problem> {
    let whose = caller.whose();
    let row = endpoint(&api, whose, id).await?;
    let input = WebhookEndpointInput {
        code: row.code,
        is_live: whose.livemode,
        url: body.url,
        events: body.events.as_deref().map(kinds).transpose()?,
        style: body.style.map(EventStyle::from),
        schedule: body.schedule.map(Schedule::from),
        is_ordered: body.ordered,
        headers: body.headers.map(given),
        secret: None,
    };
    api.engine.save_webhook_endpoint(whose.tenant, input, Existing::There, &caller.identity.actor()).await?;
    Ok(Json(EndpointDocument::new(endpoint(&api, whose, id).await?, &api)))
}

/// Removes an address, with all that is known of its deliveries. What was to go there does not go any more.
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "remove_webhook_endpoint",
    params(("id" = String, Path)), security(("api_key" = ["webhook:write"])),
    responses((status = 200, body = EndpointDocument)))]
pub(crate) async fn remove(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
) -> Result<Json<EndpointDocument>, Problem> {
    let whose = caller.whose();
    let document = EndpointDocument::new(endpoint(&api, whose, id).await?, &api);
    api.engine.remove_webhook_endpoint(whose.tenant, id, &caller.identity.actor()).await?;
    Ok(Json(document))
}

/// How a secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretRotation)]
pub(crate) struct RotationBody {
    /// Hours for which the secret before signs on beside the new one; none: 24.
    #[serde(default)]
    #[schema(maximum = 168)]
    overlap_hours: Option<u16>,
    /// For the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Makes a new secret, which is in the answer and shown never again. The one before signs on beside it for a while, so that
/// a receiver that knows either believes the call.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks",
    operation_id = "rotate_webhook_endpoint_secret", params(("id" = String, Path)),
    request_body = Option<RotationBody>, security(("api_key" = ["webhook:write"])),
    responses((status = 200, body = EndpointWithSecret)))]
pub(crate) async fn rotate_secret(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    MaybeBody(body): MaybeBody<RotationBody>,
) -> Result<Json<EndpointWithSecret>, Problem> {
    let hours = body.overlap_hours.unwrap_or(OVERLAP_HOURS);
    let by = caller.by(note(body.note)?);
    let (row, secret) = api.engine.rotate_webhook_secret(caller.whose(), id, hours, &by).await?;
    let endpoint = EndpointDocument::new(row, &api);
    Ok(Json(EndpointWithSecret { endpoint, secret: Some(secret.reveal().to_owned()) }))
}

/// Stops calling an address. Its events are held until somebody releases them. Doing it twice changes nothing.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/pause", tag = "webhooks",
    operation_id = "pause_webhook_endpoint", params(("id" = String, Path)), request_body = Option<NoteBody>,
    security(("api_key" = ["webhook:write"])), responses((status = 200, body = EndpointDocument)))]
pub(crate) async fn pause(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<EndpointDocument>, Problem> {
    let by = caller.by(note(body.note)?);
    let row = api.engine.pause_webhook_endpoint(caller.whose(), id, &by).await?;
    Ok(Json(EndpointDocument::new(row, &api)))
}

/// How an address is called again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnableWebhookEndpoint)]
pub(crate) struct EnableBody {
    /// Whether what was held for it is delivered at once.
    #[serde(default)]
    release: bool,
    /// For the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Calls an address again, whoever stopped it.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/enable", tag = "webhooks",
    operation_id = "enable_webhook_endpoint", params(("id" = String, Path)), request_body = Option<EnableBody>,
    security(("api_key" = ["webhook:write"])), responses((status = 200, body = EndpointDocument)))]
pub(crate) async fn enable(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    MaybeBody(body): MaybeBody<EnableBody>,
) -> Result<Json<EndpointDocument>, Problem> {
    let by = caller.by(note(body.note)?);
    let row = api.engine.enable_webhook_endpoint(caller.whose(), id, body.release, &by).await?;
    Ok(Json(EndpointDocument::new(row, &api)))
}

/// What was released.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleasedDeliveries {
    livemode: bool,
    /// How many deliveries are on their way now.
    released: u64,
}

/// Delivers everything that is held for an address.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/release", tag = "webhooks",
    operation_id = "release_webhook_deliveries", params(("id" = String, Path)), request_body = Option<NoteBody>,
    security(("api_key" = ["webhook:write"])), responses((status = 200, body = ReleasedDeliveries)))]
pub(crate) async fn release(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<ReleasedDeliveries>, Problem> {
    let (whose, by) = (caller.whose(), caller.by(note(body.note)?));
    let released = api.engine.release_webhook_deliveries(whose, id, &by).await?;
    Ok(Json(ReleasedDeliveries { livemode: whose.livemode, released }))
}

/// Which example is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookExample)]
pub(crate) struct ExampleBody {
    /// The kind of event.
    #[schema(example = "license.created")]
    event: String,
}

/// Sends an example of an event to one address, signed as any other. Nothing happened, and it says so: `data.example`.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/test", tag = "webhooks", operation_id = "test_webhook_endpoint",
    params(("id" = String, Path)), request_body = ExampleBody, security(("api_key" = ["webhook:write"])),
    responses((status = 201, body = DeliveryDocument)))]
pub(crate) async fn test(
    State(api): State<Api>,
    caller: Allowed<scope::WebhookWrite>,
    Id(id): Id<WebhookEndpointId>,
    Body(body): Body<ExampleBody>,
) -> Result<(StatusCode, Json<DeliveryDocument>), Problem> {
    let kind = body.event.parse::<EventKind>();
    let kind = kind.map_err(|unknown| Problem::invalid(sentence(&unknown)).of("event"))?;
    let whose = caller.whose();
    let row = api.engine.send_example(whose, id, kind, &caller.by(None)).await?;
    Ok((StatusCode::CREATED, Json(DeliveryDocument::new(row, whose))))
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NoEndpoint(id) => Self::not_found(id),
            WebhookError::NoDelivery(id) => Self::not_found(id),
            WebhookError::NoRecovery(id) => Self::not_found(id),
            WebhookError::NotEnabled { .. } | WebhookError::Recovering(_) => {
                Self::new(Code::Conflict, sentence(&error))
            }
            WebhookError::Stretch => Self::invalid(sentence(&error)).of("since"),
            WebhookError::PerSecond => Self::invalid(sentence(&error)).of("per_second"),
            WebhookError::Overlap => Self::invalid(sentence(&error)).of("overlap_hours"),
            WebhookError::Engine(error) => error.into(),
        }
    }
}
