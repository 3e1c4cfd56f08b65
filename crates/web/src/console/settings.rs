//! The page that leads to all that is set up, and says how each of it stands.

use std::collections::HashMap;

use askama::Template;
use axum::{extract::State, response::Response};
use engine::{retention::kept_days, signing::Phase};

use super::{
    about::is_operators,
    backups::SECTION as BACKUPS,
    developers::keys::is_of_mode,
    place::{Place, to::Look},
    prices::Stock,
    refusal::Refusal,
    security::Team,
    shell::{Shell, page},
    words::{When, capitalised, counted},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/settings.html")]
struct SettingsPage {
    shell: Shell,
    groups: Vec<(&'static str, Vec<Door>)>,
}

struct Door {
    path: String,
    name: &'static str,
    text: &'static str,
    icon: &'static str,
    /// How it stands, in a line; empty: it says nothing by itself.
    state: String,
}

/// Path, name, what it is for, icon.
type DoorTo = (&'static str, &'static str, &'static str, &'static str);

/// What the page leads to, by what it is about.
const GROUPS: [(&str, &[DoorTo]); 4] = [
    (
        "What is sold",
        &[
            ("prices", "Prices", "Which plan each price of a provider gives.", "tag"),
            ("products", "Products and plans", "What is sold, and what a license allows.", "box"),
            ("settings/brand", "Brand", "In whose name each product speaks, and what its mails look like.", "person"),
            ("mails/sender", "Sender", "How mails leave, whether that works, and what has not left yet.", "mail"),
        ],
    ),
    (
        "Connected systems",
        &[
            ("settings/billing", "Billing", "Providers that tell of sales: addresses, secrets, API keys.", "receipt"),
            ("settings/webhooks", "Webhooks", "Your own addresses that are told of what happens here.", "out"),
            (
                "settings/integrations",
                "Integrations",
                "Who is told when something needs a person: mail, chat, a call.",
                "bell",
            ),
            ("developers", "Developers", "API keys, what was called with them, how to begin, and every call.", "code"),
        ],
    ),
    (
        "People and security",
        &[
            ("team", "Team", "Who may do what here, and who is invited.", "people"),
            (
                "settings/sign-in",
                "Sign-in",
                "Your identity provider, by which members come in without a password.",
                "person",
            ),
            ("settings/security", "Security", "Second factors, signed-in browsers, refused calls.", "shield"),
            ("audit", "Audit log", "Who changed what, when, and why.", "book"),
        ],
    ),
    (
        "The installation",
        &[
            ("settings/server", "This server", "The address by which browsers, apps and providers reach it.", "home"),
            ("settings/signing-keys", "Signing keys", "What apps verify licenses with offline.", "key"),
            ("settings/retention", "Data retention", "What is remembered for how long.", "clock"),
            (BACKUPS, "Backups", "The whole database as one file: when, where, and how it comes back.", "disk"),
            ("settings/about", "About", "Release, database, health, and a text for support.", "info"),
        ],
    ),
];

/// How things stand, by the path of their door.
async fn states(web: &Web, place: &Place<Look>) -> Result<HashMap<&'static str, String>, Refusal> {
    let (engine, store, whose, now) = (&web.engine, &web.engine.store, place.whose(), web.engine.now());
    let team = Team::read(web, place).await?;
    let (members, with_factor) = (team.members.len(), team.with_factor());
    let required = if place.tenant.requires_second_factor { ", required" } else { "" };
    let endpoints = store.webhook_endpoints(whose.tenant).await?;
    let endpoints = endpoints.iter().filter(|row| row.livemode == whose.livemode).count();
    let channels = store.alert_channels_in(whose).await?.len();
    let invited = store.invitations_of(whose.tenant).await?;
    let invited = invited.iter().filter(|row| row.role.is_some() && row.expires_at > now.as_microsecond()).count();
    let signs = engine.published_keys(whose.tenant).await?.into_iter().find(|key| matches!(key.phase, Phase::Signs(_)));
    let verified = engine.audit_verified(whose.tenant).await?;
    let Stock { connections, .. } = Stock::read(web, place).await?;
    let keys = engine.api_keys(whose.tenant).await?;
    let keys = keys.iter().filter(|row| row.revoked_at.is_none()).filter(|row| is_of_mode(row, whose.livemode)).count();
    let mut states: HashMap<&'static str, String> = [
        ("settings/billing", counted(connections.len(), "connection", "connections")),
        ("developers", counted(keys, "API key", "API keys")),
        ("settings/webhooks", counted(endpoints, "address", "addresses")),
        ("settings/integrations", counted(channels, "alert channel", "alert channels")),
        ("team", format!("{}, {} invited", counted(members, "member", "members"), invited)),
        (
            "settings/security",
            format!("{with_factor} of {} a second factor{required}", counted(members, "member has", "members have")),
        ),
        ("settings/retention", format!("deliveries are kept for {} days", kept_days(&place.tenant))),
        ("products", counted(store.products(whose.tenant).await?.len(), "product", "products")),
    ]
    .into();
    if let Some(key) = signs {
        states.insert("settings/signing-keys", format!("signs since {}", When::new(key.made_at, now).short()));
    }
    let chain = verified.map_or("the chain was not followed yet".to_owned(), |done| {
        let words = if done.problem.is_some() { "the chain was broken" } else { "the chain was whole" };
        format!("{words} {}", When::new(done.at, now))
    });
    states.insert("audit", chain);
    let mut about = format!("Keywright {}", env!("CARGO_PKG_VERSION"));
    if is_operators(place) {
        let database = store.about().await?;
        let last = engine.last_backup().await?;
        let last =
            last.map_or("none was made yet".to_owned(), |made| format!("the last one {}", When::new(made.at, now)));
        states.insert(BACKUPS, if store.is_shared() { "by pg_dump".to_owned() } else { last });
        about = format!("{about}, {} {}", database.kind, engine::support::size(database.bytes));
    }
    states.insert("settings/about", about);
    Ok(states)
}

/// `GET …/settings`.
pub(crate) async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let mut states = states(&web, &place).await?;
    let mut door = |(path, name, text, icon): DoorTo| Door {
        path: place.at(path),
        name,
        text,
        icon,
        state: capitalised(&states.remove(path).unwrap_or_default()),
    };
    let is_open = |(path, ..): &&DoorTo| *path != BACKUPS || is_operators(&place);
    let groups = GROUPS.iter();
    let groups = groups.map(|(group, doors)| (*group, doors.iter().filter(is_open).copied().map(&mut door).collect()));
    let groups = groups.collect();
    page(&SettingsPage { shell: Shell::new(&web, &place, "settings", "Settings").await?, groups })
}
