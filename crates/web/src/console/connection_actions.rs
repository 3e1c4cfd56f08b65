//! What can be done with a connection. Its secrets go in, and never come out.

use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::id::ConnectionId;
use engine::{
    configuration::{ConnectionInput, Existing},
    connections::Mode,
    webhook_secrets::{SecretChange, SecretError},
};
use providers::{Level, redeem::OauthClient};
use store::rows;

use super::{
    action::{Field, Question, Sent},
    billing::settings,
    browser::see_other,
    mistakes::of_configuration,
    place::{Place, to::Configure},
    prices::Stock,
    refusal::Refusal,
    words::sentence,
};
use crate::Web;

type Asked = Path<(String, String, String, String)>;

/// A connection of this vendor in this mode.
async fn connection(web: &Web, place: &Place<Configure>, id: &str) -> Result<rows::Connection, Refusal> {
    let id: ConnectionId = id.parse().map_err(|_| Refusal::NotFound)?;
    let stock = Stock::read(web, place).await?;
    stock.connections.into_iter().find(|row| row.id == id.0).ok_or(Refusal::NotFound)
}

fn question(place: &Place<Configure>, row: &rows::Connection, word: &str, sent: &Sent) -> Result<Question, Refusal> {
    let provider = providers::by_slug(&row.provider).ok_or(Refusal::NotFound)?;
    let settings = settings(row);
    // A platform's key and secrets are those of who runs the server.
    if settings.platform || settings.account.is_some() {
        return Err(Refusal::NotFound);
    }
    let new =
        |title: &str, button| Question::new(format!("{title} · {}", row.code), button, place.at("settings/billing"));
    let secret = |name, label| Field::text(name, label, "").of("password").needed();
    let question = match word {
        "add-secret" => new("Add a signing secret", "Accept it")
            .says("It is accepted beside those that are. To rotate: add the new one, change it at the provider, remove the old one.")
            .says("It is sealed, and shown never again.")
            .asks(secret("secret", "Signing secret").hint("As the provider shows it.")),
        "remove-secret" => new("Remove a signing secret", "Remove it")
            .says("Calls that are signed with it are refused from now on.")
            .says(format!("The secret is the one with the fingerprint {}.", sent.get("fingerprint")))
            .asks(Field::Hidden { name: "fingerprint", value: sent.get("fingerprint").to_owned() })
            .dangerous(),
        "api-key" if provider.info().guide.api_key.is_some() => {
            let levels = [("full", "What was bought, and subscriptions"), ("read", "What was bought"), ("none", "Nothing")];
            let here = match settings.level {
                Level::Read => "read",
                Level::None if !sent.is_on("level") => "full",
                Level::Full => "full",
                Level::None => "none",
            };
            new("API key", "Keep it")
                .says("It takes the place of the one before. It is sealed, and shown never again.")
                .asks(secret("api_key", "API key"))
                .asks(Field::choice("level", "With it is looked up", levels, sent.some("level").unwrap_or(here)))
        }
        "buyers" if provider.redeem().is_some() => new("Buyers who come from there", "Keep it")
            .says("What the provider knows you by when it sends buyers here for their keys.")
            .asks(Field::text("client_id", "Client ID", sent.get("client_id")).needed())
            .asks(secret("client_secret", "Client secret").hint("It is sealed, and shown never again.")),
        _ => return Err(Refusal::NotFound),
    };
    Ok(question)
}

/// `GET …/settings/billing/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Asked,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let row = connection(&web, &place, &id).await?;
    let question = question(&place, &row, &word, &sent)?;
    place.confirmed(&web)?;
    question.page(&web, &place, "settings/billing", None).await
}

/// `POST …/settings/billing/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Asked,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = connection(&web, &place, &id).await?;
    let question = question(&place, &row, &word, &sent)?;
    place.confirmed(&web)?;
    match done(&web, &place, &row, &word, &sent).await? {
        Ok(()) => Ok(see_other(&place.at("settings/billing?said=saved"))),
        Err(wrong) => question.page(&web, &place, "settings/billing", Some(wrong)).await,
    }
}

async fn done(
    web: &Web,
    place: &Place<Configure>,
    row: &rows::Connection,
    word: &str,
    sent: &Sent,
) -> Result<Result<(), String>, Refusal> {
    let change = match word {
        "add-secret" => match sent.secret("secret") {
            Some(secret) => SecretChange::Add(secret),
            None => return Ok(Err("Paste the secret.".to_owned())),
        },
        "remove-secret" => SecretChange::Remove(sent.get("fingerprint").to_owned()),
        _ => return save(web, place, row, sent).await,
    };
    let (tenant, id) = (place.whose().tenant, ConnectionId(row.id));
    match web.engine.change_webhook_secrets(tenant, id, &change, &place.by("")).await {
        Ok(()) => Ok(Ok(())),
        Err(SecretError::NoConnection(_)) => Err(Refusal::NotFound),
        Err(SecretError::Engine(error)) => Err(error.into()),
        Err(error) => Ok(Err(sentence(&error))),
    }
}

/// Keeps what the form says, and leaves all else as it is.
async fn save(
    web: &Web,
    place: &Place<Configure>,
    row: &rows::Connection,
    sent: &Sent,
) -> Result<Result<(), String>, Refusal> {
    let level = match sent.get("level") {
        "none" => Level::None,
        "read" => Level::Read,
        "full" => Level::Full,
        _ => settings(row).level,
    };
    let client = sent.some("client_id").zip(sent.secret("client_secret"));
    let input = ConnectionInput {
        level,
        api_base: row.api_base.clone(),
        api_key: sent.secret("api_key"),
        oauth_client: client.map(|(id, secret)| OauthClient { id: id.to_owned(), secret }),
        ..ConnectionInput::new(&row.code, &row.provider, Mode::read(&row.mode))
    };
    let saved = web.engine.save_connection(place.whose().tenant, input, Existing::There, &place.by("").actor).await;
    match saved.map(drop) {
        Ok(()) => Ok(Ok(())),
        Err(error) => of_configuration(error).map(Err),
    }
}
