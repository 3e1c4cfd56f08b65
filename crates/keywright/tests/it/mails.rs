//! How mails leave, as options say it.

use std::{path::Path, process::Command};

use crate::{
    process::{Installation, keywright, run, sample, until},
    relay::Relay,
};

/// A key as operators make theirs.
fn key(folder: &Path) -> String {
    let path = folder.join("dkim.pem");
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&path).arg("2048").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path.display().to_string()
}

#[test]
fn what_contradicts_itself_starts_nothing_and_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    let dkim = ["--dkim-key-file", &key, "--dkim-selector", "key1", "--dkim-domain", "acme.test"];
    let from = ["--mail-from", "keys@acme.test"];
    for (options, told) in [
        (
            [&from[..], &["--smtp-url", "smtp://localhost", "--mail-url", "resend://hidden@"]].concat(),
            "both --smtp-url and --mail-url are given",
        ),
        (vec!["--mail-url", "resend://hidden@"], "give --mail-from"),
        ([&from[..], &["--mail-url", "mailgun://hidden@"]].concat(), "is not of the form postmark://TOKEN@"),
        ([&from[..], &["--mail-url", "postmark://hidden@"], &dkim].concat(), "Postmark signs mails itself"),
        (
            vec!["--dkim-key-file", "nowhere.pem", "--dkim-selector", "key1", "--dkim-domain", "acme.test"],
            "the DKIM key in nowhere.pem",
        ),
        (
            [&from[..], &["--mail-url", "ses://AKIA1:hidden@eu-central-1"], &dkim[..4]].concat(),
            "the following required arguments were not provided",
        ),
    ] {
        let installation = Installation::empty();
        let refused = installation.run(&[&["serve", "--listen", "127.0.0.1:0"], &options[..]].concat());
        assert!(!refused.status.success(), "{options:?}");
        assert!(refused.stderr.contains(told), "{options:?}: {}", refused.stderr);
        assert!(!refused.text().contains("hidden"), "{}", refused.stderr);
    }
}

#[test]
fn a_key_has_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    let arguments =
        ["mail", "dkim-record", "--dkim-key-file", &key, "--dkim-selector", "key1", "--dkim-domain", "acme.test"];
    let told = run(keywright().args(arguments));
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines[..2], ["name   key1._domainkey.acme.test", "type   TXT"], "{told:?}");
    assert!(lines[2].starts_with("value  v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"), "{told:?}");
    let none = run(keywright().args(["mail", "dkim-record"]));
    assert!(!none.status.success() && none.stderr.contains("openssl genrsa -out dkim.pem 2048"), "{none:?}");
}

#[test]
fn a_relay_that_takes_longer_than_a_lease_gets_each_mail_once() {
    let relay = Relay::with_mode("slow");
    let mut installation = Installation::with(vec![
        ("KEYWRIGHT_SMTP_URL", relay.url()),
        ("KEYWRIGHT_MAIL_FROM", "keys@halo.example".to_owned()),
        ("KEYWRIGHT_LEASE_SECONDS", "1".to_owned()),
    ]);
    installation.serve();
    let applied = installation.run(&["apply", sample().to_str().unwrap()]);
    assert!(applied.status.success(), "{applied:?}");
    let issued = installation.run(&["issue", "studio-pro", "--email", "ada@example.com", "--send-email"]);
    assert!(issued.status.success(), "{issued:?}");
    until(|| installation.log().contains("mail sent") && !relay.mails().is_empty());
    assert_eq!(relay.mails().len(), 1);
}
