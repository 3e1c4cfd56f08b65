//! Every answer carries the id of its request, and so does everything that is logged about it.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::id::RequestId;
use serde_json::{Map, Value};
use tracing::Instrument;

use crate::{
    Api, CALL_MAX,
    problem::{self, Code, Problem},
};

static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The longest problem document that is completed.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Gives the request an id.
pub(crate) async fn stamp(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = RequestId::new(api.engine.now(), &mut *api.engine.entropy()).to_string();
    let uri = request.uri().clone();
    let span = tracing::info_span!("request", %id, method = %request.method(), path = uri.path());
    let response = next.run(request).instrument(span).await;
    let mut response = completed(response, &id, uri.path()).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response
}

/// Refusals say themselves which request they are about: people copy bodies, not headers.
async fn completed(response: Response, id: &str, path: &str) -> Response {
    let response = match response.headers().get(header::CONTENT_TYPE) {
        Some(kind) if kind == problem::MEDIA_TYPE => response,
        // The layer that ends calls which take too long knows nothing of documents.
        None if response.status().is_server_error() => {
            let detail = format!("The call took longer than {} seconds.", CALL_MAX.as_secs());
            Problem::new(Code::Unavailable, detail).into_response()
        }
        _ => return response,
    };
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, PROBLEM_BYTES_MAX).await else { return head.into_response() };
    let Ok(mut document) = serde_json::from_slice::<Map<String, Value>>(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    document.insert("instance".to_owned(), path.into());
    document.insert("request_id".to_owned(), id.into());
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(Value::from(document).to_string()))
}
