//! Licenses in lists.

use std::collections::HashMap;

use domain::{
    id::{CustomerId, LicenseId, OrderId, PlanId, ProductId},
    license::{License, LicenseState},
};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Listed, Page, Whose, read_page};
use crate::{
    Store,
    bulk::any_of,
    convert::{self, micros},
    entities::{license_keys, licenses},
    error::StoreError,
    metadata,
};

/// Which licenses.
#[derive(Clone, Debug, Default)]
pub struct LicenseFilter {
    /// In this state.
    pub state: Option<LicenseState>,
    /// On this plan, in any version.
    pub plan: Option<PlanId>,
    /// Of this product.
    pub product: Option<ProductId>,
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With an end before this.
    pub expires_before: Option<Timestamp>,
}

/// A license with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLicense {
    /// The license.
    pub license: License,
    /// Of which order.
    pub order: OrderId,
    /// Whose.
    pub customer: Option<CustomerId>,
    /// Live or test money.
    pub livemode: bool,
    /// What may be shown of its first key; none: another license took its keys over.
    pub key_hint: Option<String>,
    /// What the vendor's own code wrote beside it.
    pub metadata: Map<String, Value>,
}

impl LicenseFilter {
    fn condition(&self) -> Condition {
        use licenses::Column;
        Condition::all()
            .add_option(self.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(self.plan.map(|plan| Column::PlanId.eq(plan.0)))
            .add_option(self.product.map(|product| Column::ProductId.eq(product.0)))
            .add_option(self.customer.map(|customer| Column::CustomerId.eq(customer.0)))
            .add_option(self.expires_before.map(|end| Column::Until.lt(micros(end))))
    }
}

impl Store {
    /// A page of licenses.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn list_licenses(
        &self,
        whose: Whose,
        filter: &LicenseFilter,
        page: Page,
    ) -> Result<Listed<ListedLicense>, StoreError> {
        let query = licenses::Entity::find().filter(of(whose)).filter(filter.condition());
        let Listed { rows, has_more } = read_page(&self.reader, query, licenses::Column::Id, page).await?;
        Ok(Listed { rows: self.completed(rows).await?, has_more })
    }

    /// Some licenses by their ids, in no particular order. What is another tenant's or of the other mode is left out.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn listed_licenses(&self, whose: Whose, ids: Vec<LicenseId>) -> Result<Vec<ListedLicense>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for condition in any_of(&self.reader, licenses::Column::Id, ids.into_iter().map(|id| id.0).collect()) {
            rows.extend(licenses::Entity::find().filter(of(whose)).filter(condition).all(&self.reader).await?);
        }
        self.completed(rows).await
    }

    /// A license.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn listed_license(&self, whose: Whose, id: LicenseId) -> Result<Option<ListedLicense>, StoreError> {
        Ok(self.listed_licenses(whose, vec![id]).await?.pop())
    }

    /// The licenses of an order, by their slots.
    pub(super) async fn licenses_of_order(&self, order: OrderId) -> Result<Vec<ListedLicense>, StoreError> {
        let query = licenses::Entity::find().filter(licenses::Column::OrderId.eq(order.0));
        let mut licenses = self.completed(query.all(&self.reader).await?).await?;
        licenses.sort_by_key(|listed| listed.license.slot);
        Ok(licenses)
    }

    /// Rows with what other tables know of them.
    async fn completed(&self, rows: Vec<licenses::Model>) -> Result<Vec<ListedLicense>, StoreError> {
        let mut keys = Vec::with_capacity(rows.len());
        for condition in any_of(&self.reader, license_keys::Column::LicenseId, rows.iter().map(|row| row.id).collect())
        {
            keys.extend(license_keys::Entity::find().filter(condition).all(&self.reader).await?);
        }
        // The first key of each license is inserted last, and stays.
        keys.sort_by_key(|key| std::cmp::Reverse((key.created_at, key.id)));
        let mut hints: HashMap<Uuid, String> = keys.into_iter().map(|key| (key.license_id, key.hint)).collect();
        let mut metadata = metadata::of_licenses(&self.reader, rows.iter().map(|row| row.id).collect()).await?;
        rows.into_iter()
            .map(|row| {
                Ok(ListedLicense {
                    license: convert::license(&row)?,
                    order: OrderId(row.order_id),
                    customer: row.customer_id.map(CustomerId),
                    livemode: row.livemode,
                    key_hint: hints.remove(&row.id),
                    metadata: metadata.remove(&row.id).unwrap_or_default(),
                })
            })
            .collect()
    }
}

fn of(whose: Whose) -> Condition {
    Condition::all()
        .add(licenses::Column::TenantId.eq(whose.tenant.0))
        .add(licenses::Column::Livemode.eq(whose.livemode))
}
