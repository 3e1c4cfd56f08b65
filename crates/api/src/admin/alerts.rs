//! Alert channels: by which ways attention items reach people. Each is of one mode: that of the key that made it.

use std::collections::BTreeSet;

use axum::{Json, extract::State, http::StatusCode};
use crypto::webhook::WebhookSecret;
use domain::{
    alert::ChannelKind,
    id::{AlertChannelId, AlertId, AttentionId},
};
use engine::configuration::{AlertInput, Existing};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::rows::{Alert, AlertChannel};
use utoipa::ToSchema;

use super::instant;
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::{Id, SecretBody},
};

words! {
    /// A way by which alerts reach people.
    ChannelWord as AlertChannelKind of ChannelKind {
        /// A mail.
        Mail,
        /// A signed call with a document of ours.
        Webhook,
        /// A call as Slack takes it; Mattermost and Discord do, too.
        Slack,
    }
}

/// A way by which attention items reach people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertChannel)]
pub(crate) struct AlertChannelDocument {
    #[schema(example = "alc_01kag0000000000000000000000")]
    id: String,
    /// A live one also carries what belongs to both modes.
    livemode: bool,
    #[schema(example = "on-call")]
    code: String,
    /// None: a later release has made it.
    kind: Option<ChannelWord>,
    /// What may be shown of its address.
    #[schema(example = "hooks.slack.com")]
    to: String,
    /// The kinds of items that it carries. Empty: all that matter.
    items: Vec<String>,
    created_at: Timestamp,
}

impl Listable for AlertChannelDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<AlertChannel> for AlertChannelDocument {
    fn from(row: AlertChannel) -> Self {
        Self {
            id: AlertChannelId(row.id).to_string(),
            livemode: row.livemode,
            code: row.code,
            kind: ChannelKind::parse(&row.kind).map(Into::into),
            to: row.hint,
            items: serde_json::from_str(&row.items).unwrap_or_default(),
            created_at: instant(row.created_at),
        }
    }
}

/// One attention item on its way by one channel, or a test of the channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertDocument {
    #[schema(example = "alt_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    channel: String,
    /// What it is about. None: it is a test.
    attention_item: Option<String>,
    /// The kind of the item; `test` without one.
    #[schema(example = "unmapped_price")]
    kind: String,
    /// `pending`, `sent`, `failed`, or `withdrawn`: what it was about was over before it was sent.
    #[schema(example = "sent")]
    status: String,
    /// How often it was tried.
    attempts: i32,
    next_attempt_at: Option<Timestamp>,
    /// What the last try came to, if it was not taken.
    error: Option<String>,
    created_at: Timestamp,
    sent_at: Option<Timestamp>,
}

impl Listable for AlertDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl AlertDocument {
    fn new(row: Alert, livemode: bool) -> Self {
        Self {
            id: AlertId(row.id).to_string(),
            livemode,
            channel: AlertChannelId(row.channel_id).to_string(),
            attention_item: row.item_id.map(|id| AttentionId(id).to_string()),
            kind: row.kind,
            status: row.status,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(instant),
            error: row.error,
            created_at: instant(row.created_at),
            sent_at: row.sent_at.map(instant),
        }
    }
}

/// A new channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertChannelBody {
    #[schema(example = "on-call")]
    code: String,
    kind: ChannelWord,
    /// An e-mail address, or the address that is called. It is kept sealed and not shown again.
    #[schema(example = "https://hooks.slack.com/services/…")]
    to: String,
    /// The kinds of items that it carries; leave it out for all that matter.
    #[serde(default)]
    items: BTreeSet<String>,
}

/// What is to be another. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertChannelChange {
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    items: Option<BTreeSet<String>>,
}

/// A channel that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeAlertChannel {
    #[serde(flatten)]
    channel: AlertChannelDocument,
    /// What signs its calls, as Standard Webhooks says: only of a `webhook`, and shown this once.
    #[schema(example = "whsec_…")]
    secret: Option<String>,
}

/// Lists the channels of the mode.
#[utoipa::path(get, path = "/v1/alert-channels", tag = "alerts", operation_id = "list_alert_channels", params(PageParams),
    security(("api_key" = ["alert:read"])), responses((status = 200, body = List<AlertChannelDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::AlertRead>,
    listing: Listing<AlertChannelId>,
) -> Result<Json<List<AlertChannelDocument>>, Problem> {
    let rows = api.engine.store.alert_channels_in(caller.whose()).await?;
    Ok(Json(List::new(listing.page.of(rows, |row| row.id).map(AlertChannelDocument::from), listing.page)))
}

/// Makes a channel. From then on it carries what opens; what is open already stands under the attention items.
#[utoipa::path(post, path = "/v1/alert-channels", tag = "alerts", operation_id = "create_alert_channel",
    request_body = AlertChannelBody, security(("api_key" = ["alert:write"])),
    responses((status = 201, body = MadeAlertChannel)))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Allowed<scope::AlertWrite>,
    SecretBody(body): SecretBody<AlertChannelBody>,
) -> Result<(StatusCode, Json<MadeAlertChannel>), Problem> {
    let whose = caller.whose();
    let AlertChannelBody { code, kind, to, items } = body;
    let kind = ChannelKind::from(kind);
    let secret = (kind == ChannelKind::Webhook).then(|| WebhookSecret::generate(&mut *api.engine.entropy()));
    let shown = secret.as_ref().map(|secret| secret.reveal().to_owned());
    let input = AlertInput { code: code.clone(), livemode: whose.livemode, kind, to: Some(to.into()), items, secret };
    api.engine.save_alert_channel(whose.tenant, input, Existing::New, &caller.identity.actor()).await?;
    let rows = api.engine.store.alert_channels_in(whose).await?;
    let row = rows.into_iter().find(|row| row.code == code).ok_or_else(|| Problem::not_found(&code))?;
    Ok((StatusCode::CREATED, Json(MadeAlertChannel { channel: row.into(), secret: shown })))
}

/// One channel.
#[utoipa::path(get, path = "/v1/alert-channels/{id}", tag = "alerts", operation_id = "get_alert_channel",
    params(("id" = String, Path)), security(("api_key" = ["alert:read"])),
    responses((status = 200, body = AlertChannelDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::AlertRead>,
    Id(id): Id<AlertChannelId>,
) -> Result<Json<AlertChannelDocument>, Problem> {
    let row = api.engine.alert_channel(caller.whose(), id).await?.ok_or_else(|| Problem::not_found(id))?;
    Ok(Json(row.into()))
}

/// Changes where a channel leads, or what it carries.
#[utoipa::path(patch, path = "/v1/alert-channels/{id}", tag = "alerts", operation_id = "change_alert_channel",
    params(("id" = String, Path)), request_body = AlertChannelChange, security(("api_key" = ["alert:write"])),
    responses((status = 200, body = AlertChannelDocument)))]
pub(crate) async fn change(
    State(api): State<Api>,
    caller: Allowed<scope::AlertWrite>,
    Id(id): Id<AlertChannelId>,
    SecretBody(body): SecretBody<AlertChannelChange>,
) -> Result<Json<AlertChannelDocument>, Problem> {
    let whose = caller.whose();
    let row = api.engine.alert_channel(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let kind = ChannelKind::parse(&row.kind)
        .ok_or_else(|| Problem::invalid(format!("This release knows no channels of the kind `{}`.", row.kind)))?;
    let kept = || serde_json::from_str(&row.items).unwrap_or_default();
    let input = AlertInput {
        code: row.code.clone(),
        livemode: row.livemode,
        kind,
        to: body.to.map(Into::into),
        items: body.items.unwrap_or_else(kept),
        secret: None,
    };
    api.engine.save_alert_channel(whose.tenant, input, Existing::There, &caller.identity.actor()).await?;
    let row = api.engine.alert_channel(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    Ok(Json(row.into()))
}

/// Takes a channel away, with the alerts that wait there.
#[utoipa::path(delete, path = "/v1/alert-channels/{id}", tag = "alerts", operation_id = "delete_alert_channel",
    params(("id" = String, Path)), security(("api_key" = ["alert:write"])), responses((status = 204)))]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Allowed<scope::AlertWrite>,
    Id(id): Id<AlertChannelId>,
) -> Result<StatusCode, Problem> {
    let whose = caller.whose();
    api.engine.alert_channel(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    api.engine.delete_alert_channel(whose.tenant, id, &caller.identity.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has a test sent. What became of it stands among the alerts of the channel.
#[utoipa::path(post, path = "/v1/alert-channels/{id}/test", tag = "alerts", operation_id = "test_alert_channel",
    params(("id" = String, Path)), security(("api_key" = ["alert:write"])),
    responses((status = 202, body = AlertDocument)))]
pub(crate) async fn test(
    State(api): State<Api>,
    caller: Allowed<scope::AlertWrite>,
    Id(id): Id<AlertChannelId>,
) -> Result<(StatusCode, Json<AlertDocument>), Problem> {
    let whose = caller.whose();
    let alert = api.engine.test_alert_channel(whose, id, &caller.by(None)).await?;
    let alert = alert.ok_or_else(|| Problem::not_found(id))?;
    Ok((StatusCode::ACCEPTED, Json(AlertDocument::new(alert, whose.livemode))))
}

/// Lists the alerts of a channel: one for each item, as it was alerted last.
#[utoipa::path(get, path = "/v1/alert-channels/{id}/alerts", tag = "alerts", operation_id = "list_alerts",
    params(("id" = String, Path), PageParams), security(("api_key" = ["alert:read"])),
    responses((status = 200, body = List<AlertDocument>)))]
pub(crate) async fn alerts(
    State(api): State<Api>,
    caller: Allowed<scope::AlertRead>,
    Id(id): Id<AlertChannelId>,
    listing: Listing<AlertId>,
) -> Result<Json<List<AlertDocument>>, Problem> {
    let whose = caller.whose();
    api.engine.alert_channel(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let listed = api.engine.store.list_alerts(id, listing.page).await?;
    Ok(Json(List::new(listed.map(|row| AlertDocument::new(row, whose.livemode)), listing.page)))
}
