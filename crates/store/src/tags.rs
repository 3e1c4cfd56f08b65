//! Tags: the vendor's own words for licenses. They have a table of their own, as metadata has, and a list of licenses with a
//! tag goes along the index of that table.

use std::collections::{BTreeSet, HashMap};

use domain::id::{LicenseId, TenantId};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    entities::{license_tags, licenses},
    error::StoreError,
    lists::{Cursor, Examined, LicenseFilter, Listed, Page, Whose, from_cursor},
};

/// Licenses with a tag that are looked at together.
const TURN: u64 = 256;

/// The tags of these licenses, as far as there are any.
pub(crate) async fn of_licenses(
    reader: &DatabaseConnection,
    licenses: Vec<Uuid>,
) -> Result<HashMap<Uuid, BTreeSet<String>>, StoreError> {
    let mut found: HashMap<Uuid, BTreeSet<String>> = HashMap::new();
    for condition in any_of(reader, license_tags::Column::LicenseId, licenses) {
        for row in license_tags::Entity::find().filter(condition).all(reader).await? {
            found.entry(row.license_id).or_default().insert(row.tag);
        }
    }
    Ok(found)
}

/// Licenses with a tag, by id: all of them stand together in the index of tags.
pub(crate) fn with_tag(whose: Whose, tag: &str) -> Select<license_tags::Entity> {
    license_tags::Entity::find()
        .filter(license_tags::Column::TenantId.eq(whose.tenant.0))
        .filter(license_tags::Column::Livemode.eq(whose.livemode))
        .filter(license_tags::Column::Tag.eq(tag))
}

/// A page of licenses with a tag that meet the rest of a filter. It looks at `most` of them, and says where it stopped.
pub(crate) async fn examine(
    reader: &DatabaseConnection,
    whose: Whose,
    (tag, filter): (&str, &LicenseFilter),
    page: Page,
    most: u64,
) -> Result<Examined<licenses::Model>, StoreError> {
    let is_backwards = matches!(page.from, Some(Cursor::Before(_)));
    let onwards = |id: Uuid| if is_backwards { Cursor::Before(id) } else { Cursor::After(id) };
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let of_customer = filter.customer.map(|customer| licenses::Column::CustomerId.eq(customer.0));
    let condition = filter.condition().add_option(of_customer);
    let (mut rows, mut from, mut looked_at, mut is_all) = (Vec::new(), page.from, 0, false);
    while rows.len() <= limit && looked_at < most && !is_all {
        let query = with_tag(whose, tag).select_only().column(license_tags::Column::LicenseId);
        let query = from_cursor(query, license_tags::Column::LicenseId, from).limit(TURN);
        let ids: Vec<Uuid> = query.into_tuple().all(reader).await?;
        (looked_at, is_all) = (looked_at + TURN, (ids.len() as u64) < TURN);
        from = ids.last().copied().map(onwards).or(from);
        let mut found = Vec::with_capacity(ids.len());
        for these in any_of(reader, licenses::Column::Id, ids) {
            found.extend(licenses::Entity::find().filter(condition.clone()).filter(these).all(reader).await?);
        }
        found.sort_by_key(|row: &licenses::Model| if is_backwards { row.id.as_u128() } else { !row.id.as_u128() });
        rows.extend(found);
    }
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if is_backwards {
        rows.reverse();
    }
    Ok(Examined { further: from.filter(|_| !has_more && !is_all), listed: Listed { rows, has_more } })
}

impl Store {
    /// The tags of a vendor's licenses in one mode, in alphabetical order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tags(&self, whose: Whose, limit: u64) -> Result<Vec<String>, StoreError> {
        // From one tag to the next, so that it costs as many looks as there are tags, and not as there are licenses.
        let mut tags: Vec<String> = Vec::new();
        while (tags.len() as u64) < limit {
            let mut query = license_tags::Entity::find()
                .filter(license_tags::Column::TenantId.eq(whose.tenant.0))
                .filter(license_tags::Column::Livemode.eq(whose.livemode));
            if let Some(last) = tags.last() {
                query = query.filter(license_tags::Column::Tag.gt(last.as_str()));
            }
            let query = query.select_only().column(license_tags::Column::Tag).order_by_asc(license_tags::Column::Tag);
            let Some(next): Option<String> = query.limit(1).into_tuple().one(&self.reader).await? else { break };
            tags.push(next);
        }
        Ok(tags)
    }
}

impl Write {
    /// The tags of a license, for a change: other writers of it wait. None: the tenant has no such license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_tags(&self, tenant: TenantId, id: LicenseId) -> Result<Option<BTreeSet<String>>, StoreError> {
        if !self.lock_license(tenant, id).await? {
            return Ok(None);
        }
        let query = license_tags::Entity::find().filter(license_tags::Column::LicenseId.eq(id.0));
        let rows = query.all(&self.transaction).await?;
        Ok(Some(rows.into_iter().map(|row| row.tag).collect()))
    }

    /// Adds tags to a license; those that it has stay.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_tags(&self, whose: Whose, id: LicenseId, tags: BTreeSet<String>) -> Result<(), StoreError> {
        let row =
            |tag| license_tags::Model { license_id: id.0, tag, tenant_id: whose.tenant.0, livemode: whose.livemode };
        let rows = tags.into_iter().map(row).collect();
        bulk::insert::<license_tags::Entity>(&self.transaction, rows, Existing::Keep).await?;
        Ok(())
    }

    /// Takes tags away from a license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_tags(&self, id: LicenseId, tags: BTreeSet<String>) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, license_tags::Column::Tag, tags.into_iter().collect()) {
            license_tags::Entity::delete_many()
                .filter(license_tags::Column::LicenseId.eq(id.0))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }
}
