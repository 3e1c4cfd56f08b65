//! Deliveries once more: one, an example, all of a stretch of time. And how they are forgotten.

use domain::{
    event::EventKind,
    id::{AttentionId, DeliveryId, EventId, RecoveryId, WebhookEndpointId},
};
use engine::{
    rulings::By,
    webhooks::{PER_SECOND, Recover, WebhookError},
};
use jiff::{SignedDuration, Timestamp};
use store::{
    deliveries::{cause, recovery, status},
    lists::Whose,
    rows::{Delivery, Recovery},
    webhook_endpoints::attention::DELIVERIES_DEAD,
};

use crate::harness::{Harness, SHOP, on_both_databases};

const ENDPOINTS: &str = r#"
    webhook_endpoint = [
        { code = "crm", url = "https://crm.example/hooks", events = ["order.created"] },
        { code = "all", url = "https://all.example/hooks" },
    ]
"#;

on_both_databases!(
    one_delivery_once_more,
    an_example_goes_to_its_endpoint_only,
    a_recovery_brings_what_did_not_arrive,
    a_recovery_of_everything_is_spread_over_time,
    a_recovery_waits_and_is_cancelled,
    what_a_recovery_may_not_be,
    what_is_old_is_forgotten,
);

fn by() -> By {
    By { actor: "test".to_owned(), note: None }
}

fn whose(harness: &Harness) -> Whose {
    Whose { tenant: harness.tenant, livemode: true }
}

async fn open(harness: &Harness, sales: usize) -> WebhookEndpointId {
    harness.apply(&format!("{SHOP}{ENDPOINTS}")).await;
    for _ in 0..sales {
        harness.clock.advance(SignedDuration::from_secs(60));
        harness.sell("pro").await;
        harness.settle().await;
    }
    WebhookEndpointId(harness.endpoint("crm").await.id)
}

/// Writes down that a delivery has come so far.
async fn becomes(harness: &Harness, row: &Delivery, status: &str) {
    let row = Delivery {
        status: status.to_owned(),
        attempts: 10,
        next_attempt_at: None,
        error: Some("it answered 500".to_owned()),
        done_at: Some(harness.engine.now().as_microsecond()),
        ..row.clone()
    };
    let write = harness.engine.store.begin().await.unwrap();
    write.save_deliveries(vec![row]).await.unwrap();
    write.commit().await.unwrap();
}

async fn one_delivery_once_more(harness: Harness) {
    let endpoint = open(&harness, 1).await;
    let row = harness.deliveries_to("crm").await.remove(0);
    let id = DeliveryId(row.id);
    let redeliver = async || harness.engine.redeliver(whose(&harness), id, &by()).await;
    // (it was; tries that count after it)
    harness.database.sql("UPDATE deliveries SET attempts = 3").await;
    harness.clock.advance(SignedDuration::from_secs(5));
    let now = harness.engine.now().as_microsecond();
    let pending = redeliver().await.unwrap();
    assert_eq!((pending.attempts, pending.next_attempt_at), (3, Some(now)), "it stays on its schedule");
    for before in [status::DEAD, status::DELIVERED, status::HELD] {
        becomes(&harness, &row, before).await;
        let again = redeliver().await.unwrap();
        assert_eq!((again.status.as_str(), again.attempts, again.next_attempt_at), (status::PENDING, 0, Some(now)));
        assert_eq!((again.cause.as_str(), again.event_id, again.id), (cause::MANUAL, row.event_id, row.id), "{before}");
    }
    harness.engine.pause_webhook_endpoint(whose(&harness), endpoint, &by()).await.unwrap();
    let refused = redeliver().await.unwrap_err();
    assert!(matches!(&refused, WebhookError::NotEnabled { status, .. } if status == "paused"), "{refused}");
    let other = harness.engine.ensure_tenant("other", "Other").await.unwrap();
    for whose in [Whose { tenant: other, livemode: true }, Whose { tenant: harness.tenant, livemode: false }] {
        let unknown = harness.engine.redeliver(whose, id, &by()).await.unwrap_err();
        assert!(matches!(unknown, WebhookError::NoDelivery(_)), "{unknown}");
    }
    assert_eq!(harness.audited().await.iter().filter(|action| *action == "delivery.redelivered").count(), 4);
}

async fn an_example_goes_to_its_endpoint_only(harness: Harness) {
    let endpoint = open(&harness, 0).await;
    for kind in EventKind::ALL {
        harness.clock.advance(SignedDuration::from_secs(1));
        harness.engine.send_example(whose(&harness), endpoint, *kind, &by()).await.unwrap();
    }
    let rows = harness.deliveries_to("crm").await;
    assert_eq!((rows.len(), harness.deliveries_to("all").await.len()), (EventKind::ALL.len(), 0));
    for (row, kind) in rows.iter().zip(EventKind::ALL) {
        let event = harness.engine.store.event(whose(&harness), EventId(row.event_id)).await.unwrap().unwrap();
        assert_eq!((event.kind.as_str(), event.example, row.cause.as_str()), (kind.as_str(), true, cause::EXAMPLE));
        assert!(event.body.starts_with(r#"{"example":true,"#), "{}", event.body);
        assert_eq!((event.license_id, row.license_id), (None, None), "no key is given away");
    }
    // The doctor does not miss it elsewhere, and a recovery does not bring it there.
    harness.clock.advance(SignedDuration::from_secs(3_600));
    let all = WebhookEndpointId(harness.endpoint("all").await.id);
    let row = begin(&harness, all, Recover { everything: true, ..asked(&harness) }).await;
    run(&harness).await;
    assert_eq!(recovery_of(&harness, all, &row).await.queued, 0);
}

fn asked(harness: &Harness) -> Recover {
    let since = domain::time::after(harness.engine.now(), -SignedDuration::from_hours(24));
    Recover { since, until: None, everything: false, per_second: PER_SECOND }
}

async fn begin(harness: &Harness, endpoint: WebhookEndpointId, asked: Recover) -> Recovery {
    harness.engine.recover(whose(harness), endpoint, asked, &by()).await.unwrap()
}

/// Lets the worker do what it can now.
async fn run(harness: &Harness) {
    while harness.engine.recover_turn().await.unwrap() {}
}

async fn recovery_of(harness: &Harness, endpoint: WebhookEndpointId, row: &Recovery) -> Recovery {
    let rows = harness.engine.store.recoveries(endpoint).await.unwrap();
    rows.into_iter().find(|other| other.id == row.id).unwrap()
}

async fn a_recovery_brings_what_did_not_arrive(harness: Harness) {
    let endpoint = open(&harness, 5).await;
    let rows = harness.deliveries_to("crm").await;
    assert_eq!(rows.len(), 5);
    for (row, status) in rows.iter().zip([status::DEAD, status::HELD, status::DELIVERED]) {
        becomes(&harness, row, status).await;
    }
    harness.database.sql("DELETE FROM deliveries WHERE created_at = (SELECT max(created_at) FROM deliveries)").await;
    assert_eq!(harness.deliveries_to("crm").await.len(), 4);
    let before = harness.engine.store.begin().await.unwrap();
    before.open_items(vec![dead_item(&harness, endpoint)]).await.unwrap();
    before.commit().await.unwrap();

    let row = begin(&harness, endpoint, asked(&harness)).await;
    run(&harness).await;
    let done = recovery_of(&harness, endpoint, &row).await;
    assert_eq!((done.status.as_str(), done.queued), (recovery::DONE, 3));
    let after = harness.deliveries_to("crm").await;
    let told: Vec<_> = after.iter().map(|row| (row.status.as_str(), row.cause.as_str(), row.attempts)).collect();
    let (again, event) = ((status::PENDING, cause::RECOVERY, 0), (status::PENDING, cause::EVENT, 0));
    assert_eq!(told, [again, again, (status::DELIVERED, cause::EVENT, 10), event, again]);
    assert_eq!(harness.attention().await, Vec::<String>::new(), "nothing is given up any more");
    // Nobody has to deliver what is on its way already.
    let row = begin(&harness, endpoint, asked(&harness)).await;
    run(&harness).await;
    assert_eq!(recovery_of(&harness, endpoint, &row).await.queued, 0);
}

fn dead_item(harness: &Harness, endpoint: WebhookEndpointId) -> store::rows::AttentionItem {
    let about = (DELIVERIES_DEAD, endpoint.to_string());
    store::rows::AttentionItem::new(
        AttentionId(endpoint.0),
        harness.tenant,
        about,
        "given up".to_owned(),
        harness.engine.now(),
    )
}

async fn a_recovery_of_everything_is_spread_over_time(harness: Harness) {
    let endpoint = open(&harness, 6).await;
    for row in harness.deliveries_to("crm").await {
        becomes(&harness, &row, status::DELIVERED).await;
    }
    let begins = harness.engine.now().as_microsecond();
    let row = begin(&harness, endpoint, Recover { everything: true, per_second: 2, ..asked(&harness) }).await;
    run(&harness).await;
    let done = recovery_of(&harness, endpoint, &row).await;
    assert_eq!((done.status.as_str(), done.queued, done.next_at), (recovery::DONE, 6, begins + 3_000_000));
    let times = harness.deliveries_to("crm").await.into_iter().map(|row| row.next_attempt_at.unwrap() - begins);
    assert!(times.eq([0, 500_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000]));
    // Before a moment and from another on.
    let minute = |number: i64| Timestamp::from_microsecond(begins - 60_000_000 * number).unwrap();
    let stretch = Recover { since: minute(3), until: Some(minute(1)), everything: true, per_second: 1_000 };
    harness.database.sql("UPDATE deliveries SET status = 'delivered', next_attempt_at = NULL").await;
    let row = begin(&harness, endpoint, stretch).await;
    run(&harness).await;
    assert_eq!(recovery_of(&harness, endpoint, &row).await.queued, 2);
}

async fn a_recovery_waits_and_is_cancelled(harness: Harness) {
    let endpoint = open(&harness, 2).await;
    for row in harness.deliveries_to("crm").await {
        becomes(&harness, &row, status::DEAD).await;
    }
    let row = begin(&harness, endpoint, asked(&harness)).await;
    let second = harness.engine.recover(whose(&harness), endpoint, asked(&harness), &by()).await.unwrap_err();
    assert!(matches!(second, WebhookError::Recovering(id) if id.0 == row.id), "{second}");
    // While its address is not called, it stands still.
    harness.engine.pause_webhook_endpoint(whose(&harness), endpoint, &by()).await.unwrap();
    run(&harness).await;
    assert_eq!(recovery_of(&harness, endpoint, &row).await, row);
    // It goes no further ahead of time than a few seconds.
    harness.engine.enable_webhook_endpoint(whose(&harness), endpoint, false, &by()).await.unwrap();
    harness.database.sql("UPDATE recoveries SET next_at = next_at + 60000000").await;
    run(&harness).await;
    assert_eq!(recovery_of(&harness, endpoint, &row).await.status, recovery::RUNNING);
    let id = RecoveryId(row.id);
    let other = harness.engine.ensure_tenant("other", "Other").await.unwrap();
    let foreign = Whose { tenant: other, livemode: true };
    let refused = harness.engine.cancel_recovery(foreign, id, &by()).await.unwrap_err();
    assert!(matches!(refused, WebhookError::NoRecovery(_)), "{refused}");
    for _ in 0..2 {
        let cancelled = harness.engine.cancel_recovery(whose(&harness), id, &by()).await.unwrap();
        assert_eq!((cancelled.status.as_str(), cancelled.queued), (recovery::CANCELLED, 0));
    }
    harness.clock.advance(SignedDuration::from_hours(1));
    run(&harness).await;
    assert!(harness.deliveries_to("crm").await.iter().all(|row| row.status == status::DEAD));
    let audited = harness.audited().await;
    let of_recoveries: Vec<_> = audited.iter().filter(|action| action.contains("recovery")).collect();
    assert_eq!(of_recoveries, ["webhook_endpoint.recovery_cancelled", "webhook_endpoint.recovery_started"]);
}

async fn what_a_recovery_may_not_be(harness: Harness) {
    let endpoint = open(&harness, 0).await;
    let now = harness.engine.now();
    let ago = |hours| domain::time::after(now, -SignedDuration::from_hours(hours));
    for (since, until, per_second, told) in [
        (now, None, 50, "until a later one"),
        (ago(-1), None, 50, "since a moment in the past"),
        (ago(1), Some(ago(2)), 50, "until a later one"),
        (ago(1), None, 0, "1 to 1000 events a second"),
        (ago(1), None, 1_001, "1 to 1000 events a second"),
    ] {
        let asked = Recover { since, until, everything: false, per_second };
        let error = harness.engine.recover(whose(&harness), endpoint, asked, &by()).await.unwrap_err().to_string();
        assert!(error.contains(told), "{asked:?}: {error}");
    }
    // What was forgotten would arrive a second time.
    let old = Recover { since: ago(24 * 365), ..asked(&harness) };
    assert_eq!(begin(&harness, endpoint, old).await.since, ago(24 * 90).as_microsecond());
}

async fn what_is_old_is_forgotten(harness: Harness) {
    let endpoint = open(&harness, 4).await;
    let rows = harness.deliveries_to("crm").await;
    for (row, status) in rows.iter().zip([status::DEAD, status::DELIVERED, status::HELD]) {
        becomes(&harness, row, status).await;
    }
    // What went to the other endpoint arrived.
    for row in harness.deliveries_to("all").await {
        becomes(&harness, &row, status::DELIVERED).await;
    }
    let past = Some(domain::time::after(harness.engine.now(), -SignedDuration::from_hours(12)));
    begin(&harness, endpoint, Recover { until: past, ..asked(&harness) }).await;
    run(&harness).await;
    let counts = async || {
        let events =
            harness.engine.store.count_events(whose(&harness), (Timestamp::MIN, Timestamp::MAX)).await.unwrap();
        (
            harness.deliveries_to("crm").await.len(),
            events,
            harness.engine.store.recoveries(endpoint).await.unwrap().len(),
        )
    };
    let before = counts().await;
    assert_eq!((before.0, before.2), (4, 1));
    harness.clock.advance(SignedDuration::from_hours(24 * 90 - 1));
    assert_eq!(harness.engine.forget_what_is_old().await.unwrap(), 0);
    harness.clock.advance(SignedDuration::from_hours(2));
    assert!(harness.engine.forget_what_is_old().await.unwrap() > 0);
    assert_eq!(counts().await, (2, 2, 0), "an event stays as long as a delivery of it");
    let left: Vec<String> = harness.deliveries_to("crm").await.into_iter().map(|row| row.status).collect();
    assert_eq!(left, [status::HELD, status::PENDING], "what is not over is never forgotten");
    harness.apply("tenant = { deliveries_kept_days = 3650 }").await;
    becomes(&harness, &rows[2], status::DEAD).await;
    assert_eq!(harness.engine.forget_what_is_old().await.unwrap(), 0);
}
