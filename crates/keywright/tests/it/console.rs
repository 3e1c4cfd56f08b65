//! The console in a real browser: the journeys in `e2e` use it as its people do.

use std::{path::Path, process::Command};

use crate::process::{Installation, run};

/// A new server, on which somebody makes the journey of that name; `files` are applied before.
fn travelled(journey: &str, files: &[&Path]) {
    let mut installation = Installation::empty();
    let set_up = installation.serve_for_the_first_time();
    for file in files {
        let applied = installation.run(&["apply", file.to_str().unwrap()]);
        assert!(applied.status.success(), "{applied:?}");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../e2e/{journey}.mjs"));
    let mut node = Command::new("node");
    node.arg(script)
        .env("KEYWRIGHT_OFFLINE", "true")
        .env("CONSOLE_ADDRESS", installation.address())
        .env("CONSOLE_SET_UP", set_up)
        .env("CONSOLE_COMMAND", env!("CARGO_BIN_EXE_keywright"))
        .env("CONSOLE_DATA", installation.data_dir());
    let ran = run(&mut node);
    assert!(ran.status.success(), "{}\n{}\n{}", ran.stdout, ran.stderr, installation.log());
    installation.verify();
}

#[test]
fn people_use_the_console() {
    travelled("console", &[&crate::process::sample()]);
}

#[test]
fn the_gallery_looks_as_it_did() {
    travelled("pictures", &[]);
}

#[test]
fn the_ten_interactions_take_few_clicks() {
    travelled("interactions", &[&crate::process::sample()]);
}

#[test]
fn a_newcomer_needs_no_documentation() {
    travelled("newcomer", &[]);
}
