//! A payment provider on loopback, for `simulate` and `demo`.
//!
//! The server has no special path for it. It gets real webhooks at its real route, signed with the connection's secret,
//! and its look-ups are answered over HTTP; the connection is one of mode `simulated`, the only one that may dial
//! loopback. [`provider`] says what happens at the provider, [`api`] answers, [`send`] posts, [`watch`] tells what the
//! server made of it.

pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod books;
pub(crate) mod documents;
pub(crate) mod history;
pub(crate) mod lookups;
pub(crate) mod offers;
pub(crate) mod play;
pub(crate) mod provider;
pub(crate) mod send;
pub(crate) mod setup;
pub(crate) mod stage;
pub(crate) mod tell;
pub(crate) mod watch;
