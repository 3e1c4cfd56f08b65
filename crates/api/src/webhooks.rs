//! Where providers deliver. One handler for all of them; what they want to read is their module's business.

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{receive::Received, tenants::DEFAULT_TENANT};
use providers::{Delivery, http::HttpAnswer};

use crate::{
    Api,
    problem::{Code, Problem},
};

/// Where a provider delivers its events (B12). It answers as the provider expects; an event that was answered with 2xx is
/// committed.
#[utoipa::path(post, path = "/v1/webhooks/{provider}/{tenant}", tag = "webhooks", operation_id = "receive_webhook",
    params(
        ("provider" = String, Path, description = "The provider's name.", example = "stripe"),
        ("tenant" = String, Path, description = "The tenant's slug.", example = "default"),
    ),
    request_body(content = String, content_type = "application/json", description = "The raw bytes that were signed."),
    responses(
        (status = 200, description = "Committed. The body is what the provider wants to read.", body = String,
            example = json!({ "received": true })),
        (status = 400, description = "Stripe: the signature is missing, wrong or too old, or the connection has no secret.",
            body = String, content_type = "text/plain", example = "Webhook signature verification failed"),
        (status = 401, description = "The same of any other provider, in the words that it reads.", body = String,
            example = json!({ "error": "Invalid signature" })),
    ))]
pub(crate) async fn receive(
    State(api): State<Api>,
    Path((provider, tenant)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    take_in(&api, &provider, &tenant, &headers, body).await
}

/// The same for Stripe and the default tenant (A08).
#[utoipa::path(post, path = "/webhooks/stripe", tag = "webhooks", operation_id = "receive_stripe_webhook",
    request_body(content = String, content_type = "application/json", description = "The raw bytes that were signed."),
    responses(
        (status = 200, description = "Committed.", body = String, example = json!({ "received": true })),
        (status = 400, description = "The signature is missing, wrong or too old, or the connection has no secret.",
            body = String, content_type = "text/plain", example = "Webhook signature verification failed"),
    ))]
pub(crate) async fn receive_stripe(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    take_in(&api, "stripe", DEFAULT_TENANT, &headers, body).await
}

/// Where Stripe delivers the events of connected accounts (D12, D13). An event belongs to the tenant that has connected its
/// account; one of an account that nobody has connected is kept, and answered with 200 as well.
#[utoipa::path(post, path = "/api/stripe/webhook/connect", tag = "webhooks",
    operation_id = "receive_stripe_connect_webhook",
    request_body(content = String, content_type = "application/json", description = "The raw bytes that were signed."),
    responses(
        (status = 200, description = "Committed.", body = String, example = json!({ "received": true })),
        (status = 400, description = "The signature is missing, wrong or too old.",
            body = String, content_type = "text/plain", example = "Webhook signature verification failed"),
        (status = 404, description = "The operator has set up no platform: STRIPE_CONNECT_WEBHOOK_SECRET is not set."),
    ))]
pub(crate) async fn receive_stripe_connect(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match self::body(body) {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let delivery = Delivery { header: &header, body: &body };
    match api.engine.receive_for_accounts("stripe", &delivery).await {
        Received::Unknown => {
            let detail = "There is no platform here. The operator sets STRIPE_CONNECT_WEBHOOK_SECRET to make one.";
            Problem::new(Code::NotFound, detail).into_response()
        }
        received => answer(received, "stripe", DEFAULT_TENANT),
    }
}

async fn take_in(
    api: &Api,
    provider: &str,
    tenant: &str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match self::body(body) {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let delivery = Delivery { header: &header, body: &body };
    answer(api.engine.receive(provider, tenant, &delivery).await, provider, tenant)
}

/// The bytes of a call, which were not read if there are too many.
pub(crate) fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge, "An event may have 1 MiB at most."),
        _ => Problem::invalid(rejection.body_text()),
    })
}

/// How a call is answered.
pub(crate) fn answer(received: Received, provider: &str, tenant: &str) -> Response {
    match received {
        Received::Answer(answer) => plain(answer),
        Received::Unknown => {
            let detail = format!("There is no connection to `{provider}` for a tenant `{tenant}`.");
            Problem::new(Code::NotFound, detail).into_response()
        }
        Received::Unavailable(_) => {
            let detail = "The event could not be stored. Send it again.";
            Problem::new(Code::Unavailable, detail).into_response()
        }
    }
}

fn plain(answer: HttpAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type))], answer.body).into_response()
}
