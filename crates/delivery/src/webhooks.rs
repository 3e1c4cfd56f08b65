//! The worker that tells vendors' own systems what happened.
//!
//! An event and its deliveries are written with the change that causes them (`engine::events`). Here an address is served by
//! one node at a time, which holds its lease and keeps it while anything is queued or under way there: so no more calls than
//! allowed are under way, whatever the number of nodes, and what is to come in order does. No call begins with less of a lease
//! than the longest call takes, and what became of one is written down by whoever holds the lease. Nothing is written before
//! a call, and what became of many calls is written together. A process that dies leaves its addresses to the next one, when
//! its leases end; what it had sent and not written down is sent again, under the same id.
//!
//! An address that fails or is slow delays none that answers at once (`pace`): it has few calls or a single one, rests between
//! tries or for as long as it asks to, and all of its kind together never have more than their half.

mod attention;
mod ending;
mod endpoint;
mod lanes;
mod open;
mod pace;
mod post;
mod record;
mod take;

use std::{sync::Arc, time::Duration};

use crypto::ring::SharedRing;
use domain::ambient::{Clock, EntropySource};
use jiff::SignedDuration;
use net::{Client, Limits, Overflow};
use store::Store;
use tokio::sync::{Mutex, Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::lanes::Lanes;
pub use self::{
    attention::{DELIVERIES_DEAD, ENDPOINT_DISABLED, ENDPOINT_FAILING},
    endpoint::{HeaderProblem, check_endpoint_header},
    post::signed_request,
};
use crate::Error;

/// How long a call may take, and how much of its answer is kept: enough to see what a receiver objects to.
pub const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(15),
    body_bytes_max: 16 * 1024,
    overflow: Overflow::Truncate,
};

/// How long to sleep at most: another node may have left something.
const IDLE: Duration = Duration::from_millis(250);
/// How long answers wait for others that land, to be written down together.
const LANDING: Duration = Duration::from_millis(3);
/// How long to wait after the database refused.
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// How often a process that stops tries to write down what became of its calls.
const LAST_TRIES: u32 = 10;

/// What the worker needs.
pub struct WebhookParts {
    /// The database.
    pub store: Store,
    /// The master keys.
    pub ring: SharedRing,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes randomness.
    pub entropy: Arc<dyn EntropySource>,
    /// Calls addresses, as far as they may be called. Made with [`LIMITS`].
    pub client: Client,
    /// Rung when something may be due.
    pub wake: Arc<Notify>,
    /// How long this node keeps the right to call an address without saying so again: at least twice as long as a call may
    /// take, so that a node that was stopped for a while makes none where another one calls already.
    pub lease: SignedDuration,
}

/// The worker.
pub struct WebhookWorker {
    parts: WebhookParts,
    lanes: Mutex<Lanes>,
}

impl WebhookWorker {
    /// Puts it together. [`WebhookWorker::start`] makes it work.
    #[must_use]
    pub fn new(parts: WebhookParts) -> Self {
        let token = domain::id::uuid_v7(parts.clock.now(), &mut *parts.entropy.entropy());
        Self { parts, lanes: Mutex::new(Lanes::new(token)) }
    }

    /// Works until `stop` is cancelled. What is under way then is finished and written down.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (worker, stop) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { worker.run(&stop).await });
    }

    /// Makes all calls that are due, and writes down what became of them. Returns how many there were.
    ///
    /// # Errors
    /// Those of the database. Calls that could not be written down are made again.
    pub async fn turn(&self) -> Result<usize, Error> {
        let mut lanes = self.lanes.lock().await;
        let mut calls = 0;
        loop {
            self.take(&mut lanes).await?;
            calls += lanes.launch(&self.parts);
            if !lanes.any_landed().await {
                return Ok(calls);
            }
            self.record(&mut lanes).await?;
        }
    }

    async fn run(&self, stop: &CancellationToken) {
        let mut lanes = self.lanes.lock().await;
        let mut failed = 0;
        while !stop.is_cancelled() || lanes.has_to_land(failed < LAST_TRIES) {
            let pause = match self.advance(&mut lanes, stop).await {
                Ok(pause) => {
                    failed = 0;
                    pause
                }
                Err(error) => {
                    failed += 1;
                    tracing::error!(%error, "webhooks: a turn failed; nothing of it was written, and it is repeated");
                    AFTER_ERROR
                }
            };
            self.rest(&mut lanes, stop, pause).await;
        }
        if let Err(error) = self.give_back(&mut lanes).await {
            tracing::warn!(%error, "webhooks: another node takes over when the leases end");
        }
    }

    /// Writes down what has come back, and makes the calls that are due. Returns how long there is nothing else to do.
    async fn advance(&self, lanes: &mut Lanes, stop: &CancellationToken) -> Result<Duration, Error> {
        self.record(lanes).await?;
        if stop.is_cancelled() {
            return Ok(IDLE);
        }
        let next = self.take(lanes).await?;
        lanes.launch(&self.parts);
        Ok(next.map_or(IDLE, |next| until(next, self.parts.clock.now()).min(IDLE)))
    }

    async fn rest(&self, lanes: &mut Lanes, stop: &CancellationToken, pause: Duration) {
        let landed = tokio::select! {
            landed = lanes.any_landed(), if lanes.is_calling() => landed,
            () = self.parts.wake.notified() => false,
            () = stop.cancelled(), if !stop.is_cancelled() => false,
            () = tokio::time::sleep(pause) => false,
        };
        if landed {
            let mut moment = std::pin::pin!(tokio::time::sleep(LANDING));
            while lanes.is_calling() {
                tokio::select! {
                    _ = lanes.any_landed() => {}
                    () = &mut moment => break,
                }
            }
        }
    }
}

fn until(next: jiff::Timestamp, now: jiff::Timestamp) -> Duration {
    next.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
}
