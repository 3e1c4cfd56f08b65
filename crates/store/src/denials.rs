//! What apps were denied, by license, answer and day: added up while it is gathered, shown to people, forgotten after a while.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    activation::VerdictCode,
    denied::{Denials, DeniedOnDay, Devices},
    id::{LicenseId, TenantId},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{self, document, instant, micros},
    entities::denied_checks::{self, Column, Model},
    error::StoreError,
};

/// Of which license, with which answer, on which day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenialKey {
    /// Whose the license is.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// As [`domain::denied::day_of`] says.
    pub day: i64,
    /// The answer.
    pub code: VerdictCode,
}

impl Store {
    /// What a license was denied, day by day. Answers that a newer release gives are left out.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn denials(&self, license: LicenseId) -> Result<Vec<DeniedOnDay>, StoreError> {
        let rows = of_license(license).all(&self.reader).await?;
        rows.into_iter().filter_map(|row| read(row).transpose()).collect()
    }
}

/// Denials of one license, along the primary key.
pub(crate) fn of_license(license: LicenseId) -> Select<denied_checks::Entity> {
    denied_checks::Entity::find().filter(Column::LicenseId.eq(license.0)).order_by_asc(Column::Day)
}

/// The oldest denials of a tenant before a day.
pub(crate) fn before(tenant: TenantId, day: i64) -> Select<denied_checks::Entity> {
    denied_checks::Entity::find().filter(Condition::all().add(Column::TenantId.eq(tenant.0)).add(Column::Day.lt(day)))
}

fn read(row: Model) -> Result<Option<DeniedOnDay>, StoreError> {
    let Some(code) = VerdictCode::named(&row.code) else { return Ok(None) };
    let fingerprints = convert::read("denials of license", LicenseId(row.license_id), &row.devices)?;
    let devices = Devices { fingerprints, are_more: row.more_devices };
    let denials = Denials { times: row.times, last_at: instant(row.last_at), devices };
    Ok(Some(DeniedOnDay { day: row.day, code, denials }))
}

fn row(key: DenialKey, denials: Denials) -> Model {
    Model {
        license_id: key.license.0,
        day: key.day,
        code: key.code.as_str().to_owned(),
        tenant_id: key.tenant.0,
        times: denials.times,
        devices: document(&denials.devices.fingerprints),
        more_devices: denials.devices.are_more,
        last_at: micros(denials.last_at),
    }
}

impl Write {
    /// Adds denials to those that are there.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if another node was the first to write of the same, which the same
    /// transaction, repeated, adds to.
    pub async fn add_denials(&self, denials: &HashMap<DenialKey, Denials>) -> Result<(), StoreError> {
        // In one order, so that no two nodes wait for each other.
        let place = |key: &DenialKey| (key.license.0, key.day, key.code.as_str().to_owned());
        let mut added: BTreeMap<_, _> =
            denials.iter().map(|(key, denials)| (place(key), (*key, denials.clone()))).collect();
        let Some(first_day) = denials.keys().map(|key| key.day).min() else { return Ok(()) };
        let licenses: BTreeSet<Uuid> = denials.keys().map(|key| key.license.0).collect();
        let mut known = Vec::new();
        for condition in any_of(&self.transaction, Column::LicenseId, licenses.into_iter().collect()) {
            let mut query = denied_checks::Entity::find().filter(condition).filter(Column::Day.gte(first_day));
            if self.is_shared() {
                let query_in_order = query.order_by_asc(Column::LicenseId).order_by_asc(Column::Day);
                query = query_in_order.order_by_asc(Column::Code).lock_exclusive();
            }
            known.extend(query.all(&self.transaction).await?);
        }
        let mut changed = Vec::new();
        for known in known {
            let place = (known.license_id, known.day, known.code.clone());
            let Some((key, mut denials)) = added.remove(&place) else { continue };
            let Some(known) = read(known)? else { continue };
            denials.join(known.denials);
            changed.push(row(key, denials));
        }
        bulk::insert::<denied_checks::Entity>(&self.transaction, changed, Existing::Replace).await?;
        let new = added.into_values().map(|(key, denials)| row(key, denials)).collect();
        bulk::insert::<denied_checks::Entity>(&self.transaction, new, Existing::Refuse).await?;
        Ok(())
    }

    /// Forgets about so many denials of a tenant that were before a day. Returns how many were looked for; fewer than `limit`:
    /// there are no more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_denials(&self, tenant: TenantId, day: i64, limit: u64) -> Result<u64, StoreError> {
        let old = before(tenant, day).select_only().column(Column::LicenseId).order_by_asc(Column::Day).limit(limit);
        let found: Vec<Uuid> = old.into_tuple().all(&self.transaction).await?;
        let licenses: BTreeSet<Uuid> = found.iter().copied().collect();
        for condition in any_of(&self.transaction, Column::LicenseId, licenses.into_iter().collect()) {
            let old = denied_checks::Entity::delete_many().filter(condition).filter(Column::Day.lt(day));
            old.exec(&self.transaction).await?;
        }
        Ok(found.len() as u64)
    }
}
