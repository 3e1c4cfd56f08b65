//! The part that facts about a sale have in common: its names, which of them are one payment, and what was bought.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    fact::Fact,
    join::{Partition, Register, Stamp},
    order::{Contact, Order},
    text::{CustomerReference, EmailAddress, PlanCode, Reference},
};
use jiff::Timestamp;

/// An order that knows nothing but its names: those that are one payment, and others that belong to the sale.
///
/// A subscription is never part of a payment: its invoices are paid one by one, and a refund counts against its own.
pub(crate) fn named(
    payment: impl IntoIterator<Item = Option<Reference>>,
    others: impl IntoIterator<Item = Option<Reference>>,
) -> Order {
    let payment: Vec<Reference> = payment.into_iter().flatten().collect();
    Order {
        payments: Partition::group(payment.iter().cloned()),
        references: payment.into_iter().chain(others.into_iter().flatten()).collect(),
        ..Order::default()
    }
}

/// A fact whose only content is that names belong together. One name alone says nothing.
pub(crate) fn link(order: Order) -> Vec<Fact> {
    if order.references.len() < 2 { Vec::new() } else { fact(order) }
}

/// The one fact of an event.
pub(crate) fn fact(order: Order) -> Vec<Fact> {
    vec![Fact::Order(Box::new(order))]
}

/// The customer of an object, if it names one.
pub(crate) fn customers(customer: Option<CustomerReference>) -> BTreeSet<CustomerReference> {
    customer.into_iter().collect()
}

/// Where mails go, as told at that moment.
pub(crate) fn contact(email: Option<EmailAddress>, name: Option<String>, at: Timestamp) -> Option<Register<Contact>> {
    Some(Register::new(Stamp::at(at), Contact { email: email?, name: name.map(Box::from) }))
}

/// How many. One where the provider does not count (metered prices); nothing sensible is one, too.
pub(crate) fn quantity_of(quantity: Option<i64>) -> u32 {
    match quantity {
        Some(quantity) if quantity >= 0 => u32::try_from(quantity).unwrap_or(u32::MAX),
        _ => 1,
    }
}

/// The plan that a vendor's metadata names, under any of the names that the vendors' own integrations use (A15, D15).
pub(crate) fn plan_named_in(metadata: &BTreeMap<String, String>) -> Option<PlanCode> {
    ["plan_id", "plan_code", "key_type_id"]
        .into_iter()
        .filter_map(|key| metadata.get(key))
        .map(|code| code.trim())
        .find(|code| !code.is_empty())
        .map(PlanCode::from)
}
