//! What prices give: rules of a time, add-ons, and decisions that are made once more because somebody asks.

use domain::{
    decision::{
        Catalogue, Matcher,
        QuantityRule::{Keys, Seats},
        Rule,
    },
    fulfil::{Change, Concern, resolve_again},
    id::ConnectionId,
    order::Order,
    plan::{AddOn, Limits, PlanTerms},
    ruling::Ruling,
};
use uuid::Uuid;

use crate::{
    telling::{day, facts, invoice, refund, sale, snapshot},
    world::World,
};

const CONNECTION: ConnectionId = ConnectionId(Uuid::from_u128(1));

fn price(name: &str) -> Matcher {
    Matcher::Price(name.into())
}

fn seats(count: u32) -> AddOn {
    AddOn { activations: count, features: ["api".to_owned()].into() }
}

/// Activations and features of the only license.
fn allows(world: &World) -> (Option<u32>, Vec<String>) {
    let license = world.only();
    let limits = license.limits(&Limits::default());
    (limits.activations, limits.features.into_iter().collect())
}

#[test]
fn a_rule_speaks_of_sales_of_its_time() {
    let mut world = World::selling(&["A", "B"]);
    world.add_rule(price("X"), &["A"], Keys);
    let grants = vec![World::gives("B", Keys)];
    world.add_whole_rule(price("X"), Rule { grants, from: Some(day(10)), until: Some(day(20)), ..Rule::default() });
    for (sold_on, code) in [(9, "A"), (10, "B"), (19, "B"), (20, "A")] {
        let id = format!("cs_{sold_on}");
        world.put(&facts![sale(&id).on(sold_on).once(&format!("li_{sold_on}"), "X").buyer("a@example.com")], day(30));
        let license = &world.order(&id).licenses[0];
        assert!(world.words(license).starts_with(code), "sold on day {sold_on}: {}", world.words(license));
    }
}

#[test]
fn outside_its_time_a_rule_is_silent_and_the_sale_waits() {
    let mut world = World::selling(&["A"]);
    let grants = vec![World::gives("A", Keys)];
    world.add_whole_rule(price("X"), Rule { grants, until: Some(day(5)), ..Rule::default() });
    world.put(&facts![sale("cs_1").on(5).once("li_1", "X").buyer("a@example.com")], day(5));
    assert_eq!(world.outcome(), ["waits: price X unmapped"]);
}

#[test]
fn an_add_on_counts_for_what_it_is_sold_with() {
    let mut world = World::selling(&["A"]);
    world.add_whole_rule(price("extra"), Rule { adds: seats(5), ..Rule::default() });
    let items = |at, count| snapshot("sub_1", at).item("si_1", "A").item("si_2", "extra").times(count);
    world.put(&facts![invoice("in_1", "sub_1", 30), items(0, 2)], day(0));
    assert_eq!(allows(&world), (Some(3 + 10), vec!["api".to_owned()]));
    world.put(&facts![items(1, 1)], day(1));
    assert_eq!(allows(&world), (Some(3 + 5), vec!["api".to_owned()]));
    world.put(&facts![snapshot("sub_1", 2).item("si_1", "A")], day(2));
    assert_eq!(allows(&world), (Some(3), vec![]), "it ends with its item");
    assert_eq!(world.count(&Change::LimitsChanged), 2);
    assert_eq!(world.count(&Change::Issued), 1, "an add-on is no license");
}

#[test]
fn a_price_may_give_a_plan_and_add_to_it() {
    let mut world = World::selling(&["A"]);
    let grants = vec![World::gives("A", Seats)];
    world.add_whole_rule(price("bundle"), Rule { grants, adds: seats(1), ..Rule::default() });
    world.put(&facts![sale("cs_1").once("li_1", "bundle").times(4)], day(0));
    assert_eq!(allows(&world), (Some(3 * 4 + 4), vec!["api".to_owned()]));
}

#[test]
fn an_add_on_that_is_sold_alone_is_seen() {
    let mut world = World::selling(&["A"]);
    world.add_whole_rule(price("extra"), Rule { adds: seats(5), ..Rule::default() });
    world.put(&facts![sale("cs_1").once("li_1", "extra").buyer("a@example.com")], day(0));
    assert_eq!(world.outcome(), ["waits: cs_1 adds to nothing"]);
}

#[test]
fn an_add_on_that_was_bought_by_itself_ends_with_its_own_money() {
    let extra = || Order::from(sale("k2").once("k2", "extra").times(2).naming("k1"));
    let back = || refund("re_1", "k2", 1_000);
    for (facts, activations) in [
        (vec![extra()], Some(3 + 10)),
        (vec![extra(), refund("re_1", "k2", 400)], Some(3 + 10)),
        (vec![extra(), back()], Some(3)),
        (vec![back(), extra()], Some(3)),
    ] {
        let mut world = World::selling(&["A"]);
        world.add_whole_rule(price("extra"), Rule { adds: seats(5), ..Rule::default() });
        world.put(&facts, day(0));
        world.put(&facts![sale("k1").once("k1", "A").buyer("a@example.com")], day(1));
        assert_eq!(allows(&world).0, activations);
        assert_eq!(world.words_of_only(), "A ×1 active paid");
    }
    let mut world = World::selling(&["A"]);
    world.add_whole_rule(price("extra"), Rule { adds: seats(5), ..Rule::default() });
    world.put(&[extra(), back()], day(0));
    assert_eq!(world.outcome(), [] as [String; 0], "what went back waits for nothing");
}

#[test]
fn limits_that_a_person_set_count_instead_of_the_plans() {
    let mut world = World::after(&["A"], &facts![sale("cs_1").once("li_1", "A")]);
    let limits = Limits { activations: Some(25), features: ["sso".to_owned()].into(), ..Limits::default() };
    world.rule(world.only().id, Ruling::Limits(Some(limits)), day(1));
    assert_eq!(allows(&world), (Some(25), vec!["sso".to_owned()]));
    world.rule(world.only().id, Ruling::Limits(None), day(2));
    assert_eq!(allows(&world), (Some(3), vec![]), "and can be given back");
}

fn ask(world: &mut World, concern: &Concern, at: u32) {
    let again = |order: &mut Order, catalogue: &Catalogue| {
        resolve_again(order, CONNECTION, catalogue, concern, day(at));
    };
    world.rule_sale("cs_1", again, day(at));
}

#[test]
fn edits_count_for_what_was_sold_only_when_somebody_asks() {
    let mut world = World::selling(&["A", "B"]);
    world.add_rule(price("X"), &["A"], Keys);
    world.put(&facts![sale("cs_1").once("li_1", "X").buyer("a@example.com")], day(0));
    world.add_rule(price("X"), &["B"], Keys);
    world.settle_all(day(1));
    assert_eq!(world.outcome(), ["A ×1 active paid"]);
    ask(&mut world, &Concern::Matcher(price("other")), 2);
    assert_eq!(world.outcome(), ["A ×1 active paid"], "another price was meant");
    ask(&mut world, &Concern::Matcher(price("X")), 2);
    assert_eq!(world.outcome(), ["B ×1 active paid"]);
    assert_eq!(world.count(&Change::Issued), 1, "the key stays");

    world.add_plan("B", PlanTerms { duration_days: Some(90), ..PlanTerms::default() });
    world.settle_all(day(3));
    assert_eq!(world.outcome(), ["B ×1 active paid"], "a new version of the plan is for later sales");
    let plan = world.only().plan.plan;
    ask(&mut world, &Concern::Plan(plan), 4);
    assert_eq!(world.outcome(), ["B v2 ×1 active paid until 90, expired on 90, look again 90"]);
}
