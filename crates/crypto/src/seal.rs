//! Sealing: secrets at rest, encrypted and bound to the place where they live.
//!
//! A sealed value is a version byte, the 4 bytes of the master key's id, a nonce of 24 bytes, and the
//! XChaCha20-Poly1305 ciphertext with its tag of 16. Tenant, table, row and column are authenticated
//! with it: a value that someone copies to another place of the database does not open there.

use chacha20poly1305::{
    XNonce,
    aead::{Aead, Payload},
};
use domain::{Entropy, id::TenantId};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::ring::{KeyRing, MasterKeyId};

const VERSION: u8 = 1;
const HEADER: usize = 5;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are too few to be a sealed value.
    #[error("this is not a sealed value: it has {length} bytes and needs at least 45")]
    Malformed {
        /// How many bytes were given.
        length: usize,
    },
    /// The layout is one that this version does not know.
    #[error("the value was sealed by a newer Keywright (layout {0}); start the version that wrote it")]
    Version(u8),
    /// The master key that sealed the value is not in the ring.
    #[error(
        "the value was sealed with the master key {0}, which the key ring does not have; put that key back into the ring"
    )]
    UnknownKey(MasterKeyId),
    /// The key is right and the value is not: it was changed, or it is from another tenant, table, row or column.
    #[error("the sealed value was changed, or moved here from another place; restore the row from a backup")]
    Refused,
}

/// Where a sealed value lives. It opens only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The vendor whose secret it is.
    pub tenant: TenantId,
    /// The table's name.
    pub table: &'a str,
    /// The id of the row.
    pub row: Uuid,
    /// The column's name.
    pub column: &'a str,
}

impl Place<'static> {
    /// Where a license key is kept.
    #[must_use]
    pub const fn license_key(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "license_keys", row, column: "sealed" }
    }

    /// Where the secrets of a connection are kept.
    #[must_use]
    pub const fn connection(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "connections", row, column: "secrets" }
    }

    /// Where the secret half of a key that signs leases is kept.
    #[must_use]
    pub const fn signing_key(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "signing_keys", row, column: "sealed" }
    }

    /// What opens the page of a buyer who came from a connection's provider. It is kept nowhere: the buyer has it.
    #[must_use]
    pub const fn buyers_page(tenant: TenantId, connection: Uuid) -> Self {
        Self { tenant, table: "connections", row: connection, column: "buyers_page" }
    }

    /// Where the secrets of an address are kept to which webhooks go.
    #[must_use]
    pub const fn webhook_endpoint(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "webhook_endpoints", row, column: "sealed" }
    }

    /// Where it is kept to which address alerts go, and what signs them.
    #[must_use]
    pub const fn alert_channel(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "alert_channels", row, column: "sealed" }
    }

    /// Where the secret is kept that a member's authenticator shares with us. Members belong to no vendor alone.
    #[must_use]
    pub const fn authenticator(row: Uuid) -> Self {
        Self { tenant: TenantId(Uuid::nil()), table: "members", row, column: "authenticator" }
    }

    /// Where the secret is kept by which a vendor's identity provider knows this server.
    #[must_use]
    pub const fn identity_provider(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "identity_providers", row, column: "sealed" }
    }

    /// What a passkey has to sign for `purpose`, in the session `row`. It is kept nowhere: the browser sends it back.
    #[must_use]
    pub const fn passkey_challenge(row: Uuid, purpose: &'static str) -> Self {
        Self { tenant: TenantId(Uuid::nil()), table: "passkeys", row, column: purpose }
    }

    /// Where the lines of an import wait.
    #[must_use]
    pub const fn import_rows(tenant: TenantId, change: Uuid) -> Self {
        Self { tenant, table: "import_rows", row: change, column: "sealed" }
    }

    /// Where the answer to a call with an idempotency key is kept.
    #[must_use]
    pub const fn idempotent_answer(tenant: TenantId, row: Uuid) -> Self {
        Self { tenant, table: "idempotency_keys", row, column: "sealed" }
    }
}

/// A sealed value, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl KeyRing {
    /// Seals `plaintext` with the active master key; takes 24 bytes of `entropy`. The result is 45 bytes longer.
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8], entropy: &mut dyn Entropy) -> Sealed {
        let key = self.active();
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let header = header(key.id);
        let payload = Payload { msg: plaintext, aad: &associated(header, place) };
        let ciphertext = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("only more than 256 GiB are too much for ChaCha20");
        Sealed([&header[..], &nonce, &ciphertext].concat())
    }

    /// Opens a value with whichever master key sealed it.
    ///
    /// # Errors
    /// A [`SealError`]: not a sealed value, sealed by a key that is not in the ring, changed or moved.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, nonce, ciphertext) = split(sealed)?;
        let id = MasterKeyId([header[1], header[2], header[3], header[4]]);
        let key = self.keys.iter().find(|key| key.id == id).ok_or(SealError::UnknownKey(id))?;
        let payload = Payload { msg: ciphertext, aad: &associated(header, place) };
        key.cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| SealError::Refused)
    }
}

/// Which master key sealed a value, or nothing if the bytes are not a sealed value that we know.
///
/// It only reads the header: whether the value is genuine is known once it opens.
pub fn sealed_by(sealed: &[u8]) -> Option<MasterKeyId> {
    let ([_, id @ ..], _, _) = split(sealed).ok()?;
    Some(MasterKeyId(id))
}

fn header(MasterKeyId([a, b, c, d]): MasterKeyId) -> [u8; HEADER] {
    [VERSION, a, b, c, d]
}

/// The header, the nonce and the ciphertext with its tag.
type Parts<'a> = ([u8; HEADER], [u8; NONCE], &'a [u8]);

fn split(sealed: &[u8]) -> Result<Parts<'_>, SealError> {
    let parts = sealed.split_first_chunk::<HEADER>().and_then(|(header, rest)| {
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>()?;
        (ciphertext.len() >= TAG).then_some((*header, *nonce, ciphertext))
    });
    match parts {
        None => Err(SealError::Malformed { length: sealed.len() }),
        Some(([version, ..], ..)) if version != VERSION => Err(SealError::Version(version)),
        Some(parts) => Ok(parts),
    }
}

/// What is authenticated beside the ciphertext. Lengths go before names, so that no two places read alike.
fn associated(header: [u8; HEADER], place: Place<'_>) -> Vec<u8> {
    let length = |name: &str| (name.len() as u64).to_be_bytes();
    [
        &header[..],
        place.tenant.0.as_bytes(),
        &length(place.table),
        place.table.as_bytes(),
        place.row.as_bytes(),
        &length(place.column),
        place.column.as_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    const PLACE: Place<'static> =
        Place { tenant: TenantId(Uuid::from_u128(1)), table: "license", row: Uuid::from_u128(2), column: "key" };

    fn ring() -> KeyRing {
        KeyRing::generate(&mut Seeded::new("ring"))
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let ring = ring();
        let Sealed(sealed) = ring.seal(PLACE, b"secret", &mut Seeded::new("nonce"));
        assert_eq!(sealed.len(), 45 + 6);
        assert_eq!(ring.open(PLACE, &sealed).as_deref().map(Vec::as_slice), Ok(&b"secret"[..]));
        for elsewhere in [
            Place { tenant: TenantId(Uuid::from_u128(9)), ..PLACE },
            Place { table: "licens", ..PLACE },
            Place { row: Uuid::from_u128(9), ..PLACE },
            Place { column: "key2", ..PLACE },
        ] {
            assert_eq!(ring.open(elsewhere, &sealed), Err(SealError::Refused), "{elsewhere:?}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let ring = ring();
        let Sealed(sealed) = ring.seal(PLACE, b"secret", &mut Seeded::new("nonce"));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            let expected = match place {
                0 => SealError::Version(0),
                1..=4 => SealError::UnknownKey(sealed_by(&changed).unwrap()),
                _ => SealError::Refused,
            };
            assert_eq!(ring.open(PLACE, &changed), Err(expected), "byte {place}");
        }
        assert_eq!(ring.open(PLACE, &sealed[..44]), Err(SealError::Malformed { length: 44 }));
        assert_eq!(ring.open(PLACE, b""), Err(SealError::Malformed { length: 0 }));
    }

    #[test]
    fn rotation_keeps_old_values_readable_until_their_key_goes() {
        let ring = ring();
        let Sealed(old) = ring.seal(PLACE, b"secret", &mut Seeded::new("nonce"));
        let id = sealed_by(&old).unwrap();
        let ring = ring.add_active(&mut Seeded::new("new")).unwrap();
        let Sealed(new) = ring.seal(PLACE, b"secret", &mut Seeded::new("nonce"));
        assert!(!ring.is_active(id) && ring.is_active(sealed_by(&new).unwrap()));
        assert!(ring.open(PLACE, &old).is_ok() && ring.open(PLACE, &new).is_ok());
        let ring = ring.without(id).unwrap();
        assert_eq!(ring.open(PLACE, &old), Err(SealError::UnknownKey(id)));
        assert!(SealError::UnknownKey(id).to_string().contains(&id.to_string()));
    }

    #[test]
    fn the_layout_is_pinned() {
        let Sealed(sealed) = ring().seal(PLACE, b"secret", &mut Seeded::new("nonce"));
        // Computed a second time with other libraries (Python: hashlib, hmac, cryptography).
        assert_eq!(
            hex::encode(sealed),
            "0199d1ff84f4b99ca9abea252982c269ee80672a2d025d2dc9148fe4033f70726040e0c9e0c5a119e958eda47e91c85c1f9998"
        );
    }

    #[test]
    fn names_cannot_slide_into_each_other() {
        let place = |table, column| Place { table, column, row: Uuid::nil(), ..PLACE };
        assert_ne!(associated([0; 5], place("ab", "c")), associated([0; 5], place("a", "bc")));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(plaintext: Vec<u8>, table: String, column: String, row: u128) {
            let (ring, place) = (ring(), Place { table: &table, column: &column, row: Uuid::from_u128(row), ..PLACE });
            let Sealed(sealed) = ring.seal(place, &plaintext, &mut Seeded::new("nonce"));
            prop_assert_eq!(&**ring.open(place, &sealed).unwrap(), &plaintext);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(ring().open(PLACE, &bytes).is_err());
        }
    }
}
