//! How people come in: the first owner by a link, others by theirs, and everybody by signing in.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};
use crypto::handle::Handle;
use domain::id::{MemberId, TenantId};
use engine::members::{Entered, Invited, MemberError, NewMember, SignedIn};
use secrecy::SecretString;
use serde::Deserialize;
use store::{members::Ended, rows::Tenant};

use super::{
    browser::see_other,
    passkeys::Offer,
    place::{Present, SignedInHere, at, came_from},
    provider_sign_in::{provider_confirms, provider_door},
    refusal::{Refusal, encoded},
    server::reached,
    site::Site,
    words::sentence,
};
use crate::Web;

/// A form on a page of its own.
#[derive(Default, Template)]
#[template(path = "console/entrance.html")]
pub(super) struct EntrancePage {
    pub(super) title: &'static str,
    pub(super) lead: String,
    pub(super) fields: Vec<EntranceField>,
    /// None: there is nothing to send.
    pub(super) button: Option<&'static str>,
    pub(super) wrong: Option<String>,
    pub(super) action: String,
    /// To an identity provider: address and words.
    pub(super) door: Option<(String, String)>,
    /// Another way: address and words.
    pub(super) other: Option<(String, &'static str)>,
    /// It takes something away.
    pub(super) is_dangerous: bool,
    /// Whose password is asked for, where the page does not ask that.
    pub(super) username: Option<String>,
    /// What a passkey does instead.
    pub(super) passkey: Option<Offer>,
    /// The address of the server, and the host by which the browser came otherwise.
    pub(super) reached: Option<(String, Result<(), String>)>,
}

pub(super) struct EntranceField {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    autocomplete: &'static str,
    hint: &'static str,
    is_wrong: bool,
    is_required: bool,
}

impl EntranceField {
    fn new(name: &'static str, label: &'static str, kind: &'static str, autocomplete: &'static str) -> Self {
        Self { name, label, kind, value: String::new(), autocomplete, hint: "", is_wrong: false, is_required: true }
    }

    fn value(self, value: impl Into<String>) -> Self {
        Self { value: value.into(), ..self }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    fn optional(self) -> Self {
        Self { is_required: false, ..self }
    }
}

impl EntrancePage {
    /// A question without fields, and what to do instead.
    pub(super) fn asking(
        title: &'static str,
        lead: String,
        button: &'static str,
        action: String,
        (path, words): (&str, &'static str),
    ) -> Self {
        let (button, other) = (Some(button), Some((path.to_owned(), words)));
        Self { title, lead, button, action, other, ..Self::default() }
    }

    /// It takes something away.
    pub(super) fn dangerous(self) -> Self {
        Self { is_dangerous: true, ..self }
    }

    pub(super) fn shown(mut self, problem: Option<MemberError>) -> Result<Response, Refusal> {
        let is_refused = problem.is_some();
        self.wrong = match problem {
            None => self.wrong,
            Some(MemberError::Engine(error)) => return Err(error.into()),
            Some(problem) => {
                if let MemberError::Field(name, _) = &problem {
                    self.fields.iter_mut().for_each(|field| field.is_wrong = field.name == *name);
                }
                Some(sentence(&problem))
            }
        };
        let status = match is_refused {
            true => axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            false => axum::http::StatusCode::OK,
        };
        Ok((status, Html(self.render()?)).into_response())
    }
}

/// Where somebody wanted to go.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
    /// Why an identity provider let nobody in, as a word.
    #[serde(default)]
    pub(super) problem: String,
}

impl Next {
    /// A page of this console, and no other place.
    pub(super) fn path(&self) -> &str {
        let is_page = ["/console/", "/account", "/join/"].iter().any(|beginning| self.next.starts_with(beginning));
        let is_ours = is_page && !self.next.contains(['\\', '\r', '\n']);
        if is_ours { &self.next } else { "/" }
    }
}

/// `GET /`: the home of who is signed in.
pub(crate) async fn begin(State(web): State<Web>, here: Result<Present, Refusal>) -> Result<Response, Refusal> {
    let here = match here {
        Ok(here) => here,
        Err(Refusal::SignIn(_)) => return Ok(see_other("/sign-in")),
        Err(other) => return Err(other),
    };
    let tenant = web.engine.first_tenant_of(&here.who).await?.ok_or(Refusal::NotFound)?;
    // Who has sold nothing yet looks at test mode first.
    let livemode = web.engine.store.has_live_order(TenantId(tenant.id)).await?;
    Ok(see_other(&at(&tenant.slug, livemode, "")))
}

/// `GET /enter/{browser}`: in a demo, and nowhere else, a link signs a browser in.
pub(crate) async fn enter_demo(State(web): State<Web>, Path(browser): Path<String>) -> Result<Response, Refusal> {
    let browser = handle(&browser)?;
    if !web.open || web.engine.signed_in(&browser).await?.is_none() {
        return Err(Refusal::NotFound);
    }
    entered(&web, &browser, "/")
}

/// What somebody types who becomes a member.
#[derive(Deserialize)]
pub(crate) struct NewForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    password: SecretString,
    #[serde(default)]
    product: String,
}

impl NewForm {
    fn member(&self) -> NewMember {
        NewMember { email: self.email.clone(), name: self.name.clone(), password: self.password.clone() }
    }
}

fn handle(link: &str) -> Result<Handle, Refusal> {
    link.parse().map_err(|_| Refusal::NotFound)
}

fn set_up_page(web: &Web, headers: &HeaderMap, link: &str, (email, product): (&str, &str)) -> EntrancePage {
    EntrancePage {
        title: "Set Keywright up",
        lead: "You are the first: this makes you the owner. The link is good once.".to_owned(),
        fields: vec![
            EntranceField::new("email", "E-mail", "email", "username").value(email),
            EntranceField::new("password", "Password", "password", "new-password").hint("10 characters at least."),
            EntranceField::new("product", "What you sell", "text", "off")
                .value(product)
                .optional()
                .hint("The name of your product. You can add it later."),
        ],
        button: Some("Begin"),
        action: format!("/setup/{link}"),
        reached: Some((web.public_url.to_string(), reached(&web.public_url, headers))),
        ..EntrancePage::default()
    }
}

/// What a link is to: to be the first owner, or one of several members.
async fn invited(web: &Web, link: &Handle, is_first: bool) -> Result<Invited, Refusal> {
    let invited = web.engine.invited(link).await?.filter(|invited| invited.role.is_none() == is_first);
    invited.ok_or(Refusal::NotFound)
}

/// What a link is to, and the vendor.
async fn invited_to(web: &Web, link: &Handle) -> Result<(Invited, Tenant), Refusal> {
    let invited = invited(web, link, false).await?;
    let tenant = web.engine.store.tenant_with_id(invited.tenant).await?.ok_or(Refusal::NotFound)?;
    Ok((invited, tenant))
}

/// `GET /setup/{link}`.
pub(crate) async fn set_up_form(
    State(web): State<Web>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    invited(&web, &handle(&link)?, true).await?;
    set_up_page(&web, &headers, &link, ("", "")).shown(None)
}

/// `POST /setup/{link}`.
pub(crate) async fn set_up(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(link): Path<String>,
    headers: HeaderMap,
    Form(form): Form<NewForm>,
) -> Result<Response, Refusal> {
    let link_handle = handle(&link)?;
    let invited = invited(&web, &link_handle, true).await?;
    match web.engine.take_invitation(&link_handle, &form.member(), &came_from(peer.ip(), &headers)).await {
        Err(problem) => set_up_page(&web, &headers, &link, (&form.email, &form.product)).shown(Some(problem)),
        Ok((member, browser)) => {
            if !form.product.trim().is_empty() {
                let by = format!("member:{member}");
                web.engine
                    .first_product(invited.tenant, form.product.trim(), &by)
                    .await
                    .map_err(|error| Refusal::Failed(error.to_string()))?;
            }
            entered(&web, &browser, "/")
        }
    }
}

async fn join_page(
    web: &Web,
    link: &str,
    (email, name): (&str, &str),
    tenant: &Tenant,
) -> Result<EntrancePage, Refusal> {
    let provider = web.engine.store.identity_provider(TenantId(tenant.id)).await?;
    Ok(EntrancePage {
        title: "Join",
        lead: format!("You were invited to work on {}.", tenant.name),
        fields: vec![
            EntranceField::new("email", "E-mail", "email", "username").value(email),
            EntranceField::new("name", "Your name", "text", "name").value(name).optional(),
            EntranceField::new("password", "Password", "password", "new-password").hint("10 characters at least."),
        ],
        button: Some("Join"),
        action: format!("/join/{link}"),
        door: provider.map(|provider| provider_door(&tenant.slug, &provider.name, "/")),
        other: Some((format!("/sign-in?next={}", encoded(&format!("/join/{link}"))), "I am a member already")),
        ..EntrancePage::default()
    })
}

/// The page of somebody who is a member elsewhere already.
fn join_as_member_page(link: &str, email: &str, tenant: &str) -> EntrancePage {
    let lead = format!("You were invited to work on {tenant}, and are signed in as {email}.");
    EntrancePage::asking("Join", lead, "Join", format!("/join/{link}/as-member"), ("/", "Not now"))
}

/// `GET /join/{link}`.
pub(crate) async fn join_form(
    State(web): State<Web>,
    Path(link): Path<String>,
    here: Result<SignedInHere, Refusal>,
) -> Result<Response, Refusal> {
    let (invited, tenant) = invited_to(&web, &handle(&link)?).await?;
    match here {
        Ok(here) => join_as_member_page(&link, &here.who.member.email, &tenant.name).shown(None),
        // A vendor's own account joins nowhere else; who it is may have one of this server as well.
        Err(Refusal::SignIn(_) | Refusal::NoOwnAccount) => {
            let email = invited.email.as_deref().unwrap_or_default();
            join_page(&web, &link, (email, ""), &tenant).await?.shown(None)
        }
        Err(other) => Err(other),
    }
}

/// `POST /join/{link}`.
pub(crate) async fn join(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(link): Path<String>,
    headers: HeaderMap,
    Form(form): Form<NewForm>,
) -> Result<Response, Refusal> {
    let link_handle = handle(&link)?;
    let (_, tenant) = invited_to(&web, &link_handle).await?;
    match web.engine.take_invitation(&link_handle, &form.member(), &came_from(peer.ip(), &headers)).await {
        Err(problem) => join_page(&web, &link, (&form.email, &form.name), &tenant).await?.shown(Some(problem)),
        Ok((_, browser)) => entered(&web, &browser, "/"),
    }
}

/// `POST /join/{link}/as-member`.
pub(crate) async fn join_as_member(
    State(web): State<Web>,
    Path(link): Path<String>,
    here: SignedInHere,
) -> Result<Response, Refusal> {
    let link = handle(&link)?;
    invited(&web, &link, false).await?;
    let tenant = web.engine.join(&link, &here.who).await?;
    let tenant = web.engine.store.tenant_with_id(tenant).await?.ok_or(Refusal::NotFound)?;
    Ok(see_other(&at(&tenant.slug, false, "")))
}

/// What somebody types who signs in.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    email: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// What is asked of who signs in with a password, or lets the browser fill in a passkey.
pub(super) fn sign_in_fields(email: &str) -> Vec<EntranceField> {
    vec![
        EntranceField::new("email", "E-mail", "email", "username webauthn").value(email),
        EntranceField::new("password", "Password", "password", "current-password"),
    ]
}

/// With a password or a passkey, and by the identity provider of the only vendor: with several, nothing tells strangers which
/// there are.
pub(super) async fn sign_in_page(web: &Web, site: &Site, next: &Next, email: &str) -> Result<EntrancePage, Refusal> {
    let query = if next.path() == "/" { String::new() } else { format!("?next={}", encoded(next.path())) };
    let only = web.engine.only_identity_provider().await?;
    Ok(EntrancePage {
        title: "Sign in",
        lead: String::new(),
        fields: sign_in_fields(email),
        button: Some("Sign in"),
        action: format!("/sign-in{query}"),
        door: only.map(|(tenant, provider)| provider_door(&tenant.slug, &provider.name, next.path())),
        passkey: Offer::to_sign_in(site, next),
        ..EntrancePage::default()
    })
}

/// `GET /sign-in`.
pub(crate) async fn sign_in_form(
    State(web): State<Web>,
    site: Site,
    Query(next): Query<Next>,
) -> Result<Response, Refusal> {
    let mut page = sign_in_page(&web, &site, &next, "").await?;
    if web.engine.has_no_member().await? {
        page.lead = "Nobody is a member yet. Open the link that `keywright serve` printed, or run \
            `keywright admin create you@example.com`."
            .to_owned();
    }
    page.shown(None)
}

/// `POST /sign-in`.
pub(crate) async fn sign_in(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    site: Site,
    Query(next): Query<Next>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, Refusal> {
    use secrecy::ExposeSecret;
    if let Some(seconds) = (web.too_many)(peer.ip()) {
        return Err(Refusal::TooMany(seconds));
    }
    let next = if form.next.is_empty() { next } else { Next { next: form.next, ..next } };
    match web.engine.sign_in(&form.email, form.password.expose_secret(), &came_from(peer.ip(), &headers)).await {
        Err(problem) => sign_in_page(&web, &site, &next, &form.email).await?.shown(Some(told(problem))),
        Ok(Entered { handle, needs_code: false }) => entered(&web, &handle, next.path()),
        Ok(Entered { handle, needs_code: true }) => {
            entered(&web, &handle, &format!("/sign-in/code?next={}", encoded(next.path())))
        }
    }
}

/// Which of the two was wrong is not told.
fn told(problem: MemberError) -> MemberError {
    match problem {
        MemberError::Wrong => MemberError::Field("password", "the e-mail address or the password is not right"),
        other => other,
    }
}

/// A code.
#[derive(Deserialize)]
pub(crate) struct CodeForm {
    code: String,
}

fn code_page(next: &Next) -> EntrancePage {
    EntrancePage {
        title: "Your code",
        lead: "The six digits that your authenticator shows now.".to_owned(),
        fields: vec![EntranceField::new("code", "Code", "text", "one-time-code")],
        button: Some("Sign in"),
        action: format!("/sign-in/code?next={}", encoded(next.path())),
        other: Some(("/sign-in".to_owned(), "Begin anew")),
        ..EntrancePage::default()
    }
}

/// `GET /sign-in/code`.
pub(crate) async fn code_form(Query(next): Query<Next>) -> Result<Response, Refusal> {
    code_page(&next).shown(None)
}

/// `POST /sign-in/code`.
pub(crate) async fn code(
    State(web): State<Web>,
    Query(next): Query<Next>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, Refusal> {
    let Some(handle) = web.handle(&headers) else { return Ok(see_other("/sign-in")) };
    match web.engine.enter_code(&handle, &form.code).await {
        Ok(()) => Ok(see_other(next.path())),
        Err(MemberError::Link) => Ok(see_other("/sign-in")),
        Err(problem) => code_page(&next).shown(Some(problem)),
    }
}

pub(super) async fn confirm_page(web: &Web, site: &Site, who: &SignedIn, next: &Next) -> Result<EntrancePage, Refusal> {
    let passkey = Offer::to_confirm(web, site, who, next).await?;
    Ok(EntrancePage {
        title: "Is it you?",
        lead: format!("Before secrets are shown or changed, show once more that you are {}.", who.member.email),
        fields: vec![EntranceField::new("password", "Password", "password", "current-password")],
        button: Some("Go on"),
        action: format!("/confirm?next={}", encoded(next.path())),
        other: Some((next.path().to_owned(), "Back")),
        username: Some(who.member.email.clone()),
        passkey,
        ..EntrancePage::default()
    })
}

/// `GET /confirm`.
pub(crate) async fn confirm_form(
    State(web): State<Web>,
    site: Site,
    here: Present,
    Query(next): Query<Next>,
) -> Result<Response, Refusal> {
    match here.who.session.tenant_id {
        Some(tenant) => provider_confirms(&web, TenantId(tenant), &next).await,
        None => confirm_page(&web, &site, &here.who, &next).await?.shown(None),
    }
}

/// A password.
#[derive(Deserialize)]
pub(crate) struct ConfirmForm {
    password: SecretString,
}

/// `POST /confirm`.
pub(crate) async fn confirm(
    State(web): State<Web>,
    site: Site,
    here: SignedInHere,
    Query(next): Query<Next>,
    Form(form): Form<ConfirmForm>,
) -> Result<Response, Refusal> {
    use secrecy::ExposeSecret;
    match web.engine.confirm(&here.who, form.password.expose_secret()).await {
        Ok(()) => Ok(see_other(next.path())),
        Err(problem) => confirm_page(&web, &site, &here.who, &next).await?.shown(Some(problem)),
    }
}

/// `POST /sign-out`.
pub(crate) async fn sign_out(State(web): State<Web>, here: Present) -> Result<Response, Refusal> {
    web.engine.end_sessions(MemberId(here.who.member.id), Ended::One(here.who.session())).await?;
    Ok(([(header::SET_COOKIE, web.kept(None))], see_other("/sign-in")).into_response())
}

/// On to a page, signed in.
pub(super) fn entered(web: &Web, handle: &Handle, path: &str) -> Result<Response, Refusal> {
    Ok(([(header::SET_COOKIE, web.kept(Some(handle)))], see_other(path)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere_after_signing_in() {
        let path = |next: &str| Next { next: next.to_owned(), ..Next::default() }.path().to_owned();
        assert_eq!(path("/console/acme/live/licenses?state=frozen"), "/console/acme/live/licenses?state=frozen");
        for elsewhere in
            ["", "https://evil.test", "//evil.test", "/\\evil.test", "/sign-out", "/console/\\evil", "console/"]
        {
            assert_eq!(path(elsewhere), "/", "{elsewhere}");
        }
    }
}
