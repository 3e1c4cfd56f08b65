//! The worker that carries attention items to people.
//!
//! An item that opens becomes one alert for each channel that carries it: a row that is written by a turn of this worker,
//! in the transaction that says of the item that channels were told of it. So whoever opens an item needs to know nothing
//! of channels, no item is missed, and none is told twice. What closes an item forgets that it was told: when it opens
//! again, that is news, though at most once an hour (`domain::alert`).
//!
//! A channel is served by one node at a time, which holds its lease, and has one call under way there. One that does not
//! answer rests with all that is due there, and a tenant's channels have a limit of their own, so that one who has many that
//! hang delays nobody else. A process that dies
//! leaves its channels to the next one, when the leases end; what it had sent and not written down is sent again.

mod message;
mod pass_on;
mod plan;
mod record;
mod send;

use std::{collections::HashMap, sync::Arc, time::Duration};

use crypto::ring::SharedRing;
use domain::{
    ambient::{Clock, EntropySource},
    id::uuid_v7,
    time::after,
};
use jiff::SignedDuration;
use net::Client;
use store::{Store, rows::AlertChannel};
use tokio::{
    sync::Notify,
    task::{self, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{Error, transport::Transport};

/// How long to sleep at most: an item may have been opened.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait after the database refused.
const AFTER_ERROR: Duration = Duration::from_secs(2);
/// Channels that are served at the same time.
const AT_ONCE_MAX: usize = 256;
/// Of one tenant.
const AT_ONCE_OF_TENANT_MAX: usize = 16;

/// What the worker needs.
pub struct AlertParts {
    /// The database.
    pub store: Store,
    /// The master keys.
    pub ring: SharedRing,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes randomness.
    pub entropy: Arc<dyn EntropySource>,
    /// Calls addresses, as far as they may be called. Made with [`crate::webhooks::LIMITS`].
    pub client: Client,
    /// Where mails go; none: alerts by mail wait.
    pub sender: Option<Transport>,
    /// The address under which the server is reached: messages lead there.
    pub public_url: Arc<str>,
    /// Rung when something may be due.
    pub wake: Arc<Notify>,
    /// How long this node keeps the right to use a channel; then another node takes it.
    pub lease: SignedDuration,
}

/// The worker.
pub struct AlertWorker {
    parts: AlertParts,
}

/// Channels that are served now, and whose they are.
#[derive(Default)]
struct Serving {
    tasks: JoinSet<Result<usize, Error>>,
    tenants: HashMap<task::Id, Uuid>,
}

impl Serving {
    /// Whether there is room for another channel of this tenant.
    fn has_room_for(&self, tenant: Uuid) -> bool {
        let of_tenant = self.tenants.values().filter(|other| **other == tenant).count();
        self.tenants.len() < AT_ONCE_MAX && of_tenant < AT_ONCE_OF_TENANT_MAX
    }

    fn add(&mut self, tenant: Uuid, serve: impl Future<Output = Result<usize, Error>> + Send + 'static) {
        let task = self.tasks.spawn(serve);
        self.tenants.insert(task.id(), tenant);
    }

    /// How serving the next channel ended. None: none is served.
    async fn next(&mut self) -> Option<Result<Result<usize, Error>, task::JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(task::JoinError::id, |(id, _)| *id);
        self.tenants.remove(&id);
        Some(ended.map(|(_, served)| served))
    }
}

impl AlertWorker {
    /// Puts it together. [`AlertWorker::start`] makes it work.
    #[must_use]
    pub const fn new(parts: AlertParts) -> Self {
        Self { parts }
    }

    /// Works until `stop` is cancelled. What is under way then is finished and written down.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (worker, stop) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { worker.run(&stop).await });
    }

    /// Passes on what is open, and sends what is due. Returns how many messages were tried.
    ///
    /// # Errors
    /// Those of the database. What was sent and could not be written down is sent again.
    pub async fn turn(self: &Arc<Self>) -> Result<usize, Error> {
        let mut serving = Serving::default();
        self.begin(&mut serving).await?;
        let mut tried = 0;
        while let Some(served) = serving.next().await {
            tried += served.unwrap_or(Ok(0))?;
        }
        Ok(tried)
    }

    async fn run(self: &Arc<Self>, stop: &CancellationToken) {
        let mut serving = Serving::default();
        while !stop.is_cancelled() {
            let pause = match self.begin(&mut serving).await {
                Ok(()) => IDLE,
                Err(error) => {
                    tracing::error!(%error, "alerts: a turn failed; nothing of it was written, and it is repeated");
                    AFTER_ERROR
                }
            };
            tokio::select! {
                Some(served) = serving.next() => tell(served),
                () = self.parts.wake.notified() => {}
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        while let Some(served) = serving.next().await {
            tell(served);
        }
    }

    /// Passes on what is open, and begins to serve the channels that have something due, as many as there is room for.
    async fn begin(self: &Arc<Self>, serving: &mut Serving) -> Result<(), Error> {
        self.pass_on().await?;
        let now = self.parts.clock.now();
        for (id, tenant) in self.parts.store.due_alert_channels(now).await? {
            if !serving.has_room_for(tenant) {
                continue;
            }
            let token = uuid_v7(now, &mut *self.parts.entropy.entropy());
            let Some(channel) = store::repeat(|| self.lease(id, token), Error::is_conflict).await? else { continue };
            let worker = Arc::clone(self);
            serving.add(tenant, async move { worker.serve(channel, token).await });
        }
        Ok(())
    }

    async fn lease(&self, id: Uuid, token: Uuid) -> Result<Option<AlertChannel>, Error> {
        let now = self.parts.clock.now();
        let write = self.parts.store.begin().await?;
        let channel = write.lease_alert_channel(id, token, now, after(now, self.parts.lease)).await?;
        write.commit().await?;
        Ok(channel)
    }
}

fn tell(served: Result<Result<usize, Error>, tokio::task::JoinError>) {
    match served {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "alerts: a channel is tried again when its lease ends"),
        Err(error) => tracing::error!(%error, "alerts: a channel is tried again when its lease ends"),
    }
}
