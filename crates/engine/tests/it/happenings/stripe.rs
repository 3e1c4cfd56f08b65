//! Stripe's words: snapshots of the subscription, invoices, refunds by their id, disputes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ALL, Happening as H, SECRET, Teller, day};

pub(super) struct Stripe;

/// The subscription as Stripe shows it.
struct Shown<'a> {
    name: &'a str,
    price: &'static str,
    quantity: u32,
    status: &'static str,
    cancels: bool,
    ended_at: Option<u32>,
    until: u32,
}

impl Shown<'_> {
    fn subscription(&self) -> Value {
        let (name, until) = (self.name, seconds(self.until));
        let ended_at = self.ended_at.map(seconds);
        json!({
            "id": format!("sub_{name}"), "object": "subscription", "customer": format!("cus_{name}"),
            "status": if ended_at.is_some() { "canceled" } else { self.status },
            "collection_method": "charge_automatically", "ended_at": ended_at, "canceled_at": ended_at,
            "cancel_at": self.cancels.then_some(until), "cancel_at_period_end": self.cancels,
            "latest_invoice": format!("in_{name}_1"),
            "items": { "object": "list", "data": [{
                "id": format!("si_{name}"), "object": "subscription_item", "quantity": self.quantity,
                "current_period_end": until,
                "price": { "id": self.price, "product": "prod_tool", "type": "recurring", "recurring": { "interval": "month" } }
            }] }
        })
    }

    fn invoice(&self, number: u32, from: u32, until: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("in_{name}_{number}"), "object": "invoice", "amount_paid": 1000, "total": 1000, "currency": "eur",
            "created": seconds(from), "customer": format!("cus_{name}"), "customer_email": format!("{name}@example.com"),
            "parent": { "type": "subscription_details", "subscription_details": { "subscription": format!("sub_{name}") } },
            "lines": { "object": "list", "has_more": false, "data": [{
                "id": format!("il_{name}_{number}"), "object": "line_item", "amount": 1000,
                "period": { "start": seconds(from), "end": seconds(until) },
                "parent": { "type": "subscription_item_details", "subscription_item_details": {
                    "subscription": format!("sub_{name}"), "subscription_item": format!("si_{name}"), "proration": false } },
                "pricing": { "price_details": { "price": self.price, "product": "prod_tool" } }
            }] }
        })
    }

    fn refund(&self, number: u32, amount: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("re_{name}_{number}"), "object": "refund", "amount": amount, "currency": "eur",
            "status": "succeeded", "charge": format!("ch_{name}"), "payment_intent": format!("pi_{name}")
        })
    }

    fn dispute(&self, number: u32, status: &str) -> Value {
        let name = self.name;
        json!({
            "id": format!("dp_{name}_{number}"), "object": "dispute", "amount": 1000, "currency": "eur", "status": status,
            "charge": format!("ch_{name}"), "payment_intent": format!("pi_{name}")
        })
    }
}

impl Teller for Stripe {
    fn slug(&self) -> &'static str {
        "stripe"
    }

    fn price(&self, plan: &str) -> String {
        format!("price_{plan}")
    }

    fn knows(&self, _: H) -> bool {
        true
    }

    fn tell(&self, name: &str, happenings: &[H]) -> Vec<String> {
        let mut shown =
            Shown { name, price: "price_A", quantity: 1, status: "active", cancels: false, ended_at: None, until: 30 };
        let checkout = json!({
            "id": format!("cs_{name}"), "object": "checkout.session", "mode": "subscription", "payment_status": "paid",
            "amount_total": 1000, "currency": "eur", "created": seconds(0), "customer": format!("cus_{name}"),
            "subscription": format!("sub_{name}"), "invoice": format!("in_{name}_1"),
            "customer_details": { "email": format!("{name}@example.com") }, "metadata": {}
        });
        let payment = json!({
            "id": format!("inpay_{name}"), "object": "invoice_payment", "invoice": format!("in_{name}_1"),
            "payment": { "type": "payment_intent", "payment_intent": format!("pi_{name}") }
        });
        let mut told = vec![
            (0, "checkout.session.completed", checkout),
            (0, "customer.subscription.created", shown.subscription()),
            (0, "invoice.paid", shown.invoice(1, 0, 30)),
            (0, "invoice_payment.paid", payment),
        ];
        for (happening, at, _) in ALL.into_iter().filter(|(happening, ..)| happenings.contains(happening)) {
            match happening {
                H::PlanChange => shown.price = "price_B",
                H::QuantityChange => shown.quantity = 2,
                H::Pause => shown.status = "paused",
                H::PastDue => shown.status = "past_due",
                H::CancelAtPeriodEnd => shown.cancels = true,
                H::CancelAtOnce => shown.ended_at = Some(at),
                H::Renewal => (shown.status, shown.until) = ("active", 60),
                H::Reactivation => (shown.status, shown.cancels) = ("active", false),
                H::Dispute | H::DisputeLost | H::PartialRefund | H::FullRefund => {}
            }
            let rest = if happenings.contains(&H::PartialRefund) { 600 } else { 1_000 };
            told.push(match happening {
                H::Dispute => (at, "charge.dispute.created", shown.dispute(1, "needs_response")),
                H::DisputeLost => (at, "charge.dispute.closed", shown.dispute(2, "lost")),
                H::PartialRefund => (at, "refund.created", shown.refund(1, 400)),
                H::FullRefund => (at, "refund.created", shown.refund(2, rest)),
                H::CancelAtOnce => (at, "customer.subscription.deleted", shown.subscription()),
                _ => (at, "customer.subscription.updated", shown.subscription()),
            });
            if happening == H::Renewal {
                told.push((at, "invoice.paid", shown.invoice(2, 30, 60)));
            }
        }
        let event = |(number, (at, kind, object)): (usize, (u32, &str, Value))| {
            json!({
                "id": format!("evt_{name}_{number}"), "object": "event", "api_version": "2026-08-26.dahlia", "type": kind,
                "created": seconds(at), "livemode": false, "data": { "object": object }
            })
            .to_string()
        };
        told.into_iter().enumerate().map(event).collect()
    }

    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)> {
        vec![("stripe-signature", providers::signature::sign(&SECRET.into(), body.as_bytes(), at))]
    }

    fn reference(&self, name: &str) -> String {
        format!("sub_{name}")
    }
}

fn seconds(number: u32) -> i64 {
    day(number).as_second()
}
