//! Invoices: which period was paid, and which payment paid it.

use domain::{
    fact::Fact,
    order::{LastTold, Order, Period},
    text::{CustomerReference, EmailAddress, Reference},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    event::{Event, lacks},
    lookup::{Found, LookUps, Stop},
    read::{self, List},
    sale,
};
use crate::{Level, http::percent_encoded};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Invoice {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::time")]
    created: Option<Timestamp>,
    #[serde(deserialize_with = "read::object")]
    parent: Option<Parent>,
    /// Until 2025-03-31 (basil), as are `charge` and `payment_intent`.
    #[serde(deserialize_with = "read::id")]
    subscription: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    charge: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    payment_intent: Option<Reference>,
    /// Only where it was expanded.
    #[serde(deserialize_with = "read::object")]
    payments: Option<List<InvoicePayment>>,
    #[serde(deserialize_with = "read::object")]
    lines: Option<List<InvoiceLine>>,
    #[serde(deserialize_with = "read::number")]
    amount_paid: Option<i64>,
    #[serde(deserialize_with = "read::number")]
    total: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    currency: Option<String>,
    #[serde(deserialize_with = "read::time")]
    next_payment_attempt: Option<Timestamp>,
    #[serde(deserialize_with = "read::number")]
    attempt_count: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
    #[serde(deserialize_with = "read::id")]
    customer: Option<CustomerReference>,
    #[serde(deserialize_with = "read::email")]
    customer_email: Option<EmailAddress>,
    #[serde(deserialize_with = "read::text")]
    customer_name: Option<String>,
}

/// What an invoice or one of its lines comes from, since 2025-03-31 (basil).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parent {
    #[serde(rename = "type", deserialize_with = "read::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "read::object")]
    subscription_details: Option<OfSubscription>,
    #[serde(deserialize_with = "read::object")]
    subscription_item_details: Option<OfSubscription>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OfSubscription {
    #[serde(deserialize_with = "read::id")]
    subscription: Option<Reference>,
    #[serde(deserialize_with = "read::flag")]
    proration: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InvoiceLine {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(rename = "type", deserialize_with = "read::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "read::object")]
    parent: Option<Parent>,
    #[serde(deserialize_with = "read::flag")]
    proration: bool,
    #[serde(deserialize_with = "read::id")]
    subscription: Option<Reference>,
    #[serde(deserialize_with = "read::object")]
    period: Option<LinePeriod>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinePeriod {
    #[serde(deserialize_with = "read::time")]
    end: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InvoicePayment {
    #[serde(deserialize_with = "read::id")]
    invoice: Option<Reference>,
    #[serde(deserialize_with = "read::object")]
    payment: Option<Payment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payment {
    #[serde(deserialize_with = "read::id")]
    payment_intent: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    charge: Option<Reference>,
}

/// `invoice.paid`: a period is paid, if the invoice has a line that pays one. An invoice without a subscription, or
/// with prorations only, links its payment and no more.
pub(super) fn paid(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let invoice: Invoice = event.object()?;
    let id = invoice.id.clone().ok_or_else(|| lacks("data.object.id"))?;
    let Some(subscription) = invoice.subscription() else {
        return Ok(sale::link(invoice.names()));
    };
    let period = invoice.paid_until(&id, look_ups)?.map(|until| Period {
        subscription,
        until,
        total: read::money(invoice.amount_paid.or(invoice.total), invoice.currency.as_deref()),
    });
    let names = invoice.names();
    let at = invoice.created.unwrap_or(event.created);
    Ok(sale::fact(Order {
        periods: period.into_iter().map(|period| (id.clone(), period)).collect(),
        contact: sale::contact(invoice.customer_email, invoice.customer_name, at),
        ..names
    }))
}

/// `invoice.payment_failed`: that a payment is overdue, the subscription's status tells. Only the invoice tells when Stripe
/// tries again; after the last try it names no moment.
pub(super) fn payment_failed(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let invoice: Invoice = event.object()?;
    invoice.id.as_ref().ok_or_else(|| lacks("data.object.id"))?;
    Ok(sale::link(Order { retries: invoice.retry().into_iter().collect(), ..invoice.names() }))
}

/// `invoice.updated`: an invoice whose payment failed may be given the moment of its next try afterwards. Nothing else that
/// is updated matters before it is paid.
pub(super) fn updated(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let invoice: Invoice = event.object()?;
    invoice.id.as_ref().ok_or_else(|| lacks("data.object.id"))?;
    // A draft names the moment of its first try.
    let is_tried = invoice.status.as_deref() == Some("open") && invoice.attempt_count.is_some_and(|count| count > 0);
    Ok(match invoice.retry().filter(|_| is_tried) {
        Some(retry) => sale::link(Order { retries: [retry].into(), ..invoice.names() }),
        None => Vec::new(),
    })
}

/// `invoice_payment.paid`: the only event that says which payment paid an invoice, since 2025-03-31 (basil).
pub(super) fn invoice_payment(event: &Event<'_>, _: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let paid: InvoicePayment = event.object()?;
    let invoice = paid.invoice.ok_or_else(|| lacks("data.object.invoice"))?;
    let payment = paid.payment.unwrap_or_default();
    Ok(sale::link(sale::named([Some(invoice), payment.payment_intent, payment.charge], [])))
}

impl Invoice {
    /// The subscription that it bills. An invoice that came from a quote names it on its lines only.
    fn subscription(&self) -> Option<Reference> {
        let details = self.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
        let told = details.and_then(|details| details.subscription.clone()).or_else(|| self.subscription.clone());
        told.or_else(|| self.seen_lines().find_map(InvoiceLine::subscription))
    }

    fn seen_lines(&self) -> impl Iterator<Item = &InvoiceLine> {
        self.lines.iter().flat_map(|list| &list.data)
    }

    /// When Stripe tries again to collect, for which subscription.
    fn retry(&self) -> Option<(Reference, LastTold)> {
        self.subscription().zip(self.next_payment_attempt.map(LastTold))
    }

    fn names(&self) -> Order {
        let paid_by = self.payments.iter().flat_map(|list| &list.data).filter_map(|paid| paid.payment.as_ref());
        let paid_by = paid_by.flat_map(|payment| [payment.payment_intent.clone(), payment.charge.clone()]);
        let payment = [self.id.clone(), self.payment_intent.clone(), self.charge.clone()].into_iter().chain(paid_by);
        Order { customers: sale::customers(self.customer.clone()), ..sale::named(payment, [self.subscription()]) }
    }

    /// The end of what its lines paid for. Each line is judged by itself and the reason for billing is not consulted: a
    /// swap from monthly to yearly bills credits and a real year on one invoice. The amount does not matter either:
    /// with a coupon of 100 % nobody would ever have a term.
    fn paid_until(&self, id: &Reference, look_ups: LookUps<'_>) -> Result<Option<Timestamp>, Stop> {
        let seen = self.seen_lines().filter_map(InvoiceLine::pays_until).max();
        let cut_off = self.lines.as_ref().filter(|list| list.has_more);
        // Prorations come first, so an event's ten lines may all be such.
        let (None, Some(list), true) = (seen, cut_off, look_ups.level != Level::None) else {
            return Ok(seen);
        };
        let path = format!("/v1/invoices/{}/lines", percent_encoded(id.as_str()));
        let after = list.data.last().and_then(|line| line.id.as_ref()).map(Reference::as_str);
        Ok(match look_ups.list::<InvoiceLine>(&path, after)? {
            Found::It(rest, _) => rest.iter().filter_map(InvoiceLine::pays_until).max(),
            Found::Forbidden | Found::Nothing => None,
        })
    }
}

impl InvoiceLine {
    fn of_subscription_item(&self) -> Option<&OfSubscription> {
        let parent = self.parent.as_ref()?;
        let of_item = parent.kind.as_deref().is_none_or(|kind| kind == "subscription_item_details");
        parent.subscription_item_details.as_ref().filter(|_| of_item)
    }

    /// The subscription whose item it bills.
    fn subscription(&self) -> Option<Reference> {
        match self.of_subscription_item() {
            Some(details) => details.subscription.clone(),
            None => self.subscription.clone().filter(|_| self.kind.as_deref() == Some("subscription")),
        }
    }

    /// The end of the period that it pays: a line of a subscription that is no proration.
    fn pays_until(&self) -> Option<Timestamp> {
        let pays = match (&self.parent, self.of_subscription_item()) {
            (_, Some(details)) => !details.proration && !self.proration,
            (Some(_), None) => false,
            (None, None) => self.kind.as_deref() == Some("subscription") && !self.proration,
        };
        self.period.as_ref().filter(|_| pays)?.end
    }
}
