//! Keys that Lemon Squeezy gives out itself. A fact never has the key in it, only where it is told.

use domain::{
    fact::Fact,
    order::{Order, ProviderKey},
};
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    event::{Event, lacks},
    named,
    order::line_of,
};
use crate::{Incoming, Malformed, read, sale};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "read::name")]
    order_id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    order_item_id: Option<String>,
}

/// `license_key_*`: a key for an item of an order. What Lemon Squeezy thinks of the key (its own count of activations, whether
/// it is disabled there) says nothing here: the license decides, and a person may freeze or revoke it.
pub(super) fn license_key(incoming: &Incoming) -> Result<Vec<Fact>, Malformed> {
    let event = Event::read(incoming)?;
    let attributes: Attributes = event.attributes()?;
    let order = attributes.order_id.ok_or_else(|| lacks("data.attributes.order_id"))?;
    let (name, order) = (named("license-key", &event.id), named("order", &order));
    if given_in(&incoming.body).is_none() {
        return Err(lacks("data.attributes.key"));
    }
    let line = line_of(attributes.order_item_id.as_deref(), &order);
    let key = ProviderKey { line, told_by: incoming.key.as_str().into() };
    Ok(sale::fact(Order { keys: [(name.clone(), key)].into(), ..sale::named([], [Some(name), Some(order)]) }))
}

/// The key in such an event.
pub(super) fn given_in(body: &str) -> Option<SecretString> {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        attributes: Key,
    }
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    let body: Body = serde_json::from_str(body).ok()?;
    Some(body.data.attributes.key).filter(|key| !key.trim().is_empty()).map(SecretString::from)
}
