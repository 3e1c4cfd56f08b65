//! How members come in: a vendor's identity provider.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use domain::member::Role;
use engine::identity::{IdentityError, NewProvider, Purpose, domains, newcomers};
use serde::Deserialize;
use store::rows::IdentityProvider;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    place::{
        Place,
        to::{Look, Staff},
    },
    provider_sign_in::{callback, problem_named, sent_there, sentence_of},
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, sentence},
};
use crate::Web;

const PATH: &str = "settings/sign-in";

/// The pages about signing in.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/sign-in", get(show))
        .route("/console/{tenant}/{mode}/settings/sign-in/try", get(attempt))
        .route("/console/{tenant}/{mode}/settings/sign-in/change", get(change_form).post(change))
        .route("/console/{tenant}/{mode}/settings/sign-in/remove", get(remove_form).post(remove))
}

#[derive(Template)]
#[template(path = "console/sign_in_settings.html")]
struct SignInSettingsPage {
    shell: Shell,
    path: String,
    provider: Option<ProviderCard>,
    redirect: String,
    entrance: String,
    /// Whether the member here decides about it.
    is_owner: bool,
    /// What came of trying it, and whether it works.
    tried: Option<(String, bool)>,
}

struct ProviderCard {
    name: String,
    issuer: String,
    client_id: String,
    domains: String,
    newcomers: String,
    passwords: &'static str,
    pill: Pill,
    changed: When,
}

/// What came of trying it, as a word.
#[derive(Debug, Default, Deserialize)]
struct Tried {
    #[serde(default)]
    tried: String,
}

impl Tried {
    fn told(&self, provider: &IdentityProvider) -> Option<(String, bool)> {
        if let Ok(role) = self.tried.parse::<Role>() {
            return Some((format!("It works. By {} you would come in as {role}.", provider.name), true));
        }
        problem_named(&self.tried).map(|problem| (sentence_of(problem, &provider.name), false))
    }
}

fn card(web: &Web, row: &IdentityProvider) -> ProviderCard {
    let domains = domains(row);
    ProviderCard {
        name: row.name.clone(),
        issuer: row.issuer.clone(),
        client_id: row.client_id.clone(),
        newcomers: match newcomers(row) {
            Some(role) => format!("become members by themselves, as {role}"),
            None => "do not come in: an invitation to their address comes first".to_owned(),
        },
        domains: if domains.is_empty() { "any".to_owned() } else { domains.join(", ") },
        passwords: if row.required { "open this vendor to owners alone" } else { "count as well" },
        pill: match row.required {
            true => Pill { word: "required", tone: "good", icon: "check" },
            false => Pill { word: "offered", tone: "cold", icon: "check" },
        },
        changed: When::stored(row.updated_at, web.engine.now()),
    }
}

/// `GET …/settings/sign-in`.
async fn show(State(web): State<Web>, place: Place<Look>, Query(tried): Query<Tried>) -> Result<Response, Refusal> {
    let provider = web.engine.store.identity_provider(place.whose().tenant).await?;
    page(&SignInSettingsPage {
        shell: Shell::new(&web, &place, PATH, "Sign-in").await?,
        path: place.at(PATH),
        tried: provider.as_ref().and_then(|row| tried.told(row)),
        provider: provider.as_ref().map(|row| card(&web, row)),
        redirect: callback(&web, &place.tenant.slug),
        entrance: format!("{}/sign-in/{}", web.public_url.trim_end_matches('/'), place.tenant.slug),
        is_owner: place.role.may_staff(Role::Owner),
    })
}

/// Whoever decides who comes in could come in as an owner, so that owners alone decide it.
fn owner_only(place: &Place<Staff>) -> Result<(), Refusal> {
    if place.role.may_staff(Role::Owner) { Ok(()) } else { Err(Refusal::Forbidden(place.role)) }
}

/// `GET …/settings/sign-in/try`.
async fn attempt(State(web): State<Web>, place: Place<Staff>) -> Result<Response, Refusal> {
    owner_only(&place)?;
    sent_there(&web, &place.tenant, Purpose::Try(place.who.session()), &place.at(PATH)).await
}

/// What is there, as the form shows it.
fn as_sent(row: &IdentityProvider) -> Sent {
    let sent = Sent::default()
        .with("name", row.name.as_str())
        .with("issuer", row.issuer.as_str())
        .with("client_id", row.client_id.as_str())
        .with("domains", domains(row).join(", "))
        .with("newcomers", row.newcomers.as_deref().unwrap_or_default());
    if row.required { sent.with("required", "on") } else { sent }
}

fn changing(place: &Place<Staff>, sent: &Sent, is_new: bool) -> Question {
    let (title, button) = match is_new {
        true => ("Set up an identity provider", "Set it up"),
        false => ("Change the identity provider", "Save"),
    };
    let secret = Field::text("secret", "Client secret", "").of("password");
    let secret = match is_new {
        true => secret.needed().hint("Kept sealed, and shown to nobody again."),
        false => secret.hint("Empty: it stays as it is."),
    };
    let roles = [Role::Viewer, Role::Support, Role::Developer, Role::Admin];
    let roles = roles.map(|role| (role.as_str(), format!("become {role}: {}", role.sentence())));
    let newcomers = [("", "do not come in".to_owned())].into_iter().chain(roles);
    Question::new(title, button, place.at(PATH))
        .says("It says who somebody is: whoever governs it can come in here as any member, owners too.")
        .says("A member is known by the account there from the first time on; only verified e-mail addresses count.")
        .asks(Field::text("name", "Name", sent.get("name")).needed().hint("What its button says: Sign in with …"))
        .asks(
            Field::text("issuer", "Issuer", sent.get("issuer"))
                .of("url")
                .needed()
                .hint("Its address, exactly as it calls itself, such as https://accounts.google.com"),
        )
        .asks(
            Field::text("client_id", "Client ID", sent.get("client_id"))
                .needed()
                .hint("What it calls this server, once you have registered it there."),
        )
        .asks(secret)
        .asks(
            Field::text("domains", "Domains", sent.get("domains"))
                .hint("Of e-mail addresses that come in, such as acme.com, with commas between them. Empty: all."),
        )
        .asks(Field::choice(
            "newcomers",
            "People of these domains whom nobody invited",
            newcomers,
            sent.get("newcomers"),
        ))
        .asks(Field::Check {
            name: "required",
            label: "Everybody but owners has to come this way",
            hint: "Passwords open this vendor to owners alone: somebody has to come in when the provider fails.",
            is_on: sent.is_on("required"),
        })
        .asks(Field::reason())
}

/// `GET …/settings/sign-in/change`.
async fn change_form(State(web): State<Web>, place: Place<Staff>) -> Result<Response, Refusal> {
    owner_only(&place)?;
    place.confirmed(&web)?;
    let row = web.engine.store.identity_provider(place.whose().tenant).await?;
    let sent = row.as_ref().map(as_sent).unwrap_or_default();
    changing(&place, &sent, row.is_none()).page(&web, &place, PATH, None).await
}

/// `POST …/settings/sign-in/change`.
async fn change(State(web): State<Web>, place: Place<Staff>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    owner_only(&place)?;
    place.confirmed(&web)?;
    let unknown = |_| Refusal::Unreadable("There is no such role.".into());
    let new = NewProvider {
        name: sent.get("name").to_owned(),
        issuer: sent.get("issuer").to_owned(),
        client_id: sent.get("client_id").to_owned(),
        secret: sent.secret("secret"),
        domains: sent.words("domains"),
        newcomers: sent.some("newcomers").map(str::parse).transpose().map_err(unknown)?,
        required: sent.is_on("required"),
    };
    let (tenant, by) = (place.whose().tenant, place.by(sent.get("note")));
    match web.engine.save_identity_provider(tenant, new, &place.who, &by).await {
        Ok(()) => Ok(see_other(&place.at("settings/sign-in?said=saved"))),
        Err(IdentityError::Engine(error)) => Err(error.into()),
        Err(problem) => {
            let is_new = web.engine.store.identity_provider(tenant).await?.is_none();
            changing(&place, &sent, is_new).page(&web, &place, PATH, Some(sentence(&problem))).await
        }
    }
}

fn removing(place: &Place<Staff>, row: &IdentityProvider) -> Question {
    Question::new(format!("Remove {}", row.name), "Remove it", place.at(PATH))
        .says("Members sign in with their passwords. Whom it has let in is signed out now.")
        .says("Members without a password come in no more until you set a provider up again.")
        .asks(Field::reason())
        .dangerous()
}

/// `GET …/settings/sign-in/remove`.
async fn remove_form(State(web): State<Web>, place: Place<Staff>) -> Result<Response, Refusal> {
    owner_only(&place)?;
    place.confirmed(&web)?;
    let row = web.engine.store.identity_provider(place.whose().tenant).await?.ok_or(Refusal::NotFound)?;
    removing(&place, &row).page(&web, &place, PATH, None).await
}

/// `POST …/settings/sign-in/remove`.
async fn remove(State(web): State<Web>, place: Place<Staff>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    owner_only(&place)?;
    place.confirmed(&web)?;
    match web.engine.remove_identity_provider(place.whose().tenant, &place.by(sent.get("note"))).await {
        Ok(()) => Ok(see_other(&place.at("settings/sign-in?said=provider_removed"))),
        Err(IdentityError::None) => Err(Refusal::NotFound),
        Err(IdentityError::Engine(error)) => Err(error.into()),
        Err(problem) => {
            let row = web.engine.store.identity_provider(place.whose().tenant).await?.ok_or(Refusal::NotFound)?;
            removing(&place, &row).page(&web, &place, PATH, Some(sentence(&problem))).await
        }
    }
}
