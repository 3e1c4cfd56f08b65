//! Connections: where the money comes from, each with the address that its provider calls and what it is believed by.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{id::ConnectionId, member::Ability};
use engine::{
    connections::{ConnectionSecrets, Mode, Reached, open_secrets},
    webhook_secrets::fingerprint,
};
use jiff::Timestamp;
use providers::{Info, Level, Provider, Settings};
use store::{lists::DeliveredKinds, rows};

use super::{
    billing_events::{Came, delivered},
    place::{Place, to::Look},
    prices::Stock,
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/billing.html")]
struct BillingPage {
    shell: Shell,
    path: String,
    cards: Vec<Card>,
    may_configure: bool,
}

struct Card {
    path: String,
    inbound: String,
    provider: &'static str,
    code: String,
    mode: &'static str,
    pill: Pill,
    last: Option<When>,
    webhook_url: Option<String>,
    came: Came,
    redirect_url: Option<String>,
    /// What the provider knows the vendor by when buyers come from it.
    client: Option<String>,
    /// The signing secrets that are accepted, by what tells them apart.
    secrets: Vec<String>,
    /// What its API key is used for; none: its provider has nothing to look up.
    api_key: Option<String>,
    /// The account of a platform, whose key and secret are the operator's.
    account: Option<String>,
    is_own: bool,
    store: Option<String>,
}

/// Providers that can be connected: all but orders made by hand.
pub(crate) fn providers_there() -> impl Iterator<Item = &'static dyn Provider> {
    providers::PROVIDERS.iter().copied().filter(|provider| provider.info().slug != providers::manual::SLUG)
}

pub(crate) fn settings(row: &rows::Connection) -> Settings {
    serde_json::from_str(&row.settings).unwrap_or_default()
}

pub(crate) fn secrets(web: &Web, row: &rows::Connection) -> Result<ConnectionSecrets, Refusal> {
    Ok(open_secrets(row, &web.engine.ring()).map_err(engine::Error::from)?)
}

/// `GET …/settings/billing`.
pub(crate) async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let delivered = delivered(&web, &place, now).await?;
    let mut cards = Vec::new();
    for row in Stock::read(&web, &place).await?.connections {
        let Some(provider) = providers::by_slug(&row.provider) else { continue };
        let last = web.engine.store.last_event(place.whose(), ConnectionId(row.id)).await?;
        cards.push(card(&web, &place, provider.info(), row, (last, &delivered, now))?);
    }
    page(&BillingPage {
        shell: Shell::new(&web, &place, "settings/billing", "Billing").await?,
        path: place.at("settings/billing"),
        cards,
        may_configure: place.role.may(Ability::Configure),
    })
}

fn card(
    web: &Web,
    place: &Place<Look>,
    info: &'static Info,
    row: rows::Connection,
    (last, delivered, now): (Option<Timestamp>, &DeliveredKinds, Timestamp),
) -> Result<Card, Refusal> {
    let (id, settings, secrets) = (ConnectionId(row.id), settings(&row), secrets(web, &row)?);
    let reached = Reached::new(&web.public_url, &place.tenant.slug, (&row.provider, &row.code), &settings);
    let came = Came::of(delivered, &row, &reached.webhook_events);
    let is_own = settings.account.is_none() && !settings.platform;
    Ok(Card {
        path: place.at(&format!("settings/billing/{id}")),
        inbound: place.at(&format!("inbound?connection={}", row.code)),
        provider: info.name,
        mode: Mode::read(&row.mode).as_str(),
        pill: pill(&settings, is_own && secrets.webhook.is_empty(), last.is_some()),
        last: last.map(|at| When::new(at, now)),
        webhook_url: reached.webhook_url,
        came,
        redirect_url: reached.redirect_url,
        client: secrets.oauth_client.map(|client| client.id),
        api_key: info.guide.api_key.map(|_| key_words(secrets.api_key.is_some(), settings.level)),
        secrets: secrets.webhook.iter().map(|secret| fingerprint(id, secret)).collect(),
        account: settings.account,
        is_own,
        store: settings.store,
        code: row.code,
    })
}

fn pill(settings: &Settings, lacks_secret: bool, was_heard: bool) -> Pill {
    match (settings.disconnected, lacks_secret, was_heard) {
        (true, ..) => Pill { word: "disconnected", tone: "bad", icon: "stop" },
        (_, true, _) => Pill { word: "no signing secret", tone: "bad", icon: "stop" },
        (_, _, true) => Pill { word: "connected", tone: "good", icon: "check" },
        _ => Pill { word: "waiting for the first signed event", tone: "warn", icon: "clock" },
    }
}

fn key_words(has_key: bool, level: Level) -> String {
    let words = match (has_key, level) {
        (false, _) => "none: only what events say is known",
        (true, Level::None) => "kept, and nothing is looked up with it",
        (true, Level::Read) => "kept; looks up what was bought",
        (true, Level::Full) => "kept; looks up what was bought, and subscriptions",
    };
    words.to_owned()
}
