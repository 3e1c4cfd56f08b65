//! Adjustments: what happens to the money of a transaction afterwards.
//!
//! Most refunds wait for Paddle's approval and may be rejected, so one counts by its status, in whichever event says so.
//! Chargebacks are made by Paddle itself.

use domain::{
    fact::Fact,
    order::{Dispute, DisputeState, Order, Refund, RefundState},
    text::{CustomerReference, Reference},
};
use serde::Deserialize;

use super::event::{Event, lacks};
use crate::{
    lookup::{LookUps, Stop},
    read, sale,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Adjustment {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    action: Option<String>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
    #[serde(deserialize_with = "read::id")]
    transaction_id: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    subscription_id: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    customer_id: Option<CustomerReference>,
    #[serde(deserialize_with = "read::text")]
    currency_code: Option<String>,
    #[serde(deserialize_with = "read::object")]
    totals: Option<Totals>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Totals {
    #[serde(deserialize_with = "read::number")]
    total: Option<i64>,
}

/// `adjustment.*`: a refund or a chargeback. A credit changes what is owed, and no money goes back.
pub(super) fn adjustment(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let adjustment: Adjustment = event.data()?;
    match adjustment.action.as_deref() {
        Some("refund") => adjustment.refund(event),
        Some(action) if action.starts_with("chargeback") => adjustment.chargeback(action),
        _ => Ok(Vec::new()),
    }
}

impl Adjustment {
    /// Paddle says how much of each line went back; a license follows its payment, so only the sum is read.
    fn refund(&self, event: &Event<'_>) -> Result<Vec<Fact>, Stop> {
        let id = self.id.clone().ok_or_else(|| lacks("data.id"))?;
        let payment = self.payment()?;
        let minor = self.totals.as_ref().and_then(|totals| totals.total).ok_or_else(|| lacks("data.totals.total"))?;
        let amount = read::money(Some(minor), self.currency_code.as_deref());
        let register = match self.refund_state() {
            RefundState::Failed => Refund::failed(event.at, amount, payment.clone()),
            state => Refund::by_id(state, amount, payment.clone()),
        };
        Ok(sale::fact(Order { refunds: [(id, register)].into(), ..self.names(payment) }))
    }

    /// A status that is not known yet is no money back yet.
    fn refund_state(&self) -> RefundState {
        match self.status.as_deref() {
            Some("approved") => RefundState::Succeeded,
            Some("rejected" | "reversed") => RefundState::Failed,
            _ => RefundState::Pending,
        }
    }

    /// A bank can take the money of a transaction several times, and each time it can come back: each is an adjustment of its
    /// own, and a reversal does not name the one that it reverses.
    fn chargeback(&self, action: &str) -> Result<Vec<Fact>, Stop> {
        let id = self.id.clone().ok_or_else(|| lacks("data.id"))?;
        let payment = self.payment()?;
        let state = dispute_state(action, self.status.as_deref());
        let returns = action == "chargeback_reverse" && state == DisputeState::Won;
        let dispute = Dispute { state, payment: payment.clone(), returns };
        Ok(sale::fact(Order { disputes: [(id, dispute)].into(), ..self.names(payment) }))
    }

    fn payment(&self) -> Result<Reference, Stop> {
        Ok(self.transaction_id.clone().ok_or_else(|| lacks("data.transaction_id"))?)
    }

    fn names(&self, payment: Reference) -> Order {
        Order {
            customers: sale::customers(self.customer_id.clone()),
            ..sale::named([Some(payment)], [self.subscription_id.clone()])
        }
    }
}

/// Paddle makes a chargeback when the buyer's bank has taken the money, and reverses it when Paddle has won it back. A
/// warning, and anything that is not known yet, holds nothing against anybody.
fn dispute_state(action: &str, status: Option<&str>) -> DisputeState {
    match (action, status) {
        (_, Some("pending_approval" | "rejected")) => DisputeState::Inquiry,
        ("chargeback_reverse", _) | ("chargeback", Some("reversed")) => DisputeState::Won,
        ("chargeback", _) => DisputeState::Lost,
        _ => DisputeState::Inquiry,
    }
}
