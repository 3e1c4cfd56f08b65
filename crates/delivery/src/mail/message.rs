//! A mail as it goes over the wire. The same mail has the same bytes whenever it is sent.

use std::time::SystemTime;

use lettre::{
    Message,
    address::Envelope,
    message::{
        MultiPart, MultiPartKind, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{Letter, MailError};

/// Headers that tell machines not to answer (RFC 3834, and what Exchange reads instead).
const NO_ANSWERS: [(HeaderName, &str); 2] = [
    (HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"),
    (HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "OOF, AutoReply"),
];

/// What is handed to a relay.
pub(crate) struct Wire {
    /// Between which addresses.
    pub(crate) envelope: Envelope,
    /// Headers and body.
    pub(crate) message: String,
}

impl Letter {
    /// Puts the message together.
    pub(crate) fn wire(&self) -> Result<Wire, MailError> {
        let from = self.addresses.from.clone().ok_or(MailError::Sender)?;
        // Derived from the mail, so that a second copy after a crash is known for one.
        let id = format!("<{}@{}>", self.id, from.email.domain());
        let mut builder = Message::builder()
            .message_id(Some(id))
            .date(SystemTime::from(self.created_at))
            .from(from)
            .to(self.addresses.to.clone())
            .subject(self.written.subject.as_str());
        if let Some(reply_to) = &self.addresses.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        for (name, value) in NO_ANSWERS {
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("={}=", self.id))
            .singlepart(SinglePart::plain(self.written.text.clone()))
            .singlepart(SinglePart::html(self.written.html.clone()));
        let message = builder.multipart(parts).map_err(|error| MailError::Message(error.to_string()))?;
        let unreadable = |_| MailError::Message("it is not UTF-8".to_owned());
        Ok(Wire {
            envelope: message.envelope().clone(),
            message: String::from_utf8(message.formatted()).map_err(unreadable)?,
        })
    }
}
