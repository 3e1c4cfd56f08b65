//! How many calls an address gets at once, and when it is left alone.

use domain::retry::backoff;
use jiff::SignedDuration;

use super::ending::Health;

/// Calls under way at an address that takes what it gets within [`QUICK`].
const CALLS_MAX: usize = 8;
/// The same at one of which nothing is known yet: most that will never answer are found out with as many.
const CALLS_AT_FIRST: usize = 2;
/// An address whose answers take longer has as many times fewer calls: slow ones hold no more of [`CALLS_IN_ALL`] than quick ones.
const QUICK: SignedDuration = SignedDuration::from_secs(1);
/// Calls under way at all addresses together.
const CALLS_IN_ALL: usize = 1_024;
/// The most of them that addresses have which fail or are slow: the others are left to those that answer at once.
const CALLS_OF_TROUBLED: usize = CALLS_IN_ALL / 2;
/// With so many under way, an address that has one gets no other: the last are for those that have none.
const CALLS_BEFORE_LAST: usize = CALLS_IN_ALL / 4 * 3;
/// Failures in a row after which an address rests between calls.
const FAILURES_BEFORE_REST: u32 = 3;
/// The longest rest of which the address itself says nothing. Whoever mends one sees that it works again within that time.
const REST_MAX: SignedDuration = SignedDuration::from_secs(15);
/// The longest rest that an address may ask for. The delivery that it asked about may wait longer.
const ASKED_REST_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How an address has answered lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Failures in a row.
    pub(super) failures: u32,
    /// How long it takes to take something, of which the latest is a quarter; none: it has taken nothing yet.
    takes: Option<SignedDuration>,
}

impl Pace {
    /// Calls that may be under way.
    pub(super) fn allowed(&self) -> usize {
        match (self.failures, self.takes) {
            (0, None) => CALLS_AT_FIRST,
            (0, Some(takes)) => {
                let (quick, takes) = (QUICK.as_millis(), takes.max(QUICK).as_millis());
                usize::try_from(quick * CALLS_MAX as i128 / takes).unwrap_or(1).clamp(1, CALLS_MAX)
            }
            _ => 1,
        }
    }

    /// Whether it could keep others waiting.
    pub(super) fn is_troubled(&self) -> bool {
        self.failures > 0 || self.takes.is_some_and(|takes| takes > QUICK)
    }

    /// A call came back after `took`; `asked` is how long the answer asks us to stay away. Returns how long to do so.
    pub(super) fn landed(
        &mut self,
        health: Health,
        took: SignedDuration,
        asked: Option<SignedDuration>,
    ) -> Option<SignedDuration> {
        match health {
            Health::Unknown => None,
            Health::Takes => {
                self.failures = 0;
                self.takes = Some(self.takes.map_or(took, |before| (before * 3 + took) / 4));
                None
            }
            Health::Fails | Health::Gone => {
                self.failures = self.failures.saturating_add(1);
                let tired = self.failures.saturating_sub(FAILURES_BEFORE_REST - 1);
                let rest = (tired > 0 || asked.is_some()).then(|| backoff(tired).min(REST_MAX));
                rest.map(|rest| rest.max(asked.unwrap_or_default().min(ASKED_REST_MAX)))
            }
        }
    }
}

/// What is under way at all addresses of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) in_all: usize,
    /// Of these, at addresses that fail or are slow.
    pub(super) of_troubled: usize,
}

impl Slots {
    /// Whether an address that has so many calls under way may have another.
    pub(super) fn has_room(&self, pace: &Pace, calls: usize) -> bool {
        let most = if calls == 0 { CALLS_IN_ALL } else { CALLS_BEFORE_LAST };
        calls < pace.allowed() && self.in_all < most && (!pace.is_troubled() || self.of_troubled < CALLS_OF_TROUBLED)
    }

    pub(super) fn count(&mut self, pace: &Pace, calls: usize) {
        self.in_all += calls;
        self.of_troubled += if pace.is_troubled() { calls } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn after(landed: &[(Health, i64)]) -> Pace {
        let mut pace = Pace::default();
        for (health, took) in landed {
            pace.landed(*health, seconds(*took), None);
        }
        pace
    }

    #[test]
    fn the_longer_an_address_takes_the_fewer_calls_it_has() {
        use Health::{Fails, Takes, Unknown};
        for (landed, allowed, is_troubled) in [
            (&[] as &[(Health, i64)], 2, false),
            (&[(Unknown, 0)], 2, false),
            (&[(Takes, 0)], 8, false),
            (&[(Takes, 1)], 8, false),
            (&[(Takes, 2)], 4, true),
            (&[(Takes, 14)], 1, true),
            // One slow answer among quick ones halves it, two and more say that it is slow.
            (&[(Takes, 0), (Takes, 14)], 2, true),
            (&[(Takes, 0), (Takes, 14), (Takes, 14)], 1, true),
            (&[(Takes, 14), (Takes, 0), (Takes, 0), (Takes, 0)], 1, true),
            (&[(Takes, 14), (Takes, 0), (Takes, 0), (Takes, 0), (Takes, 0), (Takes, 0), (Takes, 0)], 3, true),
            (&[(Takes, 0), (Fails, 0)], 1, true),
            (&[(Takes, 0), (Fails, 0), (Takes, 0)], 8, false),
        ] {
            let pace = after(landed);
            assert_eq!((pace.allowed(), pace.is_troubled()), (allowed, is_troubled), "{landed:?}");
        }
    }

    #[test]
    fn whatever_the_slow_and_the_dead_do_others_have_room() {
        let (quick, slow, dead) =
            (after(&[(Health::Takes, 0)]), after(&[(Health::Takes, 3)]), after(&[(Health::Fails, 15)]));
        for (in_all, of_troubled, pace, calls, has_room) in [
            (0, 0, quick, 7, true),
            (0, 0, quick, 8, false),
            (0, 0, slow, 1, true),
            (0, 0, slow, 2, false),
            (0, 0, dead, 0, true),
            (0, 0, dead, 1, false),
            // They fill their half, and no more.
            (512, 512, dead, 0, false),
            (512, 512, slow, 0, false),
            (512, 512, quick, 0, true),
            (512, 512, quick, 7, true),
            (512, 512, Pace::default(), 0, true),
            // Busy ones leave the last quarter to those that have none.
            (768, 0, quick, 1, false),
            (768, 0, quick, 0, true),
            (768, 0, dead, 0, true),
            (1_024, 0, quick, 0, false),
        ] {
            let told = format!("{in_all} under way, {of_troubled} of them in trouble, {calls} of its own, {pace:?}");
            assert_eq!(Slots { in_all, of_troubled }.has_room(&pace, calls), has_room, "{told}");
        }
    }

    #[test]
    fn an_address_rests_after_some_failures_or_when_it_asks_to() {
        for (failures, asked, rest) in [
            (1, None, None),
            (2, None, None),
            (3, None, Some(1)),
            (4, None, Some(2)),
            (9, None, Some(15)),
            (1, Some(0), Some(1)),
            (1, Some(600), Some(600)),
            (9, Some(5), Some(15)),
            (1, Some(86_400), Some(3_600)),
        ] {
            let mut pace = Pace { failures: failures - 1, takes: None };
            let told = pace.landed(Health::Fails, seconds(0), asked.map(seconds));
            assert_eq!(told, rest.map(seconds), "failure {failures}, asked for {asked:?}");
        }
    }
}
