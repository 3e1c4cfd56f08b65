//! What makes the order of arrival not matter: values that *join*.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A join-semilattice: `join` is commutative, associative and idempotent.
pub trait Join {
    /// Adds what `other` knows.
    fn join(&mut self, other: Self);
}

impl<T: Ord> Join for BTreeSet<T> {
    fn join(&mut self, other: Self) {
        self.extend(other);
    }
}

impl<K: Ord, V: Join> Join for BTreeMap<K, V> {
    fn join(&mut self, other: Self) {
        for (key, value) in other {
            match self.entry(key) {
                Entry::Occupied(mut entry) => entry.get_mut().join(value),
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
            }
        }
    }
}

impl<T: Join> Join for Option<T> {
    fn join(&mut self, other: Self) {
        match (self.as_mut(), other) {
            (Some(mine), Some(theirs)) => mine.join(theirs),
            (None, Some(theirs)) => *self = Some(theirs),
            (_, None) => {}
        }
    }
}

/// Joins two values of a chain: the larger one stays.
pub fn keep_larger<T: Ord>(mine: &mut T, theirs: T) {
    if theirs > *mine {
        *mine = theirs;
    }
}

/// Totally orders snapshots of one thing, whatever order they arrive in.
///
/// Where the provider's own order can be trusted `at` is its time of change; where it cannot (Stripe), `at` is the
/// moment a fresh fetch began, or the event's creation if nothing may be fetched, with `rank` for one second's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Nothing comes after the end of a subscription.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// When the snapshot was true.
    #[serde(with = "crate::time::micros")]
    pub at: Timestamp,
    /// Among snapshots of one moment: created < updated < deleted.
    #[serde(default)]
    pub rank: u8,
}

impl Stamp {
    /// A stamp that orders by time alone.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self { ended: false, at, rank: 0 }
    }
}

/// A value whose latest snapshot counts. Of two that share a stamp the larger content stays, and `tied` says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register<T> {
    /// Orders the snapshots.
    pub stamp: Stamp,
    /// What was true then.
    pub value: T,
    /// Another snapshot claims the same moment and says something else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
}

impl<T> Register<T> {
    /// One snapshot.
    pub const fn new(stamp: Stamp, value: T) -> Self {
        Self { stamp, value, tied: false }
    }
}

impl<T: Ord> Join for Register<T> {
    fn join(&mut self, other: Self) {
        if other.stamp > self.stamp {
            *self = other;
        } else if other.stamp == self.stamp {
            self.tied |= other.tied || other.value != self.value;
            keep_larger(&mut self.value, other.value);
        }
    }
}

/// Which elements belong together. The join is the coarsest grouping that both sides ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition<T: Ord>(BTreeSet<BTreeSet<T>>);

impl<T: Ord> Default for Partition<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord + Clone> Partition<T> {
    /// One group; fewer than two elements say nothing.
    pub fn group(elements: impl IntoIterator<Item = T>) -> Self {
        let group: BTreeSet<T> = elements.into_iter().collect();
        Self(if group.len() < 2 { BTreeSet::new() } else { [group].into() })
    }

    /// Whether both are known to be one.
    pub fn same(&self, left: &T, right: &T) -> bool {
        left == right || self.0.iter().any(|group| group.contains(left) && group.contains(right))
    }

    /// Whether nothing is grouped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord + Clone> Join for Partition<T> {
    fn join(&mut self, other: Self) {
        for mut group in other.0 {
            let (touching, apart) =
                std::mem::take(&mut self.0).into_iter().partition::<BTreeSet<_>, _>(|mine| !mine.is_disjoint(&group));
            self.0 = apart;
            for mine in touching {
                group.extend(mine);
            }
            self.0.insert(group);
        }
    }
}
