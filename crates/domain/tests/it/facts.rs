//! Facts outlive code: every version that was ever written keeps decoding, word for word.
//!
//! `golden/<kind>.<version>.<name>.json` are facts as they were stored. Files are added, never changed.

use std::{collections::BTreeSet, path::PathBuf};

use domain::{
    fact::{CustomerFact, Fact, FactError, VERSION},
    join::Join,
    order::{Order, Purchase, Subscription},
};
use serde_json::Value;

/// Kind, version, name and text of every file.
fn golden() -> Vec<(String, u32, String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    let files = std::fs::read_dir(folder).expect("the folder of golden files");
    let mut golden: Vec<_> = files
        .map(|file| {
            let path = file.expect("a file").path();
            let stem = path.file_stem().expect("a name").to_str().expect("ASCII");
            let [kind, version, name] = stem.split('.').collect::<Vec<_>>()[..] else { panic!("{stem}") };
            let text = std::fs::read_to_string(&path).expect("text");
            (kind.to_owned(), version.parse().expect("a version"), name.to_owned(), text)
        })
        .collect();
    golden.sort();
    golden
}

#[test]
fn every_fact_ever_written_decodes_and_nothing_of_it_is_lost() {
    for (kind, version, name, text) in golden() {
        let fact = Fact::decode(&kind, version, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fact.kind(), kind);
        let (written, kept): (Value, Value) =
            (serde_json::from_str(&fact.encode()).unwrap(), serde_json::from_str(&text).unwrap());
        assert_eq!(written, kept, "{name}");
    }
}

/// A field that is not in any golden file could change its form unnoticed. A new field fails to compile here.
#[test]
fn every_part_of_a_fact_is_in_some_golden_file() {
    let mut all = Order::default();
    let (mut customers, mut gone) = (0, 0);
    for (kind, version, _, text) in golden() {
        match Fact::decode(&kind, version, &text).unwrap() {
            Fact::Order(order) => {
                gone += usize::from(order.erased.is_some());
                // It would take away what others say.
                all.join(Order { erased: None, ..*order });
            }
            Fact::Customer(CustomerFact { snapshot, .. }) => {
                customers += usize::from(snapshot.value.email.is_some() && snapshot.value.name.is_some());
            }
        }
    }
    assert!(customers > 0);
    let Order {
        references,
        payments,
        purchases,
        subscriptions,
        items,
        periods,
        collected,
        keys,
        retries,
        refunds,
        disputes,
        replaced,
        gave_way,
        contact,
        corrected,
        erased,
        handed_over,
        customers,
        missing,
        decided,
        approval,
        excused,
    } = &all;
    assert!(!references.is_empty() && !payments.is_empty() && !periods.is_empty() && !disputes.is_empty());
    assert!(!replaced.is_empty() && !customers.is_empty() && !missing.is_empty() && !excused.is_empty());
    assert!(erased.is_none() && gone > 0 && handed_over.is_some());
    assert!(gave_way.values().any(|register| register.value));
    assert!(!retries.is_empty() && !collected.is_empty() && !keys.is_empty() && approval.is_some());
    assert!(refunds.values().any(|refund| refund.value.cumulative));
    assert!(refunds.values().any(|refund| refund.value.failed_at.is_some()));
    assert!(refunds.values().any(|refund| refund.value.whole));
    assert!(contact.as_ref().is_some_and(|contact| contact.value.name.is_some()) && corrected.is_some());
    assert!(decided.values().any(|decision| decision.asked_at.is_some()));
    let lines = items.values().flat_map(|items| &items.value);
    assert!(lines.clone().any(|line| line.product.is_some() && line.named.is_some() && line.description.is_some()));
    let whole = |purchase: &Purchase| purchase.silent && !purchase.subscriptions.is_empty();
    assert!(purchases.values().any(whole));
    let Subscription { granted_until, cancel_at, ended_at, covers, .. } = &subscriptions["sub_1"].value;
    assert!(granted_until.is_some() && cancel_at.is_some() && ended_at.is_some() && covers.is_some());
    assert!(subscriptions.values().any(|subscription| subscription.value.trial_until.is_some()));
}

#[test]
fn every_kind_has_golden_files_in_every_version() {
    let seen: BTreeSet<(String, u32)> = golden().into_iter().map(|(kind, version, ..)| (kind, version)).collect();
    let kinds = ["customer", "order"].into_iter();
    let all = kinds.flat_map(|kind| (1..=VERSION).map(move |version| (kind.to_owned(), version))).collect();
    assert_eq!(seen, all);
}

#[test]
fn what_a_newer_release_wrote_is_an_error_and_says_so() {
    for (kind, version) in
        [("order", VERSION + 1), ("order", 0), ("customer", VERSION + 1), ("subscription", 1), ("", 1)]
    {
        let error = Fact::decode(kind, version, "{}").expect_err("an unknown fact");
        assert!(matches!(&error, FactError::Unknown { kind: found, version: of } if found == kind && *of == version));
        assert!(error.to_string().contains("a newer release may have written it"));
    }
}

#[test]
fn what_does_not_fit_its_kind_is_an_error_and_says_where() {
    for (kind, text) in [
        ("order", "17"),
        ("order", r#"{"periods": {"in_1": {"subscription": "sub_1"}}}"#),
        ("order", r#"{"contact": {"stamp": {"at": 0}, "value": {"email": "nobody"}}}"#),
        ("customer", "{}"),
        ("customer", "not json"),
    ] {
        let error = Fact::decode(kind, VERSION, text).expect_err("a document that does not fit");
        assert!(matches!(&error, FactError::Document { kind: found, .. } if found == kind));
    }
}

#[test]
fn a_field_from_the_future_is_passed_over() {
    let fact = Fact::decode("order", 1, r#"{"references": ["cs_1"], "not_yet_invented": 1}"#).unwrap();
    let expected = Order { references: ["cs_1".into()].into(), ..Order::default() };
    assert_eq!(fact, Fact::Order(Box::new(expected)));
}
