//! Stripe's own list of events.

use jiff::Timestamp;
use providers::{
    LicenseKeys, Provider,
    backfill::{Backfill, Piece},
    stripe::Stripe,
};
use serde_json::{Value, json};

use crate::support::{CREATED, at};

fn list() -> &'static dyn Backfill {
    Stripe.backfill().expect("Stripe keeps a list")
}

/// What was asked for. Stripe itself leaves out what is older.
const PIECE: Piece<'static> = Piece {
    since: Timestamp::UNIX_EPOCH,
    after: None,
    limit: 100,
    asked_at: Timestamp::UNIX_EPOCH,
    store: None,
    license_keys: LicenseKeys::Ours,
};

fn element(id: &str, kind: &str, created: i64) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": created, "livemode": true, "pending_webhooks": 1,
        "data": { "object": { "id": "in_1" } }
    })
}

#[test]
fn a_piece_is_asked_for_by_time_and_by_the_last_event_seen() {
    for (after, limit, path) in [
        (None, 100, "/v1/events?created%5Bgte%5D=1790000000&limit=100"),
        (Some("evt_1"), 50, "/v1/events?created%5Bgte%5D=1790000000&limit=50&starting_after=evt_1"),
        (Some("evt_&x"), 1, "/v1/events?created%5Bgte%5D=1790000000&limit=1&starting_after=evt_%26x"),
    ] {
        assert_eq!(list().request(&Piece { since: at(CREATED), after, limit, ..PIECE }).path, path);
    }
}

#[test]
fn a_page_is_read_oldest_first_and_keeps_what_an_endpoint_is_subscribed_to() {
    let elements = [
        element("evt_3", "invoice.paid", CREATED + 2),
        element("evt_2", "payment_intent.succeeded", CREATED + 1),
        element("evt_1", "checkout.session.completed", CREATED),
        element("evt_0", "charge.succeeded", CREATED),
    ];
    for (has_more, next) in [(json!(true), Some("evt_0")), (json!(false), None), (json!(null), None)] {
        let body = json!({ "object": "list", "data": elements, "has_more": has_more, "url": "/v1/events" });
        let page = list().page(&PIECE, &body.to_string()).expect("a page");
        assert_eq!(page.next.as_deref(), next, "the last of all, whether it says something or not");
        let read: Vec<(&str, &str)> =
            page.events.iter().map(|event| (event.key.as_str(), event.kind.as_str())).collect();
        assert_eq!(read, [("evt_1", "checkout.session.completed"), ("evt_3", "invoice.paid")]);
        let newest = page.events.last().expect("an event");
        assert_eq!((newest.occurred_at, newest.live), (Some(at(CREATED + 2)), Some(true)));
        assert_eq!(
            serde_json::from_str::<Value>(&newest.body).ok().as_ref(),
            Some(&elements[0]),
            "as it was delivered"
        );
    }
}

#[test]
fn what_is_no_page_is_refused_with_its_reason() {
    for (body, reason) in [
        ("", "the list of events does not read"),
        (r#"{"error":{"message":"no"}}"#, "missing field `data`"),
        (r#"{"data":[{"object":"event","type":"invoice.paid"}]}"#, "`id` is missing"),
        (r#"{"data":[{"object":"invoice","id":"in_1"}]}"#, "this is `invoice`, not an event"),
    ] {
        let refused = list().page(&PIECE, body).expect_err(body);
        assert!(refused.what.contains(reason), "{refused}");
    }
    let empty = list().page(&PIECE, r#"{"object":"list","data":[],"has_more":false}"#).expect("a page");
    assert_eq!((empty.events.len(), empty.next), (0, None));
}
