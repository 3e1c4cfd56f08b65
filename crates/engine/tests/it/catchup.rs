//! Catching up: what no webhook brought is read from the provider's own list, and ends as if it had been delivered.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use domain::reason::day;
use engine::{
    Dial, DialError, Dialled, Engine, catchup::CatchUpError, configuration::ConfigurationFile, connections::Connection,
    receive::Received, rulings::By,
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::{Delivery, http::Request, signature};
use serde_json::{Value, json};
use store::{outbox, rows::Backfill, testing::TestDatabase};

use crate::{
    harness::{Harness, on_both_databases},
    life::{BEGIN, DAY, LivesAtTheirEnd, SECRET, event, refunded_life, subscription_life},
};

/// What goes wrong: a status and its `retry-after`. None: nothing.
type Trouble = Option<(u16, Option<u32>)>;

/// A Stripe that keeps a list of its events, and answers what it is told to answer first.
#[derive(Default)]
struct Listed {
    /// The oldest first.
    events: Mutex<Vec<Value>>,
    /// What the next calls for the list are answered, instead of a page.
    troubles: Mutex<VecDeque<Trouble>>,
    asked: Mutex<Vec<String>>,
}

impl Listed {
    fn happen(&self, events: impl IntoIterator<Item = Value>) {
        let mut all = self.events.lock().unwrap();
        all.extend(events);
        all.sort_by_key(|event| event["created"].as_i64());
    }

    fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.lock().unwrap().extend(troubles);
    }

    /// The queries for the list since the last time this was asked.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn answer(&self, query: &str) -> Dialled {
        self.asked.lock().unwrap().push(query.to_owned());
        if let Some(Some((status, retry_after_seconds))) = self.troubles.lock().unwrap().pop_front() {
            return Dialled { status, body: "{}".to_owned(), retry_after_seconds };
        }
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let since: i64 = value("created%5Bgte%5D").unwrap().parse().unwrap();
        let limit: usize = value("limit").unwrap().parse().unwrap();
        let all = self.events.lock().unwrap();
        let newest_first: Vec<&Value> =
            all.iter().rev().filter(|event| event["created"].as_i64() >= Some(since)).collect();
        let start = value("starting_after").map_or(0, |after| {
            newest_first.iter().position(|event| event["id"] == *after).expect("a place to go on from") + 1
        });
        let end = newest_first.len().min(start + limit);
        let has_more = end < newest_first.len();
        let body = json!({ "object": "list", "has_more": has_more, "data": newest_first[start..end] });
        Dialled { status: 200, body: body.to_string(), retry_after_seconds: None }
    }
}

impl Dial for Listed {
    fn dial<'a>(
        &'a self,
        connection: &'a Connection,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Dialled, DialError>> {
        match request.path.strip_prefix("/v1/events?") {
            Some(query) => Box::pin(std::future::ready(Ok(self.answer(query)))),
            None => LivesAtTheirEnd.dial(connection, request),
        }
    }
}

/// A shop at that Stripe.
struct Shop {
    harness: Harness,
    stripe: Arc<Listed>,
}

impl Shop {
    async fn open(database: TestDatabase) -> Self {
        Self::with_level(database, "read").await
    }

    async fn with_level(database: TestDatabase, level: &str) -> Self {
        let stripe = Arc::new(Listed::default());
        let harness = Harness::with_dialler(database, Arc::clone(&stripe) as Arc<_>).await;
        let shop = Self { harness, stripe };
        shop.apply(level).await;
        shop
    }

    /// Makes the shop's configuration so, with that level.
    async fn apply(&self, level: &str) {
        let file = format!(
            r#"
            product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
            plan = [{{ code = "basic", product = "studio", name = "Basic" }}]
            connection = [{{ code = "stripe", provider = "stripe", mode = "test", level = "{level}",
                webhook_secrets = ["env:SECRET"], api_key = "env:API_KEY" }}]
            price_rule = [
                {{ connection = "stripe", price = "price_basic", plan = "basic" }},
                {{ connection = "stripe", price = "price_once", plan = "basic" }},
            ]
            "#
        );
        let secret = |source: &str| Ok(if source == "env:SECRET" { SECRET } else { "rk_test_1" }.to_owned());
        self.engine().apply(&ConfigurationFile::parse(&file).unwrap(), &secret, false, "test").await.unwrap();
    }

    /// Whose lists have been read up to now.
    async fn caught_up(database: TestDatabase) -> Self {
        let shop = Self::open(database).await;
        shop.catch_up().await;
        shop.stripe.asked();
        shop
    }

    fn engine(&self) -> &Engine {
        &self.harness.engine
    }

    fn later(&self, seconds: i64) {
        self.harness.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Reads what is due now, and works on it until nothing is left to do; look-ups that wait for a while have time.
    async fn catch_up(&self) {
        let connection = self.harness.connection("stripe").await;
        loop {
            let waited = self.engine().store.has_look_ups(connection, self.engine().now()).await.unwrap();
            let read = self.engine().catch_up().await.unwrap();
            self.harness.settle().await;
            if waited {
                self.later(1);
            } else if !read {
                break;
            }
        }
    }

    async fn deliver(&self, event: &Value) {
        let body = event.to_string();
        let signed = signature::sign(&SECRET.into(), body.as_bytes(), self.engine().now());
        let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let received = self.engine().receive("stripe", "default", &delivery).await;
        assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
    }

    async fn deliver_all(&self, events: &[Value]) {
        futures::future::join_all(events.iter().map(|event| self.deliver(event))).await;
        self.harness.settle().await;
    }

    /// Each sale's licenses with their mails.
    async fn outcomes(&self, references: &[String]) -> Vec<String> {
        let mut mails: HashMap<uuid::Uuid, usize> = HashMap::new();
        for mail in self.engine().store.mails(self.harness.tenant.0, 100_000).await.unwrap() {
            assert_eq!(mail.status, outbox::status::PENDING);
            *mails.entry(mail.license_id).or_default() += 1;
        }
        let connection = self.harness.connection("stripe").await;
        let mut outcomes = Vec::new();
        for name in references {
            let reference = domain::text::Reference::new(name.clone());
            let found = self.engine().store.order_licenses(connection, &reference).await.unwrap();
            let licenses = found.map(|(_, licenses)| licenses).unwrap_or_default();
            let told = licenses.iter().map(|license| {
                let until = license.standing.until.map_or_else(|| "ever".to_owned(), day);
                let mails = mails.get(&license.id.0).copied().unwrap_or_default();
                format!("{} until {until}, {mails} mails", license.standing.state.as_str())
            });
            outcomes.push(format!("{name}: {}", told.collect::<Vec<_>>().join(" and ")));
        }
        outcomes
    }

    async fn row(&self) -> Backfill {
        self.engine().store.backfills().await.unwrap().into_iter().next().expect("a list is read")
    }

    async fn attention(&self) -> Vec<String> {
        let items = self.engine().store.attention(self.harness.tenant, 100).await.unwrap();
        items.into_iter().map(|item| format!("{}: {}", item.kind, item.detail)).collect()
    }

    async fn start(&self, since: Option<Timestamp>) -> Result<Backfill, CatchUpError> {
        let connection = self.harness.connection("stripe").await;
        let by = By { actor: "test".to_owned(), note: None };
        self.engine().start_catching_up(self.harness.tenant, connection, since, &by).await
    }
}

/// A day of a shop: so many subscriptions and so many checkouts, with whatever else Stripe writes down. Returns the events
/// that a webhook would have brought, all events, and the names of the sales.
fn a_day(of_each: usize) -> (Vec<Value>, Vec<Value>, Vec<String>) {
    let mut told = Vec::new();
    let mut names = Vec::new();
    for number in 0..of_each {
        told.extend(subscription_life(&format!("sub{number}")).into_iter().take(3));
        told.extend(refunded_life(&format!("once{number}")).into_iter().take(2));
        names.extend([format!("sub_sub{number}"), format!("cs_once{number}")]);
    }
    let noise = (0..of_each)
        .map(|number| event(&format!("noise{number}"), 1, "payment_intent.succeeded", BEGIN + 9, &json!({})));
    let all = told.iter().cloned().chain(noise).collect();
    (told, all, names)
}

async fn a_day_of_lost_webhooks(database: TestDatabase) {
    let (told, all, names) = a_day(40);
    let delivered = Shop::open(TestDatabase::sqlite().await).await;
    delivered.later(DAY);
    delivered.deliver_all(&told).await;
    let expected = delivered.outcomes(&names).await;
    assert_eq!(expected[0], "sub_sub0: active until 2026-12-01, 1 mails");
    assert_eq!(expected[1], "cs_once0: active until ever, 1 mails");

    let shop = Shop::caught_up(database).await;
    shop.stripe.happen(all);
    shop.later(DAY);
    shop.catch_up().await;
    assert_eq!(shop.outcomes(&names).await, expected, "as if every webhook had come");
    let first = shop.stripe.asked();
    assert_eq!(first.len(), 3, "240 events on pages of 100: {first:?}");
    assert_eq!(shop.row().await.found, 200, "without the noise");
    assert_eq!(shop.engine().verify().await.unwrap(), []);
    // Days later Stripe sends them after all, and a person has the list read again.
    shop.later(3 * DAY);
    shop.deliver_all(&told).await;
    let ago = Timestamp::from_second(BEGIN).unwrap();
    shop.start(Some(ago)).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.stripe.asked().len(), 3);
    assert_eq!(shop.row().await.found, 0);
    assert_eq!(shop.outcomes(&names).await, expected, "no second key and no second mail");
    assert_eq!(shop.attention().await, [""; 0]);
}

/// A fresh connection begins a little before now; then every quarter of an hour, each time a little before the last.
async fn the_time_of_readings(database: TestDatabase) {
    let shop = Shop::open(database).await;
    shop.stripe.happen(subscription_life("long_ago").into_iter().take(3).map(|mut event| {
        event["created"] = json!(BEGIN - 20 * DAY);
        event
    }));
    let mut begun = Vec::new();
    for _ in 0..4 {
        shop.catch_up().await;
        begun.push(shop.stripe.asked());
        shop.later(10 * 60);
    }
    let from = |seconds: i64| vec![format!("created%5Bgte%5D={}&limit=100", BEGIN + seconds)];
    // After 20 minutes, since after 10 it was too early; and from there again.
    assert_eq!(begun, [from(-300), vec![], from(-300), vec![]]);
    assert_eq!(shop.row().await.found, 0, "what happened long before is left alone");
    shop.later(10 * 60);
    shop.catch_up().await;
    assert_eq!(shop.stripe.asked(), from(20 * 60 - 300));
    assert_eq!(shop.harness.licenses_at("stripe", "sub_long_ago").await, 0);
}

/// A node that starts reads all lists, except for one that has just been refused.
async fn at_a_start(database: TestDatabase) {
    let shop = Shop::caught_up(database).await;
    for (trouble, asked) in [(None, 1), (Some((429, Some(600))), 1), (None, 0)] {
        shop.stripe.trouble([trouble]);
        shop.later(60);
        shop.engine().hasten_catching_up().await.unwrap();
        shop.catch_up().await;
        assert_eq!(shop.stripe.asked().len(), asked, "{trouble:?}");
    }
}

/// Busy, broken and silent: the same page is asked again, when the provider says or a little later.
async fn what_fails_is_asked_again(database: TestDatabase) {
    let (_, all, names) = a_day(40);
    let shop = Shop::caught_up(database).await;
    shop.stripe.happen(all);
    shop.later(900);
    shop.stripe.trouble([None, Some((429, Some(120))), Some((500, None))]);
    shop.catch_up().await;
    let asked = shop.stripe.asked();
    assert_eq!(asked.len(), 2, "the first page, and the second in vain: {asked:?}");
    let second = asked[1].clone();
    assert!(second.contains("starting_after="), "{second}");
    shop.later(119);
    shop.catch_up().await;
    assert_eq!(shop.stripe.asked(), [""; 0], "not before its time");
    shop.later(1);
    shop.catch_up().await;
    assert_eq!(
        shop.stripe.asked(),
        [second.replace("limit=100", "limit=50")],
        "a smaller page, in case it was too large"
    );
    assert_eq!(shop.row().await.attempts, 2);
    shop.later(2);
    shop.catch_up().await;
    let rest = shop.stripe.asked();
    assert_eq!(rest[0], second.replace("limit=100", "limit=25"));
    assert!(rest[1].contains("limit=100&starting_after="), "and whole pages again: {rest:?}");
    for name in names {
        assert_eq!(shop.harness.licenses_at("stripe", &name).await, 1, "{name}");
    }
    assert_eq!((shop.row().await.found, shop.attention().await.len()), (200, 0));
}

/// An event that was the place to go on from is gone: the list is read from its beginning again.
async fn a_lost_place(database: TestDatabase) {
    let (_, all, _) = a_day(30);
    let shop = Shop::caught_up(database).await;
    shop.stripe.happen(all);
    shop.later(900);
    shop.stripe.trouble([None, Some((404, None))]);
    shop.catch_up().await;
    shop.later(1);
    shop.catch_up().await;
    let asked = shop.stripe.asked();
    let begins: Vec<bool> = asked.iter().map(|query| !query.contains("starting_after")).collect();
    assert_eq!(begins[..4], [true, false, true, false], "{asked:?}");
    assert_eq!(shop.row().await.found, 150);
}

/// A key that may not read the list needs a person, who is told which permission it lacks, until it has it.
async fn a_missing_permission(database: TestDatabase) {
    let shop = Shop::caught_up(database).await;
    shop.stripe.trouble([Some((403, None)), Some((401, None))]);
    let permission = "not_caught_up: events of stripe that no webhook brings are not found: its API key needs the permission \
                      `Events: read`; it is tried again by itself";
    for expected in [vec![permission], vec![permission], vec![]] {
        shop.later(900);
        shop.catch_up().await;
        assert_eq!(shop.attention().await.len(), expected.len());
        assert_eq!(shop.stripe.asked().len(), 1, "once in a quarter of an hour");
    }
}

/// Who may not ask any more has nothing to act on. Once they may again, it goes on from where it was.
async fn a_level_that_is_taken_away(database: TestDatabase) {
    let shop = Shop::caught_up(database).await;
    shop.stripe.trouble([Some((403, None))]);
    shop.later(900);
    shop.catch_up().await;
    assert_eq!(shop.harness.attention().await, ["not_caught_up"]);
    shop.stripe.asked();
    shop.apply("none").await;
    shop.later(900);
    shop.catch_up().await;
    assert_eq!((shop.attention().await.len(), shop.stripe.asked().len()), (0, 0));
    assert_eq!((shop.row().await.error, shop.row().await.attempts), (None, 0));
    let ago = format!("created%5Bgte%5D={}&limit=100", BEGIN - 300);
    shop.apply("read").await;
    shop.catch_up().await;
    assert_eq!(shop.stripe.asked(), [ago], "the time without a key is not left out");
    assert_eq!(shop.attention().await, [""; 0]);
}

/// A list that keeps failing needs a person, but not after its first failure.
async fn a_list_that_keeps_failing(database: TestDatabase) {
    let shop = Shop::caught_up(database).await;
    shop.stripe.trouble([Some((500, None)); 5]);
    let mut told = Vec::new();
    for _ in 0..6 {
        shop.later(900);
        shop.catch_up().await;
        told.push(shop.attention().await.len());
    }
    assert_eq!(told, [0, 0, 0, 1, 1, 0]);
}

/// Of two nodes one reads a list. One that stops in the middle of it leaves it to the other, after its lease.
async fn two_nodes(database: TestDatabase) {
    let (_, all, names) = a_day(20);
    let shop = Shop::caught_up(database).await;
    let other = shop.harness.peer(Arc::clone(&shop.stripe) as Arc<_>);
    shop.stripe.happen(all);
    shop.later(900);
    let (one, two) = tokio::join!(shop.engine().catch_up(), other.catch_up());
    let turns = usize::from(one.unwrap()) + usize::from(two.unwrap());
    assert_eq!(turns, shop.stripe.asked().len());
    shop.catch_up().await;
    shop.stripe.asked();
    shop.later(900);
    // A node has taken the list and is gone.
    let (now, token) = (shop.engine().now(), uuid::Uuid::from_u128(7));
    let write = shop.engine().store.begin().await.unwrap();
    let until = domain::time::after(now, SignedDuration::from_secs(120));
    let leased = write.lease_backfill(&[shop.harness.connection("stripe").await], token, now, until).await.unwrap();
    write.commit().await.unwrap();
    assert!(!other.catch_up().await.unwrap(), "it is another's");
    shop.later(120);
    assert!(other.catch_up().await.unwrap());
    let write = shop.engine().store.begin().await.unwrap();
    assert!(!write.save_backfill(token, &leased.unwrap()).await.unwrap(), "it comes too late");
    drop(write);
    for name in names {
        assert_eq!(shop.harness.licenses_at("stripe", &name).await, 1, "{name}");
    }
}

/// After so long an outage that the provider has forgotten, a person hears of it, once.
async fn too_late(database: TestDatabase) {
    let shop = Shop::caught_up(database).await;
    shop.later(31 * DAY);
    shop.stripe.trouble([Some((500, None))]);
    for _ in 0..3 {
        shop.catch_up().await;
        shop.later(900);
    }
    let lost = "events_lost: events of stripe from 2026-11-01 to 2026-11-02 that no webhook brought are not in the provider's \
                list any more; look at the sales of that time there, and issue by hand what is missing";
    assert_eq!(shop.attention().await, [lost]);
    // Who asks for more than there is loses nothing.
    shop.start(Some(Timestamp::from_second(BEGIN - 90 * DAY).unwrap())).await.unwrap();
    shop.stripe.asked();
    shop.later(60);
    shop.catch_up().await;
    let from = BEGIN + 31 * DAY + 3 * 900 - 30 * DAY - 300;
    assert_eq!(shop.stripe.asked(), [format!("created%5Bgte%5D={from}&limit=100")]);
    assert_eq!(shop.attention().await.len(), 1);
}

/// While a live event waits for its look-up no page is asked; but a shop that never rests is caught up all the same.
async fn live_events_go_first(database: TestDatabase) {
    let shop = Shop::caught_up(database).await;
    shop.later(900);
    shop.deliver(&refunded_life("once_live")[0]).await;
    shop.deliver(&subscription_life("sub_live")[0]).await;
    assert!(!shop.engine().catch_up().await.unwrap(), "somebody has just paid");
    shop.harness.settle().await;
    assert!(shop.engine().catch_up().await.unwrap());
    shop.later(900);
    shop.deliver(&subscription_life("sub_live2")[0]).await;
    assert!(!shop.engine().catch_up().await.unwrap());
    shop.later(30);
    assert!(shop.engine().catch_up().await.unwrap(), "half a minute is enough");
    // What is found looks up no faster than so many in a second.
    shop.harness.settle().await;
    shop.stripe.happen((0..25).map(|number| subscription_life(&format!("sub{number}"))[0].clone()));
    shop.later(900);
    shop.start(Some(Timestamp::from_second(BEGIN).unwrap())).await.unwrap();
    assert!(shop.engine().catch_up().await.unwrap());
    let mut asked = Vec::new();
    for _ in 0..4 {
        asked.push(shop.engine().look_up().await.unwrap());
        shop.later(1);
    }
    assert_eq!(asked, [10, 10, 5, 0]);
}

/// Purchases of long ago are found when a person asks for them, and their buyers are not mailed without another word.
async fn purchases_of_long_ago(database: TestDatabase) {
    let shop = Shop::open(database).await;
    shop.later(10 * DAY);
    shop.stripe.happen(refunded_life("once_old").into_iter().take(1));
    let mut recent = refunded_life("once_new")[0].clone();
    recent["created"] = json!(BEGIN + 8 * DAY);
    shop.stripe.happen([recent]);
    shop.catch_up().await;
    assert_eq!(shop.harness.licenses_at("stripe", "cs_once_old").await, 0, "nobody asked for it");
    shop.start(Some(Timestamp::from_second(BEGIN).unwrap())).await.unwrap();
    shop.catch_up().await;
    let mut mails = shop.engine().store.mails(shop.harness.tenant.0, 10).await.unwrap();
    mails.sort_by(|one, other| one.recipient.cmp(&other.recipient));
    let told: Vec<(&str, &str)> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.status.as_str())).collect();
    assert_eq!(told, [("once_new@example.com", "pending"), ("once_old@example.com", "held")]);
    assert_eq!(shop.harness.attention().await, ["mails_held_as_old"]);
    assert_eq!(shop.harness.audited().await.iter().filter(|action| *action == "connection.catch_up").count(), 1);
    assert_eq!(shop.engine().verify().await.unwrap(), []);
}

/// What was sold after the backup that was restored has another key now: its buyers are mailed however late it is.
async fn purchases_after_a_backup(database: TestDatabase) {
    let shop = Shop::open(database).await;
    shop.later(10 * DAY);
    let backup_of = Timestamp::from_second(BEGIN + 5 * DAY).unwrap();
    shop.engine().hold_outgoing(Some(backup_of), &"test".into()).await.unwrap();
    let sold = |name: &str, days: i64| {
        let mut event = refunded_life(name)[0].clone();
        event["created"] = json!(BEGIN + days * DAY);
        event
    };
    shop.stripe.happen([sold("long_before", 1), sold("just_before", 3), sold("after", 6)]);
    shop.start(Some(Timestamp::from_second(BEGIN).unwrap())).await.unwrap();
    shop.catch_up().await;
    let mut mails = shop.engine().store.mails(shop.harness.tenant.0, 10).await.unwrap();
    mails.sort_by(|one, other| one.recipient.cmp(&other.recipient));
    let told: Vec<(&str, &str)> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.status.as_str())).collect();
    let expected =
        [("after@example.com", "pending"), ("just_before@example.com", "pending"), ("long_before@example.com", "held")];
    assert_eq!(told, expected);
}

/// Without a key there is nothing to ask, and that is said.
async fn without_a_key(database: TestDatabase) {
    let shop = Shop::with_level(database, "none").await;
    assert!(!shop.engine().catch_up().await.unwrap());
    let refused = shop.start(None).await.unwrap_err();
    assert!(matches!(&refused, CatchUpError::NoList(code) if code == "stripe"), "{refused}");
    assert_eq!(shop.stripe.asked(), [""; 0]);
}

on_both_databases! {
    a_day_of_lost_webhooks_ends_as_if_they_had_come: a_day_of_lost_webhooks;
    a_list_is_read_every_quarter_of_an_hour_with_an_overlap: the_time_of_readings;
    every_list_is_read_at_a_start: at_a_start;
    what_fails_midway_goes_on_where_it_was_and_when_it_may: what_fails_is_asked_again;
    a_lost_place_begins_anew: a_lost_place;
    a_missing_permission_is_named_until_it_is_there: a_missing_permission;
    a_level_that_is_taken_away_needs_nobody: a_level_that_is_taken_away;
    a_list_that_keeps_failing_needs_a_person: a_list_that_keeps_failing;
    an_outage_that_is_too_long_is_told: too_late;
    two_nodes_read_a_list_once: two_nodes;
    live_events_are_not_delayed: live_events_go_first;
    old_purchases_mail_nobody_without_a_word: purchases_of_long_ago;
    what_was_sold_after_a_backup_is_never_old: purchases_after_a_backup;
    without_a_key_nothing_is_asked: without_a_key;
}
