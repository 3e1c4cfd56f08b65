//! Connections: accounts at payment providers, each in one mode. Their secrets go in and never come out.

mod document;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use domain::id::{ConnectionId, IdError, TenantId};
use engine::{
    api_keys::Scope,
    configuration::{AccountsInput, ConnectionInput, Existing},
    connections::Mode,
    onboarding::Onboarding,
    tenants::DEFAULT_TENANT,
    webhook_secrets::SecretChange,
};
use providers::{Level, LicenseKeys, redeem::OauthClient};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use store::rows;
use utoipa::ToSchema;

pub(super) use self::document::mode;
use self::document::{ConnectionDocument, KeysWord, LevelWord, ModeWord, settings};
use super::catalogue::status;
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listing, PageParams},
    problem::{Code, Problem},
    read::{Body, Id, SecretBody},
};

/// The connection of that id or code.
pub(super) async fn connection_named(api: &Api, tenant: TenantId, name: &str) -> Result<rows::Connection, Problem> {
    let id: Option<ConnectionId> = name.parse().ok();
    let rows = api.connection_rows(tenant).await?;
    let found = rows.into_iter().find(|row| row.code == name || Some(ConnectionId(row.id)) == id);
    let unknown = || Problem::new(Code::NotFound, format!("There is no connection `{name}`.")).of("connection");
    found.ok_or_else(unknown)
}

/// A test key sees what is live, and changes none of it.
pub(super) fn may_change<S>(caller: &Allowed<S>, connection: &rows::Connection) -> Result<(), Problem> {
    may_change_mode(caller, mode(connection))
}

fn may_change_mode<S>(caller: &Allowed<S>, mode: Mode) -> Result<(), Problem> {
    match mode {
        Mode::Live if !caller.identity.livemode => {
            Err(Problem::new(Code::Forbidden, "A test key changes no live connection. Use a live key."))
        }
        _ => Ok(()),
    }
}

/// A simulated connection is the only kind that is dialled on this machine, where other services may listen: whoever says
/// where it leads runs the server. A tenant's admin may have come by signing up.
async fn may_simulate<S>(api: &Api, caller: &Allowed<S>, mode: Mode) -> Result<(), Problem> {
    if mode != Mode::Simulated {
        return Ok(());
    }
    let is_operator = api.slug(caller.identity.tenant).await? == DEFAULT_TENANT;
    if is_operator && caller.identity.may(Scope::Admin) {
        return Ok(());
    }
    let detail = format!(
        "A simulated connection leads to this server's own machine: over the API only an `admin` key of the tenant \
         `{DEFAULT_TENANT}` makes or changes one. The operator makes others with `keywright simulate` or `keywright apply`."
    );
    Err(Problem::new(Code::Forbidden, detail))
}

/// Lists connections of both modes.
#[utoipa::path(get, path = "/v1/connections", tag = "connections", operation_id = "list_connections",
    params(PageParams), security(("api_key" = ["catalogue:read"])),
    responses((status = 200, body = List<ConnectionDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    listing: Listing<ConnectionId>,
) -> Result<Json<List<ConnectionDocument>>, Problem> {
    let tenant = caller.identity.tenant;
    let (rows, slug) = (api.connection_rows(tenant).await?, api.slug(tenant).await?);
    let listed = listing.page.of(rows, |row| row.id);
    let rows = listed.rows.into_iter().map(|row| api.connection_document(row, &slug)).collect::<Result<_, _>>()?;
    Ok(Json(List::new(store::lists::Listed { rows, has_more: listed.has_more }, listing.page)))
}

/// Shows a connection.
#[utoipa::path(get, path = "/v1/connections/{id}", tag = "connections", operation_id = "get_connection",
    params(("id" = String, Path)), security(("api_key" = ["catalogue:read"])),
    responses((status = 200, body = ConnectionDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    Id(id): Id<ConnectionId>,
) -> Result<Json<ConnectionDocument>, Problem> {
    shown(&api, caller.identity.tenant, id).await.map(Json)
}

async fn shown(api: &Api, tenant: TenantId, id: ConnectionId) -> Result<ConnectionDocument, Problem> {
    let row = row(api, tenant, id).await?;
    api.connection_document(row, &api.slug(tenant).await?)
}

pub(super) async fn row(api: &Api, tenant: TenantId, id: ConnectionId) -> Result<rows::Connection, Problem> {
    let rows = api.connection_rows(tenant).await?;
    rows.into_iter().find(|row| row.id == id.0).ok_or_else(|| Problem::not_found(id))
}

/// A new connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionBody {
    /// The vendor's name for it: letters, digits, `.`, `_`, `-`.
    #[schema(max_length = 64, example = "stripe-live")]
    code: String,
    /// Its provider.
    #[schema(example = "stripe")]
    provider: String,
    mode: ModeWord,
    #[serde(default = "no_level")]
    level: LevelWord,
    /// Whether keys are written to the provider's record of its customer, as metadata. Its API key must be allowed to
    /// write customers.
    #[serde(default)]
    write_back: bool,
    /// Seconds that the signature of a webhook may be old, where the provider signs a time; none: 300.
    #[serde(default)]
    #[schema(minimum = 5, maximum = 3600)]
    tolerance_seconds: Option<u32>,
    /// Whose keys its licenses have; none: ours.
    #[serde(default)]
    license_keys: Option<KeysWord>,
    /// The provider's id of the store whose sales these are, where its key reads those of several (Lemon Squeezy).
    #[serde(default)]
    #[schema(example = "12345")]
    store: Option<String>,
    /// Whether data that a buyer's browser hands to a checkout may name the plan, before any price rule (Lemon Squeezy,
    /// Paddle). Who opens a checkout can change it.
    #[serde(default)]
    plan_from_custom_data: Option<bool>,
    /// Where the provider's API is, for one that is simulated.
    #[serde(default)]
    api_base: Option<String>,
    /// Signing secrets of its webhooks. They are sealed and never shown.
    #[serde(default)]
    #[schema(value_type = Vec<String>, write_only)]
    webhook_secrets: Vec<SecretText>,
    /// The key to the provider's API. It is sealed and never shown.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    api_key: Option<SecretText>,
    /// What a provider that sends buyers knows the vendor by.
    #[serde(default)]
    #[schema(write_only)]
    oauth_client: Option<OauthClientBody>,
}

/// What a provider that sends buyers knows the vendor by.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OauthClient)]
pub(crate) struct OauthClientBody {
    /// As the provider shows it.
    id: String,
    /// It is sealed and never shown.
    #[schema(value_type = String, write_only)]
    secret: SecretText,
}

impl From<OauthClientBody> for OauthClient {
    fn from(body: OauthClientBody) -> Self {
        Self { id: body.id, secret: body.secret.0 }
    }
}

const fn no_level() -> LevelWord {
    LevelWord::None
}

/// A secret as it comes in. It does not print itself.
#[derive(Debug, Clone)]
pub(crate) struct SecretText(pub(super) SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.trim() {
            "" => Err(serde::de::Error::custom("a secret is not blank")),
            trimmed => Ok(Self(SecretString::from(trimmed))),
        }
    }
}

/// Makes a connection.
#[utoipa::path(post, path = "/v1/connections", tag = "connections", operation_id = "create_connection",
    request_body = ConnectionBody, security(("api_key" = ["catalogue:write"])),
    responses((status = 201, body = ConnectionDocument)))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    SecretBody(body): SecretBody<ConnectionBody>,
) -> Result<(StatusCode, Json<ConnectionDocument>), Problem> {
    may_change_mode(&caller, body.mode.into())?;
    may_simulate(&api, &caller, body.mode.into()).await?;
    let (tenant, code) = (caller.identity.tenant, body.code.clone());
    let input = ConnectionInput {
        code: body.code,
        provider: body.provider,
        mode: body.mode.into(),
        level: body.level.into(),
        write_back: Some(body.write_back),
        tolerance_seconds: body.tolerance_seconds,
        license_keys: body.license_keys.map(LicenseKeys::from),
        store: body.store,
        plan_from_custom_data: body.plan_from_custom_data,
        api_base: body.api_base,
        webhook_secrets: Some(body.webhook_secrets.into_iter().map(|secret| secret.0).collect()),
        api_key: body.api_key.map(|secret| secret.0),
        accounts: AccountsInput::default(),
        oauth_client: body.oauth_client.map(OauthClient::from),
    };
    let change = api.engine.save_connection(tenant, input, Existing::New, &caller.identity.actor()).await?;
    let row = connection_named(&api, tenant, &code).await?;
    Ok((status(&change), Json(shown(&api, tenant, ConnectionId(row.id)).await?)))
}

/// An account that is to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectBody {
    /// Its provider.
    #[schema(example = "stripe")]
    provider: String,
    /// The vendor's name for the connection. Asked again with it, an account that was not finished goes on,
    /// and one that was disconnected is taken up again.
    #[schema(max_length = 64, example = "stripe-account")]
    code: String,
    /// Where you go once you are done there.
    #[schema(example = "https://yourapp.com/settings")]
    return_url: String,
    /// Where you go if the page is too old: call this again there. Left out: `return_url`.
    #[serde(default)]
    refresh_url: Option<String>,
}

/// An account that is being connected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectDocument {
    connection: ConnectionDocument,
    /// Where the account is filled in. It is good for one visit, within a few minutes.
    #[schema(example = "https://connect.stripe.com/setup/s/acct_1/abc")]
    url: String,
}

/// Connects an account of your own: it is made at the provider, and you are sent there to fill it in. A live key connects a
/// live account, a test key one for trying things out.
#[utoipa::path(post, path = "/v1/connect", tag = "connections", operation_id = "connect_account",
    request_body = ConnectBody, security(("api_key" = ["catalogue:write"])),
    responses((status = 200, body = ConnectDocument)))]
pub(crate) async fn connect(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Body(body): Body<ConnectBody>,
) -> Result<Json<ConnectDocument>, Problem> {
    let whose = caller.whose();
    let asked = Onboarding {
        tenant: whose.tenant,
        provider: body.provider,
        livemode: whose.livemode,
        code: body.code,
        refresh_url: body.refresh_url.unwrap_or_else(|| body.return_url.clone()),
        return_url: body.return_url,
    };
    let (id, url) = api.engine.onboard(&asked, &caller.identity.actor()).await?;
    Ok(Json(ConnectDocument { connection: shown(&api, whose.tenant, id).await?, url }))
}

/// Disconnects an account: nothing is sold or looked up by it any more, until `POST /v1/connect` with its code takes it up
/// again. What it sold stays, and events about that are heard. At the provider it stays connected until its vendor ends that
/// in their own dashboard there, which is heard of and disconnects it here as well.
#[utoipa::path(post, path = "/v1/connections/{id}/disconnect", tag = "connections", operation_id = "disconnect_account",
    params(("id" = String, Path)), security(("api_key" = ["catalogue:write"])),
    responses((status = 200, body = ConnectionDocument)))]
pub(crate) async fn disconnect(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Id(id): Id<ConnectionId>,
) -> Result<Json<ConnectionDocument>, Problem> {
    let tenant = caller.identity.tenant;
    may_change(&caller, &row(&api, tenant, id).await?)?;
    api.engine.disconnect(tenant, id, &caller.identity.actor()).await?;
    shown(&api, tenant, id).await.map(Json)
}

/// What is to change of a connection. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionChange {
    /// Only as long as no event came in by it.
    #[serde(default)]
    mode: Option<ModeWord>,
    #[serde(default)]
    level: Option<LevelWord>,
    /// Whether keys are written to the provider's record of its customer, as metadata.
    #[serde(default)]
    write_back: Option<bool>,
    /// Seconds that the signature of a webhook may be old, where the provider signs a time.
    #[serde(default)]
    #[schema(minimum = 5, maximum = 3600)]
    tolerance_seconds: Option<u32>,
    /// Whose keys licenses that are issued from now on have.
    #[serde(default)]
    license_keys: Option<KeysWord>,
    /// The provider's id of the store whose sales these are, where its key reads those of several (Lemon Squeezy).
    #[serde(default)]
    #[schema(example = "12345")]
    store: Option<String>,
    /// Whether data that a buyer's browser hands to a checkout may name the plan, before any price rule (Lemon Squeezy,
    /// Paddle). Who opens a checkout can change it.
    #[serde(default)]
    plan_from_custom_data: Option<bool>,
    /// Where the provider's API is, for one that is simulated.
    #[serde(default)]
    api_base: Option<String>,
    /// Another key to the provider's API. It is sealed and never shown.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    api_key: Option<SecretText>,
    /// What a provider that sends buyers knows the vendor by.
    #[serde(default)]
    #[schema(write_only)]
    oauth_client: Option<OauthClientBody>,
}

/// Changes a connection.
#[utoipa::path(patch, path = "/v1/connections/{id}", tag = "connections", operation_id = "change_connection",
    params(("id" = String, Path)), request_body = ConnectionChange, security(("api_key" = ["catalogue:write"])),
    responses((status = 200, body = ConnectionDocument)))]
pub(crate) async fn change(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Id(id): Id<ConnectionId>,
    SecretBody(body): SecretBody<ConnectionChange>,
) -> Result<Json<ConnectionDocument>, Problem> {
    let tenant = caller.identity.tenant;
    let row = row(&api, tenant, id).await?;
    let new_mode = body.mode.map_or_else(|| mode(&row), Mode::from);
    may_change(&caller, &row)?;
    may_change_mode(&caller, new_mode)?;
    for mode in [mode(&row), new_mode] {
        may_simulate(&api, &caller, mode).await?;
    }
    let input = ConnectionInput {
        code: row.code.clone(),
        provider: row.provider.clone(),
        mode: new_mode,
        level: body.level.map_or_else(|| settings(&row).level, Level::from),
        write_back: body.write_back,
        tolerance_seconds: body.tolerance_seconds,
        license_keys: body.license_keys.map(LicenseKeys::from),
        store: body.store,
        plan_from_custom_data: body.plan_from_custom_data,
        api_base: body.api_base.or_else(|| row.api_base.clone()),
        webhook_secrets: None,
        api_key: body.api_key.map(|secret| secret.0),
        accounts: AccountsInput::default(),
        oauth_client: body.oauth_client.map(OauthClient::from),
    };
    api.engine.save_connection(tenant, input, Existing::There, &caller.identity.actor()).await?;
    shown(&api, tenant, id).await.map(Json)
}

/// A signing secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookSecretBody {
    /// As the provider shows it. It is sealed and never shown.
    #[schema(value_type = String, write_only, example = "whsec_…")]
    secret: SecretText,
}

/// Accepts a signing secret beside those that are. To rotate: add the new one, change it at the provider, remove the old
/// one.
#[utoipa::path(post, path = "/v1/connections/{id}/webhook-secrets", tag = "connections",
    operation_id = "add_webhook_secret", params(("id" = String, Path)), request_body = WebhookSecretBody,
    security(("api_key" = ["catalogue:write"])), responses((status = 200, body = ConnectionDocument)))]
pub(crate) async fn add_secret(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Id(id): Id<ConnectionId>,
    SecretBody(body): SecretBody<WebhookSecretBody>,
) -> Result<Json<ConnectionDocument>, Problem> {
    change_secrets(&api, &caller, id, SecretChange::Add(body.secret.0)).await
}

/// Accepts a signing secret no more.
#[utoipa::path(delete, path = "/v1/connections/{id}/webhook-secrets/{fingerprint}", tag = "connections",
    operation_id = "remove_webhook_secret", params(("id" = String, Path), ("fingerprint" = String, Path)),
    security(("api_key" = ["catalogue:write"])), responses((status = 200, body = ConnectionDocument)))]
pub(crate) async fn remove_secret(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Path((id, fingerprint)): Path<(String, String)>,
) -> Result<Json<ConnectionDocument>, Problem> {
    let id = id.parse().map_err(|error: IdError| Problem::new(Code::NotFound, format!("{error}.")))?;
    change_secrets(&api, &caller, id, SecretChange::Remove(fingerprint)).await
}

async fn change_secrets(
    api: &Api,
    caller: &Allowed<scope::CatalogueWrite>,
    id: ConnectionId,
    change: SecretChange,
) -> Result<Json<ConnectionDocument>, Problem> {
    let tenant = caller.identity.tenant;
    may_change(caller, &row(api, tenant, id).await?)?;
    api.engine.change_webhook_secrets(tenant, id, &change, &caller.by(None)).await?;
    shown(api, tenant, id).await.map(Json)
}
