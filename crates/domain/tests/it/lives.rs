//! The lives of orders: what is told about each, what people do meanwhile, and when it is looked at.

use domain::order::{
    DisputeState::{Lost, Open, Won},
    Order,
    RefundState::{Failed, Pending},
    SubscriptionStatus::{Active, PastDue, Trialing},
};

use crate::telling::{
    Invoice, Sale, Snapshot, dispute, facts, invoice, mails_to, refund, refund_that, sale, same_payment, same_sale,
    snapshot,
};

/// Something a person does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A price gets its rule.
    Map(&'static str),
    /// A plan gets a new version.
    Edit(&'static str),
    /// Every license is revoked by hand.
    Revoke,
    /// The license issued last is revoked by hand.
    RevokeNewest,
    /// Everything that speaks against any license is lifted.
    Unfreeze,
}

/// When the acts happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// At any point.
    Anytime,
    /// After the first so many facts have arrived, which may be told again later.
    After(usize),
}

/// A life of an order.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) facts: Vec<Order>,
    /// The prices that have a rule from the start.
    pub(crate) mapped: &'static [&'static str],
    pub(crate) acts: Vec<Act>,
    pub(crate) when: When,
    /// The day on which it is looked at.
    pub(crate) end: u32,
}

fn life(end: u32, mapped: &'static [&'static str], facts: impl Into<Vec<Order>>) -> Life {
    Life { facts: facts.into(), mapped, acts: Vec::new(), when: When::Anytime, end }
}

impl Life {
    fn with(mut self, acts: &[Act]) -> Self {
        self.acts = acts.to_vec();
        self
    }

    fn after(mut self, facts: usize) -> Self {
        self.when = When::After(facts);
        self
    }
}

/// Hands the name of every life to a macro: each is a function here, an expectation and a test.
macro_rules! every_life {
    ($then:ident) => {
        $then! {
            one_time_refunded_in_full
            one_time_refunded_in_part_by_two_of_which_one_failed
            delayed_payment
            subscription_from_checkout_to_end
            cancellation_scheduled_and_unscheduled
            past_due_beyond_grace
            cancelled_at_once
            two_lines_of_which_one_goes_3_2_3
            two_lines_of_one_payment_partly_refunded
            dispute_won
            dispute_lost
            last_month_refunded_next_month_paid
            last_month_refunded
            old_month_refunded_out_of_goodwill
            trial_to_paid
            coupon_of_100_percent
            mixed_cart
            one_order_with_two_subscriptions
            transaction_that_does_not_name_its_subscription
            two_issued_orders_meet_late
            stale_price_arrives_last
            items_swapped_for_new_ones
            mapping_added_late
            both_mappings_added_late
            upgrade_to_a_price_never_mapped
            plan_edited_between
            plan_edited_before_the_subscription_is_seen
            revoked_by_hand_then_renewed_and_upgraded
            dispute_excused_then_mail_changed_and_renewed
            dispute_excused_then_lost
            past_due_excused_then_the_next_episode
            revoked_by_hand_before_two_orders_meet
            newer_of_two_revoked_by_hand_before_they_meet
            first_invoice_refunded_on_day_one
            end_snapshot_without_items
            replaced_by_an_upgrade
            replaced_twice_and_refunded
            subscribed_again_in_place_of_the_old
            free_month
            last_month_refunded_while_still_active
            period_rolls_over_and_its_payment_fails
            newer_price_unmapped_older_price_late

            plan_named_by_the_checkout
            plan_named_by_a_checkout_of_unknown_lines
            subscription_without_items
            two_issued_orders_with_lines_of_their_own_meet
            bundle_upgraded_to_a_price_never_mapped
            replaced_twice_by_other_products
        }
    };
}
pub(crate) use every_life;

/// A checkout of one `A` that starts `sub_1` with `in_1`.
fn checkout() -> Sale {
    sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").buyer("a@example.com")
}

/// A one-time checkout of one `L`.
fn cash() -> Sale {
    sale("cs_1").paying("pi_1").once("li_1", "L").buyer("a@example.com")
}

/// The first month of `sub_1`.
fn first_month() -> Invoice {
    invoice("in_1", "sub_1", 30).paying("pi_1")
}

/// The second month of `sub_1`.
fn second_month() -> Invoice {
    invoice("in_2", "sub_1", 60).paying("pi_2")
}

/// `sub_1` with one item of that price.
fn seen(day: u32, price: &str) -> Snapshot {
    snapshot("sub_1", day).item("si_1", price)
}

pub(crate) fn one_time_refunded_in_full() -> Life {
    life(30, &["L"], facts![cash(), same_payment(&["pi_1", "ch_1"]), refund("re_1", "ch_1", 1_000)])
}

pub(crate) fn one_time_refunded_in_part_by_two_of_which_one_failed() -> Life {
    let nobody = sale("cs_1").paying("pi_1").once("li_1", "L");
    let facts = facts![
        nobody,
        refund_that(Pending, "re_1", "pi_1", 400),
        refund("re_1", "pi_1", 400),
        refund("re_2", "pi_1", 600),
        refund_that(Failed, "re_2", "pi_1", 600),
    ];
    life(30, &["L"], facts)
}

pub(crate) fn delayed_payment() -> Life {
    life(30, &["L"], facts![cash().times(2).pending(), cash().times(2), same_payment(&["pi_1", "ch_1"])])
}

pub(crate) fn subscription_from_checkout_to_end() -> Life {
    let facts = facts![
        checkout(),
        seen(0, "A"),
        first_month(),
        second_month(),
        seen(31, "B"),
        seen(61, "B").past_due(),
        invoice("in_3", "sub_1", 90).paying("pi_3"),
        seen(65, "B").cancelling(90),
        seen(90, "B").cancelling(90).ended(90),
    ];
    life(91, &["A", "B"], facts)
}

pub(crate) fn cancellation_scheduled_and_unscheduled() -> Life {
    let facts = facts![checkout(), first_month(), seen(0, "A"), seen(1, "A").cancelling(30), seen(2, "A")];
    life(10, &["A"], facts)
}

pub(crate) fn past_due_beyond_grace() -> Life {
    life(45, &["A"], facts![checkout(), first_month(), seen(0, "A"), seen(30, "A").past_due()])
}

pub(crate) fn cancelled_at_once() -> Life {
    life(10, &["A"], facts![checkout(), first_month(), seen(0, "A"), seen(9, "A").ended(9)])
}

pub(crate) fn two_lines_of_which_one_goes_3_2_3() -> Life {
    let cart = sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").times(3).renewing("li_2", "B");
    let items = |day, quantity| snapshot("sub_1", day).item("si_1", "A").times(quantity).item("si_2", "B");
    let facts = facts![cart.buyer("a@example.com"), first_month(), items(0, 3), items(1, 2), items(2, 3)];
    life(10, &["A", "B"], facts)
}

pub(crate) fn two_lines_of_one_payment_partly_refunded() -> Life {
    let cart = sale("cs_1").paying("pi_1").once("li_1", "L").times(3).once("li_2", "K").total(4_000);
    let mails = facts![mails_to("pi_1", 0, "a@example.com"), mails_to("cs_1", 1, "b@example.com")];
    life(30, &["L", "K"], [facts![cart, refund("re_1", "pi_1", 1_000)].as_slice(), &mails].concat())
}

pub(crate) fn dispute_won() -> Life {
    let link = same_payment(&["pi_1", "ch_1"]);
    life(30, &["L"], facts![cash(), link, dispute("dp_1", "ch_1", Open), dispute("dp_1", "ch_1", Won)])
}

pub(crate) fn dispute_lost() -> Life {
    let bank = [dispute("dp_1", "pi_1", Open), dispute("dp_1", "pi_1", Lost)];
    life(10, &["A"], [facts![checkout(), first_month(), seen(0, "A")].as_slice(), &bank].concat())
}

pub(crate) fn last_month_refunded_next_month_paid() -> Life {
    let third = invoice("in_3", "sub_1", 90).paying("pi_3");
    let facts = facts![checkout(), first_month(), second_month(), refund("re_1", "pi_2", 1_000), third, seen(0, "A")];
    life(61, &["A"], facts)
}

pub(crate) fn last_month_refunded() -> Life {
    let facts = facts![checkout(), first_month(), second_month(), refund("re_1", "pi_2", 1_000), seen(0, "A")];
    life(32, &["A"], facts)
}

pub(crate) fn old_month_refunded_out_of_goodwill() -> Life {
    let facts = facts![checkout(), first_month(), second_month(), refund("re_1", "pi_1", 1_000), seen(0, "A")];
    life(32, &["A"], facts)
}

pub(crate) fn trial_to_paid() -> Life {
    let free = sale("cs_1").starting("sub_1").paying("in_0").renewing("li_1", "A").total(0);
    let facts = facts![
        free.buyer("a@example.com"),
        invoice("in_0", "sub_1", 14).total(0),
        seen(0, "A").status(Trialing).granted(14),
        seen(14, "A").status(Active).granted(14),
        invoice("in_1", "sub_1", 44).paying("pi_1"),
    ];
    life(20, &["A"], facts)
}

pub(crate) fn coupon_of_100_percent() -> Life {
    let first = first_month().total(0);
    let facts = facts![checkout().total(0), first, invoice("in_2", "sub_1", 60).total(0), seen(0, "A")];
    life(39, &["A"], facts)
}

pub(crate) fn mixed_cart() -> Life {
    let facts = facts![checkout().once("li_2", "L").total(3_000), first_month(), seen(0, "A"), seen(1, "B")];
    life(10, &["A", "B", "L"], facts)
}

pub(crate) fn one_order_with_two_subscriptions() -> Life {
    let order = sale("or_1").renewing("oi_1", "A").renewing("oi_2", "B").total(3_000).buyer("a@example.com");
    let facts = facts![
        order,
        snapshot("sub_1", 0).naming("or_1").covering(&["oi_1"]).item("oi_1", "A"),
        snapshot("sub_2", 0).naming("or_1").covering(&["oi_2"]).item("oi_2", "B"),
        invoice("si_1", "sub_1", 30),
        invoice("si_2", "sub_2", 30).total(2_000),
    ];
    life(10, &["A", "B"], facts)
}

pub(crate) fn transaction_that_does_not_name_its_subscription() -> Life {
    let facts = facts![
        sale("txn_1").renewing("pri", "A").buyer("a@example.com"),
        snapshot("sub_1", 0).naming("txn_1").item("pri", "A"),
        snapshot("sub_1", 1).item("pri", "B"),
        invoice("txn_2", "sub_1", 60),
    ];
    life(31, &["A", "B"], facts)
}

pub(crate) fn two_issued_orders_meet_late() -> Life {
    let facts = facts![
        sale("txn_1").renewing("pri", "A").times(2).buyer("a@example.com"),
        snapshot("sub_1", 1).item("pri", "A").times(2),
        invoice("txn_2", "sub_1", 60),
        same_sale(&["txn_1", "sub_1"]),
    ];
    life(31, &["A"], facts)
}

pub(crate) fn stale_price_arrives_last() -> Life {
    life(10, &["A", "B"], facts![checkout(), first_month(), seen(1, "B"), seen(0, "A")])
}

pub(crate) fn items_swapped_for_new_ones() -> Life {
    let facts = facts![
        checkout().renewing("li_2", "B"),
        first_month(),
        snapshot("sub_1", 0).item("si_1", "A").item("si_2", "B"),
        snapshot("sub_1", 1).item("si_3", "B").item("si_4", "A"),
    ];
    life(10, &["A", "B"], facts)
}

pub(crate) fn mapping_added_late() -> Life {
    upgraded().with(&[Act::Map("B")])
}

pub(crate) fn both_mappings_added_late() -> Life {
    Life { mapped: &[], ..upgraded() }.with(&[Act::Map("A"), Act::Map("B")])
}

pub(crate) fn upgrade_to_a_price_never_mapped() -> Life {
    upgraded().after(3)
}

fn upgraded() -> Life {
    life(10, &["A"], facts![checkout(), first_month(), seen(0, "A"), seen(1, "B")])
}

pub(crate) fn plan_edited_between() -> Life {
    let facts = facts![checkout(), first_month(), seen(0, "A"), seen(1, "A").cancelling(30), second_month()];
    life(10, &["A"], facts).with(&[Act::Edit("A")])
}

pub(crate) fn plan_edited_before_the_subscription_is_seen() -> Life {
    plan_edited_between().after(1)
}

pub(crate) fn revoked_by_hand_then_renewed_and_upgraded() -> Life {
    let facts = facts![checkout(), first_month(), seen(0, "A"), second_month(), seen(1, "B")];
    life(31, &["A", "B"], facts).with(&[Act::Revoke]).after(1)
}

/// A first month whose payment is disputed.
fn disputed() -> [Order; 4] {
    facts![checkout(), first_month(), seen(0, "A"), dispute("dp_1", "pi_1", Open)]
}

pub(crate) fn dispute_excused_then_mail_changed_and_renewed() -> Life {
    let later = facts![mails_to("sub_1", 5, "new@example.com"), second_month(), seen(1, "B")];
    life(31, &["A", "B"], [disputed().as_slice(), &later].concat()).with(&[Act::Unfreeze]).after(4)
}

pub(crate) fn dispute_excused_then_lost() -> Life {
    let later = facts![mails_to("sub_1", 5, "new@example.com"), seen(1, "B"), dispute("dp_1", "pi_1", Lost)];
    life(10, &["A", "B"], [disputed().as_slice(), &later].concat()).with(&[Act::Unfreeze]).after(4)
}

pub(crate) fn past_due_excused_then_the_next_episode() -> Life {
    let facts = facts![
        checkout(),
        first_month(),
        seen(30, "A").past_due(),
        second_month(),
        seen(39, "A"),
        seen(60, "A").status(PastDue),
    ];
    life(75, &["A"], facts).with(&[Act::Unfreeze]).after(3)
}

/// Two orders that both issue when their facts arrive first, and what says that they are one.
fn meeting() -> [Order; 4] {
    facts![
        sale("txn_1").renewing("pri", "A").buyer("a@example.com"),
        snapshot("sub_1", 1).item("pri", "A"),
        invoice("txn_2", "sub_1", 60),
        same_sale(&["txn_1", "sub_1"]),
    ]
}

pub(crate) fn revoked_by_hand_before_two_orders_meet() -> Life {
    life(31, &["A"], meeting()).with(&[Act::Revoke]).after(1)
}

pub(crate) fn newer_of_two_revoked_by_hand_before_they_meet() -> Life {
    life(31, &["A"], meeting()).with(&[Act::RevokeNewest]).after(3)
}

pub(crate) fn first_invoice_refunded_on_day_one() -> Life {
    let unlinked = sale("cs_1").starting("sub_1").renewing("li_1", "A").buyer("a@example.com");
    life(1, &["A"], facts![unlinked, first_month(), seen(0, "A"), refund("re_1", "pi_1", 1_000)])
}

pub(crate) fn end_snapshot_without_items() -> Life {
    let end = snapshot("sub_1", 30).ended(30);
    life(31, &["A", "B"], facts![checkout(), first_month(), seen(0, "A"), seen(1, "B"), end])
}

/// A provider's own key that takes the place of another.
fn upgrade(new: &str, old: &str, price: &str) -> Sale {
    sale(new).once(new, price).replacing(old, new)
}

pub(crate) fn replaced_by_an_upgrade() -> Life {
    let first = sale("k1").once("k1", "A").buyer("a@example.com");
    life(1, &["A", "B"], facts![first, upgrade("k2", "k1", "B"), refund("d1", "k1", 1_000)])
}

pub(crate) fn replaced_twice_and_refunded() -> Life {
    let facts = facts![
        sale("k1").once("k1", "A").buyer("a@example.com"),
        upgrade("k2", "k1", "B"),
        refund("d1", "k1", 1_000),
        upgrade("k3", "k2", "A"),
        refund("d2", "k2", 1_000),
        refund("d3", "k3", 1_000),
    ];
    life(1, &["A", "B"], facts)
}

pub(crate) fn subscribed_again_in_place_of_the_old() -> Life {
    let again = sale("cs_9").starting("sub_9").renewing("li_9", "A").on(150).buyer("a@example.com");
    let facts = facts![
        checkout(),
        first_month(),
        seen(30, "A").ended(30),
        again.replacing("sub_1", "sub_9"),
        invoice("in_9", "sub_9", 180),
        snapshot("sub_9", 150).covering(&["li_9"]).item("si_9", "A"),
    ];
    life(151, &["A"], facts)
}

pub(crate) fn free_month() -> Life {
    life(50, &["A"], facts![checkout(), first_month(), seen(0, "A").granted(30), seen(5, "A").granted(60)])
}

pub(crate) fn last_month_refunded_while_still_active() -> Life {
    let facts =
        facts![checkout(), first_month(), second_month(), seen(30, "A").granted(60), refund("re_1", "pi_2", 1_000)];
    life(32, &["A"], facts)
}

pub(crate) fn period_rolls_over_and_its_payment_fails() -> Life {
    let facts = facts![
        checkout(),
        first_month(),
        seen(0, "A").granted(30),
        seen(30, "A").granted(60),
        seen(31, "A").past_due(),
    ];
    life(45, &["A"], facts)
}

pub(crate) fn newer_price_unmapped_older_price_late() -> Life {
    upgraded()
}

// Not among the lives that the core was tried out on.

/// The checkout's metadata name plan `P`; its subscription knows nothing of that.
pub(crate) fn plan_named_by_the_checkout() -> Life {
    let facts = facts![checkout().asking_for("P"), first_month(), seen(0, "A"), seen(1, "A").cancelling(30)];
    life(10, &["A", "P"], facts)
}

/// The checkout's metadata name plan `P`, and nobody may tell its lines; no rule speaks of the subscription's price.
pub(crate) fn plan_named_by_a_checkout_of_unknown_lines() -> Life {
    life(10, &["P"], facts![checkout().unknown(true, Some("P")), first_month(), seen(0, "A"), seen(1, "A")])
}

/// Nobody ever says what the subscription is for but the checkout that started it.
pub(crate) fn subscription_without_items() -> Life {
    let facts = facts![checkout(), first_month(), snapshot("sub_1", 0), snapshot("sub_1", 9).ended(9)];
    life(10, &["A"], facts)
}

pub(crate) fn two_issued_orders_with_lines_of_their_own_meet() -> Life {
    let facts = facts![
        sale("cs_1").renewing("li_1", "A").buyer("a@example.com"),
        seen(1, "B"),
        second_month(),
        same_sale(&["cs_1", "sub_1"]),
    ];
    life(31, &["A", "B"], facts).with(&[Act::RevokeNewest]).after(3)
}

/// Price `X` gives plans `A` and `B`; nobody says what price `Y` gives.
pub(crate) fn bundle_upgraded_to_a_price_never_mapped() -> Life {
    let bundle = sale("cs_1").starting("sub_1").renewing("li_1", "X").times(2).buyer("a@example.com");
    let seen = |day, price| snapshot("sub_1", day).item("si_1", price).times(2);
    life(10, &["A", "B", "X=A+B"], facts![bundle, first_month(), seen(0, "X"), seen(1, "Y")]).after(3)
}

pub(crate) fn replaced_twice_by_other_products() -> Life {
    let first = sale("k1").once("k1", "A").buyer("a@example.com");
    let facts = facts![first, upgrade("k2", "k1", "B"), upgrade("k3", "k2", "C")];
    life(1, &["A", "B", "C"], facts)
}
