//! Passkeys: how members add, use and remove them. What only a browser can do is in `assets/passkeys.js`; it fills a form in
//! and sends it.

use std::{borrow::Cow, net::SocketAddr};

use askama::Template;
use axum::{
    Form, Router,
    extract::{ConnectInfo, Path, Query, State},
    http::HeaderMap,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::passkey::{ALGORITHMS, Made, Used};
use domain::id::PasskeyId;
use engine::members::{MemberError, Purpose, Shown, SignedIn};
use serde::Deserialize;
use store::rows::Passkey;

use super::{
    account::{confirmed, wrong},
    browser::see_other,
    entrance::{EntrancePage, Next, confirm_page, entered, sign_in_page},
    place::{SignedInHere, came_from},
    refusal::{Refusal, encoded},
    site::Site,
    words::{When, browser_name},
};
use crate::Web;

/// All about passkeys.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/sign-in/passkey", get(sign_in_challenge).post(sign_in))
        .route("/confirm/passkey", get(confirm_challenge).post(confirm))
        .route("/account/passkeys/new", get(new_form).post(add))
        .route("/account/passkeys/challenge", get(new_challenge))
        .route("/account/passkeys/{id}/remove", get(remove_form).post(remove))
}

/// A button that uses a passkey.
pub(crate) struct Offer {
    /// Where the answer goes, and where the challenge comes from.
    pub(crate) action: String,
    /// The host that the passkeys are of.
    pub(crate) party: String,
    /// Which passkeys are meant, by the ids that browsers know, with blanks between them; empty: whichever is there.
    pub(crate) keys: String,
    pub(crate) words: &'static str,
    /// Whether they are offered where the e-mail address is typed, too.
    pub(crate) is_filled_in: bool,
}

impl Offer {
    /// On the page where people sign in.
    pub(crate) fn to_sign_in(site: &Site, next: &Next) -> Option<Self> {
        Some(Self {
            action: at("/sign-in/passkey", next),
            party: site.0.as_ref().ok()?.id.clone(),
            keys: String::new(),
            words: "Sign in with a passkey",
            is_filled_in: true,
        })
    }

    /// On the page where a member proves once more who they are, if they have a passkey for this site.
    pub(crate) async fn to_confirm(
        web: &Web,
        site: &Site,
        who: &SignedIn,
        next: &Next,
    ) -> Result<Option<Self>, Refusal> {
        let Ok(party) = &site.0 else { return Ok(None) };
        let keys = ids(&web.engine.store.passkeys_of(who.id()).await?, &party.id);
        let (action, party) = (at("/confirm/passkey", next), party.id.clone());
        let offer = Self { action, party, keys, words: "Use a passkey", is_filled_in: false };
        Ok(Some(offer).filter(|offer| !offer.keys.is_empty()))
    }
}

/// The ids of the passkeys for a site, as its pages carry them.
fn ids(rows: &[Passkey], party: &str) -> String {
    let here = rows.iter().filter(|row| row.party == party);
    here.map(|row| URL_SAFE_NO_PAD.encode(&row.credential_id)).collect::<Vec<_>>().join(" ")
}

fn at(path: &str, next: &Next) -> String {
    if next.path() == "/" { path.to_owned() } else { format!("{path}?next={}", encoded(next.path())) }
}

fn challenge(web: &Web, purpose: Purpose<'_>) -> String {
    URL_SAFE_NO_PAD.encode(web.engine.passkey_challenge(purpose))
}

const UNREADABLE: Refusal =
    Refusal::Unreadable(Cow::Borrowed("The form is not as your browser made it. Go back and try again."));

fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| UNREADABLE)
}

/// A passkey that was used, as the form carries it.
#[derive(Deserialize)]
struct UsedForm {
    credential: String,
    #[serde(default)]
    owner: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
}

impl UsedForm {
    fn shown(&self) -> Result<Shown, Refusal> {
        Ok(Shown {
            credential_id: bytes(&self.credential)?,
            owner: Some(bytes(&self.owner)?).filter(|owner| !owner.is_empty()),
            used: Used {
                client_data: bytes(&self.client_data)?,
                authenticator_data: bytes(&self.authenticator_data)?,
                signature: bytes(&self.signature)?,
            },
        })
    }
}

/// `GET /sign-in/passkey`: what a passkey has to sign.
async fn sign_in_challenge(State(web): State<Web>, site: Site) -> Result<String, Refusal> {
    site.party()?;
    Ok(challenge(&web, Purpose::SignIn))
}

/// `POST /sign-in/passkey`.
async fn sign_in(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    site: Site,
    Query(next): Query<Next>,
    headers: HeaderMap,
    Form(form): Form<UsedForm>,
) -> Result<Response, Refusal> {
    if let Some(seconds) = (web.too_many)(peer.ip()) {
        return Err(Refusal::TooMany(seconds));
    }
    let from = came_from(peer.ip(), &headers);
    match web.engine.sign_in_by_passkey(site.party()?, &form.shown()?, &from).await {
        Ok(handle) => entered(&web, &handle, next.path()),
        Err(problem) => {
            let mut page = sign_in_page(&web, &site, &next, "").await?;
            // What was refused just now is not offered again before somebody asks for it.
            page.passkey = page.passkey.map(|offer| Offer { is_filled_in: false, ..offer });
            page.shown(Some(problem))
        }
    }
}

/// `GET /confirm/passkey`: what a passkey has to sign.
async fn confirm_challenge(State(web): State<Web>, site: Site, here: SignedInHere) -> Result<String, Refusal> {
    site.party()?;
    Ok(challenge(&web, Purpose::Confirm(&here.who)))
}

/// `POST /confirm/passkey`.
async fn confirm(
    State(web): State<Web>,
    site: Site,
    here: SignedInHere,
    Query(next): Query<Next>,
    Form(form): Form<UsedForm>,
) -> Result<Response, Refusal> {
    match web.engine.confirm_by_passkey(&here.who, site.party()?, &form.shown()?).await {
        Ok(()) => Ok(see_other(next.path())),
        Err(problem) => confirm_page(&web, &site, &here.who, &next).await?.shown(Some(problem)),
    }
}

#[derive(Template)]
#[template(path = "console/passkey.html")]
struct NewPage {
    party: String,
    /// The member as devices know them.
    owner: String,
    email: String,
    display_name: String,
    /// The passkeys that are there already: no device needs two.
    keys: String,
    algorithms: String,
    /// What it is called.
    name: String,
    wrong: Option<String>,
}

async fn new_page(
    web: &Web,
    site: &Site,
    here: &SignedInHere,
    name: String,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let (party, member) = (&site.party()?.id, &here.who.member);
    let page = NewPage {
        owner: URL_SAFE_NO_PAD.encode(engine::members::owner(here.who.id())),
        email: member.email.clone(),
        display_name: if member.name.is_empty() { member.email.clone() } else { member.name.clone() },
        keys: ids(&web.engine.store.passkeys_of(here.who.id()).await?, party),
        algorithms: ALGORITHMS.map(|number| number.to_string()).join(" "),
        party: party.clone(),
        name,
        wrong,
    };
    Ok(Html(page.render()?).into_response())
}

/// `GET /account/passkeys/new`.
async fn new_form(
    State(web): State<Web>,
    site: Site,
    here: SignedInHere,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    // The account's page says why there are none.
    if site.0.is_err() {
        return Ok(see_other("/account"));
    }
    confirmed(&web, &here, "/account/passkeys/new")?;
    let agent = headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    new_page(&web, &site, &here, browser_name(agent), None).await
}

/// `GET /account/passkeys/challenge`: what a new passkey is made for.
async fn new_challenge(State(web): State<Web>, site: Site, here: SignedInHere) -> Result<String, Refusal> {
    site.party()?;
    confirmed(&web, &here, "/account/passkeys/new")?;
    Ok(challenge(&web, Purpose::Add(&here.who)))
}

/// A passkey that was made, as the form carries it.
#[derive(Deserialize)]
struct MadeForm {
    name: String,
    client_data: String,
    attestation: String,
}

/// `POST /account/passkeys/new`.
async fn add(
    State(web): State<Web>,
    site: Site,
    here: SignedInHere,
    Form(form): Form<MadeForm>,
) -> Result<Response, Refusal> {
    confirmed(&web, &here, "/account/passkeys/new")?;
    let made = Made { client_data: bytes(&form.client_data)?, attestation: bytes(&form.attestation)? };
    match web.engine.add_passkey(&here.who, site.party()?, &form.name, &made).await {
        Ok(()) => Ok(see_other("/account?said=passkey_added")),
        Err(problem) => new_page(&web, &site, &here, form.name, Some(wrong(problem)?)).await,
    }
}

/// A passkey in the list of its member.
pub(crate) struct PasskeyRow {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) made: When,
    pub(crate) used: Option<When>,
    pub(crate) is_synced: bool,
    /// The site that it is for, if that is another one.
    pub(crate) elsewhere: Option<String>,
}

/// The passkeys of who is signed in.
pub(crate) async fn rows(web: &Web, site: &Site, who: &SignedIn) -> Result<Vec<PasskeyRow>, Refusal> {
    let now = web.engine.now();
    let row = |row: Passkey| PasskeyRow {
        path: format!("/account/passkeys/{}", PasskeyId(row.id)),
        made: When::stored(row.created_at, now),
        used: row.used_at.map(|at| When::stored(at, now)),
        is_synced: row.is_synced,
        elsewhere: Some(row.party).filter(|party| !site.0.as_ref().is_ok_and(|here| here.id == *party)),
        name: row.name,
    };
    Ok(web.engine.store.passkeys_of(who.id()).await?.into_iter().map(row).collect())
}

/// A passkey of who is signed in, by the id in an address.
async fn own(web: &Web, here: &SignedInHere, id: &str) -> Result<Passkey, Refusal> {
    let id: PasskeyId = id.parse().map_err(|_| Refusal::NotFound)?;
    let all = web.engine.store.passkeys_of(here.who.id()).await?;
    all.into_iter().find(|row| row.id == id.0).ok_or(Refusal::NotFound)
}

/// What is asked before a passkey is taken away.
fn removing(here: &SignedInHere, row: &Passkey) -> EntrancePage {
    let lead = format!(
        "“{}” signs you in no more, from now on. Where it was used you stay signed in. Your device still has its half: \
         remove it there as well.",
        row.name
    );
    EntrancePage::asking("Remove the passkey", lead, "Remove it", here.address.clone(), ("/account", "Keep it"))
        .dangerous()
}

/// `GET /account/passkeys/{id}/remove`.
async fn remove_form(State(web): State<Web>, here: SignedInHere, Path(id): Path<String>) -> Result<Response, Refusal> {
    let row = own(&web, &here, &id).await?;
    confirmed(&web, &here, &here.address)?;
    removing(&here, &row).shown(None)
}

/// `POST /account/passkeys/{id}/remove`.
async fn remove(State(web): State<Web>, here: SignedInHere, Path(id): Path<String>) -> Result<Response, Refusal> {
    let row = own(&web, &here, &id).await?;
    confirmed(&web, &here, &here.address)?;
    match web.engine.remove_passkey(&here.who, PasskeyId(row.id)).await {
        Ok(()) | Err(MemberError::NoMember) => Ok(see_other("/account?said=passkey_removed")),
        Err(problem) => removing(&here, &row).shown(Some(problem)),
    }
}
