//! Whether what ought to go out does, and what is in use may be.

use std::collections::BTreeSet;

use domain::{
    decision::Catalogue,
    id::{ActivationId, LicenseId},
    license::{Holding, License},
    policy::MailBy,
};
use store::{rows::Mail, snapshot::Pending};

use super::{Finding, examine::Case, of};
use domain::mail::MailKind;

/// Each license that was announced has one mail with its first key, unless whoever asked for it delivers it themselves, or its
/// buyer was erased before it came to be. That a key was changed is another occasion.
pub(super) fn mails(case: &Case<'_>) -> Vec<Finding> {
    let order = case.order;
    if order.order.erased.is_some() || order.order.purchases.values().any(|purchase| purchase.silent) {
        return Vec::new();
    }
    // Where the vendor sends the mails now, we may have sent some before. A key that the provider gave out it mailed itself.
    let sent_by_others = |license: &License| {
        let plan = case.catalogue.and_then(|catalogue| catalogue.plan(license.plan));
        let is_adopted = order.order.keys.values().any(|key| key.line == license.unit.line);
        is_adopted || plan.is_some_and(|plan| plan.terms.policy.mail == MailBy::Vendor)
    };
    let announced = order.licenses.iter().filter(|license| license.announced);
    let wrong = announced.filter_map(|license| {
        let written = |id: &LicenseId| {
            let of_key = |mail: &&Mail| mail.kind == MailKind::LicenseDelivery.as_str() && mail.occasion.is_empty();
            of(&case.gathered.mails, id).iter().filter(of_key).count()
        };
        let own = written(&license.id);
        // It may have been announced as the license that it stands for now.
        let stands_for = superseded_by(license.id, &order.licenses);
        match (own, stands_for.iter().map(written).sum::<usize>()) {
            (1, _) | (0, 1..) => None,
            (0, 0) if sent_by_others(license) => None,
            (count, _) => Some(Finding::new(5, license.id, format!("{count} mails with its key were written"))),
        }
    });
    wrong.collect()
}

/// The licenses that this one stands for, and those that these stood for.
fn superseded_by(survivor: LicenseId, licenses: &[License]) -> BTreeSet<LicenseId> {
    let mut all = BTreeSet::from([survivor]);
    loop {
        let next = licenses.iter().filter(|license| match license.holding {
            Holding::SupersededBy(other) => all.contains(&other) && !all.contains(&license.id),
            _ => false,
        });
        let next: Vec<LicenseId> = next.map(|license| license.id).collect();
        if next.is_empty() {
            break;
        }
        all.extend(next);
    }
    all.remove(&survivor);
    all
}

/// No slot was given beyond the limit. Slots that were in use when a plan became smaller stay.
pub(super) fn activations(case: &Case<'_>, catalogue: &Catalogue) -> Vec<Finding> {
    let held = case.order.licenses.iter().filter(|license| license.holding == Holding::Unit);
    let wrong = held.filter_map(|license| {
        let limit = license.limits(&catalogue.plan(license.plan)?.terms.limits).activations?;
        let mut taken: Vec<_> = of(&case.gathered.activations, &license.id).iter().collect();
        taken.sort_by_key(|row| (row.created_at, row.id));
        let smaller_since = case.gathered.plan_changed.get(&license.id).map_or(i64::MIN, |at| at.as_microsecond());
        let beyond = taken.iter().skip(limit as usize).find(|row| row.created_at > smaller_since)?;
        let problem =
            format!("{} of {limit} activations are in use; {} came too many", taken.len(), ActivationId(beyond.id));
        Some(Finding::new(6, license.id, problem))
    });
    wrong.collect()
}

/// What waits for nobody, and what stands on nothing, in words.
pub(super) fn of_pending(pending: &Pending) -> Finding {
    match pending {
        Pending::Unhandled(id) => Finding::new(8, id, "it has been in the inbox for a minute and nobody works on it"),
        Pending::NotLookedUp(id) => Finding::new(8, id, "its look-up was due a minute ago and nobody makes it"),
        Pending::NoLookupTime(id) => Finding::new(8, id, "it waits for a look-up and no time is set for it"),
        Pending::HeldUnseen(id) => Finding::new(8, id, "it is held and no attention item says so"),
        Pending::Overdue(id) => Finding::new(8, id, "its time came a minute ago and nobody looks at it"),
        Pending::NotSent(id) => Finding::new(8, id, "it was to be sent a minute ago and nobody sends it"),
        Pending::NoSendingTime(id) => Finding::new(5, id, "it waits to be sent and no time is set for it"),
        Pending::UnknownMailStatus(id) => Finding::new(5, id, "nobody knows its status"),
        Pending::NotDelivered(id) => Finding::new(8, id, "it was to be delivered a minute ago and nobody delivers it"),
        Pending::NoDeliveryTime(id) => Finding::new(3, id, "it waits to be delivered and no time is set for it"),
        Pending::NotHeld(id) => Finding::new(8, id, "it waits, its webhook endpoint is not called, and it is not held"),
        Pending::DeadWithoutReason(id) => Finding::new(3, id, "it was given up and nothing says why"),
        Pending::UnknownDeliveryStatus(id) => Finding::new(3, id, "nobody knows its status"),
        Pending::OrphanDelivery(id) => Finding::new(3, id, "its event or its webhook endpoint is not there"),
        Pending::OrphanMail(id) => Finding::new(5, id, "its license is not there"),
        Pending::DanglingReference(name) => Finding::new(9, name, "it leads to no order"),
        Pending::OrphanLicense(id) => Finding::new(1, id, "its order is not there"),
        Pending::OrphanKey(id) => Finding::new(1, format!("license key {id}"), "its license is not there"),
        Pending::OrphanActivation(id) => Finding::new(6, ActivationId(*id), "its license is not there"),
    }
}
