//! Imports of licenses: the lines of a file, kept for as long as they wait, beside the change of many licenses that they are.

use domain::id::{BulkChangeId, LicenseId, TenantId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::{bulk_changes, bulk_items, import_rows},
    error::StoreError,
    lists::Whose,
    many::{BulkStep, of, status},
    rows::{BulkChange, BulkItem, ImportRow},
};

/// As the index of those has it.
const NOT_BEGUN: &str = "status IN ('reading', 'prepared')";

impl Store {
    /// How many lines of an import would come to each outcome, by its word.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn import_outcomes(&self, id: BulkChangeId) -> Result<Vec<(String, i64)>, StoreError> {
        let query = import_rows::Entity::find().filter(import_rows::Column::ChangeId.eq(id.0)).select_only();
        let query =
            query.column(import_rows::Column::Outcome).column_as(import_rows::Column::Position.count(), "lines");
        Ok(query.group_by(import_rows::Column::Outcome).into_tuple().all(&self.reader).await?)
    }

    /// Lines of an import with one outcome, from a position on, in the order of the file.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn import_rows(
        &self,
        id: BulkChangeId,
        outcome: &str,
        from: i32,
        limit: u64,
    ) -> Result<Vec<ImportRow>, StoreError> {
        let query = import_rows::Entity::find()
            .filter(import_rows::Column::ChangeId.eq(id.0))
            .filter(import_rows::Column::Outcome.eq(outcome))
            .filter(import_rows::Column::Position.gte(from))
            .order_by_asc(import_rows::Column::Position);
        Ok(query.limit(limit).all(&self.reader).await?)
    }
}

impl Write {
    /// Writes some lines of an import, and what is to be done for each.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_import_rows(&self, items: Vec<BulkItem>, rows: Vec<ImportRow>) -> Result<(), StoreError> {
        bulk::insert::<bulk_items::Entity>(&self.transaction, items, Existing::Keep).await?;
        bulk::insert::<import_rows::Entity>(&self.transaction, rows, Existing::Keep).await?;
        Ok(())
    }

    /// The lines of an import from a position on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_import_rows(&self, change: &BulkChange, limit: u64) -> Result<Vec<ImportRow>, StoreError> {
        let query = import_rows::Entity::find()
            .filter(import_rows::Column::ChangeId.eq(change.id))
            .filter(Expr::col(import_rows::Column::Position).gte(change.done))
            .order_by_asc(import_rows::Column::Position);
        Ok(query.limit(limit).all(&self.transaction).await?)
    }

    /// Begins a change that is prepared. None: there is none, or it began already.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin_bulk_change(&self, whose: Whose, id: BulkChangeId) -> Result<Option<BulkChange>, StoreError> {
        let begun = bulk_changes::Entity::update_many()
            .col_expr(bulk_changes::Column::Status, Expr::val(status::RUNNING))
            .filter(bulk_changes::Column::Id.eq(id.0))
            .filter(of(whose))
            .filter(bulk_changes::Column::Status.eq(status::PREPARED))
            .exec(&self.transaction)
            .await?;
        match begun.rows_affected {
            0 => Ok(None),
            _ => Ok(bulk_changes::Entity::find_by_id(id.0).one(&self.transaction).await?),
        }
    }

    /// Notes that all of an import is written down.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prepare_bulk_change(&self, id: BulkChangeId) -> Result<(), StoreError> {
        bulk_changes::Entity::update_many()
            .col_expr(bulk_changes::Column::Status, Expr::val(status::PREPARED))
            .filter(bulk_changes::Column::Id.eq(id.0))
            .filter(bulk_changes::Column::Status.eq(status::READING))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Forgets an import that has not begun. False: there is none, or it began already.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn discard_bulk_change(&self, whose: Whose, id: BulkChangeId) -> Result<bool, StoreError> {
        let gone = bulk_changes::Entity::delete_many()
            .filter(bulk_changes::Column::Id.eq(id.0))
            .filter(of(whose))
            .filter(Expr::cust(NOT_BEGUN))
            .exec(&self.transaction)
            .await?;
        if gone.rows_affected > 0 {
            bulk_items::Entity::delete_many()
                .filter(bulk_items::Column::ChangeId.eq(id.0))
                .exec(&self.transaction)
                .await?;
            self.forget_import_rows(id).await?;
        }
        Ok(gone.rows_affected > 0)
    }

    /// Changes that were written down before a moment and have not begun.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prepared_bulk_changes(&self, before: Timestamp) -> Result<Vec<BulkChange>, StoreError> {
        let query = bulk_changes::Entity::find()
            .filter(Expr::cust(NOT_BEGUN))
            .filter(bulk_changes::Column::CreatedAt.lt(micros(before)));
        Ok(query.all(&self.transaction).await?)
    }

    /// How many changes of a tenant have not begun.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn waiting_bulk_changes(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let query = bulk_changes::Entity::find()
            .filter(Expr::cust(NOT_BEGUN))
            .filter(bulk_changes::Column::TenantId.eq(tenant.0));
        Ok(query.count(&self.transaction).await?)
    }

    /// Forgets all lines of an import.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_import_rows(&self, id: BulkChangeId) -> Result<(), StoreError> {
        let all = import_rows::Entity::delete_many().filter(import_rows::Column::ChangeId.eq(id.0));
        all.exec(&self.transaction).await?;
        Ok(())
    }

    /// Forgets a line of an import, since it was worked on, and notes the license that it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_import_row(&self, step: BulkStep, license: Option<LicenseId>) -> Result<(), StoreError> {
        import_rows::Entity::delete_by_id((step.change.0, step.position)).exec(&self.transaction).await?;
        if let Some(license) = license {
            bulk_items::Entity::update_many()
                .col_expr(bulk_items::Column::LicenseId, Expr::val(Some(license.0)))
                .filter(bulk_items::Column::ChangeId.eq(step.change.0))
                .filter(bulk_items::Column::Position.eq(step.position))
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }
}
