//! What Stripe's events come to: tables of facts per kind of event, and snapshots of every fixture.

mod backfill;
mod checkout;
#[path = "../common/mod.rs"]
mod common;
mod customers;
mod envelope;
mod failures;
mod invoices;
mod outgoing;
mod payments;
mod preflight;
mod snapshots;
mod subscriptions;
mod support;
