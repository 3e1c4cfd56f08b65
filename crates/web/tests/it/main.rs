//! The pages, over HTTP and on a real database, as a browser asks for them.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod buyers;
mod customers;
mod developers;
mod entrance;
mod everything;
mod home;
mod identity;
mod licenses;
mod lists;
mod mail_pages;
mod office;
mod passkeys;
mod people;
mod pipeline;
mod reconcile;
mod set_up;
mod settings;
mod simulated;
mod simulator;
