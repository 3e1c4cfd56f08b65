//! Customers and orders in lists.

use std::collections::BTreeSet;

use domain::{
    id::{ConnectionId, CustomerId, OrderId, ProductId},
    text::Reference,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, Select,
    sea_query::{Expr, ExprTrait, Func, IntoColumnRef, Query, SimpleExpr},
};

use super::{
    ASKED_ABOUT_MAX, Examined, LOOKED_AT_MAX, Listed, ListedLicense, Page, Whose, containing, ending_with,
    read_examined, read_page,
};
use crate::{
    Store, StoredOrder,
    bulk::any_of,
    convert,
    entities::{connections, customers, identities, licenses, order_references, orders},
    error::StoreError,
    rows::Customer,
};

/// Which customers.
#[derive(Clone, Debug, Default)]
pub struct CustomerFilter {
    /// With this address, in the form in which two spellings of one mailbox are equal.
    pub email_normalised: Option<String>,
    /// With an address at this domain, in lower case.
    pub email_domain: Option<String>,
    /// With this in their name, in lower case.
    pub name: Option<String>,
    /// With a license of this product.
    pub product: Option<ProductId>,
}

/// Which orders.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With a license of this product.
    pub product: Option<ProductId>,
    /// Sold at one of these connections; empty: at any.
    pub connections: Vec<ConnectionId>,
}

impl CustomerFilter {
    pub(crate) fn condition(&self) -> Condition {
        use customers::Column;
        let named = |name: &String| Expr::expr(Func::lower(Expr::col(Column::Name))).like(containing(name));
        let of_product = |product| licensed(product, licenses::Column::CustomerId, (customers::Entity, Column::Id));
        Condition::all()
            .add_option(self.email_normalised.as_deref().map(|email| Column::EmailNormalised.eq(email)))
            .add_option(
                self.email_domain.as_ref().map(|name| Column::EmailNormalised.like(ending_with(&format!("@{name}")))),
            )
            .add_option(self.name.as_ref().map(named))
            .add_option(self.product.map(of_product))
    }

    /// How many customers may be looked at for a page.
    const fn looks_at(&self) -> u64 {
        if self.product.is_some() { ASKED_ABOUT_MAX } else { LOOKED_AT_MAX }
    }
}

impl OrderFilter {
    pub(crate) fn condition(&self) -> Condition {
        use orders::Column;
        let of_product = |product| licensed(product, licenses::Column::OrderId, (orders::Entity, Column::Id));
        let connections = self.connections.iter().map(|id| id.0);
        let sold_at = (!self.connections.is_empty()).then(|| Column::ConnectionId.is_in(connections));
        Condition::all().add_option(sold_at).add_option(self.product.map(of_product))
    }
}

/// Whether there is a license of a product whose column is that of the row asked about.
fn licensed(product: ProductId, column: licenses::Column, of: impl IntoColumnRef) -> SimpleExpr {
    let query = Query::select()
        .expr(Expr::val(1))
        .from(licenses::Entity)
        .and_where(Expr::col((licenses::Entity, column)).equals(of))
        .and_where(Expr::col((licenses::Entity, licenses::Column::ProductId)).eq(product.0))
        .to_owned();
    Expr::exists(query)
}

impl Store {
    /// A page of customers. The address of one who turned out to be another finds that one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_customers(
        &self,
        whose: Whose,
        filter: &CustomerFilter,
        page: Page,
    ) -> Result<Listed<Customer>, StoreError> {
        let begin = if filter.email_normalised.is_some() { of_mode(whose) } else { customers_of(whose) };
        let query = customers::Entity::find().filter(begin).filter(filter.condition());
        let mut listed: Listed<Customer> = read_page(&self.reader, query, customers::Column::Id, page).await?;
        for row in listed.rows.iter_mut().filter(|row| row.merged_into.is_some()) {
            if let Some(survivor) = self.customer(whose, row.stands_for()).await? {
                *row = survivor;
            }
        }
        Ok(listed)
    }

    /// A page of customers that takes no longer the more there are: it looks at so many, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_customers(
        &self,
        whose: Whose,
        filter: &CustomerFilter,
        page: Page,
    ) -> Result<Examined<Customer>, StoreError> {
        if filter.email_normalised.is_some() {
            // An address has an index of its own.
            return Ok(Examined { listed: self.list_customers(whose, filter, page).await?, further: None });
        }
        let (all, id) = (customers::Entity::find().filter(customers_of(whose)), customers::Column::Id);
        read_examined(&self.reader, all, filter.condition(), id, page, filter.looks_at()).await
    }

    /// The customers of a vendor whom a provider knows under this name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customers_named(&self, whose: Whose, reference: &str) -> Result<Vec<Customer>, StoreError> {
        let named = identities::Entity::find()
            .filter(identities::Column::Reference.eq(reference))
            .filter(identities::Column::TenantId.eq(whose.tenant.0));
        let named = named.all(&self.reader).await?;
        self.customers(whose, named.into_iter().filter_map(|row| row.customer_id.map(CustomerId)).collect()).await
    }

    /// A customer. One who turned out to be another is answered with that one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customer(&self, whose: Whose, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        let found = |id| customers::Entity::find_by_id(id).filter(of_mode(whose));
        let row = found(id.0).one(&self.reader).await?;
        match row.as_ref().and_then(|row| row.merged_into) {
            Some(survivor) => Ok(found(survivor).one(&self.reader).await?),
            None => Ok(row),
        }
    }

    /// Whether a customer who is asked for is this vendor's, in this mode. Nobody is asked for: yes.
    pub(super) async fn is_theirs(&self, whose: Whose, customer: Option<CustomerId>) -> Result<bool, StoreError> {
        match customer {
            Some(id) => Ok(self.customer(whose, id).await?.is_some()),
            None => Ok(true),
        }
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
        if !self.is_theirs(whose, filter.customer).await? {
            return Ok(Listed::none());
        }
        let query = standing(whose, filter).filter(filter.condition());
        read_page(&self.reader, query, orders::Column::Id, page).await?.try_map(convert::order)
    }

    /// A page of orders that takes no longer the more there are: it looks at so many, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn examine_orders(
        &self,
        whose: Whose,
        filter: &OrderFilter,
        page: Page,
    ) -> Result<Examined<StoredOrder>, StoreError> {
        if !self.is_theirs(whose, filter.customer).await? {
            return Ok(Examined { listed: Listed::none(), further: None });
        }
        let (all, id) = (standing(whose, filter), orders::Column::Id);
        let Examined { listed, further } =
            read_examined(&self.reader, all, filter.condition(), id, page, ASKED_ABOUT_MAX).await?;
        Ok(Examined { listed: listed.try_map(convert::order)?, further })
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

/// Orders that are not part of another one: those of a customer, who has few and whose tenant was looked at before,
/// otherwise all.
pub(crate) fn standing(whose: Whose, filter: &OrderFilter) -> Select<orders::Entity> {
    let begin = match filter.customer {
        Some(customer) => Condition::all().add(orders::Column::CustomerId.eq(customer.0)),
        None => orders_of(whose),
    };
    orders::Entity::find().filter(begin).filter(orders::Column::MergedInto.is_null())
}

/// Customers who are no part of another one.
pub(crate) fn customers_of(whose: Whose) -> Condition {
    of_mode(whose).add(customers::Column::MergedInto.is_null())
}

fn of_mode(whose: Whose) -> Condition {
    Condition::all()
        .add(customers::Column::TenantId.eq(whose.tenant.0))
        .add(customers::Column::Livemode.eq(whose.livemode))
}

pub(crate) fn orders_of(whose: Whose) -> Condition {
    Condition::all().add(orders::Column::TenantId.eq(whose.tenant.0)).add(orders::Column::Livemode.eq(whose.livemode))
}
