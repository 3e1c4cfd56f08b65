//! What the book says about verifying our webhooks and leases, executed against what we sign; and the packages that others made
//! for webhooks, against the same calls.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crypto::{
    lease::{LeaseClaims, LeaseState, SigningKey, jwks, sign},
    webhook::{WebhookSecret, keylight, standard},
};
use domain::id::{ActivationId, LicenseId, TenantId};
use serde_json::{Value, json};

use crate::{
    book::docs_block,
    process::{now, run_with},
    relay::python,
};

const BODY: &str = r#"{"id":"evt_1","type":"license.created","data":{"name":"Ünïcødé ✓"}}"#;
const ID: &str = "evt_01kyzv4b9xe1wt0b1vd2cw4b3e";

fn secret(letter: &str) -> WebhookSecret {
    WebhookSecret::parse(&format!("whsec_{}", letter.repeat(32))).unwrap()
}

/// A call, and what a verifier is to say of it.
struct Case {
    what: &'static str,
    secret: &'static str,
    seconds: i64,
    signature: String,
    body: String,
    valid: bool,
}

/// Each call, as it was signed or as somebody has changed it.
fn cases() -> Vec<Case> {
    let at = now().as_second();
    let signed = |at| standard(&[secret("A")], ID, at, BODY.as_bytes());
    let two = standard(&[secret("B"), secret("A")], ID, at, BODY.as_bytes());
    let case = |what, secret, seconds, signature: &str, body: &str, valid| Case {
        what,
        secret,
        seconds,
        signature: signature.to_owned(),
        body: body.to_owned(),
        valid,
    };
    vec![
        case("as it was signed", "A", at, &signed(at), BODY, true),
        case("while the secret changes, with the old one", "A", at, &two, BODY, true),
        case("while the secret changes, with the new one", "B", at, &two, BODY, true),
        case("with another secret", "C", at, &two, BODY, false),
        case("another body", "A", at, &signed(at), &BODY.replace("created", "revoked"), false),
        case("another time", "A", at - 1, &signed(at), BODY, false),
        case("an old call", "A", at - 400, &signed(at - 400), BODY, false),
        case("half a signature", "A", at, &signed(at)[..19], BODY, false),
        case("no signature", "A", at, "v1,", BODY, false),
        case("of another version", "A", at, &signed(at).replace("v1,", "v2,"), BODY, false),
    ]
}

/// Runs a verifier, which reads a call as JSON and prints whether it believes it.
fn judge(command: &mut Command, case: &Case) -> bool {
    let call = json!({
        "secret": secret(case.secret).reveal(), "body": case.body,
        "headers": { "webhook-id": ID, "webhook-timestamp": case.seconds.to_string(), "webhook-signature": case.signature },
    });
    let ran = run_with(command, &call.to_string());
    assert!(ran.status.success(), "run the tests with `cargo xtask test`: {ran:?}");
    serde_json::from_str::<Value>(&ran.stdout).unwrap().as_bool().unwrap()
}

fn all_are_judged(command: impl Fn() -> Command) {
    for case in cases() {
        assert_eq!(judge(&mut command(), &case), case.valid, "{}", case.what);
    }
}

/// Puts a program into a folder of its own.
fn program(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const NODE_MAIN: &str = r#"
const call = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(verify(call.secret, call.headers, call.body));
"#;

#[test]
fn the_snippet_for_node_believes_ours_and_no_others() {
    let folder = program(&[("main.cjs", &(docs_block("webhooks.md", &["js", "verify"]) + NODE_MAIN))]);
    all_are_judged(|| node(&folder.path().join("main.cjs")));
}

const PYTHON_MAIN: &str = r#"
import json
import sys

call = json.load(sys.stdin)
print(json.dumps(verify(call["secret"], call["headers"], call["body"].encode())))
"#;

#[test]
fn the_snippet_for_python_believes_ours_and_no_others() {
    let folder = program(&[("main.py", &(docs_block("webhooks.md", &["python", "verify"]) + PYTHON_MAIN))]);
    all_are_judged(|| {
        let mut python = python();
        python.arg(folder.path().join("main.py"));
        python
    });
}

const GO_MAIN: &str = r#"package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	var call struct {
		Secret, Body string
		Headers      map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&call); err != nil {
		panic(err)
	}
	headers := http.Header{}
	for name, value := range call.Headers {
		headers.Set(name, value)
	}
	fmt.Println(verify(call.Secret, headers, []byte(call.Body)))
}
"#;

#[test]
fn the_snippet_for_go_believes_ours_and_no_others() {
    let folder = program(&[("verify.go", &docs_block("webhooks.md", &["go", "verify"])), ("main.go", GO_MAIN)]);
    let binary = folder.path().join("verify");
    let go = std::env::var("KEYWRIGHT_TEST_GO").expect("run the tests with `cargo xtask test`");
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(&binary).args(["verify.go", "main.go"]).current_dir(folder.path());
    // Nothing of another build is looked for, and nothing of this one is left.
    build
        .env("GOCACHE", folder.path().join("cache"))
        .env("GOPATH", folder.path().join("path"))
        .env("GO111MODULE", "off");
    let built = run_with(&mut build, "");
    assert!(built.status.success(), "{}", built.stderr);
    all_are_judged(|| Command::new(&binary));
}

const STANDARD_PYTHON: &str = r#"
from standardwebhooks import Webhook, WebhookVerificationError


def verify(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False
"#;

#[test]
fn the_package_from_pypi_believes_ours_and_no_others() {
    let folder = program(&[("main.py", &format!("{STANDARD_PYTHON}{PYTHON_MAIN}"))]);
    all_are_judged(|| {
        let mut python = python();
        python.arg(folder.path().join("main.py"));
        python
    });
}

const STANDARD_NODE: &str = r#"
const { Webhook, WebhookVerificationError } = require(process.env.KEYWRIGHT_TEST_NODE_MODULES + "/standardwebhooks");
function verify(secret, headers, body) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return false;
  }
}
"#;

#[test]
fn the_package_from_npm_believes_ours_and_no_others() {
    let folder = program(&[("main.cjs", &format!("{STANDARD_NODE}{NODE_MAIN}"))]);
    all_are_judged(|| node(&folder.path().join("main.cjs")));
}

const KEYLIGHT_MAIN: &str = r#"
const call = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(verifyKeylight(call.secret, call.headers["webhook-signature"], call.body));
"#;

#[test]
fn the_snippet_for_the_other_style_believes_ours_and_no_others() {
    let folder = program(&[("main.cjs", &(docs_block("webhooks.md", &["js", "keylight"]) + KEYLIGHT_MAIN))]);
    let at = now().as_second();
    let signed = |at| keylight(&[secret("B"), secret("A")], at, BODY.as_bytes());
    for (what, secret, signature, body, valid) in [
        ("with the new secret", "B", signed(at), BODY, true),
        ("with the old secret", "A", signed(at), BODY, true),
        ("with another secret", "C", signed(at), BODY, false),
        ("another body", "A", signed(at), "{}", false),
        ("another time", "A", signed(at).replace("t=1", "t=2"), BODY, false),
        ("an old call", "A", signed(at - 400), BODY, false),
        ("no signature", "A", format!("t={at}"), BODY, false),
    ] {
        let case = Case { what, secret, seconds: at, signature, body: body.to_owned(), valid };
        let mut command = node(&folder.path().join("main.cjs"));
        assert_eq!(judge(&mut command, &case), case.valid, "{what}");
    }
}

/// A lease of a device that is good for an hour from a moment on, and the set of keys that verifies it.
fn lease(at: i64) -> (String, Value) {
    let key = SigningKey::from_secret(&[7; 32]);
    let id = uuid::Uuid::from_u128(1);
    let claims = LeaseClaims {
        iss: "https://licenses.example.com".to_owned(),
        sub: LicenseId(id),
        aud: "studio".to_owned(),
        jti: ActivationId(id),
        iat: at,
        nbf: at,
        exp: at + 3_600,
        tenant: TenantId(id),
        device: "b7c1-mac-studio".to_owned(),
        plan: "pro".to_owned(),
        features: Vec::new(),
        limits: BTreeMap::new(),
        license_until: None,
        grace_until: None,
        recheck_after: at + 60,
        state: LeaseState::Active,
        at_risk: false,
    };
    (sign(&key, &claims), serde_json::to_value(jwks(&[key.public().clone()])).unwrap())
}

/// Has a reader of leases judge good ones and others.
fn leases_are_judged(command: impl Fn() -> Command) {
    const DEVICE: &str = "b7c1-mac-studio";
    let now = now().as_second();
    let (good, keys) = lease(now - 5);
    let (head, rest) = good.split_once('.').unwrap();
    let (_, of_others) = rest.split_once('.').unwrap();
    let (other, _) = lease(now - 4);
    let swapped = format!("{head}.{}.{of_others}", other.split('.').nth(1).unwrap());
    for (what, token, keys, device, expected) in [
        ("good", good.as_str(), &keys, DEVICE, true),
        ("for another device", &good, &keys, "c0ffee", false),
        ("over", &lease(now - 7_200).0, &keys, DEVICE, false),
        ("not yet", &lease(now + 7_200).0, &keys, DEVICE, false),
        ("another payload", &swapped, &keys, DEVICE, false),
        ("by nobody's key", &good, &json!({ "keys": [] }), DEVICE, false),
        ("no lease", "lease", &keys, DEVICE, false),
    ] {
        let call = json!({ "lease": token, "keys": keys, "now": now, "device": device });
        let ran = run_with(&mut command(), &call.to_string());
        assert!(ran.status.success(), "run the tests with `cargo xtask test`: {ran:?}");
        assert_eq!(ran.stdout.trim(), expected.to_string(), "{what}");
    }
}

const NODE_LEASE: &str = r#"
const call = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(readLease(call.lease, call.keys, call.now, call.device)?.plan === "pro");
"#;

#[test]
fn the_snippet_for_node_reads_leases() {
    let folder = program(&[("main.cjs", &(docs_block("apps.md", &["js", "lease"]) + NODE_LEASE))]);
    leases_are_judged(|| node(&folder.path().join("main.cjs")));
}

const PYTHON_LEASE: &str = r#"
import json
import sys

call = json.load(sys.stdin)
claims = read_lease(call["lease"], call["keys"], call["device"])
print(json.dumps(claims is not None and claims["plan"] == "pro"))
"#;

#[test]
fn the_snippet_for_python_reads_leases() {
    let folder = program(&[("main.py", &(docs_block("apps.md", &["python", "lease"]) + PYTHON_LEASE))]);
    leases_are_judged(|| {
        let mut python = python();
        python.arg(folder.path().join("main.py"));
        python
    });
}

fn node(file: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(file);
    command
}
