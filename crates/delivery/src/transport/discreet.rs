//! What was said about a mail, fit for logs and items: relays and services like to quote whom it was for.

use domain::text::EmailAddress;
use url::Host;

/// For items and logs: an address nobody can write to.
pub(crate) fn masked(address: &str) -> String {
    EmailAddress::parse(address).map_or_else(|_| "an address that is none".to_owned(), |address| address.masked())
}

/// A text with an address masked, however it is spelled there: a relay may quote it in small letters, or with its domain as the
/// DNS has it.
pub(super) fn without_address(text: &str, address: &str) -> String {
    let as_in_dns = address.rsplit_once('@').and_then(|(local, domain)| {
        let domain = Host::parse(domain).ok()?;
        Some(format!("{local}@{domain}"))
    });
    let spellings = [Some(address.to_owned()), as_in_dns].into_iter().flatten();
    spellings.fold(text.to_owned(), |text, spelling| replaced(&text, &spelling, &masked(address)))
}

/// Puts `by` in the place of each `wanted`, which is not empty, whatever the case of its letters.
fn replaced(text: &str, wanted: &str, by: &str) -> String {
    let wanted: Vec<char> = wanted.chars().flat_map(char::to_lowercase).collect();
    let (mut done, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = behind(rest, &wanted) {
            done.push_str(by);
            rest = behind;
        } else {
            done.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    done
}

/// What is behind `wanted`, in small letters, at the beginning of a text. None: it begins otherwise.
fn behind<'a>(text: &'a str, wanted: &[char]) -> Option<&'a str> {
    let mut wanted = wanted.iter();
    for (place, symbol) in text.char_indices() {
        if wanted.len() == 0 {
            return Some(&text[place..]);
        }
        if !symbol.to_lowercase().all(|symbol| wanted.next() == Some(&symbol)) {
            return None;
        }
    }
    (wanted.len() == 0).then_some("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked_however_it_is_spelled() {
        for (address, said, told) in [
            ("Carl@Example.com", "550 5.1.1 <carl@example.com>: no", "550 5.1.1 <C…@Example.com>: no"),
            ("carl@example.com", "CARL@EXAMPLE.COM, Carl@example.com", "c…@example.com, c…@example.com"),
            ("zoë@bücher.example", "550 <ZOË@xn--bcher-kva.example>", "550 <z…@bücher.example>"),
            ("zoë@Bücher.example", "no zoë@BÜCHER.example", "no z…@Bücher.example"),
            ("carl@[192.0.2.1]", "no carl@[192.0.2.1]", "no c…@[192.0.2.1]"),
            ("carl@example.com", "no curl@example.com, carl@example", "no curl@example.com, carl@example"),
        ] {
            assert_eq!(without_address(said, address), told, "{address}");
        }
    }
}
