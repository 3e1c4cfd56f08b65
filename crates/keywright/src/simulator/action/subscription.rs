//! What becomes of a subscription.

use super::{
    super::{
        account::{
            Account, Billing, Buyer, Event, Invoice, InvoiceLine, Item, Payment, Progress, Status, Subscription,
            month_after,
        },
        dialect::Thing,
        happening::Happening,
    },
    Impossible, impossible,
};

impl Account {
    pub(super) fn end_trial(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        if self.running(id)?.status != Status::Trialing {
            return impossible(format!("{id} is in no trial"));
        }
        self.renew(id, now)
    }

    pub(super) fn renew(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        self.collected_for(id)?;
        self.renew_by(id, false, now)
    }

    pub(super) fn pay_out_of_band(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        self.renew_by(id, true, now)
    }

    fn renew_by(&mut self, id: &str, other_means: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if subscription.cancel_at_period_end {
            return impossible(format!("{id} is cancelled and will not renew"));
        }
        let now = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        // An overdue month is paid by its own invoice; only after that comes the next month.
        subscription.status = Status::Active;
        let invoice = match self.open_invoice(&subscription).cloned() {
            Some(invoice) => invoice,
            None => self.next_period(&mut subscription, now),
        };
        let invoice = if other_means {
            let paid = Invoice { is_paid_out_of_band: true, ..invoice };
            self.invoices.insert(paid.id.clone(), paid.clone());
            paid
        } else {
            self.settle(invoice, now).0
        };
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(self.tell(&Happening::Renewed { before, invoice: invoice.id }, now))
    }

    pub(super) fn fail_payment(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.collected_for(id)?;
        if subscription.status == Status::PastDue {
            return impossible(format!("{id} is overdue already"));
        }
        let now = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        subscription.status = Status::PastDue;
        let invoice = self.next_period(&mut subscription, now);
        let id = invoice.id.clone();
        self.invoices.insert(id.clone(), invoice);
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(self.tell(&Happening::PaymentFailed { before, invoice: id }, now))
    }

    pub(super) fn change(
        &mut self,
        id: &str,
        (price, quantity): (&str, u32),
        now: i64,
    ) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        let Some(old) = subscription.items.first().cloned() else { return impossible(format!("{id} has no items")) };
        let new = Item { id: old.id.clone(), price: price.to_owned(), quantity };
        if new == old {
            return impossible(format!("{id} is for {quantity} of {price} already"));
        }
        let now = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        let (credit, rest) = (-self.cost(&old), self.cost(&new));
        subscription.items[0] = new.clone();
        // What became cheaper is credited to the next invoice, and a trial costs nothing: there is none now.
        let is_billed = credit + rest > 0 && subscription.status != Status::Trialing;
        let invoice = is_billed.then(|| {
            let lines = vec![(old, credit, true), (new, rest, true)];
            let period = (now, subscription.period_end);
            let invoice = self.bill(&subscription, Billing::Update, lines, period, now);
            self.settle(invoice, now).0.id
        });
        if let Some(invoice) = &invoice {
            subscription.latest_invoice.clone_from(invoice);
        }
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(self.tell(&Happening::Changed { before, invoice }, now))
    }

    pub(super) fn cancel(&mut self, id: &str, at_once: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if subscription.cancel_at_period_end && !at_once {
            return impossible(format!("{id} is cancelled already"));
        }
        let told_at = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        subscription.canceled_at = Some(now);
        if at_once {
            subscription.status = Status::Canceled;
            subscription.ended_at = Some(now);
        } else {
            subscription.cancel_at_period_end = true;
        }
        self.subscriptions.insert(subscription.id.clone(), subscription);
        let happening = if at_once { Happening::Ended { before } } else { Happening::CancelScheduled { before } };
        Ok(self.tell(&happening, told_at))
    }

    /// Only while it runs: what has ended is bought anew.
    pub(super) fn uncancel(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if !subscription.cancel_at_period_end {
            return impossible(format!("{id} is not cancelled"));
        }
        if subscription.period_end <= now {
            return impossible(format!("{id} has ended with what was paid"));
        }
        let told_at = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        subscription.cancel_at_period_end = false;
        subscription.canceled_at = None;
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(self.tell(&Happening::CancelUndone { before }, told_at))
    }

    pub(super) fn pause(&mut self, id: &str, pauses: bool, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        if subscription.is_uncollected && subscription.status != Status::Paused && !pauses {
            return Ok(self.collect(subscription, true, now));
        }
        if (subscription.status == Status::Paused) == pauses {
            return impossible(format!("{id} is {} already", subscription.status.as_str()));
        }
        let told_at = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        subscription.status = match (pauses, self.open_invoice(&subscription)) {
            (true, _) => Status::Paused,
            // What was owed before is owed after.
            (false, Some(_)) => Status::PastDue,
            (false, None) => Status::Active,
        };
        self.subscriptions.insert(subscription.id.clone(), subscription);
        let happening = if pauses { Happening::Paused { before } } else { Happening::Resumed { before } };
        Ok(self.tell(&happening, told_at))
    }
}

/// Collecting, which Stripe lets stop by itself, and what is billed beside the months.
impl Account {
    pub(super) fn pause_collection(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let subscription = self.collected_for(id)?;
        Ok(self.collect(subscription, false, now))
    }

    /// Collects for it from now on, or does not.
    fn collect(&mut self, mut subscription: Subscription, collects: bool, now: i64) -> Vec<Event> {
        let told_at = subscription.next_moment(now);
        let before = Box::new(subscription.clone());
        subscription.is_uncollected = !collects;
        self.subscriptions.insert(subscription.id.clone(), subscription);
        self.tell(&Happening::CollectionPaused { before }, told_at)
    }

    /// It is about the first item once more, and pays no month of it.
    pub(super) fn bill_by_hand(&mut self, id: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let mut subscription = self.running(id)?;
        let Some(item) = subscription.items.first().cloned() else { return impossible(format!("{id} has no items")) };
        let now = subscription.next_moment(now);
        let cost = self.cost(&item);
        let invoice = self.bill(&subscription, Billing::Manual, vec![(item, cost, false)], (now, now), now);
        let (invoice, _) = self.settle(invoice, now);
        self.subscriptions.insert(subscription.id.clone(), subscription);
        Ok(self.tell(&Happening::BilledByHand { invoice: invoice.id }, now))
    }

    /// One that runs and for which money is collected.
    fn collected_for(&self, id: &str) -> Result<Subscription, Impossible> {
        match self.running(id)? {
            one if one.is_uncollected => impossible(format!("nothing is collected for {id}; resume that first")),
            one => Ok(one),
        }
    }
}

/// The parts that they share.
impl Account {
    fn running(&self, id: &str) -> Result<Subscription, Impossible> {
        match self.subscriptions.get(id) {
            None => impossible(format!("there is no subscription {id}")),
            Some(subscription) if subscription.status == Status::Canceled => impossible(format!("{id} has ended")),
            Some(subscription) => Ok(subscription.clone()),
        }
    }

    /// What is owed of it: the month that was not paid.
    fn open_invoice(&self, subscription: &Subscription) -> Option<&Invoice> {
        self.invoices.values().find(|invoice| invoice.subscription == subscription.id && !invoice.is_paid())
    }

    /// Moves on to the next month that is not over, and bills it. What nobody played of the time in between is left out.
    fn next_period(&mut self, subscription: &mut Subscription, now: i64) -> Invoice {
        let (mut start, mut end) = (subscription.period_end, month_after(subscription.period_end));
        // Where the calendar ends there is no later month.
        while end <= now && end > start {
            (start, end) = (end, month_after(end));
        }
        (subscription.period_start, subscription.period_end) = (start, end);
        self.bill_period(subscription, Billing::Cycle, now)
    }

    pub(super) fn bill_period(&mut self, subscription: &mut Subscription, billing: Billing, now: i64) -> Invoice {
        // A trial is a period that costs nothing.
        let cost = |item: &Item| if subscription.status == Status::Trialing { 0 } else { self.cost(item) };
        let lines = subscription.items.iter().map(|item| (item.clone(), cost(item), false)).collect();
        let period = (subscription.period_start, subscription.period_end);
        let invoice = self.bill(subscription, billing, lines, period, now);
        subscription.latest_invoice.clone_from(&invoice.id);
        invoice
    }

    /// Writes an invoice; each line is an item, what it costs, and whether it corrects the running period.
    fn bill(
        &mut self,
        subscription: &Subscription,
        billing: Billing,
        lines: Vec<(Item, i64, bool)>,
        (start, end): (i64, i64),
        now: i64,
    ) -> Invoice {
        let lines: Vec<InvoiceLine> = lines
            .into_iter()
            .map(|(item, amount, proration)| InvoiceLine {
                id: self.id(Thing::InvoiceLine),
                item,
                amount,
                start,
                end,
                proration,
            })
            .collect();
        Invoice {
            id: self.id(Thing::Invoice),
            created: now,
            subscription: subscription.id.clone(),
            customer: subscription.customer.clone(),
            billing,
            total: lines.iter().map(|line| line.amount).sum(),
            lines,
            payment: None,
            is_paid_out_of_band: false,
            link: self.id(Thing::InvoicePayment),
        }
    }

    /// Collects the money for an invoice, if it asks for any, and keeps it.
    pub(super) fn settle(&mut self, invoice: Invoice, now: i64) -> (Invoice, Option<Payment>) {
        let nobody = || Buyer { email: String::new(), name: String::new() };
        let buyer = self.customers.get(&invoice.customer).map_or_else(nobody, |customer| customer.buyer.clone());
        let customer = Some(invoice.customer.clone());
        let payment = (invoice.total > 0).then(|| self.pay(invoice.total, &buyer, customer, Progress::Succeeded, now));
        let invoice = Invoice { payment: payment.as_ref().map(|payment| payment.intent.clone()), ..invoice };
        self.invoices.insert(invoice.id.clone(), invoice.clone());
        (invoice, payment)
    }
}

impl Subscription {
    /// The moment of its next event: now, and never the second of the one before.
    pub(super) fn next_moment(&mut self, now: i64) -> i64 {
        self.told_at = now.max(self.told_at + 1);
        self.told_at
    }
}
