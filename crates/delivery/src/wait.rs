//! How long others ask us to wait.

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

/// What the header `Retry-After` of an answer asks for. None: nothing.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    headers.get(header::RETRY_AFTER).and_then(|value| asked_for(value.to_str().ok()?, now))
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3). None: it asks for nothing.
pub(crate) fn asked_for(text: &str, now: Timestamp) -> Option<SignedDuration> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(date.duration_since(now)).filter(|wait| wait.is_positive())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_asked_for_in_seconds_or_by_a_date() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(asked_for("120", now), Some(SignedDuration::from_secs(120)));
        assert_eq!(asked_for("Mon, 21 Sep 2026 14:14:20 GMT", now), Some(SignedDuration::from_secs(60)));
        for nothing in ["", "soon", "-5", "Mon, 21 Sep 2026 14:00:00 GMT"] {
            assert_eq!(asked_for(nothing, now), None, "{nothing}");
        }
    }
}
