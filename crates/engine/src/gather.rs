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
            tokio::spawn(async move { while turn(&calls, turns.batch_max, &*handle).await {} });
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

async fn turn<Call, Reply, F, Fut>(
    calls: &Mutex<mpsc::Receiver<(Call, oneshot::Sender<Reply>)>>,
    batch_max: usize,
    handle: &F,
) -> bool
where
    F: Fn(Vec<Call>) -> Fut,
    Fut: Future<Output = Vec<Reply>>,
{
    let mut waiting = Vec::new();
    if calls.lock().await.recv_many(&mut waiting, batch_max).await == 0 {
        return false;
    }
    let (batch, senders): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    for (reply, sender) in handle(batch).await.into_iter().zip(senders) {
        // Nobody waits any more if the caller went away; what was done stays done.
        let _ = sender.send(reply);
    }
    true
}
