//! The worker, on both databases: whatever the relay does, each buyer gets the key once, or a person hears of it.

use std::time::Duration;

use delivery::{Smtp, attention, render_mail};
use jiff::SignedDuration;
use store::testing::TestDatabase;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    relay::Relay,
    shop::{Shop, Sold},
};

/// Runs each case on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::TestDatabase::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::TestDatabase::postgres().await).await;
            })*
        }
    };
}

on_both! {
    a_mail_is_sent_once_with_its_key
    the_loop_sends_as_soon_as_it_is_woken_and_stops_gracefully
    sending_again_keeps_the_message_id
    a_crash_after_the_relay_accepted_repeats_the_same_message
    an_answer_that_is_lost_repeats_the_same_message
    greylisting_ends_in_one_message
    a_refusal_needs_a_person_until_a_later_success
    a_relay_that_hangs_is_tried_again
    a_relay_that_is_away_is_told_once_and_heals
    what_one_node_has_told_another_one_closes
    a_relay_that_does_not_let_us_send_fails_no_mail
    what_has_waited_for_an_hour_is_told_until_nothing_has
    no_other_node_sends_what_takes_long
    an_address_that_is_corrected_on_the_way_gets_the_mail
    without_a_sender_mails_are_held_until_released
    two_workers_share_the_work_and_send_nothing_twice
    one_bad_mail_does_not_hold_up_the_others
    a_license_that_another_stands_for_is_delivered_with_its_key
    what_is_not_so_any_more_is_not_sent
    a_vendors_template_is_used_and_a_broken_one_keeps_no_key_back
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A relay that is not there.
fn nowhere() -> Smtp {
    Smtp::new(crate::relay::settings("smtp://127.0.0.1:1")).unwrap()
}

/// Looks until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let start = std::time::Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not become so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn status(shop: &Shop, sold: &Sold) -> (String, i32) {
    let mail = shop.mail(sold.mail).await;
    (mail.status, mail.attempts)
}

fn is(status: &str, attempts: i32) -> (String, i32) {
    (status.to_owned(), attempts)
}

async fn a_mail_is_sent_once_with_its_key(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("ada@example.com").await;
    assert_eq!(worker.turn().await.unwrap(), 1);
    assert_eq!(worker.turn().await.unwrap(), 0, "nothing is left to do");

    let messages = relay.wait("accepted", 1).await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    for part in ["text", "html"] {
        assert!(message[part].as_str().unwrap().contains(&sold.key), "{part}");
    }
    assert_eq!(message["mail_from"], "keys@relay.test");
    assert_eq!(message["headers"]["message-id"], format!("<{}@relay.test>", sold.mail));
    assert_eq!(message["headers"]["from"], "Acme Studio <keys@relay.test>");
    assert_eq!(message["headers"]["to"], "Ada Lovelace <ada@example.com>");
    assert_eq!(message["headers"]["subject"], "Your Acme Studio license key is ready");
    assert_eq!(message["headers"]["date"], "Sat, 21 Nov 2026 12:00:00 +0000");
    assert!(message["text"].as_str().unwrap().contains(&format!("Your order: pi_{}", sold.order)));

    let mail = shop.mail(sold.mail).await;
    assert_eq!((mail.status.as_str(), mail.attempts, mail.next_attempt_at), ("sent", 1, None));
    assert_eq!((mail.lease_token, mail.lease_until), (None, None));
    assert_eq!(mail.response.as_deref(), Some("250 2.0.0 Ok: queued as 4242"));
    assert_eq!(mail.sent_at, Some(mail.created_at));
    assert!(shop.attention().await.is_empty());

    let shown = render_mail(shop.store(), &shop.ring.get(), &mail, None).await.unwrap();
    assert!(shown.text.contains(&sold.key) && shown.from.is_none());
}

async fn the_loop_sends_as_soon_as_it_is_woken_and_stops_gracefully(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let worker = shop.worker(Some(relay.client()));
    worker.start(&tasks, &stop);
    for count in 1..=20 {
        shop.sell(&format!("buyer{count}@example.com")).await;
        shop.wake.notify_one();
    }
    let accepted = relay.wait("accepted", 20).await;
    let last = shop.sell("last@example.com").await;
    shop.wake.notify_one();
    relay.wait("accepted", 21).await;
    stop.cancel();
    tasks.close();
    tokio::time::timeout(Duration::from_secs(10), tasks.wait()).await.expect("it stops");
    assert_eq!(status(&shop, &last).await, is("sent", 1), "what was accepted is written down before it stops");
    assert_eq!(accepted.len(), 20);
}

async fn sending_again_keeps_the_message_id(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("ada@example.com").await;
    worker.turn().await.unwrap();
    shop.clock.advance(HOUR);
    shop.send_again(sold.mail).await;
    assert_eq!(worker.turn().await.unwrap(), 1);
    let messages = relay.wait("accepted", 2).await;
    for part in ["headers", "text", "html"] {
        assert_eq!(messages[0][part], messages[1][part]);
    }
}

async fn a_crash_after_the_relay_accepted_repeats_the_same_message(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let sold = shop.sell("ada@example.com").await;
    // Another process took it, handed it over and died: only its lease is left.
    let now = domain::ambient::Clock::now(&*shop.clock);
    let write = shop.store().begin().await.unwrap();
    let lease = domain::time::after(now, SignedDuration::from_secs(120));
    assert_eq!(write.lease_mails(sold.mail.0, now, lease, 8).await.unwrap().len(), 1);
    write.commit().await.unwrap();
    let worker = shop.worker(Some(relay.client()));
    shop.clock.advance(SECOND * 119);
    assert_eq!(worker.turn().await.unwrap(), 0, "it may still be at it");
    shop.clock.advance(SECOND);
    assert_eq!(worker.turn().await.unwrap(), 1);
    assert_eq!(relay.wait("accepted", 1).await[0]["headers"]["message-id"], format!("<{}@relay.test>", sold.mail));
    assert_eq!(status(&shop, &sold).await, is("sent", 1));
}

async fn an_answer_that_is_lost_repeats_the_same_message(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["lose", "accept"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("ada@example.com").await;
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("pending", 1), "nobody knows whether the relay has it");
    shop.clock.advance(SECOND * 3_599);
    assert_eq!(worker.turn().await.unwrap(), 0, "each try may be one more copy");
    shop.clock.advance(SECOND);
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("sent", 2));
    let [first, second] = &relay.wait("accepted", 2).await[..] else { panic!("two copies") };
    for part in ["headers", "text", "html"] {
        assert_eq!(first[part], second[part], "whoever gets both shows one: {part}");
    }
}

async fn greylisting_ends_in_one_message(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["greylist"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("ada@example.com").await;
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("pending", 1));
    assert_eq!(worker.turn().await.unwrap(), 0, "not before its time");
    shop.clock.advance(SECOND);
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("sent", 2));
    assert_eq!((relay.wait("accepted", 1).await.len(), relay.events("greylisted").len()), (1, 1));
    assert!(shop.attention().await.is_empty(), "that is how mail works");
}

async fn a_refusal_needs_a_person_until_a_later_success(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["refuse", "quote", "accept"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("ada@example.com").await;
    worker.turn().await.unwrap();
    let mail = shop.mail(sold.mail).await;
    assert_eq!((mail.status.as_str(), mail.next_attempt_at), ("failed", None));
    assert_eq!(mail.response.as_deref(), Some("550 5.1.1 <a…@example.com>: no such user here"));
    let [item] = &shop.attention().await[..] else { panic!("one item") };
    assert_eq!((item.kind.as_str(), &item.subject), (attention::MAIL_FAILED, &sold.mail.to_string()));
    assert_eq!(item.order_id, Some(sold.order.0));
    let expected = format!(
        "the license-delivery mail to a…@example.com about {} was not delivered: 550 5.1.1 <a…@example.com>: no such user \
         here; correct the address or the relay, then send it again",
        sold.license
    );
    assert_eq!(item.detail, expected);

    shop.send_again(sold.mail).await;
    worker.turn().await.unwrap();
    let quoted = shop.mail(sold.mail).await.response.unwrap();
    assert!(quoted.starts_with("554 5.6.0 not for a…@example.com: looks bad: ACME-…-"), "the key is masked: {quoted}");

    shop.send_again(sold.mail).await;
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await.0, "sent");
    assert!(shop.attention().await.is_empty(), "it closed by itself");
}

async fn a_relay_that_hangs_is_tried_again(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["hang", "accept"]);
    let mut settings = relay.settings();
    settings.answer_timeout = Duration::from_millis(400);
    let worker = shop.worker(Some(Smtp::new(settings).unwrap()));
    let sold = shop.sell("ada@example.com").await;
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("pending", 1));
    shop.clock.advance(HOUR);
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("sent", 2));
    assert_eq!(relay.wait("accepted", 1).await.len(), 1);
}

async fn a_relay_that_is_away_is_told_once_and_heals(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let worker = shop.worker(Some(nowhere()));
    let (first, second) = (shop.sell("ada@example.com").await, shop.sell("bob@example.com").await);
    for _ in 0..5 {
        assert!(shop.attention().await.is_empty(), "a short outage is nobody's business");
        worker.turn().await.unwrap();
        shop.clock.advance(HOUR);
    }
    let [item] = &shop.attention().await[..] else { panic!("one item for both") };
    assert_eq!((item.kind.as_str(), &item.subject), (attention::SENDER_FAILING, &shop.tenant.to_string()));
    assert!(item.detail.starts_with("the mail relay 127.0.0.1:1 takes no mails: "), "{}", item.detail);
    assert_eq!((status(&shop, &first).await, status(&shop, &second).await), (is("pending", 5), is("pending", 5)));

    // Another process, with another configuration.
    let relay = Relay::start(&["accept"]);
    assert_eq!(shop.worker(Some(relay.client())).turn().await.unwrap(), 2);
    assert!(shop.attention().await.is_empty());
}

async fn what_one_node_has_told_another_one_closes(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let (well, cut_off) = (shop.worker(Some(relay.client())), shop.worker(Some(nowhere())));
    // The one knows that the relay works, and hears nothing of what the other one finds.
    shop.sell("ada@example.com").await;
    assert_eq!(well.turn().await.unwrap(), 1);
    shop.sell("bob@example.com").await;
    for _ in 0..5 {
        assert_eq!(cut_off.turn().await.unwrap(), 1);
        shop.clock.advance(HOUR);
    }
    assert_eq!(shop.open_items().await, [attention::SENDER_FAILING]);
    assert_eq!(well.turn().await.unwrap(), 1);
    assert!(shop.attention().await.is_empty());
}

async fn a_relay_that_does_not_let_us_send_fails_no_mail(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay =
        Relay::start(&["relay-denied", "relay-denied", "relay-denied", "relay-denied", "relay-denied", "accept"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("Ada@Example.com").await;
    for _ in 0..5 {
        worker.turn().await.unwrap();
        shop.clock.advance(HOUR);
    }
    let mail = shop.mail(sold.mail).await;
    assert_eq!((mail.status.as_str(), mail.attempts), ("pending", 5));
    assert_eq!(mail.response.as_deref(), Some("554 5.7.1 <A…@Example.com>: Relay access denied"));
    assert_eq!(shop.open_items().await, [attention::SENDER_FAILING]);
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("sent", 6));
    assert!(shop.attention().await.is_empty());
}

async fn what_has_waited_for_an_hour_is_told_until_nothing_has(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["later"]);
    let worker = shop.worker(Some(relay.client()));
    let (first, second) = (shop.sell("ada@example.com").await, shop.sell("bob@example.com").await);
    for _ in 0..13 {
        assert!(shop.attention().await.is_empty(), "that is how mail works");
        shop.clock.advance(HOUR);
        assert_eq!(worker.turn().await.unwrap(), 2);
    }
    let [item] = &shop.attention().await[..] else { panic!("one item for both") };
    assert_eq!((item.kind.as_str(), &item.subject), (attention::MAILS_DELAYED, &shop.tenant.to_string()));
    assert!(
        item.detail.starts_with("mails have waited for more than an hour, among them the license-delivery mail to ")
    );
    assert!(item.detail.contains(" about lic_") && item.detail.contains(": 451 4.3.0 come back; "), "{}", item.detail);
    assert!(!item.detail.contains("ada@") && !item.detail.contains("bob@"), "{}", item.detail);

    // Another relay, which is asked for one of them at once.
    let well = Relay::start(&["accept"]);
    let worker = shop.worker(Some(well.client()));
    shop.send_again(first.mail).await;
    assert_eq!(worker.turn().await.unwrap(), 1);
    assert_eq!(status(&shop, &first).await, is("sent", 1));
    assert_eq!(shop.open_items().await, [attention::MAILS_DELAYED], "the other one still waits");
    shop.clock.advance(HOUR);
    assert_eq!(worker.turn().await.unwrap(), 1);
    assert_eq!(status(&shop, &second).await, is("sent", 14));
    assert!(shop.attention().await.is_empty());
}

async fn no_other_node_sends_what_takes_long(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["hang"]);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    shop.worker(Some(relay.client())).start(&tasks, &stop);
    let sold = shop.sell("ada@example.com").await;
    relay.wait("hung", 1).await;
    let other = shop.worker(Some(relay.client()));
    for _ in 0..4 {
        // Not yet over, and more than a third: then it is renewed.
        shop.clock.advance(SECOND * 100);
        let now = shop.now().as_microsecond();
        let is_ours = async || shop.mail(sold.mail).await.lease_until == Some(now + 120_000_000);
        until(is_ours).await;
        assert_eq!(other.turn().await.unwrap(), 0);
    }
    assert_eq!((relay.events("hung").len(), status(&shop, &sold).await), (1, is("pending", 0)));
}

async fn an_address_that_is_corrected_on_the_way_gets_the_mail(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["slow", "refuse", "accept"]);
    let worker = shop.worker(Some(relay.client()));
    let sold = shop.sell("adda@example.com").await;
    let other = tokio::spawn(async move { worker.turn().await.map(|_| worker) });
    let is_taken = async || shop.mail(sold.mail).await.lease_until.is_some();
    until(is_taken).await;
    shop.correct(&sold, "ada@example.com").await;
    assert_eq!(shop.mail(sold.mail).await.recipient, "ada@example.com");
    let worker = other.await.unwrap().unwrap();
    let mail = shop.mail(sold.mail).await;
    assert_eq!((mail.status.as_str(), mail.attempts, mail.lease_until), ("pending", 0, None), "the other one has it");

    // This one is refused, and corrected again when that was written down.
    worker.turn().await.unwrap();
    assert_eq!(
        (status(&shop, &sold).await, shop.open_items().await),
        (is("failed", 1), vec![attention::MAIL_FAILED.to_owned()])
    );
    shop.correct(&sold, "ada@example.org").await;
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &sold).await, is("sent", 1));
    let recipients: Vec<String> =
        relay.wait("accepted", 2).await.iter().map(|mail| mail["recipients"][0].as_str().unwrap().to_owned()).collect();
    assert_eq!(recipients, ["adda@example.com", "ada@example.org"]);
    assert!(shop.attention().await.is_empty());
}

async fn without_a_sender_mails_are_held_until_released(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let worker = shop.worker(None);
    let sold = shop.sell("ada@example.com").await;
    assert_eq!(worker.turn().await.unwrap(), 1);
    let other = shop.sell("bob@example.com").await;
    assert_eq!(worker.turn().await.unwrap(), 1);
    assert_eq!(worker.turn().await.unwrap(), 0);
    assert_eq!((status(&shop, &sold).await, status(&shop, &other).await), (is("held", 0), is("held", 0)));
    let [item] = &shop.attention().await[..] else { panic!("one item") };
    assert_eq!((item.kind.as_str(), &item.subject), (store::outbox::NO_SENDER, &shop.tenant.to_string()));
    let told = "no mail sender is configured: mails are caught and have not been sent; start Keywright with --smtp-url \
                or --mail-url, then release what was caught with `keywright mail release`";
    assert_eq!(item.detail, told);

    let relay = Relay::start(&["accept"]);
    let worker = shop.worker(Some(relay.client()));
    worker.offer_release().await.unwrap();
    assert_eq!(worker.turn().await.unwrap(), 0, "nothing leaves without a word");
    let offered = "a mail sender is configured now, and 2 mails are still held from before; release them with `keywright \
                   mail release`";
    assert_eq!(shop.attention().await[0].detail, offered);
    assert_eq!(shop.release().await, 2);
    assert_eq!(worker.turn().await.unwrap(), 2);
    assert_eq!((status(&shop, &sold).await, status(&shop, &other).await), (is("sent", 1), is("sent", 1)));
    assert_eq!(relay.wait("accepted", 2).await.len(), 2);
}

async fn two_workers_share_the_work_and_send_nothing_twice(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    for count in 0..40 {
        shop.sell(&format!("buyer{count}@example.com")).await;
    }
    let (one, two) = (shop.worker(Some(relay.client())), shop.worker(Some(relay.client())));
    let work = |worker: std::sync::Arc<delivery::MailWorker>| async move {
        let mut sent = 0;
        loop {
            match worker.turn().await.unwrap() {
                0 => return sent,
                mails => sent += mails,
            }
        }
    };
    let (left, right) = tokio::join!(tokio::spawn(work(one)), tokio::spawn(work(two)));
    assert_eq!(left.unwrap() + right.unwrap(), 40);
    let mut ids: Vec<String> =
        relay.wait("accepted", 40).await.iter().map(|message| message["headers"]["message-id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), relay.events("accepted").len()), (40, 40));
}

async fn one_bad_mail_does_not_hold_up_the_others(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let worker = shop.worker(Some(relay.client()));
    let unaddressed = shop.sell("ada@").await;
    let good = shop.sell("ada@example.com").await;
    let keyless = shop.sell("bob@example.com").await;
    let write = shop.store().begin().await.unwrap();
    write.move_license_keys(keyless.license, domain::id::LicenseId(keyless.mail.0)).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(worker.turn().await.unwrap(), 3);
    assert_eq!(status(&shop, &unaddressed).await, is("failed", 1));
    assert_eq!(status(&shop, &good).await, is("sent", 1));
    assert_eq!(status(&shop, &keyless).await, is("pending", 1));
    let details: Vec<String> = shop.attention().await.into_iter().map(|item| item.detail).collect();
    assert_eq!(details.len(), 2, "{details:?}");
    assert!(details.iter().any(|text| text.contains("its address is not one that mail can be sent to")), "{details:?}");
    let unwritten =
        format!("cannot be written: {} has no key; restore it from a backup; it is tried again", keyless.license);
    assert!(details.iter().any(|text| text.contains(&unwritten)), "{details:?}");

    let write = shop.store().begin().await.unwrap();
    write.move_license_keys(domain::id::LicenseId(keyless.mail.0), keyless.license).await.unwrap();
    write.commit().await.unwrap();
    shop.clock.advance(SECOND);
    worker.turn().await.unwrap();
    assert_eq!(status(&shop, &keyless).await, is("sent", 2));
    assert_eq!(shop.attention().await.len(), 1, "what was mended is closed");
}

async fn a_license_that_another_stands_for_is_delivered_with_its_key(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let (first, second) = (shop.sell("ada@example.com").await, shop.sell("ada@example.com").await);
    // Before either mail left, the two sales turned out to be one.
    shop.supersede(&second, &first).await;
    assert_eq!(shop.worker(Some(relay.client())).turn().await.unwrap(), 2);
    for message in relay.wait("accepted", 2).await {
        assert!(message["text"].as_str().unwrap().contains(&first.key));
    }
}

async fn what_is_not_so_any_more_is_not_sent(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let sold = shop.sell("ada@example.com").await;
    let notice = shop.notice(&sold, "license-frozen").await;
    assert_eq!(shop.worker(Some(relay.client())).turn().await.unwrap(), 2);
    let row = shop.mail(notice).await;
    assert_eq!((row.status.as_str(), row.next_attempt_at, row.sent_at), ("superseded", None, None));
    assert_eq!(row.response.as_deref(), Some("what it tells was not so any more when it was to be sent"));
    assert_eq!(status(&shop, &sold).await, is("sent", 1));
    assert_eq!(relay.wait("accepted", 1).await.len(), 1);
    assert!(shop.attention().await.is_empty(), "nobody has to do anything");
}

async fn a_vendors_template_is_used_and_a_broken_one_keeps_no_key_back(database: TestDatabase) {
    let shop = Shop::open(database).await;
    let relay = Relay::start(&["accept"]);
    let worker = shop.worker(Some(relay.client()));
    shop.write_template("Your License Key is Ready", "Key {{ licenseKey }} for {{ planName }}").await;
    let first = shop.sell("ada@example.com").await;
    worker.turn().await.unwrap();
    let message = relay.wait("accepted", 1).await.remove(0);
    assert_eq!(message["headers"]["subject"], "Your License Key is Ready");
    assert_eq!(message["text"].as_str().unwrap().trim(), format!("Key {} for Pro", first.key));
    assert!(message["html"].as_str().unwrap().contains("<h1"), "what was not written is built in");

    // One that does not work, and two that work with the examples they were looked at with.
    for (template, problem) in [
        ("{{ kee }}", "`text` does not work in line 1: undefined value"),
        ("Hello{% if order == '1042' %} {{ key }}{% endif %}", "`text` does not show the key"),
        ("Hello{% if product == 'Example' %} {{ key }}{% endif %}", "`text` does not show the key"),
    ] {
        shop.clear_templates().await;
        let broken = shop.write_template("Hi", template).await;
        let already = relay.wait("accepted", 1).await.len();
        let (second, third) = (shop.sell("bob@example.com").await, shop.sell("cleo@example.com").await);
        worker.turn().await.unwrap();
        for message in relay.wait("accepted", already + 2).await.iter().skip(already) {
            let text = message["text"].as_str().unwrap();
            assert!(text.contains(&second.key) || text.contains(&third.key), "{text}");
            assert_eq!(message["headers"]["subject"], "Your Acme Studio license key is ready");
        }
        let items = shop.attention().await;
        let about: Vec<_> = items.iter().filter(|item| item.subject == broken.to_string()).collect();
        let [item] = &about[..] else { panic!("one item for both mails") };
        assert_eq!(item.kind, store::mail_templates::MAIL_TEMPLATE_BROKEN);
        assert!(item.detail.contains(problem), "{}", item.detail);
        assert!(!item.detail.contains(&second.key) && !item.detail.contains(&third.key));
    }
}
