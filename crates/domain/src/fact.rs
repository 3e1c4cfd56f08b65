//! Facts as they are kept: a kind, a version, a document. Every version ever written keeps decoding.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    join::{Join, Register, keep_larger},
    order::Order,
    text::{CustomerReference, EmailAddress},
};

/// One thing a provider told us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Something about a sale. It joins the order that shares a reference with it.
    Order(Box<Order>),
    /// Something about one of the provider's customers. It touches that identity and nothing else.
    Customer(CustomerFact),
}

/// A snapshot of a provider's customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFact {
    /// The provider's id.
    pub reference: CustomerReference,
    /// What was true when.
    pub snapshot: Register<CustomerSnapshot>,
}

/// What a provider knows about a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomerSnapshot {
    /// The customer is gone at the provider.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
}

impl CustomerFact {
    /// Lets go of who it is. What is known of them stays in order: a later snapshot takes its place.
    pub fn erase(&mut self) {
        let value = &mut self.snapshot.value;
        (value.email, value.name) = (None, None);
    }
}

impl Join for CustomerFact {
    fn join(&mut self, other: Self) {
        keep_larger(&mut self.reference, other.reference);
        self.snapshot.join(other.snapshot);
    }
}

/// A stored fact cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// Written by a newer release, or not by us.
    #[error("there is no fact of kind `{kind}` in version {version}; a newer release may have written it")]
    Unknown {
        /// The kind found.
        kind: String,
        /// The version found.
        version: u32,
    },
    /// The document does not fit its kind and version.
    #[error("a fact of kind `{kind}` does not read: {source}")]
    Document {
        /// The kind found.
        kind: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The version that is written now, of either kind.
pub const VERSION: u32 = 1;

impl Fact {
    /// The kind, as stored.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Customer(_) => "customer",
        }
    }

    /// Lets go of names and addresses; the rest stays, and reads as before. An order remembers that they were erased, and when.
    pub fn erase(&mut self, at: Timestamp) {
        match self {
            Self::Order(order) => order.erase(at),
            Self::Customer(customer) => customer.erase(),
        }
    }

    /// The document, as stored beside kind and [`VERSION`].
    #[must_use]
    pub fn encode(&self) -> String {
        let document = match self {
            Self::Order(order) => serde_json::to_string(order),
            Self::Customer(customer) => serde_json::to_string(customer),
        };
        // Maps keyed by text and plain data: there is nothing in a fact that JSON cannot say.
        document.unwrap_or_else(|error| unreachable!("a fact has a JSON form: {error}"))
    }

    /// Reads a stored fact of any version.
    ///
    /// # Errors
    /// The kind or version is unknown, or the document does not fit them.
    pub fn decode(kind: &str, version: u32, document: &str) -> Result<Self, FactError> {
        let unreadable = |source| FactError::Document { kind: kind.to_owned(), source };
        match (kind, version) {
            ("order", 1) => serde_json::from_str(document).map(Self::Order).map_err(unreadable),
            ("customer", 1) => serde_json::from_str(document).map(Self::Customer).map_err(unreadable),
            _ => Err(FactError::Unknown { kind: kind.to_owned(), version }),
        }
    }
}
