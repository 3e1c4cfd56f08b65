//! Whether the process lives, and whether it should get calls.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    problem::{Code, Problem},
};

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Whether the process answers. It depends on nothing else.
#[utoipa::path(get, path = "/livez", tag = "operators", operation_id = "is_live",
    responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the database answers and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "operators", operation_id = "is_ready",
    responses((status = 200, body = Health)))]
pub(crate) async fn ready(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    if api.draining.is_cancelled() {
        return Err(Problem::new(Code::Unavailable, "The server is stopping."));
    }
    api.engine.store.ping().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        Problem::new(Code::Unavailable, "The database does not answer.")
    })?;
    Ok(Json(Health { status: "ready" }))
}
