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
    request_log::{Asked, Refused},
};

static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The longest problem document that is completed.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Gives the request an id, and tells the request log of it.
pub(crate) async fn stamp(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let now = api.engine.now();
    let id = RequestId::new(now, &mut *api.engine.entropy());
    let asked = Asked::of(&mut request, id, now);
    let id = id.to_string();
    let span = tracing::info_span!("request", %id, method = %request.method(), path = asked.path());
    let response = next.run(request).instrument(span).await;
    let (mut response, refused) = completed(response, &id, asked.path()).await;
    if let Some(answered) = asked.answered(&response, refused, api.engine.now()) {
        api.engine.note_request(answered);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response
}

/// Refusals say themselves which request they are about: people copy bodies, not headers.
async fn completed(response: Response, id: &str, path: &str) -> (Response, Option<Refused>) {
    let response = match response.headers().get(header::CONTENT_TYPE) {
        Some(kind) if kind == problem::MEDIA_TYPE => response,
        // The layer that ends calls which take too long knows nothing of documents.
        None if response.status().is_server_error() => {
            let detail = format!("The call took longer than {} seconds.", CALL_MAX.as_secs());
            Problem::new(Code::Unavailable, detail).into_response()
        }
        _ => return (response, None),
    };
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, PROBLEM_BYTES_MAX).await else { return (head.into_response(), None) };
    let Ok(mut document) = serde_json::from_slice::<Map<String, Value>>(&bytes) else {
        return (Response::from_parts(head, Body::from(bytes)), None);
    };
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let refused = Refused { code: text("code"), detail: text("detail") };
    document.insert("instance".to_owned(), path.into());
    document.insert("request_id".to_owned(), id.into());
    head.headers.remove(header::CONTENT_LENGTH);
    (Response::from_parts(head, Body::from(Value::from(document).to_string())), Some(refused))
}
