//! The set of public keys that an app trusts.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

/// Why a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is not the JSON of a key set.
    #[error("this is not a JSON Web Key Set; use the answer of /.well-known/jwks.json unchanged")]
    Malformed,
    /// One of its Ed25519 keys is damaged.
    #[error("the Ed25519 key `{kid}` of the key set is damaged; fetch /.well-known/jwks.json again")]
    Key {
        /// The id of the key, empty if it has none.
        kid: String,
    },
    /// It has no Ed25519 key.
    #[error("the key set has no Ed25519 key for signatures; fetch /.well-known/jwks.json of the license server")]
    Empty,
}

/// The public keys that an app trusts, each found by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    keys: Vec<(String, VerifyingKey)>,
}

impl Jwks {
    /// Reads a JSON Web Key Set (RFC 7517). Keys of other kinds and for other uses are passed over.
    ///
    /// # Errors
    /// A [`JwksError`] if it is no key set, an Ed25519 key in it is damaged, or it has none.
    pub fn parse(json: &str) -> Result<Self, JwksError> {
        let set: Set = serde_json::from_str(json).map_err(|_| JwksError::Malformed)?;
        let keys = set.keys.into_iter().filter(Jwk::is_for_leases).map(Jwk::read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(JwksError::Empty);
        }
        Ok(Self { keys })
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|(id, _)| id == kid).map(|(_, key)| key)
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    kid: String,
    #[serde(rename = "use")]
    use_: Option<String>,
    alg: Option<String>,
}

impl Jwk {
    fn is_for_leases(&self) -> bool {
        let absent_or = |field: &Option<String>, value| field.as_deref().is_none_or(|it| it == value);
        self.kty == "OKP" && self.crv == "Ed25519" && absent_or(&self.use_, "sig") && absent_or(&self.alg, "EdDSA")
    }

    fn read(self) -> Result<(String, VerifyingKey), JwksError> {
        let key = URL_SAFE_NO_PAD
            .decode(&self.x)
            .ok()
            .and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok())
            .filter(|key| !key.is_weak() && !self.kid.is_empty());
        match key {
            Some(key) => Ok((self.kid, key)),
            None => Err(JwksError::Key { kid: self.kid }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn one(key: &str) -> String {
        format!(r#"{{"keys": [{key}]}}"#)
    }

    #[test]
    fn ed25519_keys_are_found_by_their_id() {
        let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"a"}}"#);
        let others = r#"{"kty":"RSA","n":"AQ","e":"AQAB","kid":"r"}, {"kty":"OKP","crv":"X25519","x":"AA","kid":"x"}"#;
        let keys = Jwks::parse(&one(&format!("{others}, {good}"))).unwrap();
        assert!(keys.find("a").is_some() && keys.find("r").is_none() && keys.find("x").is_none());
    }

    #[test]
    fn what_is_refused() {
        let with = |fields: &str| one(&format!(r#"{{"kty":"OKP","crv":"Ed25519",{fields}}}"#));
        let damaged = |kid: &str| JwksError::Key { kid: kid.to_owned() };
        let weak = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (json, expected) in [
            ("".to_owned(), JwksError::Malformed),
            ("[]".to_owned(), JwksError::Malformed),
            (r#"{"keys": []}"#.to_owned(), JwksError::Empty),
            (one(r#"{"kty":"RSA","n":"AQ","e":"AQAB"}"#), JwksError::Empty),
            (with(&format!(r#""x":"{X}","kid":"a","use":"enc""#)), JwksError::Empty),
            (with(r#""x":"AAAA","kid":"short""#), damaged("short")),
            (with(&format!(r#""x":"{X}=","kid":"padded""#)), damaged("padded")),
            (with(&format!(r#""x":"{weak}","kid":"weak""#)), damaged("weak")),
            (with(&format!(r#""x":"{X}""#)), damaged("")),
        ] {
            assert_eq!(Jwks::parse(&json).unwrap_err(), expected, "{json}");
        }
    }
}
