//! Lemon Squeezy's words for what happens in an account.
//!
//! It tells of objects as they are, and its events have no ids. One sale is an order, perhaps its subscription, and the
//! subscription's invoices; ids are numbers, counted for each kind of object. It sells in its own name, so that it has no
//! word for a dispute.

mod documents;
mod lookups;

use jiff::Timestamp;
use providers::{Level, lemonsqueezy};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    account::{Account, Session, Status, Subscription},
    dialect::{Dialect, Question, Reply, Thing, only_at_stripe},
    happening::Happening,
};

/// The dialect of this module.
pub(crate) struct LemonSqueezy;

impl Dialect for LemonSqueezy {
    fn slug(&self) -> &'static str {
        "lemonsqueezy"
    }

    /// The webhook's secret is chosen by the vendor.
    fn secret_prefixes(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    fn id(&self, _: Thing, number: u64, _: [u8; 24]) -> String {
        (1_000 + number).to_string()
    }

    /// A variant's.
    fn price_id(&self, _: &str, place: usize, monthly: bool) -> String {
        (700_001 + 2 * place + usize::from(monthly)).to_string()
    }

    fn product_id(&self, _: &str, place: usize) -> String {
        (600_001 + place).to_string()
    }

    fn sale(&self, session: &Session) -> String {
        format!("order:{}", session.id)
    }

    fn refuses(&self, wish: &str) -> Option<&'static str> {
        Some(match wish {
            "expired" => "Lemon Squeezy tells nothing of a checkout that nobody completed",
            "async-checkout" | "async-paid" | "async-failed" => "Lemon Squeezy tells of a sale once its money is there",
            "inquiry" | "dispute" | "dispute-won" | "dispute-lost" => {
                "Lemon Squeezy sells in its own name: money that a bank takes back is told as a refund"
            }
            "refund-failed" => "Lemon Squeezy tells of no refund that fails afterwards",
            "--also" => "at Lemon Squeezy a checkout is of one product",
            "upgrade --quantity" => {
                "Lemon Squeezy sends nothing when only a quantity changes; the server finds that in its lists"
            }
            _ => return only_at_stripe(wish),
        })
    }

    fn tell(&self, account: &mut Account, happening: &Happening, _: i64) -> Vec<Value> {
        let mut told = Told { account, events: Vec::new() };
        told.tell(happening);
        told.events
    }

    fn sign(&self, secret: &SecretString, body: &[u8], _: Timestamp) -> Vec<(&'static str, String)> {
        vec![("x-signature", lemonsqueezy::sign(secret, body))]
    }

    fn answer(&self, account: &Account, _: Level, question: &Question<'_>) -> Reply {
        lookups::answer(account, question)
    }

    fn forbidden(&self, _: &str) -> Reply {
        lookups::error(403, "Forbidden")
    }

    fn error(&self, status: u16, message: &str) -> Reply {
        lookups::error(status, message)
    }
}

/// The events of one moment.
struct Told<'a> {
    account: &'a Account,
    events: Vec<Value>,
}

impl Told<'_> {
    fn tell(&mut self, happening: &Happening) {
        match happening {
            Happening::Bought { session } => self.order("order_created", session),
            Happening::Subscribed { session } => self.subscribed(session),
            Happening::Renewed { before, invoice } => {
                self.subscription("subscription_updated", before);
                self.invoice("subscription_payment_success", invoice);
                if before.status == Status::PastDue {
                    self.invoice("subscription_payment_recovered", invoice);
                }
            }
            Happening::PaymentFailed { before, invoice } => {
                self.invoice("subscription_payment_failed", invoice);
                self.subscription("subscription_updated", before);
            }
            Happening::Changed { before, invoice } => self.changed(before, invoice.as_deref()),
            Happening::CancelScheduled { before } => {
                self.subscription("subscription_cancelled", before);
                self.subscription("subscription_updated", before);
            }
            Happening::CancelUndone { before } => {
                self.subscription("subscription_resumed", before);
                self.subscription("subscription_updated", before);
            }
            Happening::Ended { before } => {
                self.subscription("subscription_expired", before);
                self.subscription("subscription_updated", before);
            }
            Happening::Paused { before } => {
                self.subscription("subscription_paused", before);
                self.subscription("subscription_updated", before);
            }
            Happening::Resumed { before } => {
                self.subscription("subscription_unpaused", before);
                self.subscription("subscription_updated", before);
            }
            Happening::Refunded { refund } => self.refunded(refund),
            // Nobody tells of these here, nor of prices.
            Happening::Priced { .. }
            | Happening::Left { .. }
            | Happening::Arrived { .. }
            | Happening::CollectionPaused { .. }
            | Happening::BilledByHand { .. }
            | Happening::CustomerChanged { .. }
            | Happening::CustomerDeleted { .. }
            | Happening::Replaced { .. }
            | Happening::Added { .. }
            | Happening::RefundFailed { .. }
            | Happening::Disputed { .. } => {}
        }
    }

    fn event(&mut self, kind: &str, data: &Value) {
        self.events.push(json!({ "meta": { "event_name": kind, "test_mode": true }, "data": data }));
    }

    fn order(&mut self, kind: &str, session: &str) {
        let order = documents::order(self.account, &self.account.sessions[session]);
        self.event(kind, &order);
    }

    fn subscription(&mut self, kind: &str, before: &Subscription) {
        let subscription = documents::subscription(self.account, &self.account.subscriptions[&before.id]);
        self.event(kind, &subscription);
    }

    fn invoice(&mut self, kind: &str, invoice: &str) {
        let invoice = documents::invoice(self.account, &self.account.invoices[invoice]);
        self.event(kind, &invoice);
    }

    /// A trial has no invoice yet.
    fn subscribed(&mut self, session: &str) {
        self.order("order_created", session);
        let Session { subscription, invoice, payment, .. } = self.account.sessions[session].clone();
        if let Some(subscription) = subscription.and_then(|id| self.account.subscriptions.get(&id)) {
            self.subscription("subscription_created", subscription);
        }
        if let (Some(invoice), Some(_)) = (invoice, payment) {
            self.invoice("subscription_payment_success", &invoice);
        }
    }

    /// When only a number changes, nothing is sent (lemonsqueezy.js#105).
    fn changed(&mut self, before: &Subscription, invoice: Option<&str>) {
        let variants = |subscription: &Subscription| -> Vec<String> {
            subscription.items.iter().map(|item| item.price.clone()).collect()
        };
        if variants(before) == variants(&self.account.subscriptions[&before.id]) {
            return;
        }
        self.subscription("subscription_updated", before);
        if let Some(invoice) = invoice {
            self.invoice("subscription_payment_success", invoice);
        }
    }

    /// The first invoice of a subscription and its order are of the same money, and both tell.
    fn refunded(&mut self, refund: &str) {
        let payment = self.account.refunds[refund].payment.clone();
        let of_session = |session: &&Session| session.payment.as_ref() == Some(&payment);
        let session = self.account.sessions.values().find(of_session).map(|session| session.id.clone());
        let invoice = self.account.invoice_of(&payment).map(|invoice| invoice.id.clone());
        if let Some(session) = session {
            self.order("order_refunded", &session);
        }
        if let Some(invoice) = invoice {
            self.invoice("subscription_payment_refunded", &invoice);
        }
    }
}

#[cfg(test)]
mod tests;
