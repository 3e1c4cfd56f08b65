//! A device for tests that makes passkeys and uses them, as honestly or not as it is told.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use sha2::{Digest, Sha256};

use super::{Made, RelyingParty, Used};

/// A device with one passkey in it.
pub struct Device {
    key: EcdsaKeyPair,
    /// How its browser finds it.
    pub credential_id: Vec<u8>,
    /// How often it signed; 0: it does not count.
    pub counter: u32,
    /// Whether it checks who uses it.
    pub is_verifying: bool,
}

impl Device {
    /// A device that counts, and checks who uses it.
    ///
    /// # Panics
    /// The machine gives no randomness.
    #[must_use]
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key is made");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("it was made just now");
        let credential_id = Sha256::digest(key.public_key()).to_vec();
        Self { key, credential_id, counter: 1, is_verifying: true }
    }

    fn flags(&self) -> u8 {
        if self.is_verifying { 0b101 } else { 0b001 }
    }

    fn said(&self, party: &RelyingParty, flags: u8) -> Vec<u8> {
        [&Sha256::digest(&party.id)[..], &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// The key as COSE writes it.
    ///
    /// # Panics
    /// Never: what is written fits into memory.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let number = |number: i64| Value::Integer(number.into());
        let map = [
            (number(1), number(2)),
            (number(3), number(-7)),
            (number(-1), number(1)),
            (number(-2), Value::Bytes(point[1..33].to_vec())),
            (number(-3), Value::Bytes(point[33..].to_vec())),
        ];
        written(&Value::Map(map.to_vec()))
    }

    /// Makes the passkey on a page of a site that has given this challenge.
    ///
    /// # Panics
    /// Never: its id is short.
    #[must_use]
    pub fn make(&self, party: &RelyingParty, challenge: &[u8]) -> Made {
        let length = u16::try_from(self.credential_id.len()).expect("ids are short");
        let said = [
            &self.said(party, self.flags() | 0b100_0000)[..],
            &[0; 16],
            &length.to_be_bytes(),
            &self.credential_id,
            &self.public_key(),
        ];
        let text = |text: &str| Value::Text(text.to_owned());
        let map = vec![
            (text("fmt"), text("none")),
            (text("attStmt"), Value::Map(Vec::new())),
            (text("authData"), Value::Bytes(said.concat())),
        ];
        Made { client_data: seen("webauthn.create", party, challenge), attestation: written(&Value::Map(map)) }
    }

    /// Uses it.
    ///
    /// # Panics
    /// The machine gives no randomness.
    #[must_use]
    pub fn sign(&self, party: &RelyingParty, challenge: &[u8]) -> Used {
        let (client_data, authenticator_data) =
            (seen("webauthn.get", party, challenge), self.said(party, self.flags()));
        let signed = [&authenticator_data[..], &Sha256::digest(&client_data)].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("it signs").as_ref().to_vec();
        Used { client_data, authenticator_data, signature }
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

fn seen(kind: &str, party: &RelyingParty, challenge: &[u8]) -> Vec<u8> {
    let (challenge, origin) = (URL_SAFE_NO_PAD.encode(challenge), &party.origin);
    serde_json::json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false })
        .to_string()
        .into_bytes()
}

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("memory takes it");
    bytes
}
