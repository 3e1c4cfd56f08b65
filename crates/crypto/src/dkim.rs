//! Keys that vouch for mails (DKIM: RFC 6376, RFC 8463).
//!
//! ring is here for RSA, which is what every receiver verifies; it is in the house for TLS anyway.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};

/// `rsaEncryption` without parameters (RFC 8017 appendix A.1), as DER.
const RSA_ENCRYPTION: [u8; 15] = [48, 13, 6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 1, 5, 0];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DkimKeyError {
    /// The text is no private key in PEM.
    #[error("it holds no private key in PEM; `openssl genrsa -out dkim.pem 2048` makes one")]
    Pem,
    /// The key is of another kind or size.
    #[error("the key is neither RSA of 2048 to 4096 bits nor Ed25519: {0}")]
    Kind(String),
    /// The key does not work.
    #[error("the DKIM key does not sign; make a new one")]
    Broken,
}

/// A private key that signs mails. Its text is shown nowhere.
pub struct DkimKey(Kind);

enum Kind {
    Rsa(Box<rsa::KeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl DkimKey {
    /// Reads `PRIVATE KEY` (PKCS #8, RSA or Ed25519) or `RSA PRIVATE KEY` (PKCS #1).
    ///
    /// # Errors
    /// What keeps it from being used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, DkimKeyError> {
        let unfit = |error: ring::error::KeyRejected| DkimKeyError::Kind(error.to_string());
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| DkimKeyError::Pem)? {
            PrivateKeyDer::Pkcs1(der) => {
                let key = rsa::KeyPair::from_der(der.secret_pkcs1_der()).map_err(unfit)?;
                Ok(Self(Kind::Rsa(Box::new(key))))
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    return Ok(Self(Kind::Ed25519(key)));
                }
                Ok(Self(Kind::Rsa(Box::new(rsa::KeyPair::from_pkcs8(der).map_err(unfit)?))))
            }
            _ => Err(DkimKeyError::Kind("it is an elliptic curve of another kind".to_owned())),
        }
    }

    /// The tag `a=` of what it signs.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Rsa(_) => "rsa-sha256",
            Kind::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// A signature in base64. The same text has the same one.
    ///
    /// # Errors
    /// [`DkimKeyError::Broken`].
    pub fn sign(&self, text: &[u8]) -> Result<String, DkimKeyError> {
        match &self.0 {
            Kind::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // Randomness hides how long the calculation takes and does not get into the result.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
                    .map_err(|_| DkimKeyError::Broken)?;
                Ok(STANDARD.encode(signature))
            }
            // RFC 8463 section 3: the hash is what is signed.
            Kind::Ed25519(key) => Ok(STANDARD.encode(key.sign(&Sha256::digest(text)))),
        }
    }

    /// What receivers look up: the value of the TXT record.
    #[must_use]
    pub fn record(&self) -> String {
        match &self.0 {
            Kind::Rsa(key) => format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public(key.public().as_ref()))),
            Kind::Ed25519(key) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key())),
        }
    }
}

impl std::fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DkimKey").field(&self.algorithm()).finish()
    }
}

/// RFC 6376 asks for the bare key, and its own example shows it wrapped up, as everybody publishes and reads it.
fn public(bare: &[u8]) -> Vec<u8> {
    let bits = element(BIT_STRING, &[&[0], bare].concat());
    element(SEQUENCE, &[&RSA_ENCRYPTION[..], &bits].concat())
}

/// An element of DER: its tag, its length, its content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length[1..].iter().zip(&length).take_while(|(_, digit)| **digit == 0).count();
    let digits = &length[zeros..];
    let mut whole = vec![tag];
    match digits {
        [short] if *short < 128 => whole.push(*short),
        digits => {
            // At most eight digits.
            whole.push(0x80 | digits.len() as u8);
            whole.extend(digits);
        }
    }
    whole.extend(content);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8463 appendix A, wrapped up as OpenSSL does.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    #[test]
    fn the_key_of_the_standard_has_the_record_of_the_standard() {
        let key = DkimKey::from_pem(ED25519.as_bytes()).expect("a key");
        assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert_eq!(key.algorithm(), "ed25519-sha256");
        assert_eq!(format!("{key:?}"), r#"DkimKey("ed25519-sha256")"#);
    }

    #[test]
    fn what_is_no_key_says_what_is_asked_for() {
        assert_eq!(DkimKey::from_pem(b"v=DKIM1").unwrap_err(), DkimKeyError::Pem);
        let cut = ED25519.replace("MC4CAQAwBQYDK2Vw", "MC4CAQAwBQYDK2Vx");
        let Err(DkimKeyError::Kind(_)) = DkimKey::from_pem(cut.as_bytes()) else { panic!("another curve") };
    }

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        assert_eq!(element(3, &[7]), [3, 1, 7]);
        assert_eq!(element(3, &[0; 127])[..2], [3, 127]);
        assert_eq!(element(3, &[0; 128])[..3], [3, 0x81, 128]);
        assert_eq!(element(3, &[0; 270])[..4], [3, 0x82, 1, 14]);
        assert_eq!(element(3, &[]), [3, 0]);
    }
}
