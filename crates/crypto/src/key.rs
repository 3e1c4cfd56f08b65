//! License keys: `PREFIX-XXXX-XXXX-XXXX-XXXX`.
//!
//! Sixteen symbols of Crockford's base32 follow the prefix: fifteen are random (75 bits), the last one
//! is their Luhn mod 32 check character. It catches every single wrong symbol, and every swap of two
//! neighbours except `0` with `Z`. The prefix is not part of the check: it says whose key this is.
//!
//! A key has one display form and many ways to be typed; [`normalise`] maps all of them to the one
//! text that is hashed. Keys brought along from another system have any shape and are found the same way.

use std::{fmt, str::FromStr};

use domain::Entropy;
use zeroize::Zeroizing;

use self::normal::{canonical, compact, look_alike};
use crate::crockford;

mod hide;
mod normal;

pub use hide::hide;
pub use normal::{NormalKey, normalise};

/// The symbols after the prefix, of which the last one is the check character.
const BODY: usize = 16;
/// The symbols at the end of a key that are kept to look for it. Fewer than four would find too many keys.
const ENDING: usize = 5;
const ENDING_MIN: usize = 4;

/// All [`LicenseKey::ending`]s that end with what somebody typed; none: it is not the end of a key.
pub fn endings(typed: &str) -> Vec<String> {
    let typed = canonical(typed);
    let is_end = (ENDING_MIN..=ENDING).contains(&typed.len()) && typed.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_end {
        return Vec::new();
    }
    let longer =
        ('0'..='9').chain('A'..='Z').filter(|_| typed.len() < ENDING).map(|symbol| format!("{symbol}{}", *typed));
    longer.chain([(*typed).clone()]).collect()
}

/// Why a text is not the license key it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A prefix has other characters or another length.
    #[error("a key prefix has 2 to 8 characters, each a letter A-Z or a digit")]
    Prefix,
    /// The text is too short or too long to be a key of any origin.
    #[error("a license key has at least 8 characters besides spaces and hyphens, and at most 256 in all")]
    Length,
    /// The text is not of the form `PREFIX-XXXX-XXXX-XXXX-XXXX`; it may be a key from another system.
    #[error(
        "this does not look like a key of the form PREFIX-XXXX-XXXX-XXXX-XXXX; compare it with the mail it came in"
    )]
    Shape,
    /// The form is right and the check character is not: a symbol is missing, wrong or swapped.
    #[error("a character of this license key is mistyped; compare it with the mail it came in")]
    Check,
}

/// What a vendor's keys start with: 2 to 8 characters, each `A`-`Z` or `0`-`9`. `KEY` by default.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// Takes a prefix as it will be shown; lower-case letters become upper-case.
    ///
    /// # Errors
    /// [`KeyError::Prefix`] for another length or other characters.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_ascii_uppercase())).ok_or(KeyError::Prefix)
    }

    /// The text of the prefix, without a hyphen.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("KEY".to_owned())
    }
}

/// The text of a license key, as it is shown to its owner. Wiped when dropped, masked when printed.
///
/// Parsing (`FromStr`) takes a key of our own form the way people type it: in any case, with spaces or
/// other hyphens or none, and with `O`, `I` and `L` where `0` and `1` are meant; it fails with
/// [`KeyError::Shape`] or [`KeyError::Check`]. The prefix is kept as typed, in upper-case.
#[derive(Clone)]
pub struct LicenseKey(Zeroizing<String>);

impl LicenseKey {
    /// A new key with 75 random bits; takes 15 bytes of `entropy`.
    pub fn generate(prefix: &Prefix, entropy: &mut dyn Entropy) -> Self {
        let random = crockford::random::<{ BODY - 1 }>(entropy);
        let mut body = Zeroizing::new([0; BODY]);
        body[..BODY - 1].copy_from_slice(&random[..]);
        body[BODY - 1] = (32 - crockford::luhn_sum(&body[..])) % 32;
        Self::show(prefix, &body)
    }

    /// A key of any form, kept as it is written: one that comes from another system, or one read back
    /// from its seal. White space around it is dropped.
    ///
    /// # Errors
    /// [`KeyError::Length`] for what [`normalise`] would not take.
    pub fn as_written(text: &str) -> Result<Self, KeyError> {
        normalise(text).ok_or(KeyError::Length)?;
        Ok(Self(Zeroizing::new(text.trim().to_owned())))
    }

    /// The key in clear, to be shown to its owner. Never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The form by which the key is found.
    pub fn normal(&self) -> NormalKey {
        NormalKey(canonical(&self.0))
    }

    /// What may be shown in lists and logs: `ACME-…-7C9F`.
    ///
    /// Of a key of another form, which has no known prefix, it is the last four characters, and at
    /// most a quarter of them: `…7C9F`.
    pub fn masked(&self) -> String {
        let symbols = compact(&self.0);
        let count = symbols.chars().count();
        let ours = standard(&self.0).ok().filter(|(prefix, body)| Self::show(prefix, body).0 == self.0);
        let (start, shown) = match &ours {
            Some((prefix, _)) => (format!("{}-…-", prefix.0), 4),
            None => ("…".to_owned(), (count / 4).min(4)),
        };
        start + &symbols.chars().skip(count - shown).collect::<String>()
    }

    /// The last symbols of the canonical form, by which a person looks for a key: five of them, and at most a quarter of a
    /// key of another form. Empty where they are no letters and digits.
    pub fn ending(&self) -> String {
        let symbols = canonical(&self.0);
        let count = symbols.chars().count();
        let kept = if standard(&self.0).is_ok() { ENDING } else { ENDING.min(count / 4) };
        let ending: String = symbols.chars().skip(count - kept).collect();
        if ending.bytes().all(|byte| byte.is_ascii_alphanumeric()) { ending } else { String::new() }
    }

    fn show(prefix: &Prefix, body: &[u8; BODY]) -> Self {
        // The whole length is reserved at once: growing would leave a copy behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(prefix.0.len() + BODY + BODY / 4));
        text.push_str(&prefix.0);
        for group in body.chunks(4) {
            text.push('-');
            text.extend(group.iter().map(|value| char::from(crockford::ALPHABET[usize::from(*value)])));
        }
        Self(text)
    }
}

impl FromStr for LicenseKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        check(text)?;
        let (prefix, body) = standard(text)?;
        Ok(Self::show(&prefix, &body))
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.masked())
    }
}

/// Tells a typo in a key of our own form, without a look-up.
///
/// # Errors
/// [`KeyError::Check`] if the form is ours and the check character is wrong; [`KeyError::Shape`] if the
/// form is another one, which only a look-up can judge. Of keys from another system that happen to have
/// 18 to 24 symbols, all but one in 32 fail the check: where such keys exist, look them up first.
pub fn check(text: &str) -> Result<(), KeyError> {
    let (_, body) = standard(text)?;
    match crockford::luhn_sum(&body[..]) {
        0 => Ok(()),
        _ => Err(KeyError::Check),
    }
}

/// Takes a key of our form apart: the prefix as typed, and the values of its symbols, not yet checked.
fn standard(text: &str) -> Result<(Prefix, Zeroizing<[u8; BODY]>), KeyError> {
    let text = compact(text);
    let (prefix, symbols) =
        text.len().checked_sub(BODY).and_then(|prefix| text.split_at_checked(prefix)).ok_or(KeyError::Shape)?;
    let prefix = Prefix::new(prefix).map_err(|_| KeyError::Shape)?;
    let mut body = Zeroizing::new([0; BODY]);
    for (place, symbol) in body.iter_mut().zip(symbols.bytes()) {
        *place = crockford::value(look_alike(char::from(symbol)) as u8).ok_or(KeyError::Shape)?;
    }
    Ok((prefix, body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    fn body(key: &LicenseKey) -> [u8; BODY] {
        *standard(key.reveal()).unwrap().1
    }

    fn key_of(prefix: &str, values: [u8; 15]) -> LicenseKey {
        struct Given([u8; 15]);
        impl Entropy for Given {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.0);
            }
        }
        LicenseKey::generate(&Prefix::new(prefix).unwrap(), &mut Given(values))
    }

    #[test]
    fn a_key_has_its_form_and_a_right_check_character() {
        let mut entropy = Seeded::new("keys");
        for prefix in ["KEY", "AB", "ACME2026", "OIL"] {
            let key = LicenseKey::generate(&Prefix::new(prefix).unwrap(), &mut entropy);
            let groups: Vec<_> = key.reveal().split('-').collect();
            assert_eq!(groups[0], prefix);
            assert_eq!(groups[1..].iter().map(|g| g.len()).collect::<Vec<_>>(), [4; 4]);
            assert_eq!(check(key.reveal()), Ok(()));
        }
    }

    #[test]
    fn known_check_characters() {
        let mut up = [0; 15];
        up.iter_mut().zip(1..).for_each(|(place, n)| *place = n);
        for (values, text) in [
            ([0; 15], "KEY-0000-0000-0000-0000"),
            ([31; 15], "KEY-ZZZZ-ZZZZ-ZZZZ-ZZZF"),
            (up, "KEY-1234-5678-9ABC-DEF8"),
        ] {
            assert_eq!(key_of("KEY", values).reveal(), text);
        }
    }

    #[test]
    fn prefixes() {
        for good in ["AB", "KEY", "acme", "2FAST", "ABCDEFGH"] {
            assert_eq!(Prefix::new(good).unwrap().as_str(), good.to_ascii_uppercase());
        }
        for bad in ["", "A", "ABCDEFGHI", "A-B", "A B", "ÄB", "A_B"] {
            assert_eq!(Prefix::new(bad), Err(KeyError::Prefix), "{bad}");
        }
        assert_eq!(Prefix::default().as_str(), "KEY");
    }

    #[test]
    fn many_ways_to_type_one_key() {
        let right = "TOOL-1234-5678-9ABC-DEF8";
        for typed in [
            right,
            "tool-1234-5678-9abc-def8",
            "TOOL123456789ABCDEF8",
            "  TOOL 1234 5678 9ABC DEF8\r\n",
            "T00L-I234-5678-9ABC-DEF8",
            "TOOL-L234-5678-9abc-DEF8",
            "TO-OL-12-34-56-78-9A-BC-DE-F8",
            "TOOL–1234‑5678—9ABC−DEF8",
            "TOOL\u{ad}-1234-\u{200b}5678-9ABC-DEF8",
        ] {
            assert_eq!(normalise(typed), normalise(right), "{typed}");
            assert_eq!(check(typed), Ok(()), "{typed}");
            let shown = typed.parse::<LicenseKey>().unwrap();
            assert!([right, "T00L-1234-5678-9ABC-DEF8"].contains(&shown.reveal()), "{typed}");
        }
    }

    #[test]
    fn what_check_says_of_other_texts() {
        for (text, expected) in [
            ("KEY-1234-5678-9ABC-DEFS", KeyError::Check),
            ("KEY-2134-5678-9ABC-DEF8", KeyError::Check),
            ("KEY-1234-5678-9ABC-DEF", KeyError::Check),
            ("KEY-1234-5678-9ABC-DEFU", KeyError::Shape),
            ("K-1234-5678-9ABC-DEF8", KeyError::Shape),
            ("1234-5678-9ABC-DEF8", KeyError::Shape),
            ("ABCDEFGHI-1234-5678-9ABC-DEF8", KeyError::Shape),
            ("K_Y-1234-5678-9ABC-DEF8", KeyError::Shape),
            ("KÉY-1234-5678-9ABC-DEF8", KeyError::Shape),
            ("KEY-é234-5678-9ABC-DEF8", KeyError::Shape),
            ("", KeyError::Shape),
            ("----", KeyError::Shape),
        ] {
            assert_eq!(check(text), Err(expected), "{text}");
            assert_eq!(text.parse::<LicenseKey>().unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_key_is_looked_for_by_its_end() {
        for (text, ending) in [
            ("KEY-1234-5678-9ABC-DEF8", "CDEF8"),
            ("38b1460a-5104-4067-a91d-77b872934d51", "34D51"),
            ("gumroad-87654321", "321"),
            ("gumroad_8", "_8"),
            ("пароль-ключ", ""),
        ] {
            let ending = if ending.starts_with('_') { "" } else { ending };
            assert_eq!(LicenseKey::as_written(text).unwrap().ending(), ending, "{text}");
        }
        for (typed, is_found) in [
            ("c-def8", true),
            ("DEF8", true),
            ("def 8", true),
            ("EF8", false),
            ("BCDEF8", false),
            ("", false),
            ("ключ", false),
        ] {
            assert_eq!(endings(typed).contains(&"CDEF8".to_owned()), is_found, "{typed}");
        }
        assert_eq!(endings("cdefo"), ["CDEF0"]);
    }

    #[test]
    fn keys_of_other_systems_are_found_too() {
        for text in ["38b1460a-5104-4067-a91d-77b872934d51", "gumroad_8", "пароль-ключ", &"x".repeat(256)] {
            let key = LicenseKey::as_written(&format!(" {text}\n")).unwrap();
            assert_eq!(key.reveal(), text);
            assert_eq!(Some(key.normal()), normalise(&text.to_ascii_uppercase()));
        }
        for text in ["", "1234567", "1-2-3-4-5-6-7", "- - - - - - - -", &"x".repeat(257)] {
            assert_eq!(normalise(text), None, "{text}");
            assert_eq!(LicenseKey::as_written(text).unwrap_err(), KeyError::Length, "{text}");
        }
    }

    #[test]
    fn masks_show_little() {
        for (text, masked) in [
            ("ACME-1234-5678-9ABC-DEF8", "ACME-…-DEF8"),
            ("ACME-1234-5678-9ABC-DEFS", "ACME-…-DEFS"),
            // Not written in our form: nobody knows where a prefix would end.
            ("ACME123456789ABCDEF8", "…DEF8"),
            ("38b1460a-5104-4067-a91d-77b872934d51", "…4D51"),
            ("abcd-efgh", "…GH"),
        ] {
            assert_eq!(LicenseKey::as_written(text).unwrap().masked(), masked);
        }
        let key = LicenseKey::as_written("ACME-1234-5678-9ABC-DEF8").unwrap();
        assert_eq!(format!("{key:?}"), "LicenseKey(ACME-…-DEF8)");
        assert_eq!(format!("{:?}", key.normal()), "NormalKey(…)");
    }

    proptest! {
        #[test]
        fn every_generated_key_passes_and_parses_to_itself(values: [u8; 15]) {
            let key = key_of("KEY", values);
            prop_assert_eq!(check(key.reveal()), Ok(()));
            let parsed = key.reveal().to_lowercase().parse::<LicenseKey>().unwrap();
            prop_assert_eq!(parsed.reveal(), key.reveal());
        }

        #[test]
        fn every_single_wrong_symbol_is_caught(values: [u8; 15], place in 0..BODY, other in 1u8..32) {
            let mut body = body(&key_of("KEY", values));
            body[place] = (body[place] + other) % 32;
            prop_assert_eq!(check(LicenseKey::show(&Prefix::default(), &body).reveal()), Err(KeyError::Check));
        }

        #[test]
        fn swapped_neighbours_are_caught_but_for_0_and_z(values: [u8; 15], place in 0..BODY - 1) {
            let mut body = body(&key_of("KEY", values));
            let (a, b) = (body[place], body[place + 1]);
            body.swap(place, place + 1);
            let unseen = a == b || (a.min(b), a.max(b)) == (0, 31);
            prop_assert_eq!(check(LicenseKey::show(&Prefix::default(), &body).reveal()).is_ok(), unseen);
        }

        #[test]
        fn no_text_makes_it_panic_and_normal_forms_are_stable(text in ".{0,40}") {
            let _ = check(&text);
            if let Some(normal) = normalise(&text) {
                prop_assert_eq!(normalise(&normal.0), Some(normal.clone()));
            }
        }
    }
}
