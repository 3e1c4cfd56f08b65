//! Customers: an identity at Stripe, touched by nothing else than its own events.

use domain::{
    fact::{CustomerFact, CustomerSnapshot, Fact},
    join::{Register, Stamp},
    text::{CustomerReference, EmailAddress},
};
use serde::Deserialize;

use super::{
    event::{Event, lacks},
    lookup::{LookUps, Stop},
    read,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Customer {
    #[serde(deserialize_with = "read::id")]
    id: Option<CustomerReference>,
    #[serde(deserialize_with = "read::email")]
    email: Option<EmailAddress>,
    #[serde(deserialize_with = "read::text")]
    name: Option<String>,
    /// All that is left of one that is gone, beside its id.
    #[serde(deserialize_with = "read::flag")]
    deleted: bool,
}

/// `customer.*`: what was known of a customer, ordered by the event's second, then created < updated < deleted.
pub(super) fn customer(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let customer: Customer = event.object()?;
    let deleted = customer.deleted || event.kind == "customer.deleted";
    let rank = match event.kind {
        "customer.created" => 0,
        "customer.updated" => 1,
        _ => 2,
    };
    let snapshot = CustomerSnapshot { deleted, email: customer.email, name: customer.name.map(Box::from) };
    Ok(vec![Fact::Customer(CustomerFact {
        reference: customer.id.ok_or_else(|| lacks("data.object.id"))?,
        snapshot: Register::new(Stamp { ended: deleted, at: event.created, rank }, snapshot),
    })])
}
