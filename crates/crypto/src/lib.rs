//! The secrets of Keywright: how they look, how they are kept and how they are proved.
//!
//! Nothing here reads a file, a clock or the operating system's randomness; random bytes come in as
//! [`domain::Entropy`].
//!
//! | module | what | primitive | why this one |
//! |---|---|---|---|
//! | [`key`] | license keys | 75 random bits, a Luhn mod 32 check character | people type them: a typo is known without a look-up |
//! | [`ring`] | master keys | HKDF-SHA256, one label for each purpose | one secret to keep; a leak of one purpose tells nothing of another |
//! | [`seal`] | secrets at rest | XChaCha20-Poly1305 bound to tenant, table, row and column | 192-bit nonces may be random without a counter; a value copied to another row does not open |
//! | [`index`] | finding a license by its key | HMAC-SHA256 | equal keys give equal hashes, and a stolen database cannot be searched by guessing |
//! | [`lease`] | what an app trusts while offline | Ed25519 in a compact JWS | short, fast, deterministic, and any JWT library verifies it |
//! | [`passkey`] | how members sign in without a password | ECDSA on P-256, Ed25519 or RSA, as the device has it | what browsers and security keys make |
//! | [`token`] | keys to the API | SHA-256 of a 260-bit secret | nobody guesses 260 bits, so a slow password hash would only cost time |
//! | [`webhook`] | what we tell vendors' systems | HMAC-SHA256 | Standard Webhooks: every language has a verifier |
//! | [`dkim`] | mails | RSA or Ed25519, as the operator's key is | what the receivers of mails verify |
//! | [`sigv4`] | calls to Amazon Web Services | HMAC-SHA256 | what they ask for |
//!
//! Types that hold a secret wipe it when dropped, print only a mask, and give the text away through
//! one method called `reveal`, so that every place that does so can be found.

pub mod dkim;
pub mod handle;
pub mod index;
pub mod key;
pub mod lease;
pub mod passkey;
pub mod password;
pub mod ring;
pub mod seal;
pub mod sigv4;
pub mod token;
pub mod webhook;

mod crockford;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
