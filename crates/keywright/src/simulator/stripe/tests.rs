//! What happens at the provider is understood by the module that reads the real one's events.

use domain::{fact::Fact, order::Order};
use providers::{Settings, Step, http::Answer};

use super::*;
use crate::simulator::{
    account::{Billing, Buyer, Event, Price, Status, month_after},
    action::Paying,
    dialect,
};

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn shop() -> Account {
    let mut account = Account::new(&Stripe, [1; 32]);
    for (id, unit_amount, monthly) in
        [("price_once", 4_900, false), ("price_small", 900, true), ("price_large", 1_900, true)]
    {
        let price = Price { id: id.into(), product: "prod_app".into(), name: id.into(), unit_amount, monthly };
        account.put_price(price, NOW);
    }
    account
}

fn buyer() -> Buyer {
    Buyer { email: "ada@example.com".into(), name: "Ada".into() }
}

fn checkout(quantity: u32) -> Action {
    Action::Checkout {
        buyer: buyer(),
        lines: vec![("price_once".into(), quantity)],
        plan: None,
        paying: Paying::AtOnce,
    }
}

fn subscribed(account: &mut Account) -> (String, Vec<Event>) {
    let action =
        Action::Subscribe { buyer: buyer(), lines: vec![("price_small".into(), 1)], plan: None, trial_days: 0 };
    let events = account.step(&action, NOW).unwrap();
    (account.sales.last().unwrap().subscription.clone().unwrap(), events)
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// What the server's own module makes of an event, with look-ups answered by the account.
fn facts(account: &Account, event: &Event, level: Level) -> Vec<Fact> {
    let provider = providers::by_slug("stripe").unwrap();
    let incoming = dialect::incoming(&Stripe, &event.body, NOW);
    let mut answers = Vec::new();
    loop {
        match provider.translate(&incoming, &Settings { level, ..Settings::default() }, &answers).unwrap() {
            Step::Facts(facts) => return facts,
            Step::Need(requests) => answers.extend(requests.into_iter().map(|request| {
                let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
                let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let reply = Stripe.answer(account, Level::Full, &Question { path, query });
                assert_eq!(reply.status, 200, "{}", request.path);
                Answer { body: reply.body.to_string(), status: 200, asked_at: NOW, request }
            })),
        }
    }
}

/// The one order that these events come to.
fn order(account: &Account, events: &[Event], level: Level) -> Order {
    use domain::join::Join;
    let mut order = Order::default();
    for fact in events.iter().flat_map(|event| facts(account, event, level)) {
        if let Fact::Order(part) = fact {
            order.join(*part);
        }
    }
    order
}

#[test]
fn the_same_account_does_the_same() {
    let (mut one, mut other) = (shop(), shop());
    assert_eq!(one.step(&checkout(2), NOW), other.step(&checkout(2), NOW));
    let (first, second) = (one.step(&checkout(1), NOW).unwrap(), one.step(&checkout(1), NOW).unwrap());
    assert_ne!(first[0].id, second[0].id);
}

#[test]
fn a_checkout_is_a_paid_purchase_of_its_lines() {
    let mut account = shop();
    let events = account.step(&checkout(2), NOW).unwrap();
    assert_eq!(kinds(&events), ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]);
    let order = order(&account, &events, Level::Read);
    let (_, purchase) = order.purchases.first_key_value().unwrap();
    assert_eq!((purchase.total.minor, purchase.state), (9_800, domain::order::PurchaseState::Paid));
    let domain::order::Lines::Known(lines) = &purchase.lines else { panic!("{:?}", purchase.lines) };
    assert_eq!((lines[0].price.as_str(), lines[0].quantity), ("price_once", 2));
    assert_eq!(order.contact.unwrap().value.email.as_str(), "ada@example.com");
    // As by a payment link: a guest, and nothing that the vendor's code wrote.
    let session: Value = serde_json::from_str(&events[2].body).unwrap();
    assert_eq!(session["data"]["object"]["customer"], Value::Null);
    assert_eq!(session["data"]["object"]["metadata"], serde_json::json!({}));
}

#[test]
fn money_comes_at_once_or_later_or_is_not_needed() {
    use domain::order::PurchaseState::{Failed, Paid, Pending};
    let state = |account: &Account, events: &[Event]| {
        let order = order(account, events, Level::Read);
        let (_, purchase) = order.purchases.first_key_value().unwrap();
        (purchase.state, purchase.total.minor)
    };
    let bought = |paying| {
        let mut account = shop();
        let lines = vec![("price_once".into(), 1)];
        let events = account.step(&Action::Checkout { buyer: buyer(), lines, plan: None, paying }, NOW).unwrap();
        (account, events)
    };
    for (paying, expected) in
        [(Paying::AtOnce, (Paid, 4_900)), (Paying::Later, (Pending, 4_900)), (Paying::Nothing, (Paid, 0))]
    {
        let (account, events) = bought(paying);
        assert_eq!(state(&account, &events), expected, "{paying:?}");
    }
    for (arrives, expected) in [(true, Paid), (false, Failed)] {
        let (mut account, mut events) = bought(Paying::Later);
        let action = Action::Arrive { session: account.sales[0].session.clone(), arrives };
        events.extend(account.step(&action, NOW).unwrap());
        assert_eq!(state(&account, &events).0, expected);
        assert!(account.step(&action, NOW).is_err(), "it came once, or not at all");
    }
}

#[test]
fn a_checkout_that_is_left_is_no_order() {
    let mut account = shop();
    let leave = Action::Leave { buyer: buyer(), lines: vec![("price_once".into(), 1)] };
    let events = account.step(&leave, NOW).unwrap();
    assert_eq!(kinds(&events), ["checkout.session.expired"]);
    assert_eq!(order(&account, &events, Level::Read), Order::default());
}

#[test]
fn a_trial_costs_nothing_and_ends_with_a_paid_month() {
    let mut account = shop();
    let lines = vec![("price_small".into(), 1)];
    let trial = Action::Subscribe { buyer: buyer(), lines, plan: None, trial_days: 14 };
    let mut events = account.step(&trial, NOW).unwrap();
    assert_eq!(
        kinds(&events),
        ["customer.created", "checkout.session.completed", "customer.subscription.created", "invoice.paid"]
    );
    let trial_end = NOW.as_second() + 14 * 86_400;
    let subscription = account.sales[0].subscription.clone().unwrap();
    let before = order(&account, &events, Level::None);
    let state = &before.subscriptions[subscription.as_str()].value;
    assert_eq!(state.trial_until.map(Timestamp::as_second), Some(trial_end));
    assert_eq!(before.purchases.values().map(|purchase| purchase.total.minor).collect::<Vec<_>>(), [0]);
    let end = Action::EndTrial { subscription };
    events.extend(account.step(&end, NOW).unwrap());
    let paid: Vec<_> = order(&account, &events, Level::None)
        .periods
        .values()
        .map(|period| (period.until.as_second(), period.total.minor))
        .collect();
    assert!(paid.contains(&(month_after(trial_end), 900)), "{paid:?}");
    assert!(account.step(&end, NOW).is_err());
}

#[test]
fn what_is_renewed_late_is_paid_for_the_month_of_now() {
    let mut account = shop();
    let (subscription, _) = subscribed(&mut account);
    let late = domain::time::after(NOW, jiff::SignedDuration::from_hours(24 * 400));
    account.step(&Action::Renew { subscription: subscription.clone() }, late).unwrap();
    let kept = &account.subscriptions[&subscription];
    assert!(kept.period_start <= late.as_second() && late.as_second() < kept.period_end);
}

#[test]
fn disputes_go_one_way() {
    let mut account = shop();
    account.step(&checkout(1), NOW).unwrap();
    let payment = account.last_payment(&account.sales[0]).unwrap().intent.clone();
    let mut said = |outcome| account.step(&Action::Dispute { payment: payment.clone(), outcome }, NOW);
    for (outcome, expected) in [
        (Outcome::Inquiry, "charge.dispute.created"),
        (Outcome::Open, "charge.dispute.updated"),
        (Outcome::Lost, "charge.dispute.closed"),
    ] {
        assert_eq!(kinds(&said(outcome).unwrap()), [expected]);
        assert!(said(outcome).is_err(), "{outcome:?}");
    }
    assert!(said(Outcome::Open).is_err());
}

#[test]
fn a_subscription_is_one_sale_with_a_paid_month() {
    for level in [Level::None, Level::Read, Level::Full] {
        let mut account = shop();
        let (id, events) = subscribed(&mut account);
        let order = order(&account, &events, level);
        let (_, period) = order.periods.first_key_value().unwrap();
        assert_eq!((period.subscription.as_str(), period.total.minor), (id.as_str(), 900), "{level:?}");
        assert_eq!(period.until.as_second(), month_after(NOW.as_second()), "{level:?}");
        assert_eq!((order.purchases.len(), order.subscriptions.len(), order.items.len()), (1, 1, 1), "{level:?}");
    }
}

#[test]
fn a_renewal_pays_the_next_month() {
    let mut account = shop();
    let (subscription, mut events) = subscribed(&mut account);
    events.extend(account.step(&Action::Renew { subscription }, NOW).unwrap());
    let order = order(&account, &events, Level::None);
    let ends: Vec<i64> = order.periods.values().map(|period| period.until.as_second()).collect();
    let first = month_after(NOW.as_second());
    assert_eq!(std::collections::BTreeSet::from_iter(ends), [first, month_after(first)].into());
}

#[test]
fn an_overdue_month_is_paid_before_the_next_one() {
    let mut account = shop();
    let (subscription, _) = subscribed(&mut account);
    let failed = account.step(&Action::FailPayment { subscription: subscription.clone() }, NOW).unwrap();
    assert_eq!(kinds(&failed), ["invoice.payment_failed", "customer.subscription.updated"]);
    assert_eq!(account.subscriptions[&subscription].status, Status::PastDue);
    let end = account.subscriptions[&subscription].period_end;
    account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap();
    let renewed = &account.subscriptions[&subscription];
    assert_eq!((renewed.status, renewed.period_end), (Status::Active, end));
    assert!(account.step(&Action::FailPayment { subscription: subscription.clone() }, NOW).is_ok());
    assert!(account.step(&Action::FailPayment { subscription }, NOW).is_err());
}

#[test]
fn an_upgrade_is_corrected_at_once_and_pays_no_month() {
    let mut account = shop();
    let (subscription, mut events) = subscribed(&mut account);
    let upgrade = Action::Change { subscription: subscription.clone(), price: "price_large".into(), quantity: 1 };
    let changed = account.step(&upgrade, NOW).unwrap();
    let updated: Value = serde_json::from_str(&changed[0].body).unwrap();
    let before = &updated["data"]["previous_attributes"];
    assert_eq!(before["items"]["data"][0]["price"]["id"], "price_small");
    assert_eq!(before.get("status"), None, "only what changed is told");
    events.extend(changed);
    let order = order(&account, &events, Level::None);
    assert_eq!(order.periods.len(), 1);
    assert_eq!(order.items[subscription.as_str()].value[0].price.as_str(), "price_large");
    let downgrade = Action::Change { subscription, price: "price_small".into(), quantity: 1 };
    assert_eq!(kinds(&account.step(&downgrade, NOW).unwrap()), ["customer.subscription.updated"]);
}

#[test]
fn a_cancellation_is_scheduled_or_final() {
    let mut account = shop();
    let (subscription, events) = subscribed(&mut account);
    let cancel = |at_once| Action::Cancel { subscription: subscription.clone(), at_once };
    let scheduled = account.step(&cancel(false), NOW).unwrap();
    let order = order(&account, &[events, scheduled].concat(), Level::None);
    let state = &order.subscriptions[subscription.as_str()].value;
    assert_eq!(state.cancel_at.map(Timestamp::as_second), Some(month_after(NOW.as_second())));
    assert!(account.step(&cancel(false), NOW).is_err());
    assert!(account.step(&Action::Renew { subscription: subscription.clone() }, NOW).is_err());
    assert_eq!(kinds(&account.step(&cancel(true), NOW).unwrap()), ["customer.subscription.deleted"]);
    assert!(account.step(&cancel(true), NOW).is_err());
}

#[test]
fn refunds_add_up_to_the_payment() {
    let mut account = shop();
    let mut events = account.step(&checkout(1), NOW).unwrap();
    let sale = account.sales[0].clone();
    let payment = account.last_payment(&sale).unwrap().intent.clone();
    let refund = |amount| Action::Refund { payment: payment.clone(), amount };
    events.extend(account.step(&refund(Some(2_000)), NOW).unwrap());
    let refunded = |account: &Account, events: &[Event]| {
        let order = order(account, events, Level::Read);
        order.refunded(&payment.as_str().into())
    };
    assert_eq!(refunded(&account, &events), 2_000);
    events.extend(account.step(&refund(None), NOW).unwrap());
    assert_eq!(refunded(&account, &events), 4_900);
    assert!(account.step(&refund(None), NOW).is_err());
    // The later of the two fails.
    events.extend(account.step(&Action::FailRefund { payment: payment.clone() }, NOW).unwrap());
    assert!([2_000, 2_900].contains(&refunded(&account, &events)));
    assert_eq!(account.payments[&payment].refunded, refunded(&account, &events));
}

#[test]
fn the_last_payment_of_a_subscription_is_its_last_month() {
    let mut account = shop();
    let (subscription, _) = subscribed(&mut account);
    account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap();
    let upgrade = Action::Change { subscription: subscription.clone(), price: "price_large".into(), quantity: 1 };
    account.step(&upgrade, NOW).unwrap();
    let sale = account.sales[0].clone();
    let payment = account.last_payment(&sale).unwrap();
    let invoice = account.invoice_of(&payment.intent).unwrap();
    assert_eq!(invoice.billing, Billing::Cycle);
    let refund = Action::Refund { payment: payment.intent.clone(), amount: None };
    let invoice = invoice.id.clone();
    let events = account.step(&refund, NOW).unwrap();
    let order = order(&account, &events, Level::Full);
    assert!(order.references.contains(invoice.as_str()), "a look-up leads from the refund to its invoice");
}

#[test]
fn no_two_events_of_a_subscription_share_a_second() {
    let mut account = shop();
    let (subscription, _) = subscribed(&mut account);
    let mut seconds = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let events = account.step(&Action::Renew { subscription: subscription.clone() }, NOW).unwrap();
        let body: Value = serde_json::from_str(&events[0].body).unwrap();
        assert!(seconds.insert(body["created"].as_i64()));
    }
}
