//! What holds for every order there could be, over generated ones.
//!
//! Generated facts are wilder than any provider: few names, so that orders meet, and content at random.
//! The generator is seeded; `KEYWRIGHT_DEEP=1` takes fifty times as many cases.

use std::{collections::BTreeSet, fmt::Debug};

use domain::{
    activation::{lease_times, verdict},
    decision::{Decision, Evidence, Grant, Matcher, QuantityRule},
    fact::{CustomerFact, CustomerSnapshot, Fact, VERSION},
    fulfil::{Judged, judge},
    id::{PlanId, ProductId},
    join::{Join, Partition, Register, Stamp},
    license::{Extension, Holding, License, LicenseState, Rulings},
    order::{Collected, DisputeState, Missing, Order, PurchaseState, RefundState, SubscriptionStatus},
    plan::{AddOn, Limits, PlanTerms, PlanVersion},
    policy::{OnCancellation, OnLoss, Policy},
    reason::{Cause, Reason},
    text::{CustomerReference, Reference},
};
use jiff::SignedDuration;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    test_runner::RngSeed,
};
use uuid::Uuid;

use crate::{
    permutations::budget,
    telling::{
        day, dispute, euros, gave_way, invoice, mails_to, refund, refund_that, refunded_in_all, sale, same_payment,
        same_sale, snapshot,
    },
    world::{Dice, Row, World},
};

fn cases(usual: usize) -> ProptestConfig {
    ProptestConfig {
        cases: u32::try_from(budget(usual)).unwrap_or(u32::MAX),
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&["cs_1", "cs_2", "sub_1", "sub_2", "in_1", "in_2", "in_3", "pi_1", "pi_2", "pi_3"])
}

fn purchase_name() -> impl Strategy<Value = &'static str> {
    select(&["cs_1", "cs_2"])
}

fn subscription_name() -> impl Strategy<Value = &'static str> {
    select(&["sub_1", "sub_2"])
}

fn payment_name() -> impl Strategy<Value = &'static str> {
    select(&["pi_1", "pi_2", "pi_3"])
}

fn lines() -> impl Strategy<Value = Vec<(&'static str, &'static str, u32, bool)>> {
    vec((select(&["li_1", "li_2", "li_3"]), select(&["A", "B", "C"]), 0..4u32, any::<bool>()), 1..3)
}

prop_compose! {
    fn a_sale()(
        id in purchase_name(), other in option::of(name()), subscription in option::of(subscription_name()),
        lines in option::weighted(0.9, lines()), paid in select(&[PurchaseState::Pending, PurchaseState::Failed,
        PurchaseState::Paid, PurchaseState::Paid, PurchaseState::Paid]), at in 0..120u32, mail in any::<bool>(),
        total in 0..3i64, silent in any::<bool>(),
    ) -> Order {
        let mut sale = sale(id).on(at).total(total * 500);
        match lines {
            None => sale = sale.unknown(true, None),
            Some(lines) => for (line, price, quantity, recurring) in lines {
                sale = if recurring { sale.renewing(line, price) } else { sale.once(line, price) }.times(quantity);
            },
        }
        if mail {
            sale = sale.buyer("a@example.com");
        }
        let sale = other.into_iter().fold(sale, |sale, other| sale.naming(other));
        let sale = subscription.into_iter().fold(sale, |sale, subscription| sale.starting(subscription));
        let mut order = Order::from(sale);
        for purchase in order.purchases.values_mut() {
            (purchase.state, purchase.silent) = (paid, silent);
        }
        order
    }
}

prop_compose! {
    fn a_snapshot()(
        id in subscription_name(), other in option::of(name()), at in 0..120u32,
        items in option::weighted(0.8, lines()), covers in option::weighted(0.1, Just(&["li_1", "li_2"][..])),
        status in select(&[SubscriptionStatus::Incomplete, SubscriptionStatus::Trialing, SubscriptionStatus::Active,
        SubscriptionStatus::PastDue, SubscriptionStatus::Paused, SubscriptionStatus::Ended]),
        granted in option::weighted(0.3, 0..120u32), cancel in option::weighted(0.3, 0..120u32),
        ended in option::weighted(0.2, 0..120u32),
    ) -> Order {
        let mut told = snapshot(id, at).status(status);
        for (item, price, quantity, _) in items.into_iter().flatten() {
            told = told.item(item, price).times(quantity);
        }
        told = other.into_iter().fold(told, |told, other| told.naming(other));
        told = covers.into_iter().fold(told, |told, covers| told.covering(covers));
        told = granted.into_iter().fold(told, |told, until| told.granted(until));
        told = cancel.into_iter().fold(told, |told, at| told.cancelling(at));
        ended.into_iter().fold(told, |told, at| told.ended(at)).into()
    }
}

fn an_invoice() -> impl Strategy<Value = Order> {
    (select(&["in_1", "in_2", "in_3"]), payment_name(), subscription_name(), 0..120u32, 0..3i64).prop_map(
        |(id, payment, subscription, until, total)| {
            invoice(id, subscription, until).paying(payment).total(total * 500).into()
        },
    )
}

/// A payment that does not tell which period it paid.
fn a_payment() -> impl Strategy<Value = Order> {
    (select(&["in_1", "in_2", "cs_1"]), payment_name(), subscription_name(), 0..120u32, 0..3i64).prop_map(
        |(id, payment, subscription, at, total)| {
            let paid = Collected {
                subscription: subscription.into(),
                total: euros(total * 500),
                at: day(at),
                change: total == 2,
            };
            let order = joined(vec![same_payment(&[id, payment]), same_sale(&[id, subscription])]);
            Order { collected: [(id.into(), paid)].into(), ..order }
        },
    )
}

fn a_refund() -> impl Strategy<Value = Order> {
    let state = select(&[RefundState::Pending, RefundState::Succeeded, RefundState::Failed]);
    let named = (state, select(&["re_1", "re_2"]), payment_name(), 1..3i64)
        .prop_map(|(state, id, payment, amount)| refund_that(state, id, payment, amount * 500));
    let total = (payment_name(), 0..3i64, 0..120u32)
        .prop_map(|(payment, amount, at)| refunded_in_all(payment, amount * 500, at));
    let whole = (select(&["in_1", "cs_1", "pi_1"]), 0..3i64, 0..120u32).prop_map(|(payment, amount, at)| {
        let mut order = refunded_in_all(payment, amount * 500, at);
        order.refunds.values_mut().for_each(|refund| refund.value.whole = true);
        order
    });
    prop_oneof![2 => named, 1 => total, 1 => whole]
}

fn a_dispute() -> impl Strategy<Value = Order> {
    let state = select(&[DisputeState::Inquiry, DisputeState::Open, DisputeState::Lost, DisputeState::Won]);
    (select(&["dp_1", "dp_2"]), payment_name(), state).prop_map(|(id, payment, state)| dispute(id, payment, state))
}

/// A sale or subscription in place of an earlier one.
fn a_replacement() -> impl Strategy<Value = Order> {
    (select(&[("cs_2", "cs_1", "cs_2"), ("cs_2", "sub_1", "sub_2")]), 0..120u32)
        .prop_map(|((id, old, new), at)| sale(id).on(at).once("li_1", "A").replacing(old, new).into())
}

/// A fact of any kind.
fn fact() -> impl Strategy<Value = Order> {
    prop_oneof![
        3 => a_sale(),
        4 => a_snapshot(),
        4 => an_invoice(),
        2 => a_payment(),
        3 => a_refund(),
        2 => a_dispute(),
        1 => a_replacement(),
        1 => (name(), 0..120u32, any::<bool>()).prop_map(|(name, at, gone)| gave_way(name, at, gone)),
        1 => (name(), name()).prop_map(|(one, other)| same_payment(&[one, other])),
        1 => (name(), name()).prop_map(|(one, other)| same_sale(&[one, other])),
        1 => (name(), 0..120u32).prop_map(|(name, at)| mails_to(name, at, "b@example.com")),
    ]
}

fn plan_version() -> impl Strategy<Value = PlanVersion> {
    (1..3u128, 1..3u32).prop_map(|(plan, version)| PlanVersion {
        plan: PlanId(Uuid::from_u128(plan)),
        version,
        product: ProductId(Uuid::from_u128(plan)),
    })
}

fn decision() -> impl Strategy<Value = Decision> {
    let evidence = select(&[Evidence::Default, Evidence::Product, Evidence::Price, Evidence::Metadata]);
    (option::weighted(0.3, 0..3u32), evidence, 0..3u32, option::of(plan_version())).prop_map(
        |(asked, evidence, decided, plan)| Decision {
            asked_at: asked.map(day),
            evidence,
            decided_at: day(decided),
            grants: plan.map(|plan| Grant { plan, quantity: QuantityRule::Keys }).into_iter().collect(),
            adds: AddOn { activations: decided, ..AddOn::default() },
        },
    )
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (any::<bool>(), 0..3u32, 0..2u8).prop_map(|(ended, at, rank)| Stamp { ended, at: day(at), rank })
}

fn register<T: Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Register<T>> {
    (stamp(), value).prop_map(|(stamp, value)| Register::new(stamp, value))
}

/// An order with everything in it that facts, people and decisions can put there.
fn order() -> impl Strategy<Value = Order> {
    let excused = option::of((payment_name(), 1..3i64).prop_map(|(payment, amount)| Cause::Refunded {
        payment: payment.into(),
        amount: euros(amount * 500),
        full: amount == 2,
    }));
    let missing = option::of(select(&[Missing::Lines, Missing::PaymentLink]));
    let customer = option::of(select(&["cus_1", "cus_2"]).prop_map(CustomerReference::from));
    let decided = option::of((select(&["A", "B"]), decision()));
    (vec(fact(), 0..5), excused, missing, customer, decided).prop_map(|(facts, excused, missing, customer, decided)| {
        let mut order = joined(facts);
        order.excused.extend(excused);
        order.missing.extend(missing);
        order.customers.extend(customer);
        order.decided.extend(decided.map(|(price, decision)| (price.into(), decision)));
        order
    })
}

fn rulings() -> impl Strategy<Value = Rulings> {
    let until = (0..9u32).prop_map(|until| Extension(day(until)));
    (
        option::of(register(any::<bool>())),
        option::of(register(any::<bool>())),
        option::of(register(until)),
        option::of(register(plan_version())),
        option::of(register(option::of(
            (0..9u32).prop_map(|count| Limits { activations: Some(count), ..Limits::default() }),
        ))),
    )
        .prop_map(|(revoked, frozen, extended, plan, limits)| Rulings { revoked, frozen, extended, plan, limits })
}

fn customer() -> impl Strategy<Value = CustomerFact> {
    let snapshot = (any::<bool>(), option::of(select(&["Ada", "Bob"]))).prop_map(|(deleted, name)| CustomerSnapshot {
        deleted,
        email: None,
        name: name.map(Into::into),
    });
    register(snapshot).prop_map(|snapshot| CustomerFact { reference: "cus_1".into(), snapshot })
}

fn partition() -> impl Strategy<Value = Partition<u8>> {
    vec(vec(0..8u8, 0..4), 0..4).prop_map(|groups| joined(groups.into_iter().map(Partition::group)))
}

fn terms() -> impl Strategy<Value = PlanTerms> {
    let on_loss = || select(&[OnLoss::Keep, OnLoss::Freeze, OnLoss::Downgrade, OnLoss::Revoke]);
    let cancellation = select(&[
        OnCancellation::ExpireAtPeriodEnd,
        OnCancellation::RevokeAtPeriodEnd,
        OnCancellation::ExpireAtOnce,
        OnCancellation::RevokeAtOnce,
    ]);
    (select(&[0, 1, 14]), on_loss(), on_loss(), on_loss(), cancellation, option::of(0..60u32)).prop_map(
        |(grace_days, full_refund, partial_refund, dispute, cancellation, duration_days)| PlanTerms {
            policy: Policy { grace_days, full_refund, partial_refund, dispute, cancellation, ..Policy::default() },
            duration_days,
            ..PlanTerms::default()
        },
    )
}

fn join<T: Join + Clone>(mine: &T, theirs: &T) -> T {
    let mut both = mine.clone();
    both.join(theirs.clone());
    both
}

fn joined<T: Join + Default>(parts: impl IntoIterator<Item = T>) -> T {
    let mut all = T::default();
    for part in parts {
        all.join(part);
    }
    all
}

/// Commutative, associative, idempotent.
fn lattice<T: Join + Clone + PartialEq + Debug>((a, b, c): &(T, T, T)) -> Result<(), TestCaseError> {
    let both = join(a, b);
    prop_assert_eq!(&both, &join(b, a));
    prop_assert_eq!(join(&both, c), join(a, &join(b, c)));
    prop_assert_eq!(&join(a, a), a);
    prop_assert_eq!(&join(&both, a), &both);
    Ok(())
}

/// Three of a kind, for [`lattice`].
fn three<T: Debug>(of: fn() -> BoxedStrategy<T>) -> impl Strategy<Value = (T, T, T)> {
    (of(), of(), of())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn orders_join(orders in three(|| order().boxed())) {
        lattice(&orders)?;
    }

    #[test]
    fn purchases_join(parts in three(|| a_sale().prop_map(|order| order.purchases.into_values().next()).boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn periods_join(parts in three(|| an_invoice().prop_map(|order| order.periods).boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn payments_join(parts in three(|| a_payment().prop_map(|order| order.collected).boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn refunds_join(parts in three(|| a_refund().prop_map(|order| order.refunds).boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn disputes_join(parts in three(|| a_dispute().prop_map(|order| order.disputes).boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn registers_join(parts in three(|| register(0..4u8).boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn decisions_join(parts in three(|| decision().boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn rulings_join(parts in three(|| rulings().boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn customers_join(parts in three(|| customer().boxed())) {
        lattice(&parts)?;
    }

    #[test]
    fn partitions_join(parts in three(|| partition().boxed())) {
        lattice(&parts)?;
    }

    /// Two elements are one exactly if a chain of groups leads from one to the other.
    #[test]
    fn a_partition_is_the_coarsest_that_is_asked_for(groups in vec(vec(0..8u8, 0..4), 0..6)) {
        let partition: Partition<u8> = joined(groups.iter().cloned().map(Partition::group));
        for from in 0..8 {
            let mut reached = BTreeSet::from([from]);
            for _ in 0..8 {
                let touched = groups.iter().filter(|group| group.iter().any(|element| reached.contains(element)));
                reached = touched.flatten().copied().chain(reached.iter().copied()).collect();
            }
            for to in 0..8 {
                prop_assert_eq!(partition.same(&from, &to), reached.contains(&to), "{} and {}", from, to);
            }
        }
    }

    #[test]
    fn facts_are_kept_without_loss(order in order(), customer in customer()) {
        for fact in [Fact::Order(Box::new(order)), Fact::Customer(customer)] {
            prop_assert_eq!(Fact::decode(fact.kind(), VERSION, &fact.encode())?, fact);
        }
    }
}

/// Price `A` gives keys, `B` seats, `C` two plans, and what nobody knows gives `A`; all but `A` may be mapped later.
fn vendor(all: bool) -> World {
    let mut world = World::selling(&["A", "c1", "c2"]);
    world.add_plan("B", PlanTerms::default());
    if all {
        map_the_rest(&mut world);
    }
    world
}

fn map_the_rest(world: &mut World) {
    world.add_rule(Matcher::Price("B".into()), &["B"], QuantityRule::Seats);
    world.add_rule(Matcher::Price("C".into()), &["c1", "c2"], QuantityRule::Keys);
    world.add_rule(Matcher::Default, &["A"], QuantityRule::Keys);
}

/// The days on which generated orders are looked at.
const END: u32 = 100;

proptest! {
    #![proptest_config(cases(1_500))]

    /// Whatever arrives in whatever order, twice, in batches, over time, with prices mapped meanwhile: it ends alike,
    /// in as many licenses as were sold, announced once and only while active (which the world itself checks).
    #[test]
    fn any_arrival_ends_alike(
        facts in vec(fact(), 1..10), again in vec(any::<Index>(), 0..4), shuffling in any::<u64>(), map_at in 0..12usize,
    ) {
        let mut at_once = vendor(true);
        at_once.put(&facts, day(END));
        let mut dice = Dice(shuffling);
        let mut arriving = facts.clone();
        arriving.extend(again.iter().map(|index| index.get(&facts).clone()));
        dice.shuffle(&mut arriving);
        let (mut world, mut batch, mut now) = (vendor(false), Vec::new(), 0);
        for (place, fact) in arriving.into_iter().enumerate() {
            if place == map_at {
                map_the_rest(&mut world);
                world.settle_all(day(now));
            }
            batch.push(fact);
            if dice.one_in(2) {
                now = END.min(now + u32::try_from(dice.below(20)).unwrap_or_default());
                world.put(&std::mem::take(&mut batch), day(now));
            }
        }
        map_the_rest(&mut world);
        world.put(&batch, day(END));
        world.settle_all(day(END));
        prop_assert_eq!(world.outcome(), at_once.outcome());
        let happened = world.log.len();
        world.put(&facts, day(END));
        world.settle_all(day(END));
        prop_assert_eq!(&world.log[happened..], [], "telling everything again changed something");
        for license in world.licenses() {
            if let Holding::SupersededBy(other) = license.holding {
                prop_assert!(world.licenses().any(|twin| twin.id == other && !matches!(twin.holding, Holding::SupersededBy(_)) && twin.keys > 1));
            }
        }
    }

    /// Before `next_check` time changes nothing, and what is scheduled comes true.
    #[test]
    fn time_does_what_was_said_and_nothing_before(
        facts in vec(fact(), 1..8), terms in terms(), rulings in rulings(), start in 0..END,
    ) {
        let mut world = vendor(true);
        world.put(&facts, day(start));
        let now = day(start);
        for row in world.orders.values() {
            for license in row.licenses.iter().filter(|license| license.holding == Holding::Unit) {
                let case = Judged { order: &row.order, unit: &license.unit, rulings: &rulings, terms: &terms };
                let standing = judge(case, now);
                let stop = standing.next_check.unwrap_or(day(10_000));
                prop_assert!(stop > now);
                let moment = SignedDuration::from_micros(1);
                for later in [now + moment, now + stop.duration_since(now) / 2, stop - moment] {
                    prop_assert_eq!(&judge(case, later), &standing, "at {}", later);
                }
                if let Some(scheduled) = standing.scheduled {
                    prop_assert_eq!(judge(case, scheduled.at).state, scheduled.state);
                    prop_assert_eq!(judge(case, scheduled.at - moment).state, standing.state);
                }
                let license = License { standing: standing.clone(), ..license.clone() };
                let lease = lease_times(&license.standing, &terms, now);
                if verdict(&license.standing, now).code.is_valid() {
                    prop_assert_eq!(judge(case, lease.expires_at - moment).state, LicenseState::Active, "a lease outlives it");
                }
                let in_term = standing.until.is_none_or(|until| until > now);
                prop_assert!(standing.state != LicenseState::Active || standing.at_risk || in_term, "{standing:?}");
                let by_hand = rulings.revoked.as_ref().is_some_and(|register| register.value);
                prop_assert_eq!(standing.reason == Reason::RevokedByHand, by_hand);
            }
        }
    }

    /// No license is active on money that went back, unless the provider grants a period or a person excuses it.
    #[test]
    fn nothing_is_active_when_everything_went_back(facts in vec(fact(), 1..8), start in 0..END) {
        let mut world = vendor(true);
        let mut facts = facts;
        for subscription in facts.iter_mut().flat_map(|fact| fact.subscriptions.values_mut()) {
            subscription.value.granted_until = None;
        }
        world.put(&facts, day(0));
        let paid = |Row { order, .. }: &Row| {
            let paid = order.purchases.keys().chain(order.periods.keys()).chain(order.collected.keys());
            paid.cloned().collect::<Vec<_>>()
        };
        let payments: Vec<Reference> = world.orders.values().flat_map(paid).collect();
        // A total goes by the name of its payment, and no refund does.
        let refund_of = |payment: &Reference| refund(&format!("back:{payment}"), payment.as_str(), 1_000_000);
        let back: Vec<Order> = payments.iter().map(refund_of).collect();
        world.put(&back, day(start));
        prop_assert_eq!(world.active(), []);
    }
}
