//! Time as the domain keeps it: an instant in UTC, whole microseconds when stored.

use jiff::{SignedDuration, Timestamp};

/// Serde for instants as integer microseconds since 1970 (UTC).
pub mod micros {
    pub use jiff::fmt::serde::timestamp::microsecond::required::{deserialize, serialize};
}

/// Serde for optional instants as integer microseconds since 1970 (UTC).
pub mod micros_optional {
    pub use jiff::fmt::serde::timestamp::microsecond::optional::{deserialize, serialize};
}

/// A span of whole days of 24 hours.
#[must_use]
pub const fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(count as i64 * 24)
}

/// `at` plus `span`, or the last representable instant.
#[must_use]
pub fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The instant without what storage does not keep: anything below a microsecond.
#[must_use]
pub fn stored(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
