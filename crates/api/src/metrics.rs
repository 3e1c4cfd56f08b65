//! Metrics, on a listener of their own: they are not for the outside.

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    caller::{Allowed, scope},
    problem::Problem,
};

/// The routes of the metrics listener.
pub fn metrics_router(api: Api) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(api)
}

async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let text = api.engine.metrics_text().await?;
    let media = (header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([media], text).into_response())
}

/// How things stand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusDocument {
    /// Events that are not done and not held.
    inbox_pending: u64,
    /// Mails that are to be sent.
    mails_pending: u64,
    /// Mails that are caught, since there is no sender.
    mails_held: u64,
    /// Events that are to be delivered to your own systems.
    deliveries_pending: u64,
    /// Events that wait until their webhook endpoint is called again.
    deliveries_held: u64,
    /// Open attention items.
    attention_open: u64,
    /// Licenses, in whatever state.
    licenses_total: u64,
}

/// How things stand: what waits, and what needs a person.
#[utoipa::path(get, path = "/v1/status", tag = "operators", operation_id = "get_status",
    security(("api_key" = ["event:read"])), responses((status = 200, body = StatusDocument)))]
pub(crate) async fn status(
    State(api): State<Api>,
    caller: Allowed<scope::EventRead>,
) -> Result<Json<StatusDocument>, Problem> {
    let status = api.engine.store.status(Some(caller.whose())).await.map_err(engine::Error::from)?;
    Ok(Json(StatusDocument {
        inbox_pending: status.inbox_pending,
        mails_pending: status.mails_pending,
        mails_held: status.mails_held,
        deliveries_pending: status.deliveries_pending,
        deliveries_held: status.deliveries_held,
        attention_open: status.attention_open,
        licenses_total: status.licenses_total,
    }))
}
