//! Prices and checkouts that a server has made in an account.

use serde_json::json;

use super::Stripe;
use crate::simulator::{
    account::{Account, OpenCheckout, Price},
    dialect::{Dialect, Reply, Thing, Call},
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
