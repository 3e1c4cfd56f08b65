//! Which license holds which unit. A unit keeps its license.

use std::collections::BTreeSet;

use crate::{
    join::Register,
    license::{Holding, License, Unit},
    order::{Order, Subscription},
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
        // Of one likeness, a license of the same source first.
        for (likeness, own) in likenesses.iter().flat_map(|likeness| [(likeness, true), (likeness, false)]) {
            for (unit, holder) in units.iter().zip(&mut holders) {
                if holder.is_some() || (holding == Holding::Retired && unit.plan.is_none()) {
                    continue;
                }
                *holder = (0..licenses.len()).find(|&place| {
                    let license = &licenses[place];
                    !taken[place]
                        && license.holding == holding
                        && (license.unit.recurring == unit.recurring || order.goes_on_with(unit, &license.unit))
                        && (!own || license.unit.source == unit.source)
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

/// Whether two sources are one, or one of them came after the other.
pub(super) fn related(order: &Order, one: &Reference, other: &Reference) -> bool {
    leads_to(order, one, other) || leads_to(order, other, one)
}

fn leads_to(order: &Order, from: &Reference, to: &Reference) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(source) = next.pop() {
        if source == to {
            return true;
        }
        next.extend(successors(order, source).into_iter().filter(|successor| seen.insert(successor)));
    }
    false
}

/// The subscriptions that a purchase started, and what took a source's place: a subscription, or the purchase that
/// names it.
fn successors<'a>(order: &'a Order, source: &'a Reference) -> Vec<&'a Reference> {
    let mut successors = Vec::new();
    if let Some(purchase) = order.purchases.get(source) {
        let started = |(id, register): &(&Reference, &Register<Subscription>)| {
            Order::starts(source, purchase, id, &register.value)
        };
        successors.extend(&purchase.subscriptions);
        successors.extend(order.subscriptions.iter().filter(started).map(|(id, _)| id));
    }
    if let Some(Register { value: new, .. }) = order.replaced.get(source) {
        successors.push(new);
        let naming = order.purchases.iter().filter(|(_, purchase)| purchase.subscriptions.contains(new));
        successors.extend(naming.map(|(id, _)| id));
    }
    successors
}
