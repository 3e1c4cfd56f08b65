//! Keys that a provider gives out itself, for the licenses of connections whose keys are the provider's.
//!
//! A fact says only which event tells a key: orders are documents that many read. The text is in the event's body, as it was
//! delivered, and is sealed like every key once it opens a license.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crypto::{key::LicenseKey, ring::KeyRing};
use domain::{
    fulfil::{KeyTrouble, Offered},
    id::OrderId,
    text::Reference,
};
use secrecy::ExposeSecret;
use store::{StoredOrder, Write};

use crate::{
    Error,
    connections::{Connection, find},
};

/// Keys that the provider gave out for an order, by its names of them.
#[derive(Default)]
pub(crate) struct ToAdopt {
    /// They open no license yet.
    pub(crate) keys: BTreeMap<Reference, LicenseKey>,
    /// They open none of this order's, and never will.
    pub(crate) refused: BTreeMap<Reference, KeyTrouble>,
}

/// The names of keys that licenses may take; none: they have keys of ours.
pub(crate) fn offered(connection: &Connection, to_adopt: &ToAdopt) -> Option<Offered> {
    let offered = || Offered { keys: to_adopt.keys.keys().cloned().collect(), refused: to_adopt.refused.clone() };
    connection.is_keyed_by_provider().then(offered)
}

/// The keys of orders that open no license yet. Each is asked about by itself: a license may also have a key of ours.
pub(crate) async fn find_all(
    write: &Write,
    ring: &KeyRing,
    orders: &[StoredOrder],
    connections: &[Arc<Connection>],
) -> Result<HashMap<OrderId, ToAdopt>, Error> {
    let mut found = HashMap::new();
    // Two events may tell one key, of one order or of two that are settled together.
    let mut told = BTreeSet::new();
    for order in orders {
        let Some(connection) = find(connections, order.connection) else { continue };
        if !connection.is_keyed_by_provider() || order.order.keys.is_empty() {
            continue;
        }
        let told_by = order.order.keys.values().map(|key| key.told_by.to_string()).collect();
        let bodies = write.bodies_of_events(connection.id, told_by).await?;
        let mut to_adopt = ToAdopt::default();
        for (name, key) in &order.order.keys {
            let given = bodies.get(&*key.told_by).and_then(|body| connection.provider.given_key(body));
            let Some(text) = given else { continue };
            let Ok(key) = LicenseKey::as_written(text.expose_secret()) else {
                to_adopt.refused.insert(name.clone(), KeyTrouble::NoKey);
                continue;
            };
            let hashes = ring.license_hashes(&key.normal()).into_iter().map(|hash| hash.to_vec()).collect();
            let opened = write.lock_licenses_by_hash(hashes).await?;
            let is_first = told.insert(ring.license_hash(&key.normal()).to_vec());
            let is_own = |license: uuid::Uuid| order.licenses.iter().any(|own| own.id.0 == license);
            if !is_first || opened.values().any(|license| !is_own(license.id.0)) {
                to_adopt.refused.insert(name.clone(), KeyTrouble::Taken);
            } else if opened.is_empty() {
                to_adopt.keys.insert(name.clone(), key);
            }
        }
        found.insert(order.id, to_adopt);
    }
    Ok(found)
}
