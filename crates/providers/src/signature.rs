//! Timestamped signatures in one header: `t=<unix seconds>,v1=<hex>[,v1=<hex>…]` as Stripe began, and what others made of it.
//!
//! A signature is the lower-case hexadecimal HMAC-SHA256 over the time, a joint and the body, keyed with the whole text of
//! the secret. While a secret is being replaced there is one signature per secret. Every other part is ignored: Stripe's
//! test events carry a `v0` that proves nothing.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{Reject, Settings, Verified};

/// Seconds that a signature may be old. Every retry is signed afresh, so the window can be narrow. A time in the
/// future is accepted, as most official SDKs do: the clock that is wrong may be ours.
pub const TOLERANCE_SECONDS: i64 = 300;

/// How a provider writes such a header.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// What the parts are apart by.
    separator: char,
    /// The name of the time.
    time: &'static str,
    /// The name of a signature.
    signature: &'static str,
    /// What stands between the time and the body in what is signed.
    joint: &'static str,
}

/// `t=…,v1=…`, signed is `{t}.{body}`.
pub const STRIPE: Scheme = Scheme { separator: ',', time: "t", signature: "v1", joint: "." };

/// `ts=…;h1=…`, signed is `{ts}:{body}`.
pub const PADDLE: Scheme = Scheme { separator: ';', time: "ts", signature: "h1", joint: ":" };

impl Scheme {
    /// Believes a body if any signature of the header is that of any of the secrets.
    pub(crate) fn verify<'a>(
        &self,
        header: Option<&str>,
        body: &'a [u8],
        secrets: &[SecretString],
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Verified<'a>, Reject> {
        let claim = header.and_then(|header| Claim::read(header, self)).map(|claim| {
            let at = claim.at;
            (at, move |secret: &SecretString| claim.is_made_by(&self.signature_of(secret, claim.at_text, body)))
        });
        believe(claim, body, secrets, settings, now)
    }

    /// Makes the header that the provider would send: for the loopback provider of `simulate`, and for tests.
    #[must_use]
    pub fn sign(&self, secret: &SecretString, body: &[u8], at: Timestamp) -> String {
        let at = at.as_second().to_string();
        let signature = self.signature_of(secret, &at, body);
        format!("{}={at}{}{}={signature}", self.time, self.separator, self.signature)
    }

    fn signature_of(&self, secret: &SecretString, at: &str, body: &[u8]) -> String {
        hex::encode(mac(secret, &[at.as_bytes(), self.joint.as_bytes(), body]))
    }
}

/// Makes the header that Stripe would send.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8], at: Timestamp) -> String {
    STRIPE.sign(secret, body, at)
}

/// Believes a body that was signed with any of the secrets, and lately. The claim is when it was signed, in seconds since
/// 1970, and whether it was with a secret, which is compared in constant time.
///
/// The age is judged last, so that only a signature that was right once is ever called stale.
pub(crate) fn believe<'a>(
    claim: Option<(i64, impl Fn(&SecretString) -> bool)>,
    body: &'a [u8],
    secrets: &[SecretString],
    settings: &Settings,
    now: Timestamp,
) -> Result<Verified<'a>, Reject> {
    // Anyone can sign with a blank secret, so it is none.
    let usable = |secret: &SecretString| !secret.expose_secret().trim().is_empty();
    if !secrets.iter().any(usable) {
        return Err(Reject::NoSecret);
    }
    let (at, is_signed_with) = claim.ok_or(Reject::NoSignature)?;
    let secret =
        secrets.iter().position(|secret| usable(secret) && is_signed_with(secret)).ok_or(Reject::WrongSignature)?;
    let age_seconds = now.as_second().saturating_sub(at);
    let tolerance_seconds = settings.tolerance_seconds.map_or(TOLERANCE_SECONDS, i64::from);
    if age_seconds > tolerance_seconds {
        return Err(Reject::Stale { age_seconds, tolerance_seconds });
    }
    Ok(Verified { body, secret })
}

/// The HMAC-SHA256 over some pieces, one after the other.
pub(crate) fn mac(secret: &SecretString, pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().into()
}

/// What a header says.
struct Claim<'h> {
    /// The time as written, which is what was signed.
    at_text: &'h str,
    at: i64,
    signatures: Vec<&'h str>,
}

impl<'h> Claim<'h> {
    /// Reads a header. Without exactly one time or without any signature it is none.
    ///
    /// Of two times the official SDKs disagree which counts (Stripe's for Node takes the last, the one for Python the first)
    /// and nobody sends two, so such a header is malformed. A blank after a separator makes the next name an unknown one,
    /// as in the SDKs.
    fn read(header: &'h str, scheme: &Scheme) -> Option<Self> {
        let mut times = Vec::new();
        let mut signatures = Vec::new();
        for (name, value) in header.split(scheme.separator).filter_map(|part| part.split_once('=')) {
            if name == scheme.time {
                times.push(value);
            } else if name == scheme.signature {
                signatures.push(value);
            }
        }
        let [at_text] = times[..] else { return None };
        let digits = !at_text.is_empty() && at_text.bytes().all(|byte| byte.is_ascii_digit());
        let at = at_text.parse().ok().filter(|_| digits)?;
        (!signatures.is_empty()).then_some(Self { at_text, at, signatures })
    }

    /// Compares in constant time, and as text: an upper-case signature is not the one that is sent.
    fn is_made_by(&self, expected: &str) -> bool {
        let is_expected = |signature: &&str| bool::from(signature.as_bytes().ct_eq(expected.as_bytes()));
        self.signatures.iter().any(is_expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = "{\"id\":\"evt_1\",\"note\":\"ünïcødé ✓\"}".as_bytes();
    const NOW: i64 = 1_790_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn secrets(texts: &[&str]) -> Vec<SecretString> {
        texts.iter().map(|text| SecretString::from(*text)).collect()
    }

    const SCHEMES: [Scheme; 2] = [STRIPE, PADDLE];

    /// The signature of the body under a secret at a moment.
    fn signature(scheme: Scheme, secret: &str, second: i64) -> String {
        scheme.signature_of(&SecretString::from(secret), &second.to_string(), BODY)
    }

    fn judged(scheme: Scheme, header: Option<&str>, texts: &[&str]) -> Result<usize, Reject> {
        scheme.verify(header, BODY, &secrets(texts), &Settings::default(), at(NOW)).map(|verified| verified.secret)
    }

    #[test]
    fn the_signature_is_the_one_that_stripe_computes() {
        // Computed by stripe 16.1.0 (PyPI): WebhookSignature.generate_signature_header.
        let secret = SecretString::from("whsec_vector");
        let header = sign(&secret, br#"{"id":"evt_1"}"#, at(1_700_000_000));
        assert_eq!(header, "t=1700000000,v1=c6014fd4b390b4bc9c887a309c78277b7c4c562fbe61a9e713bfc5da054789da");
    }

    #[test]
    fn the_signature_is_the_one_that_paddle_computes() {
        // Computed by paddle-python-sdk 1.16.1 (PyPI): PaddleSignature.calculate_hmac.
        let header =
            PADDLE.sign(&SecretString::from("pdl_ntfset_vector"), br#"{"event_id":"evt_1"}"#, at(1_700_000_000));
        assert_eq!(header, "ts=1700000000;h1=2948ca73e3e637e5ce6d1157f525307f76bfefcb5eb198a5f294f7067d9ca41f");
    }

    /// What it is, the header as Stripe writes it, the connection's secrets, and which of them matched. NEW and OLD are the signatures of
    /// the body under the secrets `new` and `old`, FAKE is a signature of nothing, `_` is a blank secret.
    const CALLS: &str = "
        one secret                        | t=NOW,v1=NEW           | new     | 0
        the signature before the time     | v1=NEW,t=NOW           | new     | 0
        rolled at Stripe, not yet here    | t=NOW,v1=NEW,v1=OLD    | old     | 0
        rolled here, not yet at Stripe    | t=NOW,v1=OLD           | new old | 1
        both know both                    | t=NOW,v1=OLD,v1=NEW    | new old | 0
        a good one after a bad one        | t=NOW,v1=FAKE,v1=NEW   | new     | 0
        the fake scheme beside it         | t=NOW,v1=NEW,v0=FAKE   | new     | 0
        unknown parts beside it           | t=NOW,v2=FAKE,v1=NEW,x | new     | 0
        a blank secret is passed over     | t=NOW,v1=NEW           | _ new   | 1
        signed under the fake scheme only | t=NOW,v0=NEW           | new     | malformed
        a blank after the separator       | t=NOW, v1=NEW          | new     | malformed
        no time                           | v1=NEW                 | new     | malformed
        two times                         | t=NOW,t=NOW,v1=NEW     | new     | malformed
        a time that is no number          | t=now,v1=NEW           | new     | malformed
        a time with a sign                | t=+NOW,v1=NEW          | new     | malformed
        a time beyond all bounds          | t=NOW0000000000,v1=NEW | new     | malformed
        an empty header                   |                        | new     | malformed
        another secret                    | t=NOW,v1=NEW           | other   | wrong
        another time                      | t=1,v1=NEW             | new     | wrong
        upper case                        | t=NOW,v1=UPPER         | new     | wrong
        more than the signature           | t=NOW,v1=NEW0          | new     | wrong
        an empty signature                | t=NOW,v1=              | new     | wrong
        signed with a blank secret        | t=NOW,v1=BLANK         | _       | no secret
        no secret                         | t=NOW,v1=NEW           |         | no secret";

    /// A header in the notation of a scheme.
    fn written(scheme: Scheme, header: &str) -> String {
        let part = |part: &str| match part.split_once('=') {
            Some(("t", value)) => format!("{}={value}", scheme.time),
            Some(("v1", value)) => format!("{}={value}", scheme.signature),
            _ => part.to_owned(),
        };
        header.split(',').map(part).collect::<Vec<_>>().join(&scheme.separator.to_string())
    }

    #[test]
    fn a_call_is_believed_if_any_signature_is_of_any_secret() {
        for (scheme, call) in SCHEMES.iter().flat_map(|scheme| CALLS.lines().map(move |line| (*scheme, line))) {
            let cells: Vec<&str> = call.split('|').map(str::trim).collect();
            let [_, header, texts, outcome] = cells[..] else { continue };
            let header = written(scheme, header)
                .replace("NOW", &NOW.to_string())
                .replace("NEW", &signature(scheme, "new", NOW))
                .replace("OLD", &signature(scheme, "old", NOW))
                .replace("BLANK", &signature(scheme, "", NOW))
                .replace("UPPER", &signature(scheme, "new", NOW).to_uppercase())
                .replace("FAKE", &"0".repeat(64));
            let texts: Vec<&str> = texts.split_whitespace().map(|text| text.trim_matches('_')).collect();
            let expected = match outcome {
                "malformed" => Err(Reject::NoSignature),
                "wrong" => Err(Reject::WrongSignature),
                "no secret" => Err(Reject::NoSecret),
                place => Ok(place.parse().expect("a place")),
            };
            assert_eq!(judged(scheme, Some(&header), &texts), expected, "{header}: {call}");
        }
        for scheme in SCHEMES {
            assert_eq!(judged(scheme, None, &["new"]), Err(Reject::NoSignature), "no header");
        }
    }

    #[test]
    fn the_header_of_one_provider_is_none_of_the_other() {
        for (signing, judging) in [(STRIPE, PADDLE), (PADDLE, STRIPE)] {
            let header = signing.sign(&SecretString::from("s"), BODY, at(NOW));
            assert_eq!(judged(judging, Some(&header), &["s"]), Err(Reject::NoSignature), "{header}");
        }
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_and_may_come_from_the_future() {
        let stale = |age_seconds| Err(Reject::Stale { age_seconds, tolerance_seconds: 300 });
        for (age, expected) in
            [(0, Ok(0)), (300, Ok(0)), (301, stale(301)), (86_400, stale(86_400)), (-3_600, Ok(0)), (NOW, stale(NOW))]
        {
            for scheme in SCHEMES {
                let header = scheme.sign(&SecretString::from("s"), BODY, at(NOW - age));
                assert_eq!(judged(scheme, Some(&header), &["s"]), expected, "age {age}");
            }
        }
    }

    #[test]
    fn a_connection_may_say_how_old_a_signature_may_be() {
        for scheme in SCHEMES {
            let header = scheme.sign(&SecretString::from("s"), BODY, at(NOW - 60));
            for (tolerance_seconds, believed) in [(59, false), (60, true), (3_600, true)] {
                let settings = Settings { tolerance_seconds: Some(tolerance_seconds), ..Settings::default() };
                let outcome = scheme.verify(Some(&header), BODY, &secrets(&["s"]), &settings, at(NOW));
                assert_eq!(outcome.is_ok(), believed, "{tolerance_seconds} seconds");
            }
        }
    }

    #[test]
    fn a_changed_body_is_refused() {
        for scheme in SCHEMES {
            let header = scheme.sign(&SecretString::from("s"), BODY, at(NOW));
            for changed in [&BODY[1..], &BODY[..BODY.len() - 1], b"".as_slice(), b"{\"id\": \"evt_1\"}"] {
                let outcome =
                    scheme.verify(Some(&header), changed, &secrets(&["s"]), &Settings::default(), at(NOW)).map(|_| ());
                assert_eq!(outcome, Err(Reject::WrongSignature));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_and_no_body_makes_it_panic(
            header in "(t=|v1=|v0=|ts=|h1=|,|;|=| |[0-9]{1,40}|[a-f]{1,70}|\\PC){0,20}",
            body: Vec<u8>,
            second in 0i64..=4_000_000_000,
        ) {
            for scheme in SCHEMES {
                let outcome = scheme.verify(Some(&header), &body, &secrets(&["s"]), &Settings::default(), at(second));
                proptest::prop_assert!(outcome.is_err());
            }
        }

        #[test]
        fn what_is_signed_is_believed(secret in "\\PC{1,40}[a-z]", body: Vec<u8>, second in 0i64..=4_000_000_000) {
            for scheme in SCHEMES {
                let header = scheme.sign(&SecretString::from(secret.clone()), &body, at(second));
                let outcome = scheme.verify(Some(&header), &body, &secrets(&[&secret]), &Settings::default(), at(second));
                proptest::prop_assert_eq!(outcome.expect("its own signature").body(), &body[..]);
            }
        }
    }
}
