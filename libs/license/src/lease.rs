//! Leases: signed statements of the server that a license is good on a device for some time.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signature;
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};

use crate::Jwks;

/// How far the device's clock may be behind the server's: a lease is taken this long before it starts.
pub const NOT_BEFORE_SKEW_SECONDS: i64 = 300;

/// What the app expects a lease to be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The product, by the id or code that the app activates with.
    pub audience: &'a str,
    /// The fingerprint of this device, exactly as it was given at activation.
    pub device: &'a str,
}

/// A lease that was verified. All times are whole seconds since 1970, UTC.
///
/// Fields that a newer server adds are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// The server that signed it.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The license's id.
    #[serde(rename = "sub")]
    pub license: String,
    /// The product.
    #[serde(rename = "aud")]
    pub audience: String,
    /// The activation's id: which use of the license this is.
    #[serde(rename = "jti")]
    pub activation: String,
    /// When it was signed. Keep the largest: an honest clock is never well before it.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// From when on it holds.
    #[serde(rename = "nbf")]
    pub valid_from: i64,
    /// From when on it holds no more.
    #[serde(rename = "exp")]
    pub valid_until: i64,
    /// The vendor's id.
    pub tenant: String,
    /// The fingerprint of the device.
    pub device: String,
    /// The code of the plan.
    pub plan: String,
    /// The codes of what the license includes.
    #[serde(default)]
    pub features: Vec<String>,
    /// How much of something the license includes.
    #[serde(default)]
    pub limits: BTreeMap<String, i64>,
    /// When the license itself ends; nothing if it does not.
    #[serde(default)]
    pub license_until: Option<i64>,
    /// Until when the license is still good although a payment is due; nothing if there is no grace.
    #[serde(default)]
    pub grace_until: Option<i64>,
    /// When to ask the server for a new lease.
    pub recheck_after: i64,
    /// The state of the license; of a verified lease always `active`.
    pub state: String,
    /// Whether a payment is past due and the license may end soon.
    #[serde(default)]
    pub at_risk: bool,
}

/// Why a lease does not hold. Nothing of an unverified lease is repeated but the key's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// It is not a JWS in compact form, or what was signed is not a lease.
    #[error("this is not a lease, or it is damaged; ask the server for a new one")]
    Malformed,
    /// It is signed by another algorithm than EdDSA, or not at all.
    #[error("the lease is not signed with EdDSA; only leases of the license server are taken")]
    Algorithm,
    /// It is another kind of token than `license+jwt`.
    #[error("this is a token of another type, not a lease")]
    Type,
    /// It demands an extension (`crit`) that this version does not know.
    #[error("the lease needs a newer version of this app")]
    Critical,
    /// The key that signed it is not in the key set.
    #[error("the lease is signed by the key `{kid}`, which is not in the key set; fetch /.well-known/jwks.json again")]
    UnknownKey {
        /// The id that the lease names, empty if it names none.
        kid: String,
    },
    /// The signature is wrong.
    #[error("the lease was changed, or not signed by the license server; ask the server for a new one")]
    Signature,
    /// It is for another product.
    #[error("the lease is for the product `{found}`, not for this one")]
    Audience {
        /// The product it is for.
        found: String,
    },
    /// It is for another device.
    #[error("the lease is for another device; activate the license on this one")]
    Device {
        /// The fingerprint it is for.
        found: String,
    },
    /// It says that the license is not good.
    #[error("the license is {state}; see the license page for the reason")]
    NotActive {
        /// The state it names.
        state: String,
    },
    /// It does not hold yet: the device's clock is behind.
    #[error("the lease does not hold yet; set the clock of this device")]
    NotYet {
        /// From when on it holds, in seconds since 1970.
        from: i64,
    },
    /// It holds no more.
    #[error("the lease has expired; connect to the internet to get a new one")]
    Expired {
        /// When it ended, in seconds since 1970.
        at: i64,
    },
}

/// Verifies a lease and gives what it says.
///
/// `now` is in whole seconds since 1970. A lease holds from [`NOT_BEFORE_SKEW_SECONDS`] before its start
/// until just before its end.
///
/// # Errors
/// A [`LeaseError`], the first that applies in this order: form, algorithm, type, key, signature, product,
/// device, state, start, end. So an expired lease is known to be genuine and meant for this device.
pub fn verify_lease(token: &str, keys: &Jwks, now: i64, expected: Expected<'_>) -> Result<Lease, LeaseError> {
    let payload = verified_payload(token, keys)?;
    let lease: Lease = decode(payload).ok_or(LeaseError::Malformed)?;
    if lease.audience != expected.audience {
        return Err(LeaseError::Audience { found: lease.audience });
    }
    if lease.device != expected.device {
        return Err(LeaseError::Device { found: lease.device });
    }
    if lease.state != "active" {
        return Err(LeaseError::NotActive { state: lease.state });
    }
    if now.saturating_add(NOT_BEFORE_SKEW_SECONDS) < lease.valid_from {
        return Err(LeaseError::NotYet { from: lease.valid_from });
    }
    if now >= lease.valid_until {
        return Err(LeaseError::Expired { at: lease.valid_until });
    }
    Ok(lease)
}

/// The encoded payload of a token that one of the keys signed.
fn verified_payload<'a>(token: &'a str, keys: &Jwks) -> Result<&'a str, LeaseError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(LeaseError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(LeaseError::Malformed)?;
    let header: Header = decode(header).ok_or(LeaseError::Malformed)?;
    // The algorithm is ours to choose, not the token's: anything else ends here.
    if header.alg != "EdDSA" {
        return Err(LeaseError::Algorithm);
    }
    if header.typ.as_deref() != Some("license+jwt") {
        return Err(LeaseError::Type);
    }
    if header.crit.is_some() {
        return Err(LeaseError::Critical);
    }
    let key = keys.find(&header.kid).ok_or(LeaseError::UnknownKey { kid: header.kid })?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .ok_or(LeaseError::Malformed)?;
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| LeaseError::Signature)?;
    Ok(payload)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    #[serde(default)]
    kid: String,
    crit: Option<IgnoredAny>,
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
