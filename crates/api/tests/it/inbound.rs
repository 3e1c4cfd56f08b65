//! Events: their trace, and playing them again.

use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{LIVE_SECRET, Shop, event, ids, paid, refunded};

impl Shop {
    async fn event_with(&self, key: &str) -> Value {
        let events = self.get("/v1/inbound-events?limit=100").await;
        let found = events["data"].as_array().unwrap().iter().find(|event| event["key"] == key).expect("the event");
        self.get(&format!("/v1/inbound-events/{}", found["id"].as_str().unwrap())).await
    }

    async fn replay(&self, event: &Value, body: Value) -> Value {
        self.clock.advance(SignedDuration::from_secs(1));
        let path = format!("/v1/inbound-events/{}/replay", event["id"].as_str().unwrap());
        let replayed = self.post(&path, body).await;
        self.settle().await;
        replayed
    }
}

fn words<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_trace_of_an_event_on_sqlite() {
    trace(Shop::sqlite().await).await;
}

#[tokio::test]
async fn the_trace_of_an_event_on_postgres() {
    trace(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn trace(shop: Shop) {
    shop.deliver(&paid("basic", true)).await;
    shop.deliver(&refunded("basic")).await;
    let order = ids(&shop.get("/v1/orders").await)[0].clone();

    let checkout = shop.event_with("evt_basic").await;
    assert_eq!(
        (&checkout["status"], &checkout["livemode"], &checkout["error"]),
        (&json!("done"), &json!(true), &Value::Null)
    );
    assert_eq!(checkout["body"]["data"]["object"]["id"], "cs_basic");
    let trace = &checkout["trace"];
    assert_eq!(words(&trace["answers"], "path"), ["/v1/checkout/sessions/cs_basic/line_items?limit=100"]);
    assert_eq!(trace["answers"][0]["status"], 200);
    assert_eq!(trace["orders"], json!([order]));
    let sale = &trace["facts"][0]["sale"];
    assert_eq!(
        (&sale["purchases"][0]["state"], &sale["purchases"][0]["total"]),
        (&json!("paid"), &json!({ "amount": 9800, "currency": "EUR" }))
    );
    assert_eq!(sale["purchases"][0]["lines"][0]["price"], "price_basic");
    let mut changes = words(&trace["changes"], "action");
    changes.sort_unstable();
    let expected = ["license.announced", "license.announced", "license.issued", "license.issued", "order.created"];
    assert_eq!(changes, expected);
    assert!(words(&trace["changes"], "actor").iter().all(|actor| *actor == "stripe:stripe"));

    let refund = shop.event_with("evt_refund_basic").await;
    assert_eq!(refund["trace"]["facts"][0]["sale"]["refunds"][0]["amount"]["amount"], 9800);
    let mut changes = words(&refund["trace"]["changes"], "action");
    changes.sort_unstable();
    assert_eq!(changes, ["license.refunded", "license.refunded", "license.revoked", "license.revoked"]);
    let because = refund["trace"]["changes"][0]["detail"]["because"].as_str().unwrap();
    assert!(because.contains("was refunded in full (98.00 EUR)"), "{because}");
}

#[tokio::test]
async fn played_again_an_event_says_the_same_and_changes_nothing() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let before = (shop.get("/v1/licenses").await, shop.get("/v1/orders").await);
    let event = shop.event_with("evt_basic").await;
    assert_eq!(shop.replay(&event, json!({})).await["status"], "received");
    assert_eq!(shop.asked().len(), 1, "the answer was kept");
    assert_eq!(
        shop.replay(&event, json!({ "fresh": true, "note": "the price was renamed" })).await["status"],
        "received"
    );
    assert_eq!(shop.asked().len(), 2, "it was asked anew");
    assert_eq!((shop.get("/v1/licenses").await, shop.get("/v1/orders").await), before);
    let after = shop.event_with("evt_basic").await;
    assert_eq!((&after["status"], &after["trace"]["facts"]), (&json!("done"), &event["trace"]["facts"]));
    let entries = shop.get("/v1/audit-entries?limit=2").await;
    assert_eq!(words(&entries["data"], "action"), ["event.replayed", "event.replayed"]);
    let noted = entries["data"].as_array().unwrap().iter().find(|entry| entry["detail"]["fresh"] == true).unwrap();
    assert_eq!((&noted["detail"]["note"], &noted["subject"]), (&json!("the price was renamed"), &event["id"]));
    assert!(noted["actor"].as_str().unwrap().starts_with("key:key_"));
    let path = format!("/v1/inbound-events/{}/replay", event["id"].as_str().unwrap());
    // A body that is empty is none; one that is wrong is told.
    assert_eq!(shop.call("POST", &path).key(&shop.live).send().await.status, 200);
    for wrong in [json!({ "fresh": "yes" }), json!({ "frsh": true }), json!({ "note": "x".repeat(1001) })] {
        let answer = shop.call("POST", &path).key(&shop.live).json(wrong.clone()).refused().await;
        assert_eq!(answer, (400, "invalid_request".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn an_event_that_was_held_is_done_when_its_cause_is_gone() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    // As if an older release had not understood it.
    shop.database
        .sql("UPDATE inbound_events SET status = 'held', error = 'not understood: old', done_at = NULL, answers = NULL")
        .await;
    shop.database.sql("DELETE FROM facts").await;
    let event = shop.event_with("evt_basic").await;
    assert_eq!(
        (&event["status"], &event["trace"]["facts"], &event["trace"]["changes"]),
        (&json!("held"), &json!([]), &json!([]))
    );
    shop.replay(&event, json!({})).await;
    let event = shop.event_with("evt_basic").await;
    assert_eq!((&event["status"], &event["error"]), (&json!("done"), &Value::Null));
    assert_eq!(event["trace"]["facts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_must_not_be_played_is_not() {
    let shop = Shop::sqlite().await;
    for body in [paid("stray", false).to_string(), "nonsense".to_owned()] {
        shop.deliver_bytes("/webhooks/stripe", LIVE_SECRET, body.as_bytes()).await;
    }
    shop.settle().await;
    let events = shop.get("/v1/inbound-events").await;
    for event in events["data"].as_array().unwrap() {
        let path = format!("/v1/inbound-events/{}/replay", event["id"].as_str().unwrap());
        assert_eq!(shop.call("POST", &path).key(&shop.live).refused().await, (409, "conflict".to_owned()), "{event}");
    }
    shop.settle().await;
    assert_eq!(shop.get("/v1/inbound-events").await, events);
    assert_eq!(ids(&shop.get("/v1/licenses").await), [] as [String; 0], "test money gives no live license");
}

#[tokio::test]
async fn an_item_is_laid_aside() {
    let shop = Shop::sqlite().await;
    for id in ["evt_1", "evt_2"] {
        shop.deliver(&event(id, "checkout.session.completed", true, json!({ "object": "checkout.session" }))).await;
    }
    let items = shop.get("/v1/attention-items").await;
    assert_eq!(words(&items["data"], "kind"), ["event_malformed", "event_malformed"]);
    let item = ids(&items)[0].clone();
    let path = format!("/v1/attention-items/{item}/dismiss");
    let dismissed = shop.post(&path, json!({ "note": "seen" })).await;
    assert_eq!((&dismissed["id"], dismissed["dismissed_at"].is_string()), (&json!(item), true));
    assert_eq!(shop.post(&path, json!({})).await, dismissed, "twice changes nothing");
    assert_eq!(ids(&shop.get("/v1/attention-items").await), ids(&items)[1..]);
    assert_eq!(words(&shop.get("/v1/audit-entries?limit=1").await["data"], "action"), ["attention.dismissed"]);
    let path = path.replace(&item, "att_01kag0000000000000000000000");
    assert_eq!(shop.call("POST", &path).key(&shop.live).refused().await, (404, "not_found".to_owned()));
}

/// Whoever sets an event aside says why, and says so if somebody paid; a replay undoes it.
#[tokio::test]
async fn what_cannot_be_worked_on_is_set_aside_and_no_sale_silently() {
    let shop = Shop::sqlite().await;
    for body in [paid("stray", false).to_string(), "nonsense".to_owned()] {
        shop.deliver_bytes("/webhooks/stripe", LIVE_SECRET, body.as_bytes()).await;
    }
    shop.deliver(&paid("basic", true)).await;
    let ignore = async |id: &Value, body: Value| {
        let path = format!("/v1/inbound-events/{}/ignore", id.as_str().unwrap());
        let answer = shop.call("POST", &path).key(&shop.live).json(body).send().await;
        (answer.status.as_u16(), answer.json())
    };
    let done = shop.event_with("evt_basic").await["id"].clone();
    let (status, problem) = ignore(&done, json!({ "note": "a trial" })).await;
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("The event is done"), "{problem}");
    let held = shop.get("/v1/inbound-events?status=held").await;
    for event in held["data"].as_array().unwrap() {
        let id = &event["id"];
        for (wrong, what, field) in
            [(json!({ "note": " " }), 400, "note"), (json!({ "note": "a trial" }), 409, "give_up_sale")]
        {
            let (status, problem) = ignore(id, wrong).await;
            assert_eq!((status, &problem["errors"][0]["param"]), (what, &json!(field)), "{problem}");
        }
        let (status, ignored) = ignore(id, json!({ "note": "a trial", "give_up_sale": true })).await;
        assert_eq!((status, &ignored["status"], &ignored["error"]), (200, &json!("ignored"), &json!("a trial")));
        let listed = shop.get("/v1/inbound-events?status=ignored").await;
        assert!(words(&listed["data"], "id").contains(&id.as_str().unwrap()));
    }
    assert_eq!(shop.get("/v1/attention-items").await["data"], json!([]));
    let entries = shop.get("/v1/audit-entries?limit=2").await;
    assert_eq!(words(&entries["data"], "action"), ["event.ignored", "event.ignored"]);
    let gone = shop.call("POST", "/v1/inbound-events/in_01kag0000000000000000000000/ignore").key(&shop.live);
    assert_eq!(gone.json(json!({ "note": "a trial" })).refused().await, (404, "not_found".to_owned()));
}
