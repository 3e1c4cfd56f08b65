//! What an address wants, as it is stored.

use std::collections::BTreeSet;

use domain::event::EventKind;
use store::rows::WebhookEndpoint;

/// The words for the kinds of events that an address wants; none: all of them. They stay words, since another release may
/// have written one that this one does not know: such a filter goes on wanting only what it names.
pub struct Wanted(BTreeSet<String>);

impl Wanted {
    /// What this address wants. What is no list at all wants everything: an event too many does less harm than one that is
    /// missing.
    #[must_use]
    pub fn by(endpoint: &WebhookEndpoint) -> Self {
        Self::read(&endpoint.kinds)
    }

    fn read(stored: &str) -> Self {
        Self(serde_json::from_str(stored).unwrap_or_default())
    }

    /// Whether it wants events of this kind.
    #[must_use]
    pub fn has(&self, kind: EventKind) -> bool {
        self.0.is_empty() || self.0.contains(kind.as_str())
    }

    /// The words, in order.
    pub fn into_words(self) -> impl Iterator<Item = String> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nobody_knows_yet_does_not_widen_a_filter() {
        for (stored, created, revoked) in [
            ("[]", true, true),
            (r#"["license.revoked"]"#, false, true),
            (r#"["license.revoked","license.told_later"]"#, false, true),
            (r#"["license.told_later"]"#, false, false),
            ("no list", true, true),
        ] {
            let wanted = Wanted::read(stored);
            let has = (wanted.has(EventKind::LicenseCreated), wanted.has(EventKind::LicenseRevoked));
            assert_eq!(has, (created, revoked), "{stored}");
        }
    }
}
