//! Signed mails, as they arrive behind a real relay, verified by other people's program.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use delivery::{Dkim, Transport};
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::{
    receiver::{Receiver, Temper::Says},
    relay::{Relay, python, script},
    shop::Shop,
    transports::{run, transport},
};

/// Umlauts in headers and text, a footer that is longer than any line, and somebody who answers.
fn brand() -> String {
    let footer = "Größe zählt – ".repeat(120);
    json!({
        "sender_name": "Müller & Söhne Lizenzen für alle, die sehr lange Namen mögen",
        "sender_address": "keys@mail.relay.test",
        "reply_to": "hilfe@relay.test",
        "footer": footer,
    })
    .to_string()
}

/// A key, made by OpenSSL as operators make theirs.
fn key(arguments: &[&str]) -> Vec<u8> {
    let made = Command::new("openssl").args(arguments).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

fn dkim(key: &[u8]) -> Dkim {
    Dkim::new("relay.test", "key1", key).unwrap()
}

/// Whether a receiver believes each of these messages.
fn believed(messages: &[&[u8]], dkim: &Dkim) -> Vec<bool> {
    let messages: Vec<String> = messages.iter().map(|message| STANDARD.encode(message)).collect();
    let asked = json!({ "messages": messages, "name": dkim.name(), "value": dkim.record() });
    let mut verifier = Command::new(python());
    verifier.arg(script("dkim_verify.py"));
    serde_json::from_value(run(verifier, &asked)).unwrap()
}

/// A message as the relay has it, of a shop with this brand.
async fn arrived(dkim: Dkim, brand: &str) -> Vec<u8> {
    let shop = Shop::open(TestDatabase::sqlite().await).await;
    shop.brand(brand).await;
    let relay = Relay::start(&["accept"]);
    let transport = Transport::from(relay.client()).signing(dkim).unwrap();
    shop.sell("ada@example.com").await;
    shop.worker_with(Some(transport)).turn().await.unwrap();
    let raw = relay.wait("accepted", 1).await[0]["raw"].as_str().unwrap().to_owned();
    STANDARD.decode(raw).unwrap()
}

fn changed(message: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    assert!(text.contains(from), "{from} is in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_believed_as_it_was_signed_and_not_when_it_was_changed() {
    for kind in [&["genrsa", "2048"][..], &["genrsa", "-traditional", "2048"], &["genpkey", "-algorithm", "ed25519"]] {
        let key = key(kind);
        let message = arrived(dkim(&key), &brand()).await;
        // What relays do: blanks, and lines of their own on top.
        let relayed = [&b"Received: by relay.test; Sat, 21 Nov 2026 12:00:01 +0000\r\n"[..], &message].concat();
        let relayed = changed(&relayed, "Subject: ", "Subject:   ");
        let forged = [
            ("ACME", "ACMF"),
            ("Subject: ", "Subject: Re: "),
            ("Reply-To: ", "Reply-To: x"),
            ("MIME-Version", "From: eve@evil.test\r\nMIME-Version"),
            ("boundary=", "boundary=x"),
        ]
        .map(|(from, to)| changed(&message, from, to));
        let all: Vec<&[u8]> = [&message, &relayed].into_iter().chain(&forged).map(Vec::as_slice).collect();
        assert_eq!(believed(&all, &dkim(&key)), [true, true, false, false, false, false, false], "{kind:?}");
        assert_eq!(believed(&[&message], &dkim(&self::key(kind))), [false], "another key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_not_there_cannot_be_added() {
    let key = key(&["genrsa", "2048"]);
    let message = arrived(dkim(&key), "{}").await;
    let added = changed(&message, "MIME-Version", "Reply-To: eve@evil.test\r\nMIME-Version");
    assert_eq!(believed(&[&message, &added], &dkim(&key)), [true, false]);
}

#[tokio::test]
async fn a_sender_of_another_domain_is_not_vouched_for() {
    let message = arrived(dkim(&key(&["genrsa", "2048"])), r#"{"sender_address":"keys@acme.test"}"#).await;
    assert!(!String::from_utf8(message).unwrap().contains("DKIM-Signature"));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_amazon_a_message_is_believed_whose_date_and_id_it_wrote_anew() {
    let shop = Shop::open(TestDatabase::sqlite().await).await;
    shop.brand(&brand()).await;
    let receiver = Receiver::start(Says(200, "", r#"{"MessageId":"a1"}"#)).await;
    let key = key(&["genrsa", "2048"]);
    let transport = transport(&shop, &receiver, "ses://AKIDEXAMPLE:secret@eu-central-1").signing(dkim(&key)).unwrap();
    let sold = shop.sell("ada@example.com").await;
    shop.worker_with(Some(transport)).turn().await.unwrap();
    let body: Value = serde_json::from_str(&receiver.calls()[0].body).unwrap();
    let message = STANDARD.decode(body["Content"]["Raw"]["Data"].as_str().unwrap()).unwrap();
    let message = changed(&message, "Date: Sat, 21 Nov 2026 12:00:00", "Date: Sat, 21 Nov 2026 12:00:07");
    let message = changed(&message, &format!("<{}@mail.relay.test>", sold.mail), "<0107@eu-central-1.amazonses.com>");
    assert_eq!(believed(&[&message], &dkim(&key)), [true], "{}", String::from_utf8_lossy(&message));
}

#[tokio::test]
async fn services_that_write_messages_themselves_sign_them_themselves() {
    let shop = Shop::open(TestDatabase::sqlite().await).await;
    let receiver = Receiver::start(Says(200, "", "{}")).await;
    let key = key(&["genrsa", "2048"]);
    for address in ["postmark://token@", "resend://key@"] {
        assert!(transport(&shop, &receiver, address).signing(dkim(&key)).is_none(), "{address}");
    }
}
