//! When a backup is due, which ones are kept, and what people are told.

use jiff::{SignedDuration, Timestamp};

/// The attention item of an installation whose backups are not made in time.
pub const BACKUP_OVERDUE: &str = "backup_overdue";
/// The attention item of an installation that was restored from a backup, and from which nothing leaves yet.
pub const OUTGOING_HELD: &str = "outgoing_held";

/// How long after a failure it is tried again; sooner, where backups are made more often.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The newest of these moments; one that has not come yet is none. A clock that was wrong once has named it, and would keep
/// backups from being made until it is reached.
#[must_use]
pub fn newest(all: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Option<Timestamp> {
    all.into_iter().filter(|at| *at <= now).max()
}

/// Whether a backup is to be made now. `last` and `failed` are the moments of the newest one that is there, and of the newest
/// try that came to nothing; none, or one that has not come yet: there is none. `every` is how often one is wanted.
#[must_use]
pub fn is_due(last: Option<Timestamp>, failed: Option<Timestamp>, every: SignedDuration, now: Timestamp) -> bool {
    let over = |since, wait| newest(since, now).is_none_or(|since| now.duration_since(since) >= wait);
    over(last, every) && over(failed, every.min(AGAIN_AFTER))
}

/// Whether a backup should have been made by now: one is missing, and not for a moment only.
#[must_use]
pub fn is_overdue(last: Option<Timestamp>, every: SignedDuration, now: Timestamp) -> bool {
    newest(last, now).is_none_or(|last| now.duration_since(last) > every.saturating_mul(2))
}

/// Which of these are more than are to be kept: all but the newest `keep`. One at least is kept, whatever `keep` says. One whose
/// moment has not come yet takes nobody's place and stays: nobody knows how old it is.
#[must_use]
pub fn surplus<T>(mut all: Vec<(Timestamp, T)>, keep: usize, now: Timestamp) -> Vec<T> {
    all.retain(|(at, _)| *at <= now);
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all.into_iter().skip(keep.max(1)).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    #[test]
    fn a_backup_is_due_when_the_last_is_old_enough_and_the_last_failure_too() {
        let day = SignedDuration::from_hours(24);
        for (last, failed, every, is) in [
            (None, None, day, true),
            (Some(77), None, day, false),
            (Some(76), None, day, true),
            (Some(70), Some(99), day, true),
            (Some(70), Some(100), day, false),
            (None, Some(100), day, false),
            (Some(99), Some(98), SignedDuration::from_hours(1), true),
            (Some(101), None, day, true),
            (Some(9_999), Some(100), day, false),
            (Some(70), Some(9_999), day, true),
        ] {
            assert_eq!(is_due(last.map(at), failed.map(at), every, at(100)), is, "{last:?} {failed:?}");
        }
    }

    #[test]
    fn a_backup_is_overdue_when_two_are_missing() {
        let day = SignedDuration::from_hours(24);
        for (last, is) in [(None, true), (Some(100), false), (Some(52), false), (Some(51), true), (Some(101), true)] {
            assert_eq!(is_overdue(last.map(at), day, at(100)), is, "{last:?}");
        }
    }

    #[test]
    fn the_newest_is_one_that_was_made() {
        for (all, is) in [(vec![], None), (vec![1, 3, 2], Some(3)), (vec![1, 5, 4], Some(4)), (vec![5], None)] {
            assert_eq!(newest(all.iter().copied().map(at), at(4)), is.map(at), "{all:?}");
        }
    }

    #[test]
    fn the_newest_are_kept() {
        let all = || vec![(at(2), 'b'), (at(9), 'z'), (at(3), 'c'), (at(1), 'a')];
        for (keep, gone) in [(0, "ba"), (1, "ba"), (2, "a"), (3, ""), (9, "")] {
            assert_eq!(surplus(all(), keep, at(3)).into_iter().collect::<String>(), gone, "{keep}");
        }
    }
}
