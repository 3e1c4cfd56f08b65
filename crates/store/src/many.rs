//! Lists that people come back to, and changes of many licenses at once.

use domain::id::{BulkChangeId, SavedViewId, TenantId};
use jiff::{SignedDuration, Timestamp};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
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
    /// It is being written down.
    pub const READING: &str = "reading";
    /// It is written down, and begins when somebody says so.
    pub const PREPARED: &str = "prepared";
    /// It goes on.
    pub const RUNNING: &str = "running";
    /// All licenses were looked at.
    pub const DONE: &str = "done";
    /// Somebody stopped it; those that were not looked at by then stay as they are.
    pub const STOPPED: &str = "stopped";
}

/// How long whoever works on a change has it alone.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// The turn of one license of a change, for whoever has the change alone.
#[derive(Clone, Copy, Debug)]
pub struct BulkStep {
    /// The change.
    pub change: BulkChangeId,
    /// Whose turn it is.
    pub position: i32,
    /// The lease under which it was read.
    pub lease_until: Option<i64>,
}

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

    /// Writes a new change, and its licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_bulk_change(&self, change: BulkChange, items: Vec<BulkItem>) -> Result<(), StoreError> {
        bulk::insert::<bulk_changes::Entity>(&self.transaction, vec![change], Existing::Keep).await?;
        bulk::insert::<bulk_items::Entity>(&self.transaction, items, Existing::Keep).await?;
        Ok(())
    }

    /// Notes what became of a license, in the transaction that changes it: an empty text, or why it stays as it is. False: it
    /// is not its turn any more, since another node has the change or somebody stopped it, and nothing is noted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take_bulk_step(&self, step: BulkStep, outcome: &str) -> Result<bool, StoreError> {
        use bulk_changes::Column;
        let taken = bulk_changes::Entity::update_many()
            .col_expr(Column::Done, Expr::col(Column::Done).add(1))
            .col_expr(Column::Skipped, Expr::col(Column::Skipped).add(i32::from(!outcome.is_empty())))
            .filter(Column::Id.eq(step.change.0))
            .filter(Expr::cust("status = 'running'"))
            .filter(Column::Done.eq(step.position))
            .filter(Column::LeaseUntil.eq(step.lease_until))
            .exec(&self.transaction)
            .await?;
        if taken.rows_affected == 0 {
            return Ok(false);
        }
        bulk_items::Entity::update_many()
            .col_expr(bulk_items::Column::Outcome, Expr::val(outcome))
            .filter(bulk_items::Column::ChangeId.eq(step.change.0))
            .filter(bulk_items::Column::Position.eq(step.position))
            .exec(&self.transaction)
            .await?;
        Ok(true)
    }

    /// Gives a change back that was leased, unless another node has it by now: as done, where all licenses were looked at.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_bulk_change(&self, leased: &BulkChange, now: Timestamp) -> Result<(), StoreError> {
        use bulk_changes::Column;
        let mine = || {
            bulk_changes::Entity::update_many()
                .filter(Column::Id.eq(leased.id))
                .filter(Expr::cust("status = 'running'"))
                .filter(Column::LeaseUntil.eq(leased.lease_until))
        };
        let over = mine().filter(Column::Done.gte(leased.total));
        ended(over, status::DONE, now).exec(&self.transaction).await?;
        mine().col_expr(Column::LeaseUntil, Expr::val(Option::<i64>::None)).exec(&self.transaction).await?;
        Ok(())
    }

    /// Stops a change that goes on: whoever works on it finds it stopped at the next license. None: there is none, or it is
    /// over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stop_bulk_change(
        &self,
        whose: Whose,
        id: BulkChangeId,
        now: Timestamp,
    ) -> Result<Option<BulkChange>, StoreError> {
        let running = bulk_changes::Entity::update_many()
            .filter(bulk_changes::Column::Id.eq(id.0))
            .filter(of(whose))
            .filter(Expr::cust("status = 'running'"));
        match ended(running, status::STOPPED, now).exec(&self.transaction).await?.rows_affected {
            0 => Ok(None),
            _ => Ok(bulk_changes::Entity::find_by_id(id.0).one(&self.transaction).await?),
        }
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

fn ended(update: UpdateMany<bulk_changes::Entity>, status: &str, now: Timestamp) -> UpdateMany<bulk_changes::Entity> {
    update
        .col_expr(bulk_changes::Column::Status, Expr::val(status))
        .col_expr(bulk_changes::Column::DoneAt, Expr::val(micros(now)))
        .col_expr(bulk_changes::Column::LeaseUntil, Expr::val(Option::<i64>::None))
}

pub(crate) fn of(whose: Whose) -> Condition {
    Condition::all()
        .add(bulk_changes::Column::TenantId.eq(whose.tenant.0))
        .add(bulk_changes::Column::Livemode.eq(whose.livemode))
}
