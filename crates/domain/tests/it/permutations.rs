//! Each life in every order of arrival: permuted, told twice, cut into batches, spread over time.
//!
//! Lives of up to five facts go through every permutation, every way to cut it into batches and every moment at which
//! people may act; all lives go through random arrivals besides. `KEYWRIGHT_DEEP=1` takes fifty times as many of those.

use domain::{
    decision::{Matcher, QuantityRule},
    license::{Holding, LicenseState},
    plan::PlanTerms,
    ruling::Ruling,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    expected::{Expected, expected},
    lives::{Act, Life, When, every_life},
    telling::{START, day, facts, invoice, sale, snapshot},
    world::{Dice, World},
};

/// Lives of up to so many facts are permuted exhaustively.
const EXHAUSTIVE_MAX: usize = 5;

/// One way for a life's facts to arrive.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The facts by their place in the life.
    pub(crate) sequence: Vec<usize>,
    /// Bit `n`: a batch ends after the `n`th arrival.
    pub(crate) cuts: u64,
    /// How many arrive before people act.
    pub(crate) act_at: usize,
    /// Everything arrives at the end of the life, instead of spread over it.
    pub(crate) late: bool,
}

/// How many random arrivals of a life are tried.
pub(crate) fn budget(usual: usize) -> usize {
    let deep = std::env::var_os("KEYWRIGHT_DEEP").is_some_and(|value| value != "0");
    if deep { usual * 50 } else { usual }
}

/// Plays a life.
pub(crate) fn run(life: &Life, arrival: &Arrival) -> World {
    let mut world = World::selling(&[]);
    for price in life.mapped {
        match price.split_once('=') {
            None => world.map(price, START),
            Some((price, plans)) => {
                let plans: Vec<&str> = plans.split('+').collect();
                world.add_rule(Matcher::Price(price.into()), &plans, QuantityRule::Keys);
            }
        }
    }
    let count = arrival.sequence.len();
    let clock = |place: usize| {
        let span = day(life.end).duration_since(START).as_secs();
        let elapsed = if arrival.late { span } else { span * place as i64 / count as i64 };
        START + SignedDuration::from_secs(elapsed)
    };
    let mut batch = Vec::new();
    for place in 0..=count {
        if place == arrival.act_at {
            world.put(&std::mem::take(&mut batch), clock(place));
            for what in &life.acts {
                act(&mut world, *what, clock(place));
            }
        }
        if let Some(fact) = arrival.sequence.get(place) {
            batch.push(life.facts[*fact].clone());
            if arrival.cuts >> place & 1 == 1 {
                world.put(&std::mem::take(&mut batch), clock(place));
            }
        }
    }
    world.put(&batch, day(life.end));
    world
}

/// A person does something.
pub(crate) fn act(world: &mut World, act: Act, now: Timestamp) {
    let newest = world.licenses().map(|license| license.id).max();
    match act {
        Act::Map(price) => world.map(price, now),
        Act::Edit(plan) => {
            world.add_plan(plan, PlanTerms::default());
            world.settle_all(now);
        }
        Act::Unfreeze => world.unfreeze_all(now),
        Act::Revoke | Act::RevokeNewest => {
            let all: Vec<_> = world.licenses().map(|license| license.id).collect();
            for id in all.into_iter().filter(|id| matches!(act, Act::Revoke) || Some(*id) == newest) {
                world.rule(id, Ruling::Revoke, now);
            }
        }
    }
}

/// Arrivals of one life, each compared with what is expected of it.
struct Trial<'a> {
    life: &'a Life,
    expected: Expected,
    tried: usize,
}

impl Trial<'_> {
    fn arrive(&mut self, arrival: &Arrival) {
        let mut world = run(self.life, arrival);
        let outcome = world.outcome();
        match self.expected {
            Expected::Always(expected) => assert_eq!(outcome, expected, "{arrival:?}"),
            Expected::Decided { before_edit, after_edit } => {
                let expected = if sold(&arrival.sequence[..arrival.act_at]) { before_edit } else { after_edit };
                assert_eq!(outcome, expected, "{arrival:?}");
            }
            Expected::Healed { either, by, then } => {
                assert!(either.iter().any(|expected| outcome == *expected), "{outcome:?}: {arrival:?}");
                act(&mut world, by, day(self.life.end));
                assert_eq!(world.outcome(), then, "{arrival:?}");
            }
        }
        nothing_taken_away(&world, arrival);
        if self.tried.is_multiple_of(16) {
            let happened = world.log.len();
            world.put(&self.life.facts, day(self.life.end));
            world.settle_all(day(self.life.end));
            assert_eq!(world.log[happened..], [], "a replay changed something: {arrival:?}");
        }
        self.tried += 1;
    }
}

/// Whether these facts of `plan_edited_between` show that price `A` was sold: by the checkout (0), or by a period (1, 4)
/// of the subscription that a snapshot (2, 3) describes.
fn sold(facts: &[usize]) -> bool {
    let any = |wanted: &[usize]| facts.iter().any(|fact| wanted.contains(fact));
    any(&[0]) || any(&[1, 4]) && any(&[2, 3])
}

/// In none of the lives something is sold and then not any more: a license without a unit stood for the same thing as
/// another one, which stands for it.
fn nothing_taken_away(world: &World, arrival: &Arrival) {
    for license in world.licenses() {
        match license.holding {
            Holding::Unit => {}
            Holding::Retired => panic!("{license:?} was issued and taken away: {arrival:?}"),
            Holding::SupersededBy(other) => {
                let twin = world.licenses().find(|twin| twin.id == other).expect("the license that stands for it");
                assert!(twin.issued_at <= license.issued_at, "the one issued first stays: {arrival:?}");
                assert_eq!(license.standing.state, LicenseState::Revoked);
            }
        }
    }
    let keys: u32 = world.live().map(|license| license.keys).sum();
    assert_eq!(keys as usize, world.licenses().count(), "every key opens a license: {arrival:?}");
}

/// All orders of `0..count`.
pub(crate) fn every_order(count: usize, then: &mut impl FnMut(&[usize])) {
    fn from(place: usize, order: &mut [usize], then: &mut impl FnMut(&[usize])) {
        if place == order.len() {
            return then(order);
        }
        for other in place..order.len() {
            order.swap(place, other);
            from(place + 1, order, then);
            order.swap(place, other);
        }
    }
    from(0, &mut (0..count).collect::<Vec<_>>(), then);
}

fn exhaust(trial: &mut Trial<'_>) {
    let count = trial.life.facts.len();
    let moments = if trial.life.acts.is_empty() { count..=count } else { 0..=count };
    every_order(count, &mut |sequence| {
        for cuts in 0..1 << (count - 1) {
            for act_at in moments.clone() {
                trial.arrive(&Arrival { sequence: sequence.to_vec(), cuts, act_at, late: cuts % 2 == 1 });
            }
        }
    });
}

/// A random arrival: facts may be told twice, and batches are cut anywhere.
fn random(life: &Life, dice: &mut Dice) -> Arrival {
    let count = life.facts.len();
    let early = if let When::After(early) = life.when { early } else { 0 };
    let mut first: Vec<usize> = (0..early).collect();
    dice.shuffle(&mut first);
    let mut then: Vec<usize> = (early..count).collect();
    then.extend((0..count).filter(|_| dice.one_in(3)));
    dice.shuffle(&mut then);
    let sequence = [first, then].concat();
    let act_at = if life.when == When::Anytime { dice.below(sequence.len() + 1) } else { early };
    Arrival { sequence, cuts: dice.roll(), act_at, late: dice.one_in(2) }
}

fn permute(name: &str, life: &Life) {
    let mut trial = Trial { life, expected: expected(name), tried: 0 };
    if life.facts.len() <= EXHAUSTIVE_MAX && life.when == When::Anytime {
        exhaust(&mut trial);
    }
    let mut dice = Dice(7);
    for _ in 0..budget(1_500) {
        trial.arrive(&random(life, &mut dice));
    }
    println!("{name}: {} arrivals", trial.tried);
}

macro_rules! permuted {
    ($($life:ident)*) => {$(
        #[test]
        fn $life() {
            permute(stringify!($life), &crate::lives::$life());
        }
    )*};
}

every_life!(permuted);

/// Checkout, subscription created, invoice paid, renewal paid, upgrade, ended: all 720 orders, in one batch, one by one
/// and cut at random.
#[test]
fn all_720_orders_of_six_events() {
    let life = Life {
        facts: Vec::from(facts![
            sale("cs_1").starting("sub_1").paying("in_1").renewing("li_1", "A").buyer("a@example.com"),
            snapshot("sub_1", 0).item("si_1", "A").granted(30),
            invoice("in_1", "sub_1", 30).paying("pi_1"),
            invoice("in_2", "sub_1", 60).paying("pi_2"),
            snapshot("sub_1", 40).item("si_1", "B").granted(60),
            snapshot("sub_1", 60).item("si_1", "B").ended(60),
        ]),
        mapped: &["A", "B"],
        acts: Vec::new(),
        when: When::Anytime,
        end: 61,
    };
    let expected = Expected::Always(&["B ×1 expired subscription_ended until 60"]);
    let mut trial = Trial { life: &life, expected, tried: 0 };
    let mut dice = Dice(7);
    every_order(6, &mut |sequence| {
        for cuts in [0, u64::MAX, dice.roll(), dice.roll()] {
            for late in [false, true] {
                trial.arrive(&Arrival { sequence: sequence.to_vec(), cuts, act_at: usize::MAX, late });
            }
        }
    });
    println!("six events: {} arrivals", trial.tried);
    assert_eq!(trial.tried, 720 * 8);
}
