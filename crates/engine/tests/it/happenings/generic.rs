//! Our own words for any other shop: whole states of an order that renews, refunds as totals. Its payments and disputes have the
//! same names in every order.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ALL, Happening as H, Reversal, SECRET, Teller, Trial, day};

pub(super) struct Generic;

impl Teller for Generic {
    fn slug(&self) -> &'static str {
        "generic"
    }

    fn price(&self, plan: &str) -> String {
        format!("tool-{plan}")
    }

    fn knows(&self, _: H) -> bool {
        true
    }

    fn tell(&self, name: &str, happenings: &[H]) -> Vec<String> {
        let (mut price, mut quantity, mut status, mut cancel_at) = ("tool-A", 1, "active", None);
        let euros = |amount: u32| json!({ "amount": amount, "currency": "EUR" });
        let items = |price: &str, quantity: u32| json!([{ "id": "1", "price": price, "quantity": quantity }]);
        let paid = |number: u32, until: u32, items: Value, cancel_at: Option<Timestamp>| {
            json!({
                "id": name, "payment": number.to_string(), "email": format!("{name}@example.com"),
                "total": euros(1_000), "items": items, "paid_until": day(until), "cancel_at": cancel_at
            })
        };
        let refunded = |amount| json!({ "id": name, "payment": "1", "refunded": euros(amount) });
        let disputed = |number: u32, status: &str| json!({ "id": name, "payment": "1", "dispute": number.to_string(), "status": status });
        let mut told = vec![(0, "order.paid", paid(1, 30, items(price, quantity), cancel_at))];
        for (happening, at, _) in ALL.into_iter().filter(|(happening, ..)| happenings.contains(happening)) {
            match happening {
                H::PlanChange => price = "tool-B",
                H::QuantityChange => quantity = 2,
                H::Pause => status = "paused",
                H::CancelAtPeriodEnd => cancel_at = Some(day(30)),
                H::PastDue => status = "past_due",
                H::Renewal => status = "active",
                H::Reactivation => (status, cancel_at) = ("active", None),
                _ => {}
            }
            let changed =
                json!({ "id": name, "items": items(price, quantity), "status": status, "cancel_at": cancel_at });
            told.push(match happening {
                H::Dispute => (at, "order.disputed", disputed(1, "open")),
                H::DisputeLost => (at, "order.disputed", disputed(2, "lost")),
                H::PartialRefund => (at, "order.refunded", refunded(400)),
                H::FullRefund => (at, "order.refunded", refunded(1_000)),
                H::CancelAtOnce => (at, "order.ended", json!({ "id": name })),
                H::Renewal => (at, "order.paid", paid(2, 60, items(price, quantity), cancel_at)),
                _ => (at, "order.changed", changed),
            });
        }
        events(name, "", told)
    }

    fn tell_reversal(&self, name: &str, what: Reversal) -> Vec<Vec<String>> {
        let disputed = |status: &str| json!({ "id": name, "payment": "1", "dispute": "9", "status": status });
        let refunded =
            |amount| json!({ "id": name, "payment": "1", "refunded": { "amount": amount, "currency": "EUR" } });
        let (kind, [taken, given]) = match what {
            Reversal::DisputeWon => ("order.disputed", ["open", "won"].map(disputed)),
            Reversal::RefundFailed => ("order.refunded", [1_000, 0].map(refunded)),
        };
        vec![events(name, &format!("-{what:?}"), vec![(10, kind, taken), (13, kind, given)])]
    }

    /// A trial is an order for nothing, paid until it ends.
    fn tell_trial(&self, name: &str, what: Trial) -> Vec<String> {
        let items = |price: &str| json!([{ "id": "1", "price": price }]);
        let paid = |number: u32, amount: u32, until: u32, price: &str| {
            json!({
                "id": name, "payment": number.to_string(), "email": format!("{name}@example.com"),
                "total": { "amount": amount, "currency": "EUR" }, "items": items(price), "paid_until": day(until)
            })
        };
        let changed = |price: &str, status: &str, cancel_at: Option<u32>| json!({ "id": name, "items": items(price), "status": status, "cancel_at": cancel_at.map(day) });
        let mut told = vec![(0, "order.paid", paid(1, 0, 14, "tool-A"))];
        match what {
            Trial::Nothing => {}
            Trial::Paid => told.push((14, "order.paid", paid(2, 1_000, 44, "tool-A"))),
            Trial::ChangedAndPaid => told.extend([
                (8, "order.changed", changed("tool-B", "active", None)),
                (14, "order.paid", paid(2, 1_000, 44, "tool-B")),
            ]),
            Trial::PastDue => told.push((14, "order.changed", changed("tool-A", "past_due", None))),
            Trial::CancelledAtEnd => told.push((10, "order.changed", changed("tool-A", "active", Some(14)))),
            Trial::CancelledAtOnce => told.push((10, "order.ended", json!({ "id": name }))),
        }
        events(name, "", told)
    }

    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)> {
        let signed = providers::signature::sign(&SECRET.into(), body.as_bytes(), at);
        vec![(providers::generic::SIGNATURE, signed)]
    }

    fn reference(&self, name: &str) -> String {
        format!("subscription:{name}")
    }
}

/// What happened on which day as events; of the same order, other events have another word in their ids.
pub(super) fn events(name: &str, word: &str, told: Vec<(u32, &str, Value)>) -> Vec<String> {
    let event = |(number, (at, kind, order)): (usize, (u32, &str, Value))| {
        json!({ "id": format!("{name}{word}-{number}"), "type": kind, "occurred_at": day(at), "order": order })
            .to_string()
    };
    told.into_iter().enumerate().map(event).collect()
}
