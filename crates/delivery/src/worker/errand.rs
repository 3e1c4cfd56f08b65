//! One mail on its way: written, put together, handed over.

use std::sync::Arc;

use crypto::ring::KeyRing;
use domain::{id::LicenseId, text::EmailAddress};
use store::{StoreError, outbox::Contents, rows::Mail};

use super::ending::Ending;
use crate::{
    mail::{self, BrokenTemplate, Letter, MailError},
    smtp::{Outcome, Smtp},
};

/// For items and logs: an address nobody can write to.
pub(super) fn masked(recipient: &str) -> String {
    EmailAddress::parse(recipient).map_or_else(|_| "an address that is none".to_owned(), |address| address.masked())
}

/// A mail, and what it takes to send it.
pub(super) struct Errand {
    pub(super) mail: Mail,
    pub(super) contents: Option<Result<Contents, StoreError>>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) smtp: Smtp,
}

impl Errand {
    /// Sends it.
    pub(super) async fn run(self) -> (Ending, Option<BrokenTemplate>) {
        let Self { mail, contents, ring, smtp } = self;
        let found = contents.unwrap_or_else(|| Err(missing(&mail)));
        let written = found.map_err(MailError::from).and_then(|contents| {
            let letter = mail::write(&mail, &contents, &ring, Some(smtp.sender()))?;
            Ok((letter.wire()?, letter))
        });
        let (wire, letter) = match written {
            Ok(written) => written,
            Err(MailError::Superseded) => return (Ending::Superseded, None),
            Err(error @ (MailError::Recipient | MailError::Message(_))) => {
                return (Ending::Impossible(error.to_string()), None);
            }
            Err(error) => return (Ending::Unwritten(error.to_string()), None),
        };
        let outcome = smtp.send(&wire.envelope, &wire.message).await;
        fail::fail_point!("mail-after-send");
        (Ending::Tried(discreet(outcome, &letter, &mail.recipient)), letter.broken)
    }
}

fn missing(mail: &Mail) -> StoreError {
    let reason = "it is not there".to_owned();
    StoreError::Unreadable { what: "license", id: LicenseId(mail.license_id).to_string(), reason }
}

/// What a relay said, without the key and the address: relays like to quote, and what they say is kept.
fn discreet(outcome: Outcome, letter: &Letter, recipient: &str) -> Outcome {
    let clean = |said: String| letter.without_key(&said).replace(recipient, &masked(recipient));
    match outcome {
        Outcome::Accepted { response } => Outcome::Accepted { response: clean(response) },
        Outcome::Later { response } => Outcome::Later { response: clean(response) },
        Outcome::Away { response } => Outcome::Away { response: clean(response) },
        Outcome::Refused { response } => Outcome::Refused { response: clean(response) },
    }
}
