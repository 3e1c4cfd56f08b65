//! What happens to a subscription, in each provider's own words: alone, each together with each other, and many together,
//! told twice and in any order; what is told in a few events, in every order. The license ends where `docs/happenings.md` says, whoever tells it.

mod any_shop;
mod appsumo;
mod generic;
mod lemonsqueezy;
mod paddle;
mod shop;
mod stripe;
mod table;

use domain::{Entropy, ambient::EntropySource, id::CustomerId};
use engine::testing::SeededEntropy;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::lists::{CustomerFilter, OrderFilter, Page, Whose};

use self::shop::Shop;

/// The signing secret of each provider's connection.
pub(crate) const SECRET: &str = "whsec_happenings_0123456789abcdef";
/// The day on which the license is looked at, as in the table.
const LOOK: u32 = 40;
/// A connection that knows the secret of its webhook alone, and one that may look something up.
const NO_KEY: &str = r#"level = "none""#;
const A_KEY: &str = "level = \"read\"\napi_key = \"env:API_KEY\"";
/// Arrivals tried of each row: as it happened, backwards, and shuffled.
const ARRIVALS: usize = 4;
/// All that a list has.
const PAGE: Page = Page { limit: 100, from: None };
/// So many events are told in every order.
const EXHAUSTIVE_MAX: usize = 5;
/// Failures that are shown.
const SHOWN_MAX: usize = 20;
/// Sets of three and more happenings that are tried.
const SETS: usize = 40;

/// What can happen, in the order in which it does if several things do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Happening {
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

/// What can happen, on which day it does, and the table's words for it.
pub(crate) const ALL: [(Happening, u32, &str); 12] = [
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

/// What is taken from a buyer of what they paid first, on day 10, and given back on day 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reversal {
    DisputeWon,
    RefundFailed,
}

/// What can become of a trial from day 0 to day 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    Nothing,
    Paid,
    ChangedAndPaid,
    PastDue,
    CancelledAtEnd,
    CancelledAtOnce,
}

/// A provider that tells of a subscription called `name` in its own words.
pub(crate) trait Teller: Sync {
    /// Its slug.
    fn slug(&self) -> &'static str;

    /// Its name for the price that gives plan A or B.
    fn price(&self, plan: &str) -> String;

    /// Whether it has a word for it.
    fn knows(&self, happening: Happening) -> bool;

    /// What it delivers of a purchase on day 0, paid until day 30 with 10.00 EUR by `NAME@example.com`, and of what
    /// happened to it, in the order in which it happened. `happenings` are sorted.
    fn tell(&self, name: &str, happenings: &[Happening]) -> Vec<String>;

    /// What it delivers besides of something that was given back: each way in which it can tell that, if it has a word for it.
    fn tell_reversal(&self, name: &str, what: Reversal) -> Vec<Vec<String>>;

    /// What it delivers of a trial of plan A on day 0, for which nothing is paid, and of what became of it.
    fn tell_trial(&self, name: &str, what: Trial) -> Vec<String>;

    /// What its API answers to a key that may read. None: it is not asked here.
    fn answer(&self, _path: &str) -> Option<Value> {
        None
    }

    /// The headers of a delivery.
    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)>;

    /// A reference that the order of that subscription has.
    fn reference(&self, name: &str) -> String;
}

/// The moment at which a day of the story begins.
pub(crate) fn day(number: u32) -> Timestamp {
    let begin = Timestamp::from_second(crate::life::BEGIN).unwrap();
    domain::time::after(begin, SignedDuration::from_hours(24 * i64::from(number)))
}

/// Tells of a subscription of that name: what is delivered, in the order in which it happened.
type Tell<'t> = Box<dyn Fn(&str) -> Vec<String> + 't>;

/// What a provider can tell, and what the license is on the day it is looked at.
struct Case<'t> {
    what: String,
    /// Whether nothing else happened.
    is_alone: bool,
    expected: String,
    tell: Tell<'t>,
}

/// A subscription of which a provider tells.
struct Story {
    name: String,
    what: String,
    /// What is delivered, in the order of arrival.
    arrival: Vec<String>,
    expected: String,
}

fn below(dice: &mut dyn Entropy, limit: usize) -> usize {
    let mut bytes = [0; 8];
    dice.fill(&mut bytes);
    (u64::from_be_bytes(bytes) % limit as u64) as usize
}

fn shuffle<T>(items: &mut [T], dice: &mut dyn Entropy) {
    for place in (1..items.len()).rev() {
        items.swap(place, below(dice, place + 1));
    }
}

/// Some ways in which it can arrive: as it happened, backwards, and shuffled; each event twice, and not at the same time.
fn some_arrivals(cases: &[Case<'_>], dice: &mut dyn Entropy) -> Vec<Story> {
    let mut stories = Vec::new();
    for (number, Case { what, expected, tell, .. }) in cases.iter().enumerate() {
        for way in 0..ARRIVALS {
            let name = format!("row{number}x{way}");
            let mut events = tell(&name);
            if way == 1 {
                events.reverse();
            }
            let mut arrival = [events.clone(), events].concat();
            if way > 1 {
                shuffle(&mut arrival, dice);
            }
            stories.push(Story { name, what: what.clone(), arrival, expected: expected.clone() });
        }
    }
    stories
}

/// Every order in which it can arrive, unless it is too many events. What happened alone is told once, and also with each
/// event twice in a row.
fn every_arrival(cases: &[Case<'_>]) -> Vec<Story> {
    let mut stories = Vec::new();
    for (number, Case { what, expected, tell, is_alone }) in cases.iter().enumerate() {
        let count = tell("some").len();
        if count > EXHAUSTIVE_MAX {
            continue;
        }
        for (way, sequence) in permutations(count).into_iter().enumerate() {
            for times in 1..=if *is_alone { 2 } else { 1 } {
                let name = format!("order{number}x{way}x{times}");
                let events = tell(&name);
                let arrival = sequence.iter().flat_map(|place| vec![events[*place].clone(); times]).collect();
                stories.push(Story { name, what: what.clone(), arrival, expected: expected.clone() });
            }
        }
    }
    stories
}

/// Every order of so many things.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |shorter, next| {
        let longer = |sequence: &Vec<usize>| {
            let sequence = sequence.clone();
            (0..=sequence.len()).map(move |place| [&sequence[..place], &[next], &sequence[place..]].concat())
        };
        shorter.iter().flat_map(longer).collect()
    })
}

/// Sets of happenings, and what the license is then.
fn cases(teller: &'static dyn Teller, rows: Vec<(Vec<Happening>, String)>) -> Vec<Case<'static>> {
    let case = |(happenings, expected): (Vec<Happening>, String)| Case {
        what: format!("{happenings:?}"),
        is_alone: happenings.len() < 2,
        expected,
        tell: Box::new(move |name| teller.tell(name, &happenings)),
    };
    rows.into_iter().map(case).collect()
}

/// Sets of many happenings that a provider can tell, and what the rules say about them.
fn sets(teller: &dyn Teller, dice: &mut dyn Entropy) -> Vec<(Vec<Happening>, String)> {
    let known: Vec<Happening> = ALL.into_iter().map(|(happening, ..)| happening).filter(|h| teller.knows(*h)).collect();
    let mut sets = vec![known.clone()];
    for _ in 0..SETS {
        let mut some = known.clone();
        shuffle(&mut some, dice);
        some.truncate(3 + below(dice, known.len().saturating_sub(3)));
        some.sort();
        sets.push(some);
    }
    sets.into_iter().map(|set| (set.clone(), table::ruled(&set))).collect()
}

async fn ends_as_the_table_says(teller: &'static dyn Teller, level: &str) {
    let mut dice = SeededEntropy::new(11).entropy();
    let rows = [table::rows(teller), sets(teller, &mut *dice)].concat();
    end_as_expected(teller, level, &some_arrivals(&cases(teller, rows), &mut *dice)).await;
}

async fn ends_as_the_table_says_in_every_order(teller: &'static dyn Teller) {
    let stories = every_arrival(&cases(teller, table::rows(teller)));
    println!("{}: {} stories", teller.slug(), stories.len());
    end_as_expected(teller, NO_KEY, &stories).await;
}

/// A trial and what became of it; and what is given back, besides nothing else and besides each single happening.
async fn trials_and_reversals_end_as_the_table_says(teller: &'static dyn Teller) {
    let mut cases = Vec::new();
    for (what, expected) in table::trials() {
        let tell = Box::new(move |name: &str| teller.tell_trial(name, what));
        cases.push(Case { what: format!("trial, {what:?}"), is_alone: true, expected, tell });
    }
    for reversal in table::reversals() {
        for way in 0..teller.tell_reversal("some", reversal).len() {
            for (set, expected) in table::rows(teller).into_iter().filter(|(set, _)| set.len() < 2) {
                let what = format!("{reversal:?} told in way {way}, and {set:?}");
                let is_alone = set.is_empty();
                let tell = move |name: &str| {
                    [teller.tell(name, &set), teller.tell_reversal(name, reversal).swap_remove(way)].concat()
                };
                cases.push(Case { what, is_alone, expected, tell: Box::new(tell) });
            }
        }
    }
    let mut stories = every_arrival(&cases);
    stories.extend(some_arrivals(&cases, &mut *SeededEntropy::new(13).entropy()));
    println!("{}: {} stories", teller.slug(), stories.len());
    end_as_expected(teller, NO_KEY, &stories).await;
}

async fn end_as_expected(teller: &'static dyn Teller, level: &str, stories: &[Story]) {
    let shop = Shop::open(&[teller], level).await;
    shop.tell(teller, stories).await;
    shop.pass_time().await;
    let names: Vec<&str> = stories.iter().map(|story| story.name.as_str()).collect();
    let outcomes = shop.outcomes(teller, &names).await;
    let mut wrong = Vec::new();
    for (Story { what, arrival, expected, .. }, outcome) in stories.iter().zip(outcomes) {
        if outcome != *expected {
            let arrival = arrival.join("\n    ");
            wrong.push(format!("{what}\n  is:        {outcome}\n  should be: {expected}\n    {arrival}"));
        }
    }
    let shown = wrong.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{}: {} of {}\n{shown}", teller.slug(), wrong.len(), stories.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_tells_of_a_subscription_as_the_table_says() {
    ends_as_the_table_says(&stripe::Stripe, NO_KEY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_tells_of_little_in_every_order() {
    ends_as_the_table_says_in_every_order(&stripe::Stripe).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_tells_of_trials_and_of_what_is_given_back() {
    trials_and_reversals_end_as_the_table_says(&stripe::Stripe).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paddle_tells_of_a_subscription_as_the_table_says() {
    ends_as_the_table_says(&paddle::Paddle, NO_KEY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paddle_tells_and_is_asked_as_the_table_says() {
    ends_as_the_table_says(&paddle::Paddle, A_KEY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paddle_tells_of_little_in_every_order() {
    ends_as_the_table_says_in_every_order(&paddle::Paddle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paddle_tells_of_trials_and_of_what_is_given_back() {
    trials_and_reversals_end_as_the_table_says(&paddle::Paddle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lemon_squeezy_tells_of_a_subscription_as_the_table_says() {
    ends_as_the_table_says(&lemonsqueezy::LemonSqueezy, NO_KEY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lemon_squeezy_tells_and_is_asked_as_the_table_says() {
    let of_one_store = format!("{A_KEY}\nstore = \"1\"");
    ends_as_the_table_says(&lemonsqueezy::LemonSqueezy, &of_one_store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lemon_squeezy_tells_of_little_in_every_order() {
    ends_as_the_table_says_in_every_order(&lemonsqueezy::LemonSqueezy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lemon_squeezy_tells_of_trials_and_of_what_is_given_back() {
    trials_and_reversals_end_as_the_table_says(&lemonsqueezy::LemonSqueezy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_other_shop_tells_of_a_subscription_as_the_table_says() {
    ends_as_the_table_says(&generic::Generic, NO_KEY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_other_shop_tells_of_little_in_every_order() {
    ends_as_the_table_says_in_every_order(&generic::Generic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_other_shop_tells_of_trials_and_of_what_is_given_back() {
    trials_and_reversals_end_as_the_table_says(&generic::Generic).await;
}

/// What is sold for good has no month that could end: until it is refunded it stays paid, on the plan that it was changed to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appsumo_tells_in_every_order_as_the_table_says_of_what_does_not_end() {
    let for_good = |(happenings, outcome): (Vec<Happening>, String)| {
        let expected = match outcome.split_once(" active ") {
            Some((license, _)) => format!("{license} active paid"),
            None => outcome,
        };
        (happenings, expected)
    };
    let rows: Vec<_> = table::rows(&appsumo::AppSumo).into_iter().map(for_good).collect();
    assert_eq!(rows.len(), 4, "the purchase, an upgrade, a refund, and both");
    end_as_expected(&appsumo::AppSumo, NO_KEY, &every_arrival(&cases(&appsumo::AppSumo, rows))).await;
}

/// One address, and the same names for everything at each provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_customer_of_several_providers_has_an_order_at_each_and_nothing_is_mixed() {
    const TELLERS: [&dyn Teller; 4] =
        [&stripe::Stripe, &generic::Generic, &paddle::Paddle, &lemonsqueezy::LemonSqueezy];
    // What happens at the first one happens at no other.
    let happened: [&[Happening]; 4] =
        [&[H::FullRefund, H::CancelAtOnce], &[H::Renewal], &[H::PlanChange, H::CancelAtPeriodEnd], &[H::Pause]];
    let expected = [
        "A ×1 revoked refunded_in_full",
        "A ×1 active paid until 60, look again 60",
        "B ×1 expired not_renewed until 30",
        "A ×1 frozen subscription_paused until 30, expired on 44, look again 44",
    ];
    let shop = Shop::open(&TELLERS, NO_KEY).await;
    let told = TELLERS
        .iter()
        .zip(happened)
        .flat_map(|(teller, happened)| teller.tell("ada", happened).into_iter().map(move |event| (*teller, event)));
    let mut told: Vec<(&dyn Teller, String)> = told.collect();
    shuffle(&mut told, &mut *SeededEntropy::new(12).entropy());
    for (teller, event) in &told {
        shop.deliver(*teller, event).await;
        shop.0.settle().await;
    }
    shop.pass_time().await;
    for (teller, expected) in TELLERS.into_iter().zip(expected) {
        assert_eq!(shop.outcomes(teller, &["ada"]).await, [expected], "{}", teller.slug());
    }
    let (store, whose) = (&shop.0.engine.store, Whose { tenant: shop.0.tenant, livemode: false });
    let customers = store.list_customers(whose, &CustomerFilter::default(), PAGE).await.unwrap().rows;
    assert_eq!(customers.len(), 1, "one account");
    let of_customer = OrderFilter { customer: Some(CustomerId(customers[0].id)), ..OrderFilter::default() };
    let orders = store.list_orders(whose, &of_customer, PAGE).await.unwrap().rows;
    assert_eq!(orders.len(), TELLERS.len(), "an order at each");
}
