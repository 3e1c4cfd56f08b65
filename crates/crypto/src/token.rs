//! API keys: `kw_live_`, `kw_test_`, `kw_checkout_` or `kw_checkout_test_`, the id, an underscore and the secret.
//!
//! The id finds the row, the secret proves the holder. Stored is the SHA-256 of the secret: it has 260
//! random bits, so a slow password hash would protect nothing more. A leaked key is recognised by
//!
//! ```text
//! kw_(live|test|checkout|checkout_test)_[0-9a-hjkmnp-tv-z]{26}_[0-9a-hjkmnp-tv-z]{52}
//! ```

use std::{fmt, str::FromStr};

use domain::{Entropy, id::ApiKeyId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crockford;

/// The characters of a secret, five bits each.
const SECRET: usize = 52;

/// What a key is for; its text says so, so that nobody confuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiKeyKind {
    /// `kw_live_`: real sales.
    Live,
    /// `kw_test_`: the test mode.
    Test,
    /// `kw_checkout_`: may only start checkouts, and may be seen by buyers.
    Checkout,
    /// `kw_checkout_test_`: the same in the test mode.
    TestCheckout,
}

impl ApiKeyKind {
    /// All of them. The longer beginning comes before the shorter one that it begins with.
    pub const ALL: [Self; 4] = [Self::Live, Self::Test, Self::TestCheckout, Self::Checkout];

    /// What the text of such a key starts with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "kw_live_",
            Self::Test => "kw_test_",
            Self::Checkout => "kw_checkout_",
            Self::TestCheckout => "kw_checkout_test_",
        }
    }

    /// Whether it is about real sales.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::Checkout)
    }

    /// Whether it opens checkouts and nothing else.
    pub const fn is_for_checkouts(self) -> bool {
        matches!(self, Self::Checkout | Self::TestCheckout)
    }
}

/// The text is not an API key. What was given is not repeated: it may be a real key with a typo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an API key: one starts with kw_live_, kw_test_ or kw_checkout_ and is copied whole")]
pub struct ApiKeyError;

/// An API key as its holder sends it. Wiped when dropped, masked when printed.
///
/// Parsing (`FromStr`) takes the exact text only: keys are copied, not typed.
pub struct ApiKeyText {
    kind: ApiKeyKind,
    id: ApiKeyId,
    secret: Zeroizing<String>,
}

impl ApiKeyText {
    /// A new key for the row `id`, with a secret of 260 random bits; takes 52 bytes of `entropy`.
    pub fn generate(kind: ApiKeyKind, id: ApiKeyId, entropy: &mut dyn Entropy) -> Self {
        let values = crockford::random::<SECRET>(entropy);
        let mut secret = Zeroizing::new(String::with_capacity(SECRET));
        secret.extend(
            values.iter().map(|value| char::from(crockford::ALPHABET[usize::from(*value)].to_ascii_lowercase())),
        );
        Self { kind, id, secret }
    }

    /// What the key says it is for. Only the stored row decides.
    pub fn kind(&self) -> ApiKeyKind {
        self.kind
    }

    /// Which row the key says it belongs to.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The key in clear, to be shown once, in the answer that makes it. Never log it.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new([self.kind.prefix(), &id_part(self.id), "_", &self.secret].concat())
    }

    /// What may be shown in lists and logs: `kw_live_…x7c9`.
    pub fn masked(&self) -> String {
        format!("{}…{}", self.kind.prefix(), &self.secret[SECRET - 4..])
    }

    /// What is stored: the SHA-256 of the secret's text.
    pub fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// Whether this is the key whose hash is stored. Takes the same time wherever the two differ.
    pub fn matches(&self, stored_hash: &[u8; 32]) -> bool {
        self.secret_hash().ct_eq(stored_hash).into()
    }
}

impl FromStr for ApiKeyText {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        parse(text).ok_or(ApiKeyError)
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyText({}, {})", self.id, self.masked())
    }
}

fn parse(text: &str) -> Option<ApiKeyText> {
    let (kind, rest) = ApiKeyKind::ALL.into_iter().find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))?;
    let (id, secret) = rest.split_once('_')?;
    let id = format!("{}_{id}", ApiKeyId::PREFIX).parse().ok()?;
    let is_symbol = |byte: u8| !byte.is_ascii_uppercase() && crockford::value(byte.to_ascii_uppercase()).is_some();
    (secret.len() == SECRET && secret.bytes().all(is_symbol)).then(|| ApiKeyText {
        kind,
        id,
        secret: Zeroizing::new(secret.to_owned()),
    })
}

/// The 26 characters of an id after its prefix.
fn id_part(id: ApiKeyId) -> String {
    let text = id.to_string();
    text[ApiKeyId::PREFIX.len() + 1..].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::testing::Seeded;

    fn key(kind: ApiKeyKind) -> ApiKeyText {
        let id = ApiKeyId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        ApiKeyText::generate(kind, id, &mut Seeded::new("api key"))
    }

    #[test]
    fn the_text_goes_both_ways() {
        for (kind, length) in
            [(ApiKeyKind::Live, 87), (ApiKeyKind::Test, 87), (ApiKeyKind::Checkout, 91), (ApiKeyKind::TestCheckout, 96)]
        {
            let key = key(kind);
            let text = key.reveal();
            assert_eq!(text.len(), length);
            let read: ApiKeyText = text.parse().unwrap();
            assert_eq!((read.kind(), read.id()), (kind, key.id()));
            assert_eq!(read.reveal(), text);
            assert!(read.matches(&key.secret_hash()));
        }
    }

    #[test]
    fn another_secret_does_not_match() {
        let key = key(ApiKeyKind::Live);
        let other = ApiKeyText::generate(ApiKeyKind::Live, key.id(), &mut Seeded::new("other"));
        assert!(!other.matches(&key.secret_hash()));
        assert!(!key.matches(&[0; 32]));
        assert_eq!(key.secret_hash(), <[u8; 32]>::from(Sha256::digest(&key.reveal()[35..])));
    }

    #[test]
    fn what_is_refused() {
        let text = key(ApiKeyKind::Live).reveal();
        for wrong in [
            "",
            "kw_live_",
            "kw_live__",
            &text[1..],
            &text[..86],
            &format!("{}0", *text),
            &format!(" {}", *text),
            &text.to_uppercase(),
            &text.replace("kw_live_", "kw_dead_"),
            &text.replace("kw_live_", "kw_live_z"),
            &format!("{}u", &text[..86]),
            &format!("{}é", &text[..85]),
        ] {
            assert_eq!(wrong.parse::<ApiKeyText>().unwrap_err(), ApiKeyError, "{wrong}");
        }
    }

    #[test]
    fn printing_shows_the_last_four_characters_only() {
        let key = key(ApiKeyKind::Test);
        let last = &key.reveal()[83..];
        assert_eq!(key.masked(), format!("kw_test_…{last}"));
        assert_eq!(format!("{key:?}"), format!("ApiKeyText({}, {})", key.id(), key.masked()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "kw_(live|test)_.{0,60}") {
            prop_assert!(text.parse::<ApiKeyText>().is_err());
        }
    }
}
