//! `keywright simulate` at providers other than Stripe: the same words, told in each one's own events.

use crate::process::{Installation, Ran, ask};

/// What is played, and how the line that tells of it begins and goes on.
type Scene = (&'static [&'static str], &'static str, &'static str);

fn play(shop: &Installation, provider: &str, scenes: &[Scene]) {
    for (scenario, word, said) in scenes {
        let played = shop.simulate_at(provider, scenario);
        let told = played.told(word);
        assert!(told.iter().any(|line| line.contains(said)), "{provider} {scenario:?}\n{}", played.stdout);
    }
}

fn one_key(ran: &Ran) -> String {
    let keys = ran.keys();
    assert_eq!(keys.len(), 1, "{}", ran.stdout);
    keys[0].clone()
}

/// A subscription's life, in the words that every provider shares.
const LIFE: &[Scene] = &[
    (&["trial", "--plan", "relay-starter"], "issued", " active until "),
    (&["trial-end", "--last"], "valid", " until "),
    (&["renew", "--last"], "valid", " until "),
    (&["upgrade", "--last"], "changed", "plan relay-starter → relay-team, the key stays"),
    (&["past-due", "--last"], "scheduled", "becomes frozen on"),
    (&["renew", "--last"], "scheduled", "goes on"),
    (&["pause", "--last"], "frozen", "is paused"),
    (&["resume", "--last"], "active", "frozen → active"),
    (&["cancel", "--last"], "scheduled", "becomes expired on"),
    (&["uncancel", "--last"], "scheduled", "goes on"),
    (&["cancel", "--last"], "scheduled", "becomes expired on"),
    (&["cancel", "--last", "--now"], "expired", "active → expired"),
    (&["subscription", "--plan", "relay-starter", "--quantity", "2"], "issued", " active until "),
    (&["upgrade", "--last", "--quantity", "3"], "issued", " active until "),
    (&["refund", "--last"], "revoked", "was refunded in full"),
];

/// What is bought once.
const ONCE: &[Scene] = &[
    (&["checkout", "--plan", "studio-pro"], "matched", "→ plan studio-pro (by a rule for the price)"),
    (&["partial-refund", "--last"], "frozen", "was refunded in part (39.50 EUR)"),
    (&["refund", "--last"], "revoked", "was refunded in full (79.00 EUR)"),
    (&["free", "--plan", "studio-pro"], "issued", "active"),
];

/// What is played at Stripe only.
const ONLY_AT_STRIPE: &[&str] =
    &["pause-collection", "manual-invoice", "out-of-band", "customer-changed", "customer-deleted"];

/// The same from nothing, told twice or three times, in any order.
fn told_in_any_way(shop: &Installation, provider: &str) {
    let once = shop.simulate_at(provider, &["duplicate", "--plan", "studio-pro"]);
    assert_eq!((once.keys().len(), once.told("mailed").len()), (1, 1), "{}", once.stdout);
    let shuffled = shop.simulate_at(provider, &["out-of-order", "--plan", "relay-starter"]);
    let until = |key: &str| {
        let checked = shop.run(&["check", key]).stdout;
        checked.lines().find_map(|line| line.strip_prefix("until ")).map(|line| line[..10].to_owned())
    };
    let ordered = shop.simulate_at(provider, &["renew", "--plan", "relay-starter"]);
    assert_eq!(until(&one_key(&shuffled)), until(&one_key(&ordered)), "{}", shuffled.stdout);
    let foreign = shop.simulate_at(provider, &["checkout", "--price", "987654321"]);
    assert!(foreign.told("waits")[0].contains("price 987654321"), "{}", foreign.stdout);
}

/// What does not happen at a provider is said in words, and nothing is bought in vain.
fn refuses(shop: &Installation, provider: &str, scenarios: &[&str]) {
    for scenario in scenarios.iter().chain(ONLY_AT_STRIPE) {
        let refused = shop.try_to_simulate_at(provider, &[scenario, "--plan", "studio-pro"]);
        assert!(!refused.status.success(), "{provider} {scenario}");
        assert!(refused.stdout.is_empty(), "{provider} {scenario}: {}", refused.stdout);
    }
}

#[test]
fn every_scenario_at_paddle() {
    let shop = Installation::of_sample();
    play(&shop, "paddle", LIFE);
    play(&shop, "paddle", ONCE);
    play(
        &shop,
        "paddle",
        &[
            (&["inquiry", "--plan", "studio-pro"], "received", "adjustment.created"),
            (&["dispute", "--last"], "revoked", "was lost"),
            (&["dispute-won", "--last"], "active", "revoked → active"),
            (&["dispute-lost", "--plan", "studio-pro"], "revoked", "was lost"),
            (&["checkout", "--plan", "studio-pro", "--also", "studio-solo"], "issued", "active until "),
            (&["checkout", "--plan", "studio-pro", "--trouble", "busy"], "looks", "to try again later"),
            (&["checkout", "--plan", "studio-pro", "--level", "none"], "mailed", "caught for ada@example.com"),
            (&["lost-webhooks", "--plan", "relay-starter", "--level", "read"], "found", "transaction.completed"),
        ],
    );
    told_in_any_way(&shop, "paddle");
    refuses(&shop, "paddle", &["expired", "async-checkout", "async-paid", "async-failed", "refund-failed"]);
    shop.verify();
}

#[test]
fn every_scenario_at_lemon_squeezy() {
    let shop = Installation::of_sample();
    // Nothing is sent when only a number changes.
    let without_numbers: Vec<Scene> =
        LIFE.iter().filter(|(scenario, ..)| !scenario.contains(&"--quantity")).copied().collect();
    let (life, refund) = without_numbers.split_at(without_numbers.len() - 1);
    play(&shop, "lemonsqueezy", life);
    play(&shop, "lemonsqueezy", &[(&["subscription", "--plan", "relay-starter"], "issued", " active until ")]);
    play(&shop, "lemonsqueezy", refund);
    play(&shop, "lemonsqueezy", ONCE);
    play(
        &shop,
        "lemonsqueezy",
        &[
            (&["checkout", "--plan", "studio-pro", "--quantity", "2"], "issued", "active"),
            (&["checkout", "--plan", "studio-pro", "--trouble", "busy"], "looks", "to try again later"),
            (&["checkout", "--plan", "studio-pro", "--level", "none"], "mailed", "caught for ada@example.com"),
            (&["lost-webhooks", "--plan", "relay-starter", "--level", "read"], "found", "order_created"),
        ],
    );
    told_in_any_way(&shop, "lemonsqueezy");
    refuses(&shop, "lemonsqueezy", &["inquiry", "dispute", "dispute-won", "dispute-lost", "refund-failed", "expired"]);
    shop.verify();
}

#[test]
fn every_scenario_at_appsumo() {
    let shop = Installation::of_sample();
    play(
        &shop,
        "appsumo",
        &[
            (&["checkout", "--plan", "studio-pro"], "matched", "tier:3 → plan studio-pro (by a rule for the price)"),
            (&["downgrade", "--last"], "changed", "plan studio-pro → studio-solo, the key stays"),
            (&["upgrade", "--last", "--to", "studio-pro"], "changed", "plan studio-solo → studio-pro, the key stays"),
            (&["refund", "--last"], "revoked", "active → revoked"),
            (&["upgrade", "--plan", "studio-pro", "--to", "relay-team"], "changed", "plan studio-pro → relay-team"),
            (&["checkout", "--price", "tier:9"], "waits", "price tier:9"),
        ],
    );
    // What is added has a license beside the one that it adds to, and goes back alone.
    let bought = one_key(&shop.simulate_at("appsumo", &["checkout", "--plan", "studio-solo"]));
    let added = shop.simulate_at("appsumo", &["addon", "--last", "--to", "relay-team"]);
    assert!(added.told("matched")[0].contains("addon:relay-team → plan relay-team"), "{}", added.stdout);
    assert_ne!(one_key(&added), bought);
    // Nobody tells who bought, so nothing is mailed; buyers come for their keys, so nobody has to look after that.
    let once = shop.simulate_at("appsumo", &["duplicate", "--plan", "studio-solo"]);
    let key = one_key(&once);
    // Of two events that come at once, the one that does not say what was bought may wait a moment for the other.
    let waits_for_address = once.told("waits").iter().any(|line| !line.contains("does not say what was bought"));
    assert!(once.told("mailed").is_empty() && !waits_for_address, "{}", once.stdout);
    assert!(shop.run(&["check", &key]).status.success());
    let shuffled = shop.simulate_at("appsumo", &["out-of-order", "--plan", "studio-solo"]);
    // The new key's activation alone does not say which key it takes the place of, so that for a moment there may be two.
    let first = shuffled.keys().remove(0);
    assert!(shop.run(&["check", &first]).stdout.contains("plan studio-pro"), "{}", shuffled.stdout);
    refuses(
        &shop,
        "appsumo",
        &[
            "subscription",
            "renew",
            "trial",
            "cancel",
            "uncancel",
            "pause",
            "partial-refund",
            "dispute",
            "lost-webhooks",
            "free",
        ],
    );
    shop.verify();
}

/// What is on the page that a buyer was led to.
fn page(shop: &Installation, ran: &Ran) -> String {
    let text = ran.text();
    let line = text.lines().find(|line| line.starts_with("The page of the buyer")).unwrap_or_else(|| panic!("{text}"));
    let page = line.rsplit_once("/redeemed/").unwrap().1;
    let request = format!("GET /redeemed/{page} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    ask(shop.address().trim_start_matches("http://").parse().unwrap(), &request).unwrap()
}

#[test]
fn buyers_come_from_appsumo_before_their_webhook_and_after_it() {
    let shop = Installation::of_sample();
    let early = shop.simulate_at("appsumo", &["redeem-early", "--plan", "studio-pro"]);
    assert!(page(&shop, &early).contains(&one_key(&early)), "{}", early.stdout);
    let late = shop.simulate_at("appsumo", &["redeem", "--plan", "studio-solo"]);
    assert!(page(&shop, &late).contains(&one_key(&late)), "{}", late.stdout);
    let again = shop.simulate_at("appsumo", &["redeem", "--last"]);
    assert!(page(&shop, &again).contains(&one_key(&late)), "{}", again.stdout);
    shop.simulate_at("appsumo", &["refund", "--last"]);
    let gone = shop.try_to_simulate_at("appsumo", &["redeem", "--last"]);
    assert!(gone.stderr.contains("answers 410"), "it was taken back: {gone:?}");
    for scenario in ["redeem", "redeem-early", "addon"] {
        let refused = shop.try_to_simulate(&[scenario, "--plan", "studio-pro"]);
        assert!(refused.stderr.contains("played at AppSumo") && refused.stdout.is_empty(), "{refused:?}");
    }
    shop.verify();
}

#[test]
fn a_vendor_sells_by_an_account_that_is_connected() {
    let shop = Installation::of_sample();
    let sold = shop.simulate(&["checkout", "--connected"]);
    assert!(sold.text().contains("/api/simulated-vendor/checkout"), "{}", sold.stdout);
    assert!(sold.text().contains("/api/stripe/webhook/connect"), "{}", sold.stdout);
    assert!(sold.told("matched")[0].contains("→ plan lifetime"), "{}", sold.stdout);
    let key = one_key(&sold);
    assert!(shop.run(&["check", &key]).stdout.contains("plan lifetime"));
    // The same account goes on, and the platform's own shop is another.
    let dispute = shop.simulate(&["dispute", "--last", "--connected"]);
    assert_eq!(dispute.told("frozen").len(), 1, "{}", dispute.stdout);
    shop.simulate(&["dispute-won", "--last", "--connected"]);
    let again = shop.simulate(&["checkout", "--connected"]);
    assert_ne!(one_key(&again), key);
    let refunded = shop.simulate(&["refund", "--last", "--connected"]);
    assert_eq!(refunded.told("revoked").len(), 1, "{}", refunded.stdout);
    shop.simulate(&["checkout", "--plan", "studio-pro"]);
    for (provider, scenario, words) in
        [("stripe", "subscription", "one of these is played"), ("paddle", "checkout", "played at Stripe")]
    {
        let refused = shop.try_to_simulate_at(provider, &[scenario, "--connected"]);
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    shop.verify();
}

#[test]
fn every_scenario_at_any_other_shop() {
    let shop = Installation::of_sample();
    play(&shop, "generic", &[(&["subscription", "--plan", "relay-starter"], "issued", " active until ")]);
    // It has no word for a trial. What is told within one second is told as of the seconds after it, which is when it ends.
    let (life, ended, rest) = (&LIFE[2..11], LIFE[11].0, &LIFE[12..]);
    play(&shop, "generic", life);
    play(&shop, "generic", &[(ended, "received", "order.ended")]);
    play(&shop, "generic", rest);
    play(&shop, "generic", ONCE);
    play(
        &shop,
        "generic",
        &[
            (&["refund-failed", "--plan", "studio-pro"], "active", "revoked → active"),
            (&["inquiry", "--plan", "studio-pro"], "received", "order.disputed"),
            (&["dispute", "--last"], "frozen", "active → frozen"),
            (&["dispute-won", "--last"], "active", "frozen → active"),
            (&["dispute-lost", "--plan", "studio-pro"], "revoked", "was lost"),
            (&["checkout", "--plan", "studio-pro", "--also", "studio-solo"], "issued", "active until "),
        ],
    );
    told_in_any_way(&shop, "generic");
    refuses(&shop, "generic", &["expired", "async-checkout", "trial", "lost-webhooks"]);
    shop.verify();
}
