//! Subscriptions: where they stand, and what they are for.

use domain::{
    order::{Subscription, SubscriptionStatus as Status},
    text::{PlanCode, Reference},
};
use jiff::Timestamp;
use providers::Level;
use serde_json::{Value, json};

use crate::support::{
    HAPPENED, asked, at, event, event_at, facts, joined, names, order, order_believing, permutations, refusal, told,
    with,
};

const UPDATED: &str = "subscription.updated";
const MONTH: &str = "2026-10-21T14:13:20Z";

fn subscription() -> Value {
    json!({
        "id": "sub_1", "status": "active", "customer_id": "ctm_1", "collection_mode": "automatic",
        "current_billing_period": { "starts_at": "2026-09-21T14:13:20Z", "ends_at": MONTH }, "scheduled_change": null,
        "items": [{
            "status": "active", "recurring": true, "quantity": 1,
            "price": { "id": "pri_1", "product_id": "pro_1", "name": "Monthly" }, "product": { "id": "pro_1", "name": "Editor" }
        }]
    })
}

fn id() -> Reference {
    "sub_1".into()
}

fn state(kind: &str, fields: Value) -> Subscription {
    told(kind, &with(subscription(), fields)).subscriptions[&id()].value.clone()
}

fn month() -> Option<Timestamp> {
    MONTH.parse().ok()
}

/// When that month began: until then it was paid.
fn began() -> Option<Timestamp> {
    "2026-09-21T14:13:20Z".parse().ok()
}

#[test]
fn what_was_there_before_its_vendor_connected_was_paid_until_it_stopped() {
    let period = json!({ "starts_at": "2026-09-21T14:13:20Z", "ends_at": MONTH });
    for (what, told, granted_until) in [
        ("due since its second month", json!({ "status": "past_due", "started_at": "2026-08-21T14:13:20Z" }), began()),
        ("due since its first", json!({ "status": "past_due", "started_at": "2026-09-21T14:13:20Z" }), None),
        ("paused", json!({ "status": "paused", "paused_at": "2026-09-21T14:13:20Z" }), began()),
    ] {
        let told = with(told, json!({ "current_billing_period": period }));
        assert_eq!(state("subscription.updated", told).granted_until, granted_until, "{what}");
    }
}

#[test]
fn its_status_says_where_it_stands_and_what_paddle_vouches_for() {
    for (kind, status, mode, known, granted_until) in [
        (UPDATED, "active", "automatic", Status::Active, month()),
        (UPDATED, "active", "manual", Status::Active, None),
        (UPDATED, "active", "of_tomorrow", Status::Active, None),
        ("subscription.trialing", "trialing", "manual", Status::Trialing, month()),
        ("subscription.activated", "active", "automatic", Status::Active, month()),
        ("subscription.past_due", "past_due", "automatic", Status::PastDue, began()),
        ("subscription.past_due", "past_due", "manual", Status::PastDue, None),
        ("subscription.paused", "paused", "automatic", Status::Paused, None),
        ("subscription.resumed", "active", "automatic", Status::Active, month()),
        ("subscription.imported", "active", "automatic", Status::Active, month()),
        ("subscription.canceled", "canceled", "automatic", Status::Ended, None),
        ("subscription.canceled", "active", "automatic", Status::Ended, None),
        (UPDATED, "canceled", "automatic", Status::Ended, None),
        (UPDATED, "inactive", "automatic", Status::Incomplete, None),
    ] {
        let state = state(kind, json!({ "status": status, "collection_mode": mode }));
        assert_eq!((state.status, state.granted_until), (known, granted_until), "{kind} {status} {mode}");
        assert_eq!(state.ended_at.is_some(), known == Status::Ended, "{kind} {status}");
    }
}

#[test]
fn canceled_means_that_it_is_over_now() {
    let told_when =
        json!({ "status": "canceled", "canceled_at": "2026-10-01T00:00:00Z", "current_billing_period": null });
    let state_then = state("subscription.canceled", told_when);
    assert_eq!(state_then.ended_at, "2026-10-01T00:00:00Z".parse().ok());
    assert_eq!(
        state("subscription.canceled", json!({})).ended_at,
        Some(at(HAPPENED)),
        "with the event, if it does not say"
    );
    assert_eq!(state("subscription.canceled", json!({})).cancel_at, None);
}

#[test]
fn the_end_to_come_is_announced_by_a_scheduled_change() {
    for (change, cancel_at) in [
        (json!({ "action": "cancel", "effective_at": MONTH }), month()),
        (json!({ "action": "cancel" }), None),
        (json!({ "action": "pause", "effective_at": MONTH, "resume_at": null }), None),
        (json!({ "action": "resume", "effective_at": MONTH }), None),
        (json!({ "action": "of_tomorrow", "effective_at": MONTH }), None),
        (json!(null), None),
    ] {
        assert_eq!(state(UPDATED, json!({ "scheduled_change": change })).cancel_at, cancel_at, "{change}");
    }
}

#[test]
fn a_trial_ends_with_the_last_of_its_items() {
    let trial = |end: Value| json!({ "trial_dates": end, "price": { "id": "pri_1" } });
    let items = json!([
        trial(json!({ "ends_at": "2026-10-01T00:00:00Z" })),
        trial(json!({ "ends_at": MONTH })),
        trial(json!(null))
    ]);
    let in_trial = json!({ "status": "trialing", "items": items, "current_billing_period": null });
    let in_trial = state("subscription.trialing", in_trial);
    assert_eq!((in_trial.trial_until, in_trial.granted_until), (month(), month()));
    assert_eq!(state(UPDATED, json!({ "items": items })).trial_until, month(), "also when it is over");
    assert_eq!(state(UPDATED, json!({})).trial_until, None);
}

#[test]
fn its_items_are_lines_named_after_their_prices() {
    let item =
        |price: &str, quantity: u32| json!({ "price": { "id": price }, "quantity": quantity, "recurring": true });
    let lines = |items: Value| -> Vec<String> {
        let order = told(UPDATED, &with(subscription(), json!({ "items": items })));
        let lines = order.items.get(&id()).map(|register| register.value.clone()).unwrap_or_default();
        lines.iter().map(|line| format!("{} {} ×{} {}", line.line, line.price, line.quantity, line.recurring)).collect()
    };
    let (one, two) = ("sub_1:pri_1 pri_1 ×1 true", "sub_1:pri_2 pri_2 ×5 true");
    assert_eq!(lines(json!([item("pri_1", 1), item("pri_2", 5)])), [one, two]);
    assert_eq!(lines(json!([item("pri_2", 5), item("pri_1", 1)])), [two, one], "whatever their places");
    let once = json!({ "price": { "id": "pri_3" }, "recurring": false });
    assert_eq!(lines(json!([once, item("pri_1", 1)])), [one], "what was sold once stands in its transaction");
    assert_eq!(lines(json!([{ "quantity": 1 }])), ["sub_1:0 line:sub_1:0 ×1 true"]);
    assert_eq!(lines(json!([])), Vec::<String>::new());
    let described = told(UPDATED, &subscription()).items[&id()].value[0].description.clone();
    assert_eq!(described.as_deref(), Some("Editor, Monthly"));
}

#[test]
fn an_update_of_one_that_is_not_active_changes_no_plan() {
    for (status, tells_items) in [
        ("active", true),
        ("trialing", true),
        ("past_due", false),
        ("paused", false),
        ("canceled", false),
        ("of_tomorrow", false),
    ] {
        let order = told(UPDATED, &with(subscription(), json!({ "status": status })));
        assert_eq!(!order.items.is_empty(), tells_items, "{status}");
    }
}

#[test]
fn only_its_creation_names_the_transaction_that_started_it() {
    let created = with(subscription(), json!({ "transaction_id": "txn_1" }));
    let created = told("subscription.created", &created);
    assert_eq!(created.references, names(&["sub_1", "txn_1"]).into_iter().collect());
    assert_eq!(told(UPDATED, &subscription()).references, [id()].into());
}

#[test]
fn the_latest_moment_counts_whatever_the_order_of_arrival() {
    let snapshot = |microsecond: i64, kind: &str, fields: Value| {
        let mut incoming = event(kind, &with(subscription(), fields));
        incoming.occurred_at = Timestamp::from_microsecond(HAPPENED * 1_000_000 + microsecond).ok();
        order(Level::None, &incoming, &[])
    };
    let price = |price: &str| json!([{ "price": { "id": price } }]);
    let told = [
        snapshot(7, "subscription.created", json!({ "status": "trialing" })),
        snapshot(7, "subscription.trialing", json!({ "status": "trialing" })),
        snapshot(8, UPDATED, json!({ "items": price("pri_2") })),
        snapshot(9, "subscription.past_due", json!({ "status": "past_due", "items": price("pri_3") })),
    ];
    for arrival in permutations(&told) {
        let known = joined(&arrival);
        let register = &known.subscriptions[&id()];
        assert_eq!((register.value.status, register.tied), (Status::PastDue, false));
        assert_eq!(known.items[&id()].value[0].price.as_str(), "pri_2");
    }
    let end = snapshot(8, "subscription.canceled", json!({ "status": "canceled" }));
    let late = snapshot(9, UPDATED, json!({}));
    for arrival in permutations(&[end, late]) {
        assert_eq!(joined(&arrival).subscriptions[&id()].value.status, Status::Ended, "it cannot come back");
    }
}

#[test]
fn the_customer_of_one_without_a_transaction_is_looked_up() {
    let imported = event("subscription.imported", &subscription());
    assert_eq!(asked(Level::Read, &imported, &[]), ["/customers/ctm_1"]);
    assert_eq!(facts(Level::None, &imported, &[]).len(), 1);
    let bought = with(subscription(), json!({ "transaction_id": "txn_1" }));
    for (kind, snapshot) in [("subscription.created", bought), (UPDATED, subscription())] {
        assert_eq!(facts(Level::Full, &event(kind, &snapshot), &[]).len(), 1, "{kind}");
    }
}

#[test]
fn without_its_id_it_makes_no_sense() {
    assert_eq!(refusal(UPDATED, &json!({ "status": "active" })), "`data.id` is missing");
    assert_eq!(event_at(5, UPDATED, &json!({})).occurred_at, Some(at(5)));
}

#[test]
fn an_imported_subscription_names_its_plan_where_that_is_believed() {
    let named = json!({ "custom_data": { "plan_id": "pro" } });
    for (kind, believed, plan) in [
        ("subscription.imported", false, None),
        ("subscription.imported", true, Some("pro")),
        ("subscription.created", true, None),
        ("subscription.updated", true, None),
    ] {
        let order = order_believing(believed, &event(kind, &with(subscription(), named.clone())));
        let lines = &order.items[&Reference::from("sub_1")].value;
        assert_eq!((lines.len(), lines[0].named.as_ref().map(PlanCode::as_str)), (1, plan), "{kind} {believed}");
    }
}
