//! What apps were denied: gathered by license, answer and day, so that a person who helps a buyer sees it at a glance.
//! Statistics: nothing else rests on them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::activation::VerdictCode;

/// Devices that are told apart; of more it is known that there were more.
pub const DEVICES_MAX: usize = 8;
const SECONDS_A_DAY: i64 = 86_400;

/// The day of a moment (UTC): days since 1970-01-01.
#[must_use]
pub fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SECONDS_A_DAY)
}

/// When a day begins.
#[must_use]
pub fn begin_of(day: i64) -> Timestamp {
    Timestamp::from_second(day.saturating_mul(SECONDS_A_DAY)).unwrap_or(Timestamp::MIN)
}

/// Some devices, by their fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// [`DEVICES_MAX`] of them at most: the first by their names, so that it does not matter who comes first.
    pub fingerprints: BTreeSet<String>,
    /// Whether there were others as well.
    pub are_more: bool,
}

impl Devices {
    fn join(&mut self, other: Self) {
        self.fingerprints.extend(other.fingerprints);
        self.are_more |= other.are_more || self.fingerprints.len() > DEVICES_MAX;
        while self.fingerprints.len() > DEVICES_MAX {
            self.fingerprints.pop_last();
        }
    }
}

/// Denials of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denials {
    /// How many.
    pub times: i64,
    /// When the last of them was.
    pub last_at: Timestamp,
    /// Which devices asked, as far as they said who they are.
    pub devices: Devices,
}

impl Denials {
    /// One.
    #[must_use]
    pub fn one(device: Option<&str>, at: Timestamp) -> Self {
        let fingerprints = device.into_iter().map(str::to_owned).collect();
        Self { times: 1, last_at: at, devices: Devices { fingerprints, are_more: false } }
    }

    /// Adds others.
    pub fn join(&mut self, other: Self) {
        self.times = self.times.saturating_add(other.times);
        self.last_at = self.last_at.max(other.last_at);
        self.devices.join(other.devices);
    }
}

/// Denials of one license with one answer on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedOnDay {
    /// As [`day_of`] says.
    pub day: i64,
    /// The answer.
    pub code: VerdictCode,
    /// How many, when, and who.
    pub denials: Denials,
}

/// Denials of one license with one answer, all days together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The answer.
    pub code: VerdictCode,
    /// How many, when, and who.
    pub denials: Denials,
    /// The same day by day, the latest first: the day, and how many.
    pub days: Vec<(i64, i64)>,
}

/// One of each answer, the one that was given last first.
#[must_use]
pub fn together(rows: Vec<DeniedOnDay>) -> Vec<Denied> {
    let mut by_code: BTreeMap<&'static str, Denied> = BTreeMap::new();
    for DeniedOnDay { day, code, denials } in rows {
        let on_day = (day, denials.times);
        match by_code.get_mut(code.as_str()) {
            Some(denied) => {
                denied.denials.join(denials);
                denied.days.push(on_day);
            }
            None => {
                by_code.insert(code.as_str(), Denied { code, denials, days: vec![on_day] });
            }
        }
    }
    let mut all: Vec<Denied> = by_code.into_values().collect();
    all.iter_mut().for_each(|denied| denied.days.sort_unstable_by_key(|(day, _)| std::cmp::Reverse(*day)));
    all.sort_by_key(|denied| std::cmp::Reverse(denied.denials.last_at));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn days_begin_at_midnight() {
        for (moment, day, begin) in [
            ("1970-01-01T23:59:59Z", 0, "1970-01-01T00:00:00Z"),
            ("2026-11-26T00:00:00Z", 20_783, "2026-11-26T00:00:00Z"),
            ("1969-12-31T23:59:59Z", -1, "1969-12-31T00:00:00Z"),
        ] {
            assert_eq!(day_of(moment.parse().unwrap()), day, "{moment}");
            assert_eq!(begin_of(day).to_string(), begin);
        }
    }

    #[test]
    fn it_does_not_matter_in_which_order_denials_are_added() {
        let ones: Vec<Denials> =
            (0..12).map(|number| Denials::one(Some(&format!("pc-{number:02}")), at(number))).collect();
        let added = |order: &mut dyn Iterator<Item = &Denials>| {
            let mut sum = order.next().unwrap().clone();
            order.for_each(|one| sum.join(one.clone()));
            sum
        };
        let sum = added(&mut ones.iter());
        assert_eq!(sum, added(&mut ones.iter().rev()));
        assert_eq!((sum.times, sum.last_at), (12, at(11)));
        assert_eq!((sum.devices.fingerprints.len(), sum.devices.are_more), (DEVICES_MAX, true));
    }

    #[test]
    fn a_device_that_is_denied_twice_is_one() {
        let mut denials = Denials::one(Some("pc"), at(1));
        denials.join(Denials::one(Some("pc"), at(2)));
        denials.join(Denials::one(None, at(3)));
        assert_eq!((denials.times, denials.devices.fingerprints.len(), denials.devices.are_more), (3, 1, false));
    }

    #[test]
    fn answers_are_told_together_and_the_last_one_first() {
        let row = |day, code, times, last| DeniedOnDay {
            day,
            code,
            denials: Denials { times, ..Denials::one(Some("pc"), at(last)) },
        };
        let told = together(vec![
            row(1, VerdictCode::Expired, 2, 90_000),
            row(2, VerdictCode::ActivationLimit, 5, 180_000),
            row(3, VerdictCode::Expired, 4, 270_000),
        ]);
        let told: Vec<_> = told.into_iter().map(|denied| (denied.code, denied.denials.times, denied.days)).collect();
        assert_eq!(
            told,
            [(VerdictCode::Expired, 6, vec![(3, 4), (1, 2)]), (VerdictCode::ActivationLimit, 5, vec![(2, 5)]),]
        );
    }
}
