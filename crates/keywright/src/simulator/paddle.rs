//! Paddle Billing's words for what happens in an account.
//!
//! A checkout and a bill are both a transaction here. A refund and a chargeback are both an adjustment of one.

mod documents;
mod lookups;

use jiff::Timestamp;
use providers::{Level, signature};
use secrecy::SecretString;
use serde_json::{Value, json};

use self::documents::Transaction;
use super::{
    account::{Account, Outcome, Refund, Status},
    dialect::{Dialect, Question, Reply, Thing, only_at_stripe, precise, symbols},
    happening::Happening,
};

/// The dialect of this module.
pub(crate) struct Paddle;

impl Dialect for Paddle {
    fn slug(&self) -> &'static str {
        "paddle"
    }

    fn secret_prefixes(&self) -> (&'static str, &'static str) {
        ("pdl_ntfset_", "pdl_sdbx_apikey_")
    }

    /// A prefix, and what looks like a ULID.
    fn id(&self, thing: Thing, _: u64, random: [u8; 24]) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let prefix = match thing {
            Thing::Customer => "ctm_01",
            Thing::Checkout | Thing::Invoice => "txn_01",
            Thing::CheckoutLine | Thing::InvoiceLine => "txnitm_01",
            Thing::Subscription => "sub_01",
            Thing::SubscriptionItem => "subitm_01",
            Thing::InvoicePayment | Thing::Payment | Thing::Charge => "pay_01",
            Thing::Refund | Thing::Dispute => "adj_01",
            Thing::Event => "evt_01",
        };
        symbols(prefix, ALPHABET, random)
    }

    fn price_id(&self, plan: &str, _: usize, monthly: bool) -> String {
        format!("pri_sim_{plan}{}", if monthly { "_monthly" } else { "" })
    }

    fn product_id(&self, plan: &str, _: usize) -> String {
        format!("pro_sim_{plan}")
    }

    fn refuses(&self, wish: &str) -> Option<&'static str> {
        Some(match wish {
            "expired" => "Paddle tells nothing of a checkout that nobody completed",
            "async-checkout" | "async-paid" | "async-failed" => "Paddle tells of a sale once its money is there",
            "refund-failed" => "Paddle approves a refund or rejects it, and tells of none that fails afterwards",
            _ => return only_at_stripe(wish),
        })
    }

    fn tell(&self, account: &mut Account, happening: &Happening, at: i64) -> Vec<Value> {
        let mut told = Told { account, at, events: Vec::new() };
        told.tell(happening);
        told.events
    }

    fn sign(&self, secret: &SecretString, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
        vec![("paddle-signature", signature::PADDLE.sign(secret, body, now))]
    }

    fn answer(&self, account: &Account, _: Level, question: &Question<'_>) -> Reply {
        lookups::answer(account, question)
    }

    fn forbidden(&self, _: &str) -> Reply {
        lookups::error(403, "forbidden", "You aren't permitted to perform this request.")
    }

    fn error(&self, status: u16, message: &str) -> Reply {
        let code = match status {
            401 => "authentication_malformed",
            429 => "too_many_requests",
            _ => "internal_error",
        };
        lookups::error(status, code, message)
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
            Happening::Priced { price, is_new } => {
                let price = documents::price(&self.account.prices[price]);
                self.event(if *is_new { "price.created" } else { "price.updated" }, &price);
            }
            Happening::Bought { session } => {
                self.customer(session);
                self.completed(session);
            }
            Happening::Subscribed { session } => self.subscribed(session),
            Happening::Renewed { before, invoice } => {
                let is_started = before.status == Status::Trialing;
                self.subscription(
                    if is_started { "subscription.activated" } else { "subscription.updated" },
                    &before.id,
                );
                self.completed(invoice);
            }
            Happening::PaymentFailed { before, invoice } => {
                self.transaction("transaction.payment_failed", invoice);
                self.subscription("subscription.past_due", &before.id);
            }
            Happening::Changed { before, invoice } => {
                self.subscription("subscription.updated", &before.id);
                if let Some(invoice) = invoice {
                    self.completed(invoice);
                }
            }
            Happening::CancelScheduled { before } | Happening::CancelUndone { before } => {
                self.subscription("subscription.updated", &before.id);
            }
            Happening::Ended { before } => self.subscription("subscription.canceled", &before.id),
            Happening::Paused { before } => self.subscription("subscription.paused", &before.id),
            Happening::Resumed { before } => self.subscription("subscription.resumed", &before.id),
            Happening::Refunded { refund } => self.refunded(refund),
            Happening::Disputed { payment, before } => self.disputed(payment, *before),
            // Nobody tells of these here.
            Happening::Left { .. }
            | Happening::Arrived { .. }
            | Happening::CollectionPaused { .. }
            | Happening::BilledByHand { .. }
            | Happening::CustomerChanged { .. }
            | Happening::CustomerDeleted { .. }
            | Happening::Replaced { .. }
            | Happening::Added { .. }
            | Happening::RefundFailed { .. } => {}
        }
    }

    /// An event. Those of one moment are a microsecond apart.
    fn event(&mut self, kind: &str, data: &Value) {
        let id = self.account.id(Thing::Event);
        let micros = self.events.len();
        self.events.push(json!({
            "event_id": id,
            "event_type": kind,
            "occurred_at": precise(self.at, micros),
            "notification_id": id.replacen("evt_", "ntf_", 1),
            "data": data,
        }));
    }

    fn customer(&mut self, session: &str) {
        let customer = self.account.sessions[session].customer.as_ref();
        if let Some(customer) = customer.and_then(|customer| self.account.customers.get(customer)) {
            let document = documents::customer(customer);
            self.event("customer.created", &document);
        }
    }

    fn transaction(&mut self, kind: &str, id: &str) {
        let document = Transaction::find(self.account, id).map(|found| found.document(self.account, kind));
        if let Some(document) = document {
            self.event(kind, &document);
        }
    }

    /// The money is there, and a moment later everything else is.
    fn completed(&mut self, transaction: &str) {
        self.transaction("transaction.paid", transaction);
        self.transaction("transaction.completed", transaction);
    }

    fn subscribed(&mut self, session: &str) {
        self.customer(session);
        self.transaction("transaction.paid", session);
        if let Some(subscription) = self.account.sessions[session].subscription.clone() {
            let mut document = documents::subscription(self.account, &self.account.subscriptions[&subscription]);
            // No later event of a subscription says what began it.
            document["transaction_id"] = json!(session);
            self.event("subscription.created", &document);
        }
        self.transaction("transaction.completed", session);
    }

    fn subscription(&mut self, kind: &str, id: &str) {
        let document = documents::subscription(self.account, &self.account.subscriptions[id]);
        self.event(kind, &document);
    }

    /// A refund waits for Paddle's approval, which it has at once here.
    fn refunded(&mut self, refund: &str) {
        let Refund { id, payment, amount, .. } = self.account.refunds[refund].clone();
        let is_whole = amount >= self.account.payments[&payment].amount;
        for (kind, status) in [("adjustment.created", "pending_approval"), ("adjustment.updated", "approved")] {
            let mut document = documents::adjustment(self.account, &id, &payment, amount, self.at);
            document["action"] = json!("refund");
            document["status"] = json!(status);
            document["type"] = json!(if is_whole { "full" } else { "partial" });
            self.event(kind, &document);
        }
    }

    /// Each step of a dispute is an adjustment of its own, which Paddle makes.
    fn disputed(&mut self, payment: &str, before: Option<Outcome>) {
        let dispute = self.account.disputes[payment].clone();
        let amount = self.account.payments[payment].amount;
        let mut actions = Vec::new();
        match (before, dispute.outcome) {
            (_, Outcome::Inquiry) => actions.push("chargeback_warning"),
            (None | Some(Outcome::Inquiry), _) => actions.push("chargeback"),
            (Some(_), _) => {}
        }
        if dispute.outcome == Outcome::Won {
            actions.push("chargeback_reverse");
        }
        for action in actions {
            let id = self.account.id(Thing::Dispute);
            let mut document = documents::adjustment(self.account, &id, payment, amount, self.at);
            document["action"] = json!(action);
            document["status"] = json!("approved");
            document["type"] = json!("full");
            self.event("adjustment.created", &document);
        }
    }
}

#[cfg(test)]
mod tests;
