//! Buyers who come from AppSumo: what is asked for them, and how its answers read.

use domain::{
    order::{Contact, Lines},
    text::{EmailAddress, Reference},
};
use proptest::prelude::*;
use providers::{
    Provider,
    appsumo::AppSumo,
    redeem::{BuyerNews, Grant, NotRedeemed, OauthClient, Redeem, Redeemed},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{NOW, at, order};

fn buyers() -> &'static dyn Redeem {
    AppSumo.redeem().expect("AppSumo sends buyers")
}

#[test]
fn the_calls_are_those_that_appsumo_documents_and_show_no_secret() {
    let client = OauthClient { id: "client-1".into(), secret: SecretString::from("s&cret") };
    let grant = Grant { client: &client, code: "a code", redirect_uri: "https://shop.example.com/redeem/appsumo/acme" };
    let token = buyers().ask_token(&grant);
    assert_eq!(token.path, "/openid/token/");
    assert_eq!(
        token.post.as_ref().expect("a form").content.body(),
        "grant_type=authorization_code&client_id=client-1&client_secret=s%26cret&code=a%20code\
         &redirect_uri=https%3A%2F%2Fshop.example.com%2Fredeem%2Fappsumo%2Facme"
    );
    assert!(!format!("{token:?} {client:?}").contains("s&cret"), "{token:?} {client:?}");
    let sale = buyers().ask_sale(&SecretString::from("a/token"));
    assert_eq!((sale.path.as_str(), sale.post), ("/openid/license_key/?access_token=a%2Ftoken", None));
}

#[test]
fn what_appsumo_says_to_a_code() {
    for (status, body, outcome) in [
        (200, json!({ "access_token": "t1", "token_type": "bearer" }), Ok("t1")),
        (200, json!({ "access_token": 7 }), Err(NotRedeemed::Unclear { status: 200 })),
        (400, json!({ "error": "invalid_grant" }), Err(NotRedeemed::Code)),
        (400, json!({}), Err(NotRedeemed::Code)),
        (401, json!({ "error": "invalid_grant" }), Err(NotRedeemed::Code)),
        (401, json!({ "error": "invalid_client" }), Err(NotRedeemed::Client)),
        (400, json!({ "error": "invalid_client" }), Err(NotRedeemed::Client)),
        (403, json!({}), Err(NotRedeemed::Client)),
        (404, json!({}), Err(NotRedeemed::Unclear { status: 404 })),
        (400, json!({ "access_token": "t1" }), Err(NotRedeemed::Code)),
    ] {
        let token = buyers().token(status, &body.to_string());
        assert_eq!(
            token.as_ref().map(|token| token.expose_secret()).map_err(|error| *error),
            outcome,
            "{status} {body}"
        );
    }
}

#[test]
fn what_appsumo_says_of_a_sale() {
    let bought = |is_bought| Ok(Redeemed { sale: "k1".into(), is_bought });
    for (status, body, outcome) in [
        (200, json!({ "license_key": "k1", "status": "active", "scopes": ["read_license"] }), bought(true)),
        (200, json!({ "license_key": "k1", "status": "inactive" }), bought(true)),
        (200, json!({ "license_key": "k1", "status": "a status of tomorrow" }), bought(false)),
        (200, json!({ "license_key": "k1" }), bought(false)),
        (200, json!({ "license_key": "k1", "status": "deactivated" }), Err(NotRedeemed::TakenBack)),
        (200, json!({ "status": "active" }), Err(NotRedeemed::Unclear { status: 200 })),
        (401, json!({ "license_key": "k1", "status": "active" }), Err(NotRedeemed::Unclear { status: 401 })),
    ] {
        assert_eq!(buyers().sale(status, &body.to_string()), outcome, "{status} {body}");
    }
}

#[test]
fn a_confirmed_sale_is_a_paid_one_of_an_untold_tier() {
    let sale = Reference::from("k1");
    let [first, again] = [NOW, NOW + 60_000].map(|moment| buyers().event(&sale, &BuyerNews::Bought, at(moment)));
    assert_eq!(first.key, again.key, "however often they come");
    let order = order(&first);
    assert_eq!(order.purchases["k1"].lines, Lines::Unknown { recurring: false, named: None });
    assert!(order.refunds.is_empty() && order.contact.is_none());
}

#[test]
fn a_buyers_address_is_that_of_the_sale() {
    let contact = Contact { email: EmailAddress::parse("ada@example.com").expect("an address"), name: None };
    let event = buyers().event(&"k1".into(), &BuyerNews::Contact(contact.clone()), at(NOW));
    let order = order(&event);
    assert_eq!(order.contact.expect("an address").value, contact);
    assert!(order.purchases.is_empty(), "an address is no purchase");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,8}|\\PC{0,8}|-?[0-9.e]{1,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = "id|access_token|license_key|status|error|[a-z_]{1,6}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in 100u16..600, answer in any_json(), text in "\\PC{0,40}") {
        for body in [answer.to_string(), text] {
            let _ = (buyers().token(status, &body).is_ok(), buyers().sale(status, &body).is_ok());
        }
    }
}
