//! Look-ups: what has been answered, and what is still to be asked.

use domain::text::Reference;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::read::List;
use crate::{
    Level, Malformed,
    http::{Answer, Request, percent_encoded},
};

/// A list is read this many pages far: ten times a hundred lines are more than one order may issue.
const PAGES_MAX: usize = 10;

/// Why a translation stops before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// This must be asked first.
    Ask(Request),
    /// It makes no sense.
    Malformed(Malformed),
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// This, true at that moment.
    It(T, Timestamp),
    /// The key may not read it.
    Forbidden,
    /// It is not there: deleted, of the other mode, or not known in this version of the API.
    Nothing,
}

/// What may be asked, and the answers so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookUps<'a> {
    pub(super) level: Level,
    pub(super) answers: &'a [Answer],
}

impl LookUps<'_> {
    /// The document at that path.
    pub(super) fn get<T: DeserializeOwned>(self, path: String) -> Result<Found<T>, Stop> {
        let request = Request::get(path);
        // Asked twice, the later answer counts.
        let answers = self.answers.iter().filter(|answer| answer.request == request);
        let Some(answer) = answers.max_by_key(|answer| answer.asked_at) else {
            return Err(Stop::Ask(request));
        };
        match answer.status {
            200..=299 => match serde_json::from_str(&answer.body) {
                Ok(document) => Ok(Found::It(document, answer.asked_at)),
                // Held with its reason, rather than taken for something that is not there.
                Err(error) => {
                    let what = format!("the answer to GET {} does not read: {error}", answer.request.path);
                    Err(Stop::Malformed(Malformed { what }))
                }
            },
            401 | 403 => Ok(Found::Forbidden),
            _ => Ok(Found::Nothing),
        }
    }

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
            #[serde(default, deserialize_with = "super::read::id")]
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
