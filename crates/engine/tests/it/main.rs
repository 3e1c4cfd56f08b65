//! The engine on real databases.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod alerts;
mod api_keys;
mod appsumo;
mod arrivals;
mod backups;
mod bulk;
mod calls;
mod catchup;
mod configuration;
mod connect;
mod connected_accounts;
mod customers;
mod discrepancies;
mod doctor;
mod events;
mod figures;
mod happenings;
mod harness;
mod identity;
mod ignoring;
mod import;
mod intake;
mod key_change;
mod lemonsqueezy;
mod life;
mod mail_templates;
mod mails;
mod paddle;
mod passkeys;
mod price_table;
mod rehearsal;
mod rejections;
mod requests;
mod rotation;
mod safety;
mod samples;
mod seen;
mod timers;
mod webhook_deliveries;
mod webhook_endpoints;
mod write_back;
