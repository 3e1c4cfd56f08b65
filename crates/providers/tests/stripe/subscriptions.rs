//! Subscriptions.

use domain::{
    join::Stamp,
    order::{Line, Order, Subscription, SubscriptionStatus},
    text::Reference,
};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{
    ASKED, CREATED, answer, asked, at, event, joined, names, order, refusal, tells_nothing, told, with,
};

const UPDATED: &str = "customer.subscription.updated";
const PATH: &str = "/v1/subscriptions/sub_1";
const END: i64 = CREATED + 2_592_000;

fn subscription() -> Value {
    json!({
        "id": "sub_1", "status": "active", "collection_method": "charge_automatically", "customer": "cus_1",
        "latest_invoice": "in_1",
        "items": { "data": [
            { "id": "si_1", "price": { "id": "price_1", "product": "prod_1" }, "quantity": 2, "current_period_end": END },
        ] },
    })
}

fn state(order: &Order) -> &Subscription {
    &order.subscriptions[&Reference::from("sub_1")].value
}

fn stamp(order: &Order) -> Stamp {
    order.subscriptions[&Reference::from("sub_1")].stamp
}

fn items(order: &Order) -> &[Line] {
    &order.items[&Reference::from("sub_1")].value
}

#[test]
fn what_each_status_means_and_what_it_grants() {
    use SubscriptionStatus::{Active, Ended, Incomplete, PastDue, Paused, Trialing};
    for (status, means, charging, sending) in [
        ("trialing", Trialing, Some(END), Some(END)),
        ("active", Active, Some(END), None),
        ("past_due", PastDue, None, None),
        ("unpaid", PastDue, None, None),
        ("paused", Paused, None, None),
        ("incomplete", Incomplete, None, None),
        ("incomplete_expired", Ended, None, None),
        ("canceled", Ended, None, None),
        ("a status of tomorrow", Incomplete, None, None),
    ] {
        for (method, granted) in [("charge_automatically", charging), ("send_invoice", sending)] {
            let object = with(subscription(), json!({ "status": status, "collection_method": method }));
            let order = told(UPDATED, &object);
            assert_eq!(state(&order).status, means, "{status}");
            assert_eq!(state(&order).granted_until, granted.map(at), "{status} {method}");
            assert_eq!(state(&order).ended_at.is_some(), means == Ended, "{status}");
            assert_eq!(stamp(&order).ended, means == Ended, "{status}");
        }
    }
}

#[test]
fn how_money_is_collected_had_another_name() {
    for (fields, granted) in [
        (json!({ "collection_method": null, "billing": "charge_automatically" }), Some(END)),
        (json!({ "collection_method": null, "billing": "send_invoice" }), None),
        (json!({ "collection_method": "send_invoice", "billing": "charge_automatically" }), None),
        (json!({ "collection_method": null }), None),
    ] {
        let order = told(UPDATED, &with(subscription(), fields.clone()));
        assert_eq!(state(&order).granted_until, granted.map(at), "{fields}");
    }
}

#[test]
fn a_paused_collection_is_service_for_free_and_a_paused_subscription_is_none() {
    use SubscriptionStatus::{Active, Paused};
    let requested = json!({ "paused": { "subscription": { "type": "final_payment_failure" } } });
    for (fields, means, granted) in [
        (json!({ "pause_collection": null }), Active, Some(END)),
        (json!({ "pause_collection": { "behavior": "void", "resumes_at": END + 9 } }), Active, Some(END)),
        (json!({ "pause_collection": { "behavior": "keep_as_draft" } }), Active, Some(END)),
        (json!({ "pause_collection": { "behavior": "mark_uncollectible" } }), Active, Some(END)),
        (json!({ "pause_collection": { "behavior": "a behaviour of tomorrow" } }), Active, Some(END)),
        (json!({ "status": "paused" }), Paused, None),
        (json!({ "status": "paused", "status_details": requested }), Paused, None),
    ] {
        let order = told(UPDATED, &with(subscription(), fields.clone()));
        assert_eq!((state(&order).status, state(&order).granted_until), (means, granted.map(at)), "{fields}");
    }
}

#[test]
fn the_period_ends_with_its_last_item_or_as_versions_before_basil_say() {
    let item = |end: Value| json!({ "id": "si", "price": "p", "current_period_end": end });
    for (fields, granted) in [
        (json!({}), Some(END)),
        (json!({ "items": { "data": [item(json!(END)), item(json!(END + 9)), item(json!(null))] } }), Some(END + 9)),
        (json!({ "items": { "data": [item(json!(null))] }, "current_period_end": END + 5 }), Some(END + 5)),
        (json!({ "items": null, "current_period_end": (END + 5).to_string() }), Some(END + 5)),
        (json!({ "current_period_end": END + 5 }), Some(END)),
        (json!({ "items": null }), None),
        (json!({ "status": "trialing", "trial_end": END - 7 }), Some(END - 7)),
    ] {
        let order = told(UPDATED, &with(subscription(), fields.clone()));
        assert_eq!(state(&order).granted_until, granted.map(at), "{fields}");
    }
}

#[test]
fn a_scheduled_end_is_known_and_can_be_undone() {
    for (fields, cancel_at) in [
        (json!({}), None),
        (json!({ "cancel_at": END - 5 }), Some(END - 5)),
        (json!({ "cancel_at_period_end": true }), Some(END)),
        (json!({ "cancel_at_period_end": true, "cancel_at": END - 5 }), Some(END - 5)),
        (json!({ "cancel_at_period_end": false, "canceled_at": CREATED }), None),
    ] {
        let order = told(UPDATED, &with(subscription(), fields.clone()));
        assert_eq!(state(&order).cancel_at, cancel_at.map(at), "{fields}");
        assert_eq!(state(&order).ended_at, None, "the time of the wish is not the end: {fields}");
    }
}

#[test]
fn an_end_has_a_time_even_if_it_does_not_say() {
    const DELETED: &str = "customer.subscription.deleted";
    for (kind, fields, ended_at) in [
        (DELETED, json!({ "status": "canceled", "canceled_at": END - 9, "ended_at": END }), END),
        (DELETED, json!({ "status": "canceled", "canceled_at": END - 9 }), END - 9),
        (DELETED, json!({ "status": "canceled" }), CREATED),
        (DELETED, json!({ "status": "active" }), CREATED),
        (UPDATED, json!({ "status": "incomplete_expired" }), CREATED),
        (UPDATED, json!({ "status": null, "ended_at": END }), END),
    ] {
        let order = told(kind, &with(subscription(), fields.clone()));
        assert_eq!(state(&order).ended_at, Some(at(ended_at)), "{fields}");
        assert!(stamp(&order).ended);
    }
}

#[test]
fn without_a_key_events_are_ordered_by_second_and_kind() {
    for (kind, rank) in [("created", 0), ("updated", 1), ("paused", 1), ("resumed", 1), ("deleted", 2)] {
        for level in [Level::None, Level::Read] {
            let order = order(level, &event(&format!("customer.subscription.{kind}"), &subscription()), &[]);
            let ended = kind == "deleted";
            assert_eq!(stamp(&order), Stamp { ended, at: at(CREATED), rank }, "{kind}");
            assert_eq!(order.items[&Reference::from("sub_1")].stamp, stamp(&order), "items share the stamp");
        }
    }
    tells_nothing("customer.subscription.trial_will_end", &subscription());
}

#[test]
fn with_a_key_the_fresh_look_counts_and_is_as_old_as_its_question() {
    let incoming = event(UPDATED, &subscription());
    assert_eq!(asked(Level::Full, &incoming, &[]), [PATH]);
    let fresh = with(subscription(), json!({ "status": "past_due", "latest_invoice": "in_2" }));
    let found = order(Level::Full, &incoming, &[answer(PATH, 200, &fresh)]);
    assert_eq!(state(&found).status, SubscriptionStatus::PastDue);
    assert_eq!(stamp(&found), Stamp::at(at(ASKED)));
    assert_eq!(found.references, names(&["in_2", "sub_1"]).into_iter().collect());
    let over = with(subscription(), json!({ "status": "canceled", "ended_at": END }));
    let found = order(Level::Full, &incoming, &[answer(PATH, 200, &over)]);
    assert_eq!(stamp(&found), Stamp { ended: true, at: at(ASKED), rank: 0 });
}

#[test]
fn of_two_answers_the_later_counts() {
    let mut second = answer(PATH, 200, &with(subscription(), json!({ "status": "paused" })));
    second.asked_at = at(ASKED + 1);
    let first = answer(PATH, 200, &subscription());
    for answers in [[first.clone(), second.clone()], [second, first]] {
        let found = order(Level::Full, &event(UPDATED, &subscription()), &answers);
        assert_eq!(state(&found).status, SubscriptionStatus::Paused);
    }
}

#[test]
fn a_refused_look_leaves_what_the_event_said() {
    for status in [401, 403, 404] {
        let incoming = event("customer.subscription.created", &subscription());
        let fallen_back = order(Level::Full, &incoming, &[answer(PATH, status, &json!({ "error": {} }))]);
        assert_eq!(fallen_back, told("customer.subscription.created", &subscription()), "{status}");
    }
}

#[test]
fn items_are_lines_that_renew() {
    for (item, line, price, quantity) in [
        (json!({ "id": "si_1", "price": { "id": "p" }, "quantity": 2 }), "si_1", "p", 2),
        (json!({ "id": "si_1", "price": { "id": "p" } }), "si_1", "p", 1),
        (json!({ "id": "si_1", "price": { "id": "p" }, "plan": { "id": "old" } }), "si_1", "p", 1),
        (json!({ "id": "si_1", "plan": { "id": "old" }, "quantity": "4" }), "si_1", "old", 4),
        (json!({ "price": { "id": "p" } }), "sub_1:0", "p", 1),
        (json!({ "id": "si_1" }), "si_1", "line:si_1", 1),
    ] {
        let order = told(UPDATED, &with(subscription(), json!({ "items": { "data": [item.clone()] } })));
        let [only] = items(&order) else { panic!("one line") };
        assert_eq!((only.line.as_str(), only.price.as_str()), (line, price), "{item}");
        assert_eq!((only.quantity, only.recurring), (quantity, true), "{item}");
    }
}

#[test]
fn a_price_may_name_its_plan_and_the_subscription_may_not() {
    let price = json!({ "id": "p", "metadata": { "plan_code": "TEAM" } });
    let fields = json!({
        "metadata": { "plan_code": "STALE" },
        "items": { "data": [{ "id": "si_1", "price": price }, { "id": "si_2", "price": "q" }] },
    });
    let order = told(UPDATED, &with(subscription(), fields));
    let named: Vec<_> = items(&order).iter().map(|line| line.named.as_ref().map(|plan| plan.as_str())).collect();
    assert_eq!(named, [Some("TEAM"), None]);
}

#[test]
fn a_snapshot_without_items_says_nothing_about_items() {
    let bought = told("customer.subscription.created", &subscription());
    for items in [json!(null), json!({ "data": [] }), json!({}), json!("si_1")] {
        let object = with(subscription(), json!({ "items": items, "status": "past_due" }));
        let later = told(UPDATED, &object);
        assert!(later.items.is_empty(), "{items}");
        assert_eq!(joined(&[bought.clone(), later]).items, bought.items);
    }
}

#[test]
fn names_are_the_subscription_and_its_invoice_and_neither_is_the_others_payment() {
    for invoice in [json!("in_1"), json!({ "id": "in_1", "object": "invoice" })] {
        let order = told(UPDATED, &with(subscription(), json!({ "latest_invoice": invoice })));
        assert_eq!(order.references, names(&["in_1", "sub_1"]).into_iter().collect());
        assert!(order.payments.is_empty());
    }
    assert_eq!(told(UPDATED, &subscription()).customers, ["cus_1".into()].into());
    assert_eq!(refusal(UPDATED, &json!({ "status": "active" })), "`data.object.id` is missing");
}
