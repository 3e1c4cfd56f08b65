//! Public keys as COSE writes them (RFC 9052, RFC 9053, RFC 8230), and what they have signed.

use ciborium::Value;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::{Refused, data::item};

const ES256: i64 = -7;
const ED_DSA: i64 = -8;
const RS256: i64 = -257;
/// The kinds of keys that are asked for, by their numbers at IANA, the best liked first. The last one is for Windows Hello.
pub const ALGORITHMS: [i64; 3] = [ES256, ED_DSA, RS256];

const KIND: i64 = 1;
const ALGORITHM: i64 = 3;
/// What is what depends on the kind of key.
const CURVE: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
const MODULUS: i64 = -1;
const EXPONENT: i64 = -2;

/// A key that a signature can be checked with.
pub(super) enum PublicKey {
    P256([u8; 65]),
    Ed25519([u8; 32]),
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
}

impl PublicKey {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let (value, length) = item(bytes)?;
        let pairs = value.into_map().ok().filter(|_| length == bytes.len()).ok_or(Refused::Malformed("its key"))?;
        let find = |label: i64| {
            let is_it = |name: &Value| name.as_integer().is_some_and(|name| name == label.into());
            pairs.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value)
        };
        let number = |label| find(label).and_then(Value::as_integer).and_then(|number| i64::try_from(number).ok());
        let bytes = |label| find(label).and_then(Value::as_bytes).ok_or(Refused::Malformed("its key"));
        let coordinate = |label| -> Result<[u8; 32], Refused> {
            bytes(label)?.as_slice().try_into().map_err(|_| Refused::Malformed("its key"))
        };
        match (number(KIND), number(ALGORITHM), number(CURVE)) {
            (Some(2), Some(ES256), Some(1)) => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(&coordinate(X)?);
                point[33..].copy_from_slice(&coordinate(Y)?);
                Ok(Self::P256(point))
            }
            (Some(1), Some(ED_DSA), Some(6)) => Ok(Self::Ed25519(coordinate(X)?)),
            (Some(3), Some(RS256), None) => {
                Ok(Self::Rsa { modulus: bytes(MODULUS)?.clone(), exponent: bytes(EXPONENT)?.clone() })
            }
            _ => Err(Refused::Algorithm),
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let verified = match self {
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        };
        verified.map_err(|_| Refused::Signature)
    }
}
