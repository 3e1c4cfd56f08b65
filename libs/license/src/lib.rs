//! What an app needs to trust a Keywright license while it is offline.
//!
//! Two questions are answered without a server, a clock or a file:
//!
//! - [`looks_valid`]: can this text be a license key, or is it mistyped?
//! - [`verify_lease`]: does this lease, signed by a key that the app knows, allow this product to run on
//!   this device now?
//!
//! ```no_run
//! use keywright_license::{Expected, Jwks, LeaseError, verify_lease};
//!
//! fn may_run(token: &str, key_set: &str, now: i64) -> bool {
//!     let Ok(keys) = Jwks::parse(key_set) else { return false };
//!     let expected = Expected { audience: "editor", device: "the fingerprint you activated with" };
//!     match verify_lease(token, &keys, now, expected) {
//!         Ok(lease) => lease.features.iter().any(|feature| feature == "export"),
//!         Err(LeaseError::Expired { .. }) => false, // ask the server for a new one
//!         Err(_) => false,
//!     }
//! }
//! ```
//!
//! Ship the key set (`/.well-known/jwks.json` of the server) with the app, and fetch it again when a
//! lease names a key that is not in it. `now` is the device's clock, which its owner can turn back: keep
//! the largest [`Lease::issued_at`] ever seen, and do not believe a clock that is well before it.

mod jwks;
mod key;
mod lease;

pub use jwks::{Jwks, JwksError};
pub use key::looks_valid;
pub use lease::{Expected, Lease, LeaseError, NOT_BEFORE_SKEW_SECONDS, verify_lease};

#[cfg(test)]
mod vectors;
