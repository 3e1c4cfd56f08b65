//! Licenses as apps use them: found by key, activated, checked.

use std::collections::{BTreeSet, HashMap};

use domain::{
    id::{LicenseId, OrderId, TenantId},
    license::License,
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{self, micros},
    entities::{activations, license_keys, licenses},
    error::StoreError,
    rows::{Activation, LicenseKey},
};

/// A license, whose it is, and the hash of the key that found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLicense {
    /// The hash that was asked for.
    pub hash: Vec<u8>,
    /// Whose it is.
    pub tenant: TenantId,
    /// Live or test money.
    pub livemode: bool,
    /// Of which order.
    pub order: OrderId,
    /// The license.
    pub license: License,
}

impl Store {
    /// The licenses that these key hashes open. Always read from the database: nothing stale is ever answered.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn licenses_by_hash(&self, hashes: Vec<Vec<u8>>) -> Result<Vec<FoundLicense>, StoreError> {
        by_hash(Reading::Pool(&self.reader), hashes).await
    }

    /// The activations of these licenses that use one of these fingerprints.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn activations_by_fingerprint(
        &self,
        licenses: Vec<Uuid>,
        fingerprints: Vec<String>,
    ) -> Result<Vec<Activation>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(activations::Column::LicenseId, licenses) {
            for fingerprint in any_of(activations::Column::Fingerprint, fingerprints.clone()) {
                let query = activations::Entity::find().filter(condition.clone()).filter(fingerprint);
                found.extend(query.all(&self.reader).await?);
            }
        }
        Ok(found)
    }

    /// The activations of a license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn activations(&self, license: LicenseId) -> Result<Vec<Activation>, StoreError> {
        Ok(activations::Entity::find().filter(activations::Column::LicenseId.eq(license.0)).all(&self.reader).await?)
    }

    /// The keys that open a license, the first one first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn license_keys(&self, license: LicenseId) -> Result<Vec<LicenseKey>, StoreError> {
        let query = license_keys::Entity::find().filter(license_keys::Column::LicenseId.eq(license.0));
        let mut keys = query.all(&self.reader).await?;
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }
}

/// Where licenses are read: from the readers, or inside a transaction that keeps other writers off them.
#[derive(Clone, Copy)]
enum Reading<'a> {
    Pool(&'a DatabaseConnection),
    Transaction(&'a Write),
}

impl Reading<'_> {
    async fn all<E: EntityTrait>(self, query: Select<E>) -> Result<Vec<E::Model>, StoreError> {
        Ok(match self {
            Self::Pool(pool) => query.all(pool).await?,
            Self::Transaction(write) if write.locks_rows() => query.lock_exclusive().all(&write.transaction).await?,
            Self::Transaction(write) => query.all(&write.transaction).await?,
        })
    }
}

async fn by_hash(reading: Reading<'_>, hashes: Vec<Vec<u8>>) -> Result<Vec<FoundLicense>, StoreError> {
    let mut found = Vec::with_capacity(hashes.len());
    for condition in any_of(license_keys::Column::Hash, hashes) {
        let keys =
            reading.all(license_keys::Entity::find().filter(condition).order_by_asc(license_keys::Column::Id)).await?;
        let ids: BTreeSet<Uuid> = keys.iter().map(|key| key.license_id).collect();
        let mut rows = HashMap::with_capacity(ids.len());
        for condition in any_of(licenses::Column::Id, ids.into_iter().collect()) {
            let query = licenses::Entity::find().filter(condition).order_by_asc(licenses::Column::Id);
            rows.extend(reading.all(query).await?.into_iter().map(|row| (row.id, row)));
        }
        for key in keys {
            if let Some(row) = rows.get(&key.license_id) {
                found.push(found_license(key.hash, row)?);
            }
        }
    }
    Ok(found)
}

fn found_license(hash: Vec<u8>, row: &licenses::Model) -> Result<FoundLicense, StoreError> {
    Ok(FoundLicense {
        hash,
        tenant: TenantId(row.tenant_id),
        livemode: row.livemode,
        order: OrderId(row.order_id),
        license: convert::license(row)?,
    })
}

impl Write {
    /// The licenses that these key hashes open, for a change: other writers wait.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn lock_licenses_by_hash(&self, hashes: Vec<Vec<u8>>) -> Result<Vec<FoundLicense>, StoreError> {
        by_hash(Reading::Transaction(self), hashes).await
    }

    /// All activations of these licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn activations_of(&self, licenses: Vec<Uuid>) -> Result<Vec<Activation>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(activations::Column::LicenseId, licenses) {
            found.extend(activations::Entity::find().filter(condition).all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Writes activations, new or seen again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_activations(&self, saved: Vec<Activation>) -> Result<(), StoreError> {
        bulk::insert::<activations::Entity>(&self.transaction, saved, Existing::Replace).await?;
        Ok(())
    }

    /// Frees the slots of these activations.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_activations(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        for condition in any_of(activations::Column::Id, ids) {
            activations::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        Ok(())
    }

    /// Remembers that activations were used. Lazy: nothing depends on it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn touch_activations(&self, ids: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(activations::Column::Id, ids) {
            activations::Entity::update_many()
                .col_expr(activations::Column::LastSeenAt, Expr::val(micros(now)))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Adds keys.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if a key is there already.
    pub async fn add_license_keys(&self, keys: Vec<LicenseKey>) -> Result<(), StoreError> {
        bulk::insert::<license_keys::Entity>(&self.transaction, keys, Existing::Refuse).await?;
        Ok(())
    }

    /// The keys of one license open another one from now on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn move_license_keys(&self, from: LicenseId, to: LicenseId) -> Result<(), StoreError> {
        license_keys::Entity::update_many()
            .col_expr(license_keys::Column::LicenseId, Expr::val(to.0))
            .filter(license_keys::Column::LicenseId.eq(from.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }
}
