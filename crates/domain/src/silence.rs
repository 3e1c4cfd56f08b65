//! Whether a provider has been silent for unusually long.

use jiff::{SignedDuration, Timestamp};

/// The attention item of a connection from which nothing has come for unusually long.
pub const NO_EVENTS: &str = "no_events";

/// So many of the last gaps between calls tell what is usual.
pub const GAPS: usize = 50;
/// A silence shorter than this is never unusual.
const SILENCE_MIN: SignedDuration = SignedDuration::from_hours(24);
/// A silence is unusual from so many times the longest of the gaps on.
const TIMES_THE_LONGEST: i32 = 8;

/// Since when a connection has been silent for unusually long; none: it has not. `received` are the moments at which its
/// last events came, in any order: up to [`GAPS`] and one.
///
/// What is usual is not known of a connection of which only a day has been seen: the events of its first sale come within
/// seconds of each other, and would make a day without a second one unusual.
#[must_use]
pub fn silent_since(received: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
    let mut times = received.to_vec();
    times.sort();
    let (first, last) = (*times.first()?, *times.last()?);
    let is_known = times.len() > GAPS || last.duration_since(first) >= SILENCE_MIN;
    let longest = times.windows(2).map(|pair| pair[1].duration_since(pair[0])).max()?;
    let usual = longest.saturating_mul(TIMES_THE_LONGEST).max(SILENCE_MIN);
    (is_known && now.duration_since(last) > usual).then_some(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn silent(received: &[i64], now: i64) -> Option<i64> {
        let received: Vec<Timestamp> = received.iter().copied().map(at).collect();
        silent_since(&received, at(now)).map(Timestamp::as_second)
    }

    #[test]
    fn what_is_usual_decides() {
        let busy: Vec<i64> = (0..51).map(|number| number * 60).collect();
        for (what, received, now, since) in [
            ("nothing ever came", &[][..], 99 * DAY, None),
            ("one event says nothing", &[0], 99 * DAY, None),
            ("nor does the first sale", &[0, 1, 2, 5], 99 * DAY, None),
            ("a day of silence is usual", &[0, DAY], 2 * DAY, None),
            ("so are eight times the longest gap", &[0, DAY], 9 * DAY, None),
            ("more is not", &[0, DAY], 9 * DAY + 1, Some(DAY)),
            ("a busy shop is silent after a day", &busy, 50 * 60 + DAY + 1, Some(50 * 60)),
            ("and not before", &busy, 50 * 60 + DAY, None),
            ("a clock that was set back", &[0, 9 * DAY], DAY, None),
        ] {
            assert_eq!(silent(received, now), since, "{what}");
        }
    }

    proptest! {
        #[test]
        fn it_depends_on_the_moments_alone(
            mut received in prop::collection::vec(0i64..400 * DAY, 0..60),
            wait in 0i64..4_000 * DAY,
            seed in any::<prop::sample::Index>(),
        ) {
            let last = received.iter().copied().max().unwrap_or(0);
            let found = silent(&received, last + wait);
            let place = if received.is_empty() { 0 } else { seed.index(received.len()) };
            received.rotate_left(place);
            prop_assert_eq!(silent(&received, last + wait), found, "in another order");
            // Silence goes on until something comes.
            if found.is_some() {
                prop_assert_eq!(found, Some(last));
                prop_assert!(wait > DAY);
                prop_assert_eq!(silent(&received, last + wait + DAY), found);
                received.push(last + wait);
                prop_assert_eq!(silent(&received, last + wait), None, "something came");
            }
        }

        #[test]
        fn whoever_comes_as_usual_is_never_silent(
            gaps in prop::collection::vec(1i64..30 * DAY, 1..60),
            share in 0.0f64..1.0,
        ) {
            let received: Vec<i64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            let tail = &received[received.len().saturating_sub(GAPS + 1)..];
            let longest = tail.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            let now = tail[tail.len() - 1] + ((longest.max(DAY) as f64) * share) as i64;
            prop_assert_eq!(silent(tail, now), None);
        }
    }
}
