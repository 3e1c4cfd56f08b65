//! The key ring: the master keys from which every other key of an installation is derived.
//!
//! The first key is the active one: it seals and hashes what is new. The others still open and find
//! what is old, until everything is sealed anew and they are taken out. The ring is a small text:
//!
//! ```text
//! # Comments start with a hash.
//! 5e1f0c3a:Rk9PQkFSLi4uIDMyIGJ5dGVzIGluIGJhc2U2NC4uLg==
//! ```
//!
//! The eight digits before the colon are derived from the key, so a line whose parts do not belong
//! together is refused. Whoever has this text can open everything; it lives apart from the database.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use domain::Entropy;
use hkdf::Hkdf;
use hmac::Hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

const ID_LABEL: &str = "keywright/master-key-id/v1";
const SEAL_LABEL: &str = "keywright/seal/v1";
const INDEX_LABEL: &str = "keywright/license-index/v1";

/// Why a key ring cannot be read or changed. Messages never hold key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// There is no line with a key.
    #[error("the key ring has no key; generate one, or restore the file from its copy")]
    Empty,
    /// A line is not `id:base64`.
    #[error(
        "line {line} of the key ring is not an id of 8 hexadecimal digits, a colon and 32 bytes in base64; restore the line from a copy"
    )]
    Line {
        /// The line's number, from 1.
        line: usize,
    },
    /// A key is not the one that its id names.
    #[error("line {line} of the key ring: the key does not belong to the id {id}; restore the line from a copy")]
    Mismatch {
        /// The line's number, from 1.
        line: usize,
        /// The id as it is written there.
        id: MasterKeyId,
    },
    /// A key is one byte repeated: a placeholder, not a secret.
    #[error("line {line} of the key ring holds a placeholder instead of a random key; put a generated key there")]
    Placeholder {
        /// The line's number, from 1.
        line: usize,
    },
    /// Two keys have the same id.
    #[error("the key ring has the key {0} twice; remove one of the two lines")]
    Duplicate(MasterKeyId),
    /// The ring has no key with this id.
    #[error("the key ring has no key {0}")]
    Unknown(MasterKeyId),
    /// The active key cannot be taken out.
    #[error("the key {0} is the active one; add a new key and seal everything anew before removing it")]
    Active(MasterKeyId),
}

/// Names a master key: four bytes derived from it, written as eight hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MasterKeyId(pub(crate) [u8; 4]);

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a master key is 8 hexadecimal digits")]
pub struct MasterKeyIdError;

impl FromStr for MasterKeyId {
    type Err = MasterKeyIdError;

    fn from_str(text: &str) -> Result<Self, MasterKeyIdError> {
        // `from_str_radix` alone would take a sign.
        let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).map_err(|_| MasterKeyIdError)?;
        digits.then_some(Self(number.to_be_bytes())).ok_or(MasterKeyIdError)
    }
}

/// One master key with what is derived from it, derived once: checks of licenses are many.
pub(crate) struct MasterKey {
    pub(crate) id: MasterKeyId,
    pub(crate) cipher: XChaCha20Poly1305,
    pub(crate) index: Hmac<Sha256>,
    secret: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let mut id = [0; 4];
        id.copy_from_slice(&derive(&secret, ID_LABEL)[..4]);
        let cipher = XChaCha20Poly1305::new((&*derive(&secret, SEAL_LABEL)).into());
        let index = Hmac::new_from_slice(&derive(&secret, INDEX_LABEL)[..]).expect("HMAC takes keys of any length");
        Self { id: MasterKeyId(id), cipher, index, secret }
    }

    fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut secret[..]);
        Self::new(secret)
    }
}

/// A key for one purpose (HKDF-SHA256 without salt: master keys are uniformly random).
fn derive(secret: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(purpose.as_bytes(), &mut derived[..])
        .expect("HKDF gives up to 255 blocks and this is one");
    derived
}

/// The master keys of an installation, at least one, each with another id. The first one is active.
///
/// Sealing is in [`crate::seal`], hashing of license keys in [`crate::index`].
pub struct KeyRing {
    pub(crate) keys: Vec<MasterKey>,
}

impl KeyRing {
    /// A ring with one new key.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self { keys: vec![MasterKey::generate(entropy)] }
    }

    /// Reads the text form. Empty lines, comments and white space around a line do not matter.
    ///
    /// # Errors
    /// A [`RingError`] that names the line. One bad line refuses the whole ring: starting without a key
    /// would look like lost data.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let keys = text
            .lines()
            .map(str::trim)
            .zip(1..)
            .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, number)| parse_line(line, number))
            .collect::<Result<Vec<_>, _>>()?;
        Self::checked(keys)
    }

    /// The text form that [`KeyRing::parse`] reads. It holds the keys in clear.
    pub fn to_text(&self) -> Zeroizing<String> {
        const HEAD: &str = "# Master keys of Keywright. The first one seals, the others still open what they sealed.\n\
            # Without this file no sealed value can be read: keep a copy, apart from the database's.\n";
        // The whole length is reserved at once: growing would leave a copy behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + self.keys.len() * 64));
        text.push_str(HEAD);
        for key in &self.keys {
            let encoded = Zeroizing::new(STANDARD.encode(&key.secret[..]));
            text.extend([&key.id.to_string(), ":", &encoded, "\n"]);
        }
        text
    }

    /// The ring with a new key that is active from now on; all others still open.
    ///
    /// # Errors
    /// [`RingError::Duplicate`] if the new key's id is taken: once in four billion times, or always if
    /// the entropy is broken.
    pub fn add_active(mut self, entropy: &mut dyn Entropy) -> Result<Self, RingError> {
        self.keys.insert(0, MasterKey::generate(entropy));
        Self::checked(self.keys)
    }

    /// The ring without a key. What it sealed can never be opened again, so seal everything anew first.
    ///
    /// # Errors
    /// [`RingError::Unknown`] if the ring has no such key, [`RingError::Active`] if it is the active one.
    pub fn without(mut self, id: MasterKeyId) -> Result<Self, RingError> {
        match self.keys.iter().position(|key| key.id == id) {
            None => Err(RingError::Unknown(id)),
            Some(0) => Err(RingError::Active(id)),
            Some(place) => {
                self.keys.remove(place);
                Ok(self)
            }
        }
    }

    /// The ids of all keys, the active one first.
    pub fn ids(&self) -> impl Iterator<Item = MasterKeyId> {
        self.keys.iter().map(|key| key.id)
    }

    /// Whether this is the key that seals what is new; a value sealed by another one is due to be sealed anew.
    pub fn is_active(&self, id: MasterKeyId) -> bool {
        self.active().id == id
    }

    pub(crate) fn active(&self) -> &MasterKey {
        &self.keys[0]
    }

    fn checked(keys: Vec<MasterKey>) -> Result<Self, RingError> {
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        let twice = ids.iter().enumerate().find(|(place, id)| ids[..*place].contains(id));
        match twice {
            Some((_, id)) => Err(RingError::Duplicate(*id)),
            None if keys.is_empty() => Err(RingError::Empty),
            None => Ok(Self { keys }),
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

fn parse_line(text: &str, line: usize) -> Result<MasterKey, RingError> {
    let malformed = RingError::Line { line };
    let (id, encoded) = text.split_once(':').ok_or(malformed.clone())?;
    let id: MasterKeyId = id.parse().map_err(|_| malformed.clone())?;
    let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| malformed.clone())?);
    if decoded.len() != 32 {
        return Err(malformed);
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&decoded);
    if secret.iter().all(|byte| *byte == secret[0]) {
        return Err(RingError::Placeholder { line });
    }
    let key = MasterKey::new(secret);
    (key.id == id).then_some(key).ok_or(RingError::Mismatch { line, id })
}

/// The ring as all parts of a process see it: swapped as a whole when it changes.
#[derive(Debug, Clone)]
pub struct SharedRing(Arc<RwLock<Arc<KeyRing>>>);

impl SharedRing {
    /// Shares a ring.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(ring))))
    }

    /// The ring as it is now.
    #[must_use]
    pub fn get(&self) -> Arc<KeyRing> {
        // A panic while the pointer was swapped cannot have left it half written.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everybody uses another ring from now on.
    pub fn set(&self, ring: KeyRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    fn ring(name: &'static str) -> KeyRing {
        KeyRing::generate(&mut Seeded::new(name))
    }

    fn line(ring: &KeyRing) -> String {
        ring.to_text().lines().last().unwrap().to_owned()
    }

    #[test]
    fn the_text_form_goes_both_ways() {
        let ring = ring("one").add_active(&mut Seeded::new("two")).unwrap();
        let read = KeyRing::parse(&ring.to_text()).unwrap();
        assert!(ring.ids().eq(read.ids()));
        assert_eq!(ring.to_text(), read.to_text());
        assert_eq!(ring.to_text().len(), ring.to_text().trim_end().len() + 1, "ends with one newline");
    }

    #[test]
    fn comments_and_white_space_do_not_matter() {
        let line = line(&ring("one"));
        let text = format!("\n# first\r\n   {line}  \r\n\n#{line}\n");
        assert_eq!(KeyRing::parse(&text).unwrap().ids().count(), 1);
    }

    #[test]
    fn what_is_refused() {
        let (one, two) = (line(&ring("one")), line(&ring("two")));
        let id: MasterKeyId = one[..8].parse().unwrap();
        let mixed = format!("{}{}", &one[..8], &two[8..]);
        let short = format!("{}:{}", &one[..8], STANDARD.encode([7; 16]));
        let zero = format!("{}:{}", &one[..8], STANDARD.encode([0; 32]));
        for (text, expected) in [
            (String::new(), RingError::Empty),
            ("# nothing\n".to_owned(), RingError::Empty),
            ("secret".to_owned(), RingError::Line { line: 1 }),
            (format!("{one}\n\n{short}"), RingError::Line { line: 3 }),
            (format!("{one}\n+{}", &two[1..]), RingError::Line { line: 2 }),
            (format!("{one}\n{one}"), RingError::Duplicate(id)),
            (mixed, RingError::Mismatch { line: 1, id }),
            (zero, RingError::Placeholder { line: 1 }),
        ] {
            assert_eq!(KeyRing::parse(&text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_new_key_is_active_and_an_old_one_can_go() {
        let ring = ring("one");
        let old = ring.ids().next().unwrap();
        assert!(ring.is_active(old));
        let ring = ring.add_active(&mut Seeded::new("two")).unwrap();
        let ids: Vec<_> = ring.ids().collect();
        assert!(ring.is_active(ids[0]) && !ring.is_active(old) && ids[1] == old);
        let ring = ring.without(old).unwrap();
        assert!(ring.ids().eq([ids[0]]));
        assert_eq!(KeyRing::parse(&ring.to_text()).unwrap().without(old).unwrap_err(), RingError::Unknown(old));
        assert_eq!(ring.without(ids[0]).unwrap_err(), RingError::Active(ids[0]));
    }

    #[test]
    fn broken_entropy_does_not_add_the_same_key_again() {
        let added = ring("one").add_active(&mut Seeded::new("one"));
        assert!(matches!(added, Err(RingError::Duplicate(_))));
    }

    #[test]
    fn keys_of_different_purposes_differ() {
        let secret = [1; 32];
        let [a, b, c] = [ID_LABEL, SEAL_LABEL, INDEX_LABEL].map(|label| *derive(&secret, label));
        assert!(a != b && b != c && a != c);
    }

    #[test]
    fn printing_shows_only_ids() {
        let ring = ring("one");
        let id = ring.ids().next().unwrap();
        assert_eq!(format!("{ring:?}"), format!("KeyRing[{id}]"));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
