//! Mails on their way, and the loop that keeps them coming.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use domain::time::after;
use jiff::{SignedDuration, Timestamp};
use store::rows::Mail;
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Error, MailWorker,
    ending::{Ending, Landed},
    errand::Errand,
};
use crate::mail::BrokenTemplate;

/// Mails that are sent at the same time, and so connections to the relay. Relays that limit them allow ten or more.
const IN_FLIGHT: usize = 8;
/// How long to sleep at most: another process may have left something.
const IDLE: Duration = Duration::from_millis(250);
/// How long to wait after the database refused.
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// Leases are renewed when so much of them is over: one in so many.
const LEASE_SHARE: i32 = 3;
/// How often a process that stops tries to write down what became of its mails.
const LAST_TRIES: u32 = 10;

/// Mails on their way, and those that came back and are not written down yet.
#[derive(Default)]
pub(super) struct Flight {
    sending: JoinSet<(Ending, Option<BrokenTemplate>)>,
    /// What each task carries: a task that panics cannot tell.
    aboard: HashMap<task::Id, (Mail, Uuid)>,
    /// When the leases of those that are aboard began, or were renewed.
    leased_at: Timestamp,
    pub(super) landed: Vec<Landed>,
}

impl Flight {
    /// How many mails may set off.
    pub(super) fn room(&self) -> usize {
        IN_FLIGHT.saturating_sub(self.sending.len())
    }

    /// Sends a mail that was leased at `leased_at`, beside everything else.
    pub(super) fn set_off(&mut self, errand: Errand, token: Uuid, leased_at: Timestamp) {
        if self.aboard.is_empty() {
            self.leased_at = leased_at;
        }
        let mail = errand.mail.clone();
        let task = self.sending.spawn(errand.run());
        self.aboard.insert(task.id(), (mail, token));
    }

    /// Waits until a mail comes back, and takes all that have. Returns whether there were any on their way.
    pub(super) async fn any_landed(&mut self) -> bool {
        let Some(first) = self.sending.join_next_with_id().await else { return false };
        self.land(first);
        while let Some(next) = self.sending.try_join_next_with_id() {
            self.land(next);
        }
        true
    }

    fn land(&mut self, came_back: Result<(task::Id, (Ending, Option<BrokenTemplate>)), JoinError>) {
        let (id, (ending, broken)) = came_back.unwrap_or_else(|error| {
            tracing::error!(%error, "sending a mail went wrong in a way that nobody thought of");
            (error.id(), (Ending::Unwritten("an internal error, which the log tells".to_owned()), None))
        });
        if let Some((mail, token)) = self.aboard.remove(&id) {
            self.landed.push(Landed { mail, token, ending, broken });
        }
    }
}

impl MailWorker {
    pub(super) async fn run(self: Arc<Self>, stop: &CancellationToken) {
        if let Err(error) = self.offer_release().await {
            tracing::error!(%error, "cannot tell whether mails are held");
        }
        let (mut flight, mut failed) = (Flight::default(), 0);
        while !stop.is_cancelled() || flight.has_to_land(failed) {
            let pause = match self.advance(&mut flight, stop).await {
                Ok(pause) => {
                    failed = 0;
                    pause
                }
                Err(error) => {
                    failed += 1;
                    tracing::error!(%error, "mails: a turn failed; nothing of it was written, and it is repeated");
                    AFTER_ERROR
                }
            };
            self.rest(&mut flight, stop, pause).await;
        }
        if let Some(transport) = &self.parts.sender {
            transport.close().await;
        }
    }

    /// Writes down what has come back, and sends what is due. Returns how long there is nothing else to do.
    async fn advance(&self, flight: &mut Flight, stop: &CancellationToken) -> Result<Duration, Error> {
        self.record(flight).await?;
        self.renew(flight).await?;
        if stop.is_cancelled() || flight.room() == 0 {
            return Ok(IDLE);
        }
        let took = self.take(flight).await?;
        if took.mails > 0 {
            return Ok(Duration::ZERO);
        }
        if let Some(transport) = &self.parts.sender {
            transport.close_idle();
        }
        Ok(took.next.map_or(IDLE, |next| until(next, self.parts.clock.now()).min(IDLE)))
    }

    /// Keeps the leases of mails on their way: a relay may take ten minutes for one, and nobody else may send it meanwhile.
    async fn renew(&self, flight: &mut Flight) -> Result<(), Error> {
        let now = self.parts.clock.now();
        if flight.aboard.is_empty() || now.duration_since(flight.leased_at) < self.parts.lease / LEASE_SHARE {
            return Ok(());
        }
        let ids: Vec<Uuid> = flight.aboard.values().map(|(mail, _)| mail.id).collect();
        let tokens: BTreeSet<Uuid> = flight.aboard.values().map(|(_, token)| *token).collect();
        let until = after(now, self.parts.lease);
        store::repeat(|| self.renew_once(ids.clone(), tokens.clone(), until), Error::is_conflict).await?;
        flight.leased_at = now;
        Ok(())
    }

    async fn renew_once(&self, ids: Vec<Uuid>, tokens: BTreeSet<Uuid>, until: Timestamp) -> Result<(), Error> {
        let write = self.parts.store.begin().await?;
        write.renew_mails(ids, tokens, until).await?;
        Ok(write.commit().await?)
    }

    async fn rest(&self, flight: &mut Flight, stop: &CancellationToken, pause: Duration) {
        let has_room = flight.room() > 0;
        tokio::select! {
            true = flight.any_landed() => {}
            () = self.parts.wake.notified(), if has_room => {}
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Flight {
    /// Whether a process that stops has to wait for something.
    fn has_to_land(&self, failed: u32) -> bool {
        !self.sending.is_empty() || (!self.landed.is_empty() && failed < LAST_TRIES)
    }
}

fn until(next: Timestamp, now: Timestamp) -> Duration {
    next.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::ending::tests::mail;

    #[tokio::test]
    async fn a_task_that_panics_loses_no_mail() {
        let mut flight = Flight::default();
        let task = flight.sending.spawn(async { panic!("nobody thought of this") });
        flight.aboard.insert(task.id(), (mail(3), Uuid::nil()));
        assert_eq!((flight.any_landed().await, flight.any_landed().await), (true, false));
        let [Landed { mail, ending: Ending::Unwritten(problem), .. }] = &flight.landed[..] else { panic!("one mail") };
        assert_eq!((mail.attempts, problem.as_str()), (3, "an internal error, which the log tells"));
        assert!(flight.aboard.is_empty());
    }
}
