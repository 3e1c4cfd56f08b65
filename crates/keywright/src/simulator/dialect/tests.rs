//! Whatever happens in an account is understood by the server's module for its provider.

use std::collections::BTreeSet;

use domain::order::{DisputeState, Lines, PurchaseState, SubscriptionStatus};
use jiff::Timestamp;
use providers::Level;

use super::{
    DIALECTS, Dialect, Question,
    testing::{NOW, Prices, addresses, buyer, checkout, order, payment, shop, subscribed},
};
use crate::simulator::{
    account::{Billing, Outcome, Status, month_after},
    action::{Action, Paying},
};

/// Those that have subscriptions.
fn each() -> impl Iterator<Item = (&'static str, &'static dyn Dialect)> {
    DIALECTS.iter().filter(|dialect| !dialect.sells_for_good()).map(|dialect| (dialect.slug(), *dialect))
}

fn second(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_second)
}

#[test]
fn the_same_account_does_the_same() {
    for (slug, dialect) in each() {
        let (mut one, mut other) = (shop(dialect), shop(dialect));
        let action = checkout(dialect, 1, Paying::AtOnce);
        assert_eq!(one.step(&action, NOW), other.step(&action, NOW), "{slug}");
        assert_ne!(one.step(&action, NOW).unwrap()[0].id, other.sales[0].events[0].id, "{slug}");
    }
}

#[test]
fn a_checkout_is_a_paid_purchase_of_its_lines() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let events = account.step(&checkout(dialect, 2, Paying::AtOnce), NOW).unwrap();
        let order = order(&account, &events, Level::Read);
        let (_, purchase) = order.purchases.first_key_value().unwrap();
        assert_eq!((purchase.total.minor, purchase.state), (9_800, PurchaseState::Paid), "{slug}");
        let Lines::Known(lines) = &purchase.lines else { panic!("{slug}: {:?}", purchase.lines) };
        let once = Prices::of(dialect).once;
        assert_eq!((lines[0].price.as_str(), lines[0].quantity), (once.as_str(), 2), "{slug}");
        assert!(
            order.references.contains(dialect.sale(&account.sessions[&account.sales[0].session]).as_str()),
            "{slug}"
        );
        assert_eq!(addresses(&account, &events, Level::Read).last().unwrap(), "ada@example.com", "{slug}");
    }
}

#[test]
fn what_costs_nothing_is_bought_all_the_same() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let events = account.step(&checkout(dialect, 1, Paying::Nothing), NOW).unwrap();
        let order = order(&account, &events, Level::Read);
        let (_, purchase) = order.purchases.first_key_value().unwrap();
        assert_eq!((purchase.total.minor, purchase.state), (0, PurchaseState::Paid), "{slug}");
    }
}

#[test]
fn several_lines_are_one_sale() {
    for (slug, dialect) in each() {
        if dialect.refuses("--also").is_some() {
            continue;
        }
        let mut account = shop(dialect);
        let Prices { small, large, .. } = Prices::of(dialect);
        let action =
            Action::Subscribe { buyer: buyer(), lines: vec![(small, 1), (large, 3)], plan: None, trial_days: 0 };
        let events = account.step(&action, NOW).unwrap();
        let order = order(&account, &events, Level::Read);
        let quantities: Vec<u32> =
            order.items.values().flat_map(|items| &items.value).map(|line| line.quantity).collect();
        assert_eq!(quantities, [1, 3], "{slug}");
    }
}

#[test]
fn a_subscription_is_one_sale_with_a_paid_month() {
    for (slug, dialect) in each() {
        for level in [Level::None, Level::Read, Level::Full] {
            let mut account = shop(dialect);
            let (_, events) = subscribed(&mut account, 0);
            let order = order(&account, &events, level);
            let (_, period) = order.periods.first_key_value().unwrap();
            assert_eq!(period.total.minor, 900, "{slug} {level:?}");
            assert_eq!(period.until.as_second(), month_after(NOW.as_second()), "{slug} {level:?}");
            assert_eq!((order.subscriptions.len(), order.items.len()), (1, 1), "{slug} {level:?}");
            assert!(order.purchases.len() <= 1, "{slug} {level:?}");
        }
    }
}

#[test]
fn a_renewal_pays_the_next_month() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        events.extend(account.step(&Action::Renew { subscription }, NOW).unwrap());
        let order = order(&account, &events, Level::None);
        let ends: BTreeSet<i64> = order.periods.values().map(|period| period.until.as_second()).collect();
        let first = month_after(NOW.as_second());
        assert_eq!(ends, [first, month_after(first)].into(), "{slug}");
    }
}

#[test]
fn what_is_renewed_late_is_paid_for_the_month_of_now() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, _) = subscribed(&mut account, 0);
        let late = domain::time::after(NOW, jiff::SignedDuration::from_hours(24 * 400));
        account.step(&Action::Renew { subscription: subscription.clone() }, late).unwrap();
        let kept = &account.subscriptions[&subscription];
        assert!(kept.period_start <= late.as_second() && late.as_second() < kept.period_end, "{slug}");
    }
}

#[test]
fn a_trial_costs_nothing_and_ends_with_a_paid_month() {
    for (slug, dialect) in each() {
        if dialect.refuses("trial").is_some() {
            continue;
        }
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 14);
        let trial_end = NOW.as_second() + 14 * 86_400;
        let before = order(&account, &events, Level::None);
        let (_, state) = before.subscriptions.first_key_value().unwrap();
        assert_eq!(state.value.status, SubscriptionStatus::Trialing, "{slug}");
        assert_eq!(second(state.value.trial_until), Some(trial_end), "{slug}");
        assert_eq!(before.purchases.values().map(|purchase| purchase.total.minor).sum::<i64>(), 0, "{slug}");
        let end = Action::EndTrial { subscription };
        events.extend(account.step(&end, NOW).unwrap());
        let after = order(&account, &events, Level::None);
        let paid: Vec<_> =
            after.periods.values().map(|period| (period.until.as_second(), period.total.minor)).collect();
        assert!(paid.contains(&(month_after(trial_end), 900)), "{slug}: {paid:?}");
        assert!(account.step(&end, NOW).is_err(), "{slug}");
    }
}

#[test]
fn an_overdue_month_is_paid_before_the_next_one() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        let fail = Action::FailPayment { subscription: subscription.clone() };
        events.extend(account.step(&fail, NOW).unwrap());
        assert!(account.step(&fail, NOW).is_err(), "{slug}");
        let overdue = order(&account, &events, Level::None);
        let (_, state) = overdue.subscriptions.first_key_value().unwrap();
        assert_eq!(state.value.status, SubscriptionStatus::PastDue, "{slug}");
        let end = account.subscriptions[&subscription].period_end;
        events.extend(account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap());
        let renewed = &account.subscriptions[&subscription];
        assert_eq!((renewed.status, renewed.period_end), (Status::Active, end), "{slug}");
        let paid = order(&account, &events, Level::None);
        let (_, state) = paid.subscriptions.first_key_value().unwrap();
        assert_eq!(state.value.status, SubscriptionStatus::Active, "{slug}");
        assert!(paid.periods.values().any(|period| period.until.as_second() == end), "{slug}");
    }
}

#[test]
fn an_upgrade_is_corrected_at_once_and_pays_no_month() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        let Prices { small, large, .. } = Prices::of(dialect);
        let upgrade = Action::Change { subscription: subscription.clone(), price: large.clone(), quantity: 1 };
        events.extend(account.step(&upgrade, NOW).unwrap());
        let order = order(&account, &events, Level::None);
        assert_eq!(order.periods.len(), 1, "{slug}");
        let (_, items) = order.items.first_key_value().unwrap();
        assert_eq!(items.value[0].price.as_str(), large, "{slug}");
        let downgrade = Action::Change { subscription, price: small, quantity: 1 };
        assert_eq!(account.step(&downgrade, NOW).unwrap().len(), 1, "{slug}: nothing is billed");
    }
}

#[test]
fn a_cancellation_is_scheduled_or_final() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        let cancel = |at_once| Action::Cancel { subscription: subscription.clone(), at_once };
        events.extend(account.step(&cancel(false), NOW).unwrap());
        let scheduled = order(&account, &events, Level::None);
        let (_, state) = scheduled.subscriptions.first_key_value().unwrap();
        assert_eq!(second(state.value.cancel_at), Some(month_after(NOW.as_second())), "{slug}");
        assert!(account.step(&cancel(false), NOW).is_err(), "{slug}");
        assert!(account.step(&Action::Renew { subscription: subscription.clone() }, NOW).is_err(), "{slug}");
        events.extend(account.step(&cancel(true), NOW).unwrap());
        let ended = order(&account, &events, Level::None);
        let (_, state) = ended.subscriptions.first_key_value().unwrap();
        assert_eq!(state.value.status, SubscriptionStatus::Ended, "{slug}");
        assert!(account.step(&cancel(true), NOW).is_err(), "{slug}");
    }
}

#[test]
fn a_cancellation_is_taken_back_while_it_runs() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        let uncancel = Action::Uncancel { subscription: subscription.clone() };
        assert!(account.step(&uncancel, NOW).is_err(), "{slug}: there is none");
        let cancel = |at_once| Action::Cancel { subscription: subscription.clone(), at_once };
        events.extend(account.step(&cancel(false), NOW).unwrap());
        let over = Timestamp::from_second(account.subscriptions[&subscription].period_end).unwrap();
        assert!(account.step(&uncancel, over).is_err(), "{slug}: it is too late");
        events.extend(account.step(&uncancel, NOW).unwrap());
        let runs = order(&account, &events, Level::None);
        let (_, state) = runs.subscriptions.first_key_value().unwrap();
        assert_eq!((state.value.status, state.value.cancel_at), (SubscriptionStatus::Active, None), "{slug}");
        assert!(account.step(&Action::Renew { subscription: subscription.clone() }, NOW).is_ok(), "{slug}");
        account.step(&cancel(true), NOW).unwrap();
        assert!(account.step(&uncancel, NOW).is_err(), "{slug}: it has ended");
    }
}

#[test]
fn what_is_paused_is_resumed() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        for (pauses, expected) in [(true, SubscriptionStatus::Paused), (false, SubscriptionStatus::Active)] {
            let action = Action::Pause { subscription: subscription.clone(), pauses };
            events.extend(account.step(&action, NOW).unwrap());
            let order = order(&account, &events, Level::None);
            let (_, state) = order.subscriptions.first_key_value().unwrap();
            assert_eq!(state.value.status, expected, "{slug}");
            assert!(account.step(&action, NOW).is_err(), "{slug}");
        }
    }
}

#[test]
fn what_was_overdue_before_a_pause_is_overdue_after_it() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        let pause = |pauses| Action::Pause { subscription: subscription.clone(), pauses };
        for action in [Action::FailPayment { subscription: subscription.clone() }, pause(true), pause(false)] {
            events.extend(account.step(&action, NOW).unwrap());
        }
        let overdue = order(&account, &events, Level::None);
        let (_, state) = overdue.subscriptions.first_key_value().unwrap();
        assert_eq!(state.value.status, SubscriptionStatus::PastDue, "{slug}");
        let (subscriptions, invoices) = (account.subscriptions.len(), account.invoices.len());
        events.extend(account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap());
        assert_eq!((account.subscriptions.len(), account.invoices.len()), (subscriptions, invoices), "{slug}");
        let paid = order(&account, &events, Level::None);
        let (_, state) = paid.subscriptions.first_key_value().unwrap();
        assert_eq!(state.value.status, SubscriptionStatus::Active, "{slug}");
    }
}

#[test]
fn refunds_add_up_to_the_payment() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let mut events = account.step(&checkout(dialect, 1, Paying::AtOnce), NOW).unwrap();
        let (payment, sale) = (payment(&account), dialect.sale(&account.sessions[&account.sales[0].session]));
        for (amount, expected) in [(Some(2_000), 2_000), (None, 4_900)] {
            let action = Action::Refund { payment: payment.clone(), amount };
            events.extend(account.step(&action, NOW).unwrap());
            let order = order(&account, &events, Level::Read);
            assert_eq!(order.refunded(&sale.as_str().into()), expected, "{slug}");
        }
        let nothing_left = Action::Refund { payment: payment.clone(), amount: None };
        assert!(account.step(&nothing_left, NOW).is_err(), "{slug}");
        // The later of the two fails, where one can.
        let fails = Action::FailRefund { payment: payment.clone() };
        if let Ok(failed) = account.step(&fails, NOW) {
            events.extend(failed);
            let left = order(&account, &events, Level::Read).refunded(&sale.as_str().into());
            assert!([2_000, 2_900].contains(&left), "{slug}: {left}");
            assert_eq!(account.payments[&payment].refunded, left, "{slug}");
        }
    }
}

#[test]
fn disputes_go_one_way() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let mut events = account.step(&checkout(dialect, 1, Paying::AtOnce), NOW).unwrap();
        let payment = payment(&account);
        for outcome in [Outcome::Inquiry, Outcome::Open, Outcome::Won] {
            let action = Action::Dispute { payment: payment.clone(), outcome };
            let Ok(told) = account.step(&action, NOW) else { continue };
            events.extend(told);
            assert!(account.step(&action, NOW).is_err(), "{slug} {outcome:?}");
            let order = order(&account, &events, Level::Read);
            // Where a dispute has several steps with names of their own, the last of them counts.
            let state = order.disputes.values().map(|dispute| dispute.state).max().unwrap();
            let expected: &[DisputeState] = match outcome {
                Outcome::Inquiry => &[DisputeState::Inquiry],
                // Paddle tells of one when the money is gone.
                Outcome::Open => &[DisputeState::Open, DisputeState::Lost],
                Outcome::Won | Outcome::Lost => &[DisputeState::Won],
            };
            assert!(expected.contains(&state), "{slug} {outcome:?}: {state:?}");
        }
    }
}

#[test]
fn the_last_payment_of_a_subscription_is_its_last_month() {
    for (slug, dialect) in each() {
        let mut account = shop(dialect);
        let (subscription, mut events) = subscribed(&mut account, 0);
        events.extend(account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap());
        let large = Prices::of(dialect).large;
        let upgrade = Action::Change { subscription: subscription.clone(), price: large, quantity: 1 };
        events.extend(account.step(&upgrade, NOW).unwrap());
        let payment = payment(&account);
        assert_eq!(account.invoice_of(&payment).unwrap().billing, Billing::Cycle, "{slug}");
        events.extend(account.step(&Action::Refund { payment, amount: None }, NOW).unwrap());
        let order = order(&account, &events, Level::Read);
        let last = order.periods.iter().max_by_key(|(_, period)| period.until).unwrap();
        assert_eq!(order.refunded(last.0), 900, "{slug}: the refund leads to the month that it paid");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    for (slug, dialect) in each() {
        for path in ["/v1/subscriptions/1", "/subscriptions/sub_none", "/customers/ctm_none", "/v1/nothing", "/"] {
            let question = Question { path, query: Vec::new() };
            assert_eq!(dialect.answer(&shop(dialect), Level::Full, &question).status, 404, "{slug} {path}");
        }
    }
}
