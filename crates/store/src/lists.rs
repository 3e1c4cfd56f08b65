//! Lists for people and for the API: one tenant's rows of one mode, a page at a time, the newest first.

pub(crate) mod audit;
pub(crate) mod counted;
pub(crate) mod events;
pub(crate) mod found;
pub(crate) mod licenses;
pub(crate) mod mails;
pub(crate) mod moments;
pub(crate) mod sales;

use domain::id::TenantId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Select, Value, sea_query::LikeExpr,
};
use uuid::Uuid;

pub use audit::AuditFilter;
pub use counted::{DeliveredKinds, Unmapped};
pub use events::{InboundFilter, InboundSummary, KeptFact};
pub use licenses::{LicenseFilter, ListedLicense, Room, Seen};
pub use mails::MailFilter;
pub use moments::Concerned;
pub use sales::{CustomerFilter, OrderFilter};

use crate::{error::StoreError, rows::InboundEvent};

/// Whose rows, and whether they are about real money. No list shows anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whose {
    /// The vendor.
    pub tenant: TenantId,
    /// Live or test money.
    pub livemode: bool,
}

impl Whose {
    /// Those of an inbound event.
    #[must_use]
    pub const fn of_event(event: &InboundEvent) -> Self {
        Self { tenant: TenantId(event.tenant_id), livemode: event.livemode }
    }
}

/// From where a page goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor<K = Uuid> {
    /// Behind this row: older ones.
    After(K),
    /// Before this row: newer ones.
    Before(K),
}

impl Cursor {
    /// The row.
    const fn id(self) -> Uuid {
        match self {
            Self::After(id) | Self::Before(id) => id,
        }
    }

    /// The same place, by another name of the row.
    fn named<K>(self, name: K) -> Cursor<K> {
        match self {
            Self::After(_) => Cursor::After(name),
            Self::Before(_) => Cursor::Before(name),
        }
    }
}

/// Which piece of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most.
    pub limit: u64,
    /// From where; none: from the newest.
    pub from: Option<Cursor>,
}

/// A page, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there are more in the direction of the page.
    pub has_more: bool,
}

impl<T> Examined<T> {
    /// A page for which everything was looked at.
    pub(crate) const fn whole(listed: Listed<T>) -> Self {
        Self { listed, further: None }
    }

    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Examined<U> {
        Examined { listed: self.listed.map(change), further: self.further }
    }
}

impl<T> Listed<T> {
    /// Nothing.
    const fn none() -> Self {
        Self { rows: Vec::new(), has_more: false }
    }

    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed { rows: self.rows.into_iter().map(change).collect(), has_more: self.has_more }
    }

    fn try_map<U>(self, change: impl FnMut(T) -> Result<U, StoreError>) -> Result<Listed<U>, StoreError> {
        Ok(Listed { rows: self.rows.into_iter().map(change).collect::<Result<_, _>>()?, has_more: self.has_more })
    }
}

/// The first id that anything made at a moment can have, to the millisecond: lists go by ids, and ids by time.
#[must_use]
pub fn first_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

impl Page {
    /// A page of rows that are all in memory: `rows` in any order, `id` as the list's cursor.
    #[must_use]
    pub fn of<T>(self, mut rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> Listed<T> {
        rows.sort_by_key(|row| std::cmp::Reverse(id(row)));
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        match self.from {
            None => {}
            Some(Cursor::After(cursor)) => rows.retain(|row| id(row) < cursor),
            Some(Cursor::Before(cursor)) => rows.retain(|row| id(row) > cursor),
        }
        let has_more = rows.len() > limit;
        if has_more {
            match self.from {
                Some(Cursor::Before(_)) => drop(rows.drain(..rows.len() - limit)),
                _ => rows.truncate(limit),
            }
        }
        Listed { rows, has_more }
    }
}

/// What was found of a list of which not everything may have been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined<T> {
    /// What was found.
    pub listed: Listed<T>,
    /// Where to go on: what lies there was not looked at. None: all was, or the page is full.
    pub further: Option<Cursor>,
}

/// Rows that are looked at for one page where all that is asked for stands in the index of the list.
pub(crate) const LOOKED_AT_MAX: u64 = 100_000;
/// The same where each row, or another table, is read for it.
pub(crate) const ASKED_ABOUT_MAX: u64 = 10_000;

/// A page of those rows of `all` that meet a condition. So that no page takes long, however many rows there are and however
/// few meet it, it looks at `most` rows and says where it stopped.
pub(crate) async fn read_examined<E, M>(
    reader: &DatabaseConnection,
    all: Select<E>,
    condition: Condition,
    id: E::Column,
    page: Page,
    most: u64,
) -> Result<Examined<M>, StoreError>
where
    E: EntityTrait,
    M: FromQueryResult + Send + Sync,
{
    if condition.is_empty() {
        return Ok(Examined::whole(read_page(reader, all, id, page).await?));
    }
    let edge = from_cursor(all.clone().select_only().column(id), id, page.from).offset(most).limit(1);
    let edge: Option<Uuid> = edge.into_tuple().one(reader).await?;
    let is_backwards = matches!(page.from, Some(Cursor::Before(_)));
    let looked_at = edge.map(|edge| if is_backwards { id.lt(edge) } else { id.gt(edge) });
    let query = all.filter(Condition::all().add_option(looked_at).add(condition));
    let listed = read_page(reader, query, id, page).await?;
    let on = |edge: Uuid| match is_backwards {
        true => Cursor::Before(Uuid::from_u128(edge.as_u128() - 1)),
        false => Cursor::After(Uuid::from_u128(edge.as_u128() + 1)),
    };
    Ok(Examined { further: edge.map(on).filter(|_| !listed.has_more), listed })
}

/// The rows from a cursor on, in the order of the column that it is a value of.
pub(crate) fn from_cursor<E: EntityTrait, K: Into<Value>>(
    query: Select<E>,
    column: E::Column,
    from: Option<Cursor<K>>,
) -> Select<E> {
    match from {
        None => query.order_by_desc(column),
        Some(Cursor::After(cursor)) => query.filter(column.lt(cursor)).order_by_desc(column),
        Some(Cursor::Before(cursor)) => query.filter(column.gt(cursor)).order_by_asc(column),
    }
}

/// Reads a page of `query` by `id`, into rows of any shape.
pub(crate) async fn read_page<E, M>(
    reader: &DatabaseConnection,
    query: Select<E>,
    id: E::Column,
    page: Page,
) -> Result<Listed<M>, StoreError>
where
    E: EntityTrait,
    M: FromQueryResult + Send + Sync,
{
    read_ordered(reader, from_cursor(query, id, page.from), page).await
}

/// Reads a page of a query that begins at its cursor already.
pub(crate) async fn read_ordered<E, M>(
    reader: &DatabaseConnection,
    query: Select<E>,
    page: Page,
) -> Result<Listed<M>, StoreError>
where
    E: EntityTrait,
    M: FromQueryResult + Send + Sync,
{
    // One row more than asked for tells whether there are more.
    let mut rows = query.limit(page.limit + 1).into_model::<M>().all(reader).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if matches!(page.from, Some(Cursor::Before(_))) {
        rows.reverse();
    }
    Ok(Listed { rows, has_more })
}

/// A text with this in it.
pub(crate) fn containing(text: &str) -> LikeExpr {
    LikeExpr::new(format!("%{}%", escaped(text))).escape('\\')
}

/// A text with this at its end.
pub(crate) fn ending_with(text: &str) -> LikeExpr {
    LikeExpr::new(format!("%{}", escaped(text))).escape('\\')
}

/// What a person typed stands for itself, also where it has a sign that a pattern knows.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_memory_go_both_ways() {
        let page = |limit, from| {
            let listed = Page { limit, from }.of((1..=5).collect(), |row| Uuid::from_u128(*row));
            (listed.rows, listed.has_more)
        };
        let (after, before) =
            (|id| Some(Cursor::After(Uuid::from_u128(id))), |id| Some(Cursor::Before(Uuid::from_u128(id))));
        assert_eq!(page(2, None), (vec![5, 4], true));
        assert_eq!(page(2, after(4)), (vec![3, 2], true));
        assert_eq!(page(2, after(2)), (vec![1], false));
        assert_eq!(page(2, before(1)), (vec![3, 2], true));
        assert_eq!(page(2, before(3)), (vec![5, 4], false));
        assert_eq!(page(9, None), (vec![5, 4, 3, 2, 1], false));
    }
}
