//! What mails about licenses speak of, loaded for many at once.

use std::collections::{BTreeSet, HashMap};

use domain::{
    id::{OrderId, TenantId},
    license::{Holding, License},
    plan::Plan,
    text::Reference,
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, sea_query::SimpleExpr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::any_of,
    convert,
    entities::{license_keys, licenses, order_references, plans, products},
    error::StoreError,
    mail_templates,
    rows::{LicenseKey, Mail, MailTemplate, Product},
};

/// How often a license can stand for another one that stands for another one. Nobody merges that many sales.
const HOPS_MAX: usize = 8;

/// Everything that a mail about a license is written from.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The license, or the one that stands for it since two sales turned out to be one.
    pub license: License,
    /// Whose it is.
    pub tenant: TenantId,
    /// Live or test money.
    pub livemode: bool,
    /// The order it belongs to.
    pub order: OrderId,
    /// All names of that order.
    pub references: Vec<Reference>,
    /// The keys that open it, sealed, the first one first.
    pub keys: Vec<LicenseKey>,
    /// What was sold.
    pub product: Product,
    /// The version of the plan that counts.
    pub plan: Plan,
    /// What the vendor wrote for mails like this one: those of all languages, of the product and of all products.
    pub templates: Vec<MailTemplate>,
}

impl Store {
    /// What these mails speak of, by the id of the mail. One whose rows are incomplete or do not read has its error,
    /// so that it holds up no other.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_contents(
        &self,
        mails: &[Mail],
    ) -> Result<HashMap<Uuid, Result<Contents, StoreError>>, StoreError> {
        load(&self.reader, mails).await
    }
}

impl Store {
    /// The key of each of these licenses, sealed; of one that another stands for by now, the key of that one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_keys(&self, wanted: BTreeSet<Uuid>) -> Result<HashMap<Uuid, LicenseKey>, StoreError> {
        let licenses = with_survivors(&self.reader, wanted.clone()).await?;
        let mut keys: Vec<LicenseKey> = Vec::new();
        for condition in any_of(&self.reader, license_keys::Column::LicenseId, licenses.keys().copied().collect()) {
            keys.extend(license_keys::Entity::find().filter(condition).all(&self.reader).await?);
        }
        keys.sort_by_key(LicenseKey::place);
        let first = |license: Uuid| keys.iter().find(|key| key.license_id == survivor(&licenses, license));
        Ok(wanted.into_iter().filter_map(|license| Some((license, first(license)?.clone()))).collect())
    }
}

/// The license that stands for one by now: itself, as a rule.
fn survivor(licenses: &HashMap<Uuid, licenses::Model>, license: Uuid) -> Uuid {
    let next = |id: &Uuid| licenses.get(id).and_then(|row| row.superseded_by);
    std::iter::successors(Some(license), next).take(HOPS_MAX).last().unwrap_or(license)
}

impl Write {
    /// [`Store::mail_contents`], as of this transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_contents(
        &self,
        mails: &[Mail],
    ) -> Result<HashMap<Uuid, Result<Contents, StoreError>>, StoreError> {
        load(&self.transaction, mails).await
    }
}

async fn load<C: ConnectionTrait>(
    connection: &C,
    mails: &[Mail],
) -> Result<HashMap<Uuid, Result<Contents, StoreError>>, StoreError> {
    let rows = Rows::load(connection, mails).await?;
    Ok(mails.iter().map(|mail| (mail.id, rows.contents(mail))).collect())
}

struct Rows {
    licenses: HashMap<Uuid, licenses::Model>,
    keys: Vec<license_keys::Model>,
    products: HashMap<Uuid, products::Model>,
    plans: HashMap<(Uuid, i32), plans::Model>,
    references: Vec<order_references::Model>,
    templates: Vec<MailTemplate>,
}

impl Rows {
    async fn load<C: ConnectionTrait>(connection: &C, mails: &[Mail]) -> Result<Self, StoreError> {
        let licenses = with_survivors(connection, mails.iter().map(|mail| mail.license_id).collect()).await?;
        let ids_of = |id: fn(&licenses::Model) -> Uuid| -> Vec<Uuid> {
            licenses.values().map(id).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let mut keys = Vec::new();
        for condition in any_of(connection, license_keys::Column::LicenseId, ids_of(|row| row.id)) {
            keys.extend(license_keys::Entity::find().filter(condition).all(connection).await?);
        }
        keys.sort_by_key(LicenseKey::place);
        let mut products = HashMap::new();
        for condition in any_of(connection, products::Column::Id, ids_of(|row| row.product_id)) {
            let rows = products::Entity::find().filter(condition).all(connection).await?;
            products.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let mut plans = HashMap::new();
        for condition in any_of(connection, plans::Column::Id, ids_of(|row| row.plan_id)) {
            let rows = plans::Entity::find().filter(condition).all(connection).await?;
            plans.extend(rows.into_iter().map(|row| ((row.id, row.version), row)));
        }
        let mut references = Vec::new();
        for condition in any_of(connection, order_references::Column::OrderId, ids_of(|row| row.order_id)) {
            references.extend(order_references::Entity::find().filter(condition).all(connection).await?);
        }
        let templates =
            mail_templates::active(connection, licenses.values().map(|row| row.tenant_id).collect()).await?;
        Ok(Self { licenses, keys, products, plans, references, templates })
    }

    fn contents(&self, mail: &Mail) -> Result<Contents, StoreError> {
        let row = self.survivor(mail.license_id)?;
        let product = self.products.get(&row.product_id).ok_or_else(|| missing("product", row.product_id))?;
        let plan = self.plans.get(&(row.plan_id, row.plan_version)).ok_or_else(|| missing("plan", row.plan_id))?;
        let references = self.references.iter().filter(|reference| reference.order_id == row.order_id);
        Ok(Contents {
            license: convert::license(row)?,
            tenant: TenantId(row.tenant_id),
            livemode: row.livemode,
            order: OrderId(row.order_id),
            references: references.map(|row| Reference::new(row.reference.as_str())).collect(),
            keys: self.keys.iter().filter(|key| key.license_id == row.id).cloned().collect(),
            product: product.clone(),
            plan: convert::plan(plan.clone())?,
            templates: self.templates_for(mail, row).cloned().collect(),
        })
    }

    fn templates_for<'a>(
        &'a self,
        mail: &'a Mail,
        license: &'a licenses::Model,
    ) -> impl Iterator<Item = &'a MailTemplate> {
        self.templates.iter().filter(|template| {
            let is_for_it = [Uuid::nil(), license.product_id].contains(&template.product_id);
            is_for_it && template.tenant_id == license.tenant_id && template.kind == mail.kind
        })
    }

    /// The license that stands for this one, itself as a rule. Keys move to the survivor, so it is the one to speak of.
    fn survivor(&self, license: Uuid) -> Result<&licenses::Model, StoreError> {
        let mut id = license;
        for _ in 0..HOPS_MAX {
            let row = self.licenses.get(&id).ok_or_else(|| missing("license", id))?;
            match convert::license(row)?.holding {
                Holding::SupersededBy(survivor) => id = survivor.0,
                Holding::Unit | Holding::Retired => return Ok(row),
            }
        }
        Err(missing("survivor of license", license))
    }
}

/// Licenses, and those that stand for them.
async fn with_survivors<C: ConnectionTrait>(
    connection: &C,
    wanted: BTreeSet<Uuid>,
) -> Result<HashMap<Uuid, licenses::Model>, StoreError> {
    let mut found: HashMap<Uuid, licenses::Model> = HashMap::new();
    let mut wanted = wanted;
    for _ in 0..HOPS_MAX {
        let conditions: Vec<SimpleExpr> = any_of(connection, licenses::Column::Id, wanted.into_iter().collect());
        let mut next = BTreeSet::new();
        for condition in conditions {
            for row in licenses::Entity::find().filter(condition).all(connection).await? {
                next.extend(row.superseded_by);
                found.insert(row.id, row);
            }
        }
        wanted = next.into_iter().filter(|id| !found.contains_key(id)).collect();
        if wanted.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn missing(what: &'static str, id: impl ToString) -> StoreError {
    StoreError::Unreadable { what, id: id.to_string(), reason: "it is not there".to_owned() }
}
