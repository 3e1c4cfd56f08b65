//! Names that come from outside, each its own type so that none is taken for another.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )*};
}

names! {
    /// A provider's id of something that belongs to one sale: a session, payment, invoice, charge, subscription,
    /// line or order. Unique per connection; a provider whose ids repeat between kinds puts the kind in front.
    Reference;
    /// A provider's id of a price or variant, or a stand-in that names where it would be found.
    PriceReference;
    /// A provider's id of a product.
    ProductReference;
    /// A provider's id of a customer. It never joins orders.
    CustomerReference;
    /// A vendor's own stable name of a plan (B28).
    PlanCode;
}

/// What stands before a caller's own reference, so that it is taken for no other kind of name.
const ISSUED: &str = "manual:";
/// The same, of a reference that a license had where it was brought from.
const BROUGHT: &str = "import:";
/// What stands before the hash of a key that was brought along, as the name of its sale.
const BROUGHT_KEY: &str = "import-key:";

impl Reference {
    /// The name of an order that was issued by hand or by call, of the reference that its caller has for it.
    #[must_use]
    pub fn issued(of_caller: &str) -> Self {
        Self::new(format!("{ISSUED}{of_caller}"))
    }

    /// The name of a sale that was brought along from another system, of the reference that it had there.
    #[must_use]
    pub fn brought(of_file: &str) -> Self {
        Self::new(format!("{BROUGHT}{of_file}"))
    }

    /// The name of a sale that was brought along with a key, of the key's keyed hash in hexadecimal: a key is brought once.
    #[must_use]
    pub fn brought_with_key(hash: &str) -> Self {
        Self::new(format!("{BROUGHT_KEY}{hash}"))
    }

    /// The vendor's own reference for an order that was issued or brought along; none: it is another kind of name.
    #[must_use]
    pub fn of_caller(&self) -> Option<&str> {
        self.0.strip_prefix(ISSUED).or_else(|| self.0.strip_prefix(BROUGHT))
    }
}

/// An address for mail. Only its shape is checked: one `@` with something on both sides, no blanks, 254 bytes at most.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(Arc<str>);

/// The text cannot be an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an e-mail address")]
pub struct NotAnEmailAddress(pub String);

impl EmailAddress {
    /// The longest address that SMTP carries (RFC 5321, section 4.5.3.1.3), in bytes.
    pub const BYTES_MAX: usize = 254;

    /// Reads an address; blanks around it are dropped.
    ///
    /// # Errors
    /// The text has not the shape of an address.
    pub fn parse(text: &str) -> Result<Self, NotAnEmailAddress> {
        let address = text.trim();
        let shaped = address.len() <= Self::BYTES_MAX
            && !address
                .chars()
                .any(|symbol| symbol.is_whitespace() || symbol.is_control() || "<>,;\"".contains(symbol))
            && address
                .split_once('@')
                .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
        if shaped { Ok(Self(address.into())) } else { Err(NotAnEmailAddress(text.to_owned())) }
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two spellings of one mailbox are equal (B03).
    #[must_use]
    pub fn normalised(&self) -> String {
        self.0.to_lowercase()
    }

    /// For logs: the first letter and the domain.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or_default();
        format!("{}…@{domain}", local.chars().next().unwrap_or('…'))
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
