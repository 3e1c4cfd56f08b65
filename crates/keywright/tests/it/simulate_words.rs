//! What `keywright simulate`, and the commands beside it, say is so.

use crate::process::{Installation, Ran, ask, keywright, run};

fn says_nothing_of(ran: &Ran, words: &[&str]) {
    for word in words {
        assert_eq!(ran.told(word), Vec::<String>::new(), "{}", ran.stdout);
    }
}

/// The license that was issued.
fn license(ran: &Ran) -> String {
    let issued = ran.told("issued");
    issued[0].split_whitespace().find(|word| word.starts_with("lic_")).unwrap().to_owned()
}

/// A person revokes it.
fn revoke(shop: &Installation, license: &str) {
    let made = shop.run(&["api-key", "create", "--name", "test", "--kind", "test", "--scope", "admin"]);
    let (api_key, body) = (made.stdout.trim(), r#"{"note":"by hand"}"#);
    let request = format!(
        "POST /v1/licenses/{license}/revoke HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
         authorization: Bearer {api_key}\r\nidempotency-key: once\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(shop.address().trim_start_matches("http://").parse().unwrap(), &request).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn what_is_not_new_and_what_changes_nothing_are_two_things() {
    let shop = Installation::of_sample();
    shop.simulate(&["checkout", "--plan", "studio-pro"]);
    let again = shop.simulate(&["duplicate", "--last"]);
    assert!(again.text().contains("The server knew all of this already."), "{}", again.stdout);
    shop.simulate(&["refund", "--last"]);
    let late = shop.simulate(&["dispute-won", "--last"]);
    // That the dispute is open is noted if the server sees it before it sees that it was won.
    let is_noted = late.told("noted").iter().any(|line| line.ends_with("its state stays"));
    let is_said = late.text().contains("No license changes: still 1 license and 2 mails.");
    assert!(is_noted || is_said, "{}", late.stdout);
    says_nothing_of(&late, &["valid", "active", "revoked"]);
    assert!(!late.text().contains("knew all of this"), "{}", late.stdout);
    shop.verify();
}

#[test]
fn what_is_paid_of_a_revoked_license_is_not_valid() {
    let shop = Installation::of_sample();
    let bought = shop.simulate(&["subscription", "--plan", "relay-starter"]);
    revoke(&shop, &license(&bought));
    let renewed = shop.simulate(&["renew", "--last"]);
    says_nothing_of(&renewed, &["valid", "revoked"]);
    let noted = renewed.told("noted");
    assert!(noted[0].contains("paid until ") && noted[0].ends_with("; it is revoked"), "{}", renewed.stdout);
    assert_eq!(shop.run(&["check", &bought.keys()[0]]).status.code(), Some(1));
    shop.verify();
}

#[test]
fn what_stops_does_not_go_on() {
    let shop = Installation::of_sample();
    shop.simulate(&["past-due", "--plan", "relay-starter"]);
    let paused = shop.simulate(&["pause", "--last"]);
    assert_eq!(paused.told("frozen").len(), 1, "{}", paused.stdout);
    says_nothing_of(&paused, &["scheduled"]);
    shop.verify();
}

/// The first month of a subscription has the name of its invoice and that of its checkout.
#[test]
fn a_payment_of_two_names_is_refunded_once() {
    let shop = Installation::of_sample();
    shop.simulate(&["subscription", "--plan", "relay-starter"]);
    let refunded = shop.simulate(&["refund", "--last"]);
    assert_eq!(refunded.told("revoked").len(), 1, "{}", refunded.stdout);
    says_nothing_of(&refunded, &["noted"]);
    shop.verify();
}

#[test]
fn a_mistake_is_told_without_a_backtrace_and_a_command_without_its_log() {
    let shop = Installation::of_sample();
    let folder = shop.data_dir();
    let wrong = ["issue", "studio-gold", "--email", "ada@example.com", "--data-dir"];
    let wrong = run(keywright().env("RUST_BACKTRACE", "1").args(wrong).arg(&folder));
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(wrong.stderr.starts_with("Error: ") && !wrong.stderr.contains("backtrace"), "{wrong:?}");
    let issued = ["issue", "studio-solo", "--email", "ada@example.com"];
    let quiet = shop.run(&issued);
    assert!(quiet.status.success() && !quiet.stderr.contains("license issued"), "{quiet:?}");
    let asked = shop.run(&[&issued[..], &["--log", "info"]].concat());
    assert!(asked.stderr.contains("license issued"), "{asked:?}");
}
