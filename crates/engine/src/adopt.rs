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
    id::{ConnectionId, OrderId},
    order::Order,
    text::Reference,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use store::{StoredOrder, Write, rows::InboundEvent};

use crate::{
    Engine, Error,
    connections::{Connection, find},
};

impl Engine {
    /// The body of an event as people are shown it: a key in it that a provider gave out is masked, for whoever may read
    /// events may not read keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn shown_body(&self, event: &InboundEvent) -> Result<Value, Error> {
        let mut body = serde_json::from_str(&event.body).unwrap_or_else(|_| Value::String(event.body.clone()));
        let connections = self.connections().await?;
        let connection = find(&connections, ConnectionId(event.connection_id));
        if let Some(key) = connection.and_then(|connection| connection.provider.given_key(&event.body)) {
            mask(&mut body, key.expose_secret());
        }
        Ok(body)
    }
}

/// Masks every text of a body that is the key.
fn mask(body: &mut Value, key: &str) {
    match body {
        Value::String(text) if text.contains(key) => {
            let masked = LicenseKey::as_written(key).map_or_else(|_| "…".to_owned(), |key| key.masked());
            *text = text.replace(key, &masked);
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| mask(element, key)),
        Value::Object(members) => members.values_mut().for_each(|member| mask(member, key)),
        _ => {}
    }
}

/// Keys that are at hand without an event that tells them, by the names that orders have for them.
pub(crate) type Keys = BTreeMap<Reference, LicenseKey>;

/// Keys that the provider gave out for an order, by its names of them.
#[derive(Default)]
pub(crate) struct ToAdopt {
    /// They open no license yet.
    pub(crate) keys: BTreeMap<Reference, LicenseKey>,
    /// They open none of this order's, and never will.
    pub(crate) refused: BTreeMap<Reference, KeyTrouble>,
}

/// The names of keys that licenses may take; none: they have keys of ours.
pub(crate) fn offered(connection: &Connection, order: &Order, to_adopt: &ToAdopt) -> Option<Offered> {
    let offered = || Offered { keys: to_adopt.keys.keys().cloned().collect(), refused: to_adopt.refused.clone() };
    connection.has_keys_for(order).then(offered)
}

/// The keys in the inbox of events that tell keys for which there is no license yet, so that their bodies are still needed.
pub(crate) fn telling(orders: &[StoredOrder]) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for order in orders {
        for key in order.order.keys.values() {
            let told = order.order.keys.values().filter(|other| other.line == key.line).count();
            let opening = order.licenses.iter().filter(|license| license.unit.line == key.line && license.keys > 0);
            if opening.count() < told {
                needed.insert(key.told_by.to_string());
            }
        }
    }
    needed
}

/// The keys of orders that open no license yet. Each is asked about by itself: a license may also have a key of ours.
pub(crate) async fn find_all(
    write: &Write,
    ring: &KeyRing,
    orders: &[StoredOrder],
    connections: &[Arc<Connection>],
    brought: &Keys,
) -> Result<HashMap<OrderId, ToAdopt>, Error> {
    let mut found = HashMap::new();
    // Two events may tell one key, of one order or of two that are settled together.
    let mut told = BTreeSet::new();
    for order in orders {
        let Some(connection) = find(connections, order.connection) else { continue };
        if !connection.has_keys_for(&order.order) || order.order.keys.is_empty() {
            continue;
        }
        let told_by = order.order.keys.values().map(|key| key.told_by.to_string()).collect();
        let bodies = write.bodies_of_events(connection.id, told_by).await?;
        let mut to_adopt = ToAdopt::default();
        for (name, key) in &order.order.keys {
            let in_body = || bodies.get(&*key.told_by).and_then(|body| connection.provider.given_key(body));
            let given = match brought.get(name) {
                Some(key) => Ok(key.clone()),
                None => match in_body() {
                    Some(text) => LicenseKey::as_written(text.expose_secret()),
                    None => continue,
                },
            };
            let Ok(key) = given else {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_masked_wherever_the_body_says_it() {
        for (key, masked) in [("1f0e9d8c-7b6a-4594-8372-615041302010", "…2010"), ("x1", "…")] {
            let body = |key: &str| json!({ "data": { "id": 8, "attributes": { "key": key, "all": [{ "note": format!("is {key}") }] } } });
            let mut shown = body(key);
            mask(&mut shown, key);
            assert_eq!(shown, body(masked), "{key}");
        }
    }
}
