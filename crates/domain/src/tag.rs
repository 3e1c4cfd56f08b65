//! Tags: a vendor's own words for licenses, by which they are found again.

use std::collections::BTreeSet;

/// Tags that a license may have.
pub const TAGS_MAX: usize = 20;
/// The longest tag, in characters.
pub const TAG_CHARACTERS_MAX: usize = 40;

/// Why a text is no tag, or tags are too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// It is empty, too long, or has a sign that stands between tags.
    #[error("`{0}` is no tag: one has 1 to {TAG_CHARACTERS_MAX} characters, and no comma or semicolon among them")]
    Word(String),
    /// More than a license may have.
    #[error("the license would have {0} tags; {TAGS_MAX} is the most")]
    TooMany(usize),
}

/// Reads a tag: in lower case, and without blanks around it or several in a row.
///
/// # Errors
/// It is no tag.
pub fn read(text: &str) -> Result<String, TagError> {
    let tag = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let is_word = !tag.contains([',', ';']) && !tag.chars().any(char::is_control);
    let fits = (1..=TAG_CHARACTERS_MAX).contains(&tag.chars().count());
    if is_word && fits { Ok(tag) } else { Err(TagError::Word(text.chars().take(TAG_CHARACTERS_MAX).collect())) }
}

/// Reads tags that stand in one text, with commas or semicolons between them.
///
/// # Errors
/// One of them is no tag, or they are too many for a license.
pub fn read_all(text: &str) -> Result<BTreeSet<String>, TagError> {
    let words = text.split([',', ';']).filter(|word| !word.trim().is_empty());
    checked(words.map(read).collect::<Result<_, _>>()?)
}

/// Tags, if a license may have so many.
///
/// # Errors
/// They are too many.
pub fn checked(tags: BTreeSet<String>) -> Result<BTreeSet<String>, TagError> {
    if tags.len() > TAGS_MAX { Err(TagError::TooMany(tags.len())) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_people_write_them() {
        for (text, tags) in [("", &[][..]), (" Beta  Tester ,vip;vip", &["beta tester", "vip"]), ("Größe", &["größe"])]
        {
            assert_eq!(read_all(text), Ok(tags.iter().map(|tag| (*tag).to_owned()).collect()), "{text}");
        }
        let long = "x".repeat(TAG_CHARACTERS_MAX + 1);
        for text in ["", "  ", "a,b", "a;b", "a\u{7}b", &long] {
            assert!(read(text).is_err(), "{text}");
        }
        let many: Vec<String> = (0..=TAGS_MAX).map(|number| number.to_string()).collect();
        assert_eq!(read_all(&many.join(",")), Err(TagError::TooMany(TAGS_MAX + 1)));
    }
}
