//! Mails against a real SMTP server, webhooks against real HTTP servers, with real databases.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod alerts;
mod receiver;
mod relay;
mod secrecy;
mod shop;
mod smtp;
mod webhooks;
mod worker;
