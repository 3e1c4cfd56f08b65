//! Prices and products, as transactions and subscriptions show them.

use std::collections::BTreeMap;

use domain::{
    order::Line,
    text::{PriceReference, ProductReference, Reference},
};
use serde::Deserialize;

use crate::{
    read,
    sale::{plan_named_in, quantity_of},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Price {
    #[serde(deserialize_with = "read::id")]
    pub(super) id: Option<PriceReference>,
    #[serde(deserialize_with = "read::id")]
    product_id: Option<ProductReference>,
    /// What buyers read.
    #[serde(deserialize_with = "read::text")]
    name: Option<String>,
    /// What the vendor notes; older prices have no name.
    #[serde(deserialize_with = "read::text")]
    description: Option<String>,
    /// A one-time price has none.
    #[serde(deserialize_with = "read::object")]
    billing_cycle: Option<Cycle>,
    #[serde(deserialize_with = "read::metadata")]
    custom_data: BTreeMap<String, String>,
}

/// Only that it is there matters.
#[derive(Debug, Deserialize)]
struct Cycle {}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Product {
    #[serde(deserialize_with = "read::id")]
    id: Option<ProductReference>,
    #[serde(deserialize_with = "read::text")]
    name: Option<String>,
    #[serde(deserialize_with = "read::metadata")]
    custom_data: BTreeMap<String, String>,
}

impl Price {
    pub(super) fn is_recurring(&self) -> bool {
        self.billing_cycle.is_some()
    }

    /// A line for this price. A line that names no price stands for itself, so that a person sees it waiting and can map it.
    pub(super) fn line(self, product: Product, line: Reference, quantity: Option<i64>, recurring: bool) -> Line {
        let names: Vec<String> = product.name.into_iter().chain(self.name.or(self.description)).collect();
        Line {
            price: self.id.unwrap_or_else(|| PriceReference::new(format!("line:{line}"))),
            product: self.product_id.or(product.id),
            quantity: quantity_of(quantity),
            recurring,
            // What a price says of itself is nearer to the sale than what its product says.
            named: plan_named_in(&self.custom_data).or_else(|| plan_named_in(&product.custom_data)),
            description: (!names.is_empty()).then(|| names.join(", ").into()),
            line,
        }
    }
}
