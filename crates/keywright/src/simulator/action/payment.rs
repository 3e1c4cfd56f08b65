//! Money that goes back, and money that is questioned.

use super::{
    super::{
        account::{Account, Dispute, Event, Outcome, Payment, Progress, Refund},
        dialect::Thing,
        happening::Happening,
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
        let id = self.id(Thing::Refund);
        // A payment is known by its latest word, and two of one second have no order.
        let sales = self.sessions.values().filter(|session| session.payment.as_ref() == Some(&payment.intent));
        let words =
            sales.map(|session| session.told_at).chain(self.latest_refund(&payment.intent).map(|it| it.created));
        let told_at = words.max().map_or(now, |latest| now.max(latest + 1));
        let (of, progress) = (payment.intent.clone(), Progress::Succeeded);
        let refund = Refund { id: id.clone(), payment: of.clone(), amount, created: told_at, progress };
        self.refunds.insert(id.clone(), refund);
        self.payments.insert(of, Payment { refunded: payment.refunded + amount, ..payment });
        Ok(self.tell(&Happening::Refunded { refund: id }, told_at))
    }

    /// The buyer's bank does not take the money: it is the vendor's again.
    pub(super) fn fail_refund(&mut self, payment: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let payment = self.collected(payment)?;
        let Some(refund) = self.latest_refund(&payment.intent).cloned() else {
            return impossible(format!("nothing went back of {} that could come again", payment.intent));
        };
        let (id, told_at) = (refund.id.clone(), now.max(refund.created + 1));
        self.payments.insert(payment.intent.clone(), Payment { refunded: payment.refunded - refund.amount, ..payment });
        self.refunds.insert(id.clone(), Refund { progress: Progress::Failed, ..refund });
        Ok(self.tell(&Happening::RefundFailed { refund: id }, told_at))
    }

    /// The latest refund of a payment that did not fail.
    pub(crate) fn latest_refund(&self, payment: &str) -> Option<&Refund> {
        let counts = |refund: &&Refund| refund.payment == payment && refund.progress == Progress::Succeeded;
        self.refunds.values().filter(counts).max_by_key(|refund| refund.created)
    }

    /// A dispute goes one way: an inquiry, the dispute itself, how it ended.
    pub(super) fn dispute(&mut self, payment: &str, outcome: Outcome, now: i64) -> Result<Vec<Event>, Impossible> {
        let payment = self.collected(payment)?;
        let before = self.disputes.get(&payment.intent).map(|dispute| dispute.outcome);
        if before >= Some(outcome) {
            return impossible(format!("{} is disputed already", payment.intent));
        }
        let id = match self.disputes.get(&payment.intent) {
            Some(dispute) => dispute.id.clone(),
            None => self.id(Thing::Dispute),
        };
        let dispute = Dispute { id, payment: payment.intent.clone(), created: now, outcome };
        let payment = payment.intent;
        self.disputes.insert(payment.clone(), dispute);
        Ok(self.tell(&Happening::Disputed { payment, before }, now))
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
