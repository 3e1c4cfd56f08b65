//! Selling: prices and checkouts that a provider is asked to make, as data.

use domain::{
    plan::PlanPrice,
    text::{EmailAddress, PlanCode, PriceReference},
};

use crate::http::Request;

/// A price that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPrice<'a> {
    /// The plan that it is of. The price says so itself, so that every sale of it tells.
    pub plan: &'a PlanCode,
    /// What buyers read.
    pub name: &'a str,
    /// How much, and how often.
    pub price: &'a PlanPrice,
    /// Calls of the same attempt make one price.
    pub attempt: &'a str,
}

/// A checkout that is to be opened for one buyer.
#[derive(Clone, Copy, Debug)]
pub struct NewCheckout<'a> {
    /// The code of the product.
    pub product: &'a str,
    /// The plan. The sale says so itself (D15).
    pub plan: &'a PlanCode,
    /// The provider's price of it.
    pub reference: &'a PriceReference,
    /// What that price is.
    pub price: &'a PlanPrice,
    /// Where the buyer goes when it is paid.
    pub success_url: &'a str,
    /// Where the buyer goes who does not pay.
    pub cancel_url: &'a str,
    /// What the form is filled in with.
    pub email: Option<&'a EmailAddress>,
    /// The platform's share in ten-thousandths, which comes out of what the vendor is paid (D07, D08). None: there is no
    /// platform in it.
    pub fee_ten_thousandths: Option<u16>,
    /// Calls of the same attempt open one checkout.
    pub attempt: &'a str,
}

/// The provider did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider answers {status}: {message}")]
pub struct Refused {
    /// Its status.
    pub status: u16,
    /// Its words, or what is missing in its answer.
    pub message: String,
}

/// A provider at which this server can have prices and checkouts made.
pub trait Selling: Sync {
    /// Makes a price.
    fn create_price(&self, price: &NewPrice<'_>) -> Request;

    /// Reads the answer to [`Selling::create_price`].
    ///
    /// # Errors
    /// The provider refused, or its answer lacks what a price has.
    fn price_created(&self, status: u16, body: &str) -> Result<PriceReference, Refused>;

    /// Has nobody buy at this price any more. Subscriptions that have it go on.
    fn archive_price(&self, price: &PriceReference) -> Request;

    /// Opens a checkout.
    fn create_checkout(&self, checkout: &NewCheckout<'_>) -> Request;

    /// Reads the answer to [`Selling::create_checkout`]: where the buyer is sent.
    ///
    /// # Errors
    /// The provider refused, or its answer lacks an address.
    fn checkout_created(&self, status: u16, body: &str) -> Result<String, Refused>;
}
