//! Look-ups in Stripe's own forms: lists page by page, and the way from a payment to its invoice.

use domain::text::Reference;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

pub(super) use crate::lookup::{Found, LookUps, Stop};
use crate::{http::percent_encoded, read::List};

/// A list is read this many pages far: ten times a hundred lines are more than one order may issue.
const PAGES_MAX: usize = 10;

impl LookUps<'_> {
    /// All elements of a list, page by page, from the one after `after` on. A refusal on any page is the whole answer.
    pub(super) fn list<T: DeserializeOwned>(self, path: &str, after: Option<&str>) -> Result<Found<Vec<T>>, Stop> {
        let mut cursor = after.map(str::to_owned);
        let mut elements = Vec::new();
        let mut since = Timestamp::MAX;
        for _ in 0..PAGES_MAX {
            let mut page_path = format!("{path}?limit=100");
            if let Some(cursor) = &cursor {
                page_path.push_str("&starting_after=");
                page_path.push_str(&percent_encoded(cursor));
            }
            let page: List<Value> = match self.get(page_path)? {
                Found::It(page, asked_at) => {
                    since = since.min(asked_at);
                    page
                }
                Found::Forbidden => return Ok(Found::Forbidden),
                Found::Nothing => return Ok(Found::Nothing),
            };
            cursor = page.data.last().and_then(|last| last.get("id")).and_then(Value::as_str).map(str::to_owned);
            elements.extend(page.data.into_iter().filter_map(|element| serde_json::from_value(element).ok()));
            if !page.has_more || cursor.is_none() {
                break;
            }
        }
        Ok(Found::It(elements, since))
    }

    /// The invoice that a payment intent paid, for versions whose charges no longer name it.
    pub(super) fn invoice_of(self, payment_intent: &Reference) -> Result<Found<Reference>, Stop> {
        #[derive(Deserialize)]
        struct InvoicePayment {
            #[serde(default, deserialize_with = "crate::read::id")]
            invoice: Option<Reference>,
        }
        let path = format!(
            "/v1/invoice_payments?payment%5Btype%5D=payment_intent&payment%5Bpayment_intent%5D={}&limit=1",
            percent_encoded(payment_intent.as_str())
        );
        Ok(match self.get::<List<InvoicePayment>>(path)? {
            Found::It(list, at) => {
                let invoice = list.data.into_iter().find_map(|payment| payment.invoice);
                invoice.map_or(Found::Nothing, |invoice| Found::It(invoice, at))
            }
            Found::Forbidden => Found::Forbidden,
            Found::Nothing => Found::Nothing,
        })
    }
}
