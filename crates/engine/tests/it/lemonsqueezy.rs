//! A store at Lemon Squeezy: what it delivers, and what only its lists tell.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use domain::id::InboundId;
use engine::{
    Dial, DialError, Dialled, configuration::ConfigurationFile, connections::Connection, doctor::discrepancies::Window,
    receive::Received, rulings::By,
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::{Delivery, http::Request, lemonsqueezy::sign};
use serde_json::{Value, json};
use store::{
    lists::{InboundFilter, Page, Whose},
    testing::{HeldTable, TestDatabase},
};

use crate::{
    harness::{Harness, on_both_databases},
    life::SECRET,
};

/// The store's objects: the list, the id, the attributes. The newest first.
#[derive(Default)]
struct Lists {
    objects: Mutex<Vec<(&'static str, u32, Value)>>,
    asked: Mutex<Vec<String>>,
    /// What else it answers, by path.
    documents: Mutex<HashMap<String, Value>>,
}

impl Lists {
    fn put(&self, list: &'static str, id: u32, attributes: Value) {
        let mut objects = self.objects.lock().unwrap();
        objects.retain(|(of, known, _)| (*of, *known) != (list, id));
        objects.insert(0, (list, id, attributes));
    }

    fn answer(&self, path: &str) -> Dialled {
        self.asked.lock().unwrap().push(path.to_owned());
        let answered = |status, body: Value| Dialled { status, body: body.to_string(), retry_after_seconds: None };
        if let Some(document) = self.documents.lock().unwrap().get(path) {
            return answered(200, document.clone());
        }
        let Some((list, _)) = path.trim_start_matches("/v1/").split_once("?page%5Bsize%5D=100&page%5Bnumber%5D=1")
        else {
            return answered(404, json!({ "errors": [] }));
        };
        let objects = self.objects.lock().unwrap();
        let data: Vec<Value> = objects
            .iter()
            .filter(|(of, ..)| *of == list)
            .map(|(of, id, attributes)| json!({ "type": of, "id": id.to_string(), "attributes": attributes }))
            .collect();
        answered(200, json!({ "meta": { "page": { "currentPage": 1, "lastPage": 1 } }, "data": data }))
    }
}

impl Dial for Lists {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        Box::pin(std::future::ready(Ok(self.answer(&request.path))))
    }
}

struct Store {
    harness: Harness,
    lists: Arc<Lists>,
}

impl Store {
    async fn open(database: TestDatabase) -> Self {
        Self::with_keys(database, "ours").await
    }

    async fn with_keys(database: TestDatabase, whose: &str) -> Self {
        let lists = Arc::new(Lists::default());
        let harness = Harness::with_dialler(database, Arc::clone(&lists) as Arc<_>).await;
        let store = Self { harness, lists };
        store.configure(whose).await;
        store.harness.engine.check_ring().await.unwrap();
        store.catch_up().await;
        store
    }

    /// Applies the vendor's file, which says whose keys the licenses have.
    async fn configure(&self, whose: &str) {
        self.configure_tenant("default", whose).await;
    }

    async fn configure_tenant(&self, tenant: &str, whose: &str) {
        let file = format!(
            r#"
            tenant = {{ slug = "{tenant}" }}
            product = [{{ code = "studio", name = "Studio", key_prefix = "ACME" }}]
            plan = [{{ code = "team", product = "studio", name = "Team" }}]
            connection = [{{ code = "store", provider = "lemonsqueezy", mode = "test", level = "read", store = "7", license_keys = "{whose}",
                webhook_secrets = ["env:SECRET"], api_key = "env:API_KEY" }}]
            price_rule = [{{ connection = "store", price = "560", plan = "team" }}]
            "#
        );
        let secret = |source: &str| Ok(if source == "env:SECRET" { SECRET } else { "a key" }.to_owned());
        self.harness.engine.apply(&ConfigurationFile::parse(&file).unwrap(), &secret, false, "test").await.unwrap();
    }

    fn now(&self) -> String {
        self.harness.engine.now().to_string()
    }

    fn later(&self, minutes: i64) {
        self.harness.clock.advance(SignedDuration::from_mins(minutes));
    }

    /// Reads all lists, and works on what they tell until nothing is left to do.
    async fn catch_up(&self) {
        while self.harness.engine.catch_up().await.unwrap() {
            self.harness.settle().await;
            self.harness.clock.advance(SignedDuration::from_secs(1));
        }
    }

    async fn deliver(&self, kind: &str, list: &str, id: u32, attributes: &Value) {
        self.take_in(kind, list, id, attributes).await;
        self.harness.settle().await;
    }

    /// Delivers an event that nobody works on yet.
    async fn take_in(&self, kind: &str, list: &str, id: u32, attributes: &Value) {
        self.take_in_at("default", kind, list, id, attributes).await;
    }

    async fn take_in_at(&self, tenant: &str, kind: &str, list: &str, id: u32, attributes: &Value) {
        let data = json!({ "type": list, "id": id.to_string(), "attributes": attributes });
        let body = json!({ "meta": { "event_name": kind, "test_mode": true }, "data": data }).to_string();
        let signature = sign(&SECRET.into(), body.as_bytes());
        let header = |name: &str| (name == "x-signature").then_some(signature.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let received = self.harness.engine.receive("lemonsqueezy", tenant, &delivery).await;
        assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
    }

    fn order(&self) -> Value {
        json!({
            "store_id": 7, "customer_id": 1, "user_email": "ada@example.com", "currency": "EUR", "total": 1000, "status": "paid",
            "first_order_item": { "id": 9, "product_id": 56, "variant_id": 560, "quantity": 1 },
            "created_at": self.now(), "updated_at": self.now(), "test_mode": true
        })
    }

    fn subscription(&self) -> Value {
        let renews_at: Timestamp = self.harness.engine.now() + SignedDuration::from_hours(24 * 30);
        json!({
            "store_id": 7, "customer_id": 1, "order_id": 1, "order_item_id": 9, "product_id": 56, "variant_id": 560,
            "user_email": "ada@example.com", "status": "active", "renews_at": renews_at.to_string(),
            "first_subscription_item": { "id": 3, "quantity": 1, "updated_at": self.now() },
            "created_at": self.now(), "updated_at": self.now(), "test_mode": true
        })
    }

    async fn licenses(&self) -> usize {
        self.harness.licenses_at("store", "order:1").await
    }
}

/// lemonsqueezy.js#105: nothing is delivered when only a quantity changes.
async fn a_quantity_that_changed_without_an_event_is_found(database: TestDatabase) {
    let store = Store::open(database).await;
    let (order, mut subscription) = (store.order(), store.subscription());
    store.lists.put("orders", 1, order.clone());
    store.lists.put("subscriptions", 2, subscription.clone());
    store.deliver("order_created", "orders", 1, &order).await;
    store.deliver("subscription_created", "subscriptions", 2, &subscription).await;
    assert_eq!(store.licenses().await, 1);
    store.later(60);
    store.catch_up().await;
    assert_eq!(store.licenses().await, 1, "what was delivered is listed and counts once");
    subscription["first_subscription_item"] = json!({ "id": 3, "quantity": 3, "updated_at": store.now() });
    store.lists.put("subscriptions", 2, subscription);
    store.later(60);
    store.catch_up().await;
    assert_eq!(store.licenses().await, 3);
}

async fn an_order_whose_event_was_lost_is_found_once(database: TestDatabase) {
    let store = Store::open(database).await;
    store.later(60);
    store.catch_up().await;
    store.lists.put("orders", 1, store.order());
    store.later(60);
    store.catch_up().await;
    assert_eq!(store.licenses().await, 1);
    store.later(60);
    store.catch_up().await;
    assert_eq!(store.licenses().await, 1);
    let asked = store.lists.asked.lock().unwrap();
    assert!(
        asked.iter().filter(|path| path.contains("page")).all(|path| path.ends_with("&filter%5Bstore_id%5D=7")),
        "{asked:?}"
    );
}

/// Its event is repeated for three minutes, and knows what the list does not: the checkout's own data.
async fn what_may_still_be_delivered_is_not_taken_from_the_list(database: TestDatabase) {
    let store = Store::open(database).await;
    store.later(60);
    let order = store.order();
    store.lists.put("orders", 1, order.clone());
    store.later(2);
    store.catch_up().await;
    assert_eq!(store.licenses().await, 0);
    store.deliver("order_created", "orders", 1, &order).await;
    assert_eq!(store.licenses().await, 1);
}

/// The order is told before its subscription is there, whose own event is lost: it is not bought for good, and it is seen.
async fn an_order_of_what_renews_is_not_bought_for_good(database: TestDatabase) {
    let store = Store::open(database).await;
    let item =
        json!({ "type": "order-items", "id": "9", "attributes": { "variant_id": 560, "price_id": 86, "quantity": 1 } });
    let price = json!({ "data": { "type": "prices", "id": "86", "attributes": { "category": "subscription" } } });
    store.lists.documents.lock().unwrap().extend([
        ("/v1/orders/1?include=order-items,subscriptions".to_owned(), json!({ "included": [item] })),
        ("/v1/prices/86".to_owned(), price),
    ]);
    store.deliver("order_created", "orders", 1, &store.order()).await;
    assert_eq!(store.harness.attention().await, ["period_unknown"]);
    store.later(30 * 24 * 60);
    store.harness.settle().await;
    assert_eq!(store.reasons().await, ["not_renewed"]);
    store.deliver("subscription_created", "subscriptions", 2, &store.subscription()).await;
    assert_eq!((store.reasons().await, store.harness.attention().await), (vec!["paid"], vec![]));
    store.is_sound().await;
}

async fn an_order_that_cost_more_than_it_shows_is_brought_up_until_all_is_told(database: TestDatabase) {
    let store = Store::open(database).await;
    let mut order = store.order();
    order["subtotal"] = json!(3000);
    order["first_order_item"]["price"] = json!(1000);
    store.deliver("order_created", "orders", 1, &order).await;
    assert_eq!((store.licenses().await, store.harness.attention().await), (1, vec!["more_bought".to_owned()]));
    store.is_sound().await;
    let item = |id: &str, quantity: u32| json!({ "type": "order-items", "id": id, "attributes": { "variant_id": 560, "quantity": quantity } });
    let all = (
        "/v1/orders/1?include=order-items,subscriptions".to_owned(),
        json!({ "included": [item("9", 1), item("10", 2)] }),
    );
    store.lists.documents.lock().unwrap().extend([all]);
    let whose = Whose { tenant: store.harness.tenant, livemode: false };
    let page = Page { limit: 1, from: None };
    let engine = &store.harness.engine;
    let event = engine.store.list_inbound(whose, &InboundFilter::default(), page).await.unwrap().rows.remove(0);
    let by = By { actor: "test".to_owned(), note: None };
    engine.replay(whose, InboundId(event.id), true, &by).await.unwrap().unwrap();
    store.harness.settle().await;
    assert_eq!((store.licenses().await, store.harness.attention().await), (3, vec![]));
    store.is_sound().await;
}

const KEY: &str = "1f0e9d8c-7b6a-4594-8372-615041302010";

impl Store {
    fn license_key(&self, key: &str) -> Value {
        json!({
            "store_id": 7, "order_id": 1, "order_item_id": 9, "key": key, "status": "inactive", "disabled": 0,
            "created_at": self.now(), "updated_at": self.now(), "test_mode": true
        })
    }

    /// Its words, in that order.
    async fn deliver_all(&self, order_of_arrival: [&str; 3]) {
        for word in order_of_arrival {
            match word {
                "order" => self.deliver("order_created", "orders", 1, &self.order()).await,
                "subscription" => self.deliver("subscription_created", "subscriptions", 2, &self.subscription()).await,
                _ => self.deliver("license_key_created", "license-keys", 8, &self.license_key(KEY)).await,
            }
        }
    }

    /// Why each license is in its state.
    async fn reasons(&self) -> Vec<&'static str> {
        let connection = self.harness.connection("store").await;
        let found = self.harness.engine.store.order_licenses(connection, &"order:1".into()).await.unwrap();
        found.expect("an order").1.iter().map(|license| license.standing.reason.code()).collect()
    }

    /// The text of each license's key.
    async fn keys(&self) -> Vec<Option<String>> {
        self.keys_of("order:1").await
    }

    async fn keys_of(&self, order: &str) -> Vec<Option<String>> {
        let connection = self.harness.connection("store").await;
        let engine = &self.harness.engine;
        let found = engine.store.order_licenses(connection, &order.into()).await.unwrap();
        let mut keys = Vec::new();
        for license in found.map(|(_, licenses)| licenses).unwrap_or_default() {
            let key = engine.reveal(self.harness.tenant, license.id).await.unwrap();
            keys.push(key.map(|key| key.reveal().to_owned()));
        }
        keys
    }

    /// What does not fit, in the report's words.
    async fn discrepancies(&self) -> Vec<&'static str> {
        let whose = Whose { tenant: self.harness.tenant, livemode: false };
        let window = Window { since: Timestamp::UNIX_EPOCH, until: Timestamp::MAX, connection: None };
        let found = self.harness.engine.discrepancies(whose, &window, None, 100).await.unwrap();
        found.rows.iter().map(|row| row.kind.as_str()).collect()
    }

    async fn mails(&self) -> usize {
        self.harness.engine.store.mails(self.harness.tenant.0, 100).await.unwrap().len()
    }

    /// What the doctor finds once the mails are sent.
    async fn is_sound(&self) {
        self.harness.database.sql("UPDATE mails SET status = 'sent'").await;
        assert_eq!(self.harness.engine.verify().await.unwrap(), []);
    }

    /// The order's document, as it is kept.
    async fn order_kept(&self) -> String {
        let connection = self.harness.connection("store").await;
        let store = &self.harness.engine.store;
        let (id, _) = store.order_licenses(connection, &"order:1".into()).await.unwrap().expect("an order");
        let orders = store.begin().await.unwrap().load_orders(&[id].into()).await.unwrap();
        serde_json::to_string(&orders[0].order).unwrap()
    }
}

/// A store that gives out keys of its own: a second key for one sale is what nobody understands.
async fn the_providers_key_opens_the_license(database: TestDatabase) {
    let store = Store::with_keys(database, "theirs").await;
    store.deliver_all(["order", "subscription", "key"]).await;
    assert_eq!(store.keys().await, [Some(KEY.to_owned())]);
    // Delivered again, and told again because it changed there.
    store.deliver_all(["key", "order", "subscription"]).await;
    store.later(1);
    store.deliver("license_key_updated", "license-keys", 8, &store.license_key(KEY)).await;
    assert_eq!(store.keys().await, [Some(KEY.to_owned())]);
    let typed = format!(" {} ", KEY.to_uppercase().replace('-', " "));
    assert!(store.harness.engine.license_with_key(&typed).await.unwrap().is_some(), "it is found however it is typed");
    assert_eq!(store.mails().await, 0, "Lemon Squeezy mails its key itself");
    assert_eq!(store.harness.attention().await, [""; 0]);
    let order = store.order_kept().await;
    assert!(order.contains("license-key:8") && !order.contains(KEY), "no key lies in an order: {order}");
    store.is_sound().await;
}

async fn the_key_may_come_first(database: TestDatabase) {
    let store = Store::with_keys(database, "theirs").await;
    store.deliver_all(["key", "subscription", "order"]).await;
    assert_eq!(store.keys().await, [Some(KEY.to_owned())]);
}

/// The license is there all the same; who has waited for half an hour is brought up, and no longer once the key has come.
async fn a_license_waits_for_its_key_and_says_so(database: TestDatabase) {
    let store = Store::with_keys(database, "theirs").await;
    store.deliver_all(["order", "subscription", "order"]).await;
    assert_eq!((store.licenses().await, store.keys().await), (1, vec![None]));
    assert_eq!(store.harness.attention().await, [""; 0], "it may come any moment");
    store.later(31);
    store.harness.settle().await;
    assert_eq!(store.harness.attention().await, ["key_awaited"]);
    store.is_sound().await;
    store.deliver_all(["key", "key", "key"]).await;
    assert_eq!(store.keys().await, [Some(KEY.to_owned())]);
    assert_eq!(store.harness.attention().await, [""; 0]);
}

/// The cure that the item prescribes: whoever waits has a key of ours, and a mail with it.
async fn who_waits_for_a_key_has_one_of_ours_once_keys_are_ours(database: TestDatabase) {
    let store = Store::with_keys(database, "theirs").await;
    store.deliver_all(["order", "subscription", "order"]).await;
    store.later(31);
    store.harness.settle().await;
    assert_eq!(store.discrepancies().await, ["active_without_key"]);
    store.configure("ours").await;
    store.harness.settle().await;
    let keys = store.keys().await;
    assert!(matches!(&keys[..], [Some(key)] if key.starts_with("ACME-")), "{keys:?}");
    assert_eq!((store.mails().await, store.harness.attention().await), (1, vec![]));
    assert_eq!(store.discrepancies().await, [""; 0]);
    store.is_sound().await;
}

/// Who has mailed a key does not change with whose keys are given out later.
async fn a_key_that_was_adopted_stays_sound_where_keys_become_ours(database: TestDatabase) {
    let store = Store::with_keys(database, "theirs").await;
    store.deliver_all(["order", "subscription", "key"]).await;
    store.configure("ours").await;
    store.deliver_all(["order", "subscription", "order"]).await;
    assert_eq!((store.keys().await, store.mails().await), (vec![Some(KEY.to_owned())], 0));
    store.is_sound().await;
}

/// Nothing of a key that opens something already, or is none, costs the sale or holds an event.
async fn a_key_that_can_open_nothing_is_told(database: TestDatabase) {
    let store = Store::with_keys(database, "theirs").await;
    let mut two = store.order();
    two["first_order_item"]["quantity"] = json!(2);
    for key in [8, 10] {
        store.deliver("license_key_created", "license-keys", key, &store.license_key(KEY)).await;
    }
    store.deliver("order_created", "orders", 1, &two).await;
    let mut keys = store.keys().await;
    keys.sort();
    assert_eq!(keys, [None, Some(KEY.to_owned())]);
    assert_eq!(store.harness.attention().await, ["key_refused"]);
    for (order, key) in [(2, KEY), (3, "x")] {
        let mut another = store.order();
        another["first_order_item"]["id"] = json!(20 + order);
        let mut told = store.license_key(key);
        told["order_id"] = json!(order);
        told["order_item_id"] = json!(20 + order);
        store.deliver("order_created", "orders", order, &another).await;
        store.deliver("license_key_created", "license-keys", 20 + order, &told).await;
    }
    assert_eq!(store.harness.attention().await, ["key_refused"; 3]);
    assert_eq!(store.discrepancies().await, ["active_without_key"; 3]);
    store.is_sound().await;
}

/// Both have looked before either writes: the key opens one license, and the other order is told that it is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_adopt_one_key_at_the_same_time_on_postgres() {
    let store = Store::with_keys(TestDatabase::postgres().await, "theirs").await;
    let peer = store.harness.peer(Arc::clone(&store.lists) as Arc<_>);
    for order in [1, 2] {
        let mut sold = store.order();
        sold["first_order_item"]["id"] = json!(20 + order);
        store.deliver("order_created", "orders", order, &sold).await;
    }
    let mut facts = HeldTable::of(&store.harness.database, "facts").await;
    let mut nodes = Vec::new();
    for (order, node) in [(1, Arc::clone(&store.harness.engine)), (2, peer)] {
        let mut key = store.license_key(KEY);
        key["order_id"] = json!(order);
        key["order_item_id"] = json!(20 + order);
        store.take_in("license_key_created", "license-keys", 20 + order, &key).await;
        nodes.push(tokio::spawn(async move { node.fulfil().await }));
        facts.until_waited_for_by(i64::from(order)).await;
    }
    facts.release().await;
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    store.harness.settle_all().await;
    assert_eq!(store.harness.attention().await, ["key_refused"], "and no event is held");
    let mut keys = store.keys_of("order:1").await;
    keys.extend(store.keys_of("order:2").await);
    keys.sort();
    assert_eq!(keys, [None, Some(KEY.to_owned())]);
    store.is_sound().await;
}

/// Apps ask by the key alone, so a key opens one license on a server, whoever sold it. Who comes second is told no more than
/// that, and nothing else of their batch is touched.
async fn a_key_that_another_tenants_license_has_is_refused(database: TestDatabase) {
    const OWN: &str = "5c4b3a29-1807-4f6e-9d5c-4b3a29180716";
    let store = Store::with_keys(database, "theirs").await;
    let engine = &store.harness.engine;
    let other = engine.ensure_tenant("other", "Other").await.unwrap();
    store.configure_tenant("other", "theirs").await;
    for (kind, list, attributes) in
        [("order_created", "orders", store.order()), ("license_key_created", "license-keys", store.license_key(KEY))]
    {
        store.take_in_at("other", kind, list, 1, &attributes).await;
    }
    store.harness.settle().await;
    let opened = engine.license_with_key(KEY).await.unwrap().unwrap();
    for (order, key) in [(1, KEY), (2, OWN)] {
        let (mut sold, mut told) = (store.order(), store.license_key(key));
        sold["first_order_item"]["id"] = json!(20 + order);
        told["order_id"] = json!(order);
        told["order_item_id"] = json!(20 + order);
        store.take_in("order_created", "orders", order, &sold).await;
        store.take_in("license_key_created", "license-keys", 20 + order, &told).await;
    }
    store.harness.settle().await;
    assert_eq!(store.keys_of("order:1").await, [None]);
    assert_eq!(store.keys_of("order:2").await, [Some(OWN.to_owned())]);
    let items = engine.store.attention(store.harness.tenant, 10).await.unwrap();
    let [item] = &items[..] else { panic!("{items:?}") };
    assert_eq!(item.kind, "key_refused");
    for secret in [opened.id.to_string(), other.to_string(), KEY.to_owned()] {
        assert!(!item.detail.contains(&secret), "{}", item.detail);
    }
    assert_eq!(engine.store.attention(other, 10).await.unwrap(), []);
    assert_eq!(engine.license_with_key(KEY).await.unwrap().unwrap().id, opened.id);
    store.is_sound().await;
}

/// A refund of a renewal counts against the period that it paid, and the doctor sees it the same.
async fn a_refund_finds_the_period_that_its_invoice_paid(database: TestDatabase) {
    let store = Store::open(database).await;
    let invoice = |refunded: u32| {
        json!({
            "store_id": 7, "subscription_id": 2, "user_email": "ada@example.com", "billing_reason": "initial", "currency": "EUR",
            "total": 1000, "refunded_amount": refunded, "status": if refunded == 0 { "paid" } else { "refunded" },
            "created_at": store.now(), "updated_at": store.now(), "test_mode": true
        })
    };
    store.deliver_all(["subscription", "order", "subscription"]).await;
    store.deliver("subscription_payment_success", "subscription-invoices", 3, &invoice(0)).await;
    store.is_sound().await;
    store.deliver("subscription_payment_refunded", "subscription-invoices", 3, &invoice(1000)).await;
    assert_eq!(store.reasons().await, ["refunded_in_full"]);
    store.is_sound().await;
}

/// Where keys are ours, the provider's key is none.
async fn a_store_whose_keys_are_ours_adopts_none(database: TestDatabase) {
    let store = Store::open(database).await;
    store.deliver_all(["key", "order", "subscription"]).await;
    let keys = store.keys().await;
    assert!(matches!(&keys[..], [Some(key)] if key.starts_with("ACME-")), "{keys:?}");
    assert_eq!(store.mails().await, 1);
}

on_both_databases! {
    a_key_of_theirs_opens_the_license: the_providers_key_opens_the_license;
    a_key_of_theirs_may_come_first: the_key_may_come_first;
    a_license_waits_for_its_key: a_license_waits_for_its_key_and_says_so;
    keys_of_ours_cure_those_that_wait: who_waits_for_a_key_has_one_of_ours_once_keys_are_ours;
    an_adopted_key_stays_sound: a_key_that_was_adopted_stays_sound_where_keys_become_ours;
    a_refused_key_is_told: a_key_that_can_open_nothing_is_told;
    another_tenants_key_is_refused: a_key_that_another_tenants_license_has_is_refused;
    a_refund_finds_its_period: a_refund_finds_the_period_that_its_invoice_paid;
    keys_of_ours_stay_ours: a_store_whose_keys_are_ours_adopts_none;
    an_order_of_more: an_order_that_cost_more_than_it_shows_is_brought_up_until_all_is_told;
    an_order_of_what_renews: an_order_of_what_renews_is_not_bought_for_good;
    a_changed_quantity_is_found: a_quantity_that_changed_without_an_event_is_found;
    a_lost_order_is_found_once: an_order_whose_event_was_lost_is_found_once;
    a_fresh_order_is_left_to_its_event: what_may_still_be_delivered_is_not_taken_from_the_list;
}
