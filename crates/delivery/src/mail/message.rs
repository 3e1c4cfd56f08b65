//! A mail as it is handed over, whole and in parts. The same mail has the same bytes whenever it is sent.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::{
    Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart, MultiPartKind, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{Addresses, Letter, MailError, templates::Written};

/// Headers that tell machines not to answer (RFC 3834, and what Exchange reads instead).
const NO_ANSWERS: [(&str, &str); 2] =
    [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "OOF, AutoReply")];

/// What is handed over: the whole message to a relay, its parts to a service that puts messages together by itself.
pub(crate) struct Wire {
    /// Between which addresses.
    pub(crate) envelope: Envelope,
    /// Headers and body.
    pub(crate) message: String,
    /// The date in it.
    pub(crate) written_at: Timestamp,
    /// With angle brackets.
    pub(crate) message_id: String,
    pub(crate) from: Mailbox,
    pub(crate) to: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Wire {
    /// The headers that no other part has.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        [("Message-ID", self.message_id.as_str())].into_iter().chain(NO_ANSWERS)
    }
}

impl Letter {
    /// Puts the message together.
    pub(crate) fn wire(&self) -> Result<Wire, MailError> {
        compose(&self.id.to_string(), self.created_at, &self.addresses, &self.written)
    }
}

/// Puts a message together: `id` is that of what it tells.
pub(super) fn compose(
    id: &str,
    created_at: Timestamp,
    addresses: &Addresses,
    written: &Written,
) -> Result<Wire, MailError> {
    let from = addresses.from.clone().ok_or(MailError::Sender)?;
    // Derived from the mail, so that a second copy after a crash is known for one.
    let message_id = format!("<{id}@{}>", from.email.domain());
    let mut builder = Message::builder()
        .message_id(Some(message_id.clone()))
        .date(SystemTime::from(created_at))
        .from(from.clone())
        .to(addresses.to.clone())
        .subject(written.subject.as_str());
    if let Some(reply_to) = &addresses.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    for (name, value) in NO_ANSWERS {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(format!("={id}="))
        .singlepart(SinglePart::plain(written.text.clone()))
        .singlepart(SinglePart::html(written.html.clone()));
    let message = builder.multipart(parts).map_err(|error| MailError::Message(error.to_string()))?;
    let unreadable = |_| MailError::Message("it is not UTF-8".to_owned());
    Ok(Wire {
        envelope: message.envelope().clone(),
        message: String::from_utf8(message.formatted()).map_err(unreadable)?,
        written_at: created_at,
        message_id,
        from,
        to: addresses.to.clone(),
        reply_to: addresses.reply_to.clone(),
        subject: written.subject.clone(),
        text: written.text.clone(),
        html: written.html.clone(),
    })
}
