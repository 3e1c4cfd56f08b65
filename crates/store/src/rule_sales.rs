//! What price rules decided, one row for each sale: how often a rule is used is counted along the primary key.

use domain::{
    decision::Matcher,
    id::{ConnectionId, OrderId},
};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use crate::{
    Store, Write,
    bulk::{self, Existing},
    catalogue::matcher_columns,
    convert::{instant, micros},
    entities::rule_sales::{self, Column},
    error::StoreError,
    rows::{PriceRule, RuleSale},
};

impl RuleSale {
    /// A sale that a connection's rule decided.
    #[must_use]
    pub fn new(connection: ConnectionId, matcher: &Matcher, sold_at: Timestamp, order: OrderId) -> Self {
        let (kind, value) = matcher_columns(matcher);
        Self {
            connection_id: connection.0,
            matcher_kind: kind.to_owned(),
            matcher_value: value.to_owned(),
            sold_at: micros(sold_at),
            order_id: order.0,
        }
    }
}

/// How many sales a rule decided, and when the last one was made: those of what it looks for, in its time.
pub(crate) fn counted(rule: &PriceRule) -> Select<rule_sales::Entity> {
    let query = rule_sales::Entity::find()
        .select_only()
        .column_as(Column::SoldAt.count(), "sales")
        .column_as(Column::SoldAt.max(), "last")
        .filter(Column::ConnectionId.eq(rule.connection_id))
        .filter(Column::MatcherKind.eq(&rule.matcher_kind))
        .filter(Column::MatcherValue.eq(&rule.matcher_value))
        .filter(Column::SoldAt.gte(rule.valid_from));
    match rule.valid_until {
        Some(until) => query.filter(Column::SoldAt.lt(until)),
        None => query,
    }
}

impl Store {
    /// How many sales a rule decided, and when the last of them was made; none: it decided none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sales_of_rule(&self, rule: &PriceRule) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let row: Option<(i64, Option<i64>)> = counted(rule).into_tuple().one(&self.reader).await?;
        Ok(row.and_then(|(sales, last)| Some((sales.unsigned_abs(), instant(last?)))))
    }
}

impl Write {
    /// Notes sales that rules decided. One that is known stays one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_rule_sales(&self, sales: Vec<RuleSale>) -> Result<(), StoreError> {
        bulk::insert::<rule_sales::Entity>(&self.transaction, sales, Existing::Keep).await?;
        Ok(())
    }
}
