//! The whole API on real databases, called as a server calls it.

mod documents;
mod idempotency;
mod inbound;
mod pages;
mod scopes;
mod shop;
mod stories;
mod webhooks;
