//! What an app is told, and for how long.

use domain::{
    activation::{LeaseTimes, Slot, Software, Verdict, VerdictCode, activate, check, lease_times, verdict},
    id::ActivationId,
    license::License,
    order::{DisputeState::Open, Order},
    plan::{LeaseTerms, Limits, PlanTerms},
    ruling::Ruling,
};
use uuid::Uuid;

use crate::{
    telling::{day, dispute, facts, invoice, refund, sale, snapshot},
    world::World,
};

/// The only license of a subscription whose first month is paid, as stored on day 0.
fn subscribed(more: &[Order]) -> License {
    let sale = sale("cs_1").starting("sub_1").renewing("li_1", "A").buyer("a@example.com");
    let mut world = World::after(&["A"], &facts![sale, invoice("in_1", "sub_1", 30).paying("pi_1")]);
    world.put(more, day(0));
    world.only().clone()
}

fn bought() -> License {
    World::after(&["A"], &facts![sale("cs_1").once("li_1", "A")]).only().clone()
}

fn said(license: &License, at: u32) -> (VerdictCode, Option<&'static str>, Option<u32>) {
    let Verdict { code, reason, until, .. } = verdict(&license.standing, day(at));
    (code, reason, until.map(|until| (0..999).find(|count| day(*count) == until).expect("a day")))
}

#[test]
fn verdicts_follow_the_standing() {
    use VerdictCode::{Ending, Expired, Frozen, PastDue, Revoked, Valid};
    assert_eq!(said(&bought(), 1), (Valid, Some("paid"), None));
    assert_eq!(said(&subscribed(&[]), 1), (Valid, Some("paid"), Some(30)));
    let item = || snapshot("sub_1", 0).item("si_1", "A");
    assert_eq!(said(&subscribed(&facts![item().cancelling(30)]), 1), (Ending, Some("paid"), Some(30)));
    assert_eq!(said(&subscribed(&facts![item().past_due()]), 1), (PastDue, Some("payment_past_due"), Some(44)));
    assert_eq!(said(&subscribed(&[dispute("dp", "pi_1", Open)]), 1), (Frozen, Some("dispute_open"), None));
    assert_eq!(said(&subscribed(&[refund("re", "pi_1", 1_000)]), 1), (Revoked, Some("refunded_in_full"), None));
    let mut world = World::after(&["A"], &facts![item(), invoice("in_1", "sub_1", 30)]);
    world.pass_time(day(31));
    assert_eq!(said(world.only(), 31), (VerdictCode::RenewalAwaited, Some("renewal_awaited"), Some(44)));
    world.pass_time(day(44));
    assert_eq!(said(world.only(), 44), (Expired, Some("not_renewed"), None));
    assert_eq!(
        verdict(&world.only().standing, day(44)).message,
        "This license has expired: its paid period ended and was not renewed."
    );
}

/// Timers may be late by a moment; apps are not to notice.
#[test]
fn a_scheduled_change_that_is_due_has_happened() {
    let ending = subscribed(&facts![snapshot("sub_1", 0).item("si_1", "A").cancelling(30)]);
    let verdict = verdict(&ending.standing, day(30));
    assert_eq!((verdict.code, verdict.reason, verdict.until), (VerdictCode::Expired, None, None));
    assert_eq!(verdict.message, "This license has expired.", "the reason is found when it is judged again");
    let overdue = subscribed(&facts![snapshot("sub_1", 0).item("si_1", "A").past_due()]);
    assert_eq!(said(&overdue, 44).0, VerdictCode::Frozen);
}

#[test]
fn a_device_that_asks_has_a_slot_or_not() {
    let license = bought();
    assert_eq!(check(&license.standing, None, day(1)).code, VerdictCode::Valid);
    assert_eq!(check(&license.standing, Some(true), day(1)).code, VerdictCode::Valid);
    assert_eq!(check(&license.standing, Some(false), day(1)).code, VerdictCode::NotActivated);
    let revoked = subscribed(&[refund("re", "pi_1", 1_000)]);
    assert_eq!(check(&revoked.standing, Some(false), day(1)).code, VerdictCode::Revoked, "the weightier answer");
}

#[test]
fn only_what_an_app_says_anew_is_news() {
    let said = |app_version: Option<&str>, os: Option<&str>| Software {
        app_version: app_version.map(str::to_owned),
        os: os.map(str::to_owned),
    };
    for (says, known, news) in [
        ((Some("3.4"), Some("macOS 15")), (None, None), (Some("3.4"), Some("macOS 15"))),
        ((Some("3.4"), Some("macOS 15")), (Some("3.4"), Some("macOS 14")), (None, Some("macOS 15"))),
        ((Some("3.4"), None), (Some("3.4"), Some("macOS 14")), (None, None)),
        ((None, None), (Some("3.4"), Some("macOS 14")), (None, None)),
        ((Some("3.3"), None), (Some("3.4"), None), (Some("3.3"), None)),
    ] {
        let found = said(says.0, says.1).news(known.0, known.1);
        assert_eq!(found, said(news.0, news.1), "{says:?} where {known:?} is known");
        assert_eq!(found.is_nothing(), news == (None, None));
    }
    let mut known = said(Some("3.3"), Some("macOS 14"));
    known.update(said(Some("3.4"), None));
    assert_eq!(known, said(Some("3.4"), Some("macOS 14")));
}

#[test]
fn slots_are_given_up_to_the_limit() {
    let limits = |activations| Limits { activations, ..Limits::default() };
    let id = |number: u128| ActivationId(Uuid::from_u128(number));
    let license = bought();
    let ask = |license: &License, count, taken: &[(ActivationId, &str)]| {
        let slots = license.limits(&limits(count)).activations;
        activate(&license.standing, slots, taken, "mac", day(1))
    };
    assert_eq!(ask(&license, Some(2), &[(id(1), "pc")]), Slot::New);
    assert_eq!(
        ask(&license, Some(2), &[(id(1), "pc"), (id(2), "mac")]),
        Slot::Same(id(2)),
        "one device, one activation"
    );
    assert_eq!(ask(&license, None, &[(id(1), "pc"), (id(2), "tv")]), Slot::New);
    let denied = |slot| match slot {
        Slot::Denied(verdict) => verdict.code,
        given => panic!("{given:?}"),
    };
    assert_eq!(denied(ask(&license, Some(1), &[(id(1), "pc")])), VerdictCode::ActivationLimit);
    assert_eq!(denied(ask(&license, Some(0), &[])), VerdictCode::ActivationLimit);
    let mut seats = license.clone();
    seats.unit.seats = 2;
    assert_eq!(ask(&seats, Some(1), &[(id(1), "pc")]), Slot::New, "each seat has the plan's slots");
    let revoked = subscribed(&[refund("re", "pi_1", 1_000)]);
    assert_eq!(denied(ask(&revoked, None, &[(id(2), "mac")])), VerdictCode::Revoked, "whoever asks");
}

#[test]
fn a_lease_never_outlives_the_license() {
    let terms =
        |offline_days| PlanTerms { lease: LeaseTerms { offline_days, recheck_hours: 24 }, ..PlanTerms::default() };
    let long = lease_times(&bought().standing, &terms(90), day(1));
    let expected = LeaseTimes { expires_at: day(91), recheck_at: day(2), license_until: None, grace_until: None };
    assert_eq!(long, expected);
    let with_grace = lease_times(&subscribed(&[]).standing, &terms(90), day(1));
    assert_eq!((with_grace.expires_at, with_grace.license_until), (day(44), Some(day(30))));
    let cancelled = subscribed(&facts![snapshot("sub_1", 0).item("si_1", "A").cancelling(30)]);
    assert_eq!(
        lease_times(&cancelled.standing, &terms(90), day(1)).expires_at,
        day(30),
        "there is no grace for the departed"
    );
    let paid_back = subscribed(&facts![invoice("in_2", "sub_1", 60), refund("re", "in_2", 1_000)]);
    assert_eq!(lease_times(&paid_back.standing, &terms(90), day(1)).expires_at, day(30));
    let short = lease_times(&bought().standing, &terms(0), day(1));
    assert_eq!((short.expires_at, short.recheck_at), (day(1), day(1)));
}

#[test]
fn a_ruling_is_a_word_in_the_audit_log() {
    let plan = bought().plan;
    let rulings = [
        (Ruling::Revoke, "revoke"),
        (Ruling::Reinstate, "reinstate"),
        (Ruling::Freeze, "freeze"),
        (Ruling::Unfreeze, "unfreeze"),
        (Ruling::Extend(day(1)), "extend"),
        (Ruling::ChangePlan(plan), "change_plan"),
    ];
    for (ruling, word) in rulings {
        assert_eq!(ruling.as_str(), word);
        let kept = serde_json::to_string(&ruling).unwrap();
        assert_eq!(serde_json::from_str::<Ruling>(&kept).unwrap(), ruling);
    }
}

#[test]
fn codes_are_one_closed_list() {
    for code in VerdictCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
    let valid: Vec<&str> = VerdictCode::ALL.iter().filter(|code| code.is_valid()).map(|code| code.as_str()).collect();
    assert_eq!(valid, ["valid", "past_due", "renewal_awaited", "ending"]);
    assert_eq!(
        (Verdict::not_found().code, Verdict::product_mismatch().code),
        (VerdictCode::NotFound, VerdictCode::ProductMismatch)
    );
}
