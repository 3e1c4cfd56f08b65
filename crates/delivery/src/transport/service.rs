//! A service that takes mails by HTTP.

use std::{fmt, sync::Arc, time::Duration};

use domain::ambient::Clock;
use http::{HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use net::{Client, Limits, Overflow, Request};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Outcome,
    answer::{self, Answer},
    postmark, resend, ses,
    settings::{Account, ServiceSettings},
};
use crate::mail::{Sender, Wire};

/// How long a call may take, and how much of its answer is read: they say in one line what they have to say.
pub const LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    total: Duration::from_secs(30),
    body_bytes_max: 16 * 1024,
    overflow: Overflow::Truncate,
};

/// A service. Cloning shares its connections.
#[derive(Clone)]
pub struct MailService {
    settings: Arc<ServiceSettings>,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl MailService {
    /// A service that nobody has called yet. `client` may call it ([`LIMITS`]).
    #[must_use]
    pub fn new(settings: ServiceSettings, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { settings: Arc::new(settings), client, clock }
    }

    pub(super) fn sender(&self) -> &Sender {
        &self.settings.sender
    }

    pub(super) fn name(&self) -> String {
        match &self.settings.account {
            Account::Postmark { .. } => "Postmark".to_owned(),
            Account::Resend { .. } => "Resend".to_owned(),
            Account::Ses { region, .. } => format!("Amazon SES in {region}"),
        }
    }

    /// Whether messages are sent as we put them together.
    pub(super) fn takes_messages(&self) -> bool {
        matches!(self.settings.account, Account::Ses { .. })
    }

    /// Hands a mail over. `message` is the whole message, for the service that takes one.
    pub(super) async fn send(&self, wire: &Wire, message: &str, idempotency_key: &str) -> Outcome {
        let request = match self.request(wire, message, idempotency_key, self.clock.now()) {
            Ok(request) => request,
            Err(error) => return Outcome::Away { response: format!("{} cannot be called: {error}", self.name()) },
        };
        let outcome = match self.client.send(request).await {
            Err(error) => answer::unanswered(&error, matches!(self.settings.account, Account::Resend { .. })),
            Ok(response) => {
                let answer = Answer::read(&response, self.clock.now());
                match &self.settings.account {
                    Account::Postmark { .. } => postmark::outcome(&answer),
                    Account::Resend { .. } => resend::outcome(&answer),
                    Account::Ses { .. } => ses::outcome(&answer),
                }
            }
        };
        outcome.told(|said| said.replace(self.secret().expose_secret(), "…"))
    }

    fn request(
        &self,
        wire: &Wire,
        message: &str,
        idempotency_key: &str,
        now: Timestamp,
    ) -> Result<Request, header::InvalidHeaderValue> {
        let (path, headers, body) = match &self.settings.account {
            Account::Postmark { token } => {
                let token = HeaderValue::from_str(token.expose_secret())?;
                (postmark::PATH, postmark::headers(token), postmark::body(wire))
            }
            Account::Resend { key } => {
                let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))?;
                let headers = resend::headers(bearer, HeaderValue::from_str(idempotency_key)?);
                (resend::PATH, headers, resend::body(wire))
            }
            Account::Ses { access_key, secret_key, region } => {
                let caller = ses::caller(access_key, secret_key.expose_secret(), region);
                let body = ses::body(wire, message);
                (ses::PATH, ses::headers(&caller, &self.host(), &body, now)?, body)
            }
        };
        let mut url = self.settings.base.clone();
        url.set_path(path);
        let json: (HeaderName, _) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let headers = [json].into_iter().chain(headers).collect();
        Ok(Request { method: Method::POST, url, headers, body: body.into() })
    }

    /// As the HTTP client names it in the header `Host`.
    fn host(&self) -> String {
        let base = &self.settings.base;
        let host = base.host_str().unwrap_or_default();
        base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn secret(&self) -> &SecretString {
        match &self.settings.account {
            Account::Postmark { token: secret }
            | Account::Resend { key: secret }
            | Account::Ses { secret_key: secret, .. } => secret,
        }
    }
}

impl fmt::Debug for MailService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MailService").field(&self.settings).finish()
    }
}
