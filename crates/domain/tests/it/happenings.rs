//! What can happen to a subscription: each alone, each together with each other, and all sets of them, told twice and in
//! every order. What the license is then stands in `docs/happenings.md`, which is written from here (`UPDATE_DOCS=1`).

use std::{fmt::Debug, path::Path};

use domain::{
    fulfil::Change,
    order::{
        DisputeState::{Lost, Open, Won},
        Order,
        RefundState::{Failed, Succeeded},
        SubscriptionStatus::{self, Active, PastDue, Paused, Trialing},
    },
};

use crate::{
    permutations::{budget, every_order},
    telling::{day, dispute, invoice, refund, refund_that, sale, snapshot},
    world::{Dice, World},
};

/// The day on which the license is looked at: after the first month, within the days of grace.
const LOOK: u32 = 40;
/// So many facts are permuted exhaustively.
const EXHAUSTIVE_MAX: usize = 5;
/// Arrivals tried of what has more facts.
const ARRIVALS: usize = 120;

/// What happened, and on which day of the month it did. Where both of two happen, the earlier one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    PlanChange,
    QuantityChange,
    Pause,
    Dispute,
    DisputeLost,
    PartialRefund,
    FullRefund,
    CancelAtPeriodEnd,
    CancelAtOnce,
    PastDue,
    Renewal,
    Reactivation,
}

use Happening as H;

const ALL: [(Happening, u32, &str); 12] = [
    (H::PlanChange, 8, "plan changed from A to B on day 8"),
    (H::QuantityChange, 9, "quantity changed from 1 to 2 on day 9"),
    (H::Pause, 12, "paused on day 12"),
    (H::Dispute, 14, "first payment disputed on day 14"),
    (H::DisputeLost, 15, "another dispute of it lost on day 15"),
    (H::PartialRefund, 16, "40 % of the first payment refunded on day 16"),
    (H::FullRefund, 18, "first payment refunded in full on day 18"),
    (H::CancelAtPeriodEnd, 20, "cancelled on day 20 for day 30"),
    (H::CancelAtOnce, 25, "cancelled at once on day 25"),
    (H::PastDue, 30, "renewal failed on day 30"),
    (H::Renewal, 32, "renewed until day 60, paid on day 32"),
    (H::Reactivation, 35, "active again, without cancellation, on day 35"),
];

/// The subscription as its provider shows it.
struct Shown {
    price: &'static str,
    quantity: u32,
    status: SubscriptionStatus,
    cancel_at: Option<u32>,
    ended_at: Option<u32>,
}

impl Shown {
    fn on(&self, at: u32) -> Order {
        let mut shown = snapshot("sub_1", at).item("si_1", self.price).times(self.quantity).status(self.status);
        if let Some(end) = self.cancel_at {
            shown = shown.cancelling(end);
        }
        match self.ended_at {
            Some(end) => shown.ended(end).into(),
            None => shown.into(),
        }
    }
}

/// Where more than two things happen: the first line applies whose happenings did, and whose others did not.
struct Rule {
    with: &'static [Happening],
    without: &'static [Happening],
    then: &'static str,
}

const fn rule(with: &'static [Happening], without: &'static [Happening], then: &'static str) -> Rule {
    Rule { with, without, then }
}

/// What money and subscription come to. Which plan it is, and how many licenses, is changed by nothing else.
const RULES: [Rule; 16] = [
    rule(&[H::DisputeLost], &[H::Renewal], "revoked dispute_lost"),
    rule(&[H::FullRefund], &[H::Renewal], "revoked refunded_in_full"),
    rule(&[H::Renewal, H::Dispute, H::CancelAtOnce], &[], "frozen dispute_open until 60, expired on 60, look again 60"),
    rule(
        &[H::Renewal, H::Dispute, H::CancelAtPeriodEnd],
        &[H::Reactivation],
        "frozen dispute_open until 60, expired on 60, look again 60",
    ),
    rule(&[H::Renewal, H::Dispute], &[], "frozen dispute_open until 60, look again 60"),
    rule(&[H::Renewal, H::CancelAtOnce], &[], "active paid until 60, expired on 60, look again 60"),
    rule(&[H::Renewal, H::CancelAtPeriodEnd], &[H::Reactivation], "active paid until 60, expired on 60, look again 60"),
    rule(&[H::Renewal], &[], "active paid until 60, look again 60"),
    rule(&[H::CancelAtOnce], &[], "expired subscription_ended until 30"),
    rule(&[H::CancelAtPeriodEnd, H::PastDue], &[H::Reactivation], "frozen payment_past_due until 30"),
    rule(&[H::CancelAtPeriodEnd], &[H::Reactivation], "expired not_renewed until 30"),
    rule(&[H::Dispute, H::PastDue], &[H::Reactivation], "frozen dispute_open until 30, look again 44"),
    rule(&[H::Dispute], &[], "frozen dispute_open until 30, expired on 44, look again 44"),
    rule(&[H::PastDue], &[H::Reactivation], "active payment_past_due until 30, at risk, frozen on 44, look again 44"),
    rule(&[H::Pause], &[H::Reactivation], "frozen subscription_paused until 30, expired on 44, look again 44"),
    rule(&[], &[], "active renewal_awaited until 30, at risk, expired on 44, look again 44"),
];

/// What is told of a purchase and of what happened to it, in the order in which it happened.
fn told(happenings: &[Happening]) -> Vec<Order> {
    let mut shown = Shown { price: "A", quantity: 1, status: Active, cancel_at: None, ended_at: None };
    let checkout = sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").buyer("a@example.com");
    let mut facts = vec![checkout.into(), invoice("in_1", "sub_1", 30).paying("pi_1").into(), shown.on(0)];
    for (happening, at, _) in ALL.into_iter().filter(|(happening, ..)| happenings.contains(happening)) {
        match happening {
            H::PlanChange => shown.price = "B",
            H::QuantityChange => shown.quantity = 2,
            H::Pause => shown.status = Paused,
            H::PastDue => shown.status = PastDue,
            H::CancelAtPeriodEnd => shown.cancel_at = Some(30),
            H::CancelAtOnce => shown.ended_at = Some(at),
            H::Renewal => shown.status = Active,
            H::Reactivation => (shown.status, shown.cancel_at) = (Active, None),
            H::Dispute | H::DisputeLost | H::PartialRefund | H::FullRefund => {}
        }
        facts.push(match happening {
            H::Dispute => dispute("dp_1", "pi_1", Open),
            H::DisputeLost => dispute("dp_2", "pi_1", Lost),
            H::PartialRefund => refund("re_1", "pi_1", 400),
            H::FullRefund => {
                let rest = if happenings.contains(&H::PartialRefund) { 600 } else { 1_000 };
                refund("re_2", "pi_1", rest)
            }
            _ => shown.on(at),
        });
        if happening == H::Renewal {
            facts.push(invoice("in_2", "sub_1", 60).paying("pi_2").into());
        }
    }
    facts
}

/// What is taken from somebody and given back to them.
#[derive(Clone, Copy, Debug)]
enum Reversal {
    DisputeWon,
    RefundFailed,
}

const REVERSALS: [(Reversal, &str); 2] = [
    (Reversal::DisputeWon, "first payment disputed on day 10, and the dispute won on day 13"),
    (Reversal::RefundFailed, "first payment refunded in full on day 10, and the refund failed on day 13"),
];

fn told_of_reversal(what: Reversal) -> Vec<Order> {
    match what {
        Reversal::DisputeWon => [Open, Won].map(|state| dispute("dp_9", "pi_1", state)).into(),
        Reversal::RefundFailed => [Succeeded, Failed].map(|state| refund_that(state, "re_9", "pi_1", 1_000)).into(),
    }
}

/// What can become of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Nothing,
    Paid,
    ChangedAndPaid,
    PastDue,
    CancelledAtEnd,
    CancelledAtOnce,
}

const TRIALS: [(Trial, &str); 6] = [
    (Trial::Nothing, "nothing more is told"),
    (Trial::Paid, "paid on day 14 until day 44"),
    (Trial::ChangedAndPaid, "plan changed from A to B on day 8, paid on day 14 until day 44"),
    (Trial::PastDue, "payment failed on day 14"),
    (Trial::CancelledAtEnd, "cancelled on day 10 for day 14"),
    (Trial::CancelledAtOnce, "cancelled at once on day 10"),
];

/// What is told of a trial and of what became of it.
fn told_of_trial(what: Trial) -> Vec<Order> {
    let on_trial =
        |at, price| snapshot("sub_1", at).item("si_1", price).status(Trialing).granted(14).on_trial_until(14);
    let paid =
        |price| [snapshot("sub_1", 14).item("si_1", price).into(), invoice("in_2", "sub_1", 44).paying("pi_2").into()];
    let checkout = sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").total(0).buyer("a@example.com");
    let mut facts = vec![checkout.into(), invoice("in_1", "sub_1", 14).total(0).into(), on_trial(0, "A").into()];
    match what {
        Trial::Nothing => {}
        Trial::Paid => facts.extend(paid("A")),
        Trial::ChangedAndPaid => {
            facts.push(on_trial(8, "B").into());
            facts.extend(paid("B"));
        }
        Trial::PastDue => facts.push(snapshot("sub_1", 14).item("si_1", "A").past_due().into()),
        Trial::CancelledAtEnd => facts.push(on_trial(10, "A").cancelling(14).into()),
        Trial::CancelledAtOnce => facts.push(snapshot("sub_1", 10).item("si_1", "A").ended(10).into()),
    }
    facts
}

/// The license on the day it is looked at, whatever order the facts arrive in.
fn comes_to(what: &dyn Debug, facts: &[Order]) -> String {
    if facts.len() <= EXHAUSTIVE_MAX {
        let expected = outcome(facts, Pace::AtOnce);
        every_order(facts.len(), &mut |sequence| {
            let order: Vec<Order> = sequence.iter().map(|place| facts[*place].clone()).collect();
            assert_eq!(outcome(&order, Pace::AtOnce), expected, "{what:?} as {sequence:?}");
        });
    }
    any_arrival(what, facts, budget(ARRIVALS))
}

/// The outcome of facts as they happened, which so many random arrivals of each fact twice come to as well: all on one
/// day and spread over the time until the license is looked at, in turn.
fn any_arrival(what: &dyn Debug, facts: &[Order], tries: usize) -> String {
    let expected = outcome(facts, Pace::AtOnce);
    let mut sequence: Vec<usize> = (0..facts.len()).chain(0..facts.len()).collect();
    let mut dice = Dice(format!("{what:?}").bytes().fold(17_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte)));
    for number in 0..tries {
        dice.shuffle(&mut sequence);
        let twice: Vec<Order> = sequence.iter().map(|place| facts[*place].clone()).collect();
        let pace = if number % 2 == 0 { Pace::Spread } else { Pace::AtOnce };
        assert_eq!(outcome(&twice, pace), expected, "{what:?} as {sequence:?}, {pace:?}");
    }
    expected
}

/// When facts arrive.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// All on the day of the purchase.
    AtOnce,
    /// One after the other, the last one just before the license is looked at.
    Spread,
}

/// Facts arrive one by one.
fn outcome(facts: &[Order], pace: Pace) -> String {
    let mut world = World::selling(&["A", "B"]);
    for (place, fact) in facts.iter().enumerate() {
        let at = match pace {
            Pace::AtOnce => 0,
            Pace::Spread => {
                LOOK * u32::try_from(place).expect("few facts") / u32::try_from(facts.len()).expect("few facts")
            }
        };
        world.pass_time(day(at));
        world.put(std::slice::from_ref(fact), day(at));
    }
    world.pass_time(day(LOOK));
    world.settle_all(day(LOOK));
    let announced = world.count(&Change::Announced);
    assert!(announced <= world.licenses().count(), "a license is announced once");
    world.outcome().join("; ")
}

fn document() -> String {
    let mut text = String::from(
        "# What happens to a license when something happens to its subscription\n\n\
         A subscription to plan A is bought on day 0 and paid until day 30; its license is looked at on day 40, on the \
         default policy (14 days of grace, refunds in full and lost disputes revoke, open disputes freeze, a part of a \
         refund keeps, cancellations expire at the end of what was paid).\n\n\
         Each line holds whatever order the events arrive in, and however often: the table is written by the test \
         `domain::it::happenings::whatever_happens_in_any_order`, which tries every order of up to five events and many \
         random ones of more, each event twice. `×2` are seats, two entries are two \
         licenses, `look again` is the day on which time itself may change something.\n\n\
         | what happened | and | the license on day 40 |\n|---|---|---|\n",
    );
    let mut row = |first: &str, second: &str, happenings: &[Happening]| {
        text += &format!("| {first} | {second} | {} |\n", comes_to(&happenings, &told(happenings)));
    };
    row("nothing but the purchase", "", &[]);
    for (place, (first, _, name)) in ALL.iter().enumerate() {
        row(name, "", &[*first]);
        for (second, _, other) in &ALL[place + 1..] {
            row(name, other, &[*first, *second]);
        }
    }
    text + &rules() + &reversals() + &trials()
}

fn rules() -> String {
    let mut text = String::from(
        "\n## When more of it happens\n\n\
         Any of the 4,096 sets of these twelve: the plan is B if it was changed, there are two licenses if the quantity was \
         changed, and what each is says the first line that applies. The test \
         `domain::it::happenings::any_set_of_happenings_follows_the_rules` tries all of them, each as it happened and in \
         random orders with every event twice, at once and spread over the forty days.\n\n\
         | with | without | the license on day 40 |\n|---|---|---|\n",
    );
    let names = |happenings: &[Happening]| {
        let named = ALL.iter().filter(|(happening, ..)| happenings.contains(happening)).map(|(_, _, name)| *name);
        named.collect::<Vec<_>>().join("; ")
    };
    for rule in &RULES {
        let with = if rule.with.is_empty() { "anything else".to_owned() } else { names(rule.with) };
        text += &format!("| {with} | {} | {} |\n", names(rule.without), rule.then);
    }
    text
}

fn reversals() -> String {
    let mut text = String::from(
        "\n## What is given back\n\n\
         What was taken from a buyer and given back leaves no trace: with one of these, every line of the first table stays as \
         it is (`domain::it::happenings::what_is_given_back_leaves_no_trace`).\n\n\
         | what happened besides |\n|---|\n",
    );
    for (_, name) in REVERSALS {
        text += &format!("| {name} |\n");
    }
    text
}

fn trials() -> String {
    let mut text = String::from(
        "\n## When it begins with a trial\n\n\
         A trial of plan A begins on day 0 and lasts until day 14; nothing is paid for it. Its license is looked at on day 40, \
         too.\n\n\
         | what became of it | the license on day 40 |\n|---|---|\n",
    );
    for (what, name) in TRIALS {
        text += &format!("| {name} | {} |\n", comes_to(&what, &told_of_trial(what)));
    }
    text
}

/// What the rules say about a set.
fn ruled(set: &[Happening]) -> String {
    let applies = |rule: &&Rule| {
        rule.with.iter().all(|happening| set.contains(happening)) && !rule.without.iter().any(|h| set.contains(h))
    };
    let rule = RULES.iter().find(applies).expect("the last line always applies");
    let plan = if set.contains(&H::PlanChange) { "B" } else { "A" };
    let count = if set.contains(&H::QuantityChange) { 2 } else { 1 };
    vec![format!("{plan} ×1 {}", rule.then); count].join("; ")
}

#[test]
fn any_set_of_happenings_follows_the_rules() {
    for bits in 0_u32..1 << ALL.len() {
        let chosen = ALL.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
        let set: Vec<Happening> = chosen.map(|(_, (happening, ..))| *happening).collect();
        assert_eq!(any_arrival(&set, &told(&set), budget(2)), ruled(&set), "{set:?}");
    }
}

#[test]
fn what_is_given_back_leaves_no_trace() {
    let alone = ALL.iter().map(|(happening, ..)| vec![*happening]);
    let pairs = ALL
        .iter()
        .enumerate()
        .flat_map(|(place, (first, ..))| ALL[place + 1..].iter().map(|(second, ..)| vec![*first, *second]));
    for set in [Vec::new()].into_iter().chain(alone).chain(pairs) {
        for (reversal, name) in REVERSALS {
            let facts = [told(&set), told_of_reversal(reversal)].concat();
            assert_eq!(any_arrival(&(&set, reversal), &facts, budget(6)), ruled(&set), "{set:?}, {name}");
        }
    }
}

#[test]
fn whatever_happens_in_any_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/happenings.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &document).expect("docs/happenings.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/happenings.md");
    assert_eq!(written, document, "write it anew with UPDATE_DOCS=1");
}
