//! Words that others typed, made fit for a mail.

use lettre::{Address, message::Mailbox};
use url::Host;

/// The longest name that a mail shows, in characters.
const NAME_MAX: usize = 80;

/// One line of visible text: no control characters (a line break in a header would begin another header), nothing that
/// turns the direction of writing, no more blanks than needed. Too long a text is cut, and says so. None: nothing left.
pub(super) fn line(text: &str) -> Option<String> {
    let visible: String = text.chars().map(|symbol| if is_harmful(symbol) { ' ' } else { symbol }).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= NAME_MAX {
        return Some(words).filter(|words| !words.is_empty());
    }
    let cut: String = words.chars().take(NAME_MAX - 1).collect();
    Some(format!("{}…", cut.trim_end()))
}

/// Several lines of visible text.
pub(super) fn lines(text: &str) -> Option<String> {
    let lines: Vec<String> = text.lines().map(|text| line(text).unwrap_or_default()).collect();
    Some(lines.join("\n").trim().to_owned()).filter(|text| !text.is_empty())
}

/// How a buyer is addressed. Anyone can type anything into a checkout together with someone else's address, so a name
/// that a mail program would turn into a link is not repeated.
pub(super) fn name(text: &str) -> Option<String> {
    let name = line(text)?;
    let symbols: Vec<char> = name.chars().collect();
    let links = name.contains(['@', '/', '\\', ':'])
        || symbols.windows(3).any(|three| three[0].is_alphanumeric() && three[1] == '.' && three[2].is_alphanumeric());
    (!links).then_some(name)
}

/// Control characters, line and paragraph separators, invisible and directional marks; not the joiners that Persian
/// and Indic names are written with.
fn is_harmful(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// An address as mail carries it; a domain with other letters in its ASCII form, which every relay knows.
pub(crate) fn mailbox(name: Option<String>, address: &str) -> Option<Mailbox> {
    let (local, domain) = address.trim().rsplit_once('@')?;
    let domain = if domain.is_ascii() { domain.to_owned() } else { Host::parse(domain).ok()?.to_string() };
    let harmless = !address.trim().contains(|symbol: char| symbol.is_whitespace() || is_harmful(symbol));
    harmless.then(|| Address::new(local, domain).ok()).flatten().map(|address| Mailbox::new(name, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_breaks_and_an_end() {
        assert_eq!(line("  Ada \r\nBcc: eve@evil.test\u{2028}x ").as_deref(), Some("Ada Bcc: eve@evil.test x"));
        assert_eq!(line("abc\u{202e}cba").as_deref(), Some("abc cba"));
        assert_eq!(line(" \r\n\u{200b}"), None);
        let long = line(&"ä".repeat(500)).unwrap();
        assert_eq!((long.chars().count(), long.ends_with('…')), (NAME_MAX, true));
        assert_eq!(lines("Acme Inc.\r\n1 Road\u{7}\n\n").as_deref(), Some("Acme Inc.\n1 Road"));
    }

    #[test]
    fn names_that_would_become_links_are_not_repeated() {
        for fine in ["Ada Lovelace", "J. R. R. Tolkien", "Zoë O'Brien-Müller", "李小龙", "Dr. No"] {
            assert_eq!(name(fine).as_deref(), Some(fine));
        }
        for link in ["https://evil.test", "win at evil.test now", "eve@evil", "www.evil", "a\\b", "12.34"] {
            assert_eq!(name(link), None, "{link}");
        }
    }

    #[test]
    fn addresses_are_whole_or_none() {
        let shown = |text| mailbox(None, text).map(|mailbox| mailbox.to_string());
        assert_eq!(shown("ada@example.com").as_deref(), Some("ada@example.com"));
        assert_eq!(shown("ada@bücher.example").as_deref(), Some("ada@xn--bcher-kva.example"));
        for wrong in
            ["ada", "@example.com", "ada@", "ada@exa mple.com", "ada@example.com\r\nRCPT TO:<b@c>", "<ada@example.com>"]
        {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
