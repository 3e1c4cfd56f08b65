//! Lists, a page at a time, with what was asked for in their address.

use std::collections::BTreeMap;

use domain::id::IdError;
use serde::Deserialize;
use store::lists::{Cursor, Examined, Listed, Page};
use uuid::Uuid;

use super::refusal::{Refusal, encoded};

/// Rows of a page.
pub(crate) const ROWS: u64 = 50;

/// What an address asks for, by name; the last of a name counts.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Asked(BTreeMap<String, String>);

impl Asked {
    /// What was asked for under this name; nothing: an empty text.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(|value| value.trim()).unwrap_or_default()
    }

    /// The page that is asked for.
    pub(crate) fn page<I: std::str::FromStr<Err = IdError> + Into<Uuid>>(&self) -> Result<Page, Refusal> {
        let read = |text: &str| text.parse::<I>().map(Into::into).map_err(|_| Refusal::NotFound);
        let from = match (self.get("after"), self.get("before")) {
            ("", "") => None,
            (after, "") => Some(Cursor::After(read(after)?)),
            (_, before) => Some(Cursor::Before(read(before)?)),
        };
        Ok(Page { limit: ROWS, from })
    }

    /// What was asked for under some of these names.
    pub(crate) fn kept(&self, names: &[&'static str]) -> Vec<(&'static str, &str)> {
        names.iter().map(|name| (*name, self.get(name))).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Pairs of names and values, as an address or a form has them.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// An address that asks for something.
pub(crate) fn address(path: &str, asked: &[(&str, &str)]) -> String {
    let pairs = asked.iter().filter(|(_, value)| !value.is_empty());
    let query: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// Something that a list is filtered by, and the address without it.
pub(crate) struct Chip {
    pub(crate) text: String,
    pub(crate) without: String,
}

impl Chip {
    /// One that takes this name out of what is asked for.
    pub(crate) fn new(text: impl Into<String>, name: &str, path: &str, asked: &[(&str, &str)]) -> Self {
        let others: Vec<_> = asked.iter().filter(|(other, _)| *other != name).copied().collect();
        Self { text: text.into(), without: address(path, &others) }
    }
}

/// Where the neighbours of a page are; none: there are none.
pub(crate) struct Pager {
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
    /// Where a list goes on that looked at only so many rows: address and word. None: it looked at all of them.
    pub(crate) further: Option<(String, &'static str)>,
}

impl Pager {
    /// Those of a page; `kept` is what else was asked for.
    pub(crate) fn new<T>(
        listed: &Listed<T>,
        page: Page,
        path: &str,
        kept: &[(&str, &str)],
        id: impl Fn(&T) -> String,
    ) -> Self {
        let link = |name: &str, id: String| address(path, &[kept, &[(name, id.as_str())]].concat());
        let is_backwards = matches!(page.from, Some(Cursor::Before(_)));
        let has_newer = if is_backwards { listed.has_more } else { page.from.is_some() };
        let has_older = is_backwards || listed.has_more;
        Self {
            newer: listed.rows.first().filter(|_| has_newer).map(|row| link("before", id(row))),
            older: listed.rows.last().filter(|_| has_older).map(|row| link("after", id(row))),
            further: None,
        }
    }

    /// Those of a page for which not everything may have been looked at; `id` is a row's, and `name` as an address has it.
    pub(crate) fn examined<T>(
        examined: &Examined<T>,
        page: Page,
        path: &str,
        kept: &[(&str, &str)],
        id: impl Fn(&T) -> Uuid,
        name: impl Fn(Uuid) -> String,
    ) -> Self {
        let on = |way: &str, edge| address(path, &[kept, &[(way, name(edge).as_str())]].concat());
        let further = examined.further.map(|edge| match edge {
            Cursor::After(edge) => (on("after", edge), "Look further back"),
            Cursor::Before(edge) => (on("before", edge), "Look at newer ones"),
        });
        Self { further, ..Self::new(&examined.listed, page, path, kept, |row| name(id(row))) }
    }
}
