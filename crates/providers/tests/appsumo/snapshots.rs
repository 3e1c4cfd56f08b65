//! The facts of every fixture.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::{facts, taken_in};

/// All events in the folder, by name.
fn fixtures() -> BTreeMap<String, String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/appsumo"));
    let paths = fs::read_dir(folder).expect("the folder of fixtures").map(|entry| entry.expect("an entry").path());
    let named = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a fixture"))
    };
    paths.map(named).collect()
}

#[test]
fn facts_of_every_fixture() {
    for (name, body) in fixtures() {
        let incoming = taken_in(body.as_bytes()).expect(&name);
        let facts = facts(&incoming).expect(&name);
        let facts = facts.iter().map(|fact| serde_json::from_str(&fact.encode()).expect("a document"));
        let document = json!({
            "kind": incoming.kind, "key": incoming.key, "at": incoming.occurred_at.map(|at| at.to_string()),
            "facts": facts.collect::<Vec<Value>>(),
        });
        insta::assert_json_snapshot!(name, document);
    }
}
