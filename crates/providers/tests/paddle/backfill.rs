//! Paddle's own list of events.

use providers::{
    LicenseKeys, Provider, Settings,
    backfill::{Backfill, Page, Piece},
    paddle::Paddle,
};
use serde_json::{Value, json};

use crate::support::{HAPPENED, at};

fn list() -> &'static dyn Backfill {
    Paddle.backfill().expect("Paddle keeps a list")
}

fn piece(after: Option<&str>, limit: u8) -> Piece<'_> {
    Piece { since: at(HAPPENED), after, limit, asked_at: at(HAPPENED), store: None, license_keys: LicenseKeys::Ours }
}

fn element(id: &str, kind: &str, second: i64) -> Value {
    json!({ "event_id": id, "event_type": kind, "occurred_at": at(second), "data": { "id": "x" } })
}

fn page(elements: &[Value], has_more: Value) -> Page {
    let pagination = json!({ "per_page": 50, "next": "https://api.paddle.com/events?after=x", "has_more": has_more });
    let body = json!({ "data": elements, "meta": { "request_id": "r", "pagination": pagination } });
    list().page(&piece(None, 50), &body.to_string()).expect("a page")
}

#[test]
fn a_piece_is_asked_for_newest_first_and_by_the_last_event_seen() {
    let beginning =
        "/events?order_by=id%5BDESC%5D&per_page=200&event_type=transaction.completed%2Csubscription.created%2C";
    let first = list().request(&piece(None, 200)).path;
    assert!(first.starts_with(beginning) && first.ends_with("%2Ccustomer.imported"), "{first}");
    assert_eq!(list().request(&piece(Some("evt_&x"), 200)).path, format!("{first}&after=evt_%26x"));
    assert!(list().request(&piece(None, 7)).path.contains("&per_page=7&"));
    assert_eq!((list().days_kept(), list().limit_max(), list().permission()), (90, 200, "Notifications: read"));
}

#[test]
fn a_page_is_read_oldest_first_and_keeps_what_an_endpoint_is_subscribed_to() {
    let elements = [
        element("evt_3", "subscription.updated", HAPPENED + 2),
        element("evt_2", "transaction.paid", HAPPENED + 1),
        element("evt_1", "transaction.completed", HAPPENED),
    ];
    for (has_more, next) in [(json!(true), Some("evt_1")), (json!(false), None), (json!(null), None)] {
        let page = page(&elements, has_more);
        assert_eq!(page.next.as_deref(), next);
        let read: Vec<(&str, &str)> =
            page.events.iter().map(|event| (event.key.as_str(), event.kind.as_str())).collect();
        assert_eq!(read, [("evt_1", "transaction.completed"), ("evt_3", "subscription.updated")]);
        let newest = page.events.last().expect("an event");
        assert_eq!((newest.occurred_at, newest.live), (Some(at(HAPPENED + 2)), None));
        assert_eq!(
            serde_json::from_str::<Value>(&newest.body).ok().as_ref(),
            Some(&elements[0]),
            "as it was delivered"
        );
    }
}

#[test]
fn the_page_that_reaches_back_behind_what_is_wanted_is_the_last() {
    let elements = [
        element("evt_3", "subscription.updated", HAPPENED),
        element("evt_2", "subscription.updated", HAPPENED - 1),
        element("evt_1", "transaction.paid", HAPPENED - 2),
    ];
    for (count, next, keys) in [(3, None, vec!["evt_3"]), (2, None, vec!["evt_3"]), (1, Some("evt_3"), vec!["evt_3"])] {
        let page = page(&elements[..count], json!(true));
        assert_eq!(page.next.as_deref(), next, "{count} elements");
        assert_eq!(page.events.iter().map(|event| event.key.as_str()).collect::<Vec<_>>(), keys);
    }
    let empty = page(&[], json!(true));
    assert_eq!((empty.events.len(), empty.next), (0, None));
}

#[test]
fn an_element_that_makes_no_sense_keeps_no_other_back() {
    let good = element("evt_1", "transaction.completed", HAPPENED);
    for nonsense in [json!({ "event_type": "transaction.paid" }), json!({}), json!(7), json!(null), json!([])] {
        for elements in [[nonsense.clone(), good.clone()], [good.clone(), nonsense.clone()]] {
            let page = page(&elements, json!(true));
            assert_eq!(page.events.iter().map(|event| event.key.as_str()).collect::<Vec<_>>(), ["evt_1"], "{nonsense}");
            assert_eq!(page.next.as_deref(), Some("evt_1"));
        }
    }
    let unnamed = json!({ "event_type": "customer.updated", "data": {} });
    let page = page(&[good, unnamed], json!(true));
    assert_eq!((page.events.len(), page.next.as_deref()), (2, Some("evt_1")));
    let held = &page.events[0];
    assert!(held.key.starts_with("sha256:"), "{held:?}");
    assert!(Paddle.translate(held, &Settings::default(), &[]).is_err(), "a person sees it");
}

#[test]
fn what_is_no_page_is_refused_with_its_reason() {
    for (body, reason) in
        [("", "the list of events does not read"), (r#"{"error":{"code":"forbidden"}}"#, "missing field `data`")]
    {
        let refused = list().page(&piece(None, 1), body).expect_err(body);
        assert!(refused.what.contains(reason), "{refused}");
    }
    let bare = list().page(&piece(None, 1), r#"{"data":[],"meta":null}"#).expect("a page");
    assert_eq!(bare, Page::default());
}
