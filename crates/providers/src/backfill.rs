//! Catching up: a provider's own list of its events, read a page at a time. What was never delivered is found there.

use jiff::Timestamp;

use crate::{Incoming, LicenseKeys, Malformed, http::Request};

/// Which piece of the list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Events that were made at that moment or later.
    pub since: Timestamp,
    /// Where the page before ended ([`Page::next`]); none: the first page.
    pub after: Option<&'a str>,
    /// How many events at most.
    pub limit: u8,
    /// When it is asked for. What happened just before may still be delivered, and is listed again the next time.
    pub asked_at: Timestamp,
    /// The store whose part is read ([`crate::Settings::store`]); none: all that the key may read.
    pub store: Option<&'a str>,
    /// Whose keys the licenses have: those that the provider gives out are listed, too.
    pub license_keys: LicenseKeys,
}

/// A page of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The events that say something about licenses, oldest first, as if they had been delivered.
    pub events: Vec<Incoming>,
    /// Where the next page starts; none: this was the last one.
    pub next: Option<String>,
}

/// A provider that keeps a list of its events.
pub trait Backfill: Sync {
    /// The permission that reading the list needs, in the provider's words.
    fn permission(&self) -> &'static str;

    /// For how many days the provider keeps its events.
    fn days_kept(&self) -> u8;

    /// The most events that the provider puts on one page.
    fn limit_max(&self) -> u8;

    /// Asks for a piece of the list.
    fn request(&self, piece: &Piece<'_>) -> Request;

    /// Reads the page that was asked for.
    ///
    /// # Errors
    /// The body is no page of the list.
    fn page(&self, piece: &Piece<'_>, body: &str) -> Result<Page, Malformed>;
}
