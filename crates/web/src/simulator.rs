//! The port to whoever plays purchases at a provider that is not there: what can be played, and how it went. Pages know
//! nothing of how; the binary plays, by its own simulator.

use domain::{
    id::{ConnectionId, DeliveryId, LicenseId, MailId, TenantId},
    text::Reference,
};
use engine::rulings::By;
use futures::future::BoxFuture;
use jiff::Timestamp;

/// Plays what happens at providers, in test mode alone: its connections are of the mode `simulated`, which no live money
/// reaches.
pub trait Simulator: Send + Sync {
    /// The providers that are played.
    fn providers(&self) -> Vec<Playable>;

    /// Begins to play, and returns the id of the run. What becomes of it is told by [`Simulator::run`].
    ///
    /// # Errors
    /// Another run of the tenant has not ended, or it cannot be played.
    fn begin(&self, wish: Wish) -> BoxFuture<'_, Result<String, NotPlayed>>;

    /// A run of a tenant as far as it has come. None: there is none of that id, or it is forgotten.
    fn run(&self, tenant: TenantId, id: &str) -> Option<Run>;

    /// The tenant's last runs, the latest first.
    fn runs(&self, tenant: TenantId) -> Vec<Run>;
}

/// A provider that is played.
#[derive(Clone, Debug)]
pub struct Playable {
    /// Its slug.
    pub slug: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What can happen there.
    pub scenarios: Vec<Scenario>,
}

/// Something that can happen at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The word for it, which the command line has as well.
    pub word: String,
    /// What happens, as a sentence.
    pub sentence: String,
    /// What it is about, as a heading.
    pub heading: &'static str,
}

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Wish {
    /// For whom: the tenant and its slug.
    pub tenant: (TenantId, String),
    /// The provider's slug.
    pub provider: String,
    /// The scenario's word.
    pub scenario: String,
    /// The code of the plan that is bought; none: the first one.
    pub plan: Option<String>,
    /// Who buys.
    pub email: String,
    /// How many; none: one.
    pub quantity: Option<u32>,
    /// The checkout of the sale with which it goes on; none: it begins with a sale of its own.
    pub session: Option<String>,
    /// Who asks for it.
    pub by: By,
}

/// Why nothing is played.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotPlayed {
    /// The run of this id has not ended.
    #[error("something is being played already")]
    Busy(String),
    /// It cannot be played.
    #[error("{0}")]
    Impossible(String),
}

/// Something that was played, or is.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is found by.
    pub id: String,
    /// The provider's slug and name.
    pub provider: (&'static str, &'static str),
    /// What happens.
    pub scenario: Scenario,
    /// Who buys.
    pub email: String,
    /// When it was asked for.
    pub began: Timestamp,
    /// By whom, as the audit log names them.
    pub actor: String,
    /// What happened so far.
    pub steps: Vec<Step>,
    /// The sale that it is about, as soon as there is one.
    pub sale: Option<Sale>,
    /// Whether it has ended.
    pub state: RunState,
    /// What can happen to the sale next.
    pub next: Vec<Scenario>,
}

/// A sale that is played.
#[derive(Clone, Debug)]
pub struct Sale {
    /// Its checkout at the provider, by which a wish goes on with it.
    pub session: String,
    /// Where it was made, and the code of that.
    pub connection: (ConnectionId, String),
    /// The name by which the server knows it.
    pub reference: Reference,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It goes on.
    Playing,
    /// It has ended; perhaps there is something to say of it.
    Ended(Option<String>),
    /// It came to nothing.
    Failed(String),
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is said in between.
    Remark(String),
    /// A milestone.
    Milestone {
        /// So many milliseconds after the first event was posted.
        at_milliseconds: u64,
        /// Its word.
        word: &'static str,
        /// What happened.
        text: String,
        /// What it is about.
        about: Option<About>,
    },
}

/// What a milestone is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A license.
    License(LicenseId),
    /// A mail.
    Mail(MailId),
    /// A delivery to one of the vendor's own systems.
    Delivery(DeliveryId),
}
