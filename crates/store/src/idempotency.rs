//! Calls with an idempotency key: who runs, and what was answered.

use domain::id::TenantId;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::idempotency_keys,
    error::StoreError,
    rows::IdempotencyKey,
};

impl Write {
    /// Writes that a call runs, unless its key is there. Returns what is there now: this row, or an older one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim_call(&self, call: IdempotencyKey) -> Result<IdempotencyKey, StoreError> {
        let (tenant, key) = (call.tenant_id, call.key.clone());
        bulk::insert::<idempotency_keys::Entity>(&self.transaction, vec![call.clone()], Existing::Keep).await?;
        let query = idempotency_keys::Entity::find()
            .filter(idempotency_keys::Column::TenantId.eq(tenant))
            .filter(idempotency_keys::Column::Key.eq(key));
        Ok(query.one(&self.transaction).await?.unwrap_or(call))
    }

    /// Takes a call over that nobody runs any more. False: somebody else was faster.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take_call_over(&self, stale: &IdempotencyKey, now: Timestamp) -> Result<bool, StoreError> {
        let taken = idempotency_keys::Entity::update_many()
            .col_expr(idempotency_keys::Column::CreatedAt, Expr::val(micros(now)))
            .col_expr(idempotency_keys::Column::Status, Expr::val(Option::<i32>::None))
            .filter(idempotency_keys::Column::Id.eq(stale.id))
            .filter(idempotency_keys::Column::CreatedAt.eq(stale.created_at))
            .filter(match stale.status {
                Some(status) => idempotency_keys::Column::Status.eq(status),
                None => idempotency_keys::Column::Status.is_null(),
            })
            .exec(&self.transaction)
            .await?;
        Ok(taken.rows_affected == 1)
    }
}

impl Store {
    /// Keeps how a call ended: its status and its sealed answer, and which master key sealed it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn finish_call(
        &self,
        tenant: TenantId,
        id: Uuid,
        status: u16,
        sealed: Option<(Vec<u8>, String)>,
    ) -> Result<(), StoreError> {
        let (sealed, sealed_by) = sealed.unzip();
        idempotency_keys::Entity::update_many()
            .col_expr(idempotency_keys::Column::Status, Expr::val(Some(i32::from(status))))
            .col_expr(idempotency_keys::Column::Sealed, Expr::val(sealed))
            .col_expr(idempotency_keys::Column::SealedBy, Expr::val(sealed_by))
            .filter(idempotency_keys::Column::Id.eq(id))
            .filter(idempotency_keys::Column::TenantId.eq(tenant.0))
            .exec(&self.writer)
            .await?;
        Ok(())
    }

    /// Forgets a call: should it be made again, it is another.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_call(&self, tenant: TenantId, id: Uuid) -> Result<(), StoreError> {
        let query = idempotency_keys::Entity::delete_many().filter(idempotency_keys::Column::Id.eq(id));
        query.filter(idempotency_keys::Column::TenantId.eq(tenant.0)).exec(&self.writer).await?;
        Ok(())
    }

    /// Forgets calls that were made before then. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_calls(&self, before: Timestamp) -> Result<u64, StoreError> {
        let query =
            idempotency_keys::Entity::delete_many().filter(idempotency_keys::Column::CreatedAt.lt(micros(before)));
        Ok(query.exec(&self.writer).await?.rows_affected)
    }
}
