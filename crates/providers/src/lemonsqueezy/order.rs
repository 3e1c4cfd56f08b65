//! Orders: what was bought, and what of it went back.

use std::collections::BTreeSet;

use domain::{
    fact::Fact,
    join::Stamp,
    money::Money,
    order::{Line, Lines, Order, Purchase, PurchaseState, Refund},
    text::{PriceReference, ProductReference, Reference},
};
use serde::Deserialize;

use super::{
    event::{Buyer, Event},
    named,
};
use crate::{
    Level,
    http::percent_encoded,
    lookup::{Found, LookUps, Stop},
    read, sale,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(flatten)]
    buyer: Buyer,
    #[serde(deserialize_with = "read::text")]
    identifier: Option<String>,
    #[serde(flatten)]
    amounts: Amounts,
    /// Before discounts, and with the fee for setting up.
    #[serde(deserialize_with = "read::number")]
    subtotal: Option<i64>,
    #[serde(deserialize_with = "read::number")]
    setup_fee: Option<i64>,
    #[serde(deserialize_with = "read::object")]
    first_order_item: Option<OrderItem>,
}

impl Attributes {
    /// Whether it cost more than the one item that its event shows. Lemon Squeezy does not say whether an item's price is
    /// that of one or of all of them, so of several it may be more than is noticed.
    fn costs_more_than_shown(&self) -> bool {
        let Some(OrderItem { price: Some(price), quantity: Some(quantity), .. }) = self.first_order_item else {
            return false;
        };
        let paid = self.subtotal.map(|subtotal| subtotal.saturating_sub(self.setup_fee.unwrap_or_default()));
        paid.is_some_and(|paid| paid > price.saturating_mul(quantity.max(1)))
    }
}

/// What was paid and what went back, of an order or of an invoice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Amounts {
    #[serde(deserialize_with = "read::text")]
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "read::number")]
    total: Option<i64>,
    #[serde(deserialize_with = "read::number")]
    refunded_amount: Option<i64>,
    #[serde(deserialize_with = "read::flag")]
    refunded: bool,
    #[serde(deserialize_with = "read::text")]
    currency: Option<String>,
}

impl Amounts {
    pub(super) fn total(&self) -> Money {
        read::money(self.total, self.currency.as_deref())
    }

    /// All that went back so far. What is refunded in full says so in its status, whatever its amount leaves out; until
    /// 2024 there was no amount. Money of a sale that Lemon Squeezy calls fraudulent is not the vendor's. Of a total that is
    /// not told, all went back, however much it was.
    pub(super) fn refunded(&self) -> Option<Money> {
        let is_in_full = self.refunded || matches!(self.status.as_deref(), Some("refunded" | FRAUDULENT));
        let in_full = is_in_full.then(|| self.total.unwrap_or(i64::MAX));
        let minor = self.refunded_amount.max(in_full).filter(|minor| *minor > 0)?;
        Some(read::money(Some(minor), self.currency.as_deref()))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OrderItem {
    #[serde(deserialize_with = "read::name")]
    id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    product_id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    variant_id: Option<String>,
    #[serde(deserialize_with = "read::name")]
    price_id: Option<String>,
    #[serde(deserialize_with = "read::number")]
    price: Option<i64>,
    #[serde(deserialize_with = "read::number")]
    quantity: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    product_name: Option<String>,
    #[serde(deserialize_with = "read::text")]
    variant_name: Option<String>,
}

/// An order with all its items, and the subscriptions that it started.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    #[serde(deserialize_with = "read::elements")]
    included: Vec<Included>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Included {
    #[serde(rename = "type", deserialize_with = "read::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "read::name")]
    id: Option<String>,
    #[serde(deserialize_with = "read::object")]
    attributes: Option<IncludedAttributes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IncludedAttributes {
    #[serde(flatten)]
    item: OrderItem,
    #[serde(deserialize_with = "read::name")]
    order_item_id: Option<String>,
}

/// `order_*`: a purchase, and all that went back of it.
pub(super) fn order(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let attributes: Attributes = event.attributes()?;
    let name = named("order", &event.id);
    let state = state(attributes.amounts.status.as_deref());
    let is_part = attributes.costs_more_than_shown();
    let items = attributes.first_order_item.into_iter().collect();
    let mut bought = Bought { items, is_part, ..Bought::default() };
    if state != PurchaseState::Failed && look_ups.level != Level::None {
        bought = all_of(&event.id, look_ups)?.filter(|all| !all.items.is_empty()).unwrap_or(bought);
    }
    let refunds = attributes
        .amounts
        .refunded()
        .map(|amount| (name.clone(), Refund::whole(Stamp::at(event.changed_at), amount, name.clone())));
    let subscriptions = bought.subscriptions();
    let purchase = Purchase {
        lines: bought.lines(event, &name),
        state,
        total: attributes.amounts.total(),
        at: event.created_at,
        subscriptions: subscriptions.clone(),
        silent: false,
        ends: None,
    };
    let identifier = attributes.identifier.map(Reference::new);
    let others = subscriptions.into_iter().map(Some).chain([identifier]);
    Ok(sale::fact(Order {
        purchases: [(name.clone(), purchase)].into(),
        refunds: refunds.into_iter().collect(),
        contact: attributes.buyer.contact(event.created_at),
        customers: attributes.buyer.customers(),
        ..sale::named([Some(name)], others)
    }))
}

/// A sale that was paid and is held to be a fraud.
pub(super) const FRAUDULENT: &str = "fraudulent";

/// A status that is not known yet is no money yet. What was paid once stays so: its refund is told apart from it.
fn state(status: Option<&str>) -> PurchaseState {
    match status {
        Some("paid" | "refunded" | "partial_refund" | FRAUDULENT) => PurchaseState::Paid,
        Some("failed") => PurchaseState::Failed,
        _ => PurchaseState::Pending,
    }
}

/// What is known of an order's items, and which of them renew.
#[derive(Debug, Default)]
struct Bought {
    items: Vec<OrderItem>,
    /// There may be more of them.
    is_part: bool,
    /// The subscriptions, and the item that each is for.
    started: Vec<(String, Option<String>)>,
    /// Prices that are paid again and again.
    recurring: BTreeSet<String>,
}

/// An order does not tell all its items, nor whether they renew.
fn all_of(id: &str, look_ups: LookUps<'_>) -> Result<Option<Bought>, Stop> {
    let path = format!("/v1/orders/{}?include=order-items,subscriptions", percent_encoded(id));
    let Found::It(document, _) = look_ups.get::<Document>(path)? else { return Ok(None) };
    let mut bought = Bought::default();
    for included in document.included {
        let attributes = included.attributes.unwrap_or_default();
        match (included.kind.as_deref(), included.id) {
            (Some("order-items"), id) => bought.items.push(OrderItem { id, ..attributes.item }),
            (Some("subscriptions"), Some(id)) => bought.started.push((id, attributes.order_item_id)),
            _ => {}
        }
    }
    let unstarted = bought.items.iter().filter(|item| !bought.is_started(item));
    let prices: BTreeSet<String> = unstarted.filter_map(|item| item.price_id.clone()).collect();
    for price in prices {
        if is_recurring(&price, look_ups)? {
            bought.recurring.insert(price);
        }
    }
    Ok(Some(bought))
}

/// Whether a price is paid again and again: its order may be told before its subscription is there, and the subscription's
/// own event may never come. A price that may not be asked for says nothing.
fn is_recurring(price: &str, look_ups: LookUps<'_>) -> Result<bool, Stop> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Shown {
        #[serde(deserialize_with = "read::object")]
        data: Option<Data>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Data {
        #[serde(deserialize_with = "read::object")]
        attributes: Option<Price>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Price {
        #[serde(deserialize_with = "read::text")]
        category: Option<String>,
    }
    let Found::It(Shown { data }, _) = look_ups.get(format!("/v1/prices/{}", percent_encoded(price)))? else {
        return Ok(false);
    };
    let category = data.and_then(|data| data.attributes).and_then(|price| price.category);
    Ok(category.as_deref() == Some("subscription"))
}

impl Bought {
    fn subscriptions(&self) -> BTreeSet<Reference> {
        self.started.iter().map(|(id, _)| named("subscription", id)).collect()
    }

    /// Whether its subscription is there.
    fn is_started(&self, item: &OrderItem) -> bool {
        item.id.is_some() && self.started.iter().any(|(_, of_item)| *of_item == item.id)
    }

    fn renews(&self, item: &OrderItem) -> bool {
        self.is_started(item) || item.price_id.as_ref().is_some_and(|price| self.recurring.contains(price))
    }

    /// The plan that the checkout names is the plan of its one item. Of several it could be any, so it names none: their
    /// variants decide.
    fn lines(self, event: &Event<'_>, order: &Reference) -> Lines {
        let plan = event.named_plan();
        if self.items.is_empty() {
            // A sale of nothing would vanish without a trace; a sale of who knows what is seen.
            return Lines::Unknown { recurring: !self.started.is_empty(), named: plan };
        }
        let is_part = self.is_part;
        let single = self.items.len() == 1 && !is_part;
        let recurring: Vec<bool> = self.items.iter().map(|item| self.renews(item)).collect();
        let lines = self.items.into_iter().zip(recurring).map(|(item, recurring)| Line {
            recurring,
            named: plan.clone().filter(|_| single),
            ..item.line(order)
        });
        if is_part { Lines::Shown(lines.collect()) } else { Lines::Known(lines.collect()) }
    }
}

impl OrderItem {
    fn line(self, order: &Reference) -> Line {
        let line = line_of(self.id.as_deref(), order);
        let description = description(self.product_name, self.variant_name);
        // Nobody pays for none of a thing, and a sale of none would vanish without a trace.
        let quantity = self.quantity.filter(|quantity| *quantity != 0);
        priced(line, self.variant_id, self.product_id, quantity, description)
    }
}

/// The name of an item's line. An event of old does not tell the id of the only item that it shows.
pub(super) fn line_of(item: Option<&str>, order: &Reference) -> Reference {
    item.map_or_else(|| Reference::new(format!("{order}:item")), |item| named("item", item))
}

/// A line for a variant. One that names no variant stands for itself, so that a person sees it waiting and can map it.
pub(super) fn priced(
    line: Reference,
    variant: Option<String>,
    product: Option<String>,
    quantity: Option<i64>,
    description: Option<String>,
) -> Line {
    Line {
        price: variant.map_or_else(|| PriceReference::new(format!("line:{line}")), PriceReference::new),
        product: product.map(ProductReference::new),
        quantity: sale::quantity_of(quantity),
        recurring: false,
        named: None,
        description: description.map(Box::from),
        line,
    }
}

/// What the store calls it. The only variant of a product is called Default.
pub(super) fn description(product: Option<String>, variant: Option<String>) -> Option<String> {
    match (product, variant.filter(|variant| variant != "Default")) {
        (Some(product), Some(variant)) => Some(format!("{product}: {variant}")),
        (product, variant) => product.or(variant),
    }
}
