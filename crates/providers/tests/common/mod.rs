//! What the tests of several providers need.

use std::{collections::BTreeMap, fs, path::Path};

use domain::{fact::Fact, join::Join, order::Order};
use jiff::Timestamp;
use providers::{
    Incoming, Level, Malformed, Provider, Settings, Step,
    http::{Answer, Request},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// When the look-ups of these tests are asked.
pub(crate) const ASKED: i64 = 1_790_000_777;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

pub(crate) fn answer(path: &str, status: u16, body: &Value) -> Answer {
    let request = Request::get(path);
    Answer { request, asked_at: at(ASKED), status, body: body.to_string() }
}

/// All events in the folder of a provider, by name.
pub(crate) fn fixtures(slug: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(slug);
    let files = fs::read_dir(folder).expect("the folder of fixtures");
    let paths = files.map(|entry| entry.expect("an entry").path());
    let events = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a fixture"))
    };
    events.map(read).collect()
}

/// What the API of these tests answers to a look-up.
#[derive(Deserialize)]
pub(crate) struct Canned {
    path: String,
    status: u16,
    body: Value,
}

/// The answers in the folder of a provider, by path. What is not among them is not there.
pub(crate) fn canned(slug: &str) -> BTreeMap<String, Canned> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(slug).join("answers/answers.json");
    let text = fs::read_to_string(file).expect("the canned answers");
    let canned: Vec<Canned> = serde_json::from_str(&text).expect("canned answers");
    canned.into_iter().map(|canned| (canned.path.clone(), canned)).collect()
}

/// What an event comes to at each level, for a snapshot; levels that come to the same share an entry.
pub(crate) fn document(provider: &dyn Provider, incoming: &Incoming, canned: &BTreeMap<String, Canned>) -> Value {
    let levels = [("none", Level::None), ("read", Level::Read), ("full", Level::Full)];
    let mut outcomes: Vec<(String, Value)> = Vec::new();
    for (word, level) in levels {
        let outcome = outcome(provider, level, incoming, canned);
        match outcomes.iter_mut().find(|(_, same)| *same == outcome) {
            Some((words, _)) => *words = format!("{words}, {word}"),
            None => outcomes.push((word.to_owned(), outcome)),
        }
    }
    let mut document = json!({ "kind": incoming.kind });
    for (words, outcome) in outcomes {
        document[format!("level {words}")] = outcome;
    }
    document
}

/// Translates to the end, as the shell would.
fn outcome(provider: &dyn Provider, level: Level, incoming: &Incoming, canned: &BTreeMap<String, Canned>) -> Value {
    let missing = json!({ "error": {} });
    let settings = Settings { level, ..Settings::default() };
    let mut answers: Vec<Answer> = Vec::new();
    loop {
        match provider.translate(incoming, &settings, &answers).expect("a fixture makes sense") {
            Step::Need(requests) | Step::Partly { wanted: requests, .. } => {
                for request in requests {
                    let found = canned.get(&request.path);
                    let (status, body) = found.map_or((404, &missing), |found| (found.status, &found.body));
                    answers.push(answer(&request.path, status, body));
                }
            }
            Step::Facts(facts) => {
                let asked = answers.iter().map(|answer| format!("{} {}", answer.status, answer.request.path));
                let asked: Vec<String> = asked.collect();
                return json!({ "asked": asked, "facts": facts.iter().map(readable).collect::<Vec<_>>() });
            }
        }
    }
}

fn readable(fact: &Fact) -> Value {
    let document: Value = serde_json::from_str(&fact.encode()).expect("a document");
    assert_eq!(Fact::decode(fact.kind(), domain::fact::VERSION, &fact.encode()).expect("a stored fact"), *fact);
    json!({ fact.kind(): document })
}

/// What must be asked next.
pub(crate) fn asked(step: Result<Step, Malformed>) -> Vec<String> {
    match step {
        Ok(Step::Need(requests) | Step::Partly { wanted: requests, .. }) => {
            requests.into_iter().map(|request| request.path).collect()
        }
        other => panic!("nothing is asked: {other:?}"),
    }
}

pub(crate) fn facts(step: Result<Step, Malformed>) -> Vec<Fact> {
    match step {
        Ok(Step::Facts(facts)) => facts,
        other => panic!("no facts: {other:?}"),
    }
}

/// The one fact about a sale that a step comes to.
pub(crate) fn order(step: Result<Step, Malformed>) -> Order {
    match &facts(step)[..] {
        [Fact::Order(order)] => (**order).clone(),
        other => panic!("not one fact about a sale: {other:?}"),
    }
}

pub(crate) fn joined(orders: &[Order]) -> Order {
    let mut sum = Order::default();
    for order in orders {
        sum.join(order.clone());
    }
    sum
}

/// An object with some fields replaced.
pub(crate) fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (key, value) in fields {
        object[key] = value;
    }
    object
}

/// All orders of a few things.
pub(crate) fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|first| {
            let mut rest = items.to_vec();
            let head = rest.remove(first);
            permutations(&rest).into_iter().map(move |tail| [vec![head.clone()], tail].concat())
        })
        .collect()
}
