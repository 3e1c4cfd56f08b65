//! Where in the console a call is, who makes it, and whether they may: as a type in the handler's signature.

use std::marker::PhantomData;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, Method, header, request::Parts},
};
use domain::{
    id::TenantId,
    member::{Ability, Role},
};
use engine::{
    members::{CameFrom, SignedIn},
    rulings::By,
    tenants::DEFAULT_TENANT,
};
use store::{lists::Whose, rows::Tenant};

use super::refusal::{Refusal, encoded};
use crate::Web;

/// The longest reason that is kept with a decision, in characters.
const NOTE_MAX: usize = 1_000;

/// What a handler needs, as a type.
pub(crate) trait Needs: Send {
    /// What the member must be able to do.
    const ABILITY: Ability;
}

macro_rules! abilities {
    ($($name:ident)*) => {
        /// The abilities as types.
        pub(crate) mod to {$(
            #[derive(Debug)]
            pub(crate) struct $name;

            impl super::Needs for $name {
                const ABILITY: domain::member::Ability = domain::member::Ability::$name;
            }
        )*}
    };
}

abilities! { Look Help Decide Configure Staff }

/// A page of a vendor, in one mode, and a member of that vendor who may do `A`.
pub(crate) struct Place<A> {
    pub(crate) who: SignedIn,
    pub(crate) tenant: Tenant,
    pub(crate) role: Role,
    pub(crate) livemode: bool,
    /// The vendors that the member may choose from: slug and name.
    pub(crate) tenants: Vec<(String, String)>,
    /// The address of this page, with what was asked.
    pub(crate) address: String,
    ability: PhantomData<A>,
}

impl<A> Place<A> {
    /// The rows that may be seen here.
    pub(crate) fn whose(&self) -> Whose {
        Whose { tenant: TenantId(self.tenant.id), livemode: self.livemode }
    }

    /// Whether this vendor is the one that the server was set up with. On a server with several vendors the others are guests, who
    /// do not hear how it is started.
    pub(crate) fn is_host(&self) -> bool {
        self.tenant.slug == DEFAULT_TENANT
    }

    /// The member as the audit log names them, with their reason, which may be empty.
    pub(crate) fn by(&self, note: &str) -> By {
        let note: String = note.trim().chars().filter(|symbol| !symbol.is_control()).take(NOTE_MAX).collect();
        self.who.by(Some(note).filter(|note| !note.is_empty()))
    }

    /// The address of a page of this vendor in this mode.
    pub(crate) fn at(&self, path: &str) -> String {
        at(&self.tenant.slug, self.livemode, path)
    }

    /// What the address of this page asks for under a name, as it stands there.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.pairs().find(|(known, _)| *known == name).map(|(_, value)| value).unwrap_or_default()
    }

    /// The list of a section as it is asked for now, about this product alone; about all, where its code is empty.
    pub(crate) fn here(&self, section: &str, product: &str) -> String {
        let path = self.at(section);
        let is_here = self.address.split('?').next() == Some(path.as_str());
        // A plan is one product's, and pages begin anew.
        let stays = |name: &str| !["product", "plan", "after", "before", "said"].contains(&name);
        let kept =
            self.pairs().filter(|(name, _)| is_here && stays(name)).map(|(name, value)| format!("{name}={value}"));
        let product = Some(format!("product={}", encoded(product))).filter(|_| !product.is_empty());
        let query: Vec<String> = product.into_iter().chain(kept).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let query = self.address.split_once('?').map(|(_, query)| query).unwrap_or_default();
        query.split('&').filter_map(|pair| pair.split_once('='))
    }

    /// Goes on if the member proved lately who they are: before a secret is shown or changed.
    pub(crate) fn confirmed(&self, web: &Web) -> Result<(), Refusal> {
        let is_confirmed = self.who.is_confirmed(web.engine.now());
        if is_confirmed { Ok(()) } else { Err(Refusal::Confirm(self.address.clone())) }
    }

    /// Goes on if the member may do this as well.
    pub(crate) fn may(&self, ability: Ability) -> Result<(), Refusal> {
        if self.role.may(ability) { Ok(()) } else { Err(Refusal::Forbidden(self.role)) }
    }
}

/// The address of a page of a vendor.
pub(crate) fn at(slug: &str, livemode: bool, path: &str) -> String {
    let mode = if livemode { "live" } else { "test" };
    let slash = if path.is_empty() { "" } else { "/" };
    format!("/console/{slug}/{mode}{slash}{path}")
}

impl<A: Needs> FromRequestParts<Web> for Place<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        let params = RawPathParams::from_request_parts(parts, web).await.map_err(|_| Refusal::NotFound)?;
        let param = |name| params.iter().find(|(key, _)| *key == name).map(|(_, value)| value).unwrap_or_default();
        let livemode = match param("mode") {
            "live" => true,
            "test" => false,
            _ => return Err(Refusal::NotFound),
        };
        let Present { who, address } = Present::from_request_parts(parts, web).await?;
        let all = web.engine.tenants_of(&who).await?;
        // After signing in a page is shown again, and nothing is done again.
        let next = if parts.method == Method::GET { address.clone() } else { "/".to_owned() };
        let tenants = all.iter().map(|(tenant, _)| (tenant.slug.clone(), tenant.name.clone())).collect();
        let here = all.into_iter().find(|(tenant, _)| tenant.slug == param("tenant"));
        let (tenant, membership) = match here {
            Some(here) => here,
            // Whether they are a member of another vendor is not for the one whose provider let them in.
            None if who.session.tenant_id.is_some() => return Err(Refusal::SignIn(next)),
            None => return Err(Refusal::NotFound),
        };
        // What a newer release calls a role may only look here.
        let role = membership.role.parse().unwrap_or(Role::Viewer);
        if !web.engine.opens(&who, TenantId(tenant.id), role).await? {
            return Err(Refusal::SignInAt(tenant.slug, next));
        }
        let place = Self { who, tenant, role, livemode, tenants, address, ability: PhantomData };
        if place.tenant.requires_second_factor && !place.who.has_second_factor() {
            return Err(Refusal::SecondFactor);
        }
        place.may(A::ABILITY)?;
        Ok(place)
    }
}

/// Somebody who has proved to this server who they are, wherever they are: their account is their own.
pub(crate) struct SignedInHere {
    pub(crate) who: SignedIn,
    /// The address of this page, with what was asked.
    pub(crate) address: String,
}

impl FromRequestParts<Web> for SignedInHere {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        let Present { who, address } = Present::from_request_parts(parts, web).await?;
        // A vendor's provider says who somebody is to that vendor, and must not take over what they are to others.
        if who.session.tenant_id.is_some() { Err(Refusal::NoOwnAccount) } else { Ok(Self { who, address }) }
    }
}

/// Somebody who is signed in, by whatever way they came.
pub(crate) struct Present {
    pub(crate) who: SignedIn,
    /// The address of this page, with what was asked.
    pub(crate) address: String,
}

impl FromRequestParts<Web> for Present {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        let address = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        // After signing in a page is shown again, and nothing is done again.
        let next = || if parts.method == Method::GET { address.clone() } else { "/".to_owned() };
        let Some(handle) = web.handle(&parts.headers) else { return Err(Refusal::SignIn(next())) };
        match web.engine.signed_in(&handle).await? {
            Some(who) => Ok(Self { who, address }),
            None => Err(Refusal::SignIn(next())),
        }
    }
}

/// From where somebody signs in.
pub(crate) fn came_from(address: std::net::IpAddr, headers: &HeaderMap) -> CameFrom {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    CameFrom { address: address.to_string(), agent: agent.to_owned() }
}
