//! Kinds of events that say nothing about licenses, and why. They are kept and shown, and nobody works on them.

use crate::read;

/// Why a kind is ignored: the first beginning that fits.
const REASONS: &[(&str, &str)] = &[
    ("customer_", "each sale tells its buyer"),
    ("affiliate_", "about those who recommend the vendor"),
    ("subscription_", "the subscription itself says the same"),
    ("", "not about a sale, as far as is known"),
];

/// Why events of a kind that nobody translates say nothing about licenses.
pub(super) fn why(kind: &str) -> &'static str {
    read::reason_for(kind, REASONS)
}
