//! The loops that keep working until the process stops.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Engine, Error, backups, fulfil::BATCH_MAX};

/// How long a worker sleeps at most: another node may have left something, and a timer may be due.
const IDLE: Duration = Duration::from_millis(250);
/// Workers that read providers' lists: one that hangs does not keep all others waiting.
const CATCHING_UP_WORKERS: usize = 2;
/// How often it is looked which provider's list of events is due to be read.
const CATCHING_UP: Duration = Duration::from_secs(1);
/// How often SQLite's log is moved to the main file.
const CHECKPOINTS: Duration = Duration::from_millis(100);
/// How often what was kept long enough is thrown away.
const TIDYING: Duration = Duration::from_secs(3_600);
/// How often it is looked whether providers have become silent.
const SILENCE: Duration = Duration::from_secs(600);
/// How long a worker waits after the database refused.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Workers that look up: while one waits for providers, another takes what has come since.
const LOOKUP_WORKERS: usize = 3;
/// Workers that make calls: while one waits for an account that is slow, others make those of other accounts.
const CALL_WORKERS: usize = 3;
/// How often it is written down what was counted, and looked whether what people look at has changed.
const SECOND: Duration = Duration::from_secs(1);
/// How often it is written down which calls the API answered.
const REQUESTS: Duration = Duration::from_millis(500);
/// How often it is written down which devices were seen.
const SEEN: Duration = Duration::from_secs(5);

impl Engine {
    /// Starts all workers. They stop after their turn when `stop` is cancelled.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let never: fn(&Self) -> &Notify = |engine| &engine.never;
        self.keep_doing(
            "fulfil",
            tasks,
            stop,
            IDLE,
            |engine| &engine.work,
            |engine| async move { Ok(engine.fulfil().await?.claimed >= BATCH_MAX as usize / 2) },
        );
        for _ in 0..LOOKUP_WORKERS {
            self.keep_doing(
                "look-up",
                tasks,
                stop,
                IDLE,
                |engine| &engine.lookups,
                |engine| async move { engine.look_up_if_due().await },
            );
        }
        for _ in 0..CALL_WORKERS {
            self.keep_doing("provider calls", tasks, stop, IDLE, never, |engine| async move {
                Ok(engine.may_leave().await? && engine.call_providers().await? > 0)
            });
        }
        self.keep_doing("checkpoint", tasks, stop, CHECKPOINTS, never, |engine| async move {
            engine.store.checkpoint().await?;
            Ok(false)
        });
        self.keep_doing("seen", tasks, stop, SEEN, never, |engine| async move {
            engine.write_seen().await?;
            Ok(false)
        });
        self.keep_people_told(tasks, stop);
        self.keep_doing(
            "request log",
            tasks,
            stop,
            REQUESTS,
            never,
            |engine| async move { engine.write_requests().await },
        );
        self.keep_doing(
            "recovery",
            tasks,
            stop,
            IDLE,
            |engine| &engine.recovering,
            |engine| async move { engine.recover_turn().await },
        );
        self.keep_doing(
            "many licenses",
            tasks,
            stop,
            IDLE,
            |engine| &engine.changing,
            |engine| async move { engine.bulk_turn().await },
        );
        self.keep_doing("silence", tasks, stop, SILENCE, never, |engine| async move {
            engine.notice_silence().await?;
            Ok(false)
        });
        self.keep_doing("tidying", tasks, stop, TIDYING, never, |engine| async move {
            engine.forget_old_answers().await?;
            engine.forget_what_is_old().await?;
            engine.forget_prepared_imports().await?;
            Ok(false)
        });
    }

    /// Starts making backups as planned. One of several processes makes each: SQLite is served by one.
    pub fn keep_backed_up(self: &Arc<Self>, plan: backups::Plan, tasks: &TaskTracker, stop: &CancellationToken) {
        self.plan_backups(plan);
        let never: fn(&Self) -> &Notify = |engine| &engine.never;
        self.keep_doing("backups", tasks, stop, backups::LOOKED_EVERY, never, |engine| async move {
            engine.back_up_if_due().await?;
            Ok(false)
        });
    }

    /// Starts what pages live on: counts, and the hint that something has changed.
    fn keep_people_told(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let never: fn(&Self) -> &Notify = |engine| &engine.never;
        self.keep_doing("counts", tasks, stop, SECOND, never, |engine| async move {
            engine.write_counts().await?;
            Ok(false)
        });
        self.keep_doing("live", tasks, stop, SECOND, never, |engine| async move {
            engine.look_for_changes().await?;
            Ok(false)
        });
        let (engine, stop) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            stop.cancelled().await;
            engine.live.close();
            if let Err(error) = engine.write_counts().await {
                tracing::warn!(%error, "the counts of the last second are lost");
            }
        });
    }

    /// Starts what reads providers' own lists of events, all of them at once and then every quarter of an hour. Apart from
    /// the others, since only a server has the time for it.
    pub fn keep_caught_up(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let engine = Arc::clone(self);
        tasks.spawn(async move {
            if let Err(error) = engine.hasten_catching_up().await {
                tracing::error!(%error, "missed events are looked for in a quarter of an hour, and not now");
            }
        });
        for _ in 0..CATCHING_UP_WORKERS {
            self.keep_doing(
                "catching up",
                tasks,
                stop,
                CATCHING_UP,
                |engine| &engine.catching_up,
                |engine| async move { engine.catch_up().await },
            );
        }
    }

    /// Takes turns until `stop`, at least as often as `idle`, and whenever there is more to do. Not even a panic ends it.
    fn keep_doing<Turn>(
        self: &Arc<Self>,
        worker: &'static str,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        idle: Duration,
        more: fn(&Self) -> &Notify,
        turn: fn(Arc<Self>) -> Turn,
    ) where
        Turn: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        let (engine, stop) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                let ended = AssertUnwindSafe(turn(Arc::clone(&engine))).catch_unwind().await;
                let ended = ended.unwrap_or(Err(Error::Panicked));
                rest(worker, ended, idle, more(&engine), &stop).await;
            }
        });
    }

    async fn look_up_if_due(&self) -> Result<bool, Error> {
        let now: Timestamp = self.now();
        if self.next_lookup().await?.is_some_and(|next| next <= now) {
            return Ok(self.look_up().await? > 0);
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
