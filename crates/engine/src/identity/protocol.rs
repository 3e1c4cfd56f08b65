//! OpenID Connect, as its library speaks it: with our HTTP client, our clock and our randomness.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use domain::text::EmailAddress;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenVerifier, IssuerUrl,
    JwsSigningAlgorithm, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
    core::{
        CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
        CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreTokenResponse, CoreUserInfoClaims,
    },
};
use serde_json::Value;

use super::{Problem, admission::Said};

/// How long it is believed what a provider says of itself and its keys.
const FRESH: SignedDuration = SignedDuration::from_mins(60);
/// A key that is not known makes the keys be read again, but no more often than this.
const READ_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// By how much the provider's clock may differ from ours.
pub(super) const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Google takes no `prompt=login` ("OpenID Connect", authentication URI parameters), and tells when somebody signed in only where
/// it is asked for by name ("Security bundle").
const GOOGLE: &str = "https://accounts.google.com";
/// Of how many providers it is kept in memory what they say of themselves.
const KEPT_MAX: usize = 64;

/// A provider was not reached, as a sentence.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallFailed(pub String);

/// Calls identity providers, through the guarded HTTP client: no address is dialled that was not checked.
pub trait CallProvider: Send + Sync {
    /// Sends one request; any status is an answer.
    fn call<'a>(&'a self, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, CallFailed>>;
}

/// All identity providers, and what is known of them.
pub struct Providers {
    calls: Caller,
    kept: Mutex<HashMap<String, (Timestamp, Arc<CoreProviderMetadata>)>>,
}

struct Caller(Arc<dyn CallProvider>);

impl<'c> AsyncHttpClient<'c> for Caller {
    type Error = CallFailed;
    type Future = BoxFuture<'c, Result<HttpResponse, CallFailed>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        self.0.call(request)
    }
}

/// This server, as a provider knows it.
pub(super) struct Client<'a> {
    pub(super) issuer: &'a str,
    pub(super) id: &'a str,
    pub(super) secret: String,
    pub(super) redirect: &'a str,
}

/// What ties an answer to the browser that asked: made of what that browser keeps.
pub(super) struct Ties {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

type Endpoints =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

impl Client<'_> {
    fn endpoints(&self, provider: &CoreProviderMetadata) -> Result<Endpoints, String> {
        let redirect = RedirectUrl::new(self.redirect.to_owned()).map_err(|error| told(&error))?;
        let methods = provider.token_endpoint_auth_methods_supported();
        // Basic is what holds where a provider names nothing (OpenID Connect Discovery, section 3).
        let is_basic = methods.is_none_or(|all| all.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let (id, secret) = (ClientId::new(self.id.to_owned()), ClientSecret::new(self.secret.clone()));
        let client = CoreClient::from_provider_metadata(provider.clone(), id, Some(secret)).set_redirect_uri(redirect);
        Ok(client.set_auth_type(if is_basic { AuthType::BasicAuth } else { AuthType::RequestBody }))
    }
}

impl Providers {
    /// None is known yet.
    #[must_use]
    pub fn new(calls: Arc<dyn CallProvider>) -> Self {
        Self { calls: Caller(calls), kept: Mutex::default() }
    }

    /// What a provider says of itself and its keys, as it was at most [`FRESH`] ago.
    async fn known(&self, issuer: &str, now: Timestamp) -> Result<(Timestamp, Arc<CoreProviderMetadata>), String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned();
        match kept.filter(|(at, _)| domain::time::after(*at, FRESH) > now) {
            Some(known) => Ok(known),
            None => Ok((now, self.fresh(issuer, now).await?)),
        }
    }

    /// The same, as it is now.
    pub(super) async fn fresh(&self, issuer: &str, now: Timestamp) -> Result<Arc<CoreProviderMetadata>, String> {
        let url = IssuerUrl::new(issuer.to_owned()).map_err(|error| told(&error))?;
        let found = CoreProviderMetadata::discover_async(url, &self.calls).await.map_err(|error| told(&error))?;
        // A browser is sent there.
        let door = found.authorization_endpoint().url();
        if door.scheme() != "https" && !(door.scheme() == "http" && issuer.starts_with("http://")) {
            return Err(format!("its authorization endpoint is {}:, and not https:", door.scheme()));
        }
        let found = Arc::new(found);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(issuer.to_owned(), (now, Arc::clone(&found)));
        Ok(found)
    }

    /// Where a browser is sent to sign in; `again`: although it has signed in there already.
    pub(super) async fn door(
        &self,
        client: &Client<'_>,
        ties: &Ties,
        again: bool,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let (_, provider) =
            self.known(client.issuer, now).await.map_err(|why| unlucky(client, Problem::Unreachable, &why))?;
        let endpoints = client.endpoints(&provider).map_err(|why| unlucky(client, Problem::Refused, &why))?;
        let verifier = PkceCodeVerifier::new(ties.verifier.clone());
        let (state, nonce) = (ties.state.clone(), ties.nonce.clone());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let asked = endpoints.authorize_url(flow, || CsrfToken::new(state), || Nonce::new(nonce));
        let asked = asked
            .add_scopes(["email", "profile"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("claims", r#"{"id_token":{"auth_time":{"essential":true}}}"#);
        let asked = match again {
            false => asked,
            true => asked
                .add_prompt(if client.issuer == GOOGLE { CoreAuthPrompt::SelectAccount } else { CoreAuthPrompt::Login })
                .set_max_age(Duration::ZERO),
        };
        Ok(asked.url().0.into())
    }

    /// Trades a code for what the provider says of who has signed in.
    pub(super) async fn trade(
        &self,
        client: &Client<'_>,
        code: &str,
        ties: &Ties,
        now: Timestamp,
    ) -> Result<Said, Problem> {
        let (read_at, provider) =
            self.known(client.issuer, now).await.map_err(|why| unlucky(client, Problem::Unreachable, &why))?;
        let endpoints = client.endpoints(&provider).map_err(|why| unlucky(client, Problem::Refused, &why))?;
        let request = endpoints.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|why| unlucky(client, Problem::Refused, &told(&why)))?;
        let verifier = PkceCodeVerifier::new(ties.verifier.clone());
        let answer: CoreTokenResponse = match request.set_pkce_verifier(verifier).request_async(&self.calls).await {
            Ok(answer) => answer,
            Err(why) => return Err(unlucky(client, refused(&why), &told(&why))),
        };
        let token = answer.id_token().ok_or_else(|| unlucky(client, Problem::Untrusted, &"it gave no ID token"))?;
        let nonce = Nonce::new(ties.nonce.clone());
        let claims = match verified(token, &provider, client, &nonce, now) {
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
                if domain::time::after(read_at, READ_AGAIN) <= now =>
            {
                let provider = self.fresh(client.issuer, now).await;
                let provider = provider.map_err(|why| unlucky(client, Problem::Unreachable, &why))?;
                verified(token, &provider, client, &nonce, now)
            }
            other => other,
        };
        let claims = claims.map_err(|why| unlucky(client, Problem::Untrusted, &told(&why)))?;
        let mut said = of_token(claims, token);
        if said.email.is_none() {
            self.ask_for_email(&endpoints, &answer, claims, client, &mut said).await?;
        }
        said.is_verified &= client.issuer != GOOGLE || is_googles(&said, claim(token, "hd").as_ref());
        Ok(said)
    }

    /// Many providers tell the address only where they are asked for it, with the token that they gave.
    async fn ask_for_email(
        &self,
        endpoints: &Endpoints,
        answer: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
        client: &Client<'_>,
        said: &mut Said,
    ) -> Result<(), Problem> {
        let subject = claims.subject().clone();
        let Ok(request) = endpoints.user_info(answer.access_token().clone(), Some(subject)) else { return Ok(()) };
        let info: CoreUserInfoClaims = match request.request_async(&self.calls).await {
            Ok(info) => info,
            Err(why) => return Err(unlucky(client, Problem::Unreachable, &told(&why))),
        };
        said.email = info.email().and_then(|email| EmailAddress::parse(email.as_str()).ok());
        // What the token says of an address is about none if it names none.
        said.is_verified = info.email_verified() == Some(true);
        if said.name.is_empty() {
            said.name = first(info.name());
        }
        Ok(())
    }
}

/// The claims of a token that the provider signed for this server and this visit, and that still counts.
fn verified<'t>(
    token: &'t CoreIdToken,
    provider: &CoreProviderMetadata,
    client: &Client<'_>,
    nonce: &Nonce,
    now: Timestamp,
) -> Result<&'t CoreIdTokenClaims, ClaimsVerificationError> {
    // Whoever knows the secret could sign with it, and so could who signs with nothing.
    let is_public = |algorithm: &&CoreJwsSigningAlgorithm| {
        !algorithm.uses_shared_secret() && **algorithm != CoreJwsSigningAlgorithm::None
    };
    let algorithms = provider.id_token_signing_alg_values_supported().iter().filter(is_public).cloned();
    let (id, keys) = (ClientId::new(client.id.to_owned()), provider.jwks().clone());
    let verifier = IdTokenVerifier::new_public_client(id, provider.issuer().clone(), keys)
        .set_allowed_algs(algorithms)
        .set_time_fn(move || instant(domain::time::after(now, -SKEW)))
        .set_issue_time_verifier_fn(move |issued_at| match issued_at > instant(domain::time::after(now, SKEW)) {
            true => Err("it is from the future; is the clock right?".to_owned()),
            false => Ok(()),
        });
    token.claims(&verifier, nonce)
}

/// What a token says that was verified.
fn of_token(claims: &CoreIdTokenClaims, token: &CoreIdToken) -> Said {
    let proved_at = claims.auth_time().and_then(|at| Timestamp::from_second(at.timestamp()).ok());
    Said {
        subject: claims.subject().to_string(),
        email: claims.email().and_then(|email| EmailAddress::parse(email.as_str()).ok()),
        is_verified: claims.email_verified().unwrap_or_else(|| is_domain_owners(token)),
        name: first(claims.name()),
        proved_at,
    }
}

/// Microsoft Entra says of an address whether the owner of its domain has verified it, in a claim of its own (`xms_edov`,
/// "optional claims reference"), and says nothing of `email_verified`.
fn is_domain_owners(token: &CoreIdToken) -> bool {
    claim(token, "xms_edov").is_some_and(|said| said == true || said == 1 || said == "1" || said == "true")
}

/// Whether Google itself answers for an address: its own, and those of the domains whose organisation it hosts (`hd`). Of others
/// it knows only that somebody read a mail once ("Verify the Google ID token on your server side").
fn is_googles(said: &Said, hosted: Option<&Value>) -> bool {
    let domain = said.email.as_ref().and_then(|email| email.as_str().rsplit_once('@')).map(|(_, domain)| domain);
    let hosted = hosted.and_then(Value::as_str);
    domain
        .is_some_and(|domain| [Some("gmail.com"), hosted].iter().flatten().any(|own| own.eq_ignore_ascii_case(domain)))
}

/// A claim that the standard does not name, of a token that was verified.
fn claim(token: &CoreIdToken, name: &str) -> Option<Value> {
    let text = token.to_string();
    let payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&payload).ok()?.get_mut(name).map(Value::take)
}

fn first(name: Option<&openidconnect::LocalizedClaim<openidconnect::EndUserName>>) -> String {
    name.and_then(|names| names.iter().next()).map(|(_, name)| name.to_string()).unwrap_or_default()
}

fn instant(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.as_second(), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Whose fault it is that a code was not traded.
fn refused<E: std::error::Error + 'static>(
    why: &RequestTokenError<E, openidconnect::StandardErrorResponse<CoreErrorResponseType>>,
) -> Problem {
    match why {
        RequestTokenError::Request(_) => Problem::Unreachable,
        RequestTokenError::ServerResponse(answer) if *answer.error() == CoreErrorResponseType::InvalidGrant => {
            Problem::Stale
        }
        _ => Problem::Refused,
    }
}

/// A failure with its causes. None of them quotes a secret: the library's texts name what is wrong and who said so.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What went wrong stands in the log, for the operator; a person reads the sentence of the problem.
fn unlucky(client: &Client<'_>, problem: Problem, why: &dyn fmt::Display) -> Problem {
    tracing::warn!(issuer = client.issuer, problem = problem.word(), %why, "an identity provider let nobody in");
    problem
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn google_answers_for_its_own_addresses_and_those_that_it_hosts() {
        for (email, hosted, expected) in [
            ("ada@gmail.com", None, true),
            ("ada@acme.example", Some(json!("acme.example")), true),
            ("ada@ACME.example", Some(json!("acme.example")), true),
            ("ada@acme.example", None, false),
            ("ada@acme.example", Some(json!("evil.example")), false),
            ("ada@mail.acme.example", Some(json!("acme.example")), false),
            ("ada@acme.example", Some(json!(true)), false),
        ] {
            let said = Said {
                subject: "1".to_owned(),
                email: EmailAddress::parse(email).ok(),
                is_verified: true,
                name: String::new(),
                proved_at: None,
            };
            assert_eq!(is_googles(&said, hosted.as_ref()), expected, "{email} of {hosted:?}");
        }
    }
}
