//! License keys: `PREFIX-XXXX-XXXX-XXXX-XXXX`, of which the last character checks the 15 before it.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Whether a text is a license key of Keywright's own form with a right check character.
///
/// Case, spaces and hyphens do not matter, and `O`, `I` and `L` after the prefix are read as `0` and `1`.
/// True does not mean that the key exists; false means that it is mistyped or from another system, so do
/// not refuse it where a vendor brought keys along.
pub fn looks_valid(key_text: &str) -> bool {
    let symbols: Vec<u8> = key_text
        .chars()
        .filter(|symbol| !is_separator(*symbol))
        // A character beyond ASCII becomes one that no key has.
        .map(|symbol| u8::try_from(symbol.to_ascii_uppercase()).unwrap_or(b'?'))
        .collect();
    let Some((prefix, body)) = symbols.split_last_chunk::<16>() else {
        return false;
    };
    let prefix_fits = (2..=8).contains(&prefix.len()) && prefix.iter().all(u8::is_ascii_alphanumeric);
    let values: Option<Vec<usize>> = body.iter().map(|symbol| value(*symbol)).collect();
    prefix_fits && values.is_some_and(|values| luhn_sum(&values).is_multiple_of(32))
}

/// White space, hyphens and dashes, the soft hyphen, the minus sign and spaces without width.
fn is_separator(symbol: char) -> bool {
    symbol.is_whitespace()
        || matches!(symbol, '-' | '\u{ad}' | '\u{200b}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{feff}')
}

fn value(symbol: u8) -> Option<usize> {
    let symbol = match symbol {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|known| *known == symbol)
}

/// The Luhn sum of values below 32: a multiple of 32 when the last one is the check character of the others.
///
/// From the right, every second value is doubled and its two digits of base 32 are added.
fn luhn_sum(values: &[usize]) -> usize {
    let others = values.iter().rev().step_by(2).copied();
    let doubled = values.iter().rev().skip(1).step_by(2).map(|value| value * 2 / 32 + value * 2 % 32);
    others.chain(doubled).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn of_32_last_characters_one_is_right(start in "[A-Z0-9]{2,8}[0-9A-HJKMNP-TV-Z]{15}") {
            let right = ALPHABET.iter().filter(|last| looks_valid(&format!("{start}{}", char::from(**last))));
            prop_assert_eq!(right.count(), 1);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            looks_valid(&text);
        }
    }
}
