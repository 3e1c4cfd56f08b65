//! Keys that a provider gives out itself, for the licenses of connections whose keys are the provider's.
//!
//! A fact says only which event tells a key: orders are documents that many read. The text is in the event's body, as it was
//! delivered, and is sealed like every key once it opens a license.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crypto::{key::LicenseKey, ring::KeyRing};
use domain::{id::OrderId, text::Reference};
use secrecy::ExposeSecret;
use store::{StoredOrder, Write};

use crate::{
    Error,
    connections::{Connection, find},
};

/// Keys by the provider's names of them.
pub(crate) type ToAdopt = BTreeMap<Reference, LicenseKey>;

/// The names of keys that licenses may take; none: they have keys of ours.
pub(crate) fn names(connection: &Connection, to_adopt: &ToAdopt) -> Option<BTreeSet<Reference>> {
    connection.is_keyed_by_provider().then(|| to_adopt.keys().cloned().collect())
}

/// The keys of orders that open no license yet.
pub(crate) async fn find_all(
    write: &Write,
    ring: &KeyRing,
    orders: &[StoredOrder],
    connections: &[Arc<Connection>],
) -> Result<HashMap<OrderId, ToAdopt>, Error> {
    let mut found = HashMap::new();
    for order in orders {
        let Some(connection) = find(connections, order.connection) else { continue };
        let taken: usize = order.licenses.iter().map(|license| license.keys as usize).sum();
        if !connection.is_keyed_by_provider() || taken >= order.order.keys.len() {
            continue;
        }
        let told_by = order.order.keys.values().map(|key| key.told_by.to_string()).collect();
        let bodies = write.bodies_of_events(connection.id, told_by).await?;
        let mut keys = ToAdopt::new();
        for (name, key) in &order.order.keys {
            let given = bodies.get(&*key.told_by).and_then(|body| connection.provider.given_key(body));
            let Some(key) = given.and_then(|text| LicenseKey::as_written(text.expose_secret()).ok()) else { continue };
            // Whatever key it opens a license by already, it opens no second one.
            let hashes = ring.license_hashes(&key.normal()).into_iter().map(|hash| hash.to_vec()).collect();
            if write.lock_licenses_by_hash(hashes).await?.is_empty() {
                keys.insert(name.clone(), key);
            }
        }
        found.insert(order.id, keys);
    }
    Ok(found)
}
