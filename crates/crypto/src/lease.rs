//! Leases: signed proofs that an app keeps, so that it works while it cannot reach the server.
//!
//! A lease is a JWS in compact form (RFC 7515) with the algorithm EdDSA (RFC 8037) and the type
//! `license+jwt`, so that no other token of the same key passes for one. Its `kid` is the key's
//! RFC 7638 thumbprint: it follows from the key, and nobody has to keep the two together.
//! Verification is in the crate `keywright-license`; both pass `sdks/vectors.json`.

use std::{collections::BTreeMap, fmt};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::{
    Entropy,
    id::{ActivationId, LicenseId, TenantId},
};
use ed25519_dalek::{Signer, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The bytes are not an Ed25519 public key that is safe to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are not a usable Ed25519 public key; the stored key is damaged")]
pub struct PublicKeyError;

/// What a lease says. All times are whole seconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseClaims {
    /// Who signed: the address of the server.
    pub iss: String,
    /// The license.
    pub sub: LicenseId,
    /// The product the lease is for: its id or code, as the app knows it.
    pub aud: String,
    /// The activation that the lease belongs to.
    pub jti: ActivationId,
    /// When it was signed.
    pub iat: i64,
    /// From when on it holds.
    pub nbf: i64,
    /// From when on it holds no more.
    pub exp: i64,
    /// The vendor.
    pub tenant: TenantId,
    /// The fingerprint of the device, as the app gave it.
    pub device: String,
    /// The code of the plan.
    pub plan: String,
    /// The codes of what the license includes.
    pub features: Vec<String>,
    /// How much of something the license includes. Beyond 2^53 JavaScript would round.
    pub limits: BTreeMap<String, i64>,
    /// When the license itself ends; nothing if it does not.
    pub license_until: Option<i64>,
    /// Until when the license is still good although a payment is due; nothing if there is no grace.
    pub grace_until: Option<i64>,
    /// When the app should ask for a new lease.
    pub recheck_after: i64,
    /// The state of the license.
    pub state: LeaseState,
    /// Whether a payment is past due and the license may end soon.
    pub at_risk: bool,
}

/// The states in which a license gets a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// The license is good.
    Active,
}

/// A key that signs leases. Wiped when dropped; printing shows its id only.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
    /// The encoded header with its dot: the same for every lease of this key.
    header: String,
}

impl SigningKey {
    /// A new key; takes 32 bytes of `entropy`.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut secret[..]);
        Self::from_secret(&secret)
    }

    /// The key of these 32 secret bytes (the seed of RFC 8032). Keep the result: this computes the public key.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(secret);
        let public = PublicKey::of(&key.verifying_key());
        let header = Header { alg: "EdDSA", typ: "license+jwt", kid: &public.kid };
        let header = encode(&header) + ".";
        Self { key, public, header }
    }

    /// The 32 secret bytes, to be sealed and stored.
    pub fn to_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.kid)
    }
}

/// The key with which apps verify leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; 32],
    kid: String,
}

impl PublicKey {
    /// The key of these 32 bytes: one whose secret half may be gone while its leases still hold.
    ///
    /// # Errors
    /// [`PublicKeyError`] if they are no point of the curve, or one of the few weak ones.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError)?;
        (!key.is_weak()).then(|| Self::of(&key)).ok_or(PublicKeyError)
    }

    /// The 32 bytes, to be stored.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.bytes
    }

    /// The id by which leases name the key: its RFC 7638 thumbprint, 43 characters of base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as JSON Web Key (RFC 7517, RFC 8037).
    pub fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP",
            crv: "Ed25519",
            x: URL_SAFE_NO_PAD.encode(self.bytes),
            kid: self.kid.clone(),
            use_: "sig",
            alg: "EdDSA",
        }
    }

    /// The key as PEM (RFC 8410, section 4): what most libraries read from a file.
    pub fn pem(&self) -> String {
        const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let text = STANDARD.encode([&HEAD[..], &self.bytes].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    fn of(key: &VerifyingKey) -> Self {
        let bytes = key.to_bytes();
        // RFC 7638: the required members only, in the order of their names, without white space.
        let x = URL_SAFE_NO_PAD.encode(bytes);
        let required = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(required));
        Self { bytes, kid }
    }
}

/// A public key as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// The family of keys: `OKP`.
    pub kty: &'static str,
    /// The curve: `Ed25519`.
    pub crv: &'static str,
    /// The 32 bytes of the key in base64url.
    pub x: String,
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// What the key is for: `sig`.
    #[serde(rename = "use")]
    pub use_: &'static str,
    /// The algorithm: `EdDSA`.
    pub alg: &'static str,
}

/// The set of keys that `/.well-known/jwks.json` answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// The key set of `keys`, in their order. A retired key stays in it as long as one of its leases may hold.
pub fn jwks(keys: &[PublicKey]) -> Jwks {
    Jwks { keys: keys.iter().map(PublicKey::jwk).collect() }
}

/// Signs a lease. The same key and claims always give the same text.
pub fn sign(key: &SigningKey, claims: &LeaseClaims) -> String {
    let mut token = key.header.clone() + &encode(claims);
    let signature = key.key.sign(token.as_bytes()).to_bytes();
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

fn encode(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("text, numbers and maps with text keys have a JSON form");
    URL_SAFE_NO_PAD.encode(json)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::testing::Seeded;

    pub(crate) fn claims() -> LeaseClaims {
        LeaseClaims {
            iss: "https://licenses.example.com".to_owned(),
            sub: LicenseId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
            aud: "editor".to_owned(),
            jti: ActivationId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002)),
            iat: 1_800_000_000,
            nbf: 1_800_000_000,
            exp: 1_800_604_800,
            tenant: TenantId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003)),
            device: "d3adb33f".to_owned(),
            plan: "pro".to_owned(),
            features: vec!["export".to_owned(), "sync".to_owned()],
            limits: BTreeMap::from([("devices".to_owned(), 3), ("projects".to_owned(), 100)]),
            license_until: Some(1_803_000_000),
            grace_until: Some(1_804_000_000),
            recheck_after: 1_800_086_400,
            state: LeaseState::Active,
            at_risk: false,
        }
    }

    fn decode(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_lease_is_a_jws_that_its_public_key_verifies() {
        let key = SigningKey::generate(&mut Seeded::new("lease"));
        let token = sign(&key, &claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        assert_eq!(decode(header), json!({"alg": "EdDSA", "typ": "license+jwt", "kid": key.public().kid()}));
        assert_eq!(serde_json::from_value::<LeaseClaims>(decode(payload)).unwrap(), claims());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        VerifyingKey::from_bytes(&key.public().to_bytes())
            .unwrap()
            .verify_strict(signed.as_bytes(), &signature.as_slice().try_into().unwrap())
            .unwrap();
    }

    #[test]
    fn the_claims_are_written_as_documented() {
        let mut forever = claims();
        (forever.license_until, forever.grace_until) = (None, None);
        assert_eq!(
            serde_json::to_value(forever).unwrap(),
            json!({
                "iss": "https://licenses.example.com",
                "sub": "lic_01j0000000e008000000000001",
                "aud": "editor",
                "jti": "act_01j0000000e008000000000002",
                "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_604_800,
                "tenant": "ten_01j0000000e008000000000003",
                "device": "d3adb33f",
                "plan": "pro",
                "features": ["export", "sync"],
                "limits": {"devices": 3, "projects": 100},
                "license_until": null,
                "grace_until": null,
                "recheck_after": 1_800_086_400,
                "state": "active",
                "at_risk": false,
            })
        );
    }

    #[test]
    fn the_example_of_rfc_8037_has_its_thumbprint() {
        // Appendix A.1 to A.3.
        let mut secret = [0; 32];
        let d = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        secret.copy_from_slice(&d);
        let key = SigningKey::from_secret(&secret);
        assert_eq!(*key.to_secret(), secret);
        assert_eq!(
            serde_json::to_value(jwks(&[key.public().clone()])).unwrap(),
            json!({"keys": [{
                "kty": "OKP", "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "use": "sig", "alg": "EdDSA",
            }]})
        );
        assert_eq!(format!("{key:?}"), "SigningKey(kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k)");
    }

    #[test]
    fn public_keys_go_both_ways_and_weak_ones_are_refused() {
        let key = SigningKey::generate(&mut Seeded::new("lease"));
        let bytes = key.public().to_bytes();
        assert_eq!(PublicKey::from_bytes(&bytes).as_ref(), Ok(key.public()));
        let (not_a_point, mut identity) = ([2; 32], [0; 32]);
        identity[0] = 1;
        for bad in [not_a_point, identity] {
            assert_eq!(PublicKey::from_bytes(&bad), Err(PublicKeyError));
        }
    }
}
