//! Identifiers: a prefix that says what they name, and a UUIDv7 that sorts by time.
//!
//! The text form is `lic_` followed by the UUID as 26 characters of lower-case Crockford base32.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use uuid::Uuid;

/// A source of random bytes. The domain never reads the operating system's; it is handed one.
pub trait Entropy: Send {
    /// Fills `bytes` with random data.
    fn fill(&mut self, bytes: &mut [u8]);

    /// A number that is one higher each time, whichever source of the process is asked, so that ids that are made at one
    /// moment sort as they were made. None: this source does not count, and among such ids chance decides.
    fn serial(&mut self) -> Option<u32> {
        None
    }
}

/// Makes a UUIDv7 from a time (milliseconds are kept) and random bytes (RFC 9562, section 5.7). Where the source counts, its
/// number stands before them (section 6.2, method 1): 26 bits of it, which leaves 48 to chance.
pub fn uuid_v7(now: Timestamp, entropy: &mut dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    if let Some(serial) = entropy.serial() {
        // The version takes the upper four bits of the first byte, the variant the upper two of the third.
        let (upper, [_, _, middle, lowest]) = ((serial >> 14).to_be_bytes(), (serial & 0x3fff).to_be_bytes());
        random[..4].copy_from_slice(&[upper[2], upper[3], middle, lowest]);
    }
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id that starts with `{prefix}_` and has 26 characters after it")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// The prefix that was expected, without its underscore.
    pub prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(uuid: Uuid) -> [u8; 26] {
    let mut value = uuid.as_u128();
    let mut text = [b'0'; 26];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
    text
}

fn decode(text: &str) -> Option<Uuid> {
    let bytes = text.as_bytes();
    // 26 places of 5 bits are 130: the first place holds three bits at most.
    if bytes.len() != 26 || bytes[0] > b'7' {
        return None;
    }
    bytes
        .iter()
        .try_fold(0u128, |value, byte| {
            let digit = ALPHABET.iter().position(|symbol| symbol == byte)?;
            Some(value << 5 | digit as u128)
        })
        .map(Uuid::from_u128)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The prefix of the text form, without its underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id that sorts after those made before `now`.
            pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
                Self(uuid_v7(now, entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = encode(self.0);
                write!(f, "{}_{}", Self::PREFIX, str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.to_owned(), prefix: Self::PREFIX })
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A vendor's account.
    TenantId = "ten";
    /// One account at a payment provider, in one mode.
    ConnectionId = "con";
    /// Something a vendor sells.
    ProductId = "prod";
    /// What a license of a product allows: a key type, tier or policy elsewhere.
    PlanId = "plan";
    /// A rule that says what a provider's price gives.
    PriceRuleId = "rule";
    /// A buyer.
    CustomerId = "cus";
    /// Everything known about one sale.
    OrderId = "ord";
    /// A license.
    LicenseId = "lic";
    /// A license in use on a device or domain.
    ActivationId = "act";
    /// One event that a provider delivered.
    InboundId = "in";
    /// One thing that happened here, as told to others.
    EventId = "evt";
    /// One of a vendor's own addresses to which events go.
    WebhookEndpointId = "whe";
    /// One event on its way to one of those addresses.
    DeliveryId = "whd";
    /// Events of a stretch of time that are to be delivered once more.
    RecoveryId = "rec";
    /// A list of licenses that a vendor's people come back to.
    SavedViewId = "view";
    /// A change of many licenses at once.
    BulkChangeId = "blk";
    /// One row of the audit log.
    AuditId = "aud";
    /// Something that needs a person.
    AttentionId = "att";
    /// A way by which alerts reach people.
    AlertChannelId = "alc";
    /// One attention item on its way to people.
    AlertId = "alt";
    /// A mail.
    MailId = "mail";
    /// A version of a mail's template that a vendor wrote.
    MailTemplateId = "mtl";
    /// A key to the API.
    ApiKeyId = "key";
    /// A person who works for vendors.
    MemberId = "mem";
    /// A browser in which a member is signed in.
    SessionId = "ses";
    /// A passkey of a member.
    PasskeyId = "psk";
    /// What makes somebody a member.
    InvitationId = "inv";
    /// Where a vendor's members sign in.
    IdentityProviderId = "idp";
    /// Somebody who was sent there.
    IdentityVisitId = "vis";
    /// A request, as printed on its answer.
    RequestId = "req";
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    #[test]
    fn text_form_goes_both_ways() {
        let id = LicenseId(Uuid::from_u128(u128::MAX));
        assert_eq!(id.to_string(), "lic_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "lic_",
            "cus_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "lic_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "lic_7zzzzzzzzzzzzzzzzzzzzzzzzu",
            "lic_7é",
        ] {
            assert!(wrong.parse::<LicenseId>().is_err(), "{wrong}");
        }
    }

    struct Serial(u32);

    impl Entropy for Serial {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(u8::MAX - self.0.to_be_bytes()[3]);
        }

        fn serial(&mut self) -> Option<u32> {
            self.0 = self.0.wrapping_add(1);
            Some(self.0)
        }
    }

    #[test]
    fn ids_of_one_moment_sort_as_they_were_made() {
        let now = Timestamp::from_second(1_000).unwrap();
        for first in [0, 0xff, 0x3ffe, 0x3_fffe, 0x3ff_fff0] {
            let mut entropy = Serial(first);
            let ids: Vec<Uuid> = (0..8).map(|_| uuid_v7(now, &mut entropy)).collect();
            assert!(ids.is_sorted() && ids[0] != ids[1], "from {first}: {ids:?}");
            assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
        }
        assert!(uuid_v7(now, &mut Serial(u32::MAX)) < uuid_v7(now, &mut Serial(0)), "after the last it begins anew");
    }

    #[test]
    fn later_ids_sort_later() {
        let mut entropy = Counting(0);
        let at = |second| Timestamp::from_second(second).unwrap();
        let early = OrderId::new(at(1_000), &mut entropy);
        let late = OrderId::new(at(1_001), &mut entropy);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(late.0.get_version_num(), 7);
    }
}
