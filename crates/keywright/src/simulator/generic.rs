//! What any other shop posts, in the words of our own documents: whole orders, and what becomes of them.

use jiff::Timestamp;
use providers::{Level, generic, signature};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    account::{Account, CURRENCY, Item, Outcome, Paid, Session, Status, Subscription},
    dialect::{Dialect, Question, Reply, Thing, moment, only_at_stripe, precise},
    happening::Happening,
};

/// The dialect of this module.
pub(crate) struct Generic;

impl Dialect for Generic {
    fn slug(&self) -> &'static str {
        "generic"
    }

    fn secret_prefixes(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    /// Whatever a shop calls its things.
    fn id(&self, thing: Thing, number: u64, _: [u8; 24]) -> String {
        match thing {
            Thing::Event => format!("event-{number}"),
            _ => (1_000 + number).to_string(),
        }
    }

    fn price_id(&self, plan: &str, _: usize, monthly: bool) -> String {
        format!("{plan}{}", if monthly { "-monthly" } else { "" })
    }

    fn product_id(&self, plan: &str, _: usize) -> String {
        plan.to_owned()
    }

    fn sale(&self, session: &Session) -> String {
        let kind = if session.subscription.is_some() { "subscription" } else { "order" };
        format!("{kind}:{}", session.id)
    }

    fn refuses(&self, wish: &str) -> Option<&'static str> {
        Some(match wish {
            "expired" | "async-checkout" | "async-paid" | "async-failed" => "a shop tells of an order once it is paid",
            "trial" | "trial-end" => "a shop tells of a trial as of any order: paid until a day, for nothing",
            "lost-webhooks" => "a shop that has no module here has no list of events that could be read",
            _ => return only_at_stripe(wish),
        })
    }

    fn tell(&self, account: &mut Account, happening: &Happening, at: i64) -> Vec<Value> {
        let mut told = Told { account, at, events: Vec::new() };
        told.tell(happening);
        told.events
    }

    fn sign(&self, secret: &SecretString, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
        vec![(generic::SIGNATURE, signature::sign(secret, body, now))]
    }

    fn answer(&self, _: &Account, _: Level, _: &Question<'_>) -> Reply {
        self.error(404, "there is no API")
    }

    fn forbidden(&self, _: &str) -> Reply {
        self.error(403, "there is no API")
    }

    fn error(&self, status: u16, message: &str) -> Reply {
        Reply { status, body: json!({ "error": message }) }
    }
}

/// The events of one moment.
struct Told<'a> {
    account: &'a mut Account,
    at: i64,
    events: Vec<Value>,
}

impl Told<'_> {
    fn tell(&mut self, happening: &Happening) {
        match happening {
            Happening::Bought { session } => self.bought(session, None),
            Happening::Replaced { before, session } => self.bought(session, Some(before)),
            Happening::Subscribed { session } => {
                let Session { subscription, invoice, .. } = self.account.sessions[session].clone();
                if let (Some(subscription), Some(invoice)) = (subscription, invoice) {
                    self.paid(&subscription, &invoice);
                }
            }
            Happening::Renewed { before, invoice } => self.paid(&before.id, invoice),
            Happening::PaymentFailed { before, .. }
            | Happening::Changed { before, .. }
            | Happening::CancelScheduled { before }
            | Happening::CancelUndone { before }
            | Happening::Paused { before }
            | Happening::Resumed { before } => self.changed(&before.id),
            Happening::Ended { before } => {
                let order = json!({ "id": order_of(self.account, &before.id) });
                self.event("order.ended", &order);
            }
            Happening::Refunded { refund } | Happening::RefundFailed { refund } => self.refunded(refund),
            Happening::Disputed { payment, .. } => self.disputed(payment),
            // Nobody tells of these here.
            Happening::Priced { .. }
            | Happening::Left { .. }
            | Happening::Arrived { .. }
            | Happening::Added { .. }
            | Happening::CollectionPaused { .. }
            | Happening::BilledByHand { .. }
            | Happening::CustomerChanged { .. }
            | Happening::CustomerDeleted { .. } => {}
        }
    }

    /// An event. Those of one moment are a microsecond apart.
    fn event(&mut self, kind: &str, order: &Value) {
        let (id, micros) = (self.account.id(Thing::Event), self.events.len());
        self.events.push(json!({
            "id": id,
            "type": kind,
            "occurred_at": precise(self.at, micros),
            "livemode": false,
            "order": order,
        }));
    }

    /// What is paid once needs no name of its payment. It may take another order's place.
    fn bought(&mut self, session: &str, before: Option<&String>) {
        let session = &self.account.sessions[session];
        if session.paid == Paid::No {
            return;
        }
        let order = json!({
            "id": session.id,
            "email": session.buyer.email,
            "name": session.buyer.name,
            "total": amount(session.total),
            "items": items(&session.lines),
            "replaces": before,
        });
        self.event("order.paid", &order);
    }

    /// An order that renews is paid, by that bill, until the end of its period.
    fn paid(&mut self, subscription: &str, invoice: &str) {
        let (subscription, invoice) = (&self.account.subscriptions[subscription], &self.account.invoices[invoice]);
        let mut order = self.renewing(subscription);
        order["payment"] = json!(invoice.id);
        order["total"] = amount(invoice.total);
        order["paid_until"] = json!(moment(subscription.period_end));
        self.event("order.paid", &order);
    }

    fn changed(&mut self, subscription: &str) {
        let subscription = &self.account.subscriptions[subscription];
        let mut order = self.renewing(subscription);
        order["status"] = json!(match subscription.status {
            Status::PastDue => "past_due",
            Status::Paused => "paused",
            Status::Trialing | Status::Active | Status::Canceled => "active",
        });
        self.event("order.changed", &order);
    }

    fn renewing(&self, subscription: &Subscription) -> Value {
        let buyer = self.account.customers.get(&subscription.customer).map(|customer| &customer.buyer);
        let mut order = json!({
            "id": order_of(self.account, &subscription.id),
            "email": buyer.map(|buyer| &buyer.email),
            "name": buyer.map(|buyer| &buyer.name),
            "items": items(&subscription.items),
        });
        if subscription.cancel_at_period_end {
            order["cancel_at"] = json!(moment(subscription.period_end));
        }
        order
    }

    /// All that has gone back of the payment so far.
    fn refunded(&mut self, refund: &str) {
        let payment = self.account.refunds[refund].payment.clone();
        let mut order = self.of_payment(&payment);
        order["refunded"] = amount(self.account.payments[&payment].refunded);
        self.event("order.refunded", &order);
    }

    fn disputed(&mut self, payment: &str) {
        let dispute = &self.account.disputes[payment];
        let mut order = self.of_payment(payment);
        order["dispute"] = json!(dispute.id);
        order["status"] = json!(match dispute.outcome {
            Outcome::Inquiry => "inquiry",
            Outcome::Open => "open",
            Outcome::Won => "won",
            Outcome::Lost => "lost",
        });
        self.event("order.disputed", &order);
    }

    /// The order that a payment belongs to, and the payment's name if it has one.
    fn of_payment(&self, payment: &str) -> Value {
        match self.account.invoice_of(payment) {
            Some(invoice) => {
                json!({ "id": order_of(self.account, &invoice.subscription), "payment": invoice.id })
            }
            None => {
                let of_it = |session: &&Session| session.payment.as_deref() == Some(payment);
                json!({ "id": self.account.sessions.values().find(of_it).map(|session| &session.id) })
            }
        }
    }
}

/// The order that renews as this subscription.
fn order_of<'a>(account: &'a Account, subscription: &str) -> Option<&'a str> {
    let began = |session: &&Session| session.subscription.as_deref() == Some(subscription);
    account.sessions.values().find(began).map(|session| session.id.as_str())
}

fn amount(minor: i64) -> Value {
    json!({ "amount": minor, "currency": CURRENCY.to_uppercase() })
}

fn items(lines: &[Item]) -> Vec<Value> {
    lines.iter().map(|line| json!({ "id": line.id, "price": line.price, "quantity": line.quantity })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{
        action::{Action, Paying},
        dialect::testing::{NOW, checkout, kinds, payment, shop, subscribed},
    };

    #[test]
    fn an_order_is_told_whole_and_so_is_what_becomes_of_it() {
        let mut account = shop(&Generic);
        let events = account.step(&checkout(&Generic, 2, Paying::AtOnce), NOW).unwrap();
        assert_eq!(kinds(&events), ["order.paid"]);
        let paid: Value = serde_json::from_str(&events[0].body).unwrap();
        assert_eq!(paid["order"]["items"][0]["quantity"], 2);
        let refund = Action::Refund { payment: payment(&account), amount: Some(100) };
        assert_eq!(kinds(&account.step(&refund, NOW).unwrap()), ["order.refunded"]);
        let told = account.step(&refund, NOW).unwrap();
        let large = Action::Replace { session: account.sales[0].session.clone(), price: "large".into() };
        let replaced = account.step(&large, NOW).unwrap();
        let replaced: Value = serde_json::from_str(&replaced[0].body).unwrap();
        assert_eq!(replaced["order"]["replaces"], paid["order"]["id"]);
        let told: Value = serde_json::from_str(&told[0].body).unwrap();
        assert_eq!(told["order"]["refunded"], json!({ "amount": 200, "currency": "EUR" }), "all of it so far");
    }

    #[test]
    fn an_order_that_renews_is_paid_by_one_bill_after_the_other() {
        let mut account = shop(&Generic);
        let (subscription, first) = subscribed(&mut account, 0);
        let second = account.step(&Action::Renew { subscription }, NOW).unwrap();
        let read =
            |events: &[crate::simulator::account::Event]| serde_json::from_str::<Value>(&events[0].body).unwrap();
        let (first, second) = (read(&first), read(&second));
        assert_eq!(first["order"]["id"], second["order"]["id"]);
        assert_ne!(first["order"]["payment"], second["order"]["payment"]);
    }
}
