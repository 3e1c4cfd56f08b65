//! What goes out: mails, and events to the systems of vendors.
//!
//! A mail is a row that was written with the change that causes it. [`MailWorker`] takes the rows that are due, writes
//! what they say ([`mail`]), hands them to a relay ([`smtp`]) and records what the relay said. The row holds
//! references only: its key is unsealed at the moment of sending and kept nowhere. What needs a person is carried to people
//! by [`alerts`].

pub mod alerts;
pub mod brand;
pub mod mail;
pub mod smtp;
pub mod webhooks;
mod worker;

pub use brand::{Brand, BrandError};
pub use mail::{MailError, Rendered, render_mail};
pub use smtp::{Outcome, Smtp, SmtpSettings};
pub use worker::{Error, MailParts, MailWorker, attention};
