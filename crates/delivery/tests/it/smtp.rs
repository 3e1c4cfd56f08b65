//! The connection itself: encryption, signing in, being refused, and being kept waiting.

use std::{net::TcpListener, process::Command, time::Duration};

use delivery::{Outcome, Smtp};
use lettre::{Address, address::Envelope};

use crate::relay::{Relay, python, script, settings};

const MESSAGE: &str = "From: keys@relay.test\r\nTo: ada@example.com\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n.first\r\n    KEY-1\r\n\
    --x\r\nContent-Type: text/html\r\n\r\n<p>KEY-1</p>\r\n--x--\r\n";

fn envelope(recipient: &str) -> Envelope {
    let address = |text: &str| text.parse::<Address>().unwrap();
    Envelope::new(Some(address("keys@relay.test")), vec![address(recipient)]).unwrap()
}

async fn send(smtp: &Smtp) -> Outcome {
    smtp.send(&envelope("ada@example.com"), MESSAGE).await
}

fn response(outcome: Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Accepted { response } => ("accepted", response),
        Outcome::Later { response, .. } => ("later", response),
        Outcome::Unanswered { response } => ("unanswered", response),
        Outcome::Away { response } => ("away", response),
        Outcome::Refused { response } => ("refused", response),
    }
}

#[tokio::test]
async fn mails_that_follow_each_other_share_a_connection() {
    let relay = Relay::start(&["accept"]);
    let smtp = relay.client();
    assert_eq!(smtp.check().await, Ok(()));
    for _ in 0..3 {
        assert_eq!(response(send(&smtp).await), ("accepted", "250 2.0.0 Ok: queued as 4242".to_owned()));
    }
    let accepted = relay.wait("accepted", 3).await;
    assert!(accepted.iter().all(|message| message["peer"] == accepted[0]["peer"]));
    assert_eq!(accepted[0]["text"].as_str().unwrap().lines().next(), Some(".first"), "a leading dot survives");
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let relay = Relay::start(&["refuse", "later", "refuse-sender", "accept"]);
    let smtp = relay.client();
    assert_eq!(response(send(&smtp).await), ("refused", "550 5.1.1 <ada@example.com>: no such user here".to_owned()));
    assert_eq!(response(send(&smtp).await), ("later", "451 4.3.0 come back".to_owned()));
    assert_eq!(response(send(&smtp).await).0, "away", "a relay that does not know our sender refuses no mail");
    assert_eq!(response(send(&smtp).await).0, "accepted");
}

#[tokio::test]
async fn a_mail_that_hangs_does_not_spoil_the_next_one() {
    let relay = Relay::start(&["hang", "refuse", "accept"]);
    let mut settings = relay.settings();
    settings.answer_timeout = Duration::from_millis(400);
    let smtp = Smtp::new(settings).unwrap();
    let (outcome, said) = response(send(&smtp).await);
    assert_eq!((outcome, said.contains("may have taken the mail")), ("unanswered", true), "{said}");
    assert!(said.ends_with("it did not say so within 0.4 s"), "{said}");
    // On the old connection, this one would read the answer to the last one.
    assert_eq!(response(send(&smtp).await).0, "refused");
    assert_eq!(response(send(&smtp).await).0, "accepted");
    assert_eq!(relay.wait("accepted", 1).await.len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_content_leaves_open_what_became_of_it() {
    let relay = Relay::start(&["drop", "accept"]);
    let smtp = relay.client();
    let (outcome, said) = response(send(&smtp).await);
    assert_eq!((outcome, said.contains("may have been taken")), ("unanswered", true), "{said}");
    assert_eq!(response(send(&smtp).await).0, "accepted");
}

#[tokio::test]
async fn a_relay_has_time_to_look_at_the_content_and_less_before_it() {
    let relay = Relay::start(&["slow", "stall"]);
    let mut settings = relay.settings();
    settings.send_timeout = Duration::from_secs(1);
    let smtp = Smtp::new(settings).unwrap();
    assert_eq!(response(send(&smtp).await).0, "accepted", "after two seconds");
    let (outcome, said) = response(send(&smtp).await);
    assert_eq!((outcome, said.ends_with("did not ask for the mail within 1 s")), ("later", true), "{said}");
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Smtp::new({
        let mut settings = settings(&format!("smtp://127.0.0.1:{port}"));
        settings.connect_timeout = Duration::from_millis(200);
        settings
    });
    let (outcome, said) = response(send(&silent.unwrap()).await);
    assert_eq!((outcome, said.contains("no answer within 0.2 s")), ("away", true), "accepts and never greets: {said}");
    drop(listener);
    let gone = Smtp::new(settings(&format!("smtp://127.0.0.1:{port}"))).unwrap();
    let (outcome, said) = response(send(&gone).await);
    assert_eq!((outcome, said.contains("refused")), ("away", true), "{said}");
    assert!(gone.check().await.unwrap_err().starts_with(&format!("127.0.0.1:{port} is not ready for mails: ")));
}

#[tokio::test]
async fn signing_in_works_and_a_wrong_password_loses_no_mail() {
    let relay = Relay::start(&["accept", "--user", "acme", "--password", "p@ss/wörd"]);
    let with = |login: &str| Smtp::new(settings(&format!("smtp://{login}127.0.0.1:{}", relay.port))).unwrap();
    assert_eq!(response(send(&with("acme:p%40ss%2Fw%C3%B6rd@")).await).0, "accepted");
    assert_eq!(relay.wait("accepted", 1).await[0]["user"], "acme");
    for login in ["acme:wrong@", ""] {
        let (outcome, said) = response(send(&with(login)).await);
        assert_eq!((outcome, said.contains("53")), ("away", true), "{login}: {said}");
        assert!(!said.contains("wrong"));
    }
}

#[tokio::test]
async fn what_must_be_encrypted_is_encrypted_or_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let pem = Command::new(python()).arg(script("certificate.py")).output().unwrap().stdout;
    let file = folder.path().join("relay.pem");
    std::fs::write(&file, &pem).unwrap();
    let relay = Relay::start(&["accept", "--certificate", file.to_str().unwrap()]);
    let encrypted = |port| settings(&format!("smtp://localhost:{port}?tls=required"));

    let mut trusting = encrypted(relay.port);
    trusting.trusted = vec![pem];
    assert_eq!(response(send(&Smtp::new(trusting.clone()).unwrap()).await).0, "accepted");
    assert_eq!(relay.wait("accepted", 1).await[0]["encrypted"], true);

    let (outcome, said) = response(send(&Smtp::new(encrypted(relay.port)).unwrap()).await);
    assert_eq!((outcome, said.contains("certificate")), ("away", true), "nobody vouches for it: {said}");

    let plain = Relay::start(&["accept"]);
    let (outcome, said) = response(send(&Smtp::new(encrypted(plain.port)).unwrap()).await);
    assert_eq!((outcome, said.contains("STARTTLS is not supported")), ("away", true), "{said}");
    assert_eq!((relay.events("accepted").len(), plain.events("accepted").len()), (1, 0));
}

#[tokio::test]
async fn letters_outside_of_ascii_go_where_they_can() {
    let relay = Relay::start(&["accept"]);
    let smtp = relay.client();
    assert_eq!(response(smtp.send(&envelope("zoë@example.com"), MESSAGE).await).0, "accepted");
    assert_eq!(relay.wait("accepted", 1).await[0]["recipients"][0], "zoë@example.com");
}
