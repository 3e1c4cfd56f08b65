//! Reconciling: the providers' own lists are read, so that what no webhook has brought is known; what is paid without a
//! license then stands among the discrepancies ([`crate::doctor::discrepancies`]). The command line and the console ask the
//! same.

use std::sync::Arc;

use domain::id::ConnectionId;
use jiff::{SignedDuration, Timestamp};
use store::{lists::Whose, rows};

use crate::{
    Engine, Error,
    catchup::{CatchUpError, list_of},
    connections::{Connection, Mode},
    rulings::By,
};

/// How far a report looks back unless asked otherwise: as far as Stripe keeps its events.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far a provider's list of events has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its provider keeps none that could be read.
    NoList,
    /// A simulated provider answers only while something is played.
    Simulated,
    /// It may not be asked: there is no API key, or the level is `none`. Reading needs this permission, in the provider's
    /// words.
    NotAllowed(&'static str),
    /// Nobody has asked for it yet.
    Unread,
    /// It is being read. So many events had come by no webhook, up to now.
    Going {
        /// Events.
        found: i64,
    },
    /// It was read.
    Read {
        /// So many events had come by no webhook.
        found: i64,
        /// What happened before is known.
        up_to: Timestamp,
    },
    /// The last page could not be had.
    Failed {
        /// Why, and what to do where that is known.
        problem: String,
        /// When it is asked again; none: not by itself.
        again_at: Option<Timestamp>,
    },
}

impl Reading {
    /// Whether the list can be read at all.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        !matches!(self, Self::NoList | Self::Simulated | Self::NotAllowed(_))
    }
}

impl Engine {
    /// How far the list of each connection of a mode has been read.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn readings(&self, whose: Whose) -> Result<Vec<(Arc<Connection>, Reading)>, Error> {
        let (connections, rows, now) = (self.connections().await?, self.store.backfills().await?, self.now());
        let here = connections.iter().filter(|each| {
            let is_sold_there = each.provider.info().slug != providers::manual::SLUG;
            each.tenant == whose.tenant && each.mode.is_live() == whose.livemode && is_sold_there
        });
        let reading = |connection: &Arc<Connection>| {
            let row = rows.iter().find(|row| row.connection_id == connection.id.0);
            (Arc::clone(connection), reading(connection, row, now))
        };
        Ok(here.map(reading).collect())
    }

    /// Has the lists of a mode read, or that of one connection; with `since`, at least from there on. Returns the
    /// connections whose lists are read now: those of which it is possible.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn read_lists(
        &self,
        whose: Whose,
        only: Option<ConnectionId>,
        since: Option<Timestamp>,
        by: &By,
    ) -> Result<Vec<ConnectionId>, CatchUpError> {
        let mut begun = Vec::new();
        for (connection, reading) in self.readings(whose).await? {
            if reading.is_possible() && only.is_none_or(|id| id == connection.id) {
                self.start_catching_up(whose.tenant, connection.id, since, by).await?;
                begun.push(connection.id);
            }
        }
        Ok(begun)
    }
}

fn reading(connection: &Connection, row: Option<&rows::Backfill>, now: Timestamp) -> Reading {
    let Some(list) = connection.provider.backfill() else { return Reading::NoList };
    if connection.mode == Mode::Simulated {
        return Reading::Simulated;
    }
    if list_of(connection).is_none() {
        return if connection.settings.platform { Reading::NoList } else { Reading::NotAllowed(list.permission()) };
    }
    let Some(row) = row else { return Reading::Unread };
    let moment = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or(now);
    let is_over = row.until.is_none() && row.next_at.is_none_or(|at| at > now.as_microsecond());
    match &row.error {
        Some(problem) => Reading::Failed { problem: problem.clone(), again_at: row.next_at.map(moment) },
        None if is_over => Reading::Read { found: row.found, up_to: moment(row.caught_up_to) },
        None => Reading::Going { found: row.found },
    }
}
