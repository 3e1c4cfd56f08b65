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
    Write,
    bulk::any_of,
    entities::{check_usage, checkout_windows},
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

    /// When a tenant opened its last checkouts, as [`Write::save_checkout_window`] was told; blank if none were. Whoever
    /// asks the same meanwhile waits, so that no two callers see the same.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn checkout_window(&self, tenant: TenantId) -> Result<String, StoreError> {
        let row = checkout_windows::ActiveModel { tenant_id: Set(tenant.0), opened: Set(String::new()) };
        let locked = OnConflict::column(checkout_windows::Column::TenantId)
            .value(checkout_windows::Column::Opened, Expr::cust("checkout_windows.opened"))
            .to_owned();
        checkout_windows::Entity::insert(row).on_conflict(locked).exec_without_returning(&self.transaction).await?;
        let row = checkout_windows::Entity::find_by_id(tenant.0).one(&self.transaction).await?;
        Ok(row.map_or_else(String::new, |row| row.opened))
    }

    /// Keeps when a tenant opened its last checkouts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_checkout_window(&self, tenant: TenantId, opened: &str) -> Result<(), StoreError> {
        checkout_windows::Entity::update_many()
            .col_expr(checkout_windows::Column::Opened, Expr::val(opened))
            .filter(checkout_windows::Column::TenantId.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }
}
