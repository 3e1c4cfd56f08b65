//! For whoever writes against this server: API keys, what was called, how to begin, and everything that can be called.

pub(crate) mod guide;
pub(crate) mod keys;
mod quickstart;
pub(crate) mod reference;
mod requests;

use axum::{Router, routing::get};

use super::{place::Place, tabs::Tab};
use crate::Web;

/// The pages of the section.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/developers", get(keys::show))
        .route("/console/{tenant}/{mode}/developers/new-key", get(keys::new_form).post(keys::create))
        .route("/console/{tenant}/{mode}/developers/keys/{id}/{action}", get(keys::form).post(keys::act))
        .route("/console/{tenant}/{mode}/developers/requests", get(requests::list))
        .route("/console/{tenant}/{mode}/developers/requests/{id}", get(requests::show))
        .route("/console/{tenant}/{mode}/developers/quickstart", get(quickstart::show))
        .route("/console/{tenant}/{mode}/developers/reference", get(reference::list))
        .route("/console/{tenant}/{mode}/developers/reference/{operation}", get(reference::show))
}

/// What the section leads to: path and name.
const TABS: &[(&str, &str)] = &[
    ("developers", "API keys"),
    ("developers/requests", "Request log"),
    ("developers/quickstart", "Quickstart"),
    ("developers/reference", "API reference"),
    ("settings/webhooks/events", "Event catalogue"),
];

/// All pages of the section, seen from one of them.
pub(crate) fn tabs<A>(place: &Place<A>, here: &str) -> Vec<Tab> {
    super::tabs::tabs(place, TABS, here)
}
