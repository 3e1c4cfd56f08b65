//! Languages: a file each, with every sentence of every mail.
//!
//! To add one: copy `english.rs`, translate it, and add it to [`Language`]. A sentence that is missing does not compile,
//! one that no mail says is a warning, and a test compares the values that sentences name in all languages.

mod english;
mod german;

use jiff::Timestamp;

/// A language that mails are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// Its code, as ISO 639 has it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Reads `de`, and what browsers and providers make of it: `de-AT`, `de_CH`. None: it is another language.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code = text.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// What it says.
    pub(super) const fn sentences(self) -> &'static Sentences {
        match self {
            Self::English => &english::SENTENCES,
            Self::German => &german::SENTENCES,
        }
    }

    /// A day, with its month in words: numbers alone mean another day elsewhere.
    pub(super) fn day(self, at: Timestamp) -> String {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let months = match self {
            Self::English => &english::MONTHS,
            Self::German => &german::MONTHS,
        };
        let month = usize::from(date.month().unsigned_abs()).checked_sub(1).and_then(|month| months.get(month));
        let (day, month, year) = (date.day(), month.copied().unwrap_or_default(), date.year());
        match self {
            Self::English => format!("{day} {month} {year}"),
            Self::German => format!("{day}. {month} {year}"),
        }
    }
}

macro_rules! sentences {
    ($($(#[doc = $doc:literal])* $name:ident)*) => {
        /// All sentences. `{name}` stands for a value.
        pub(super) struct Sentences {
            $($(#[doc = $doc])* pub(super) $name: &'static str,)*
        }

        #[cfg(test)]
        impl Sentences {
            /// Each with its name.
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

sentences! {
    greeting
    /// No money was involved.
    test
    /// What to name when asking.
    order
    /// What may be shown of the key.
    key_hint
    /// Before the link that `ask` is, where answering works as well.
    reply_or_ask
    ask
    reply
    /// Where answering does not work.
    ask_only
    ask_only_link
    manage

    delivery_subject
    delivery_intro
    allowance_any
    allowance_one
    allowance_many
    term_until
    term_until_renews
    term_renews
    term_forever
    start
    download_and_start
    download
    docs
    portal
    now_frozen
    now_expired
    now_revoked

    renewed_subject
    renewed_until
    renewed_forever
    renewed_renews
    renewed_nothing_to_do

    expiring_subject
    expiring_intro
    expiring_since_cancelled
    expiring_since_bought
    expiring_resume
    expiring_renew

    payment_subject
    payment_intro
    payment_works_until
    payment_works
    payment_to_do

    frozen_subject
    frozen_intro
    frozen_pay
    frozen_resume
    frozen_dispute

    revoked_subject
    revoked_intro
    revoked_again

    /// Where a person decided.
    mistake
    get_in_touch

    /// The ends of "..., because ...".
    reason_paid
    reason_renewal_awaited
    reason_not_renewed
    reason_term_over
    reason_revoked_by_hand
    reason_frozen_by_hand
    reason_removed
    reason_superseded
    reason_ended
    reason_paused
    reason_past_due
    reason_refunded
    reason_refunded_in_part
    reason_dispute_lost
    reason_dispute_open
}

/// A sentence with its values. Values are taken as they are, whatever they contain.
pub(super) fn say(sentence: &str, values: &[(&str, &str)]) -> String {
    let mut said = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, behind)) = rest.split_once('{') {
        said.push_str(before);
        let named = behind.split_once('}').and_then(|(name, behind)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((*value, behind))
        });
        match named {
            Some((value, behind)) => {
                said.push_str(value);
                rest = behind;
            }
            None => {
                said.push('{');
                rest = behind;
            }
        }
    }
    said.push_str(rest);
    said
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_read_as_others_write_them() {
        for (text, language) in [
            ("en", Some(Language::English)),
            ("de", Some(Language::German)),
            ("de-AT", Some(Language::German)),
            ("DE_ch", Some(Language::German)),
            ("fr", None),
            ("deutsch", None),
            ("auto", None),
            ("", None),
        ] {
            assert_eq!(Language::parse(text), language, "{text}");
        }
    }

    #[test]
    fn days_have_their_month_in_words() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (language, day, said) in [
            (Language::English, "2026-11-21T23:59:59Z", "21 November 2026"),
            (Language::English, "2028-02-29T00:00:00Z", "29 February 2028"),
            (Language::German, "2026-03-01T00:00:00Z", "1. März 2026"),
            (Language::German, "2026-12-31T23:59:59Z", "31. Dezember 2026"),
        ] {
            assert_eq!(language.day(at(day)), said);
        }
    }

    /// The values that a sentence names.
    fn named(sentence: &str) -> BTreeSet<&str> {
        sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_language_says_every_sentence_with_the_same_values() {
        for language in Language::ALL {
            let english = Language::English.sentences().all();
            for ((name, english), (_, said)) in english.into_iter().zip(language.sentences().all()) {
                assert_eq!(named(said), named(english), "{}: {name}", language.code());
                assert!(!said.is_empty() && said.trim() == said, "{}: {name}", language.code());
                let is_clause = name.starts_with("reason_");
                assert!(!is_clause || !said.ends_with('.'), "{}: {name} ends a sentence", language.code());
            }
        }
    }

    #[test]
    fn values_are_taken_as_they_are() {
        assert_eq!(say("Hi {name}, {title}.", &[("name", "{title}"), ("title", "A")]), "Hi {title}, A.");
        assert_eq!(say("{unknown} {", &[]), "{unknown} {");
    }
}
