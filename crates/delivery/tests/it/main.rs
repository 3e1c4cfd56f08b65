//! Mails against a real SMTP server and real databases.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod relay;
mod secrecy;
mod shop;
mod smtp;
mod worker;
