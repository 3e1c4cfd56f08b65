//! Handles: what a browser or a link carries to prove that it was given. The first half finds a row, the second is secret.
//!
//! Stored is the SHA-256 of the secret: it has 260 random bits, so a slow password hash would protect nothing more.

use std::str::FromStr;

use domain::Entropy;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::crockford;

/// The characters of a secret, five bits each.
const SECRET: usize = 52;
/// The characters of an id: a UUID in hexadecimal.
const ID: usize = 32;

/// The text is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not what was handed out; copy it whole")]
pub struct NotAHandle;

/// A handle as its holder has it. Wiped when dropped, and it does not print itself.
pub struct Handle {
    id: Uuid,
    secret: Zeroizing<String>,
}

impl Handle {
    /// A new one for the row `id`; takes 52 bytes of `entropy`.
    pub fn generate(id: Uuid, entropy: &mut dyn Entropy) -> Self {
        let values = crockford::random::<SECRET>(entropy);
        let mut secret = Zeroizing::new(String::with_capacity(SECRET));
        secret.extend(
            values.iter().map(|value| char::from(crockford::ALPHABET[usize::from(*value)].to_ascii_lowercase())),
        );
        Self { id, secret }
    }

    /// Which row it says it belongs to.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The text, for its holder alone. Never log it.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new([&*self.id.simple().to_string(), &self.secret].concat())
    }

    /// What is stored.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// Whether this is the one whose hash is stored. Takes the same time wherever the two differ.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.hash().ct_eq(stored).into()
    }
}

impl FromStr for Handle {
    type Err = NotAHandle;

    fn from_str(text: &str) -> Result<Self, NotAHandle> {
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if text.len() != ID + SECRET || !is_plain(text) {
            return Err(NotAHandle);
        }
        let (id, secret) = text.split_at(ID);
        let id = Uuid::try_parse(id).map_err(|_| NotAHandle)?;
        Ok(Self { id, secret: Zeroizing::new(secret.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_handle_is_read_as_it_was_given() {
        let handle = Handle::generate(Uuid::from_u128(7), &mut Seeded::new("one"));
        let read: Handle = handle.reveal().parse().unwrap();
        assert_eq!((read.id(), read.hash()), (handle.id(), handle.hash()));
        assert!(read.matches(&handle.hash()) && !read.matches(&[0; 32]) && !read.matches(&[]));
        let other = Handle::generate(Uuid::from_u128(7), &mut Seeded::new("two"));
        assert!(!other.matches(&handle.hash()));
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        let text = Handle::generate(Uuid::from_u128(7), &mut Seeded::new("one")).reveal();
        for wrong in ["", "x", &text[1..], &text.to_uppercase(), &text.replace('0', "é"), &format!("{}x", *text)] {
            assert!(wrong.parse::<Handle>().is_err(), "{wrong}");
        }
    }
}
