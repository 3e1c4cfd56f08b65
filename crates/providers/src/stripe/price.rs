//! Prices, and the plan that a vendor's own metadata names.

use std::collections::BTreeMap;

use domain::{
    order::Line,
    text::{PriceReference, ProductReference, Reference},
};
use serde::Deserialize;

use super::{
    read,
    sale::{plan_named_in, quantity_of},
};

/// A price, or its predecessor, a plan.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Price {
    #[serde(deserialize_with = "read::id")]
    pub(super) id: Option<PriceReference>,
    #[serde(deserialize_with = "read::id")]
    product: Option<ProductReference>,
    #[serde(rename = "type", deserialize_with = "read::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "read::object")]
    recurring: Option<Recurring>,
    #[serde(deserialize_with = "read::text")]
    pub(super) nickname: Option<String>,
    #[serde(deserialize_with = "read::metadata")]
    metadata: BTreeMap<String, String>,
}

/// Only that it is there matters.
#[derive(Debug, Deserialize)]
struct Recurring {}

impl Price {
    pub(super) fn is_recurring(&self) -> bool {
        match self.kind.as_deref() {
            Some("recurring") => true,
            Some("one_time") => false,
            _ => self.recurring.is_some(),
        }
    }

    /// A line for this price. A line that names no price (or one that is gone) stands for itself, so that a person sees
    /// it waiting and can map it.
    pub(super) fn line(self, line: Reference, quantity: Option<i64>, recurring: bool) -> Line {
        let price = self.id.unwrap_or_else(|| PriceReference::new(format!("line:{line}")));
        Line {
            price,
            product: self.product,
            quantity: quantity_of(quantity),
            recurring,
            // What a price says of itself holds for every sale of it, so it may name the plan of a renewal, too.
            named: plan_named_in(&self.metadata),
            description: self.nickname.map(Box::from),
            line,
        }
    }
}
