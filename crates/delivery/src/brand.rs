//! In whose name mails speak: a product's brand, as its vendor configures it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::mail::{Language, mailbox};

/// How a product's mails look and whom they name. Nothing is required; what is absent has a sensible stand-in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Brand {
    /// Who the mails come from; otherwise the product's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// From which address; otherwise the installation's own sender. The relay must be allowed to send for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_address: Option<String>,
    /// Where answers go; otherwise to the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Where questions are answered: `https://` or `mailto:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
    /// Where the product is downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    /// Where it is explained how to start (A20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs_url: Option<String>,
    /// Where buyers see their licenses and devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal_url: Option<String>,
    /// A picture for pages and, if it starts with `https://`, at the top of mails, where the product's name stands in for it:
    /// many programs load pictures only when asked, and no mail needs it to be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// The colour of the button: `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// The language of its mails, `en` or `de`; otherwise English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The last lines of every mail: a company's name and address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// Fields that this release does not know. They are kept, and [`Brand::check`] refuses them.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// A field of a brand cannot be what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("brand.{field} {problem}")]
pub struct BrandError {
    /// Which one.
    pub field: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl Brand {
    /// Reads a stored brand. What does not read is as if it were absent: a key that was paid for goes out whatever a
    /// brand says. What is configured is checked with [`Brand::check`] before it is stored.
    #[must_use]
    pub fn read(document: &str) -> Self {
        serde_json::from_str(document).unwrap_or_default()
    }

    /// Checks a brand as a file or a call has it: texts by the names of its fields.
    ///
    /// # Errors
    /// The first field that is unknown or cannot be used.
    pub fn check_texts(texts: &BTreeMap<String, String>) -> Result<(), BrandError> {
        Self::read(&serde_json::json!(texts).to_string()).check()
    }

    /// Checks what a person configured.
    ///
    /// # Errors
    /// The first field that is unknown or cannot be used.
    pub fn check(&self) -> Result<(), BrandError> {
        let refuse = |field: &str, problem| Err(BrandError { field: field.to_owned(), problem });
        if let Some(field) = self.unknown.keys().next() {
            return refuse(field, "is not known; see the documentation for the fields of a brand");
        }
        for (field, address) in [("sender_address", &self.sender_address), ("reply_to", &self.reply_to)] {
            if address.as_deref().is_some_and(|text| mailbox(None, text).is_none()) {
                return refuse(field, "is not an e-mail address");
            }
        }
        for (field, address) in [
            ("download_url", &self.download_url),
            ("docs_url", &self.docs_url),
            ("portal_url", &self.portal_url),
            ("logo_url", &self.logo_url),
        ] {
            if address.is_some() && link(address.as_deref()).is_none() {
                return refuse(field, "is not an address that starts with https:// or http://");
            }
        }
        if self.support_url.is_some() && support(self.support_url.as_deref()).is_none() {
            return refuse("support_url", "is not an address that starts with https://, http:// or mailto:");
        }
        if self.colour.as_deref().is_some_and(|text| Colour::parse(text).is_none()) {
            return refuse("colour", "is not a colour such as #0a7cff");
        }
        if self.language.as_deref().is_some_and(|text| Language::parse(text).is_none()) {
            return refuse("language", "is not a language that mails are written in; write en or de");
        }
        Ok(())
    }

    /// The language of its mails.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language.as_deref().and_then(Language::parse).unwrap_or_default()
    }

    /// The picture at the top of mails. Only over https: a reader's program may refuse anything else, and warn of it.
    pub(crate) fn logo(&self) -> Option<String> {
        link(self.logo_url.as_deref()).filter(|url| url.starts_with("https://"))
    }

    /// The colour of the button.
    pub(crate) fn colour(&self) -> Colour {
        self.colour.as_deref().and_then(Colour::parse).unwrap_or(Colour::DEFAULT)
    }
}

/// An address that a reader may follow, in its normal form. No other scheme gets into a mail.
pub(crate) fn link(text: Option<&str>) -> Option<String> {
    let url = Url::parse(text?.trim()).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then(|| url.into())
}

/// A place to ask: a page, or a mailbox.
pub(crate) fn support(text: Option<&str>) -> Option<String> {
    let is_mailbox = |url: &Url| url.scheme() == "mailto" && mailbox(None, url.path()).is_some();
    link(text).or_else(|| Url::parse(text?.trim()).ok().filter(is_mailbox).map(Into::into))
}

/// A colour, and by that what is readable on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour([u8; 3]);

impl Colour {
    const DEFAULT: Self = Self([0x1f, 0x5f, 0xd6]);

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        let is_hex = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u32::from_str_radix(digits, 16).ok())??;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// As style sheets write it.
    pub(crate) fn css(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Black or white, whichever has more contrast on it (WCAG 2: they are equal at a luminance of 0.179, where both have 4.58).
    pub(crate) fn text_on_it(self) -> &'static str {
        if self.luminance() > 0.179 { "#000000" } else { "#ffffff" }
    }

    /// What shows where it ends on white: itself, or a grey where it is too light (3 to 1, WCAG 2.2, 1.4.11).
    pub(crate) fn edge(self) -> String {
        if contrast(self.luminance(), 1.0) >= 3.0 { self.css() } else { "#767b86".to_owned() }
    }

    fn luminance(self) -> f64 {
        let linear = |value: u8| {
            let share = f64::from(value) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

/// How well two colours tell apart, by their luminances: from 1 to 21 (WCAG 2).
fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(document: &str) -> Brand {
        serde_json::from_str(document).unwrap()
    }

    #[test]
    fn what_can_be_used_passes() {
        let full = r##"{"sender_name":"Acme","sender_address":"keys@acme.test","reply_to":"help@acme.test",
            "support_url":"mailto:help@acme.test","download_url":"https://acme.test/get","docs_url":"http://acme.test",
            "portal_url":"https://acme.test","logo_url":"https://acme.test/l.png","colour":"#0A7cff","language":"de-AT","footer":"Acme Inc."}"##;
        assert_eq!(brand(full).check(), Ok(()));
        assert_eq!(brand("{}").check(), Ok(()));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (document, field) in [
            (r#"{"sender_adress":"a@b.test"}"#, "sender_adress"),
            (r#"{"sender_address":"nobody"}"#, "sender_address"),
            (r#"{"reply_to":"a@b.test\r\nBcc: c@d.test"}"#, "reply_to"),
            (r#"{"download_url":"javascript:alert(1)"}"#, "download_url"),
            (r#"{"docs_url":"acme.test/docs"}"#, "docs_url"),
            (r#"{"portal_url":"mailto:a@b.test"}"#, "portal_url"),
            (r#"{"support_url":"mailto:nobody"}"#, "support_url"),
            (r#"{"colour":"red;}"}"#, "colour"),
            (r##"{"colour":"#+12345"}"##, "colour"),
            (r#"{"language":"fr"}"#, "language"),
        ] {
            assert_eq!(brand(document).check().unwrap_err().field, field, "{document}");
        }
    }

    #[test]
    fn a_brand_that_does_not_read_is_an_empty_one() {
        for document in ["", "nothing", "[]", r#"{"colour":7}"#] {
            assert_eq!(Brand::read(document), Brand::default(), "{document}");
        }
        assert_eq!(Brand::default().colour(), Colour::DEFAULT);
    }

    #[test]
    fn unknown_fields_are_kept() {
        let document = r#"{"footer":"Acme","of_tomorrow":{"a":1}}"#;
        assert_eq!(serde_json::to_string(&brand(document)).unwrap(), document);
    }

    #[test]
    fn text_on_a_colour_can_be_read() {
        for (colour, text) in
            [("#ffffff", "#000000"), ("#ffcc00", "#000000"), ("#1f5fd6", "#ffffff"), ("#000000", "#ffffff")]
        {
            assert_eq!(Colour::parse(colour).unwrap().text_on_it(), text, "{colour}");
        }
        let steps = || (0..=255).step_by(15);
        for colour in steps().flat_map(|red| steps().flat_map(move |green| steps().map(move |blue| [red, green, blue])))
        {
            let colour = Colour(colour);
            let text = Colour::parse(colour.text_on_it()).unwrap();
            assert!(contrast(colour.luminance(), text.luminance()) >= 4.5, "{}", colour.css());
            let edge = Colour::parse(&colour.edge()).unwrap();
            assert!(contrast(edge.luminance(), 1.0) >= 3.0, "{}", colour.css());
        }
    }

    #[test]
    fn a_logo_in_mails_is_loaded_over_https() {
        for (logo, shown) in [("https://acme.test/l.png", true), ("http://acme.test/l.png", false), ("data:x", false)] {
            let brand = Brand { logo_url: Some(logo.to_owned()), ..Brand::default() };
            assert_eq!(brand.logo().is_some(), shown, "{logo}");
        }
    }
}
