//! The whole API on real databases, called as a server calls it.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod accounts;
mod alerts;
mod checkout;
mod checkout_prices;
mod connected_accounts;
mod customers;
mod decisions;
mod documents;
mod idempotency;
mod imports;
mod inbound;
mod license_keys;
mod mails;
mod named;
mod outgoing;
mod pages;
mod reconcile;
mod request_log;
mod scopes;
mod shop;
mod side_by_side;
mod stories;
mod webhooks;
