//! `Idempotency-Key`: a call that is made again gets the answer of the first one.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::id::TenantId;
use engine::{
    api_keys::ApiKeyIdentity,
    idempotency::{Answer, Call, Claim},
};
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Api, BODY_BYTES_MAX, CALL_MAX,
    named::checkout::is_checkout,
    problem::{Code, Problem},
};

/// The header.
pub(crate) static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key.
pub(crate) const KEY_MAX: usize = 255;
/// The longest answer that is kept.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long somebody waits before asking for an answer that is being made.
const AGAIN_SECONDS: u64 = 1;

/// The call that runs, the same when it has to be made again: what it makes can be named after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallId(pub(crate) Uuid);

/// Runs a POST with an idempotency key once.
pub(crate) async fn once(State(api): State<Api>, request: Request, next: Next) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let (Some(key), Some(identity)) = (key(request.headers())?, request.extensions().get::<ApiKeyIdentity>().cloned())
    else {
        return Ok(next.run(request).await);
    };
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Problem::new(Code::TooLarge, "The body may have 1 MiB at most."))?;
    let fingerprint = fingerprint(&head, &body);
    let call = Call { tenant: identity.tenant, caller: identity.id, key, fingerprint };
    match api.engine.claim(&call).await? {
        Claim::Answered(answer) => Ok(replayed(answer)),
        Claim::Mismatch => {
            let detail = "It was used for another method, address or body. Use a new key for a new call.";
            Err(Problem::new(Code::IdempotencyMismatch, detail))
        }
        Claim::Running => {
            let detail = "The first call has not been answered yet. Ask again in a moment.";
            Err(Problem::new(Code::IdempotencyRunning, detail).after(AGAIN_SECONDS))
        }
        Claim::Run(id) => {
            head.extensions.insert(CallId(id));
            run(api, identity.tenant, id, Request::from_parts(head, Body::from(body)), next).await
        }
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(&KEY) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=KEY_MAX).contains(&text.len()) && !text.contains('\t'));
    let detail = format!("`Idempotency-Key` has 1 to {KEY_MAX} printable ASCII characters.");
    text.map(|text| Some(text.to_owned())).ok_or_else(|| Problem::invalid(detail).of("Idempotency-Key"))
}

fn fingerprint(head: &Parts, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let address = head.uri.path_and_query().map_or("", |address| address.as_str());
    for part in [head.method.as_str().as_bytes(), address.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Runs a call to its end, even if the caller goes away: they will ask again.
async fn run(api: Api, tenant: TenantId, id: Uuid, request: Request, next: Next) -> Result<Response, Problem> {
    let waits_for_vendor = waits_for_vendor(request.uri().path());
    let work = async move {
        let response = tokio::time::timeout(CALL_MAX, next.run(request)).await;
        let response = response.unwrap_or_else(|_| {
            let detail = format!("The call took longer than {} seconds.", CALL_MAX.as_secs());
            Problem::new(Code::Unavailable, detail).into_response()
        });
        let (answer, response) = read(response, waits_for_vendor).await;
        if let Err(error) = api.engine.finish(tenant, id, answer.as_ref()).await {
            tracing::error!(%error, "the answer to a call with an idempotency key was not kept; the call may be repeated");
        }
        response
    };
    let finished = tokio::spawn(work.in_current_span()).await;
    finished.map_err(|error| {
        tracing::error!(%error, "a call with an idempotency key did not end");
        Problem::new(Code::Internal, "The fault is logged under this request's id.")
    })
}

/// The answer as it is kept, if it is final, and the response to send.
async fn read(response: Response, waits_for_vendor: bool) -> (Option<Answer>, Response) {
    let (head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, ANSWER_BYTES_MAX).await else {
        return (None, Problem::new(Code::Internal, "The answer could not be read.").into_response());
    };
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let answer = is_final(head.status, waits_for_vendor).then(|| Answer {
        status: head.status.as_u16(),
        content_type: content_type.unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    });
    (answer, Response::from_parts(head, Body::from(bytes)))
}

/// Whether what is asked for may be refused until the vendor sets something else right: an account, a price.
fn waits_for_vendor(path: &str) -> bool {
    is_checkout(path) || path.trim_start_matches("/api") == "/v1/connect"
}

/// Whether asking again would be answered the same. "Not done yet" and "not now" are not final.
fn is_final(status: StatusCode, waits_for_vendor: bool) -> bool {
    let is_passing = matches!(status, StatusCode::ACCEPTED | StatusCode::TOO_MANY_REQUESTS);
    let is_mended = matches!(status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY) && waits_for_vendor;
    !status.is_server_error() && !is_passing && !is_mended
}

fn replayed(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    if let Ok(value) = HeaderValue::from_str(&answer.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_answers_are_kept() {
        for (status, expected, of_checkouts) in [
            (200, true, true),
            (201, true, true),
            (202, false, false),
            (400, true, true),
            (404, true, true),
            (409, true, false),
            (422, true, false),
            (429, false, false),
            (503, false, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!((is_final(status, false), is_final(status, true)), (expected, of_checkouts), "{status}");
        }
    }

    #[test]
    fn what_a_vendor_sets_right_is_not_refused_for_a_day() {
        for (path, expected) in [
            ("/api/acme/checkout", true),
            ("/v1/connect", true),
            ("/api/v1/connect", true),
            ("/v1/connections", false),
            ("/api/v1/licenses/checkout", false),
            ("/v1/issue", false),
        ] {
            assert_eq!(waits_for_vendor(path), expected, "{path}");
        }
    }
}
