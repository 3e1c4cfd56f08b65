//! What ought to come of each life, written down by hand from the rules. It is never recorded from the program: that
//! every order of arrival ends alike says nothing about whether it ends well.
//!
//! One line per license: plan and seats, state and reason, the end of its term, whether it is at risk, what time will
//! do, when it is looked at again. Days are counted from the start of the life; a month has 30 of them.

use crate::{
    lives::{Act, Life, When, every_life},
    permutations::{Arrival, run},
};

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// However its facts arrive.
    Always(&'static [&'static str]),
    /// What a price gives is decided when it is first seen to be sold: before the plan was edited, or after.
    Decided { before_edit: &'static [&'static str], after_edit: &'static [&'static str] },
    /// A price without a rule leaves what there was, which may be nothing. Its rule makes all the same.
    Healed { either: [&'static [&'static str]; 2], by: Act, then: &'static [&'static str] },
}

use Expected::{Always, Decided, Healed};

const A_FIRST_MONTH: Expected = Always(&["A ×1 active paid until 30, look again 30"]);
const B_FIRST_MONTH: Expected = Always(&["B ×1 active paid until 30, look again 30"]);
const B_SECOND_MONTH: Expected = Always(&["B ×1 active paid until 60, look again 60"]);

const EXPECTED: &[(&str, Expected)] = &[
    ("one_time_refunded_in_full", Always(&["L ×1 revoked refunded_in_full"])),
    // 400 of 1000 went back, which the default policy shrugs at.
    ("one_time_refunded_in_part_by_two_of_which_one_failed", Always(&["L ×1 active paid", "waits: no address"])),
    ("delayed_payment", Always(&["L ×1 active paid", "L ×1 active paid"])),
    // Paid until 90, then cancelled: no grace for the departed.
    ("subscription_from_checkout_to_end", Always(&["B ×1 expired subscription_ended until 90"])),
    ("cancellation_scheduled_and_unscheduled", A_FIRST_MONTH),
    // 30 + 14 days of grace are over on day 44.
    ("past_due_beyond_grace", Always(&["A ×1 frozen payment_past_due until 30"])),
    // The paid period is honoured.
    ("cancelled_at_once", Always(&["A ×1 active paid until 30, expired on 30, look again 30"])),
    (
        "two_lines_of_which_one_goes_3_2_3",
        Always(&[
            "A ×1 active paid until 30, look again 30",
            "A ×1 active paid until 30, look again 30",
            "A ×1 active paid until 30, look again 30",
            "B ×1 active paid until 30, look again 30",
        ]),
    ),
    // Nobody knows for which of the four licenses.
    (
        "two_lines_of_one_payment_partly_refunded",
        Always(&[
            "K ×1 active paid",
            "L ×1 active paid",
            "L ×1 active paid",
            "L ×1 active paid",
            "waits: 10.00 EUR of cs_1 went back",
        ]),
    ),
    ("dispute_won", Always(&["L ×1 active paid"])),
    // The only period that was paid is lost.
    ("dispute_lost", Always(&["A ×1 revoked dispute_lost"])),
    ("last_month_refunded_next_month_paid", Always(&["A ×1 active paid until 90, look again 90"])),
    // Paid until 30; what followed was taken back, so nothing is expected after it.
    ("last_month_refunded", Always(&["A ×1 revoked refunded_in_full until 30"])),
    ("old_month_refunded_out_of_goodwill", Always(&["A ×1 active paid until 60, look again 60"])),
    ("trial_to_paid", Always(&["A ×1 active paid until 44, look again 44"])),
    // A cycle pays its period whatever it costs.
    ("coupon_of_100_percent", Always(&["A ×1 active paid until 60, look again 60"])),
    ("mixed_cart", Always(&["B ×1 active paid until 30, look again 30", "L ×1 active paid"])),
    (
        "one_order_with_two_subscriptions",
        Always(&["A ×1 active paid until 30, look again 30", "B ×1 active paid until 30, look again 30"]),
    ),
    ("transaction_that_does_not_name_its_subscription", B_SECOND_MONTH),
    (
        "two_issued_orders_meet_late",
        Always(&["A ×1 active paid until 60, look again 60", "A ×1 active paid until 60, look again 60"]),
    ),
    ("stale_price_arrives_last", B_FIRST_MONTH),
    (
        "items_swapped_for_new_ones",
        Always(&["A ×1 active paid until 30, look again 30", "B ×1 active paid until 30, look again 30"]),
    ),
    ("mapping_added_late", B_FIRST_MONTH),
    ("both_mappings_added_late", B_FIRST_MONTH),
    (
        "upgrade_to_a_price_never_mapped",
        Always(&["A ×1 active paid until 30, look again 30", "waits: price B unmapped"]),
    ),
    // The cancellation that was scheduled for 30 is due by the paid end.
    (
        "plan_edited_between",
        Decided {
            before_edit: &["A ×1 active paid until 60, expired on 60, look again 60"],
            after_edit: &["A v2 ×1 active paid until 60, expired on 60, look again 60"],
        },
    ),
    (
        "plan_edited_before_the_subscription_is_seen",
        Always(&["A ×1 active paid until 60, expired on 60, look again 60"]),
    ),
    ("revoked_by_hand_then_renewed_and_upgraded", Always(&["B ×1 revoked revoked_by_hand until 60"])),
    ("dispute_excused_then_mail_changed_and_renewed", B_SECOND_MONTH),
    // A lost dispute is another cause than the open one that was excused.
    ("dispute_excused_then_lost", Always(&["B ×1 revoked dispute_lost"])),
    // What was excused was being overdue since 30; the grace of the second episode is over on 74.
    ("past_due_excused_then_the_next_episode", Always(&["A ×1 frozen payment_past_due until 60"])),
    ("revoked_by_hand_before_two_orders_meet", Always(&["A ×1 revoked revoked_by_hand until 60"])),
    ("newer_of_two_revoked_by_hand_before_they_meet", Always(&["A ×1 revoked revoked_by_hand until 60"])),
    ("first_invoice_refunded_on_day_one", Always(&["A ×1 revoked refunded_in_full"])),
    ("end_snapshot_without_items", Always(&["B ×1 expired subscription_ended until 30"])),
    ("replaced_by_an_upgrade", Always(&["B ×1 active paid"])),
    ("replaced_twice_and_refunded", Always(&["A ×1 revoked refunded_in_full"])),
    // The old source wants nothing any more, neither its items nor the checkout that started it.
    ("subscribed_again_in_place_of_the_old", Always(&["A ×1 active paid until 180, look again 180"])),
    ("free_month", Always(&["A ×1 active paid until 60, look again 60"])),
    ("last_month_refunded_while_still_active", Always(&["A ×1 revoked refunded_in_full until 30"])),
    // Past due, the provider's own period end is not given any more.
    ("period_rolls_over_and_its_payment_fails", Always(&["A ×1 frozen payment_past_due until 30"])),
    (
        "newer_price_unmapped_older_price_late",
        Healed {
            either: [
                &["A ×1 active paid until 30, look again 30", "waits: price B unmapped"],
                &["waits: price B unmapped"],
            ],
            by: Act::Map("B"),
            then: &["B ×1 active paid until 30, look again 30"],
        },
    ),
    ("plan_named_by_the_checkout", Always(&["P ×1 active paid until 30, expired on 30, look again 30"])),
    ("plan_named_by_a_checkout_of_unknown_lines", Always(&["P ×1 active paid until 30, look again 30"])),
    ("subscription_without_items", Always(&["A ×1 active paid until 30, expired on 30, look again 30"])),
    ("two_issued_orders_with_lines_of_their_own_meet", Always(&["B ×1 revoked revoked_by_hand until 60"])),
    // All that the bundle gave is held.
    (
        "bundle_upgraded_to_a_price_never_mapped",
        Always(&[
            "A ×1 active paid until 30, look again 30",
            "A ×1 active paid until 30, look again 30",
            "B ×1 active paid until 30, look again 30",
            "B ×1 active paid until 30, look again 30",
            "waits: price Y unmapped",
        ]),
    ),
    ("replaced_twice_by_other_products", Always(&["C ×1 active paid"])),
];

pub(crate) fn expected(life: &str) -> Expected {
    let written = EXPECTED.iter().find(|(name, _)| *name == life);
    written.unwrap_or_else(|| panic!("nobody wrote down what is expected of {life}")).1
}

/// The plain case: the facts arrive one by one in the order they are told, and people act when the life says.
fn in_order(name: &str, life: &Life) {
    let sequence: Vec<usize> = (0..life.facts.len()).collect();
    let act_at = if let When::After(facts) = life.when { facts } else { sequence.len() };
    let arrival = Arrival { sequence, cuts: u64::MAX, act_at, late: false };
    let mut world = run(life, &arrival);
    match expected(name) {
        Always(outcome) | Decided { before_edit: outcome, .. } => assert_eq!(world.outcome(), outcome),
        Healed { either: [outcome, _], by, then } => {
            assert_eq!(world.outcome(), outcome);
            crate::permutations::act(&mut world, by, crate::telling::day(life.end));
            assert_eq!(world.outcome(), then);
        }
    }
}

macro_rules! as_told {
    ($($life:ident)*) => {$(
        #[test]
        fn $life() {
            in_order(stringify!($life), &crate::lives::$life());
        }
    )*};
}

every_life!(as_told);
