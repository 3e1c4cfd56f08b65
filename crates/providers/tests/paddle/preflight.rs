//! What a key lacks.

use providers::{
    Level, Provider,
    calls::{KeyCheck, Uses},
    http::Answer,
    paddle::Paddle,
};
use serde_json::json;

use crate::support::answer;

const READ: Uses = Uses { level: Level::Read, write_back: false, create_webhook: false, sells: false };

/// What is found if the lists of customers and of events are answered like this.
fn check(customers: (u16, &str), events: (u16, &str), live: bool) -> KeyCheck {
    let body =
        |code: &str| json!({ "error": { "type": "request_error", "code": code, "detail": "In Paddle's words." } });
    let answers: Vec<Answer> = [("/customers?per_page=1", customers), ("/events?per_page=1", events)]
        .map(|(path, (status, code))| answer(path, status, &body(code)))
        .into();
    Paddle.check_key(READ, &answers, live)
}

fn codes(check: &KeyCheck) -> Vec<&str> {
    check.missing.iter().map(|missing| missing.code.as_str()).collect()
}

#[test]
fn one_of_each_list_is_asked_for_at_any_level() {
    for level in [Level::Read, Level::Full] {
        let asked: Vec<String> =
            Paddle.preflight(Uses { level, ..READ }).into_iter().map(|request| request.path).collect();
        assert_eq!(asked, ["/customers?per_page=1", "/events?per_page=1"]);
    }
    assert_eq!(Paddle.preflight(Uses::default()), []);
}

#[test]
fn a_permission_that_lacks_is_named_with_the_form_that_gives_it() {
    assert_eq!(check((200, ""), (200, ""), true), KeyCheck::default());
    let (customers, events) = ("customer.read", "notification.read");
    for (of_customers, of_events, missing) in [
        ((403, "forbidden"), (200, ""), vec![customers]),
        ((200, ""), (403, "forbidden"), vec![events]),
        ((403, "forbidden"), (403, "forbidden"), vec![customers, events]),
    ] {
        let sandbox = check(of_customers, of_events, false);
        assert_eq!((codes(&sandbox), &sandbox.refused), (missing, &None));
        assert_eq!(sandbox.link.as_deref(), Some("https://sandbox-vendors.paddle.com/authentication-v2"));
        let live = check(of_customers, of_events, true);
        assert_eq!(live.link.as_deref(), Some("https://vendors.paddle.com/authentication-v2"));
    }
}

#[test]
fn a_key_that_paddle_does_not_know_lacks_no_permission() {
    for (status, code) in
        [(403, "invalid_token"), (403, "authentication_malformed"), (403, "authentication_missing"), (401, "")]
    {
        let found = check((status, code), (status, code), true);
        assert_eq!(found.refused.as_deref(), Some("In Paddle's words."), "{status} {code}");
        assert_eq!((found.missing.len(), found.link), (0, None));
    }
}

#[test]
fn a_question_without_an_answer_shows_nothing() {
    assert_eq!(Paddle.check_key(READ, &[], true), KeyCheck::default());
}
