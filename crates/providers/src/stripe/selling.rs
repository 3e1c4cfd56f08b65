//! Prices and hosted checkouts.

use domain::text::PriceReference;
use serde::Deserialize;

use super::{outgoing::message, read};
use crate::{
    http::{Content, Post, Request, percent_encoded},
    selling::{NewCheckout, NewPrice, Refused, Selling},
};

/// What Stripe makes for us.
pub(super) struct Shop;

impl Selling for Shop {
    /// A price never changes at Stripe: another amount is another price. Its product is made with it.
    fn create_price(&self, price: &NewPrice<'_>) -> Request {
        let money = price.price.money;
        let mut form = vec![
            field("currency", money.currency.code().to_ascii_lowercase()),
            field("unit_amount", money.minor.to_string()),
            field("product_data[name]", price.name),
            field("metadata[plan_code]", price.plan.as_str()),
        ];
        form.extend(price.price.every.map(|every| field("recurring[interval]", every.as_str())));
        post("/v1/prices", form, format!("keywright-price-{}", price.attempt))
    }

    fn price_created(&self, status: u16, body: &str) -> Result<PriceReference, Refused> {
        Ok(PriceReference::new(made(status, body)?.id.ok_or_else(|| lacks(status, "id"))?))
    }

    fn archive_price(&self, price: &PriceReference) -> Request {
        let path = format!("/v1/prices/{}", percent_encoded(price.as_str()));
        post(path, vec![field("active", "false")], format!("keywright-archive-{price}"))
    }

    /// The document names `application_fee_amount` for both kinds of sale; Stripe takes it for one-time payments only, and a
    /// percentage for subscriptions, which goes with every invoice.
    fn create_checkout(&self, checkout: &NewCheckout<'_>) -> Request {
        let is_subscription = checkout.price.every.is_some();
        let mut form = vec![
            field("mode", if is_subscription { "subscription" } else { "payment" }),
            field("line_items[0][price]", checkout.reference.as_str()),
            field("line_items[0][quantity]", "1"),
            field("success_url", checkout.success_url),
            field("cancel_url", checkout.cancel_url),
            field("metadata[product_id]", checkout.product),
            field("metadata[key_type_id]", checkout.plan.as_str()),
        ];
        form.extend(checkout.email.map(|email| field("customer_email", email.as_str())));
        match checkout.fee_ten_thousandths {
            None | Some(0) => {}
            Some(share) if is_subscription => {
                form.push(field("subscription_data[application_fee_percent]", percent(share)));
            }
            Some(share) => {
                let fee = checkout.price.money.share(share);
                // Nothing is no fee, and Stripe takes none of nothing.
                let fee = (fee.minor > 0).then_some(fee);
                form.extend(fee.map(|fee| field("payment_intent_data[application_fee_amount]", fee.minor.to_string())));
            }
        }
        post("/v1/checkout/sessions", form, format!("keywright-checkout-{}", checkout.attempt))
    }

    fn checkout_created(&self, status: u16, body: &str) -> Result<String, Refused> {
        made(status, body)?.url.ok_or_else(|| lacks(status, "url"))
    }
}

pub(super) fn field(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

pub(super) fn post(path: impl Into<String>, form: Vec<(String, String)>, idempotency_key: String) -> Request {
    Request::post(path, Post { content: Content::Form(form), idempotency_key: Some(idempotency_key) })
}

/// Ten-thousandths as a percentage with two decimal places at most, which is as many as Stripe takes.
fn percent(ten_thousandths: u16) -> String {
    let text = format!("{}.{:02}", ten_thousandths / 100, ten_thousandths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What was made: each has an id, or an address, or both.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Made {
    #[serde(deserialize_with = "read::text")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "read::text")]
    pub(super) url: Option<String>,
}

pub(super) fn made(status: u16, body: &str) -> Result<Made, Refused> {
    if !(200..300).contains(&status) {
        return Err(Refused { status, message: message(body).unwrap_or_else(|| "it gives no reason".to_owned()) });
    }
    serde_json::from_str(body)
        .map_err(|error| Refused { status, message: format!("its answer does not read: {error}") })
}

pub(super) fn lacks(status: u16, what: &str) -> Refused {
    Refused { status, message: format!("its answer has no `{what}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_of_two_decimal_places() {
        for (share, text) in [(50, "0.5"), (1, "0.01"), (100, "1"), (125, "1.25"), (1_000, "10"), (5_000, "50")] {
            assert_eq!(percent(share), text);
        }
    }
}
