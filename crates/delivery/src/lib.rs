//! What goes out: mails, and events to the systems of vendors.
//!
//! A mail is a row that was written with the change that causes it. [`MailWorker`] takes the rows that are due, writes
//! what they say ([`mail`]), hands them over ([`transport`]: by SMTP or to a service) and records what was answered. The
//! row holds references only: its key is unsealed at the moment of sending and kept nowhere. What needs a
//! person is carried to people by [`alerts`].

pub mod alerts;
pub mod brand;
pub mod dkim;
pub mod mail;
pub mod smtp;
pub mod transport;
mod wait;
pub mod webhooks;
mod worker;

pub use brand::{Brand, BrandError};
pub use dkim::{Dkim, DkimError};
pub use mail::{MailError, Rendered, render_mail, render_masked_mail};
pub use smtp::{Smtp, SmtpSettings};
pub use transport::{MailService, Outcome, ServiceSettings, Transport};
pub use worker::{Error, MailParts, MailWorker, attention};
