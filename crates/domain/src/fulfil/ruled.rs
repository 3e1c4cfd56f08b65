//! Which rules decided what was sold, for whoever looks at a rule and asks whether it is used.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    decision::{Evidence, Matcher},
    order::Order,
};

/// What rules decided in an order at that moment: what each rule looks for, and when it was sold. A plan that the sale itself
/// names was decided by no rule.
#[must_use]
pub fn decided_by_rules(order: &Order, at: Timestamp) -> BTreeSet<(Matcher, Timestamp)> {
    let of_source = |source: &super::want::Source<'_>| {
        let decision = order.decided.get(&source.line.price).filter(|decision| decision.decided_at == at)?;
        let matcher = match decision.evidence {
            Evidence::Price => Matcher::Price(source.line.price.clone()),
            Evidence::Product => Matcher::Product(source.line.product.clone()?),
            Evidence::Default => Matcher::Default,
            Evidence::Sale | Evidence::Metadata => return None,
        };
        Some((matcher, order.line_sold_at(source).unwrap_or(at)))
    };
    order.sources().iter().filter_map(of_source).collect()
}
