//! The rules of fulfilment about which license holds what: it stays with whoever has its key when sales meet, when one takes
//! the place of another, and when it is bought again.

use domain::{
    decision::{Matcher, QuantityRule},
    fulfil::{Change, Waiting},
    license::{Holding, License, LicenseState},
    ruling::Ruling,
};

use crate::{
    rules::{FIRST_MONTH, checkout, month, seen},
    telling::{day, facts, invoice, mails_to, refund, sale, same_sale, snapshot},
    world::World,
};

/// Two orders that both issued, the checkout's first: what was bought, and what the subscription has since.
fn both_issued(bought: u32, subscribed: u32) -> World {
    let sale = sale("txn_1").renewing("pri", "A").times(bought).buyer("a@example.com");
    let mut world = World::after(&["A"], &facts![sale]);
    let told = mails_to("sub_1", 1, "a@example.com");
    let snapshot = snapshot("sub_1", 1).item("pri", "A").times(subscribed);
    world.put(&facts![snapshot, invoice("txn_2", "sub_1", 60), told], day(1));
    assert_eq!(world.orders.len(), 2);
    world
}

#[test]
fn rule_03_of_two_orders_that_both_issued_the_license_issued_first_stays() {
    let mut world = both_issued(2, 2);
    let ids: Vec<_> = world.live().map(|license| license.id).collect();
    world.rule(ids[3], Ruling::Revoke, day(2));
    world.put(&facts![same_sale(&["txn_1", "sub_1"])], day(3));
    let held: Vec<&License> = world.live().collect();
    assert_eq!([held[0].id, held[1].id], ids[..2], "issued first stays");
    assert_eq!([held[0].keys, held[1].keys], [2, 2]);
    assert_eq!(world.words(held[0]), "A ×1 active paid until 60, look again 60");
    assert_eq!(world.words(held[1]), "A ×1 revoked revoked_by_hand until 60", "rulings of both count");
    let waiting = &world.order("sub_1").waiting;
    assert_eq!(*waiting, ids[2..].iter().map(|id| Waiting::Merged { license: *id }).collect());
    assert_eq!(world.count(&Change::SupersededBy(ids[0])), 1);
    assert_eq!(world.count(&Change::Announced), 4, "both had been announced before they met, and nothing was after");
}

#[test]
fn rule_03_surplus_licenses_pair_with_different_survivors() {
    let mut world = World::after(&["A"], &facts![seen(0, "A").times(2), month(1)]);
    world.put(&facts![sale("cs_9").renewing("li_9", "A").times(2)], day(1));
    world.put(&facts![same_sale(&["cs_9", "sub_1"])], day(2));
    assert_eq!(world.live().map(|license| license.keys).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn rule_03_who_got_one_key_of_a_license_gets_no_other() {
    let mut world = World::after(&["A"], &facts![sale("txn_1").renewing("pri", "A")]);
    let told = facts![snapshot("sub_1", 1).item("pri", "A"), month(1), mails_to("sub_1", 1, "a@example.com")];
    world.put(&told, day(1));
    assert_eq!(world.count(&Change::Announced), 1);
    world.put(&facts![same_sale(&["txn_1", "sub_1"])], day(2));
    assert_eq!((world.active().len(), world.count(&Change::Announced)), (1, 1));
}

#[test]
fn rule_03_of_three_the_first_stands_for_both_others() {
    let bought = |id: &str, on| sale(id).renewing("pri", "A").on(on).buyer("a@example.com");
    let mut world = World::after(&["A"], &facts![bought("txn_1", 0)]);
    world.put(&facts![bought("txn_2", 1)], day(1));
    world.put(&facts![snapshot("sub_1", 2).item("pri", "A"), invoice("in_1", "sub_1", 60)], day(2));
    world.put(&facts![same_sale(&["txn_2", "sub_1"])], day(3));
    world.put(&facts![same_sale(&["txn_1", "sub_1"])], day(4));
    let first = world.only();
    assert_eq!((first.keys, first.issued_at), (3, day(0)));
    let others = world.licenses().filter(|license| license.holding == Holding::SupersededBy(first.id));
    assert_eq!(others.count(), 2);
}

#[test]
fn rule_03_what_is_removed_after_a_merge_retires_and_comes_back() {
    let mut world = both_issued(1, 2);
    world.put(&facts![same_sale(&["txn_1", "sub_1"])], day(2));
    let both = world.active();
    world.put(&facts![snapshot("sub_1", 3).item("pri", "A")], day(3));
    assert_eq!((world.active(), world.count(&Change::Retired)), (both[..1].to_vec(), 1), "nobody stands for it");
    world.put(&facts![snapshot("sub_1", 4).item("pri", "A").times(2)], day(4));
    assert_eq!((world.active(), world.count(&Change::Issued)), (both, 3));
}

#[test]
fn rule_03_a_license_for_something_else_does_not_stand_for_one_that_is_removed() {
    let other = snapshot("sub_2", 0).item("si_2", "A");
    let mut world = World::after(&["A"], &facts![seen(0, "A").times(2), month(1), other, invoice("in_9", "sub_2", 60)]);
    world.put(&facts![same_sale(&["sub_1", "sub_2"]), seen(1, "A")], day(1));
    let holdings: Vec<Holding> = world.licenses().map(|license| license.holding).collect();
    assert_eq!(holdings.iter().filter(|holding| **holding == Holding::Unit).count(), 2);
    assert_eq!(holdings.iter().filter(|holding| **holding == Holding::Retired).count(), 1);
}

#[test]
fn rule_14_a_replaced_source_wants_nothing_once_its_successor_is_paid() {
    let first = sale("k1").once("k1", "A").buyer("a@example.com");
    let mut world = World::after(&["A", "B", "C"], &facts![first]);
    let key = world.only().id;
    world.put(&facts![sale("k2").once("k2", "B").replacing("k1", "k2").pending()], day(1));
    assert_eq!(world.words_of_only(), "A ×1 active paid", "not while it is unpaid");
    let third = sale("k3").once("k3", "C").replacing("k2", "k3");
    world.put(&facts![sale("k2").once("k2", "B").replacing("k1", "k2"), refund("d1", "k1", 1_000), third], day(2));
    assert_eq!((world.words_of_only().as_str(), world.only().id), ("C ×1 active paid", key), "one license all the way");
    assert_eq!(world.licenses().count(), 1);
}

#[test]
fn rule_14_a_subscription_that_replaces_another_takes_over_its_license() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(30, "A").ended(30)]);
    let key = world.only().id;
    let again = sale("cs_9").starting("sub_9").renewing("li_9", "B").on(150).replacing("sub_1", "sub_9");
    world.put(&facts![again], day(150));
    assert_eq!((world.words_of_only().as_str(), world.only().id), ("B ×1 active paid until 153, look again 153", key));
    world.put(&facts![snapshot("sub_9", 150).item("si_9", "B"), invoice("in_9", "sub_9", 180)], day(150));
    assert_eq!((world.words_of_only().as_str(), world.only().id), ("B ×1 active paid until 180, look again 180", key));
    assert_eq!(world.licenses().count(), 1);
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(30, "A").ended(30)]);
    world.put(&facts![sale("cs_9").starting("sub_9").renewing("li_9", "A")], day(150));
    assert_eq!(world.licenses().count(), 2, "buying again, as such, is a new sale and a new key");
}

#[test]
fn rule_17_quantity_3_1_2_3_gives_the_same_keys_back() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(0, "A").times(3)]);
    let three = world.active();
    for (at, quantity) in [(1, 1), (2, 2), (3, 0), (4, 3)] {
        let items = facts![seen(at, "A").times(quantity)];
        world.put(&items, day(at));
        assert_eq!(world.active(), three[..quantity as usize]);
    }
    world.put(&facts![seen(5, "A")], day(5));
    world.put(&facts![seen(6, "B").times(3)], day(6));
    assert_eq!(world.active(), three, "an upgrade to more revives before it mints");
    assert_eq!((world.count(&Change::Issued), world.count(&Change::Announced)), (3, 3));
}

#[test]
fn rule_17_none_of_a_line_is_nothing_to_wait_for_and_no_seat() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A").item("si_2", "B").times(0)]);
    assert_eq!(world.outcome(), [FIRST_MONTH]);
    world.add_rule(Matcher::Price("team".into()), &["A"], QuantityRule::Seats);
    world.put(&facts![seen(1, "A").item("si_2", "team").times(0)], day(1));
    assert_eq!(world.outcome(), [FIRST_MONTH]);
}

#[test]
fn rule_17_a_license_comes_back_for_what_it_stood_for_only() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(0, "A").times(2)]);
    world.put(&facts![seen(1, "A")], day(1));
    world.put(&facts![seen(2, "A").item("si_2", "B")], day(2));
    assert_eq!((world.count(&Change::Issued), world.count(&Change::Revived)), (3, 0));
}

#[test]
fn rule_17_a_license_revoked_by_hand_keeps_its_unit() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A").times(3)]);
    let three = world.active();
    world.rule(three[0], Ruling::Revoke, day(1));
    world.put(&facts![seen(2, "A").times(2)], day(2));
    assert_eq!(world.active(), three[1..2]);
    world.put(&facts![seen(3, "A").times(3)], day(3));
    assert_eq!(world.active(), three[1..]);
    world.rule(three[0], Ruling::Reinstate, day(4));
    assert_eq!(world.active(), three);
    assert_eq!(world.licenses().count(), 3);
}

#[test]
fn rule_17_each_subscription_keeps_its_own_license() {
    let of = |id, item| facts![snapshot(id, 0).item(item, "A"), invoice(&format!("{id}_paid"), id, 30)];
    let mut world = World::after(&["A"], &of("sub_2", "pri"));
    let second = world.only().id;
    world.put(&of("sub_1", "pri"), day(1));
    world.put(&facts![same_sale(&["sub_1", "sub_2"])], day(1));
    world.put(&facts![refund("re_1", "sub_2_paid", 1_000)], day(2));
    let revoked = world.live().find(|license| license.standing.state == LicenseState::Revoked);
    assert_eq!(revoked.map(|license| license.id), Some(second));
}

#[test]
fn rule_19_licenses_change_hands_by_position_only_within_one_source_and_its_successors() {
    let two = |first: u32, more: &[(&str, &str)]| {
        let second = snapshot("sub_2", first).naming("sub_1").item("si_2", "B");
        let second = more.iter().fold(second, |second, (item, price)| second.item(item, price));
        facts![seen(first, "A").times(1 - first), second, month(1), invoice("in_9", "sub_2", 30)]
    };
    let mut world = World::after(&["A", "B", "C"], &two(0, &[]));
    assert_eq!(world.live().count(), 2);
    world.put(&two(1, &[("si_3", "C")]), day(1));
    let changes = [world.count(&Change::Issued), world.count(&Change::Retired)];
    assert_eq!(changes, [3, 1], "what left the one is not what came to the other");
    let moved = facts![snapshot("sub_2", 2).item("si_8", "C").item("si_9", "A")];
    world.put(&moved, day(2));
    assert_eq!([world.count(&Change::Issued), world.count(&Change::Retired)], changes, "new items of one source are");
}
