//! Stripe's words: snapshots of the subscription, invoices, refunds by their id, disputes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ALL, Happening as H, Reversal, SECRET, Teller, Trial, day};

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
    trial_until: Option<u32>,
}

impl<'a> Shown<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            price: "price_A",
            quantity: 1,
            status: "active",
            cancels: false,
            ended_at: None,
            until: 30,
            trial_until: None,
        }
    }

    fn subscription(&self) -> Value {
        let (name, until) = (self.name, seconds(self.until));
        let ended_at = self.ended_at.map(seconds);
        json!({
            "id": format!("sub_{name}"), "object": "subscription", "customer": format!("cus_{name}"),
            "status": if ended_at.is_some() { "canceled" } else { self.status },
            "collection_method": "charge_automatically", "ended_at": ended_at, "canceled_at": ended_at,
            "cancel_at": self.cancels.then_some(until), "cancel_at_period_end": self.cancels,
            "latest_invoice": format!("in_{name}_1"), "trial_end": self.trial_until.map(seconds),
            "items": { "object": "list", "data": [{
                "id": format!("si_{name}"), "object": "subscription_item", "quantity": self.quantity,
                "current_period_end": until,
                "price": { "id": self.price, "product": "prod_tool", "type": "recurring", "recurring": { "interval": "month" } }
            }] }
        })
    }

    fn checkout(&self, amount: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("cs_{name}"), "object": "checkout.session", "mode": "subscription",
            "payment_status": if amount == 0 { "no_payment_required" } else { "paid" },
            "amount_total": amount, "currency": "eur", "created": seconds(0), "customer": format!("cus_{name}"),
            "subscription": format!("sub_{name}"), "invoice": format!("in_{name}_1"),
            "customer_details": { "email": format!("{name}@example.com") }, "metadata": {}
        })
    }

    fn invoice(&self, number: u32, amount: u32, from: u32, until: u32) -> Value {
        let name = self.name;
        json!({
            "id": format!("in_{name}_{number}"), "object": "invoice", "amount_paid": amount, "total": amount, "currency": "eur",
            "created": seconds(from), "customer": format!("cus_{name}"), "customer_email": format!("{name}@example.com"),
            "parent": { "type": "subscription_details", "subscription_details": { "subscription": format!("sub_{name}") } },
            "lines": { "object": "list", "has_more": false, "data": [{
                "id": format!("il_{name}_{number}"), "object": "line_item", "amount": amount,
                "period": { "start": seconds(from), "end": seconds(until) },
                "parent": { "type": "subscription_item_details", "subscription_item_details": {
                    "subscription": format!("sub_{name}"), "subscription_item": format!("si_{name}"), "proration": false } },
                "pricing": { "price_details": { "price": self.price, "product": "prod_tool" } }
            }] }
        })
    }

    fn refund(&self, number: u32, amount: u32, status: &str) -> Value {
        let name = self.name;
        json!({
            "id": format!("re_{name}_{number}"), "object": "refund", "amount": amount, "currency": "eur",
            "status": status, "charge": format!("ch_{name}"), "payment_intent": format!("pi_{name}")
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
        let mut shown = Shown::new(name);
        let payment = json!({
            "id": format!("inpay_{name}"), "object": "invoice_payment", "invoice": format!("in_{name}_1"),
            "payment": { "type": "payment_intent", "payment_intent": format!("pi_{name}") }
        });
        let mut told = vec![
            (0, "checkout.session.completed", shown.checkout(1_000)),
            (0, "customer.subscription.created", shown.subscription()),
            (0, "invoice.paid", shown.invoice(1, 1_000, 0, 30)),
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
                H::PartialRefund => (at, "refund.created", shown.refund(1, 400, "succeeded")),
                H::FullRefund => (at, "refund.created", shown.refund(2, rest, "succeeded")),
                H::CancelAtOnce => (at, "customer.subscription.deleted", shown.subscription()),
                _ => (at, "customer.subscription.updated", shown.subscription()),
            });
            if happening == H::Renewal {
                told.push((at, "invoice.paid", shown.invoice(2, 1_000, 30, 60)));
            }
        }
        events(name, "", told)
    }

    fn tell_reversal(&self, name: &str, what: Reversal) -> Vec<Vec<String>> {
        let shown = Shown::new(name);
        let dispute = |way, before, after| {
            let closed = (13, "charge.dispute.closed", shown.dispute(9, after));
            events(name, way, vec![(10, "charge.dispute.created", shown.dispute(9, before)), closed])
        };
        let refund = |way, after, kind| {
            let failed = (13, kind, shown.refund(9, 1_000, after));
            events(name, way, vec![(10, "refund.created", shown.refund(9, 1_000, "succeeded")), failed])
        };
        match what {
            Reversal::DisputeWon => {
                vec![
                    dispute("_won", "needs_response", "won"),
                    dispute("_asked", "warning_needs_response", "warning_closed"),
                ]
            }
            Reversal::RefundFailed => {
                vec![refund("_failed", "failed", "refund.failed"), refund("_canceled", "canceled", "refund.updated")]
            }
        }
    }

    fn tell_trial(&self, name: &str, what: Trial) -> Vec<String> {
        let mut shown = Shown { status: "trialing", until: 14, trial_until: Some(14), ..Shown::new(name) };
        let mut told = vec![
            (0, "checkout.session.completed", shown.checkout(0)),
            (0, "customer.subscription.created", shown.subscription()),
            (0, "invoice.paid", shown.invoice(1, 0, 0, 14)),
        ];
        if what == Trial::ChangedAndPaid {
            shown.price = "price_B";
            told.push((8, "customer.subscription.updated", shown.subscription()));
        }
        match what {
            Trial::Nothing => {}
            Trial::Paid | Trial::ChangedAndPaid => {
                (shown.status, shown.until) = ("active", 44);
                told.push((14, "customer.subscription.updated", shown.subscription()));
                told.push((14, "invoice.paid", shown.invoice(2, 1_000, 14, 44)));
            }
            Trial::PastDue => {
                (shown.status, shown.until) = ("past_due", 44);
                told.push((14, "customer.subscription.updated", shown.subscription()));
            }
            Trial::CancelledAtEnd => {
                shown.cancels = true;
                told.push((10, "customer.subscription.updated", shown.subscription()));
            }
            Trial::CancelledAtOnce => {
                shown.ended_at = Some(10);
                told.push((10, "customer.subscription.deleted", shown.subscription()));
            }
        }
        events(name, "", told)
    }

    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)> {
        vec![("stripe-signature", providers::signature::sign(&SECRET.into(), body.as_bytes(), at))]
    }

    fn reference(&self, name: &str) -> String {
        format!("sub_{name}")
    }
}

/// What happened on which day as events; of the same subscription, other events have another word in their ids.
fn events(name: &str, word: &str, told: Vec<(u32, &str, Value)>) -> Vec<String> {
    let event = |(number, (at, kind, object)): (usize, (u32, &str, Value))| {
        json!({
            "id": format!("evt_{name}{word}_{number}"), "object": "event", "api_version": "2026-08-26.dahlia",
            "type": kind, "created": seconds(at), "livemode": false, "data": { "object": object }
        })
        .to_string()
    };
    told.into_iter().enumerate().map(event).collect()
}

fn seconds(number: u32) -> i64 {
    day(number).as_second()
}
