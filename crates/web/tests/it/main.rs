//! The pages, over HTTP and on a real database, as a browser asks for them.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod backups;
mod buyers;
mod customers;
mod developers;
mod entrance;
mod everything;
mod home;
mod identity;
mod imports;
mod licenses;
mod lists;
mod mail_pages;
mod office;
mod passkeys;
mod people;
mod pipeline;
mod reconcile;
mod rights;
mod set_up;
mod settings;
mod simulated;
mod simulator;
