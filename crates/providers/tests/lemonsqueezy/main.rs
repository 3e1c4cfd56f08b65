//! What Lemon Squeezy's events come to: tables of facts per kind of object, and snapshots of every fixture.

mod backfill;
#[path = "../common/mod.rs"]
mod common;
mod envelope;
mod failures;
mod invoices;
mod license_keys;
mod orders;
mod snapshots;
mod subscriptions;
mod support;
