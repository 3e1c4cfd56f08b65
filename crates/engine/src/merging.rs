//! Two customers who are one person become one, when somebody says so: never by themselves, since whoever buys can type any
//! address.

use std::collections::BTreeSet;

use domain::{id::CustomerId, text::EmailAddress};
use serde_json::json;
use store::{
    lists::{Concerned, CustomerFilter, OrderFilter, Page, Whose},
    rows::Customer,
};

use crate::{Engine, Error, audit, rulings::By};

/// Orders of a customer whose addresses are compared with those of others.
const ORDERS_COMPARED: u64 = 100;

/// Why two customers are not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Nobody is two persons.
    #[error("this is one and the same customer")]
    Same,
    /// Of one of them nothing is known any more.
    #[error("the data of one of them was erased, so nobody can say that they are one person")]
    Erased,
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for MergeError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl MergeError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

/// What two customers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merger {
    /// Who stays: whoever was known first.
    pub survivor: Customer,
    /// Who leads there from then on.
    pub other: Customer,
    /// Orders that follow.
    pub orders: u64,
    /// Licenses that follow.
    pub licenses: u64,
    /// Customers of providers that follow.
    pub identities: u64,
}

impl Engine {
    /// Makes one of two customers of a vendor and a mode, or says what would come of it. None: one of them is not there.
    ///
    /// # Errors
    /// They cannot be one, or those of the database.
    pub async fn merge_customers(
        &self,
        whose: Whose,
        pair: (CustomerId, CustomerId),
        dry_run: bool,
        by: &By,
    ) -> Result<Option<Merger>, MergeError> {
        store::repeat(|| self.merge_customers_once(whose, pair, dry_run, by), MergeError::is_conflict).await
    }

    async fn merge_customers_once(
        &self,
        whose: Whose,
        (one, other): (CustomerId, CustomerId),
        dry_run: bool,
        by: &By,
    ) -> Result<Option<Merger>, MergeError> {
        let write = self.store.begin().await?;
        // In the order of their ids, as everybody locks them.
        let Some(survivor) = write.lock_customer(whose, one.min(other)).await? else { return Ok(None) };
        let Some(gone) = write.lock_customer(whose, one.max(other)).await? else { return Ok(None) };
        if survivor.id == gone.id {
            return Err(MergeError::Same);
        }
        if survivor.erased_at.is_some() || gone.erased_at.is_some() {
            return Err(MergeError::Erased);
        }
        let (id, from) = (CustomerId(survivor.id), self.store.concerned(CustomerId(gone.id)).await?);
        let Concerned { customer, orders, licenses } = &from;
        let identities = write.identities_of(*customer).await?.len() as u64;
        let counts = (orders.len() as u64, licenses.len() as u64);
        if dry_run {
            write.let_go().await?;
        } else {
            write.load_orders(&orders.iter().copied().collect()).await?;
            write.merge_customers(&from, id).await?;
            let detail = json!({
                "merged": customer, "orders": counts.0, "licenses": counts.1, "identities": identities, "note": by.note,
            });
            let entry = self.told(whose.tenant, "customer.merged", id.to_string(), None, &detail, by);
            audit::add(&write, vec![entry]).await?;
            write.commit().await?;
        }
        Ok(Some(Merger { survivor, other: gone, orders: counts.0, licenses: counts.1, identities }))
    }

    /// Who may be the same person as a customer: orders of theirs are delivered to the address that makes the other one a
    /// customer. It is no more than a hint: whoever buys can type any address.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn same_person_as(&self, whose: Whose, customer: &Customer) -> Result<Vec<Customer>, Error> {
        if customer.erased_at.is_some() {
            return Ok(Vec::new());
        }
        let of = OrderFilter { customer: Some(CustomerId(customer.id)), ..OrderFilter::default() };
        let orders = self.store.list_orders(whose, &of, Page { limit: ORDERS_COMPARED, from: None }).await?.rows;
        let mailed_to = orders.iter().filter_map(|order| order.order.mailed_to());
        let addresses: BTreeSet<String> = mailed_to.map(|contact| contact.email.normalised()).collect();
        let mut found = self.store.customers_at(whose, addresses.into_iter().collect()).await?;
        found.retain(|other| other.id != customer.id);
        Ok(found)
    }

    /// The customer whom a person names by their id or their address. None: there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customer_named(&self, whose: Whose, name: &str) -> Result<Option<Customer>, Error> {
        if let Ok(id) = name.parse() {
            return Ok(self.store.customer(whose, id).await?);
        }
        let Ok(email) = EmailAddress::parse(name) else { return Ok(None) };
        let at = CustomerFilter { email_normalised: Some(email.normalised()), ..CustomerFilter::default() };
        Ok(self.store.list_customers(whose, &at, Page { limit: 1, from: None }).await?.rows.pop())
    }
}
