//! The mails that buyers are written.

use std::str::FromStr;

use crate::policy::Notice;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal;)*) => {
        /// A kind of mail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum MailKind {
            $($(#[doc = $doc])* $name,)*
        }

        impl MailKind {
            /// All of them, in the order of the book.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its word, everywhere. The list is append-only.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

kinds! {
    #[doc = "The key of a license (A19)."]
    LicenseDelivery = "license-delivery";
    #[doc = "Its term ends later than before."]
    LicenseRenewed = "license-renewed";
    #[doc = "It ends soon, and nothing will renew it."]
    LicenseExpiring = "license-expiring";
    #[doc = "A payment is overdue, and until when it works all the same."]
    PaymentProblem = "payment-problem";
    #[doc = "It does not work for now, and why."]
    LicenseFrozen = "license-frozen";
    #[doc = "It was taken back, and why."]
    LicenseRevoked = "license-revoked";
}

impl From<Notice> for MailKind {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Renewed => Self::LicenseRenewed,
            Notice::Expiring => Self::LicenseExpiring,
            Notice::PaymentProblem => Self::PaymentProblem,
            Notice::Frozen => Self::LicenseFrozen,
            Notice::Revoked => Self::LicenseRevoked,
        }
    }
}

/// There is no such mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no mail `{0}`; the mails are {known}", known = known())]
pub struct UnknownMail(pub String);

fn known() -> String {
    MailKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for MailKind {
    type Err = UnknownMail;

    fn from_str(text: &str) -> Result<Self, UnknownMail> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownMail(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_have_words_and_unknown_ones_are_told_the_list() {
        for kind in MailKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        let error = "of-tomorrow".parse::<MailKind>().unwrap_err().to_string();
        assert!(error.starts_with("there is no mail `of-tomorrow`; the mails are license-delivery, "), "{error}");
    }
}
