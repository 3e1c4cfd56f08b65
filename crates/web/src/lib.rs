//! Pages: the caught mails, so that a vendor sees what a buyer would get before any relay is configured, and where buyers
//! come to whom a marketplace sends here.

mod buyers;
mod console;
mod mails;
pub mod simulator;

use std::{net::IpAddr, sync::Arc};

use axum::{Router, routing::get};
use crypto::ring::SharedRing;
use delivery::{Transport, mail::Sender};
use engine::{Engine, runtime::AppAnswer};
use jiff::Timestamp;

/// What all pages share.
#[derive(Clone)]
pub struct Web {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The master keys: a mail is shown as its buyer gets it.
    pub ring: SharedRing,
    /// How mails leave, and who they come from where a brand does not say so; none: they are caught.
    pub sender: Option<Transport>,
    /// Whether the caught mails may be read without an API key: only in `demo`, where nothing is real.
    pub open: bool,
    /// The address under which this server is reached: where a marketplace sends its buyers.
    pub public_url: Arc<str>,
    /// When this process began to serve.
    pub started_at: Timestamp,
    /// The folder with everything that has to be kept: for those who run the installation.
    pub data_folder: Arc<str>,
    /// Counts what a stranger can try at the pages of buyers by the address that it came from. Some: too many; so many seconds have to pass.
    pub too_many: Arc<dyn Fn(IpAddr) -> Option<u64> + Send + Sync>,
    /// The OpenAPI document of what this server answers: pages show it.
    pub openapi: &'static str,
    /// Plays purchases in test mode.
    pub simulator: Arc<dyn simulator::Simulator>,
    /// What an app reads of an answer.
    pub app_answer: Arc<dyn Fn(AppAnswer) -> String + Send + Sync>,
}

impl Web {
    /// Who mails come from where a brand does not say so.
    pub(crate) fn mail_from(&self) -> Option<&Sender> {
        self.sender.as_ref().map(Transport::sender)
    }
}

/// All pages.
pub fn router(web: Web) -> Router {
    Router::new()
        .merge(console::routes(&web))
        .route("/dev/mail", get(mails::list))
        .route("/dev/mail/{id}", get(mails::show))
        .route("/dev/mail/{id}/html", get(mails::html))
        .merge(buyers::routes())
        .with_state(web)
}
