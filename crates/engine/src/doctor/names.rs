//! Whether an order is found by its names, and is what its facts say.

use std::collections::BTreeSet;

use domain::{fact::Fact, join::Join, order::Order};

use super::{Finding, examine::Case, of};

/// The names that lead to an order are those it has.
pub(super) fn names(case: &Case<'_>) -> Vec<Finding> {
    let order = case.order;
    let has: BTreeSet<_> = order.order.references.iter().map(|name| (order.connection, name.clone())).collect();
    let none = BTreeSet::new();
    let lead = case.gathered.names.get(&order.id).unwrap_or(&none);
    let lost = has.difference(lead).map(|(_, name)| Finding::new(9, order.id, format!("{name} does not lead to it")));
    let odd = lead
        .difference(&has)
        .map(|(_, name)| Finding::new(9, order.id, format!("{name} leads to it and is not its own")));
    lost.chain(odd).collect()
}

/// A redirect leads to an order, and nothing is left in it.
pub(super) fn redirect(case: &Case<'_>) -> Vec<Finding> {
    let order = case.order;
    let mut findings = Vec::new();
    if let Some(target) = order.merged_into.filter(|target| !case.gathered.targets.contains(target)) {
        findings.push(Finding::new(9, order.id, format!("it became a part of {target}, which is not there")));
    }
    let left = [
        (!order.licenses.is_empty()).then_some("licenses"),
        case.gathered.names.contains_key(&order.id).then_some("names"),
        case.gathered.facts.contains_key(&order.id).then_some("facts"),
    ];
    findings.extend(
        left.into_iter()
            .flatten()
            .map(|what| Finding::new(9, order.id, format!("it became a part of another order and its {what} did not"))),
    );
    findings
}

/// An order is what its facts come to when they are joined again, apart from what was decided about it here.
pub(super) fn rebuilt(case: &Case<'_>) -> Vec<Finding> {
    let stored = &case.order.order;
    let mut built = Order {
        decided: stored.decided.clone(),
        approval: stored.approval.clone(),
        corrected: stored.corrected.clone(),
        excused: stored.excused.clone(),
        erased: stored.erased,
        handed_over: stored.handed_over,
        ..Order::default()
    };
    for fact in of(&case.gathered.facts, &case.order.id) {
        match fact {
            Ok(Fact::Order(order)) => built.join(Order::clone(order)),
            Ok(Fact::Customer(_)) => {}
            Err(error) => return vec![Finding::new(9, case.order.id, error.to_string())],
        }
    }
    if built == *stored {
        return Vec::new();
    }
    let mut both = stored.clone();
    both.join(built);
    let problem = match both == *stored {
        // What the event said the first time stays known, and its facts are those of the last time.
        true if case.is_replayed => return Vec::new(),
        true => "its facts do not say all that it knows",
        false => "it does not know all that its facts say",
    };
    vec![Finding::new(9, case.order.id, problem)]
}
