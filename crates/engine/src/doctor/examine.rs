//! One order: the licenses it ought to have, and the state they ought to be in. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crypto::ring::KeyRing;
use domain::{
    Entropy,
    decision::Catalogue,
    fulfil::{Admission, Change, Judged, KeyTrouble, Settling, Waiting, judge, reconcile, resolve, want},
    license::{Holding, License, Standing},
    order::{Approval, Order},
    text::Reference,
};
use jiff::Timestamp;
use store::StoredOrder;

use super::{Finding, Gathered, deliveries, keys, names, of};
use crate::{
    adopt::{self, ToAdopt},
    attention::{self, ACCOUNT_FULL, ACCOUNT_STOPPED, KEY_REFUSED},
    connections::Connection,
};

/// An order with everything that stands around it.
pub(super) struct Case<'a> {
    pub(super) order: &'a StoredOrder,
    pub(super) gathered: &'a Gathered,
    /// None: it does not read.
    pub(super) catalogue: Option<&'a Catalogue>,
    /// None: it is gone, or does not open.
    pub(super) connection: Option<&'a Connection>,
    /// Whether one of its events was played again.
    pub(super) is_replayed: bool,
    pub(super) ring: &'a KeyRing,
    pub(super) now: Timestamp,
    /// The same by the clock that its licenses are judged by.
    pub(super) judged_at: Timestamp,
}

impl Case<'_> {
    /// Whether the provider gives out the keys of its licenses.
    pub(super) fn is_keyed_by_provider(&self) -> bool {
        self.connection.is_some_and(Connection::is_keyed_by_provider)
    }
}

/// Everything that is wrong with an order.
pub(super) fn examine(case: &Case<'_>) -> Vec<Finding> {
    if case.order.merged_into.is_some() {
        return names::redirect(case);
    }
    let mut findings = names::names(case);
    findings.extend(names::rebuilt(case));
    findings.extend(keys::keys(case));
    findings.extend(deliveries::mails(case));
    // An order whose time has come is about to be settled: what it is now need not be what it will be.
    let is_due = case.order.due_at.is_some_and(|due| due <= case.now);
    if let (false, Some(catalogue)) = (is_due, case.catalogue) {
        findings.extend(deliveries::activations(case, catalogue));
        let mut wrong = licenses(case);
        wrong.extend(standings(case, catalogue));
        // What was told already is not told again in other words.
        if wrong.is_empty() {
            wrong = settled(case, catalogue);
        }
        findings.extend(wrong);
        findings.extend(clock(case));
    }
    findings
}

/// As many licenses as were sold, or an open item that says why not.
pub(super) fn licenses(case: &Case<'_>) -> Vec<Finding> {
    let order = case.order;
    let wanted = want(&order.order).units.iter().filter(|unit| unit.plan.is_some()).count();
    let held = order.licenses.iter().filter(|license| license.holding == Holding::Unit).count();
    // What was rejected has no licenses, or those of before. Settling it once more tells whether it should have one.
    let is_rejected = order.order.approval.as_ref().is_some_and(|register| register.value == Approval::Rejected);
    if wanted == held || (is_rejected && held < wanted) || !of(&case.gathered.open, &order.id).is_empty() {
        return Vec::new();
    }
    vec![Finding::new(1, order.id, format!("{wanted} licenses were sold and {held} are there, and no item says why"))]
}

/// Each license is in the state that its order gives it now.
fn standings(case: &Case<'_>, catalogue: &Catalogue) -> Vec<Finding> {
    let held = case.order.licenses.iter().filter(|license| license.holding == Holding::Unit);
    let wrong = held.filter_map(|license| {
        let problem = match ought_to_be(case, catalogue, license) {
            Ok(ought) if ought == license.standing => return None,
            Ok(ought) => differs(&license.standing, &ought),
            Err(problem) => problem,
        };
        Some(Finding::new(2, license.id, problem))
    });
    wrong.collect()
}

/// How a license stands as its order has it now; or why that cannot be said.
pub(super) fn ought_to_be(case: &Case<'_>, catalogue: &Catalogue, license: &License) -> Result<Standing, String> {
    let order = &*case.order.order.with_payments_of_periods();
    let Some(plan) = catalogue.plan(license.plan) else {
        return Err(format!("plan {} in version {} is not there", license.plan.plan, license.plan.version));
    };
    if !has_source(order, license) {
        return Err(format!("its order knows nothing of {}", license.unit.source));
    }
    let judged = Judged { order, unit: &license.unit, rulings: &license.rulings, terms: &plan.terms };
    Ok(judge(judged, case.judged_at))
}

/// A judgement rests on the source of the unit.
fn has_source(order: &Order, license: &License) -> bool {
    let unit = &license.unit;
    match unit.subscribed {
        true => order.subscriptions.contains_key(&unit.source),
        false => order.purchases.contains_key(&unit.source),
    }
}

fn differs(is: &Standing, ought: &Standing) -> String {
    let told = |standing: &Standing| {
        let until = standing.until.map(|until| format!(" until {until}")).unwrap_or_default();
        format!("{}{until} because {}", standing.state.as_str(), standing.reason.sentence())
    };
    if told(is) == told(ought) {
        return format!("what comes next is stored otherwise than it follows: {is:?}, {ought:?}");
    }
    format!("it is stored as {}, and it follows that it is {}", told(is), told(ought))
}

/// Nobody draws from it: what would be new is a finding.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Settling the order once more changes nothing, and what it waits for is what people see.
fn settled(case: &Case<'_>, catalogue: &Catalogue) -> Vec<Finding> {
    let order = case.order;
    let mut findings = waits_in_vain(case, catalogue);
    let mut licenses = order.licenses.clone();
    let has_address = case.gathered.has_address(order);
    let entropy = &mut NoEntropy;
    let admission = admission(case);
    let (now, judged_at) = (case.now, case.judged_at);
    // A key that is at hand is taken when the order is settled; here it is enough to know whose keys they are.
    let refused = refused(case);
    let to_adopt = ToAdopt { refused, ..ToAdopt::default() };
    let offered = case.connection.and_then(|connection| adopt::offered(connection, &order.order, &to_adopt));
    let order_id = order.id;
    let mut settling =
        Settling { order: order_id, catalogue, has_address, offered, admission, now, judged_at, entropy };
    let settled = reconcile(&order.order, &mut licenses, &mut settling);
    for (license, change) in settled.changes {
        let (invariant, problem) = would(&change);
        match change {
            Change::Issued => findings.push(Finding::new(1, order.id, problem)),
            _ => findings.push(Finding::new(invariant, license, problem)),
        }
    }
    findings.extend(case.connection.map(|connection| told(case, &settled.waiting, connection)).unwrap_or_default());
    findings
}

/// Which keys opened nothing when the order was last looked at, as its items say.
fn refused(case: &Case<'_>) -> BTreeMap<Reference, KeyTrouble> {
    let order = case.order;
    let is_open = |name: &&Reference| {
        let subject = format!("{}/{name}", order.id);
        of(&case.gathered.open, &order.id).iter().any(|item| item.kind == KEY_REFUSED && item.subject == subject)
    };
    order.order.keys.keys().filter(is_open).map(|name| (name.clone(), KeyTrouble::Taken)).collect()
}

/// What kept the order from new licenses when it was last looked at, as its items say.
fn admission(case: &Case<'_>) -> Admission {
    let is_open = |kind: &str| of(&case.gathered.open, &case.order.id).iter().any(|item| item.kind == kind);
    if is_open(ACCOUNT_STOPPED) {
        Admission::Stopped
    } else if is_open(ACCOUNT_FULL) {
        Admission::Room(0)
    } else {
        Admission::Open
    }
}

fn would(change: &Change) -> (u8, String) {
    match change {
        Change::Issued => (1, "a unit that was sold has no license".to_owned()),
        Change::Announced => (5, "it is active and has an address, and its mail was never written".to_owned()),
        Change::Keyed(name) => (1, format!("it did not take the key {name}")),
        Change::KeyMade => (1, "no key opens it, and it ought to have one of ours".to_owned()),
        Change::Revived => (1, "it is retired and a unit waits for it".to_owned()),
        Change::Retired => (1, "it holds a unit that was not sold".to_owned()),
        Change::SupersededBy(other) => (1, format!("{other} was issued for the same unit")),
        Change::LimitsChanged => (1, "its add-ons are not those that were sold".to_owned()),
        Change::PlanChanged { .. } => (1, "it gives another plan, or other seats, than was decided".to_owned()),
        Change::TermChanged { .. } | Change::StateChanged { .. } => (2, "its state is not what follows".to_owned()),
        Change::Refunded => (2, "money that went back is not held against it".to_owned()),
        Change::Expiring { .. } => (5, "it ends soon, and nobody was told".to_owned()),
    }
}

/// An order that waits for a rule which is there has been forgotten.
fn waits_in_vain(case: &Case<'_>, catalogue: &Catalogue) -> Vec<Finding> {
    let for_a_rule = |order: &Order| {
        let waiting = want(order).waiting.into_iter();
        let for_rule = |item: &Waiting| matches!(item, Waiting::Unmapped { .. } | Waiting::LinesUnknown { .. });
        waiting.filter(for_rule).collect::<BTreeSet<_>>()
    };
    let stored = &case.order.order;
    let waiting = for_a_rule(stored);
    if waiting.is_empty() {
        return Vec::new();
    }
    let mut resolved = stored.clone();
    resolve(&mut resolved, case.order.connection, catalogue, case.now);
    if waiting.is_subset(&for_a_rule(&resolved)) {
        return Vec::new();
    }
    vec![Finding::new(8, case.order.id, "it waits for a price rule that is there, and nobody looks at it again")]
}

/// Each thing it waits for has an open item, and each open item something that it waits for.
fn told(case: &Case<'_>, waiting: &BTreeSet<Waiting>, connection: &Connection) -> Vec<Finding> {
    let order = case.order;
    let key = |item: &store::rows::AttentionItem| (item.kind.clone(), item.subject.clone());
    let for_a_person = waiting.iter().filter(|waiting| attention::is_for_a_person(waiting, connection));
    let items = for_a_person.map(|waiting| attention::of_order(order, waiting, connection, case.now, &mut NoEntropy));
    let wanted: BTreeSet<_> = items.map(|item| key(&item)).collect();
    let open: BTreeSet<_> = of(&case.gathered.open, &order.id).iter().map(key).collect();
    let missing = wanted.difference(&open).map(|(kind, subject)| {
        Finding::new(1, order.id, format!("it waits ({kind}, {subject}) and no attention item says so"))
    });
    let stale = open.difference(&wanted).map(|(kind, subject)| {
        Finding::new(8, order.id, format!("the attention item ({kind}, {subject}) is open and its cause is gone"))
    });
    missing.chain(stale).collect()
}

/// The order is looked at again as soon as time alone could change one of its licenses.
fn clock(case: &Case<'_>) -> Vec<Finding> {
    let held = case.order.licenses.iter().filter(|license| license.holding == Holding::Unit);
    let Some(next) = held.filter_map(|license| license.standing.next_check).min() else { return Vec::new() };
    match case.order.due_at {
        Some(due) if due <= next => Vec::new(),
        due => {
            let set = due.map_or_else(|| "no time".to_owned(), |due| due.to_string());
            vec![Finding::new(8, case.order.id, format!("it must be looked at again at {next} and {set} is set"))]
        }
    }
}
