//! Passwords, and the codes of an authenticator beside them.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use domain::Entropy;
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What OWASP asks for at least: 19 MiB, twice, one lane.
const MEMORY_KIBIBYTES: u32 = 19 * 1_024;
const ROUNDS: u32 = 2;
const SALT: usize = 16;
const HASH: usize = 32;

/// Takes tens of milliseconds and 19 MiB: not on a thread that serves others. The result is a PHC string. Takes 16 bytes
/// of `entropy`.
#[must_use]
pub fn hash(password: &str, entropy: &mut dyn Entropy) -> String {
    let mut salt = [0; SALT];
    entropy.fill(&mut salt);
    let hash = derive(password, &salt, MEMORY_KIBIBYTES, ROUNDS, 1).unwrap_or_default();
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(*hash));
    format!("$argon2id$v=19$m={MEMORY_KIBIBYTES},t={ROUNDS},p=1${salt}${hash}")
}

/// Whether this is the password that was hashed. None: nobody has a password; it takes as long to say so.
#[must_use]
pub fn matches(password: &str, stored: Option<&str>) -> bool {
    let Some((salt, expected, [memory, rounds, lanes])) = stored.and_then(parse) else {
        let _ = derive(password, &[0; SALT], MEMORY_KIBIBYTES, ROUNDS, 1);
        return false;
    };
    derive(password, &salt, memory, rounds, lanes).is_some_and(|hash| hash.ct_eq(expected.as_slice()).into())
}

fn derive(password: &str, salt: &[u8], memory: u32, rounds: u32, lanes: u32) -> Option<Zeroizing<[u8; HASH]>> {
    let params = Params::new(memory, rounds, lanes, Some(HASH)).ok()?;
    let mut hash = Zeroizing::new([0; HASH]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut *hash)
        .ok()?;
    Some(hash)
}

/// Salt, hash, and memory, rounds and lanes.
fn parse(text: &str) -> Option<(Vec<u8>, Vec<u8>, [u32; 3])> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = costs.split(',').zip(["m=", "t=", "p="]).map(|(cost, name)| cost.strip_prefix(name)?.parse().ok());
    let costs = [costs.next()??, costs.next()??, costs.next()??];
    Some((STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?, costs))
}

/// The secret that an authenticator shares with us (RFC 6238): 20 bytes, SHA-1, six digits, half a minute, which is what
/// every authenticator understands.
pub struct Authenticator(totp_rs::Totp);

impl Authenticator {
    /// The bytes of a secret.
    pub const SECRET: usize = 20;

    /// The one of this secret; `account` is what it shows to its owner.
    ///
    /// # Errors
    /// The account has a colon in it.
    pub fn new(secret: &[u8; Self::SECRET], account: &str) -> Result<Self, totp_rs::TotpError> {
        let builder = totp_rs::Builder::new()
            .with_secret(secret.to_vec())
            .with_account_name(account)
            .with_issuer(Some("Keywright"));
        Ok(Self(builder.build()?))
    }

    /// What an authenticator reads from a picture or a link.
    #[must_use]
    pub fn url(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_url().unwrap_or_default())
    }

    /// The code of this moment.
    #[must_use]
    pub fn code(&self, now: Timestamp) -> String {
        self.0.generate(seconds(now)).to_string()
    }

    /// In which step of half a minute a code is right: this one, the one before or the one after. None: it is wrong, or
    /// one of `last_step` or before, which was used already (RFC 6238, section 5.2).
    #[must_use]
    pub fn step_of(&self, code: &str, now: Timestamp, last_step: Option<u64>) -> Option<u64> {
        let step = self.0.check(code.trim(), seconds(now))?;
        (last_step.is_none_or(|last| step > last)).then_some(step)
    }
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_password_is_known_by_its_hash() {
        let stored = hash("correct horse", &mut Seeded::new("one"));
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(matches("correct horse", Some(&stored)));
        for (password, stored) in [("Correct horse", Some(stored.as_str())), ("", Some("$argon2id$")), ("x", None)] {
            assert!(!matches(password, stored), "{password}");
        }
        assert_ne!(stored, hash("correct horse", &mut Seeded::new("two")), "salted");
    }

    #[test]
    fn a_code_is_right_for_a_moment_and_once() {
        // RFC 6238, appendix B, its last six digits.
        let authenticator = Authenticator::new(b"12345678901234567890", "ada@example.com").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924")]
        {
            assert_eq!(authenticator.code(at(second)), code);
        }
        let now = at(1_111_111_111);
        let step = authenticator.step_of("050471", now, None).unwrap();
        assert_eq!(authenticator.step_of(" 050471 ", at(1_111_111_141), None), Some(step), "a step later");
        assert_eq!(authenticator.step_of("050471", at(1_111_111_191), None), None, "too late");
        assert_eq!(authenticator.step_of("050471", now, Some(step)), None, "used");
        assert_eq!(authenticator.step_of("050472", now, None), None);
        assert!(authenticator.url().starts_with("otpauth://totp/Keywright:ada%40example.com?secret=GEZDGNBV"));
    }
}
