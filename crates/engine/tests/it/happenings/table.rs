//! `docs/happenings.md`, which the rules' own test writes, read as what is expected here.

use super::{ALL, Happening, Reversal, Teller, Trial};

const TABLE: &str = include_str!("../../../../../docs/happenings.md");

/// The table's words for what is given back, and for what becomes of a trial.
const REVERSALS: [(Reversal, &str); 2] = [
    (Reversal::DisputeWon, "first payment disputed on day 10, and the dispute won on day 13"),
    (Reversal::RefundFailed, "first payment refunded in full on day 10, and the refund failed on day 13"),
];
const TRIALS: [(Trial, &str); 6] = [
    (Trial::Nothing, "nothing more is told"),
    (Trial::Paid, "paid on day 14 until day 44"),
    (Trial::ChangedAndPaid, "plan changed from A to B on day 8, paid on day 14 until day 44"),
    (Trial::PastDue, "payment failed on day 14"),
    (Trial::CancelledAtEnd, "cancelled on day 10 for day 14"),
    (Trial::CancelledAtOnce, "cancelled at once on day 10"),
];

/// The rows of the table below a heading, without its own head.
fn lines<const COLUMNS: usize>(heading: &str) -> Vec<[&'static str; COLUMNS]> {
    let (_, section) = TABLE.split_once(heading).expect("a heading of the table");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        <[&str; COLUMNS]>::try_from(cells).unwrap_or_else(|cells| panic!("{heading}: {cells:?}"))
    };
    section.lines().filter(|line| line.starts_with("| ")).skip(1).map(cells).collect()
}

fn named(words: &str) -> Option<Happening> {
    ALL.into_iter().find(|(_, _, name)| *name == words).map(|(happening, ..)| happening)
}

/// What happens alone and in pairs, as far as a provider can tell it, and what the license is on day 40.
pub(super) fn rows(teller: &dyn Teller) -> Vec<(Vec<Happening>, String)> {
    let mut rows = Vec::new();
    for [first, second, outcome] in lines("# What happens to a license") {
        let happenings: Vec<Happening> = [first, second].into_iter().filter_map(named).collect();
        let expected = usize::from(first != "nothing but the purchase") + usize::from(!second.is_empty());
        assert_eq!(happenings.len(), expected, "this test has no such happening: {first}, {second}");
        if happenings.iter().all(|happening| teller.knows(*happening)) {
            rows.push((happenings, outcome.to_owned()));
        }
    }
    rows
}

/// What the rules say about a set: the first line applies whose happenings did, and whose others did not.
pub(super) fn ruled(set: &[Happening]) -> String {
    let all = |words: &str| words.split("; ").filter_map(named).collect::<Vec<_>>();
    let then = lines("## When more of it happens").into_iter().find_map(|[with, without, then]| {
        let applies = all(with).iter().all(|happening| set.contains(happening))
            && !all(without).iter().any(|happening| set.contains(happening));
        applies.then_some(then)
    });
    let plan = if set.contains(&Happening::PlanChange) { "B" } else { "A" };
    let count = if set.contains(&Happening::QuantityChange) { 2 } else { 1 };
    vec![format!("{plan} ×1 {}", then.expect("the last rule always applies")); count].join("; ")
}

/// What leaves no trace, besides whatever else happens.
pub(super) fn reversals() -> Vec<Reversal> {
    let reversal = |[words]: [&str; 1]| {
        let known = REVERSALS.into_iter().find(|(_, name)| *name == words);
        known.unwrap_or_else(|| panic!("this test has no such reversal: {words}")).0
    };
    lines("## What is given back").into_iter().map(reversal).collect()
}

/// What becomes of a trial, and what the license is on day 40.
pub(super) fn trials() -> Vec<(Trial, String)> {
    let trial = |[words, outcome]: [&str; 2]| {
        let known = TRIALS.into_iter().find(|(_, name)| *name == words);
        let (trial, _) = known.unwrap_or_else(|| panic!("this test has no such trial: {words}"));
        (trial, outcome.to_owned())
    };
    lines("## When it begins with a trial").into_iter().map(trial).collect()
}
