//! Stripe's list of events: the newest first, kept for 30 days.
//!
//! The list is read as a whole. Stripe filters by 20 kinds at most and an endpoint should have more, so that a filter
//! would take two lists with two places to go on from, and two calls where nearly always one short page is the answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{INFO, event, preflight::EVENTS, read};
use crate::{
    Incoming, Malformed,
    backfill::{Backfill, Page, Piece},
    http::{Request, percent_encoded},
};

/// The list of this module.
pub(super) struct Events;

impl Backfill for Events {
    fn permission(&self) -> &'static str {
        EVENTS
    }

    fn days_kept(&self) -> u8 {
        30
    }

    fn limit_max(&self) -> u8 {
        100
    }

    fn request(&self, piece: &Piece<'_>) -> Request {
        // Events have whole seconds, and one of the second that has begun is among them.
        let mut path = format!("/v1/events?created%5Bgte%5D={}&limit={}", piece.since.as_second(), piece.limit);
        if let Some(after) = piece.after {
            path.push_str("&starting_after=");
            path.push_str(&percent_encoded(after));
        }
        Request::get(path)
    }

    fn page(&self, _: &Piece<'_>, body: &str) -> Result<Page, Malformed> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
            #[serde(default, deserialize_with = "read::flag")]
            has_more: bool,
        }
        let list: List<'_> = serde_json::from_str(body)
            .map_err(|error| Malformed { what: format!("the list of events does not read: {error}") })?;
        let all: Vec<Incoming> =
            list.data.iter().map(|element| event::incoming(element.get().as_bytes())).collect::<Result<_, _>>()?;
        let next = all.last().filter(|_| list.has_more).map(|last| last.key.clone());
        // What an endpoint is not subscribed to was not missed.
        let mut events: Vec<Incoming> =
            all.into_iter().filter(|incoming| INFO.events.contains(&incoming.kind.as_str())).collect();
        events.reverse();
        Ok(Page { events, next })
    }
}
