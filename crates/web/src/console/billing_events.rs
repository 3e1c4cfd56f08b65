//! Which events a provider should deliver, beside those that came: what nobody asked for at the provider is seen before it is
//! missed.

use std::collections::BTreeSet;

use domain::{id::ConnectionId, time::after};
use engine::connections::Mode;
use jiff::{SignedDuration, Timestamp};
use providers::tells::tells;
use store::{lists::DeliveredKinds, rows};

use super::{place::Place, refusal::Refusal, words::counted};
use crate::Web;

/// How long ago an event may have come.
const DAYS: i64 = 30;
/// So many of the latest events are looked at.
const EXAMINED: u64 = 5_000;

/// A kind of event, and how often it came.
pub(crate) struct Kind {
    pub(crate) kind: String,
    /// What it tells of; empty: nothing that licenses depend on.
    pub(crate) tells: &'static str,
    /// `12 times`, or `not`.
    pub(crate) came: String,
}

/// What came of what a connection's provider should deliver.
pub(crate) struct Came {
    /// `9 of 25 kinds of events came in the last 30 days`.
    pub(crate) sentence: String,
    pub(crate) kinds: Vec<Kind>,
    /// Of what nothing came at all; empty: of nothing, or it is too early to tell.
    pub(crate) silent: Vec<&'static str>,
    /// Kinds that came and are not needed.
    pub(crate) besides: Vec<String>,
}

/// What came to all connections of a vendor in one mode.
pub(crate) async fn delivered<A>(web: &Web, place: &Place<A>, now: Timestamp) -> Result<DeliveredKinds, Refusal> {
    let since = after(now, -SignedDuration::from_hours(24 * DAYS));
    Ok(web.engine.store.delivered_kinds(place.whose(), since, EXAMINED).await?)
}

impl Came {
    /// What came to one connection, of the events that it should get.
    pub(crate) fn of(delivered: &DeliveredKinds, row: &rows::Connection, wanted: &[&'static str]) -> Self {
        let id = ConnectionId(row.id);
        let times = |kind: &str| delivered.times.get(&(id, kind.to_owned())).copied().unwrap_or_default();
        let kind = |kind: &&'static str| Kind {
            kind: (*kind).to_owned(),
            tells: tells(kind).unwrap_or_default(),
            came: match times(kind) {
                0 => "not".to_owned(),
                times => counted(times, "time", "times"),
            },
        };
        let came = |kind: &&&'static str| times(kind) > 0;
        let told: BTreeSet<_> = wanted.iter().filter(came).filter_map(|kind| tells(kind)).collect();
        let mut silent: Vec<&'static str> =
            wanted.iter().filter_map(|kind| tells(kind)).filter(|about| !told.contains(about)).collect();
        let mut seen = BTreeSet::new();
        silent.retain(|about| seen.insert(*about));
        // Where nothing came, nothing is known of what is asked for; a provider of our own is asked for nothing.
        if told.is_empty() || Mode::read(&row.mode) == Mode::Simulated {
            silent.clear();
        }
        let of_it = delivered.times.keys().filter(|(connection, _)| *connection == id).map(|(_, kind)| kind);
        let window = match delivered.examined {
            EXAMINED.. => format!("among the latest {EXAMINED} events"),
            _ => format!("in the last {DAYS} days"),
        };
        Self {
            sentence: format!(
                "{} of {} kinds of events came {window}",
                wanted.iter().filter(came).count(),
                wanted.len()
            ),
            kinds: wanted.iter().map(kind).collect(),
            silent,
            besides: of_it.filter(|kind| !wanted.contains(&kind.as_str())).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(mode: &str) -> rows::Connection {
        rows::Connection {
            id: uuid::Uuid::nil(),
            tenant_id: uuid::Uuid::nil(),
            code: "stripe".to_owned(),
            provider: "stripe".to_owned(),
            mode: mode.to_owned(),
            settings: "{}".to_owned(),
            secrets: None,
            api_base: None,
            account: None,
            created_at: 0,
        }
    }

    #[test]
    fn what_never_came_is_told_by_what_it_tells_of() {
        const WANTED: [&str; 4] = ["invoice.paid", "charge.refunded", "refund.created", "charge.dispute.created"];
        let id = ConnectionId(uuid::Uuid::nil());
        for (came, mode, examined, sentence, silent, besides) in [
            (&[][..], "live", 0, "0 of 4 kinds of events came in the last 30 days", &[][..], &[][..]),
            (
                &["invoice.paid", "refund.created", "invoice.finalized"],
                "live",
                EXAMINED,
                "2 of 4 kinds of events came among the latest 5000 events",
                &["disputes"],
                &["invoice.finalized"],
            ),
            (
                &["invoice.paid"],
                "live",
                1,
                "1 of 4 kinds of events came in the last 30 days",
                &["refunds", "disputes"],
                &[],
            ),
            (&["invoice.paid"], "simulated", 1, "1 of 4 kinds of events came in the last 30 days", &[], &[]),
        ] {
            let times = came.iter().map(|kind| ((id, (*kind).to_owned()), 3)).collect();
            let told = Came::of(&DeliveredKinds { times, examined }, &connection(mode), &WANTED);
            assert_eq!((told.sentence.as_str(), told.silent.as_slice()), (sentence, silent), "{came:?}");
            assert_eq!(told.besides, besides, "{came:?}");
            assert_eq!(told.kinds.iter().filter(|kind| kind.came == "3 times").count(), came.len() - besides.len());
        }
    }
}
