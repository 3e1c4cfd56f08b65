//! Alerts on their way to real receivers and a real SMTP server, on both databases.

use std::{sync::Arc, time::Duration};

use crypto::{
    seal::{Place, sealed_by},
    webhook::{self, AlertTarget, WebhookSecret},
};
use delivery::{
    Transport,
    alerts::{AlertParts, AlertWorker},
    webhooks::LIMITS,
};
use domain::{
    alert::{ALERTS_FAILING, SETTLED_AFTER, TEST},
    id::{AlertChannelId, AlertId, AttentionId, uuid_v7},
};
use jiff::SignedDuration;
use net::{Client, Limits, Reach};
use serde_json::{Value, json};
use store::{
    alerts::status,
    lists::Page,
    rows::{Alert, AlertChannel, AttentionItem},
    testing::TestDatabase,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    receiver::{Receiver, Temper},
    relay::Relay,
    shop::Shop,
};

const FINE: Temper = Temper::Says(200, "", "ok");
const LEASE: SignedDuration = SignedDuration::from_secs(30);
const HASTE: Limits = Limits { connect: Duration::from_millis(700), total: Duration::from_millis(800), ..LIMITS };

macro_rules! on_both_databases {
    ($($name:ident,)*) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Desk::open(store::testing::TestDatabase::sqlite().await).await).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Desk::open(store::testing::TestDatabase::postgres().await).await).await; })* }
    };
}

on_both_databases![
    an_item_is_told_once_by_each_channel_that_carries_it,
    a_call_is_signed_and_says_what_to_do,
    slack_gets_one_text,
    a_mail_goes_through_the_relay,
    an_item_that_opens_again_alerts_once_an_hour,
    an_outage_is_one_alert,
    what_is_mended_within_a_minute_is_not_told,
    what_is_over_or_laid_aside_is_not_told,
    a_receiver_that_is_away_gets_it_later,
    a_channel_that_refuses_is_told_by_the_others,
    channels_that_hang_delay_no_other,
    each_mode_has_its_channels,
    a_channel_stays_with_the_node_whose_message_takes_long,
    a_node_that_dies_leaves_its_channels_to_the_next,
    a_test_is_told_what_became_of_it,
];

/// Who is to be told.
struct Desk {
    shop: Shop,
    worker: Arc<AlertWorker>,
}

fn node(shop: &Shop, sender: Option<Transport>) -> Arc<AlertWorker> {
    node_with(shop, sender, LEASE)
}

fn node_with(shop: &Shop, sender: Option<Transport>, lease: SignedDuration) -> Arc<AlertWorker> {
    Arc::new(AlertWorker::new(AlertParts {
        store: shop.store().clone(),
        ring: shop.ring.clone(),
        clock: Arc::clone(&shop.clock) as Arc<dyn domain::ambient::Clock>,
        entropy: shop.entropy(),
        client: Client::new(Reach::Loopback, HASTE).unwrap(),
        sender,
        public_url: "https://keys.acme.test".into(),
        wake: Arc::new(Notify::new()),
        lease,
    }))
}

fn secret() -> WebhookSecret {
    WebhookSecret::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap()
}

impl Desk {
    async fn open(database: TestDatabase) -> Self {
        let shop = Shop::open(database).await;
        let worker = node(&shop, None);
        Self { shop, worker }
    }

    fn id(&self) -> Uuid {
        uuid_v7(self.shop.now(), &mut *self.shop.entropy().entropy())
    }

    async fn channel(
        &self,
        code: &str,
        kind: &str,
        to: &str,
        change: impl FnOnce(&mut AlertChannel),
    ) -> AlertChannelId {
        let id = self.id();
        let target = AlertTarget { to: to.to_owned(), secret: (kind == "webhook").then(secret) };
        let place = Place::alert_channel(self.shop.tenant, id);
        let text = serde_json::to_vec(&target).unwrap();
        let sealed = self.shop.ring.get().seal(place, &text, &mut *self.shop.entropy().entropy()).0;
        let mut row = AlertChannel {
            id,
            tenant_id: self.shop.tenant.0,
            livemode: true,
            code: code.to_owned(),
            kind: kind.to_owned(),
            hint: "acme.test".to_owned(),
            items: "[]".to_owned(),
            sealed_by: sealed_by(&sealed).unwrap().to_string(),
            sealed,
            lease_token: None,
            lease_until: None,
            created_at: self.shop.now().as_microsecond(),
        };
        change(&mut row);
        let write = self.shop.store().begin().await.unwrap();
        write.save_alert_channel(row).await.unwrap();
        write.commit().await.unwrap();
        AlertChannelId(id)
    }

    fn item(&self, kind: &str, subject: &str) -> AttentionItem {
        let detail = format!("{subject} for ada@example.com is wrong; mend it");
        let (id, about) = (AttentionId(self.id()), (kind, subject.to_owned()));
        AttentionItem::new(id, self.shop.tenant, about, detail, self.shop.now())
    }

    async fn opens(&self, items: Vec<AttentionItem>) {
        let write = self.shop.store().begin().await.unwrap();
        write.open_items(items).await.unwrap();
        write.commit().await.unwrap();
    }

    async fn opens_one(&self, kind: &str, subject: &str) {
        self.opens(vec![self.item(kind, subject)]).await;
    }

    async fn closes(&self, kind: &str, subject: &str) {
        let write = self.shop.store().begin().await.unwrap();
        let subjects = vec![subject.to_owned()];
        write.close_items_about(self.shop.tenant, kind, subjects, self.shop.now()).await.unwrap();
        write.commit().await.unwrap();
    }

    /// Has what opened noticed, and lets the minute pass after which it alerts.
    async fn settles(&self) -> usize {
        let tried = self.worker.turn().await.unwrap();
        self.shop.clock.advance(SETTLED_AFTER);
        tried
    }

    /// Lets what opened settle, and turns until nothing is due. Returns how many messages were tried.
    async fn turns(&self) -> usize {
        let mut tried = self.settles().await;
        loop {
            match self.worker.turn().await.unwrap() {
                0 => return tried,
                more => tried += more,
            }
        }
    }

    async fn alerts(&self, channel: AlertChannelId) -> Vec<Alert> {
        let page = Page { from: None, limit: 100 };
        self.shop.store().list_alerts(channel, page).await.unwrap().rows
    }

    /// How the alerts of a channel are, in the order of the alphabet.
    async fn statuses(&self, channel: AlertChannelId) -> Vec<String> {
        let mut statuses: Vec<String> = self.alerts(channel).await.into_iter().map(|alert| alert.status).collect();
        statuses.sort();
        statuses
    }
}

fn body(receiver: &Receiver, call: usize) -> Value {
    serde_json::from_str(&receiver.calls()[call].body).unwrap()
}

async fn an_item_is_told_once_by_each_channel_that_carries_it(desk: Desk) {
    let (every, some, none) = (Receiver::start(FINE).await, Receiver::start(FINE).await, Receiver::start(FINE).await);
    // What was open before is no news to a channel that is made later.
    desk.opens_one("unmapped_price", "before").await;
    desk.turns().await;
    desk.channel("every", "slack", &every.url(), |_| {}).await;
    desk.channel("some", "slack", &some.url(), |row| row.items = r#"["mail_failed"]"#.to_owned()).await;
    desk.channel("none", "slack", &none.url(), |row| row.items = r#"["no_events"]"#.to_owned()).await;
    for _ in 0..3 {
        // It is found again and again, as causes are, and stays one item.
        desk.opens(vec![desk.item("mail_failed", "a mail"), desk.item("approval", "a sale")]).await;
        desk.turns().await;
    }
    assert_eq!([every.calls().len(), some.calls().len(), none.calls().len()], [1, 1, 0], "approval is daily work");
}

async fn a_call_is_signed_and_says_what_to_do(desk: Desk) {
    let receiver = Receiver::start(FINE).await;
    let channel = desk.channel("ours", "webhook", &receiver.url(), |_| {}).await;
    desk.opens_one("unmapped_price", "price_1").await;
    assert_eq!(desk.turns().await, 1);
    let call = &receiver.calls()[0];
    let alert = &desk.alerts(channel).await[0];
    let (id, at) = (call.headers["webhook-id"].clone(), call.headers["webhook-timestamp"].parse().unwrap());
    assert_eq!(id, AlertId(alert.id).to_string());
    assert_eq!(call.headers["webhook-signature"], webhook::standard(&[secret()], &id, at, call.body.as_bytes()));
    let item = AttentionId(alert.item_id.unwrap());
    let document = body(&receiver, 0);
    let data = &document["data"];
    assert_eq!((document["type"].as_str(), data["kind"].as_str()), (Some("alert.opened"), Some("unmapped_price")));
    assert_eq!((data["tenant_slug"].as_str(), data["count"].as_u64()), (Some("acme"), Some(1)));
    assert_eq!(data["items"][0]["detail"], "price_1 for a…@example.com is wrong; mend it", "no address in clear");
    assert_eq!(data["items"][0]["url"], format!("https://keys.acme.test/v1/attention-items/{item}"));
    assert_eq!(desk.statuses(channel).await, [status::SENT]);
}

async fn slack_gets_one_text(desk: Desk) {
    let receiver = Receiver::start(FINE).await;
    desk.channel("ours", "slack", &receiver.url(), |_| {}).await;
    desk.opens_one("signatures_failing", "the connection").await;
    desk.turns().await;
    let document = body(&receiver, 0);
    assert_eq!(document.as_object().unwrap().len(), 1);
    let text = document["text"].as_str().unwrap();
    assert!(text.starts_with("*[Keywright] Acme: webhook calls are refused*\n• the connection for a…"), "{text}");
    assert_eq!(receiver.calls()[0].headers["content-type"], "application/json");
}

async fn a_mail_goes_through_the_relay(desk: Desk) {
    let relay = Relay::start(&["accept"]);
    let channel = desk.channel("ours", "mail", "ops@acme.test", |_| {}).await;
    desk.opens_one("no_events", "stripe").await;
    // Without a relay it waits.
    desk.turns().await;
    assert_eq!(
        desk.alerts(channel).await[0].error.as_deref().unwrap().split(';').next(),
        Some("no mail sender is configured")
    );
    desk.shop.clock.advance(SignedDuration::from_mins(5));
    let worker = node(&desk.shop, Some(relay.client().into()));
    assert_eq!(worker.turn().await.unwrap(), 1);
    let mails = relay.wait("accepted", 1).await;
    let mail = mails[0].to_string();
    for part in [
        "[Keywright] Acme: no event for unusually long",
        "ops@acme.test",
        "since 2026-11-21 12:00 UTC",
        "auto-submitted",
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    assert!(!mail.contains("ada@example.com"), "{mail}");
    assert_eq!(desk.statuses(channel).await, [status::SENT]);
}

async fn a_channel_stays_with_the_node_whose_message_takes_long(desk: Desk) {
    let relay = Relay::start(&["hang"]);
    desk.channel("ours", "mail", "ops@acme.test", |_| {}).await;
    desk.opens_one("no_events", "stripe").await;
    desk.settles().await;
    let short = SignedDuration::from_millis(300);
    let busy = node_with(&desk.shop, Some(relay.client().into()), short);
    let serving = tokio::spawn(async move { busy.turn().await });
    relay.wait("hung", 1).await;
    desk.shop.clock.advance(LEASE);
    let now = desk.shop.now();
    let start = std::time::Instant::now();
    while !desk.shop.store().due_alert_channels(now).await.unwrap().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "its lease is not renewed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(node(&desk.shop, Some(relay.client().into())).turn().await.unwrap(), 0);
    assert_eq!(relay.events("hung").len(), 1);
    serving.abort();
}

async fn an_item_that_opens_again_alerts_once_an_hour(desk: Desk) {
    let receiver = Receiver::start(FINE).await;
    desk.channel("ours", "webhook", &receiver.url(), |_| {}).await;
    for _ in 0..3 {
        desk.opens_one("lookup_failing", "stripe").await;
        desk.turns().await;
        desk.closes("lookup_failing", "stripe").await;
        desk.shop.clock.advance(SignedDuration::from_mins(10));
    }
    assert_eq!(receiver.calls().len(), 1, "it went and came within the hour");
    desk.opens_one("lookup_failing", "stripe").await;
    desk.turns().await;
    desk.shop.clock.advance(SignedDuration::from_mins(31));
    desk.turns().await;
    let ids: Vec<String> = receiver.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 2, "it is still open an hour after the first alert");
    assert_ne!(ids[0], ids[1], "and that is another alert");
}

async fn an_outage_is_one_alert(desk: Desk) {
    let receiver = Receiver::start(FINE).await;
    let channel = desk.channel("ours", "webhook", &receiver.url(), |_| {}).await;
    let many =
        |from: usize, to: usize| (from..to).map(|number| desk.item("mail_failed", &number.to_string())).collect();
    desk.opens(many(0, 300)).await;
    desk.opens_one("sender_failing", "the relay").await;
    assert_eq!(desk.turns().await, 2);
    let counts: Vec<u64> = (0..2).map(|call| body(&receiver, call)["data"]["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [300, 1]);
    assert_eq!(body(&receiver, 0)["data"]["items"].as_array().unwrap().len(), 10);
    // Those that follow within the minute wait for its end.
    desk.opens(many(300, 320)).await;
    desk.worker.turn().await.unwrap();
    desk.shop.clock.advance(SignedDuration::from_secs(30));
    desk.opens(many(320, 340)).await;
    desk.worker.turn().await.unwrap();
    desk.shop.clock.advance(SignedDuration::from_secs(31));
    assert_eq!(desk.worker.turn().await.unwrap(), 1);
    desk.shop.clock.advance(SignedDuration::from_secs(29));
    assert_eq!(desk.worker.turn().await.unwrap(), 0);
    desk.shop.clock.advance(SignedDuration::from_secs(31));
    assert_eq!(desk.worker.turn().await.unwrap(), 1);
    assert_eq!((&body(&receiver, 2)["data"]["count"], &body(&receiver, 3)["data"]["count"]), (&json!(20), &json!(20)));
    assert_eq!(desk.statuses(channel).await.iter().filter(|status| *status == status::SENT).count(), 100, "of a page");
}

async fn what_is_mended_within_a_minute_is_not_told(desk: Desk) {
    let receiver = Receiver::start(FINE).await;
    let channel = desk.channel("ours", "webhook", &receiver.url(), |_| {}).await;
    let (second, most) = (SignedDuration::from_secs(1), SETTLED_AFTER - SignedDuration::from_secs(1));
    // A buyer whose address is looked up, twice: the second time within the minute of the first.
    for order in ["first order", "second order", "first order"] {
        desk.opens_one("no_address", order).await;
        assert_eq!(desk.worker.turn().await.unwrap(), 0);
        desk.shop.clock.advance(second);
        desk.closes("no_address", order).await;
    }
    desk.opens_one("no_address", "first order").await;
    for wait in [SignedDuration::ZERO, most] {
        desk.shop.clock.advance(wait);
        assert_eq!((desk.worker.turn().await.unwrap(), receiver.calls().len()), (0, 0), "after {wait}");
    }
    desk.shop.clock.advance(second);
    assert_eq!((desk.worker.turn().await.unwrap(), receiver.calls().len()), (1, 1), "it stayed open for a minute");
    desk.shop.clock.advance(SETTLED_AFTER);
    desk.worker.turn().await.unwrap();
    assert_eq!(desk.statuses(channel).await, [status::SENT, status::WITHDRAWN]);
    assert_eq!(body(&receiver, 0)["data"]["count"], 1);
}

async fn what_is_over_or_laid_aside_is_not_told(desk: Desk) {
    let receiver = Receiver::start(Temper::Resets).await;
    let channel = desk.channel("ours", "slack", &receiver.url(), |_| {}).await;
    desk.opens(vec![AttentionItem { dismissed_at: Some(1), ..desk.item("mail_failed", "laid aside") }]).await;
    desk.opens_one("mail_failed", "over").await;
    desk.turns().await;
    desk.closes("mail_failed", "over").await;
    receiver.becomes(FINE);
    desk.shop.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(desk.turns().await, 0);
    assert_eq!((desk.statuses(channel).await, receiver.calls().len()), (vec![status::WITHDRAWN.to_owned()], 1));
}

async fn a_receiver_that_is_away_gets_it_later(desk: Desk) {
    for temper in [
        Temper::Says(500, "", "oh"),
        Temper::Says(429, "retry-after: 60\r\n", "slow down"),
        Temper::Says(408, "", ""),
        Temper::Resets,
        Temper::Hangs,
    ] {
        let receiver = Receiver::start(temper).await;
        let channel =
            desk.channel(&receiver.address.to_string().replace(':', "-"), "webhook", &receiver.url(), |_| {}).await;
        desk.opens_one("deliveries_dead", &receiver.address.to_string()).await;
        desk.turns().await;
        let alert = desk.alerts(channel).await.remove(0);
        assert_eq!((alert.status.as_str(), alert.attempts), (status::PENDING, 1), "{:?}", alert.error);
        receiver.becomes(FINE);
        desk.shop.clock.advance(SignedDuration::from_secs(61));
        desk.turns().await;
        assert_eq!(desk.statuses(channel).await, [status::SENT]);
        let ids: Vec<String> = receiver.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect();
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the same alert");
        let write = desk.shop.store().begin().await.unwrap();
        write.remove_alert_channel(channel.0).await.unwrap();
        write.commit().await.unwrap();
    }
}

async fn a_channel_that_refuses_is_told_by_the_others(desk: Desk) {
    let (gone, fine) = (Receiver::start(Temper::Says(404, "", "no_team")).await, Receiver::start(FINE).await);
    let broken = desk.channel("gone", "slack", &gone.url(), |_| {}).await;
    desk.channel("fine", "webhook", &fine.url(), |row| row.items = format!(r#"["{ALERTS_FAILING}"]"#)).await;
    desk.opens_one("unmapped_price", "price_1").await;
    assert_eq!(desk.turns().await, 1);
    assert_eq!(desk.turns().await, 1, "that it failed is an item, which settles as any other");
    assert_eq!((desk.statuses(broken).await, gone.calls().len()), (vec![status::FAILED.to_owned()], 1));
    let told = body(&fine, 0)["data"]["items"][0]["detail"].to_string();
    assert!(told.contains("`gone`") && told.contains("it answered 404: no_team"), "{told}");
    // It is mended with the next alert that it takes.
    gone.becomes(FINE);
    desk.opens_one("unmapped_price", "price_2").await;
    desk.turns().await;
    assert!(!desk.shop.open_items().await.contains(&ALERTS_FAILING.to_owned()));
}

/// More than are served at the same time, before the one that is fine.
const HANGING: usize = 20;

async fn channels_that_hang_delay_no_other(desk: Desk) {
    let (slow, fine) = (Receiver::start(Temper::Hangs).await, Receiver::start(FINE).await);
    for number in 0..HANGING {
        desk.channel(&format!("slow-{number}"), "slack", &slow.url(), |_| {}).await;
    }
    let channel = desk.channel("fine", "slack", &fine.url(), |_| {}).await;
    desk.opens(vec![desk.item("mail_failed", "a mail"), desk.item("unmapped_price", "a price")]).await;
    desk.settles().await;
    let (tasks, stop) = (tokio_util::task::TaskTracker::new(), tokio_util::sync::CancellationToken::new());
    desk.worker.start(&tasks, &stop);
    while desk.statuses(channel).await != [status::SENT, status::SENT] {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    // One that hangs rests with all that is due there.
    assert!(slow.calls().len() <= HANGING, "{}", slow.calls().len());
    assert_eq!(fine.calls().len(), 2);
}

async fn each_mode_has_its_channels(desk: Desk) {
    let (live, test) = (Receiver::start(FINE).await, Receiver::start(FINE).await);
    desk.channel("live", "webhook", &live.url(), |_| {}).await;
    desk.channel("test", "webhook", &test.url(), |row| row.livemode = false).await;
    // An item about a webhook endpoint or a channel has a mode as one about a connection has.
    let of_mode = |mode, subject| AttentionItem { livemode: mode, ..desk.item("deliveries_dead", subject) };
    desk.opens(vec![of_mode(None, "both"), of_mode(Some(true), "live"), of_mode(Some(false), "test")]).await;
    desk.turns().await;
    assert_eq!([live.calls().len(), test.calls().len()], [2, 1]);
    assert_eq!(body(&test, 0)["data"]["livemode"], false);
}

async fn a_node_that_dies_leaves_its_channels_to_the_next(desk: Desk) {
    let receiver = Receiver::start(FINE).await;
    let channel = desk.channel("ours", "slack", &receiver.url(), |_| {}).await;
    desk.opens_one("mail_failed", "a mail").await;
    desk.settles().await;
    let write = desk.shop.store().begin().await.unwrap();
    let until = desk.shop.now() + LEASE;
    let leased = write.lease_alert_channel(channel.0, desk.id(), desk.shop.now(), until).await.unwrap();
    write.commit().await.unwrap();
    assert!(leased.is_some());
    assert_eq!((desk.worker.turn().await.unwrap(), receiver.calls().len()), (0, 0), "the other node may be at it");
    desk.shop.clock.advance(LEASE);
    assert_eq!((desk.worker.turn().await.unwrap(), receiver.calls().len()), (1, 1));
}

async fn a_test_is_told_what_became_of_it(desk: Desk) {
    let receiver = Receiver::start(Temper::Says(500, "", "oh")).await;
    let channel = desk.channel("ours", "webhook", &receiver.url(), |_| {}).await;
    for expected in [status::FAILED, status::SENT] {
        let test = Alert {
            id: desk.id(),
            tenant_id: desk.shop.tenant.0,
            channel_id: channel.0,
            item_id: None,
            kind: TEST.to_owned(),
            status: status::PENDING.to_owned(),
            attempts: 0,
            next_attempt_at: Some(desk.shop.now().as_microsecond()),
            error: None,
            created_at: desk.shop.now().as_microsecond(),
            sent_at: None,
        };
        let write = desk.shop.store().begin().await.unwrap();
        write.add_alerts(vec![test.clone()]).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(desk.turns().await, 1);
        assert_eq!(desk.shop.store().alert(test.id).await.unwrap().unwrap().status, expected);
        receiver.becomes(FINE);
    }
    assert_eq!(body(&receiver, 1)["type"], "alert.test");
    assert_eq!(desk.shop.open_items().await, [] as [String; 0], "whoever tries it out knows");
}
