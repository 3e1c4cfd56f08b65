//! What vendors' own code writes beside a license. It has a table of its own: the row of a license is written anew with
//! every event of its order, from what the domain knows, and the domain knows nothing of this.

use std::collections::HashMap;

use domain::id::{LicenseId, TenantId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    Write,
    bulk::{self, Existing, any_of},
    convert::{self, micros},
    entities::{license_metadata, licenses},
    error::StoreError,
};

/// The metadata of these licenses, as far as there is any.
pub(crate) async fn of_licenses(
    reader: &DatabaseConnection,
    licenses: Vec<Uuid>,
) -> Result<HashMap<Uuid, Map<String, Value>>, StoreError> {
    let mut found = HashMap::new();
    for condition in any_of(reader, license_metadata::Column::LicenseId, licenses) {
        for row in license_metadata::Entity::find().filter(condition).all(reader).await? {
            let body = convert::read("metadata of license", LicenseId(row.license_id), &row.body)?;
            found.insert(row.license_id, body);
        }
    }
    Ok(found)
}

impl Write {
    /// Locks the row of a license, for a change of what stands beside it and may not be there yet. False: the tenant has no
    /// such license.
    pub(crate) async fn lock_license(&self, tenant: TenantId, id: LicenseId) -> Result<bool, StoreError> {
        let query = licenses::Entity::find_by_id(id.0).filter(licenses::Column::TenantId.eq(tenant.0));
        let mut query = query.select_only().column(licenses::Column::Id);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        let license: Option<Uuid> = query.into_tuple().one(&self.transaction).await?;
        Ok(license.is_some())
    }

    /// The metadata of a license, for a change: other writers of it wait. None: the tenant has no such license.
    ///
    /// # Errors
    /// Those of the database, or what is stored does not read.
    pub async fn lock_license_metadata(
        &self,
        tenant: TenantId,
        id: LicenseId,
    ) -> Result<Option<Map<String, Value>>, StoreError> {
        if !self.lock_license(tenant, id).await? {
            return Ok(None);
        }
        match license_metadata::Entity::find_by_id(id.0).one(&self.transaction).await? {
            Some(row) => convert::read("metadata of license", id, &row.body).map(Some),
            None => Ok(Some(Map::new())),
        }
    }

    /// Writes the metadata of a license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_license_metadata(
        &self,
        tenant: TenantId,
        id: LicenseId,
        metadata: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let body = Value::Object(metadata.clone()).to_string();
        let row = license_metadata::Model { license_id: id.0, tenant_id: tenant.0, body, updated_at: micros(now) };
        bulk::insert::<license_metadata::Entity>(&self.transaction, vec![row], Existing::Replace).await?;
        Ok(())
    }
}
