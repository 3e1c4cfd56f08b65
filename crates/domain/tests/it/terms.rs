//! How a license unfolds in time: terms, grace, cancellations, and what people rule.

use domain::{
    fulfil::{Change, Judged, judge},
    license::{LicenseState, Rulings, Unit},
    order::{
        DisputeState::{Lost, Open, Won},
        Order,
        SubscriptionStatus::Trialing,
    },
    plan::{AddOn, PlanTerms},
    policy::{Issuing, OnCancellation, OnLoss, Policy},
    ruling::Ruling,
    time::days,
};
use jiff::SignedDuration;

use crate::{
    telling::{Invoice, Sale, Snapshot, day, dispute, facts, invoice, refund, sale, snapshot},
    world::World,
};

fn checkout() -> Sale {
    sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").buyer("a@example.com")
}

fn month(number: u32) -> Invoice {
    invoice(&format!("in_{number}"), "sub_1", number * 30).paying(&format!("pi_{number}"))
}

fn seen(day: u32) -> Snapshot {
    snapshot("sub_1", day).item("si_1", "A")
}

/// The first month of a subscription, and more.
fn subscribed(more: impl IntoIterator<Item = Order>) -> Vec<Order> {
    facts![checkout(), month(1), seen(0)].into_iter().chain(more).collect()
}

fn with_policy(policy: Policy) -> PlanTerms {
    PlanTerms { policy, ..PlanTerms::default() }
}

/// What the facts come to on each of these days.
fn unfolds(terms: &PlanTerms, facts: &[Order], expected: &[(u32, &str)]) {
    let mut world = World::selling_on(terms, &["A"]);
    world.put(facts, day(0));
    unfold(&mut world, expected);
}

fn unfold(world: &mut World, expected: &[(u32, &str)]) {
    for (at, words) in expected {
        world.pass_time(day(*at));
        assert_eq!(world.words(world.only()), *words, "on day {at}");
    }
}

#[test]
fn what_is_taken_back_and_comes_back_is_told_by_its_state_alone() {
    let mut world = World::selling(&["A"]);
    world.put(&subscribed([]), day(0));
    for (dispute_is, license_is) in [(Lost, LicenseState::Revoked), (Won, LicenseState::Active)] {
        world.put(&facts![dispute("dp_1", "pi_1", dispute_is)], day(1));
        assert_eq!(world.only().standing.state, license_is, "{dispute_is:?}");
    }
    for moved in [Some(day(30)), None] {
        assert_eq!(world.count(&Change::TermChanged { from: moved }), 0, "its term did not move from {moved:?}");
    }
}

/// A license comes to be in real time, whatever the clock of test mode says.
#[test]
fn a_providers_key_is_missed_half_an_hour_after_its_license_came_to_be() {
    for ahead in [0, 400] {
        let mut world = World::selling(&["L"]);
        (world.awaits_keys, world.ahead) = (true, days(ahead));
        world.put(&facts![sale("cs_1").once("li_1", "L").buyer("a@example.com")], day(0));
        for (minute, expected) in [(0, &[][..]), (29, &[]), (30, &["waits: key of li_1"])] {
            world.settle_all(day(0) + SignedDuration::from_mins(minute));
            let waiting: Vec<String> = world.outcome().into_iter().filter(|word| word.starts_with("waits")).collect();
            assert_eq!(waiting, expected, "after {minute} minutes, {ahead} days ahead");
        }
    }
}

/// An order with several things to come is looked at again for the first of them.
#[test]
fn what_waits_for_a_word_and_for_a_key_is_looked_at_for_the_key_first() {
    let mut world = World::selling(&["L"]);
    let policy = Policy { issuing: Issuing::AfterApproval, ..Policy::default() };
    world.add_plan("M", with_policy(policy));
    world.map("M", day(0));
    world.awaits_keys = true;
    world.put(&facts![sale("cs_1").once("li_1", "L").once("li_2", "M").buyer("a@example.com")], day(0));
    let row = world.orders.values().next().expect("an order");
    assert_eq!(row.look_again_at, Some(day(0) + SignedDuration::from_mins(30)));
}

#[test]
fn a_renewal_is_awaited_for_the_days_of_grace() {
    let expected = [
        (29, "A ×1 active paid until 30, look again 30"),
        (30, "A ×1 active renewal_awaited until 30, at risk, expired on 44, look again 44"),
        (43, "A ×1 active renewal_awaited until 30, at risk, expired on 44, look again 44"),
        (44, "A ×1 expired not_renewed until 30"),
    ];
    unfolds(&PlanTerms::default(), &subscribed([]), &expected);
    let strict = with_policy(Policy { grace_days: 0, ..Policy::default() });
    let expected = [(29, "A ×1 active paid until 30, look again 30"), (30, "A ×1 expired not_renewed until 30")];
    unfolds(&strict, &subscribed([]), &expected);
}

#[test]
fn past_due_is_at_risk_within_grace_and_frozen_beyond() {
    let expected = [
        (29, "A ×1 active payment_past_due until 30, at risk, frozen on 44, look again 30"),
        (31, "A ×1 active payment_past_due until 30, at risk, frozen on 44, look again 44"),
        (44, "A ×1 frozen payment_past_due until 30"),
    ];
    unfolds(&PlanTerms::default(), &subscribed(facts![seen(1).past_due()]), &expected);
    let mut world = World::selling(&["A"]);
    world.put(&subscribed(facts![seen(30).past_due()]), day(45));
    world.put(&facts![month(2), seen(46)], day(46));
    unfold(&mut world, &[(46, "A ×1 active paid until 60, look again 60")]);
}

#[test]
fn a_cancellation_is_scheduled_and_unscheduled() {
    let mut world = World::selling(&["A"]);
    world.put(&subscribed(facts![seen(1).cancelling(30)]), day(1));
    unfold(&mut world, &[(1, "A ×1 active paid until 30, expired on 30, look again 30")]);
    world.put(&facts![seen(2)], day(2));
    unfold(&mut world, &[(2, "A ×1 active paid until 30, look again 30")]);
    world.put(&facts![seen(3).cancelling(60)], day(3));
    unfold(
        &mut world,
        &[
            (3, "A ×1 active paid until 30, look again 30"),
            // It is cancelled one period later than the one that is paid: that one is still expected.
            (30, "A ×1 active renewal_awaited until 30, at risk, expired on 44, look again 44"),
        ],
    );
}

#[test]
fn an_immediate_cancellation_honours_the_paid_period_or_not() {
    let told = subscribed(facts![seen(9).ended(9)]);
    let expected = [
        (9, "A ×1 active paid until 30, expired on 30, look again 30"),
        (30, "A ×1 expired subscription_ended until 30"),
    ];
    unfolds(&PlanTerms::default(), &told, &expected);
    let at_once = with_policy(Policy { cancellation: OnCancellation::ExpireAtOnce, ..Policy::default() });
    unfolds(&at_once, &told, &[(9, "A ×1 expired subscription_ended until 9")]);
    // The end that was announced is known before it comes.
    let expected =
        [(8, "A ×1 active paid until 9, expired on 9, look again 9"), (9, "A ×1 expired not_renewed until 9")];
    unfolds(&at_once, &subscribed(facts![seen(1).cancelling(9)]), &expected);
}

#[test]
fn a_subscription_that_ended_late_ends_with_what_was_paid() {
    let at_once = with_policy(Policy { cancellation: OnCancellation::ExpireAtOnce, ..Policy::default() });
    for terms in [PlanTerms::default(), at_once] {
        unfolds(&terms, &subscribed(facts![seen(40).ended(40)]), &[(41, "A ×1 expired subscription_ended until 30")]);
    }
}

#[test]
fn refunds_count_against_the_month_they_paid_for() {
    let goodwill = subscribed(facts![month(2), refund("re_1", "pi_1", 1_000)]);
    unfolds(&PlanTerms::default(), &goodwill, &[(35, "A ×1 active paid until 60, look again 60")]);
    let last = subscribed(facts![month(2), refund("re_1", "pi_2", 1_000)]);
    let expected = [
        (10, "A ×1 active paid until 30, revoked on 30, look again 30"),
        (30, "A ×1 revoked refunded_in_full until 30"),
    ];
    unfolds(&PlanTerms::default(), &last, &expected);
    let all = subscribed(facts![month(2), refund("re_1", "pi_1", 1_000), refund("re_2", "pi_2", 1_000)]);
    unfolds(&PlanTerms::default(), &all, &[(1, "A ×1 revoked refunded_in_full")]);
}

#[test]
fn a_partial_refund_keeps_or_freezes() {
    let freezing = with_policy(Policy { partial_refund: OnLoss::Freeze, ..Policy::default() });
    let part = subscribed(facts![refund("re_1", "pi_1", 400)]);
    unfolds(&PlanTerms::default(), &part, &[(1, "A ×1 active paid until 30, look again 30")]);
    unfolds(&freezing, &part, &[(1, "A ×1 frozen refunded_in_part until 30, look again 30")]);
    let of_an_old_month = [part.as_slice(), &facts![month(2)]].concat();
    unfolds(&freezing, &of_an_old_month, &[(1, "A ×1 active paid until 60, look again 60")]);
}

#[test]
fn an_open_dispute_freezes_or_not_and_time_goes_on() {
    let told = subscribed(facts![seen(1).cancelling(30), dispute("dp_1", "pi_1", Open)]);
    let expected = [
        (1, "A ×1 frozen dispute_open until 30, expired on 30, look again 30"),
        (30, "A ×1 expired not_renewed until 30"),
    ];
    unfolds(&PlanTerms::default(), &told, &expected);
    let trusting = with_policy(Policy { dispute: OnLoss::Keep, ..Policy::default() });
    unfolds(&trusting, &told, &[(1, "A ×1 active paid until 30, expired on 30, look again 30")]);
    let overdue = subscribed(facts![seen(30).past_due(), dispute("dp_1", "pi_1", Open)]);
    let expected =
        [(31, "A ×1 frozen dispute_open until 30, look again 44"), (44, "A ×1 frozen payment_past_due until 30")];
    unfolds(&PlanTerms::default(), &overdue, &expected);
}

#[test]
fn a_trial_becomes_paid() {
    let free = facts![checkout().total(0), seen(0).status(Trialing).granted(14)];
    let mut world = World::selling(&["A"]);
    world.put(&free, day(0));
    unfold(&mut world, &[(0, "A ×1 active paid until 14, look again 14")]);
    world.put(&facts![seen(14), invoice("in_1", "sub_1", 44).paying("pi_1")], day(14));
    unfold(&mut world, &[(14, "A ×1 active paid until 44, look again 44")]);
}

#[test]
fn a_one_time_sale_lasts_for_good_or_for_the_days_of_its_plan() {
    let bought = facts![sale("cs_1").once("li_1", "A").on(5)];
    unfolds(&PlanTerms::default(), &bought, &[(5, "A ×1 active paid"), (9_999, "A ×1 active paid")]);
    let year = PlanTerms { duration_days: Some(365), ..PlanTerms::default() };
    let expected =
        [(5, "A ×1 active paid until 370, expired on 370, look again 370"), (370, "A ×1 expired term_over until 370")];
    unfolds(&year, &bought, &expected);
    unfolds(&year, &subscribed([]), &[(1, "A ×1 active paid until 30, look again 30")]);
}

/// On day 1 a person rules about the only license.
fn ruled(terms: &PlanTerms, facts: &[Order], ruling: Ruling) -> World {
    let mut world = World::selling_on(terms, &["A"]);
    world.put(facts, day(0));
    world.rule(world.only().id, ruling, day(1));
    world
}

#[test]
fn an_extension_lasts_at_least_until_its_end() {
    let terms = PlanTerms::default();
    let mut world = ruled(&terms, &subscribed([]), Ruling::Extend(day(50)));
    unfold(
        &mut world,
        &[
            (1, "A ×1 active paid until 50, look again 50"),
            (50, "A ×1 active renewal_awaited until 50, at risk, expired on 64, look again 64"),
        ],
    );
    world.put(&facts![month(2)], day(51));
    unfold(&mut world, &[(51, "A ×1 active paid until 60, look again 60")]);
    let ended = subscribed(facts![seen(9).ended(9)]);
    unfold(
        &mut ruled(&terms, &ended, Ruling::Extend(day(50))),
        &[
            (31, "A ×1 active paid until 50, expired on 50, look again 50"),
            (50, "A ×1 expired subscription_ended until 50"),
        ],
    );
    unfold(
        &mut ruled(&terms, &subscribed([]), Ruling::Extend(day(10))),
        &[(1, "A ×1 active paid until 30, look again 30")],
    );
    let refunded = subscribed(facts![refund("re_1", "pi_1", 1_000)]);
    unfold(&mut ruled(&terms, &refunded, Ruling::Extend(day(50))), &[(1, "A ×1 revoked refunded_in_full")]);
    let last = subscribed(facts![month(2), refund("re_1", "pi_2", 1_000)]);
    let expected = [(30, "A ×1 revoked refunded_in_full until 30")];
    unfold(&mut ruled(&terms, &last, Ruling::Extend(day(50))), &expected);
    let year = PlanTerms { duration_days: Some(365), ..terms.clone() };
    let bought = facts![sale("cs_1").once("li_1", "A")];
    let mut world = ruled(&year, &bought, Ruling::Extend(day(400)));
    unfold(&mut world, &[(366, "A ×1 active paid until 400, expired on 400, look again 400")]);
    unfold(&mut ruled(&terms, &bought, Ruling::Extend(day(400))), &[(1, "A ×1 active paid")]);
}

#[test]
fn a_plan_chosen_by_a_person_outlasts_what_is_bought_later() {
    let mut world = World::selling(&["A", "B"]);
    let gift = world.add_plan("gift", with_policy(Policy { grace_days: 1, ..Policy::default() }));
    world.put(&subscribed([]), day(0));
    let id = world.only().id;
    world.rule(id, Ruling::ChangePlan(gift), day(1));
    unfold(&mut world, &[(1, "gift ×1 active paid until 30, look again 30")]);
    world.put(&facts![snapshot("sub_1", 2).item("si_1", "B")], day(2));
    unfold(
        &mut world,
        &[
            (2, "gift ×1 active paid until 30, look again 30"),
            (30, "gift ×1 active renewal_awaited until 30, at risk, expired on 31, look again 31"),
        ],
    );
    assert_eq!(world.only().unit.price.as_str(), "B");
}

#[test]
fn rulings_by_hand_beat_every_provider() {
    let terms = PlanTerms::default();
    let told = subscribed(facts![dispute("dp_1", "pi_1", Open)]);
    let mut world = ruled(&terms, &told, Ruling::Revoke);
    unfold(&mut world, &[(1, "A ×1 revoked revoked_by_hand until 30")]);
    assert_eq!(world.only().standing.open.len(), 1, "what else stands is still told");
    world.rule(world.only().id, Ruling::Reinstate, day(2));
    unfold(&mut world, &[(2, "A ×1 frozen dispute_open until 30, look again 30")]);
    let mut world = ruled(&terms, &subscribed([]), Ruling::Freeze);
    unfold(&mut world, &[(1, "A ×1 frozen frozen_by_hand until 30, look again 30")]);
    unfold(&mut world, &[(44, "A ×1 expired not_renewed until 30")]);
    world.put(&facts![month(2)], day(45));
    unfold(&mut world, &[(45, "A ×1 frozen frozen_by_hand until 60, look again 60")]);
    world.rule(world.only().id, Ruling::Unfreeze, day(46));
    unfold(&mut world, &[(46, "A ×1 active paid until 60, look again 60")]);
}

#[test]
fn what_a_subscription_is_for_renews_even_if_its_line_does_not_say_so() {
    let mut told = Order::from(seen(0));
    told.items.values_mut().for_each(|register| register.value[0].recurring = false);
    let mut world = World::selling(&["A"]);
    world.put(&facts![told, month(1)], day(0));
    unfold(&mut world, &[(0, "A ×1 active paid until 30, look again 30")]);
}

#[test]
fn judging_needs_nothing_but_what_it_is_given() {
    let order = Order::from(sale("cs_1").once("li_1", "A"));
    let unit = Unit {
        source: "cs_1".into(),
        subscribed: false,
        line: "li_1".into(),
        price: "A".into(),
        product: None,
        recurring: false,
        plan: None,
        seats: 1,
        added: AddOn::default(),
    };
    let (rulings, terms) = (Rulings::default(), PlanTerms::default());
    let case = Judged { order: &order, unit: &unit, rulings: &rulings, terms: &terms };
    assert_eq!(judge(case, day(0)), judge(case, day(1_000)));
    assert_eq!(judge(case, day(0)).state, LicenseState::Active);
}
