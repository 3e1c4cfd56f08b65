//! `keywright simulate`: every scenario, on a real server.

use crate::process::{Installation, keywright, run, until};

/// The one key that was issued.
pub(crate) fn one_key(ran: &crate::process::Ran) -> String {
    let keys = ran.keys();
    assert_eq!(keys.len(), 1, "{}", ran.stdout);
    keys[0].clone()
}

#[test]
fn a_first_minute() {
    let mut shop = Installation::empty();
    let nowhere = run(keywright().args(["simulate", "stripe", "checkout", "--data-dir"]).arg(shop.data_dir()));
    assert!(!nowhere.status.success());
    assert!(nowhere.stderr.contains("serve --data-dir"), "{}", nowhere.stderr);
    shop.serve();
    let nothing_to_buy = shop.try_to_simulate(&["checkout"]);
    assert!(nothing_to_buy.stderr.contains("there is no plan to buy yet"), "{}", nothing_to_buy.stderr);
    let sample = run(keywright().args(["demo", "--print-sample"])).stdout;
    let file = shop.folder.path().join("keywright.toml");
    std::fs::write(&file, sample).unwrap();
    for expected in ["6 created", "6 unchanged"] {
        let applied = shop.run(&["apply", file.to_str().unwrap()]);
        assert!(applied.stdout.contains(expected), "{applied:?}");
    }
    let wrong = shop.try_to_simulate(&["checkout", "--plan", "studio-gold"]);
    assert!(wrong.stderr.contains("there are relay-starter, relay-team, studio-pro, studio-solo"), "{}", wrong.stderr);

    let bought = shop.simulate(&["checkout", "--plan", "studio-pro", "--email", "ada@example.com"]);
    let key = one_key(&bought);
    assert!(key.starts_with("STUDIO-"), "{key}");
    assert_eq!(bought.told("received").len(), 3, "{}", bought.stdout);
    let matched = "price_sim_studio-pro → plan studio-pro (by a rule for the price)";
    assert!(bought.told("matched")[0].ends_with(matched), "{}", bought.stdout);
    assert!(bought.told("mailed")[0].contains("caught for ada@example.com and held"), "{}", bought.stdout);
    let checked = shop.run(&["check", &key]);
    assert!(checked.status.success() && checked.stdout.contains("valid"), "{checked:?}");

    let again = shop.simulate(&["duplicate", "--last"]);
    assert_eq!(again.told("received").len(), 9, "{}", again.stdout);
    assert!(again.text().contains("Nothing changed: still 1 license and 1 mail."), "{}", again.stdout);
    let refunded = shop.simulate(&["refund", "--last"]);
    assert!(refunded.told("revoked")[0].contains("was refunded in full (79.00 EUR)"), "{}", refunded.stdout);
    let checked = shop.run(&["check", &key]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(checked.stdout.contains("was refunded in full"), "{checked:?}");
    let nothing_left = shop.try_to_simulate(&["refund", "--last"]);
    assert!(nothing_left.stderr.contains("nothing is left"), "{}", nothing_left.stderr);
}

#[test]
fn a_subscription_lives() {
    let shop = Installation::of_sample();
    let none = shop.try_to_simulate(&["renew", "--last"]);
    assert!(none.stderr.contains("there is no subscription yet"), "{}", none.stderr);
    let bought = shop.simulate(&["subscription", "--plan", "relay-starter"]);
    let key = one_key(&bought);
    assert_eq!(bought.told("issued").len(), 1, "{}", bought.stdout);
    let renewed = shop.simulate(&["renew", "--last"]);
    assert_eq!(renewed.told("valid").len(), 1, "{}", renewed.stdout);
    let upgraded = shop.simulate(&["upgrade", "--last"]);
    assert!(upgraded.told("changed")[0].contains("plan relay-starter → relay-team"), "{}", upgraded.stdout);
    assert_eq!(upgraded.keys(), Vec::<String>::new(), "the key stays");
    let overdue = shop.simulate(&["past-due", "--last"]);
    assert!(overdue.text().contains("its renewal is overdue"), "{}", overdue.stdout);
    assert!(overdue.told("scheduled")[0].contains("becomes frozen on"), "{}", overdue.stdout);
    assert!(shop.run(&["check", &key]).stdout.contains("past_due"));
    let paid = shop.simulate(&["renew", "--last"]);
    assert!(paid.told("scheduled")[0].contains("goes on"), "{}", paid.stdout);
    let cancelled = shop.simulate(&["cancel", "--last"]);
    assert!(cancelled.told("scheduled")[0].contains("becomes expired on"), "{}", cancelled.stdout);
    let not_renewed = shop.try_to_simulate(&["renew", "--last"]);
    assert!(not_renewed.stderr.contains("is cancelled and will not renew"), "{}", not_renewed.stderr);
    let taken_back = shop.simulate(&["uncancel", "--last"]);
    assert!(taken_back.told("scheduled")[0].contains("goes on"), "{}", taken_back.stdout);
    let twice = shop.try_to_simulate(&["uncancel", "--last"]);
    assert!(twice.stderr.contains("is not cancelled"), "{}", twice.stderr);
    assert_eq!(shop.simulate(&["renew", "--last"]).told("valid").len(), 1);
    shop.simulate(&["cancel", "--last"]);
    // Its plan says that a cancelled team loses it at once.
    let ended = shop.simulate(&["cancel", "--last", "--now"]);
    assert!(ended.told("expired")[0].contains("active → expired"), "{}", ended.stdout);
    assert_eq!(shop.run(&["check", &key]).status.code(), Some(1));
    shop.verify();
}

#[test]
fn every_follow_up_can_begin_by_itself() {
    let shop = Installation::of_sample();
    for (scenario, word) in [
        ("renew", "valid"),
        ("trial-end", "valid"),
        ("upgrade", "changed"),
        ("past-due", "scheduled"),
        ("cancel", "scheduled"),
        ("pause", "frozen"),
        ("refund", "revoked"),
        ("dispute", "frozen"),
        ("dispute-lost", "revoked"),
    ] {
        let is_bought_once = scenario == "refund" || scenario.starts_with("dispute");
        let plan = if is_bought_once { "studio-pro" } else { "relay-starter" };
        let played = shop.simulate(&[scenario, "--plan", plan]);
        assert_eq!(played.keys().len(), 1, "{}", played.stdout);
        assert!(!played.told(word).is_empty(), "{}", played.stdout);
    }
}

#[test]
fn what_froze_a_license_lets_it_go_again() {
    let shop = Installation::of_sample();
    for (freezes, thaws, plan) in [("dispute", "dispute-won", "studio-pro"), ("pause", "resume", "relay-starter")] {
        let frozen = shop.simulate(&[freezes, "--plan", plan]);
        assert!(frozen.told("frozen")[0].contains("active → frozen"), "{}", frozen.stdout);
        let key = one_key(&frozen);
        shop.simulate(&[thaws, "--last"]);
        assert_eq!(shop.run(&["check", &key]).status.code(), Some(0), "{thaws}");
    }
    shop.verify();
}

#[test]
fn a_pause_pays_nothing() {
    let shop = Installation::of_sample();
    let key = one_key(&shop.simulate(&["subscription", "--plan", "relay-starter"]));
    let until = || {
        let checked = shop.run(&["check", &key]).stdout;
        checked.lines().find(|line| line.starts_with("until ")).map(str::to_owned)
    };
    shop.simulate(&["past-due", "--last"]);
    let graced = until();
    for scenario in ["pause", "resume"] {
        let played = shop.simulate(&[scenario, "--last"]);
        assert_eq!(played.told("valid"), Vec::<String>::new(), "{}", played.stdout);
    }
    assert!(shop.run(&["check", &key]).stdout.contains("past_due"), "what was owed is owed");
    assert_eq!(until(), graced);
    let renewed = shop.simulate(&["renew", "--last"]);
    assert_eq!(renewed.told("valid").len(), 1, "{}", renewed.stdout);
    shop.verify();
}

#[test]
fn collecting_that_stops_leaves_the_license() {
    let shop = Installation::of_sample();
    let paused = shop.simulate(&["pause-collection", "--plan", "relay-starter"]);
    assert!(paused.text().contains("No license changes: nothing is collected for now"), "{}", paused.stdout);
    let key = one_key(&paused);
    assert!(shop.run(&["check", &key]).status.success());
    let unpaid = shop.try_to_simulate(&["renew", "--last"]);
    assert!(unpaid.stderr.contains("resume that first"), "{}", unpaid.stderr);
    shop.simulate(&["resume", "--last"]);
    assert_eq!(shop.simulate(&["renew", "--last"]).told("valid").len(), 1);
    shop.verify();
}

#[test]
fn invoices_are_made_and_paid_by_hand() {
    let shop = Installation::of_sample();
    let by_hand = shop.simulate(&["manual-invoice", "--plan", "relay-starter"]);
    assert_eq!(by_hand.keys().len(), 1, "{}", by_hand.stdout);
    assert!(by_hand.text().contains("pays no month"), "{}", by_hand.stdout);
    let paid = shop.simulate(&["out-of-band", "--last"]);
    assert_eq!(paid.told("valid").len(), 1, "{}", paid.stdout);
    assert!(!paid.text().contains("charge.succeeded"), "{}", paid.stdout);
    shop.simulate(&["past-due", "--last"]);
    let settled = shop.simulate(&["out-of-band", "--last"]);
    assert!(settled.told("scheduled")[0].contains("goes on"), "{}", settled.stdout);
    shop.verify();
}

#[test]
fn a_customer_changes_and_is_deleted() {
    let shop = Installation::of_sample();
    let changed = shop.simulate(&["customer-changed", "--plan", "relay-team"]);
    assert!(changed.told("received").iter().any(|line| line.contains("customer.updated")), "{}", changed.stdout);
    assert!(changed.text().contains("No license changes: a key stays with its sale"), "{}", changed.stdout);
    let key = one_key(&changed);
    assert!(shop.run(&["check", &key]).status.success());
    let deleted = shop.simulate(&["customer-deleted", "--last"]);
    assert!(deleted.told("expired")[0].contains("active → expired"), "{}", deleted.stdout);
    let gone = shop.try_to_simulate(&["customer-changed", "--last"]);
    assert!(gone.stderr.contains("is deleted"), "{}", gone.stderr);
    shop.verify();
}

#[test]
fn a_partial_refund_does_what_the_plan_says() {
    let shop = Installation::of_sample();
    let kept = shop.simulate(&["partial-refund", "--plan", "studio-solo"]);
    assert!(kept.told("noted")[0].contains("was refunded in part (24.50 EUR); its state stays"), "{}", kept.stdout);
    let frozen = shop.simulate(&["partial-refund", "--plan", "studio-pro"]);
    assert!(frozen.told("frozen")[0].contains("was refunded in part (39.50 EUR)"), "{}", frozen.stdout);
    let rest = shop.simulate(&["refund", "--last"]);
    assert!(rest.told("revoked")[0].contains("was refunded in full (79.00 EUR)"), "{}", rest.stdout);
    shop.verify();
}

#[test]
fn money_that_is_under_way_gives_nothing_until_it_comes() {
    let shop = Installation::of_sample();
    let waits = shop.simulate(&["async-checkout", "--plan", "studio-pro"]);
    assert!(waits.text().contains("its money is under way"), "{}", waits.stdout);
    assert!(waits.text().contains("simulate stripe async-paid --last"), "{}", waits.stdout);
    assert_eq!((waits.keys(), waits.told("waits")), (Vec::new(), Vec::new()), "{}", waits.stdout);
    let too_early = shop.try_to_simulate(&["refund", "--last"]);
    assert!(too_early.stderr.contains("did not come"), "{}", too_early.stderr);
    let came = shop.simulate(&["async-paid", "--last"]);
    assert!(shop.run(&["check", &one_key(&came)]).status.success());
    let twice = shop.try_to_simulate(&["async-failed", "--last"]);
    assert!(twice.stderr.contains("is under way"), "{}", twice.stderr);

    let at_once = shop.simulate(&["async-paid", "--plan", "studio-pro"]);
    assert_eq!(at_once.keys().len(), 1, "{}", at_once.stdout);
    let failed = shop.simulate(&["async-failed", "--plan", "studio-pro"]);
    assert!(failed.text().contains("the money did not come"), "{}", failed.stdout);
    assert_eq!(failed.keys(), Vec::<String>::new());
    shop.verify();
}

#[test]
fn a_checkout_that_expired_is_no_purchase() {
    let shop = Installation::of_sample();
    let left = shop.simulate(&["expired", "--plan", "studio-pro"]);
    assert!(left.told("received")[0].contains("checkout.session.expired"), "{}", left.stdout);
    assert!(left.text().contains("Nobody bought anything, so nothing is issued."), "{}", left.stdout);
    let no_money = shop.try_to_simulate(&["refund", "--last"]);
    assert!(no_money.stderr.contains("has no payment"), "{}", no_money.stderr);
}

#[test]
fn what_costs_nothing_is_issued_all_the_same() {
    let shop = Installation::of_sample();
    let free = shop.simulate(&["free", "--plan", "studio-pro"]);
    assert_eq!((free.told("received").len(), free.told("mailed").len()), (1, 1), "{}", free.stdout);
    assert!(shop.run(&["check", &one_key(&free)]).status.success());
    shop.verify();
}

#[test]
fn a_trial_ends_with_its_first_month_or_without() {
    let shop = Installation::of_sample();
    let tried = shop.simulate(&["trial", "--plan", "relay-starter"]);
    let key = one_key(&tried);
    assert!(!tried.text().contains("charge.succeeded"), "a trial costs nothing: {}", tried.stdout);
    assert!(tried.text().contains("simulate clock +14d"), "{}", tried.stdout);
    let paid = shop.simulate(&["trial-end", "--last"]);
    assert_eq!(paid.told("valid").len(), 1, "{}", paid.stdout);
    assert!(paid.text().contains("charge.succeeded"), "{}", paid.stdout);
    let over = shop.try_to_simulate(&["trial-end", "--last"]);
    assert!(over.stderr.contains("is in no trial"), "{}", over.stderr);
    assert!(shop.run(&["check", &key]).status.success());

    let other = one_key(&shop.simulate(&["trial", "--plan", "relay-starter"]));
    let unpaid = shop.simulate(&["past-due", "--last"]);
    assert!(unpaid.told("scheduled")[0].contains("becomes frozen on"), "{}", unpaid.stdout);
    assert!(shop.run(&["check", &other]).stdout.contains("past_due"));
    shop.verify();
}

#[test]
fn several_plans_in_one_sale_give_a_key_each() {
    let shop = Installation::of_sample();
    let bundle = shop.simulate(&["checkout", "--plan", "studio-pro", "--also", "studio-solo", "--also", "relay-team"]);
    assert_eq!((bundle.keys().len(), bundle.told("matched").len()), (3, 3), "{}", bundle.stdout);
    let team = shop.simulate(&["subscription", "--plan", "relay-starter", "--also", "relay-team"]);
    assert_eq!(team.keys().len(), 2, "{}", team.stdout);
    let renewed = shop.simulate(&["renew", "--last"]);
    assert_eq!(renewed.told("valid").len(), 2, "{}", renewed.stdout);
    let unknown = shop.try_to_simulate(&["checkout", "--also", "studio-gold"]);
    assert!(unknown.stderr.contains("there is no plan `studio-gold`"), "{}", unknown.stderr);
    shop.verify();
}

#[test]
fn an_inquiry_takes_nothing_until_it_becomes_a_dispute() {
    let shop = Installation::of_sample();
    let asked = shop.simulate(&["inquiry", "--plan", "studio-pro"]);
    assert!(asked.text().contains("an inquiry moves no money"), "{}", asked.stdout);
    let key = one_key(&asked);
    assert!(shop.run(&["check", &key]).status.success());
    let disputed = shop.simulate(&["dispute", "--last"]);
    assert!(disputed.told("frozen")[0].contains("active → frozen"), "{}", disputed.stdout);
    shop.simulate(&["dispute-won", "--last"]);
    assert!(shop.run(&["check", &key]).status.success());
    let lost = shop.try_to_simulate(&["inquiry", "--last"]);
    assert!(lost.stderr.contains("is disputed already"), "{}", lost.stderr);
    shop.verify();
}

#[test]
fn a_refund_that_fails_gives_the_license_back() {
    let shop = Installation::of_sample();
    let key = one_key(&shop.simulate(&["refund", "--plan", "studio-pro"]));
    assert_eq!(shop.run(&["check", &key]).status.code(), Some(1));
    let failed = shop.simulate(&["refund-failed", "--last"]);
    assert!(failed.told("active")[0].contains("revoked → active"), "{}", failed.stdout);
    assert!(shop.run(&["check", &key]).status.success());
    let again = shop.simulate(&["refund", "--last"]);
    assert_eq!(again.told("revoked").len(), 1, "{}", again.stdout);
    // By itself it is a purchase, its refund, and that this fails.
    let alone = one_key(&shop.simulate(&["refund-failed", "--plan", "studio-pro"]));
    assert!(shop.run(&["check", &alone]).status.success());
    shop.verify();
}

/// A plan whose sales somebody approves.
const APPROVED: &str = "[[product]]\ncode = \"lab\"\nname = \"Lab\"\nkey_prefix = \"LAB\"\n
    [[plan]]\ncode = \"lab\"\nproduct = \"lab\"\nname = \"Lab\"\npolicy = { issuing = \"after_approval\" }\n";

#[test]
fn a_sale_that_waits_for_approval_says_how_it_is_approved() {
    let shop = Installation::of_sample();
    let file = shop.folder.path().join("lab.toml");
    std::fs::write(&file, APPROVED).unwrap();
    assert!(shop.run(&["apply", file.to_str().unwrap()]).status.success());
    let ordered = || {
        let waits = shop.simulate(&["checkout", "--plan", "lab"]);
        assert!(waits.told("waits")[0].contains("waits for somebody to approve"), "{}", waits.stdout);
        assert_eq!(waits.keys(), Vec::<String>::new());
        let text = waits.text();
        let suggested = text.lines().find(|line| line.contains(" approve ord_")).unwrap().to_owned();
        suggested.split_whitespace().find(|word| word.starts_with("ord_")).unwrap().to_owned()
    };
    let order = ordered();
    let approved = shop.run(&["approve", &order]);
    assert!(approved.stdout.contains("is approved") && approved.stdout.contains("active: "), "{approved:?}");
    until(|| shop.simulate(&["duplicate", "--last"]).text().contains("still 1 license and 1 mail"));
    let rejected = shop.run(&["reject", &ordered(), "--note", "a reseller"]);
    assert!(rejected.stdout.contains("is rejected") && rejected.stdout.contains("no license"), "{rejected:?}");
    let unknown = shop.run(&["approve", "ord_01m8asbsndf2ztfcmjeymyg1s3"]);
    assert!(unknown.stderr.contains("has no order"), "{unknown:?}");
    shop.verify();
}

/// Who looks at next year wants to see what is bought then, and time may be real again.
#[test]
fn a_year_passes_in_test_mode_and_is_taken_back() {
    let shop = Installation::of_sample();
    let code = |key: &str| shop.run(&["check", key]).status.code();
    let before = one_key(&shop.simulate(&["checkout", "--plan", "studio-solo"]));
    let monthly = one_key(&shop.simulate(&["subscription", "--plan", "relay-starter"]));
    let ahead = shop.run(&["simulate", "clock", "+400d"]);
    assert!(ahead.stdout.contains("400 days ahead") && ahead.stdout.contains("simulate clock reset"), "{ahead:?}");
    assert_eq!(code(&before), Some(1), "what was bought for a year has ended");
    until(|| code(&monthly) == Some(1));
    shop.simulate(&["renew", "--last"]);
    assert_eq!(code(&monthly), Some(0), "the month that is paid is the one of that time");
    let bought = shop.simulate(&["checkout", "--plan", "studio-solo"]);
    assert!(bought.told("issued")[0].contains(" active until "), "{}", bought.stdout);
    let then = one_key(&bought);
    assert_eq!(code(&then), Some(0));
    let tried = shop.simulate(&["trial", "--plan", "relay-starter"]);
    assert_eq!(code(&one_key(&tried)), Some(0));
    shop.run(&["simulate", "clock", "+14d"]);
    shop.simulate(&["trial-end", "--last"]);
    shop.simulate(&["lost-webhooks", "--plan", "relay-starter"]);

    let back = shop.run(&["simulate", "clock", "reset"]);
    assert!(back.stdout.contains("real time again"), "{back:?}");
    until(|| code(&before) == Some(0));
    assert_eq!((code(&then), code(&monthly)), (Some(0), Some(0)));
    let now = shop.simulate(&["checkout", "--plan", "studio-solo"]);
    assert_eq!(code(&one_key(&now)), Some(0));
    shop.verify();
}
