//! Subscriptions: where they stand, and until when they are paid.

use domain::{
    order::{Order, SubscriptionStatus as Status},
    text::{PlanCode, Reference},
};
use serde_json::{Value, json};

use crate::support::{a_subscription, at, day, event_naming, order_believing, told, with};

fn snapshot(fields: Value) -> Order {
    told("subscription_updated", "2", &with(a_subscription(), fields))
}

/// The day of September on which the order's only period ends.
fn paid_until(order: &Order) -> Option<i8> {
    order.periods.values().next().map(|period| period.until.to_zoned(jiff::tz::TimeZone::UTC).day())
}

#[test]
fn a_status_says_what_is_granted_what_was_paid_and_what_is_coming() {
    let (trial, ends) = (json!(day(14)), json!(day(25)));
    // The fields, the status, granted until, paid until, cancelled at, ended at.
    for (fields, status, [granted, paid, cancels, ended]) in [
        (json!({ "status": "active" }), Status::Active, [Some(30), Some(30), None, None]),
        (json!({ "status": "on_trial", "trial_ends_at": trial }), Status::Trialing, [Some(14), Some(14), None, None]),
        (json!({ "status": "active", "trial_ends_at": trial }), Status::Active, [Some(30), Some(30), None, None]),
        (json!({ "status": "past_due" }), Status::PastDue, [None, None, None, None]),
        (json!({ "status": "unpaid" }), Status::PastDue, [None, None, None, None]),
        (json!({ "status": "paused", "pause": { "mode": "void" } }), Status::Paused, [None, None, None, None]),
        (json!({ "status": "paused", "pause": null }), Status::Paused, [None, None, None, None]),
        (json!({ "status": "paused", "pause": { "mode": "free" } }), Status::Active, [Some(30), None, None, None]),
        (json!({ "status": "cancelled", "ends_at": ends }), Status::Active, [Some(25), Some(25), Some(25), None]),
        (json!({ "status": "cancelled" }), Status::Active, [Some(30), Some(30), None, None]),
        (
            json!({ "status": "cancelled", "ends_at": trial, "trial_ends_at": trial }),
            Status::Trialing,
            [Some(14), Some(14), Some(14), None],
        ),
        (
            json!({ "status": "past_due", "cancelled": true, "ends_at": ends }),
            Status::PastDue,
            [None, None, Some(25), None],
        ),
        (
            json!({ "status": "expired", "cancelled": true, "ends_at": ends }),
            Status::Ended,
            [None, None, None, Some(25)],
        ),
        (json!({ "status": "expired", "updated_at": day(26) }), Status::Ended, [None, None, None, Some(26)]),
        (json!({ "status": "a status of tomorrow" }), Status::Incomplete, [None, None, None, None]),
        (json!({ "status": null }), Status::Incomplete, [None, None, None, None]),
    ] {
        let order = snapshot(fields.clone());
        let register = &order.subscriptions["subscription:2"];
        let state = &register.value;
        let of_day = |at: Option<jiff::Timestamp>| at.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).day());
        let found = [of_day(state.granted_until), paid_until(&order), of_day(state.cancel_at), of_day(state.ended_at)];
        assert_eq!((state.status, found), (status, [granted, paid, cancels, ended]), "{fields}");
        assert_eq!(register.stamp.ended, state.ended_at.is_some(), "{fields}");
    }
}

#[test]
fn a_pause_with_free_service_lasts_until_it_is_over() {
    let order =
        snapshot(json!({ "status": "paused", "pause": { "mode": "free", "resumes_at": "2026-12-01T00:00:00Z" } }));
    let granted = order.subscriptions["subscription:2"].value.granted_until;
    assert_eq!(granted, Some(at("2026-12-01T00:00:00Z")));
}

#[test]
fn what_a_subscription_is_for_is_the_line_that_was_bought() {
    let order = snapshot(json!({ "variant_id": 551, "first_subscription_item": { "quantity": 5 } }));
    let line = &order.items["subscription:2"].value[0];
    assert_eq!((line.line.as_str(), line.price.as_str(), line.quantity), ("item:11", "551", 5));
    assert!(line.recurring);
    let covers = order.subscriptions["subscription:2"].value.covers.clone().expect("it names its line");
    assert_eq!(covers, ["item:11".into(), "order:1:item".into()].into());
    assert!(order.references.contains(&Reference::from("order:1")));
}

#[test]
fn the_checkouts_own_data_names_what_was_bought_and_not_what_it_was_changed_to() {
    for (kind, believed, named) in [
        ("subscription_created", false, None),
        ("subscription_created", true, Some("pro")),
        ("subscription_updated", true, None),
        ("subscription_plan_changed", true, None),
    ] {
        let event = event_naming(kind, "2", &a_subscription(), &json!({ "plan_id": "pro" }));
        let line = order_believing(believed, &event).items["subscription:2"].value[0].clone();
        assert_eq!(line.named, named.map(PlanCode::from), "{kind} {believed}");
    }
}

#[test]
fn snapshots_are_ordered_by_their_change_and_then_by_what_they_tell() {
    let stamp = |kind: &str, fields: Value| {
        told(kind, "2", &with(a_subscription(), fields)).subscriptions["subscription:2"].stamp
    };
    let moment = json!({ "updated_at": day(5) });
    let rising = [
        stamp("subscription_created", json!({})),
        stamp("subscription_created", moment.clone()),
        stamp("subscription_updated", moment.clone()),
        stamp("subscription_paused", moment),
        stamp("subscription_updated", json!({ "first_subscription_item": { "quantity": 2, "updated_at": day(6) } })),
        stamp("subscription_expired", json!({ "status": "expired" })),
    ];
    assert!(rising.is_sorted_by(|earlier, later| earlier < later), "{rising:?}");
}

#[test]
fn when_it_is_tried_again_is_known_while_it_is_overdue() {
    for (status, tries) in [("past_due", true), ("unpaid", false), ("active", false)] {
        assert_eq!(!snapshot(json!({ "status": status })).retries.is_empty(), tries, "{status}");
    }
}
