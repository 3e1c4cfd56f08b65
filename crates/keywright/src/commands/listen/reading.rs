//! Reading a server's list of events as it grows.

use std::{collections::BTreeSet, fmt, time::Duration};

use domain::{
    id::{EventId, TenantId},
    time::after,
};
use http::{HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use net::{Client, Limits, Overflow, Reach, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use store::{lists::first_id, rows::Event};
use url::Url;

/// How often it is looked what has happened.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// So much later than its id was made an event may be committed, behind others: so far back it is looked again.
const OVERLAP: SignedDuration = SignedDuration::from_secs(15);
/// Events that are read at once.
pub(super) const PAGE: usize = 100;
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(30),
    body_bytes_max: 8 * 1024 * 1024,
    overflow: Overflow::Refuse,
};

/// How far a list has been read: by ids, whatever the time is, so that nothing is left out however long that takes.
#[derive(Debug, Default)]
pub(super) struct Place {
    newest: Option<EventId>,
    /// Those that lie no further back than it is looked again.
    seen: BTreeSet<EventId>,
}

impl Place {
    /// Behind which id the list is read on.
    fn behind(&self) -> EventId {
        let made = self.newest.and_then(|id| id.0.get_timestamp()).map(|at| at.to_unix());
        let made = made
            .and_then(|(seconds, nanos)| Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok());
        EventId(made.map_or_else(uuid::Uuid::nil, |made| first_id(after(made, -OVERLAP))))
    }

    fn is_news(&self, id: EventId) -> bool {
        !self.seen.contains(&id)
    }

    /// This event need not come again.
    pub(super) fn has_seen(&mut self, id: EventId) {
        self.newest = self.newest.max(Some(id));
        self.seen.insert(id);
        let behind = self.behind();
        self.seen.retain(|seen| *seen > behind);
    }
}

/// An event as the list tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) id: EventId,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) timestamp: Timestamp,
    livemode: bool,
    tenant: TenantId,
    data: Map<String, Value>,
}

impl Told {
    /// Whether nothing happened: an example is for one endpoint.
    pub(super) fn is_example(&self) -> bool {
        self.data.get("example").is_some_and(|example| *example == Value::Bool(true))
    }

    /// The event as it was written down, and the key that it gives away.
    pub(super) fn parts(&self) -> Result<(Event, Option<String>), serde_json::Error> {
        let mut data = self.data.clone();
        let key = data.remove("key").and_then(|key| key.as_str().map(str::to_owned));
        let event = Event {
            id: self.id.0,
            tenant_id: self.tenant.0,
            livemode: self.livemode,
            kind: self.kind.clone(),
            license_id: None,
            order_id: None,
            customer_id: None,
            body: serde_json::to_string(&data)?,
            example: self.is_example(),
            occurred_at: self.timestamp.as_microsecond(),
        };
        Ok((event, key))
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Told>,
    next_cursor: Option<EventId>,
}

/// Why a list was not read.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: TroubleKind,
    problem: String,
}

/// Whether it may be read later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TroubleKind {
    /// The server is away, or busy.
    Away,
    /// What is asked is wrong, or the key is.
    Refused,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Trouble {}

/// A server, as its API shows it to a key.
pub(super) struct Server {
    list: Url,
    key: SecretString,
    livemode: bool,
    client: Client,
}

impl Server {
    /// The server at an address, which may have a path.
    pub(super) fn new(address: &Url, key: SecretString, livemode: bool, reach: Reach) -> anyhow::Result<Self> {
        let list = Url::parse(&format!("{}/v1/events", address.as_str().trim_end_matches('/')))?;
        Ok(Self { list, key, livemode, client: Client::new(reach, LIMITS)? })
    }

    /// Marks everything that is there as seen.
    pub(super) async fn begin(&self, place: &mut Place) -> Result<(), Trouble> {
        let newest = self.page(&[("limit", "1")]).await?.data.pop();
        let Some(newest) = newest else { return Ok(()) };
        place.has_seen(newest.id);
        loop {
            let news = self.news(place).await?;
            if news.is_empty() {
                return Ok(());
            }
            news.iter().for_each(|told| place.has_seen(told.id));
        }
    }

    /// The next of what has happened since, the oldest first, a page of it at most. None of it is seen before it is said so.
    pub(super) async fn news(&self, place: &Place) -> Result<Vec<Told>, Trouble> {
        let mut behind = place.behind();
        let mut news = Vec::new();
        loop {
            let page = self.page(&[("limit", &PAGE.to_string()), ("before", &behind.to_string())]).await?;
            news.extend(page.data.into_iter().rev().filter(|told| place.is_news(told.id)));
            match page.next_cursor {
                Some(next) if news.is_empty() => behind = next,
                _ => return Ok(news),
            }
        }
    }

    async fn page(&self, asked: &[(&str, &str)]) -> Result<Page, Trouble> {
        let away = |problem: String| Trouble { kind: TroubleKind::Away, problem };
        let mut url = self.list.clone();
        url.query_pairs_mut().extend_pairs(asked);
        if !self.livemode {
            url.query_pairs_mut().append_pair("keys", "true");
        }
        let refused = |problem: String| Trouble { kind: TroubleKind::Refused, problem };
        let bearer = format!("Bearer {}", self.key.expose_secret());
        let mut bearer =
            HeaderValue::try_from(bearer).map_err(|_| refused("the key fits into no header".to_owned()))?;
        bearer.set_sensitive(true);
        let headers = vec![(header::AUTHORIZATION, bearer)];
        let request = Request { method: Method::GET, url, headers, body: bytes::Bytes::new() };
        let answer = self.client.send(request).await.map_err(|error| match error {
            net::SendError::Refused { .. } => refused(error.to_string()),
            _ => away(error.to_string()),
        })?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|error| refused(format!("what stands at {} is no list of events: {error}", self.list))),
            429 | 500.. => Err(away(said(answer.status, &answer.body))),
            status => Err(refused(said(status, &answer.body))),
        }
    }
}

/// A status with the sentence of its problem document, if there is one.
fn said(status: u16, body: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.map_or_else(|| format!("it answered {status}"), |detail| format!("it answered {status}: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id that was made so many seconds after the first.
    fn id(second: i64, number: u128) -> EventId {
        let made = Timestamp::from_second(1_795_262_400 + second).unwrap();
        EventId(uuid::Uuid::from_u128(first_id(made).as_u128() + number))
    }

    #[test]
    fn a_list_is_read_on_from_its_newest_event_however_late_it_is() {
        let mut place = Place::default();
        assert_eq!(place.behind(), EventId(uuid::Uuid::nil()), "all that comes to an empty list is news");
        place.has_seen(id(0, 1));
        place.has_seen(id(60, 1));
        assert_eq!(place.behind(), id(45, 0));
        // Half an hour later, with a receiver that takes its time, nothing else is left out than what was seen.
        for (event, is_news) in [(id(60, 1), false), (id(60, 2), true), (id(61, 1), true), (id(1_800, 1), true)] {
            assert_eq!(place.is_news(event), is_news, "{event}");
        }
    }

    #[test]
    fn what_is_committed_behind_later_events_is_news_once() {
        let mut place = Place::default();
        place.has_seen(id(20, 1));
        let late = id(10, 1);
        assert!(late > place.behind() && place.is_news(late));
        place.has_seen(late);
        assert!(!place.is_news(late));
        assert_eq!(place.behind(), id(5, 0), "it brings nothing back");
        place.has_seen(id(1_000, 1));
        assert_eq!(place.seen.len(), 1, "what lies too far back to come again is forgotten");
    }
}
