//! Events on their way out, as a developer sees them at a command line.

use std::process::Stdio;

use crypto::webhook::{WebhookSecret, standard};
use serde_json::Value;

use crate::{
    process::{Installation, Process, until},
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
    assert!(recovered.stdout.contains("1 event queued") && recovered.stdout.contains("done"), "{recovered:?}");
    until(|| told().len() == 3);
    assert_eq!(receiver.told().len(), 1, "one id");
    assert!(told().iter().all(|body| *body == told()[0]));
    until(|| list(&["--status", "delivered"]).contains("license.created"));
    let nothing = installation.run(&["recover", "crm", "--since", "2h"]);
    assert!(!nothing.stdout.contains("queued") && nothing.stdout.contains("done"), "{nothing:?}");

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

#[test]
fn a_developer_sees_events_as_they_happen() {
    let installation = Installation::of_sample();
    let receiver = Receiver::start();
    let mut command = installation.command();
    command.args(["listen", "--events", "license.created", "--forward-to", &receiver.url(), "--data-dir"]);
    let child = command.arg(installation.data_dir()).stdout(Stdio::piped()).spawn().unwrap();
    let mut listening = Process(child);
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
    assert!(!bodies[0].contains(&live));
    let header = receiver.header(id, "webhook-signature");
    let at = receiver.header(id, "webhook-timestamp").parse().unwrap();
    assert_eq!(header, standard(&[secret], id, at, bodies[0].as_bytes()));

    let elsewhere = installation.run(&["listen", "--forward-to", "http://192.0.2.1/hooks"]);
    assert!(!elsewhere.status.success(), "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("nothing can be posted to http://192.0.2.1/hooks"), "{elsewhere:?}");
}
