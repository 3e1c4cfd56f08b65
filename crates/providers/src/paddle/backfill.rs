//! Paddle's list of events: the newest first, kept for 90 days.
//!
//! It is not asked for by time but by the event that the page before ended with, so the page that reaches back behind what
//! is wanted is the last. One sale makes ten events of which two or three matter: only those are asked for.

use domain::time::stored;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{INFO, event};
use crate::{
    Incoming, Malformed,
    backfill::{Backfill, Page, Piece},
    http::{Request, percent_encoded},
    read,
};

/// The list of this module.
pub(super) struct Events;

impl Backfill for Events {
    fn permission(&self) -> &'static str {
        super::preflight::NOTIFICATIONS
    }

    fn days_kept(&self) -> u8 {
        90
    }

    fn limit_max(&self) -> u8 {
        200
    }

    fn request(&self, piece: &Piece<'_>) -> Request {
        let kinds = percent_encoded(&INFO.events.join(","));
        let mut path = format!("/events?order_by=id%5BDESC%5D&per_page={}&event_type={kinds}", piece.limit);
        if let Some(after) = piece.after {
            path.push_str("&after=");
            path.push_str(&percent_encoded(after));
        }
        Request::get(path)
    }

    fn page(&self, piece: &Piece<'_>, body: &str) -> Result<Page, Malformed> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
            #[serde(default, deserialize_with = "read::object")]
            meta: Option<Meta>,
        }
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Meta {
            #[serde(deserialize_with = "read::object")]
            pagination: Option<Pagination>,
        }
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Pagination {
            #[serde(deserialize_with = "read::flag")]
            has_more: bool,
        }
        let list: List<'_> = serde_json::from_str(body)
            .map_err(|error| read::malformed(format!("the list of events does not read: {error}")))?;
        let has_more = list.meta.and_then(|meta| meta.pagination).is_some_and(|pagination| pagination.has_more);
        let all: Vec<Incoming> = list.data.iter().filter_map(|element| event::listed(element.get())).collect();
        let since = stored(piece.since);
        let is_wanted = |incoming: &Incoming| incoming.occurred_at.is_none_or(|at| at >= since);
        let oldest = all.iter().rfind(|incoming| !incoming.key.starts_with(event::NO_ID));
        let next = oldest.filter(|oldest| has_more && is_wanted(oldest)).map(|oldest| oldest.key.clone());
        let is_understood = |incoming: &Incoming| INFO.events.contains(&incoming.kind.as_str());
        let mut events: Vec<Incoming> =
            all.into_iter().filter(|incoming| is_understood(incoming) && is_wanted(incoming)).collect();
        events.reverse();
        Ok(Page { events, next })
    }
}
