//! What a price gives, and how much of it: evidence, rules, and decisions that stay decided.

use domain::{
    decision::{Decision, Evidence, Grant, Matcher, QuantityRule},
    fulfil::{Change, UNITS_MAX, Waiting},
    join::Join,
    order::Order,
    plan::{AddOn, PlanTerms},
};

use crate::{
    telling::{day, facts, invoice, sale, snapshot},
    world::World,
};

#[test]
fn the_latest_decision_asked_for_wins_and_otherwise_the_earliest() {
    let mut world = World::selling(&["A"]);
    let grant = |plan| vec![Grant { plan, quantity: QuantityRule::Keys }];
    let (first, second) = (world.add_plan("A", PlanTerms::default()), world.add_plan("A", PlanTerms::default()));
    let decision = |asked: Option<u32>, evidence, decided, plan| Decision {
        asked_at: asked.map(day),
        evidence,
        decided_at: day(decided),
        grants: grant(plan),
        adds: AddOn::default(),
    };
    let named = decision(None, Evidence::Metadata, 9, second);
    let early = decision(None, Evidence::Price, 1, first);
    let late = decision(None, Evidence::Price, 5, second);
    let asked = decision(Some(2), Evidence::Price, 8, first);
    let asked_later = decision(Some(3), Evidence::Default, 7, second);
    for (winner, loser) in
        [(&early, &late), (&named, &early), (&asked, &early), (&asked, &named), (&asked_later, &asked)]
    {
        for (mine, theirs) in [(winner, loser), (loser, winner)] {
            let of =
                |decision: &Decision| Order { decided: [("A".into(), decision.clone())].into(), ..Order::default() };
            let mut merged = of(mine);
            merged.join(of(theirs));
            assert_eq!(merged.decided["A"], *winner);
        }
    }
}

#[test]
fn better_evidence_outranks_worse() {
    let mut world = World::selling(&["price", "product", "default", "named"]);
    world.add_rule(Matcher::Product("prod_A".into()), &["product"], QuantityRule::Keys);
    world.add_rule(Matcher::Default, &["default"], QuantityRule::Keys);
    world.put(&facts![sale("cs_1").once("li", "A"), sale("cs_2").once("li", "Z")], day(0));
    world.add_rule(Matcher::Price("A".into()), &["price"], QuantityRule::Keys);
    world.put(&facts![sale("cs_3").once("li", "A"), sale("cs_4").once("li", "A").asking_for("named")], day(0));
    world.put(&facts![sale("cs_5").once("li", "A").asking_for("unheard of")], day(0));
    let plan = |name| world.words(&world.order(name).licenses[0]);
    assert_eq!(plan("cs_1"), "product ×1 active paid");
    assert_eq!(plan("cs_2"), "default ×1 active paid");
    assert_eq!(plan("cs_3"), "price ×1 active paid");
    assert_eq!(plan("cs_4"), "named ×1 active paid");
    assert_eq!(plan("cs_5"), "price ×1 active paid");
}

#[test]
fn a_plan_named_without_a_price_is_better_than_a_default_only() {
    for (item, expected) in [("A", "price"), ("Z", "named")] {
        let mut world = World::selling(&["price", "default", "named"]);
        world.add_rule(Matcher::Price("A".into()), &["price"], QuantityRule::Keys);
        world.add_rule(Matcher::Default, &["default"], QuantityRule::Keys);
        let sale = sale("cs_1").starting("sub_1").unknown(true, Some("named"));
        world.put(&facts![snapshot("sub_1", 0).item("si_1", item), invoice("in_1", "sub_1", 30)], day(0));
        world.put(&facts![sale], day(0));
        assert_eq!(world.words_of_only(), format!("{expected} ×1 active paid until 30, look again 30"));
    }
}

#[test]
fn a_plan_named_late_replaces_what_a_rule_decided() {
    let mut world = World::after(&["A", "P"], &facts![sale("cs_1").once("li_1", "A").once("li_2", "A")]);
    world.put(&facts![sale("cs_1").once("li_1", "A").once("li_2", "A").asking_for("P")], day(1));
    assert!(world.live().all(|license| world.words(license) == "P ×1 active paid"));
    // One line that is named and one that is not, of one price, met in one go.
    let mixed = sale("cs_2").once("li_1", "A").asking_for("P").once("li_2", "A");
    let world = World::after(&["A", "P"], &facts![mixed]);
    assert!(world.live().all(|license| world.words(license) == "P ×1 active paid"));
    assert_eq!(world.count(&Change::Issued), 2);
}

#[test]
fn a_purchase_whose_lines_nobody_may_tell_waits_unless_there_is_a_default() {
    let mut world = World::after(&["L"], &facts![sale("cs_1").unknown(false, None)]);
    assert_eq!(world.outcome(), ["waits: lines of cs_1 unknown"]);
    world.add_rule(Matcher::Default, &["L"], QuantityRule::Keys);
    world.settle_all(day(1));
    assert_eq!(world.words_of_only(), "L ×1 active paid");
    let key = world.only().id;
    world.put(&facts![sale("cs_1").once("li_1", "L").times(2)], day(2));
    assert_eq!(world.outcome(), ["L ×1 active paid", "L ×1 active paid", "waits: no address"]);
    assert_eq!(world.live().next().map(|license| license.id), Some(key));
}

#[test]
fn what_is_not_ours_is_decided_too() {
    let mut world = World::selling(&["L"]);
    world.add_rule(Matcher::Price("shipping".into()), &[], QuantityRule::Keys);
    world.put(&facts![sale("cs_1").once("li_1", "L").once("li_2", "shipping").buyer("a@example.com")], day(0));
    assert_eq!(world.outcome(), ["L ×1 active paid"]);
}

#[test]
fn a_plan_that_is_not_there_issues_nothing() {
    let mut world = World::after(&[], &facts![sale("cs_1").once("li_1", "L").buyer("a@example.com")]);
    let elsewhere = World::selling(&[]).add_plan("L", PlanTerms::default());
    let grants = vec![Grant { plan: elsewhere, quantity: QuantityRule::Keys }];
    let (evidence, adds) = (Evidence::Price, AddOn::default());
    let decision = Decision { asked_at: None, evidence, decided_at: day(0), grants, adds };
    world.order_mut("cs_1").order.decided.insert("L".into(), decision);
    world.settle_all(day(1));
    assert_eq!(world.order("cs_1").licenses, []);
}

#[test]
fn one_order_issues_so_many_licenses_at_most() {
    let world = World::after(&["L"], &facts![sale("cs_1").once("li_1", "L").times(5_000)]);
    assert_eq!(world.licenses().count(), UNITS_MAX);
    assert!(world.order("cs_1").waiting.contains(&Waiting::TooMany { units: 5_000 }));
    let world = World::after(&["L"], &facts![sale("cs_1").once("li_1", "L").times(1_000)]);
    assert_eq!(world.licenses().count(), UNITS_MAX);
    assert!(!world.order("cs_1").waiting.iter().any(|waiting| matches!(waiting, Waiting::TooMany { .. })));
}
