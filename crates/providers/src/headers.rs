//! What is kept of the headers of a call beside its events, for people to look at: a fixed list, and of what proves a call only
//! so much as tells one proof from another.

use crate::Delivery;

/// The headers that are kept, if a call has them.
const KEPT: [&str; 15] = [
    "content-type",
    "paddle-signature",
    "paddle-version",
    "request-id",
    "stripe-signature",
    "stripe-version",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-appsumo-signature",
    "x-appsumo-timestamp",
    "x-event-name",
    "x-keywright-signature",
    "x-signature",
];
/// The longest text that is kept of a header, in characters.
const LENGTH_MAX: usize = 200;
/// So many characters are kept of a signature.
const SHOWN: usize = 8;

/// The headers of a call that are kept, each as name and what may be shown of it.
#[must_use]
pub fn kept(delivery: &Delivery<'_>) -> Vec<(&'static str, String)> {
    let kept = KEPT.iter().filter_map(|name| (delivery.header)(name).map(|value| (*name, value)));
    kept.map(|(name, value)| (name, if name.ends_with("signature") { cut(value) } else { short(value) })).collect()
}

/// As much of a text as is kept. PostgreSQL has no character zero, and none of the others says anything.
fn short(value: &str) -> String {
    value.chars().filter(|symbol| !symbol.is_control()).take(LENGTH_MAX).collect()
}

/// A signature as its scheme, its times, and the beginning of each proof.
fn cut(value: &str) -> String {
    let value = short(value);
    let parts = value.split_inclusive([',', ';', ' ']).map(|part| {
        let (part, end) = match part.strip_suffix([',', ';', ' ']) {
            Some(rest) => part.split_at(rest.len()),
            None => (part, ""),
        };
        let (name, proof) = match part.split_once('=') {
            // What base64 is filled up with at its end is no name's.
            Some((name, proof)) if !proof.is_empty() && !proof.starts_with('=') => (&part[..=name.len()], proof),
            _ => ("", part),
        };
        let is_time = proof.len() <= 13 && proof.bytes().all(|byte| byte.is_ascii_digit());
        let beginning: String = proof.chars().take(SHOWN).collect();
        match is_time || beginning.len() == proof.len() {
            true => format!("{name}{proof}{end}"),
            false => format!("{name}{beginning}…{end}"),
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_known_again_and_proves_nothing() {
        let hex = "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd";
        for (sent, shown) in [
            (format!("t=1492774577,v1={hex},v0=6ffbb59b"), "t=1492774577,v1=5257a869…,v0=6ffbb59b"),
            (format!("ts=1671552777;h1={hex}"), "ts=1671552777;h1=5257a869…"),
            (hex.to_owned(), "5257a869…"),
            (
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,bm9ldHRoZXNlY29uZA==".to_owned(),
                "v1,g0hM9SsE… v1,bm9ldHRo…",
            ),
            (String::new(), ""),
            ("x".repeat(5_000), "xxxxxxxx…"),
        ] {
            assert_eq!(cut(&sent), shown);
        }
    }

    #[test]
    fn what_is_kept_is_on_a_list_and_short() {
        let long = "a".repeat(5_000);
        let header = |name: &str| match name {
            "user-agent" => Some(long.as_str()),
            "stripe-signature" => Some("t=1,v1=0123456789abcdef"),
            "authorization" | "cookie" => Some("secret"),
            _ => None,
        };
        let kept = kept(&Delivery { header: &header, body: b"" });
        assert_eq!(kept.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["stripe-signature", "user-agent"]);
        assert_eq!((kept[0].1.as_str(), kept[1].1.len()), ("t=1,v1=01234567…", LENGTH_MAX));
    }
}
