//! Lists that people come back to, and changes of many licenses at once.

use domain::id::{BulkChangeId, SavedViewId, TenantId};
use jiff::{SignedDuration, Timestamp};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::{bulk_changes, bulk_items, saved_views},
    error::StoreError,
    lists::Whose,
    rows::{BulkChange, BulkItem, SavedView},
};

/// How far a change of many licenses has come, as stored.
pub mod status {
    /// It goes on.
    pub const RUNNING: &str = "running";
    /// All licenses were looked at.
    pub const DONE: &str = "done";
}

/// How long whoever works on a change has it alone.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

impl Store {
    /// The saved views of a tenant, by name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn saved_views(&self, tenant: TenantId) -> Result<Vec<SavedView>, StoreError> {
        let query = saved_views::Entity::find().filter(saved_views::Column::TenantId.eq(tenant.0));
        let mut views = query.all(&self.reader).await?;
        views.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(views)
    }

    /// The changes of many licenses, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bulk_changes(&self, whose: Whose, limit: u64) -> Result<Vec<BulkChange>, StoreError> {
        let query = bulk_changes::Entity::find().filter(of(whose)).order_by_desc(bulk_changes::Column::Id);
        Ok(query.limit(limit).all(&self.reader).await?)
    }

    /// A change of many licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bulk_change(&self, whose: Whose, id: BulkChangeId) -> Result<Option<BulkChange>, StoreError> {
        Ok(bulk_changes::Entity::find_by_id(id.0).filter(of(whose)).one(&self.reader).await?)
    }

    /// Changes that go on, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn running_bulk_changes(&self) -> Result<Vec<BulkChange>, StoreError> {
        let query = bulk_changes::Entity::find().filter(Expr::cust("status = 'running'"));
        Ok(query.order_by_asc(bulk_changes::Column::Id).all(&self.reader).await?)
    }

    /// The licenses of a change that stayed as they were, in its order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn skipped_bulk_items(&self, id: BulkChangeId, limit: u64) -> Result<Vec<BulkItem>, StoreError> {
        let query = bulk_items::Entity::find()
            .filter(bulk_items::Column::ChangeId.eq(id.0))
            .filter(bulk_items::Column::Outcome.ne(""))
            .order_by_asc(bulk_items::Column::Position);
        Ok(query.limit(limit).all(&self.reader).await?)
    }
}

impl Write {
    /// How many views a tenant has saved.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_saved_views(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let query = saved_views::Entity::find().filter(saved_views::Column::TenantId.eq(tenant.0));
        Ok(query.count(&self.transaction).await?)
    }

    /// A saved view as this transaction sees it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn saved_view(&self, tenant: TenantId, id: SavedViewId) -> Result<Option<SavedView>, StoreError> {
        let query = saved_views::Entity::find_by_id(id.0).filter(saved_views::Column::TenantId.eq(tenant.0));
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes a view, new or changed.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`]: another one has that name.
    pub async fn save_view(&self, view: SavedView) -> Result<(), StoreError> {
        bulk::insert::<saved_views::Entity>(&self.transaction, vec![view], Existing::Replace).await?;
        Ok(())
    }

    /// Forgets a view.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_view(&self, id: SavedViewId) -> Result<(), StoreError> {
        saved_views::Entity::delete_by_id(id.0).exec(&self.transaction).await?;
        Ok(())
    }

    /// Writes a change, new or further on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_bulk_change(&self, change: BulkChange) -> Result<(), StoreError> {
        bulk::insert::<bulk_changes::Entity>(&self.transaction, vec![change], Existing::Replace).await?;
        Ok(())
    }

    /// Writes licenses of a change, new or done.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_bulk_items(&self, items: Vec<BulkItem>) -> Result<(), StoreError> {
        bulk::insert::<bulk_items::Entity>(&self.transaction, items, Existing::Replace).await?;
        Ok(())
    }

    /// Takes a change that goes on and that nobody works on. None: somebody does, or it is over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lease_bulk_change(&self, id: BulkChangeId, now: Timestamp) -> Result<Option<BulkChange>, StoreError> {
        use bulk_changes::Column;
        let is_free = Condition::any().add(Column::LeaseUntil.is_null()).add(Column::LeaseUntil.lt(micros(now)));
        let leased = bulk_changes::Entity::update_many()
            .col_expr(Column::LeaseUntil, Expr::val(micros(domain::time::after(now, LEASE))))
            .filter(Column::Id.eq(id.0))
            .filter(Expr::cust("status = 'running'"))
            .filter(is_free)
            .exec(&self.transaction)
            .await?;
        match leased.rows_affected {
            0 => Ok(None),
            _ => Ok(bulk_changes::Entity::find_by_id(id.0).one(&self.transaction).await?),
        }
    }

    /// The next licenses of a change.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_bulk_items(&self, change: &BulkChange, limit: u64) -> Result<Vec<BulkItem>, StoreError> {
        let query = bulk_items::Entity::find()
            .filter(bulk_items::Column::ChangeId.eq(change.id))
            .filter(Expr::col(bulk_items::Column::Position).gte(change.done))
            .order_by_asc(bulk_items::Column::Position);
        Ok(query.limit(limit).all(&self.transaction).await?)
    }
}

fn of(whose: Whose) -> Condition {
    Condition::all()
        .add(bulk_changes::Column::TenantId.eq(whose.tenant.0))
        .add(bulk_changes::Column::Livemode.eq(whose.livemode))
}
