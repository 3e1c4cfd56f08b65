//! What tells whether a ring fits.

use std::collections::BTreeSet;

use crypto::{ring::KeyRing, seal::Place};
use domain::{Entropy, id::TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RotationError;
use crate::Error;

/// Where it is kept.
pub(super) const CANARY: &str = "master-key-canary";
/// What it says once it is opened.
const SONG: &[u8] = b"the master keys fit";

/// What tells whether a ring fits: the keys that sealed anything, and a value sealed by the one that was active.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Canary {
    pub(super) keys: BTreeSet<String>,
    sealed: String,
}

impl Canary {
    fn place() -> Place<'static> {
        Place { tenant: TenantId(Uuid::nil()), table: "settings", row: Uuid::nil(), column: CANARY }
    }

    pub(super) fn new(mut keys: BTreeSet<String>, ring: &KeyRing, entropy: &mut dyn Entropy) -> Self {
        keys.insert(active(ring));
        Self { keys, sealed: hex::encode(ring.seal(Self::place(), SONG, entropy).0) }
    }

    pub(super) fn read(text: &str) -> Result<Self, RotationError> {
        serde_json::from_str(text).map_err(|error| RotationError::Canary(error.to_string()))
    }

    pub(super) fn text(&self) -> Result<String, RotationError> {
        Ok(serde_json::to_string(self).map_err(Error::Document)?)
    }

    /// Whether this ring opens everything that was sealed.
    pub(super) fn check(&self, ring: &KeyRing) -> Result<(), RotationError> {
        check_keys(&self.keys, ring)?;
        let sealed = hex::decode(&self.sealed).map_err(|error| RotationError::Canary(error.to_string()))?;
        match ring.open(Self::place(), &sealed) {
            Ok(song) if song.as_slice() == SONG => Ok(()),
            Ok(_) => Err(RotationError::Canary("it says something else".to_owned())),
            Err(error) => Err(RotationError::Canary(error.to_string())),
        }
    }
}

pub(super) fn check_keys(used: &BTreeSet<String>, ring: &KeyRing) -> Result<(), RotationError> {
    let has: Vec<String> = ring.ids().map(|id| id.to_string()).collect();
    let missing: Vec<&str> = used.iter().filter(|id| !has.contains(id)).map(String::as_str).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(RotationError::MissingKeys { missing: missing.join(", "), ring: has.join(", ") }),
    }
}

/// The id of the key that seals what is new.
pub(super) fn active(ring: &KeyRing) -> String {
    ring.ids().next().map(|id| id.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(13).wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    fn ring(seed: u8) -> KeyRing {
        KeyRing::generate(&mut Counting(seed))
    }

    #[test]
    fn the_canary_knows_its_ring() {
        let (own, other) = (ring(1), ring(2));
        let canary = Canary::new(BTreeSet::new(), &own, &mut Counting(9));
        let read = Canary::read(&canary.text().unwrap()).unwrap();
        assert_eq!(read, canary);
        assert!(read.check(&own).is_ok());
        let refused = read.check(&other).unwrap_err().to_string();
        assert!(refused.contains(&active(&own)) && refused.contains(&active(&other)), "{refused}");
        assert!(refused.contains("put the missing line back"), "{refused}");
    }

    #[test]
    fn every_key_that_sealed_anything_must_be_there() {
        let old = ring(1);
        let rotated = KeyRing::parse(&old.to_text()).unwrap().add_active(&mut Counting(2)).unwrap();
        let canary = Canary::new([active(&old)].into(), &rotated, &mut Counting(9));
        assert_eq!(canary.keys.len(), 2);
        assert!(canary.check(&rotated).is_ok());
        assert!(matches!(canary.check(&old), Err(RotationError::MissingKeys { .. })));
        let alone = rotated.without(old.ids().next().unwrap()).unwrap();
        assert!(matches!(canary.check(&alone), Err(RotationError::MissingKeys { .. })));
    }

    #[test]
    fn a_changed_canary_is_no_missing_key() {
        let own = ring(1);
        let mut canary = Canary::new(BTreeSet::new(), &own, &mut Counting(9));
        canary.sealed.replace_range(60.., "00");
        assert!(matches!(canary.check(&own), Err(RotationError::Canary(_))));
        assert!(matches!(Canary::read("{}"), Err(RotationError::Canary(_))));
    }
}
