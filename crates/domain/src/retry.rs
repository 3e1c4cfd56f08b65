//! When something that failed is tried again.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The longest wait between two tries.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How long to wait after that many failed tries (from 1): one second, doubled each time, one hour at most.
#[must_use]
pub fn backoff(failed: u32) -> SignedDuration {
    let seconds = 1i64 << failed.saturating_sub(1).min(12);
    SignedDuration::from_secs(seconds).min(WAIT_MAX)
}

/// How long a delivery to a vendor's own system is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Ten tries over three days and more, as Standard Webhooks recommends: at once, then after 5 s, 5 min, 30 min, and 2, 5,
    /// 10, 14, 20 and 24 h.
    #[default]
    Standard,
    /// Four tries over 36 minutes: at once, then after 1, 5 and 30 min (D24).
    Short,
}

impl Schedule {
    /// The most that is added to a wait, in hundredths of it, so that what failed together does not come back together.
    const JITTER_MAX: i32 = 20;

    const fn waits_seconds(self) -> &'static [i64] {
        match self {
            Self::Standard => &[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
            Self::Short => &[60, 300, 1_800],
        }
    }

    /// How long to wait after that many failed tries (from 1); none: it is given up. `jitter` is random, and makes the wait
    /// longer and never shorter.
    #[must_use]
    pub fn wait(self, failed: u32, jitter: u8) -> Option<SignedDuration> {
        let place = usize::try_from(failed.saturating_sub(1)).ok()?;
        let wait = SignedDuration::from_secs(*self.waits_seconds().get(place)?);
        Some(wait + wait * Self::JITTER_MAX * i32::from(jitter) / (100 * i32::from(u8::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let seconds: Vec<i64> = [1, 2, 3, 12, 13, 99].map(|failed| backoff(failed).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 2_048, 3_600, 3_600]);
    }

    #[test]
    fn deliveries_are_tried_for_three_days_or_for_half_an_hour() {
        let waits = |schedule: Schedule, jitter| -> Vec<i64> {
            (1..).map_while(|failed| schedule.wait(failed, jitter)).map(|wait| wait.as_secs()).collect()
        };
        assert_eq!(waits(Schedule::Short, 0), [60, 300, 1_800]);
        assert_eq!(waits(Schedule::Short, u8::MAX), [72, 360, 2_160]);
        let (soonest, latest) = (waits(Schedule::Standard, 0), waits(Schedule::Standard, u8::MAX));
        assert_eq!((soonest.len(), soonest.iter().sum::<i64>()), (9, 75 * 3_600 + 35 * 60 + 5));
        assert_eq!(latest.iter().sum::<i64>(), (75 * 3_600 + 35 * 60 + 5) * 6 / 5);
    }
}
