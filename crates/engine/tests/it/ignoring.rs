//! What nobody can work on is set aside, and nobody loses a sale by it without a word.

use domain::id::InboundId;
use engine::{
    inbound::{IgnoreError, Loss},
    receive::Received,
    rulings::By,
};
use providers::{Delivery, signature};
use serde_json::json;
use store::{
    lists::{AuditFilter, InboundFilter, Page, Whose},
    rows::InboundEvent,
};

use crate::{
    harness::{Harness, on_both_databases},
    life::{SECRET, event, subscription_life},
};

on_both_databases!(a_held_event_is_set_aside_and_comes_back, what_told_of_an_account_goes_with_its_last_event);

const STUDIO: &str = r#"
    product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
    plan = [{ code = "basic", product = "studio", name = "Basic" }]
    connection = [{ code = "stripe", provider = "stripe", mode = "test", level = "none", webhook_secrets = ["env:SECRET"] }]
"#;

/// A session that names its plan, and its event as the connection's provider tells it.
fn session(name: &str, payment_status: &str) -> serde_json::Value {
    let session = json!({
        "id": format!("cs_{name}"), "object": "checkout.session", "mode": "payment", "payment_status": payment_status,
        "amount_total": 1900, "currency": "eur", "created": 1_793_491_200, "payment_intent": format!("pi_{name}"),
        "customer_details": { "email": format!("{name}@example.com") }, "metadata": { "plan_id": "basic" },
    });
    event(name, 1, "checkout.session.completed", 1_793_491_200, &session)
}

async fn studio(harness: &Harness) -> Whose {
    let file = engine::configuration::ConfigurationFile::parse(STUDIO).unwrap();
    harness.engine.apply(&file, &|_: &str| Ok(SECRET.to_owned()), false, "test").await.unwrap();
    Whose { tenant: harness.tenant, livemode: false }
}

async fn deliver(harness: &Harness, body: &str) {
    let signed = signature::sign(&SECRET.into(), body.as_bytes(), harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    let received =
        harness.engine.receive("stripe", "default", &Delivery { header: &header, body: body.as_bytes() }).await;
    assert!(matches!(&received, Received::Answer(answer) if answer.status == 200), "{received:?}");
    harness.settle().await;
}

async fn events(harness: &Harness, whose: Whose, status: &str) -> Vec<InboundEvent> {
    let filter = InboundFilter { status: Some(status.to_owned()), ..InboundFilter::default() };
    let listed = harness.engine.store.list_inbound(whose, &filter, Page { limit: 100, from: None }).await.unwrap();
    let mut events = Vec::new();
    for row in listed.rows {
        events.extend(harness.engine.store.inbound_event(whose, InboundId(row.id)).await.unwrap());
    }
    events
}

fn because(note: &str) -> By {
    By { actor: "test".to_owned(), note: Some(note.to_owned()) }
}

async fn a_held_event_is_set_aside_and_comes_back(harness: Harness) {
    let whose = studio(&harness).await;
    let engine = &harness.engine;
    let wrong_mode = |name: &str, payment: &str| {
        let mut event = session(name, payment);
        event["livemode"] = json!(true);
        event.to_string()
    };
    // What is paid, what is not yet, a trial, what is known from an event of the right mode, and what nobody can read.
    deliver(&harness, &session("known", "paid").to_string()).await;
    let mut trial = subscription_life("eve").remove(1);
    trial["livemode"] = json!(true);
    trial["data"]["object"]["status"] = json!("trialing");
    for body in [wrong_mode("ada", "paid"), wrong_mode("bob", "unpaid"), trial.to_string(), "nonsense".to_owned()] {
        deliver(&harness, &body).await;
    }
    let mut again: serde_json::Value = serde_json::from_str(&wrong_mode("known", "paid")).unwrap();
    again["id"] = json!("evt_again");
    deliver(&harness, &again.to_string()).await;

    let mut losses = Vec::new();
    for event in events(&harness, whose, "held").await {
        let loss = engine.loss_of_ignoring(&event).await.unwrap().unwrap();
        losses.push((loss.to_string(), loss.may_be_a_sale()));
    }
    losses.sort();
    let nothing =
        "no buyer misses anything: what it says of purchases, paid time, subscriptions and keys is known without it";
    let unknown =
        "nobody can tell what is lost by it: its buyer may go without a license, a key or time that is theirs";
    let sale = "19.00 EUR were paid, and the buyer gets no license and no mail with a key";
    let expected = [(sale, true), (nothing, false), (unknown, true), (unknown, true), (unknown, true)];
    assert_eq!(losses, expected.map(|(words, is_sale)| (words.to_owned(), is_sale)));

    for event in events(&harness, whose, "held").await {
        let id = InboundId(event.id);
        let silent = engine.ignore(whose, id, true, &By { note: None, ..because("") }).await;
        assert!(matches!(silent, Err(IgnoreError::NoReason)), "{silent:?}");
        let loss = engine.loss_of_ignoring(&event).await.unwrap().unwrap();
        let refused = engine.ignore(whose, id, false, &because("a trial")).await;
        match loss {
            Loss::Nothing => assert_eq!(refused.unwrap().unwrap().status, "ignored"),
            _ => assert!(matches!(refused, Err(IgnoreError::GivesUp(given_up)) if given_up == loss)),
        }
        let other_mode = Whose { livemode: true, ..whose };
        assert!(engine.ignore(other_mode, id, true, &because("a trial")).await.unwrap().is_none());
        if loss.may_be_a_sale() {
            engine.ignore(whose, id, true, &because("a trial")).await.unwrap().unwrap();
        }
        let again = engine.ignore(whose, id, true, &because("a trial")).await;
        assert!(matches!(again, Err(IgnoreError::NotStuck(status)) if status == "ignored"));
    }
    assert_eq!(harness.attention().await, [""; 0], "nobody is asked any more");
    assert_eq!(events(&harness, whose, "ignored").await.len(), 5);
    harness.settle().await;
    assert_eq!(harness.licenses_at("stripe", "cs_ada").await, 0);

    // Once the connection is about the money that the event is about, it can be played after all.
    harness.database.sql("UPDATE connections SET mode = 'live' WHERE code = 'stripe'").await;
    let ada = events(&harness, whose, "ignored").await.into_iter().find(|event| event.event_key == "evt_ada_1");
    let ada = InboundId(ada.expect("the event of the sale").id);
    engine.replay(whose, ada, false, &because("it was real")).await.unwrap().unwrap();
    harness.settle().await;
    assert_eq!(harness.licenses_at("stripe", "cs_ada").await, 1, "the replay undid it");
    let filter = AuditFilter { action: Some("event.ignored".to_owned()), ..AuditFilter::default() };
    let log = engine.store.list_audit(whose, &filter, Page { limit: 10, from: None }).await.unwrap().rows;
    assert!(log.len() == 5 && log.iter().all(|entry| entry.detail.contains("a trial")), "{log:?}");
    assert_eq!(log.iter().filter(|entry| entry.detail.contains("19.00 EUR were paid")).count(), 1);
}

async fn what_told_of_an_account_goes_with_its_last_event(harness: Harness) {
    let whose = studio(&harness).await;
    for name in ["ada", "bob"] {
        let mut event = session(name, "paid");
        event["account"] = json!("acct_other");
        deliver(&harness, &event.to_string()).await;
    }
    for left in [1, 0] {
        assert_eq!(harness.attention().await, ["unknown_account"], "one item tells of both");
        let event = events(&harness, whose, "held").await.remove(left);
        harness.engine.ignore(whose, InboundId(event.id), true, &because("not ours")).await.unwrap().unwrap();
    }
    assert_eq!(harness.attention().await, [""; 0]);
}
