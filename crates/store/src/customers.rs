//! Buyers, and what providers know about them.

use std::collections::BTreeSet;

use domain::{
    fact::{CustomerFact, CustomerSnapshot},
    id::{ConnectionId, CustomerId, TenantId},
    join::Register,
    text::CustomerReference,
};
use jiff::Timestamp;
use sea_orm::{EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    Write,
    bulk::{self, Existing, any_of},
    convert::{self, micros},
    entities::{customers, identities},
    error::StoreError,
    rows::{Customer, Identity},
};

/// A provider's customer, and whose connection it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIdentity {
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it is known.
    pub connection: ConnectionId,
    /// The customer that it is here, once that was found.
    pub customer: Option<CustomerId>,
    /// What is known.
    pub fact: CustomerFact,
    /// Whether their data was erased: no name and no address is kept, whoever tells it.
    pub erased: bool,
}

/// What makes a customer one: the tenant, the mode, and the normalised address.
pub type CustomerKey = (Uuid, bool, String);

impl Customer {
    /// What makes it one.
    #[must_use]
    pub fn key(&self) -> CustomerKey {
        (self.tenant_id, self.livemode, self.email_normalised.clone())
    }

    /// Who it is by now: itself, or the one that it turned out to be.
    #[must_use]
    pub fn stands_for(&self) -> CustomerId {
        CustomerId(self.merged_into.unwrap_or(self.id))
    }
}

impl Write {
    /// What is known of these customers of providers, for a change: other writers wait, each in the same order.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn identities(
        &self,
        wanted: &BTreeSet<(ConnectionId, CustomerReference)>,
    ) -> Result<Vec<StoredIdentity>, StoreError> {
        let references: BTreeSet<&str> = wanted.iter().map(|(_, reference)| reference.as_str()).collect();
        let mut found = Vec::new();
        for condition in any_of(
            &self.transaction,
            identities::Column::Reference,
            references.into_iter().map(str::to_owned).collect(),
        ) {
            let mut query = identities::Entity::find().filter(condition);
            query = query.order_by_asc(identities::Column::Reference).order_by_asc(identities::Column::ConnectionId);
            if self.is_shared() {
                query = query.lock_exclusive();
            }
            for row in query.all(&self.transaction).await? {
                let identity = identity(row)?;
                if wanted.contains(&(identity.connection, identity.fact.reference.clone())) {
                    found.push(identity);
                }
            }
        }
        Ok(found)
    }

    /// Writes what is known of providers' customers that this transaction has read, so that nobody else changes them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_identities(&self, saved: Vec<StoredIdentity>, now: Timestamp) -> Result<(), StoreError> {
        let rows = saved.into_iter().map(|identity| identity_row(identity, now)).collect();
        bulk::insert::<identities::Entity>(&self.transaction, rows, Existing::Replace).await?;
        Ok(())
    }

    /// Adds providers' customers of whom nothing was known. One that somebody else added meanwhile is a conflict: what they
    /// wrote, that it was erased above all, is to be read first.
    ///
    /// # Errors
    /// Those of the database, or somebody else was faster.
    pub async fn add_identities(&self, new: Vec<StoredIdentity>, now: Timestamp) -> Result<(), StoreError> {
        let mut rows: Vec<Identity> = new.into_iter().map(|identity| identity_row(identity, now)).collect();
        rows.sort_by(|one, other| (&one.reference, one.connection_id).cmp(&(&other.reference, other.connection_id)));
        let count = rows.len() as u64;
        match bulk::insert::<identities::Entity>(&self.transaction, rows, Existing::Keep).await? {
            written if written == count => Ok(()),
            _ => Err(StoreError::changed_meanwhile("what is known of a provider's customer")),
        }
    }

    /// The customers with these addresses, making those that are not there yet. Safe against others doing the same
    /// (C25): the one who came first is returned to both.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_or_create_customers(&self, candidates: Vec<Customer>) -> Result<Vec<Customer>, StoreError> {
        let wanted = candidates.iter().map(Customer::key).collect();
        bulk::insert::<customers::Entity>(&self.transaction, candidates, Existing::Keep).await?;
        self.customers(&wanted).await
    }

    /// The customers with these addresses, as far as they are there: who is found cannot be erased or merged meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn customers(&self, wanted: &BTreeSet<CustomerKey>) -> Result<Vec<Customer>, StoreError> {
        let addresses: BTreeSet<&str> = wanted.iter().map(|(_, _, address)| address.as_str()).collect();
        let addresses = addresses.into_iter().map(str::to_owned).collect();
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, customers::Column::EmailNormalised, addresses) {
            let mut query = customers::Entity::find().filter(condition).order_by_asc(customers::Column::Id);
            if self.is_shared() {
                query = query.lock_exclusive();
            }
            let rows = query.all(&self.transaction).await?;
            found.extend(rows.into_iter().filter(|row| wanted.contains(&row.key())));
        }
        Ok(found)
    }
}

fn identity_row(identity: StoredIdentity, now: Timestamp) -> Identity {
    Identity {
        connection_id: identity.connection.0,
        reference: identity.fact.reference.as_str().to_owned(),
        tenant_id: identity.tenant.0,
        customer_id: identity.customer.map(|id| id.0),
        snapshot: convert::document(&identity.fact.snapshot),
        updated_at: micros(now),
        erased: identity.erased,
    }
}

pub(crate) fn identity(row: Identity) -> Result<StoredIdentity, StoreError> {
    let snapshot: Register<CustomerSnapshot> = convert::read("customer", &row.reference, &row.snapshot)?;
    Ok(StoredIdentity {
        tenant: TenantId(row.tenant_id),
        connection: ConnectionId(row.connection_id),
        customer: row.customer_id.map(CustomerId),
        fact: CustomerFact { reference: CustomerReference::new(row.reference), snapshot },
        erased: row.erased,
    })
}
