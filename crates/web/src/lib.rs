//! Pages. For now the caught mails, so that a vendor sees what a buyer would get before any relay is configured.

mod mails;

use std::sync::Arc;

use axum::{Router, routing::get};
use crypto::ring::SharedRing;
use delivery::mail::Sender;
use engine::Engine;

/// What all pages share.
#[derive(Clone)]
pub struct Web {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The master keys: a mail is shown as its buyer gets it.
    pub ring: SharedRing,
    /// Who mails come from where a brand does not say so.
    pub sender: Option<Sender>,
    /// Whether the caught mails may be read without an API key: only in `demo`, where nothing is real.
    pub open: bool,
}

/// All pages.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/dev/mail", get(mails::list))
        .route("/dev/mail/{id}", get(mails::show))
        .route("/dev/mail/{id}/html", get(mails::html))
        .with_state(web)
}
