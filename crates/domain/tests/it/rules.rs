//! The rules of fulfilment that a naive reading gets wrong, one test each.

use std::collections::BTreeSet;

use domain::{
    decision::{Matcher, QuantityRule},
    fulfil::{Change, Waiting},
    join::Stamp,
    license::LicenseState,
    order::{
        DisputeState::{Inquiry, Lost, Open, Won},
        Missing, Order,
        RefundState::{Failed, Pending},
        SubscriptionStatus::{Active, Paused, Trialing},
    },
    plan::PlanTerms,
    policy::{OnLoss, Policy},
    reason::{Cause, Reason},
    ruling::Ruling,
    text::CustomerReference,
};
use jiff::SignedDuration;

use crate::{
    telling::{
        Invoice, Sale, Snapshot, day, dispute, facts, gave_way, invoice, mails_to, refund, refund_that,
        refunded_in_all, sale, same_payment, snapshot,
    },
    world::World,
};

/// A checkout of one `A` that starts `sub_1`.
pub(crate) fn checkout() -> Sale {
    sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").buyer("a@example.com")
}

pub(crate) fn month(number: u32) -> Invoice {
    invoice(&format!("in_{number}"), "sub_1", number * 30).paying(&format!("pi_{number}"))
}

/// `sub_1` with one item of that price.
pub(crate) fn seen(day: u32, price: &str) -> Snapshot {
    snapshot("sub_1", day).item("si_1", price)
}

pub(crate) const FIRST_MONTH: &str = "A ×1 active paid until 30, look again 30";

#[test]
fn rule_01_a_decision_belongs_to_a_price_of_an_order() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(0, "A")]);
    world.put(&facts![seen(1, "B")], day(1));
    assert_eq!(
        world.words_of_only(),
        "B ×1 active paid until 30, look again 30",
        "an upgrade on the same line applies"
    );
    world.add_plan("B", PlanTerms::default());
    world.put(&facts![seen(2, "B").times(2)], day(2));
    let versions: Vec<u32> = world.live().map(|license| license.plan.version).collect();
    assert_eq!(versions, [1, 1], "what was decided stays decided, even for what is added later");
    world.put(&facts![sale("cs_2").renewing("li_2", "B")], day(3));
    assert_eq!(world.order("cs_2").licenses[0].plan.version, 2, "a later sale gets the plan as it is then");
}

#[test]
fn rule_02_a_refund_finds_its_month() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), month(2), seen(0, "A")]);
    world.put(&facts![refund("re_1", "ch_2", 1_000)], day(1));
    assert_eq!(world.orders.len(), 2, "nobody said yet what was refunded");
    world.put(&facts![same_payment(&["pi_2", "ch_2"])], day(2));
    assert_eq!(world.orders.len(), 1);
    assert_eq!(world.words_of_only(), "A ×1 active paid until 30, revoked on 30, look again 30");
}

#[test]
fn rule_02_a_refund_that_nobody_can_trace_asks_for_attention_until_it_is_linked() {
    let untraced = Order { missing: [Missing::PaymentLink].into(), ..refund("re_1", "ch_1", 1_000) };
    let mut world = World::after(&["A"], &facts![checkout(), month(1), untraced]);
    assert_eq!(world.outcome(), ["2 orders", FIRST_MONTH, "waits: payment unlinked"]);
    world.put(&facts![same_payment(&["pi_1", "ch_1"])], day(1));
    assert_eq!(world.outcome(), ["A ×1 revoked refunded_in_full"]);
}

#[test]
fn rule_02_customers_do_not_join_orders() {
    let by = |id: &str| {
        let customers = BTreeSet::from([CustomerReference::from("cus_1")]);
        Order { customers, ..sale(id).once("li", "A").buyer("same@example.com").into() }
    };
    let world = World::after(&["A"], &[by("cs_1"), by("cs_2")]);
    assert_eq!(world.orders.len(), 2);
    assert_eq!(world.live().count(), 2);
}

#[test]
fn rule_04_an_excuse_covers_the_causes_it_saw() {
    let lenient =
        PlanTerms { policy: Policy { partial_refund: OnLoss::Freeze, ..Policy::default() }, ..PlanTerms::default() };
    let mut world = World::selling_on(&lenient, &["L"]);
    world.put(&facts![sale("cs_1").once("li_1", "L").buyer("a@example.com")], day(0));
    world.put(&facts![dispute("dp_1", "cs_1", Open), refund("re_1", "cs_1", 300)], day(1));
    assert_eq!(world.words_of_only(), "L ×1 frozen dispute_open");
    assert_eq!(world.only().standing.open.len(), 2);
    world.unfreeze_all(day(2));
    assert_eq!(world.words_of_only(), "L ×1 active paid");
    world.put(&facts![mails_to("cs_1", 3, "b@example.com")], day(3));
    assert_eq!(world.words_of_only(), "L ×1 active paid", "an e-mail is no new cause");
    world.put(&facts![refund("re_2", "cs_1", 300)], day(4));
    assert_eq!(world.words_of_only(), "L ×1 frozen refunded_in_part", "a new amount is");
    world.unfreeze_all(day(5));
    world.put(&facts![dispute("dp_1", "cs_1", Lost)], day(6));
    assert_eq!(world.words_of_only(), "L ×1 revoked dispute_lost", "and so is a new state");
}

#[test]
fn rule_04_an_excuse_belongs_to_the_order_and_its_later_licenses() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A"), dispute("dp_1", "in_1", Open)]);
    assert!(world.active().is_empty());
    world.unfreeze_all(day(1));
    world.put(&facts![seen(2, "A").times(2)], day(2));
    assert_eq!(world.active().len(), 2);
}

#[test]
fn rule_04_the_next_episode_is_a_new_cause() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(5, "A").status(Paused)]);
    assert_eq!(world.words_of_only(), "A ×1 frozen subscription_paused until 30, look again 30");
    world.unfreeze_all(day(6));
    assert_eq!(world.words_of_only(), FIRST_MONTH);
    world.put(&facts![seen(30, "A"), month(2)], day(30));
    world.put(&facts![seen(35, "A").status(Paused)], day(35));
    assert_eq!(world.words_of_only(), "A ×1 frozen subscription_paused until 60, look again 60");
}

#[test]
fn rule_04_being_overdue_excused_excuses_no_refund() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(30, "A").past_due()]);
    world.unfreeze_all(day(31));
    world.put(&facts![month(2), refund("re_1", "pi_2", 1_000)], day(32));
    assert_eq!(world.words_of_only(), "A ×1 revoked refunded_in_full until 30");
}

#[test]
fn rule_05_an_upgrade_to_an_unmapped_price_holds_the_license_until_it_is_mapped() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A")]);
    let key = world.only().id;
    world.put(&facts![seen(1, "B").times(2)], day(1));
    assert_eq!(world.words_of_only(), FIRST_MONTH);
    assert_eq!(world.licenses().count(), 1, "and mints none");
    let waiting: Vec<&Waiting> = world.order("sub_1").waiting.iter().collect();
    assert!(matches!(waiting[..], [Waiting::Unmapped { price, product: Some(product), .. }]
        if price.as_str() == "B" && product.as_str() == "prod_B"));
    world.map("B", day(2));
    assert_eq!(world.outcome(), ["B ×1 active paid until 30, look again 30"; 2]);
    assert_eq!(world.licenses().next().map(|license| license.id), Some(key));
    assert!(world.order("sub_1").waiting.is_empty(), "the attention item closes by itself");
}

#[test]
fn rule_05_what_waits_for_a_rule_brings_nothing_back_and_keeps_no_more_than_was_sold() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A").times(3)]);
    world.put(&facts![seen(1, "B").times(2)], day(1));
    assert_eq!(world.live().count(), 2);
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A").times(2)]);
    world.put(&facts![seen(1, "A")], day(1));
    world.put(&facts![seen(2, "B").times(2)], day(2));
    assert_eq!((world.live().count(), world.count(&Change::Revived)), (1, 0));
    world.map("B", day(3));
    assert_eq!((world.live().count(), world.count(&Change::Revived)), (2, 1));
}

#[test]
fn rule_05_seats_and_bundles_are_held_as_they_are() {
    let mut world = World::selling(&["A", "B"]);
    world.add_rule(Matcher::Price("team".into()), &["A"], QuantityRule::Seats);
    world.add_rule(Matcher::Price("both".into()), &["A", "B"], QuantityRule::Keys);
    let items = |day, team, both| snapshot("sub_1", day).item("si_1", team).times(5).item("si_2", both);
    world.put(&facts![items(0, "team", "both"), month(1)], day(0));
    let paid = "active paid until 30, look again 30";
    let sold = [format!("A ×1 {paid}"), format!("A ×5 {paid}"), format!("B ×1 {paid}")];
    assert_eq!(world.live().map(|license| world.words(license)).collect::<BTreeSet<_>>(), sold.clone().into());
    world.put(&facts![items(1, "team?", "both?")], day(1));
    assert_eq!(world.outcome()[..3], sold, "in all its seats, and all of the bundle");
    world.put(&facts![refund("re_1", "pi_1", 1_000)], day(2));
    assert!(world.active().is_empty(), "what is held is judged like the rest");
    assert_eq!(world.count(&Change::Issued), 3);
    assert_eq!(world.count(&Change::Retired), 0);
}

#[test]
fn rule_06_a_cycle_pays_its_period_whatever_it_costs() {
    let world = World::after(&["A"], &facts![checkout().total(0), month(1).total(0), seen(0, "A")]);
    assert_eq!(world.words_of_only(), FIRST_MONTH);
}

#[test]
fn rule_07_the_providers_own_period_end_counts_but_gives_back_nothing() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A").granted(30)]);
    world.put(&facts![seen(5, "A").granted(60)], day(5));
    assert_eq!(world.words_of_only(), "A ×1 active paid until 60, look again 60", "a free month");
    world.put(&facts![month(2), refund("re_1", "pi_2", 1_000)], day(6));
    assert_eq!(world.words_of_only(), "A ×1 active paid until 30, revoked on 30, look again 30", "but no refunded one");
    let known_by_checkout_only = facts![checkout(), seen(0, "A").granted(30), refund("re_1", "in_1", 1_000)];
    assert_eq!(World::after(&["A"], &known_by_checkout_only).words_of_only(), "A ×1 revoked refunded_in_full");
}

#[test]
fn rule_08_status_is_not_money() {
    let mut world = World::after(&["A"], &facts![seen(0, "A"), mails_to("sub_1", 0, "a@example.com")]);
    assert_eq!(world.licenses().count(), 0, "an invoice was sent and nobody paid it");
    world.put(&facts![month(1)], day(5));
    assert_eq!(world.words_of_only(), FIRST_MONTH);
    let trial = facts![seen(0, "A").status(Trialing).granted(14)];
    assert_eq!(
        World::after(&["A"], &trial).outcome(),
        ["A ×1 active paid until 14, look again 14", "waits: no address"]
    );
    let pending = facts![checkout().pending(), seen(0, "A").status(Active)];
    assert_eq!(World::after(&["A"], &pending).licenses().count(), 0, "a payment on its way is none yet");
}

#[test]
fn rule_08_a_checkout_without_a_period_is_good_for_three_days() {
    let mut world = World::after(&["A"], &facts![checkout()]);
    assert_eq!(world.outcome(), ["A ×1 active paid until 3, look again 3", "waits: period of cs_1 unknown"]);
    let mut refunded = world.clone();
    refunded.put(&facts![refund("re_1", "cs_1", 1_000)], day(1));
    assert_eq!(refunded.outcome(), ["A ×1 revoked refunded_in_full"], "nothing is awaited any more");
    world.put(&facts![month(1)], day(2));
    assert_eq!(world.outcome(), [FIRST_MONTH]);
}

#[test]
fn rule_08_a_checkout_lends_its_days_to_its_own_license_only() {
    let again = || sale("cs_2").starting("sub_2").naming("cs_1").renewing("li_2", "B").on(20);
    let outcome = |more: &[Order]| {
        let told = facts![checkout(), again()];
        World::after(&["A", "B"], &[&told, more].concat()).outcome()[..2].to_vec()
    };
    let refunded = outcome(&facts![refund("re_1", "cs_1", 1_000)]);
    assert_eq!(refunded, ["A ×1 revoked refunded_in_full", "B ×1 active paid until 23, look again 23"]);
    let paid = outcome(&facts![invoice("in_2", "sub_2", 50)]);
    assert_eq!(paid, ["A ×1 active paid until 3, look again 3", "B ×1 active paid until 50, look again 50"]);
}

#[test]
fn rule_09_a_snapshot_without_items_says_nothing_about_items() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(0, "A"), seen(1, "B")]);
    world.put(&facts![snapshot("sub_1", 30).ended(30)], day(30));
    assert_eq!(world.words_of_only(), "B ×1 expired subscription_ended until 30");
    // Where nobody ever tells the items, the subscription is for what the checkout was for.
    let mut world = World::after(&["A"], &facts![checkout(), month(1), snapshot("sub_1", 0)]);
    assert_eq!(world.words_of_only(), FIRST_MONTH);
    let key = world.only().id;
    world.put(&facts![seen(1, "A")], day(1));
    assert_eq!((world.words_of_only().as_str(), world.only().id), (FIRST_MONTH, key));
}

#[test]
fn rule_10_a_subscription_replaces_the_lines_it_stands_for() {
    let cart = || sale("or_1").renewing("oi_1", "A").renewing("oi_2", "B").once("oi_3", "L");
    let prices = ["A", "B", "C", "L"];
    let sold = |snapshot: Snapshot, cart: Sale| {
        let world = World::after(&prices, &facts![cart, snapshot.naming("or_1").item("si_1", "C"), month(1)]);
        let codes = world.outcome().into_iter().map(|words| words[..1].to_owned()).filter(|code| code != "w");
        codes.collect::<Vec<_>>().concat()
    };
    assert_eq!(sold(snapshot("sub_1", 0).covering(&["oi_1"]), cart()), "BCL", "the lines it names");
    assert_eq!(sold(snapshot("sub_1", 0), cart().starting("sub_1")), "CL", "those of the checkout that names it");
    assert_eq!(sold(snapshot("sub_1", 0), cart().starting("sub_2")), "ABCL", "none of a checkout that names another");
    assert_eq!(sold(snapshot("sub_1", 0), cart()), "CL", "all that renew, if nobody names anybody");
}

#[test]
fn rule_11_no_grace_for_the_departed() {
    let renewing = facts![checkout(), month(1), seen(0, "A")];
    let check = |then: &[Order], expected: &str| {
        let mut world = World::after(&["A"], &renewing);
        world.put(then, day(21));
        world.pass_time(day(30));
        assert_eq!(world.words_of_only(), expected);
    };
    check(&[], "A ×1 active renewal_awaited until 30, at risk, expired on 44, look again 44");
    check(&facts![seen(20, "A").ended(20)], "A ×1 expired subscription_ended until 30");
    check(&facts![seen(20, "A").cancelling(30)], "A ×1 expired not_renewed until 30");
    check(&facts![month(2), refund("re_1", "pi_2", 1_000)], "A ×1 revoked refunded_in_full until 30");
    check(&facts![month(2), dispute("dp_1", "pi_2", Lost)], "A ×1 revoked dispute_lost until 30");
    // What was taken back outweighs what the subscription says of itself.
    for told in [seen(20, "A").ended(20), seen(20, "A").past_due()] {
        let taken_back = facts![month(2), refund("re_1", "pi_2", 1_000), told];
        check(&taken_back, "A ×1 revoked refunded_in_full until 30");
    }
}

#[test]
fn rule_12_born_dead() {
    let mut world = World::after(&["L"], &facts![refund("re_1", "pi_1", 1_000)]);
    assert_eq!(world.licenses().count(), 0);
    world.put(&facts![sale("cs_1").paying("pi_1").once("li_1", "L").buyer("a@example.com")], day(1));
    assert_eq!(world.words_of_only(), "L ×1 revoked refunded_in_full");
    assert_eq!((world.count(&Change::Issued), world.count(&Change::Announced)), (1, 0));
    world.unfreeze_all(day(2));
    assert_eq!(world.count(&Change::Announced), 1, "it is announced once it is active");
}

#[test]
fn rule_12_an_announcement_waits_for_an_address_and_for_money() {
    let mut world = World::after(&["L"], &facts![sale("cs_1").paying("pi_1").once("li_1", "L")]);
    assert_eq!(world.outcome(), ["L ×1 active paid", "waits: no address"]);
    world.put(&facts![dispute("dp_1", "pi_1", Open), mails_to("pi_1", 1, "a@example.com")], day(1));
    assert_eq!(world.outcome(), ["L ×1 frozen dispute_open"]);
    assert_eq!(world.count(&Change::Announced), 0);
    world.put(&facts![dispute("dp_1", "pi_1", Won)], day(2));
    assert_eq!(world.count(&Change::Announced), 1);
    world.order_mut("cs_1").order.contact = None;
    world.settle_all(day(3));
    assert_eq!(world.outcome(), ["L ×1 active paid"], "who has the key needs no address");
}

#[test]
fn rule_13_refunds_by_name_are_summed_as_far_as_they_succeeded() {
    let state = |tellings: &[Order]| {
        let mut world = World::after(&["L"], &facts![sale("cs_1").paying("pi_1").once("li_1", "L")]);
        world.put(tellings, day(1));
        world.only().standing.state
    };
    let half = |id: &str| refund(id, "pi_1", 500);
    assert_eq!(state(&[half("re_1"), refund_that(Pending, "re_2", "pi_1", 500)]), LicenseState::Active);
    assert_eq!(state(&[half("re_1"), half("re_2")]), LicenseState::Revoked);
    assert_eq!(state(&[half("re_1"), half("re_2"), refund_that(Failed, "re_2", "pi_1", 500)]), LicenseState::Active);
    assert_eq!(state(&[half("re_1"), half("re_1")]), LicenseState::Active, "the same one twice is one");
}

#[test]
fn rule_13_where_only_totals_are_told_the_latest_replaces() {
    let mut world = World::after(&["L"], &facts![sale("cs_1").paying("pi_1").once("li_1", "L")]);
    world.put(&facts![refunded_in_all("pi_1", 1_000, 2)], day(2));
    world.put(&facts![refunded_in_all("pi_1", 400, 1)], day(3));
    assert_eq!(world.words_of_only(), "L ×1 revoked refunded_in_full", "an older total says nothing new");
    world.put(&facts![refunded_in_all("pi_1", 0, 4)], day(4));
    assert_eq!(world.words_of_only(), "L ×1 active paid");
}

#[test]
fn rule_15_snapshots_are_ordered_by_end_time_rank_and_content() {
    let at = |ended, at, rank, price| {
        let stamp = Stamp { ended, at: day(at), rank };
        let mut told = Order::from(seen(at, price));
        told.items.values_mut().for_each(|register| register.stamp = stamp);
        told.subscriptions.values_mut().for_each(|register| register.stamp = stamp);
        told
    };
    let rising = [at(false, 1, 1, "B"), at(false, 1, 2, "A"), at(false, 2, 0, "B"), at(true, 0, 0, "A")];
    for (place, later) in rising.iter().enumerate() {
        for earlier in &rising[..place] {
            let told = [checkout().into(), month(1).into(), later.clone(), earlier.clone()];
            let world = World::after(&["A", "B"], &told);
            assert_eq!(world.only().unit.price, later.items["sub_1"].value[0].price);
            assert!(!world.order("sub_1").waiting.contains(&Waiting::Tied { subscription: "sub_1".into() }));
        }
    }
}

#[test]
fn rule_15_a_tie_asks_for_attention_until_a_later_snapshot() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(1, "B"), seen(1, "A"), seen(1, "A")]);
    let larger = "B ×1 active paid until 30, look again 30";
    assert_eq!(world.outcome(), [larger, "waits: snapshots of sub_1 tied"], "the content decides, not the arrival");
    world.put(&facts![seen(2, "A")], day(2));
    assert_eq!(world.outcome(), [FIRST_MONTH]);
}

#[test]
fn rule_16_disputes_go_from_inquiry_over_open_and_lost_to_won() {
    let states =
        [(Inquiry, "active paid"), (Open, "frozen dispute_open"), (Lost, "revoked dispute_lost"), (Won, "active paid")];
    for (place, (later, expected)) in states.into_iter().enumerate() {
        for (earlier, _) in &states[..=place] {
            let told =
                facts![sale("cs_1").once("li_1", "L"), dispute("dp", "cs_1", later), dispute("dp", "cs_1", *earlier)];
            assert_eq!(World::after(&["L"], &told).words_of_only(), format!("L ×1 {expected}"));
        }
    }
}

#[test]
fn rule_18_the_reason_is_the_worst_cause_and_its_times_come_from_facts() {
    let mut told = Vec::from(facts![checkout(), month(1), seen(20, "A").status(Paused)]);
    let cause = |told: &[Order]| World::after(&["A"], told).only().standing.reason.clone();
    let paused = Cause::Paused { subscription: "sub_1".into(), paid_until: day(30) };
    assert_eq!(cause(&told), Reason::Cause(paused.clone()));
    told.extend(facts![dispute("dp_1", "pi_1", Open), dispute("dp_2", "pi_1", Open)]);
    let worst = Cause::Disputed { dispute: "dp_2".into(), lost: false };
    assert_eq!(cause(&told), Reason::Cause(worst.clone()));
    let first = Cause::Disputed { dispute: "dp_1".into(), lost: false };
    assert_eq!(World::after(&["A"], &told).only().standing.open, [paused, first, worst]);
    told.extend(facts![refund("re_1", "pi_1", 1_000)]);
    assert_eq!(cause(&told).code(), "refunded_in_full", "what is final outweighs what may pass");
    for processed in [0, 10, 29] {
        let mut world = World::selling(&["A"]);
        world.put(&facts![checkout(), month(1), seen(9, "A").ended(9)], day(processed));
        world.pass_time(day(30));
        assert_eq!(world.only().standing.reason.sentence(), "subscription sub_1 ended on 2026-01-10");
    }
}

/// What took its place is told at the same moment, in either order; an hour later its event is lost.
#[test]
fn a_sale_that_gave_its_place_to_nobody_knows_whom_is_brought_up_after_an_hour() {
    let asks = |world: &World| world.outcome().contains(&"waits: what took the place of cs_1".to_owned());
    let new = || sale("cs_2").on(5).once("li_2", "B").replacing("cs_1", "cs_2");
    let told = facts![sale("cs_1").once("li_1", "A").buyer("a@example.com"), gave_way("cs_1", 5, true)];
    let an_hour_later = day(5) + SignedDuration::from_hours(1);
    let mut world = World::selling(&["A", "B"]);
    world.put(&told, day(5));
    assert!(!asks(&world), "it may come any moment");
    assert_eq!(world.order("cs_1").look_again_at, Some(an_hour_later));
    world.pass_time(an_hour_later);
    assert!(asks(&world));
    assert_eq!(world.only().standing.state, LicenseState::Active, "nobody takes what is paid");
    let mut found = world.clone();
    found.put(&facts![new()], day(6));
    assert!(!asks(&found), "its event was sent again");
    world.rule(world.only().id, Ruling::Revoke, day(6));
    assert!(!asks(&world), "a person has revoked it");
    for (more, expected) in [
        (facts![new().pending()], true),
        (facts![new()], false),
        (facts![gave_way("cs_1", 6, false)], false),
        (facts![gave_way("cs_1", 4, false)], true),
        (facts![refund("re_1", "cs_1", 1_000)], false),
    ] {
        let mut arrival = [told.as_slice(), more.as_slice()].concat();
        for turn in 0..6 {
            arrival.rotate_left(1);
            if turn == 3 {
                arrival.reverse();
            }
            let mut world = World::selling(&["A", "B"]);
            for fact in &arrival {
                world.put(std::slice::from_ref(fact), day(9));
            }
            assert_eq!(asks(&world), expected, "{arrival:?}");
        }
    }
    let mut unknown = World::selling(&["A"]);
    unknown.put(&told[1..], day(9));
    assert!(!asks(&unknown), "nothing of it works");
}

#[test]
fn rule_19_a_part_of_one_payment_for_several_licenses_asks_for_attention() {
    let asks = |sale: Sale, more: &[Order], amount| {
        let told = [&facts![sale, refund("re_1", "cs_1", amount)], more].concat();
        World::after(&["A", "L"], &told)
            .outcome()
            .contains(&format!("waits: {}.00 EUR of cs_1 went back", amount / 100))
    };
    assert!(asks(sale("cs_1").once("li_1", "L").times(2), &[], 500));
    assert!(!asks(sale("cs_1").once("li_1", "L"), &[], 500), "it is clear which");
    assert!(!asks(sale("cs_1").once("li_1", "L").times(2), &[], 1_000), "it is clear that all");
    let mixed = checkout().once("li_2", "L");
    assert!(asks(mixed, &facts![month(1), seen(0, "A")], 500), "the one-time line or the subscription");
}
