//! Mails as whoever runs the server looks at them.

use crate::{
    process::{Installation, until},
    relay::Relay,
};

#[test]
fn a_mail_is_looked_at_in_every_language() {
    let installation = Installation::of_sample();
    let file = installation.data_dir().join("mail.html");
    let shown =
        installation.run(&["mail", "preview", "payment-problem", "--language", "de", "--html", file.to_str().unwrap()]);
    assert!(shown.status.success(), "{shown:?}");
    assert!(shown.stdout.contains("\nSubject: Die Zahlung für Ihre Lizenz"), "{shown:?}");
    let html = std::fs::read_to_string(file).unwrap();
    assert!(html.contains("<html lang=\"de\">") && html.contains("Halo"), "{html}");
    for (arguments, problem) in [
        (
            ["preview", "of-tomorrow", "--language", "en"],
            "there is no mail `of-tomorrow`; the mails are license-delivery",
        ),
        (["preview", "license-frozen", "--language", "fr"], "mails are not written in `fr`"),
        (["preview", "license-frozen", "--product", "none"], "there is no product `none`"),
    ] {
        let refused = installation.run(&[&["mail"][..], &arguments[..]].concat());
        assert!(!refused.status.success() && refused.stderr.contains(problem), "{refused:?}");
    }
}

#[test]
fn a_preview_is_what_would_be_sent() {
    let installation = Installation::of_sample();
    let preview = |options: &[&str]| {
        let shown =
            installation.run(&[&["mail", "preview", "license-delivery", "--product", "studio"], options].concat());
        assert!(shown.status.success(), "{shown:?}");
        shown.stdout
    };
    let nobody = preview(&[]);
    assert!(nobody.starts_with("From: nobody: neither the product's brand nor --mail-from"), "{nobody}");
    let from = |address: &'static str| ["--smtp-url", "smtp://localhost", "--mail-from", address];
    let sent = preview(&from("keys@halo.example"));
    for line in [
        "From: Halo Studio <keys@halo.example>",
        "To: Ada Lovelace <ada@example.com>",
        "Thank you for choosing Halo Studio Pro, for good. This is your license key:",
        "Questions? Reply to this mail, or ask here: mailto:help@halo.example",
    ] {
        assert!(sent.lines().any(|shown| shown == line), "{line}: {sent}");
    }
    assert!(sent.contains("It works on 5 of your devices. It has no end date."), "{sent}");
    assert!(preview(&from("no-reply@halo.example")).contains("\nQuestions? Ask here: "));
}

#[test]
fn a_mail_is_tried_at_the_relay() {
    let installation = Installation::of_sample();
    let relay = Relay::start();
    let test = ["mail", "send-test", "license-delivery", "--to", "you@example.com", "--mail-from", "keys@halo.example"];
    let without = installation.run(&test);
    assert!(!without.status.success() && without.stderr.contains("no mail relay is configured"), "{without:?}");
    let url = relay.url();
    for _ in 0..2 {
        let sent = installation.run(&[&test[..], &["--smtp-url", &url]].concat());
        assert!(sent.status.success() && sent.stdout.contains("has taken it for you@example.com"), "{sent:?}");
    }
    until(|| relay.mails().len() == 2);
    let mails = relay.mails();
    assert_eq!(mails[0]["recipients"][0], "you@example.com");
    assert_ne!(mails[0]["headers"]["message-id"], mails[1]["headers"]["message-id"], "programs show the same one once");
}
