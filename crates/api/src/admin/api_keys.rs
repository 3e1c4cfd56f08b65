//! API keys: who may call. A vendor makes those with which their own server opens checkouts; what opens more is made by
//! whoever runs the server.

use axum::{Json, extract::State, http::StatusCode};
use crypto::token::ApiKeyKind;
use domain::id::ApiKeyId;
use engine::api_keys::ApiKeyError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::rows::ApiKey;
use utoipa::ToSchema;

use super::instant;
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::{Code, Problem, sentence},
    read::{Body, Id},
};

/// An API key, without what opens anything.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyDocument {
    #[schema(example = "key_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    name: String,
    /// What it is for: `live`, `test`, `checkout` or `checkout_test`, as its text begins.
    #[schema(example = "checkout")]
    kind: String,
    /// What it may do.
    scopes: Vec<String>,
    created_at: Timestamp,
    /// Until when it opens beside the one that has replaced it.
    expires_at: Option<Timestamp>,
    /// Since when it opens nothing any more.
    revoked_at: Option<Timestamp>,
}

impl Listable for ApiKeyDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<ApiKey> for ApiKeyDocument {
    fn from(row: ApiKey) -> Self {
        Self {
            id: ApiKeyId(row.id).to_string(),
            livemode: is_live(&row),
            name: row.name,
            kind: row.kind,
            scopes: serde_json::from_str(&row.scopes).unwrap_or_default(),
            created_at: instant(row.created_at),
            expires_at: row.expires_at.map(instant),
            revoked_at: row.revoked_at.map(instant),
        }
    }
}

/// What is not known is not live.
fn is_live(row: &ApiKey) -> bool {
    engine::api_keys::kind_of(&row.kind).is_some_and(ApiKeyKind::is_live)
}

/// What a new key is for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NewKeyKind {
    /// Opening checkouts, and nothing else.
    Checkout,
}

/// A new API key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyBody {
    /// A name for it, which no other key has.
    #[schema(max_length = 80, example = "shop")]
    name: String,
    kind: NewKeyKind,
}

/// An API key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeApiKey {
    #[serde(flatten)]
    api_key: ApiKeyDocument,
    /// The key. It is shown this once, and only its hash is kept.
    #[schema(example = "kw_checkout_…")]
    key: String,
}

/// Makes a key that opens checkouts and nothing else: a live key makes one for real money, a test key one for trying things
/// out.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api keys", operation_id = "create_api_key",
    request_body = ApiKeyBody, security(("api_key" = ["admin"])),
    responses((status = 201, body = MadeApiKey)))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Allowed<scope::Admin>,
    Body(body): Body<ApiKeyBody>,
) -> Result<(StatusCode, Json<MadeApiKey>), Problem> {
    let whose = caller.whose();
    let kind = match (body.kind, whose.livemode) {
        (NewKeyKind::Checkout, true) => ApiKeyKind::Checkout,
        (NewKeyKind::Checkout, false) => ApiKeyKind::TestCheckout,
    };
    let (row, key) = api.engine.create_api_key(whose.tenant, &body.name, kind, &[], &caller.identity.actor()).await?;
    let key = key.reveal().as_str().to_owned();
    Ok((StatusCode::CREATED, Json(MadeApiKey { api_key: row.into(), key })))
}

/// Lists the keys of the mode, revoked ones included.
#[utoipa::path(get, path = "/v1/api-keys", tag = "api keys", operation_id = "list_api_keys", params(PageParams),
    security(("api_key" = ["admin"])), responses((status = 200, body = List<ApiKeyDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::Admin>,
    listing: Listing<ApiKeyId>,
) -> Result<Json<List<ApiKeyDocument>>, Problem> {
    let rows = of_mode(&api, &caller).await?;
    Ok(Json(List::new(listing.page.of(rows, |row| row.id).map(ApiKeyDocument::from), listing.page)))
}

/// Has a key open nothing any more, at once and for good.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "api keys", operation_id = "revoke_api_key",
    params(("id" = String, Path)), security(("api_key" = ["admin"])),
    responses((status = 200, body = ApiKeyDocument)))]
pub(crate) async fn revoke(
    State(api): State<Api>,
    caller: Allowed<scope::Admin>,
    Id(id): Id<ApiKeyId>,
) -> Result<Json<ApiKeyDocument>, Problem> {
    let found = async || {
        of_mode(&api, &caller).await?.into_iter().find(|row| row.id == id.0).ok_or_else(|| Problem::not_found(id))
    };
    found().await?;
    api.engine.revoke_api_key(caller.identity.tenant, id, &caller.identity.actor()).await?;
    Ok(Json(found().await?.into()))
}

async fn of_mode(api: &Api, caller: &Allowed<scope::Admin>) -> Result<Vec<ApiKey>, Problem> {
    let whose = caller.whose();
    let mut rows = api.engine.api_keys(whose.tenant).await?;
    rows.retain(|row| is_live(row) == whose.livemode);
    Ok(rows)
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::NameTaken(_) => Self::new(Code::Conflict, sentence(&error)),
            ApiKeyError::Name => Self::invalid(sentence(&error)).of("name"),
            ApiKeyError::Scopes(_) | ApiKeyError::Overlap => Self::invalid(sentence(&error)),
            ApiKeyError::Gone => Self::new(Code::NotFound, sentence(&error)),
            ApiKeyError::Engine(error) => error.into(),
        }
    }
}
