//! Taking in: whatever is signed is kept, whatever comes with it.

use domain::id::InboundId;
use engine::receive::Received;
use futures::future::join_all;
use jiff::SignedDuration;
use providers::{Delivery, signature};
use serde_json::json;
use store::lists::{InboundFilter, InboundSummary, Page, Whose};

use crate::{
    harness::{Harness, on_both_databases},
    life::{SECRET, event},
};

on_both_databases!(one_event_never_fails_the_others, what_the_database_refuses_is_set_aside_and_nothing_else_is);

const STUDIO: &str = r#"
    product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
    plan = [{ code = "basic", product = "studio", name = "Basic" }]
    connection = [{ code = "stripe", provider = "stripe", mode = "test", level = "none", webhook_secrets = ["env:SECRET"] }]
"#;

async fn studio(harness: &Harness) {
    let file = engine::configuration::ConfigurationFile::parse(STUDIO).unwrap();
    harness.engine.apply(&file, &|_: &str| Ok(SECRET.to_owned()), false, "test").await.unwrap();
}

async fn deliver(harness: &Harness, body: &[u8]) -> u16 {
    let signed = signature::sign(&SECRET.into(), body, harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    match harness.engine.receive("stripe", "default", &Delivery { header: &header, body }).await {
        Received::Answer(answer) => answer.status,
        other => panic!("{other:?}"),
    }
}

/// A checkout that names its plan.
fn paid(name: &str) -> serde_json::Value {
    let session = json!({
        "id": format!("cs_{name}"), "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 1900, "currency": "eur", "created": 1_793_491_200, "payment_intent": format!("pi_{name}"),
        "customer_details": { "email": format!("{name}@example.com") }, "metadata": { "plan_id": "basic" },
    });
    event(name, 1, "checkout.session.completed", 1_793_491_200, &session)
}

async fn inbox(harness: &Harness) -> Vec<InboundSummary> {
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let page = Page { limit: 100, from: None };
    harness.engine.store.list_inbound(whose, &InboundFilter::default(), page).await.unwrap().rows
}

async fn statuses(harness: &Harness) -> Vec<String> {
    let mut statuses: Vec<String> = inbox(harness).await.into_iter().map(|row| row.status).collect();
    statuses.sort();
    statuses
}

/// All at once, so that they share a commit: the same event of the wrong mode twice, the same nonsense twice, characters
/// that no text of PostgreSQL may have, and a paid order.
async fn one_event_never_fails_the_others(harness: Harness) {
    studio(&harness).await;
    let mut wrong_mode = paid("live");
    wrong_mode["livemode"] = json!(true);
    let mut odd = paid("odd");
    odd["id"] = json!("evt_\u{0}");
    let bodies = [
        wrong_mode.to_string().into_bytes(),
        wrong_mode.to_string().into_bytes(),
        b"{\"id\":\0}".to_vec(),
        b"{\"id\":\0}".to_vec(),
        odd.to_string().into_bytes(),
        paid("ada").to_string().into_bytes(),
    ];
    let answers = join_all(bodies.iter().map(|body| deliver(&harness, body))).await;
    assert_eq!(answers, [200; 6]);
    assert_eq!(statuses(&harness).await, ["held", "held", "received", "received"]);
    for event in inbox(&harness).await.into_iter().filter(|event| event.status == "held") {
        let told = harness.engine.store.attention_of_event(InboundId(event.id)).await.unwrap();
        assert_eq!(told.len(), 1, "a person is told of each that is held");
    }
    harness.settle().await;
    assert_eq!(harness.licenses_at("stripe", "cs_ada").await, 1);
    assert_eq!(harness.attention().await, ["event_malformed", "event_wrong_mode"]);
}

/// An order that does not read fails its batch; a paid event beside it is worked on, and a person is told of the order.
async fn what_the_database_refuses_is_set_aside_and_nothing_else_is(harness: Harness) {
    studio(&harness).await;
    deliver(&harness, paid("broken").to_string().as_bytes()).await;
    harness.settle().await;
    harness.database.sql("UPDATE orders SET body = '?', due_at = 1").await;
    deliver(&harness, paid("ada").to_string().as_bytes()).await;
    harness.settle().await;
    assert_eq!(harness.licenses_at("stripe", "cs_ada").await, 1);
    assert_eq!(statuses(&harness).await, ["done", "done"]);
    assert_eq!(harness.attention().await, ["order_unsettled"]);
    // It is tried again, and the item closes when it reads again.
    harness.database.sql("UPDATE orders SET body = (SELECT body FROM orders WHERE body <> '?') WHERE body = '?'").await;
    harness.clock.advance(SignedDuration::from_hours(2));
    harness.settle().await;
    assert_eq!(harness.attention().await, [""; 0]);
}
