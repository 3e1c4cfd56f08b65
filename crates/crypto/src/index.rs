//! The keyed hash by which a license is found when someone types its key.
//!
//! HMAC-SHA256 over the normal form. Without the master key the hashes tell nothing, and they cannot be
//! searched by trying keys. The tenant is not part of the hash: the look-up adds it.

use hmac::Mac;

use crate::{
    key::NormalKey,
    ring::{KeyRing, MasterKey},
};

impl KeyRing {
    /// The hash under which a key is stored: that of the active master key.
    pub fn license_hash(&self, key: &NormalKey) -> [u8; 32] {
        hash(self.active(), key)
    }

    /// The hashes under which a key may be stored, one for each master key, the active one first: until
    /// rotation has reached every row, look for all of them.
    pub fn license_hashes(&self, key: &NormalKey) -> Vec<[u8; 32]> {
        self.keys.iter().map(|master| hash(master, key)).collect()
    }
}

fn hash(master: &MasterKey, key: &NormalKey) -> [u8; 32] {
    // The clone has the key's two blocks already hashed; only the text is left to do.
    master.index.clone().chain_update(key.as_bytes()).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::normalise, testing::Seeded};

    #[test]
    fn one_key_one_hash_however_it_is_typed() {
        let ring = KeyRing::generate(&mut Seeded::new("ring"));
        let hash = |text| ring.license_hash(&normalise(text).unwrap());
        assert_eq!(hash("TOOL-1234-5678-9ABC-DEF8"), hash("t00l i2345678 9abcdef8"));
        assert_ne!(hash("TOOL-1234-5678-9ABC-DEF8"), hash("TOOK-1234-5678-9ABC-DEF8"));
    }

    #[test]
    fn the_hash_is_pinned() {
        let ring = KeyRing::generate(&mut Seeded::new("ring"));
        let key = normalise("TOOL-1234-5678-9ABC-DEF8").unwrap();
        // Computed a second time with other libraries (Python: hashlib, hmac).
        assert_eq!(
            hex::encode(ring.license_hash(&key)),
            "785946f52894cf0fe927fd31173ae34416cd645453464fcc1d83509bfd56ab28"
        );
    }

    #[test]
    fn while_rotating_both_hashes_are_looked_for() {
        let key = normalise("TOOL-1234-5678-9ABC-DEF8").unwrap();
        let ring = KeyRing::generate(&mut Seeded::new("ring"));
        let old = ring.license_hash(&key);
        assert_eq!(ring.license_hashes(&key), [old]);
        let ring = ring.add_active(&mut Seeded::new("new")).unwrap();
        assert_ne!(ring.license_hash(&key), old);
        assert_eq!(ring.license_hashes(&key), [ring.license_hash(&key), old]);
    }
}
