//! The part that facts about a sale have in common: its names, and which of them are one payment.

use domain::{
    fact::Fact,
    join::{Partition, Register, Stamp},
    order::{Contact, Missing, Order},
    text::{CustomerReference, EmailAddress, Reference},
};
use jiff::Timestamp;

use super::lookup::{Found, LookUps, Stop};
use crate::Level;

/// An order that knows nothing but its names: those that are one payment, and others that belong to the sale.
///
/// A subscription is never part of a payment: its invoices are paid one by one, and a refund counts against its own.
pub(super) fn named(
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
pub(super) fn link(order: Order) -> Vec<Fact> {
    if order.references.len() < 2 { Vec::new() } else { fact(order) }
}

/// The one fact of an event.
pub(super) fn fact(order: Order) -> Vec<Fact> {
    vec![Fact::Order(Box::new(order))]
}

/// The customer of an object, if it names one.
pub(super) fn customers(customer: Option<CustomerReference>) -> std::collections::BTreeSet<CustomerReference> {
    customer.into_iter().collect()
}

/// Where mails go, as told at that moment.
pub(super) fn contact(email: Option<EmailAddress>, name: Option<String>, at: Timestamp) -> Option<Register<Contact>> {
    Some(Register::new(Stamp::at(at), Contact { email: email?, name: name.map(Box::from) }))
}

/// Which invoice a payment belongs to, where only a look-up knows.
#[derive(Debug, Default)]
pub(super) struct InvoiceLink {
    pub(super) invoice: Option<Reference>,
    pub(super) missing: Option<Missing>,
}

/// Asks for the invoice of a payment intent. Without a key nothing is asked and nothing is missed: the link comes by
/// `invoice_payment.paid`, in its own time.
pub(super) fn invoice_link(payment_intent: Option<&Reference>, look_ups: LookUps<'_>) -> Result<InvoiceLink, Stop> {
    let (Some(payment_intent), true) = (payment_intent, look_ups.level != Level::None) else {
        return Ok(InvoiceLink::default());
    };
    Ok(match look_ups.invoice_of(payment_intent)? {
        Found::It(invoice, _) => InvoiceLink { invoice: Some(invoice), missing: None },
        Found::Forbidden => InvoiceLink { invoice: None, missing: Some(Missing::PaymentLink) },
        Found::Nothing => InvoiceLink::default(),
    })
}
