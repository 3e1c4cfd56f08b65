//! What Stripe's events come to: tables of facts per kind of event, and snapshots of every fixture.

mod backfill;
mod checkout;
mod customers;
mod envelope;
mod invoices;
mod mutations;
mod payments;
mod snapshots;
mod subscriptions;
mod support;
