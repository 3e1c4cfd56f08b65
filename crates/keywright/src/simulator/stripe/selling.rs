//! Prices and checkouts that a server has made in an account.

use serde_json::json;

use super::Stripe;
use crate::simulator::{
    account::{Account, OpenCheckout, Price},
    dialect::{Call, Dialect, Reply, Thing},
};

/// Where buyers would pay.
const PAY: &str = "https://checkout.stripe.com/c/pay/";

/// Makes a price, archives one, or opens a checkout.
pub(super) fn change(stripe: &Stripe, account: &mut Account, call: &Call<'_>) -> Option<Reply> {
    let parts: Vec<&str> = call.question.path.split('/').skip(1).collect();
    match parts[..] {
        ["v1", "prices"] => Some(make_price(stripe, account, call)),
        ["v1", "prices", price] => Some(reply(json!({ "id": price, "object": "price", "active": false }))),
        ["v1", "checkout", "sessions"] => Some(open(stripe, account, call)),
        _ => None,
    }
}

/// The checkout that an address is of, at which its buyer pays.
pub(crate) fn checkout_at(url: &str) -> Option<&str> {
    url.strip_prefix(PAY)
}

fn reply(body: serde_json::Value) -> Reply {
    Reply { status: 200, body }
}

fn make_price(stripe: &Stripe, account: &mut Account, call: &Call<'_>) -> Reply {
    let amount = call.field("unit_amount").and_then(|amount| amount.parse().ok());
    let (Some(unit_amount), Some(name)) = (amount, call.field("product_data[name]")) else {
        return stripe.error(400, "Missing required param: unit_amount or product_data[name].");
    };
    let plan = call.field("metadata[plan_code]").unwrap_or("price");
    let monthly = call.field("recurring[interval]").is_some();
    // Another amount is another price.
    let id = format!("{}_{unit_amount}", stripe.price_id(plan, 0, monthly));
    let product = stripe.product_id(plan, 0);
    let price = Price { id: id.clone(), product, name: name.to_owned(), unit_amount, monthly };
    account.prices.insert(id.clone(), price);
    reply(json!({ "id": id, "object": "price", "active": true }))
}

fn open(stripe: &Stripe, account: &mut Account, call: &Call<'_>) -> Reply {
    let price = call.field("line_items[0][price]").filter(|price| account.prices.contains_key(*price));
    let Some(price) = price.map(str::to_owned) else {
        return stripe.error(400, "No such price.");
    };
    let quantity = call.field("line_items[0][quantity]").and_then(|quantity| quantity.parse().ok()).unwrap_or(1);
    let metadata = call.form.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some((name.to_owned(), value.clone()))
    });
    let email = call.field("customer_email").unwrap_or("ada@example.com").to_owned();
    let open = OpenCheckout { email, lines: vec![(price, quantity)], metadata: metadata.collect() };
    let id = account.id(Thing::Checkout);
    account.open_checkouts.insert(id.clone(), open);
    reply(json!({ "id": id, "object": "checkout.session", "status": "open", "url": format!("{PAY}{id}") }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::simulator::{
        action::Action,
        dialect::{Question, testing::NOW},
    };

    fn post(account: &mut Account, path: &str, form: &[(&str, &str)]) -> Reply {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let call = Call { question: Question { path, query: Vec::new() }, form, client: None };
        Stripe.change(account, &call).expect("it is simulated")
    }

    #[test]
    fn a_checkout_is_opened_at_a_price_that_was_made_and_paid_once() {
        let mut account = Account::of_platform(&Stripe, [1; 32]);
        let price = [("unit_amount", "4900"), ("product_data[name]", "Pro"), ("metadata[plan_code]", "pro")];
        let made = post(&mut account, "/v1/prices", &price).body["id"].clone();
        assert_eq!(post(&mut account, "/v1/prices", &[]).status, 400);
        let unknown = [("line_items[0][price]", "price_of_nothing")];
        assert_eq!(post(&mut account, "/v1/checkout/sessions", &unknown).status, 400);
        let form = [
            ("line_items[0][price]", made.as_str().unwrap()),
            ("line_items[0][quantity]", "1"),
            ("metadata[product_id]", "app"),
            ("metadata[key_type_id]", "pro"),
            ("customer_email", "ada@example.com"),
        ];
        let opened = post(&mut account, "/v1/checkout/sessions", &form).body;
        let checkout = checkout_at(opened["url"].as_str().unwrap()).unwrap().to_owned();
        assert_eq!(opened["id"], checkout.as_str());
        let complete = Action::Complete { checkout };
        let events = account.step(&complete, NOW).unwrap();
        let last: Value = serde_json::from_str(&events.last().unwrap().body).unwrap();
        let session = &last["data"]["object"];
        assert_eq!((&last["type"], &session["amount_total"]), (&json!("checkout.session.completed"), &json!(4_900)));
        assert_eq!(session["metadata"], json!({ "product_id": "app", "key_type_id": "pro" }));
        let is_of_account = |event: &crate::simulator::account::Event| {
            let body: Value = serde_json::from_str(&event.body).unwrap();
            body["account"] == account.connected().unwrap()
        };
        assert!(events.iter().all(is_of_account));
        assert!(account.step(&complete, NOW).is_err(), "it is paid");
    }
}
