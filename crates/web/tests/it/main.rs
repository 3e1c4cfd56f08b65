//! The pages, over HTTP and on a real database, as a browser asks for them.

#![expect(clippy::unwrap_used, reason = "what does not work has failed its test")]

mod buyers;
mod entrance;
mod everything;
mod home;
mod identity;
mod licenses;
mod mail_pages;
mod office;
mod people;
mod pipeline;
mod set_up;
