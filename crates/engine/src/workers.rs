//! The loops that keep working until the process stops.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Engine, Error, fulfil::BATCH_MAX};

/// How long a worker sleeps at most: another node may have left something, and a timer may be due.
const IDLE: Duration = Duration::from_millis(250);
/// How often SQLite's log is moved to the main file.
const CHECKPOINTS: Duration = Duration::from_millis(100);
/// How often what was kept long enough is thrown away.
const TIDYING: Duration = Duration::from_secs(3_600);
/// How long a worker waits after the database refused.
const AFTER_ERROR: Duration = Duration::from_millis(500);

impl Engine {
    /// Starts all workers. They stop after their turn when `stop` is cancelled.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let engine = Arc::clone(self);
        let token = stop.clone();
        tasks.spawn(async move {
            while !token.is_cancelled() {
                let turn = engine.fulfil().await.map(|done| done.claimed >= BATCH_MAX as usize / 2);
                rest("fulfil", turn, IDLE, &engine.work, &token).await;
            }
        });
        let engine = Arc::clone(self);
        let token = stop.clone();
        tasks.spawn(async move {
            let never = Notify::new();
            while !token.is_cancelled() {
                let turn = engine.store.checkpoint().await.map(|()| false).map_err(Error::from);
                rest("checkpoint", turn, CHECKPOINTS, &never, &token).await;
            }
        });
        let engine = Arc::clone(self);
        let token = stop.clone();
        tasks.spawn(async move {
            let never = Notify::new();
            while !token.is_cancelled() {
                let turn = engine.forget_old_answers().await.map(|_| false);
                rest("tidying", turn, TIDYING, &never, &token).await;
            }
        });
        let engine = Arc::clone(self);
        let token = stop.clone();
        tasks.spawn(async move {
            while !token.is_cancelled() {
                let turn = engine.look_up_if_due().await;
                rest("look-up", turn, IDLE, &engine.lookups, &token).await;
            }
        });
    }

    async fn look_up_if_due(&self) -> Result<bool, Error> {
        let now: Timestamp = self.now();
        if self.next_lookup().await?.is_some_and(|next| next <= now) {
            self.look_up().await?;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Waits until there may be more to do. A turn that found plenty is followed by another at once.
async fn rest(worker: &str, turn: Result<bool, Error>, idle: Duration, more: &Notify, stop: &CancellationToken) {
    let wait = match turn {
        Ok(true) => return,
        Ok(false) => idle,
        Err(error) => {
            tracing::error!(worker, %error, "a turn failed; nothing of it was written, and it is repeated");
            AFTER_ERROR
        }
    };
    tokio::select! {
        () = more.notified() => {}
        () = stop.cancelled() => {}
        () = tokio::time::sleep(wait) => {}
    }
}
