//! API keys: which there are, what they may do, and how one takes another's place.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use crypto::token::ApiKeyKind;
use domain::{
    id::ApiKeyId,
    member::{Ability, Role},
};
use engine::api_keys::{ApiKeyError, OVERLAP_HOURS, Scope, kind_of, opens};
use jiff::Timestamp;
use store::rows::ApiKey;

use super::{
    super::{
        action::{Field, Question, Sent, shown_once},
        browser::see_other,
        entries::People,
        place::{
            Place,
            to::{Configure, Look},
        },
        refusal::Refusal,
        shell::{Shell, page},
        words::{Pill, When, sentence},
    },
    Tab, tabs,
};
use crate::Web;

const KEEP_IT: &str = "Send it in the header “Authorization: Bearer …”. Keep it where your server's other secrets are.";

#[derive(Template)]
#[template(path = "console/developers.html")]
struct KeysPage {
    shell: Shell,
    tabs: Vec<Tab>,
    path: String,
    keys: Vec<KeyRow>,
    may_configure: bool,
    public_keys: String,
    description: String,
}

struct KeyRow {
    path: String,
    requests: String,
    name: String,
    begins: String,
    kind: &'static str,
    scopes: String,
    pill: Pill,
    opens: bool,
    may_roll: bool,
    made: When,
    made_by: String,
    used: Option<When>,
    ends: Option<When>,
}

/// `GET …/developers`.
pub(crate) async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let server = web.public_url.trim_end_matches('/');
    let mut keys = keys(&web, &place).await?;
    keys.sort_by_key(|row| (!opens(row, now), std::cmp::Reverse(row.id)));
    let people = People::of(&web, &place).await?;
    page(&KeysPage {
        shell: Shell::new(&web, &place, "developers", "API keys").await?,
        tabs: tabs(&place, "developers"),
        path: place.at("developers"),
        keys: keys.into_iter().map(|row| key_row(&place, &people, row, now)).collect(),
        may_configure: place.role.may(Ability::Configure),
        public_keys: format!("{server}/.well-known/jwks.json"),
        description: format!("{server}/openapi.json"),
    })
}

/// The keys of this vendor in this mode.
pub(super) async fn keys<A>(web: &Web, place: &Place<A>) -> Result<Vec<ApiKey>, Refusal> {
    let mut keys = web.engine.api_keys(place.whose().tenant).await?;
    keys.retain(|row| is_of_mode(row, place.livemode));
    Ok(keys)
}

/// How the text of a key begins: enough to find it among the secrets of a server, and nothing that opens.
pub(super) fn beginning(row: &ApiKey) -> String {
    const SHOWN: usize = 10;
    let prefix = kind_of(&row.kind).map_or("kw_", ApiKeyKind::prefix);
    let id = ApiKeyId(row.id).to_string();
    let id = id.split_once('_').map_or("", |(_, id)| id);
    format!("{prefix}{}…", id.get(..SHOWN).unwrap_or(id))
}

fn key_row(place: &Place<Look>, people: &People, row: ApiKey, now: Timestamp) -> KeyRow {
    let scopes: Vec<String> = serde_json::from_str(&row.scopes).unwrap_or_default();
    let id = ApiKeyId(row.id);
    let opens = opens(&row, now);
    KeyRow {
        path: place.at(&format!("developers/keys/{id}")),
        requests: place.at(&format!("developers/requests?key={id}")),
        begins: beginning(&row),
        kind: if kind_of(&row.kind).is_some_and(ApiKeyKind::is_for_checkouts) { "checkouts only" } else { "API" },
        scopes: if scopes.is_empty() { "opens checkouts".to_owned() } else { scopes.join(", ") },
        pill: match (opens, row.revoked_at, row.expires_at) {
            (true, _, Some(_)) => Pill { word: "ends soon", tone: "warn", icon: "clock" },
            (true, ..) => Pill { word: "works", tone: "good", icon: "check" },
            (false, Some(_), _) => Pill { word: "revoked", tone: "quiet", icon: "stop" },
            (false, ..) => Pill { word: "replaced", tone: "quiet", icon: "stop" },
        },
        opens,
        may_roll: opens && row.expires_at.is_none() && may_pass_on(place.role, &row),
        made: When::stored(row.created_at, now),
        made_by: people.name(&row.created_by),
        used: row.last_used_at.map(|at| When::stored(at, now)),
        ends: row.expires_at.filter(|_| row.revoked_at.is_none()).map(|at| When::stored(at, now)),
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
            shown_once(&web, &place, "developers", ("The API key", key.reveal().as_str(), &[KEEP_IT])).await
        }
        Err(ApiKeyError::Engine(error)) => Err(error.into()),
        Err(error) => making(&place, &sent).page(&web, &place, "developers", Some(sentence(&error))).await,
    }
}

/// Whether a key opens that mode. What is not known is not live.
pub(crate) fn is_of_mode(row: &ApiKey, livemode: bool) -> bool {
    kind_of(&row.kind).is_some_and(ApiKeyKind::is_live) == livemode
}

/// A key of this vendor in this mode.
async fn key(web: &Web, place: &Place<Configure>, id: &str) -> Result<ApiKey, Refusal> {
    let id: ApiKeyId = id.parse().map_err(|_| Refusal::NotFound)?;
    keys(web, place).await?.into_iter().find(|row| row.id == id.0).ok_or(Refusal::NotFound)
}

fn question(place: &Place<Configure>, row: &ApiKey, word: &str, sent: &Sent) -> Result<Question, Refusal> {
    let new = |title: &str, button| Question::new(format!("{title} · {}", row.name), button, place.at("developers"));
    Ok(match word {
        "revoke" => new("Revoke the API key", "Revoke it")
            .says("It opens nothing any more, at once and for good. Whatever uses it is refused.")
            .dangerous(),
        "roll" => new("Roll the API key", "Make the new one")
            .says("A new key with the same name and scopes is made, and shown this once.")
            .says("The key before opens beside it for a while, so that whatever uses it can be changed meanwhile. Then it opens nothing any more.")
            .says("Is the key named in a configuration file? Then change it there, or the next apply takes its name back.")
            .asks(
                Field::text("overlap_hours", "Hours that both open", match sent.some("overlap_hours") {
                    Some(hours) => hours.to_owned(),
                    None => OVERLAP_HOURS.to_string(),
                })
                .of("number")
                .needed()
                .hint("0 to 720. With 0 the key before opens nothing from now on."),
            )
            .asks(Field::reason()),
        _ => return Err(Refusal::NotFound),
    })
}

/// `GET …/developers/keys/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
) -> Result<Response, Refusal> {
    let row = key(&web, &place, &id).await?;
    let question = question(&place, &row, &word, &Sent::default())?;
    if word == "roll" {
        to_pass_on(&place, &row)?;
        place.confirmed(&web)?;
    }
    question.page(&web, &place, "developers", None).await
}

/// `POST …/developers/keys/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = key(&web, &place, &id).await?;
    let question = question(&place, &row, &word, &sent)?;
    let (tenant, id, by) = (place.whose().tenant, ApiKeyId(row.id), place.by(sent.get("note")));
    if word == "revoke" {
        web.engine.revoke_api_key(tenant, id, &by.actor).await?;
        return Ok(see_other(&place.at("developers?said=key_revoked")));
    }
    to_pass_on(&place, &row)?;
    place.confirmed(&web)?;
    let hours = match sent.number("overlap_hours", "Hours") {
        Ok(hours) => hours.unwrap_or(OVERLAP_HOURS),
        Err(wrong) => return question.page(&web, &place, "developers", Some(wrong)).await,
    };
    match web.engine.roll_api_key(tenant, id, hours, &by).await {
        Ok((_, key)) => {
            let notes = [KEEP_IT, "Change whatever uses the key before to this one."];
            shown_once(&web, &place, "developers", ("The new API key", key.reveal().as_str(), &notes)).await
        }
        Err(ApiKeyError::Engine(error)) => Err(error.into()),
        Err(error) => question.page(&web, &place, "developers", Some(sentence(&error))).await,
    }
}

fn to_pass_on(place: &Place<Configure>, row: &ApiKey) -> Result<(), Refusal> {
    if may_pass_on(place.role, row) { Ok(()) } else { Err(Refusal::Forbidden(place.role)) }
}

/// A new key may do what the one before may: nobody gets one that may more than they could have made.
fn may_pass_on(role: Role, row: &ApiKey) -> bool {
    let scopes: Vec<String> = serde_json::from_str(&row.scopes).unwrap_or_default();
    scopes.iter().filter_map(|scope| scope.parse().ok()).all(|scope| may_grant(role, scope))
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
