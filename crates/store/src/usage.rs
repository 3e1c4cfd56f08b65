//! How often licenses are checked, where that is limited.

use std::collections::{BTreeMap, HashMap};

use domain::id::LicenseId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use crate::{Write, bulk::any_of, entities::license_usage, error::StoreError};

impl Write {
    /// Counts checks of a month, and returns how many there are then. Whoever counts the same license meanwhile waits, so
    /// that no two callers see the same number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_checks(
        &self,
        month: i32,
        checks: &BTreeMap<LicenseId, i64>,
    ) -> Result<HashMap<LicenseId, i64>, StoreError> {
        let rows = checks.iter().map(|(license, checks)| license_usage::ActiveModel {
            license_id: Set(license.0),
            month: Set(month),
            checks: Set(*checks),
        });
        let again = OnConflict::columns([license_usage::Column::LicenseId, license_usage::Column::Month])
            .value(license_usage::Column::Checks, Expr::cust("license_usage.checks + excluded.checks"))
            .to_owned();
        license_usage::Entity::insert_many(rows).on_conflict(again).exec_without_returning(&self.transaction).await?;
        let mut counted = HashMap::with_capacity(checks.len());
        let ids = checks.keys().map(|license| license.0).collect();
        for condition in any_of(&self.transaction, license_usage::Column::LicenseId, ids) {
            let query = license_usage::Entity::find().filter(condition).filter(license_usage::Column::Month.eq(month));
            let rows = query.all(&self.transaction).await?;
            counted.extend(rows.into_iter().map(|row| (LicenseId(row.license_id), row.checks)));
        }
        Ok(counted)
    }
}
