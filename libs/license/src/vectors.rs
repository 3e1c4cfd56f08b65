//! Runs `sdks/vectors.json`, the facts that the server and every SDK agree on.

use serde::Deserialize;
use serde_json::Value;

use crate::{Expected, Jwks, Lease, LeaseError, looks_valid, verify_lease};

const FILE: &str = include_str!("../../../sdks/vectors.json");

#[derive(Deserialize)]
struct Vectors {
    generated_keys: Vec<GeneratedKey>,
    license_keys: Vec<TypedKey>,
    jwks: Value,
    leases: Vec<Case>,
}

#[derive(Deserialize)]
struct GeneratedKey {
    key: String,
}

#[derive(Deserialize)]
struct TypedKey {
    name: String,
    text: String,
    looks_valid: bool,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    expect: String,
    now: i64,
    audience: String,
    device: String,
    claims: Option<Lease>,
    token: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(FILE).unwrap()
}

fn name_of(error: &LeaseError) -> &'static str {
    match error {
        LeaseError::Malformed => "malformed",
        LeaseError::Algorithm => "algorithm",
        LeaseError::Type => "type",
        LeaseError::Critical => "critical",
        LeaseError::UnknownKey { .. } => "unknown_key",
        LeaseError::Signature => "signature",
        LeaseError::Audience { .. } => "audience",
        LeaseError::Device { .. } => "device",
        LeaseError::NotActive { .. } => "not_active",
        LeaseError::NotYet { .. } => "not_yet",
        LeaseError::Expired { .. } => "expired",
    }
}

#[test]
fn license_keys() {
    let vectors = vectors();
    for case in vectors.license_keys {
        assert_eq!(looks_valid(&case.text), case.looks_valid, "{}: {}", case.name, case.text);
    }
    for generated in vectors.generated_keys {
        assert!(looks_valid(&generated.key), "{}", generated.key);
    }
}

#[test]
fn leases() {
    let vectors = vectors();
    let keys = Jwks::parse(&vectors.jwks.to_string()).unwrap();
    for case in vectors.leases {
        let expected = Expected { audience: &case.audience, device: &case.device };
        let result = verify_lease(&case.token, &keys, case.now, expected);
        let found = result.as_ref().map_or_else(name_of, |_| "ok");
        assert_eq!(found, case.expect, "{}", case.name);
        if let (Ok(lease), Some(claims)) = (result, case.claims) {
            assert_eq!(lease, claims, "{}", case.name);
        }
    }
}

#[test]
fn errors_say_what_was_found() {
    let vectors = vectors();
    let keys = Jwks::parse(&vectors.jwks.to_string()).unwrap();
    let verify = |now, audience, device| {
        verify_lease(&vectors.leases[0].token, &keys, now, Expected { audience, device }).unwrap_err()
    };
    assert_eq!(verify(0, "viewer", "d3adb33f"), LeaseError::Audience { found: "editor".to_owned() });
    assert_eq!(verify(0, "editor", "other"), LeaseError::Device { found: "d3adb33f".to_owned() });
    assert_eq!(verify(0, "editor", "d3adb33f"), LeaseError::NotYet { from: 1_800_000_000 });
    assert_eq!(verify(i64::MAX, "editor", "d3adb33f"), LeaseError::Expired { at: 1_800_604_800 });
}
