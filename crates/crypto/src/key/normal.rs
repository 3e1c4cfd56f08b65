//! The normal form: the one text that stands for all the ways to type a key.

use std::fmt;

use zeroize::Zeroizing;

/// The characters that a key of any origin may have, surrounding white space not counted.
const CHARACTERS_MAX: usize = 256;
/// The characters that a key must have besides spaces and hyphens; fewer could be guessed.
const SYMBOLS_MIN: usize = 8;

/// The one form of all the ways to type a key; what [`crate::index`] hashes.
///
/// Two keys of another system that differ only in case or in look-alikes have the same normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct NormalKey(pub(super) Zeroizing<String>);

impl NormalKey {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for NormalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NormalKey(…)")
    }
}

/// The form by which a key of any origin is found, or nothing if the text cannot be a key.
///
/// ASCII letters become upper-case, white space and hyphens of all kinds vanish (mail programs like to
/// exchange them), `O` becomes `0`, and `I` and `L` become `1`. A text of more than 256 characters, or
/// with fewer than 8 besides spaces and hyphens, is no key.
pub fn normalise(text: &str) -> Option<NormalKey> {
    let trimmed = text.trim();
    if trimmed.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let normal = canonical(trimmed);
    (normal.chars().count() >= SYMBOLS_MIN).then_some(NormalKey(normal))
}

pub(super) fn canonical(text: &str) -> Zeroizing<String> {
    rewrite(text, |symbol| look_alike(symbol.to_ascii_uppercase()))
}

/// The symbols of the canonical form, each with where it stands in the text, in bytes.
pub(super) fn symbols(text: &str) -> impl Iterator<Item = (usize, char)> {
    let there = text.char_indices().filter(|(_, symbol)| !is_separator(*symbol));
    there.map(|(at, symbol)| (at, look_alike(symbol.to_ascii_uppercase())))
}

pub(super) fn compact(text: &str) -> Zeroizing<String> {
    rewrite(text, |symbol| symbol.to_ascii_uppercase())
}

/// Drops the separators and maps the rest.
fn rewrite(text: &str, map: fn(char) -> char) -> Zeroizing<String> {
    // No mapping is longer than its source, so this never grows and leaves no copy behind.
    let mut rewritten = Zeroizing::new(String::with_capacity(text.len()));
    rewritten.extend(text.chars().filter(|symbol| !is_separator(*symbol)).map(map));
    rewritten
}

pub(super) fn look_alike(symbol: char) -> char {
    match symbol {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    }
}

/// White space, hyphens and dashes, the soft hyphen, the minus sign and spaces without width.
fn is_separator(symbol: char) -> bool {
    symbol.is_whitespace()
        || matches!(symbol, '-' | '\u{ad}' | '\u{200b}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{feff}')
}
