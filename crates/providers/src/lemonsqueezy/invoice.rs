//! Invoices of subscriptions: what was paid, and what of it went back.

use domain::{
    fact::Fact,
    join::{Partition, Stamp},
    order::{Collected, Missing, Order, Refund},
};
use serde::Deserialize;

use super::{
    event::{Buyer, Event, lacks},
    first_payment, named,
    order::Amounts,
};
use crate::{
    lookup::{LookUps, Stop},
    read, sale,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(flatten)]
    buyer: Buyer,
    #[serde(deserialize_with = "read::name")]
    subscription_id: Option<String>,
    #[serde(deserialize_with = "read::text")]
    billing_reason: Option<String>,
    #[serde(flatten)]
    amounts: Amounts,
}

/// `subscription_payment_*`: a payment of a period, and all that went back of it. The invoice of a change (`updated`) pays
/// for the rest of a period that was paid already, or, with another interval, for a new one; where it paid for none that
/// is known, a person hears of its refund. `subscription_payment_failed` is not read: the subscription's status tells it.
pub(super) fn invoice(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let attributes: Attributes = event.attributes()?;
    let subscription = attributes.subscription_id.as_deref().ok_or_else(|| lacks("data.attributes.subscription_id"))?;
    let (name, subscription) = (named("invoice", &event.id), named("subscription", subscription));
    if !is_paid(attributes.amounts.status.as_deref()) {
        return Ok(Vec::new());
    }
    let change = attributes.billing_reason.as_deref() == Some("updated");
    let total = attributes.amounts.total();
    let paid = Collected { subscription: subscription.clone(), total, at: event.created_at, change };
    let is_first = attributes.billing_reason.as_deref() == Some("initial");
    let refunds = attributes
        .amounts
        .refunded()
        .map(|amount| (name.clone(), Refund::whole(Stamp::at(event.changed_at), amount, name.clone())));
    Ok(sale::fact(Order {
        payments: Partition::group([name.clone()].into_iter().chain(is_first.then(|| first_payment(&subscription)))),
        collected: [(name.clone(), paid)].into(),
        missing: refunds.iter().filter(|_| change).map(|_| Missing::PaymentLink).collect(),
        refunds: refunds.into_iter().collect(),
        contact: attributes.buyer.contact(event.created_at),
        customers: attributes.buyer.customers(),
        ..sale::named([], [Some(name), Some(subscription)])
    }))
}

/// An invoice is told once it is paid, and may tell its status or not.
fn is_paid(status: Option<&str>) -> bool {
    !matches!(status, Some("pending" | "void"))
}
