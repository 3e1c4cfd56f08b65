//! Paddle's words: snapshots of the subscription, completed transactions, adjustments. It has none for a dispute that is
//! still open: a chargeback is told once the bank has taken the money.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ALL, Happening as H, Reversal, SECRET, Teller, Trial, day};

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
    trial_until: Option<u32>,
}

impl<'a> Shown<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            price: "pri_A",
            quantity: 1,
            status: "active",
            cancels: false,
            ended_at: None,
            until: 30,
            trial_until: None,
        }
    }

    /// What is told when the subscription begins, with what is paid for it at once.
    fn begin(&self, amount: u32) -> Vec<(u32, &'static str, Value)> {
        let name = self.name;
        let customer =
            json!({ "id": format!("ctm_{name}"), "email": format!("{name}@example.com"), "status": "active" });
        let mut created = self.subscription();
        created["transaction_id"] = json!(format!("txn_{name}_1"));
        vec![
            (0, "customer.created", customer),
            (0, "subscription.created", created),
            (0, "transaction.completed", self.transaction(1, amount, "web", 0, self.until)),
        ]
    }

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
            "items": [{
                "status": "active", "recurring": true, "quantity": self.quantity, "price": self.price(),
                "trial_dates": self.trial_until.map(|until| json!({ "starts_at": day(0), "ends_at": day(until) }))
            }]
        })
    }

    fn transaction(&self, number: u32, amount: u32, origin: &str, from: u32, until: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("txn_{name}_{number}"), "status": "completed", "origin": origin, "currency_code": "EUR",
            "subscription_id": format!("sub_{name}"), "customer_id": format!("ctm_{name}"),
            "invoice_id": format!("inv_{name}_{number}"),
            "billing_period": { "starts_at": day(from), "ends_at": day(until) },
            "items": [{ "price": self.price(), "quantity": self.quantity }],
            "details": { "totals": { "total": amount.to_string(), "grand_total": amount.to_string() }, "line_items": [
                { "id": format!("txnitm_{name}_{number}"), "price_id": self.price, "quantity": self.quantity }
            ] }
        })
    }

    fn adjustment(&self, number: u32, action: &str, status: &str, amount: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("adj_{name}_{number}"), "action": action, "status": status, "currency_code": "EUR",
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
        let mut shown = Shown::new(name);
        let mut told = shown.begin(1_000);
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
                H::DisputeLost => (at, "adjustment.created", shown.adjustment(1, "chargeback", "approved", 1_000)),
                H::PartialRefund => (at, "adjustment.created", shown.adjustment(2, "refund", "approved", 400)),
                H::FullRefund => (at, "adjustment.updated", shown.adjustment(3, "refund", "approved", rest)),
                H::CancelAtOnce => (at, "subscription.canceled", shown.subscription()),
                H::PastDue => (at, "subscription.past_due", shown.subscription()),
                H::Pause => (at, "subscription.paused", shown.subscription()),
                _ => (at, "subscription.updated", shown.subscription()),
            });
            if happening == H::Renewal {
                told.push((at, "transaction.completed", shown.transaction(2, 1_000, "subscription_recurring", 30, 60)));
            }
        }
        events(name, "", told)
    }

    fn tell_reversal(&self, name: &str, what: Reversal) -> Vec<Vec<String>> {
        let shown = Shown::new(name);
        let refund = |way, before, after| {
            let created = (10, "adjustment.created", shown.adjustment(9, "refund", before, 1_000));
            events(name, way, vec![created, (13, "adjustment.updated", shown.adjustment(9, "refund", after, 1_000))])
        };
        match what {
            // Told once the bank has taken the money. What gives it back is an adjustment of its own.
            Reversal::DisputeWon => {
                let taken = (10, "adjustment.created", shown.adjustment(8, "chargeback", "approved", 1_000));
                let given = (13, "adjustment.created", shown.adjustment(9, "chargeback_reverse", "approved", 1_000));
                vec![events(name, "_won", vec![taken, given])]
            }
            Reversal::RefundFailed => {
                vec![refund("_reversed", "approved", "reversed"), refund("_rejected", "pending_approval", "rejected")]
            }
        }
    }

    fn tell_trial(&self, name: &str, what: Trial) -> Vec<String> {
        let mut shown = Shown { status: "trialing", until: 14, trial_until: Some(14), ..Shown::new(name) };
        let mut told = shown.begin(0);
        if what == Trial::ChangedAndPaid {
            shown.price = "pri_B";
            told.push((8, "subscription.updated", shown.subscription()));
        }
        match what {
            Trial::Nothing => {}
            Trial::Paid | Trial::ChangedAndPaid => {
                (shown.status, shown.until) = ("active", 44);
                told.push((14, "subscription.activated", shown.subscription()));
                let paid = shown.transaction(2, 1_000, "subscription_recurring", 14, 44);
                told.push((14, "transaction.completed", paid));
            }
            Trial::PastDue => {
                (shown.status, shown.until) = ("past_due", 44);
                told.push((14, "subscription.past_due", shown.subscription()));
            }
            Trial::CancelledAtEnd => {
                shown.cancels = true;
                told.push((10, "subscription.updated", shown.subscription()));
            }
            Trial::CancelledAtOnce => {
                shown.ended_at = Some(10);
                told.push((10, "subscription.canceled", shown.subscription()));
            }
        }
        events(name, "", told)
    }

    fn answer(&self, path: &str) -> Option<Value> {
        let name = path.strip_prefix("/customers/ctm_")?;
        Some(json!({ "data": { "id": format!("ctm_{name}"), "email": format!("{name}@example.com") } }))
    }

    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)> {
        vec![("paddle-signature", providers::signature::PADDLE.sign(&SECRET.into(), body.as_bytes(), at))]
    }

    fn reference(&self, name: &str) -> String {
        format!("sub_{name}")
    }
}

/// What happened on which day as events; of the same subscription, other events have another word in their ids.
fn events(name: &str, word: &str, told: Vec<(u32, &str, Value)>) -> Vec<String> {
    let event = |(number, (at, kind, data)): (usize, (u32, &str, Value))| {
        json!({
            "event_id": format!("evt_{name}{word}_{number}"), "notification_id": format!("ntf_{name}{word}_{number}"),
            "event_type": kind, "occurred_at": day(at), "data": data
        })
        .to_string()
    };
    told.into_iter().enumerate().map(event).collect()
}
