//! Paddle's words: snapshots of the subscription, completed transactions, adjustments. It has none for a dispute that is
//! still open: a chargeback is told once the bank has taken the money.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ALL, Happening as H, SECRET, Teller, day};

pub(super) struct Paddle;

/// The subscription as Paddle shows it.
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
    fn price(&self) -> Value {
        json!({ "id": self.price, "product_id": "pro_tool", "billing_cycle": { "interval": "month", "frequency": 1 } })
    }

    fn subscription(&self) -> Value {
        let (name, until) = (self.name, day(self.until));
        let is_running = self.ended_at.is_none() && self.status != "paused";
        json!({
            "id": format!("sub_{name}"), "customer_id": format!("ctm_{name}"), "collection_mode": "automatic",
            "status": if self.ended_at.is_some() { "canceled" } else { self.status },
            "canceled_at": self.ended_at.map(day),
            "current_billing_period": is_running.then(|| json!({ "starts_at": day(0), "ends_at": until })),
            "scheduled_change": self.cancels.then(|| json!({ "action": "cancel", "effective_at": until })),
            "items": [{ "status": "active", "recurring": true, "quantity": self.quantity, "price": self.price() }]
        })
    }

    fn transaction(&self, number: u32, origin: &str, from: u32, until: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("txn_{name}_{number}"), "status": "completed", "origin": origin, "currency_code": "EUR",
            "subscription_id": format!("sub_{name}"), "customer_id": format!("ctm_{name}"),
            "invoice_id": format!("inv_{name}_{number}"),
            "billing_period": { "starts_at": day(from), "ends_at": day(until) },
            "items": [{ "price": self.price(), "quantity": self.quantity }],
            "details": { "totals": { "total": "1000", "grand_total": "1000" }, "line_items": [
                { "id": format!("txnitm_{name}_{number}"), "price_id": self.price, "quantity": self.quantity }
            ] }
        })
    }

    fn adjustment(&self, number: u32, action: &str, amount: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("adj_{name}_{number}"), "action": action, "status": "approved", "currency_code": "EUR",
            "transaction_id": format!("txn_{name}_1"), "subscription_id": format!("sub_{name}"),
            "totals": { "total": amount.to_string() }
        })
    }
}

impl Teller for Paddle {
    fn slug(&self) -> &'static str {
        "paddle"
    }

    fn price(&self, plan: &str) -> String {
        format!("pri_{plan}")
    }

    fn knows(&self, happening: H) -> bool {
        happening != H::Dispute
    }

    fn tell(&self, name: &str, happenings: &[H]) -> Vec<String> {
        let mut shown =
            Shown { name, price: "pri_A", quantity: 1, status: "active", cancels: false, ended_at: None, until: 30 };
        let customer =
            json!({ "id": format!("ctm_{name}"), "email": format!("{name}@example.com"), "status": "active" });
        let mut created = shown.subscription();
        created["transaction_id"] = json!(format!("txn_{name}_1"));
        let mut told = vec![
            (0, "customer.created", customer),
            (0, "subscription.created", created),
            (0, "transaction.completed", shown.transaction(1, "web", 0, 30)),
        ];
        for (happening, at, _) in ALL.into_iter().filter(|(happening, ..)| happenings.contains(happening)) {
            match happening {
                H::PlanChange => shown.price = "pri_B",
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
                H::DisputeLost => (at, "adjustment.created", shown.adjustment(1, "chargeback", 1_000)),
                H::PartialRefund => (at, "adjustment.created", shown.adjustment(2, "refund", 400)),
                H::FullRefund => (at, "adjustment.updated", shown.adjustment(3, "refund", rest)),
                H::CancelAtOnce => (at, "subscription.canceled", shown.subscription()),
                H::PastDue => (at, "subscription.past_due", shown.subscription()),
                H::Pause => (at, "subscription.paused", shown.subscription()),
                _ => (at, "subscription.updated", shown.subscription()),
            });
            if happening == H::Renewal {
                told.push((at, "transaction.completed", shown.transaction(2, "subscription_recurring", 30, 60)));
            }
        }
        let event = |(number, (at, kind, data)): (usize, (u32, &str, Value))| {
            json!({
                "event_id": format!("evt_{name}_{number}"), "notification_id": format!("ntf_{name}_{number}"),
                "event_type": kind, "occurred_at": day(at), "data": data
            })
            .to_string()
        };
        told.into_iter().enumerate().map(event).collect()
    }

    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)> {
        vec![("paddle-signature", providers::signature::PADDLE.sign(&SECRET.into(), body.as_bytes(), at))]
    }

    fn reference(&self, name: &str) -> String {
        format!("sub_{name}")
    }
}
