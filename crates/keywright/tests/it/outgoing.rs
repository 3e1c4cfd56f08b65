//! Events on their way out, as a developer sees them at a command line.

use std::process::{Command, Stdio};

use crypto::webhook::{WebhookSecret, standard};
use serde_json::Value;

use crate::{
    process::{Installation, Process, run, until},
    receiver::Receiver,
};

/// Applies the sample and an endpoint that leads to a receiver. Returns the secret that was printed.
fn endpoint(installation: &Installation, receiver: &Receiver, mode: &str) -> String {
    let file = installation.folder.path().join("endpoint.toml");
    let text = format!(
        "[[webhook_endpoint]]\ncode = \"crm\"\nmode = \"{mode}\"\nurl = \"{}\"\nevents = [\"license.created\"]\n",
        receiver.url()
    );
    std::fs::write(&file, text).unwrap();
    let applied = installation.run(&["apply", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{applied:?}");
    let (_, rest) = applied.stdout.split_once("webhook endpoint `crm` signs with ").unwrap();
    rest.split_once(", shown this once").unwrap().0.to_owned()
}

fn issue(installation: &Installation, arguments: &[&str]) -> String {
    let issued = installation.run(&[&["issue", "studio-pro"], arguments].concat());
    assert!(issued.status.success(), "{issued:?}");
    issued.stdout.trim().to_owned()
}

#[test]
fn what_was_delivered_is_listed_delivered_once_more_and_recovered() {
    let installation = Installation::of_sample();
    let receiver = Receiver::start();
    let secret = endpoint(&installation, &receiver, "live");
    assert!(WebhookSecret::parse(&secret).is_ok());
    let key = issue(&installation, &["--email", "ada@example.com"]);
    let told = || receiver.told().into_values().flatten().collect::<Vec<String>>();
    until(|| told().len() == 1);
    assert!(told()[0].contains(&key), "the key is in it");

    let list = |more: &[&str]| {
        let ran = installation.run(&[&["deliveries", "--endpoint", "crm"], more].concat());
        assert!(ran.status.success(), "{ran:?}");
        ran.stdout
    };
    until(|| list(&["--status", "delivered"]).contains("license.created"));
    let listed = list(&[]);
    let words: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(words[1..], ["delivered", "204", "crm", "license.created"]);
    assert_eq!(list(&["--status", "dead"]), "");

    // The same id and the same body, twice more.
    let again = installation.run(&["redeliver", words[0]]);
    assert!(again.stdout.contains("is on its way once more"), "{again:?}");
    until(|| told().len() == 2);
    until(|| list(&["--status", "delivered"]).contains("license.created"));
    let recovered = installation.run(&["recover", "crm", "--since", "2h", "--everything"]);
    assert!(recovered.stdout.contains(" 1 queued") && recovered.stdout.contains("done"), "{recovered:?}");
    until(|| told().len() == 3);
    assert_eq!(receiver.told().len(), 1, "one id");
    assert!(told().iter().all(|body| *body == told()[0]));
    until(|| list(&["--status", "delivered"]).contains("license.created"));
    let nothing = installation.run(&["recover", "crm", "--since", "2h"]);
    assert!(nothing.stdout.contains(" 0 queued") && nothing.stdout.contains("done"), "{nothing:?}");

    for (arguments, problem) in [
        (&["redeliver", "whd_01kyzv4b9xe1wt0b1vd2cw4b3e"][..], "there is no delivery"),
        (&["recover", "erp", "--since", "2h"][..], "there is no webhook endpoint `erp`"),
        (&["recover", "crm", "--since", "2099-01-01T00:00:00Z"][..], "since a moment in the past"),
        (&["deliveries", "--tenant", "other"][..], "there is no tenant `other`"),
    ] {
        let refused = installation.run(arguments);
        assert!(!refused.status.success() && refused.stderr.contains(problem), "{arguments:?}: {refused:?}");
    }
    installation.verify();
}

/// A key that may read events, made where the data is.
fn api_key(installation: &Installation, kind: &str) -> String {
    let made = installation.run(&["api-key", "create", "--name", kind, "--kind", kind, "--scope", "webhook:read"]);
    assert!(made.status.success(), "{made:?}");
    made.stdout.split_whitespace().find(|word| word.starts_with("kw_")).unwrap().to_owned()
}

/// A developer's machine: it has an API key and an address, and none of the data.
fn listen(installation: &Installation, key: &str, arguments: &[&str]) -> Command {
    let mut command = installation.command();
    command.env("KEYWRIGHT_API_KEY", key).current_dir(installation.folder.path());
    command.args(["listen", "--server", installation.address()]).args(arguments);
    command
}

#[test]
fn a_developer_sees_events_as_they_happen() {
    let installation = Installation::of_sample();
    let receiver = Receiver::start();
    let before = issue(&installation, &["--email", "early@example.com", "--test"]);
    let test_key = api_key(&installation, "test");
    let arguments = ["--events", "license.created", "--forward-to", &receiver.url()];
    let mut command = listen(&installation, &test_key, &arguments);
    let mut listening = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let lines = listening.lines_until("listening for events of test mode");
    let secret = WebhookSecret::parse(lines[0].strip_prefix("signed with ").unwrap()).unwrap();
    let live = issue(&installation, &["--email", "ada@example.com"]);
    let key = issue(&installation, &["--email", "grace@example.com", "--test"]);
    until(|| !receiver.told().is_empty());
    listening.interrupt();
    assert!(listening.wait().success());
    let told = receiver.told();
    assert_eq!(told.len(), 1, "{told:?}");
    let (id, bodies) = told.first_key_value().unwrap();
    let body: Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["key"].as_str()), (Some("license.created"), Some(key.as_str())));
    assert!(!bodies[0].contains(&live) && !bodies[0].contains(&before));
    let header = receiver.header(id, "webhook-signature");
    let at = receiver.header(id, "webhook-timestamp").parse().unwrap();
    assert_eq!(header, standard(&[secret], id, at, bodies[0].as_bytes()));
    assert_eq!(std::fs::read_dir(installation.folder.path()).unwrap().count(), 2, "data and log: it makes no folder");
}

#[test]
fn what_cannot_be_listened_to_is_told() {
    let installation = Installation::of_sample();
    let (test_key, live_key) = (api_key(&installation, "test"), api_key(&installation, "live"));
    for (key, arguments, problem) in [
        (
            test_key.as_str(),
            &["--forward-to", "http://192.0.2.1/hooks"][..],
            "nothing can be posted to http://192.0.2.1/hooks",
        ),
        (&test_key, &["--server", "http://192.0.2.1"], "http://192.0.2.1/ cannot be listened to"),
        ("", &[], "KEYWRIGHT_API_KEY does not read"),
        (&test_key.replace("_test_", "_live_"), &[], "it answered 401"),
    ] {
        let mut command = installation.command();
        command.env("KEYWRIGHT_API_KEY", key).env("KEYWRIGHT_SERVER", installation.address());
        let refused = run(command.arg("listen").args(arguments));
        assert!(!refused.status.success() && refused.stderr.contains(problem), "{arguments:?}: {refused:?}");
    }
    let nobody = run(installation.command().arg("listen"));
    assert!(nobody.stderr.contains("there is no API key: set KEYWRIGHT_API_KEY"), "{nobody:?}");
    let mut command = listen(&installation, &live_key, &[]);
    let mut listening = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let lines = listening.lines_until("listening for events of live mode");
    assert!(lines[0].contains("are kept in live mode only where a webhook endpoint wants them"), "{lines:?}");
}

#[test]
fn the_doctor_says_where_nobody_hears_of_webhooks() {
    let installation = Installation::of_sample();
    let quiet = installation.run(&["doctor"]);
    assert!(!quiet.stdout.contains("nobody would be told"), "{quiet:?}");
    endpoint(&installation, &Receiver::start(), "live");
    let told = installation.run(&["doctor"]);
    assert!(
        told.stdout.contains("`default`, live mode: nobody would be told that a webhook endpoint fails"),
        "{told:?}"
    );
    let file = installation.folder.path().join("alert.toml");
    std::fs::write(&file, "[[alert]]\ncode = \"ops\"\nkind = \"mail\"\nto = \"ops@example.com\"\n").unwrap();
    assert!(installation.run(&["apply", file.to_str().unwrap()]).status.success());
    let quiet = installation.run(&["doctor"]);
    assert!(!quiet.stdout.contains("nobody would be told"), "{quiet:?}");
}
