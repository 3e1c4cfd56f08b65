//! Customers: an identity at Paddle, touched by nothing else than its own events and a look at it.

use domain::{
    fact::{CustomerFact, CustomerSnapshot, Fact},
    join::{Register, Stamp},
    text::{CustomerReference, EmailAddress},
    time::stored,
};
use serde::Deserialize;

use super::event::{Event, lacks};
use crate::{
    Level,
    http::percent_encoded,
    lookup::{Found, LookUps, Stop},
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
}

/// `customer.*`: what was known of a customer at that moment. Paddle never deletes one.
pub(super) fn customer(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let customer: Customer = event.data()?;
    let reference = customer.id.clone().ok_or_else(|| lacks("data.id"))?;
    let rank = u8::from(event.kind != "customer.created");
    Ok(vec![customer.known(reference, Stamp { ended: false, at: event.at, rank })])
}

/// Asks who a customer is. Without a key, or where the key may not, their own event tells, and the mail waits for it.
pub(super) fn look_up(customer: Option<&CustomerReference>, look_ups: LookUps<'_>) -> Result<Option<Fact>, Stop> {
    #[derive(Deserialize)]
    struct Shown {
        #[serde(default, deserialize_with = "read::object")]
        data: Option<Customer>,
    }
    let (Some(reference), true) = (customer, look_ups.level != Level::None) else { return Ok(None) };
    let path = format!("/customers/{}", percent_encoded(reference.as_str()));
    Ok(match look_ups.get::<Shown>(path)? {
        Found::It(Shown { data: Some(customer) }, asked_at) => {
            Some(customer.known(reference.clone(), Stamp { ended: false, at: stored(asked_at), rank: 1 }))
        }
        Found::It(Shown { data: None }, _) | Found::Forbidden | Found::Nothing => None,
    })
}

impl Customer {
    fn known(self, reference: CustomerReference, stamp: Stamp) -> Fact {
        let snapshot = CustomerSnapshot { deleted: false, email: self.email, name: self.name.map(Box::from) };
        Fact::Customer(CustomerFact { reference, snapshot: Register::new(stamp, snapshot) })
    }
}
