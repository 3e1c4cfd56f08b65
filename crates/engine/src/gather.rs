//! Waiting calls are handled together: the first one waits for nobody, those that come meanwhile share the next turn.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

/// Gathers calls of one kind into batches. Cloning shares it.
#[derive(Debug)]
pub struct Gather<Call, Reply> {
    queue: mpsc::Sender<(Call, oneshot::Sender<Reply>)>,
}

impl<Call, Reply> Clone for Gather<Call, Reply> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

/// Nobody handles calls any more: the process is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub struct Stopping;

/// How often others are let ahead before a batch that is smaller than the one before it.
const YIELDS: usize = 8;

/// How calls are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// Calls in one batch at most.
    pub batch_max: usize,
    /// Batches handled at the same time.
    pub concurrent: usize,
    /// Calls that may wait; more have to wait before they may wait.
    pub waiting_max: usize,
}

impl<Call: Send + 'static, Reply: Send + 'static> Gather<Call, Reply> {
    /// Starts handling. `handle` answers every call of its batch, in order. It ends when all copies are gone.
    pub fn start<F, Fut>(turns: Turns, handle: F) -> Self
    where
        F: Fn(Vec<Call>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Reply>> + Send,
    {
        let (queue, calls) = mpsc::channel(turns.waiting_max);
        let (calls, handle) = (Arc::new(Mutex::new(calls)), Arc::new(handle));
        for _ in 0..turns.concurrent {
            let (calls, handle) = (Arc::clone(&calls), Arc::clone(&handle));
            tokio::spawn(async move {
                let mut last = 0;
                while let Some(batch) = turn(&calls, turns.batch_max, last, &*handle).await {
                    last = batch;
                }
            });
        }
        Self { queue }
    }

    /// Has one call handled with whatever else waits.
    ///
    /// # Errors
    /// The process is stopping.
    pub async fn ask(&self, call: Call) -> Result<Reply, Stopping> {
        let (sender, reply) = oneshot::channel();
        self.queue.send((call, sender)).await.map_err(|_| Stopping)?;
        reply.await.map_err(|_| Stopping)
    }
}

/// Handles one batch; returns how many calls it had. None: nobody will call any more.
async fn turn<Call, Reply, F, Fut>(
    calls: &Mutex<mpsc::Receiver<(Call, oneshot::Sender<Reply>)>>,
    batch_max: usize,
    last: usize,
    handle: &F,
) -> Option<usize>
where
    F: Fn(Vec<Call>) -> Fut,
    Fut: Future<Output = Vec<Reply>>,
{
    let mut waiting = Vec::new();
    {
        let mut calls = calls.lock().await;
        if calls.recv_many(&mut waiting, batch_max).await == 0 {
            return None;
        }
        // Under load, those who were answered just now are about to call again: a batch of one would make them wait.
        for _ in 0..YIELDS {
            if waiting.len() + calls.len() >= last.min(batch_max) {
                break;
            }
            tokio::task::yield_now().await;
        }
        while waiting.len() < batch_max
            && let Ok(call) = calls.try_recv()
        {
            waiting.push(call);
        }
    }
    let count = waiting.len();
    let (batch, senders): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    for (reply, sender) in handle(batch).await.into_iter().zip(senders) {
        // Nobody waits any more if the caller went away; what was done stays done.
        let _ = sender.send(reply);
    }
    Some(count)
}
