//! How often something is done that is limited: checks of licenses, and checkouts.

use std::collections::{BTreeMap, HashMap};

use domain::id::TenantId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::any_of,
    entities::{check_usage, checkout_counts},
    error::StoreError,
};

impl Write {
    /// Counts checks of a month, and returns how many there are then. Whoever counts the same license or tenant meanwhile
    /// waits, so that no two callers see the same number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_checks(
        &self,
        month: i32,
        checks: &BTreeMap<Uuid, i64>,
    ) -> Result<HashMap<Uuid, i64>, StoreError> {
        let rows = checks.iter().map(|(subject, checks)| check_usage::ActiveModel {
            subject_id: Set(*subject),
            month: Set(month),
            checks: Set(*checks),
        });
        let again = OnConflict::columns([check_usage::Column::SubjectId, check_usage::Column::Month])
            .value(check_usage::Column::Checks, Expr::cust("check_usage.checks + excluded.checks"))
            .to_owned();
        check_usage::Entity::insert_many(rows).on_conflict(again).exec_without_returning(&self.transaction).await?;
        let mut counted = HashMap::with_capacity(checks.len());
        let ids = checks.keys().copied().collect();
        for condition in any_of(&self.transaction, check_usage::Column::SubjectId, ids) {
            let query = check_usage::Entity::find().filter(condition).filter(check_usage::Column::Month.eq(month));
            let rows = query.all(&self.transaction).await?;
            counted.extend(rows.into_iter().map(|row| (row.subject_id, row.checks)));
        }
        Ok(counted)
    }

    /// Counts a checkout of a tenant in a minute, and returns how many there are then. Whoever counts the same meanwhile
    /// waits, so that no two callers see the same number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_checkout(&self, tenant: TenantId, minute: i64) -> Result<i64, StoreError> {
        let row = checkout_counts::ActiveModel { tenant_id: Set(tenant.0), minute: Set(minute), checkouts: Set(1) };
        let again = OnConflict::columns([checkout_counts::Column::TenantId, checkout_counts::Column::Minute])
            .value(checkout_counts::Column::Checkouts, Expr::cust("checkout_counts.checkouts + 1"))
            .to_owned();
        checkout_counts::Entity::insert(row).on_conflict(again).exec_without_returning(&self.transaction).await?;
        let row = checkout_counts::Entity::find_by_id((tenant.0, minute)).one(&self.transaction).await?;
        Ok(row.map_or(0, |row| row.checkouts))
    }
}

impl Store {
    /// Forgets how many checkouts were opened before that minute. Returns how many counts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_checkouts(&self, before_minute: i64) -> Result<u64, StoreError> {
        let query = checkout_counts::Entity::delete_many().filter(checkout_counts::Column::Minute.lt(before_minute));
        Ok(query.exec(&self.writer).await?.rows_affected)
    }
}
