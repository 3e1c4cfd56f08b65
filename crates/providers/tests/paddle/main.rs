//! What Paddle's events come to: tables of facts per kind of event, and snapshots of every fixture.

mod adjustments;
mod backfill;
#[path = "../common/mod.rs"]
mod common;
mod customers;
mod envelope;
mod failures;
mod outgoing;
mod preflight;
mod snapshots;
mod subscriptions;
mod support;
mod transactions;
