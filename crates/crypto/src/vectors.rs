//! Makes `sdks/vectors.json`, the facts that the server and every SDK agree on, and compares the file
//! with what this crate does today. After a wanted change, write it anew:
//!
//! ```text
//! UPDATE_VECTORS=1 cargo nextest run -p crypto vectors
//! ```

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer;
use serde::Serialize;

use crate::{
    key::{LicenseKey, Prefix, check, normalise},
    lease::{Jwks, LeaseClaims, SigningKey, jwks, sign, tests::claims},
    testing::Seeded,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdks/vectors.json");

#[derive(Serialize)]
struct Vectors {
    about: [&'static str; 4],
    generated_keys: Vec<GeneratedKey>,
    license_keys: Vec<TypedKey>,
    signing_keys: Vec<SeedAndKid>,
    jwks: Jwks,
    leases: Vec<Lease>,
}

#[derive(Serialize)]
struct GeneratedKey {
    prefix: &'static str,
    random: String,
    key: String,
}

#[derive(Serialize)]
struct TypedKey {
    name: &'static str,
    text: &'static str,
    looks_valid: bool,
    normal: Option<String>,
}

#[derive(Serialize)]
struct SeedAndKid {
    secret: String,
    kid: String,
}

#[derive(Serialize)]
struct Lease {
    name: &'static str,
    expect: &'static str,
    now: i64,
    audience: &'static str,
    device: &'static str,
    signed_by: Option<usize>,
    claims: Option<LeaseClaims>,
    token: String,
}

/// The keys in the order of `signing_keys`: the first two are in the key set, the third is a stranger's.
fn signing_keys() -> [SigningKey; 3] {
    ["vectors: current", "vectors: next", "vectors: stranger"].map(|name| SigningKey::generate(&mut Seeded::new(name)))
}

fn vectors() -> Vectors {
    let keys = signing_keys();
    Vectors {
        about: [
            "What the Keywright server and every SDK agree on. Made by crates/crypto/src/vectors.rs; the secrets are for tests only.",
            "generated_keys: each of the 15 random bytes, modulo 32, is a symbol of 0123456789ABCDEFGHJKMNPQRSTVWXYZ; the 16th is the Luhn mod 32 check character.",
            "license_keys: what a person types, whether it has the form and a right check character, and the form that the server hashes (null: no key at all).",
            "leases: verify each token against jwks at the time now; expect is ok or the error. Where claims are given, the key signed_by of signing_keys signed exactly these.",
        ],
        generated_keys: ["KEY", "ACME", "ACME2026", "OIL"].map(generated).into(),
        license_keys: typed_keys(),
        jwks: jwks(&[keys[0].public().clone(), keys[1].public().clone()]),
        signing_keys: keys.iter().map(seed_and_kid).collect(),
        leases: [genuine_leases(&keys), odd_leases(&keys[0]), forged_leases(&keys)].into_iter().flatten().collect(),
    }
}

fn seed_and_kid(key: &SigningKey) -> SeedAndKid {
    SeedAndKid { secret: hex::encode(&key.to_secret()[..]), kid: key.public().kid().to_owned() }
}

fn generated(prefix: &'static str) -> GeneratedKey {
    let mut random = [0; 15];
    domain::Entropy::fill(&mut Seeded::new(prefix), &mut random);
    let key = LicenseKey::generate(&Prefix::new(prefix).unwrap(), &mut Seeded::new(prefix));
    GeneratedKey { prefix, random: hex::encode(random), key: key.reveal().to_owned() }
}

fn typed_keys() -> Vec<TypedKey> {
    let good = [
        ("as shown", "ACME-1234-5678-9ABC-DEF8"),
        ("lower case", "acme-1234-5678-9abc-def8"),
        ("no hyphens", "ACME123456789ABCDEF8"),
        ("spaces and a line end", "  ACME 1234 5678 9ABC DEF8\r\n"),
        ("hyphens elsewhere", "AC-ME12-3456-789A-BCDE-F8"),
        ("hyphens that a mail program exchanged", "ACME–1234‑5678—9ABC−DEF8"),
        ("I for 1", "ACME-I234-5678-9ABC-DEF8"),
        ("l for 1", "acme-l234-5678-9abc-def8"),
        ("O for 0", "KEY-OOOO-OOOO-OOOO-OOOO"),
        ("look-alikes in the prefix", "T00L-1234-5678-9ABC-DEF8"),
        ("the same prefix as shown", "TOOL-1234-5678-9ABC-DEF8"),
        ("the shortest prefix", "AB-1234-5678-9ABC-DEF8"),
        ("the longest prefix", "ABCDEFGH-1234-5678-9ABC-DEF8"),
    ];
    let bad = [
        ("a wrong check character", "ACME-1234-5678-9ABC-DEFS"),
        ("a wrong symbol", "ACME-1234-5678-9ABD-DEF8"),
        ("two symbols swapped", "ACME-1234-5678-9ACB-DEF8"),
        ("a symbol too few", "AB-1234-5678-9ABC-DEF"),
        ("a symbol missing in the middle", "ACME-1234-678-9ABC-DEF8"),
        ("a U, which no key has", "ACME-1234-5678-9ABC-DEFU"),
        ("a prefix too short", "A-1234-5678-9ABC-DEF8"),
        ("a prefix too long", "ABCDEFGHI-1234-5678-9ABC-DEF8"),
        ("a prefix with another character", "AC_ME-1234-5678-9ABC-DEF8"),
        ("a letter beyond ASCII", "ACMÉ-1234-5678-9ABC-DEF8"),
        ("a key from another system", "38b1460a-5104-4067-a91d-77b872934d51"),
        ("hyphens only", "-------------------"),
        ("too short for any key", "ABC-DEFG"),
        ("nothing", ""),
    ];
    let typed = |looks_valid| {
        move |(name, text)| {
            assert_eq!(check(text).is_ok(), looks_valid, "{name}: {text}");
            let normal = normalise(text).map(|key| String::from_utf8(key.as_bytes().to_vec()).unwrap());
            TypedKey { name, text, looks_valid, normal }
        }
    };
    good.into_iter().map(typed(true)).chain(bad.into_iter().map(typed(false))).collect()
}

fn lease(name: &'static str, expect: &'static str, token: String) -> Lease {
    Lease {
        name,
        expect,
        now: 1_800_000_000,
        audience: "editor",
        device: "d3adb33f",
        signed_by: None,
        claims: None,
        token,
    }
}

/// Leases that the server signed; whether they hold depends on when, where and for what.
fn genuine_leases(keys: &[SigningKey]) -> Vec<Lease> {
    let signed = |name, expect, key: usize, claims: LeaseClaims| Lease {
        signed_by: Some(key),
        claims: Some(claims.clone()),
        ..lease(name, expect, sign(&keys[key], &claims))
    };
    let at = |name, expect, now| Lease { now, ..signed(name, expect, 0, claims()) };
    let forever = LeaseClaims { license_until: None, grace_until: None, ..claims() };
    let plain = LeaseClaims { features: vec![], limits: Default::default(), at_risk: true, ..claims() };
    let letters = LeaseClaims { device: "Büro-Mac \"1\" 東京".to_owned(), ..claims() };
    vec![
        signed("good", "ok", 0, claims()),
        signed("good, by the next key of the set", "ok", 1, claims()),
        signed("good, of a license without end", "ok", 0, forever),
        signed("good, without features and limits, payment past due", "ok", 0, plain),
        Lease {
            device: "Büro-Mac \"1\" 東京", ..signed("good, a fingerprint with other letters", "ok", 0, letters)
        },
        at("good in its last second", "ok", 1_800_604_799),
        at("expired in the second of its end", "expired", 1_800_604_800),
        at("expired long ago", "expired", 1_900_000_000),
        at("good for a clock 300 s behind", "ok", 1_799_999_700),
        at("not yet for a clock 301 s behind", "not_yet", 1_799_999_699),
        Lease { audience: "viewer", ..signed("for another product", "audience", 0, claims()) },
        Lease { device: "c0ffee", ..signed("for another device", "device", 0, claims()) },
        Lease { device: "D3ADB33F", ..signed("for a device in another case", "device", 0, claims()) },
        signed("by a key that is not in the set", "unknown_key", 2, claims()),
    ]
}

/// Tokens with a right signature that are no leases, or no leases that this version could understand.
fn odd_leases(key: &SigningKey) -> Vec<Lease> {
    let kid = key.public().kid();
    let payload = serde_json::to_string(&claims()).unwrap();
    let header = |rest: &str| format!(r#"{{"alg":"EdDSA",{rest}"kid":"{kid}"}}"#);
    let good = header(r#""typ":"license+jwt","#);
    let case = |name, expect, header: &str, payload: &str| lease(name, expect, raw(key, header, payload));
    vec![
        case("a token of another type", "type", &header(r#""typ":"JWT","#), &payload),
        case("a token without a type", "type", &header(""), &payload),
        case(
            "a header that demands an extension",
            "critical",
            &header(r#""typ":"license+jwt","crit":["b64"],"#),
            &payload,
        ),
        case("the name of another algorithm", "algorithm", &good.replace("EdDSA", "HS256"), &payload),
        case("a state other than active", "not_active", &good, &payload.replace("active", "frozen")),
        case("a field that is new", "ok", &good, &payload.replacen('{', r#"{"new":{"a":[1]},"#, 1)),
        case("a payload that is not JSON", "malformed", &good, "lease"),
        case("a payload without an end", "malformed", &good, &payload.replace("\"exp\"", "\"end\"")),
    ]
}

/// What someone might make who cannot sign.
fn forged_leases(keys: &[SigningKey]) -> Vec<Lease> {
    let token = sign(&keys[0], &claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { unreachable!("a compact JWS has three parts") };
    let longer = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&LeaseClaims { exp: 4_000_000_000, ..claims() }).unwrap());
    let none = |alg: &str| {
        URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"license+jwt","kid":"{}"}}"#, keys[0].public().kid()))
    };
    let by_stranger = raw(&keys[2], &decoded(header), &decoded(payload));
    vec![
        lease("a changed payload", "signature", [header, &longer, signature].join(".")),
        lease("a changed signature", "signature", [header, payload, &flipped(signature)].join(".")),
        lease("a signature with its second form", "signature", [header, payload, &malleated(signature)].join(".")),
        lease("a stranger's signature under a known key", "signature", by_stranger),
        lease("algorithm none", "algorithm", format!("{}.{longer}.", none("none"))),
        lease("algorithm None with a signature", "algorithm", [&none("None"), payload, signature].join(".")),
        lease("no signature", "malformed", format!("{header}.{payload}.")),
        lease("two parts", "malformed", format!("{header}.{payload}")),
        lease("base64 with padding", "malformed", format!("{token}==")),
        lease("white space at the end", "malformed", format!("{token}\n")),
        lease("no token", "malformed", String::new()),
    ]
}

/// A JWS of any header and payload.
fn raw(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = ed25519_dalek::SigningKey::from_bytes(&key.to_secret()).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn decoded(part: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn flipped(signature: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The signature with the group's order added to its scalar: the same to a verifier that does not look.
fn malleated(signature: &str) -> String {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[32..].iter_mut().zip(order).fold(0, |carry, (byte, add)| {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        sum >> 8
    });
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn the_file_says_what_this_crate_does() {
    let text = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, &text).unwrap();
    }
    let file = std::fs::read_to_string(PATH).unwrap();
    assert!(file == text, "sdks/vectors.json differs; see the head of crates/crypto/src/vectors.rs");
}
