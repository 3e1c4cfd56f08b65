//! The log of API calls on real databases: written in batches, listed, and forgotten.

use domain::id::{ApiKeyId, RequestId, TenantId};
use engine::requests::{Answered, Caller, KEPT_DAYS};
use jiff::SignedDuration;
use store::{
    lists::{Page, Whose},
    requests::RequestFilter,
};
use uuid::Uuid;

use crate::harness::{Harness, on_both_databases};

on_both_databases!(
    are_listed_as_they_are_asked_for,
    are_forgotten_after_a_week,
    belong_to_the_only_vendor,
    are_written_whatever_a_caller_sends,
    are_written_without_what_is_refused,
);

const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(7));

/// A call that was answered now.
fn call(harness: &Harness, caller: Caller, route: &str, status: u16) -> Answered {
    harness.clock.advance(SignedDuration::from_millis(1));
    let now = harness.engine.now();
    Answered {
        id: RequestId::new(now, &mut *harness.engine.entropy()),
        caller,
        method: "GET".to_owned(),
        route: route.to_owned(),
        subject: None,
        status,
        code: None,
        detail: None,
        address: Some([192, 0, 2, 1].into()),
        received_at: now,
        took: SignedDuration::from_micros(1_500),
    }
}

fn known(tenant: TenantId, livemode: bool) -> Caller {
    Caller { tenant: Some(tenant), livemode: Some(livemode), api_key: Some(KEY), is_known: true }
}

async fn listed(harness: &Harness, livemode: bool, filter: RequestFilter) -> Vec<(String, i32)> {
    let whose = Whose { tenant: harness.tenant, livemode };
    let page = Page { limit: 10, from: None };
    let rows = harness.engine.store.examine_requests(whose, &filter, page).await.unwrap().listed.rows;
    rows.into_iter().map(|row| (row.route, row.status)).collect()
}

async fn are_listed_as_they_are_asked_for(harness: Harness) {
    let test = known(harness.tenant, false);
    let of_an_app = Caller { api_key: None, livemode: None, is_known: false, ..test };
    let last = call(&harness, of_an_app, "/v1/check", 429);
    for noted in [
        call(&harness, test, "/v1/licenses", 200),
        call(&harness, test, "/v1/licenses/{id}", 404),
        call(&harness, known(harness.tenant, true), "/v1/plans", 200),
        call(&harness, known(TenantId(Uuid::from_u128(1)), false), "/v1/orders", 200),
        Answered { id: last.id, ..last.clone() },
    ] {
        harness.engine.note_request(noted);
    }
    assert!(!harness.engine.write_requests().await.unwrap(), "all of it was written");
    let all = RequestFilter::default;
    let row = |route: &str, status| (route.to_owned(), status);
    let (one, list, check) = (row("/v1/licenses/{id}", 404), row("/v1/licenses", 200), row("/v1/check", 429));
    for (what, livemode, filter, expected) in [
        ("of test mode, and of no known mode", false, all(), vec![&one, &list, &check]),
        ("of live mode", true, all(), vec![&row("/v1/plans", 200), &check]),
        ("refused", false, RequestFilter { statuses: Some((400, 499)), ..all() }, vec![&one, &check]),
        ("by route", false, RequestFilter { route: Some("/v1/lic".to_owned()), ..all() }, vec![&one, &list]),
        ("by key", false, RequestFilter { api_key: Some(KEY), ..all() }, vec![&one, &list]),
        ("by id", false, RequestFilter { id: Some(last.id), ..all() }, vec![&check]),
    ] {
        let found = listed(&harness, livemode, filter).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{what}");
    }
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let row = harness.engine.store.request(whose, last.id).await.unwrap().unwrap();
    assert_eq!((row.address.as_deref(), row.duration_micros), (Some("192.0.2.1"), 1_500));
    let text = harness.engine.metrics_text().await.unwrap();
    assert!(text.contains("keywright_requests_logged_total 5"), "{text}");
}

async fn are_forgotten_after_a_week(harness: Harness) {
    harness.engine.note_request(call(&harness, known(harness.tenant, false), "/v1/licenses", 200));
    harness.engine.write_requests().await.unwrap();
    harness.clock.advance(SignedDuration::from_hours(24 * KEPT_DAYS - 1));
    harness.engine.forget_what_is_old().await.unwrap();
    assert_eq!(listed(&harness, false, RequestFilter::default()).await.len(), 1);
    harness.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(harness.engine.forget_what_is_old().await.unwrap(), 1);
    assert_eq!(listed(&harness, false, RequestFilter::default()).await, []);
}

async fn belong_to_the_only_vendor(harness: Harness) {
    let nobody = |harness: &Harness| call(harness, Caller::default(), "/v1/check", 400);
    harness.engine.note_request(nobody(&harness));
    harness.engine.write_requests().await.unwrap();
    assert_eq!(listed(&harness, false, RequestFilter::default()).await.len(), 1);
    harness.engine.ensure_tenant("other", "Other").await.unwrap();
    harness.engine.note_request(nobody(&harness));
    harness.engine.write_requests().await.unwrap();
    assert_eq!(listed(&harness, false, RequestFilter::default()).await.len(), 1, "of two, nobody knows whose it is");
}

async fn are_written_whatever_a_caller_sends(harness: Harness) {
    let odd = "unknown field `\0`, expected `key`".to_owned();
    let call = call(&harness, known(harness.tenant, false), "/v1/check", 400);
    harness.engine.note_request(Answered { detail: Some(odd), subject: Some("\0".to_owned()), ..call.clone() });
    harness.engine.note_request(Answered { code: Some("\0".to_owned()), id: RequestId(Uuid::from_u128(9)), ..call });
    assert!(!harness.engine.write_requests().await.unwrap());
    assert_eq!(listed(&harness, false, RequestFilter::default()).await.len(), 2);
}

async fn are_written_without_what_is_refused(harness: Harness) {
    harness.database.sql("ALTER TABLE api_requests ADD COLUMN odd integer CHECK (status <> 418)").await;
    for status in [200, 418, 404] {
        harness.engine.note_request(call(&harness, known(harness.tenant, false), "/v1/plans", status));
    }
    assert!(!harness.engine.write_requests().await.unwrap());
    let statuses: Vec<i32> =
        listed(&harness, false, RequestFilter::default()).await.into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [404, 200]);
    let text = harness.engine.metrics_text().await.unwrap();
    assert!(text.contains(r#"keywright_requests_left_out_total{code="refused"} 1"#), "{text}");
}
