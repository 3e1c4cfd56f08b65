//! Transactions: what was bought, and which period was paid.
//!
//! Only `transaction.completed` counts. `transaction.paid` comes a moment before it, when the money is captured, and still
//! lacks the subscription and its period: a license made of it would be one of no subscription for that moment, and for
//! good if the rest stayed out. Paddle means the completed one for provisioning, and keeps it in its list of events.

use std::collections::BTreeMap;

use domain::{
    fact::Fact,
    money::Money,
    order::{Line, Lines, Order, Period, Purchase, PurchaseState},
    text::{CustomerReference, PriceReference, Reference},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    customer,
    event::{Event, lacks},
    price::{Price, Product},
};
use crate::{
    lookup::{LookUps, Stop, together},
    read, sale,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Transaction {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    origin: Option<String>,
    #[serde(deserialize_with = "read::id")]
    customer_id: Option<CustomerReference>,
    #[serde(deserialize_with = "read::id")]
    subscription_id: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    invoice_id: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    currency_code: Option<String>,
    #[serde(deserialize_with = "read::elements")]
    items: Vec<Item>,
    #[serde(deserialize_with = "read::object")]
    details: Option<Details>,
    #[serde(deserialize_with = "read::object")]
    billing_period: Option<Span>,
    #[serde(deserialize_with = "read::metadata")]
    custom_data: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "read::object")]
    price: Option<Price>,
    /// Where the price itself is not shown.
    #[serde(deserialize_with = "read::id")]
    price_id: Option<PriceReference>,
    #[serde(deserialize_with = "read::number")]
    quantity: Option<i64>,
    #[serde(deserialize_with = "read::object")]
    proration: Option<Proration>,
}

impl Item {
    /// Whether it is known to be sold once, and is not a part of a period.
    fn is_one_time(&self) -> bool {
        self.proration.is_none() && self.price.as_ref().is_some_and(|price| !price.is_recurring())
    }

    /// Whether it renews. Where its price is not shown, it does if the transaction is one of a subscription.
    fn is_recurring(&self, subscribed: bool) -> bool {
        self.price.as_ref().map_or(subscribed, Price::is_recurring)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(deserialize_with = "read::object")]
    totals: Option<Totals>,
    #[serde(deserialize_with = "read::elements")]
    line_items: Vec<LineItem>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Totals {
    #[serde(deserialize_with = "read::number")]
    total: Option<i64>,
    /// What was left to pay after the customer's credit.
    #[serde(deserialize_with = "read::number")]
    grand_total: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LineItem {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    price_id: Option<PriceReference>,
    #[serde(deserialize_with = "read::object")]
    product: Option<Product>,
    #[serde(deserialize_with = "read::object")]
    proration: Option<Proration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Proration {
    /// The part of the period that is billed, as a decimal.
    #[serde(deserialize_with = "read::text")]
    rate: Option<String>,
    #[serde(deserialize_with = "read::object")]
    billing_period: Option<Span>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    #[serde(deserialize_with = "read::instant")]
    pub(super) starts_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::instant")]
    pub(super) ends_at: Option<Timestamp>,
}

/// What a transaction was made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sold {
    /// Somebody bought something.
    Purchase,
    /// A subscription went on.
    Renewal,
    /// A subscription was changed.
    Change,
    /// No period.
    Charge,
}

/// `transaction.completed`: a purchase, the payment of a period, or neither.
pub(super) fn completed(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let mut transaction: Transaction = event.data()?;
    let id = transaction.id.clone().ok_or_else(|| lacks("data.id"))?;
    let sold = transaction.sold();
    let total = transaction.total();
    let paid_until = transaction.paid_until(sold);
    let subscription = transaction.subscription_id.clone();
    let period =
        subscription.clone().zip(paid_until).map(|(subscription, until)| Period { subscription, until, total });
    let names = Order {
        periods: period.into_iter().map(|period| (id.clone(), period)).collect(),
        customers: sale::customers(transaction.customer_id.clone()),
        ..sale::named([Some(id.clone()), transaction.invoice_id.take()], [subscription.clone()])
    };
    let is_new = sold == Sold::Purchase;
    // Who subscribed before the vendor connected is first heard of when it goes on.
    let buyer = transaction.customer_id.clone().filter(|_| is_new || sold == Sold::Renewal);
    let customer = || customer::look_up(buyer.as_ref(), look_ups);
    if !is_new {
        // What is sold once beside a subscription is bought there and then, whichever of its transactions bills it.
        transaction.items.retain(Item::is_one_time);
        // It names the plan of what the subscription began with.
        transaction.custom_data.clear();
        if transaction.items.is_empty() {
            return together(sale::link(names), customer());
        }
    }
    let purchase = Purchase {
        lines: transaction.lines(event, &id),
        state: PurchaseState::Paid,
        total,
        at: event.at,
        subscriptions: subscription.into_iter().filter(|_| is_new).collect(),
        silent: false,
        ends: None,
    };
    // The event has no address, and the customer's own event may never come: it may be older than this connection.
    together(sale::fact(Order { purchases: [(id, purchase)].into(), ..names }), customer())
}

impl Transaction {
    /// An origin that is not known yet is a purchase where nothing else can have been sold; money is not passed over.
    fn sold(&self) -> Sold {
        match (self.origin.as_deref(), &self.subscription_id) {
            (Some("web" | "api"), _) => Sold::Purchase,
            (Some("subscription_recurring"), _) => Sold::Renewal,
            (Some("subscription_update"), _) => Sold::Change,
            (Some("subscription_charge" | "subscription_payment_method_change"), _) => Sold::Charge,
            (_, None) => Sold::Purchase,
            (_, Some(_)) => Sold::Renewal,
        }
    }

    fn total(&self) -> Money {
        let totals = self.details.as_ref().and_then(|details| details.totals.as_ref());
        let minor = totals.and_then(|totals| totals.grand_total.or(totals.total));
        read::money(minor, self.currency_code.as_deref())
    }

    fn line_items(&self) -> &[LineItem] {
        self.details.as_ref().map_or(&[], |details| &details.line_items)
    }

    /// The end of the period that it pays, whatever its amount. A change pays one only where it bills a whole period, as the
    /// swap to another interval does; otherwise it bills the rest of a period that has been paid.
    fn paid_until(&self, sold: Sold) -> Option<Timestamp> {
        let period = self.billing_period.and_then(|period| period.ends_at);
        match sold {
            Sold::Purchase | Sold::Renewal => period,
            Sold::Change => {
                let whole =
                    self.line_items().iter().filter_map(|line| line.proration.as_ref()).filter(|it| it.is_whole());
                whole.filter_map(|proration| proration.billing_period?.ends_at.or(period)).max()
            }
            Sold::Charge => None,
        }
    }

    /// The plan that the transaction names, where it may, is the plan of its one line. Of several lines it could be any, so it names none:
    /// their prices decide.
    fn lines(&mut self, event: &Event<'_>, id: &Reference) -> Lines {
        let named = event.plan_named_in(&self.custom_data);
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return Lines::Unknown { recurring: self.subscription_id.is_some(), named };
        }
        let single = items.len() == 1;
        let mut told = self.details.take().map_or_else(Vec::new, |details| details.line_items);
        let subscribed = self.subscription_id.is_some();
        let line = |(place, item): (usize, Item)| {
            let recurring = item.is_recurring(subscribed);
            let mut price = item.price.unwrap_or_default();
            price.id = price.id.or(item.price_id);
            let beside = told.iter().position(|line| line.price_id == price.id).map(|place| told.remove(place));
            let LineItem { id: line, product, .. } = beside.unwrap_or_default();
            let line = line.unwrap_or_else(|| Reference::new(format!("{id}:{place}")));
            let mut line: Line = price.line(product.unwrap_or_default(), line, item.quantity, recurring);
            if let (true, Some(plan)) = (single, &named) {
                line.named = Some(plan.clone());
            }
            line
        };
        Lines::Known(items.into_iter().enumerate().map(line).collect())
    }
}

impl Proration {
    fn is_whole(&self) -> bool {
        let rate = self.rate.as_deref().and_then(|rate| rate.trim().parse::<f64>().ok());
        rate.is_some_and(|rate| rate >= 1.0)
    }
}
