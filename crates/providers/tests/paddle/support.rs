//! Events and answers in few words.

use domain::{fact::Fact, order::Order, text::Reference};
use providers::{Incoming, Level, Malformed, Provider, Settings, Step, http::Answer, paddle::Paddle};
use serde_json::{Value, json};

pub(crate) use crate::common::{ASKED, answer, at, joined, permutations, with};

/// When the events of these tests happen.
pub(crate) const HAPPENED: i64 = 1_790_000_000;
/// Two names of one thing, or a thing and its part.
pub(crate) fn names(names: &[&str]) -> Vec<Reference> {
    names.iter().copied().map(Reference::from).collect()
}

/// An event that happened at that second.
pub(crate) fn event_at(second: i64, kind: &str, data: &Value) -> Incoming {
    let body = json!({ "event_id": "evt_1", "event_type": kind, "occurred_at": at(second), "data": data });
    Incoming {
        key: "evt_1".into(),
        kind: kind.into(),
        occurred_at: Some(at(second)),
        live: None,
        account: None,
        body: body.to_string(),
    }
}

pub(crate) fn event(kind: &str, data: &Value) -> Incoming {
    event_at(HAPPENED, kind, data)
}

pub(crate) fn step(level: Level, incoming: &Incoming, answers: &[Answer]) -> Result<Step, Malformed> {
    Paddle.translate(incoming, &Settings { level, ..Settings::default() }, answers)
}

/// What an event says about its sale, where the vendor believes what a buyer's browser says or does not.
pub(crate) fn order_believing(plan_from_custom_data: bool, incoming: &Incoming) -> Order {
    let settings = Settings { plan_from_custom_data, ..Settings::default() };
    crate::common::order(Paddle.translate(incoming, &settings, &[]))
}

/// What must be asked next.
pub(crate) fn asked(level: Level, incoming: &Incoming, answers: &[Answer]) -> Vec<String> {
    crate::common::asked(step(level, incoming, answers))
}

pub(crate) fn facts(level: Level, incoming: &Incoming, answers: &[Answer]) -> Vec<Fact> {
    crate::common::facts(step(level, incoming, answers))
}

/// The one fact about a sale that an event comes to.
pub(crate) fn order(level: Level, incoming: &Incoming, answers: &[Answer]) -> Order {
    crate::common::order(step(level, incoming, answers))
}

/// The same, without a key.
pub(crate) fn told(kind: &str, data: &Value) -> Order {
    order(Level::None, &event(kind, data), &[])
}

/// Nothing, without a key.
pub(crate) fn tells_nothing(kind: &str, data: &Value) {
    assert_eq!(facts(Level::None, &event(kind, data), &[]), [], "{kind}");
}

/// Why it makes no sense.
pub(crate) fn refusal(kind: &str, data: &Value) -> String {
    step(Level::None, &event(kind, data), &[]).expect_err("it lacks what it must have").what
}
