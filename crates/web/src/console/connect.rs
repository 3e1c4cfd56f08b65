//! Connecting a provider: what is done there, and what is pasted here.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use engine::{
    configuration::{ConnectionInput, Existing},
    connect::{Connect, ConnectError},
    connections::{Mode, Reached},
};
use providers::{Info, Level, Provider, Settings, redeem::OauthClient};

use super::{
    action::{Field, Sent},
    billing::providers_there,
    browser::see_other,
    mistakes::of_configuration,
    place::{Place, to::Configure},
    prices::Stock,
    refusal::Refusal,
    shell::{Shell, page},
    words::sentence,
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/connect.html")]
struct ConnectPage {
    shell: Shell,
    path: String,
    billing: String,
    /// Slug and name of each provider.
    providers: Vec<(&'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "console/connecting.html")]
struct ConnectingPage {
    shell: Shell,
    provider: &'static str,
    webhook_url: String,
    events: Vec<&'static str>,
    endpoint: Vec<Passage>,
    secret: Vec<Passage>,
    api_key: Vec<Passage>,
    redirect: Vec<Passage>,
    notes: Vec<Passage>,
    fields: Vec<Field>,
    billing: String,
    wrong: Option<String>,
}

/// A piece of a guide.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// A paragraph.
    Text(String),
    /// An example.
    Code(String),
}

/// Guides are written in Markdown for the book; of it they use paragraphs, examples, emphasis and code.
fn passages(markdown: &str) -> Vec<Passage> {
    let mut passages = Vec::new();
    for (index, part) in markdown.split("```").enumerate() {
        if index % 2 == 1 {
            let code = part.split_once('\n').map_or(part, |(_, code)| code);
            passages.push(Passage::Code(code.trim_end().to_owned()));
            continue;
        }
        let paragraphs = part.split("\n\n").map(|text| text.replace(['*', '`'], ""));
        let paragraphs = paragraphs.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        passages.extend(paragraphs.filter(|text| !text.is_empty()).map(Passage::Text));
    }
    passages
}

/// `GET …/settings/billing/connect`.
pub(crate) async fn choose(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    page(&ConnectPage {
        shell: Shell::new(&web, &place, "settings/billing", "Connect a provider").await?,
        path: place.at("settings/billing/connect"),
        billing: place.at("settings/billing"),
        providers: providers_there().map(|provider| (provider.info().slug, provider.info().name)).collect(),
    })
}

fn known(slug: &str) -> Result<&'static dyn Provider, Refusal> {
    providers_there().find(|provider| provider.info().slug == slug).ok_or(Refusal::NotFound)
}

/// `GET …/settings/billing/connect/{provider}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, slug)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let provider = known(&slug)?;
    place.confirmed(&web)?;
    let taken = Stock::read(&web, &place).await?;
    let code = if place.livemode { slug } else { format!("{slug}-test") };
    let code = if taken.connection(&code).is_some() { format!("{code}-2") } else { code };
    shown(&web, &place, provider, &Sent::default().with("code", code).with("level", "full"), None).await
}

/// Whether its endpoints can be made by its API.
fn makes_webhooks(provider: &dyn Provider) -> bool {
    !provider.has_stores() && provider.create_webhook("https://example.com", "0").is_ok()
}

fn fields(provider: &dyn Provider, sent: &Sent) -> Vec<Field> {
    let Info { guide, .. } = provider.info();
    let secret = |name, label| Field::text(name, label, "").of("password");
    let mut fields = vec![
        Field::text("code", "Your name for it", sent.get("code")).needed().hint("Letters, digits, - . _"),
        secret("webhook_secret", "Signing secret of the webhook").hint("It is sealed, and shown never again."),
    ];
    if guide.api_key.is_some() {
        let levels = [("full", "What was bought, and subscriptions"), ("read", "What was bought")];
        fields.push(secret("api_key", "API key").hint("May stay empty. It is sealed, and shown never again."));
        fields.push(Field::choice("level", "With the key is looked up", levels, sent.get("level")));
    }
    if makes_webhooks(provider) {
        fields.push(Field::Check {
            name: "make_webhook",
            label: "Make the webhook endpoint there with the API key",
            hint: "Then nothing needs to be pasted: its secret is kept at once.",
            is_on: sent.is_on("make_webhook"),
        });
    }
    if provider.has_stores() {
        fields.push(
            Field::text("store", "Store", sent.get("store"))
                .hint("The provider's id of the store, where there is an API key."),
        );
    }
    if guide.redirect.is_some() {
        fields.push(Field::text("client_id", "Client ID", sent.get("client_id")));
        fields.push(secret("client_secret", "Client secret").hint("It is sealed, and shown never again."));
    }
    fields
}

async fn shown(
    web: &Web,
    place: &Place<Configure>,
    provider: &'static dyn Provider,
    sent: &Sent,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let Info { slug, name, guide, .. } = provider.info();
    let reached = Reached::new(&web.public_url, &place.tenant.slug, (slug, ""), &Settings::default());
    page(&ConnectingPage {
        shell: Shell::new(web, place, "settings/billing", format!("Connect {name}")).await?,
        provider: name,
        webhook_url: reached.webhook_url.unwrap_or_default(),
        events: reached.webhook_events,
        endpoint: passages(guide.endpoint),
        secret: passages(guide.secret),
        api_key: guide.api_key.map(passages).unwrap_or_default(),
        redirect: guide.redirect.map(passages).unwrap_or_default(),
        notes: guide.notes.iter().flat_map(|note| passages(note)).collect(),
        fields: fields(provider, sent),
        billing: place.at("settings/billing"),
        wrong,
    })
}

/// `POST …/settings/billing/connect/{provider}`.
pub(crate) async fn connect(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, slug)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let provider = known(&slug)?;
    place.confirmed(&web)?;
    match connected(&web, &place, provider, &sent).await? {
        Ok(()) => Ok(see_other(&place.at("settings/billing?said=connected"))),
        Err(wrong) => shown(&web, &place, provider, &sent, Some(wrong)).await,
    }
}

async fn connected(
    web: &Web,
    place: &Place<Configure>,
    provider: &'static dyn Provider,
    sent: &Sent,
) -> Result<Result<(), String>, Refusal> {
    let (slug, code, api_key) = (provider.info().slug, sent.get("code"), sent.secret("api_key"));
    let (tenant, actor) = (place.whose().tenant, place.by("").actor);
    let mode = if place.livemode { Mode::Live } else { Mode::Test };
    let level = match (&api_key, sent.get("level")) {
        (None, _) => Level::None,
        (Some(_), "read") => Level::Read,
        (Some(_), _) => Level::Full,
    };
    if sent.is_on("make_webhook") && makes_webhooks(provider) {
        let Some(api_key) = api_key else {
            return Ok(Err("An endpoint is made there with an API key: paste one.".to_owned()));
        };
        let is_taken =
            web.engine.store.connections().await?.iter().any(|row| row.tenant_id == tenant.0 && row.code == code);
        if is_taken {
            return Ok(Err(format!("There is a connection `{code}` already; take another name.")));
        }
        let asked = Connect {
            tenant,
            tenant_slug: place.tenant.slug.clone(),
            code: code.to_owned(),
            provider: slug.to_owned(),
            mode,
            level,
            api_key,
            api_base: None,
            server: Some(web.public_url.to_string()),
        };
        return match web.engine.connect(&asked, &actor).await {
            Ok(_) => Ok(Ok(())),
            Err(ConnectError::Configuration(error)) => of_configuration(error).map(Err),
            Err(error) => Ok(Err(sentence(&error))),
        };
    }
    let client = sent.some("client_id").zip(sent.secret("client_secret"));
    let input = ConnectionInput {
        level,
        api_key,
        store: sent.some("store").map(str::to_owned),
        webhook_secrets: Some(sent.secret("webhook_secret").into_iter().collect()),
        oauth_client: client.map(|(id, secret)| OauthClient { id: id.to_owned(), secret }),
        ..ConnectionInput::new(code, slug, mode)
    };
    match web.engine.save_connection(tenant, input, Existing::New, &actor).await {
        Ok(_) => Ok(Ok(())),
        Err(error) => of_configuration(error).map(Err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_reads_without_its_marks() {
        let text = |text: &str| Passage::Text(text.to_owned());
        let code = Passage::Code("{ \"id\": 1 }".to_owned());
        assert_eq!(
            passages("Open *Settings →\n  Webhooks*.\n\n```json\n{ \"id\": 1 }\n```\n\n`id` names it."),
            [text("Open Settings → Webhooks."), code, text("id names it.")]
        );
    }
}
