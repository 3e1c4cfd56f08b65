//! Payments for subscriptions whose provider tells what was paid and when, and apart from that until when a subscription
//! is paid, but not which payment paid for which period.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Order, Period};
use crate::{
    join::{Join, Partition, keep_larger},
    money::{Currency, Money},
    text::Reference,
    time::{after, days},
};

/// What was paid is good for this long while nobody knows its period.
pub(crate) const PROVISIONAL: SignedDuration = days(3);

/// A renewal may be collected this long before the period ends that it follows.
const COLLECTED_EARLY: SignedDuration = SignedDuration::from_hours(12);

/// A payment for a subscription that does not tell which period it paid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Collected {
    /// For which subscription.
    pub subscription: Reference,
    /// How much.
    pub total: Money,
    /// When it was collected.
    #[serde(with = "crate::time::micros")]
    pub at: Timestamp,
    /// It paid for a change. As a rule that is for the rest of a period that was paid already; with another interval a new
    /// period begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub change: bool,
}

impl Join for Collected {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
    }
}

impl Order {
    /// The order with each paid period under the name of the payment that paid it, so that a refund of the payment finds
    /// it: of a subscription's payments, the last one before the period's end and after the end of the one before. It is
    /// found anew each time, since a period in between may still become known. A payment later than all of them paid for
    /// one that nobody told of, which lasts provisionally.
    #[must_use]
    pub fn with_payments_of_periods(&self) -> Cow<'_, Self> {
        if self.collected.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut order = self.clone();
        order.periods.clear();
        for (told, period) in &self.periods {
            let (name, total) = match self.payment_of(period) {
                Some((payment, total)) if total.minor >= period.total.minor => (payment, total),
                Some((payment, _)) => (payment, period.total),
                None => (told, period.total),
            };
            let paid = Period { total, ..period.clone() };
            // Two subscriptions that one payment started are two periods: the second keeps the name it was told by.
            let name = if order.periods.contains_key(name) { told } else { name };
            order.payments.join(Partition::group([told.clone(), name.clone()]));
            order.periods.insert(name.clone(), paid);
        }
        for (name, paid) in self.ahead_of_periods() {
            let granted = self.subscriptions.get(&paid.subscription).and_then(|register| register.value.granted_until);
            let until = after(paid.at, PROVISIONAL).max(granted.unwrap_or(paid.at));
            let period = Period { subscription: paid.subscription.clone(), until, total: self.total_of(name, paid) };
            order.periods.insert(name.clone(), period);
        }
        Cow::Owned(order)
    }

    /// Payments of subscriptions that were made after the end of every period that is known.
    pub(crate) fn ahead_of_periods(&self) -> impl Iterator<Item = (&Reference, &Collected)> {
        let regular = self.collected.iter().filter(|(_, paid)| paid.is_of_a_period());
        regular.filter(|(_, paid)| self.end_of_what_was_paid(paid).is_none())
    }

    /// Whether money was collected for a period of that subscription.
    pub(crate) fn is_collected_for(&self, subscription: &Reference) -> bool {
        self.collected.values().any(|paid| paid.subscription == *subscription && paid.is_of_a_period())
    }

    /// The payment that paid a period, and what it came to under any of its names. What a change cost pays for one that no
    /// other payment explains.
    fn payment_of(&self, period: &Period) -> Option<(&Reference, Money)> {
        let (name, paid) = self.regular_payment_of(period).or_else(|| {
            let changes = self.collected_for(&period.subscription, true);
            let paid_it = changes.filter(|(_, paid)| self.end_of_what_a_change_paid(paid) == Some(period.until));
            paid_it.max_by_key(|(name, paid)| (paid.at, paid.total, *name))
        })?;
        Some((name, self.total_of(name, paid)))
    }

    fn regular_payment_of(&self, period: &Period) -> Option<(&Reference, &Collected)> {
        let regular = self.collected_for(&period.subscription, false);
        let paid_it = regular.filter(|(_, paid)| self.end_of_what_was_paid(paid) == Some(period.until));
        paid_it.max_by_key(|(name, paid)| (paid.at, paid.total, *name))
    }

    fn collected_for(
        &self,
        subscription: &Reference,
        change: bool,
    ) -> impl Iterator<Item = (&Reference, &Collected)> + use<'_> {
        let subscription = subscription.clone();
        self.collected.iter().filter(move |(_, paid)| paid.subscription == subscription && paid.change == change)
    }

    fn total_of(&self, payment: &Reference, paid: &Collected) -> Money {
        let collected = self.collected.iter().map(|(name, paid)| (name, paid.total));
        let bought = self.purchases.iter().map(|(name, purchase)| (name, purchase.total));
        let same = collected.chain(bought).filter(|(name, _)| self.payments.same(name, payment));
        same.map(|(_, total)| total).max().unwrap_or(paid.total)
    }

    fn end_of_what_was_paid(&self, paid: &Collected) -> Option<Timestamp> {
        self.periods_after(paid).map(|period| period.until).min()
    }

    fn end_of_what_a_change_paid(&self, paid: &Collected) -> Option<Timestamp> {
        let unexplained = self.periods_after(paid).filter(|period| self.regular_payment_of(period).is_none());
        unexplained.map(|period| period.until).min()
    }

    fn periods_after(&self, paid: &Collected) -> impl Iterator<Item = &Period> {
        self.periods
            .values()
            .filter(|period| period.subscription == paid.subscription && period.until > after(paid.at, COLLECTED_EARLY))
    }
}

impl Collected {
    /// A payment of which only a subscription tells, without its money, may not have been made yet.
    fn is_of_a_period(&self) -> bool {
        !self.change && self.total.currency != Currency::NONE
    }
}
