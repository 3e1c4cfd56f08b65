//! The audit log in lists.

use domain::id::{LicenseId, OrderId, TenantId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Query, SimpleExpr},
};
use uuid::Uuid;

use super::{
    ASKED_ABOUT_MAX, Cursor, Examined, LOOKED_AT_MAX, Listed, Page, Whose, from_cursor, read_ordered, read_page,
};
use crate::{
    Store,
    convert::micros,
    entities::{audit_entries, audit_entries::Column::Sequence, orders},
    error::StoreError,
    rows::AuditEntry,
};

/// Which audit entries.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// About this order, its licenses, and orders that became part of it.
    pub order: Option<OrderId>,
    /// About this license.
    pub license: Option<LicenseId>,
    /// Whoever did it, as the log names them. With a colon at its end: all who are named so, such as `key:`.
    pub actor: Option<String>,
    /// What was done. With a dot at its end: all that is done to something, such as `license.`.
    pub action: Option<String>,
    /// What it was done to, as the log names it.
    pub subject: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether it is about one sale. The entries of one are few, and found by an index that does not know the chain.
    const fn is_about_one(&self) -> bool {
        self.order.is_some() || self.license.is_some()
    }

    /// How many entries may be looked at for a page. Of which mode one is, its order is asked, unless it is passed over.
    const fn looks_at(&self) -> i64 {
        let passes_over = self.actor.is_some() || self.action.is_some() || self.subject.is_some();
        (if passes_over { LOOKED_AT_MAX } else { ASKED_ABOUT_MAX }).cast_signed()
    }
}

/// The numbers of the entries that are looked at for a page, from the lowest to the highest: those of a chain have no gaps.
const fn stretch(from: Option<Cursor<i64>>, newest: i64, most: i64) -> (i64, i64) {
    match from {
        None => (newest - most + 1, newest),
        Some(Cursor::After(number)) => (number - most, number - 1),
        Some(Cursor::Before(number)) => (number + 1, number + most),
    }
}

/// A word, or all words that begin so, where it ends with `mark`.
fn word_or_beginning<C: ColumnTrait>(column: C, word: &str, mark: char) -> SimpleExpr {
    if word.ends_with(mark) { column.starts_with(word) } else { column.eq(word) }
}

/// The entries that a filter finds, but for its order. The log of a vendor is read along its chain, which has an index.
pub(crate) fn audit(whose: Whose, filter: &AuditFilter) -> Select<audit_entries::Entity> {
    use audit_entries::Column;
    let of_mode = Query::select()
        .expr(Expr::val(1))
        .from(orders::Entity)
        .and_where(Expr::col((orders::Entity, orders::Column::Id)).equals((audit_entries::Entity, Column::OrderId)))
        .and_where(orders::Column::Livemode.eq(whose.livemode))
        .to_owned();
    audit_entries::Entity::find()
        .filter(Column::TenantId.eq(whose.tenant.0))
        .filter(Condition::any().add(Column::OrderId.is_null()).add(Expr::exists(of_mode)))
        .filter(
            Condition::all()
                .add_option(filter.license.map(|license| Column::LicenseId.eq(license.0)))
                .add_option(filter.actor.as_deref().map(|actor| word_or_beginning(Column::Actor, actor, ':')))
                .add_option(filter.action.as_deref().map(|action| word_or_beginning(Column::Action, action, '.')))
                .add_option(filter.subject.as_deref().map(|subject| Column::Subject.eq(subject)))
                .add_option(filter.since.map(|since| Column::OccurredAt.gte(micros(since))))
                .add_option(filter.until.map(|until| Column::OccurredAt.lt(micros(until)))),
        )
}

impl Store {
    /// A page of the audit log. Entries that are not about an order belong to both modes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_audit(
        &self,
        whose: Whose,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listed<AuditEntry>, StoreError> {
        let query = audit(whose, filter);
        if !filter.is_about_one() {
            return match self.place_in_chain(whose.tenant, page.from).await? {
                None => Ok(Listed::none()),
                Some(from) => read_ordered(&self.reader, from_cursor(query, Sequence, from), page).await,
            };
        }
        let query = match filter.order {
            None => query,
            Some(order) => {
                let orders = self.with_absorbed([order].into()).await?;
                query.filter(audit_entries::Column::OrderId.is_in(orders.into_iter().map(|order| order.0)))
            }
        };
        read_page(&self.reader, query, audit_entries::Column::Id, page).await
    }

    /// A page of the audit log that takes no longer the longer the log is: it looks at so many entries, and says where it
    /// stopped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_audit(
        &self,
        whose: Whose,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Examined<AuditEntry>, StoreError> {
        if filter.is_about_one() {
            return Ok(Examined::whole(self.list_audit(whose, filter, page).await?));
        }
        let (Some(from), Some(newest)) =
            (self.place_in_chain(whose.tenant, page.from).await?, self.newest_in_chain(whose.tenant).await?)
        else {
            return Ok(Examined::whole(Listed::none()));
        };
        let (lowest, highest) = stretch(from, newest, filter.looks_at());
        let within = audit(whose, filter).filter(Sequence.between(lowest, highest));
        let listed = read_ordered(&self.reader, from_cursor(within, Sequence, from), page).await?;
        let is_backwards = matches!(from, Some(Cursor::Before(_)));
        let last = if is_backwards { highest } else { lowest };
        let is_further = !listed.has_more && (2..newest).contains(&last);
        let entry = if is_further { self.entry_in_chain(whose.tenant, last).await? } else { None };
        let further = entry.map(|entry| if is_backwards { Cursor::Before(entry) } else { Cursor::After(entry) });
        Ok(Examined { listed, further })
    }

    /// A cursor as a place in the chain of its vendor. None: it is none.
    async fn place_in_chain(
        &self,
        tenant: TenantId,
        from: Option<Cursor>,
    ) -> Result<Option<Option<Cursor<i64>>>, StoreError> {
        let Some(cursor) = from else { return Ok(Some(None)) };
        let entry = audit_entries::Entity::find_by_id(cursor.id()).filter(audit_entries::Column::TenantId.eq(tenant.0));
        let number: Option<i64> = entry.select_only().column(Sequence).into_tuple().one(&self.reader).await?;
        Ok(number.map(|number| Some(cursor.named(number))))
    }

    /// The number of the newest entry of a vendor.
    async fn newest_in_chain(&self, tenant: TenantId) -> Result<Option<i64>, StoreError> {
        let entries = audit_entries::Entity::find()
            .select_only()
            .column(Sequence)
            .filter(audit_entries::Column::TenantId.eq(tenant.0));
        Ok(entries.order_by_desc(Sequence).limit(1).into_tuple().one(&self.reader).await?)
    }

    /// The entry with this number.
    async fn entry_in_chain(&self, tenant: TenantId, number: i64) -> Result<Option<Uuid>, StoreError> {
        let entries = audit_entries::Entity::find().select_only().column(audit_entries::Column::Id);
        let entry = entries.filter(audit_entries::Column::TenantId.eq(tenant.0)).filter(Sequence.eq(number));
        Ok(entry.into_tuple().one(&self.reader).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_is_looked_at_a_stretch_at_a_time() {
        for (from, looked_at) in [
            (None, (901, 1_000)),
            (Some(Cursor::After(901)), (801, 900)),
            (Some(Cursor::After(50)), (-50, 49)),
            (Some(Cursor::Before(801)), (802, 901)),
            (Some(Cursor::Before(990)), (991, 1_090)),
        ] {
            assert_eq!(stretch(from, 1_000, 100), looked_at, "{from:?}");
        }
    }
}
