//! `X-Appsumo-Signature`: the lower-case hexadecimal HMAC-SHA256 of the text of `X-Appsumo-Timestamp` and the body, one
//! right after the other, keyed with the API key.

use jiff::Timestamp;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use crate::{Delivery, Reject, Settings, Verified, read, signature};

/// The header that says when it was signed.
const TIMESTAMP: &str = "x-appsumo-timestamp";
/// The header that has the signature.
const SIGNATURE: &str = "x-appsumo-signature";

pub(super) fn verify<'a>(
    delivery: &Delivery<'a>,
    secrets: &[SecretString],
    settings: &Settings,
    now: Timestamp,
) -> Result<Verified<'a>, Reject> {
    let body = delivery.body;
    let claim = Claim::read(delivery)
        .map(|claim| (claim.at.as_second(), move |secret: &SecretString| claim.is_signed_with(secret, body)));
    signature::believe(claim, body, secrets, settings, now)
}

/// The headers that [`crate::appsumo::AppSumo`] believes: for tests and the loopback provider.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8], at: Timestamp) -> Vec<(&'static str, String)> {
    let at = at.as_millisecond().to_string();
    let signature = hex::encode(signature::mac(secret, &[at.as_bytes(), body]));
    vec![(TIMESTAMP, at), (SIGNATURE, signature)]
}

struct Claim<'h> {
    /// The time as written, which is what was signed.
    at_text: &'h str,
    at: Timestamp,
    signature: &'h str,
}

impl<'h> Claim<'h> {
    /// AppSumo does not say whether the time is in seconds or milliseconds, so both are taken.
    fn read(delivery: &Delivery<'h>) -> Option<Self> {
        let (at_text, signature) = ((delivery.header)(TIMESTAMP)?, (delivery.header)(SIGNATURE)?);
        let is_number = !at_text.is_empty() && at_text.bytes().all(|byte| byte.is_ascii_digit());
        let at = at_text.parse().ok().filter(|_| is_number).and_then(read::moment_of)?;
        (!signature.is_empty()).then_some(Self { at_text, at, signature })
    }

    fn is_signed_with(&self, secret: &SecretString, body: &[u8]) -> bool {
        let expected = hex::encode(signature::mac(secret, &[self.at_text.as_bytes(), body]));
        self.signature.as_bytes().ct_eq(expected.as_bytes()).into()
    }
}
