//! Licenses as apps use them: found by key, activated, checked.

use std::{collections::HashMap, sync::Arc};

use domain::{
    activation::Software,
    id::{LicenseId, PlanId, ProductId, TenantId},
    license::Standing,
    plan::{Adjustment, PlanVersion},
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{self, instant, micros},
    entities::{activations, license_keys, licenses},
    error::StoreError,
    rows::{Activation, LicenseKey},
};

/// What apps ask about: the part of a license on which verdicts and leases rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLicense {
    /// Whose it is.
    pub tenant: TenantId,
    /// Live or test money.
    pub livemode: bool,
    /// The license.
    pub id: LicenseId,
    /// The plan that counts.
    pub plan: PlanVersion,
    /// By how much the plan's limits are multiplied.
    pub seats: u32,
    /// How its limits differ from the plan's.
    pub adjustment: Adjustment,
    /// Its state.
    pub standing: Standing,
    /// From when on the key by which it was found opens nothing; none: it opens the license.
    pub key_closes_at: Option<Timestamp>,
}

impl FoundLicense {
    /// Whether the key by which it was found opens it at this moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.key_closes_at.is_none_or(|closes_at| at < closes_at)
    }
}

impl LicenseKey {
    /// The key of a license that people are shown and mailed has the lowest place among its keys: the first that no other
    /// has taken the place of. The first key of each license is inserted last, and stays.
    #[must_use]
    pub const fn place(&self) -> (bool, i64, Uuid) {
        (self.closes_at.is_some(), self.created_at, self.id)
    }
}

impl Store {
    /// The licenses that these key hashes open or opened ([`FoundLicense::is_open`]). Always read from the database: nothing
    /// stale is ever answered.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn licenses_by_hash(&self, hashes: Vec<Vec<u8>>) -> Result<Found, StoreError> {
        let mut found = HashMap::with_capacity(hashes.len());
        for condition in any_of(&self.reader, license_keys::Column::Hash, hashes) {
            read(found_by(condition).into_tuple().all(&self.reader).await?, &mut found)?;
        }
        Ok(found)
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
        for condition in any_of(&self.reader, activations::Column::LicenseId, licenses) {
            for fingerprint in any_of(&self.reader, activations::Column::Fingerprint, fingerprints.clone()) {
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

    /// The keys of a license, the one that people are shown first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn license_keys(&self, license: LicenseId) -> Result<Vec<LicenseKey>, StoreError> {
        let query = license_keys::Entity::find().filter(license_keys::Column::LicenseId.eq(license.0));
        let mut keys = query.all(&self.reader).await?;
        keys.sort_by_key(LicenseKey::place);
        Ok(keys)
    }
}

/// Licenses by the hash of the key that opens them.
pub type Found = HashMap<Vec<u8>, Arc<FoundLicense>>;

/// The columns of a found license.
type FoundRow = (Vec<u8>, Option<i64>, Uuid, Uuid, bool, Uuid, Uuid, i32, i32, Option<String>, String);

/// One query for both tables: a check costs a look into two indexes.
fn found_by(condition: SimpleExpr) -> Select<license_keys::Entity> {
    let opens = license_keys::Entity::belongs_to(licenses::Entity)
        .from(license_keys::Column::LicenseId)
        .to(licenses::Column::Id)
        .into();
    license_keys::Entity::find()
        .select_only()
        .column(license_keys::Column::Hash)
        .column(license_keys::Column::ClosesAt)
        .column(licenses::Column::Id)
        .column(licenses::Column::TenantId)
        .column(licenses::Column::Livemode)
        .column(licenses::Column::ProductId)
        .column(licenses::Column::PlanId)
        .column(licenses::Column::PlanVersion)
        .column(licenses::Column::Seats)
        .column(licenses::Column::Adjustment)
        .column(licenses::Column::Standing)
        .join(JoinType::InnerJoin, opens)
        .filter(condition)
}

fn read(rows: Vec<FoundRow>, found: &mut Found) -> Result<(), StoreError> {
    for (hash, closes_at, id, tenant, livemode, product, plan, version, seats, adjustment, standing) in rows {
        let id = LicenseId(id);
        let license = FoundLicense {
            tenant: TenantId(tenant),
            livemode,
            id,
            plan: PlanVersion { plan: PlanId(plan), version: version.unsigned_abs(), product: ProductId(product) },
            seats: seats.unsigned_abs(),
            adjustment: adjustment
                .map_or_else(|| Ok(Adjustment::default()), |text| convert::read("license", id, &text))?,
            standing: convert::read("license", id, &standing)?,
            key_closes_at: closes_at.map(instant),
        };
        found.insert(hash, Arc::new(license));
    }
    Ok(())
}

impl Write {
    /// The licenses that these key hashes open or opened, for a change: other writers wait.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn lock_licenses_by_hash(&self, hashes: Vec<Vec<u8>>) -> Result<Found, StoreError> {
        let mut found = HashMap::with_capacity(hashes.len());
        for condition in any_of(&self.transaction, license_keys::Column::Hash, hashes) {
            let mut query = found_by(condition);
            if self.is_shared() {
                // In the order of their ids, so that no two writers wait for each other.
                query = query.order_by_asc(licenses::Column::Id).lock_exclusive();
            }
            read(query.into_tuple().all(&self.transaction).await?, &mut found)?;
        }
        Ok(found)
    }

    /// How many live licenses of a tenant work, or could again: those that take room in its account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn licenses_that_count(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let query = licenses::Entity::find()
            .filter(licenses::Column::TenantId.eq(tenant.0))
            .filter(licenses::Column::Livemode.eq(true))
            .filter(licenses::Column::State.is_in(["active", "frozen"]));
        Ok(query.count(&self.transaction).await?)
    }

    /// All activations of these licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn activations_of(&self, licenses: Vec<Uuid>) -> Result<Vec<Activation>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, activations::Column::LicenseId, licenses) {
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
        for condition in any_of(&self.transaction, activations::Column::Id, ids) {
            activations::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        Ok(())
    }

    /// Remembers that activations were used. Lazy: nothing depends on it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn touch_activations(&self, ids: Vec<Uuid>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, activations::Column::Id, ids) {
            activations::Entity::update_many()
                .col_expr(activations::Column::LastSeenAt, Expr::val(micros(now)))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Remembers what the app on these activations says of itself: the same of all. What it does not say stays.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_software(&self, software: &Software, ids: Vec<Uuid>) -> Result<(), StoreError> {
        let told = [(activations::Column::AppVersion, &software.app_version), (activations::Column::Os, &software.os)];
        for condition in any_of(&self.transaction, activations::Column::Id, ids) {
            let mut update = activations::Entity::update_many().filter(condition);
            for (column, text) in told {
                if let Some(text) = text {
                    update = update.col_expr(column, Expr::val(text.as_str()));
                }
            }
            update.exec(&self.transaction).await?;
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

    /// The keys of a license, in no order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keys_of_license(&self, license: LicenseId) -> Result<Vec<LicenseKey>, StoreError> {
        let query = license_keys::Entity::find().filter(license_keys::Column::LicenseId.eq(license.0));
        Ok(query.all(&self.transaction).await?)
    }

    /// The keys that open a license now open it no longer than until then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_license_keys(&self, license: LicenseId, at: Timestamp) -> Result<(), StoreError> {
        use license_keys::Column::{ClosesAt, LicenseId as OfLicense};
        let later = Condition::any().add(ClosesAt.is_null()).add(ClosesAt.gt(micros(at)));
        license_keys::Entity::update_many()
            .col_expr(ClosesAt, Expr::val(micros(at)))
            .filter(OfLicense.eq(license.0))
            .filter(later)
            .exec(&self.transaction)
            .await?;
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
