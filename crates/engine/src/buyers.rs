//! Who bought: what providers know about their customers, and the customers made of it.
//!
//! A provider's change touches its own identity only, and the delivery address belongs to the order; so a stranger's
//! checkout with someone's e-mail changes nothing of theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    Entropy,
    fact::CustomerFact,
    id::{ConnectionId, CustomerId, OrderId, TenantId},
    join::Join,
    order::Contact,
    text::CustomerReference,
};
use jiff::Timestamp;
use store::{StoredIdentity, StoredOrder, Write, rows::Customer};

use crate::{Error, attention::NO_ADDRESS};

/// What is known of the customers that a batch touches.
pub(crate) struct Identities(HashMap<(ConnectionId, CustomerReference), CustomerFact>);

impl Identities {
    /// Where an order's mails go: the sale's own address, otherwise that of the provider's customer.
    pub(crate) fn address(&self, order: &StoredOrder) -> Option<Contact> {
        order.order.contact.as_ref().map(|contact| contact.value.clone()).or_else(|| {
            order.order.customers.iter().find_map(|customer| {
                let snapshot = &self.0.get(&(order.connection, customer.clone()))?.snapshot.value;
                Some(Contact { email: snapshot.email.clone()?, name: snapshot.name.clone() })
            })
        })
    }
}

/// What events said about customers, by connection.
pub(crate) type CustomerNews = BTreeMap<(ConnectionId, CustomerReference), (TenantId, CustomerFact)>;

/// Joins what was said about customers with what was known, and wakes the orders that waited for an address.
pub(crate) async fn learn(
    write: &Write,
    news: CustomerNews,
    orders: &[StoredOrder],
    now: Timestamp,
) -> Result<Identities, Error> {
    let without_contact = orders.iter().filter(|order| order.order.contact.is_none());
    let wanted: BTreeSet<_> = without_contact
        .flat_map(|order| order.order.customers.iter().map(|customer| (order.connection, customer.clone())))
        .chain(news.keys().cloned())
        .collect();
    let stored = if wanted.is_empty() { Vec::new() } else { write.identities(&wanted).await? };
    let mut known: HashMap<_, _> = stored
        .into_iter()
        .map(|identity| ((identity.connection, identity.fact.reference.clone()), identity.fact))
        .collect();
    let mut saved = Vec::with_capacity(news.len());
    for (key, (tenant, told)) in news {
        let fact = match known.remove(&key) {
            Some(mut fact) => {
                fact.join(told);
                fact
            }
            None => told,
        };
        let waiting = write.orders_waiting_for(key.0, NO_ADDRESS, Some(vec![key.1.to_string()])).await?;
        write.wake_orders(&waiting.into_iter().collect(), now).await?;
        saved.push(StoredIdentity { tenant, connection: key.0, fact: fact.clone() });
        known.insert(key, fact);
    }
    write.save_identities(saved, now).await?;
    Ok(Identities(known))
}

/// The customers of orders that have an address and no customer yet.
pub(crate) async fn find(
    write: &Write,
    orders: &[StoredOrder],
    identities: &Identities,
    entropy: &mut dyn Entropy,
    now: Timestamp,
) -> Result<HashMap<OrderId, CustomerId>, Error> {
    let mut wanted = Vec::new();
    let mut candidates: BTreeMap<(uuid::Uuid, bool, String), Customer> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.customer.is_none()) {
        let Some(contact) = identities.address(order) else { continue };
        let key = (order.tenant.0, order.livemode, contact.email.normalised());
        wanted.push((order.id, key.clone()));
        candidates.entry(key).or_insert_with_key(|(tenant_id, livemode, email_normalised)| Customer {
            id: CustomerId::new(now, entropy).0,
            tenant_id: *tenant_id,
            livemode: *livemode,
            email_normalised: email_normalised.clone(),
            email: contact.email.as_str().to_owned(),
            name: contact.name.as_deref().map(str::to_owned),
            created_at: now.as_microsecond(),
        });
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found = write.find_or_create_customers(candidates.into_values().collect()).await?;
    let found: HashMap<_, _> = found
        .into_iter()
        .map(|row| ((row.tenant_id, row.livemode, row.email_normalised), CustomerId(row.id)))
        .collect();
    Ok(wanted.into_iter().filter_map(|(order, key)| Some((order, *found.get(&key)?))).collect())
}
