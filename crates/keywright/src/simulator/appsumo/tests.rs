//! What AppSumo tells.

use domain::order::Lines;
use providers::redeem::OauthClient;

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
fn what_is_added_is_of_the_same_sale_and_goes_back_alone() {
    let mut account = shop(&AppSumo);
    let mut events = account.step(&checkout(&AppSumo, 1, Paying::AtOnce), NOW).unwrap();
    let session = account.sales[0].session.clone();
    let add = Action::Add { session: session.clone(), price: "addon:seats".into() };
    let told = account.step(&add, NOW).unwrap();
    assert_eq!(kinds(&told), ["purchase", "activate"]);
    assert!(told.iter().all(|event| event.body.contains(&format!(r#""parent_license_key":"{session}""#))));
    events.extend(told);
    let order = order(&account, &events, Level::None);
    assert_eq!((order.purchases.len(), order.references.len()), (2, 2), "it is one sale");
    let prices = order.purchases.values().filter_map(|purchase| Some(purchase.lines.told()?[0].price.as_str()));
    assert_eq!(prices.collect::<std::collections::BTreeSet<_>>(), ["addon:seats", "tier:1"].into());
    account.step(&Action::Refund { payment: payment(&account), amount: None }, NOW).unwrap();
    assert!(account.step(&add, NOW).is_err(), "nothing is added to what was taken back");
}

#[test]
fn a_code_is_traded_once_and_by_the_client_that_is_known() {
    let mut account = shop(&AppSumo);
    account.step(&checkout(&AppSumo, 1, Paying::AtOnce), NOW).unwrap();
    let (session, payment) = (account.sales[0].session.clone(), payment(&account));
    let client = OauthClient { id: "vendor".into(), secret: "right".into() };
    let ask = |account: &mut Account, path: &str, query: &[(&str, &str)], form: &[(&str, &str)]| {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let question = Question { path, query: pairs(query) };
        AppSumo.trade(account, &Call { question, form: pairs(form), client: Some(&client) })
    };
    let code = account.code_for(&session);
    let trade = |account: &mut Account, secret: &str| {
        let form = [("client_id", "vendor"), ("client_secret", secret), ("code", code.as_str())];
        ask(account, "/openid/token/", &[], &form).unwrap()
    };
    assert_eq!(trade(&mut account, "wrong").body, json!({ "error": "invalid_client" }));
    let token = trade(&mut account, "right").body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(trade(&mut account, "right").body, json!({ "error": "invalid_grant" }));
    let show = |token: &str, account: &mut Account| {
        let shown = ask(account, "/openid/license_key/", &[("access_token", token)], &[]).unwrap();
        (shown.status, shown.body["license_key"].clone(), shown.body["status"].clone())
    };
    assert_eq!(show(&token, &mut account), (200, json!(session), json!("active")));
    assert_eq!(show("another", &mut account).0, 401);
    account.step(&Action::Refund { payment, amount: None }, NOW).unwrap();
    assert_eq!(show(&token, &mut account), (200, json!(session), json!("deactivated")));
    assert!(ask(&mut account, "/v1/anything", &[], &[]).is_none());
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
