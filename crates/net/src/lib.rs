//! The one outbound HTTP client.
//!
//! Addresses that this server calls are typed in by people: webhook endpoints, alert URLs, provider hosts.
//! Whoever may type an address may try to make the server call its own neighbours (server-side request
//! forgery), so every call of the product leaves through [`Client`], which
//!
//! * dials only addresses its [`Reach`] permits, checked *after* the name was resolved. The addresses that were
//!   checked are the ones that are dialled; if one of several answers is forbidden, none is dialled;
//! * follows no redirect, uses no proxy from the environment, keeps no cookies and unpacks no compressed answers;
//! * ends within [`Limits::total`], the answer's body included, and keeps at most [`Limits::body_bytes_max`];
//! * speaks `https` with rustls and ring, and plain `http` only to loopback or to listed networks.
//!
//! It takes and gives plain data ([`Request`], [`Response`]), so nothing else knows the HTTP library.
//! Messages of its errors name a host and a port, and never a path, a query, a header's value or a body:
//! webhook addresses carry secrets in their paths.

mod address;
mod client;
mod error;
mod message;
mod network;
mod reach;
mod resolve;
mod tls;

pub use address::{Special, special};
pub use client::{Client, Limits, Overflow, Policy};
pub use error::{SendError, SetupError, Stage};
pub use message::{Request, Response, check_header};
pub use network::{Network, NetworkError};
pub use reach::{Ports, Reach, Refusal};
pub use resolve::{Resolver, SystemResolver};
