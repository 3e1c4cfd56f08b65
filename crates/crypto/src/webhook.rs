//! Signatures of the webhooks that we send: those of Standard Webhooks, and those of the document behind D20 and D22.
//!
//! A secret is `whsec_` and 24 to 64 bytes in base64 (Standard Webhooks 1.0.0, "Signature scheme"). While one replaces
//! another each of them signs, so that a receiver that knows either believes the call.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Entropy;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

const PREFIX: &str = "whsec_";
/// Bytes of a secret that we make.
const BYTES: usize = 32;
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;

/// The text is not a secret. What was given is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is `whsec_` and {BYTES_MIN} to {BYTES_MAX} bytes in base64; leave it out and one is made")]
pub struct WebhookSecretError;

/// What signs webhooks that we send. It prints only a mask, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    text: Zeroizing<String>,
    bytes: Zeroizing<Vec<u8>>,
}

impl WebhookSecret {
    /// A new one.
    #[must_use]
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new(vec![0; BYTES]);
        entropy.fill(&mut bytes);
        let mut encoded = STANDARD.encode(&*bytes);
        let text = Zeroizing::new(format!("{PREFIX}{encoded}"));
        encoded.zeroize();
        Self { text, bytes }
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is of another form.
    pub fn parse(text: &str) -> Result<Self, WebhookSecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(WebhookSecretError)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| WebhookSecretError)?);
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) {
            return Err(WebhookSecretError);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), bytes })
    }

    /// The text, to be shown once or sealed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What may be shown of it, to tell it from others.
    #[must_use]
    pub fn masked(&self) -> String {
        let tail = self.text.len().saturating_sub(4);
        format!("{PREFIX}…{}", self.text.get(tail..).unwrap_or_default())
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// What is sealed with an address to which webhooks go: the secrets that sign, and headers that go along, which may be
/// secret themselves.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecrets {
    /// The newest first.
    pub secrets: Vec<SigningSecret>,
    /// Names and values, as a person gave them.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// What is sealed with a way by which alerts reach people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTarget {
    /// An e-mail address, or the address that is called, which may hold a token.
    pub to: String,
    /// What signs the calls, where calls are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<WebhookSecret>,
}

/// A secret, and how long it signs beside the one that replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecret {
    /// The secret.
    pub secret: WebhookSecret,
    /// Microseconds since 1970 at which it signs no more; none: it is the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// Names of headers are shown, and of secrets their masks.
impl fmt::Debug for EndpointSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("EndpointSecrets").field("secrets", &self.secrets).field("headers", &names).finish()
    }
}

impl EndpointSecrets {
    /// Those that sign at a moment, in microseconds since 1970.
    #[must_use]
    pub fn live(&self, at: i64) -> Vec<WebhookSecret> {
        let is_live = |secret: &&SigningSecret| secret.until.is_none_or(|until| at < until);
        self.secrets.iter().filter(is_live).map(|signing| signing.secret.clone()).collect()
    }

    /// Puts a secret in the place of the current one, which goes on signing until then. What signs no more is dropped.
    pub fn replace(&mut self, secret: WebhookSecret, now: i64, until: i64) {
        self.secrets.retain(|signing| signing.until.is_none_or(|until| now < until));
        for signing in &mut self.secrets {
            signing.until = Some(signing.until.map_or(until, |before| before.min(until)));
        }
        self.secrets.insert(0, SigningSecret { secret, until: None });
    }
}

impl Serialize for WebhookSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for WebhookSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over id, time and body, one for each secret.
#[must_use]
pub fn standard(secrets: &[WebhookSecret], id: &str, at_seconds: i64, body: &[u8]) -> String {
    let at = at_seconds.to_string();
    let signed = |secret: &WebhookSecret| {
        format!("v1,{}", STANDARD.encode(mac(&secret.bytes, &[id.as_bytes(), b".", at.as_bytes(), b".", body])))
    };
    secrets.iter().map(signed).collect::<Vec<_>>().join(" ")
}

/// The value of `X-Keylight-Signature` (D22): `t=<unix seconds>` and `v1=<hex>` for each secret, the HMAC-SHA256 over time and
/// body, keyed with the whole text of the secret.
#[must_use]
pub fn keylight(secrets: &[WebhookSecret], at_seconds: i64, body: &[u8]) -> String {
    let at = at_seconds.to_string();
    let mut header = format!("t={at}");
    for secret in secrets {
        header.push_str(",v1=");
        for byte in mac(secret.text.as_bytes(), &[at.as_bytes(), b".", body]) {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of every length");
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_secret_has_its_form_and_shows_only_its_end() {
        let made = WebhookSecret::generate(&mut Seeded::new("webhook"));
        assert_eq!(WebhookSecret::parse(made.reveal()), Ok(made.clone()));
        assert!(!format!("{made:?}").contains(&made.reveal()[6..12]), "{made:?}");
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"] {
            assert_eq!(WebhookSecret::parse(wrong), Err(WebhookSecretError), "{wrong}");
        }
        let kept = EndpointSecrets { secrets: Vec::new(), headers: vec![("Authorization".into(), "Bearer 1".into())] };
        assert_eq!(format!("{kept:?}"), r#"EndpointSecrets { secrets: [], headers: ["Authorization"] }"#);
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        assert_eq!(WebhookSecret::parse(&long), Err(WebhookSecretError));
    }

    #[test]
    fn a_secret_that_is_replaced_signs_on_for_a_while() {
        let secret = |name| WebhookSecret::generate(&mut Seeded::new(name));
        let mut kept = EndpointSecrets::default();
        kept.replace(secret("first"), 0, 10);
        assert_eq!(kept.live(0), [secret("first")]);
        kept.replace(secret("second"), 5, 10);
        assert_eq!((kept.live(9), kept.live(10)), (vec![secret("second"), secret("first")], vec![secret("second")]));
        // Replaced once more, none signs longer than it was to.
        kept.replace(secret("third"), 8, 20);
        assert_eq!(kept.live(9).len(), 3);
        assert_eq!(kept.live(15), [secret("third"), secret("second")]);
        let written = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<EndpointSecrets>(&written).unwrap(), kept);
        kept.replace(secret("fourth"), 30, 40);
        assert_eq!(kept.secrets.len(), 2);
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let body = br#"{"test": 2432232314}"#;
        // Computed a second time with Python's hmac and base64.
        let signed = standard(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = standard(&[secret.clone(), secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(two, format!("{signed} {signed}"));
    }

    #[test]
    fn the_documents_header_has_the_time_and_a_signature_for_each_secret() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let header = keylight(&[secret.clone(), secret], 1_614_265_330, b"{}");
        let parts: Vec<&str> = header.split(',').collect();
        assert_eq!((parts.len(), parts[0]), (3, "t=1614265330"));
        assert_eq!(parts[1], parts[2]);
        assert_eq!(parts[1], "v1=f0350121c22e0191dba7cbf90fa37bdb0dcf44bb6e9a1e1ef2e47d6191282643");
    }
}
