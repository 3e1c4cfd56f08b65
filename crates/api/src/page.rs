//! Lists, a page at a time, the newest first.

use std::marker::PhantomData;

use axum::{extract::FromRequestParts, http::request::Parts};
use domain::id::IdError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::lists::{Cursor, Listed, Page};
use utoipa::{IntoParams, ToSchema};

use crate::{
    problem::Problem,
    read::{Prefixed, params, refuse_unknown},
};

/// Rows of a page unless asked otherwise.
const LIMIT_DEFAULT: u64 = 20;
/// Rows of a page at most.
pub(crate) const LIMIT_MAX: u64 = 100;

/// Which piece of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u64>,
    /// The older ones behind this id: `next_cursor` of the page before.
    after: Option<String>,
    /// The newer ones before this id.
    before: Option<String>,
}

/// No filters.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Everything {}

/// Which piece of a list whose ids are `I`, filtered by `F`.
pub(crate) struct Listing<I, F = Everything> {
    pub(crate) page: Page,
    pub(crate) filter: F,
    ids: PhantomData<I>,
}

impl<S, I, F> FromRequestParts<S> for Listing<I, F>
where
    I: Prefixed,
    F: DeserializeOwned + IntoParams,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let known = [PageParams::into_params(|| None), F::into_params(|| None)].concat();
        refuse_unknown(parts, &known.into_iter().map(|parameter| parameter.name).collect::<Vec<_>>())?;
        Ok(Self { page: page::<I>(&params(parts)?)?, filter: params(parts)?, ids: PhantomData })
    }
}

fn page<I: Prefixed>(asked: &PageParams) -> Result<Page, Problem> {
    let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}; it is between 1 and {LIMIT_MAX}.")).of("limit"));
    }
    let id = |name: &str, text: &str| {
        let id: Result<I, IdError> = text.parse();
        id.map(Prefixed::uuid).map_err(|error| Problem::invalid(format!("`{name}`: {error}.")).of(name))
    };
    let from = match (asked.after.as_deref(), asked.before.as_deref()) {
        (None, None) => None,
        (Some(after), None) => Some(Cursor::After(id("after", after)?)),
        (None, Some(before)) => Some(Cursor::Before(id("before", before)?)),
        (Some(_), Some(_)) => return Err(Problem::invalid("A list goes on `after` or `before` something, not both.")),
    };
    Ok(Page { limit, from })
}

/// A page of a list, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    data: Vec<T>,
    /// Whether there are more, in the direction of the page.
    has_more: bool,
    /// Where the next page starts: to be sent as `after`, or as `before` if this page was asked for with that.
    next_cursor: Option<String>,
}

/// Something that lists go on from.
pub(crate) trait Listable {
    /// Its id, as it is shown.
    fn id(&self) -> &str;
}

impl<T> List<T> {
    /// A page that goes on behind something which need not be on it.
    pub(crate) const fn up_to(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, has_more: next_cursor.is_some(), next_cursor }
    }
}

impl<T: Listable> List<T> {
    /// The document of a page.
    pub(crate) fn new(listed: Listed<T>, page: Page) -> Self {
        let Listed { rows: data, has_more } = listed;
        let edge = match page.from {
            Some(Cursor::Before(_)) => data.first(),
            _ => data.last(),
        };
        let next_cursor = edge.filter(|_| has_more).map(|last| last.id().to_owned());
        Self { data, has_more, next_cursor }
    }

    /// The first page of a list that stands within another document.
    pub(crate) const fn first_page() -> Page {
        Page { limit: LIMIT_MAX, from: None }
    }
}
