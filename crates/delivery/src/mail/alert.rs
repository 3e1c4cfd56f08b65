//! The mail about an alert, to those who run the server.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Addresses, MailError, Sender, mailbox,
    message::{Wire, compose},
    templates,
};

/// Writes it, ready to be handed over. `created_at` are microseconds since 1970.
pub(crate) fn write(
    id: &str,
    created_at: i64,
    to: &str,
    sender: &Sender,
    subject: &str,
    alert: &impl Serialize,
) -> Result<Wire, MailError> {
    let Sender(from) = sender;
    let addresses =
        Addresses { from: Some(from.clone()), reply_to: None, to: mailbox(None, to).ok_or(MailError::Recipient)? };
    let written = templates::write_alert(subject, alert)?;
    let created_at = Timestamp::from_microsecond(created_at).unwrap_or(Timestamp::UNIX_EPOCH);
    compose(id, created_at, &addresses, &written)
}
