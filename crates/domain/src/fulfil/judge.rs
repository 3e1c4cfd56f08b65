//! In which state a license is, until when, why, and when that could change by itself.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    license::{LicenseState, Rulings, Scheduled, Standing, Unit},
    money::Money,
    order::{DisputeState, Order, PROVISIONAL, Period, Purchase, Subscription, SubscriptionStatus},
    plan::PlanTerms,
    policy::{OnLoss, Policy},
    reason::{Cause, Reason},
    text::Reference,
    time::{after, days},
};

/// What comes of a further try to collect is known within this time.
const TIME_TO_COLLECT: SignedDuration = days(1);

/// Everything a judgement rests on.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The sale.
    pub order: &'a Order,
    /// What was sold.
    pub unit: &'a Unit,
    /// What people decided about this license.
    pub rulings: &'a Rulings,
    /// What its plan says.
    pub terms: &'a PlanTerms,
}

/// How long what was paid for lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing that was paid is left.
    Void,
    /// Until then.
    At(Timestamp),
    /// For good.
    Never,
}

/// The stretch of time a license is good for.
struct Term {
    end: End,
    /// How long it stays valid after its end.
    grace: SignedDuration,
    /// The state it takes then.
    after: LicenseState,
    /// Why it takes it.
    reason: Reason,
    /// A payment is overdue.
    overdue: bool,
    /// The end was announced: a cancellation, or a term that never renews.
    final_end: bool,
    /// Money that went back ended it: then it ends in a revocation, and no extension helps.
    lost: bool,
}

/// Causes met on the way.
#[derive(Default)]
struct Findings {
    /// All that stand, excused or not.
    open: BTreeSet<Cause>,
    /// Those that freeze what is otherwise alive.
    freezing: BTreeSet<Cause>,
    /// Those that lead to a smaller plan.
    downgrading: BTreeSet<Cause>,
}

/// Judges one license. Equal input gives equal output, and nothing changes before `next_check`.
#[must_use]
pub fn judge(case: Judged<'_>, now: Timestamp) -> Standing {
    let mut findings = Findings::default();
    let mut term = if case.unit.recurring { recurring(case, &mut findings) } else { one_time(case, &mut findings) };
    if let (End::At(end), Some(extended), false) = (term.end, case.rulings.extended_until(), term.lost) {
        term.end = End::At(end.max(extended));
    }
    let mut standing = in_time(&term, now);
    let by_hand = case.rulings.is_frozen().then_some(Reason::FrozenByHand);
    if standing.state == LicenseState::Active
        && let Some(reason) = findings.freezing.pop_last().map(Reason::Cause).or(by_hand)
    {
        freeze(&mut standing, reason);
    }
    if let Some(cause) = findings.downgrading.pop_last() {
        standing.downgraded = true;
        if standing.reason == Reason::Paid {
            standing.reason = Reason::Cause(cause);
        }
    }
    standing.open = findings.open.into_iter().collect();
    if case.rulings.is_revoked() {
        return revoked_by_hand(standing);
    }
    standing
}

/// Time goes on for what is frozen, and may end it.
fn freeze(standing: &mut Standing, reason: Reason) {
    standing.state = LicenseState::Frozen;
    standing.reason = reason;
    standing.at_risk = false;
    standing.scheduled.take_if(|scheduled| scheduled.state == LicenseState::Frozen);
}

/// Nothing but a person brings it back, time least of all.
fn revoked_by_hand(standing: Standing) -> Standing {
    let (state, reason) = (LicenseState::Revoked, Reason::RevokedByHand);
    Standing { state, reason, at_risk: false, scheduled: None, next_check: None, ..standing }
}

/// Where the term stands at `now`.
fn in_time(term: &Term, now: Timestamp) -> Standing {
    let end = if let End::At(end) = term.end { Some(end) } else { None };
    let limit = end.map(|end| after(end, term.grace));
    let over = term.end == End::Void || limit.is_some_and(|limit| now >= limit);
    let awaited = !over && end.is_some_and(|end| now >= end);
    let (state, reason) = match (over, term.overdue, awaited) {
        (true, _, _) => (term.after, term.reason.clone()),
        (false, true, _) => (LicenseState::Active, term.reason.clone()),
        (false, false, true) => (LicenseState::Active, Reason::RenewalAwaited),
        (false, false, false) => (LicenseState::Active, Reason::Paid),
    };
    let expects_end = !over && (awaited || term.overdue || term.final_end);
    Standing {
        state,
        reason,
        until: end,
        at_risk: !over && (awaited || term.overdue),
        scheduled: limit.filter(|_| expects_end).map(|at| Scheduled { state: term.after, at }),
        next_check: [end, limit].into_iter().flatten().filter(|mark| *mark > now).min(),
        open: Vec::new(),
        downgraded: false,
    }
}

/// What took a payment back entirely, if anything did. **This is where a refund becomes a revoked license.**
fn payment_loss(case: Judged<'_>, payment: &Reference, total: Money, findings: &mut Findings) -> Option<Cause> {
    let Judged { order, terms, .. } = case;
    let mut worst = None;
    let mut meet = |cause: Cause, on_loss: OnLoss| {
        findings.open.insert(cause.clone());
        if order.excused.contains(&cause) {
            return;
        }
        match on_loss {
            OnLoss::Keep => {}
            OnLoss::Freeze => {
                findings.freezing.insert(cause);
            }
            OnLoss::Downgrade => {
                findings.downgrading.insert(cause);
            }
            OnLoss::Revoke => worst = worst.take().max(Some(cause)),
        }
    };
    let policy = &terms.policy;
    let refunded = order.refunded(payment);
    if refunded > 0 {
        let full = refunded >= total.minor;
        let amount = Money::new(refunded, total.currency);
        let on_loss = if full { policy.full_refund } else { policy.partial_refund };
        meet(Cause::Refunded { payment: payment.clone(), amount, full }, on_loss);
    }
    for (id, dispute) in order.disputes_of(payment) {
        let lost = dispute.state == DisputeState::Lost;
        let on_loss = if lost { policy.full_refund } else { policy.dispute };
        meet(Cause::Disputed { dispute: id.clone(), lost }, on_loss);
    }
    worst
}

/// A one-time purchase: until the end that the sale says, otherwise for the plan's duration or for good, unless its payment
/// was taken back.
fn one_time(case: Judged<'_>, findings: &mut Findings) -> Term {
    let purchase = &case.order.purchases[&case.unit.source];
    let loss = payment_loss(case, &case.unit.source, purchase.total, findings);
    let lost = loss.is_some();
    let by_plan = || case.terms.duration_days.map(|count| after(purchase.at, days(count)));
    let end = purchase.ends.or_else(by_plan).map_or(End::Never, End::At);
    let (end, after, reason) = match loss {
        Some(cause) => (End::Void, LicenseState::Revoked, Reason::Cause(cause)),
        None => (end, LicenseState::Expired, Reason::TermOver),
    };
    Term { end, grace: SignedDuration::ZERO, after, reason, overdue: false, final_end: true, lost }
}

/// The furthest paid period, what took later ones back, and what the subscription says is coming.
fn recurring(case: Judged<'_>, findings: &mut Findings) -> Term {
    let Judged { order, unit, terms: PlanTerms { policy, .. }, .. } = case;
    let subscription = unit.subscribed.then(|| (&unit.source, &order.subscriptions[&unit.source].value));
    let paid = paid_ends(case, subscription, findings);
    let paid_until = paid.iter().filter(|(_, loss)| loss.is_none()).map(|(end, _)| *end).max();
    let taken_back = paid
        .into_iter()
        .filter(|(end, loss)| loss.is_some() && paid_until.is_none_or(|until| *end > until))
        .max()
        .and_then(|(_, loss)| loss);
    let mut term = Term {
        end: paid_until.map_or(End::Void, End::At),
        grace: grace(policy, order, subscription.map(|(id, _)| id), paid_until),
        after: LicenseState::Expired,
        reason: Reason::NotRenewed,
        overdue: false,
        final_end: false,
        lost: taken_back.is_some(),
    };
    if let Some(cause) = taken_back {
        term.grace = SignedDuration::ZERO;
        term.final_end = true;
        term.after = LicenseState::Revoked;
        term.reason = Reason::Cause(cause);
    }
    findings.freezing.retain(|cause| !is_of_the_past(cause, order, paid_until));
    findings.downgrading.retain(|cause| !is_of_the_past(cause, order, paid_until));
    if let Some((id, subscription)) = subscription {
        follow(&mut term, id, subscription, policy, order, findings);
    }
    term
}

/// How long a license outlives its paid end: the plan's days, and until the provider has tried again to collect (E34).
fn grace(
    policy: &Policy,
    order: &Order,
    subscription: Option<&Reference>,
    paid_until: Option<Timestamp>,
) -> SignedDuration {
    let retried = subscription.and_then(|id| order.retries.get(id)).map(|told| after(told.0, TIME_TO_COLLECT));
    let collecting = paid_until.zip(retried).map(|(paid_until, retried)| retried.duration_since(paid_until));
    days(policy.grace_days).max(collecting.unwrap_or_default())
}

/// Money that went back counts against the period that it paid for: an old one freezes nothing. An open dispute is
/// another matter: it is about the buyer, whatever month it names.
fn is_of_the_past(cause: &Cause, order: &Order, paid_until: Option<Timestamp>) -> bool {
    let refunded = match cause {
        Cause::Refunded { payment, .. } => payment,
        Cause::Disputed { dispute, lost: true } => match order.disputes.get(dispute) {
            Some(dispute) => &dispute.payment,
            None => return false,
        },
        _ => return false,
    };
    let mut paid = order.periods.iter().filter(|(payment, _)| order.payments.same(payment, refunded));
    paid.any(|(_, period)| paid_until.is_some_and(|until| period.until < until))
}

/// The ends of all periods that were paid or granted, each with what took it back.
fn paid_ends(
    case: Judged<'_>,
    subscription: Option<(&Reference, &Subscription)>,
    findings: &mut Findings,
) -> Vec<(Timestamp, Option<Cause>)> {
    let Judged { order, unit, .. } = case;
    let purchases = order.paid_purchases().filter(|(id, purchase)| match subscription {
        Some((subscription, state)) => Order::starts(id, purchase, subscription, state),
        None => **id == unit.source,
    });
    let purchases: Vec<_> = purchases.collect();
    let names = |(_, purchase): &(&Reference, &Purchase), subscription: &Reference| {
        purchase.subscriptions.is_empty() || purchase.subscriptions.contains(subscription)
    };
    let mut ends: Vec<_> = order
        .periods
        .iter()
        .filter(|(_, Period { subscription: paid, .. })| match subscription {
            Some((id, _)) => paid == id,
            None => !order.subscriptions.contains_key(paid) && purchases.iter().any(|purchase| names(purchase, paid)),
        })
        .map(|(payment, period)| (period.until, payment_loss(case, payment, period.total, findings)))
        .collect();
    let nothing_known = ends.is_empty();
    let granted = subscription.and_then(|(_, subscription)| subscription.granted_until);
    let of_period = |payment: &Reference| order.periods.keys().any(|period| order.payments.same(period, payment));
    for (payment, purchase) in purchases {
        // The money of a period is counted with it, and not once more under the name of its checkout.
        if !nothing_known && of_period(payment) {
            continue;
        }
        let loss = payment_loss(case, payment, purchase.total, findings);
        if nothing_known {
            // It paid the period that the provider speaks of, if it speaks of one.
            let provisional = after(purchase.at, PROVISIONAL);
            ends.push((granted.map_or(provisional, |granted| granted.max(provisional)), loss));
        }
    }
    // The provider's own word for a period never gives back one that was refunded or lost.
    if let Some(granted) = granted
        && !ends.iter().any(|(end, loss)| loss.is_some() && *end >= granted)
    {
        ends.push((granted, None));
    }
    ends
}

/// What the subscription's own state means for the time after the paid end. Grace is for renewals still expected.
fn follow(
    term: &mut Term,
    id: &Reference,
    subscription: &Subscription,
    policy: &Policy,
    order: &Order,
    findings: &mut Findings,
) {
    let End::At(paid_until) = term.end else { return };
    // Once it has ended, the end itself counts, and may be excused.
    let announced = subscription.cancel_at.filter(|_| subscription.ended_at.is_none());
    if let Some(at) = announced.filter(|at| *at <= paid_until) {
        end_with_subscription(term, policy, at);
        if policy.cancellation.revokes() && !term.lost {
            term.reason = Reason::Cause(Cause::Ended { subscription: id.clone(), at });
        }
    }
    let Some(cause) = standing_cause(id, subscription, paid_until) else { return };
    findings.open.insert(cause.clone());
    let excused = order.excused.contains(&cause);
    match cause {
        Cause::PastDue { .. } if excused && !term.lost => term.end = End::Never,
        _ if excused => {}
        Cause::Paused { .. } => {
            findings.freezing.insert(cause);
        }
        Cause::Ended { at, .. } => {
            end_with_subscription(term, policy, paid_until.min(at));
            if !term.lost {
                term.reason = Reason::Cause(cause);
            }
        }
        _ if term.lost => {}
        _ => {
            term.overdue = true;
            term.after = LicenseState::Frozen;
            term.reason = Reason::Cause(cause);
        }
    }
}

/// The license ends with its subscription, or with what was paid of it; nothing is awaited after that.
fn end_with_subscription(term: &mut Term, policy: &Policy, at: Timestamp) {
    term.grace = SignedDuration::ZERO;
    term.final_end = true;
    if policy.cancellation.is_at_once() {
        term.end = End::At(at);
    }
    if policy.cancellation.revokes() {
        term.after = LicenseState::Revoked;
    }
}

/// What the state of a subscription holds against its license.
fn standing_cause(id: &Reference, subscription: &Subscription, paid_until: Timestamp) -> Option<Cause> {
    let subscription_id = id.clone();
    match (subscription.ended_at, subscription.status) {
        (Some(at), _) => Some(Cause::Ended { subscription: subscription_id, at }),
        (None, SubscriptionStatus::PastDue) => Some(Cause::PastDue { subscription: subscription_id, paid_until }),
        (None, SubscriptionStatus::Paused) => Some(Cause::Paused { subscription: subscription_id, paid_until }),
        _ => None,
    }
}
