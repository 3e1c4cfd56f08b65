//! What each price of an order gives: decided by the rules, and kept.

use std::borrow::Cow;

use jiff::Timestamp;

use super::want::purchase_lines;
use crate::{
    decision::{Catalogue, Decision, Evidence, Matcher},
    id::{ConnectionId, PlanId},
    join::Join,
    order::{Line, Order},
    text::PlanCode,
};

/// Decides each price that a rule can answer and is not decided yet, and keeps it. A plan that the sale itself names is
/// taken even after a weaker rule had decided, since its fact may only arrive later; and even from a line whose place a
/// subscription's items have taken, since they may have arrived earlier.
pub fn resolve(order: &mut Order, connection: ConnectionId, catalogue: &Catalogue, now: Timestamp) {
    let mut decisions = Vec::new();
    let mut consider = |line: &Line, sale: Option<&PlanCode>, sold_at: Timestamp, is_sold: bool| {
        let before = order.decided.get(&line.price).map(|decision| decision.evidence);
        let Some(ruled) = catalogue.decide(connection, line, sale, sold_at) else { return };
        let is_better = ruled.evidence.is_told() && before.is_none_or(|before| ruled.evidence > before);
        if is_sold && before.is_none() || is_better {
            decisions.push((line.price.clone(), ruled.decided(now, None)));
        }
    };
    for source in order.sources() {
        let sold_at = order.line_sold_at(&source).unwrap_or(now);
        consider(&source.line, order.named_by_sale(&source), sold_at, true);
    }
    let lines =
        |(id, purchase)| purchase_lines(id, purchase).into_iter().map(move |line: Cow<'_, Line>| (purchase.at, line));
    for (sold_at, line) in order.paid_purchases().flat_map(lines).filter(|(_, line)| line.named.is_some()) {
        consider(&line, None, sold_at, false);
    }
    for decision in decisions {
        order.decided.join([decision].into());
    }
}

/// What a person wants to have decided once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Whatever was sold.
    Everything,
    /// What is sold at this price, of this product, or by default.
    Matcher(Matcher),
    /// What gives this plan.
    Plan(PlanId),
}

impl Concern {
    /// Whether it is about that line, which was decided like this.
    fn is_about(&self, line: &Line, decided: Option<&Decision>) -> bool {
        match self {
            Self::Everything => true,
            Self::Matcher(Matcher::Price(price)) => line.price == *price,
            Self::Matcher(Matcher::Product(product)) => line.product.as_ref() == Some(product),
            Self::Matcher(Matcher::Default) => decided.is_none_or(|decided| decided.evidence == Evidence::Default),
            Self::Plan(plan) => {
                decided.is_some_and(|decided| decided.grants.iter().any(|grant| grant.plan.plan == *plan))
            }
        }
    }
}

/// Decides once more what prices of the order give, by the rules and plans of now, because a person asks for it.
/// Returns whether anything is decided otherwise.
pub fn resolve_again(
    order: &mut Order,
    connection: ConnectionId,
    catalogue: &Catalogue,
    concern: &Concern,
    now: Timestamp,
) -> bool {
    let decided: Vec<_> = order
        .sources()
        .iter()
        .filter_map(|source| {
            let decided = order.decided.get(&source.line.price);
            if !concern.is_about(&source.line, decided) {
                return None;
            }
            let sold_at = order.line_sold_at(source).unwrap_or(now);
            let ruled = catalogue.decide(connection, &source.line, order.named_by_sale(source), sold_at)?;
            let is_new = decided.is_none_or(|before| (&before.grants, &before.adds) != (&ruled.grants, &ruled.adds));
            is_new.then(|| (source.line.price.clone(), ruled.decided(now, Some(now))))
        })
        .collect();
    let is_changed = !decided.is_empty();
    for decision in decided {
        order.decided.join([decision].into());
    }
    is_changed
}
