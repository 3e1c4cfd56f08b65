//! Events and answers in few words.

use domain::{fact::Fact, order::Order, text::Reference};
use providers::{Incoming, Level, Malformed, Provider, Settings, Step, http::Answer, stripe::Stripe};
use serde_json::{Value, json};

pub(crate) use crate::common::{ASKED, answer, at, joined, permutations, with};

/// When the events of these tests are made.
pub(crate) const CREATED: i64 = 1_790_000_000;
/// Two names of one thing, or a thing and its part.
pub(crate) fn names(names: &[&str]) -> Vec<Reference> {
    names.iter().copied().map(Reference::from).collect()
}

/// An event that was made at that second.
pub(crate) fn event_at(second: i64, kind: &str, object: &Value) -> Incoming {
    let body = json!({ "id": "evt_1", "object": "event", "type": kind, "data": { "object": object } });
    Incoming {
        key: "evt_1".into(),
        kind: kind.into(),
        occurred_at: Some(at(second)),
        live: Some(false),
        account: None,
        body: body.to_string(),
    }
}

pub(crate) fn event(kind: &str, object: &Value) -> Incoming {
    event_at(CREATED, kind, object)
}

pub(crate) fn step(level: Level, incoming: &Incoming, answers: &[Answer]) -> Result<Step, Malformed> {
    Stripe.translate(incoming, &Settings { level, ..Settings::default() }, answers)
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
pub(crate) fn told(kind: &str, object: &Value) -> Order {
    order(Level::None, &event(kind, object), &[])
}

/// Nothing, without a key.
pub(crate) fn tells_nothing(kind: &str, object: &Value) {
    assert_eq!(facts(Level::None, &event(kind, object), &[]), [], "{kind}");
}

/// Why it makes no sense.
pub(crate) fn refusal(kind: &str, object: &Value) -> String {
    step(Level::None, &event(kind, object), &[]).expect_err("it lacks what it must have").what
}
