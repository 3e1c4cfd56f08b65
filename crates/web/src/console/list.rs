//! Lists, a page at a time, with what was asked for in their address.

use domain::id::IdError;
use serde::Deserialize;
use store::lists::{Cursor, Listed, Page};
use uuid::Uuid;

use super::refusal::{Refusal, encoded};

/// Rows of a page.
pub(crate) const ROWS: u64 = 50;

/// From where a page of a list goes on.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Paging {
    #[serde(default)]
    after: String,
    #[serde(default)]
    before: String,
}

impl Paging {
    /// The page that is asked for.
    pub(crate) fn page<I: std::str::FromStr<Err = IdError> + Into<Uuid>>(&self) -> Result<Page, Refusal> {
        let read = |text: &str| text.parse::<I>().map(Into::into).map_err(|_| Refusal::NotFound);
        let from = match (self.after.as_str(), self.before.as_str()) {
            ("", "") => None,
            (after, "") => Some(Cursor::After(read(after)?)),
            (_, before) => Some(Cursor::Before(read(before)?)),
        };
        Ok(Page { limit: ROWS, from })
    }
}

/// Where the neighbours of a page are; none: there are none.
pub(crate) struct Pager {
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
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
        let link = |name: &str, id: String| {
            let pairs = kept.iter().filter(|(_, value)| !value.is_empty());
            let mut query: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            query.push(format!("{name}={id}"));
            format!("{path}?{}", query.join("&"))
        };
        let is_backwards = matches!(page.from, Some(Cursor::Before(_)));
        let has_newer = if is_backwards { listed.has_more } else { page.from.is_some() };
        let has_older = is_backwards || listed.has_more;
        Self {
            newer: listed.rows.first().filter(|_| has_newer).map(|row| link("before", id(row))),
            older: listed.rows.last().filter(|_| has_older).map(|row| link("after", id(row))),
        }
    }
}
