//! The client against real servers on the loopback interface, and its guard against everything else.
//!
//! Nothing here leaves the machine: where a test needs a name, it brings its own resolver.

mod addresses;
mod answers;
mod failures;
mod guard;
mod names;
mod secrecy;
mod support;
mod tls;
