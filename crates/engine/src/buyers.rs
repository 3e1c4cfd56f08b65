//! Who bought: what providers know about their customers, and the customers made of it.
//!
//! A provider's change touches its own identity only, and the delivery address belongs to the order; so a stranger's
//! checkout with someone's e-mail changes nothing of theirs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use domain::{
    Entropy,
    event::{CustomerTold, EventData, EventKind},
    fact::CustomerFact,
    id::{ConnectionId, CustomerId, OrderId, TenantId},
    join::Join,
    order::Contact,
    text::CustomerReference,
};
use jiff::Timestamp;
use store::{StoredIdentity, StoredOrder, Write, rows::Customer};

use crate::{
    Error,
    attention::NO_ADDRESS,
    connections::{self, Connection},
    events::News,
};

/// What is known of the customers that a batch touches.
pub(crate) struct Identities {
    known: HashMap<(ConnectionId, CustomerReference), CustomerFact>,
    /// Those of whom something else is known than before.
    changed: Vec<(ConnectionId, CustomerReference)>,
}

impl Identities {
    /// What is to be told of customers that changed.
    pub(crate) fn news(&self, connections: &[Arc<Connection>]) -> Vec<News> {
        let told = self.changed.iter().filter_map(|key| {
            let connection = connections::find(connections, key.0)?;
            let CustomerFact { reference, snapshot } = self.known.get(key)?;
            let customer = CustomerTold {
                id: None,
                reference: Some(reference.as_str().into()),
                email: snapshot.value.email.as_ref().map(|email| email.as_str().into()),
                name: snapshot.value.name.clone(),
            };
            Some(News {
                tenant: connection.tenant,
                livemode: connection.mode.is_live(),
                kind: EventKind::CustomerUpdated,
                license: None,
                order: None,
                customer: None,
                data: EventData { customer: Some(customer), ..EventData::default() },
            })
        });
        told.collect()
    }

    /// Where an order's mails go: the sale's own address, otherwise that of the provider's customer.
    pub(crate) fn address(&self, order: &StoredOrder) -> Option<Contact> {
        order.order.mailed_to().cloned().or_else(|| {
            order.order.customers.iter().find_map(|customer| {
                let snapshot = &self.known.get(&(order.connection, customer.clone()))?.snapshot.value;
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
    let without_contact = orders.iter().filter(|order| order.order.mailed_to().is_none());
    let wanted: BTreeSet<_> = without_contact
        .flat_map(|order| order.order.customers.iter().map(|customer| (order.connection, customer.clone())))
        .chain(news.keys().cloned())
        .collect();
    let stored = if wanted.is_empty() { Vec::new() } else { write.identities(&wanted).await? };
    let mut known: HashMap<_, _> = stored
        .into_iter()
        .map(|identity| ((identity.connection, identity.fact.reference.clone()), identity.fact))
        .collect();
    let (mut saved, mut changed) = (Vec::with_capacity(news.len()), Vec::new());
    for (key, (tenant, told)) in news {
        let fact = match known.remove(&key) {
            Some(mut fact) => {
                let before = fact.snapshot.value.clone();
                fact.join(told);
                if fact.snapshot.value != before {
                    changed.push(key.clone());
                }
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
    Ok(Identities { known, changed })
}

/// The customers of orders that had none.
#[derive(Default)]
pub(crate) struct Buyers {
    of: HashMap<OrderId, CustomerId>,
    /// Those who bought for the first time.
    made: Vec<Customer>,
}

impl Buyers {
    pub(crate) fn of(&self, order: OrderId) -> Option<CustomerId> {
        self.of.get(&order).copied()
    }

    /// What is to be told of those who bought for the first time.
    pub(crate) fn news(&self) -> impl Iterator<Item = News> + '_ {
        self.made.iter().map(|row| {
            let id = CustomerId(row.id);
            let customer = CustomerTold {
                id: Some(id),
                reference: None,
                email: Some(row.email.as_str().into()),
                name: row.name.as_deref().map(Box::from),
            };
            News {
                tenant: TenantId(row.tenant_id),
                livemode: row.livemode,
                kind: EventKind::CustomerCreated,
                license: None,
                order: None,
                customer: Some(id),
                data: EventData { customer: Some(customer), ..EventData::default() },
            }
        })
    }
}

/// The customers of orders that have an address and no customer yet.
pub(crate) async fn find(
    write: &Write,
    orders: &[StoredOrder],
    identities: &Identities,
    entropy: &mut dyn Entropy,
    now: Timestamp,
) -> Result<Buyers, Error> {
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
        return Ok(Buyers::default());
    }
    let candidates: Vec<Customer> = candidates.into_values().collect();
    let ids: BTreeSet<uuid::Uuid> = candidates.iter().map(|candidate| candidate.id).collect();
    let found = write.find_or_create_customers(candidates).await?;
    let made = found.iter().filter(|row| ids.contains(&row.id)).cloned().collect();
    let found: HashMap<_, _> = found
        .into_iter()
        .map(|row| ((row.tenant_id, row.livemode, row.email_normalised), CustomerId(row.id)))
        .collect();
    let of = wanted.into_iter().filter_map(|(order, key)| Some((order, *found.get(&key)?))).collect();
    Ok(Buyers { of, made })
}
