//! Vouching for mails: their domain's key signs headers and text (DKIM, RFC 6376), canonicalised as "relaxed/relaxed", so
//! that what relays do to blanks breaks nothing.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::dkim::{DkimKey, DkimKeyError};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use url::Host;

/// What is signed (RFC 6376 section 5.4.1): all that a reader sees, and how the text is to be read.
pub(crate) const HEADERS: [&str; 8] =
    ["From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type"];
/// Amazon SES writes its own Date and Message-ID over ours, so they must not be signed:
/// <https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-manual.html>.
pub(crate) const HEADERS_BUT_THOSE_OF_SES: [&str; 6] =
    ["From", "To", "Subject", "Reply-To", "MIME-Version", "Content-Type"];
/// The longest line of the signature, in characters: no relay folds it.
const LINE_MAX: usize = 72;

/// A domain and its key.
#[derive(Debug)]
pub struct Dkim {
    domain: String,
    selector: String,
    key: DkimKey,
}

/// What cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    /// The domain is none.
    #[error("the DKIM domain is not of the form acme.example")]
    Domain,
    /// The selector is none.
    #[error("the DKIM selector is not of the form key1: letters, digits and hyphens, with dots between them")]
    Selector,
    /// The key does not read.
    #[error(transparent)]
    Key(#[from] DkimKeyError),
}

impl Dkim {
    /// A key in PEM under its name in the DNS.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn new(domain: &str, selector: &str, pem: &[u8]) -> Result<Self, DkimError> {
        let Ok(Host::<String>::Domain(domain)) = Host::parse(domain.trim_end_matches('.')) else {
            return Err(DkimError::Domain);
        };
        let is_label = |label: &str| {
            let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
            fits && label.chars().all(|symbol| symbol.is_ascii_alphanumeric() || symbol == '-')
        };
        if !(domain.contains('.') && domain.split('.').all(is_label)) {
            return Err(DkimError::Domain);
        }
        if !selector.split('.').all(is_label) {
            return Err(DkimError::Selector);
        }
        Ok(Self { domain, selector: selector.to_owned(), key: DkimKey::from_pem(pem)? })
    }

    /// The name under which receivers look the key up.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What they have to find there: the value of a TXT record.
    #[must_use]
    pub fn record(&self) -> String {
        self.key.record()
    }

    /// Whether the key speaks for senders of this domain: the same, or one below it. A signature of another domain would say
    /// nothing about the sender (DMARC, RFC 7489 section 3.1.1).
    #[must_use]
    pub fn covers(&self, sender_domain: &str) -> bool {
        let domain = sender_domain.to_ascii_lowercase();
        domain.strip_suffix(&self.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The message with its signature. Lines end with CRLF.
    pub(crate) fn sign(&self, message: &str, names: &[&str], at: Timestamp) -> Result<String, DkimKeyError> {
        let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
        let headers = unfolded(head);
        let mut signed = String::new();
        let mut listed = Vec::new();
        for name in names {
            listed.push(name.to_ascii_lowercase());
            if let Some((_, value)) = headers.iter().find(|(there, _)| there.eq_ignore_ascii_case(name)) {
                let _ = write!(signed, "{}:{value}\r\n", name.to_ascii_lowercase());
                // Named once more than it is there, so that nobody can add another one (section 8.15).
                listed.push(name.to_ascii_lowercase());
            }
        }
        let unsigned = format!(
            "v=1; a={}; c=relaxed/relaxed; d={};\r\n s={}; t={};\r\n h={};\r\n bh={};\r\n b=",
            self.key.algorithm(),
            self.domain,
            self.selector,
            at.as_second(),
            folded(&listed.join(":")),
            STANDARD.encode(Sha256::digest(relaxed_body(body))),
        );
        // The header of the signature is signed as well, without its line's end (section 3.7).
        let _ = write!(signed, "dkim-signature:{}", relaxed(&unsigned));
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("DKIM-Signature: {unsigned}{}\r\n{message}", wrapped(&signature)))
    }
}

/// Headers with their values canonicalised.
fn unfolded(head: &str) -> Vec<(&str, String)> {
    let mut whole: Vec<(&str, String)> = Vec::new();
    for line in head.split("\r\n") {
        match (line.starts_with([' ', '\t']), whole.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => value.push_str(line),
            (false, _, Some((name, value))) => whole.push((name.trim_end(), value.to_owned())),
            _ => {}
        }
    }
    for (_, value) in &mut whole {
        *value = relaxed(value);
    }
    whole
}

/// A value on one line, with single blanks between words (section 3.4.2).
fn relaxed(value: &str) -> String {
    value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The text without blanks at the ends of lines, with single ones elsewhere, and without empty lines at its end
/// (section 3.4.4).
fn relaxed_body(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut empty_lines = 0;
    for line in body.split("\r\n") {
        let line = single_blanks(line.trim_end_matches([' ', '\t']));
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        text.push_str(&"\r\n".repeat(std::mem::take(&mut empty_lines)));
        text.push_str(&line);
        text.push_str("\r\n");
    }
    text
}

fn single_blanks(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for symbol in line.chars() {
        match symbol {
            ' ' | '\t' if text.ends_with(' ') => {}
            ' ' | '\t' => text.push(' '),
            other => text.push(other),
        }
    }
    text
}

/// A list on several lines, each of which ends behind a colon.
fn folded(list: &str) -> String {
    let mut text = String::new();
    let mut length = 0;
    for item in list.split_inclusive(':') {
        if length + item.len() > LINE_MAX {
            text.push_str("\r\n  ");
            length = 0;
        }
        text.push_str(item);
        length += item.len();
    }
    text
}

/// Base64 on several lines.
fn wrapped(signature: &str) -> String {
    let lines: Vec<&str> =
        signature.as_bytes().chunks(LINE_MAX).map(|line| str::from_utf8(line).unwrap_or_default()).collect();
    lines.join("\r\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8463 appendix A.2, wrapped up as OpenSSL does.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    fn dkim() -> Dkim {
        Dkim::new("acme.test", "key1", KEY.as_bytes()).unwrap()
    }

    #[test]
    fn blanks_do_not_count() {
        // The example of RFC 6376 section 3.4.5.
        let headers = unfolded("A: X\r\nB : Y\t\r\n\tZ  ");
        assert_eq!(headers, [("A", "X".to_owned()), ("B", "Y Z".to_owned())]);
        assert_eq!(relaxed_body(" C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
        for nothing in ["", "\r\n", " \r\n\t\r\n"] {
            assert_eq!(relaxed_body(nothing), "");
        }
        assert_eq!(relaxed_body("\r\na\r\n\r\nb"), "\r\na\r\n\r\nb\r\n");
    }

    #[test]
    fn a_key_speaks_for_its_domain_and_those_below_it() {
        for (sender, covered) in [
            ("acme.test", true),
            ("Mail.ACME.test", true),
            ("notacme.test", false),
            ("acme.test.evil.test", false),
            ("test", false),
        ] {
            assert_eq!(dkim().covers(sender), covered, "{sender}");
        }
    }

    #[test]
    fn names_are_names() {
        let made = |domain, selector| Dkim::new(domain, selector, KEY.as_bytes()).map(|dkim| dkim.name());
        assert_eq!(made("Bücher.example.", "key1.mail"), Ok("key1.mail._domainkey.xn--bcher-kva.example".to_owned()));
        for domain in ["", "acme", "acme..test", "127.0.0.1", "acme.test; s=x"] {
            assert_eq!(made(domain, "key1"), Err(DkimError::Domain), "{domain}");
        }
        for selector in ["", "key 1", "key;1", ".key", "-key"] {
            assert_eq!(made("acme.test", selector), Err(DkimError::Selector), "{selector}");
        }
        assert_eq!(Dkim::new("acme.test", "key1", b"nothing").unwrap_err(), DkimError::Key(DkimKeyError::Pem));
    }

    #[test]
    fn what_is_there_is_named_twice_and_what_is_not_once() {
        let message = "From: a@acme.test\r\nTo: b@example.com\r\nSubject: x\r\n\r\nHello\r\n";
        let signed = dkim().sign(message, &HEADERS, Timestamp::UNIX_EPOCH).unwrap();
        let (head, rest) = signed.split_at(signed.len() - message.len());
        assert_eq!(rest, message);
        let list = head.split("h=").nth(1).unwrap().split(';').next().unwrap().replace("\r\n  ", "");
        let expected = "from:from:to:to:subject:subject:date:message-id:reply-to:mime-version:content-type";
        assert_eq!(list, expected);
        assert!(head.lines().all(|line| line.len() < 100), "{head}");
        assert_eq!(signed, dkim().sign(message, &HEADERS, Timestamp::UNIX_EPOCH).unwrap(), "the same bytes");
    }
}
