//! What a vendor decides by policy: each line of a table is a policy, what happened, and what the license is then.

use domain::{
    fulfil::Change,
    order::{
        Approval,
        DisputeState::{Inquiry, Lost, Open, Won},
        LastTold, Order,
        SubscriptionStatus::Trialing,
    },
    plan::PlanTerms,
    policy::{Issuing, MailBy, OnCancellation, OnLoss, OnTrial, Policy},
    ruling::approve,
};

use crate::{
    telling::{Invoice, Sale, Snapshot, day, dispute, facts, invoice, refund, returned, sale, snapshot},
    world::World,
};

fn once() -> Sale {
    sale("cs_1").once("li_1", "pro").paying("pi_1").buyer("a@example.com")
}

fn checkout() -> Sale {
    sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "pro").buyer("a@example.com")
}

fn month(number: u32) -> Invoice {
    invoice(&format!("in_{number}"), "sub_1", number * 30).paying(&format!("pi_{number}"))
}

fn seen(day: u32) -> Snapshot {
    snapshot("sub_1", day).item("si_1", "pro")
}

/// A vendor of `pro` by this policy, and of `lite`, which is smaller.
fn selling(policy: Policy) -> World {
    let mut world = World::selling(&["pro"]);
    world.add_plan_of("pro", "lite", PlanTerms::default());
    let downgrade_to = policy.downgrades().then(|| "lite".into());
    let terms = PlanTerms { policy: Policy { downgrade_to, ..policy }, ..PlanTerms::default() };
    world.add_plan_of("pro", "pro", terms);
    world
}

fn after(policy: Policy, facts: &[Order]) -> World {
    let mut world = selling(policy);
    world.put(facts, day(0));
    world
}

#[test]
fn a_full_refund_does_what_the_plan_says() {
    for (full_refund, words) in [
        (OnLoss::Revoke, "pro v2 ×1 revoked refunded_in_full"),
        (OnLoss::Freeze, "pro v2 ×1 frozen refunded_in_full"),
        (OnLoss::Downgrade, "lite ×1 active refunded_in_full"),
        (OnLoss::Keep, "pro v2 ×1 active paid"),
    ] {
        let policy = Policy { full_refund, ..Policy::default() };
        let world = after(policy.clone(), &facts![once(), refund("re_1", "pi_1", 1_000)]);
        assert_eq!(world.words_of_only(), words, "{full_refund:?}");
        let world = after(policy, &facts![once(), dispute("dp_1", "pi_1", Lost)]);
        let of_dispute = words.replace("refunded_in_full", "dispute_lost");
        assert_eq!(world.words_of_only(), of_dispute, "a lost dispute counts as a full refund: {full_refund:?}");
    }
}

#[test]
fn a_partial_refund_does_what_the_plan_says() {
    for (partial_refund, words) in [
        (OnLoss::Revoke, "pro v2 ×1 revoked refunded_in_part"),
        (OnLoss::Freeze, "pro v2 ×1 frozen refunded_in_part"),
        (OnLoss::Downgrade, "lite ×1 active refunded_in_part"),
        (OnLoss::Keep, "pro v2 ×1 active paid"),
    ] {
        let world = after(Policy { partial_refund, ..Policy::default() }, &facts![once(), refund("re_1", "pi_1", 400)]);
        assert_eq!(world.words_of_only(), words, "{partial_refund:?}");
    }
}

#[test]
fn an_open_dispute_does_what_the_plan_says_and_nothing_once_it_is_won() {
    for (dispute_policy, words) in [
        (OnLoss::Revoke, "pro v2 ×1 revoked dispute_open"),
        (OnLoss::Freeze, "pro v2 ×1 frozen dispute_open"),
        (OnLoss::Downgrade, "lite ×1 active dispute_open"),
        (OnLoss::Keep, "pro v2 ×1 active paid"),
    ] {
        let mut world = after(
            Policy { dispute: dispute_policy, ..Policy::default() },
            &facts![once(), dispute("dp_0", "pi_1", Inquiry), dispute("dp_1", "pi_1", Open)],
        );
        assert_eq!(world.words_of_only(), words, "{dispute_policy:?}");
        world.put(&facts![dispute("dp_1", "pi_1", Won)], day(1));
        assert_eq!(world.words_of_only(), "pro v2 ×1 active paid", "{dispute_policy:?}");
    }
}

#[test]
fn another_dispute_of_a_payment_counts_whatever_became_of_the_first() {
    for (what, first) in [
        ("it was won", vec![Some(dispute("dp_1", "pi_1", Open)), Some(dispute("dp_1", "pi_1", Won))]),
        ("it was excused and won", vec![Some(dispute("dp_1", "pi_1", Open)), None, Some(dispute("dp_1", "pi_1", Won))]),
        (
            "it was lost, excused, and won on appeal",
            vec![Some(dispute("dp_1", "pi_1", Lost)), None, Some(dispute("dp_1", "pi_1", Won))],
        ),
        (
            "it was lost, excused, and the money came back",
            vec![Some(dispute("dp_1", "pi_1", Lost)), None, Some(returned("dp_1_back", "pi_1"))],
        ),
    ] {
        let mut world = after(Policy::default(), &facts![once()]);
        for (number, told) in (1..).zip(first) {
            match told {
                Some(fact) => world.put(&[fact], day(number)),
                None => world.unfreeze_all(day(number)),
            }
        }
        assert_eq!(world.words_of_only(), "pro v2 ×1 active paid", "{what}");
        world.put(&[dispute("dp_2", "pi_1", Open)], day(10));
        assert_eq!(world.words_of_only(), "pro v2 ×1 frozen dispute_open", "{what}: the second is another");
        world.put(&[dispute("dp_2", "pi_1", Lost)], day(11));
        assert_eq!(world.words_of_only(), "pro v2 ×1 revoked dispute_lost", "{what}: and is lost");
        world.put(&[dispute("dp_2", "pi_1", Won)], day(12));
        assert_eq!(world.words_of_only(), "pro v2 ×1 active paid", "{what}: and is won");
    }
}

#[test]
fn a_downgrade_lasts_as_long_as_the_period_whose_money_went_back() {
    let policy = Policy { partial_refund: OnLoss::Downgrade, ..Policy::default() };
    let mut world = after(policy, &facts![checkout(), month(1), seen(0), refund("re_1", "pi_1", 400)]);
    assert_eq!(world.words_of_only(), "lite ×1 active refunded_in_part until 30, look again 30");
    let license = world.only().id;
    world.put(&facts![month(2)], day(30));
    assert_eq!(world.words_of_only(), "pro v2 ×1 active paid until 60, look again 60");
    assert_eq!(world.only().id, license, "the key stays");
    world.put(&facts![refund("re_2", "pi_2", 400)], day(31));
    world.unfreeze_all(day(32));
    assert_eq!(world.words_of_only(), "pro v2 ×1 active paid until 60, look again 60", "an excuse lifts it");
}

#[test]
fn of_the_smaller_plan_the_version_stays_that_was_given() {
    let policy = Policy { partial_refund: OnLoss::Downgrade, ..Policy::default() };
    let mut world = after(policy, &facts![once(), refund("re_1", "pi_1", 400)]);
    world.add_plan_of("pro", "lite", PlanTerms { duration_days: Some(9), ..PlanTerms::default() });
    world.settle_all(day(1));
    assert_eq!(world.words_of_only(), "lite ×1 active refunded_in_part");
}

#[test]
fn a_cancellation_ends_when_and_how_the_plan_says() {
    for (cancellation, on_day_10, on_day_30) in [
        (
            OnCancellation::ExpireAtPeriodEnd,
            "pro v2 ×1 active paid until 30, expired on 30, look again 30",
            "pro v2 ×1 expired subscription_ended until 30",
        ),
        (
            OnCancellation::RevokeAtPeriodEnd,
            "pro v2 ×1 active paid until 30, revoked on 30, look again 30",
            "pro v2 ×1 revoked subscription_ended until 30",
        ),
        (
            OnCancellation::ExpireAtOnce,
            "pro v2 ×1 expired subscription_ended until 10",
            "pro v2 ×1 expired subscription_ended until 10",
        ),
        (
            OnCancellation::RevokeAtOnce,
            "pro v2 ×1 revoked subscription_ended until 10",
            "pro v2 ×1 revoked subscription_ended until 10",
        ),
    ] {
        let mut world = after(Policy { cancellation, ..Policy::default() }, &facts![checkout(), month(1), seen(0)]);
        world.put(&facts![seen(10).ended(10)], day(10));
        assert_eq!(world.words_of_only(), on_day_10, "{cancellation:?}");
        world.pass_time(day(30));
        assert_eq!(world.words_of_only(), on_day_30, "{cancellation:?}");
    }
}

#[test]
fn grace_lasts_while_the_provider_tries_to_collect() {
    let retry = |at| Order {
        references: ["sub_1".into()].into(),
        retries: [("sub_1".into(), LastTold(day(at)))].into(),
        ..Order::default()
    };
    let policy = Policy { grace_days: 3, ..Policy::default() };
    let mut world = after(policy, &facts![checkout(), month(1), seen(30).past_due(), retry(35), retry(50)]);
    world.pass_time(day(40));
    let waiting = "pro v2 ×1 active payment_past_due until 30, at risk, frozen on 51, look again 51";
    assert_eq!(world.words_of_only(), waiting, "the last try that was named, and a day for its outcome");
    world.pass_time(day(51));
    assert_eq!(world.words_of_only(), "pro v2 ×1 frozen payment_past_due until 30");
    world.put(&facts![month(2), seen(51)], day(51));
    assert_eq!(world.words_of_only(), "pro v2 ×1 active paid until 60, look again 60");
    world.put(&facts![seen(60).ended(60)], day(60));
    assert_eq!(world.words_of_only(), "pro v2 ×1 expired subscription_ended until 60", "none is left when it ended");
}

#[test]
fn a_trial_gives_a_license_or_waits_for_money() {
    let trial = seen(0).status(Trialing).granted(14).on_trial_until(14);
    let begun = facts![checkout().total(0), invoice("in_1", "sub_1", 14).total(0), trial];
    let world = after(Policy::default(), &begun);
    assert_eq!(world.words_of_only(), "pro v2 ×1 active paid until 14, look again 14");

    let mut world = after(Policy { trial: OnTrial::Wait, ..Policy::default() }, &begun);
    assert_eq!(world.outcome(), [""; 0], "nothing waits for anybody");
    world.put(&facts![seen(14).granted(44).on_trial_until(14)], day(14));
    assert_eq!(world.outcome(), ["waits: period of sub_1 unknown"], "active is not money, and somebody is told");
    world.put(&facts![invoice("in_2", "sub_1", 44)], day(14));
    assert_eq!(world.words_of_only(), "pro v2 ×1 active paid until 44, look again 44");
}

#[test]
fn some_sales_wait_for_a_word() {
    let policy = Policy { issuing: Issuing::AfterApproval, ..Policy::default() };
    let mut world = after(policy, &facts![once()]);
    assert_eq!(world.outcome(), ["waits: approval"]);
    world.pass_time(day(1));
    assert_eq!(world.outcome(), ["waits: approval overdue"], "it is brought up again after a day");
    world.rule_sale("cs_1", |order, _| approve(order, Approval::Rejected, day(2)), day(2));
    assert_eq!(world.outcome(), [""; 0]);
    world.rule_sale("cs_1", |order, _| approve(order, Approval::Approved, day(3)), day(3));
    assert_eq!(world.outcome(), ["pro v2 ×1 active paid"]);
    world.rule_sale("cs_1", |order, _| approve(order, Approval::Rejected, day(4)), day(4));
    assert_eq!(world.outcome(), ["pro v2 ×1 active paid"], "what was issued is not taken back by it");
    assert_eq!(world.count(&Change::Announced), 1);
}

#[test]
fn a_sale_that_was_refunded_before_its_word_is_born_revoked() {
    let policy = Policy { issuing: Issuing::AfterApproval, ..Policy::default() };
    let mut world = after(policy, &facts![once(), refund("re_1", "pi_1", 1_000)]);
    world.rule_sale("cs_1", |order, _| approve(order, Approval::Approved, day(1)), day(1));
    assert_eq!(world.words_of_only(), "pro v2 ×1 revoked refunded_in_full");
    assert_eq!(world.count(&Change::Announced), 0);
}

#[test]
fn each_document_has_its_preset() {
    let words = |name: &str| {
        let policy = Policy::preset(name).expect("a preset");
        let Policy { full_refund, partial_refund, cancellation, mail, .. } = policy;
        (full_refund, partial_refund, cancellation, mail)
    };
    use OnCancellation::{ExpireAtPeriodEnd, RevokeAtOnce, RevokeAtPeriodEnd};
    use OnLoss::{Downgrade, Freeze, Keep, Revoke};
    let table = [
        ("traffic-orchestrator-stripe", (Revoke, Downgrade, RevokeAtOnce, MailBy::Vendor)),
        ("traffic-orchestrator-paddle", (Revoke, Keep, RevokeAtPeriodEnd, MailBy::Us)),
        ("keystack", (Freeze, Keep, ExpireAtPeriodEnd, MailBy::Us)),
        ("cryptlex", (Revoke, Keep, ExpireAtPeriodEnd, MailBy::Us)),
        ("keylight", (Revoke, Keep, ExpireAtPeriodEnd, MailBy::Vendor)),
    ];
    assert_eq!(table.map(|(name, _)| name), Policy::PRESETS);
    for (name, expected) in table {
        assert_eq!(words(name), expected, "{name}");
    }
    assert_eq!(Policy::preset("nobody"), None);
}

#[test]
fn a_lost_dispute_of_an_old_month_holds_nothing_against_a_paid_one() {
    for full_refund in [OnLoss::Freeze, OnLoss::Downgrade, OnLoss::Revoke] {
        let policy = Policy { full_refund, ..Policy::default() };
        let told = facts![checkout(), month(1), month(2), seen(30), dispute("dp_1", "pi_1", Lost)];
        assert_eq!(after(policy, &told).words_of_only(), "pro v2 ×1 active paid until 60, look again 60");
    }
}

#[test]
fn a_trial_that_must_wait_waits_whatever_comes_first() {
    let trial = || seen(0).status(Trialing).granted(14).on_trial_until(14);
    let free = || invoice("in_1", "sub_1", 14).total(0);
    let told = facts![checkout().total(0), trial(), free(), invoice("in_2", "sub_1", 44)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = selling(Policy { trial: OnTrial::Wait, ..Policy::default() });
        for place in order {
            world.put(&told[place..=place], day(0));
            assert_eq!(world.live().count(), 0, "{order:?}");
        }
        world.put(&told[3..], day(14));
        assert_eq!(world.live().count(), 1, "{order:?}");
    }
}

#[test]
fn an_end_can_be_excused_even_if_it_was_announced() {
    let policy = Policy { cancellation: OnCancellation::RevokeAtOnce, ..Policy::default() };
    let mut world = after(policy, &facts![checkout(), month(1), seen(10).cancelling(10).ended(10)]);
    world.pass_time(day(10));
    assert_eq!(world.words_of_only(), "pro v2 ×1 revoked subscription_ended until 10");
    world.unfreeze_all(day(11));
    assert_eq!(world.words_of_only(), "pro v2 ×1 active paid until 30, look again 30");
}

#[test]
fn who_mails_the_keys_needs_no_address_of_ours() {
    let sold = facts![sale("cs_1").once("li_1", "pro").paying("pi_1")];
    assert_eq!(after(Policy::default(), &sold).outcome(), ["pro v2 ×1 active paid", "waits: no address"]);
    let world = after(Policy { mail: MailBy::Vendor, ..Policy::default() }, &sold);
    assert_eq!((world.outcome(), world.count(&Change::Announced)), (vec!["pro v2 ×1 active paid".to_owned()], 1));
}
