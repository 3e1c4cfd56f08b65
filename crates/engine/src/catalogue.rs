//! Plans and rules, read when their revision changes.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use domain::{
    decision::Catalogue,
    id::TenantId,
    plan::{Plan, PlanVersion},
};
use store::{Write, rows};

use crate::{Engine, Error};

/// A tenant's plans, rules and products, as of one revision.
pub struct Shelf {
    /// Plans and rules.
    pub catalogue: Catalogue,
    /// Products, by id.
    pub products: HashMap<domain::id::ProductId, rows::Product>,
}

/// The catalogues that were read, each with its revision.
#[derive(Default)]
pub(crate) struct Catalogues {
    kept: RwLock<HashMap<TenantId, (i64, Arc<Shelf>)>>,
}

impl Catalogues {
    /// The catalogue as of this transaction: edits take effect at once, on every node.
    pub(crate) async fn of(&self, write: &Write, tenant: TenantId) -> Result<Arc<Shelf>, Error> {
        let revision = write.catalogue_revision(tenant).await?;
        if let Some(shelf) = self.kept(tenant, revision) {
            return Ok(shelf);
        }
        let products = write.products(tenant).await?;
        let shelf = Arc::new(Shelf {
            catalogue: write.catalogue(tenant).await?,
            products: products.into_iter().map(|row| (domain::id::ProductId(row.id), row)).collect(),
        });
        if let Ok(mut kept) = self.kept.write() {
            kept.insert(tenant, (revision, Arc::clone(&shelf)));
        }
        Ok(shelf)
    }

    /// A plan version that was read before. Versions never change, so it is right whatever revision it came with.
    fn plan(&self, tenant: TenantId, version: PlanVersion) -> Option<(Plan, String)> {
        let kept = self.kept.read().ok()?;
        let (_, shelf) = kept.get(&tenant)?;
        Some((shelf.catalogue.plan(version)?.clone(), shelf.products.get(&version.product)?.code.clone()))
    }

    fn kept(&self, tenant: TenantId, revision: i64) -> Option<Arc<Shelf>> {
        let kept = self.kept.read().ok()?;
        let (kept_revision, shelf) = kept.get(&tenant)?;
        (*kept_revision == revision).then(|| Arc::clone(shelf))
    }
}

impl Engine {
    /// A plan version, and the code of its product.
    ///
    /// # Errors
    /// Those of the database, or there is no such version.
    pub async fn plan(&self, tenant: TenantId, version: PlanVersion) -> Result<(Plan, String), Error> {
        if let Some(plan) = self.catalogues.plan(tenant, version) {
            return Ok(plan);
        }
        let write = self.store.begin().await?;
        self.catalogues.of(&write, tenant).await?;
        self.catalogues.plan(tenant, version).ok_or(Error::Plan(version.plan, version.version))
    }
}
