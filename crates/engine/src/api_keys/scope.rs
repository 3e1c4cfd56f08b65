//! What a key may do.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crypto::token::ApiKeyKind;
use serde_json::json;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a key may do. A closed list; to write does not include to read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $($(#[$doc])* $name,)*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

scopes! {
    /// Look licenses and orders up.
    LicenseRead = "license:read",
    /// Rule about licenses.
    LicenseWrite = "license:write",
    /// Look customers up.
    UserRead = "user:read",
    /// Change customers.
    UserWrite = "user:write",
    /// Read products, plans, price rules and connections.
    CatalogueRead = "catalogue:read",
    /// Change them.
    CatalogueWrite = "catalogue:write",
    /// Read inbound events and attention items.
    EventRead = "event:read",
    /// Play events again.
    EventWrite = "event:write",
    /// Read alert channels and what became of alerts.
    AlertRead = "alert:read",
    /// Change and try out alert channels.
    AlertWrite = "alert:write",
    /// Read the audit log.
    AuditRead = "audit:read",
    /// Read the addresses to which events go, the events, and their deliveries.
    WebhookRead = "webhook:read",
    /// Change these addresses, and deliver once more.
    WebhookWrite = "webhook:write",
    /// Read mails and their templates.
    MailRead = "mail:read",
    /// Send mails again, say where they go, and change their templates.
    MailWrite = "mail:write",
    /// Issue licenses by hand.
    Issue = "issue",
    /// Everything.
    Admin = "admin",
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{0}`; the scopes are {known}", known = known_scopes())]
pub struct UnknownScope(pub String);

fn known_scopes() -> String {
    Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.iter().copied().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// What a key may do does not fit what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopesError {
    /// Buyers see it.
    #[error("a checkout key is seen by buyers, so it takes no scopes: starting checkouts is all it may do")]
    Checkout,
    /// It would open nothing.
    #[error("a key without a scope opens nothing; give it at least one of {}", known_scopes())]
    None,
}

/// Whether a key of this kind may have these scopes.
///
/// # Errors
/// A checkout key with scopes, or another key without any.
pub fn check_scopes(kind: ApiKeyKind, scopes: &BTreeSet<Scope>) -> Result<(), ScopesError> {
    match (kind.is_for_checkouts(), scopes.is_empty()) {
        (true, false) => Err(ScopesError::Checkout),
        (false, true) => Err(ScopesError::None),
        _ => Ok(()),
    }
}

pub(crate) fn encode_scopes(scopes: &BTreeSet<Scope>) -> String {
    json!(scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>()).to_string()
}

/// What a newer release granted and this one does not know is not granted.
pub(crate) fn decode_scopes(text: &str) -> BTreeSet<Scope> {
    let words: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_words_and_unknown_ones_are_told_the_list() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(*scope));
        }
        let error = "license:delete".parse::<Scope>().unwrap_err().to_string();
        assert!(error.starts_with("there is no scope `license:delete`; the scopes are license:read, "), "{error}");
        assert!(error.ends_with("issue, admin"), "{error}");
    }

    #[test]
    fn what_buyers_see_may_do_nothing_else() {
        assert_eq!(check_scopes(ApiKeyKind::Checkout, &[Scope::Admin].into()), Err(ScopesError::Checkout));
        assert_eq!(check_scopes(ApiKeyKind::TestCheckout, &[Scope::Admin].into()), Err(ScopesError::Checkout));
        assert_eq!(check_scopes(ApiKeyKind::Checkout, &BTreeSet::new()), Ok(()));
        assert_eq!(check_scopes(ApiKeyKind::TestCheckout, &BTreeSet::new()), Ok(()));
        assert_eq!(check_scopes(ApiKeyKind::Test, &BTreeSet::new()), Err(ScopesError::None));
        assert_eq!(check_scopes(ApiKeyKind::Test, &[Scope::Admin].into()), Ok(()));
    }
}
