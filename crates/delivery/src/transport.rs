//! How mails leave: by SMTP, or by HTTP to a service that sends them.

mod answer;
mod discreet;
mod postmark;
mod resend;
mod service;
mod ses;
mod settings;

use std::sync::Arc;

use jiff::SignedDuration;

pub(crate) use discreet::masked;
use discreet::without_address;
pub use service::{LIMITS, MailService};
pub use settings::{ServiceSettings, ServiceSettingsError};

use crate::{
    dkim::{self, Dkim},
    mail::{Sender, Wire},
    smtp::Smtp,
};

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The relay has it.
    Accepted {
        /// What it said.
        response: String,
    },
    /// Not now: the relay, or the recipient's, asked to come again, or fell silent before it had the mail.
    Later {
        /// What it said, or what happened.
        response: String,
        /// How long it asks us to wait, where it says so.
        retry_after: Option<SignedDuration>,
    },
    /// Nobody knows: all of it was handed over, and no answer came.
    Unanswered {
        /// What happened.
        response: String,
    },
    /// Not through this relay now, this mail or any other: it is not to be reached, or does not let us in.
    Away {
        /// What it said, or what happened.
        response: String,
    },
    /// Never.
    Refused {
        /// What it said.
        response: String,
    },
}

impl Outcome {
    /// The same with what was said made fit to be kept.
    pub(crate) fn told(self, fit: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Accepted { response } => Self::Accepted { response: fit(response) },
            Self::Later { response, retry_after } => Self::Later { response: fit(response), retry_after },
            Self::Unanswered { response } => Self::Unanswered { response: fit(response) },
            Self::Away { response } => Self::Away { response: fit(response) },
            Self::Refused { response } => Self::Refused { response: fit(response) },
        }
    }
}

/// Where mails go, and who vouches for them. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Transport {
    way: Way,
    dkim: Option<Arc<Dkim>>,
}

#[derive(Clone, Debug)]
enum Way {
    Smtp(Smtp),
    Service(MailService),
}

impl From<Smtp> for Transport {
    fn from(smtp: Smtp) -> Self {
        Self { way: Way::Smtp(smtp), dkim: None }
    }
}

impl From<MailService> for Transport {
    fn from(service: MailService) -> Self {
        Self { way: Way::Service(service), dkim: None }
    }
}

impl Transport {
    /// The same, with mails signed. None: it puts messages together by itself, so that nothing could be signed.
    #[must_use]
    pub fn signing(self, dkim: Dkim) -> Option<Self> {
        let is_ours = match &self.way {
            Way::Smtp(_) => true,
            Way::Service(service) => service.takes_messages(),
        };
        is_ours.then(|| Self { dkim: Some(Arc::new(dkim)), ..self })
    }

    /// Who mails come from where a brand does not say so.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        match &self.way {
            Way::Smtp(smtp) => smtp.sender(),
            Way::Service(service) => service.sender(),
        }
    }

    /// How to call it: the host and port of a relay, the name of a service.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.way {
            Way::Smtp(smtp) => smtp.name(),
            Way::Service(service) => service.name(),
        }
    }

    /// Hands a mail over. `idempotency_key` tells a service which mails are the same one. What was said may be kept: it does
    /// not have the recipient's address.
    pub(crate) async fn send(&self, wire: &Wire, idempotency_key: &str) -> Outcome {
        let outcome = self.hand_over(wire, idempotency_key).await;
        outcome.told(|said| without_address(&said, wire.to.email.as_ref()))
    }

    async fn hand_over(&self, wire: &Wire, idempotency_key: &str) -> Outcome {
        let signed = |headers| match self.dkim.as_deref().filter(|dkim| dkim.covers(wire.from.email.domain())) {
            Some(dkim) => dkim.sign(&wire.message, headers, wire.written_at),
            None => Ok(wire.message.clone()),
        };
        let broken = |error: crypto::dkim::DkimKeyError| Outcome::Away { response: error.to_string() };
        match &self.way {
            Way::Smtp(smtp) => match signed(&dkim::HEADERS) {
                Ok(message) => smtp.send(&wire.envelope, &message).await,
                Err(error) => broken(error),
            },
            Way::Service(service) => match signed(&dkim::HEADERS_BUT_THOSE_OF_SES) {
                Ok(message) => service.send(wire, &message, idempotency_key).await,
                Err(error) => broken(error),
            },
        }
    }

    /// Hangs up on connections that had no work for a while. Those over HTTP end by themselves.
    pub(crate) fn close_idle(&self) {
        if let Way::Smtp(smtp) = &self.way {
            smtp.close_idle();
        }
    }

    /// Hangs up on all of them.
    pub async fn close(&self) {
        if let Way::Smtp(smtp) = &self.way {
            smtp.close().await;
        }
    }
}

#[cfg(test)]
mod tests;
