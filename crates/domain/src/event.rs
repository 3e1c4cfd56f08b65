//! What is told to a vendor's own systems, and which of it a receiver wants.

mod document;
mod sample;

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};

pub use document::{
    ActivationTold, CustomerTold, DisputeTold, Envelope, EventData, EventStyle, LicenseTold, OrderTold, Previous,
    RefundTold, ScheduledTold,
};
pub use sample::{SAMPLE_KEY, sample};

/// The version of the documents in which events are told (D20). A field may be added within a version; one that changes or
/// goes makes a new one.
pub const EVENT_VERSION: &str = "2026-11-01";

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])* $name,)*
        }

        impl EventKind {
            /// All of them, in the order of the book.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its word, everywhere. The list is append-only.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it means, in a sentence for the book and for forms.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),*),)*
                }
            }
        }
    };
}

kinds! {
    #[doc = "A license works and its key may go out. Once in its life; the only event with the key in clear."]
    LicenseCreated = "license.created";
    #[doc = "A device or domain took a slot."]
    LicenseActivated = "license.activated";
    #[doc = "A device or domain gave its slot back."]
    LicenseDeactivated = "license.deactivated";
    #[doc = "The term of a license ends later than before."]
    LicenseRenewed = "license.renewed";
    #[doc = "A license gives something else than before: another plan, other limits, an earlier end, another key; or it came back."]
    LicenseChanged = "license.changed";
    #[doc = "A license does not work for now."]
    LicenseFrozen = "license.frozen";
    #[doc = "A frozen license works again."]
    LicenseUnfrozen = "license.unfrozen";
    #[doc = "A license ends soon and nothing will renew it."]
    LicenseExpiring = "license.expiring";
    #[doc = "The time of a license is over."]
    LicenseExpired = "license.expired";
    #[doc = "A license was taken back."]
    LicenseRevoked = "license.revoked";
    #[doc = "Money that paid for a license went back. What follows for the license is an event of its own."]
    LicenseRefunded = "license.refunded";
    #[doc = "Somebody bought something."]
    OrderCreated = "order.created";
    #[doc = "Money of an order went back, in part or in full."]
    OrderRefunded = "order.refunded";
    #[doc = "The buyer's bank questions a payment of an order, or decided about it."]
    OrderDisputed = "order.disputed";
    #[doc = "Somebody bought for the first time."]
    CustomerCreated = "customer.created";
    #[doc = "A provider knows something else of a customer than before: name or address."]
    CustomerUpdated = "customer.updated";
}

impl EventKind {
    /// Whether it is kept, in live mode, only where an endpoint wants it: devices come and go by the thousand, and apps tell of
    /// them anyway.
    #[must_use]
    pub const fn is_activity(self) -> bool {
        matches!(self, Self::LicenseActivated | Self::LicenseDeactivated)
    }
}

/// It is no kind of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no kind of event; there are {}", EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "))]
pub struct EventKindError {
    /// What was given.
    pub text: String,
}

impl FromStr for EventKind {
    type Err = EventKindError;

    fn from_str(text: &str) -> Result<Self, EventKindError> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| EventKindError { text: text.to_owned() })
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The kinds of events that a receiver wants; none named: all of them. They are kept as words, since another release may
/// have named one that this one does not know: such a receiver goes on wanting only what it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WantedKinds(BTreeSet<Box<str>>);

impl WantedKinds {
    /// As it is stored. What is no list at all wants everything: an event too many does less harm than one that is missing.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Whether it wants events of this kind.
    #[must_use]
    pub fn has(&self, kind: EventKind) -> bool {
        self.0.is_empty() || self.0.contains(kind.as_str())
    }

    /// Whether it wants events of the kind that this word names, if it names one.
    #[must_use]
    pub fn has_word(&self, word: &str) -> bool {
        word.parse().is_ok_and(|kind| self.has(kind))
    }

    /// The words, in order.
    pub fn into_words(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(String::from)
    }
}

impl FromIterator<EventKind> for WantedKinds {
    fn from_iter<Kinds: IntoIterator<Item = EventKind>>(kinds: Kinds) -> Self {
        Self(kinds.into_iter().map(|kind| kind.as_str().into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways_and_mean_something() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert!(kind.meaning().ends_with('.'), "{kind:?}");
        }
        assert!("license.sold".parse::<EventKind>().unwrap_err().to_string().contains("license.created"));
    }

    #[test]
    fn who_names_nothing_wants_everything() {
        let only = WantedKinds::from_iter([EventKind::LicenseRevoked]);
        for kind in EventKind::ALL {
            assert!(WantedKinds::default().has(*kind));
            assert_eq!(only.has(*kind), *kind == EventKind::LicenseRevoked);
        }
        assert_eq!(serde_json::to_string(&only).unwrap(), r#"["license.revoked"]"#);
    }

    #[test]
    fn a_kind_that_nobody_knows_yet_does_not_widen_what_is_wanted() {
        for (stored, created, revoked) in [
            ("[]", true, true),
            (r#"["license.revoked"]"#, false, true),
            (r#"["license.revoked","license.told_later"]"#, false, true),
            (r#"["license.told_later"]"#, false, false),
            ("no list", true, true),
        ] {
            let wanted = WantedKinds::stored(stored);
            let has = (wanted.has(EventKind::LicenseCreated), wanted.has(EventKind::LicenseRevoked));
            assert_eq!(has, (created, revoked), "{stored}");
            assert!(!wanted.has_word("license.told_later"), "nobody can tell it: {stored}");
        }
    }
}
