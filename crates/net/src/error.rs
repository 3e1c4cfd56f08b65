//! What can go wrong with a call, sorted by what a retry policy and a person need to know.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::client::Limits;
use crate::reach::Refusal;

/// The longest reason taken over from a library, in characters; certificates can list hundreds of names.
const REASON_CHARS_MAX: usize = 240;

/// Why there is no answer.
///
/// `host` is `host` or `host:port` of the address that was called. No variant holds a path, a query, a header's
/// value or a part of a body, so messages and `Debug` may be logged and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The guard said no, and no connection was opened. It will say no again until the address, what its name
    /// resolves to, or the configuration changes.
    #[error("not sent to {host}: {refusal}")]
    Refused {
        /// Whom the request was for.
        host: String,
        /// What the guard objects to.
        refusal: Refusal,
    },
    /// The name has no address, or the name servers did not answer.
    #[error("the name of {host} could not be resolved: {reason}")]
    Dns {
        /// Whom the request was for.
        host: String,
        /// As the system's resolver puts it.
        reason: String,
    },
    /// Nobody accepted a connection.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// Whom the request was for.
        host: String,
        /// As the operating system puts it.
        reason: String,
    },
    /// The TLS handshake failed: an untrusted or expired certificate, a wrong name, no common version.
    #[error("no trusted TLS connection to {host}: {reason}")]
    Tls {
        /// Whom the request was for.
        host: String,
        /// As the TLS library puts it.
        reason: String,
    },
    /// Time ran out.
    #[error("{host} did not {stage} within {} s", limit.as_secs_f32())]
    Timeout {
        /// Whom the request was for.
        host: String,
        /// What was being waited for.
        stage: Stage,
        /// The limit that was reached: [`Limits::connect`] for [`Stage::Connect`], otherwise [`Limits::total`].
        limit: Duration,
    },
    /// The body is larger than [`Limits::body_bytes_max`], and [`Overflow::Refuse`](crate::Overflow) asks for all
    /// of it or nothing.
    #[error("the answer of {host} (status {status}) is larger than {limit} bytes")]
    BodyTooLarge {
        /// Who answered.
        host: String,
        /// The status of the answer.
        status: u16,
        /// In bytes.
        limit: usize,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("no complete answer from {host}: {reason}")]
    Protocol {
        /// Whom the request was for.
        host: String,
        /// What is known about it.
        reason: String,
    },
}

/// What a call was waiting for when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// For a connection: the name, TCP and TLS together.
    Connect,
    /// For the request to be taken and the status and headers of the answer.
    Answer,
    /// For the rest of the body.
    Body {
        /// The status that had already come.
        status: u16,
    },
}

/// Why a client could not be built: configuration to correct, never a matter of trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// [`Limits`] that contradict each other.
    #[error("outbound limits: {0}")]
    Limits(&'static str),
    /// Additional root certificates that cannot be used.
    #[error("additional root certificates: {0}")]
    Roots(String),
    /// The HTTP or TLS library refused its configuration.
    #[error("the HTTP client could not be set up: {0}")]
    Library(String),
}

impl SendError {
    /// A short, stable word for metrics and stored attempts.
    pub fn kind(&self) -> &'static str {
        match self {
            SendError::Refused { .. } => "refused",
            SendError::Dns { .. } => "dns",
            SendError::Connect { .. } => "connect",
            SendError::Tls { .. } => "tls",
            SendError::Timeout { .. } => "timeout",
            SendError::BodyTooLarge { .. } => "body_too_large",
            SendError::Protocol { .. } => "protocol",
        }
    }

    /// Whether the other side may have received the request, so that sending it again could do its work twice.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            SendError::Refused { .. } | SendError::Dns { .. } | SendError::Connect { .. } | SendError::Tls { .. } => {
                false
            }
            SendError::Timeout { stage, .. } => *stage != Stage::Connect,
            SendError::BodyTooLarge { .. } | SendError::Protocol { .. } => true,
        }
    }

    /// Sorts an error of the HTTP library, which is then dropped: it holds the address with its query.
    pub(crate) fn from_reqwest(error: &reqwest::Error, host: &str, limits: &Limits) -> SendError {
        let host = host.to_owned();
        let mut io_kind = None;
        let mut tls = None;
        let mut words = None;
        for cause in causes(error) {
            // Ours, from the resolver.
            if let Some(ours) = cause.downcast_ref::<SendError>() {
                return ours.clone().for_host(host);
            }
            if let Some(error) = cause.downcast_ref::<rustls::Error>() {
                tls = Some(error.to_string());
            } else if let Some(error) = cause.downcast_ref::<io::Error>() {
                io_kind = Some(error.kind());
            } else {
                words = plain_words(cause).or(words);
            }
        }
        let io_reason = io_kind.filter(|kind| *kind != io::ErrorKind::Other).map(|kind| kind.to_string());
        if error.is_connect() {
            if let Some(reason) = tls {
                return SendError::Tls { host, reason: shortened(&reason) };
            }
            if error.is_timeout() {
                return SendError::Timeout { host, stage: Stage::Connect, limit: limits.connect };
            }
            let reason = io_reason.or(words).unwrap_or_else(|| "the connection failed".to_owned());
            return SendError::Connect { host, reason };
        }
        let reason = io_reason.or(words).unwrap_or_else(|| "the connection broke".to_owned());
        SendError::Protocol { host, reason }
    }

    /// The same error about the host as the caller wrote it; the resolver knows no port.
    fn for_host(mut self, name: String) -> SendError {
        match &mut self {
            SendError::Refused { host, .. }
            | SendError::Dns { host, .. }
            | SendError::Connect { host, .. }
            | SendError::Tls { host, .. }
            | SendError::Timeout { host, .. }
            | SendError::BodyTooLarge { host, .. }
            | SendError::Protocol { host, .. } => *host = name,
        }
        self
    }
}

impl fmt::Display for Stage {
    /// The middle of the sentence "HOST did not ... within 15 s".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Connect => f.write_str("accept a connection"),
            Stage::Answer => f.write_str("begin its answer"),
            Stage::Body { status } => write!(f, "finish its answer (status {status})"),
        }
    }
}

/// The causes of an error from the outside in.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| cause_of(*cause))
}

/// The next cause, looking into `io::Error`, whose `source` skips the error it wraps.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The message of a cause if it is nothing but words, as the fixed texts of hyper are.
///
/// Other texts may quote what the other side sent, and that may be an echo of our own headers.
fn plain_words(cause: &(dyn StdError + 'static)) -> Option<String> {
    let text = cause.to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphabetic() || b" -".contains(&byte));
    (plain && !text.is_empty()).then(|| shortened(&text))
}

/// At most [`REASON_CHARS_MAX`] characters of `text`.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
