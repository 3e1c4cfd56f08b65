//! What a sale says that is not known of its order, of what was paid and of what gives licenses: what nobody has, should nobody
//! listen to it.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::{Line, Order, PurchaseState};
use crate::{
    join::{Join, Register},
    money::{Currency, Money},
    reason::day,
    text::Reference,
};

/// Something that was paid, as one event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untold {
    /// A purchase, with the lines that are told of it; none: it does not say what was bought.
    Purchase {
        /// What was paid.
        total: Money,
        /// What was bought.
        lines: Vec<Line>,
    },
    /// Time that a subscription was paid for.
    Time {
        /// What was paid.
        total: Money,
        /// Until when; none: the payment does not tell.
        until: Option<Timestamp>,
    },
}

impl Order {
    /// What this says was paid and `known`, which is what is known of the same sale, does not have.
    #[must_use]
    pub fn untold(&self, known: Option<&Self>) -> Vec<Untold> {
        let nothing = Self::default();
        let known = known.unwrap_or(&nothing);
        let is_paid = |state| state == PurchaseState::Paid;
        let purchases = self.purchases.iter().filter(|(name, purchase)| {
            is_paid(purchase.state) && !known.purchases.get(*name).is_some_and(|there| is_paid(there.state))
        });
        let purchases = purchases.map(|(_, purchase)| Untold::Purchase {
            total: purchase.total,
            lines: purchase.lines.told().unwrap_or_default().to_vec(),
        });
        let periods = self.periods.iter().filter(|(name, _)| !known.periods.contains_key(*name));
        let periods = periods.map(|(_, period)| Untold::Time { total: period.total, until: Some(period.until) });
        let collected = self.collected.iter().filter(|(name, _)| !known.collected.contains_key(*name));
        let collected = collected.map(|(_, payment)| Untold::Time { total: payment.total, until: None });
        purchases.chain(periods).chain(collected).collect()
    }

    /// Whether this says something that licenses are made of, and `known`, which is what is known of the same sale, does not:
    /// of a purchase and its lines, of a subscription and what it is for, of paid time, or of a key. Not all of that was
    /// paid for: a trial is nobody's money, and a key is told apart from what it is for.
    #[must_use]
    pub fn says_more_than(&self, known: Option<&Self>) -> bool {
        let known = known.cloned().unwrap_or_default();
        let mut both = known.clone();
        both.join(self.clone());
        both.purchases != known.purchases
            || both.periods != known.periods
            || both.collected != known.collected
            || both.keys != known.keys
            || !are_alike(&both.subscriptions, &known.subscriptions)
            || !are_alike(&both.items, &known.items)
    }
}

/// Whether two say the same, whenever each was told.
fn are_alike<T: PartialEq>(one: &BTreeMap<Reference, Register<T>>, other: &BTreeMap<Reference, Register<T>>) -> bool {
    let values = |map| BTreeMap::iter(map).map(|(name, register): (&Reference, &Register<T>)| (name, &register.value));
    values(one).eq(values(other))
}

impl fmt::Display for Untold {
    /// What whoever paid does not get.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paid = |total: &Money| match total.currency {
            Currency::NONE => "something was bought".to_owned(),
            _ => format!("{total} were paid"),
        };
        match self {
            Self::Purchase { total, lines } if lines.is_empty() => {
                write!(formatter, "{}, and the buyer gets no license and no mail with a key", paid(total))
            }
            Self::Purchase { total, lines } => {
                let name = |line: &Line| {
                    let called = line.description.as_deref().unwrap_or(line.price.as_str());
                    format!("{} × {called}", line.quantity)
                };
                let names = lines.iter().map(name).collect::<Vec<_>>().join(" and ");
                write!(formatter, "{} for {names}, and the buyer gets no license and no mail with a key", paid(total))
            }
            Self::Time { total, until: Some(until) } => {
                write!(formatter, "{} for the time until {}, and the license does not get it", paid(total), day(*until))
            }
            Self::Time { total, until: None } => {
                write!(formatter, "{} for a subscription, and the license gets no time for it", paid(total))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        join::Stamp,
        order::{Collected, Lines, Period, ProviderKey, Purchase, Subscription, SubscriptionStatus},
        text::PriceReference,
    };

    fn sale(state: PurchaseState, lines: &[(&str, u32)]) -> Order {
        let line = |(price, quantity): &(&str, u32)| Line {
            line: Reference::new("1"),
            price: PriceReference::new(*price),
            product: None,
            quantity: *quantity,
            recurring: false,
            named: None,
            description: None,
        };
        let purchase = Purchase {
            lines: Lines::Known(lines.iter().map(line).collect()),
            state,
            total: Money::new(4_900, Currency::parse("EUR")),
            at: Timestamp::UNIX_EPOCH,
            subscriptions: [].into(),
            silent: false,
            ends: None,
        };
        Order { purchases: [(Reference::new("cs_1"), purchase)].into(), ..Order::default() }
    }

    fn renewal() -> Order {
        let (subscription, total) = (Reference::new("sub_1"), Money::new(900, Currency::parse("EUR")));
        let until = "2026-12-24T00:00:00Z".parse().unwrap();
        Order {
            periods: [(Reference::new("in_1"), Period { subscription: subscription.clone(), until, total })].into(),
            collected: [(Reference::new("in_2"), Collected { subscription, total, at: until, change: false })].into(),
            ..Order::default()
        }
    }

    #[test]
    fn whoever_paid_goes_without_what_nobody_else_told_of() {
        let paid = || sale(PurchaseState::Paid, &[("pro", 2), ("care", 1)]);
        let goes_without =
            "49.00 EUR were paid for 2 × pro and 1 × care, and the buyer gets no license and no mail with a key";
        for (told, known, untold) in [
            (paid(), None, vec![goes_without]),
            (paid(), Some(sale(PurchaseState::Pending, &[])), vec![goes_without]),
            (paid(), Some(paid()), vec![]),
            (sale(PurchaseState::Pending, &[("pro", 1)]), None, vec![]),
            (
                sale(PurchaseState::Paid, &[]),
                None,
                vec!["49.00 EUR were paid, and the buyer gets no license and no mail with a key"],
            ),
            (
                renewal(),
                Some(paid()),
                vec![
                    "9.00 EUR were paid for the time until 2026-12-24, and the license does not get it",
                    "9.00 EUR were paid for a subscription, and the license gets no time for it",
                ],
            ),
            (renewal(), Some(renewal()), vec![]),
            (Order::default(), None, vec![]),
        ] {
            let words: Vec<String> = told.untold(known.as_ref()).iter().map(ToString::to_string).collect();
            assert_eq!(words, untold, "{told:?}");
        }
    }

    fn trial(status: SubscriptionStatus, quantity: u32, told_at: i64) -> Order {
        let stamp = Stamp::at(Timestamp::from_second(told_at).unwrap());
        let sold = sale(PurchaseState::Paid, &[("pro", quantity)]).purchases.remove("cs_1").unwrap();
        let snapshot = Subscription {
            status,
            granted_until: None,
            trial_until: None,
            cancel_at: None,
            ended_at: None,
            covers: None,
        };
        Order {
            subscriptions: [(Reference::new("sub_1"), Register::new(stamp, snapshot))].into(),
            items: [(Reference::new("sub_1"), Register::new(stamp, sold.lines.told().unwrap().to_vec()))].into(),
            ..Order::default()
        }
    }

    #[test]
    fn what_licenses_are_made_of_is_more_than_what_was_paid() {
        let key = || ProviderKey { line: Reference::new("1"), told_by: "evt_1".into() };
        let keyed = || Order { keys: [(Reference::new("key_1"), key())].into(), ..Order::default() };
        let mut unknown_lines = sale(PurchaseState::Paid, &[]);
        unknown_lines.purchases.get_mut("cs_1").unwrap().lines = Lines::Unknown { recurring: false, named: None };
        let paid = || sale(PurchaseState::Paid, &[("pro", 1)]);
        let trialing = |quantity, at| trial(SubscriptionStatus::Trialing, quantity, at);
        for (told, known, says_more) in [
            (keyed(), Some(paid()), true),
            (keyed(), Some(keyed()), false),
            (trialing(1, 1), None, true),
            (trialing(2, 2), Some(trialing(1, 1)), true),
            (trialing(1, 2), Some(trialing(1, 1)), false),
            (trialing(2, 1), Some(trialing(1, 2)), false),
            (trial(SubscriptionStatus::Active, 1, 2), Some(trialing(1, 1)), true),
            (paid(), Some(unknown_lines.clone()), true),
            (unknown_lines, Some(paid()), false),
            (sale(PurchaseState::Pending, &[("pro", 1)]), None, true),
            (renewal(), Some(paid()), true),
            (renewal(), Some(renewal()), false),
            (Order { references: [Reference::new("cs_1")].into(), ..Order::default() }, None, false),
        ] {
            assert_eq!(told.says_more_than(known.as_ref()), says_more, "{told:?} after {known:?}");
        }
    }
}
