//! Requests and answers as data: the shell sends them, adds the credential, and keeps the answers with the event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A look-up at the provider. The shell puts the connection's API base in front and its key in the header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Path and query, starting with a slash.
    pub path: String,
}

/// What the provider said. Kept with the event, so that a replay is deterministic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was asked.
    pub request: Request,
    /// When the question was put: the moment for which the answer holds.
    #[serde(with = "domain::time::micros")]
    pub asked_at: Timestamp,
    /// The status. Only final ones are kept: 2xx, 401, 403, 404 and other refusals; the shell repeats the rest.
    pub status: u16,
    /// The document.
    pub body: String,
}

/// What goes back to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl HttpAnswer {
    /// A JSON body.
    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "application/json", body: body.into() }
    }

    /// A plain text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}
