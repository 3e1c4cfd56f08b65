//! Catching up: what no webhook brought is read from the provider's own list of its events, and enters by the same inbox.
//!
//! A turn is one page of one connection, so that nothing of what was read is read again after a failure, and several
//! nodes share the work. Lists go from the newest event to the oldest; an order is the same in whichever order its
//! events come. Only when the oldest page is in, the connection is caught up to the moment at which the first was asked.
//! Live events go first: while one of them waits for a look-up, no page is asked, and what a page brings asks slowly.

use std::sync::Arc;

use domain::{
    id::{ConnectionId, TenantId},
    retry::backoff,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use providers::{
    Incoming, Level,
    backfill::{Backfill, Page, Piece},
    http::Answer,
};
use serde_json::json;
use store::{StoreError, Write, rows};

use crate::{
    Engine, Error, attention,
    connections::{Connection, Mode, find},
    lookup::Asked,
    receive,
    rulings::By,
};

/// How often a list is read. Providers repeat a webhook for hours, so that this is early enough.
pub const EVERY: SignedDuration = SignedDuration::from_mins(15);
/// How far a reading goes back behind the one before it: an event may be listed late, and clocks differ.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// How long a page waits for live events, which may never stop to come.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// Events of a page that look something up in the same second: far below what providers allow, and live events have the
/// rest.
pub(crate) const LOOKUPS_PER_SECOND: i64 = 10;
/// A list that failed so often needs a person. It goes on being tried.
const ATTENTION_AFTER: i32 = 4;
/// Each failure halves the page, in case it was too large; this often at most.
const HALVINGS_MAX: u32 = 6;

/// Why a connection cannot be caught up.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The tenant has no such connection.
    #[error("there is no connection {0}")]
    NoConnection(ConnectionId),
    /// Nothing can be asked there.
    #[error(
        "connection `{0}` has no list of events that may be read; give it an API key, and a level other than `none`"
    )]
    NoList(String),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for CatchUpError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// The list of a connection, if it may be read.
pub(crate) fn list_of(connection: &Connection) -> Option<&'static dyn Backfill> {
    // What a platform sells itself is not its business here; its accounts have connections, and lists, of their own.
    let is_about_sales = !connection.settings.platform;
    let may_ask = is_about_sales && connection.settings.level != Level::None && connection.api_key.is_some();
    connection.provider.backfill().filter(|_| may_ask)
}

impl Engine {
    /// Takes one turn: a page of the connection that has been due the longest. Returns whether there was one.
    ///
    /// # Errors
    /// Those of the database. What a provider says is kept with the connection.
    pub async fn catch_up(&self) -> Result<bool, Error> {
        let connections = self.connections().await?;
        let listed: Vec<&Arc<Connection>> = connections.iter().filter(|each| list_of(each).is_some()).collect();
        let (now, known) = (self.now(), self.store.backfills().await?);
        let is_known = |id: ConnectionId| known.iter().any(|row| row.connection_id == id.0);
        // A simulated provider answers only while something is played, and says so itself.
        let fresh: Vec<_> = listed
            .iter()
            .filter(|each| each.mode != Mode::Simulated && !is_known(each.id))
            // What happened before is not looked for: customers of long ago need a person's word.
            .map(|each| begin(each.tenant, each.id, now, now))
            .collect();
        let mut due: Vec<ConnectionId> = fresh.iter().map(|row| ConnectionId(row.connection_id)).collect();
        for row in known.iter().filter(|row| is_due(row, now)) {
            let id = ConnectionId(row.connection_id);
            if find(&connections, id).is_some_and(|each| list_of(each).is_some()) && !self.goes_behind(row, now).await?
            {
                due.push(id);
            }
        }
        if due.is_empty() {
            return Ok(false);
        }
        let token = domain::id::uuid_v7(now, &mut *self.entropy());
        let write = self.store.begin().await?;
        write.add_backfills(fresh).await?;
        let leased = write.lease_backfill(&due, token, now, after(now, self.lease)).await?;
        write.commit().await?;
        let Some(row) = leased else { return Ok(false) };
        fail::fail_point!("catchup-after-lease");
        let Some(connection) = find(&connections, ConnectionId(row.connection_id)) else { return Ok(false) };
        let (had_failed, lost) = (row.error.is_some(), lost(connection, &row, now));
        let row = self.read_page(connection, row).await?;
        let told = lost.map(|(from, until)| attention::events_lost(connection, from, until, now, &mut *self.entropy()));
        self.keep_reading(connection, &row, token, had_failed, told).await?;
        Ok(true)
    }

    /// Whether live events of the connection go first. Not for ever: the look-ups of a busy shop never end.
    async fn goes_behind(&self, row: &rows::Backfill, now: Timestamp) -> Result<bool, Error> {
        let waited = row.next_at.map_or(0, |at| now.as_microsecond() - at);
        let is_patient = SignedDuration::from_micros(waited) < PATIENCE;
        Ok(is_patient && self.store.has_look_ups(ConnectionId(row.connection_id), now).await?)
    }

    /// Asks for the next page, takes in what is new on it, and says how far the list has been read then.
    async fn read_page(&self, connection: &Arc<Connection>, mut row: rows::Backfill) -> Result<rows::Backfill, Error> {
        let Some(list) = list_of(connection) else { return Ok(row) };
        let now = self.now();
        let micros = |at: i64| Timestamp::from_microsecond(at).unwrap_or(now);
        let since = *row.since.get_or_insert_with(|| after(micros(row.caught_up_to), -OVERLAP).as_microsecond());
        if row.until.is_none() {
            row.until = Some(now.as_microsecond());
            row.found = 0;
        }
        let halvings = row.attempts.unsigned_abs().min(HALVINGS_MAX);
        let limit = (list.limit_max() >> halvings).max(1);
        let (since, after_page) = (micros(since), row.page.as_deref());
        let (store, license_keys) = (connection.settings.store.as_deref(), connection.settings.license_keys);
        let piece = Piece { since, after: after_page, limit, asked_at: now, store, license_keys };
        let asked = self.ask_in_turn(connection, list.request(&piece)).await;
        let page = match read(list, &piece, asked) {
            Ok(page) => page,
            Err(refusal) => return Ok(refused(row, connection, refusal, now)),
        };
        match self.take_in_listed(connection, page.events).await? {
            Ok(found) => row.found += found,
            Err(not_kept) => return Ok(refused(row, connection, Refusal::Failed(not_kept, None), now)),
        }
        let next_at = if page.next.is_some() { Some(self.now()) } else { next_reading(connection, now) };
        if page.next.is_none() {
            row.caught_up_to = row.until.unwrap_or(row.caught_up_to);
            row.since = None;
            row.until = None;
            if row.found > 0 {
                let (connection, events) = (&connection.code, row.found);
                tracing::warn!(
                    connection,
                    events,
                    "events that no webhook had brought were found in the provider's list"
                );
            }
        }
        Ok(rows::Backfill {
            page: page.next,
            attempts: 0,
            next_at: next_at.map(Timestamp::as_microsecond),
            error: None,
            ..row
        })
    }

    /// Takes in those events that no webhook has brought. Returns how many; or why they could not be kept.
    async fn take_in_listed(
        &self,
        connection: &Arc<Connection>,
        events: Vec<Incoming>,
    ) -> Result<Result<i64, String>, Error> {
        let keys = events.iter().map(|event| event.key.clone()).collect();
        let known = self.store.known_events(connection.id, keys).await?;
        let now = self.now();
        let arrivals: Vec<_> = {
            let mut entropy = self.entropy();
            let new = events.into_iter().filter(|event| !known.contains(&event.key));
            (0..)
                .zip(new)
                .map(|(place, event)| {
                    let ask_at = after(now, SignedDuration::from_secs(place / LOOKUPS_PER_SECOND));
                    receive::caught_up(connection, event, now, ask_at, &mut *entropy)
                })
                .collect()
        };
        let mut found = 0;
        for kept in futures::future::join_all(arrivals.into_iter().map(|arrival| self.inbox.ask(arrival))).await {
            match kept {
                Ok(Ok(())) => found += 1,
                Ok(Err(not_kept)) => return Ok(Err(not_kept.to_string())),
                Err(stopping) => return Err(stopping.into()),
            }
            self.metrics.webhook(connection.provider.info().slug, "caught_up");
        }
        Ok(Ok(found))
    }

    /// Writes how far a list has been read, and tells a person if it is not, or tells them no more.
    async fn keep_reading(
        &self,
        connection: &Connection,
        row: &rows::Backfill,
        token: uuid::Uuid,
        had_failed: bool,
        lost: Option<rows::AttentionItem>,
    ) -> Result<(), Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        if write.save_backfill(token, row).await? {
            write.open_items(lost.into_iter().collect()).await?;
            match &row.error {
                Some(problem) if needs_a_person(row) => {
                    write
                        .open_items(vec![attention::not_caught_up(connection, problem, now, &mut *self.entropy())])
                        .await?;
                }
                None if had_failed => {
                    let subjects = vec![connection.id.to_string()];
                    write.close_items_about(connection.tenant, attention::NOT_CAUGHT_UP, subjects, now).await?;
                }
                _ => {}
            }
        }
        fail::fail_point!("catchup-before-commit");
        write.commit().await?;
        fail::fail_point!("catchup-after-commit");
        Ok(())
    }

    /// Has a connection's list read from its first page, now; with `since`, at least from there on. It goes on in the
    /// background.
    ///
    /// # Errors
    /// There is no such connection, it has no list, or those of the database.
    pub async fn start_catching_up(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        since: Option<Timestamp>,
        by: &By,
    ) -> Result<rows::Backfill, CatchUpError> {
        let connections = self.connections().await?;
        let connection = find(&connections, id).filter(|connection| connection.tenant == tenant);
        let connection = connection.ok_or(CatchUpError::NoConnection(id))?;
        let list = list_of(connection).ok_or_else(|| CatchUpError::NoList(connection.code.clone()))?;
        let now = self.now();
        // What is older cannot be had, and was not lost by anybody here.
        let from = since.unwrap_or(now).max(kept_since(list, now));
        let row = self.restart(begin(tenant, id, from, now), since, by).await?;
        self.catching_up.notify_one();
        Ok(row)
    }

    async fn restart(&self, row: rows::Backfill, since: Option<Timestamp>, by: &By) -> Result<rows::Backfill, Error> {
        let (tenant, subject) = (TenantId(row.tenant_id), ConnectionId(row.connection_id).to_string());
        let detail = json!({ "since": since, "note": by.note });
        let once = || async {
            let write = self.store.begin().await?;
            let restarted = write.restart_backfill(row.clone()).await?;
            let told = self.told(tenant, "connection.catch_up", subject.clone(), None, &detail, by);
            crate::audit::add(&write, vec![told]).await?;
            write.commit().await?;
            Ok(restarted)
        };
        store::repeat(once, Error::is_conflict).await
    }

    /// Has every list read now: events may have been missed while no node ran. Done at every start.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hasten_catching_up(&self) -> Result<(), Error> {
        let write = self.store.begin().await?;
        write.hasten_backfills(self.now()).await?;
        Ok(write.commit().await?)
    }
}

/// Nobody waits any more for the list of a connection that may not ask, and a page that is on its way is let go. How far it
/// was read stays, so that it goes on from there once the connection may ask again.
pub(crate) async fn stop_reading(write: &Write, row: &rows::Connection, now: Timestamp) -> Result<(), StoreError> {
    let id = ConnectionId(row.id);
    write.stop_backfill(id).await?;
    write.close_items_about(TenantId(row.tenant_id), attention::NOT_CAUGHT_UP, vec![id.to_string()], now).await
}

/// Why there is no page.
enum Refusal {
    /// Not now; again after this long.
    Failed(String, Option<SignedDuration>),
    /// The key may not read the list.
    Forbidden(String),
    /// There is nothing to go on from any more.
    Lost(String),
}

fn read(list: &dyn Backfill, piece: &Piece<'_>, asked: Asked) -> Result<Page, Refusal> {
    let Answer { status, body, .. } = match asked {
        Asked::Final(answer) => answer,
        Asked::Again(problem, wait) => return Err(Refusal::Failed(problem, wait)),
    };
    match status {
        200..=299 => list.page(piece, &body).map_err(|malformed| Refusal::Failed(malformed.to_string(), None)),
        401 => Err(Refusal::Forbidden("the API key is not accepted; make a new one and save it there".to_owned())),
        403 => Err(Refusal::Forbidden(format!("its API key needs the permission `{}`", list.permission()))),
        _ => Err(Refusal::Lost(format!("the provider answers {status}"))),
    }
}

/// How it goes on after a refusal.
fn refused(row: rows::Backfill, connection: &Connection, refusal: Refusal, now: Timestamp) -> rows::Backfill {
    let mut attempts = row.attempts + 1;
    let soon = backoff(attempts.unsigned_abs()).min(EVERY);
    let (problem, wait, page) = match refusal {
        Refusal::Failed(problem, wait) => (problem, wait.unwrap_or(soon), row.page.clone()),
        // The next reading begins where this one did.
        Refusal::Forbidden(problem) => {
            attempts = attempts.max(ATTENTION_AFTER);
            (problem, EVERY, None)
        }
        Refusal::Lost(problem) => (problem, soon, None),
    };
    let gives_up = connection.mode == Mode::Simulated && attempts >= ATTENTION_AFTER;
    rows::Backfill {
        page,
        attempts,
        next_at: (!gives_up).then(|| after(now, wait).as_microsecond()),
        error: Some(problem),
        ..row
    }
}

/// From when on a provider still has its events.
fn kept_since(list: &dyn Backfill, now: Timestamp) -> Timestamp {
    after(now, SignedDuration::from_hours(-24 * i64::from(list.days_kept())))
}

/// The time of which nobody can say any more what happened, if a reading begins too late.
fn lost(connection: &Connection, row: &rows::Backfill, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let until = kept_since(list_of(connection)?, now);
    let from = Timestamp::from_microsecond(row.caught_up_to).ok()?;
    // Who asked for all there is may have waited for its turn.
    let is_late = after(from, OVERLAP) < until;
    (row.until.is_none() && is_late).then_some((from, until))
}

fn needs_a_person(row: &rows::Backfill) -> bool {
    row.attempts >= ATTENTION_AFTER
}

fn is_due(row: &rows::Backfill, now: Timestamp) -> bool {
    let now = now.as_microsecond();
    row.next_at.is_some_and(|at| at <= now) && row.lease_until.is_none_or(|until| until <= now)
}

/// When a list that has been read is read again.
fn next_reading(connection: &Connection, now: Timestamp) -> Option<Timestamp> {
    (connection.mode != Mode::Simulated).then(|| after(now, EVERY))
}

/// A list that is to be read from there on, now.
fn begin(tenant: TenantId, connection: ConnectionId, caught_up_to: Timestamp, now: Timestamp) -> rows::Backfill {
    rows::Backfill {
        connection_id: connection.0,
        tenant_id: tenant.0,
        caught_up_to: caught_up_to.as_microsecond(),
        since: None,
        until: None,
        page: None,
        found: 0,
        attempts: 0,
        next_at: Some(now.as_microsecond()),
        lease_token: None,
        lease_until: None,
        error: None,
    }
}
