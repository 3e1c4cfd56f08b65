//! Refusals, as problem documents (RFC 9457). Each says what was wrong, where, and what to do.

use std::any::Any;

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{id::TenantId, tag::TagError};
use engine::{
    Error,
    accounts::AccountError,
    catchup::CatchUpError,
    configuration::{self, ConfigurationError},
    import::ImportError,
    inbound::{IgnoreError, ReplayError},
    issue::IssueError,
    license_metadata::MetadataError,
    license_tags::TaggingError,
    merging::MergeError,
    onboarding::OnboardingError,
    requests::Caller,
    webhook_secrets::SecretError,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request_log::Declined;

/// The media type of a refusal.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The kinds of refusals. Closed and append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The call is not of the expected form.
    InvalidRequest,
    /// There is no API key, or none that is known.
    Unauthenticated,
    /// The API key may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is no such route.
    NoRoute,
    /// The route has no such method.
    MethodNotAllowed,
    /// It clashes with something that is there.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// Too many calls.
    RateLimited,
    /// Accepted, and not done yet.
    NotYet,
    /// The database is away.
    Unavailable,
    /// A fault of ours.
    Internal,
    /// The idempotency key was used for another call.
    IdempotencyMismatch,
    /// A call with this idempotency key is running.
    IdempotencyRunning,
    /// The call is of the expected form, and what it asks for cannot be.
    Unprocessable,
    /// The payment provider did not do what it was asked for.
    ProviderRefused,
}

impl Code {
    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NotYet => StatusCode::ACCEPTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::IdempotencyMismatch | Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::IdempotencyRunning => StatusCode::CONFLICT,
            Self::ProviderRefused => StatusCode::BAD_GATEWAY,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The call is not of the expected form",
            Self::Unauthenticated => "An API key is needed",
            Self::Forbidden => "This API key may not do this",
            Self::NotFound => "There is no such thing",
            Self::NoRoute => "There is no such route",
            Self::MethodNotAllowed => "This route has no such method",
            Self::Conflict => "It clashes with something that is there",
            Self::TooLarge => "The body is too large",
            Self::RateLimited => "Too many calls",
            Self::NotYet => "Accepted, and not done yet",
            Self::Unavailable => "The server cannot do this right now",
            Self::Internal => "Something went wrong on our side",
            Self::IdempotencyMismatch => "This idempotency key was used for another call",
            Self::IdempotencyRunning => "A call with this idempotency key is running",
            Self::Unprocessable => "What the call asks for cannot be",
            Self::ProviderRefused => "The payment provider did not do it",
        }
    }
}

/// A refusal: what was wrong, where, and what to do.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldProblem>,
    licenses: Vec<LicenseMatch>,
    retry_after_seconds: Option<u64>,
    seller: Option<TenantId>,
}

/// A refusal as it is answered (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Names the kind of problem; a page of this server explains it.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors/not_found")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What was wrong this time, and what to do.
    detail: String,
    /// The kind for programs. The list is closed and only ever grows.
    code: Code,
    /// What is wrong with single fields, where it is about these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    /// The licenses that match, where one had to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    licenses: Vec<LicenseMatch>,
    /// The address that was called. It is known, as the id is, when the answer goes out.
    #[serde(skip_serializing_if = "String::is_empty")]
    instance: String,
    /// The id under which the request is found in the logs, as in the header `request-id`.
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
}

impl From<Problem> for ProblemDocument {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, errors, licenses, .. } = problem;
        let word = serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned));
        Self {
            kind: format!("/docs/errors/{}", word.unwrap_or_default()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail,
            code,
            errors,
            licenses,
            instance: String::new(),
            request_id: String::new(),
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// The field, or the parameter.
    pub(crate) param: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

/// A license that matches, with as much of it as tells it from the others.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LicenseMatch {
    pub(crate) id: String,
    /// The code of its plan.
    pub(crate) plan: String,
    /// Its state.
    pub(crate) state: String,
    /// What may be shown of its key.
    pub(crate) key_hint: Option<String>,
}

impl Problem {
    /// A refusal with what was wrong and what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            licenses: Vec::new(),
            retry_after_seconds: None,
            seller: None,
        }
    }

    /// The call is not of the expected form.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// There is no such thing, or it is another tenant's or of the other mode.
    pub fn not_found(id: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no `{id}` that this API key may see."))
    }

    /// Too many calls: again after so many seconds.
    pub fn slow_down(detail: impl Into<String>, retry_after_seconds: u64) -> Self {
        Self::new(Code::RateLimited, detail).after(retry_after_seconds)
    }

    /// The same, with the fields it is about.
    pub(crate) fn about(mut self, errors: impl IntoIterator<Item = FieldProblem>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// The same, with one field it is about.
    pub(crate) fn of(self, param: &str) -> Self {
        let detail = self.detail.clone();
        self.about([FieldProblem { param: param.to_owned(), detail }])
    }

    /// The same, with the licenses that match where one had to.
    pub(crate) fn matching(self, licenses: Vec<LicenseMatch>) -> Self {
        Self { licenses, ..self }
    }

    /// The same, about a product of this vendor: their request log has it.
    pub(crate) fn of_seller(self, seller: Option<TenantId>) -> Self {
        Self { seller, ..self }
    }

    /// The same; the call may be made again after so many seconds.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let (retry_after, seller) = (self.retry_after_seconds, self.seller);
        let mut response = (status, Json(ProblemDocument::from(self))).into_response();
        if let Some(tenant) = seller {
            let caller = Caller { tenant: Some(tenant), ..Caller::default() };
            response.extensions_mut().insert(Declined { caller, code: None });
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let passing = match &error {
            Error::Store(error) => error.is_passing(),
            Error::Stopping(_) | Error::Unanswered(_) | Error::NotKept(_) => true,
            _ => false,
        };
        // Logged here, at the boundary, and nowhere else.
        tracing::error!(%error, "a call failed");
        if passing {
            Self::new(Code::Unavailable, "The database does not answer. Nothing was lost; try again in a moment.")
        } else {
            Self::new(Code::Internal, "The fault is logged under this request's id.")
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::UnknownPlan(_) => Self::new(Code::NotFound, sentence(&error)),
            IssueError::AccountStopped(_) | IssueError::AccountFull { .. } => {
                Self::new(Code::Conflict, sentence(&error))
            }
            IssueError::Quantity(_) => Self::invalid(sentence(&error)),
            IssueError::NotYet(_) => Self::new(Code::NotYet, sentence(&error)),
            IssueError::Engine(error) => error.into(),
        }
    }
}

impl From<ConfigurationError> for Problem {
    fn from(error: ConfigurationError) -> Self {
        match error {
            ConfigurationError::Problems(ref problems) => {
                Self::invalid(sentence(&error)).about(problems.iter().map(FieldProblem::from))
            }
            ConfigurationError::Addresses(ref problems) => {
                Self::new(Code::Unprocessable, sentence(&error)).about(problems.iter().map(FieldProblem::from))
            }
            ConfigurationError::Exists(..) => Self::new(Code::Conflict, sentence(&error)),
            ConfigurationError::Missing(..) => Self::new(Code::NotFound, sentence(&error)),
            ConfigurationError::Engine(error) => error.into(),
        }
    }
}

impl From<&configuration::Problem> for FieldProblem {
    fn from(problem: &configuration::Problem) -> Self {
        Self { param: problem.field.unwrap_or_default().to_owned(), detail: problem.message.clone() }
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NoConnection(_) | SecretError::NoSecret(_) => Self::new(Code::NotFound, sentence(&error)),
            SecretError::Shared(_) => Self::new(Code::Conflict, sentence(&error)),
            SecretError::Manual => Self::invalid(sentence(&error)),
            SecretError::Engine(error) => error.into(),
        }
    }
}

impl From<OnboardingError> for Problem {
    fn from(error: OnboardingError) -> Self {
        let detail = sentence(&error);
        match error {
            OnboardingError::Provider(_) => Self::invalid(detail).of("provider"),
            OnboardingError::Url { field, .. } => Self::invalid(detail).of(field),
            OnboardingError::Code => Self::invalid(detail).of("code"),
            OnboardingError::NoPlatform(_)
            | OnboardingError::Taken(_)
            | OnboardingError::TooMany
            | OnboardingError::Gone { .. }
            | OnboardingError::NoAccount(_) => Self::new(Code::Conflict, detail),
            OnboardingError::Refused(refused) => {
                tracing::warn!(%refused, "an account was not connected");
                Self::new(Code::ProviderRefused, detail)
            }
            OnboardingError::Dial(error) => {
                tracing::warn!(%error, "an account was not connected");
                Self::new(Code::Unavailable, detail)
            }
            OnboardingError::Configuration(error) => error.into(),
            OnboardingError::Engine(error) => error.into(),
        }
    }
}

impl From<CatchUpError> for Problem {
    fn from(error: CatchUpError) -> Self {
        match error {
            CatchUpError::NoConnection(_) => Self::new(Code::NotFound, sentence(&error)),
            CatchUpError::NoList(_) => Self::new(Code::Conflict, sentence(&error)),
            CatchUpError::Engine(error) => error.into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Slug => Self::invalid(sentence(&error)).of("slug"),
            AccountError::Name => Self::invalid(sentence(&error)).of("name"),
            AccountError::SlugTaken(_) => Self::new(Code::Conflict, sentence(&error)),
            AccountError::Unknown(_) => Self::new(Code::NotFound, sentence(&error)),
            AccountError::Engine(error) => error.into(),
        }
    }
}

impl From<MetadataError> for Problem {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::Engine(error) => error.into(),
            refused => Self::new(Code::Unprocessable, format!("{refused}.")).of("metadata"),
        }
    }
}

impl From<MergeError> for Problem {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Engine(error) => error.into(),
            refused => Self::new(Code::Conflict, sentence(&refused)),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Engine(error) => error.into(),
            ImportError::UnknownPlan(_) => Self::new(Code::NotFound, sentence(&error)),
            ImportError::TooManyWaiting => Self::new(Code::Conflict, sentence(&error)),
            refused => Self::new(Code::Unprocessable, sentence(&refused)).of("csv"),
        }
    }
}

impl From<TaggingError> for Problem {
    fn from(error: TaggingError) -> Self {
        match error {
            TaggingError::Engine(error) => error.into(),
            TaggingError::Tag(error) => error.into(),
        }
    }
}

impl From<TagError> for Problem {
    fn from(error: TagError) -> Self {
        Self::new(Code::Unprocessable, sentence(&error)).of("tags")
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Engine(error) => error.into(),
            refused => Self::new(Code::Conflict, sentence(&refused)),
        }
    }
}

impl From<IgnoreError> for Problem {
    fn from(error: IgnoreError) -> Self {
        let detail = sentence(&error);
        match error {
            IgnoreError::Engine(error) => error.into(),
            IgnoreError::NoReason => Self::invalid(detail).of("note"),
            IgnoreError::NotStuck(_) => Self::new(Code::Conflict, detail),
            IgnoreError::GivesUp(_) => Self::new(Code::Conflict, detail).of("give_up_sale"),
        }
    }
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(Code::TooLarge, "The body may have 1 MiB at most.");
        }
        Self::invalid(rejection.body_text())
    }
}

pub(crate) fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

pub(crate) async fn no_route() -> Problem {
    Problem::new(Code::NoRoute, "Nothing is served at this address. The routes are listed at /openapi.json.")
}

pub(crate) async fn no_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "The route exists and does not have this method.")
}

pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = %text, "a handler panicked");
    Problem::new(Code::Internal, "The fault is logged under this request's id.").into_response()
}
