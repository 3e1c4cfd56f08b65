//! Services that take mails by HTTP: they get the same call as from their own SDKs, and whatever they answer, each buyer gets
//! the key, or a person hears of it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use delivery::{MailService, ServiceSettings, Transport, attention, render_mail, transport::LIMITS};
use jiff::SignedDuration;
use net::{Client, Limits, Reach};
use secrecy::SecretString;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::{
    receiver::{
        Call, Receiver,
        Temper::{Hangs, Resets, Says},
    },
    relay::{python, script},
    shop::{Shop, Sold},
};

const POSTMARK: &str = "postmark://5e7c3a10-token@";
const RESEND: &str = "resend://re_0123456789@";
const SES: &str = "ses://AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY@eu-central-1";
const ALL: [&str; 3] = [POSTMARK, RESEND, SES];
/// What each of them accepts with: one answer for all.
const TAKEN: &str = r#"{"ErrorCode":0,"MessageID":"a1","id":"a1","MessageId":"a1"}"#;
const JSON: &str = "content-type: application/json\r\n";
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// A brand with words outside of ASCII, and somebody who answers.
const BRAND: &str = r#"{"sender_name":"Müller & Söhne","reply_to":"help@acme.test"}"#;

/// A service that is played by this receiver.
pub(crate) fn transport(shop: &Shop, receiver: &Receiver, address: &str) -> Transport {
    impatient(shop, &format!("http://{}", receiver.address), address, Duration::from_secs(10))
}

fn impatient(shop: &Shop, base: &str, address: &str, total: Duration) -> Transport {
    let mut settings = ServiceSettings::parse(&SecretString::from(address), Some("keys@relay.test")).unwrap();
    settings.base = base.parse().unwrap();
    let limits = Limits { connect: total / 2, total, ..LIMITS };
    MailService::new(settings, Client::new(Reach::Loopback, limits).unwrap(), Arc::clone(&shop.clock) as _).into()
}

/// Runs somebody else's program with an input, and gives what it prints.
pub(crate) fn run(mut command: Command, input: &Value) -> Value {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let ran = process.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap_or_default()
}

/// What counts of a call: method and path, these headers, and the body whatever the order of its fields and of the mail's
/// headers in it.
fn essence(call: &Call, headers: &[&str]) -> (String, Vec<Option<String>>, Value) {
    let headers = headers.iter().map(|name| call.headers.get(*name).cloned()).collect();
    let mut body: Value = serde_json::from_str(&call.body).unwrap();
    if let Some(headers) = body["Headers"].as_array_mut() {
        headers.sort_by_key(ToString::to_string);
    }
    (call.line.clone(), headers, body)
}

/// A mail that one of them took: the mail as people see it, and our call.
async fn ours(shop: &Shop, receiver: &Receiver, address: &str) -> (Sold, Value, Call) {
    let transport = transport(shop, receiver, address);
    let sold = shop.sell("ada@example.com").await;
    let row = shop.mail(sold.mail).await;
    let shown = render_mail(shop.store(), &shop.ring.get(), &row, Some(transport.sender())).await.unwrap();
    assert_eq!(shop.worker_with(Some(transport)).turn().await.unwrap(), 1);
    let call = receiver.calls().pop().unwrap();
    let mail = json!({
        "from": shown.from,
        "to": shown.to,
        "reply_to": shown.reply_to,
        "subject": shown.subject,
        "text": shown.text,
        "html": shown.html,
        "headers": {
            "Message-ID": format!("<{}@relay.test>", sold.mail),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "OOF, AutoReply",
        },
        "idempotency_key": call.headers.get("idempotency-key"),
    });
    (sold, mail, call)
}

fn node(service: &str, base: &str, secret: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script("mail_sdk.cjs")).args([service, base, secret]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_of_postmark_and_resend_make_the_same_call() {
    let token: &[&str] = &["content-type", "x-postmark-server-token"];
    let bearer: &[&str] = &["content-type", "authorization", "idempotency-key"];
    for (service, address, secret, headers) in
        [("postmark", POSTMARK, "5e7c3a10-token", token), ("resend", RESEND, "re_0123456789", bearer)]
    {
        for brand in ["{}", BRAND] {
            let shop = Shop::open(TestDatabase::sqlite().await).await;
            let receiver = Receiver::start(Says(200, JSON, TAKEN)).await;
            shop.brand(brand).await;
            let (sold, mail, call) = ours(&shop, &receiver, address).await;
            assert!(mail["text"].as_str().unwrap().contains(&sold.key));
            assert_eq!(shop.mail(sold.mail).await.response.as_deref(), Some("200 accepted as a1"));
            run(node(service, &format!("http://{}", receiver.address), secret), &mail);
            let theirs = receiver.calls().pop().unwrap();
            assert_eq!(receiver.calls().len(), 2);
            assert_eq!(essence(&call, headers), essence(&theirs, headers), "{service} {brand}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_amazon_makes_the_same_call_with_the_same_signature() {
    let shop = Shop::open(TestDatabase::sqlite().await).await;
    let receiver = Receiver::start(Says(200, JSON, TAKEN)).await;
    shop.brand(BRAND).await;
    let (sold, _, call) = ours(&shop, &receiver, SES).await;
    let body: Value = serde_json::from_str(&call.body).unwrap();
    let raw = body["Content"]["Raw"]["Data"].as_str().unwrap();
    let message = String::from_utf8(STANDARD.decode(raw).unwrap()).unwrap();
    assert!(message.contains(&format!("Message-ID: <{}@relay.test>\r\n", sold.mail)), "{message}");
    let asked = json!({
        "now": shop.now().as_second(),
        "region": "eu-central-1",
        "access_key": "AKIDEXAMPLE",
        "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "to": "ada@example.com",
        "raw": raw,
    });
    let mut command = Command::new(python());
    command.arg(script("mail_sdk.py")).arg(format!("http://{}", receiver.address));
    run(command, &asked);
    let theirs = receiver.calls().pop().unwrap();
    let headers = ["content-type", "host", "x-amz-date"];
    assert_eq!(essence(&call, &headers), essence(&theirs, &headers));
    // Blanks between the fields of the body are signed as well, so what the SDK signed is signed here once more.
    let signed = headers.map(|name| (name, theirs.headers[name].as_str()));
    let caller = crypto::sigv4::Caller {
        access_key: "AKIDEXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "eu-central-1",
        service: "ses",
    };
    for call in [&call, &theirs] {
        let signed = crypto::sigv4::Call {
            method: "POST",
            path: "/v2/email/outbound-emails",
            headers: &signed,
            body: call.body.as_bytes(),
            date: &theirs.headers["x-amz-date"],
        };
        assert_eq!(crypto::sigv4::authorization(&caller, &signed), call.headers["authorization"]);
    }
}

#[tokio::test]
async fn a_mail_whose_answer_is_lost_is_sent_again_as_the_same_mail() {
    for address in ALL {
        let shop = Shop::open(TestDatabase::sqlite().await).await;
        let receiver = Receiver::start(Resets).await;
        let worker = shop.worker_with(Some(transport(&shop, &receiver, address)));
        let sold = shop.sell("ada@example.com").await;
        worker.turn().await.unwrap();
        let mail = shop.mail(sold.mail).await;
        assert_eq!((mail.status.as_str(), mail.attempts), ("pending", 1), "{address}: {:?}", mail.response);
        receiver.becomes(Says(200, JSON, TAKEN));
        shop.clock.advance(SECOND);
        let is_soon = worker.turn().await.unwrap() == 1;
        assert_eq!(is_soon, address == RESEND, "only one that knows a mail that it has is asked again at once");
        shop.clock.advance(HOUR);
        worker.turn().await.unwrap();
        assert_eq!(shop.mail(sold.mail).await.status, "sent");
        let [lost, taken] = &receiver.calls()[..] else { panic!("two calls") };
        assert_eq!(essence(lost, &["idempotency-key"]), essence(taken, &["idempotency-key"]), "{address}");

        // Somebody asks for another copy: that is another mail for the service, and the same for the reader.
        shop.clock.advance(SECOND);
        shop.send_again(sold.mail).await;
        worker.turn().await.unwrap();
        let again = receiver.calls().pop().unwrap();
        assert_eq!(essence(&again, &[]), essence(taken, &[]), "{address}");
        if address == RESEND {
            assert_ne!(again.headers["idempotency-key"], taken.headers["idempotency-key"]);
        }
    }
}

#[tokio::test]
async fn what_hangs_or_asks_for_time_is_tried_again() {
    for address in ALL {
        let shop = Shop::open(TestDatabase::sqlite().await).await;
        let receiver = Receiver::start(Hangs).await;
        let base = format!("http://{}", receiver.address);
        let hurried = impatient(&shop, &base, address, Duration::from_millis(400));
        let sold = shop.sell("ada@example.com").await;
        shop.worker_with(Some(hurried)).turn().await.unwrap();
        let mail = shop.mail(sold.mail).await;
        let hung = mail.response.unwrap();
        assert!(
            mail.status == "pending" && hung.ends_with("did not begin its answer within 0.4 s"),
            "{address}: {hung}"
        );

        let worker = shop.worker_with(Some(transport(&shop, &receiver, address)));
        receiver.becomes(Says(
            429,
            "content-type: application/json\r\nretry-after: 90\r\n",
            r#"{"message":"slow down"}"#,
        ));
        shop.clock.advance(HOUR);
        worker.turn().await.unwrap();
        let mail = shop.mail(sold.mail).await;
        let next = shop.now().as_microsecond() + 90_000_000;
        assert_eq!((mail.status.as_str(), mail.next_attempt_at), ("pending", Some(next)), "{address}");

        receiver.becomes(Says(200, JSON, TAKEN));
        shop.clock.advance(SignedDuration::from_secs(90));
        worker.turn().await.unwrap();
        assert_eq!(shop.mail(sold.mail).await.status, "sent", "{address}");
        assert!(shop.attention().await.is_empty());
    }
}

#[tokio::test]
async fn a_refused_recipient_is_told_without_the_address_and_the_secret() {
    for (address, status, body, said) in [
        (
            POSTMARK,
            422,
            r#"{"ErrorCode":406,"Message":"Inactive recipient.\nada@example.com bounced (5e7c3a10-token)"}"#,
            "422 code 406: Inactive recipient. a…@example.com bounced (…)",
        ),
        (
            RESEND,
            422,
            r#"{"statusCode":422,"name":"validation_error","message":"Invalid `to`: ada@example.com"}"#,
            "422 validation_error: Invalid `to`: a…@example.com",
        ),
        (
            SES,
            400,
            r#"{"__type":"MessageRejected","message":"Address ada@example.com is on the suppression list"}"#,
            "400 MessageRejected: Address a…@example.com is on the suppression list",
        ),
    ] {
        let shop = Shop::open(TestDatabase::sqlite().await).await;
        let receiver = Receiver::start(Says(status, JSON, body)).await;
        let sold = shop.sell("ada@example.com").await;
        shop.worker_with(Some(transport(&shop, &receiver, address))).turn().await.unwrap();
        let mail = shop.mail(sold.mail).await;
        assert_eq!((mail.status.as_str(), mail.response.as_deref()), ("failed", Some(said)));
        assert_eq!(shop.open_items().await, [attention::MAIL_FAILED]);
    }
}

#[tokio::test]
async fn a_service_that_does_not_let_us_in_is_told_by_its_name() {
    for (address, name) in [(POSTMARK, "Postmark"), (RESEND, "Resend"), (SES, "Amazon SES in eu-central-1")] {
        let shop = Shop::open(TestDatabase::sqlite().await).await;
        let receiver = Receiver::start(Says(401, JSON, r#"{"message":"no"}"#)).await;
        let worker = shop.worker_with(Some(transport(&shop, &receiver, address)));
        let sold = shop.sell("ada@example.com").await;
        for _ in 0..5 {
            worker.turn().await.unwrap();
            shop.clock.advance(SignedDuration::from_hours(1));
        }
        assert_eq!(shop.mail(sold.mail).await.status, "pending");
        let [item] = &shop.attention().await[..] else { panic!("one item") };
        assert_eq!(item.kind, attention::SENDER_FAILING);
        let told = format!("the mail relay {name} takes no mails: 401 without a reason; nothing is lost");
        assert!(item.detail.starts_with(&told), "{}", item.detail);
    }
}

#[tokio::test]
async fn nobody_is_called_but_public_addresses() {
    let shop = Shop::open(TestDatabase::sqlite().await).await;
    let receiver = Receiver::start(Says(200, JSON, TAKEN)).await;
    let mut settings = ServiceSettings::parse(&SecretString::from(POSTMARK), Some("keys@relay.test")).unwrap();
    settings.base = format!("https://{}", receiver.address).parse().unwrap();
    let client = Client::new(Reach::Public, LIMITS).unwrap();
    let service = MailService::new(settings, client, Arc::clone(&shop.clock) as _);
    let sold = shop.sell("ada@example.com").await;
    shop.worker_with(Some(service.into())).turn().await.unwrap();
    let mail = shop.mail(sold.mail).await;
    assert_eq!((mail.status.as_str(), receiver.calls().len()), ("pending", 0));
    assert!(mail.response.unwrap().contains("loopback address"));
}
