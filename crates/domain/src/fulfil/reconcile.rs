//! Makes the licenses of an order what its facts say they should be.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    decision::Catalogue,
    fulfil::{Filling, Judged, Waiting, Wanted, fill, fill::related, judge, want},
    id::{Entropy, LicenseId, OrderId},
    license::{Holding, License, LicenseState, Rulings, Standing, Unit},
    order::Order,
    plan::{Plan, PlanVersion},
    reason::Reason,
};

/// Something that happened to a license. Each is written with its audit entry and its effects, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A license came to be.
    Issued,
    /// Its key may go out: it is active and somebody can receive it. Once in its life.
    Announced,
    /// It holds a unit again.
    Revived,
    /// Its unit went away.
    Retired,
    /// Another license stands for it, and its keys open that one.
    SupersededBy(LicenseId),
    /// It gives something else now.
    PlanChanged {
        /// The plan before, and its seats.
        from: (PlanVersion, u32),
    },
    /// Its term moved.
    TermChanged {
        /// Its end before.
        from: Option<Timestamp>,
    },
    /// It went from one state to another, or stays for another reason.
    StateChanged {
        /// The state before.
        from: LicenseState,
    },
}

/// What reconciling needs to know.
pub struct Settling<'a> {
    /// The order's id.
    pub order: OrderId,
    /// Plans as they were in every version.
    pub catalogue: &'a Catalogue,
    /// Whether the order, or the customer's identity, has an address.
    pub has_address: bool,
    /// The moment.
    pub now: Timestamp,
    /// Where ids of new licenses come from.
    pub entropy: &'a mut dyn Entropy,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What happened, in the order it happened.
    pub changes: Vec<(LicenseId, Change)>,
    /// What is still in the way.
    pub waiting: BTreeSet<Waiting>,
}

/// Reconciles `licenses` (of this order, or of orders that became one) with the order. Doing it twice changes nothing.
pub fn reconcile(order: &Order, licenses: &mut Vec<License>, settling: &mut Settling<'_>) -> Settled {
    licenses.sort_by_key(|license| (license.issued_at, license.slot));
    let Wanted { mut units, waiting } = want(order);
    let mut settled = Settled { changes: Vec::new(), waiting };
    let Filling { mut holders, surplus } = fill(order, licenses, &units);
    for place in surplus {
        if let Some(unit) = waiting_sibling(place, &units, &holders, licenses) {
            units.push(units[unit].clone());
            holders.push(Some(place));
        } else if let Some((unit, other)) = twin(place, order, &units, &holders, licenses) {
            let (first, second) = (place.min(other), place.max(other));
            holders[unit] = Some(first);
            supersede(second, first, licenses, &mut settled);
        } else {
            give_up(&mut licenses[place], Holding::Retired, Reason::Removed);
            settled.changes.push((licenses[place].id, Change::Retired));
        }
    }
    for (unit, holder) in units.into_iter().zip(holders) {
        let place = match holder {
            Some(place) => {
                hold(&mut licenses[place], unit, &mut settled);
                place
            }
            None => match issue(unit, licenses, settling, &mut settled) {
                Some(place) => place,
                None => continue,
            },
        };
        rejudge(order, &mut licenses[place], settling, &mut settled);
        announce(&mut licenses[place], settling, &mut settled);
    }
    for license in licenses.iter_mut() {
        license.origin = settling.order;
    }
    note_unfinished(licenses, &mut settled);
    if order.customers.len() > 1 {
        settled.waiting.insert(Waiting::SeveralCustomers { customers: order.customers.clone() });
    }
    settled
}

/// A unit without a plan whose line gave more than one plan before: all licenses of such a bundle wait with the first.
fn waiting_sibling(place: usize, units: &[Unit], holders: &[Option<usize>], licenses: &[License]) -> Option<usize> {
    let Unit { source, line, plan, .. } = &licenses[place].unit;
    units.iter().zip(holders).position(|(unit, holder)| {
        let held = holder.map(|other| &licenses[other].unit);
        unit.plan.is_none()
            && held.is_some_and(|held| held.source == *source && held.line == *line && held.plan != *plan)
    })
}

/// The unit that a license without one was issued for as well, by another sale that turned out to be this one; and the
/// license that holds it.
fn twin(
    place: usize,
    order: &Order,
    units: &[Unit],
    holders: &[Option<usize>],
    licenses: &[License],
) -> Option<(usize, usize)> {
    let license = &licenses[place];
    let held = (0..units.len()).filter_map(|unit| Some((unit, holders[unit]?)));
    held.filter(|&(unit, other)| {
        licenses[other].origin != license.origin
            && units[unit].recurring == license.unit.recurring
            && related(order, &license.unit.source, &units[unit].source)
    })
    .min_by_key(|&(_, other)| (licenses[other].keys, licenses[other].plan.product != license.plan.product, other))
}

/// Of two licenses for one unit the one issued first stays: the key of the other opens it, and rulings of both count.
fn supersede(second: usize, first: usize, licenses: &mut [License], settled: &mut Settled) {
    let loser = licenses[second].clone();
    licenses[first].absorb(&loser);
    let first = licenses[first].id;
    give_up(&mut licenses[second], Holding::SupersededBy(first), Reason::Superseded);
    licenses[second].keys = 0;
    for earlier in licenses.iter_mut().filter(|license| license.holding == Holding::SupersededBy(loser.id)) {
        earlier.holding = Holding::SupersededBy(first);
    }
    settled.changes.push((loser.id, Change::SupersededBy(first)));
}

fn give_up(license: &mut License, holding: Holding, reason: Reason) {
    license.holding = holding;
    license.standing = Standing { state: LicenseState::Revoked, reason, ..Standing::unjudged() };
}

/// A license takes the unit it holds as it is now. A unit whose price no rule speaks of keeps what it had.
fn hold(license: &mut License, mut unit: Unit, settled: &mut Settled) {
    if unit.plan.is_none() {
        unit.plan = license.unit.plan;
        unit.seats = license.unit.seats;
    }
    let from = (license.plan, license.unit.seats);
    license.unit = unit;
    license.plan = plan_that_counts(&license.rulings, license.unit.plan).unwrap_or(license.plan);
    if license.holding == Holding::Retired {
        license.holding = Holding::Unit;
        settled.changes.push((license.id, Change::Revived));
    }
    if from != (license.plan, license.unit.seats) {
        settled.changes.push((license.id, Change::PlanChanged { from }));
    }
}

fn plan_that_counts(rulings: &Rulings, bought: Option<PlanVersion>) -> Option<PlanVersion> {
    rulings.plan.as_ref().map(|register| register.value).or(bought)
}

/// A new license in its true state, even if that is revoked. A unit without a plan issues none.
fn issue(unit: Unit, licenses: &mut Vec<License>, settling: &mut Settling<'_>, settled: &mut Settled) -> Option<usize> {
    let plan = unit.plan?;
    // Nothing can be judged by a plan that is not there.
    settling.catalogue.plan(plan)?;
    let id = LicenseId::new(settling.now, settling.entropy);
    let slot = licenses.iter().map(|license| license.slot + 1).max().unwrap_or(0);
    licenses.push(License {
        id,
        origin: settling.order,
        slot,
        issued_at: settling.now,
        unit,
        plan,
        standing: Standing::unjudged(),
        rulings: Rulings::default(),
        holding: Holding::Unit,
        announced: false,
        keys: 1,
    });
    settled.changes.push((id, Change::Issued));
    Some(licenses.len() - 1)
}

fn rejudge(order: &Order, license: &mut License, settling: &Settling<'_>, settled: &mut Settled) {
    // A plan version is never deleted; without it the license keeps the standing it has.
    let Some(Plan { terms, .. }) = settling.catalogue.plan(license.plan) else { return };
    let case = Judged { order, unit: &license.unit, rulings: &license.rulings, terms };
    let before = std::mem::replace(&mut license.standing, judge(case, settling.now));
    let after = &license.standing;
    if before == Standing::unjudged() {
        return;
    }
    if before.until != after.until {
        settled.changes.push((license.id, Change::TermChanged { from: before.until }));
    }
    if (before.state, &before.reason) != (after.state, &after.reason) {
        settled.changes.push((license.id, Change::StateChanged { from: before.state }));
    }
}

fn announce(license: &mut License, settling: &Settling<'_>, settled: &mut Settled) {
    if !license.announced && settling.has_address && license.standing.state == LicenseState::Active {
        license.announced = true;
        settled.changes.push((license.id, Change::Announced));
    }
}

fn note_unfinished(licenses: &[License], settled: &mut Settled) {
    for license in licenses {
        match license.holding {
            Holding::SupersededBy(_) => {
                settled.waiting.insert(Waiting::Merged { license: license.id });
            }
            Holding::Unit if !license.announced && license.standing.state == LicenseState::Active => {
                settled.waiting.insert(Waiting::NoAddress);
            }
            _ => {}
        }
    }
}
