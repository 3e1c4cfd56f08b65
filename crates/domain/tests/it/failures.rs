//! What went wrong in other integrations, as far as it shows in licenses: each test is named after it.
//!
//! What shows in reading events already is in `crates/providers/tests/stripe/failures.rs`, with a list of what needs a
//! database or a server. Every order of arrival of whole lives: `permutations`.

use std::collections::BTreeSet;

use domain::{
    fulfil::Change,
    license::{License, LicenseState},
    order::{DisputeState, Order, RefundState::Failed},
    ruling::Ruling,
    text::CustomerReference,
};

use crate::{
    telling::{
        Invoice, Sale, Snapshot, day, dispute, facts, invoice, mails_to, refund, refund_that, refunded_in_all, sale,
        same_payment, same_sale, snapshot,
    },
    world::World,
};

/// A checkout of one `A` that starts `sub_1`.
fn checkout() -> Sale {
    sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").buyer("a@example.com")
}

fn month(number: u32) -> Invoice {
    invoice(&format!("in_{number}"), "sub_1", number * 30).paying(&format!("pi_{number}"))
}

/// `sub_1` with one item of that price.
fn seen(day: u32, price: &str) -> Snapshot {
    snapshot("sub_1", day).item("si_1", price)
}

fn of(customer: &str, order: impl Into<Order>) -> Order {
    Order { customers: [CustomerReference::new(customer)].into(), ..order.into() }
}

#[test]
fn two_licenses_for_one_sale() {
    let paths = facts![checkout(), seen(0, "A"), month(1), same_payment(&["pi_1", "in_1"])];
    for first in 0..paths.len() {
        let mut world = World::selling(&["A"]);
        for fact in paths.iter().cycle().skip(first).take(paths.len()) {
            world.put(std::slice::from_ref(fact), day(0));
        }
        world.put(&paths, day(0));
        assert_eq!((world.licenses().count(), world.count(&Change::Announced)), (1, 1), "beginning with {first}");
    }
}

#[test]
fn a_second_purchase_by_one_address_was_taken_for_a_duplicate() {
    let bought = |id: &str, line: &str| of("cus_1", sale(id).once(line, "L").buyer("a@example.com"));
    let world = World::after(&["L"], &[bought("cs_1", "li_1"), bought("cs_2", "li_2")]);
    assert_eq!((world.orders.len(), world.active().len(), world.count(&Change::Announced)), (2, 2, 2));
}

#[test]
fn money_on_its_way_was_taken_for_paid() {
    let sepa = || sale("cs_1").once("li_1", "L").buyer("a@example.com");
    let mut world = World::after(&["L"], &facts![sepa().pending()]);
    assert_eq!(world.licenses().count(), 0);
    world.put(&facts![sepa(), sepa().pending()], day(5));
    assert_eq!(world.words_of_only(), "L ×1 active paid");
}

#[test]
fn a_guest_was_nobody() {
    let world = World::after(&["L"], &facts![sale("cs_1").once("li_1", "L").buyer("guest@example.com")]);
    assert!(world.order("cs_1").order.customers.is_empty());
    assert_eq!((world.active().len(), world.count(&Change::Announced)), (1, 1));
}

#[test]
fn a_trial_for_nothing_was_no_sale_or_lasted_for_ever() {
    use domain::order::SubscriptionStatus::Trialing;
    let started =
        facts![checkout().total(0), invoice("in_1", "sub_1", 14).total(0), seen(0, "A").status(Trialing).granted(14),];
    let mut world = World::after(&["A"], &started);
    assert_eq!(world.words_of_only(), "A ×1 active paid until 14, look again 14");
    world.pass_time(day(14));
    world.pass_time(day(28));
    assert_eq!(world.only().standing.state, LicenseState::Expired, "nobody ever paid");
}

#[test]
fn a_proration_in_the_middle_of_a_month_moved_its_end() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(0, "A")]);
    // Its invoice pays no period: it only tells which sale and which payment it was.
    let upgrade = [same_sale(&["in_2", "sub_1"]), same_payment(&["in_2", "pi_2"])];
    world.put(&[facts![seen(10, "B")].as_slice(), &upgrade].concat(), day(10));
    assert_eq!(world.outcome(), ["B ×1 active paid until 30, look again 30"]);
}

#[test]
fn cancelling_one_subscription_ended_another() {
    let of_one = |number: &str, id: &str| {
        let sale = sale(&format!("cs_{number}")).starting(id).renewing(&format!("li_{number}"), "A");
        [
            of("cus_1", sale.buyer("a@example.com")),
            of("cus_1", snapshot(id, 0).item(&format!("si_{number}"), "A")),
            of("cus_1", invoice(&format!("in_{number}"), id, 30)),
        ]
    };
    let mut world = World::after(&["A"], &[of_one("1", "sub_1"), of_one("2", "sub_2")].concat());
    world.put(&[of("cus_1", snapshot("sub_1", 30).ended(30))], day(30));
    let states = |name: &str| world.order(name).licenses.iter().map(|license| world.words(license)).collect::<Vec<_>>();
    assert_eq!(states("sub_1"), ["A ×1 expired subscription_ended until 30"]);
    assert_eq!(states("sub_2"), ["A ×1 active renewal_awaited until 30, at risk, expired on 44, look again 44"]);
}

#[test]
fn partial_refunds_were_added_twice() {
    let half = |id: &str| refund(id, "pi_1", 500);
    let sold = facts![sale("cs_1").paying("pi_1").once("li_1", "L").buyer("a@example.com")];
    let state = |told: &[Order]| {
        let mut world = World::after(&["L"], &sold);
        for fact in [told, told].concat() {
            world.put(&[fact], day(3));
        }
        world.only().standing.state
    };
    assert_eq!(
        state(&[half("re_1"), refunded_in_all("pi_1", 500, 1)]),
        LicenseState::Active,
        "told by name and in all"
    );
    assert_eq!(state(&[half("re_1"), refunded_in_all("pi_1", 1_000, 2), half("re_2")]), LicenseState::Revoked);
}

#[test]
fn any_refund_revoked() {
    let sold = facts![sale("cs_1").paying("pi_1").once("li_1", "L").buyer("a@example.com")];
    let mut world = World::after(&["L"], &sold);
    world.put(&[refund("re_1", "pi_1", 100)], day(1));
    assert_eq!(world.words_of_only(), "L ×1 active paid", "a tenth went back");
    world.put(&[refund("re_2", "pi_1", 900)], day(2));
    assert_eq!(world.words_of_only(), "L ×1 revoked refunded_in_full");
    world.put(&[refund_that(Failed, "re_2", "pi_1", 900)], day(3));
    assert_eq!(world.words_of_only(), "L ×1 active paid", "it never arrived");
}

#[test]
fn an_inquiry_was_taken_for_a_dispute() {
    let sold = facts![sale("cs_1").paying("pi_1").once("li_1", "L").buyer("a@example.com")];
    let mut world = World::after(&["L"], &sold);
    world.put(&[dispute("dp_1", "pi_1", DisputeState::Inquiry)], day(1));
    assert_eq!(world.words_of_only(), "L ×1 active paid", "no money has moved");
}

#[test]
fn a_later_invoice_undid_a_revocation_by_hand() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A")]);
    world.rule(world.only().id, Ruling::Revoke, day(5));
    for later in facts![month(2), seen(31, "A"), month(3), seen(5, "A")] {
        world.put(&[later], day(61));
        assert_eq!(world.only().standing.state, LicenseState::Revoked);
    }
    assert_eq!((world.licenses().count(), world.count(&Change::Announced)), (1, 1), "nor was there a new key");
}

#[test]
fn a_stale_event_brought_back_what_had_ended() {
    let mut world = World::after(&["A", "B"], &facts![checkout(), month(1), seen(0, "A"), seen(20, "B").ended(20)]);
    world.pass_time(day(30));
    let ended = world.words_of_only();
    world.put(&facts![seen(10, "A"), seen(19, "A").cancelling(40)], day(31));
    assert_eq!(world.words_of_only(), ended);
}

#[test]
fn a_strangers_checkout_with_the_same_address_took_over_an_order() {
    let mut world = World::after(&["A", "L"], &[of("cus_victim", checkout()), month(1).into(), seen(0, "A").into()]);
    let before: Vec<License> = world.licenses().cloned().collect();
    let theirs = || sale("cs_9").paying("pi_9").once("li_9", "L").buyer("a@example.com");
    world.put(&[of("cus_stranger", theirs()), refund("re_9", "pi_9", 1_000)], day(1));
    assert_eq!(world.orders.len(), 2);
    assert_eq!(world.order("sub_1").licenses, before, "nothing of the victim's has changed");
    let customers = &world.order("sub_1").order.customers;
    assert_eq!(*customers, BTreeSet::from([CustomerReference::new("cus_victim")]));
    assert_eq!(world.order("cs_9").licenses.len(), 1);
}

#[test]
fn an_address_changed_in_the_portal_made_a_new_sale() {
    let mut world = World::after(&["A"], &facts![checkout(), month(1), seen(0, "A")]);
    world.put(&[mails_to("sub_1", 3, "new@example.com"), month(2).into()], day(31));
    assert_eq!((world.orders.len(), world.licenses().count(), world.count(&Change::Announced)), (1, 1, 1));
    let contact = world.order("cs_1").order.contact.clone().expect("an address");
    assert_eq!(contact.value.email.as_str(), "new@example.com");
}

#[test]
fn a_change_of_seats_made_new_keys_or_was_missed() {
    let mut world = World::after(&["A", "B"], &facts![checkout().times(2), month(1), seen(0, "A").times(2)]);
    let two = world.active();
    world.put(&facts![seen(5, "A").times(5)], day(5));
    assert_eq!((&world.active()[..2], world.active().len()), (&two[..], 5), "three more, and the two stay");
    let five = world.active();
    world.put(&facts![seen(6, "B").times(5)], day(6));
    assert_eq!(world.active(), five, "an upgrade keeps every key");
    world.put(&facts![seen(7, "B")], day(7));
    assert_eq!(world.active(), five[..1]);
    assert_eq!(world.count(&Change::Issued), 5);
}

#[test]
fn charged_and_nothing_issued() {
    let mut world = World::after(&[], &facts![sale("cs_1").once("li_1", "L").buyer("a@example.com")]);
    assert_eq!(world.outcome(), ["waits: price L unmapped"], "a person sees it");
    world.map("L", day(1));
    assert_eq!(world.outcome(), ["L ×1 active paid"], "and it heals by itself");
    assert_eq!(world.count(&Change::Announced), 1);
    let unread = World::after(&["L"], &facts![sale("cs_2").unknown(false, None).buyer("a@example.com")]);
    assert_eq!(unread.outcome(), ["waits: lines of cs_2 unknown"]);
}
