//! Two customers who are one person: what one of them has becomes the other's.

use domain::id::CustomerId;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{
    Store, Write,
    bulk::any_of,
    entities::{customers, events, identities, licenses, orders},
    error::StoreError,
    lists::{Concerned, Whose, moments::about_customer, sales::customers_of},
    rows::Customer,
};

impl Write {
    /// Gives everything of a customer to another one, and leads whoever asks for them there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn merge_customers(&self, from: &Concerned, into: CustomerId) -> Result<(), StoreError> {
        let id = from.customer;
        for column in [customers::Column::Id, customers::Column::MergedInto] {
            // Whoever became a part of them before is led on at once.
            customers::Entity::update_many()
                .col_expr(customers::Column::MergedInto, Expr::val(Some(into.0)))
                .filter(column.eq(id.0))
                .exec(&self.transaction)
                .await?;
        }
        identities::Entity::update_many()
            .col_expr(identities::Column::CustomerId, Expr::val(Some(into.0)))
            .filter(identities::Column::CustomerId.eq(id.0))
            .exec(&self.transaction)
            .await?;
        orders::Entity::update_many()
            .col_expr(orders::Column::CustomerId, Expr::val(Some(into.0)))
            .filter(orders::Column::CustomerId.eq(id.0))
            .exec(&self.transaction)
            .await?;
        licenses::Entity::update_many()
            .col_expr(licenses::Column::CustomerId, Expr::val(Some(into.0)))
            .filter(licenses::Column::CustomerId.eq(id.0))
            .exec(&self.transaction)
            .await?;
        let told = from.licenses.iter().map(|license| Some(license.0)).collect();
        let told = any_of(&self.transaction, events::Column::LicenseId, told).into_iter();
        for condition in told.chain([about_customer(id)]) {
            events::Entity::update_many()
                .col_expr(events::Column::CustomerId, Expr::val(Some(into.0)))
                .filter(condition)
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Those who became a part of a customer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn merged_into(&self, id: CustomerId) -> Result<Vec<Customer>, StoreError> {
        let query = customers::Entity::find().filter(customers::Column::MergedInto.eq(id.0));
        Ok(query.all(&self.transaction).await?)
    }
}

impl Store {
    /// The customers with one of these addresses, in the form in which two spellings of one mailbox are equal.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customers_at(&self, whose: Whose, addresses: Vec<String>) -> Result<Vec<Customer>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.reader, customers::Column::EmailNormalised, addresses) {
            let query = customers::Entity::find().filter(condition).filter(customers_of(whose));
            found.extend(query.all(&self.reader).await?);
        }
        Ok(found)
    }
}
