//! What the source documents call by name: their addresses and their words, thin over the same functions as the rest.

pub(crate) mod bridge;
pub(crate) mod checkout;
pub(crate) mod licenses;
pub(crate) mod selected;
mod wording;
