//! How much happens with a vendor's money of one mode: figures of the last hours or days, what is ahead, and the latest of what
//! was done.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{
    counted::{Counted, Took, hour_of},
    id::ProductId,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{lists::Whose, rows::AuditEntry};

use crate::{Engine, Error};

/// Weeks that are looked ahead.
pub const WEEKS_AHEAD: usize = 12;
/// Entries of the audit log among which the latest of one mode are looked for.
const EXAMINED: u64 = 200;
const SECONDS_A_DAY: i64 = 86_400;
/// How long it is remembered what was read from many rows.
const KEPT: SignedDuration = SignedDuration::from_secs(60);
/// For so many vendors and modes; then all are forgotten.
const KEPT_MAX: usize = 256;

/// What was read from many rows, and when.
pub(crate) struct Known<K, T>(Mutex<HashMap<K, (Timestamp, Arc<T>)>>);

/// What ends: read from as many rows as there are licenses that end.
pub(crate) type KnownEnds = Known<Whose, Ends>;

/// What runs on devices: read from as many rows as there are licenses and devices.
pub(crate) type KnownVersions = Known<(Whose, i64), Versions>;

impl<K, T> Default for Known<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash, T> Known<K, T> {
    /// What was read at most a minute ago, or is read now.
    async fn or_read(
        &self,
        key: K,
        now: Timestamp,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((_, known)) = known.filter(|(at, _)| now.duration_since(*at) < KEPT) {
            return Ok(known);
        }
        let new = Arc::new(read.await?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(key, (now, Arc::clone(&new)));
        Ok(new)
    }
}

/// A stretch of time up to now, in steps of whole hours (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// 24 hours.
    #[default]
    Day,
    /// 7 days, in steps of 6 hours.
    Week,
    /// 30 days.
    Month,
}

impl Window {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    const fn steps(self) -> i64 {
        match self {
            Self::Day => 24,
            Self::Week => 28,
            Self::Month => 30,
        }
    }

    /// How long a step is, in hours.
    #[must_use]
    pub const fn step_hours(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 6,
            Self::Month => 24,
        }
    }

    /// For how many days devices count as in use on a page that shows this window: an app need not ask every day.
    const fn devices_days(self) -> i64 {
        match self {
            Self::Day | Self::Week => 7,
            Self::Month => 30,
        }
    }

    /// The hour in which it begins. The last step is the one that is not over.
    fn begins(self, now: Timestamp) -> i64 {
        let step = self.step_hours();
        (hour_of(now).div_euclid(step) + 1 - self.steps()) * step
    }
}

/// One step of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub from: Timestamp,
    counts: HashMap<Counted, i64>,
}

impl Step {
    /// How often something happened in it.
    #[must_use]
    pub fn of(&self, what: Counted) -> i64 {
        self.counts.get(&what).copied().unwrap_or_default()
    }
}

/// What was counted in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Which.
    pub window: Window,
    /// Its steps, the oldest first.
    pub steps: Vec<Step>,
}

impl Figures {
    /// The figures of counted rows: the number of the step, what, and how often.
    #[must_use]
    pub fn of(window: Window, now: Timestamp, rows: Vec<(i64, Counted, i64)>) -> Self {
        let step = |number: i64| Step {
            from: at_hour(window.begins(now) + number * window.step_hours()),
            counts: HashMap::new(),
        };
        let mut steps: Vec<Step> = (0..window.steps()).map(step).collect();
        for (number, what, times) in rows {
            if let Some(step) = usize::try_from(number).ok().and_then(|number| steps.get_mut(number)) {
                *step.counts.entry(what).or_default() += times;
            }
        }
        Self { window, steps }
    }

    /// How often something happened in all of it.
    #[must_use]
    pub fn total(&self, what: Counted) -> i64 {
        self.steps.iter().map(|step| step.of(what)).sum()
    }

    /// What `share` of the keys took at most from the provider's event to the relay, in seconds, to a fifth; none: no key was
    /// mailed.
    #[must_use]
    pub fn relayed_within(&self, share: f64) -> Option<f64> {
        let counts = self.steps.iter().flat_map(|step| &step.counts);
        let took = counts.filter_map(|(what, times)| match what {
            Counted::Relayed(took) => Some((*took, *times)),
            _ => None,
        });
        Took::percentile(&took.collect::<Vec<_>>(), share)
    }
}

fn at_hour(hour: i64) -> Timestamp {
    Timestamp::from_second(hour.saturating_mul(3_600)).unwrap_or(Timestamp::MIN)
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Events that are worked on next, or wait for a look-up.
    pub events: u64,
    /// Mails that are to be sent.
    pub mails: u64,
    /// Events that are to be delivered to the vendor's own systems.
    pub deliveries: u64,
}

/// The days ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first one: today at 00:00 UTC.
    pub from: Timestamp,
    /// How many active licenses end on each day.
    pub days: Vec<u64>,
}

/// What runs on the devices that were seen in the last days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// How many days.
    pub days: i64,
    /// Each version once, in no particular order.
    pub in_use: Vec<InUse>,
}

/// A version of a product's app, and on how many devices it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The product.
    pub product: ProductId,
    /// As the app says; none: it does not say.
    pub version: Option<String>,
    /// How many devices.
    pub devices: i64,
}

impl Engine {
    /// What was counted in a window.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn figures(&self, whose: Whose, window: Window) -> Result<Figures, Error> {
        let now = self.now();
        let rows = self.store.counts(whose, window.begins(now), window.step_hours()).await?;
        Ok(Figures::of(window, now, rows))
    }

    /// What waits now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn backlog(&self, whose: Whose) -> Result<Backlog, Error> {
        let (events, mails, deliveries) = self.store.backlog(whose).await?;
        Ok(Backlog { events, mails, deliveries })
    }

    /// How many licenses end in the next weeks, day by day, as it was at most a minute ago.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ends(&self, whose: Whose) -> Result<Arc<Ends>, Error> {
        let now = self.now();
        self.known_ends.or_read(whose, now, self.read_ends(whose, now)).await
    }

    /// Which versions of apps run on the devices that were seen lately, as it was at most a minute ago.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn versions(&self, whose: Whose, window: Window) -> Result<Arc<Versions>, Error> {
        let (now, days) = (self.now(), window.devices_days());
        let read = async {
            let since = after(now, -SignedDuration::from_hours(24 * days));
            let rows = self.store.versions_in_use(whose, since).await?;
            let in_use = |(product, version, devices): (_, _, i64)| InUse { product, version, devices };
            Ok(Versions { days, in_use: rows.into_iter().map(in_use).collect() })
        };
        self.known_versions.or_read((whose, days), now, read).await
    }

    async fn read_ends(&self, whose: Whose, now: Timestamp) -> Result<Ends, Error> {
        let today = now.as_second().div_euclid(SECONDS_A_DAY) * SECONDS_A_DAY;
        let from = Timestamp::from_second(today).unwrap_or(Timestamp::MIN);
        let mut days = vec![0; WEEKS_AHEAD * 7];
        let until = after(from, SignedDuration::from_hours(24 * 7 * WEEKS_AHEAD as i64));
        for (day, licenses) in self.store.ends_by_day(whose, from, until).await? {
            if let Some(day) = usize::try_from(day).ok().and_then(|day| days.get_mut(day)) {
                *day = licenses.unsigned_abs();
            }
        }
        Ok(Ends { from, days })
    }

    /// The latest of what was decided, by whomever, the latest first: what became of licenses, and what people did. It is looked
    /// for among the vendor's latest entries, so that what is rare in one mode may be hidden by what is frequent in the other.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn latest(&self, whose: Whose, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let examined = self.store.latest_audit(whose, EXAMINED).await?;
        Ok(examined.into_iter().filter(is_news).take(limit).collect())
    }
}

/// Whether an entry is worth a line on the first page: steps on the way to a license are not.
fn is_news(entry: &AuditEntry) -> bool {
    const STEPS: [&str; 6] = [
        "order.created",
        "license.announced",
        "license.key_made",
        "license.key_adopted",
        "license.reason_changed",
        "license.superseded",
    ];
    !STEPS.contains(&entry.action.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_the_step_that_is_not_over() {
        let now: Timestamp = "2026-11-26T13:45:00Z".parse().unwrap();
        for (window, first, last) in [
            (Window::Day, "2026-11-25T14:00:00Z", "2026-11-26T13:00:00Z"),
            (Window::Week, "2026-11-19T18:00:00Z", "2026-11-26T12:00:00Z"),
            (Window::Month, "2026-10-28T00:00:00Z", "2026-11-26T00:00:00Z"),
        ] {
            let figures = Figures::of(window, now, Vec::new());
            let from = |step: Option<&Step>| step.unwrap().from.to_string();
            assert_eq!((from(figures.steps.first()), from(figures.steps.last())), (first.into(), last.into()));
        }
    }

    #[test]
    fn rows_fall_into_their_steps() {
        let rows = vec![
            (0, Counted::Issued, 2),
            (23, Counted::Issued, 3),
            (24, Counted::Issued, 5),
            (-1, Counted::Issued, 7),
            (3, Counted::Relayed(Took(8)), 9),
            (4, Counted::Relayed(Took(40)), 1),
        ];
        let figures = Figures::of(Window::Day, Timestamp::UNIX_EPOCH, rows);
        assert_eq!((figures.steps[0].of(Counted::Issued), figures.total(Counted::Issued)), (2, 5));
        assert_eq!(figures.relayed_within(0.5), Some(Took(8).seconds()));
        assert_eq!(figures.relayed_within(0.95), Some(Took(40).seconds()));
        assert_eq!(Figures::of(Window::Day, Timestamp::UNIX_EPOCH, Vec::new()).relayed_within(0.5), None);
    }
}
