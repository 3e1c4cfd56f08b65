//! Hiding a key in a text that others wrote.

use zeroize::Zeroizing;

use super::normal::symbols;

/// The symbols that [`super::LicenseKey::masked`] shows of a key. Less than one more of its beginning tells nobody anything.
const SHOWN: usize = 4;

/// The text with `hint` in place of `key`, however the key is spelled: in all the ways that [`super::normalise`] forgives, since
/// each of them opens the license. `is_cut` says that the text goes on where nobody kept it: then what may be the beginning of
/// the key is hidden at its end, too.
#[must_use]
pub fn hide(text: &str, key: &str, hint: &str, is_cut: bool) -> String {
    let key: Zeroizing<Vec<char>> = Zeroizing::new(symbols(key).map(|(_, symbol)| symbol).collect());
    let mut places: Vec<(usize, char)> = symbols(text).collect();
    if is_cut {
        // What is left of a character of several bytes, the last of which are gone.
        places.truncate(places.iter().rposition(|(_, symbol)| *symbol != '\u{fffd}').map_or(0, |last| last + 1));
    }
    let is_key = |places: &[(usize, char)], length: usize| {
        places.len() >= length && places.iter().zip(&key[..length]).all(|((_, symbol), of_key)| symbol == of_key)
    };
    let mut hidden = String::with_capacity(text.len());
    let (mut told, mut at) = (0, 0);
    while at < places.len() {
        let left = &places[at..];
        let length = match left.len() {
            some if is_cut && some > SHOWN && some < key.len() => some,
            _ => key.len(),
        };
        if length == 0 || !is_key(left, length) {
            at += 1;
            continue;
        }
        let (last, _) = left[length - 1];
        hidden.push_str(&text[told..left[0].0]);
        hidden.push_str(hint);
        told = last + text[last..].chars().next().map_or(0, char::len_utf8);
        at += length;
    }
    hidden.push_str(&text[told..]);
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "TOOL-1234-5678-9ABC-DEF8";
    const HINT: &str = "TOOL-…-DEF8";

    #[test]
    fn a_key_is_hidden_in_every_spelling_that_opens_its_license() {
        for spelled in [
            KEY,
            "tool-1234-5678-9abc-def8",
            "TOOL123456789ABCDEF8",
            "t00l-l234-5678-9abc-def8",
            "TOOL–1234‑5678—9ABC−DEF8",
            "TOOL 1234\r\n5678 9ABC DEF8",
            "TO\u{ad}OL-1234-\u{200b}5678-9ABC-DEF8",
        ] {
            assert!(super::super::normalise(spelled) == super::super::normalise(KEY), "{spelled}");
            let text = format!("{{\"é\":\"{spelled}\"}} and ({spelled})");
            assert_eq!(hide(&text, KEY, HINT, false), format!("{{\"é\":\"{HINT}\"}} and ({HINT})"), "{spelled}");
        }
    }

    #[test]
    fn the_beginning_of_a_key_is_hidden_where_a_text_is_cut() {
        for (text, is_cut, expected) in [
            ("got TOOL-1234-5678-9ABC-DEF", true, "got TOOL-…-DEF8"),
            ("got tool1234567", true, "got TOOL-…-DEF8"),
            ("got TOOL-1", true, "got TOOL-…-DEF8"),
            ("got TOOL–1234\u{fffd}", true, "got TOOL-…-DEF8\u{fffd}"),
            ("got TOOL", true, "got TOOL"),
            ("got TOOL-1234", false, "got TOOL-1234"),
            ("TOOL-1234-5678-9ABC-DEF8 TOOL-1234-5", true, "TOOL-…-DEF8 TOOL-…-DEF8"),
        ] {
            assert_eq!(hide(text, KEY, HINT, is_cut), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_the_key_stays() {
        for text in ["", "thanks", "TOOL-1234-5678-9ABC-DEF9", "TOOL-1234-x-5678-9ABC-DEF8", "– – –"] {
            assert_eq!(hide(text, KEY, HINT, false), text);
            assert_eq!(hide(text, "", HINT, true), text);
        }
    }
}
