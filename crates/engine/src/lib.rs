//! The shell of the core: takes events in, looks up what they lack, fulfils a batch, watches the time.
//!
//! Decisions are the domain's; this crate fetches what they rest on and stores what follows, a batch at a time and in
//! one transaction. `receive` → inbox → `lookup` → `fulfil` → orders, licenses, audit, mails, events.

mod attention;
mod buyers;
pub mod catalogue;
pub mod connections;
mod fulfil;
mod gather;
mod group;
mod lookup;
mod outcome;
pub mod receive;
mod sales;
mod workers;

use std::sync::Arc;

use crypto::{
    ring::{KeyRing, SharedRing},
    seal::SealError,
};
use domain::ambient::{Clock, EntropySource};
use jiff::Timestamp;
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
}

impl Error {
    /// Whether the transaction met another one.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
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
}

pub use lookup::{Dial, DialError, Dialled};

/// The engine. Shared by all workers and handlers of a process.
pub struct Engine {
    /// The database.
    pub store: Store,
    ring: SharedRing,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn EntropySource>,
    dialler: Arc<dyn Dial>,
    connections: Connections,
    catalogues: Catalogues,
    inbox: Gather<receive::Arrival, Result<(), receive::NotKept>>,
    /// Something may be worked on: events, or orders whose time has come.
    work: Notify,
    /// Something must be looked up.
    lookups: Notify,
    /// A mail may be sent.
    pub mails: Notify,
}

impl Engine {
    /// Puts it together. Workers are started with [`Engine::work`] and [`Engine::look_up`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|engine| Self {
            inbox: receive::gather(parts.store.clone(), engine.clone()),
            store: parts.store,
            ring: parts.ring,
            clock: parts.clock,
            entropy: parts.entropy,
            dialler: parts.dialler,
            connections: Connections::default(),
            catalogues: Catalogues::default(),
            work: Notify::new(),
            lookups: Notify::new(),
            mails: Notify::new(),
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
        self.connections.all(&self.store, &self.ring(), self.now()).await
    }

    /// Plans, rules or connections were changed here: they are read again, and waiting orders looked at.
    pub fn configuration_changed(&self) {
        self.connections.forget();
        self.work.notify_one();
    }
}
