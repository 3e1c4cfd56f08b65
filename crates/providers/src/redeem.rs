//! Buyers who come from a marketplace: it sends them here with a code, and says for the code which sale is theirs.
//!
//! Two calls, in the words of OAuth: the code is traded for a token, and the token shows the sale. Neither is ever kept:
//! who has a token can read what its buyer bought.

use std::fmt;

use domain::{order::Contact, text::Reference};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::{Incoming, http::Request};

/// What the marketplace knows the vendor by when codes are traded.
#[derive(Clone)]
pub struct OauthClient {
    /// Its name.
    pub id: String,
    /// What proves it.
    pub secret: SecretString,
}

impl fmt::Debug for OauthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OAuth client {}", self.id)
    }
}

/// A code, and what it takes to trade it.
#[derive(Clone, Copy)]
pub struct Grant<'a> {
    /// The vendor.
    pub client: &'a OauthClient,
    /// What the buyer brought. It is good once.
    pub code: &'a str,
    /// The address to which the buyer was sent, exactly as it is written at the marketplace.
    pub redirect_uri: &'a str,
}

/// Which sale a buyer came for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// The name of the sale.
    pub sale: Reference,
    /// Whether the marketplace confirms that it is bought and not taken back.
    pub is_bought: bool,
}

/// Why a buyer cannot be shown anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRedeemed {
    /// The code was used before, is too old, or was never given out.
    #[error("the code is used, too old or unknown")]
    Code,
    /// The marketplace does not take the vendor's id and secret, or the address that buyers are sent to.
    #[error("the provider does not take the client id, its secret or the redirect address")]
    Client,
    /// What was bought was taken back.
    #[error("the purchase was taken back")]
    TakenBack,
    /// The marketplace said something else.
    #[error("the provider answered {status} and nothing that is understood")]
    Unclear {
        /// The status of its answer.
        status: u16,
    },
}

/// What a buyer's coming tells of a sale. It enters the inbox like what the marketplace itself delivers, so that it can be
/// played again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuyerNews {
    /// The marketplace confirms that it is bought.
    Bought,
    /// Where its mails go.
    Contact(Contact),
}

/// How a provider sends buyers.
pub trait Redeem: Sync {
    /// The call that trades a code for a token.
    fn ask_token(&self, grant: &Grant<'_>) -> Request;

    /// Reads the answer to [`Redeem::ask_token`].
    ///
    /// # Errors
    /// There is no token in it.
    fn token(&self, status: u16, body: &str) -> Result<SecretString, NotRedeemed>;

    /// The call that shows the sale. Its path has the token in it: it is neither kept nor logged.
    fn ask_sale(&self, token: &SecretString) -> Request;

    /// Reads the answer to [`Redeem::ask_sale`].
    ///
    /// # Errors
    /// There is no sale in it, or one that was taken back.
    fn sale(&self, status: u16, body: &str) -> Result<Redeemed, NotRedeemed>;

    /// What the buyer's coming tells, as an event of this provider. That it is bought is one event however often they come.
    fn event(&self, sale: &Reference, news: &BuyerNews, at: Timestamp) -> Incoming;
}
