//! Customers and orders in lists.

use std::collections::BTreeSet;

use domain::{
    id::{CustomerId, OrderId},
    text::Reference,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::{Listed, ListedLicense, Page, Whose, read_page};
use crate::{
    Store, StoredOrder,
    bulk::any_of,
    convert,
    entities::{connections, customers, order_references, orders},
    error::StoreError,
    rows::Customer,
};

/// Which customers.
#[derive(Clone, Debug, Default)]
pub struct CustomerFilter {
    /// With this address, in the form in which two spellings of one mailbox are equal.
    pub email_normalised: Option<String>,
}

/// Which orders.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
}

impl Store {
    /// A page of customers.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_customers(
        &self,
        whose: Whose,
        filter: &CustomerFilter,
        page: Page,
    ) -> Result<Listed<Customer>, StoreError> {
        let email = filter.email_normalised.as_deref();
        let query = customers::Entity::find()
            .filter(customers_of(whose))
            .filter(Condition::all().add_option(email.map(|email| customers::Column::EmailNormalised.eq(email))));
        read_page(&self.reader, query, customers::Column::Id, page).await
    }

    /// A customer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customer(&self, whose: Whose, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        Ok(customers::Entity::find_by_id(id.0).filter(customers_of(whose)).one(&self.reader).await?)
    }

    /// Some customers by their ids, in no particular order. What is another tenant's or of the other mode is left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customers(&self, whose: Whose, ids: BTreeSet<CustomerId>) -> Result<Vec<Customer>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for condition in any_of(&self.reader, customers::Column::Id, ids.into_iter().map(|id| id.0).collect()) {
            rows.extend(
                customers::Entity::find().filter(customers_of(whose)).filter(condition).all(&self.reader).await?,
            );
        }
        Ok(rows)
    }

    /// A page of orders, without their licenses. Those that became part of another are not shown.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn list_orders(
        &self,
        whose: Whose,
        filter: &OrderFilter,
        page: Page,
    ) -> Result<Listed<StoredOrder>, StoreError> {
        let query = orders::Entity::find()
            .filter(orders_of(whose))
            .filter(orders::Column::MergedInto.is_null())
            .filter(Condition::all().add_option(filter.customer.map(|id| orders::Column::CustomerId.eq(id.0))));
        read_page(&self.reader, query, orders::Column::Id, page).await?.try_map(convert::order)
    }

    /// An order and its licenses, by their slots. One that became part of another is answered with that one.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn order(
        &self,
        whose: Whose,
        id: OrderId,
    ) -> Result<Option<(StoredOrder, Vec<ListedLicense>)>, StoreError> {
        let mut wanted = id;
        loop {
            let query = orders::Entity::find_by_id(wanted.0).filter(orders_of(whose));
            let Some(row) = query.one(&self.reader).await? else { return Ok(None) };
            match row.merged_into {
                // The surviving order has the smaller id, so this comes to an end.
                Some(into) => wanted = OrderId(into),
                None => return Ok(Some((convert::order(row)?, self.licenses_of_order(wanted).await?))),
            }
        }
    }

    /// The orders that a provider's reference names, whatever connection it is of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn orders_named(&self, whose: Whose, reference: &Reference) -> Result<BTreeSet<OrderId>, StoreError> {
        let mut found = BTreeSet::new();
        let of_tenant = connections::Entity::find().filter(connections::Column::TenantId.eq(whose.tenant.0));
        for connection in of_tenant.all(&self.reader).await? {
            let key = (connection.id, reference.as_str().to_owned());
            found.extend(
                order_references::Entity::find_by_id(key).one(&self.reader).await?.map(|row| OrderId(row.order_id)),
            );
        }
        Ok(found)
    }
}

fn customers_of(whose: Whose) -> Condition {
    Condition::all()
        .add(customers::Column::TenantId.eq(whose.tenant.0))
        .add(customers::Column::Livemode.eq(whose.livemode))
}

pub(crate) fn orders_of(whose: Whose) -> Condition {
    Condition::all().add(orders::Column::TenantId.eq(whose.tenant.0)).add(orders::Column::Livemode.eq(whose.livemode))
}
