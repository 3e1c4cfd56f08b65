//! The facts of every fixture, at each level, with canned answers.

use std::{collections::BTreeMap, fs, path::Path};

use domain::fact::Fact;
use providers::{Incoming, Level, Step, http::Answer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    envelope::taken_in,
    support::{answer, step},
};

#[derive(Deserialize)]
struct Canned {
    path: String,
    status: u16,
    body: Value,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/stripe"))
}

/// All events in the folder, by name.
pub(crate) fn fixtures() -> BTreeMap<String, String> {
    let files = fs::read_dir(folder()).expect("the folder of fixtures");
    let paths = files.map(|entry| entry.expect("an entry").path());
    let events = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a fixture"))
    };
    events.map(read).collect()
}

/// What the API of these tests answers. What it does not know is not there.
fn canned() -> BTreeMap<String, Canned> {
    let text = fs::read_to_string(folder().join("answers/answers.json")).expect("the canned answers");
    let canned: Vec<Canned> = serde_json::from_str(&text).expect("canned answers");
    canned.into_iter().map(|canned| (canned.path.clone(), canned)).collect()
}

/// Translates to the end, as the shell would.
fn outcome(level: Level, incoming: &Incoming, canned: &BTreeMap<String, Canned>) -> Value {
    let missing = json!({ "error": { "type": "invalid_request_error" } });
    let mut answers: Vec<Answer> = Vec::new();
    loop {
        match step(level, incoming, &answers).expect("a fixture makes sense") {
            Step::Need(requests) => {
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

#[test]
fn facts_of_every_fixture() {
    let canned = canned();
    for (name, body) in fixtures() {
        let incoming = taken_in(body.as_bytes()).expect(&name).remove(0);
        let levels = [("none", Level::None), ("read", Level::Read), ("full", Level::Full)];
        let mut outcomes: Vec<(String, Value)> = Vec::new();
        for (word, level) in levels {
            let outcome = outcome(level, &incoming, &canned);
            match outcomes.iter_mut().find(|(_, same)| *same == outcome) {
                Some((words, _)) => *words = format!("{words}, {word}"),
                None => outcomes.push((word.to_owned(), outcome)),
            }
        }
        let mut document = json!({ "kind": incoming.kind });
        for (words, outcome) in outcomes {
            document[format!("level {words}")] = outcome;
        }
        insta::assert_json_snapshot!(name, document);
    }
}
