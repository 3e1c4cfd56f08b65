//! What buyers are told of each reason, and what is not told any more.

use domain::{
    license::{License, Scheduled},
    mail::MailKind,
    money::{Currency, Money},
    text::Reference,
};
use jiff::Timestamp;
use store::outbox::Contents;

use super::*;
use crate::mail::{
    language::Language,
    page::Page,
    tests::{FULL, contents, one_license, page_of},
};

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().unwrap()
}

fn refunded(full: bool) -> Reason {
    let amount = Money { currency: Currency::NONE, minor: 500 };
    Reason::Cause(Cause::Refunded { payment: Reference::new("pi_42"), amount, full })
}

fn disputed(lost: bool) -> Reason {
    Reason::Cause(Cause::Disputed { dispute: Reference::new("dp_42"), lost })
}

fn past_due() -> Reason {
    Reason::Cause(Cause::PastDue { subscription: Reference::new("sub_42"), paid_until: at("2026-11-21") })
}

fn every_reason() -> Vec<Reason> {
    let subscription = || Reference::new("sub_42");
    vec![
        Reason::Paid,
        Reason::RenewalAwaited,
        Reason::NotRenewed,
        Reason::TermOver,
        Reason::RevokedByHand,
        Reason::FrozenByHand,
        Reason::Removed,
        Reason::Superseded,
        Reason::Cause(Cause::Ended { subscription: subscription(), at: at("2026-11-21") }),
        Reason::Cause(Cause::Paused { subscription: subscription(), paid_until: at("2026-11-21") }),
        past_due(),
        refunded(true),
        refunded(false),
        disputed(true),
        disputed(false),
    ]
}

/// Whether the rules ever come to this.
fn leads_to(reason: &Reason, state: LicenseState) -> bool {
    match state {
        LicenseState::Frozen => matches!(reason, Reason::FrozenByHand | Reason::RenewalAwaited | Reason::Cause(_)),
        _ => !matches!(reason, Reason::FrozenByHand | Reason::RenewalAwaited | Reason::Paid),
    }
}

fn license(state: LicenseState, reason: Reason) -> License {
    let mut license = one_license();
    license.unit.recurring = true;
    license.standing.state = state;
    license.standing.reason = reason;
    license
}

fn told(kind: MailKind, language: Language, license: License) -> Option<Page> {
    page_of(kind, language, &Contents { license, ..contents("Acme Studio", "Pro", FULL) })
}

#[test]
fn every_reason_has_its_words_in_every_language() {
    let mut table = String::new();
    for language in Language::ALL {
        for (kind, state) in
            [(MailKind::LicenseFrozen, LicenseState::Frozen), (MailKind::LicenseRevoked, LicenseState::Revoked)]
        {
            for reason in every_reason().into_iter().filter(|reason| leads_to(reason, state)) {
                let page = told(kind, language, license(state, reason.clone())).unwrap();
                assert!(!page.intro.contains("_42"), "no ids: {}", page.intro);
                table +=
                    &format!("{} {}\n    {}\n    {}\n", kind.as_str(), reason.code(), page.intro, page.paragraphs[0]);
            }
        }
    }
    insta::assert_snapshot!("reasons", table);
}

#[test]
fn what_is_not_so_any_more_is_not_told() {
    use LicenseState::{Active, Expired, Frozen, Revoked};
    let ends = |mut license: License, at_risk| {
        license.standing.scheduled = Some(Scheduled { state: Expired, at: at("2026-12-05") });
        license.standing.at_risk = at_risk;
        license
    };
    let active = || license(Active, Reason::Paid);
    for (kind, license, is_told) in [
        (MailKind::LicenseRenewed, active(), true),
        (MailKind::LicenseRenewed, license(Frozen, disputed(false)), false),
        (MailKind::LicenseRenewed, ends(license(Active, past_due()), true), false),
        (MailKind::LicenseExpiring, ends(active(), false), true),
        (MailKind::LicenseExpiring, active(), false),
        (MailKind::LicenseExpiring, ends(license(Active, past_due()), true), false),
        (MailKind::LicenseExpiring, ends(license(Expired, Reason::TermOver), false), false),
        (MailKind::PaymentProblem, ends(license(Active, past_due()), true), true),
        (MailKind::PaymentProblem, active(), false),
        (MailKind::PaymentProblem, license(Expired, past_due()), false),
        (MailKind::LicenseFrozen, license(Frozen, Reason::FrozenByHand), true),
        (MailKind::LicenseFrozen, active(), false),
        (MailKind::LicenseFrozen, license(Revoked, refunded(true)), false),
        (MailKind::LicenseRevoked, license(Revoked, refunded(true)), true),
        (MailKind::LicenseRevoked, active(), false),
        (MailKind::LicenseDelivery, license(Revoked, refunded(true)), true),
    ] {
        let standing = license.standing.clone();
        assert_eq!(told(kind, Language::English, license).is_some(), is_told, "{kind:?}: {standing:?}");
    }
}

#[test]
fn a_payment_problem_names_the_day_until_which_it_works() {
    let mut license = license(LicenseState::Active, past_due());
    license.standing.at_risk = true;
    let without = told(MailKind::PaymentProblem, Language::English, license.clone()).unwrap();
    assert_eq!(without.paragraphs[0], "It works all the same for now.");
    license.standing.scheduled = Some(Scheduled { state: LicenseState::Expired, at: at("2026-12-05") });
    let with = told(MailKind::PaymentProblem, Language::German, license).unwrap();
    assert_eq!(with.paragraphs[0], "Sie gilt trotzdem bis zum 5. Dezember 2026.");
    assert!(with.intro.contains("ist bis zum 21. November 2026 bezahlt"), "{}", with.intro);
}

#[test]
fn what_is_renewed_without_an_end_says_so() {
    let mut license = license(LicenseState::Active, Reason::Paid);
    let intro = |license: &License| told(MailKind::LicenseRenewed, Language::English, license.clone()).unwrap().intro;
    assert_eq!(intro(&license), "Your Acme Studio Pro license is renewed. It has no end date now.");
    license.standing.until = Some(at("2027-11-21"));
    assert_eq!(intro(&license), "Your Acme Studio Pro license is renewed. It is now valid until 21 November 2027.");
}
