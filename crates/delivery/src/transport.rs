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
    /// What became of a mail to that address, as a sentence for whoever tried it out: the relay or service of that name has
    /// it, or otherwise why not.
    ///
    /// # Errors
    /// It was not taken, or nobody knows.
    pub fn sentence(&self, way: &str, to: &str) -> Result<String, String> {
        match self {
            Self::Accepted { response } => Ok(format!("{way} has taken it for {to}: {response}")),
            Self::Later { response, .. } => Err(format!("{way} has not taken it now: {response}")),
            Self::Unanswered { response } => Err(format!("it may have arrived at {to}, or not: {response}")),
            Self::Away { response } => Err(format!("{way} takes no mails: {response}")),
            Self::Refused { response } => Err(format!("{way} has refused it: {response}")),
        }
    }

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

/// How mails leave, for people to read. Nothing of it is a secret, not even by mistake: with some relays the user's name is a
/// token, so that it is not among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The host and port of a relay, or the name of a service.
    pub name: String,
    /// The option that configures it.
    pub option: &'static str,
    /// The environment's variable that does as well.
    pub variable: &'static str,
    /// Whether what goes there is encrypted, in words.
    pub encryption: &'static str,
    /// Whether we say who we are.
    pub signs_in: bool,
    /// The DNS record of the key that signs mails here: its name and its value. None: mails are not signed here.
    pub dkim: Option<(String, String)>,
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

    /// How mails leave, for people to read.
    #[must_use]
    pub fn described(&self) -> Described {
        let dkim = self.dkim.as_deref().map(|dkim| (dkim.name(), dkim.record()));
        let (option, variable, encryption, signs_in) = match &self.way {
            Way::Smtp(smtp) => ("--smtp-url", "KEYWRIGHT_SMTP_URL", smtp.encryption(), smtp.signs_in()),
            Way::Service(_) => ("--mail-url", "KEYWRIGHT_MAIL_URL", "HTTPS", true),
        };
        Described { name: self.name(), option, variable, encryption, signs_in, dkim }
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
