//! Lists that a vendor's people come back to, and what leaves the house as a file.

use domain::id::{SavedViewId, TenantId};
use serde_json::json;
use store::{StoreError, Write, lists::Whose, rows::SavedView};

use crate::{Engine, Error, rulings::By};

/// The longest name of a view, in characters: it stands on a tab.
pub const NAME_MAX: usize = 40;
/// Views of a vendor at most: all stand above the list.
pub const VIEWS_MAX: u64 = 20;

/// Why a view cannot be saved.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// It has no name, or one that does not fit on a tab.
    #[error("a view has a name of 1 to 40 characters")]
    Name,
    /// There is one with that name.
    #[error("there is a view with this name already; choose another one")]
    Taken,
    /// There are too many.
    #[error("there are 20 views already; delete one that nobody needs")]
    TooMany,
    /// There is no such view.
    #[error("there is no such view")]
    None,
    /// The database failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(_) => Self::Taken,
            other => Self::Engine(other.into()),
        }
    }
}

impl ViewError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

/// What becomes of a view.
#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    Save { name: &'a str, query: &'a str },
    Rename(SavedViewId, &'a str),
    Delete(SavedViewId),
}

impl Engine {
    /// Saves what a list asks for under a name, for all people of a vendor.
    ///
    /// # Errors
    /// The name does not fit or is taken, there are too many, or those of the database.
    pub async fn save_view(&self, tenant: TenantId, name: &str, query: &str, by: &By) -> Result<(), ViewError> {
        self.change_view(tenant, Change::Save { name, query }, by).await
    }

    /// Gives a view another name.
    ///
    /// # Errors
    /// There is no such view, the name does not fit or is taken, or those of the database.
    pub async fn rename_view(&self, tenant: TenantId, id: SavedViewId, name: &str, by: &By) -> Result<(), ViewError> {
        self.change_view(tenant, Change::Rename(id, name), by).await
    }

    /// Forgets a view. The licenses in it stay.
    ///
    /// # Errors
    /// There is no such view, or those of the database.
    pub async fn delete_view(&self, tenant: TenantId, id: SavedViewId, by: &By) -> Result<(), ViewError> {
        self.change_view(tenant, Change::Delete(id), by).await
    }

    async fn change_view(&self, tenant: TenantId, change: Change<'_>, by: &By) -> Result<(), ViewError> {
        store::repeat(|| self.change_view_once(tenant, change, by), ViewError::is_conflict).await
    }

    async fn change_view_once(&self, tenant: TenantId, change: Change<'_>, by: &By) -> Result<(), ViewError> {
        let write = self.store.begin().await?;
        let before = match change {
            Change::Save { .. } => None,
            Change::Rename(id, _) | Change::Delete(id) => {
                Some(write.saved_view(tenant, id).await?.ok_or(ViewError::None)?)
            }
        };
        let after = self.changed_view(&write, tenant, before.as_ref(), change, by).await?;
        let told = |view: &SavedView| json!({ "name": view.name, "query": view.query });
        let detail = json!({ "before": before.as_ref().map(told), "after": after.as_ref().map(told), "note": by.note });
        let subject = before.or(after).map(|view| SavedViewId(view.id).to_string()).unwrap_or_default();
        let action = match change {
            Change::Save { .. } => "view.saved",
            Change::Rename(..) => "view.renamed",
            Change::Delete(_) => "view.deleted",
        };
        let entry = self.told(tenant, action, subject, None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }

    /// Writes the change, and returns the view as it is then; none: it is gone.
    async fn changed_view(
        &self,
        write: &Write,
        tenant: TenantId,
        before: Option<&SavedView>,
        change: Change<'_>,
        by: &By,
    ) -> Result<Option<SavedView>, ViewError> {
        let now = self.now();
        let view = match (change, before) {
            (Change::Delete(id), _) => {
                write.delete_view(id).await?;
                return Ok(None);
            }
            (Change::Rename(_, name), Some(before)) => SavedView { name: named(name)?, ..before.clone() },
            (Change::Rename(..), None) => return Err(ViewError::None),
            (Change::Save { name, query }, _) => {
                if write.count_saved_views(tenant).await? >= VIEWS_MAX {
                    return Err(ViewError::TooMany);
                }
                SavedView {
                    id: SavedViewId::new(now, &mut *self.entropy()).0,
                    tenant_id: tenant.0,
                    name: named(name)?,
                    query: query.to_owned(),
                    actor: by.actor.clone(),
                    created_at: now.as_microsecond(),
                }
            }
        };
        write.save_view(view.clone()).await?;
        Ok(Some(view))
    }

    /// Writes down that somebody takes a list along as a file: what kind of rows, and what they asked for.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_export(&self, whose: Whose, list: &str, query: &str, by: &By) -> Result<(), Error> {
        let detail = json!({ "query": query, "livemode": whose.livemode, "note": by.note });
        let once = || async {
            let write = self.store.begin().await?;
            let action = format!("{list}.exported");
            let entry = self.told(whose.tenant, &action, whose.tenant.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }
}

fn named(name: &str) -> Result<String, ViewError> {
    let name = name.trim();
    let fits = (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(ViewError::Name) }
}
