//! What AppSumo tells.

use domain::order::Lines;

use super::*;
use crate::simulator::{
    account::Outcome,
    action::{Action, Paying},
    dialect::testing::{NOW, checkout, kinds, order, payment, shop, subscribed_action},
};

#[test]
fn ids_are_random_uuids() {
    let id = AppSumo.id(Thing::Checkout, 1, [0x5f; 24]);
    assert_eq!(id, "5f5f5f5f-5f5f-4f5f-af5f-5f5f5f5f5f5f");
}

#[test]
fn a_tier_takes_the_place_of_another() {
    let mut account = shop(&AppSumo);
    let mut events = account.step(&checkout(&AppSumo, 1, Paying::AtOnce), NOW).unwrap();
    assert_eq!(kinds(&events), ["purchase", "activate"]);
    let session = account.sales[0].session.clone();
    // What the shop sells once costs most, then the large one.
    for (price, expected) in [("tier:2", "downgrade"), ("tier:3", "upgrade")] {
        let action = Action::Replace { session: session.clone(), price: price.into() };
        let told = account.step(&action, NOW).unwrap();
        assert_eq!(kinds(&told), [expected, "deactivate", "activate"]);
        events.extend(told);
        assert!(account.step(&action, NOW).is_err(), "it is so already");
    }
    let order = order(&account, &events, Level::None);
    assert!(order.references.contains(session.as_str()), "it is one sale");
    let current = account.current(&session).unwrap().id.clone();
    let Lines::Known(lines) = &order.purchases[current.as_str()].lines else { panic!("{order:?}") };
    assert_eq!(lines[0].price.as_str(), "tier:3");
    assert_eq!(order.replaced.len(), 2);

    let refunded = account.step(&Action::Refund { payment: payment(&account), amount: None }, NOW).unwrap();
    assert_eq!(kinds(&refunded), ["deactivate"]);
    assert!(refunded[0].body.contains(&current), "the key that counts is taken back");
    let after = Action::Replace { session, price: "tier:1".into() };
    assert!(account.step(&after, NOW).is_err(), "what was taken back has no tier any more");
}

#[test]
fn what_nobody_tells_did_not_happen() {
    let mut account = shop(&AppSumo);
    account.step(&checkout(&AppSumo, 1, Paying::AtOnce), NOW).unwrap();
    let payment = payment(&account);
    for action in [
        Action::Refund { payment: payment.clone(), amount: Some(1) },
        Action::Dispute { payment, outcome: Outcome::Open },
        subscribed_action(&AppSumo, 0),
    ] {
        assert_eq!(account.step(&action, NOW).unwrap_err().to_string(), "AppSumo tells nothing of that");
    }
}
