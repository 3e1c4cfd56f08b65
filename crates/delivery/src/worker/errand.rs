//! One mail on its way: written, put together, handed over.

use std::sync::Arc;

use crypto::ring::KeyRing;
use domain::id::{LicenseId, MailId};
use sha2::{Digest, Sha256};
use store::{StoreError, outbox::Contents, rows::Mail};

use super::ending::Ending;
use crate::{
    mail::{self, BrokenTemplate, MailError},
    transport::Transport,
};

/// A mail, and what it takes to send it.
pub(super) struct Errand {
    pub(super) mail: Mail,
    pub(super) contents: Option<Result<Contents, StoreError>>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) transport: Transport,
}

impl Errand {
    /// Sends it.
    pub(super) async fn run(self) -> (Ending, Option<BrokenTemplate>) {
        let Self { mail, contents, ring, transport } = self;
        let found = contents.unwrap_or_else(|| Err(missing(&mail)));
        let written = found.map_err(MailError::from).and_then(|contents| {
            let letter = mail::write(&mail, &contents, &ring, Some(transport.sender()))?;
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
        let outcome = transport.send(&wire, &idempotency_key(&mail)).await;
        fail::fail_point!("mail-after-send");
        // Relays like to quote, and what they say is kept.
        (Ending::Tried(outcome.told(|said| letter.without_key(&said))), letter.broken)
    }
}

fn missing(mail: &Mail) -> StoreError {
    let reason = "it is not there".to_owned();
    StoreError::Unreadable { what: "license", id: LicenseId(mail.license_id).to_string(), reason }
}

/// By what a service knows a mail that it has already: the mail, to whom, and how often a person had it sent again. An
/// attempt whose answer was lost is the same mail; one that goes to a corrected address is another.
fn idempotency_key(mail: &Mail) -> String {
    let mut hash = Sha256::new();
    hash.update(mail.recipient.as_bytes());
    hash.update(mail.sent_at.unwrap_or_default().to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let word = digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    format!("{}/{word:016x}", MailId(mail.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::ending::tests::mail;

    #[test]
    fn what_is_tried_again_is_the_same_mail_and_what_is_sent_again_is_not() {
        let key = idempotency_key(&mail(0));
        assert_eq!(key, idempotency_key(&mail(3)), "whose answer was lost");
        assert!(key.starts_with("mail_") && key.len() <= 256, "{key}");
        let corrected = Mail { recipient: "ada@example.org".to_owned(), ..mail(0) };
        let wished_for = Mail { sent_at: Some(1), ..mail(0) };
        for other in [corrected, wished_for] {
            assert_ne!(key, idempotency_key(&other));
        }
    }
}
