//! The worker that sends mails.
//!
//! It takes only as many mails as it can send at once: another node could send one that waits behind a slow one. Leases are
//! renewed while mails are on their way, so that they may be shorter than a slow relay takes. A process that dies leaves its
//! mails to the next one, when their leases end; if the relay had accepted one already, it gets the same message again, with
//! the same Message-ID.

pub mod attention;
mod counts;
mod ending;
mod errand;
mod flight;
mod record;
mod take;

use std::sync::Arc;

use crypto::ring::SharedRing;
use domain::ambient::{Clock, EntropySource};
use jiff::SignedDuration;
use store::{Store, StoreError};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{attention::Opening, flight::Flight};
use crate::transport::Transport;

/// Why a turn failed. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    pub(crate) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

/// What the worker needs.
pub struct MailParts {
    /// The database.
    pub store: Store,
    /// The master keys.
    pub ring: SharedRing,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes randomness.
    pub entropy: Arc<dyn EntropySource>,
    /// Where mails go; none: they are caught.
    pub sender: Option<Transport>,
    /// Rung when a mail may be due.
    pub wake: Arc<Notify>,
    /// How long after this node's death another one takes the mails that it was sending.
    pub lease: SignedDuration,
}

/// The worker.
pub struct MailWorker {
    parts: MailParts,
}

impl MailWorker {
    /// Puts it together. [`MailWorker::start`] makes it work.
    #[must_use]
    pub const fn new(parts: MailParts) -> Self {
        Self { parts }
    }

    /// Works until `stop` is cancelled. What is in flight then is finished and written down.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (worker, stop) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { worker.run(&stop).await });
    }

    /// Takes the mails that are due, as many as are sent at once, sends them and writes down what became of them.
    /// Without a sender, it catches them. Returns how many there were.
    ///
    /// # Errors
    /// Those of the database. Mails that were sent and could not be written down are sent again when their lease ends.
    pub async fn turn(&self) -> Result<usize, Error> {
        let mut flight = Flight::default();
        let took = self.take(&mut flight).await?;
        loop {
            // After an error the rest is still waited for: whoever is in the middle of a message finishes it.
            let recorded = self.record(&mut flight).await;
            if !flight.any_landed().await {
                return recorded.map(|()| took.mails);
            }
        }
    }

    /// Says in the open items that what was caught can be sent now. Done at every start; without a sender, or with
    /// nothing caught, nothing happens.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offer_release(&self) -> Result<(), Error> {
        if self.parts.sender.is_none() {
            return Ok(());
        }
        let write = self.parts.store.begin().await?;
        let mut entropy = self.parts.entropy.entropy();
        let mut opening = Opening { now: self.parts.clock.now(), entropy: &mut *entropy };
        let held = write.held_mails().await?;
        let items = held.into_iter().map(|(tenant, count)| opening.releasable(tenant, count)).collect();
        write.open_items(items).await?;
        Ok(write.commit().await?)
    }
}
