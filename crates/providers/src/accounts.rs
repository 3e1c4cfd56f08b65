//! Connected accounts: what a platform does so that vendors can sell by accounts of their own, as data.

use crate::{http::Request, selling::Refused};

/// A provider whose platforms act for accounts of others.
pub trait Accounts: Sync {
    /// The header that names an account in a call with a platform's key.
    fn header(&self) -> &'static str;

    /// The kind of event which says that the vendor has taken the right to act for the account away from the platform. A
    /// platform's endpoint should be subscribed to it.
    fn disconnection(&self) -> &'static str;

    /// Makes an account for a vendor, which they fill in themselves. Calls of the same attempt make one.
    fn create(&self, attempt: &str) -> Request;

    /// Reads the answer to [`Accounts::create`]: the provider's name for the account.
    ///
    /// # Errors
    /// The provider refused, or its answer lacks a name.
    fn created(&self, status: u16, body: &str) -> Result<String, Refused>;

    /// Has a page made on which the vendor fills the account in, and is sent to `return_url` from there, or to
    /// `refresh_url` if the page is too old.
    fn onboard(&self, account: &str, return_url: &str, refresh_url: &str) -> Request;

    /// Reads the answer to [`Accounts::onboard`]: where the vendor is sent.
    ///
    /// # Errors
    /// The provider refused, or its answer lacks an address.
    fn onboarded(&self, status: u16, body: &str) -> Result<String, Refused>;
}
