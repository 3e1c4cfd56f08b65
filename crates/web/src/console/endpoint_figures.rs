//! How an address answered lately, from the tries that are kept.

use domain::time::after;
use jiff::{SignedDuration, Timestamp};
use store::deliveries::Try;

use super::{
    chart::{About, Axis, Bars, Chart, Series, bars},
    words::counted,
};

/// Deliveries whose tries are looked at, the newest.
pub(crate) const EXAMINED: u64 = 1_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How far back tries are looked at.
pub(crate) const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The steps of the picture, and how long one is.
const STEPS: usize = 28;
const STEP: SignedDuration = SignedDuration::from_hours(6);

/// How an address answered in some stretch of time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) tries: usize,
    /// Of a hundred tries.
    pub(crate) arrived: usize,
    /// In milliseconds: half of the tries took less, and nineteen of twenty.
    pub(crate) median: i64,
    pub(crate) slow: i64,
}

impl Figures {
    /// Those of tries. None: there were none.
    fn of<'t>(tries: impl Iterator<Item = &'t Try> + Clone) -> Option<Self> {
        let mut times: Vec<i64> = tries.clone().map(|one| one.duration_micros / 1_000).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        let arrived = tries.filter(|one| has_arrived(one)).count();
        Some(Self {
            tries: times.len(),
            arrived: arrived * 100 / times.len(),
            median: times[last / 2],
            slow: times[last * 19 / 20],
        })
    }
}

fn has_arrived(one: &Try) -> bool {
    one.status.is_some_and(|status| (200..300).contains(&status))
}

/// How an address answered in the last day and the last week.
pub(crate) struct Lately {
    pub(crate) day: Option<Figures>,
    pub(crate) week: Option<Figures>,
    pub(crate) chart: Chart,
}

impl Lately {
    /// That of the tries of the last week.
    pub(crate) fn of(tries: &[Try], now: Timestamp) -> Self {
        let since = |age: SignedDuration| after(now, -age).as_microsecond();
        let (day, week) = (since(DAY), since(WEEK));
        let week = || tries.iter().filter(move |one| one.began_at >= week);
        Self {
            day: Figures::of(week().filter(|one| one.began_at >= day)),
            week: Figures::of(week()),
            chart: chart(week(), tries.len() >= EXAMINED as usize, now),
        }
    }
}

/// Tries in steps up to now, those that arrived and those that did not.
fn chart<'t>(tries: impl Iterator<Item = &'t Try>, is_cut: bool, now: Timestamp) -> Chart {
    let (mut taken, mut failed) = (vec![0; STEPS], vec![0; STEPS]);
    let begin = after(now, -WEEK);
    for one in tries {
        let since = one.began_at.saturating_sub(begin.as_microsecond());
        let step = usize::try_from(since / i64::try_from(STEP.as_micros()).unwrap_or(i64::MAX)).unwrap_or_default();
        let counts = if has_arrived(one) { &mut taken } else { &mut failed };
        counts[step.min(STEPS - 1)] += 1;
    }
    let (of_taken, of_failed): (i64, i64) = (taken.iter().sum(), failed.iter().sum());
    let name = |step: usize| {
        let from = after(begin, STEP * i32::try_from(step).unwrap_or_default());
        from.strftime("%-d %b %H:%M").to_string()
    };
    let about = About {
        id: "tries",
        title: "Tries of the last 7 days",
        sentence: format!(
            "{} in 7 days: {of_taken} arrived, {of_failed} did not.{}",
            counted(of_taken + of_failed, "try", "tries"),
            if is_cut { " Only the newest 1,000 deliveries are counted." } else { "" }
        ),
        empty: "Nothing was sent.",
    };
    let axis = Axis { steps: (0..STEPS).map(name).collect(), labels: Vec::new(), unit: "From" };
    let series = vec![
        Series { name: "arrived".to_owned(), tone: "t-good", values: taken },
        Series { name: "failed".to_owned(), tone: "t-bad", values: failed },
    ];
    bars(about, axis, series, Bars::Stacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(now: Timestamp, hours_ago: i64, status: Option<i32>, millis: i64) -> Try {
        let began_at = after(now, -SignedDuration::from_hours(hours_ago)).as_microsecond();
        Try { began_at, status, duration_micros: millis * 1_000 }
    }

    #[test]
    fn figures_tell_how_an_address_answers() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let nothing = Lately::of(&[], now);
        assert!(nothing.day.is_none() && nothing.week.is_none() && nothing.chart.marks.is_empty());
        let mut tries: Vec<Try> =
            (1..=20).map(|number| tried(now, 1, Some(if number > 18 { 500 } else { 204 }), number)).collect();
        tries.extend([tried(now, 60, None, 5_000), tried(now, 200, Some(200), 1)]);
        let lately = Lately::of(&tries, now);
        assert_eq!(lately.day, Some(Figures { tries: 20, arrived: 90, median: 10, slow: 19 }));
        assert_eq!(lately.week, Some(Figures { tries: 21, arrived: 85, median: 11, slow: 20 }));
        assert_eq!(lately.chart.about.sentence, "21 tries in 7 days: 18 arrived, 3 did not.");
        assert_eq!(lately.chart.rows, [["24 Nov 00:00", "0", "1"], ["26 Nov 06:00", "18", "2"]]);
    }
}
