//! Payments for subscriptions whose provider tells what was paid and when, and apart from that until when a subscription
//! is paid, but not which payment paid for which period.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Order, Period};
use crate::{
    join::{Join, Partition, keep_larger},
    money::Money,
    text::Reference,
    time::after,
};

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
}

impl Join for Collected {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
    }
}

impl Order {
    /// The order with each paid period under the name of the payment that paid it, so that a refund of the payment finds
    /// it: of a subscription's payments, the last one before the period's end and after the end of the one before. It is
    /// found anew each time, since a period in between may still become known.
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
        Cow::Owned(order)
    }

    /// The payment that paid a period, and what it came to under any of its names.
    fn payment_of(&self, period: &Period) -> Option<(&Reference, Money)> {
        let of_it = self.collected.iter().filter(|(_, paid)| paid.subscription == period.subscription);
        let paid_it = of_it.filter(|(_, paid)| self.end_of_what_was_paid(paid) == Some(period.until));
        let (payment, paid) = paid_it.max_by_key(|(name, paid)| (paid.at, paid.total, *name))?;
        let collected = self.collected.iter().map(|(name, paid)| (name, paid.total));
        let bought = self.purchases.iter().map(|(name, purchase)| (name, purchase.total));
        let same = collected.chain(bought).filter(|(name, _)| self.payments.same(name, payment));
        Some((payment, same.map(|(_, total)| total).max().unwrap_or(paid.total)))
    }

    fn end_of_what_was_paid(&self, paid: &Collected) -> Option<Timestamp> {
        let later = |period: &&Period| {
            period.subscription == paid.subscription && period.until > after(paid.at, COLLECTED_EARLY)
        };
        self.periods.values().filter(later).map(|period| period.until).min()
    }
}
