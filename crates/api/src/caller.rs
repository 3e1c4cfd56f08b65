//! Who calls: the API key in `Authorization: Bearer`, and what it may do.

use std::marker::PhantomData;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{header, request::Parts},
    middleware::Next,
    response::Response,
};
use engine::{
    api_keys::{ApiKeyIdentity, Recognised, Scope},
    requests,
    rulings::By,
};
use store::lists::Whose;

use crate::{
    Api,
    named::checkout::is_checkout,
    problem::{Code, Problem},
    request_log::CallerSlot,
};

/// Finds out who calls, before anything else of the call is looked at. Every route that needs an API key is behind it.
pub(crate) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, text)) = bearer else {
        let detail = match is_checkout(request.uri().path()) {
            true => "Send `Authorization: Bearer kw_checkout_…`. `POST /v1/api-keys` makes a key.",
            false => "Send `Authorization: Bearer kw_live_…`. `keywright api-key create` makes a key.",
        };
        return Err(Problem::new(Code::Unauthenticated, detail));
    };
    let recognised = api.engine.recognise_api_key(text.trim()).await?;
    if let Some(slot) = request.extensions().get::<CallerSlot>() {
        slot.fill(caller(&recognised));
    }
    let Recognised::Known(identity) = recognised else {
        let detail = "The API key is not known, is over, or was revoked. `keywright api-key create` makes a new one.";
        return Err(Problem::new(Code::Unauthenticated, detail));
    };
    request.extensions_mut().insert(identity);
    Ok(next.run(request).await)
}

/// The caller as the request log names them.
fn caller(recognised: &Recognised) -> Option<requests::Caller> {
    let (tenant, livemode, id, is_known) = match recognised {
        Recognised::Known(identity) => (identity.tenant, identity.livemode, identity.id, true),
        Recognised::Refused(named) => (named.tenant, named.livemode, named.id, false),
        Recognised::Unknown => return None,
    };
    Some(requests::Caller { tenant: Some(tenant), livemode: Some(livemode), api_key: Some(id), is_known })
}

/// What a handler needs, as a type: it stands in the handler's signature, and is checked before the body is read.
pub(crate) trait Needs {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! scopes {
    ($($name:ident)*) => {
        /// The scopes as types.
        pub(crate) mod scope {$(
            pub(crate) struct $name;

            impl super::Needs for $name {
                const SCOPE: engine::api_keys::Scope = engine::api_keys::Scope::$name;
            }
        )*}
    };
}

scopes! {
    Admin AlertRead AlertWrite AuditRead CatalogueRead CatalogueWrite EventRead EventWrite Issue LicenseRead LicenseWrite
    MailRead MailWrite UserRead UserWrite WebhookRead WebhookWrite
}

/// A caller whose API key has the scope `S`.
pub(crate) struct Allowed<S> {
    pub(crate) identity: ApiKeyIdentity,
    scope: PhantomData<S>,
}

impl<S> Allowed<S> {
    /// The rows that the caller may see.
    pub(crate) fn whose(&self) -> Whose {
        Whose { tenant: self.identity.tenant, livemode: self.identity.livemode }
    }

    /// The caller as the audit log names them, with their reason.
    pub(crate) fn by(&self, note: Option<String>) -> By {
        By { actor: self.identity.actor(), note }
    }
}

impl<S: Needs> FromRequestParts<Api> for Allowed<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Some(identity) = parts.extensions.get::<ApiKeyIdentity>() else {
            tracing::error!(path = parts.uri.path(), "a route that needs an API key is not behind `authenticate`");
            return Err(Problem::new(Code::Internal, "The fault is logged under this request's id."));
        };
        if identity.may(S::SCOPE) {
            return Ok(Self { identity: identity.clone(), scope: PhantomData });
        }
        let detail = format!("The API key `{}` lacks the scope `{}`.", identity.name, S::SCOPE);
        Err(Problem::new(Code::Forbidden, detail))
    }
}
