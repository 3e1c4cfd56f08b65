//! `X-Signature`: the lower-case hexadecimal HMAC-SHA256 over the body, keyed with the text of the secret. No time is signed.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{Reject, Verified};

/// Believes a body if the header is its signature under any of the secrets.
pub(super) fn verify<'a>(
    header: Option<&str>,
    body: &'a [u8],
    secrets: &[SecretString],
) -> Result<Verified<'a>, Reject> {
    // Anyone can sign with a blank secret, so it is none.
    let usable = |secret: &SecretString| !secret.expose_secret().trim().is_empty();
    if !secrets.iter().any(usable) {
        return Err(Reject::NoSecret);
    }
    let claimed = header.map(str::trim).filter(|header| !header.is_empty()).ok_or(Reject::NoSignature)?;
    let is_signed_with = |secret: &SecretString| bool::from(sign(secret, body).as_bytes().ct_eq(claimed.as_bytes()));
    let secret = secrets.iter().position(|secret| usable(secret) && is_signed_with(secret));
    secret.map(|secret| Verified { body, secret }).ok_or(Reject::WrongSignature)
}

/// Makes the header that is believed: for the loopback provider of `simulate`, and for tests.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
