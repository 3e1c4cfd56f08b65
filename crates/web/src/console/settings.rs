//! The page that leads to all that is set up.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/settings.html")]
struct SettingsPage {
    shell: Shell,
    /// Address, name, what it is for, icon.
    doors: Vec<(String, &'static str, &'static str, &'static str)>,
}

const DOORS: &[(&str, &str, &str, &str)] = &[
    ("settings/billing", "Billing", "Providers that tell of sales: addresses, secrets, API keys.", "receipt"),
    ("settings/webhooks", "Webhooks", "Your own addresses that are told of what happens here.", "out"),
    ("prices", "Prices", "Which plan each price of a provider gives.", "tag"),
    ("products", "Products and plans", "What is sold, and what a license allows.", "box"),
    ("settings/brand", "Brand", "In whose name each product speaks, and what its mails look like.", "person"),
    ("mails/sender", "Sender", "How mails leave, whether that works, and what has not left yet.", "mail"),
    ("team", "Team", "Who may do what here, and who is invited.", "people"),
    ("settings/sign-in", "Sign-in", "Your identity provider, by which members come in without a password.", "person"),
    ("developers", "Developers", "API keys, and the first calls of an app.", "code"),
    ("settings/server", "This server", "Its address, and how its mails leave.", "home"),
    ("audit", "Audit log", "Who changed what, when, and why.", "book"),
];

/// `GET …/settings`.
pub(crate) async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    page(&SettingsPage {
        shell: Shell::new(&web, &place, "settings", "Settings").await?,
        doors: DOORS.iter().map(|&(path, name, text, icon)| (place.at(path), name, text, icon)).collect(),
    })
}
