//! A payment provider on loopback, for `simulate` and `demo`.
//!
//! The server has no special path for it. It gets real webhooks at its real route, signed with the connection's secret,
//! and its look-ups are answered over HTTP; the connection is one of mode `simulated`, the only one that may dial
//! loopback. [`action`] says what happens in an account there; a [`dialect`] has the provider's words for it. [`api`]
//! answers, [`send`] posts, [`watch`] tells what the server made of it. A [`script`] is what is asked for: by the command
//! line, or by a page of the console ([`console`]).

pub(crate) mod account;
pub(crate) mod action;
pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod appsumo;
pub(crate) mod books;
pub(crate) mod console;
pub(crate) mod dialect;
pub(crate) mod generic;
pub(crate) mod happening;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod lemonsqueezy;
pub(crate) mod offers;
pub(crate) mod paddle;
pub(crate) mod play;
pub(crate) mod scenario;
pub(crate) mod script;
pub(crate) mod send;
pub(crate) mod setup;
pub(crate) mod stage;
pub(crate) mod stripe;
pub(crate) mod tell;
pub(crate) mod watch;
