//! For whoever writes the app: API keys, and the first calls with the real names in them.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use crypto::token::ApiKeyKind;
use domain::{
    id::ApiKeyId,
    member::{Ability, Role},
};
use engine::api_keys::{ApiKeyError, Scope, kind_of};
use jiff::Timestamp;
use serde::Deserialize;
use store::rows::ApiKey;

use super::{
    action::{Field, Question, Sent, shown_once},
    browser::see_other,
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, sentence},
};
use crate::Web;

/// Of which product the example is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    product: String,
}

#[derive(Template)]
#[template(path = "console/developers.html")]
struct DevelopersPage {
    shell: Shell,
    path: String,
    products_path: String,
    products: Vec<(String, String, bool)>,
    /// A title and a call, where there is a product to name.
    calls: Vec<(&'static str, String)>,
    public_keys: String,
    description: String,
    keys: Vec<KeyRow>,
    may_configure: bool,
}

struct KeyRow {
    path: String,
    name: String,
    kind: &'static str,
    scopes: String,
    pill: Pill,
    is_good: bool,
    made: When,
    used: Option<When>,
}

/// `GET …/developers`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let (now, tenant) = (web.engine.now(), place.whose().tenant);
    let products = web.engine.store.products(tenant).await?;
    let chosen = products.iter().find(|row| row.code == asked.product).or(products.first());
    let server = web.public_url.trim_end_matches('/');
    let calls = chosen.map(|row| calls(server, &row.code, &row.key_prefix)).unwrap_or_default();
    let code = chosen.map(|row| row.code.clone()).unwrap_or_default();
    let mut keys = keys(&web, &place).await?;
    keys.sort_by_key(|row| (row.revoked_at.is_some(), std::cmp::Reverse(row.id)));
    page(&DevelopersPage {
        shell: Shell::new(&web, &place, "developers", "Developers").await?,
        path: place.at("developers"),
        products_path: place.at("products"),
        products: products
            .into_iter()
            .map(|row| (row.code == code, row))
            .map(|(is, row)| (row.code, row.name, is))
            .collect(),
        calls,
        public_keys: format!("{server}/.well-known/jwks.json"),
        description: format!("{server}/openapi.json"),
        keys: keys.into_iter().map(|row| key_row(&place, row, now)).collect(),
        may_configure: place.role.may(Ability::Configure),
    })
}

/// The first calls of an app.
fn calls(server: &str, product: &str, prefix: &str) -> Vec<(&'static str, String)> {
    let call = |path: &str| {
        format!(
            "curl {server}/v1/{path} -H 'Content-Type: application/json' \\\n  \
             -d '{{\"key\":\"{prefix}-XXXX-XXXX-XXXX-XXXX\",\"product\":\"{product}\",\"device\":{{\"fingerprint\":\"DEVICE\"}}}}'"
        )
    };
    vec![
        ("Once on each device", call("activate")),
        ("Whenever the app starts and is online", call("check")),
        ("When it leaves a device", call("deactivate")),
    ]
}

/// The keys of this vendor in this mode.
async fn keys<A>(web: &Web, place: &Place<A>) -> Result<Vec<ApiKey>, Refusal> {
    let mut keys = web.engine.api_keys(place.whose().tenant).await?;
    keys.retain(|row| is_of_mode(row, place.livemode));
    Ok(keys)
}

/// Whether a key opens that mode. What is not known is not live.
pub(crate) fn is_of_mode(row: &ApiKey, livemode: bool) -> bool {
    kind_of(&row.kind).is_some_and(ApiKeyKind::is_live) == livemode
}

fn key_row(place: &Place<Look>, row: ApiKey, now: Timestamp) -> KeyRow {
    let scopes: Vec<String> = serde_json::from_str(&row.scopes).unwrap_or_default();
    let is_good = row.revoked_at.is_none();
    KeyRow {
        path: place.at(&format!("developers/keys/{}", ApiKeyId(row.id))),
        kind: if kind_of(&row.kind).is_some_and(ApiKeyKind::is_for_checkouts) { "checkouts only" } else { "API" },
        scopes: if scopes.is_empty() { "opens checkouts".to_owned() } else { scopes.join(", ") },
        pill: match is_good {
            true => Pill { word: "works", tone: "good", icon: "check" },
            false => Pill { word: "revoked", tone: "quiet", icon: "stop" },
        },
        is_good,
        made: When::stored(row.created_at, now),
        used: row.last_used_at.map(|at| When::stored(at, now)),
        name: row.name,
    }
}

/// Nobody makes a key that may do what they may not.
fn may_grant(role: Role, scope: Scope) -> bool {
    role.may(match scope {
        Scope::Admin | Scope::Issue | Scope::LicenseWrite | Scope::UserWrite => Ability::Decide,
        _ => Ability::Configure,
    })
}

fn making(place: &Place<Configure>, sent: &Sent) -> Question {
    let kinds = [("api", "The API, as far as is ticked below"), ("checkout", "Opening checkouts, and nothing else")];
    let question = Question::new("New API key", "Make it", place.at("developers"))
        .says("The key is shown this once: only its hash is kept.")
        .says(if place.livemode { "It is about real sales." } else { "It is about test mode alone." })
        .asks(
            Field::text("name", "Name", sent.get("name"))
                .needed()
                .hint("Which no other key has, such as where it is used."),
        )
        .asks(Field::choice("kind", "It is for", kinds, sent.some("kind").unwrap_or("api")))
        .asks(Field::Part("What it may do"));
    let granted = Scope::ALL.iter().filter(|scope| may_grant(place.role, **scope));
    let hint = |scope: Scope| if scope == Scope::Admin { "Everything, the other boxes included." } else { "" };
    let check = |scope: &Scope| {
        let name = scope.as_str();
        Field::Check { name, label: name, hint: hint(*scope), is_on: sent.is_on(name) }
    };
    granted.map(check).fold(question, Question::asks)
}

/// `GET …/developers/new-key`.
pub(crate) async fn new_form(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    making(&place, &Sent::default()).page(&web, &place, "developers", None).await
}

/// `POST …/developers/new-key`.
pub(crate) async fn create(
    State(web): State<Web>,
    place: Place<Configure>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let is_for_checkouts = sent.get("kind") == "checkout";
    let kind = match (is_for_checkouts, place.livemode) {
        (false, true) => ApiKeyKind::Live,
        (false, false) => ApiKeyKind::Test,
        (true, true) => ApiKeyKind::Checkout,
        (true, false) => ApiKeyKind::TestCheckout,
    };
    let ticked: BTreeSet<Scope> = Scope::ALL.iter().copied().filter(|scope| sent.is_on(scope.as_str())).collect();
    if !ticked.iter().all(|scope| may_grant(place.role, *scope)) {
        return Err(Refusal::Forbidden(place.role));
    }
    let scopes: Vec<Scope> = if is_for_checkouts { Vec::new() } else { ticked.into_iter().collect() };
    let actor = place.by("").actor;
    match web.engine.create_api_key(place.whose().tenant, sent.get("name"), kind, &scopes, &actor).await {
        Ok((_, key)) => {
            let note =
                "Send it in the header “Authorization: Bearer …”. Keep it where your server's other secrets are.";
            shown_once(&web, &place, "developers", ("The API key", key.reveal().as_str(), &[note])).await
        }
        Err(ApiKeyError::Engine(error)) => Err(error.into()),
        Err(error) => making(&place, &sent).page(&web, &place, "developers", Some(sentence(&error))).await,
    }
}

/// A key of this vendor in this mode.
async fn key(web: &Web, place: &Place<Configure>, id: &str) -> Result<ApiKey, Refusal> {
    let id: ApiKeyId = id.parse().map_err(|_| Refusal::NotFound)?;
    keys(web, place).await?.into_iter().find(|row| row.id == id.0).ok_or(Refusal::NotFound)
}

/// `GET …/developers/keys/{id}/revoke`.
pub(crate) async fn revoke_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let row = key(&web, &place, &id).await?;
    Question::new(format!("Revoke the API key · {}", row.name), "Revoke it", place.at("developers"))
        .says("It opens nothing any more, at once and for good. Whatever uses it is refused.")
        .dangerous()
        .page(&web, &place, "developers", None)
        .await
}

/// `POST …/developers/keys/{id}/revoke`.
pub(crate) async fn revoke(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let row = key(&web, &place, &id).await?;
    web.engine.revoke_api_key(place.whose().tenant, ApiKeyId(row.id), &place.by("").actor).await?;
    Ok(see_other(&place.at("developers?said=key_revoked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_grants_more_than_they_may() {
        for (role, admin, issue, catalogue) in [
            (Role::Owner, true, true, true),
            (Role::Admin, true, true, true),
            (Role::Developer, false, false, true),
            (Role::Support, false, false, false),
        ] {
            let granted = [Scope::Admin, Scope::Issue, Scope::CatalogueWrite].map(|scope| may_grant(role, scope));
            assert_eq!(granted, [admin, issue, catalogue], "{role}");
        }
    }
}
