//! Money that goes back, and money that is questioned.

use serde_json::json;

use super::{
    super::{
        account::{Account, Dispute, Event, Outcome, Payment, Progress, Refund},
        documents,
    },
    Impossible, impossible,
};

impl Account {
    pub(super) fn refund(&mut self, payment: &str, amount: Option<i64>, now: i64) -> Result<Vec<Event>, Impossible> {
        let payment = self.collected(payment)?;
        let left = payment.amount - payment.refunded;
        let amount = amount.unwrap_or(left).min(left);
        if amount <= 0 {
            return impossible(format!("nothing is left of {} to give back", payment.intent));
        }
        let (id, progress) = (self.id("re_"), Progress::Pending);
        let refund = Refund { id, payment: payment.intent.clone(), amount, created: now, progress };
        let before = payment.refunded;
        let payment = Payment { refunded: before + amount, ..payment };
        self.payments.insert(payment.intent.clone(), payment.clone());
        let done = Refund { progress: Progress::Succeeded, ..refund.clone() };
        self.refunds.insert(done.id.clone(), done.clone());
        let fewer = json!({ "amount_refunded": before, "refunded": false });
        Ok(vec![
            self.event("refund.created", now, &documents::refund(self, &refund)),
            self.event_after("charge.refunded", now, &documents::charge(&payment), fewer),
            self.event_after("refund.updated", now, &documents::refund(self, &done), json!({ "status": "pending" })),
        ])
    }

    /// The buyer's bank does not take the money: it is the vendor's again.
    pub(super) fn fail_refund(&mut self, payment: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let payment = self.collected(payment)?;
        let of_payment = |refund: &&Refund| refund.payment == payment.intent && refund.progress == Progress::Succeeded;
        let Some(refund) = self.refunds.values().filter(of_payment).max_by_key(|refund| refund.created).cloned() else {
            let mut events = self.refund(&payment.intent, None, now)?;
            events.extend(self.fail_refund(&payment.intent, now)?);
            return Ok(events);
        };
        let before = json!({ "amount_refunded": payment.refunded, "refunded": payment.refunded >= payment.amount });
        let payment = Payment { refunded: payment.refunded - refund.amount, ..payment };
        self.payments.insert(payment.intent.clone(), payment.clone());
        let failed = Refund { progress: Progress::Failed, ..refund };
        self.refunds.insert(failed.id.clone(), failed.clone());
        // A charge is known by its latest word, and two of one second have no order.
        let told_at = now.max(failed.created + 1);
        Ok(vec![
            self.event("refund.failed", told_at, &documents::refund(self, &failed)),
            self.event_after("charge.updated", told_at, &documents::charge(&payment), before),
        ])
    }

    /// A dispute that ends without having been opened is opened first.
    pub(super) fn dispute(&mut self, payment: &str, outcome: Outcome, now: i64) -> Result<Vec<Event>, Impossible> {
        let payment = self.collected(payment)?;
        let before = self.disputes.get(&payment.intent).map(|dispute| dispute.outcome);
        if before >= Some(outcome) {
            return impossible(format!("{} is disputed already", payment.intent));
        }
        let id = format!("dp_{}", payment.charge.trim_start_matches("ch_"));
        let mut dispute = Dispute { id, payment: payment.intent.clone(), created: now, outcome };
        let mut steps = Vec::new();
        match (before, outcome) {
            (None, Outcome::Inquiry) => steps.push(("charge.dispute.created", outcome)),
            (None, _) => steps.push(("charge.dispute.created", Outcome::Open)),
            (Some(Outcome::Inquiry), _) => steps.push(("charge.dispute.updated", Outcome::Open)),
            (Some(_), _) => {}
        }
        if outcome > Outcome::Open {
            steps.push(("charge.dispute.closed", outcome));
        }
        let mut events = Vec::new();
        for (kind, outcome) in steps {
            dispute.outcome = outcome;
            events.push(self.event(kind, now, &documents::dispute(&payment, &dispute)));
        }
        self.disputes.insert(payment.intent, dispute);
        Ok(events)
    }

    /// A payment of which the money is there.
    fn collected(&self, payment: &str) -> Result<Payment, Impossible> {
        match self.payments.get(payment) {
            None => impossible(format!("there is no payment {payment}")),
            Some(payment) if payment.progress != Progress::Succeeded => {
                impossible(format!("the money of {} did not come", payment.intent))
            }
            Some(payment) => Ok(payment.clone()),
        }
    }
}
