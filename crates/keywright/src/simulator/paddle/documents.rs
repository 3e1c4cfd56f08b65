//! Paddle's objects as JSON: the same in an event and in the answer to a look-up. What the server has no use for is mostly
//! left out.

use serde_json::{Value, json};

use super::super::{
    account::{Account, Billing, CURRENCY, Customer, Invoice, Item, Price, Session, Status, Subscription},
    dialect::moment,
};

fn currency() -> String {
    CURRENCY.to_uppercase()
}

/// Amounts are text.
fn money(minor: i64) -> String {
    minor.to_string()
}

fn span((start, end): (i64, i64)) -> Value {
    json!({ "starts_at": moment(start), "ends_at": moment(end) })
}

fn month() -> Value {
    json!({ "interval": "month", "frequency": 1 })
}

pub(super) fn price(price: &Price) -> Value {
    json!({
        "id": price.id,
        "product_id": price.product,
        "name": price.name,
        "description": price.name,
        "type": "standard",
        "status": "active",
        "billing_cycle": price.monthly.then(month),
        "trial_period": null,
        "tax_mode": "account_setting",
        "unit_price": { "amount": money(price.unit_amount), "currency_code": currency() },
        "quantity": { "minimum": 1, "maximum": 100 },
        "custom_data": null,
    })
}

fn price_of(account: &Account, item: &Item) -> Value {
    account.prices.get(&item.price).map_or(Value::Null, price)
}

fn product_of(account: &Account, item: &Item) -> Value {
    let price = account.prices.get(&item.price);
    price.map_or(
        Value::Null,
        |price| json!({ "id": price.product, "name": price.name, "status": "active", "custom_data": null }),
    )
}

pub(super) fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "name": customer.buyer.name,
        "email": customer.buyer.email,
        "locale": "en",
        "status": "active",
        "marketing_consent": false,
        "custom_data": null,
        "created_at": moment(customer.created),
        "updated_at": moment(customer.created),
    })
}

/// A line of a transaction: an item, what it costs, and whether it bills the rest of a period only.
struct Line<'a> {
    id: &'a str,
    item: &'a Item,
    amount: i64,
    proration: bool,
}

/// A checkout or a bill, as Paddle sees both.
pub(super) struct Transaction<'a> {
    id: &'a str,
    origin: &'static str,
    created: i64,
    customer: Option<&'a str>,
    subscription: Option<&'a str>,
    lines: Vec<Line<'a>>,
    total: i64,
    period: Option<(i64, i64)>,
    plan: Option<&'a str>,
}

impl<'a> Transaction<'a> {
    /// The transaction of this id.
    pub(super) fn find(account: &'a Account, id: &str) -> Option<Self> {
        let of_session = account.sessions.get(id).map(|session| Self::of_session(account, session));
        of_session.or_else(|| account.invoices.get(id).map(Self::of_invoice))
    }

    /// The id of the transaction that a payment paid. The first bill of a subscription is its checkout.
    pub(super) fn paid_by<'b>(account: &'b Account, payment: &str) -> Option<&'b str> {
        let of_checkout = |session: &&Session| session.payment.as_deref() == Some(payment);
        let checkout = account.sessions.values().find(of_checkout).map(|session| session.id.as_str());
        checkout.or_else(|| account.invoice_of(payment).map(|invoice| invoice.id.as_str()))
    }

    fn of_session(account: &'a Account, session: &'a Session) -> Self {
        let invoice = session.invoice.as_ref().and_then(|invoice| account.invoices.get(invoice));
        let of_invoice = |place: usize| Some(invoice?.lines.get(place)?.amount);
        let line = |(place, item): (usize, &'a Item)| Line {
            id: &item.id,
            item,
            amount: of_invoice(place).unwrap_or_else(|| account.cost(item)),
            proration: false,
        };
        Self {
            id: &session.id,
            origin: "web",
            created: session.created,
            customer: session.customer.as_deref(),
            subscription: session.subscription.as_deref(),
            lines: session.lines.iter().enumerate().map(line).collect(),
            total: session.total,
            period: invoice.and_then(period),
            plan: session.plan.as_deref(),
        }
    }

    /// What was credited of a plan before is no line.
    fn of_invoice(invoice: &'a Invoice) -> Self {
        let lines = invoice.lines.iter().filter(|line| line.amount >= 0);
        let lines =
            lines.map(|line| Line { id: &line.id, item: &line.item, amount: line.amount, proration: line.proration });
        Self {
            id: &invoice.id,
            origin: if invoice.billing == Billing::Update { "subscription_update" } else { "subscription_recurring" },
            created: invoice.created,
            customer: Some(&invoice.customer),
            subscription: Some(&invoice.subscription),
            lines: lines.collect(),
            total: invoice.total,
            period: period(invoice),
            plan: None,
        }
    }

    /// As it is when this is told. Only the completed one has its subscription, its period and its invoice.
    pub(super) fn document(&self, account: &Account, told: &str) -> Value {
        let is_completed = told == "transaction.completed";
        let status = match told {
            "transaction.completed" => "completed",
            "transaction.paid" => "paid",
            _ => "past_due",
        };
        let known = is_completed || self.origin != "web";
        let subtotal: i64 = self.lines.iter().map(|line| line.amount).sum();
        let items: Vec<Value> = self.lines.iter().map(|line| self.item(account, line)).collect();
        let lines: Vec<Value> = self.lines.iter().map(|line| self.line_item(account, line)).collect();
        json!({
            "id": self.id,
            "status": status,
            "origin": self.origin,
            "customer_id": self.customer,
            "address_id": null,
            "business_id": null,
            "subscription_id": self.subscription.filter(|_| known),
            "invoice_id": is_completed.then(|| self.id.replacen("txn_", "inv_", 1)),
            "invoice_number": null,
            "collection_mode": "automatic",
            "currency_code": currency(),
            "custom_data": self.plan.map(|plan| json!({ "plan_code": plan })),
            "billing_period": self.period.filter(|_| known).map(span),
            "items": items,
            "details": {
                "totals": {
                    "subtotal": money(subtotal),
                    "discount": money((subtotal - self.total).max(0)),
                    "tax": "0",
                    "total": money(self.total),
                    "grand_total": money(self.total),
                    "currency_code": currency(),
                },
                "line_items": lines,
            },
            "created_at": moment(self.created),
            "updated_at": moment(self.created),
            "billed_at": moment(self.created),
        })
    }

    fn item(&self, account: &Account, line: &Line<'_>) -> Value {
        json!({
            "price": price_of(account, line.item),
            "quantity": line.item.quantity,
            "proration": self.proration(line),
        })
    }

    fn line_item(&self, account: &Account, line: &Line<'_>) -> Value {
        json!({
            "id": line.id,
            "price_id": line.item.price,
            "quantity": line.item.quantity,
            "product": product_of(account, line.item),
            "proration": self.proration(line),
            "tax_rate": "0",
            "totals": {
                "subtotal": money(line.amount),
                "discount": "0",
                "tax": "0",
                "total": money(line.amount),
            },
        })
    }

    fn proration(&self, line: &Line<'_>) -> Option<Value> {
        line.proration.then(|| json!({ "rate": "0.5", "billing_period": self.period.map(span) }))
    }
}

fn period(invoice: &Invoice) -> Option<(i64, i64)> {
    invoice.lines.first().map(|line| (line.start, line.end))
}

pub(super) fn subscription(account: &Account, subscription: &Subscription) -> Value {
    let is_over = subscription.status == Status::Canceled;
    let is_running = !is_over && subscription.status != Status::Paused;
    let period = (subscription.period_start, subscription.period_end);
    let trial = subscription.trial_end.map(|end| (subscription.created, end));
    let next = is_running.then(|| moment(subscription.period_end));
    let item = |item: &Item| {
        json!({
            "price": price_of(account, item),
            "product": product_of(account, item),
            "quantity": item.quantity,
            "recurring": true,
            "status": if subscription.status == Status::Trialing { "trialing" } else { "active" },
            "trial_dates": trial.map(span),
            "next_billed_at": next,
            "previously_billed_at": moment(subscription.period_start),
        })
    };
    let cancels = json!({ "action": "cancel", "effective_at": moment(subscription.period_end), "resume_at": null });
    json!({
        "id": subscription.id,
        "status": subscription.status.as_str(),
        "customer_id": subscription.customer,
        "address_id": null,
        "business_id": null,
        "collection_mode": "automatic",
        "currency_code": currency(),
        "billing_cycle": month(),
        "current_billing_period": (!is_over).then(|| span(period)),
        "scheduled_change": (subscription.cancel_at_period_end && !is_over).then_some(cancels),
        "items": subscription.items.iter().map(item).collect::<Vec<_>>(),
        "custom_data": null,
        "started_at": moment(subscription.created),
        "first_billed_at": moment(trial.map_or(subscription.created, |(_, end)| end)),
        "next_billed_at": next,
        "paused_at": (subscription.status == Status::Paused).then(|| moment(subscription.told_at)),
        "canceled_at": subscription.ended_at.map(moment),
        "created_at": moment(subscription.created),
        "updated_at": moment(subscription.told_at),
    })
}

/// What went back of a transaction: its action, status and type are the caller's.
pub(super) fn adjustment(account: &Account, id: &str, payment: &str, amount: i64, at: i64) -> Value {
    let paid = &account.payments[payment];
    let transaction = Transaction::paid_by(account, payment);
    let subscription = transaction.and_then(|transaction| Transaction::find(account, transaction)?.subscription);
    json!({
        "id": id,
        "transaction_id": transaction,
        "subscription_id": subscription,
        "customer_id": paid.customer,
        "reason": "error",
        "currency_code": currency(),
        "credit_applied_to_balance": null,
        "items": [],
        "totals": { "subtotal": money(amount), "tax": "0", "total": money(amount), "currency_code": currency() },
        "created_at": moment(at),
        "updated_at": moment(at),
    })
}
