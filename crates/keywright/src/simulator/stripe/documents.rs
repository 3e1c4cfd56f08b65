//! The provider's objects as JSON: the same in an event and in the answer to a look-up.
//!
//! The shape is that of [`API_VERSION`]. What the server has no use for is mostly left out.

use serde_json::{Map, Value, json};

use super::super::account::{
    Account, Billing, CURRENCY, Customer, Dispute, Invoice, InvoiceLine, Item, Outcome, Paid, Payment, Price, Progress,
    Refund, Session, Subscription,
};

/// The version of the provider's API that events are written in.
const API_VERSION: &str = "2026-08-26.dahlia";

/// An event about an object. `previous`: what changed fields were before.
pub(super) fn event(id: String, kind: &str, created: i64, object: &Value, previous: Option<Value>) -> Value {
    let mut data = Map::new();
    data.insert("object".to_owned(), object.clone());
    data.extend(previous.map(|previous| ("previous_attributes".to_owned(), previous)));
    json!({
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    })
}

/// A page of a list.
pub(super) fn list(path: &str, data: &[Value], has_more: bool) -> Value {
    json!({ "object": "list", "data": data, "has_more": has_more, "url": path })
}

pub(super) fn price(price: &Price) -> Value {
    let (kind, recurring) = match price.monthly {
        true => ("recurring", json!({ "interval": "month", "interval_count": 1, "usage_type": "licensed" })),
        false => ("one_time", Value::Null),
    };
    json!({
        "id": price.id,
        "object": "price",
        "active": true,
        "currency": CURRENCY,
        "livemode": false,
        "metadata": {},
        "nickname": price.name,
        "product": price.product,
        "recurring": recurring,
        "type": kind,
        "unit_amount": price.unit_amount,
    })
}

fn price_of(account: &Account, item: &Item) -> Value {
    account.prices.get(&item.price).map_or(Value::Null, price)
}

pub(super) fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "object": "customer",
        "created": customer.created,
        "currency": CURRENCY,
        "email": customer.buyer.email,
        "livemode": false,
        "metadata": {},
        "name": customer.buyer.name,
    })
}

/// A checkout. It never carries its lines: whoever wants to know them asks.
pub(super) fn session(account: &Account, session: &Session) -> Value {
    let (status, paid) = match (session.is_expired, session.paid) {
        (true, _) => ("expired", "unpaid"),
        (false, Paid::Yes) => ("complete", "paid"),
        (false, Paid::No) => ("complete", "unpaid"),
        (false, Paid::NotRequired) => ("complete", "no_payment_required"),
    };
    let subtotal: i64 = session.lines.iter().map(|line| account.cost(line)).sum();
    // What a trial does not cost yet is no discount.
    let discount = if session.subscription.is_none() { subtotal - session.total } else { 0 };
    let plan = session.plan.iter().map(|plan| ("plan_code".to_owned(), json!(plan)));
    let written = session.metadata.iter().map(|(name, value)| (name.clone(), json!(value)));
    let metadata: Map<String, Value> = plan.chain(written).collect();
    json!({
        "id": session.id,
        "object": "checkout.session",
        "amount_subtotal": session.total + discount,
        "amount_total": session.total,
        "client_reference_id": null,
        "created": session.created,
        "currency": CURRENCY,
        "customer": session.customer,
        "customer_creation": if session.customer.is_some() { "always" } else { "if_required" },
        "customer_details": { "email": session.buyer.email, "name": session.buyer.name, "tax_exempt": "none" },
        "customer_email": null,
        "expires_at": session.created + 86_400,
        "invoice": session.invoice,
        "livemode": false,
        "metadata": metadata,
        "mode": if session.subscription.is_some() { "subscription" } else { "payment" },
        "payment_intent": session.payment.as_ref().filter(|_| session.subscription.is_none()),
        "payment_link": null,
        "payment_status": paid,
        "status": status,
        "subscription": session.subscription,
        "total_details": { "amount_discount": discount, "amount_shipping": 0, "amount_tax": 0 },
        "ui_mode": "hosted_page",
    })
}

pub(super) fn line_item(account: &Account, line: &Item) -> Value {
    let name = account.prices.get(&line.price).map(|price| price.name.as_str());
    json!({
        "id": line.id,
        "object": "item",
        "amount_total": account.cost(line),
        "currency": CURRENCY,
        "description": name,
        "price": price_of(account, line),
        "quantity": line.quantity,
    })
}

/// A subscription's items. Its period stands on each of them, not on the subscription (2025-03-31 and later).
pub(super) fn items(account: &Account, subscription: &Subscription) -> Value {
    let item = |item: &Item| {
        json!({
            "id": item.id,
            "object": "subscription_item",
            "created": subscription.created,
            "current_period_end": subscription.period_end,
            "current_period_start": subscription.period_start,
            "metadata": {},
            "price": price_of(account, item),
            "quantity": item.quantity,
            "subscription": subscription.id,
        })
    };
    let path = format!("/v1/subscription_items?subscription={}", subscription.id);
    list(&path, &subscription.items.iter().map(item).collect::<Vec<_>>(), false)
}

pub(super) fn subscription(account: &Account, subscription: &Subscription) -> Value {
    json!({
        "id": subscription.id,
        "object": "subscription",
        "billing_mode": { "type": "flexible" },
        "cancel_at": Some(subscription.period_end).filter(|_| subscription.cancel_at_period_end),
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "canceled_at": subscription.canceled_at,
        "collection_method": "charge_automatically",
        "created": subscription.created,
        "currency": CURRENCY,
        "customer": subscription.customer,
        "ended_at": subscription.ended_at,
        "items": items(account, subscription),
        "latest_invoice": subscription.latest_invoice,
        "livemode": false,
        "metadata": {},
        "pause_collection": subscription.is_uncollected.then(|| json!({ "behavior": "keep_as_draft", "resumes_at": null })),
        "start_date": subscription.created,
        "status": subscription.status.as_str(),
        "trial_end": subscription.trial_end,
        "trial_start": subscription.trial_end.map(|_| subscription.created),
    })
}

pub(super) fn invoice_line(account: &Account, invoice: &Invoice, line: &InvoiceLine) -> Value {
    let product = account.prices.get(&line.item.price).map(|price| price.product.as_str());
    let parent = match invoice.billing {
        // What was written on it by hand is no item of the subscription.
        Billing::Manual => json!({
            "type": "invoice_item_details",
            "invoice_item_details": { "proration": false, "subscription": invoice.subscription },
            "subscription_item_details": null,
        }),
        Billing::Create | Billing::Cycle | Billing::Update => json!({
            "type": "subscription_item_details",
            "invoice_item_details": null,
            "subscription_item_details": {
                "proration": line.proration,
                "subscription": invoice.subscription,
                "subscription_item": line.item.id,
            },
        }),
    };
    json!({
        "id": line.id,
        "object": "line_item",
        "amount": line.amount,
        "currency": CURRENCY,
        "parent": parent,
        "period": { "start": line.start, "end": line.end },
        "pricing": { "type": "price_details", "price_details": { "price": line.item.price, "product": product } },
        "quantity": line.item.quantity,
    })
}

pub(super) fn invoice(account: &Account, invoice: &Invoice) -> Value {
    let buyer = account.customers.get(&invoice.customer).map(|customer| &customer.buyer);
    let lines: Vec<Value> = invoice.lines.iter().map(|line| invoice_line(account, invoice, line)).collect();
    let paid = if invoice.is_paid() { invoice.total } else { 0 };
    json!({
        "id": invoice.id,
        "object": "invoice",
        "amount_due": invoice.total,
        "amount_paid": paid,
        "amount_remaining": invoice.total - paid,
        "attempted": true,
        "billing_reason": invoice.billing.as_str(),
        "collection_method": "charge_automatically",
        "created": invoice.created,
        "currency": CURRENCY,
        "customer": invoice.customer,
        "customer_email": buyer.map(|buyer| &buyer.email),
        "customer_name": buyer.map(|buyer| &buyer.name),
        "lines": list(&format!("/v1/invoices/{}/lines", invoice.id), &lines, false),
        "livemode": false,
        "metadata": {},
        "parent": {
            "type": "subscription_details",
            "quote_details": null,
            "subscription_details": { "metadata": {}, "subscription": invoice.subscription },
        },
        "status": if invoice.is_paid() { "paid" } else { "open" },
        "total": invoice.total,
    })
}

/// What links an invoice with the payment that paid it.
pub(super) fn invoice_payment(invoice: &Invoice) -> Value {
    json!({
        "id": invoice.link,
        "object": "invoice_payment",
        "amount_paid": invoice.total,
        "amount_requested": invoice.total,
        "created": invoice.created,
        "currency": CURRENCY,
        "invoice": invoice.id,
        "is_default": true,
        "livemode": false,
        "payment": { "type": "payment_intent", "payment_intent": invoice.payment },
        "status": "paid",
    })
}

pub(super) fn payment_intent(payment: &Payment) -> Value {
    let (status, received) = match payment.progress {
        Progress::Pending => ("processing", 0),
        Progress::Succeeded => ("succeeded", payment.amount),
        Progress::Failed => ("requires_payment_method", 0),
    };
    json!({
        "id": payment.intent,
        "object": "payment_intent",
        "amount": payment.amount,
        "amount_received": received,
        "created": payment.created,
        "currency": CURRENCY,
        "customer": payment.customer,
        "latest_charge": payment.charge,
        "livemode": false,
        "metadata": {},
        "status": status,
    })
}

/// A charge. It does not say which invoice it paid (2025-03-31 and later).
pub(super) fn charge(payment: &Payment) -> Value {
    let is_paid = payment.progress == Progress::Succeeded;
    json!({
        "id": payment.charge,
        "object": "charge",
        "amount": payment.amount,
        "amount_captured": if is_paid { payment.amount } else { 0 },
        "amount_refunded": payment.refunded,
        "billing_details": { "email": payment.buyer.email, "name": payment.buyer.name },
        "created": payment.created,
        "currency": CURRENCY,
        "customer": payment.customer,
        "livemode": false,
        "metadata": {},
        "paid": is_paid,
        "payment_intent": payment.intent,
        "refunded": payment.refunded >= payment.amount,
        "status": progress(payment.progress),
    })
}

const fn progress(progress: Progress) -> &'static str {
    match progress {
        Progress::Pending => "pending",
        Progress::Succeeded => "succeeded",
        Progress::Failed => "failed",
    }
}

pub(super) fn dispute(payment: &Payment, dispute: &Dispute) -> Value {
    let status = match dispute.outcome {
        Outcome::Inquiry => "warning_needs_response",
        Outcome::Open => "needs_response",
        Outcome::Won => "won",
        Outcome::Lost => "lost",
    };
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": payment.amount,
        "charge": payment.charge,
        "created": dispute.created,
        "currency": CURRENCY,
        "livemode": false,
        "metadata": {},
        "payment_intent": payment.intent,
        "reason": if dispute.outcome == Outcome::Inquiry { "general" } else { "fraudulent" },
        "status": status,
    })
}

pub(super) fn refund(account: &Account, refund: &Refund) -> Value {
    let is_failed = refund.progress == Progress::Failed;
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "charge": account.payments.get(&refund.payment).map(|payment| &payment.charge),
        "created": refund.created,
        "currency": CURRENCY,
        "failure_reason": is_failed.then_some("lost_or_stolen_card"),
        "metadata": {},
        "payment_intent": refund.payment,
        "reason": "requested_by_customer",
        "status": progress(refund.progress),
    })
}
