//! Charges, refunds and disputes: what happens to the money afterwards.
//!
//! Refunds are told in two families: `charge.refunded` with a total, and `refund.*` by name. Which of them an endpoint
//! gets depends on its subscription and, before 2024-10-28, on the API version. Both become facts, and
//! `Order::refunded` does not count anything twice.

use domain::{
    fact::Fact,
    join::Stamp,
    order::{Dispute, DisputeState, Order, Refund, RefundState},
    text::{CustomerReference, Reference},
};
use serde::Deserialize;

use super::{
    event::{Event, lacks},
    lookup::{LookUps, Stop},
    read,
    sale::{self, InvoiceLink},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Charge {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    payment_intent: Option<Reference>,
    /// Until 2025-03-31 (basil), and null there for a payment without an invoice.
    #[serde(deserialize_with = "read::id_if_told")]
    invoice: Option<Option<Reference>>,
    #[serde(deserialize_with = "read::id")]
    customer: Option<CustomerReference>,
    #[serde(deserialize_with = "read::number")]
    amount_refunded: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    currency: Option<String>,
}

/// What a refund and a dispute have in common: they name a charge, a payment intent, or both.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Aftermath {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    charge: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    payment_intent: Option<Reference>,
    #[serde(deserialize_with = "read::number")]
    amount: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    currency: Option<String>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
}

/// `charge.*`: the charge is the payment of its intent (and of its invoice). Where it says so, this much went back.
///
/// A charge does not tell which of its refunds are still under way, so its total counts until `refund.*` tells.
pub(super) fn charge(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let charge: Charge = event.object()?;
    let id = charge.id.clone().ok_or_else(|| lacks("data.object.id"))?;
    if !tells_refunds(event) {
        let invoice = charge.invoice.clone().flatten();
        return Ok(sale::link(charge.order(&id, invoice)));
    }
    let minor = charge.amount_refunded.ok_or_else(|| lacks("data.object.amount_refunded"))?;
    let link = match &charge.invoice {
        Some(invoice) => InvoiceLink { invoice: invoice.clone(), missing: None },
        None => sale::invoice_link(charge.payment_intent.as_ref(), look_ups)?,
    };
    let payment = charge.payment_intent.clone().unwrap_or_else(|| id.clone());
    let amount = read::money(Some(minor), charge.currency.as_deref());
    Ok(sale::fact(Order {
        refunds: [(id.clone(), Refund::total(Stamp::at(event.created), amount, payment))].into(),
        missing: link.missing.into_iter().collect(),
        ..charge.order(&id, link.invoice)
    }))
}

/// Whether the event is about what went back: `charge.updated` is, where that changed (a refund failed).
fn tells_refunds(event: &Event<'_>) -> bool {
    match event.kind {
        "charge.refunded" => true,
        "charge.updated" => event.previous::<Charge>().amount_refunded.is_some(),
        _ => false,
    }
}

impl Charge {
    fn order(&self, id: &Reference, invoice: Option<Reference>) -> Order {
        Order {
            customers: sale::customers(self.customer.clone()),
            ..sale::named([Some(id.clone()), self.payment_intent.clone(), invoice], [])
        }
    }
}

/// `refund.*` and `charge.refund.updated`: a refund by name. One of a customer's balance belongs to no payment.
pub(super) fn refund(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let refund: Aftermath = event.object()?;
    let id = refund.id.clone().ok_or_else(|| lacks("data.object.id"))?;
    let Some(payment) = refund.payment() else {
        return Ok(Vec::new());
    };
    let minor = refund.amount.ok_or_else(|| lacks("data.object.amount"))?;
    let amount = read::money(Some(minor), refund.currency.as_deref());
    let register = match refund_state(event.kind, refund.status.as_deref()) {
        RefundState::Failed => Refund::failed(event.created, amount, payment),
        state => Refund::by_id(state, amount, payment),
    };
    let order = refund.order(look_ups)?;
    Ok(sale::fact(Order { refunds: [(id, register)].into(), ..order }))
}

/// A state that is not known yet is no money back yet.
fn refund_state(kind: &str, status: Option<&str>) -> RefundState {
    match status {
        Some("failed" | "canceled") => RefundState::Failed,
        _ if kind == "refund.failed" => RefundState::Failed,
        Some("succeeded") => RefundState::Succeeded,
        _ => RefundState::Pending,
    }
}

/// `charge.dispute.*`: how far a dispute has come.
pub(super) fn dispute(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let dispute: Aftermath = event.object()?;
    let payment = dispute.payment().ok_or_else(|| lacks("data.object.charge"))?;
    // Until 2014 a dispute had no id, and a charge no more than one of them.
    let id = dispute.id.clone().unwrap_or_else(|| payment.clone());
    let state = dispute_state(dispute.status.as_deref());
    let order = dispute.order(look_ups)?;
    Ok(sale::fact(Order { disputes: [(id, Dispute { state, payment, returns: false })].into(), ..order }))
}

/// A state that is not known yet holds nothing against anybody. `charge_refunded` ended disputes of old: the refund
/// counts by itself, so the dispute does not.
fn dispute_state(status: Option<&str>) -> DisputeState {
    match status {
        Some("needs_response" | "under_review") => DisputeState::Open,
        Some(appeal) if appeal.starts_with("appeal") => DisputeState::Open,
        Some("lost") => DisputeState::Lost,
        Some("won" | "prevented" | "charge_refunded") => DisputeState::Won,
        _ => DisputeState::Inquiry,
    }
}

impl Aftermath {
    fn payment(&self) -> Option<Reference> {
        self.payment_intent.clone().or_else(|| self.charge.clone())
    }

    /// Its payment under all names, and the invoice where a look-up finds one.
    fn order(&self, look_ups: LookUps<'_>) -> Result<Order, Stop> {
        let link = sale::invoice_link(self.payment_intent.as_ref(), look_ups)?;
        Ok(Order {
            missing: link.missing.into_iter().collect(),
            ..sale::named([self.charge.clone(), self.payment_intent.clone(), link.invoice], [])
        })
    }
}
