//! Stripe's words for what happens in an account.

mod documents;
mod lookups;
mod selling;

use jiff::Timestamp;
use providers::Level;
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) use self::selling::checkout_at;
use super::{
    account::{Account, Customer, Dispute, Outcome, Paid, Payment, Progress, Refund, Session, Subscription},
    dialect::{Call, Dialect, Question, Reply, Thing, symbols},
    happening::Happening,
};

/// The dialect of this module.
pub(crate) struct Stripe;

impl Dialect for Stripe {
    fn slug(&self) -> &'static str {
        "stripe"
    }

    fn secret_prefixes(&self) -> (&'static str, &'static str) {
        ("whsec_", "rk_test_")
    }

    /// A prefix, and 24 characters.
    fn id(&self, thing: Thing, _: u64, random: [u8; 24]) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let prefix = match thing {
            Thing::Customer => "cus_",
            Thing::Checkout => "cs_test_",
            Thing::CheckoutLine => "li_",
            Thing::Subscription => "sub_",
            Thing::SubscriptionItem => "si_",
            Thing::Invoice => "in_",
            Thing::InvoiceLine => "il_",
            Thing::InvoicePayment => "inpay_",
            Thing::Payment => "pi_",
            Thing::Charge => "ch_",
            Thing::Refund => "re_",
            Thing::Dispute => "dp_",
            Thing::Event => "evt_",
        };
        symbols(prefix, ALPHABET, random)
    }

    fn price_id(&self, plan: &str, _: usize, monthly: bool) -> String {
        format!("price_sim_{plan}{}", if monthly { "_monthly" } else { "" })
    }

    fn product_id(&self, plan: &str, _: usize) -> String {
        format!("prod_sim_{plan}")
    }

    fn tells_lines(&self) -> bool {
        false
    }

    /// One-time purchases are made as guests, as is the default there.
    fn keeps_buyers(&self) -> bool {
        false
    }

    fn tell(&self, account: &mut Account, happening: &Happening, at: i64) -> Vec<Value> {
        let mut told = Told { account, at, events: Vec::new() };
        told.tell(happening);
        told.events
    }

    fn sign(&self, secret: &SecretString, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
        vec![("stripe-signature", providers::signature::sign(secret, body, now))]
    }

    fn answer(&self, account: &Account, level: Level, question: &Question<'_>) -> Reply {
        if level != Level::Full && lookups::permission(question.path) == "rak_subscription_read" {
            return lookups::forbidden(question.path);
        }
        lookups::answer(account, question)
    }

    fn change(&self, account: &mut Account, call: &Call<'_>) -> Option<Reply> {
        selling::change(self, account, call)
    }

    fn forbidden(&self, path: &str) -> Reply {
        lookups::forbidden(path)
    }

    fn error(&self, status: u16, message: &str) -> Reply {
        lookups::error(status, message)
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
                let price = self.account.prices.get(price).map_or(Value::Null, documents::price);
                self.event(if *is_new { "price.created" } else { "price.updated" }, &price);
            }
            Happening::Bought { session } => {
                self.money_of(session);
                self.session("checkout.session.completed", session);
            }
            Happening::Left { session } => self.session("checkout.session.expired", session),
            Happening::Arrived { session } => {
                self.money_of(session);
                let came = self.account.sessions.get(session).is_some_and(|session| session.paid == Paid::Yes);
                let outcome = if came { "succeeded" } else { "failed" };
                self.session(&format!("checkout.session.async_payment_{outcome}"), session);
            }
            // A changed sale stays the sale that it is here, and nothing is added to one.
            Happening::Replaced { .. } | Happening::Added { .. } => {}
            Happening::Subscribed { session } => self.subscribed(session),
            Happening::Renewed { before, invoice } => {
                self.updated(before);
                self.paid(invoice);
            }
            Happening::PaymentFailed { before, invoice } => {
                let invoice = &self.account.invoices[invoice];
                let document = documents::invoice(self.account, invoice);
                self.event("invoice.payment_failed", &document);
                self.updated(before);
            }
            Happening::Changed { before, invoice } => {
                self.updated(before);
                if let Some(invoice) = invoice {
                    self.paid(invoice);
                }
            }
            Happening::CancelScheduled { before }
            | Happening::CancelUndone { before }
            | Happening::CollectionPaused { before } => self.updated(before),
            Happening::BilledByHand { invoice } => self.paid(invoice),
            Happening::CustomerChanged { before } => self.customer_changed(before),
            Happening::CustomerDeleted { customer, ended } => {
                for subscription in ended {
                    self.subscription("customer.subscription.deleted", &subscription.id);
                }
                self.event("customer.deleted", &documents::customer(customer));
            }
            Happening::Ended { before } => self.subscription("customer.subscription.deleted", &before.id),
            Happening::Paused { before } => self.subscription("customer.subscription.paused", &before.id),
            Happening::Resumed { before } => self.subscription("customer.subscription.resumed", &before.id),
            Happening::Refunded { refund } => self.refunded(refund),
            Happening::RefundFailed { refund } => self.refund_failed(refund),
            Happening::Disputed { payment, before } => self.disputed(payment, *before),
        }
    }

    fn event(&mut self, kind: &str, object: &Value) {
        self.event_after(kind, object, None);
    }

    fn event_after(&mut self, kind: &str, object: &Value, previous: Option<Value>) {
        let id = self.account.id(Thing::Event);
        self.events.push(documents::event(id, kind, self.at, object, previous));
    }

    fn session(&mut self, kind: &str, id: &str) {
        let document = documents::session(self.account, &self.account.sessions[id]);
        self.event(kind, &document);
    }

    fn subscription(&mut self, kind: &str, id: &str) {
        let document = documents::subscription(self.account, &self.account.subscriptions[id]);
        self.event(kind, &document);
    }

    /// How the payment of a checkout stands, if it has one.
    fn money_of(&mut self, session: &str) {
        let Some(payment) = self.account.sessions[session].payment.clone() else { return };
        let payment = self.account.payments[&payment].clone();
        let (charge, intent) = match payment.progress {
            Progress::Pending => ("charge.pending", "payment_intent.processing"),
            Progress::Succeeded => ("charge.succeeded", "payment_intent.succeeded"),
            Progress::Failed => ("charge.failed", "payment_intent.payment_failed"),
        };
        self.event(charge, &documents::charge(&payment));
        self.event(intent, &documents::payment_intent(&payment));
    }

    fn subscribed(&mut self, session: &str) {
        let Session { customer, subscription, invoice, .. } = self.account.sessions[session].clone();
        if let Some(customer) = customer.and_then(|customer| self.account.customers.get(&customer)) {
            let document = documents::customer(customer);
            self.event("customer.created", &document);
        }
        self.session("checkout.session.completed", session);
        if let Some(subscription) = subscription {
            self.subscription("customer.subscription.created", &subscription);
        }
        if let Some(invoice) = invoice {
            self.paid(&invoice);
        }
    }

    /// A subscription as it is now, with those of its former fields that are different.
    fn updated(&mut self, before: &Subscription) {
        let after = documents::subscription(self.account, &self.account.subscriptions[&before.id]);
        let previous = documents::subscription(self.account, before);
        self.changed("customer.subscription.updated", &after, previous);
    }

    fn customer_changed(&mut self, before: &Customer) {
        let after = documents::customer(&self.account.customers[&before.id]);
        self.changed("customer.updated", &after, documents::customer(before));
    }

    fn changed(&mut self, kind: &str, after: &Value, mut previous: Value) {
        if let (Value::Object(fields), Value::Object(after)) = (&mut previous, after) {
            fields.retain(|name, value| after.get(name) != Some(&*value));
        }
        self.event_after(kind, after, Some(previous));
    }

    /// A paid invoice. One of nothing has no payment.
    fn paid(&mut self, invoice: &str) {
        let invoice = self.account.invoices[invoice].clone();
        let payment = invoice.payment.as_ref().map(|payment| documents::charge(&self.account.payments[payment]));
        if let Some(charge) = &payment {
            self.event("charge.succeeded", charge);
        }
        let document = documents::invoice(self.account, &invoice);
        self.event("invoice.paid", &document);
        if payment.is_some() {
            self.event("invoice_payment.paid", &documents::invoice_payment(&invoice));
        }
    }

    fn refunded(&mut self, refund: &str) {
        let refund = self.account.refunds[refund].clone();
        let payment = self.account.payments[&refund.payment].clone();
        let fewer = json!({ "amount_refunded": payment.refunded - refund.amount, "refunded": false });
        let pending = Refund { progress: Progress::Pending, ..refund.clone() };
        let (pending, done) = (documents::refund(self.account, &pending), documents::refund(self.account, &refund));
        self.event("refund.created", &pending);
        self.event_after("charge.refunded", &documents::charge(&payment), Some(fewer));
        self.event_after("refund.updated", &done, Some(json!({ "status": "pending" })));
    }

    fn refund_failed(&mut self, refund: &str) {
        let refund = self.account.refunds[refund].clone();
        let payment = self.account.payments[&refund.payment].clone();
        let before = Payment { refunded: payment.refunded + refund.amount, ..payment.clone() };
        let more = json!({ "amount_refunded": before.refunded, "refunded": before.refunded >= before.amount });
        let failed = documents::refund(self.account, &refund);
        self.event("refund.failed", &failed);
        self.event_after("charge.updated", &documents::charge(&payment), Some(more));
    }

    /// A dispute that ends without having been opened is opened first.
    fn disputed(&mut self, payment: &str, before: Option<Outcome>) {
        let dispute = self.account.disputes[payment].clone();
        let payment = self.account.payments[payment].clone();
        let said = |told: &mut Self, kind: &str, outcome: Outcome| {
            told.event(kind, &documents::dispute(&payment, &Dispute { outcome, ..dispute.clone() }));
        };
        match (before, dispute.outcome) {
            (None, Outcome::Inquiry) => said(self, "charge.dispute.created", Outcome::Inquiry),
            (None, _) => said(self, "charge.dispute.created", Outcome::Open),
            (Some(Outcome::Inquiry), _) => said(self, "charge.dispute.updated", Outcome::Open),
            (Some(_), _) => {}
        }
        if dispute.outcome > Outcome::Open {
            said(self, "charge.dispute.closed", dispute.outcome);
        }
    }
}

#[cfg(test)]
mod tests;
