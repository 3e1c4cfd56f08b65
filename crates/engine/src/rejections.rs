//! Calls that nobody believes (D32): a secret that was changed at the provider alone refuses every sale, and a person hears of
//! it before a customer does.
//!
//! A stranger can make such calls as well, and must not make the database work: they are counted in memory, in each process by
//! itself, by connection and not by whatever a stranger can vary, and a connection's item is written once in a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::id::ConnectionId;
use jiff::{SignedDuration, Timestamp};
use providers::Reject;

use crate::{Engine, Error, attention, connections::Connection, receive::NotBelieved};

/// Refused calls in a row that a person hears of. One or two are a passer-by, or a trial.
const TOLD_AT: u32 = 3;
/// Refused calls that are further apart are not in a row. A provider tries again within hours.
const ROW_BREAKS_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// How long a connection's item is left alone once it was written, however many calls are refused.
const TOLD_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// Another process may have opened an item that ends with a call that comes here: how long none is looked for.
const CLOSED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Refused calls that no believed one came between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// When the first one came.
    pub(crate) since: Timestamp,
    /// When the last one came.
    last: Timestamp,
    /// How many there were.
    pub(crate) count: u32,
}

/// Calls of a connection that were refused since the last one that was believed, as this process has seen them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedCalls {
    /// Where they came to.
    pub connection: ConnectionId,
    /// When the first one came.
    pub since: Timestamp,
    /// When the last one came.
    pub last: Timestamp,
    /// How many there were.
    pub count: u32,
}

/// What is known of a connection's calls.
#[derive(Default)]
struct Calls {
    row: Option<Row>,
    /// When its item was written last.
    told_at: Option<Timestamp>,
    /// Whether it may be open, as far as this process has opened it.
    is_open: bool,
    /// When it was closed last, whether it was open or not.
    closed_at: Option<Timestamp>,
}

/// Refused calls of all connections.
#[derive(Default)]
pub(crate) struct Rejections(Mutex<HashMap<ConnectionId, Calls>>);

impl Rejections {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refused call. Some: a person should hear of it now.
    fn refused(&self, connection: ConnectionId, now: Timestamp) -> Option<Row> {
        let mut all = self.lock();
        let calls = all.entry(connection).or_default();
        let going_on = calls.row.filter(|row| now.duration_since(row.last) < ROW_BREAKS_AFTER);
        let row = going_on.unwrap_or(Row { since: now, last: now, count: 0 });
        let row = Row { last: now, count: row.count.saturating_add(1), ..row };
        calls.row = Some(row);
        let is_news = calls.told_at.is_none_or(|at| now.duration_since(at) >= TOLD_AGAIN_AFTER);
        if row.count < TOLD_AT || !is_news {
            return None;
        }
        // Written or not: while the database is away, a stranger does not make it tried again and again.
        calls.told_at = Some(now);
        calls.is_open = true;
        Some(row)
    }

    /// Ends the row. Whether an item may be open that ends with it.
    fn believed(&self, connection: ConnectionId, now: Timestamp) -> bool {
        let mut all = self.lock();
        let calls = all.entry(connection).or_default();
        calls.row = None;
        let is_due = calls.closed_at.is_none_or(|at| now.duration_since(at) >= CLOSED_AGAIN_AFTER);
        if !calls.is_open && !is_due {
            return false;
        }
        calls.is_open = false;
        calls.closed_at = Some(now);
        true
    }

    /// The item was not closed after all: the next believed call does it.
    fn not_closed(&self, connection: ConnectionId) {
        self.lock().entry(connection).or_default().is_open = true;
    }
}

/// The connection whose reason says most of why a call was not believed.
pub(crate) fn most_telling(refused: &NotBelieved) -> Option<&(Arc<Connection>, Reject)> {
    refused.iter().max_by_key(|(_, reject)| match reject {
        Reject::NoSecret => 0,
        Reject::NoSignature => 1,
        Reject::WrongSignature => 2,
        Reject::Stale { .. } => 3,
    })
}

/// The connections that a refused call may have been meant for.
///
/// A signature that was right once says whose it is. Otherwise it may be any connection of that address, and those that
/// believe a call meanwhile are out of it. Orders made by hand never come by a call, and those of an account come to the
/// address of its platform.
fn suspects(refused: &NotBelieved) -> Vec<&(Arc<Connection>, Reject)> {
    let expects_calls = |connection: &Connection| {
        let info = connection.provider.info();
        let is_by_platform = connection.settings.account.is_some() && connection.webhook_secrets.is_empty();
        info.slug != providers::manual::SLUG && !is_by_platform
    };
    let is_stale = |reject: &Reject| matches!(reject, Reject::Stale { .. });
    let any_stale = refused.iter().any(|(_, reject)| is_stale(reject));
    refused
        .iter()
        .filter(|(connection, reject)| expects_calls(connection) && (!any_stale || is_stale(reject)))
        .collect()
}

impl Engine {
    /// The calls that nobody believed, of all connections that have believed none since.
    #[must_use]
    pub fn refused_calls(&self) -> Vec<RefusedCalls> {
        let all = self.rejections.lock();
        let told = |(connection, calls): (&ConnectionId, &Calls)| {
            let Row { since, last, count } = calls.row?;
            Some(RefusedCalls { connection: *connection, since, last, count })
        };
        all.iter().filter_map(told).collect()
    }

    /// Counts a call that nobody believed, and lets a person know once there are several in a row. It was refused whether that
    /// is written down or not.
    pub(crate) async fn note_refused(&self, refused: &NotBelieved) {
        let now = self.now();
        let suspects = suspects(refused);
        let mut items = Vec::new();
        for (connection, reject) in &suspects {
            let others = suspects.iter().filter(|(other, _)| other.id != connection.id);
            let others: Vec<&str> = others.map(|(other, _)| other.code.as_str()).collect();
            if let Some(row) = self.rejections.refused(connection.id, now) {
                let mut entropy = self.entropy();
                items.push(attention::signatures_failing(connection, row, reject, &others, now, &mut *entropy));
            }
        }
        if items.is_empty() {
            return;
        }
        let once = || async {
            let write = self.store.begin().await?;
            write.open_items(items.clone()).await?;
            Ok::<_, Error>(write.commit().await?)
        };
        if let Err(error) = store::repeat(once, Error::is_conflict).await {
            tracing::error!(%error, "nobody is told that webhooks are refused in a row; it is tried again in a while");
        }
    }

    /// Ends what a person was told of a connection's refused calls. The call is taken in whether that is written down or not.
    pub(crate) async fn note_believed(&self, connection: &Connection) {
        let now = self.now();
        if !self.rejections.believed(connection.id, now) {
            return;
        }
        let once = || async {
            let write = self.store.begin().await?;
            let subjects = vec![connection.id.to_string()];
            write.close_items_about(connection.tenant, attention::SIGNATURES_FAILING, subjects, now).await?;
            Ok::<_, Error>(write.commit().await?)
        };
        if let Err(error) = store::repeat(once, Error::is_conflict).await {
            self.rejections.not_closed(connection.id);
            tracing::warn!(%error, "an item about refused webhooks stays open until the next call");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_793_491_200 + seconds).unwrap()
    }

    const ONE: ConnectionId = ConnectionId(uuid::Uuid::from_u128(1));
    const OTHER: ConnectionId = ConnectionId(uuid::Uuid::from_u128(2));

    #[test]
    fn the_third_in_a_row_is_told_and_then_nothing_for_ten_minutes() {
        let rejections = Rejections::default();
        let told = |seconds| rejections.refused(ONE, at(seconds)).map(|row| (row.count, row.since));
        assert_eq!((told(0), told(1)), (None, None));
        assert_eq!(told(2), Some((3, at(0))));
        for seconds in 3..602 {
            assert_eq!(told(seconds), None, "after {seconds} seconds");
        }
        assert_eq!(told(602), Some((603, at(0))));
        assert_eq!(rejections.refused(OTHER, at(602)), None, "another connection has a row of its own");
    }

    #[test]
    fn a_row_ends_with_a_believed_call_and_with_a_day_of_silence() {
        let rejections = Rejections::default();
        let told = |seconds| rejections.refused(ONE, at(seconds)).map(|row| row.count);
        assert_eq!((told(0), told(1)), (None, None));
        rejections.believed(ONE, at(2));
        assert_eq!((told(3), told(4)), (None, None));
        assert_eq!(
            (told(4 + 86_400), told(4 + 2 * 86_400 - 1)),
            (None, None),
            "the first of a new one, and the second"
        );
        assert_eq!(told(4 + 2 * 86_400), Some(3));
    }

    #[test]
    fn an_item_is_closed_at_once_where_it_was_opened_and_within_a_minute_elsewhere() {
        let rejections = Rejections::default();
        assert!(rejections.believed(ONE, at(0)), "another process may have opened it");
        assert!(!rejections.believed(ONE, at(59)) && rejections.believed(ONE, at(60)));
        (61..64).for_each(|seconds| _ = rejections.refused(ONE, at(seconds)));
        assert!(rejections.believed(ONE, at(65)) && !rejections.believed(ONE, at(66)));
        rejections.not_closed(ONE);
        assert!(rejections.believed(ONE, at(67)), "what failed is tried again");
    }
}
