//! Lemon Squeezy's objects as JSON:API: the same in an event and in the answer to a look-up. What the server has no use for
//! is mostly left out.

use serde_json::{Value, json};

use super::super::{
    account::{Account, Billing, Buyer, CURRENCY, Invoice, Item, Payment, Price, Session, Status, Subscription},
    dialect::moment,
};

/// The one store of this account.
const STORE: u32 = 1;
/// How long after a failed payment the next try is, in seconds.
const RETRY_SECONDS: i64 = 3 * 86_400;

/// An id, which is a number there. What a person made up stays as it is.
fn number(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| json!(id), |number| json!(number))
}

pub(super) fn object(kind: &str, id: &str, attributes: &Value) -> Value {
    json!({ "type": kind, "id": id, "attributes": attributes })
}

/// How much of a payment went back, in Lemon Squeezy's words, and when that was told last.
struct Money {
    status: &'static str,
    refunded: i64,
    is_whole: bool,
    told_at: i64,
}

impl Money {
    fn of(account: &Account, payment: Option<&Payment>, created: i64) -> Self {
        let Some(payment) = payment else {
            return Self { status: "paid", refunded: 0, is_whole: false, told_at: created };
        };
        let refunds = account.refunds.values().filter(|refund| refund.payment == payment.intent);
        let is_whole = payment.refunded > 0 && payment.refunded >= payment.amount;
        let status = match payment.refunded {
            0 => "paid",
            _ if is_whole => "refunded",
            _ => "partial_refund",
        };
        let told_at = refunds.map(|refund| refund.created).max().unwrap_or(created);
        Self { status, refunded: payment.refunded, is_whole, told_at }
    }
}

fn payment<'a>(account: &'a Account, id: Option<&String>) -> Option<&'a Payment> {
    account.payments.get(id?)
}

/// Prices that are a variant, and the product whose variant it is.
fn sold(account: &Account, item: &Item) -> (Value, Value, Value) {
    let price = account.prices.get(&item.price);
    let product = price.map_or(Value::Null, |price| number(&price.product));
    (number(&item.price), product, json!(price.map(|price| &price.name)))
}

fn order_item(account: &Account, session: &Session, item: &Item) -> Value {
    let (variant, product, name) = sold(account, item);
    json!({
        "id": number(&item.id),
        "order_id": number(&session.id),
        "product_id": product,
        "variant_id": variant,
        "price_id": variant,
        "product_name": name,
        "variant_name": "Default",
        "price": account.cost(item),
        "quantity": item.quantity,
        "created_at": moment(session.created),
        "updated_at": moment(session.created),
        "test_mode": true,
    })
}

/// The price of a variant, which has the same number here.
pub(super) fn price(price: &Price) -> Value {
    let attributes = json!({
        "variant_id": number(&price.id),
        "category": if price.monthly { "subscription" } else { "one_time" },
        "scheme": "standard",
        "unit_price": price.unit_amount,
        "renewal_interval_unit": price.monthly.then_some("month"),
        "renewal_interval_quantity": price.monthly.then_some(1),
    });
    object("prices", &price.id, &attributes)
}

pub(super) fn order(account: &Account, session: &Session) -> Value {
    let money = Money::of(account, payment(account, session.payment.as_ref()), session.created);
    let subtotal: i64 = session.lines.iter().map(|line| account.cost(line)).sum();
    let attributes = json!({
        "store_id": STORE,
        "customer_id": session.customer.as_deref().map(number),
        "identifier": format!("5a1e0000-0000-4000-8000-{:0>12}", session.id),
        "order_number": number(&session.id),
        "user_name": session.buyer.name,
        "user_email": session.buyer.email,
        "currency": CURRENCY.to_uppercase(),
        "subtotal": subtotal,
        "discount_total": (subtotal - session.total).max(0),
        "tax": 0,
        "total": session.total,
        "status": money.status,
        "refunded": money.is_whole,
        "refunded_amount": money.refunded,
        "refunded_at": (money.refunded > 0).then(|| moment(money.told_at)),
        "first_order_item": session.lines.first().map(|line| order_item(account, session, line)),
        "created_at": moment(session.created),
        "updated_at": moment(money.told_at),
        "test_mode": true,
    });
    object("orders", &session.id, &attributes)
}

/// The items of an order, which only an answer has.
pub(super) fn order_items(account: &Account, session: &Session) -> Vec<Value> {
    let item = |line: &Item| object("order-items", &line.id, &order_item(account, session, line));
    session.lines.iter().map(item).collect()
}

/// The order that began a subscription.
fn order_of<'a>(account: &'a Account, subscription: &str) -> Option<&'a Session> {
    account.sessions.values().find(|session| session.subscription.as_deref() == Some(subscription))
}

pub(super) fn subscription(account: &Account, subscription: &Subscription) -> Value {
    let order = order_of(account, &subscription.id);
    let buyer = buyer_of(account, &subscription.customer);
    let item = subscription.items.first();
    let (variant, product, name) = item.map_or((Value::Null, Value::Null, Value::Null), |item| sold(account, item));
    let is_cancelled = subscription.cancel_at_period_end || subscription.status == Status::Canceled;
    let status = match subscription.status {
        Status::Canceled => "expired",
        Status::Trialing | Status::Active if is_cancelled => "cancelled",
        Status::Trialing => "on_trial",
        Status::Active => "active",
        Status::PastDue => "past_due",
        Status::Paused => "paused",
    };
    // While it is overdue, it renews with the next try.
    let renews_at = match subscription.status {
        Status::PastDue => subscription.told_at + RETRY_SECONDS,
        _ => subscription.period_end,
    };
    let ends_at = subscription.ended_at.or(is_cancelled.then_some(subscription.period_end));
    let told_at = moment(subscription.told_at);
    let attributes = json!({
        "store_id": STORE,
        "customer_id": number(&subscription.customer),
        "order_id": order.map(|order| number(&order.id)),
        "order_item_id": order.and_then(|order| order.lines.first()).map(|line| number(&line.id)),
        "product_id": product,
        "variant_id": variant,
        "product_name": name,
        "variant_name": "Default",
        "user_name": buyer.map(|buyer| &buyer.name),
        "user_email": buyer.map(|buyer| &buyer.email),
        "status": status,
        "pause": (status == "paused").then(|| json!({ "mode": "void", "resumes_at": null })),
        "cancelled": is_cancelled,
        "trial_ends_at": subscription.trial_end.map(moment),
        "renews_at": moment(renews_at),
        "ends_at": ends_at.map(moment),
        "first_subscription_item": item.map(|item| json!({
            "id": number(&item.id),
            "subscription_id": number(&subscription.id),
            "quantity": item.quantity,
            "created_at": moment(subscription.created),
            "updated_at": told_at,
        })),
        "created_at": moment(subscription.created),
        "updated_at": told_at,
        "test_mode": true,
    });
    object("subscriptions", &subscription.id, &attributes)
}

pub(super) fn invoice(account: &Account, invoice: &Invoice) -> Value {
    let money = Money::of(account, payment(account, invoice.payment.as_ref()), invoice.created);
    let buyer = buyer_of(account, &invoice.customer);
    // A renewal that is played before its time is of the day on which it would be collected: only the time tells what an
    // invoice paid.
    let start = invoice.lines.iter().map(|line| line.start).min().filter(|_| invoice.billing == Billing::Cycle);
    let early = start.map_or(0, |start| (start - invoice.created).max(0));
    let reason = match invoice.billing {
        Billing::Create => "initial",
        Billing::Cycle => "renewal",
        Billing::Update | Billing::Manual => "updated",
    };
    let attributes = json!({
        "store_id": STORE,
        "customer_id": number(&invoice.customer),
        "subscription_id": number(&invoice.subscription),
        "user_name": buyer.map(|buyer| &buyer.name),
        "user_email": buyer.map(|buyer| &buyer.email),
        "billing_reason": reason,
        "currency": CURRENCY.to_uppercase(),
        "total": invoice.total,
        "status": if invoice.is_paid() { money.status } else { "pending" },
        "refunded": money.is_whole,
        "refunded_amount": money.refunded,
        "created_at": moment(invoice.created + early),
        "updated_at": moment(money.told_at + early),
        "test_mode": true,
    });
    object("subscription-invoices", &invoice.id, &attributes)
}

fn buyer_of<'a>(account: &'a Account, customer: &str) -> Option<&'a Buyer> {
    account.customers.get(customer).map(|customer| &customer.buyer)
}
