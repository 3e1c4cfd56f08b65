//! What members do about themselves: their password, their authenticator, and where they are signed in.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::id::TenantId;
use engine::members::MemberError;
use qrcode::{QrCode, render::svg};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::members::Ended;

use super::{
    browser::see_other,
    passkeys::{self, PasskeyRow},
    place::{Present, SignedInHere},
    refusal::Refusal,
    site::{Nowhere, Site},
    words::{When, browser_name, sentence},
};
use crate::Web;

/// The pages of an account.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(password))
        .route("/account/authenticator", get(new_authenticator).post(set_authenticator))
        .route("/account/authenticator/remove", post(remove_authenticator))
        .route("/account/sessions/end", post(end_session))
}

#[derive(Template)]
#[template(path = "console/account.html")]
struct AccountPage {
    email: String,
    passkeys: Vec<PasskeyRow>,
    /// Why there can be none here.
    no_passkeys: Option<Nowhere>,
    has_authenticator: bool,
    sessions: Vec<SessionRow>,
    wrong: Option<String>,
    said: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "console/provider_account.html")]
struct ProviderAccountPage {
    email: String,
    provider: String,
    until: When,
}

struct SessionRow {
    id: String,
    agent: String,
    address: String,
    seen: When,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "console/authenticator.html")]
struct AuthenticatorPage {
    picture: String,
    secret: String,
    sealed: String,
    wrong: Option<String>,
}

/// What was just done.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Said {
    #[serde(default)]
    said: String,
}

async fn show(
    State(web): State<Web>,
    site: Site,
    here: Present,
    Query(said): Query<Said>,
) -> Result<Response, Refusal> {
    if let Some(tenant) = here.who.session.tenant_id {
        return kept_elsewhere(&web, &here, TenantId(tenant)).await;
    }
    let said = match said.said.as_str() {
        "password" => Some("Your password is changed, and your other browsers are signed out."),
        "authenticator" => Some("From now on a code is asked for when you sign in."),
        "removed" => Some("No code is asked for any more."),
        "passkey_added" => Some("The passkey is added: it signs you in from now on."),
        "passkey_removed" => Some("The passkey signs nobody in any more. Remove it from your device as well."),
        "second_factor" => Some(
            "This vendor asks for more than a password. Set an authenticator up here, or come in by a passkey, and its pages open.",
        ),
        "ended" => Some("That browser is signed out."),
        _ => None,
    };
    shown(&web, &site, &SignedInHere { who: here.who, address: here.address }, None, said).await
}

/// The account of somebody whom an identity provider let in. It does not tell where else the member is signed in: the provider
/// is the vendor's, and the member may be another one's as well.
async fn kept_elsewhere(web: &Web, here: &Present, tenant: TenantId) -> Result<Response, Refusal> {
    let provider = web.engine.store.identity_provider(tenant).await?.ok_or(Refusal::NotFound)?;
    let page = ProviderAccountPage {
        email: here.who.member.email.clone(),
        provider: provider.name,
        until: When::stored(here.who.session.expires_at, web.engine.now()),
    };
    Ok(Html(page.render()?).into_response())
}

async fn shown(
    web: &Web,
    site: &Site,
    here: &SignedInHere,
    problem: Option<MemberError>,
    said: Option<&'static str>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let sessions = web.engine.store.sessions_of(here.who.id()).await?;
    let row = |row: store::rows::Session| SessionRow {
        id: domain::id::SessionId(row.id).to_string(),
        agent: browser_name(&row.agent),
        address: row.address,
        seen: When::stored(row.seen_at, now),
        is_this: row.id == here.who.session.id,
    };
    let page = AccountPage {
        email: here.who.member.email.clone(),
        passkeys: passkeys::rows(web, site, &here.who).await?,
        no_passkeys: site.0.as_ref().err().cloned(),
        has_authenticator: here.who.member.authenticator.is_some(),
        sessions: sessions.into_iter().map(row).collect(),
        wrong: problem.map(wrong).transpose()?,
        said,
    };
    Ok(Html(page.render()?).into_response())
}

/// What a person reads of a mistake of theirs.
pub(crate) fn wrong(problem: MemberError) -> Result<String, Refusal> {
    if let MemberError::Engine(error) = problem {
        return Err(error.into());
    }
    Ok(sentence(&problem))
}

/// Who changes what proves who they are has proved it lately; otherwise `next` is wanted afterwards.
pub(crate) fn confirmed(web: &Web, here: &SignedInHere, next: &str) -> Result<(), Refusal> {
    if here.who.is_confirmed(web.engine.now()) { Ok(()) } else { Err(Refusal::Confirm(next.to_owned())) }
}

/// A new password, and the one before.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    current: SecretString,
    new: SecretString,
}

async fn password(
    State(web): State<Web>,
    site: Site,
    here: SignedInHere,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Refusal> {
    let changed = match web.engine.confirm(&here.who, form.current.expose_secret()).await {
        Ok(()) => web.engine.change_password(&here.who, form.new.expose_secret()).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(()) => Ok(see_other("/account?said=password")),
        Err(problem) => shown(&web, &site, &here, Some(problem), None).await,
    }
}

async fn new_authenticator(State(web): State<Web>, here: SignedInHere) -> Result<Response, Refusal> {
    confirmed(&web, &here, "/account/authenticator")?;
    let new = web.engine.new_authenticator(&here.who.member)?;
    authenticator_page(&new.url, URL_SAFE_NO_PAD.encode(&new.sealed), None)
}

fn authenticator_page(url: &str, sealed: String, wrong: Option<String>) -> Result<Response, Refusal> {
    let code = QrCode::new(url).map_err(|error| Refusal::Failed(error.to_string()))?;
    let picture = code.render::<svg::Color<'_>>().min_dimensions(192, 192).build();
    // The picture stands in the page, where no declaration of XML may be.
    let picture = picture.split_once("?>").map_or(picture.clone(), |(_, rest)| rest.to_owned());
    let secret = url.split("secret=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
    let page = AuthenticatorPage { picture, secret: secret.to_owned(), sealed, wrong };
    Ok(Html(page.render()?).into_response())
}

/// A code of a new authenticator, whose sealed secret the form carries along.
#[derive(Deserialize)]
pub(crate) struct AuthenticatorForm {
    sealed: String,
    code: String,
}

async fn set_authenticator(
    State(web): State<Web>,
    site: Site,
    here: SignedInHere,
    Form(form): Form<AuthenticatorForm>,
) -> Result<Response, Refusal> {
    confirmed(&web, &here, "/account/authenticator")?;
    let unreadable = Refusal::Unreadable("The form is not as it was sent. Begin anew under Account.".into());
    let Ok(sealed) = URL_SAFE_NO_PAD.decode(&form.sealed) else { return Err(unreadable) };
    match web.engine.set_authenticator(&here.who, &sealed, &form.code).await {
        Ok(()) => Ok(see_other("/account?said=authenticator")),
        Err(MemberError::Wrong) => {
            let url = web.engine.authenticator_url(&here.who.member, &sealed)?;
            authenticator_page(
                &url,
                form.sealed,
                Some("That code is not right. Is the clock of your phone?".to_owned()),
            )
        }
        Err(problem) => shown(&web, &site, &here, Some(problem), None).await,
    }
}

async fn remove_authenticator(State(web): State<Web>, site: Site, here: SignedInHere) -> Result<Response, Refusal> {
    confirmed(&web, &here, "/account")?;
    match web.engine.remove_authenticator(&here.who).await {
        Ok(()) => Ok(see_other("/account?said=removed")),
        Err(problem) => shown(&web, &site, &here, Some(problem), None).await,
    }
}

/// Which browser is to be signed out.
#[derive(Deserialize)]
pub(crate) struct EndForm {
    id: String,
}

async fn end_session(
    State(web): State<Web>,
    here: SignedInHere,
    Form(form): Form<EndForm>,
) -> Result<Response, Refusal> {
    let id = form.id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.end_sessions(here.who.id(), Ended::One(id)).await?;
    Ok(see_other("/account?said=ended"))
}
