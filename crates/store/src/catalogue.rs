//! What vendors configure: tenants, products, plans, connections, price rules.

use domain::{
    decision::{Catalogue, Matcher, Rule},
    id::{ConnectionId, TenantId},
    text::{PriceReference, ProductReference},
};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert,
    entities::{connections, plans, price_rules, products, tenants},
    error::StoreError,
    rows::{Connection, Plan, PriceRule, Product, Tenant},
};

/// How a rule's matcher is stored.
#[must_use]
pub fn matcher_columns(matcher: &Matcher) -> (&'static str, &str) {
    match matcher {
        Matcher::Price(price) => ("price", price.as_str()),
        Matcher::Product(product) => ("product", product.as_str()),
        Matcher::Default => ("default", ""),
    }
}

/// Reads a rule's matcher.
#[must_use]
pub fn matcher(kind: &str, value: &str) -> Matcher {
    match kind {
        "price" => Matcher::Price(PriceReference::new(value)),
        "product" => Matcher::Product(ProductReference::new(value)),
        _ => Matcher::Default,
    }
}

impl Write {
    /// The revision of a tenant's catalogue. It stays until this transaction ends: were it to change meanwhile, an order
    /// that is settled by the old rules would start to wait after the new ones had woken all that waited.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn catalogue_revision(&self, tenant: TenantId) -> Result<i64, StoreError> {
        let mut query = tenants::Entity::find_by_id(tenant.0).select_only().column(tenants::Column::CatalogueRevision);
        if self.is_shared() {
            query = query.lock_shared();
        }
        let revision: Option<i64> = query.into_tuple().one(&self.transaction).await?;
        Ok(revision.unwrap_or_default())
    }

    /// All plans and rules of a tenant.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn catalogue(&self, tenant: TenantId) -> Result<Catalogue, StoreError> {
        read(&self.transaction, tenant).await
    }

    /// A tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenant(&self, tenant: TenantId) -> Result<Option<Tenant>, StoreError> {
        Ok(tenants::Entity::find_by_id(tenant.0).one(&self.transaction).await?)
    }

    /// A tenant's products.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn products(&self, tenant: TenantId) -> Result<Vec<Product>, StoreError> {
        let query = products::Entity::find().filter(products::Column::TenantId.eq(tenant.0));
        Ok(query.all(&self.transaction).await?)
    }

    /// Every node notices that plans or rules changed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn catalogue_changed(&self, tenant: TenantId) -> Result<(), StoreError> {
        tenants::Entity::update_many()
            .col_expr(tenants::Column::CatalogueRevision, Expr::col(tenants::Column::CatalogueRevision).add(1))
            .filter(tenants::Column::Id.eq(tenant.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Writes a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_tenant(&self, tenant: Tenant) -> Result<(), StoreError> {
        put::<tenants::Entity>(&self.transaction, tenant).await
    }

    /// Writes a product.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if the tenant has that code on another one.
    pub async fn save_product(&self, product: Product) -> Result<(), StoreError> {
        put::<products::Entity>(&self.transaction, product).await
    }

    /// Writes a version of a plan.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_plan(&self, plan: Plan) -> Result<(), StoreError> {
        put::<plans::Entity>(&self.transaction, plan).await
    }

    /// Writes a connection.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_connection(&self, connection: Connection) -> Result<(), StoreError> {
        put::<connections::Entity>(&self.transaction, connection).await
    }

    /// Writes a price rule.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if there is one for the same price.
    pub async fn save_price_rule(&self, rule: PriceRule) -> Result<(), StoreError> {
        put::<price_rules::Entity>(&self.transaction, rule).await
    }

    /// Takes a price rule away. What it decided stays decided.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_price_rule(&self, rule: &PriceRule) -> Result<(), StoreError> {
        price_rules::Entity::delete_by_id(rule.id).exec(&self.transaction).await?;
        Ok(())
    }
}

/// All plans and rules of a tenant, as a transaction sees them.
pub(crate) async fn read(transaction: &DatabaseTransaction, tenant: TenantId) -> Result<Catalogue, StoreError> {
    let plans = plans::Entity::find().filter(plans::Column::TenantId.eq(tenant.0)).all(transaction).await?;
    let plans = plans.into_iter().map(convert::plan).collect::<Result<Vec<_>, _>>()?;
    let rules = price_rules::Entity::find().filter(price_rules::Column::TenantId.eq(tenant.0));
    let rules = rules.all(transaction).await?.into_iter().map(ruled).collect::<Result<Vec<_>, _>>()?;
    Ok(Catalogue::new(plans, rules))
}

async fn put<E>(transaction: &DatabaseTransaction, row: E::Model) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::ActiveModel: sea_orm::ActiveModelTrait<Entity = E> + From<E::Model> + Send,
{
    bulk::insert::<E>(transaction, vec![row], Existing::Replace).await?;
    Ok(())
}

/// What a stored rule gives, and when.
///
/// # Errors
/// A stored document does not read.
pub fn rule(row: &PriceRule) -> Result<Rule, StoreError> {
    Ok(Rule {
        grants: convert::read("price rule", row.id, &row.grants)?,
        adds: convert::read("price rule", row.id, &row.adds)?,
        from: (row.valid_from != 0).then(|| convert::instant(row.valid_from)),
        until: row.valid_until.map(convert::instant),
    })
}

fn ruled(row: PriceRule) -> Result<(ConnectionId, Matcher, Rule), StoreError> {
    Ok((ConnectionId(row.connection_id), matcher(&row.matcher_kind, &row.matcher_value), rule(&row)?))
}

impl Store {
    /// A tenant by its slug.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenant(&self, slug: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(tenants::Entity::find().filter(tenants::Column::Slug.eq(slug)).one(&self.reader).await?)
    }

    /// All tenants.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok(tenants::Entity::find().order_by_asc(tenants::Column::Id).all(&self.reader).await?)
    }

    /// The tenant of an installation that has one only.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn only_tenant(&self) -> Result<Option<Tenant>, StoreError> {
        let query = tenants::Entity::find().order_by_asc(tenants::Column::Id).limit(2);
        let mut first = query.all(&self.reader).await?;
        Ok(if first.len() == 1 { first.pop() } else { None })
    }

    /// A tenant's products.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn products(&self, tenant: TenantId) -> Result<Vec<Product>, StoreError> {
        let query = products::Entity::find().filter(products::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(products::Column::Id).all(&self.reader).await?)
    }

    /// All versions of a tenant's plans.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn plans(&self, tenant: TenantId) -> Result<Vec<Plan>, StoreError> {
        let query = plans::Entity::find().filter(plans::Column::TenantId.eq(tenant.0));
        let query = query.order_by_asc(plans::Column::Id).order_by_asc(plans::Column::Version);
        Ok(query.all(&self.reader).await?)
    }

    /// The first plan of a product by its code, in its latest version.
    ///
    /// # Errors
    /// Those of the database, or it does not read.
    pub async fn first_plan(&self, tenant: TenantId, product: Uuid) -> Result<Option<domain::plan::Plan>, StoreError> {
        let query = plans::Entity::find().filter(plans::Column::TenantId.eq(tenant.0));
        let query = query.filter(plans::Column::ProductId.eq(product));
        let first = query.order_by_asc(plans::Column::Code).order_by_desc(plans::Column::Version).one(&self.reader);
        first.await?.map(convert::plan).transpose()
    }

    /// Every connection of every tenant. There are few; they are kept in memory.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        Ok(connections::Entity::find().order_by_asc(connections::Column::Id).all(&self.reader).await?)
    }

    /// A tenant's price rules.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn price_rules(&self, tenant: TenantId) -> Result<Vec<PriceRule>, StoreError> {
        let query = price_rules::Entity::find().filter(price_rules::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_asc(price_rules::Column::Id).all(&self.reader).await?)
    }
}
