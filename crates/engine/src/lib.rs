//! The shell of the core: takes events in, looks up what they lack, fulfils a batch, watches the time.
//!
//! Decisions are the domain's; this crate fetches what they rest on and stores what follows, a batch at a time and in
//! one transaction. `receive` → inbox → `lookup` → `fulfil` → orders, licenses, audit, mails, events.

pub mod accounts;
mod adopt;
pub mod alerts;
pub mod api_keys;
pub mod attention;
pub mod audit;
pub mod backups;
pub mod bulk;
mod buyers;
mod calls;
pub mod catalogue;
pub mod catchup;
pub mod checkout;
pub mod configuration;
pub mod connect;
mod connected_accounts;
pub mod connections;
pub mod counts;
pub mod doctor;
mod events;
pub mod figures;
pub mod first_steps;
mod fulfil;
mod gather;
mod group;
pub mod idempotency;
pub mod identity;
pub mod inbound;
pub mod issue;
mod license_keys;
pub mod license_metadata;
pub mod live;
mod lookup;
pub mod mail_templates;
mod mails;
pub mod members;
pub mod metrics;
pub mod onboarding;
mod outcome;
pub mod outgoing;
pub mod prices;
pub mod receive;
pub mod reconcile;
pub mod redecide;
pub mod redeem;
pub mod rejections;
pub mod requests;
pub mod retention;
pub mod rotation;
pub mod rulings;
pub mod runtime;
mod sales;
pub mod scans;
pub mod search;
mod settle;
pub mod signing;
pub mod silence;
pub mod support;
pub mod taken_over;
pub mod tenants;
pub mod test_clock;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timeline;
mod usage;
pub mod views;
pub mod webhook_secrets;
pub mod webhooks;
mod workers;
mod write_back;

use std::sync::Arc;

use crypto::{
    ring::{KeyRing, SharedRing},
    seal::SealError,
};
use domain::ambient::{Clock, EntropySource};
use jiff::{SignedDuration, Timestamp};
use store::{Store, StoreError};
use tokio::sync::Notify;

pub use fulfil::BATCH_MAX;
pub use gather::{Gather, Stopping, Turns};

use crate::{
    catalogue::Catalogues,
    connections::{Connection, Connections},
};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A document does not read, or cannot be written.
    #[error("a document does not read: {0}")]
    Document(#[source] serde_json::Error),
    /// The process is stopping.
    #[error(transparent)]
    Stopping(#[from] Stopping),
    /// The database did not answer a look-up.
    #[error(transparent)]
    Unanswered(#[from] runtime::Unanswered),
    /// An event could not be kept.
    #[error(transparent)]
    NotKept(#[from] receive::NotKept),
    /// The tenant lacks what it was made with.
    #[error("the tenant has no connection for orders made by hand; run `keywright doctor`")]
    NoManualConnection,
    /// A defect of ours. What it was stands in the log.
    #[error("a worker panicked; this is a defect, please report it with what was logged before")]
    Panicked,
    /// It is not this license's turn any more, in a change of many.
    #[error("another node goes on with this change of many licenses, or it was stopped")]
    NotItsTurn,
    /// A key that signs leases is damaged.
    #[error("the signing key {0} cannot be used; restore it from a backup")]
    SigningKey(String),
    /// A license stands on a plan that is not there.
    #[error("plan {0} in version {1} is missing; restore it from a backup")]
    Plan(domain::id::PlanId, u32),
}

impl Error {
    /// Whether the database would refuse the same again.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_passing(),
            Self::Seal(_) | Self::Document(_) | Self::Plan(..) => true,
            _ => false,
        }
    }

    /// Whether the transaction met another one.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }

    /// Whether another transaction may have been faster: a repetition sees what that one wrote.
    #[must_use]
    pub const fn is_lost_race(&self) -> bool {
        self.is_conflict() || matches!(self, Self::Store(store::StoreError::Duplicate(_)))
    }
}

/// What everything here needs.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The master keys.
    pub ring: SharedRing,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes randomness.
    pub entropy: Arc<dyn EntropySource>,
    /// Sends requests to providers.
    pub dialler: Arc<dyn lookup::Dial>,
    /// Says where webhooks may go.
    pub addresses: Arc<dyn webhooks::CheckAddress>,
    /// Calls identity providers.
    pub identity: Arc<dyn identity::CallProvider>,
    /// How long this node may take for look-ups it has taken; then another node takes them.
    pub lease: SignedDuration,
}

pub use lookup::{Dial, DialError, Dialled};

/// The engine. Shared by all workers and handlers of a process.
pub struct Engine {
    /// The database.
    pub store: Store,
    /// What is counted.
    pub metrics: metrics::Metrics,
    ring: SharedRing,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn EntropySource>,
    dialler: Arc<dyn Dial>,
    addresses: Arc<dyn webhooks::CheckAddress>,
    identity: identity::Providers,
    lease: SignedDuration,
    connections: Connections,
    catalogues: Catalogues,
    test_clocks: test_clock::TestClocks,
    signers: signing::Signers,
    inbox: Gather<receive::Arrival, Result<(), receive::NotKept>>,
    checks: Gather<runtime::CheckCall, runtime::Looked>,
    slots: Gather<runtime::SlotCall, runtime::Slotted>,
    uses: Gather<usage::Use, usage::Counted>,
    /// Counts the batches that were committed here.
    batches: tokio::sync::watch::Sender<u64>,
    /// Something may be worked on: events, or orders whose time has come.
    work: Notify,
    /// Something must be looked up.
    lookups: Notify,
    /// A provider's list of events is to be read now.
    catching_up: Notify,
    /// Who may ask a provider now.
    turns: lookup::ProviderTurns,
    /// At which connections calls are made now.
    calls_under_way: calls::CallsUnderWay,
    /// A mail may be sent.
    pub mails: Arc<Notify>,
    /// An alert may be sent.
    pub alerts: Arc<Notify>,
    /// Something may be delivered to vendors' own systems.
    pub deliveries: Arc<Notify>,
    /// A recovery was begun.
    recovering: Notify,
    /// Many licenses are to be changed.
    changing: Notify,
    /// Nothing more is ever to do before its time.
    never: Notify,
    /// Calls that nobody believed.
    rejections: rejections::Rejections,
    /// Devices that were seen and not written down yet.
    seen: runtime::Seen,
    /// What was counted and not written down yet.
    counts: counts::Counts,
    /// What ends in the next weeks, as it was read a moment ago.
    known_ends: figures::KnownEnds,
    /// Money and licenses compared, or being compared.
    comparisons: doctor::comparison::Comparisons,
    /// Who looks at pages now, and wants to hear when they change.
    live: live::Live,
    /// Calls that were answered and not written down yet.
    requests: requests::Requests,
    /// Who looks at everything now.
    scans: scans::Scans,
    /// Where backups go.
    backups: backups::Backups,
    /// Whether anything leaves.
    leaves: outgoing::Leaves,
}

impl Engine {
    /// Puts it together. Workers are started with [`Engine::work`] and [`Engine::look_up`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let deliveries = Arc::new(Notify::new());
        Arc::new_cyclic(|engine| Self {
            inbox: receive::gather(parts.store.clone(), engine.clone()),
            checks: runtime::gather_checks(parts.store.clone()),
            slots: runtime::gather_slots(parts.store.clone(), Arc::clone(&parts.entropy), Arc::clone(&deliveries)),
            uses: usage::gather(parts.store.clone()),
            signers: signing::Signers::default(),
            store: parts.store,
            metrics: metrics::Metrics::default(),
            ring: parts.ring,
            clock: parts.clock,
            entropy: parts.entropy,
            dialler: parts.dialler,
            addresses: parts.addresses,
            identity: identity::Providers::new(parts.identity),
            lease: parts.lease,
            connections: Connections::default(),
            catalogues: Catalogues::default(),
            test_clocks: test_clock::TestClocks::default(),
            batches: tokio::sync::watch::Sender::new(0),
            work: Notify::new(),
            lookups: Notify::new(),
            catching_up: Notify::new(),
            turns: lookup::ProviderTurns::default(),
            calls_under_way: calls::CallsUnderWay::default(),
            mails: Arc::new(Notify::new()),
            alerts: Arc::new(Notify::new()),
            deliveries,
            recovering: Notify::new(),
            changing: Notify::new(),
            never: Notify::new(),
            rejections: rejections::Rejections::default(),
            seen: runtime::Seen::default(),
            counts: counts::Counts::default(),
            known_ends: figures::KnownEnds::default(),
            comparisons: doctor::comparison::Comparisons::default(),
            live: live::Live::default(),
            requests: requests::Requests::default(),
            scans: scans::Scans::default(),
            backups: backups::Backups::default(),
            leaves: outgoing::Leaves::default(),
        })
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new source of randomness.
    #[must_use]
    pub fn entropy(&self) -> Box<dyn domain::Entropy> {
        self.entropy.entropy()
    }

    /// The master keys as they are now.
    #[must_use]
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.get()
    }

    /// All connections.
    ///
    /// # Errors
    /// Those of the database, or a secret does not open.
    pub async fn connections(&self) -> Result<Arc<Vec<Arc<Connection>>>, Error> {
        self.connections_within(connections::FRESH).await
    }

    /// All connections, as they were at most `fresh` ago.
    async fn connections_within(&self, fresh: SignedDuration) -> Result<Arc<Vec<Arc<Connection>>>, Error> {
        self.connections.all(&self.store, &self.ring(), self.now(), fresh).await
    }

    /// Plans, rules or connections were changed here: they are read again, and waiting orders looked at.
    pub fn configuration_changed(&self) {
        self.connections.forget();
        self.work.notify_one();
    }
}
