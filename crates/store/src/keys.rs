//! Keys that are not licenses: those that sign leases, and those that open the API.

use domain::id::{ApiKeyId, TenantId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    Store, Write,
    bulk::{self, Existing},
    entities::{api_keys, settings, signing_keys},
    error::StoreError,
    rows::{ApiKey, SigningKey},
};

impl Store {
    /// A tenant's signing keys, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_keys(&self, tenant: TenantId) -> Result<Vec<SigningKey>, StoreError> {
        let query = signing_keys::Entity::find().filter(signing_keys::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(signing_keys::Column::Id).all(&self.reader).await?)
    }

    /// An API key by its id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(api_keys::Entity::find_by_id(id.0).one(&self.reader).await?)
    }

    /// A tenant's API keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let query = api_keys::Entity::find().filter(api_keys::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(api_keys::Column::Id).all(&self.reader).await?)
    }

    /// A single stored value.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(settings::Entity::find_by_id(name.to_owned()).one(&self.reader).await?.map(|row| row.value))
    }
}

impl Write {
    /// A tenant's signing keys, the oldest first, as of this transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_keys(&self, tenant: TenantId) -> Result<Vec<SigningKey>, StoreError> {
        let query = signing_keys::Entity::find().filter(signing_keys::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(signing_keys::Column::Id).all(&self.transaction).await?)
    }

    /// Forgets a signing key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_signing_key(&self, kid: &str) -> Result<(), StoreError> {
        signing_keys::Entity::delete_by_id(kid.to_owned()).exec(&self.transaction).await?;
        Ok(())
    }

    /// Writes a signing key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_signing_key(&self, key: SigningKey) -> Result<(), StoreError> {
        bulk::insert::<signing_keys::Entity>(&self.transaction, vec![key], Existing::Replace).await?;
        Ok(())
    }

    /// Writes an API key.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if the tenant has one of that name.
    pub async fn save_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        bulk::insert::<api_keys::Entity>(&self.transaction, vec![key], Existing::Replace).await?;
        Ok(())
    }

    /// Writes a single value.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_setting(&self, name: &str, value: String) -> Result<(), StoreError> {
        let row = settings::Model { name: name.to_owned(), value };
        bulk::insert::<settings::Entity>(&self.transaction, vec![row], Existing::Replace).await?;
        Ok(())
    }
}
