//! Which license holds which unit. A unit keeps its license.

use crate::{
    license::{Holding, License, Unit},
    order::Order,
    text::Reference,
};

/// Who holds what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filling {
    /// For each unit the place of its license, if one holds it.
    pub holders: Vec<Option<usize>>,
    /// Live licenses that hold no unit any more.
    pub surplus: Vec<usize>,
}

/// How closely a license must resemble a unit to hold it, from the closest on.
const LIKENESSES: [fn(&Order, &Unit, &Unit) -> bool; 4] = [
    |_, held, wanted| held.line == wanted.line && same_product(held, wanted),
    |_, held, wanted| held.line == wanted.line,
    |_, held, wanted| same_product(held, wanted),
    // By position, and only within one source or between a source and its successor.
    |order, held, wanted| related(order, &held.source, &wanted.source),
];

/// Finds a license for each unit: live ones first, then retired ones; the closest likeness first; the one issued first
/// before later ones. `licenses` are in the order they were issued.
#[must_use]
pub fn fill(order: &Order, licenses: &[License], units: &[Unit]) -> Filling {
    let mut holders = vec![None; units.len()];
    let mut taken = vec![false; licenses.len()];
    for holding in [Holding::Unit, Holding::Retired] {
        // A retired license comes back for what it stood for, not for whatever happens to be in its place.
        let likenesses = if holding == Holding::Unit { &LIKENESSES[..] } else { &LIKENESSES[..3] };
        for likeness in likenesses {
            for (unit, holder) in units.iter().zip(&mut holders) {
                if holder.is_some() || (holding == Holding::Retired && unit.plan.is_none()) {
                    continue;
                }
                *holder = (0..licenses.len()).find(|&place| {
                    let license = &licenses[place];
                    !taken[place]
                        && license.holding == holding
                        && license.unit.recurring == unit.recurring
                        && likeness(order, &license.unit, unit)
                });
                if let Some(place) = *holder {
                    taken[place] = true;
                }
            }
        }
    }
    let live = |place: &usize| !taken[*place] && licenses[*place].holding == Holding::Unit;
    Filling { holders, surplus: (0..licenses.len()).filter(live).collect() }
}

/// The same product: ours where both are decided, otherwise the provider's where both have one.
fn same_product(held: &Unit, wanted: &Unit) -> bool {
    match (held.plan, wanted.plan) {
        (Some(held), Some(wanted)) => held.product == wanted.product,
        _ => held.product.is_some() && held.product == wanted.product,
    }
}

fn related(order: &Order, held: &Reference, wanted: &Reference) -> bool {
    let started = |purchase: &Reference, subscription: &Reference| {
        order.subscriptions.contains_key(subscription)
            && order.purchases.get(purchase).is_some_and(|purchase| {
                purchase.subscriptions.is_empty() || purchase.subscriptions.contains(subscription)
            })
    };
    let replaces = |old: &Reference, new: &Reference| order.replaced.get(old).is_some_and(|next| next.value == *new);
    held == wanted
        || started(held, wanted)
        || started(wanted, held)
        || replaces(held, wanted)
        || replaces(wanted, held)
}
