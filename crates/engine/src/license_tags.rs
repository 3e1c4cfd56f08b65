//! The vendor's own words for a license: what was said is added or taken away, and the rest stays.

use std::collections::BTreeSet;

use domain::{
    id::LicenseId,
    tag::{TagError, checked},
};
use serde_json::json;
use store::{lists::Whose, many::BulkStep, rows::AuditEntry};

use crate::{Engine, Error, bulk::take_step, rulings::By};

/// Tags to add, and tags to take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagPatch {
    /// The license has these afterwards.
    pub add: BTreeSet<String>,
    /// It does not have these.
    pub remove: BTreeSet<String>,
}

impl TagPatch {
    /// What makes `wanted` of the tags that a license has.
    #[must_use]
    pub fn between(had: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Self {
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
        Self { add: only(wanted, had), remove: only(had, wanted) }
    }
}

/// Why tags are not kept.
#[derive(Debug, thiserror::Error)]
pub enum TaggingError {
    /// The license would have too many.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl TaggingError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl From<store::StoreError> for TaggingError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Adds and takes away tags of a license. None: the vendor has no such license. Otherwise the tags that it has now.
    ///
    /// # Errors
    /// It would have too many, or those of the database.
    pub async fn tag_license(
        &self,
        whose: Whose,
        license: LicenseId,
        patch: &TagPatch,
        by: &By,
    ) -> Result<Option<BTreeSet<String>>, TaggingError> {
        store::repeat(|| self.tag_once(whose, license, patch, by, None), TaggingError::is_conflict).await
    }

    /// The same for a license of many, which is noted in the same transaction.
    pub(crate) async fn tag_along(
        &self,
        whose: Whose,
        license: LicenseId,
        patch: &TagPatch,
        by: &By,
        step: BulkStep,
    ) -> Result<Option<BTreeSet<String>>, TaggingError> {
        store::repeat(|| self.tag_once(whose, license, patch, by, Some(step)), TaggingError::is_conflict).await
    }

    async fn tag_once(
        &self,
        whose: Whose,
        license: LicenseId,
        patch: &TagPatch,
        by: &By,
        step: Option<BulkStep>,
    ) -> Result<Option<BTreeSet<String>>, TaggingError> {
        let write = self.store.begin().await?;
        let Some(had) = write.lock_tags(whose.tenant, license).await? else { return Ok(None) };
        let kept = had.iter().filter(|tag| !patch.remove.contains(*tag)).cloned();
        let tags = checked(kept.chain(patch.add.iter().cloned()).collect())?;
        let TagPatch { add, remove } = TagPatch::between(&had, &tags);
        if let Some(step) = step {
            take_step(&write, step, "").await?;
        }
        if !add.is_empty() || !remove.is_empty() {
            let detail = json!({ "added": add, "removed": remove, "note": by.note });
            let order = write.order_of_license(whose.tenant, license).await?;
            let entry = self.told(whose.tenant, "license.tags_changed", license.to_string(), order, &detail, by);
            crate::audit::add(&write, vec![AuditEntry { license_id: Some(license.0), ..entry }]).await?;
            write.save_tags(whose, license, add).await?;
            write.remove_tags(license, remove).await?;
        }
        write.commit().await?;
        Ok(Some(tags))
    }
}
