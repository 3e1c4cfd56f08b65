//! Who bought: what providers know about their customers, and the customers made of it.
//!
//! A provider's change touches its own identity only, and the delivery address belongs to the order; so a stranger's
//! checkout with someone's e-mail changes nothing of theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    Entropy,
    event::{CustomerTold, EventData, EventKind},
    fact::{CustomerFact, CustomerSnapshot},
    id::{ConnectionId, CustomerId, OrderId, TenantId},
    join::Join,
    order::Contact,
    ruling::correct_contact,
    text::{CustomerReference, EmailAddress},
};
use jiff::Timestamp;
use store::{CustomerKey, StoreError, StoredIdentity, StoredOrder, Write, lists::Whose, rows::Customer};

use crate::{Error, attention::NO_ADDRESS, events::News};

/// What is known of the customers that a batch touches.
pub(crate) struct Identities {
    known: HashMap<IdentityKey, CustomerFact>,
    /// What is to be told of those of whom something else is known than before.
    changed: Vec<(Whose, CustomerTold)>,
    /// Those of whom something was told and nothing is kept.
    erased: BTreeSet<IdentityKey>,
}

/// A provider's customer.
type IdentityKey = (ConnectionId, CustomerReference);

impl Identities {
    /// What is to be told of customers that changed.
    pub(crate) fn news(&self) -> impl Iterator<Item = News> + '_ {
        self.changed.iter().map(|(whose, told)| news(EventKind::CustomerUpdated, *whose, told.clone()))
    }

    /// Whether the data of a provider's customer was erased.
    pub(crate) fn is_erased(&self, connection: ConnectionId, reference: &CustomerReference) -> bool {
        self.erased.contains(&(connection, reference.clone()))
    }

    /// Where an order's mails go: the sale's own address, otherwise that of the provider's customer. Once its buyer was erased,
    /// only the sale's own, if somebody gave it one since.
    pub(crate) fn address(&self, order: &StoredOrder) -> Option<Contact> {
        if order.order.erased.is_some() {
            return order.order.mailed_to().cloned();
        }
        order.order.mailed_to().cloned().or_else(|| {
            order.order.customers.iter().find_map(|customer| {
                let snapshot = &self.known.get(&(order.connection, customer.clone()))?.snapshot.value;
                Some(Contact { email: snapshot.email.clone()?, name: snapshot.name.clone() })
            })
        })
    }
}

/// What events said about customers, by connection.
pub(crate) type CustomerNews = BTreeMap<IdentityKey, (Whose, CustomerFact)>;

/// Joins what was said about customers with what was known, and wakes the orders that waited for an address.
pub(crate) async fn learn(
    write: &Write,
    news: CustomerNews,
    orders: &mut [StoredOrder],
    now: Timestamp,
) -> Result<Identities, Error> {
    let without_contact = orders.iter().filter(|order| order.order.mailed_to().is_none());
    let wanted: BTreeSet<_> = without_contact
        .flat_map(|order| order.order.customers.iter().map(|customer| (order.connection, customer.clone())))
        .chain(news.keys().cloned())
        .collect();
    let stored = if wanted.is_empty() { Vec::new() } else { write.identities(&wanted).await? };
    let mut known: HashMap<IdentityKey, StoredIdentity> =
        stored.into_iter().map(|identity| ((identity.connection, identity.fact.reference.clone()), identity)).collect();
    let (mut saved, mut added, mut changed) = (Vec::with_capacity(news.len()), Vec::new(), Vec::new());
    let mut erased = BTreeSet::new();
    for (key, (whose, mut told)) in news {
        let identity = match known.remove(&key) {
            Some(mut identity) => {
                if identity.erased {
                    address_new_orders(write, &key, &told, orders, now).await?;
                    told.erase();
                    erased.insert(key.clone());
                }
                let before = identity.fact.snapshot.value.clone();
                identity.fact.join(told);
                if identity.fact.snapshot.value != before {
                    identity.customer = customer(write, whose, &identity, before.email, orders).await?;
                    changed.push((whose, identity_told(&identity)));
                }
                saved.push(identity.clone());
                identity
            }
            None => {
                let (tenant, connection) = (whose.tenant, key.0);
                let identity = StoredIdentity { tenant, connection, customer: None, fact: told, erased: false };
                added.push(identity.clone());
                identity
            }
        };
        let waiting = write.orders_waiting_for(key.0, NO_ADDRESS, Some(vec![key.1.to_string()])).await?;
        write.wake_orders(&waiting.into_iter().collect(), now).await?;
        known.insert(key, identity);
    }
    write.save_identities(saved, now).await?;
    write.add_identities(added, now).await?;
    let known = known.into_iter().map(|(key, identity)| (key, identity.fact)).collect();
    Ok(Identities { known, changed, erased })
}

/// Whoever was erased and buys again is written to: what they bought since keeps the address that is told now by itself, and
/// nothing else of them is kept.
async fn address_new_orders(
    write: &Write,
    (connection, reference): &IdentityKey,
    told: &CustomerFact,
    orders: &mut [StoredOrder],
    now: Timestamp,
) -> Result<(), Error> {
    let CustomerSnapshot { email: Some(email), name, .. } = &told.snapshot.value else { return Ok(()) };
    let contact = Contact { email: email.clone(), name: name.clone() };
    let is_new = |order: &StoredOrder| {
        order.connection == *connection
            && order.order.customers.contains(reference)
            && order.order.erased.is_none()
            && order.order.mailed_to().is_none()
    };
    for order in orders.iter_mut().filter(|order| is_new(order)) {
        correct_contact(&mut order.order, contact.clone(), now);
    }
    let waiting = write.orders_waiting_for(*connection, NO_ADDRESS, Some(vec![reference.to_string()])).await?;
    let waiting = waiting.into_iter().filter(|id| !orders.iter().any(|order| order.id == *id)).collect();
    let mut waiting = write.load_orders(&waiting).await?;
    waiting.retain(|order| order.merged_into.is_none() && is_new(order));
    for order in &mut waiting {
        correct_contact(&mut order.order, contact.clone(), now);
    }
    write.save_orders(&waiting, now).await?;
    Ok(())
}

/// Who a provider's customer is here: whoever an order of theirs belongs to, or has bought under the address that they had
/// until now, or else have now. Nobody may have. What was found stays found, whatever address they have later.
async fn customer(
    write: &Write,
    whose: Whose,
    identity: &StoredIdentity,
    before: Option<EmailAddress>,
    orders: &[StoredOrder],
) -> Result<Option<CustomerId>, Error> {
    let is_theirs = |order: &&StoredOrder| {
        order.connection == identity.connection && order.order.customers.contains(&identity.fact.reference)
    };
    let known = identity.customer.or_else(|| orders.iter().filter(is_theirs).find_map(|order| order.customer));
    if known.is_some() {
        return Ok(known);
    }
    for address in [before.as_ref(), identity.fact.snapshot.value.email.as_ref()].into_iter().flatten() {
        let key: CustomerKey = (whose.tenant.0, whose.livemode, address.normalised());
        if let Some(found) = write.customers(&[key].into()).await?.first() {
            return Ok(Some(found.stands_for()));
        }
    }
    Ok(None)
}

fn identity_told(identity: &StoredIdentity) -> CustomerTold {
    let CustomerFact { reference, snapshot } = &identity.fact;
    CustomerTold {
        id: identity.customer,
        reference: Some(reference.as_str().into()),
        email: snapshot.value.email.as_ref().map(|email| email.as_str().into()),
        name: snapshot.value.name.clone(),
    }
}

/// The customers of orders that had none.
#[derive(Default)]
pub(crate) struct Buyers {
    of: HashMap<OrderId, CustomerId>,
    /// Those who bought for the first time, as their provider knows them.
    made: Vec<(Customer, Option<CustomerReference>)>,
}

impl Buyers {
    pub(crate) fn of(&self, order: OrderId) -> Option<CustomerId> {
        self.of.get(&order).copied()
    }

    /// What is to be told of those who bought for the first time.
    pub(crate) fn news(&self) -> impl Iterator<Item = News> + '_ {
        self.made.iter().map(|(row, reference)| {
            let whose = Whose { tenant: TenantId(row.tenant_id), livemode: row.livemode };
            let customer = CustomerTold {
                id: Some(CustomerId(row.id)),
                reference: reference.as_ref().map(|reference| reference.as_str().into()),
                email: Some(row.email.as_str().into()),
                name: row.name.as_deref().map(Box::from),
            };
            news(EventKind::CustomerCreated, whose, customer)
        })
    }
}

/// An event about a customer alone.
fn news(kind: EventKind, whose: Whose, customer: CustomerTold) -> News {
    News {
        tenant: whose.tenant,
        livemode: whose.livemode,
        kind,
        license: None,
        order: None,
        customer: customer.id,
        data: EventData { customer: Some(customer), ..EventData::default() },
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
    let mut candidates: BTreeMap<CustomerKey, (Customer, Option<CustomerReference>)> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.customer.is_none()) {
        let Some(contact) = identities.address(order) else { continue };
        let key = (order.tenant.0, order.livemode, contact.email.normalised());
        wanted.push((order.id, key.clone()));
        candidates.entry(key).or_insert_with_key(|(tenant_id, livemode, email_normalised)| {
            let row = Customer {
                id: CustomerId::new(now, entropy).0,
                tenant_id: *tenant_id,
                livemode: *livemode,
                email_normalised: email_normalised.clone(),
                email: contact.email.as_str().to_owned(),
                name: contact.name.as_deref().map(str::to_owned),
                created_at: now.as_microsecond(),
                erased_at: None,
                merged_into: None,
            };
            (row, order.order.customers.first().cloned())
        });
    }
    if wanted.is_empty() {
        return Ok(Buyers::default());
    }
    let (candidates, references): (Vec<Customer>, Vec<_>) = candidates.into_values().unzip();
    let references: HashMap<uuid::Uuid, _> = candidates.iter().map(|row| row.id).zip(references).collect();
    let found = write.find_or_create_customers(candidates).await?;
    let made = found.iter().filter_map(|row| Some((row.clone(), references.get(&row.id)?.clone()))).collect();
    let found: HashMap<_, _> = found.iter().map(|row| (row.key(), row.stands_for())).collect();
    let of = wanted.into_iter().map(|(order, key)| Some((order, *found.get(&key)?))).collect::<Option<_>>();
    // Whoever was there when they were to be made and is not any more was erased in between.
    let of = of.ok_or_else(|| StoreError::changed_meanwhile("a customer"))?;
    Ok(Buyers { of, made })
}
