//! When something that failed is tried again.

use jiff::SignedDuration;

/// The longest wait between two tries.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How long to wait after that many failed tries (from 1): one second, doubled each time, one hour at most.
#[must_use]
pub fn backoff(failed: u32) -> SignedDuration {
    let seconds = 1i64 << failed.saturating_sub(1).min(12);
    SignedDuration::from_secs(seconds).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let seconds: Vec<i64> = [1, 2, 3, 12, 13, 99].map(|failed| backoff(failed).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 2_048, 3_600, 3_600]);
    }
}
