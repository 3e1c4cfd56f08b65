//! Reading a call: whatever is wrong with it is answered as a problem document.

use std::{fmt::Display, str::FromStr};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use domain::id::{
    AlertChannelId, AlertId, ApiKeyId, AttentionId, AuditId, BulkChangeId, ConnectionId, CustomerId, DeliveryId,
    EventId, IdError, InboundId, LicenseId, MailId, MailTemplateId, OrderId, PlanId, PriceRuleId, ProductId,
    RecoveryId, WebhookEndpointId,
};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S, T> FromRequest<S> for Body<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) = Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

/// A JSON body that may be left out.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<S, T> FromRequest<S> for MaybeBody<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge, "The body may have 1 MiB at most."),
            _ => Problem::invalid(rejection.body_text()),
        })?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let Json(value) = Json::from_bytes(&bytes)?;
        Ok(Self(value))
    }
}

/// A JSON body with secrets in it: whatever is wrong with it, nothing of it is repeated but names of fields.
pub(crate) struct SecretBody<T>(pub(crate) T);

impl<S, T> FromRequest<S> for SecretBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // The media type and the length are checked as for every body.
        let Body(body) = Body::<Box<serde_json::value::RawValue>>::from_request(request, state).await?;
        serde_json::from_str(body.get()).map(Self).map_err(|error| Problem::invalid(discreet(&error.to_string())))
    }
}

/// serde's words without the value that they are about, which stands before "expected".
fn discreet(text: &str) -> String {
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("Expected {expected}."),
        None => format!("The body is not of the expected form: {text}."),
    }
}

/// An id with its prefix.
pub(crate) trait Prefixed: FromStr<Err = IdError> + Display + Copy {
    /// The id without its prefix.
    fn uuid(self) -> Uuid;
}

macro_rules! prefixed {
    ($($id:ident)*) => {$(
        impl Prefixed for $id {
            fn uuid(self) -> Uuid {
                self.0
            }
        }
    )*};
}

prefixed! {
    AlertChannelId AlertId ApiKeyId AttentionId AuditId ConnectionId CustomerId DeliveryId EventId InboundId LicenseId MailId MailTemplateId OrderId
    BulkChangeId PlanId PriceRuleId ProductId RecoveryId WebhookEndpointId
}

/// The id in the address. A text that can be no id names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Id<T>
where
    T: Prefixed,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|rejection| Problem::new(Code::NotFound, rejection.body_text()))?;
        let id = text.parse().map_err(|error: IdError| Problem::new(Code::NotFound, format!("{error}.")))?;
        Ok(Self(id))
    }
}

/// What stands behind the question mark. A name that is not known is a mistake: a filter with a typing error must not
/// answer everything.
pub(crate) struct Params<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Params<T>
where
    T: DeserializeOwned + IntoParams,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let names: Vec<String> = T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect();
        refuse_unknown(parts, &names)?;
        params(parts).map(Self)
    }
}

/// Reads parameters, whatever others there are.
pub(crate) fn params<T: DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    let Query(params) = Query::try_from_uri(&parts.uri).map_err(|rejection| Problem::invalid(rejection.body_text()))?;
    Ok(params)
}

/// Refuses parameters that are not among the known ones.
pub(crate) fn refuse_unknown(parts: &Parts, known: &[String]) -> Result<(), Problem> {
    let given: Vec<(String, String)> = params(parts)?;
    match given.into_iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((name, _)) if known.is_empty() => {
            Err(Problem::invalid(format!("There is no parameter `{name}`; this call takes none.")).of(&name))
        }
        Some((name, _)) => {
            let detail = format!("There is no parameter `{name}`; there are `{}`.", known.join("`, `"));
            Err(Problem::invalid(detail).of(&name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_repeated() {
        for (text, told) in [
            (
                "invalid type: string \"whsec_1, expected \", expected a sequence at line 1 column 9",
                "Expected a sequence at line 1 column 9.",
            ),
            ("unknown field `secrt`, expected `secret` at line 1 column 8", "Expected `secret` at line 1 column 8."),
            (
                "missing field `secret` at line 1 column 2",
                "The body is not of the expected form: missing field `secret` at line 1 column 2.",
            ),
        ] {
            assert_eq!(discreet(text), told);
        }
    }
}
