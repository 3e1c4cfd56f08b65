//! Plans and rules, read when their revision changes.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use domain::{
    decision::Catalogue,
    id::{ProductId, TenantId},
    plan::{Plan, PlanVersion},
};
use store::{Write, rows};

use crate::{
    Engine, Error,
    accounts::{Account, AccountStanding},
};

/// A tenant's plans, rules and products, as of one revision.
pub struct Shelf {
    /// Plans and rules.
    pub catalogue: Catalogue,
    /// Products, by id.
    pub products: HashMap<ProductId, rows::Product>,
    /// Whether the tenant may sell, and how much.
    pub(crate) standing: AccountStanding,
    /// The same once more, as apps ask for it.
    offers: HashMap<PlanVersion, Arc<Offer>>,
}

/// A plan version with the code of its product: what a license stands on.
#[derive(Debug)]
pub struct Offer {
    /// The plan.
    pub plan: Plan,
    /// The code of its product.
    pub product: String,
}

impl Shelf {
    fn new(catalogue: Catalogue, products: Vec<rows::Product>, standing: AccountStanding) -> Self {
        let products: HashMap<_, _> = products.into_iter().map(|row| (ProductId(row.id), row)).collect();
        let offer = |plan: &Plan| {
            let product = products.get(&plan.version.product)?.code.clone();
            Some((plan.version, Arc::new(Offer { plan: plan.clone(), product })))
        };
        let offers = catalogue.plans().filter_map(offer).collect();
        Self { catalogue, products, standing, offers }
    }
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
        let standing = write.tenant(tenant).await?.as_ref().map(AccountStanding::read).unwrap_or_default();
        let products = write.products(tenant).await?;
        let shelf = Arc::new(Shelf::new(write.catalogue(tenant).await?, products, standing));
        if let Ok(mut kept) = self.kept.write() {
            kept.insert(tenant, (revision, Arc::clone(&shelf)));
        }
        Ok(shelf)
    }

    /// What a tenant's account may have, as it was read last.
    fn account(&self, tenant: TenantId) -> Option<Account> {
        let kept = self.kept.read().ok()?;
        Some(kept.get(&tenant)?.1.standing.account)
    }

    /// A plan version that was read before. Versions never change, so it is right whatever revision it came with.
    fn offer(&self, tenant: TenantId, version: PlanVersion) -> Option<Arc<Offer>> {
        let kept = self.kept.read().ok()?;
        let (_, shelf) = kept.get(&tenant)?;
        shelf.offers.get(&version).map(Arc::clone)
    }

    /// Who sells a product of that code, as far as anybody has asked for it here.
    fn seller(&self, product: &str) -> Option<TenantId> {
        let kept = self.kept.read().ok()?;
        let sells = |shelf: &Shelf| shelf.products.values().any(|row| row.code == product);
        kept.iter().find(|(_, (_, shelf))| sells(shelf)).map(|(tenant, _)| *tenant)
    }

    fn kept(&self, tenant: TenantId, revision: i64) -> Option<Arc<Shelf>> {
        let kept = self.kept.read().ok()?;
        let (kept_revision, shelf) = kept.get(&tenant)?;
        (*kept_revision == revision).then(|| Arc::clone(shelf))
    }
}

impl Engine {
    /// What a tenant's account may have, as it was read last: a check has read its plan before.
    pub(crate) fn account(&self, tenant: TenantId) -> Option<Account> {
        self.catalogues.account(tenant)
    }

    /// The tenant whose app names this product: an unknown key has no other owner. None: nobody who is known here.
    #[must_use]
    pub fn seller(&self, product: &str) -> Option<TenantId> {
        self.catalogues.seller(product)
    }

    /// A plan version, and the code of its product.
    ///
    /// # Errors
    /// Those of the database, or there is no such version.
    pub async fn offer(&self, tenant: TenantId, version: PlanVersion) -> Result<Arc<Offer>, Error> {
        if let Some(offer) = self.catalogues.offer(tenant, version) {
            return Ok(offer);
        }
        let write = self.store.begin().await?;
        self.catalogues.of(&write, tenant).await?;
        self.catalogues.offer(tenant, version).ok_or(Error::Plan(version.plan, version.version))
    }
}
