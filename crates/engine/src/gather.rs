//! Waiting calls are handled together: the first one waits for nobody, those that come meanwhile share the next turn.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
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

/// Nobody answers: the process is stopping, or whoever handled the call panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping, or met a defect of its own")]
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

/// A call and where its reply goes.
type Waiting<Call, Reply> = (Call, oneshot::Sender<Reply>);

/// Handles one batch; returns how many calls it had. None: nobody will call any more.
async fn turn<Call, Reply, F, Fut>(
    calls: &Mutex<mpsc::Receiver<Waiting<Call, Reply>>>,
    batch_max: usize,
    last: usize,
    handle: &F,
) -> Option<usize>
where
    F: Fn(Vec<Call>) -> Fut,
    Fut: Future<Output = Vec<Reply>>,
{
    let waiting = gathered(&mut *calls.lock().await, batch_max, last).await;
    let count = waiting.len();
    let (batch, senders): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    if batch.is_empty() {
        return None;
    }
    // After a panic, those who wait learn that nobody answers, and the next batch is handled all the same.
    let replies = AssertUnwindSafe(handle(batch)).catch_unwind().await.unwrap_or_default();
    for (reply, sender) in replies.into_iter().zip(senders) {
        // Nobody waits any more if the caller went away; what was done stays done.
        let _ = sender.send(reply);
    }
    Some(count)
}

/// Waits for a call, and takes whatever else waits. Nothing: nobody will call any more.
///
/// Those who were answered with the last batch may be about to call again, and a batch of one would make them wait for
/// it. So they are let ahead for a moment, until there are as many calls as the last batch had.
async fn gathered<T>(calls: &mut mpsc::Receiver<T>, batch_max: usize, last: usize) -> Vec<T> {
    let mut waiting = Vec::new();
    if calls.recv_many(&mut waiting, batch_max).await == 0 {
        return waiting;
    }
    for _ in 0..YIELDS {
        if waiting.len() + calls.len() >= last {
            break;
        }
        tokio::task::yield_now().await;
    }
    while waiting.len() < batch_max
        && let Ok(call) = calls.try_recv()
    {
        waiting.push(call);
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_gets_its_own_reply_and_those_that_wait_share_a_batch() {
        let turns = Turns { batch_max: 4, concurrent: 1, waiting_max: 64 };
        let gather = Gather::start(turns, |calls: Vec<usize>| async move {
            let size = calls.len();
            calls.into_iter().map(|call| (call * 2, size)).collect()
        });
        let asked = (0..10).map(|number| gather.ask(number));
        let replies: Vec<_> = futures::future::join_all(asked).await.into_iter().map(Result::unwrap).collect();
        let doubled: Vec<usize> = replies.iter().map(|(double, _)| *double).collect();
        assert_eq!(doubled, (0..10).map(|number| number * 2).collect::<Vec<_>>());
        let sizes: Vec<usize> = replies.iter().map(|(_, size)| *size).collect();
        assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]);
    }

    #[tokio::test]
    async fn a_panic_fails_its_batch_and_no_other() {
        let turns = Turns { batch_max: 1, concurrent: 1, waiting_max: 8 };
        let gather = Gather::start(turns, |calls: Vec<bool>| async move {
            assert!(calls[0], "the defect");
            calls
        });
        assert_eq!(gather.ask(false).await, Err(Stopping));
        assert_eq!(gather.ask(true).await, Ok(true));
    }

    #[tokio::test]
    async fn a_single_call_waits_for_nobody() {
        let (sender, mut calls) = mpsc::channel(8);
        sender.send(1).await.unwrap();
        assert_eq!(gathered(&mut calls, 4, 4).await, [1], "whatever the last batch had");
        drop(sender);
        assert!(gathered(&mut calls, 4, 1).await.is_empty(), "nobody calls any more");
    }
}
