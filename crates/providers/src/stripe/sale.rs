//! What Stripe's facts about a sale have in common beside what all providers' have.

use domain::{order::Missing, text::Reference};

use super::lookup::{Found, LookUps, Stop};
use crate::Level;
pub(super) use crate::sale::{contact, customers, fact, link, named, plan_named_in, quantity_of};

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
