//! The console in a real browser: the journeys in `e2e` use it as its people do.

use std::{path::Path, process::Command};

use crate::{process::Installation, relay::Relay};

/// A new server, on which somebody makes the journey of that name; `files` are applied before.
fn travelled(journey: &str, files: &[&Path]) {
    travelled_at("127.0.0.1", Installation::empty(), journey, files);
}

/// The same, on an installation of a certain kind, which the browser knows by a name of this machine.
fn travelled_at(host: &str, mut installation: Installation, journey: &str, files: &[&Path]) {
    let set_up = installation.serve_for_the_first_time();
    for file in files {
        let applied = installation.run(&["apply", file.to_str().unwrap()]);
        assert!(applied.status.success(), "{applied:?}");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../e2e/{journey}.mjs"));
    let mut node = Command::new("node");
    node.arg(script)
        .env("KEYWRIGHT_OFFLINE", "true")
        .env("CONSOLE_ADDRESS", installation.address().replace("127.0.0.1", host))
        .env("CONSOLE_SET_UP", set_up.replace("127.0.0.1", host))
        .env("CONSOLE_COMMAND", env!("CARGO_BIN_EXE_keywright"))
        .env("CONSOLE_DATA", installation.data_dir());
    // How long a journey may take is said where all tests have their time.
    let ran = node.output().unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}\n{wrong}\n{}", installation.log());
    installation.verify();
}

#[test]
fn people_use_the_console() {
    travelled("console", &[&crate::process::sample()]);
}

#[test]
fn every_page_is_for_everybody() {
    travelled("everywhere", &[&crate::process::sample()]);
}

#[test]
fn nobody_needs_a_mouse() {
    travelled("keyboard", &[&crate::process::sample()]);
}

#[test]
fn members_come_in_by_an_identity_provider() {
    travelled("identity", &[]);
}

#[test]
fn pages_change_while_they_are_looked_at() {
    travelled("live", &[&crate::process::sample()]);
}

#[test]
fn the_gallery_looks_as_it_did() {
    travelled("pictures", &[]);
}

#[test]
fn members_have_passkeys() {
    travelled_at("localhost", Installation::empty(), "passkeys", &[]);
}

#[test]
fn the_ten_interactions_take_few_clicks() {
    travelled("interactions", &[&crate::process::sample()]);
}

#[test]
fn a_newcomer_needs_no_documentation() {
    travelled("newcomer", &[]);
}

#[test]
fn mails_are_written_tried_out_and_sent_once_more() {
    let relay = Relay::start();
    let environment = vec![("KEYWRIGHT_SMTP_URL", relay.url()), ("KEYWRIGHT_MAIL_FROM", "keys@acme.test".to_owned())];
    travelled_at("127.0.0.1", Installation::with(environment), "mails", &[&crate::process::sample()]);
    let mails = relay.mails();
    let accepted = mails.iter().filter(|event| event["event"] == "accepted");
    let tests: Vec<&str> = accepted
        .filter(|mail| mail["headers"]["to"].as_str().is_some_and(|to| to.contains("ada@acme.test")))
        .filter_map(|mail| mail["headers"]["subject"].as_str())
        .collect();
    assert_eq!(tests, ["Your Halo Studio license key is ready", "Hello from Halo Studio"]);
}

#[test]
fn a_vendor_keeps_itself_safe() {
    travelled("settings", &[&crate::process::sample()]);
}
