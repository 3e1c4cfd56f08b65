//! `keywright simulate` when not all goes well: events that come twice, in another order or not at all, prices that nobody
//! mapped, a provider in trouble, a server that is another one.

use crate::{
    process::{Installation, until},
    simulate::one_key,
};

#[test]
fn duplicates_and_quantities() {
    let shop = Installation::of_sample();
    let once = shop.simulate(&["duplicate", "--plan", "studio-pro"]);
    assert_eq!((once.told("received").len(), once.keys().len()), (9, 1), "{}", once.stdout);
    assert_eq!(once.told("mailed").len(), 1, "{}", once.stdout);
    let three = shop.simulate(&["checkout", "--plan", "studio-pro", "--quantity", "3"]);
    assert_eq!((three.told("issued").len(), three.told("mailed").len()), (3, 3), "{}", three.stdout);
    assert_eq!(std::collections::BTreeSet::from_iter(three.keys()).len(), 3, "{}", three.stdout);
    shop.verify();
}

fn out_of_order(level: &str) {
    let shop = Installation::of_sample();
    let shuffled = shop.simulate(&["out-of-order", "--plan", "relay-starter", "--level", level]);
    assert_eq!(shuffled.told("received").len(), 20, "{}", shuffled.stdout);
    let key = one_key(&shuffled);
    let checked = shop.run(&["check", &key]);
    let until =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("until ")).map(|line| line[..10].to_owned());
    let two_months = until(&checked.stdout).unwrap();
    // In order, with the same two months, it is the same.
    let ordered = shop.simulate(&["renew", "--plan", "relay-starter"]);
    let checked = shop.run(&["check", &one_key(&ordered)]);
    assert_eq!(until(&checked.stdout), Some(two_months), "{}", shuffled.stdout);
    let again = shop.simulate(&["out-of-order", "--last"]);
    assert_eq!(again.told("valid").len(), 1, "{}", again.stdout);
    shop.verify();
}

#[test]
fn out_of_order_without_look_ups() {
    out_of_order("none");
}

#[test]
fn out_of_order_with_a_restricted_key() {
    out_of_order("read");
}

#[test]
fn out_of_order_with_all_look_ups() {
    out_of_order("full");
}

#[test]
fn a_price_that_nobody_mapped_waits_for_its_rule() {
    let shop = Installation::of_sample();
    let bought = shop.simulate(&["checkout", "--price", "price_1QforeignPrice", "--quantity", "2"]);
    assert!(bought.told("waits")[0].contains("price price_1QforeignPrice"), "{}", bought.stdout);
    assert!(bought.told("waits")[0].contains("not mapped to a plan"), "{}", bought.stdout);
    assert_eq!(bought.keys(), Vec::<String>::new());
    let rule = shop.folder.path().join("rule.toml");
    let text =
        "[[price_rule]]\nconnection = \"simulated-stripe\"\nprice = \"price_1QforeignPrice\"\nplan = \"studio-solo\"\n";
    std::fs::write(&rule, text).unwrap();
    let applied = shop.run(&["apply", rule.to_str().unwrap()]);
    assert!(applied.stdout.contains("1 waiting order is looked at again"), "{applied:?}");
    // The server looks for orders that are due four times a second; the events of this one change nothing about it.
    until(|| shop.simulate(&["duplicate", "--last"]).text().contains("still 2 licenses and 2 mails"));
    shop.verify();
}

#[test]
fn look_ups_survive_a_provider_in_trouble() {
    let shop = Installation::of_sample();
    for trouble in ["busy", "failing", "dropping", "slow"] {
        let bought = shop.simulate(&["checkout", "--plan", "studio-pro", "--trouble", trouble]);
        assert_eq!(bought.keys().len(), 1, "{}", bought.stdout);
        assert_eq!(bought.told("looks").is_empty(), trouble == "slow", "{}", bought.stdout);
    }
    let forbidden = shop.simulate(&["checkout", "--plan", "studio-pro", "--trouble", "forbidden"]);
    assert!(forbidden.told("waits")[0].contains("Checkout Sessions: read"), "{}", forbidden.stdout);
    shop.verify();
}

#[test]
fn without_a_key_the_metadata_names_the_plan() {
    let shop = Installation::of_sample();
    let first = shop.simulate(&["checkout", "--plan", "studio-pro"]);
    assert!(first.told("matched")[0].contains("(by a rule for the price)"), "{}", first.stdout);
    let named = shop.simulate(&["checkout", "--plan", "studio-pro", "--level", "none"]);
    assert!(named.told("matched")[0].contains("(the metadata names it)"), "{}", named.stdout);
    let unknown = shop.simulate(&["checkout", "--price", "price_1Qunknown"]);
    assert!(unknown.told("waits")[0].contains("Checkout Sessions: read"), "{}", unknown.stdout);
}

#[test]
fn a_server_on_another_folder_is_found_out() {
    let (shop, other) = (Installation::of_sample(), Installation::of_sample());
    let astray = shop.run(&["simulate", "stripe", "checkout", "--server", other.address()]);
    assert!(!astray.status.success());
    assert!(astray.stderr.contains("is it a server on another data folder?"), "{}", astray.stderr);
}

#[test]
fn nothing_but_loopback_is_called() {
    let shop = Installation::of_sample();
    let outside = shop.run(&["simulate", "stripe", "checkout", "--server", "http://192.0.2.1:8400"]);
    assert!(outside.stderr.contains("not a loopback address"), "{}", outside.stderr);
}

#[test]
fn a_day_of_lost_webhooks_is_caught_up() {
    let shop = Installation::of_sample();
    let lost = shop.simulate(&["lost-webhooks", "--plan", "relay-starter"]);
    let key = one_key(&lost);
    // A key that is mailed once is mailed for good, however its events come to be known.
    assert_eq!((lost.told("issued").len(), lost.told("mailed").len()), (1, 1), "{}", lost.stdout);
    let found = lost.told("found");
    assert!(found.iter().any(|line| line.contains("checkout.session.completed")), "{}", lost.stdout);
    assert!(lost.text().contains("Nothing changed: still 1 license and 1 mail."), "{}", lost.stdout);
    assert!(shop.run(&["check", &key]).status.success());
    let forbidden = shop.try_to_simulate(&["lost-webhooks", "--plan", "relay-starter", "--level", "none"]);
    assert!(forbidden.stderr.contains("give it an API key"), "{}", forbidden.stderr);
    shop.verify();
}

#[test]
fn money_and_licenses_are_compared() {
    let shop = Installation::of_sample();
    shop.simulate(&["checkout", "--plan", "studio-pro"]);
    let agree = shop.run(&["reconcile", "--test"]);
    assert!(agree.status.success() && agree.stdout.ends_with("test money and licenses agree\n"), "{agree:?}");
    shop.simulate(&["checkout", "--price", "price_of_old", "--email", "frances@example.com"]);
    let differ = shop.run(&["reconcile", "--test", "--since", "2020-01-01"]);
    assert_eq!(differ.status.code(), Some(1), "{differ:?}");
    assert!(differ.stdout.contains("paid_without_license"), "{differ:?}");
    assert!(differ.stdout.contains("frances@example.com"), "{differ:?}");
    assert!(differ.stdout.contains("price price_of_old"), "{differ:?}");
    assert!(differ.stderr.contains("discrepancies: 1"), "{differ:?}");
    // Nothing of it is live, and what is simulated answers nobody now.
    for (other, said) in [
        (&["reconcile"][..], "live money and licenses agree; --test looks at test mode"),
        (&["reconcile", "--test", "--until", "2020-01-01", "--catch-up"], "test money and licenses agree"),
    ] {
        let agree = shop.run(other);
        assert!(agree.status.success() && agree.stdout.trim_end().ends_with(said), "{agree:?}");
    }
}
