//! Coming in by a vendor's identity provider: a browser is sent there, and comes back with an answer.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use domain::id::TenantId;
use engine::identity::{Answer, Ended, IdentityError, Problem, Purpose};
use serde::Deserialize;
use store::rows::Tenant;

use super::{
    browser::{is_from_elsewhere, see_other},
    entrance::{EntrancePage, Next, sign_in_fields},
    passkeys::Offer,
    place::{Present, came_from},
    refusal::{Refusal, encoded},
    site::Site,
};
use crate::Web;

/// The way in, and back.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/sign-in/{tenant}", get(show))
        .route("/sign-in/{tenant}/provider", get(enter))
        .route("/sign-in/{tenant}/callback", get(back))
        .route("/confirm/provider", get(confirm))
}

/// The link to an identity provider: address and words.
pub(super) fn provider_door(slug: &str, name: &str, next: &str) -> (String, String) {
    (format!("/sign-in/{slug}/provider?next={}", encoded(next)), format!("Sign in with {name}"))
}

/// Where a vendor's provider sends browsers back to: it has to know this address.
pub(super) fn callback(web: &Web, slug: &str) -> String {
    format!("{}/sign-in/{slug}/callback", web.public_url.trim_end_matches('/'))
}

/// What a person reads when an identity provider let them in nowhere, and what they can do.
pub(super) fn sentence_of(problem: Problem, name: &str) -> String {
    match problem {
        Problem::Cancelled => format!("You did not sign in at {name}. Try again when you want to."),
        Problem::Unreachable => {
            format!("{name} does not answer. Try again in a minute; if it stays so, tell an owner.")
        }
        Problem::Refused => {
            format!("{name} does not accept this server. An owner can mend that under Settings, Sign-in.")
        }
        Problem::Stale => "That took too long, or was used already. Begin anew.".to_owned(),
        Problem::Untrusted => format!("What {name} answered does not hold. Begin anew; if it stays so, tell an owner."),
        Problem::Unverified => {
            format!("{name} has not verified your e-mail address, so it does not count here. Verify it there first.")
        }
        Problem::Domain => {
            format!("Nobody comes in with the e-mail address that you have at {name}. Take your account at work.")
        }
        Problem::OtherAccount => format!(
            "The member with your e-mail address has another account at {name}. If it is you, have an owner remove that \
             member and invite you again."
        ),
        Problem::Nobody => {
            format!(
                "You are no member here. Ask an owner or admin to invite the e-mail address that you have at {name}."
            )
        }
        Problem::NotYou => format!("That was another account at {name} than yours. Sign in there as yourself."),
        Problem::NotNow => format!(
            "{name} did not ask you who you are just now. Sign out here and there, and sign in again: for a quarter of an \
             hour nothing more is asked."
        ),
    }
}

/// The problem that a word in an address names.
pub(super) fn problem_named(word: &str) -> Option<Problem> {
    Problem::ALL.into_iter().find(|problem| problem.word() == word)
}

/// `GET /sign-in/{tenant}`: the page of a vendor's own people. Without an identity provider it is that of everybody.
async fn show(
    State(web): State<Web>,
    site: Site,
    Path(slug): Path<String>,
    Query(next): Query<Next>,
) -> Result<Response, Refusal> {
    let to_all = format!("/sign-in?next={}", encoded(next.path()));
    let Some((tenant, provider)) = web.engine.identity_provider_of(&slug).await? else { return Ok(see_other(&to_all)) };
    let mut page = EntrancePage {
        title: "Sign in",
        lead: format!("To work on {}.", tenant.name),
        wrong: problem_named(&next.problem).map(|problem| sentence_of(problem, &provider.name)),
        action: to_all.clone(),
        door: Some(provider_door(&tenant.slug, &provider.name, next.path())),
        ..EntrancePage::default()
    };
    if provider.required {
        page.other = Some((to_all, "Owners can sign in with a password"));
    } else {
        page.button = Some("Sign in");
        page.fields = sign_in_fields("");
        page.passkey = Offer::to_sign_in(&site, &next);
    }
    page.shown(None)
}

/// Whether somebody agreed to leave the session that is open.
#[derive(Deserialize)]
struct Leaving {
    #[serde(default)]
    leaving: bool,
}

/// `GET /sign-in/{tenant}/provider`. The provider may let somebody in without a word, and so only a page of this server sends
/// a browser there, and asks first where somebody is signed in: otherwise any site could sign people in as somebody else.
async fn enter(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(slug): Path<String>,
    (Query(next), Query(Leaving { leaving })): (Query<Next>, Query<Leaving>),
    headers: HeaderMap,
    here: Result<Present, Refusal>,
) -> Result<Response, Refusal> {
    if let Some(seconds) = (web.too_many)(peer.ip()) {
        return Err(Refusal::TooMany(seconds));
    }
    let Some((tenant, provider)) = web.engine.identity_provider_of(&slug).await? else {
        return Ok(see_other("/sign-in"));
    };
    if is_from_elsewhere(&headers) {
        return Ok(see_other(&format!("/sign-in/{slug}?next={}", encoded(next.path()))));
    }
    match here.ok() {
        Some(here) if !leaving => leaving_page(&tenant.slug, &provider.name, &here, next.path()).shown(None),
        here => sent_there(&web, &tenant, Purpose::Enter(here.map(|here| here.who.session())), next.path()).await,
    }
}

/// The page of somebody who is signed in, and would be signed in as whom the provider names.
fn leaving_page(slug: &str, name: &str, here: &Present, next: &str) -> EntrancePage {
    let (path, words) = provider_door(slug, name, next);
    EntrancePage {
        title: "Sign in",
        lead: format!("You are signed in as {}. That ends when you come in by {name}.", here.who.member.email),
        door: Some((format!("{path}&leaving=true"), words)),
        other: Some(("/".to_owned(), "Stay signed in")),
        ..EntrancePage::default()
    }
}

/// The page on which somebody goes to their provider before secrets are shown.
pub(super) async fn provider_confirms(web: &Web, tenant: TenantId, next: &Next) -> Result<Response, Refusal> {
    let provider = web.engine.store.identity_provider(tenant).await?.ok_or(Refusal::NotFound)?;
    let page = EntrancePage {
        title: "Is it you?",
        lead: format!("Before secrets are shown or changed, {} asks once more who you are.", provider.name),
        wrong: problem_named(&next.problem).map(|problem| sentence_of(problem, &provider.name)),
        action: String::new(),
        door: Some((format!("/confirm/provider?next={}", encoded(next.path())), format!("Go on at {}", provider.name))),
        other: Some((next.path().to_owned(), "Back")),
        ..EntrancePage::default()
    };
    page.shown(None)
}

/// `GET /confirm/provider`.
async fn confirm(State(web): State<Web>, here: Present, Query(next): Query<Next>) -> Result<Response, Refusal> {
    let tenant = here.who.session.tenant_id.map(TenantId).ok_or(Refusal::NotFound)?;
    let tenant = web.engine.store.tenant_with_id(tenant).await?.ok_or(Refusal::NotFound)?;
    sent_there(&web, &tenant, Purpose::Confirm(here.who.session()), next.path()).await
}

/// Sends a browser to the provider of a vendor.
pub(super) async fn sent_there(web: &Web, tenant: &Tenant, purpose: Purpose, next: &str) -> Result<Response, Refusal> {
    let redirect = callback(web, &tenant.slug);
    match web.engine.begin_visit(TenantId(tenant.id), purpose, next, &redirect).await {
        Ok(visit) => {
            let kept = [(header::SET_COOKIE, web.visiting(Some(&visit.handle)))];
            Ok((kept, see_other(&visit.url)).into_response())
        }
        Err(problem) => Ok(see_other(&told_at(&tenant.slug, purpose, next, problem)?)),
    }
}

/// The page that tells what went wrong.
fn told_at(slug: &str, purpose: Purpose, next: &str, problem: IdentityError) -> Result<String, Refusal> {
    let problem = match problem {
        IdentityError::Problem(problem) => problem,
        IdentityError::None => return Ok("/sign-in".to_owned()),
        IdentityError::Field(problem) => return Err(Refusal::Failed(problem)),
        IdentityError::Engine(error) => return Err(error.into()),
    };
    let (word, next_encoded) = (problem.word(), encoded(next));
    Ok(match purpose {
        Purpose::Enter(_) => format!("/sign-in/{slug}?problem={word}&next={next_encoded}"),
        Purpose::Confirm(_) => format!("/confirm?problem={word}&next={next_encoded}"),
        Purpose::Try(_) => format!("{next}?tried={word}"),
    })
}

/// What a provider sends along when it sends a browser back.
#[derive(Default, Deserialize)]
struct Sent {
    code: Option<String>,
    #[serde(default)]
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

/// `GET /sign-in/{tenant}/callback`.
async fn back(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(slug): Path<String>,
    Query(sent): Query<Sent>,
    headers: HeaderMap,
    here: Result<Present, Refusal>,
) -> Result<Response, Refusal> {
    if let Some(seconds) = (web.too_many)(peer.ip()) {
        return Err(Refusal::TooMany(seconds));
    }
    let Some((tenant, _)) = web.engine.identity_provider_of(&slug).await? else { return Ok(see_other("/sign-in")) };
    let stale = IdentityError::Problem(Problem::Stale);
    let visit = match web.visit(&headers) {
        Some(handle) => web.engine.end_visit(TenantId(tenant.id), &handle, &sent.state).await,
        None => Err(stale),
    };
    let visit = match visit {
        Ok(visit) => visit,
        Err(problem) => return Ok(see_other(&told_at(&slug, Purpose::Enter(None), "/", problem)?)),
    };
    let answer = Answer { code: sent.code.as_deref(), issuer: sent.iss.as_deref(), error: sent.error.as_deref() };
    let (redirect, from) = (callback(&web, &slug), came_from(peer.ip(), &headers));
    let who = here.ok().map(|here| here.who);
    let forgotten = (header::SET_COOKIE, web.visiting(None));
    Ok(match web.engine.answer_visit(&visit, &answer, &redirect, who.as_ref(), &from).await {
        Ok(Ended::Entered(handle)) => {
            let kept = AppendHeaders([forgotten, (header::SET_COOKIE, web.kept(Some(&handle)))]);
            (kept, see_other(&visit.next)).into_response()
        }
        Ok(Ended::Confirmed) => ([forgotten], see_other(&visit.next)).into_response(),
        Ok(Ended::Tried(role)) => ([forgotten], see_other(&format!("{}?tried={role}", visit.next))).into_response(),
        Err(problem) => ([forgotten], see_other(&told_at(&slug, visit.purpose, &visit.next, problem)?)).into_response(),
    })
}
