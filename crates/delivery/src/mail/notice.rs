//! A mail of the server's own, to those who run it.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Addresses, MailError, Sender, mailbox,
    message::{Wire, compose},
    templates::{Template, template},
};

pub(super) static TEMPLATE: Template = template!("alert");

/// What the templates see.
#[derive(Serialize)]
struct Context<'a, Alert> {
    subject: &'a str,
    alert: &'a Alert,
}

/// Writes the mail about an alert, ready to be handed to a relay. `created_at` are microseconds since 1970.
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
    let written = TEMPLATE.write(&Context { subject, alert })?;
    let created_at = Timestamp::from_microsecond(created_at).unwrap_or(Timestamp::UNIX_EPOCH);
    compose(id, created_at, &addresses, &written)
}
