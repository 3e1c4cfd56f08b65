//! Mails against a real SMTP server and beside the services' own SDKs, webhooks against real HTTP servers, with real databases.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod alerts;
mod dkim;
mod lanes;
mod receiver;
mod relay;
mod secrecy;
mod shop;
mod smtp;
mod transports;
mod vendor;
mod webhooks;
mod worker;
