//! Handing mails to a relay, by SMTP.
//!
//! Connections are kept for a while, so that a mail that follows another one has no handshake to wait for. lettre has a
//! pool as well, and it takes a connection back when a mail timed out in the middle of it: the next mail then waits
//! there for an answer that belongs to the last one (tried out with 0.11.23). Ours keeps only connections whose last
//! answer was read.

mod session;
mod settings;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error,
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
    },
};
use tokio::time::timeout;

use settings::Security;
pub(crate) use settings::decoded;
pub use settings::{SettingsError, SmtpSettings};

use crate::{mail::Sender, transport::Outcome};

/// How long a connection is kept without work. Relays hang up after one to five minutes.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// How much of an answer is kept, in characters.
const ANSWER_MAX: usize = 400;

/// A relay. Cloning shares its connections.
#[derive(Clone)]
pub struct Smtp {
    relay: Arc<Relay>,
}

struct Relay {
    settings: SmtpSettings,
    tls: TlsParameters,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    /// A relay that nobody has spoken to yet.
    ///
    /// # Errors
    /// A certificate does not read.
    pub fn new(settings: SmtpSettings) -> Result<Self, SettingsError> {
        let unreadable = |error: Error| SettingsError::Certificate(error.to_string());
        let mut tls = TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
        for pem in &settings.trusted {
            tls = tls.add_root_certificate(Certificate::from_pem(pem).map_err(unreadable)?);
        }
        let tls = tls.build().map_err(unreadable)?;
        Ok(Self { relay: Arc::new(Relay { settings, tls, idle: Mutex::default() }) })
    }

    /// Who mails come from where a brand does not say so.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.relay.settings.sender
    }

    /// How to call the relay: host and port.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.relay.settings.host, self.relay.settings.port)
    }

    /// Whether what goes to the relay is encrypted, in words.
    pub(crate) fn encryption(&self) -> &'static str {
        match self.relay.settings.security {
            Security::Tls => "TLS",
            Security::StartTls => "STARTTLS, or nothing is sent",
            Security::Plain => "none",
        }
    }

    /// Whether we say who we are.
    pub(crate) fn signs_in(&self) -> bool {
        self.relay.settings.login.is_some()
    }

    /// Whether the relay can be reached and lets us in. Sends nothing.
    ///
    /// # Errors
    /// Why not, in a sentence for the person who configures it.
    pub async fn check(&self) -> Result<(), String> {
        let connection = self.connect().await?;
        self.keep(connection);
        Ok(())
    }

    /// Hands over a message, whose lines end with CRLF. Takes no longer than the settings say, whatever the relay does.
    pub async fn send(&self, envelope: &Envelope, message: &str) -> Outcome {
        let SmtpSettings { send_timeout, answer_timeout, .. } = self.relay.settings;
        // What is dropped in the middle takes its connection with it.
        let mut connection = match timeout(send_timeout, self.announce(envelope, message)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(outcome)) => return outcome,
            Err(_) => {
                let response =
                    format!("{} did not ask for the mail within {} s", self.name(), send_timeout.as_secs_f32());
                return Outcome::Later { response, retry_after: None };
            }
        };
        match timeout(answer_timeout, session::hand_over(&mut connection, message)).await {
            Ok((outcome, usable)) => {
                if usable {
                    self.keep(connection);
                }
                outcome
            }
            Err(_) => {
                let seconds = answer_timeout.as_secs_f32();
                let response = format!("{} may have taken the mail: it did not say so within {seconds} s", self.name());
                Outcome::Unanswered { response }
            }
        }
    }

    /// A connection on which the relay waits for the content.
    async fn announce(&self, envelope: &Envelope, message: &str) -> Result<AsyncSmtpConnection, Outcome> {
        let mut connection = self.connection().await.map_err(|response| Outcome::Away { response })?;
        match session::announce(&mut connection, envelope, message).await {
            Ok(()) => Ok(connection),
            Err((outcome, usable)) => {
                if usable {
                    self.keep(connection);
                }
                Err(outcome)
            }
        }
    }

    /// A connection that was kept and still answers, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, String> {
        while let Some(Idle { mut connection, .. }) = self.idle(Vec::pop) {
            if timeout(GOODBYE, connection.test_connected()).await.unwrap_or(false) {
                return Ok(connection);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let Relay { settings, tls, .. } = &*self.relay;
        let problem = match timeout(settings.connect_timeout, session::open(settings, tls)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => said(&error),
            Err(_) => format!("no answer within {} s", settings.connect_timeout.as_secs_f32()),
        };
        Err(format!("{} is not ready for mails: {problem}", self.name()))
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        self.idle(|idle| idle.push(Idle { connection, since: Instant::now() }));
    }

    fn idle<T>(&self, work: impl FnOnce(&mut Vec<Idle>) -> T) -> T {
        // A panic while it was held cannot have left a list of connections half written.
        work(&mut self.relay.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hangs up on connections that had no work for a while.
    pub(crate) fn close_idle(&self) {
        let old = self.idle(|idle| {
            let fresh = idle.partition_point(|idle| idle.since.elapsed() > IDLE_MAX);
            idle.drain(..fresh).collect::<Vec<_>>()
        });
        for idle in old {
            tokio::spawn(hang_up(idle));
        }
    }

    /// Hangs up on all of them.
    pub async fn close(&self) {
        for idle in self.idle(std::mem::take) {
            hang_up(idle).await;
        }
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Smtp").field(&self.relay.settings).finish()
    }
}

async fn hang_up(mut idle: Idle) {
    // A relay that does not say goodbye is left all the same.
    let _ = timeout(GOODBYE, idle.connection.abort()).await;
}

/// What a relay said, or what happened instead, on one line.
fn said(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = match (error.status(), source) {
        (Some(code), said) => format!("{code} {}", said.unwrap_or_default()),
        (None, Some(reason)) if error.is_tls() => format!("no encrypted connection: {reason}"),
        (None, Some(reason)) => reason,
        (None, None) => error.to_string(),
    };
    one_line(&text)
}

/// Answers are stored and shown: no control characters, and an end.
pub(crate) fn one_line(text: &str) -> String {
    let visible: String = text.chars().map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(ANSWER_MAX).collect()
}
