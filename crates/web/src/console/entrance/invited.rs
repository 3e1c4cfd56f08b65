//! Whoever comes by a link that makes them a member: the first owner, and those whom others invite.

use std::net::SocketAddr;

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
    response::Response,
};
use crypto::handle::Handle;
use domain::id::TenantId;
use engine::members::{Invited, NewMember};
use secrecy::SecretString;
use serde::Deserialize;
use store::rows::Tenant;

use super::{
    super::{
        browser::see_other,
        place::{SignedInHere, at, came_from},
        provider_sign_in::provider_door,
        refusal::{Refusal, encoded},
        server::reached,
    },
    EntranceField, EntrancePage, entered, handle,
};
use crate::Web;

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
