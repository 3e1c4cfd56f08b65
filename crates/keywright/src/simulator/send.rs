//! Sending: every event is signed and posted to the server's real route, and repeated if it is not taken.

use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::{Entropy, ambient::Clock};
use futures::{FutureExt, StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, header};
use net::{Client, Limits, Overflow, Reach};
use secrecy::SecretString;
use url::Url;

use super::{account::Event, dialect::Dialect};
use crate::{clock::SystemClock, entropy::ThreadEntropy};

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    total: Duration::from_secs(10),
    body_bytes_max: 1024 * 1024,
    overflow: Overflow::Refuse,
};
/// Waits before an event is posted again. Providers take hours; a person who looks on does not.
const RETRIES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];

/// A client that reaches loopback and nothing else.
pub(crate) fn loopback() -> anyhow::Result<Client> {
    Ok(Client::new(Reach::Loopback, LIMITS)?)
}

/// In which way events are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How often each one is sent.
    pub(crate) copies: usize,
    /// In any order.
    pub(crate) shuffled: bool,
    /// How many are under way at the same time.
    pub(crate) at_once: usize,
}

impl Manner {
    /// One after the other, each once.
    pub(crate) const ORDERLY: Self = Self { copies: 1, shuffled: false, at_once: 1 };
}

/// How posting one event ended.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// Which one.
    pub(crate) id: String,
    /// What it tells of.
    pub(crate) kind: String,
    /// The last answer's status, or why there was none.
    pub(crate) answer: Result<u16, String>,
    /// How often it was posted.
    pub(crate) tries: usize,
    /// When the answer came.
    pub(crate) at: Instant,
}

impl Posted {
    /// Whether the server has it.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.answer, Ok(200..=299))
    }
}

/// Signs and posts.
pub(crate) struct Sender {
    dialect: &'static dyn Dialect,
    client: Client,
    route: Url,
    secret: SecretString,
}

impl Sender {
    /// A sender to this route, with this signing secret.
    pub(crate) fn new(dialect: &'static dyn Dialect, route: Url, secret: SecretString) -> anyhow::Result<Self> {
        Ok(Self { dialect, client: loopback()?, route, secret })
    }

    /// Where it posts to.
    pub(crate) fn route(&self) -> &Url {
        &self.route
    }

    /// Sends events, and tells how each ended as soon as it is answered.
    pub(crate) async fn send(&self, events: &[Event], manner: Manner, mut tell: impl FnMut(Posted)) {
        let copies = std::iter::repeat_n(events, manner.copies);
        let mut queue: Vec<&Event> = copies.flatten().collect();
        if manner.shuffled {
            shuffle(&mut queue, &mut ThreadEntropy);
        }
        let posts: Vec<_> = queue.into_iter().map(|event| self.deliver(event).boxed()).collect();
        let mut posted = stream::iter(posts).buffer_unordered(manner.at_once);
        while let Some(posted) = posted.next().await {
            tell(posted);
        }
    }

    /// Posts an event until the server has it, a few times.
    async fn deliver(&self, event: &Event) -> Posted {
        let mut waits = RETRIES.into_iter();
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.post(event).await;
            let posted = Posted { id: event.id.clone(), kind: event.kind.clone(), answer, tries, at: Instant::now() };
            match waits.next() {
                Some(wait) if !posted.is_taken() => tokio::time::sleep(wait).await,
                _ => return posted,
            }
        }
    }

    /// Opens an address as a browser does, up to where it leads. Returns the status and that address.
    pub(crate) async fn follow(&self, url: &Url) -> anyhow::Result<(u16, Option<String>)> {
        let request = net::Request { method: Method::GET, url: url.clone(), headers: Vec::new(), body: Bytes::new() };
        let answer = self.client.send(request).await?;
        let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        Ok((answer.status, location.map(str::to_owned)))
    }

    /// Calls the server's API with a key. Returns the status and the document.
    pub(crate) async fn call(
        &self,
        url: &Url,
        key: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<(u16, serde_json::Value)> {
        let headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?),
        ];
        let request = net::Request { method: Method::POST, url: url.clone(), headers, body: body.to_string().into() };
        let answer = self.client.send(request).await?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    /// Posts an event once. Every try has a signature of its own moment.
    pub(crate) async fn post(&self, event: &Event) -> Result<u16, String> {
        let body = Bytes::copy_from_slice(event.body.as_bytes());
        let mut headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))];
        for (name, value) in self.dialect.sign(&self.secret, &body, SystemClock.now()) {
            let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            headers.push((HeaderName::from_static(name), value));
        }
        let request = net::Request { method: Method::POST, url: self.route.clone(), headers, body };
        self.client.send(request).await.map(|response| response.status).map_err(|error| error.to_string())
    }
}

/// Any order, each as likely as another (Fisher and Yates).
fn shuffle<T>(elements: &mut [T], entropy: &mut dyn Entropy) {
    for last in (1..elements.len()).rev() {
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let place = u64::from_le_bytes(random) % (last as u64 + 1);
        elements.swap(last, place as usize);
    }
}
