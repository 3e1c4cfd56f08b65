//! `POST /v1`: Stripe's webhook at the address of the bridge that one of the documents describes (C11, C17, X25).

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use engine::{taken_over::TakenOver, tenants::DEFAULT_TENANT};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Api, webhooks};

/// The provider that posts here.
const STRIPE: &str = "stripe";
/// How long Stripe waits for the outcome: a small part of the ten seconds after which it would call again.
const PATIENCE: Duration = Duration::from_secs(2);
/// The customer's own event.
const CUSTOMER_CREATED: &str = "customer.created";
/// The events that the document handles, and whose outcome is waited for.
const AWAITED: [&str; 3] = [CUSTOMER_CREATED, "checkout.session.completed", "invoice.paid"];

/// What came of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeDocument {
    /// What happened, in words.
    message: &'static str,
    data: UserDocument,
    /// The status of the answer.
    status: u16,
}

/// Whom it was about.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserDocument {
    /// The customer's id here.
    #[schema(example = "cus_01kag0000000000000000000000")]
    user_id: String,
}

/// The same as `/webhooks/stripe`, and waits up to two seconds to say which customer the event is about. What is not known
/// by then is answered as received, and done all the same.
#[utoipa::path(post, path = "/v1", tag = "webhooks", operation_id = "receive_stripe_webhook_and_wait",
    request_body(content = String, content_type = "application/json", description = "The raw bytes that were signed."),
    responses(
        (status = 201, description = "A customer was taken over.", body = OutcomeDocument),
        (status = 200, description = "Committed; the customer is named if the event is done.", body = Object,
            example = json!({ "received": true })),
        (status = 400, description = "The signature is missing, wrong or too old, or the connection has no secret.",
            body = String, content_type = "text/plain", example = "Webhook signature verification failed"),
    ))]
pub(crate) async fn receive(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match webhooks::body(body) {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let delivery = providers::Delivery { header: &header, body: &body };
    let waited = api.engine.receive_and_wait(STRIPE, DEFAULT_TENANT, &delivery, &AWAITED, PATIENCE).await;
    match waited {
        (_, Some(outcome)) => told(&outcome),
        (received, None) => webhooks::answer(received, STRIPE, DEFAULT_TENANT),
    }
}

fn told(outcome: &TakenOver) -> Response {
    let (status, message) = match outcome.kind.as_str() {
        CUSTOMER_CREATED => (StatusCode::CREATED, "User upserted successfully."),
        _ => (StatusCode::OK, "The event was handled."),
    };
    let data = UserDocument { user_id: outcome.customer.to_string() };
    (status, Json(OutcomeDocument { message, data, status: status.as_u16() })).into_response()
}
