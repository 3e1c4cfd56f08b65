//! `keywright demo`, as a newcomer sees it.

use std::{path::Path, process::Stdio};

use net::{Client, Limits, Overflow, Reach};
use serde_json::Value;

use crate::process::{Process, keys, keywright, run, told, unwrapped};

async fn post(url: &str, body: String) -> Value {
    let second = std::time::Duration::from_secs;
    let limits = Limits { connect: second(5), total: second(20), body_bytes_max: 1 << 20, overflow: Overflow::Refuse };
    let client = Client::new(Reach::Loopback, limits).unwrap();
    let headers = vec![(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))];
    let request = net::Request { method: http::Method::POST, url: url.parse().unwrap(), headers, body: body.into() };
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status, 200);
    serde_json::from_slice(&response.body).unwrap()
}

fn start(listen: &str) -> (Process, Vec<String>) {
    let mut command = keywright();
    // Nothing of this may be used: a demo has its own data, and sends nothing.
    command.env("KEYWRIGHT_DATABASE_URL", "postgres://nobody@192.0.2.1/nothing");
    command.env("KEYWRIGHT_SMTP_URL", "smtp://192.0.2.1").env("KEYWRIGHT_DATA_DIR", "/nonexistent");
    let child =
        command.args(["demo", "--listen", listen]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut process = Process(child);
    let lines = process.lines_until("Ready");
    (process, lines)
}

/// The word after this one, on the first line that has it.
fn after<'a>(lines: &'a [String], word: &str) -> &'a str {
    let rest = lines.iter().find_map(|line| line.split_once(word)).map(|(_, rest)| rest.trim_start());
    let rest = rest.unwrap_or_else(|| panic!("no `{word}` in {lines:#?}"));
    rest.split([' ', ',']).next().unwrap()
}

#[tokio::test]
async fn a_demo_shows_everything_and_leaves_nothing() {
    let (mut demo, lines) = start("127.0.0.1:0");
    let text = unwrapped(&lines.join("\n"));
    let folder = after(&lines, "data in ").to_owned();
    assert!(Path::new(&folder).join("keywright.db").exists(), "{text}");
    for milestone in ["received", "matched", "issued", "mailed", "activated", "checked"] {
        assert!(!told(&text, milestone).is_empty(), "{milestone}: {text}");
    }
    assert!(text.contains("2 products · 4 plans · 10 customers · 11 licenses"), "{text}");
    assert!(text.contains("is not mapped to a plan"), "{text}");
    let key = keys(&text).pop().unwrap();
    let server = after(&lines, "Caught mail ").strip_suffix("/dev/mail").unwrap().to_owned();
    let verdict = post(&format!("{server}/v1/check"), format!("{{\"key\":\"{key}\"}}")).await;
    assert_eq!(verdict["valid"], true, "{verdict}");

    // What it suggests works, word for word.
    let suggested = lines.iter().find(|line| line.contains("simulate stripe refund --last")).unwrap();
    let words: Vec<&str> = suggested.split_whitespace().skip(1).collect();
    let exported = lines.iter().find_map(|line| line.trim().strip_prefix("export ")).unwrap();
    let variables = exported.split(' ').filter_map(|pair| pair.split_once('='));
    let refunded = run(keywright().args(&words).envs(variables));
    assert!(refunded.status.success(), "{refunded:?}");
    let verdict = post(&format!("{server}/v1/check"), format!("{{\"key\":\"{key}\"}}")).await;
    assert_eq!((&verdict["valid"], &verdict["code"]), (&Value::Bool(false), &Value::from("revoked")), "{verdict}");

    demo.interrupt();
    assert!(demo.wait().success());
    assert!(!Path::new(&folder).exists(), "{folder} is still there");
}

#[test]
fn a_taken_port_is_no_obstacle() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (mut demo, lines) = start(&address);
    assert!(lines.iter().any(|line| line.starts_with(&format!("{address} is taken"))), "{lines:#?}");
    demo.interrupt();
    assert!(demo.wait().success());
}

#[test]
fn a_demo_refuses_to_be_led_to_other_data() {
    let refused = run(keywright().arg("demo").env("KEYWRIGHT_DATABASE_URL_FILE", "/nowhere"));
    assert!(!refused.status.success() && refused.stderr.contains("unset it"), "{refused:?}");
}
