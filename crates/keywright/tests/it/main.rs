//! The real binary, started as people start it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod backups;
mod book;
mod console;
mod demo;
mod environment;
mod faults;
mod guides;
mod localstripe;
mod mail_previews;
mod mails;
mod on_time;
mod oracles;
mod outgoing;
mod output;
mod paddle_sdks;
mod process;
mod receiver;
mod relay;
mod samples;
mod simulate;
mod simulate_others;
mod simulate_trouble;
mod simulate_words;
mod snippets;
mod tenants;
