//! Lemon Squeezy's lists, read as if each object had been delivered.

use providers::{
    LicenseKeys, Provider,
    backfill::{Backfill, Page, Piece},
    lemonsqueezy::LemonSqueezy,
};
use serde_json::{Value, json};

use crate::support::{a_subscription, an_invoice, an_order, at, day, event, with};

fn lists() -> &'static dyn Backfill {
    LemonSqueezy.backfill().expect("there are lists")
}

/// Read on the 28th for what changed since the 20th.
fn piece<'a>(after: Option<&'a str>, store: Option<&'a str>) -> Piece<'a> {
    Piece { since: at(&day(20)), after, limit: 100, asked_at: at(&day(28)), store, license_keys: LicenseKeys::Ours }
}

fn page(after: &str, kind: &str, objects: &[Value], pages: (u32, u32)) -> Page {
    let numbered = objects.iter().zip(1..);
    let data: Vec<Value> = numbered
        .map(|(attributes, id)| json!({ "type": kind, "id": id.to_string(), "attributes": attributes }))
        .collect();
    let body = json!({ "meta": { "page": { "currentPage": pages.0, "lastPage": pages.1 } }, "data": data });
    lists().page(&piece(Some(after), None), &body.to_string()).expect("a page")
}

#[test]
fn a_page_is_asked_for_by_its_list_its_number_and_the_store() {
    for (after, store, path) in [
        (None, None, "/v1/orders?page%5Bsize%5D=100&page%5Bnumber%5D=1"),
        (Some("orders:3"), None, "/v1/orders?page%5Bsize%5D=100&page%5Bnumber%5D=3"),
        (
            Some("subscriptions:1"),
            Some("7"),
            "/v1/subscriptions?page%5Bsize%5D=100&page%5Bnumber%5D=1&filter%5Bstore_id%5D=7",
        ),
        (Some("license-keys:2"), None, "/v1/license-keys?page%5Bsize%5D=100&page%5Bnumber%5D=2"),
        (Some("nonsense"), None, "/v1/orders?page%5Bsize%5D=100&page%5Bnumber%5D=1"),
    ] {
        assert_eq!(lists().request(&piece(after, store)).path, path);
    }
}

#[test]
fn one_list_follows_the_other_and_each_ends_where_nothing_new_can_be() {
    let order = |on: &str| with(an_order(), json!({ "created_at": on }));
    let subscription = |on: &str| with(a_subscription(), json!({ "created_at": on }));
    let long_ago = "2026-05-01T00:00:00Z";
    for (after, kind, oldest, pages, next) in [
        ("orders:1", "orders", order(&day(19)), (1, 3), Some("orders:2")),
        ("orders:2", "orders", order(&day(19)), (2, 2), Some("subscription-invoices:1")),
        ("orders:1", "orders", order(long_ago), (1, 3), Some("subscription-invoices:1")),
        ("subscription-invoices:4", "subscription-invoices", order(long_ago), (4, 9), Some("subscriptions:1")),
        ("subscriptions:1", "subscriptions", subscription(long_ago), (1, 2), Some("subscriptions:2")),
        ("subscriptions:2", "subscriptions", subscription(long_ago), (2, 2), None),
    ] {
        assert_eq!(page(after, kind, &[oldest], pages).next.as_deref(), next, "{after}");
    }
    assert_eq!(page("orders:1", "orders", &[], (1, 1)).next.as_deref(), Some("subscription-invoices:1"));
    assert_eq!(page("subscriptions:1", "subscriptions", &[], (1, 1)).next, None);
}

/// Read in the morning of the 28th, the first time on that day, or not the first time.
fn read_on_the_28th(first: bool) -> Piece<'static> {
    let since = at(if first { "2026-09-27T23:55:00Z" } else { "2026-09-28T00:10:00Z" });
    Piece { since, asked_at: at("2026-09-28T00:25:00Z"), ..piece(None, None) }
}

#[test]
fn once_a_day_refunds_of_what_was_sold_long_ago_are_looked_for() {
    let refunded = json!({ "status": "refunded", "refunded_amount": 5000 });
    for (first, sold_on, changed_at, fields, is_found) in [
        (true, "2026-06-01", "2026-09-27T10:00:00Z", refunded.clone(), true),
        (true, "2026-06-01", "2026-09-26T23:00:00Z", refunded.clone(), true),
        (true, "2026-06-01", "2026-09-26T22:00:00Z", refunded.clone(), false),
        (true, "2026-06-01", "2026-09-27T10:00:00Z", json!({}), false),
        (true, "2026-09-10", "2026-09-27T10:00:00Z", refunded.clone(), false),
        (false, "2026-09-10", "2026-09-28T00:15:00Z", refunded, true),
    ] {
        let made = json!({ "created_at": format!("{sold_on}T00:00:00Z"), "updated_at": changed_at });
        let read = listed(&read_on_the_28th(first), &[with(with(an_order(), made), fields)]);
        assert_eq!(read.events.len(), usize::from(is_found), "{first} {sold_on} {changed_at}");
    }
}

/// Ten thousand orders within 120 days, each with an invoice and a subscription. Lemon Squeezy answers 300 calls a minute.
#[test]
fn so_many_pages_are_read_of_ten_thousand_orders() {
    for (first, pages) in [(false, 26 + 26 + 100), (true, 100 + 100 + 100)] {
        let (mut place, mut count) = (Some("orders:1".to_owned()), 0);
        while let Some(after) = place {
            count += 1;
            let number = after.split_once(':').and_then(|(_, number)| number.parse().ok()).expect("a number");
            let piece = Piece { after: Some(&after), ..read_on_the_28th(first) };
            let oldest = domain::time::after(piece.asked_at, -domain::time::days(120) * number / 100);
            let data = json!([{ "id": "1", "attributes": { "created_at": oldest, "updated_at": oldest } }]);
            let body = json!({ "meta": { "page": { "currentPage": number, "lastPage": 100 } }, "data": data });
            place = lists().page(&piece, &body.to_string()).expect("a page").next;
        }
        assert_eq!(count, pages, "the first of its day: {first}");
    }
}

#[test]
fn what_changed_is_as_if_it_had_been_delivered() {
    let changed = |object: Value, fields: Value| with(with(object, json!({ "updated_at": day(22) })), fields);
    let made = json!({ "created_at": day(22) });
    for (list, object, kind) in [
        ("orders", changed(an_order(), made.clone()), Some("order_created")),
        ("orders", changed(an_order(), json!({ "status": "refunded" })), Some("order_refunded")),
        ("orders", changed(an_order(), json!({ "status": "partial_refund" })), Some("order_refunded")),
        ("subscription-invoices", changed(an_invoice(), json!({})), Some("subscription_payment_success")),
        (
            "subscription-invoices",
            changed(an_invoice(), json!({ "status": "refunded" })),
            Some("subscription_payment_refunded"),
        ),
        ("subscription-invoices", changed(an_invoice(), json!({ "status": "pending" })), None),
        ("subscriptions", changed(a_subscription(), made), Some("subscription_created")),
        ("subscriptions", changed(a_subscription(), json!({})), Some("subscription_updated")),
        ("subscriptions", a_subscription(), None),
        ("orders", an_order(), None),
    ] {
        let found = page(&format!("{list}:1"), list, std::slice::from_ref(&object), (1, 1)).events;
        assert_eq!(
            found.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
            kind.into_iter().collect::<Vec<_>>()
        );
        if let (Some(kind), Some(found)) = (kind, found.first()) {
            assert_eq!(found.key, event(kind, "1", &object).key, "delivered and found it is one event");
        }
    }
}

fn listed(piece: &Piece<'_>, objects: &[Value]) -> Page {
    let data: Vec<Value> = objects.iter().map(|attributes| json!({ "id": "1", "attributes": attributes })).collect();
    lists().page(piece, &json!({ "data": data }).to_string()).expect("a page")
}

#[test]
fn keys_are_listed_where_they_open_licenses() {
    for (license_keys, next) in [(LicenseKeys::Ours, None), (LicenseKeys::Theirs, Some("license-keys:1"))] {
        let piece = Piece { license_keys, ..piece(Some("subscriptions:3"), None) };
        assert_eq!(listed(&piece, &[]).next.as_deref(), next, "{license_keys:?}");
    }
    let piece = Piece { license_keys: LicenseKeys::Theirs, ..piece(Some("license-keys:1"), None) };
    for (made, kind) in [(21, "license_key_updated"), (22, "license_key_created")] {
        let key = json!({ "order_id": 1, "key": "K", "created_at": day(made), "updated_at": day(22) });
        let read = listed(&piece, &[key]);
        assert_eq!((read.events[0].kind.as_str(), read.next), (kind, None));
    }
}

#[test]
fn what_another_store_sold_is_not_read() {
    let new = |fields: Value| with(with(an_order(), json!({ "updated_at": day(22) })), fields);
    for (store, told, is_read) in [
        (Some("7"), json!(7), true),
        (Some("7"), json!("7"), true),
        (Some("7"), json!(null), true),
        (Some("7"), json!(8), false),
        (None, json!(8), true),
    ] {
        let read = listed(&piece(None, store), &[new(json!({ "store_id": told }))]);
        assert_eq!(read.events.len(), usize::from(is_read), "{store:?} {told}");
    }
}

#[test]
fn what_may_still_be_delivered_is_left_for_the_next_reading() {
    for (updated_at, is_read) in [
        ("2026-09-28T08:55:00Z", true),
        ("2026-09-28T08:56:00Z", true),
        ("2026-09-28T08:56:01Z", false),
        ("2026-09-28T09:00:00Z", false),
    ] {
        let object = with(an_order(), json!({ "updated_at": updated_at }));
        assert_eq!(page("orders:1", "orders", &[object], (1, 1)).events.len(), usize::from(is_read), "{updated_at}");
    }
}

#[test]
fn a_page_is_read_oldest_first() {
    let on = |number: u32| with(an_order(), json!({ "updated_at": day(number) }));
    let read = page("orders:1", "orders", &[on(25), on(24), on(23)], (1, 1)).events;
    assert!(read.is_sorted_by_key(|event| event.occurred_at), "{read:?}");
    assert_eq!(read.len(), 3);
}

#[test]
fn what_is_no_page_is_refused_with_its_reason() {
    for (body, reason) in [
        ("", "the list does not read"),
        (r#"{"errors":[{"status":"422"}]}"#, "missing field `data`"),
        (r#"{"data":[7]}"#, "the list does not read"),
    ] {
        let refused = lists().page(&piece(None, None), body).expect_err(body);
        assert!(refused.what.contains(reason), "{refused}");
    }
}
