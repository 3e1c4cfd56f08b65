//! Makes the licenses of an order what its facts say they should be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    decision::Catalogue,
    fulfil::{Filling, Judged, Waiting, Wanted, fill, fill::related, judge, want},
    id::{Entropy, LicenseId, OrderId},
    license::{Holding, License, LicenseState, Rulings, Standing, Unit},
    order::{Approval, Order},
    plan::{Plan, PlanVersion},
    policy::{Issuing, MailBy, OnTrial},
    reason::{Cause, Reason},
    text::Reference,
    time::after,
};

/// Something that happened to a license. Each is written with its audit entry and its effects, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A license came to be.
    Issued,
    /// It took a key that the provider gave out, by the provider's name of it.
    Keyed(Reference),
    /// It had none, since its provider gave the keys out, and has one of ours now that they are ours.
    KeyMade,
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
    /// Add-ons raised or lowered what it allows.
    LimitsChanged,
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
    /// More of the money that paid for it went back than was known. What follows is a change of its own.
    Refunded,
    /// It ends soon, and nothing will renew it. Once for each end.
    Expiring {
        /// When.
        at: Timestamp,
    },
}

/// Whether new licenses may come to be (D05, A35). Those that are there are judged all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// As many as were sold.
    #[default]
    Open,
    /// So many, since the account has room for no more.
    Room(u64),
    /// None, since the account may not sell at present.
    Stopped,
}

impl Admission {
    /// Takes the place of one license, if there is one.
    fn take(&mut self) -> Result<(), Waiting> {
        match self {
            Self::Open => Ok(()),
            Self::Room(0) => Err(Waiting::AccountFull),
            Self::Room(left) => {
                *left -= 1;
                Ok(())
            }
            Self::Stopped => Err(Waiting::AccountStopped),
        }
    }
}

/// Why a key that a provider gave out opens nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyTrouble {
    /// It opens another license already. Apps ask by the key alone, so a key opens one license wherever it was sold.
    Taken,
    /// It is no key: too short, or too long.
    NoKey,
}

/// Keys that a provider gave out for what an order sold, by the provider's names of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// They open no license yet.
    pub keys: BTreeSet<Reference>,
    /// They open none of this order's, and never will.
    pub refused: BTreeMap<Reference, KeyTrouble>,
}

/// What reconciling needs to know.
pub struct Settling<'a> {
    /// The order's id.
    pub order: OrderId,
    /// Plans as they were in every version.
    pub catalogue: &'a Catalogue,
    /// Whether the order, or the customer's identity, has an address.
    pub has_address: bool,
    /// Some: keys are the provider's. None: each license has a key of ours.
    pub offered: Option<Offered>,
    /// Whether new licenses may come to be; afterwards, whether more may.
    pub admission: Admission,
    /// The moment: when whatever comes to be came to be.
    pub now: Timestamp,
    /// The moment by which licenses are judged. It is another one only in test mode, whose clock may be ahead.
    pub judged_at: Timestamp,
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
    /// When to look again even if no license changes by itself then.
    pub look_again_at: Option<Timestamp>,
}

/// A provider's key that has not come for this long is missed.
const KEY_LATE: SignedDuration = SignedDuration::from_mins(30);

/// What takes the place of something is told with it, in either order. If it has not come for this long, its event is lost.
const SUCCESSOR_LATE: SignedDuration = SignedDuration::from_hours(1);

/// A sale that waits longer than this for a person's word is brought up again.
const APPROVAL_REMINDER: SignedDuration = SignedDuration::from_hours(24);

impl Settled {
    /// Some: the sale has been approved. What waits for a word is noted, and a rejected sale waits for nothing.
    fn must_approve(&mut self, order: &Order, now: Timestamp) -> Option<()> {
        match order.approval.as_ref().map(|register| register.value) {
            Some(Approval::Approved) => return Some(()),
            Some(Approval::Rejected) => return None,
            None => {}
        }
        let remind_at = order.sold_at().map(|sold_at| after(sold_at, APPROVAL_REMINDER));
        let overdue = remind_at.is_some_and(|remind_at| remind_at <= now);
        self.waiting.insert(Waiting::Approval { overdue });
        remind_at.filter(|_| !overdue).into_iter().for_each(|at| self.look_again(at));
        None
    }

    /// Time alone may change something then.
    fn look_again(&mut self, at: Timestamp) {
        self.look_again_at = Some(self.look_again_at.map_or(at, |before| before.min(at)));
    }
}

/// Reconciles `licenses` (of this order, or of orders that became one) with the order. Doing it twice changes nothing.
pub fn reconcile(order: &Order, licenses: &mut Vec<License>, settling: &mut Settling<'_>) -> Settled {
    licenses.sort_by_key(|license| (license.issued_at, license.slot));
    let Wanted { mut units, waiting } = want(order);
    let order = &*order.with_payments_of_periods();
    let mut settled = Settled { waiting, ..Settled::default() };
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
        let before = holder.map(|place| (licenses[place].plan, licenses[place].unit.seats));
        let place = match holder {
            Some(place) => {
                hold(&mut licenses[place], unit, &mut settled);
                place
            }
            None => match issue(order, unit, licenses, settling, &mut settled) {
                Some(place) => place,
                None => continue,
            },
        };
        rejudge(order, &mut licenses[place], before, settling, &mut settled);
        adopt(order, &mut licenses[place], settling, &mut settled);
        announce(order, &mut licenses[place], settling, &mut settled);
        warn(&mut licenses[place], settling, &mut settled);
    }
    for license in licenses.iter_mut() {
        license.origin = settling.order;
    }
    note_unfinished(licenses, &mut settled);
    note_vacated(order, licenses, settling.judged_at, &mut settled);
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
    if license.unit.added != unit.added {
        settled.changes.push((license.id, Change::LimitsChanged));
    }
    license.unit = unit;
    if license.holding == Holding::Retired {
        license.holding = Holding::Unit;
        settled.changes.push((license.id, Change::Revived));
    }
}

/// The plan that a person chose, or that was bought.
fn plan_that_counts(license: &License) -> PlanVersion {
    license.rulings.plan.as_ref().map(|register| register.value).or(license.unit.plan).unwrap_or(license.plan)
}

/// A new license in its true state, even if that is revoked. A unit without a plan issues none, and one for which the
/// account has no place waits.
fn issue(
    order: &Order,
    unit: Unit,
    licenses: &mut Vec<License>,
    settling: &mut Settling<'_>,
    settled: &mut Settled,
) -> Option<usize> {
    let plan = unit.plan?;
    // Nothing can be judged by a plan that is not there.
    let policy = &settling.catalogue.plan(plan)?.terms.policy;
    if policy.trial == OnTrial::Wait && order.is_on_trial(&unit) {
        if !order.is_trialing(&unit) {
            // Its trial is over, or nobody told of one: the money should be here by now.
            settled.waiting.insert(Waiting::PeriodUnknown { purchase: unit.source });
        }
        return None;
    }
    if policy.issuing == Issuing::AfterApproval {
        settled.must_approve(order, settling.judged_at)?;
    }
    if let Err(waiting) = settling.admission.take() {
        settled.waiting.insert(waiting);
        return None;
    }
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
        expiry_told: None,
        keys: u32::from(settling.offered.is_none()),
    });
    settled.changes.push((id, Change::Issued));
    Some(licenses.len() - 1)
}

/// Judges by the plan that was bought or chosen, even where a smaller one counts: otherwise the smaller plan's policy
/// would decide whether it counts.
fn rejudge(
    order: &Order,
    license: &mut License,
    had: Option<(PlanVersion, u32)>,
    settling: &Settling<'_>,
    settled: &mut Settled,
) {
    // A plan version is never deleted; without it the license keeps the standing it has.
    let Some(plan) = settling.catalogue.plan(plan_that_counts(license)) else { return };
    let case = Judged { order, unit: &license.unit, rulings: &license.rulings, terms: &plan.terms };
    let before = std::mem::replace(&mut license.standing, judge(case, settling.judged_at));
    license.plan = given(license, plan, settling.catalogue);
    if let Some(from) = had.filter(|from| *from != (license.plan, license.unit.seats)) {
        settled.changes.push((license.id, Change::PlanChanged { from }));
    }
    let after = &license.standing;
    if before == Standing::unjudged() {
        return;
    }
    // What is taken back has no term: that it is gone, or back, is told by its state.
    let is_taken_back = [before.state, after.state].contains(&LicenseState::Revoked);
    if before.until != after.until && !is_taken_back {
        settled.changes.push((license.id, Change::TermChanged { from: before.until }));
    }
    let is_new_refund = |cause: &&Cause| matches!(cause, Cause::Refunded { .. }) && !before.open.contains(cause);
    if after.open.iter().any(|cause| is_new_refund(&cause)) {
        settled.changes.push((license.id, Change::Refunded));
    }
    if (before.state, &before.reason) != (after.state, &after.reason) {
        settled.changes.push((license.id, Change::StateChanged { from: before.state }));
    }
}

/// Whoever has it hears in time that it ends, unless it was bought for no longer than that.
fn warn(license: &mut License, settling: &Settling<'_>, settled: &mut Settled) {
    let Some(plan) = settling.catalogue.plan(plan_that_counts(license)) else { return };
    let standing = &license.standing;
    let Some(end) = standing.final_end().filter(|_| standing.state == LicenseState::Active) else { return };
    let Some(notice_at) = plan.terms.policy.expiring_notice_at(end) else { return };
    if license.issued_at >= notice_at || license.expiry_told == Some(end) {
        return;
    }
    if notice_at > settling.judged_at {
        settled.look_again(notice_at);
    } else if license.announced {
        license.expiry_told = Some(end);
        settled.changes.push((license.id, Change::Expiring { at: end }));
    }
}

/// The plan that a license gives: its own, or the smaller one that money which went back leads to. Of the smaller plan
/// the version stays that was given first.
fn given(license: &License, plan: &Plan, catalogue: &Catalogue) -> PlanVersion {
    let smaller = plan.terms.policy.downgrade_to.as_ref().filter(|_| license.standing.downgraded);
    match smaller.and_then(|code| catalogue.plan_by_code(code)) {
        Some(smaller) if smaller.version.plan == license.plan.plan => license.plan,
        Some(smaller) if smaller.version.product == plan.version.product => smaller.version,
        _ => plan.version,
    }
}

/// Where the vendor sends the mails, no address of ours is needed; nor where the key was brought along and nobody asked for a
/// mail, since its buyer has it.
fn can_be_told(order: &Order, license: &License, settling: &Settling<'_>) -> bool {
    let plan = settling.catalogue.plan(license.plan);
    let is_silent = order.purchases.get(&license.unit.source).is_some_and(|purchase| purchase.silent);
    settling.has_address
        || plan.is_some_and(|plan| plan.terms.policy.mail == MailBy::Vendor)
        || (settling.offered.is_some() && is_silent)
}

/// A license without a key takes one that the provider gave out for its line, or gets one where keys are ours by now. Who
/// waits too long for it is brought up, and so is a key that came and opens nothing.
fn adopt(order: &Order, license: &mut License, settling: &mut Settling<'_>, settled: &mut Settled) {
    if license.keys > 0 {
        return;
    }
    let Some(offered) = &mut settling.offered else {
        license.keys = 1;
        settled.changes.push((license.id, Change::KeyMade));
        return;
    };
    let is_for_it = |name: &&Reference| order.keys.get(*name).is_some_and(|key| key.line == license.unit.line);
    if let Some(name) = offered.keys.iter().find(is_for_it).cloned() {
        offered.keys.remove(&name);
        license.keys = 1;
        settled.changes.push((license.id, Change::Keyed(name)));
        return;
    }
    if let Some((name, trouble)) = offered.refused.iter().find(|(name, _)| is_for_it(name)) {
        settled.waiting.insert(Waiting::KeyRefused { key: name.clone(), trouble: *trouble });
        return;
    }
    // It came to be in real time, however far the clock of test mode is ahead.
    let missed_at = after(license.issued_at, KEY_LATE);
    if missed_at <= settling.now {
        settled.waiting.insert(Waiting::KeyAwaited { line: license.unit.line.clone() });
    } else {
        settled.look_again(after(missed_at, settling.judged_at.duration_since(settling.now)));
    }
}

fn announce(order: &Order, license: &mut License, settling: &Settling<'_>, settled: &mut Settled) {
    let is_active = license.standing.state == LicenseState::Active;
    let is_ready = is_active && license.keys > 0 && can_be_told(order, license, settling);
    if !license.announced && is_ready {
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
            Holding::Unit
                if !license.announced && license.keys > 0 && license.standing.state == LicenseState::Active =>
            {
                settled.waiting.insert(Waiting::NoAddress);
            }
            _ => {}
        }
    }
}

/// A license works on that stands on what gave its place away, and so may that of the successor: a person hears of it.
fn note_vacated(order: &Order, licenses: &[License], now: Timestamp, settled: &mut Settled) {
    for (source, since) in order.vacated() {
        let works = |license: &License| {
            let is_on = matches!(license.standing.state, LicenseState::Active | LicenseState::Frozen);
            license.holding == Holding::Unit && license.unit.source == *source && is_on
        };
        let missed_at = after(since, SUCCESSOR_LATE);
        if !licenses.iter().any(works) {
            continue;
        }
        if missed_at <= now {
            settled.waiting.insert(Waiting::SuccessorAwaited { source: source.clone() });
        } else {
            settled.look_again(missed_at);
        }
    }
}
