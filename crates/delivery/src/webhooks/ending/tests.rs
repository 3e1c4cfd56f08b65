use std::sync::Arc;

use crypto::{ring::KeyRing, seal::Place, webhook::EndpointSecrets};
use uuid::Uuid;

use super::*;
use crate::webhooks::{endpoint::Endpoint, post::Answer};

struct Sevens;

impl domain::Entropy for Sevens {
    fn fill(&mut self, bytes: &mut [u8]) {
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(place % 250).unwrap_or_default() + 3;
        }
    }
}

fn row(failing_since: Option<i64>, warned_at: Option<i64>) -> WebhookEndpoint {
    WebhookEndpoint {
        id: Uuid::nil(),
        tenant_id: Uuid::nil(),
        livemode: true,
        code: "crm".to_owned(),
        url: "https://crm.example/hooks".to_owned(),
        kinds: "[]".to_owned(),
        style: "standard".to_owned(),
        schedule: "standard".to_owned(),
        ordered: false,
        status: webhook_endpoints::status::ENABLED.to_owned(),
        reason: None,
        sealed: Vec::new(),
        sealed_by: String::new(),
        wants_since: 0,
        failing_since,
        warned_at,
        lease_token: None,
        lease_until: None,
        created_at: 0,
    }
}

fn endpoint() -> Arc<Endpoint> {
    let ring = KeyRing::generate(&mut Sevens);
    let place = Place::webhook_endpoint(domain::id::TenantId(Uuid::nil()), Uuid::nil());
    let document = serde_json::to_vec(&EndpointSecrets::default()).unwrap();
    let sealed = ring.seal(place, &document, &mut Sevens).0;
    Arc::new(Endpoint::open(WebhookEndpoint { sealed, ..row(None, None) }, &ring).unwrap())
}

fn landed(attempts: i32, ending: Ending) -> Landed {
    let delivery = Delivery {
        id: Uuid::nil(),
        tenant_id: Uuid::nil(),
        endpoint_id: Uuid::nil(),
        event_id: Uuid::nil(),
        license_id: None,
        status: status::PENDING.to_owned(),
        cause: cause::MANUAL.to_owned(),
        attempts,
        next_attempt_at: Some(0),
        last_status: None,
        error: None,
        created_at: 0,
        done_at: None,
    };
    let ended_at = Timestamp::from_second(1_000).unwrap();
    Landed::new(delivery, endpoint(), (Timestamp::from_second(999).unwrap(), ended_at), ending)
}

fn answered(status: u16, retry_after_seconds: i64) -> Ending {
    let retry_after = Some(SignedDuration::from_secs(retry_after_seconds)).filter(|wait| !wait.is_zero());
    Ending::Answered(Answer { status, body: " no\n".to_owned(), retry_after, ..Answer::default() })
}

#[test]
fn what_is_answered_decides() {
    for (what, attempts, ending, status, next_seconds, error) in [
        ("taken", 0, answered(204, 0), "delivered", None, None),
        ("a first failure", 0, answered(500, 0), "pending", Some(1_005), Some("it answered 500: no")),
        (
            "a redirect",
            0,
            answered(302, 0),
            "pending",
            Some(1_005),
            Some("it answered 302; redirects are not followed, so name the address itself"),
        ),
        ("asked to wait", 0, answered(429, 90), "pending", Some(1_090), Some("it answered 429: no")),
        ("asked to wait less than planned", 1, answered(503, 90), "pending", Some(1_300), Some("it answered 503: no")),
        ("asked to wait for ever", 0, answered(503, 9_999_999), "pending", Some(87_400), Some("it answered 503: no")),
        (
            "nobody there",
            0,
            Ending::Unanswered("no connection".to_owned()),
            "pending",
            Some(1_005),
            Some("no connection"),
        ),
        ("the last failure", 9, answered(500, 0), "dead", None, Some("it answered 500: no")),
    ] {
        let row = landed(attempts, ending).delivery(0);
        let told = (row.status.as_str(), row.next_attempt_at.map(|at| at / 1_000_000), row.error.as_deref());
        assert_eq!(told, (status, next_seconds, error), "{what}");
        assert_eq!((row.attempts, row.cause.as_str()), (attempts + 1, cause::EVENT), "{what}");
        assert_eq!(row.done_at.is_some(), status != "pending", "{what}");
    }
}

#[test]
fn an_address_that_has_too_much_to_do_asks_to_be_left_alone() {
    for (what, ending, seconds) in [
        ("too many requests", answered(429, 0), Some(0)),
        ("the same, and for how long", answered(429, 600), Some(600)),
        ("its proxy does not reach it", answered(502, 0), Some(0)),
        ("its proxy waits in vain", answered(504, 0), Some(0)),
        ("it says when it is back", answered(503, 120), Some(120)),
        ("it does not", answered(503, 0), None),
        ("it fails", answered(500, 0), None),
        ("it takes", answered(200, 600), None),
        ("nobody there", Ending::Unanswered("no connection".to_owned()), None),
    ] {
        assert_eq!(landed(0, ending).asks_for_rest(), seconds.map(SignedDuration::from_secs), "{what}");
    }
}

#[test]
fn a_try_is_kept_with_its_answer_and_why_it_was_made() {
    let kept = landed(0, answered(500, 0)).attempt(&mut Sevens);
    assert_eq!((kept.status, kept.duration_micros, kept.cause.as_str()), (Some(500), 1_000_000, cause::MANUAL));
    assert_eq!(kept.answer.as_deref(), Some(" no\n"));
    let kept = landed(0, Ending::Unanswered("no connection".to_owned())).attempt(&mut Sevens);
    assert_eq!((kept.status, kept.error.as_deref()), (None, Some("no connection")));
}

#[test]
fn an_address_that_takes_nothing_is_warned_of_and_then_not_called_any_more() {
    let day = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
    let micros = |days: i64| Some(day(days).as_microsecond());
    for (what, before, health, at, failing_since, news) in [
        ("it takes", row(None, None), Health::Takes, 1, None, News::None),
        ("it fails for the first time", row(None, None), Health::Fails, 1, micros(1), News::None),
        ("it fails for three days", row(micros(1), None), Health::Fails, 4, micros(1), News::None),
        ("it fails for four days", row(micros(1), None), Health::Fails, 5, micros(1), News::Warning),
        ("it was warned of", row(micros(1), micros(5)), Health::Fails, 5, micros(1), News::None),
        ("it fails for five days", row(micros(1), micros(5)), Health::Fails, 6, micros(1), News::Disabled),
        ("it failed once, long ago", row(micros(1), None), Health::Fails, 40, micros(1), News::Warning),
        ("it was warned of today", row(micros(1), micros(40)), Health::Fails, 40, micros(1), News::None),
        ("it was warned of yesterday", row(micros(1), micros(40)), Health::Fails, 41, micros(1), News::Disabled),
        ("it is mended", row(micros(1), micros(5)), Health::Takes, 6, None, News::Mended),
        ("it was away for a while", row(micros(1), None), Health::Takes, 6, None, News::None),
        ("it is gone", row(None, None), Health::Gone, 1, None, News::Disabled),
        ("nothing was sent", row(micros(1), None), Health::Unknown, 9, micros(1), News::None),
    ] {
        let (after, told) = endpoint_after(&before, health, day(at));
        let after = after.unwrap_or(before);
        assert_eq!((after.failing_since, &told), (failing_since, &news), "{what}");
        let expected = if news == News::Disabled { "disabled" } else { "enabled" };
        assert_eq!((after.status.as_str(), after.reason.is_some()), (expected, news == News::Disabled), "{what}");
    }
}
