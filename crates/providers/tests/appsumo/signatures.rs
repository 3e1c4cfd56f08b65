//! Which calls are believed, and what AppSumo reads in return.

use providers::{
    Delivery, Outcome, Provider, Reject, Settings,
    appsumo::{AppSumo, sign},
    http::HttpAnswer,
};
use secrecy::SecretString;

use crate::{NOW, at};

const BODY: &[u8] = "{\"license_key\":\"k1\",\"event\":\"purchase\",\"note\":\"ünïcødé ✓\"}".as_bytes();

/// The signature of a time as written and the body, computed with Python's `hmac`.
const OF_MILLISECONDS: &str = "f7bc539ace2ac924267b47e971f32fcae79f7434cda9937cc2e5cdd33616701e";
const OF_SECONDS: &str = "cc68c83f3e0780cf082ad42f275f3c3c24343134953d7bf0c6fa2c0a9113bf7b";

fn judged(headers: &[(&str, &str)], secrets: &[&str], settings: &Settings) -> Result<usize, Reject> {
    let secrets: Vec<SecretString> = secrets.iter().map(|text| SecretString::from(*text)).collect();
    let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| *value);
    let delivery = Delivery { header: &header, body: BODY };
    AppSumo.verify(&delivery, &secrets, settings, at(NOW)).map(|verified| verified.secret)
}

fn call(time: &str, signature: &str, secrets: &[&str]) -> Result<usize, Reject> {
    let headers = [("x-appsumo-timestamp", time), ("x-appsumo-signature", signature)];
    judged(&headers, secrets, &Settings::default())
}

#[test]
fn the_signature_is_over_the_time_as_written_and_the_body() {
    let signed = sign(&SecretString::from("key"), BODY, at(NOW));
    assert_eq!(signed[1].1, OF_MILLISECONDS);
    let upper = OF_MILLISECONDS.to_uppercase();
    for (what, time, signature, secrets, outcome) in [
        ("milliseconds", "1790000000000", OF_MILLISECONDS, &["key"][..], Ok(0)),
        ("seconds", "1790000000", OF_SECONDS, &["key"], Ok(0)),
        ("the old key beside the new one", "1790000000", OF_SECONDS, &["new", "key"], Ok(1)),
        ("another's time", "1790000001", OF_SECONDS, &["key"], Err(Reject::WrongSignature)),
        ("the same time in other words", "1790000000000", OF_SECONDS, &["key"], Err(Reject::WrongSignature)),
        ("upper case", "1790000000000", &upper, &["key"], Err(Reject::WrongSignature)),
        ("another key", "1790000000", OF_SECONDS, &["other"], Err(Reject::WrongSignature)),
        ("a blank key", "1790000000", OF_SECONDS, &[" "], Err(Reject::NoSecret)),
        ("an empty signature", "1790000000", "", &["key"], Err(Reject::NoSignature)),
        ("no time", "", OF_SECONDS, &["key"], Err(Reject::NoSignature)),
        ("a time with a sign", "+1790000000", OF_SECONDS, &["key"], Err(Reject::NoSignature)),
        ("a time that is no number", "now", OF_SECONDS, &["key"], Err(Reject::NoSignature)),
        ("a time beyond all bounds", "99999999999999999999", OF_SECONDS, &["key"], Err(Reject::NoSignature)),
        ("a time beyond the calendar", "9223372036854775807", OF_SECONDS, &["key"], Err(Reject::NoSignature)),
    ] {
        assert_eq!(call(time, signature, secrets), outcome, "{what}");
    }
    for missing in [&[("x-appsumo-timestamp", "1790000000")][..], &[("x-appsumo-signature", OF_SECONDS)], &[]] {
        assert_eq!(judged(missing, &["key"], &Settings::default()), Err(Reject::NoSignature));
    }
}

#[test]
fn a_signature_is_good_for_five_minutes_unless_the_connection_says_otherwise() {
    for (age_seconds, tolerance_seconds, limit_seconds) in [
        (300, None, None),
        (301, None, Some(300)),
        (60, Some(59), Some(59)),
        (3_600, Some(3_600), None),
        (-60, None, None),
    ] {
        let signed = sign(&SecretString::from("key"), BODY, at(NOW - age_seconds * 1_000));
        let headers: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let settings = Settings { tolerance_seconds, ..Settings::default() };
        let stale = |tolerance_seconds| Err(Reject::Stale { age_seconds, tolerance_seconds });
        assert_eq!(judged(&headers, &["key"], &settings), limit_seconds.map_or(Ok(0), stale), "{age_seconds} s old");
    }
}

#[test]
fn appsumo_reads_what_it_wants_to_read() {
    let answer = |kinds: &[&str]| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        AppSumo.answer(&Outcome::Received { kinds })
    };
    assert_eq!(answer(&["upgrade"]), HttpAnswer::json(200, r#"{"event":"upgrade","success":true}"#));
    assert_eq!(answer(&["a \"quoted\" kind"]).body, r#"{"event":"a \"quoted\" kind","success":true}"#);
    assert_eq!(answer(&[]), HttpAnswer::json(200, r#"{"success":true}"#), "kept, and not understood");
    let refused = AppSumo.answer(&Outcome::Rejected(Reject::WrongSignature));
    assert_eq!((refused.status, refused.content_type), (401, "application/json"));
    assert!(refused.body.contains(r#""success":false"#), "{}", refused.body);
}
